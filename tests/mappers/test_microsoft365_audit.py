"""Microsoft 365 unified audit log: the class of each operation, and the many ways in which records are written."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from azure_events import differences, event_of, of_file, reject_of
from sample_events import events

from ocsflake.mappers._pairs import first
from ocsflake.mappers.microsoft365.audit import guid, worst
from ocsflake.model import RawBatch

TENANT = "5f0c9a1e-3b7d-4c2a-9e84-d1a6b2c30f11"
ERIN = "e21ec0de-0000-4000-8000-000000000e21"


def record(operation: str, workload: str = "Exchange", record_type: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "CreationTime": "2026-11-17T08:00:01",
        "Id": "i-1",
        "Operation": operation,
        "OrganizationId": TENANT,
        "RecordType": record_type,
        "Workload": workload,
        "UserId": "dave@example.com",
        "UserKey": "k-1",
        "UserType": 0,
        **fields,
    }


def directory(operation: str, target: str | None = "erin@example.com", **fields: Any) -> dict[str, Any]:
    return record(operation, "AzureActiveDirectory", 8, ObjectId=target, **fields)


def test_times_are_utc() -> None:
    """CreationTime has no zone and is UTC."""
    assert event_of("microsoft365.audit", record("Set-Mailbox"))["time_dt"] == "2026-11-17T08:00:01.000Z"


@pytest.mark.parametrize(
    ("made", "type_uid"),
    [
        (record("UserLoggedIn", "AzureActiveDirectory", 15), 300201),
        (record("UserLoginFailed", "AzureActiveDirectory", 15), 300201),
        (directory("Add user."), 300101),
        (directory("Reset user password."), 300104),
        (directory("Disable Strong Authentication."), 300111),
        (directory("Update user."), 300199),
        (directory("Add member to role."), 300401),
        (directory("Update application."), 300403),
        (directory("Consent to application."), 300499),
        (directory("Delete user.", None), 300404),
        (record("FileUploaded", "SharePoint", 6, ObjectId="https://x/a.txt"), 600601),
        (record("FileDownloaded", "OneDrive", 6, ObjectId="https://x/a.txt"), 600602),
        (record("FolderRecycled", "SharePoint", 6, ObjectId="https://x/a"), 600604),
        (record("AddedToSecureLink", "SharePoint", 14, ObjectId="https://x/a.txt"), 600612),
        (record("AnonymousLinkRemoved", "SharePoint", 14, ObjectId="https://x/a.txt"), 600613),
        (record("FileAccessed", "SharePoint", 6, ObjectId="https://x/a.txt"), 600614),
        (record("FileSyncUploadedFull", "SharePoint", 6, ObjectId="https://x/a.txt"), 600615),
        (record("FileAccessed", "SharePoint", 6), 600302),
        (record("AlertTriggered", "SecurityComplianceCenter", 40), 200401),
        (record("New-InboxRule"), 600301),
        (record("Set-Mailbox"), 600303),
        (record("Remove-MailboxPermission"), 600304),
        (record("Get-Mailbox"), 600302),
        (record("MailItemsAccessed", record_type=50), 600302),
        (record("HardDelete", record_type=2), 600304),
        (record("TeamCreated", "MicrosoftTeams", 25), 600301),
        (record("ChannelDeleted", "MicrosoftTeams", 25), 600304),
        (record("MessageUpdated", "MicrosoftTeams", 25), 600303),
        (record("PageViewed", "SharePoint", 4), 600302),
        (record("Newsletter", "Exchange"), 600399),
    ],
)
def test_class_and_activity(made: dict[str, Any], type_uid: int) -> None:
    """Sign-ins, accounts, files, alerts have classes of their own; everything else is a call of an API."""
    assert event_of("microsoft365.audit", made)["type_uid"] == type_uid


@pytest.mark.parametrize(("version", "class_uid"), [("1.1.0", 6003), ("1.2.0", 2006), ("1.8.0", 2006)])
def test_data_loss_prevention(version: str, class_uid: int) -> None:
    """OCSF has findings about data from 1.2 on; the severity is the highest of the rules."""
    rules = [{"RuleName": "a", "Severity": "Low"}, {"RuleName": "b", "Severity": "High"}]
    made = record("DlpRuleMatch", record_type=13, PolicyDetails=[{"PolicyName": "Bank details", "Rules": rules}])
    event = event_of("microsoft365.audit", made, version)

    assert event["class_uid"] == class_uid
    if class_uid == 2006:
        assert event["severity"] == "High"
        assert event["finding_info"]["title"] == "Bank details"
        assert event["data_security"]["policy"]["name"] == "Bank details"
    assert event["unmapped"]["PolicyDetails[].Rules[].Severity"] == "Low,High"


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"ResultStatus": "Success"}, "Success", "Success"),
        ({"ResultStatus": "Succeeded"}, "Success", "Succeeded"),
        ({"ResultStatus": "True"}, "Success", "True"),
        ({"ResultStatus": "TRUE"}, "Success", "TRUE"),
        ({"ResultStatus": True}, "Success", "true"),
        ({"ResultStatus": "PartiallySucceeded"}, "Success", "PartiallySucceeded"),
        ({"ResultStatus": "Failed"}, "Failure", "Failed"),
        ({"ResultStatus": "False"}, "Failure", "False"),
        ({"ResultStatus": "Odd"}, "Odd", "Odd"),
        ({}, "Unknown", None),
        ({"ResultStatus": "Success", "LogonError": "InvalidUserNameOrPassword"}, "Failure", "Success"),
        ({"ResultStatus": "Success", "LogonError": "x", "ErrorNumber": "50126"}, "Failure", "50126"),
    ],
)
def test_status(fields: dict[str, Any], status: str, code: str | None) -> None:
    """Results are spelt in many ways; a sign-in with an error failed, whatever its result says."""
    event = event_of("microsoft365.audit", record("Set-Mailbox", **fields))

    assert event["status"] == status
    assert event.get("status_code") == code


def test_a_failed_sign_in_may_call_itself_a_success() -> None:
    """The operation UserLoginFailed is a failure."""
    event = event_of(
        "microsoft365.audit", record("UserLoginFailed", "AzureActiveDirectory", 15, ResultStatus="Success")
    )

    assert event["status"] == "Failure"


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("198.51.100.77", {"ip": "198.51.100.77"}),
        ("198.51.100.77:50700", {"ip": "198.51.100.77", "port": 50700}),
        ("[2001:db8::1]:36185", {"ip": "2001:db8::1", "port": 36185}),
        ("[2001:db8::1]", {"ip": "2001:db8::1"}),
        ("2001:db8::1", {"ip": "2001:db8::1"}),
        ("<null>", {"svc_name": "Exchange"}),
        ("", {"svc_name": "Exchange"}),
        ("localhost", {"svc_name": "Exchange"}),
        (None, {"svc_name": "Exchange"}),
    ],
)
def test_addresses(address: str | None, endpoint: dict[str, Any]) -> None:
    """Addresses come in many forms; where there is none, the service is all that is known of the source."""
    event = event_of("microsoft365.audit", record("Set-Mailbox", ClientIP=address))

    assert event["src_endpoint"] == endpoint


@pytest.mark.parametrize(
    ("user", "kind", "type_id"),
    [
        ("alice@example.com", 0, 1),
        ("guest@example.net", "Guest", 1),
        ("admin@example.com", 2, 2),
        ("NT AUTHORITY\\SYSTEM (Microsoft.Exchange.Servicehost)", 3, 2),
        ("S-1-5-18", 4, 3),
        ("ServicePrincipal_5a5ac0de", 6, 4),
        ("x", 77, 99),
    ],
)
def test_users(user: str, kind: Any, type_id: int) -> None:
    """A user may be a person, an application or the system; only a mail address is one."""
    event = event_of("microsoft365.audit", record("Set-Mailbox", UserId=user, UserType=kind))

    assert (event["actor"]["user"]["name"], event["actor"]["user"]["type_id"]) == (user, type_id)
    assert ("email_addr" in event["actor"]["user"]) == ("@" in user)


def test_nobody() -> None:
    """Not Available is no name: what nobody did, the service did."""
    event = event_of("microsoft365.audit", record("Set-Mailbox", UserId="Not Available", UserKey="Not Available"))

    assert event["actor"]["invoked_by"] == "Exchange"
    assert "name" not in event["actor"].get("user", {})


@pytest.mark.parametrize(("version", "type_id"), [("1.3.0", 99), ("1.4.0", 17)])
def test_account(version: str, type_id: int) -> None:
    """The account is the tenant, of a type that OCSF has from 1.4 on."""
    event = event_of("microsoft365.audit", record("Set-Mailbox"), version)

    assert event["cloud"]["account"] == {"uid": TENANT, "type": "M365 Tenant", "type_id": type_id}


MEMBER = [{"Name": "Group.ObjectID", "NewValue": "g-1"}, {"Name": "Group.DisplayName", "NewValue": "Finance"}]


def test_members_of_groups() -> None:
    """The object of the record is the member; the group is among the properties that changed."""
    target = [{"ID": f"User_{ERIN}", "Type": 2}, {"ID": ERIN, "Type": 2}, {"ID": "erin@example.com", "Type": 5}]
    event = event_of("microsoft365.audit", directory("Add member to group.", ModifiedProperties=MEMBER, Target=target))

    assert (event["class_uid"], event["activity_id"]) == (3006, 3)
    assert event["group"] == {"uid": "g-1", "name": "Finance"}
    assert (event["user"]["uid"], event["user"]["name"]) == (ERIN, "erin@example.com")


def test_members_that_left() -> None:
    """Of a member that was removed, the old values name the group."""
    old = [{"Name": item["Name"], "NewValue": "", "OldValue": item["NewValue"]} for item in MEMBER]
    event = event_of("microsoft365.audit", directory("Remove member from group.", ModifiedProperties=old))

    assert (event["class_uid"], event["activity_id"]) == (3006, 4)
    assert event["group"] == {"uid": "g-1", "name": "Finance"}


@pytest.mark.parametrize(("version", "class_uid"), [("1.3.0", 3004), ("1.4.0", 3006)])
def test_groups_alone(version: str, class_uid: int) -> None:
    """OCSF before 1.4 wants a user beside the group: there it is an entity."""
    event = event_of("microsoft365.audit", directory("Update group.", "Finance"), version)

    assert event["class_uid"] == class_uid


def test_pairs_of_names_and_values() -> None:
    """Extended properties are lists of pairs: what has an attribute is found by its name, whatever stands beside it."""
    properties = [
        {"Name": "ResultStatusDetail", "Value": "UserError"},
        {"Name": "UserAgent", "Value": "curl/8"},
        {"Name": "extendedAuditEventCategory", "Value": "Role"},
    ]
    event = event_of("microsoft365.audit", directory("Add member to role.", ExtendedProperties=properties))

    assert event["status_detail"] == "UserError"
    assert event["http_request"]["user_agent"] == "curl/8"
    assert event["entity"]["type"] == "Role"
    assert event["unmapped"]["ExtendedProperties[].Value"] == "UserError,curl/8,Role"


def test_files() -> None:
    """A file has its name, its address and what became of it; a folder is no file."""
    made = record(
        "FileRenamed",
        "SharePoint",
        6,
        ObjectId="https://example.sharepoint.com/sites/f/draft.docx",
        DestinationFileName="final.docx",
        DestinationRelativeUrl="Documents",
    )
    event, older = (event_of("microsoft365.audit", made, version) for version in ("1.8.0", "1.1.0"))
    folder = event_of("microsoft365.audit", record("FolderCreated", "SharePoint", 6, ObjectId="https://x/sub/"))

    assert event["file"]["name"] == older["file"]["name"] == "draft.docx"
    assert event["file_result"] == {"name": "final.docx", "path": "Documents", "type": "Regular File", "type_id": 1}
    assert older["unmapped"]["DestinationFileName"] == "final.docx"
    assert (folder["file"]["name"], folder["file"]["type"]) == ("sub", "Folder")


def test_alerts() -> None:
    """An alert of the compliance center is a finding."""
    made = record(
        "AlertTriggered",
        "SecurityComplianceCenter",
        40,
        AlertId="a-1",
        Name="Suspicious forwarding",
        Severity="Medium",
        Status="Active",
        AlertEntityId="bob@example.com",
    )
    event = event_of("microsoft365.audit", made)

    assert (event["severity"], event["status"]) == ("Medium", "New")
    assert (event["finding_info"]["uid"], event["finding_info"]["title"]) == ("a-1", "Suspicious forwarding")
    assert event["resources"][0]["name"] == "bob@example.com"


def test_parameters_are_the_request() -> None:
    """The parameters of a cmdlet are its request, as an object or as JSON in a text."""
    parameters = [{"Name": "Identity", "Value": "bob"}]
    one, other = (
        event_of("microsoft365.audit", record("Set-Mailbox", Parameters=value))
        for value in (parameters, json.dumps(parameters))
    )

    assert one["api"]["request"]["data"] == other["api"]["request"]["data"] == parameters


def test_record_types_have_names_and_numbers() -> None:
    """Tables of Log Analytics name the record type that the API gives a number."""
    one, other = (event_of("microsoft365.audit", record("x") | {"RecordType": kind}) for kind in (1, "ExchangeAdmin"))

    assert one["metadata"]["event_code"] == other["metadata"]["event_code"] == "1"


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("search_unifiedauditlog", 6),
        ("purview_export", 3),
        ("powershell", 2),
        ("graph_auditlog", 2),
        ("log_analytics", 8),
        ("portal_export", 2),
    ],
)
def test_every_shape_gives_the_same_event(name: str, count: int) -> None:
    """Exports with the record in AuditData, as text or object, and rows of OfficeActivity give equal events."""
    records, shape = of_file("microsoft365.audit", "management"), of_file("microsoft365.audit", name)
    found = [differences(event, records[uid]) for uid, event in shape.items()]

    assert len(found) == count
    # A row has no version of its schema.
    assert {name for difference in found for name in difference} <= {"metadata.log_version"}


def test_no_audit_data() -> None:
    """A row of an export that has lost its record is an event of the little that is left."""
    text = '"CreationDate","UserIds","Operations"\n"6/1/2026 1:12:18 PM","dave@example.com","Set-Mailbox"\n'
    (event,) = events(RawBatch(text.encode()), "microsoft365.audit")

    assert event["time_dt"] == "2026-06-01T13:12:18.000Z"
    assert (event["api"]["operation"], event["actor"]["user"]["name"]) == ("Set-Mailbox", "dave@example.com")


def test_what_has_no_operation_is_no_event() -> None:
    """An operation is required."""
    attribute, _ = reject_of("microsoft365.audit", {"CreationTime": "2026-11-17T08:00:01", "Id": "i-1"})

    assert attribute == "api.operation"


def test_first_and_guid_and_worst() -> None:
    """Of lists, the first value, the first GUID, the highest severity; of a list without one, nothing."""
    nothing = pa.nulls(1)
    lists = pa.array([[None, "b"], ["a"], [None], None], pa.list_(pa.string()))
    severities = pa.array([[["Low", None], ["HIGH"]], [None], None])

    assert first(lists).to_pylist() == ["b", "a", None, None]
    assert first(nothing) is nothing
    assert guid(pa.array([["User_x", ERIN], ["x"], None])).to_pylist() == [ERIN, None, None]
    assert guid(nothing) is nothing
    assert worst(severities).to_pylist() == ["high", None, None]
