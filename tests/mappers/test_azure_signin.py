"""Microsoft Entra ID sign-ins: what the log means, and what versions of OCSF can say of it."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from azure_events import differences, event_of, of_file, reject_of

from ocsflake import mapper
from ocsflake.mappers.azure.signin import lon_lat
from ocsflake.model import RawBatch

TENANT = "5f0c9a1e-3b7d-4c2a-9e84-d1a6b2c30f11"


def signin(**properties: Any) -> dict[str, Any]:
    return {
        "time": "2026-11-17T08:00:03.1234567Z",
        "resourceId": f"/tenants/{TENANT}/providers/Microsoft.aadiam",
        "category": "SignInLogs",
        "properties": {
            "createdDateTime": "2026-11-17T08:00:01.9999999Z",
            "userId": "u-1",
            "userPrincipalName": "alice@example.com",
            "appDisplayName": "Azure Portal",
            **properties,
        },
    }


def test_the_sign_in_happened_when_it_was_made() -> None:
    """The time is that of the sign-in, not of its arrival in the log; seven digits are cut, not rounded."""
    event = event_of("azure.signin", signin())

    assert event["time_dt"] == "2026-11-17T08:00:01.999Z"
    assert event["metadata"]["logged_time_dt"] == "2026-11-17T08:00:03.123Z"


@pytest.mark.parametrize(
    ("code", "status"),
    [(0, "Success"), ("0", "Success"), (50126, "Failure"), (50140, "Failure"), (50074, "Failure"), (None, "Unknown")],
)
def test_an_error_code_is_a_failed_logon(code: Any, status: str) -> None:
    """Every code but 0 is a failure, interrupts too; a failed logon is a Logon, never a Logoff."""
    event = event_of("azure.signin", signin(status={"errorCode": code}))

    assert event["status"] == status
    assert event["type_uid"] == 300201


@pytest.mark.parametrize(("result", "status"), [("0", "Success"), ("Success", "Success"), ("50053", "Failure")])
def test_the_result_of_the_record_counts_without_a_status(result: str, status: str) -> None:
    """A record without properties.status has its code in resultType."""
    event = event_of("azure.signin", signin() | {"resultType": result})

    assert event["status"] == status
    assert event["status_code"] == result


def test_risk_is_no_failure() -> None:
    """A risky sign-in that worked is a success; its risk has an attribute from OCSF 1.4 on."""
    record = signin(status={"errorCode": 0}, riskLevelAggregated="high", riskState="atRisk")
    new, old = (event_of("azure.signin", record, version) for version in ("1.4.0", "1.3.0"))

    assert (new["status"], new["risk_level"]) == ("Success", "High")
    assert "risk_level_id" not in old
    assert old["unmapped"]["properties.riskLevelAggregated"] == "high"


@pytest.mark.parametrize(
    ("status", "action", "disposition"),
    [("success", 1, 1), ("failure", 2, 26), ("notApplied", 3, 16), ("unknownFutureValue", 99, 99)],
)
def test_conditional_access_is_the_action(status: str, action: int, disposition: int) -> None:
    """Sign-ins have an action from OCSF 1.4 on, where the profile security_control reaches them; not before."""
    record = signin(conditionalAccessStatus=status)
    new, old = (event_of("azure.signin", record, version) for version in ("1.5.0", "1.1.0"))

    assert (new["action_id"], new["disposition_id"]) == (action, disposition)
    assert "security_control" in new["metadata"]["profiles"]
    assert "action_id" not in old
    assert "security_control" not in old["metadata"]["profiles"]


@pytest.mark.parametrize(
    ("category", "kind"),
    [("ServicePrincipalSignInLogs", "ServicePrincipal"), ("ManagedIdentitySignInLogs", "ManagedIdentity")],
)
def test_workloads_are_services(category: str, kind: str) -> None:
    """The principal is the user; OCSF knows the type Service from 1.6 on, before it is 99 with the word."""
    record = {
        "time": "2026-11-17T02:00:00Z",
        "category": category,
        "tenantId": TENANT,
        "properties": {"servicePrincipalId": "sp-1", "servicePrincipalName": "ci", "ipAddress": "", "appId": "a-1"},
    }
    new, old = (event_of("azure.signin", record, version) for version in ("1.6.0", "1.5.0"))

    assert new["user"] == {"uid": "sp-1", "name": "ci", "type": kind, "type_id": 4}
    assert old["user"] == {"uid": "sp-1", "name": "ci", "type": kind, "type_id": 99}
    assert "src_endpoint" not in new


def test_a_principal_without_a_category_is_a_service() -> None:
    """Graph objects of service principals have no user."""
    event = event_of(
        "azure.signin",
        {"createdDateTime": "2026-11-17T02:00:00Z", "userId": "", "servicePrincipalId": "sp-1", "appId": "a-1"},
    )

    assert event["user"] == {"uid": "sp-1", "type": "ServicePrincipal", "type_id": 4}


@pytest.mark.parametrize(
    ("address", "ip", "port"),
    [
        ("198.51.100.77:50122", "198.51.100.77", 50122),
        ("[2001:db8::1]:443", "2001:db8::1", 443),
        ("[2001:db8::1]", "2001:db8::1", None),
        ("2001:db8::1", "2001:db8::1", None),
        ("fe80::1%eth0", "fe80::1", None),
    ],
)
def test_addresses_with_ports(address: str, ip: str, port: int | None) -> None:
    """Whatever stands around an address, the attribute holds the address alone."""
    event = event_of("azure.signin", signin() | {"callerIpAddress": address})

    assert event["src_endpoint"].get("ip") == ip
    assert event["src_endpoint"].get("port") == port


def test_logon_type_is_never_zero() -> None:
    """An unknown kind of sign-in has no logon type: 0 means System in OCSF 1.1."""
    known = event_of("azure.signin", signin(), "1.1.0")
    unknown = event_of("azure.signin", signin() | {"category": "Policy"}, "1.1.0")

    assert (known["logon_type_id"], known["logon_type"]) == (99, "interactiveUser")
    assert "logon_type_id" not in unknown


def test_the_protocol_keeps_its_own_word() -> None:
    """Device codes are OAuth to OCSF; that they were used is not lost."""
    event = event_of("azure.signin", signin(authenticationProtocol="deviceCode"))

    assert event["auth_protocol_id"] == 6
    assert event["unmapped"]["properties.authenticationProtocol"] == "deviceCode"


def test_methods_are_factors() -> None:
    """Each method is a factor, an unknown one by its own name; up to 1.4 OCSF wants to know an address of each."""
    record = signin(authenticationDetails=[{"authenticationMethod": "Password"}, {"authenticationMethod": "New one"}])
    new, old, oldest = (event_of("azure.signin", record, version) for version in ("1.5.0", "1.4.0", "1.1.0"))

    assert new["auth_factors"] == [
        {"factor_type": "Password", "factor_type_id": 11},
        {"factor_type": "New one", "factor_type_id": 99},
    ]
    assert "auth_factors" not in old | oldest
    assert old["unmapped"] == oldest["unmapped"]
    assert old["unmapped"]["properties.authenticationDetails[].authenticationMethod"] == "Password,New one"


def test_the_workspace_is_not_the_tenant() -> None:
    """TenantId of a Log Analytics row names the workspace; the account is the tenant of the resource id."""
    row = {
        "TimeGenerated": "2026-11-17T08:00:00Z",
        "TenantId": "the-workspace",
        "ResourceId": f"/TENANTS/{TENANT.upper()}/providers/Microsoft.aadiam",
        "UserId": "u-1",
    }
    event = event_of("azure.signin", row)

    assert event["cloud"]["account"]["uid"] == event["metadata"]["tenant_uid"] == TENANT
    assert event["unmapped"]["TenantId"] == "the-workspace"


def test_twins_of_a_union() -> None:
    """A union of tables hangs the type on the names of columns; JSON in them counts."""
    row = {
        "TimeGenerated": "2026-11-17T08:00:00Z",
        "UserId": "u-1",
        "Status_string": '{"errorCode": 50126}',
        "DeviceDetail_dynamic": {"operatingSystem": "Linux"},
    }
    event = event_of("azure.signin", row)

    assert event["status_code"] == "50126"
    assert (
        event["src_endpoint"] if "src_endpoint" in event else event["unmapped"]["DeviceDetail_dynamic.operatingSystem"]
    )


def test_an_identity_that_is_an_object_does_no_harm() -> None:
    """The display name counts; an object in its place goes to unmapped."""
    named, other = (event_of("azure.signin", signin() | {"identity": x}) for x in ("Alice", {"claims": {"oid": "1"}}))

    assert named["user"]["full_name"] == "Alice"
    assert "full_name" not in other["user"]
    assert other["unmapped"]["identity.claims.oid"] == "1"


def test_a_query_that_counts_sign_ins() -> None:
    """A row of many sign-ins is one event with their count, over the time that it spans."""
    row = {
        "Type": "SigninLogs",
        "timestamp": "2026-11-16T21:00:00Z",
        "StartTime": "2026-11-16T21:00:00Z",
        "EndTime": "2026-11-16T21:05:00Z",
        "IPAddress": "198.51.100.77",
        "disabledAccountLoginAttempts": 4,
        "disabledAccountSet": '["bob@example.com", "erin@example.com"]',
        "applicationSet": '["Azure Portal"]',
    }
    event = event_of("azure.signin", row)

    assert (event["count"], event["user"]["name"]) == (4, "bob@example.com")
    assert event["unmapped"]["disabledAccountSet[]"] == "bob@example.com,erin@example.com"


def test_a_record_without_anyone_is_no_sign_in() -> None:
    """What names neither a user nor a principal is rejected: an audit record is none."""
    record = {"time": "2026-11-17T08:00:00Z", "category": "AuditLogs", "identity": "Dave"}

    assert reject_of("azure.signin", record) == (
        "user",
        "constraint_failed: expected at least one of account, name, uid",
    )


def test_rows_of_a_table_are_the_records() -> None:
    """A record of a diagnostic setting and its row, as JSON, as a query's answer and as CSV, give equal events."""
    records = of_file("azure.signin", "insights")
    rows = [
        of_file("azure.signin", name) for name in ("log_analytics.jsonl", "log_analytics_query", "portal", "eventhub")
    ]

    assert [len(found) for found in rows] == [9, 2, 3, 2]
    assert [differences(event, records[uid]) for found in rows for uid, event in found.items()] == [{}] * 16


def test_graph_objects_are_the_records() -> None:
    """An object of Microsoft Graph gives an equal event, but for what Graph does not tell."""
    records, objects = of_file("azure.signin", "insights"), of_file("azure.signin", "graph")
    found = {name for uid, event in objects.items() for name in differences(event, records[uid])}

    assert len(objects) == 5
    assert {name for uid, event in objects.items() for name in differences(event, records[uid], both=True)} == set()
    assert found == {
        "cloud.account.type",
        "cloud.account.type_id",
        "cloud.account.uid",
        "duration",
        "metadata.logged_time",
        "metadata.logged_time_dt",
        "metadata.product.version",
        "metadata.tenant_uid",
    }


def test_rows_as_arrow_columns() -> None:
    """Rows that an SDK decoded into columns, with times and numbers of their own types, give the same event."""
    columns = pa.RecordBatch.from_pylist(
        [
            {
                "TimeGenerated": "2026-11-17T08:00:00Z",
                "UserId": "u-1",
                "DurationMs": 12,
                "Status": '{"errorCode":0}',
                "LocationDetails": '{"city":"Lisbon"}',
                "IPAddress": "203.0.113.10",
            }
        ]
    )
    table = pa.Table.from_batches([columns])
    times = table["TimeGenerated"].cast(pa.timestamp("us", "UTC"))
    (batch,) = table.set_column(0, "TimeGenerated", times).to_batches()
    (events,) = mapper("azure.signin").map(RawBatch(batch), "1.8.0").batches
    event = events.events.to_pylist()[0]

    assert (event["status_id"], event["duration"], event["src_endpoint"]["location"]["city"]) == (1, 12, "Lisbon")


def test_longitude_stands_before_latitude() -> None:
    """Coordinates are pairs; a pair with a missing or a hostile half is none."""
    longitude, latitude = pa.array(["-9.1333", None, "NaN", "1e400"]), pa.array(["38.7167", "1", "1", "1"])

    assert lon_lat(longitude, latitude).to_pylist() == [[-9.1333, 38.7167], None, None, None]
