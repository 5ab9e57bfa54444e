"""Elastic Load Balancing logs."""

from __future__ import annotations

from typing import Any

import pytest
from aws_logs import balanced, damaged, event, missing, reasons, records
from hypothesis import example, given, settings
from hypothesis import strategies as st

LOG = "aws.elb"
APPLICATION = records(LOG, "us-east-1_app.shop.0123456789abcdef_20261117T0810Z")
CLASSIC = records(LOG, "legacy")
NETWORK = records(LOG, "net.edge")
CONNECTION = records(LOG, "conn_log")
LINES = [*APPLICATION, *CLASSIC, *NETWORK, *CONNECTION]
HTTP, TRAFFIC = 4002, 4001


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (APPLICATION[0], (HTTP, 3)),
        (APPLICATION[8], (HTTP, 6)),
        (APPLICATION[13], (TRAFFIC, 6)),
        (CLASSIC[0], (HTTP, 3)),
        (CLASSIC[2], (TRAFFIC, 6)),
        (CLASSIC[4], (HTTP, 0)),
        (NETWORK[0], (TRAFFIC, 6)),
        (NETWORK[1], (TRAFFIC, 4)),
        (CONNECTION[0], (TRAFFIC, 1)),
        (CONNECTION[1], (TRAFFIC, 4)),
        (CONNECTION[3], (TRAFFIC, 1)),
    ],
)
def test_classes_and_activities(line: bytes, expected: tuple[int, int]) -> None:
    """What was taken for HTTP is HTTP Activity, all else Network Activity; a handshake that failed is a failure."""
    found = event(LOG, line)

    assert (found["class_uid"], found["activity_id"]) == expected


@pytest.mark.parametrize("count", range(21, 30))
def test_columns_were_added_over_time(count: int) -> None:
    """A line may end before any of the columns that came later."""
    whole = APPLICATION[0].decode()
    words = whole.split(' "forward" ')
    tail = ['"forward"', *words[1].split()]
    line = f"{words[0]} {' '.join(tail[: count - 20])}".encode()

    assert event(LOG, line)["http_request"] == event(LOG, APPLICATION[0])["http_request"]


def test_columns_that_are_still_to_come() -> None:
    """They are kept as they stand."""
    assert event(LOG, APPLICATION[12])["unmapped"]["more"] == '"new.example.com" "/new/17" "TransformSuccess"'


def test_an_address_of_ipv6_has_no_brackets() -> None:
    """The port is behind the last colon; brackets would do no harm."""
    line = APPLICATION[9]

    assert event(LOG, line)["src_endpoint"] == {"ip": "2001:db8:20:1::c4", "port": 55018}
    bracketed = line.replace(b"2001:db8:20:1::c4:55018", b"[2001:db8:20:1::c4]:55018")
    assert event(LOG, bracketed)["src_endpoint"] == {"ip": "2001:db8:20:1::c4", "port": 55018}


def test_no_target() -> None:
    """A load balancer that answers itself is the destination."""
    found = event(LOG, APPLICATION[2])

    assert found["dst_endpoint"] == {"name": "app/shop/0123456789abcdef"}
    assert found["load_balancer"] == {"name": "app/shop/0123456789abcdef"}


def test_times_that_are_none() -> None:
    """A phase that was not completed is -1: there is no duration, and a latency only where there was an answer."""
    done, cut, none = (event(LOG, APPLICATION[n]) for n in (0, 5, 4))

    assert (done["duration"], done["http_response"]["latency"]) == (19, 18)
    assert ("duration" in cut, cut["http_response"]["latency"]) == (False, 1250)
    assert ("duration" in none, "latency" in none["http_response"]) == (False, False)
    assert cut["unmapped"]["response_processing_time"] == "-1"


def test_a_count_that_is_none() -> None:
    """A Classic Load Balancer writes -1 where it counted nothing."""
    found = event(LOG, CLASSIC[3])

    assert "traffic" not in found
    assert found["unmapped"]["sent_bytes"] == "-1"


def test_bytes_are_counted_from_the_client() -> None:
    """OCSF's source is the client: out is what the load balancer received."""
    assert event(LOG, APPLICATION[0])["traffic"] == {"bytes_in": 4096, "bytes_out": 512}


def test_a_malformed_request() -> None:
    """The load balancer's own address is what is left of it."""
    found = event(LOG, APPLICATION[6])

    assert found["http_request"]["url"]["hostname"] == "shop-0123456789.us-east-1.elb.amazonaws.com"
    assert found["load_balancer"]["classification"] == "Severe"
    assert event(LOG, APPLICATION[0].replace(b"GET https", b"\\x16\\x03 https"))["http_request"]["url"]["url_string"]


def test_a_quote_within_a_user_agent() -> None:
    """It is not escaped."""
    line = APPLICATION[0].replace(b"Mozilla/5.0 (X11", b'Mozilla "5.0" (X11')

    assert event(LOG, line)["http_request"]["user_agent"].startswith('Mozilla "5.0" (X11')


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ("forward", (1, 1)),
        ("waf,forward", (1, 1)),
        ("waf,authenticate,redirect", (1, 1)),
        ("fixed-response", (1, 1)),
        ("waf", (2, 2)),
        ("waf-failed", (2, 27)),
        ("-", (0, 0)),
        ("something-new", (0, 0)),
    ],
)
def test_the_last_action_decides(actions: str, expected: tuple[int, int]) -> None:
    """A request that goes no further than the firewall was denied; all actions are kept."""
    found = event(LOG, APPLICATION[0].replace(b'"forward"', f'"{actions}"'.encode()))

    assert (found["action_id"], found["disposition_id"]) == expected
    assert found["unmapped"].get("actions_executed", "-") == actions


def test_no_status() -> None:
    """Before OCSF 1.5 a response is required: its code is 0 where ELB logs none."""
    line = APPLICATION[4].replace(b" 502 - ", b" - - ")

    assert event(LOG, line)["http_response"] == {"code": 0}
    assert "http_response" not in event(LOG, line, "1.8.0")
    assert event(LOG, line)["status_id"] == 0


def test_a_status_of_grpc() -> None:
    """It stands where the target's HTTP status would."""
    found = event(LOG, APPLICATION[8])

    assert (found["http_response"]["code"], found["status_code"], found["load_balancer"]["code"]) == (200, "0", 0)


@pytest.mark.parametrize(("version", "expected"), [("1.1.0", (99, "Patch", None)), ("1.8.0", (9, "Patch", "PATCH"))])
def test_patch_is_new(version: str, expected: tuple[int, str, str | None]) -> None:
    """OCSF knows it from 1.6 on."""
    found = event(LOG, APPLICATION[11], version)

    assert (found["activity_id"], found["activity_name"], found["http_request"].get("http_method")) == expected


def test_tls() -> None:
    """The version, the cipher, the name and the time of the handshake; without a version the rest has no place."""
    assert event(LOG, NETWORK[0])["tls"] == {
        "version": "tlsv12",
        "cipher": "ECDHE-RSA-AES128-GCM-SHA256",
        "sni": "edge-0123456789abcdef.elb.us-east-1.amazonaws.com",
        "handshake_dur": 2,
    }
    assert event(LOG, CONNECTION[0])["tls"]["handshake_dur"] == 4
    assert "tls" not in event(LOG, CONNECTION[3])


def test_a_client_certificate() -> None:
    """OCSF requires its issuer, which is not logged: what is known of it goes to ``unmapped``."""
    good, bad = event(LOG, CONNECTION[0]), event(LOG, CONNECTION[1])

    assert good["unmapped"]["leaf_client_cert_subject"] == "CN=partner.example.org,O=Example Partner,C=DE"
    assert (good["status_id"], bad["status_id"], bad["status_detail"]) == (1, 2, "Failed:ClientCertUntrusted")


def test_a_connection_and_its_requests() -> None:
    """Both logs have the id of the connection."""
    connection = event(LOG, CONNECTION[0])["connection_info"]["uid"]

    assert connection == event(LOG, APPLICATION[0])["connection_info"]["uid"] == "TID_0example0001"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (APPLICATION[0], ("111122223333", "us-east-1")),
        (APPLICATION[3], ("111122223333", "us-east-1")),
        (NETWORK[0], ("111122223333", "us-east-1")),
        (APPLICATION[2], ("444455556666", "eu-central-1")),
        (CLASSIC[0], ("444455556666", "eu-central-1")),
        (CONNECTION[0], ("444455556666", "eu-central-1")),
    ],
)
def test_the_account(line: bytes, expected: tuple[str, str]) -> None:
    """That of the target group, else of the certificate, else of the origin; so is the Region."""
    cloud = event(LOG, line, account="444455556666", region="eu-central-1")["cloud"]

    assert (cloud["account"]["uid"], cloud["region"]) == expected


def test_urls_are_taken_apart() -> None:
    """And kept whole."""
    url: dict[str, Any] = event(LOG, APPLICATION[0])["http_request"]["url"]

    assert url == {
        "url_string": "https://shop.example.com:443/cart?item=17",
        "scheme": "https",
        "hostname": "shop.example.com",
        "port": 443,
        "path": "/cart",
        "query_string": "item=17",
    }


def test_lines_of_another_kind_are_rejected() -> None:
    """The test file that ELB leaves when logging is set up is no log."""
    assert reasons(LOG, b"Enable AccessLog for ELB: shop at 2026-11-17T08:00:00Z") == [("no line of this log type", "")]


@pytest.mark.parametrize("version", ["1.1.0", "1.8.0"])
def test_nothing_of_a_line_is_lost(version: str) -> None:
    """Every column is in the event as it was logged, but for times and what is taken apart."""
    changed = {name for line in LINES for name in missing(LOG, line, version=version)}

    assert changed - {"request_verb"} == {"time", "request_creation_time", "tls_connection_creation_time", "request"}
    assert missing(LOG, APPLICATION[11]).get("request_verb") == "PATCH"  # the caption of the activity is Patch


@given(data=damaged(LINES) | st.binary(max_size=80))
@settings(max_examples=100, deadline=None)
@example(data=b"")
@example(data=APPLICATION[0].replace(b"0.001 0.018 0.000", b"9" * 400 + b" 1. .5"))
@example(data=b'{"type": "https", "time": "2026-11-17T08:00:00Z"}')
def test_any_bytes_balance(data: bytes) -> None:
    """Every record becomes an event or a reject with a reason, never an exception."""
    balanced(LOG, data)
