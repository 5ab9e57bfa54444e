"""Audit logs of Kubernetes, and of Amazon EKS, which wraps the same events."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from aws_logs import all_events, event, reasons, records, sample

from ocsflake.mappers.kubernetes._event import event_fields, event_unmapped
from ocsflake.mapping import EventMap, JsonRecords, Mapper
from ocsflake.model import RawBatch

LOG, EKS = "kubernetes.audit", "aws.eks_audit"
PLAIN: list[dict[str, Any]] = [json.loads(line) for line in records(LOG, "audit.log")]
WRAPPED: list[dict[str, Any]] = [json.loads(line) for line in records(EKS, "kube-apiserver")]
RECEIVED, CREATED, LISTED, WATCHED, FORBIDDEN, EXEC = PLAIN[:6]


def jsonl(found: list[dict[str, Any]]) -> bytes:
    return b"\n".join(json.dumps(record).encode() for record in found)


def test_a_webhook_gives_the_same_events() -> None:
    """An EventList holds the same events as the lines of a file."""
    assert all_events(LOG, sample(LOG, "webhook").read_bytes()) == all_events(LOG, jsonl(PLAIN[4:7]))


def test_cloudwatch_gives_the_same_events() -> None:
    """A subscription's envelope holds the same events as its messages."""
    assert all_events(EKS, sample(EKS, "cloudwatch").read_bytes()) == all_events(EKS, jsonl(WRAPPED[4:7]))


def test_every_stage_is_an_event() -> None:
    """The request keeps its id, and each stage has one of its own."""
    received, created = event(LOG, RECEIVED), event(LOG, CREATED)

    assert received["api"]["request"]["uid"] == created["api"]["request"]["uid"] == CREATED["auditID"]
    assert received["metadata"]["uid"] == f"{CREATED['auditID']}/RequestReceived"
    assert created["metadata"]["uid"] == f"{CREATED['auditID']}/ResponseComplete"
    assert (received["message"], received["status_id"]) == ("RequestReceived", 0)


def test_microseconds_are_floored() -> None:
    """Times are milliseconds."""
    found = event(LOG, CREATED | {"stageTimestamp": "2026-11-17T08:00:00.001999Z"})

    assert found["time"] == 1794902400001
    assert event(LOG, {k: v for k, v in CREATED.items() if k != "stageTimestamp"})["time"] == found["start_time"]


@pytest.mark.parametrize(
    ("verb", "expected"),
    [
        ("create", 1),
        ("get", 2),
        ("list", 2),
        ("watch", 2),
        ("update", 3),
        ("patch", 3),
        ("delete", 4),
        ("deletecollection", 4),
        ("bind", 99),
    ],
)
def test_verbs(verb: str, expected: int) -> None:
    """One that OCSF has no word for is Other under its own name."""
    found = event(LOG, CREATED | {"verb": verb})

    assert found["activity_id"] == expected
    assert expected != 99 or found["activity_name"] == verb


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"code": 201}, 1),
        ({"code": 101}, 1),
        ({"code": 403}, 2),
        ({"status": "Failure"}, 2),
        ({"status": "Success"}, 1),
        ({}, 0),
        (None, 0),
    ],
)
def test_outcomes(status: Any, expected: int) -> None:
    """The code decides, else the status; without either nothing is known."""
    assert event(LOG, CREATED | {"responseStatus": status})["status_id"] == expected


def test_more_than_one_address() -> None:
    """The first is the client, the others stand between."""
    assert event(LOG, FORBIDDEN)["src_endpoint"] == {"ip": "10.20.1.64", "intermediate_ips": ["10.20.3.9"]}
    assert event(LOG, CREATED | {"sourceIPs": ["::1"]})["src_endpoint"] == {"ip": "::1"}


def test_a_collection_names_no_object() -> None:
    """It stands for itself; what is no resource has none."""
    assert event(LOG, LISTED)["resources"] == [{"name": "pods", "namespace": "shop", "type": "pods"}]
    assert event(LOG, WATCHED)["resources"] == [{"name": "services", "type": "services"}]
    assert "resources" not in event(LOG, PLAIN[9])
    assert "resources" not in event(LOG, CREATED | {"objectRef": None})


def test_a_subresource() -> None:
    """It is a part of the type, and the command stays in the path and the query."""
    found = event(LOG, EXEC)

    assert found["resources"][0]["type"] == "pods/exec"
    assert found["http_request"]["url"]["query_string"] == "command=sh&container=shell&stdin=true&tty=true"
    assert found["http_request"]["url"]["path"] == EXEC["requestURI"]


def test_containers() -> None:
    """Those of a pod, and those of what makes pods; the request itself is kept to the byte."""
    created, patched = event(LOG, CREATED)["api"]["request"], event(LOG, PLAIN[6])["api"]["request"]

    assert [(c["name"], c["image"]["name"]) for c in created["containers"]] == [
        ("shell", "registry.example.com/tools/debug:1.10"),
        ("proxy", "registry.example.com/mesh/proxy:2.0"),
    ]
    assert [c["name"] for c in patched["containers"]] == ["cart"]
    assert created["data"] == CREATED["requestObject"]


def test_authorization() -> None:
    """The decision, and why: from OCSF 1.4 on as the policy of the event too."""
    reason = CREATED["annotations"]["authorization.k8s.io/reason"]

    assert event(LOG, CREATED)["actor"]["authorizations"] == [
        {"decision": "allow", "policy": {"name": reason, "desc": reason}}
    ]
    assert event(LOG, CREATED, "1.8.0")["policy"] == {"name": reason}
    assert event(LOG, FORBIDDEN)["actor"]["authorizations"] == [{"decision": "forbid"}]


def test_impersonation_is_kept() -> None:
    """OCSF has no place for it."""
    assert event(LOG, PLAIN[13])["unmapped"] == {
        "impersonatedUser.groups[]": "system:serviceaccounts",
        "impersonatedUser.username": "system:serviceaccount:shop:cart",
    }


def test_an_event_without_a_user_or_a_verb() -> None:
    """OCSF requires both: such a record is rejected."""
    assert reasons(LOG, jsonl([{k: v for k, v in CREATED.items() if k != "verb"}]))[0][1] == "activity_id"
    assert (
        reasons(LOG, jsonl([{k: v for k, v in CREATED.items() if k not in ("user", "annotations")}]))[0][1] == "actor"
    )


def test_who_the_iam_authenticator_says() -> None:
    """Lists of one, under both spellings of their keys."""
    carol, auditor = event(EKS, WRAPPED[1]), event(EKS, WRAPPED[16])

    assert carol["actor"]["session"] == {
        "credential_uid": "ASIAEXAMPLECAROL0001",
        "issuer": "arn:aws:iam::111122223333:role/Engineer",
        "uid": "carol@example.com",
        "uid_alt": "arn:aws:sts::111122223333:assumed-role/Engineer/carol@example.com",
    }
    assert carol["actor"]["user"]["uid_alt"] == "AROAEXAMPLEENGINEER01"
    assert auditor["actor"]["session"]["uid"] == "alice@example.com"


def test_the_account() -> None:
    """That of the caller's ARN, else of its IAM identity, else of the origin."""
    found = [event(EKS, WRAPPED[n], account="999900001111")["cloud"]["account"]["uid"] for n in (1, 16, 12, 9)]

    assert found == ["111122223333", "444455556666", "111122223333", "999900001111"]
    assert "cloud" not in event(LOG, CREATED)


def test_the_fields_within_another_record() -> None:
    """A cloud that wraps the event, as an object or as text, takes the same fields under a path of its own."""
    wrapped = Mapper(
        "test.wrapped",
        source_name="test",
        parse=JsonRecords(),
        events=[
            EventMap(
                "api_activity",
                fields=event_fields("properties.log.")
                | {"metadata.product.name": "Kubernetes", "metadata.product.vendor_name": "Kubernetes"},
            )
        ],
        unmapped=event_unmapped("properties.log."),
    )
    inner = deepcopy(CREATED)
    found = [
        wrapped.map(RawBatch(json.dumps({"properties": {"log": log}}).encode())) for log in (inner, json.dumps(inner))
    ]

    assert [mapped.drift.unknown for mapped in found] == [{}, {}]
    assert [mapped.batches[0].events.column("resources").to_pylist()[0][0]["name"] for mapped in found] == ["debug"] * 2
