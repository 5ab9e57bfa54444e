"""CloudTrail: which class a record becomes, and what its members say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sample_events import events

from ocsflake import mapper
from ocsflake.mappers.aws.cloudtrail import ACCOUNT_CHANGE, IDENTITY_SERVICES, SIGN_IN
from ocsflake.model import RawBatch

RECORD: dict[str, Any] = {
    "eventVersion": "1.11",
    "eventTime": "2026-11-16T08:02:11Z",
    "eventSource": "ec2.amazonaws.com",
    "eventName": "DescribeInstances",
    "awsRegion": "us-east-1",
    "sourceIPAddress": "203.0.113.10",
    "userAgent": "aws-cli",
    "eventID": "16aa0001-7c11-4b52-9d01-5e0f3a7b1c01",
    "eventType": "AwsApiCall",
    "recipientAccountId": "111122223333",
    "userIdentity": {
        "type": "IAMUser",
        "principalId": "AIDAEXAMPLE",
        "arn": "arn:aws:iam::111122223333:user/alice",
        "accountId": "111122223333",
        "userName": "alice",
    },
}


def one(version: str = "1.1.0", **members: Any) -> dict[str, Any]:
    """Return the event of a record with other members."""
    (event,) = events(RawBatch(json.dumps(RECORD | members).encode()), "aws.cloudtrail", version)
    return event


@pytest.mark.parametrize(
    ("name", "activity"),
    [
        ("CreateVpc", 1),
        ("RunInstances", 1),
        ("Create", 1),
        ("GetObject", 2),
        ("DescribeVpcs", 2),
        ("BatchGetItem", 2),
        ("PutBucketPolicy", 3),
        ("DetachVolume", 3),
        ("AttachVolume", 3),
        ("DeleteVpc", 4),
        ("BatchDeleteImage", 4),
        ("TerminateInstances", 4),
        ("Getaway", 99),
        ("BudgetGet", 99),
        ("getObject", 99),
        ("SwitchRole", 99),
    ],
)
def test_operations(name: str, activity: int) -> None:
    """A call of the API is what the first word of its name says; else Other under its own name."""
    event = one(eventName=name)

    assert (event["class_uid"], event["activity_id"]) == (6003, activity)
    assert activity != 99 or event["activity_name"] == name


@pytest.mark.parametrize("name", sorted(SIGN_IN))
def test_sign_ins(name: str) -> None:
    """Sign-in calls are Authentication, whatever service they are of."""
    event = one(eventName=name)

    assert (event["class_uid"], event["activity_id"]) == (3002, SIGN_IN[name])


@pytest.mark.parametrize("name", sorted(ACCOUNT_CHANGE))
def test_account_changes(name: str) -> None:
    """Changes of users, roles and groups are Account Change, if the service keeps identities."""
    event = one(eventName=name, eventSource=IDENTITY_SERVICES[0])

    assert (event["class_uid"], event["activity_id"]) == (3001, ACCOUNT_CHANGE[name])
    assert one(eventName=name, eventSource="transfer.amazonaws.com")["class_uid"] == 6003


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"eventName": "ConsoleLogin", "responseElements": {"ConsoleLogin": "Success"}}, 1),
        ({"eventName": "ConsoleLogin", "responseElements": {"ConsoleLogin": "Failure"}}, 2),
        ({"eventName": "ConsoleLogin", "errorMessage": "x", "responseElements": {"ConsoleLogin": "Failure"}}, 2),
        ({"eventName": "CheckMfa", "responseElements": {"CheckMfa": "Success"}}, 1),
        ({"eventName": "CheckMfa", "responseElements": {"CheckMfa": "Failure"}}, 2),
        ({"eventName": "CredentialVerification", "serviceEventDetails": {"CredentialVerification": "Failure"}}, 2),
        ({"eventName": "UserAuthentication", "serviceEventDetails": {"UserAuthentication": "Success"}}, 1),
        ({"eventName": "AssumeRole", "responseElements": None}, 1),
        ({"eventName": "AssumeRole", "errorCode": "AccessDenied"}, 2),
        ({"eventName": "GetObject", "errorCode": "NoSuchKey"}, 2),
        ({"eventName": "GetObject", "errorCode": ""}, 1),
    ],
)
def test_status(members: dict[str, Any], status: int) -> None:
    """A record failed if it has an error code, or says so under its own name."""
    assert one(**members)["status_id"] == status


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("203.0.113.10", {"ip": "203.0.113.10"}),
        ("2001:db8::1", {"ip": "2001:db8::1"}),
        ("lambda.amazonaws.com", {"domain": "lambda.amazonaws.com", "svc_name": "lambda.amazonaws.com"}),
        ("AWS Internal", {"domain": "AWS Internal", "svc_name": "AWS Internal"}),
        ("203.000.113.010", {"domain": "203.000.113.010", "svc_name": "203.000.113.010"}),
        (None, {"svc_name": "ec2.amazonaws.com"}),
    ],
)
def test_addresses(address: str | None, endpoint: dict[str, str]) -> None:
    """What is an address is the ``ip`` of the source, anything else its ``domain``."""
    assert one(sourceIPAddress=address)["src_endpoint"] == endpoint


@pytest.mark.parametrize(
    ("kind", "type_id"),
    [("IAMUser", 1), ("AssumedRole", 1), ("Root", 2), ("AWSService", 3), ("AWSAccount", 99), (None, None)],
)
def test_kinds_of_identity(kind: str | None, type_id: int | None) -> None:
    """The kind of an identity is an id of OCSF's, with CloudTrail's own word beside it."""
    user = one(userIdentity=RECORD["userIdentity"] | {"type": kind})["actor"]["user"]

    assert (user.get("type"), user.get("type_id")) == (kind, type_id)


@pytest.mark.parametrize(
    ("parameters", "data"),
    [
        (None, None),
        ("text", "text"),
        ({"n": [1, {"a": None}]}, {"n": [1, {"a": None}]}),
        ([], []),
        (5, 5),
    ],
)
def test_request_parameters(parameters: Any, data: Any) -> None:
    """Parameters are JSON of any kind."""
    assert one(requestParameters=parameters, requestID="r")["api"]["request"].get("data") == data


def test_request_parameters_without_a_request() -> None:
    """OCSF has no request without an id: without one the parameters are kept in ``unmapped``."""
    event = one(requestParameters={"a": [1, 2]})

    assert "request" not in event["api"]
    assert event["unmapped"] == {"requestParameters.a[]": "1,2"}


def test_a_role_of_another_account() -> None:
    """Who assumes a role is the actor; the user that results is of the role's account."""
    role = "arn:aws:iam::444455556666:role/SecurityAudit"
    event = one(eventName="AssumeRole", requestParameters={"roleArn": role, "roleSessionName": "s"})

    assert event["user"] == {
        "name": "s",
        "uid": role,
        "uid_alt": "AIDAEXAMPLE",
        "account": {"uid": "444455556666"},
    }
    assert event["actor"]["user"]["account"] == {"uid": "111122223333"}


def test_records_that_are_none() -> None:
    """A record without a time, or with none that can be read, is a reject that names the attribute."""
    records = [
        RECORD | {"eventTime": "soon"},
        {k: v for k, v in RECORD.items() if k != "eventTime"},
        RECORD | {"eventTime": 5},
    ]
    mapped = mapper("aws.cloudtrail").map(RawBatch([json.dumps(record).encode() for record in [*records, RECORD]]))

    assert (mapped.records, mapped.mapped) == (4, 1)
    assert [row["attribute"] for row in mapped.rejects.to_pylist()] == ["time"] * 3


def test_drift() -> None:
    """A member that CloudTrail did not have yet is kept, and counted."""
    batch = RawBatch(json.dumps(RECORD | {"newMember": {"a": 1}, "readOnly": True}).encode())

    assert mapper("aws.cloudtrail").map(batch).drift.unknown == {"newMember.a": 1}
    assert one(newMember={"a": 1})["unmapped"] == {"newMember.a": "1"}
