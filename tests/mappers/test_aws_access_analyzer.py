"""Findings of IAM Access Analyzer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_logs import event, reasons
from finding_shapes import records, shape

from ocsflake import mapper
from ocsflake.model import RawBatch

LOG = "aws.access_analyzer"
PUBLIC, PARTNER, KEY, FEDERATED, COUNTED, PASSWORD, INTERNAL = records(LOG, "eventbridge")
DETAILED = {finding["findingType"]: finding for finding in records(LOG, "get_finding_v2")}
SUMMARY = records(LOG, "list_findings_v2")
VERSIONS = ["1.1.0", "1.3.0", "1.4.0", "1.5.0", "1.6.0", "1.8.0"]


def facts(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return events without what the API leaves out (Region, version of the event) or adds (the owner)."""
    return {
        uid: {
            name: value
            for name, value in (event | {"resources": [resource.get("uid") for resource in event["resources"]]}).items()
            if name not in ("cloud", "metadata", "observables")
        }
        for uid, event in found.items()
    }


@pytest.mark.parametrize("version", ["1.1.0", "1.3.0", "1.5.0", "1.8.0"])
@pytest.mark.parametrize(("part", "count"), [("list_findings.", 4), ("get_finding_v2", 3)])
def test_every_shape_gives_the_same_event(part: str, count: int, version: str) -> None:
    """Events and the answers of both APIs make equal events of one finding."""
    delivered = facts(shape(LOG, "eventbridge", version))
    found = {uid: event for uid, event in facts(shape(LOG, part, version)).items() if uid in delivered}

    assert len(found) == count
    assert found == {uid: delivered[uid] for uid in found}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "finding", [PUBLIC, COUNTED, INTERNAL, *DETAILED.values()], ids=lambda finding: finding["id"][-3:]
)
def test_the_class_of_a_finding(finding: dict[str, Any], version: str) -> None:
    """OCSF has had a class for the analysis of access since 1.6; unused permissions one by one have no place in it."""
    found = event(LOG, finding, version)

    analysed = version in ("1.6.0", "1.8.0") and finding is not DETAILED["UnusedPermission"]
    assert found["class_uid"] == (2008 if analysed else 2004)


@pytest.mark.parametrize("version", ["1.1.0", "1.8.0"])
def test_a_summary_is_no_analysis(version: str) -> None:
    """It does not say who has access: it is a detection in every version."""
    found = [event(LOG, finding, version) for finding in SUMMARY]

    assert [finding["class_uid"] for finding in found] == [2004, 2004, 2004]
    assert found[2]["status_detail"] == "ACCESS_DENIED"


def test_a_finding_is_judged_alone() -> None:
    """Its class does not depend on the findings around it."""
    findings = [*SUMMARY, *DETAILED.values()]

    [analysed, detected] = mapper(LOG).map(RawBatch(json.dumps(findings).encode()), "1.8.0").batches

    assert (analysed.event_class, analysed.events.num_rows) == ("iam_analysis_finding", 5)
    assert (detected.event_class, detected.events.num_rows) == ("detection_finding", 4)


def test_every_action_is_an_evidence() -> None:
    """Who may do what, once for each action."""
    for finding in (PUBLIC, DETAILED["ExternalAccess"] | {"findingDetails": [{"externalAccessDetails": PUBLIC}]}):
        assert event(LOG, finding)["evidences"] == [
            {"actor": {"user": {"uid": "*"}}, "api": {"operation": "s3:GetObject"}},
            {"actor": {"user": {"uid": "*"}}, "api": {"operation": "s3:ListBucket"}},
        ]


def test_an_analysis_of_access() -> None:
    """Who has which access."""
    assert event(LOG, FEDERATED, "1.8.0")["access_analysis_result"] == {
        "accessors": [{"uid": "arn:aws:iam::111122223333:oidc-provider/gitlab.example.com"}],
        "granted_privileges": ["sts:AssumeRoleWithWebIdentity"],
    }
    assert event(LOG, INTERNAL, "1.8.0")["access_analysis_result"] == {
        "access_type": "INTRA_ACCOUNT",
        "accessors": [
            {"uid": "arn:aws:iam::111122223333:role/order-intake", "account": {"uid": "111122223333"}},
        ],
        "granted_privileges": ["s3:PutObject"],
    }


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("UnusedIAMRole", {"last_seen_time": 1_769_940_000_000}),
        ("UnusedIAMUserPassword", {"password_last_used_time": 1_775_037_600_000}),
        (
            "UnusedIAMUserAccessKey",
            {"programmatic_credentials": [{"uid": "AKIAEXAMPLEBOB000001", "last_used_time": 1_772_359_200_000}]},
        ),
    ],
)
def test_an_analysis_of_what_is_unused(kind: str, expected: dict[str, Any]) -> None:
    """When it was used last."""
    found = event(LOG, DETAILED[kind], "1.6.0")["identity_activity_metrics"]

    credentials = [
        {name: value for name, value in credential.items() if not name.endswith("_dt")}
        for credential in found.get("programmatic_credentials", [])
    ]
    found = {name: value for name, value in found.items() if not name.endswith("_dt")}
    assert found | ({"programmatic_credentials": credentials} if credentials else {}) == expected


def test_counts_of_what_is_unused() -> None:
    """Events count services and actions that are not used."""
    assert event(LOG, COUNTED, "1.8.0")["permission_analysis_results"] == [
        {"unused_services_count": 10, "unused_privileges_count": 3}
    ]
    assert event(LOG, COUNTED)["unmapped"]["numberOfUnusedServices"] == "10"


def test_several_details() -> None:
    """A finding with several details has the actions of all; which principal has them is not claimed."""
    details = [{"externalAccessDetails": PUBLIC}, {"externalAccessDetails": PARTNER}]

    found = event(LOG, DETAILED["ExternalAccess"] | {"findingDetails": details})

    assert [evidence["api"]["operation"] for evidence in found["evidences"]] == [
        "s3:GetObject",
        "s3:ListBucket",
        "sts:AssumeRole",
    ]
    assert "actor" not in found["evidences"][0]
    assert found["unmapped"]["findingDetails[].externalAccessDetails.principal.AWS"] == "*,444455556666"


@pytest.mark.parametrize(
    ("finding", "version", "expected"),
    [
        (PUBLIC, "1.1.0", (1, 1, "New")),
        (PARTNER, "1.1.0", (2, 3, "Suppressed")),
        (PARTNER, "1.3.0", (2, 3, "Suppressed")),
        (PARTNER, "1.4.0", (2, 5, "Archived")),
        (PARTNER, "1.8.0", (2, 5, "Archived")),
        (KEY, "1.1.0", (3, 4, "Resolved")),
    ],
)
def test_status(finding: dict[str, Any], version: str, expected: tuple[int, int, str]) -> None:
    """OCSF has had Archived since 1.4; a resolved finding is closed."""
    found = event(LOG, finding, version)

    assert (found["activity_id"], found["status_id"], found["status"]) == expected


def test_times() -> None:
    """An event is of the last change; the resource was last seen when it was analysed."""
    found = event(LOG, PARTNER)

    assert found["time"] == found["finding_info"]["modified_time"] == 1_794_906_000_000
    assert found["finding_info"]["last_seen_time"] == 1_794_902_400_000
    assert found["finding_info"]["created_time"] == 1_790_841_600_000


def test_types() -> None:
    """Events of external access are older than the types, and name none."""
    assert event(LOG, PUBLIC)["finding_info"]["types"] == ["ExternalAccess"]
    assert event(LOG, PASSWORD)["finding_info"]["title"] == "UnusedIAMUserPassword"


def test_account_and_region() -> None:
    """Those of the finding, else of the resource, else of the call that returned it."""
    bare = {name: value for name, value in PUBLIC.items() if name not in ("accountId", "region")}

    assert event(LOG, PUBLIC)["cloud"] == {"provider": "AWS", "region": "us-east-1", "account": {"uid": "111122223333"}}
    assert event(LOG, DETAILED["UnusedIAMRole"])["cloud"] == {"provider": "AWS", "account": {"uid": "111122223333"}}
    assert event(LOG, bare, account="444455556666", region="eu-west-1")["cloud"] == {
        "provider": "AWS",
        "region": "eu-west-1",
        "account": {"uid": "444455556666"},
    }


def test_what_is_no_finding() -> None:
    """Previews are skipped; a record without an id and a type of resource is rejected."""
    preview = {"detail-type": "Access Preview State Change", "detail": {"accessPreviewId": "1", "status": "COMPLETED"}}

    assert mapper(LOG).map(RawBatch(json.dumps(preview).encode())).skipped == {"access preview": 1}
    assert reasons(LOG, b'{"id": "1"}') == [("no event class of aws.access_analyzer takes it", "")]
