"""Amazon CloudFront access logs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from aws_logs import balanced, damaged, event, missing, records, sample
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sample_events import lines

from ocsflake import mapper
from ocsflake.mappers.aws.cloudfront import REAL_TIME, STANDARD
from ocsflake.model import RawBatch

if TYPE_CHECKING:
    from collections.abc import Iterable

LOG = "aws.cloudfront"
HEAD, FIELDS, *ROWS = records(LOG, "E0EXAMPLE00001.2026-11-17-08.0a1b2c3d.log")
REAL = records(LOG, "realtime")
V2: list[dict[str, Any]] = [json.loads(line) for line in records(LOG, "v2")]
ROW = dict(zip(STANDARD, ROWS[0].decode().split("\t"), strict=True))


def line(names: Iterable[str], values: dict[str, str]) -> bytes:
    """Return a line with some columns."""
    return "\t".join(values[name] for name in names).encode()


def row(**values: str) -> dict[str, Any]:
    """Return the event of the first record with some columns changed, whose names have ``_`` for ``-``."""
    changed = ROW | {name.replace("_", "-"): value for name, value in values.items()}
    return event(LOG, FIELDS + b"\n" + line(STANDARD, changed))


def same(found: dict[str, Any]) -> dict[str, Any]:
    """Return what of an event does not depend on the fields that only one of the kinds of logs has."""
    found = json.loads(json.dumps(found))
    for name in ("observables", "unmapped", "time", "time_dt"):
        found.pop(name, None)
    for name in ("location", "autonomous_system"):
        found["src_endpoint"].pop(name, None)
    found["dst_endpoint"].pop("uid", None)
    return found


@pytest.mark.parametrize(("standard", "real", "v2"), [(0, 0, 0), (1, 1, 1)])
def test_every_kind_gives_the_same_events(standard: int, real: int, v2: int) -> None:
    """Standard logs, real-time logs and JSON say the same of a request, though they call the host by other names."""
    expected = event(LOG, ROWS[standard], "1.8.0")

    assert same(event(LOG, REAL[real], "1.8.0")) == same(event(LOG, V2[v2], "1.8.0")) == same(expected)
    assert expected["http_request"]["url"]["hostname"] == "www.example.com"
    assert expected["dst_endpoint"]["hostname"] == "d111111abcdef8.cloudfront.net"


def test_the_fields_line_gives_the_order() -> None:
    """Columns in another order, and some that nobody knows yet."""
    names = [*reversed(STANDARD), "x-new-field"]
    text = b"#Version: 1.0\n#Fields: " + " ".join(names).encode() + b"\n" + line(names, ROW | {"x-new-field": "new"})
    found = event(LOG, text)

    assert found["unmapped"].pop("x-new-field") == "new"
    assert found == event(LOG, ROWS[0])


def test_the_fields_line_counts_for_all_batches_of_a_file() -> None:
    """A batch that does not begin the file is given its head."""
    names = list(reversed(STANDARD))
    head = b"#Version: 1.0\n#Fields: " + " ".join(names).encode()
    [found] = lines([mapper(LOG).map(RawBatch(line(names, ROW), head=head))], "1.1.0")

    assert json.loads(found) == event(LOG, ROWS[0])


def test_a_fields_line_that_names_a_column_twice() -> None:
    """It is no header: the documented columns count."""
    assert event(LOG, b"#Fields: date date\n" + ROWS[0]) == event(LOG, ROWS[0])


def test_lines_without_a_header_may_be_shorter_and_longer() -> None:
    """Columns were only ever added, behind the others; a separator at the end is none."""
    old, new = line(STANDARD[:26], ROW), ROWS[0] + b"\tone\ttwo"

    assert event(LOG, old)["http_request"] == event(LOG, ROWS[0])["http_request"]
    assert event(LOG, new)["unmapped"]["column 34"] == "one"
    assert event(LOG, ROWS[0] + b"\t") == event(LOG, ROWS[0])
    assert event(LOG, FIELDS + b"\n" + ROWS[0] + b"\t") == event(LOG, ROWS[0])
    assert event(LOG, b"\t".join(REAL[0].split(b"\t")[:40]))["metadata"] == event(LOG, REAL[0])["metadata"]
    assert len(REAL_TIME) == len(REAL[0].split(b"\t"))


def test_percent_encoding() -> None:
    """It is taken off header values once, and stays where it would be no UTF-8, and in paths."""
    assert row(**{"cs(User_Agent)": "Mozilla/5.0%20(X)"})["http_request"]["user_agent"] == "Mozilla/5.0 (X)"
    assert row(**{"cs(User_Agent)": "bad%FF%20agent"})["http_request"]["user_agent"] == "bad%FF%20agent"
    assert row(**{"cs(Referer)": "https://x/?a%2520b"})["http_request"]["referrer"] == "https://x/?a%20b"
    assert row(cs_uri_stem="/odd%2520name")["http_request"]["url"]["path"] == "/odd%2520name"
    assert row(sc_content_type="text/html;%20charset=x")["http_response"]["content_type"] == "text/html; charset=x"


def test_a_viewer_that_left() -> None:
    """The status is 000, which is no success."""
    found = row(sc_status="000")

    assert (found["http_response"]["code"], found["http_status"], found["status_id"]) == (0, 0, 2)


def test_no_status() -> None:
    """A delivery without that field has no response; before OCSF 1.5 there must be one, and its code is 0."""
    record = {name: value for name, value in V2[2].items() if name != "sc-status"}

    assert event(LOG, record)["http_response"] == {"code": 0}
    assert "http_response" not in event(LOG, record, "1.8.0")
    assert event(LOG, record)["status_id"] == 0


def test_hyphens_are_no_values() -> None:
    """In text and in JSON."""
    found = event(LOG, dict.fromkeys(STANDARD, "-") | {k: v for k, v in V2[2].items() if k != "asn"})

    assert found["unmapped"] == {"cache-behavior-path-pattern": "*"}
    assert "referrer" not in found["http_request"]


@pytest.mark.parametrize(
    ("method", "version", "expected"),
    [("PATCH", "1.1.0", 99), ("PATCH", "1.8.0", 9), ("PROPFIND", "1.8.0", 99), ("HEAD", "1.1.0", 4)],
)
def test_methods(method: str, version: str, expected: int) -> None:
    """OCSF knows PATCH from 1.6 on."""
    found = event(LOG, FIELDS + b"\n" + line(STANDARD, ROW | {"cs-method": method}), version)

    assert found["activity_id"] == expected


def test_times() -> None:
    """Two columns, milliseconds, or seconds with a fraction; durations are seconds too."""
    assert event(LOG, ROWS[1])["time"] == 1794902402000
    assert event(LOG, REAL[1])["time"] == 1794902402456
    assert event(LOG, V2[2])["time"] == 1794902405123
    found = event(LOG, ROWS[1])
    assert (found["duration"], found["http_response"]["latency"]) == (182, 150)


def test_bytes_are_counted_from_the_viewer() -> None:
    """OCSF's source is the viewer: out is what it sent."""
    found = event(LOG, ROWS[0])

    assert found["traffic"] == {"bytes_in": 1024, "bytes_out": 210}
    assert found["http_response"]["length"] == 1024


def test_addresses_behind_one_another() -> None:
    """A proxy's header is a list, and the spaces within are encoded."""
    assert row(x_forwarded_for="203.0.113.99,%2010.20.1.5")["http_request"]["x_forwarded_for"] == [
        "203.0.113.99",
        "10.20.1.5",
    ]


def test_a_host_with_a_port() -> None:
    """It is taken apart."""
    assert row(x_host_header="www.example.com:8443")["http_request"]["url"]["port"] == 8443


def test_why_an_edge_answered() -> None:
    """The result, and the kind of error."""
    found = event(LOG, ROWS[4])

    assert (found["status_id"], found["status_detail"], found["status_code"]) == (2, "Error", "ClientGeoBlocked")


def test_the_account_is_that_of_the_origin() -> None:
    """The log has none."""
    assert event(LOG, ROWS[0], account="111122223333")["cloud"]["account"] == {"uid": "111122223333"}


def test_nothing_of_a_line_is_lost() -> None:
    """Every column is in the event, decoded or in milliseconds, but for times and what is taken apart."""
    changed = {name for row in ROWS + REAL for name in missing(LOG, row, version="1.8.0")}

    assert changed == {"date", "time", "timestamp", "sc-status", "x-forwarded-for", "x-host-header", "cs-uri-stem"}
    assert [missing(LOG, row)["sc-status"] for row in ROWS if "sc-status" in missing(LOG, row)] == ["000"]


@given(data=damaged([FIELDS + b"\n" + row for row in ROWS] + ROWS + REAL) | st.binary(max_size=80))
@settings(max_examples=100, deadline=None)
@example(data=sample(LOG, "v2").read_bytes())
@example(data=b"#Fields:\n#Fields: \n")
@example(data=b"2026-99-99\t99:99:99\tx")
def test_any_bytes_balance(data: bytes) -> None:
    """Every record becomes an event or a reject with a reason, never an exception."""
    balanced(LOG, data)
