"""Microsoft Entra ID audit logs: which class an activity is, whom it was about, and who did it."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from azure_events import differences, event_of, of_file, reject_of

from ocsflake.mappers.azure.audit import group_name

TENANT = "5f0c9a1e-3b7d-4c2a-9e84-d1a6b2c30f11"
USER = {"id": "u-1", "type": "User", "userPrincipalName": "erin@example.com", "displayName": "Erin"}
GROUP = {"id": "g-1", "type": "Group", "displayName": "Finance", "groupType": "unifiedGroups"}


def audit(activity: str, category: str, *targets: dict[str, Any], **properties: Any) -> dict[str, Any]:
    return {
        "time": "2026-11-17T08:00:03.1234567Z",
        "resourceId": f"/tenants/{TENANT}/providers/Microsoft.aadiam",
        "category": "AuditLogs",
        "operationName": activity,
        "properties": {
            "id": "Directory_1",
            "activityDateTime": "2026-11-17T08:00:01.9999999+00:00",
            "activityDisplayName": activity,
            "category": category,
            "result": "success",
            "initiatedBy": {
                "user": {"id": "a-1", "userPrincipalName": "dave@example.com", "ipAddress": "203.0.113.10"}
            },
            "targetResources": list(targets),
            **properties,
        },
    }


@pytest.mark.parametrize(
    ("activity", "category", "targets", "type_uid"),
    [
        ("Add user", "UserManagement", [USER], 300101),
        ("Enable account", "UserManagement", [USER], 300102),
        ("Change password (self-service)", "UserManagement", [USER], 300103),
        ("Reset user password", "UserManagement", [USER], 300104),
        ("Disable account", "UserManagement", [USER], 300105),
        ("Hard Delete user", "UserManagement", [USER], 300106),
        ("User registered security info", "UserManagement", [USER], 300110),
        ("Disable Strong Authentication", "UserManagement", [USER], 300111),
        ("Update user", "UserManagement", [USER], 300199),
        ("Add member to group", "GroupManagement", [USER, GROUP], 300603),
        ("Add member to group", "UserManagement", [USER, GROUP], 300603),
        ("Remove member from group", "GroupManagement", [USER, GROUP], 300604),
        ("Delete group", "GroupManagement", [GROUP], 300605),
        ("Add group", "GroupManagement", [GROUP], 300606),
        ("Set group managed by", "GroupManagement", [GROUP], 300699),
        ("Add member to role", "RoleManagement", [USER], 300401),
        ("Update application", "ApplicationManagement", [{"id": "s-1", "type": "Application"}], 300403),
        ("Bulk import users", "UserManagement", [{"id": "x", "type": "Other"}], 300499),
        ("Add member to group", "GroupManagement", [USER], 300401),
    ],
)
def test_class_and_activity(activity: str, category: str, targets: list[dict[str, Any]], type_uid: int) -> None:
    """Users are accounts, groups are groups, everything else is an entity; the targets must say so too."""
    assert event_of("azure.audit", audit(activity, category, *targets))["type_uid"] == type_uid


@pytest.mark.parametrize(("version", "class_uid"), [("1.1.0", 3004), ("1.3.0", 3004), ("1.4.0", 3006)])
def test_a_group_without_a_user(version: str, class_uid: int) -> None:
    """OCSF before 1.4 wants a user, or privileges, beside a group: there it is an entity."""
    event = event_of("azure.audit", audit("Delete group", "GroupManagement", GROUP), version)

    assert event["class_uid"] == class_uid
    assert (event["entity"] if class_uid == 3004 else event["group"])["uid"] == "g-1"


@pytest.mark.parametrize(("version", "activity"), [("1.3.0", (99, "Unlock")), ("1.4.0", (12, "Unlock"))])
def test_unlocking(version: str, activity: tuple[int, str]) -> None:
    """Unlock is an activity from OCSF 1.4 on; before, it is Other by its name."""
    event = event_of("azure.audit", audit("Unlock user account", "UserManagement", USER), version)

    assert (event["activity_id"], event["activity_name"]) == activity


@pytest.mark.parametrize("targets", [[USER, GROUP], [GROUP, USER]])
def test_targets_come_in_any_order(targets: list[dict[str, Any]]) -> None:
    """The user is the target that is a user, the group the one that is a group, wherever they stand."""
    event = event_of("azure.audit", audit("Add member to group", "GroupManagement", *targets))

    assert event["user"]["name"] == "erin@example.com"
    assert event["group"] == {"uid": "g-1", "name": "Finance", "type": "unifiedGroups"}


def test_type_may_be_spelt_with_a_capital() -> None:
    """Some services write Type for the type of a target."""
    target = {"id": "u-1", "Type": "User", "userPrincipalName": "erin@example.com"}

    assert event_of("azure.audit", audit("Add user", "UserManagement", target))["user"]["uid"] == "u-1"


def test_the_group_is_named_by_what_changed() -> None:
    """The name of a group is often only among the properties of the member, JSON within a text."""
    member = USER | {"modifiedProperties": [{"displayName": "Group.DisplayName", "newValue": '"Finance"'}]}
    event = event_of(
        "azure.audit", audit("Add member to group", "GroupManagement", member, {"id": "g-1", "type": "Group"})
    )

    assert event["group"] == {"uid": "g-1", "name": "Finance"}


def test_values_of_properties() -> None:
    """The new value counts before the old one; what is no JSON text is taken as it is, no list and no number."""
    names = [[["Group.DisplayName"]]] * 6 + [None]
    new = [[["plain"]], [['"a"']], [[None]], [['["list"]']], [["[" * 100_000]], [["7"]], None]
    old = [[[None]], [['"b"']], [['"b"']], [[None]], [[None]], [[None]], None]

    assert group_name(*map(pa.array, (names, new, old))).to_pylist() == [
        "plain",
        "a",
        "b",
        None,
        None,
        None,
        None,
    ]


def test_the_category_is_within() -> None:
    """The category at the top is AuditLogs for all; that of the activity stands within."""
    event = event_of("azure.audit", audit("Add user", "UserManagement", USER))

    assert event["metadata"]["product"]["feature"]["name"] == "UserManagement"
    assert event["metadata"]["log_name"] == "AuditLogs"


@pytest.mark.parametrize(("result", "status"), [("success", 1), ("failure", 2), ("timeout", 2), (None, 0)])
def test_result(result: str | None, status: int) -> None:
    """Everything but success is a failure."""
    assert event_of("azure.audit", audit("Add user", "UserManagement", USER, result=result))["status_id"] == status


def test_user_and_application_both_present() -> None:
    """A record may have both initiators, one of them with nothing but nulls."""
    nobody = {"id": None, "userPrincipalName": None, "ipAddress": None}
    app = {"appId": "app-1", "displayName": "Sync", "servicePrincipalId": "sp-1"}
    record = audit("Update user", "UserManagement", USER, initiatedBy={"user": nobody, "app": app})
    new, old = (event_of("azure.audit", record, version) for version in ("1.6.0", "1.1.0"))

    assert new["actor"]["app_name"] == "Sync"
    assert new["actor"]["user"] == {"uid": "sp-1", "name": "Sync", "type": "ServicePrincipal", "type_id": 4}
    assert old["actor"] == {"user": {"uid": "sp-1", "name": "Sync", "type": "ServicePrincipal", "type_id": 99}}


def test_details_are_kept() -> None:
    """The user agent is among the details; the other details stay in unmapped."""
    details = [{"key": "UserType", "value": "Member"}, {"key": "User-Agent", "value": "curl/8"}]
    event = event_of("azure.audit", audit("Add user", "UserManagement", USER, additionalDetails=details))
    other = event_of("azure.audit", audit("Add user", "UserManagement", USER, additionalDetails=details[:1]))

    assert event["http_request"]["user_agent"] == "curl/8"
    assert event["unmapped"]["properties.additionalDetails[].value"] == "Member,curl/8"
    assert other["unmapped"]["properties.additionalDetails[].value"] == "Member"


def test_without_a_target_the_tenant_is_the_entity() -> None:
    """A setting of the directory has no target of its own."""
    event = event_of("azure.audit", audit("Set Company Information", "DirectoryManagement"))

    assert event["entity"] == {"uid": TENANT, "name": "Entra tenant", "type": "Tenant"}


def test_time_and_account() -> None:
    """The time is that of the activity; the account is the tenant."""
    event = event_of("azure.audit", audit("Add user", "UserManagement", USER))

    assert event["time_dt"] == "2026-11-17T08:00:01.999Z"
    assert event["cloud"]["account"] == {"uid": TENANT, "type": "Entra Tenant", "type_id": 99}


@pytest.mark.parametrize(
    ("level", "state", "severity", "activity", "status"),
    [
        ("high", "atRisk", 4, 1, 1),
        ("medium", "confirmedCompromised", 3, 1, 1),
        ("low", "dismissed", 2, 3, 3),
        ("none", "remediated", 1, 3, 4),
        ("hidden", "new word", 99, 1, 99),
    ],
)
def test_risk_detections_are_findings(level: str, state: str, severity: int, activity: int, status: int) -> None:
    """A risk is a finding about a user, closed once someone judged it."""
    record = {
        "id": "r-1",
        "riskEventType": "anonymizedIPAddress",
        "riskLevel": level,
        "riskState": state,
        "userId": "u-1",
        "userPrincipalName": "bob@example.com",
        "ipAddress": "198.51.100.77",
        "detectedDateTime": "2026-11-17T22:48:21.1Z",
        "tenantId": TENANT,
    }
    event = event_of("azure.audit", record)

    assert event["class_uid"] == 2004
    assert (event["severity_id"], event["activity_id"], event["status_id"]) == (severity, activity, status)
    assert event["finding_info"]["title"] == "anonymizedIPAddress"
    assert event["evidences"][0]["src_endpoint"]["ip"] == "198.51.100.77"
    assert event["resources"] == [{"uid": "u-1", "name": "bob@example.com", "type": "User"}]


def test_what_is_no_audit_record() -> None:
    """A record without an activity has no class here."""
    assert reject_of("azure.audit", {"time": "2026-11-17T08:00:00Z"}) == ("", "no event class of azure.audit takes it")


def test_rows_of_a_table_are_the_records() -> None:
    """A record and its row, as JSON, as a query's answer and as CSV, give equal events."""
    records = of_file("azure.audit", "insights-logs-audit")
    rows = [of_file("azure.audit", name) for name in ("log_analytics.jsonl", "log_analytics_query", "portal")]
    found = [differences(event, records[uid]) for shape in rows for uid, event in shape.items()]

    assert found == [{}] * 13


def test_graph_objects_are_the_records() -> None:
    """An object of Microsoft Graph gives an equal event, as far as Graph tells: it names no tenant."""
    records, objects = of_file("azure.audit", "insights-logs-audit"), of_file("azure.audit", "graph")

    assert len(objects) == 5
    assert [differences(event, records[uid], both=True) for uid, event in objects.items()] == [{}] * 5


def test_properties_may_be_text() -> None:
    """Properties that are JSON in a text count as if they were an object."""
    record = audit("Add user", "UserManagement", USER)
    text = record | {"properties": json.dumps(record["properties"])}

    assert event_of("azure.audit", text) == event_of("azure.audit", record)
