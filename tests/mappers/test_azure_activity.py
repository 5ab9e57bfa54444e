"""Azure Activity log: operations under three names, statuses in two vocabularies, claims under URIs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from azure_events import differences, event_of, of_file, reject_of

SUBSCRIPTION = "3d5f7a90-1c2e-4b68-9a0c-5e7d9f1b2a34"
VM = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/shop/providers/Microsoft.Compute/virtualMachines/vm-1"
OBJECT_ID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
METHODS = "http://schemas.microsoft.com/claims/authnmethodsreferences"


def activity(operation: str = "Microsoft.Compute/virtualMachines/write", **fields: Any) -> dict[str, Any]:
    return {
        "time": "2026-11-17T08:00:01.9999999Z",
        "resourceId": VM,
        "operationName": operation,
        "category": "Administrative",
        "resultType": "Success",
        "correlationId": "c-1",
        "callerIpAddress": "203.0.113.10",
        "identity": {"claims": {OBJECT_ID: "o-1", "name": "Alice"}},
        "tenantId": "t-1",
        **fields,
    }


@pytest.mark.parametrize(
    ("operation", "properties", "expected"),
    [
        ("Microsoft.Compute/virtualMachines/write", {}, (3, "Update")),
        ("MICROSOFT.COMPUTE/VIRTUALMACHINES/WRITE", {"statusCode": "Created"}, (1, "Create")),
        ("Microsoft.Compute/virtualMachines/write", {"statusCode": "OK"}, (3, "Update")),
        ("Microsoft.Compute/virtualMachines/delete", {"statusCode": "Created"}, (4, "Delete")),
        ("Microsoft.Compute/virtualMachines/read", {}, (2, "Read")),
        ("Microsoft.Storage/storageAccounts/listKeys/action", {}, (2, "Read")),
        ("MICROSOFT.STORAGE/STORAGEACCOUNTS/LISTKEYS/ACTION", {}, (2, "Read")),
        ("Microsoft.Storage/storageAccounts/regenerateKey/action", {}, (99, "regenerateKey")),
        ("Microsoft.Compute/virtualMachines/deallocate/action", {}, (99, "deallocate")),
        ("Create deployment", {}, (99, "Other")),
    ],
)
def test_the_verb_is_the_activity(operation: str, properties: dict[str, str], expected: tuple[int, str]) -> None:
    """The last word of an operation says what it does, in any case; what was written first was created."""
    event = event_of("azure.activity", activity(operation, properties=properties))

    assert (event["activity_id"], event["activity_name"]) == expected
    assert event["api"]["operation"] == operation


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Success", "Success"),
        ("Succeeded", "Success"),
        ("Accept", "Success"),
        ("Accepted", "Success"),
        ("Failure", "Failure"),
        ("Failed", "Failure"),
        ("Start", "Unknown"),
        ("Started", "Unknown"),
        ("Active", "Unknown"),
        ("Resolved", "Resolved"),
        (None, "Unknown"),
    ],
)
def test_status(word: str | None, status: str) -> None:
    """What has only begun has neither succeeded nor failed; the word itself is the code."""
    event = event_of("azure.activity", activity(resultType=word))

    assert event["status"] == status
    assert event.get("status_code") == word


def test_the_records_of_one_operation_have_ids_of_their_own() -> None:
    """Start, accept and success share the correlation id; the same record has the same id whenever it comes."""
    words = ["Start", "Accept", "Success", "Success"]
    events = [event_of("azure.activity", activity(resultType=word)) for word in words]
    ids = [event["metadata"]["uid"] for event in events]

    assert len(set(ids)) == 3
    assert ids[2] == ids[3]
    assert {event["metadata"]["correlation_uid"] for event in events} == {"c-1"}
    assert event_of("azure.activity", activity(eventDataId="e-1"))["metadata"]["uid"] == "e-1"


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        ("Informational", 1),
        ("Information", 1),
        ("Verbose", 1),
        ("Warning", 3),
        ("error", 4),
        ("CRITICAL", 5),
        ("4", 1),
        (2, 4),
        ("Loud", 99),
        (None, 1),
    ],
)
def test_level(level: Any, severity: int) -> None:
    """Levels are words in any case, or 1 to 4 as text or number."""
    assert event_of("azure.activity", activity(Level=level))["severity_id"] == severity


@pytest.mark.parametrize(
    ("category", "properties", "name"),
    [
        ("Administrative", {}, "Administrative"),
        ("Write", {"eventCategory": "Policy"}, "Policy"),
        ("Action", {}, "Administrative"),
        ({"value": "Policy", "localizedValue": "Richtlinie"}, {}, "Policy"),
    ],
)
def test_category(category: Any, properties: dict[str, str], name: str) -> None:
    """Older records call their category what the operation does; the true one stands in the properties."""
    event = event_of("azure.activity", activity(category=category, properties=properties))

    assert event["metadata"]["log_name"] == name


@pytest.mark.parametrize(
    ("resource", "account"),
    [
        (VM.upper(), (SUBSCRIPTION, "Azure Subscription", 13)),
        ("/providers/Microsoft.Authorization", ("t-1", "Entra Tenant", 99)),
    ],
)
def test_account(resource: str, account: tuple[str, str, int]) -> None:
    """The account is the subscription of the resource in lower case, of tenant-level records the tenant."""
    new, old = (event_of("azure.activity", activity(resourceId=resource), version) for version in ("1.4.0", "1.3.0"))

    assert new["cloud"]["account"] == {"uid": account[0], "type": account[1], "type_id": account[2]}
    assert old["cloud"]["account"] == {"uid": account[0], "type": account[1], "type_id": 99}


def test_claims_have_uris_for_names() -> None:
    """The actor and the session are what the token said."""
    claims = {
        OBJECT_ID: "o-1",
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn": "alice@example.com",
        METHODS: "pwd,mfa",
        "uti": "s-1",
        "iat": "1794901800",
        "ipaddr": "192.0.2.1",
    }
    event = event_of("azure.activity", activity(identity={"claims": claims}, callerIpAddress=None))

    assert event["actor"]["user"]["uid"] == "o-1"
    assert event["actor"]["user"]["email_addr"] == "alice@example.com"
    assert event["actor"]["session"] == {
        "uid": "s-1",
        "is_mfa": True,
        "created_time": 1794901800000,
        "created_time_dt": "2026-11-17T07:50:00.000Z",
    }
    assert event["src_endpoint"] == {"ip": "192.0.2.1"}
    assert event["unmapped"][f'identity.claims."{METHODS}"'] == "pwd,mfa"


@pytest.mark.parametrize(
    ("caller", "user"),
    [
        ("alice@example.com", {"name": "alice@example.com", "email_addr": "alice@example.com"}),
        ("ca20c0de-0000-4000-8000-000000000ca2", {"uid": "ca20c0de-0000-4000-8000-000000000ca2"}),
    ],
)
def test_a_caller_is_a_name_or_an_id(caller: str, user: dict[str, str]) -> None:
    """The caller of the REST API is a principal name, or an object id."""
    event = event_of("azure.activity", activity(identity=None, caller=caller))

    assert event["actor"]["user"] == user | {"type": "User", "type_id": 1}


def test_an_application_alone() -> None:
    """OCSF before 1.2 knows no actor that is only an application: it is the user too."""
    record = activity(identity={"claims": {"appid": "app-1"}})
    new, old = (event_of("azure.activity", record, version) for version in ("1.6.0", "1.1.0"))

    assert new["actor"] == {"app_uid": "app-1", "user": {"uid": "app-1", "type": "Service", "type_id": 4}}
    assert old["actor"] == {"user": {"uid": "app-1", "type": "Service", "type_id": 99}}


@pytest.mark.parametrize("identity", [None, "Carol Castro"])
def test_what_the_platform_does(identity: str | None) -> None:
    """Events without a caller were made by the service; so is the source of those without an address."""
    record = activity("Microsoft.ServiceHealth/incident/action", identity=identity, callerIpAddress="")
    event = event_of("azure.activity", record)

    assert event["actor"] == {"invoked_by": "Microsoft.ServiceHealth"}
    assert event["src_endpoint"] == {"svc_name": "Microsoft.ServiceHealth"}


def test_bodies_are_json_in_text() -> None:
    """Bodies are JSON within a text: the object itself is kept, byte for byte; any other text is a JSON string."""
    properties = {"requestbody": '{"a": 1.10}', "responseBody": "{broken"}
    event = event_of("azure.activity", activity(properties=properties))

    assert event["api"]["request"]["data"] == {"a": 1.1}
    assert event["api"]["response"]["data"] == "{broken"
    event = event_of("azure.activity", activity(properties={"responseBody": "gone"}))
    assert event["api"]["response"]["data"] == "gone"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"resultSignature": "Succeeded.Created"}, 201),
        ({"resultSignature": "Failed.Forbidden"}, 403),
        ({"resultSignature": "200"}, 200),
        ({"resultSignature": 200}, 200),
        ({"properties": {"statusCode": "Conflict"}}, 409),
        ({"resultSignature": "Started."}, None),
    ],
)
def test_the_reply(fields: dict[str, Any], code: int | None) -> None:
    """The code of the reply is a name of HTTP, alone or behind the status, or a number."""
    event = event_of("azure.activity", activity(**fields))

    assert event["api"].get("response", {}).get("code") == code


@pytest.mark.parametrize(
    ("properties", "severity"),
    [({"Severity": "High"}, 4), ({"severity": "low"}, 2), ({}, 3), ({"Severity": "Odd"}, 99)],
)
def test_security_is_a_finding(properties: dict[str, str], severity: int) -> None:
    """The category Security holds alerts of Defender for Cloud."""
    record = activity(
        "Microsoft.Security/locations/alerts/activate/action",
        category="Security",
        resultType="Active",
        level="Warning",
        eventDataId="e-1",
        properties={"eventName": "Suspicious file executed", **properties},
    )
    event = event_of("azure.activity", record)

    assert (event["class_uid"], event["severity_id"], event["status"]) == (2004, severity, "New")
    assert event["finding_info"]["uid"] == "e-1"
    assert event["finding_info"]["title"] == "Suspicious file executed"


def test_what_has_no_operation_is_no_event() -> None:
    """An operation is required."""
    attribute, _ = reject_of("azure.activity", {"time": "2026-11-17T08:00:00Z", "resourceId": VM})

    assert attribute == "api.operation"


def test_properties_may_be_text() -> None:
    """Properties that are JSON in a text count as if they were an object."""
    record = activity(properties={"statusCode": "Created", "requestbody": '{"a":"b"}'})
    text = record | {"properties": json.dumps(record["properties"])}

    assert event_of("azure.activity", text) == event_of("azure.activity", record)


WORDS = {"api.response.message", "status_detail"}
"""Each shape has words of its own for these: ``Succeeded.Created`` and ``Created``, the error as prose and as JSON."""


@pytest.mark.parametrize(
    ("name", "count"),
    [("eventhub", 2), ("log_analytics.jsonl", 8), ("log_analytics_query", 2), ("portal", 2), ("rest", 8)],
)
def test_every_shape_gives_the_same_event(name: str, count: int) -> None:
    """A record, its row as JSON, as a query's answer and as CSV, and its REST object give equal events."""
    records, shape = of_file("azure.activity", "insights"), of_file("azure.activity", name)
    found = [differences(event, records[uid], both=True) for uid, event in shape.items()]

    assert len(found) == count
    assert {name for difference in found for name in difference} <= WORDS
