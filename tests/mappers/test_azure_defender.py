"""Microsoft Defender: alerts in five shapes, findings about settings and packages, incidents."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from azure_events import differences, event_of, of_file

from ocsflake.mappers.azure._entities import percent, resolved, steps, tactics, technique_names, techniques

SUBSCRIPTION = "3d5f7a90-1c2e-4b68-9a0c-5e7d9f1b2a34"
VM = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/shop/providers/Microsoft.Compute/virtualMachines/vm-1"


def row(**columns: Any) -> dict[str, Any]:
    return {
        "TimeGenerated": "2026-11-17T23:09:30.5550000Z",
        "SystemAlertId": "a-1",
        "DisplayName": "Possible malicious file download",
        "AlertSeverity": "High",
        "Status": "New",
        "TenantId": "the-workspace",
        "Type": "SecurityAlert",
        **columns,
    }


def graph(**fields: Any) -> dict[str, Any]:
    return {
        "id": "da1_1",
        "title": "Suspicious PowerShell",
        "severity": "high",
        "status": "new",
        "tenantId": "t-1",
        "createdDateTime": "2026-11-17T23:20:00.1Z",
        "lastUpdateDateTime": "2026-11-17T23:25:00Z",
        **fields,
    }


@pytest.mark.parametrize(
    ("word", "severity"),
    [("Informational", 1), ("low", 2), ("Medium", 3), ("high", 4), ("unknown", 0), ("Odd", 99), (None, 0)],
)
def test_severity(word: str | None, severity: int) -> None:
    """Severities are words in any case; an alert without one is Unknown."""
    assert event_of("azure.defender", row(AlertSeverity=word))["severity_id"] == severity


@pytest.mark.parametrize(
    ("word", "status", "activity"),
    [
        ("New", 1, 1),
        ("Active", 1, 1),
        ("InProgress", 2, 2),
        ("inProgress", 2, 2),
        ("Dismissed", 3, 3),
        ("resolved", 4, 3),
        ("Odd", 99, 1),
        (None, 0, 1),
    ],
)
def test_status_and_activity(word: str | None, status: int, activity: int) -> None:
    """An alert is sent again under its id when someone takes it up, and when it is closed."""
    event = event_of("azure.defender", row(Status=word))

    assert (event["status_id"], event["activity_id"]) == (status, activity)
    assert event["finding_info"]["uid"] == event["metadata"]["uid"] == "a-1"


def test_times_of_an_alert() -> None:
    """The alert was made when it was generated; what it is about was seen from its start to its end."""
    event = event_of("azure.defender", row(StartTime="2026-11-17T22:00:00Z", EndTime="2026-11-17T22:30:00.9999999Z"))

    assert event["time"] == event["finding_info"]["created_time"]
    assert event["time_dt"] == "2026-11-17T23:09:30.555Z"
    assert event["finding_info"]["first_seen_time_dt"] == "2026-11-17T22:00:00.000Z"
    assert event["finding_info"]["last_seen_time_dt"] == "2026-11-17T22:30:00.999Z"


def test_an_update_has_a_time_of_its_own() -> None:
    """An alert of Graph that changed is an event of when it changed."""
    event = event_of("azure.defender", graph())

    assert event["time_dt"] == event["finding_info"]["modified_time_dt"] == "2026-11-17T23:25:00.000Z"
    assert event["finding_info"]["created_time_dt"] == "2026-11-17T23:20:00.100Z"


@pytest.mark.parametrize("entity", ["vm-1", "bob@example.com", SUBSCRIPTION])
def test_the_compromised_entity_may_be_anything(entity: str) -> None:
    """A host, a mail address or a subscription: it names the resource, and the resource id is its id."""
    event = event_of("azure.defender", row(CompromisedEntity=entity, ResourceId=VM))

    assert event["resources"] == [{"uid": VM, "name": entity}]
    assert event["cloud"]["account"]["uid"] == SUBSCRIPTION


@pytest.mark.parametrize(
    ("record", "account"),
    [
        (row(ResourceId=VM.upper()), (SUBSCRIPTION, 13)),
        (row(WorkspaceSubscriptionId=SUBSCRIPTION), (SUBSCRIPTION, 13)),
        (graph(), ("t-1", 99)),
        ({"createdTime": "2026-11-18T07:30:00Z", "title": "Malware", "aadTenantId": "t-2"}, ("t-2", 99)),
    ],
)
def test_account(record: dict[str, Any], account: tuple[str, int]) -> None:
    """The account is the subscription, or the tenant where there is none; never the workspace."""
    new, old = (event_of("azure.defender", record, version) for version in ("1.4.0", "1.1.0"))

    assert (new["cloud"]["account"]["uid"], new["cloud"]["account"]["type_id"]) == account
    assert (old["cloud"]["account"]["uid"], old["cloud"]["account"]["type_id"]) == (account[0], 99)


def test_entities_are_evidence() -> None:
    """Each entity is a piece of evidence with its own JSON; what OCSF knows of it has an attribute."""
    entities = [
        {"$id": "2", "HostName": "vm-1", "Type": "host"},
        {"$id": "3", "Name": "curl", "Directory": "/usr/bin", "Type": "file"},
        {"$id": "4", "ProcessId": "4711", "CommandLine": "curl x", "ImageFile": {"$ref": "3"}, "Type": "process"},
        {"$id": "5", "Name": "bob", "NTDomain": "EXAMPLE", "Type": "account"},
        {"$id": "6", "Address": "198.51.100.77", "Type": "ip"},
        {"$id": "7", "Url": "http://198.51.100.77/x", "Type": "url"},
        {"$id": "8", "Name": "odd", "Type": "malware"},
    ]
    event = event_of("azure.defender", row(Entities=json.dumps(entities)))
    host, file, process, account, address, url, other = event["evidences"]

    assert host["device"]["hostname"] == "vm-1"
    assert file["file"] == {"name": "curl", "path": "/usr/bin", "type": "Regular File", "type_id": 1}
    assert process["process"] == {"pid": 4711, "cmd_line": "curl x"}
    assert process["data"]["ImageFile"] == entities[1]
    assert account["actor"]["user"] == {"name": "bob", "domain": "EXAMPLE"}
    assert address["src_endpoint"]["ip"] == "198.51.100.77"
    assert url["url"]["url_string"] == "http://198.51.100.77/x"
    assert other == {"data": entities[6]}


def test_evidence_in_older_versions() -> None:
    """OCSF 1.1 has neither devices nor URLs among the evidence: their JSON is still there."""
    event = event_of("azure.defender", row(Entities='[{"HostName":"vm-1","Type":"host"}]'), "1.1.0")

    assert event["evidences"] == [{"data": {"HostName": "vm-1", "Type": "host"}}]


def test_references_are_resolved() -> None:
    """A reference becomes what it refers to, byte for byte, also where that stands within another entity."""
    lists = pa.array(
        [
            ['{"$id":"1","Score":1.10}', '{"Host":{ "$ref" : "1" },"Other":{"$ref":"9"}}'],
            ['{"$id":"1","Host":{"$id":"2","Name":"h"}}', '{"H":{"$ref":"2"}}', "broken", None],
            ['{"Text":"{\\"$ref\\":\\"1\\"}"}'],
            None,
        ],
        pa.list_(pa.string()),
    )

    assert resolved(lists).to_pylist() == [
        [b'{"$id":"1","Score":1.10}', b'{"Host":{"$id":"1","Score":1.10},"Other":{"$ref":"9"}}'],
        [b'{"$id":"1","Host":{"$id":"2","Name":"h"}}', b'{"H":{"$id":"2","Name":"h"}}', b"broken", b"null"],
        [b'{"Text":"{\\"$ref\\":\\"1\\"}"}'],
        None,
    ]
    assert resolved(pa.nulls(2)).null_count == 2


def test_references_in_a_circle_end() -> None:
    """An entity that refers to itself, or to one that refers back, is put in once."""
    lists = pa.array([['{"$id":"1","H":{"$ref":"2"}}', '{"$id":"2","H":{"$ref":"1"}}']])

    assert resolved(lists).to_pylist() == [
        [b'{"$id":"1","H":{"$id":"2","H":{"$ref":"1"}}}', b'{"$id":"2","H":{"$id":"1","H":{"$ref":"2"}}}']
    ]


def test_references_do_not_multiply() -> None:
    """Few bytes must not become very many: a list of references to one large entity stays as it is."""
    large = json.dumps({"$id": "1", "Pad": "x" * 100_000})
    many = json.dumps({"L": [{"$ref": "1"}] * 100})

    assert resolved(pa.array([[large, many]])).to_pylist() == [[large.encode(), many.encode()]]


def test_attacks() -> None:
    """Tactics and techniques are attacks of their own: no alert says which belong together."""
    event = event_of("azure.defender", row(Tactics="Execution, Persistence", Techniques='["T1059.004"]'))

    assert event["finding_info"]["attacks"] == [
        {"tactic": {"name": "Execution"}},
        {"tactic": {"name": "Persistence"}},
        {"technique": {"uid": "T1059.004"}},
    ]


def test_words_of_attacks() -> None:
    """Lists are JSON, or words between commas; names may stand before the ids; Unknown is no tactic."""
    names = pa.array(["Unknown", None, "A,B", None, None])
    ids = pa.array(["[]", '["Valid Accounts (T1078.004)", "odd (x)"]', None, None, "[1]"])

    assert tactics(names, ids).to_pylist() == [None, [None, None], ["A", "B"], None, [None]]
    assert techniques(names, ids).to_pylist() == [None, ["T1078.004", "odd (x)"], [None, None], None, ["[1]"]]
    assert technique_names(names, ids).to_pylist() == [None, ["Valid Accounts", None], [None, None], None, [None]]


def test_steps_and_scores() -> None:
    """Steps are lines; a score between 0 and 1 is a percentage, anything else is none."""
    assert steps(pa.array(['["a", "b"]', "[]", "plain", '["a", 1]', None])).to_pylist() == [
        "a\nb",
        None,
        "plain",
        '["a", 1]',
        None,
    ]
    assert percent(pa.array(["0.85", "1.0", "0", "85", "1e400", None])).to_pylist() == [85, 100, 0, None, None, None]


def test_an_alert_without_an_id() -> None:
    """An alert that was forwarded without its id has one of its own that is always the same."""
    record = {"createdTime": "2026-11-18T07:30:00Z", "title": "Malware", "computerDnsName": "host-1"}
    first, again, other = (event_of("azure.defender", r) for r in (record, record, record | {"title": "Other"}))

    assert first["finding_info"]["uid"] == again["finding_info"]["uid"] != other["finding_info"]["uid"]


def test_the_id_of_an_arm_alert_is_its_last_part() -> None:
    """ARM names an alert by a path; its last part is the id."""
    alert = {"id": f"/subscriptions/{SUBSCRIPTION}/alerts/a-7", "properties": {"alertDisplayName": "x"}}
    alert["properties"]["timeGeneratedUtc"] = "2026-11-17T23:09:30Z"

    assert event_of("azure.defender", alert)["finding_info"]["uid"] == "a-7"
    assert event_of("azure.defender", alert | {"name": "a-8"})["finding_info"]["uid"] == "a-8"


@pytest.mark.parametrize("name", ["continuous_export", "rest_alerts", "log_analytics_query", "portal_export"])
def test_every_shape_gives_the_same_alert(name: str) -> None:
    """A row, as JSON, as a query's answer and as CSV, an ARM object and a continuous export give equal events."""
    rows, shape = of_file("azure.defender", "log_analytics_securityalert"), of_file("azure.defender", name)
    found = [differences(event, rows[uid], both=True) for uid, event in shape.items()]

    assert found
    assert {name for difference in found for name in difference if ".data." not in name} == set()


@pytest.mark.parametrize(
    ("code", "compliance", "status"), [("Unhealthy", 3, 1), ("Healthy", 1, 4), ("NotApplicable", 99, 3), ("Odd", 99, 1)]
)
@pytest.mark.parametrize("version", ["1.2.0", "1.3.0"])
def test_assessments(code: str, compliance: int, status: int, version: str) -> None:
    """An assessment is a compliance finding; its resource is one up to OCSF 1.2, a list since."""
    record = {
        "id": f"{VM}/providers/Microsoft.Security/assessments/as-1",
        "name": "as-1",
        "type": "Microsoft.Security/assessments",
        "properties": {
            "displayName": "Secure transfer should be enabled",
            "resourceDetails": {"source": "Azure", "id": VM},
            "status": {"code": code, "statusChangeDate": "2026-11-17T05:30:00.2Z"},
            "metadata": {"severity": "High"},
        },
    }
    event = event_of("azure.defender", record, version)

    assert (event["class_uid"], event["severity_id"]) == (2003, 4)
    assert (event["compliance"]["status_id"], event["status_id"]) == (compliance, status)
    assert event["compliance"]["standards"] == ["Microsoft cloud security benchmark"]
    assert event["cloud"]["account"]["uid"] == SUBSCRIPTION
    assert (event["resource"] if version == "1.2.0" else event["resources"][0]) == {"uid": VM}


@pytest.mark.parametrize("version", ["1.1.0", "1.8.0"])
def test_packages_with_flaws(version: str) -> None:
    """A sub-assessment with CVEs is a vulnerability finding, one without is about compliance."""
    record = {
        "id": f"{VM}/providers/Microsoft.Security/assessments/x/subassessments/sa-1",
        "name": "sa-1",
        "properties": {
            "displayName": "Update missing",
            "resourceDetails": {"id": VM},
            "status": {"code": "Unhealthy", "severity": "Medium"},
            "timeGenerated": "2026-11-17T04:10:00Z",
            "additionalData": {"cve": [{"title": "CVE-2026-1"}, {"title": "CVE-2026-2"}]},
        },
    }
    flawed = event_of("azure.defender", record, version)
    record["properties"] |= {"additionalData": {}}

    assert (flawed["class_uid"], flawed["severity_id"]) == (2002, 3)
    assert [flaw["cve"]["uid"] for flaw in flawed["vulnerabilities"]] == ["CVE-2026-1", "CVE-2026-2"]
    assert event_of("azure.defender", record, version)["class_uid"] == 2003


def test_rows_of_recommendations() -> None:
    """An assessment and its row give equal events, but for the reason in words of their own."""
    rows, objects = (of_file("azure.defender", name) for name in ("log_analytics_recommendation", "rest_assessments"))
    found = [differences(event, rows[uid], both=True) for uid, event in objects.items()]

    assert len(found) == 3
    assert {name for difference in found for name in difference} == {"compliance.status_detail"}


@pytest.mark.parametrize(
    ("status", "ids"),
    [("active", (1, 1)), ("inProgress", (2, 1)), ("resolved", (4, 3)), ("redirected", (5, 3)), ("odd", (99, 1))],
)
def test_incidents_of_graph(status: str, ids: tuple[int, int]) -> None:
    """A new incident is called active; one that was resolved or redirected is closed."""
    event = event_of(
        "azure.defender",
        {
            "id": "917",
            "displayName": "Multi-stage incident",
            "incidentWebUrl": "https://security.example.com/917",
            "status": status,
            "tenantId": "t-1",
            "createdDateTime": "2026-11-17T23:26:00Z",
            "lastUpdateDateTime": "2026-11-17T23:26:00Z",
            "alerts": [{"id": "a-1"}, {"id": "a-2"}],
        },
    )

    assert (event["class_uid"], event["status_id"], event["activity_id"]) == (2005, *ids)
    assert [info["uid"] for info in event["finding_info_list"]] == ["a-1", "a-2"]
    assert event["assignee_group"] == {"name": "Unassigned"}


@pytest.mark.parametrize(
    ("status", "modified", "ids"), [("New", "T00", (1, 1)), ("Active", "T01", (2, 2)), ("Closed", "T02", (5, 3))]
)
def test_incidents_of_sentinel(status: str, modified: str, ids: tuple[int, int]) -> None:
    """An incident that someone works on is called active; one that changed since it was made is an update."""
    event = event_of(
        "azure.defender",
        {
            "TimeGenerated": f"2026-11-17{modified}:00:00Z",
            "LastModifiedTime": f"2026-11-17{modified}:00:00Z",
            "CreatedTime": "2026-11-17T00:00:00Z",
            "IncidentNumber": 41,
            "IncidentName": "i-1",
            "Title": "Sign-in",
            "Severity": "High",
            "Status": status,
            "Classification": "TruePositive",
            "Owner": '{"email": "carol@example.com", "assignedTo": "Carol"}',
            "AlertIds": '["a-1"]',
            "IncidentUrl": f"https://portal.example.com/#x/subscriptions/{SUBSCRIPTION}/resourceGroups/soc",
        },
    )

    assert (event["status_id"], event["activity_id"], event["verdict_id"]) == (*ids, 2)
    assert event["assignee"] == {
        "name": "carol@example.com",
        "email_addr": "carol@example.com",
        "full_name": "Carol",
    }
    assert "assignee_group" not in event
    assert event["cloud"]["account"]["uid"] == SUBSCRIPTION


def test_rows_of_incidents() -> None:
    """An incident's row and its ARM object give equal events, but that the object does not list the alerts."""
    rows, objects = (of_file("azure.defender", name) for name in ("log_analytics_securityincident", "rest_incidents"))
    found = [differences(event, rows[uid], both=True) for uid, event in objects.items()]

    assert len(found) == 3
    assert {name for difference in found for name in difference} == {"finding_info_list[0].uid"}
