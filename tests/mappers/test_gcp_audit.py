"""Google Cloud Audit Logs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gcp_shapes import entries, entry, event

from ocsflake import mapper
from ocsflake.model import RawBatch

LOG_TYPE = "gcp.audit"
CALL = entry(LOG_TYPE, "crm0setiam01")
LEGACY = "ci-legacy@example-shop-prod.iam.gserviceaccount.com"
KEY = f"//iam.googleapis.com/projects/example-shop-prod/serviceAccounts/{LEGACY}"


def call(version: str = "1.1.0", **payload: Any) -> dict[str, Any]:
    """Return the event of a call with some members of its payload changed; ``None`` takes one out."""
    merged = {key: value for key, value in (CALL["protoPayload"] | payload).items() if value is not None}
    return event(LOG_TYPE, CALL | {"protoPayload": merged}, version)


def by_id(name: str, version: str = "1.1.0") -> dict[str, Any]:
    return event(LOG_TYPE, entry(LOG_TYPE, name), version)


@pytest.mark.parametrize(
    ("method", "activity"),
    [
        ("SetIamPolicy", 3),
        ("storage.setIamPermissions", 3),
        ("storage.objects.get", 2),
        ("storage.objects.list", 2),
        ("compute.instances.aggregatedList", 2),
        ("google.iam.v1.IAMPolicy.TestIamPermissions", 2),
        ("jobservice.getqueryresults", 2),
        ("io.k8s.core.v1.pods.exec.create", 1),
        ("jobservice.insert", 1),
        ("google.cloud.bigquery.v2.JobService.InsertJob", 1),
        ("v1.compute.subnetworks.patch", 3),
        ("beta.compute.instanceTemplates.delete", 4),
        ("google.cloud.kms.v1.KeyManagementService.DestroyCryptoKeyVersion", 4),
        ("storage.buckets.getaway", 99),
        ("jobservice.jobcompleted", 99),
        ("compute.instances.migrateOnHostMaintenance", 99),
    ],
)
def test_activity(method: str, activity: int) -> None:
    """The last word of the method decides on the activity, by how it begins, up to the end of a word."""
    found = call(methodName=method)

    assert found["activity_id"] == activity
    assert found["api"]["operation"] == method
    if activity == 99:
        assert found["activity_name"] == method.rpartition(".")[2]


@pytest.mark.parametrize(("status", "outcome"), [(None, 1), ({}, 1), ({"code": 0}, 1), ({"message": "done"}, 1)])
def test_success(status: Any, outcome: int) -> None:
    """A call succeeded if it has no status, an empty one, or code 0."""
    assert call(status=status)["status_id"] == outcome


@pytest.mark.parametrize("code", [7, "7"])
def test_failure(code: Any) -> None:
    """A code of google.rpc is a failure, with its name; a number as text is a number."""
    found = call(status={"code": code, "message": "no"})

    assert (found["status_id"], found["status_code"], found["status_detail"]) == (2, "7", "no")
    assert found["api"]["response"] == {"code": 7, "error": "PERMISSION_DENIED", "message": "no"}


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("2001:db8::1", {"ip": "2001:db8::1"}),
        ("private", {"name": "private"}),
        ("gce-internal-ip", {"name": "gce-internal-ip"}),
        (None, {"svc_name": "cloudresourcemanager.googleapis.com"}),
    ],
)
def test_source(address: str | None, endpoint: dict[str, str]) -> None:
    """What is no address names the source; a call without one is the service's own."""
    assert call(requestMetadata={"callerIp": address})["src_endpoint"] == endpoint
    assert call(requestMetadata={"callerIP": address})["src_endpoint"] == endpoint


def test_network_of_the_caller() -> None:
    """The network that a call came from belongs to its source."""
    found = by_id("kms0dec00001")

    assert (
        found["src_endpoint"]["vpc_uid"] == "//compute.googleapis.com/projects/example-shop-prod/global/networks/shop"
    )


@pytest.mark.parametrize(
    ("digits", "time"),
    [("", 1794817211000), (".1", 1794817211100), (".1239", 1794817211123), (".999999999", 1794817211999)],
)
def test_time(digits: str, time: int) -> None:
    """Any number of digits of a second is floored to milliseconds; the text stays, with all of them."""
    text = f"2026-11-16T08:20:11{digits}Z"
    found = event(LOG_TYPE, CALL | {"timestamp": text})

    assert found["time"] == time
    assert found["metadata"]["original_time"] == text


def test_time_of_arrival() -> None:
    """An entry without a timestamp has the time at which it was received."""
    found = event(LOG_TYPE, {key: value for key, value in CALL.items() if key != "timestamp"})

    assert found["time"] == found["metadata"]["logged_time"] == 1794817212987


@pytest.mark.parametrize(
    ("severity", "expected"),
    [
        (None, 1),
        ("DEFAULT", 1),
        ("NOTICE", 1),
        (300, 1),
        ("WARNING", 3),
        ("ERROR", 4),
        (500, 4),
        ("CRITICAL", 5),
        ("ALERT", 5),
        ("EMERGENCY", 6),
        ("ODD", 99),
    ],
)
def test_severity(severity: Any, expected: int) -> None:
    """Severities come as words or as numbers, or not at all."""
    found = event(LOG_TYPE, CALL | {"severity": severity})

    assert found["severity_id"] == expected
    assert found["severity"] == ("ODD" if expected == 99 else found["severity"])


def test_authorizations() -> None:
    """Each permission has its decision; one that is not said to be granted was denied."""
    found = call(
        authorizationInfo=[
            {"permission": "a.b.get", "granted": True},
            {"permission": "a.b.delete", "granted": False},
            {"permission": "a.b.update", "resource": "r"},
        ]
    )

    assert found["actor"]["authorizations"] == [
        {"decision": "allowed", "policy": {"name": "a.b.get"}},
        {"decision": "denied", "policy": {"name": "a.b.delete"}},
        {"decision": "denied", "policy": {"name": "a.b.update"}},
    ]
    assert found["unmapped"]["protoPayload.authorizationInfo[].resource"] == "r"


def test_denied_without_a_word() -> None:
    """Where no permission of a batch is said to be granted, all were denied."""
    found = call(authorizationInfo=[{"permission": "a.b.get"}])

    assert found["actor"]["authorizations"] == [{"decision": "denied", "policy": {"name": "a.b.get"}}]


@pytest.mark.parametrize(
    ("identity", "kind"),
    [
        ({"principalEmail": "alice@example.com"}, ("User", 1)),
        ({"principalEmail": "x@p.iam.gserviceaccount.com"}, ("Service", 4)),
        ({"principalEmail": "1@cloudservices.gserviceaccount.com"}, ("Service", 4)),
        ({"principalEmail": "x", "principalSubject": "serviceAccount:x"}, ("Service", 4)),
        ({"principalEmail": "system@google.com"}, ("System", 3)),
        ({"principalEmail": "system:kube-scheduler"}, ("System", 3)),
        ({"principalEmail": "system:serviceaccount:shop:checkout"}, ("Service", 4)),
    ],
)
def test_kinds_of_users(identity: dict[str, str], kind: tuple[str, int]) -> None:
    """Service accounts are Service from OCSF 1.6 on, and Other by that name before."""
    newer, older = (call(version, authenticationInfo=identity)["actor"]["user"] for version in ("1.8.0", "1.1.0"))

    assert (newer["type"], newer["type_id"]) == kind
    assert (older["type"], older["type_id"]) == (kind[0], 99 if kind[1] == 4 else kind[1])


def test_service_account_key() -> None:
    """A call with a key of a service account names the key."""
    user = by_id("gcs0get00001")["actor"]["user"]

    assert user["credential_uid"] == f"{KEY}/keys/0123456789abcdef0123456789abcdef01234567"
    assert user["uid"] == f"serviceAccount:{LEGACY}"


@pytest.mark.parametrize(
    ("name", "pool", "kind"),
    [
        ("iamcred00001", "projects/314159265358/locations/global/workloadIdentityPools/gitlab", 4),
        ("wf0pool00001", "locations/global/workforcePools/example-staff", 1),
    ],
)
def test_federated_identities(name: str, pool: str, kind: int) -> None:
    """A third-party identity has no email: its subject names it, and its pool is the identity provider."""
    actor = by_id(name, "1.8.0")["actor"]

    assert actor["idp"] == {"name": pool.rpartition("/")[2], "uid": pool}
    assert actor["user"]["name"] == actor["user"]["uid"]
    assert actor["user"]["uid"].startswith(f"principal://iam.googleapis.com/{pool}/subject/")
    assert actor["user"]["type_id"] == kind
    assert "email_addr" not in actor["user"]


def test_delegation() -> None:
    """The one who acts as a service account issued its session; of a chain the first, and all are kept."""
    chain = by_id("kms0dec00001")
    path = "protoPayload.authenticationInfo.serviceAccountDelegationInfo[].firstPartyPrincipal.principalEmail"

    assert by_id("-vm0first001")["actor"]["session"]["issuer"].startswith("principal://iam.googleapis.com/")
    assert chain["actor"]["session"]["issuer"] == "service-314159265358@compute-system.iam.gserviceaccount.com"
    assert chain["unmapped"][path] == "service-314159265358@compute-system.iam.gserviceaccount.com,dave@example.com"


def test_no_identity() -> None:
    """What a service does by itself, it invoked."""
    assert by_id("sys0noident1")["actor"] == {"invoked_by": "cloudsql.googleapis.com"}


def test_client() -> None:
    """The OAuth client is the application of the actor, from OCSF 1.2 on."""
    client = {"oauthInfo": {"oauthClientId": "1.apps.googleusercontent.com"}, "principalEmail": "a@example.com"}
    path = "protoPayload.authenticationInfo.oauthInfo.oauthClientId"

    assert call("1.8.0", authenticationInfo=client)["actor"]["app_uid"] == "1.apps.googleusercontent.com"
    assert call("1.1.0", authenticationInfo=client)["unmapped"][path] == "1.apps.googleusercontent.com"


def test_long_running_operation() -> None:
    """The two entries of an operation share its id; the last has no authorization."""
    first, last = by_id("-vm0first001"), by_id("-vm0last0001")

    assert first["metadata"]["correlation_uid"] == last["metadata"]["correlation_uid"]
    assert (first["unmapped"]["operation.first"], last["unmapped"]["operation.last"]) == ("true", "true")
    assert "authorizations" not in last["actor"]
    assert first["metadata"]["uid"] != last["metadata"]["uid"]


def test_resource_without_a_name() -> None:
    """A resource that has no name is none."""
    found = by_id("sys0noident1")

    assert "resources" not in found
    assert found["unmapped"]["resource.type"] == "cloudsql_database"


@pytest.mark.parametrize(
    ("labels", "cloud"),
    [
        ({"zone": "europe-west1-b"}, {"region": "europe-west1", "zone": "europe-west1-b"}),
        ({"location": "us-central1-ai1a"}, {"region": "us-central1", "zone": "us-central1-ai1a"}),
        ({"location": "northamerica-northeast2"}, {"region": "northamerica-northeast2"}),
        ({"location": "EU"}, {"region": "EU"}),
        ({"location": ""}, {}),
        ({"region": "europe-west12"}, {"region": "europe-west12"}),
    ],
)
def test_place(labels: dict[str, str], cloud: dict[str, str]) -> None:
    """A zone is in the region that it is called after; what is neither zone nor region stands for the region."""
    resource = {"type": "x", "labels": labels | {"project_id": "example-shop-prod"}}
    found = event(LOG_TYPE, CALL | {"resource": resource})["cloud"]

    assert {key: found[key] for key in ("region", "zone") if key in found} == cloud


@pytest.mark.parametrize(
    ("name", "account"),
    [
        ("1login0a1b2c", {"uid": "271828182845", "type": "GCP Organization", "type_id": 99}),
        ("fold0create1", {"uid": "161803398874", "type": "GCP Folder", "type_id": 99}),
        ("bill0acct001", {"uid": "012345-6789AB-CDEF01", "type": "GCP Billing Account", "type_id": 99}),
        ("crm0setiam01", {"uid": "example-shop-prod", "type": "GCP Project", "type_id": 11}),
    ],
)
def test_account(name: str, account: dict[str, Any]) -> None:
    """An entry of no project belongs to the folder, organization or billing account in the name of its log."""
    newer, older = (by_id(name, version)["cloud"]["account"] for version in ("1.8.0", "1.1.0"))

    assert newer == account
    assert older == account | {"type_id": 99}


def test_policy_denied() -> None:
    """A violation of a policy is a failure of the call; what was violated is kept."""
    found = by_id("vpcsc0000001")

    assert found["metadata"]["product"]["feature"]["name"] == "policy"
    assert found["status_id"] == 2
    assert found["unmapped"]["protoPayload.metadata.violationReason"] == "NO_MATCHING_ACCESS_LEVEL"


def test_changes_of_a_policy() -> None:
    """Setting an IAM policy stays API Activity; what changed in it is kept."""
    found = by_id("crm0setiam01")

    assert (found["class_name"], found["activity_id"]) == ("API Activity", 3)
    assert found["unmapped"]["protoPayload.serviceData.policyDelta.bindingDeltas[].role"] == "roles/storage.admin"
    assert found["api"]["request"]["data"]["policy"]["etag"] == "BwYExample0="


def test_exact_numbers() -> None:
    """Ids and counts of 64 bits keep every digit."""
    found = by_id("bq0job000001")

    assert found["unmapped"]["protoPayload.metadata.jobInsertion.job.jobStats.totalSlotMs"] == "9007199254740993"
    assert found["unmapped"]["protoPayload.numResponseItems"] == "250"


@pytest.mark.parametrize(
    ("name", "activity", "status"), [("1login0a1b2c", 1, 1), ("1login0a1b2d", 1, 2), ("1login0a1b2e", 2, 1)]
)
def test_sign_in(name: str, activity: int, status: int) -> None:
    """Signing in and out is Authentication; the method says whether it failed."""
    found = by_id(name)

    assert (found["class_name"], found["activity_id"], found["status_id"]) == ("Authentication", activity, status)
    assert found["user"]["name"] == found["actor"]["user"]["name"]
    assert found["service"]["name"] == "login.googleapis.com"
    assert found["api"]["request"]["data"][0]["parameter"][0]["label"] == "LABEL_OPTIONAL"


def test_sign_in_of_nobody() -> None:
    """A sign-in that names nobody is API Activity: Authentication cannot do without a user."""
    record = entry(LOG_TYPE, "1login0a1b2d")
    record["protoPayload"]["authenticationInfo"] = {}

    assert event(LOG_TYPE, record)["class_name"] == "API Activity"


@pytest.mark.parametrize(
    ("name", "activity", "user", "uid"),
    [
        ("1login0a1b2f", 10, "bob@example.com", None),
        ("admin-3x9f01", 1, "erin@example.com", None),
        ("admin-3x9f04", 7, "erin@example.com", None),
        ("iam0sa000001", 1, "report-export@example-shop-prod.iam.gserviceaccount.com", "112233445566778899001"),
        ("iam0sa000002", 1, LEGACY, "110000000000000000042"),
        ("iam0sa000003", 1, "system-backup", None),
    ],
)
def test_account_change(name: str, activity: int, user: str, uid: str | None) -> None:
    """What is done to an account is Account Change of that account, whoever did it."""
    found = by_id(name)

    assert (found["class_name"], found["activity_id"]) == ("Account Change", activity)
    assert (found["user"]["name"], found["user"].get("uid")) == (user, uid)
    assert found["user"].get("email_addr") == (user if "@" in user else None)


def test_role_of_an_account() -> None:
    """The role that an administrator gives is the policy of the change."""
    assert by_id("admin-3x9f04")["policy"]["name"] == "_GROUPS_ADMIN_ROLE"


def test_account_in_the_name_of_the_resource() -> None:
    """Where nothing else names a service account, its resource does."""
    record = entry(LOG_TYPE, "iam0sa000002")
    record["resource"]["labels"] = {"project_id": "example-shop-prod"}
    record["protoPayload"] |= {
        "methodName": "google.iam.admin.v1.DisableServiceAccount",
        "resourceName": "projects/-/serviceAccounts/x@example-shop-prod.iam.gserviceaccount.com",
    }
    found = event(LOG_TYPE, record)

    assert (found["activity_id"], found["user"]["name"]) == (5, "x@example-shop-prod.iam.gserviceaccount.com")


def test_account_change_of_nobody() -> None:
    """What is done to an account that the entry does not name is API Activity."""
    record = entry(LOG_TYPE, "iam0sa000003")
    del record["protoPayload"]["request"]

    assert event(LOG_TYPE, record)["class_name"] == "API Activity"


@pytest.mark.parametrize("version", ["1.1.0", "1.3.0", "1.4.0", "1.8.0"])
def test_group_member(version: str) -> None:
    """A member that is added to a group is Group Management in every version."""
    found = by_id("admin-3x9f02", version)

    assert (found["class_name"], found["activity_id"]) == ("Group Management", 3)
    assert (found["group"]["name"], found["user"]["name"]) == ("shop-admins@example.com", "erin@example.com")


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.1.0", ("API Activity", 1)),
        ("1.3.0", ("API Activity", 1)),
        ("1.4.0", ("Group Management", 6)),
        ("1.8.0", ("Group Management", 6)),
    ],
)
def test_group_without_a_user(version: str, expected: tuple[str, int]) -> None:
    """OCSF before 1.4 has no Group Management without a user or a privilege."""
    found = by_id("admin-3x9f03", version)

    assert (found["class_name"], found["activity_id"]) == expected


def test_parameters_of_many_events() -> None:
    """The first event that names a user counts; parameters without text are passed over."""
    record = entry(LOG_TYPE, "admin-3x9f01")
    record["protoPayload"]["metadata"]["event"] = [
        {"eventName": "X", "parameter": [{"name": "FLAG", "boolValue": True}]},
        {"eventName": "Y", "parameter": [{"name": "USER_EMAIL", "value": "first@example.com"}]},
        {"eventName": "Z", "parameter": [{"name": "USER_EMAIL", "value": "second@example.com"}]},
    ]
    found = event(LOG_TYPE, record)

    assert found["user"]["name"] == "first@example.com"
    assert len(found["api"]["request"]["data"]) == 3


@pytest.mark.parametrize("name", ["text00000001", "axt000000001"])
def test_entries_of_other_logs(name: str) -> None:
    """An entry of another log is a Base Event, and nothing of it is lost."""
    found = by_id(name)

    assert found["class_name"] == "Base Event"
    assert found["cloud"]["account"]["uid"] == "example-shop-prod"
    assert found.get("message") == ("checkout took 5210 ms" if name == "text00000001" else None)


def test_what_is_no_entry() -> None:
    """A record that is no entry is rejected, with what it lacks."""
    mapped = mapper(LOG_TYPE).map(RawBatch(b'{"kind": "compute#operation", "status": "DONE"}'))

    assert mapped.records == mapped.rejects.num_rows == 1


def test_paths_in_an_account() -> None:
    """A project that would choose the place of an object is rejected."""
    resource = {"type": "x", "labels": {"project_id": "../other"}}
    mapped = mapper(LOG_TYPE).map(RawBatch(json.dumps(CALL | {"resource": resource}).encode()))

    assert mapped.rejects["attribute"].to_pylist() == ["cloud.account.uid"]


def test_classes_of_the_sample() -> None:
    """The sample has an entry of every class."""
    assert len(entries(LOG_TYPE)) == 29
    assert {by_id(e["insertId"], "1.8.0")["class_name"] for e in entries(LOG_TYPE)} == {
        "API Activity",
        "Account Change",
        "Authentication",
        "Base Event",
        "Group Management",
    }
