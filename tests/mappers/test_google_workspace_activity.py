"""Google Workspace: which class an event becomes, and what its parameters say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sample_events import events, lines, raw_batches

from ocsflake import mapper, samples
from ocsflake.model import RawBatch

LOG = "google_workspace.activity"


def activity(app: str, name: str, **more: Any) -> dict[str, Any]:
    parameters = [
        {"name": key, "boolValue" if isinstance(value, bool) else "value": value}
        for key, value in more.pop("parameters", {}).items()
    ]
    return {
        "kind": "admin#reports#activity",
        "id": {
            "time": "2026-11-17T12:00:01.123Z",
            "uniqueQualifier": "-9007199254740993",
            "applicationName": app,
            "customerId": "C00examp1",
        },
        "actor": {"callerType": "USER", "email": "alice@example.com", "profileId": "110000000000000000011"},
        "ipAddress": "203.0.113.10",
        "events": [{"type": "t", "name": name, "parameters": parameters}],
        **more,
    }


def event_of(app: str, name: str, version: str = "1.8.0", **more: Any) -> dict[str, Any]:
    (found,) = events(RawBatch(json.dumps(activity(app, name, **more)).encode()), LOG, version)
    return found


GROUP = {"GROUP_EMAIL": "g@example.com"}
MEMBER = GROUP | {"USER_EMAIL": "bob@example.com"}
FILE = {"doc_id": "d-1", "doc_title": "plan"}


@pytest.mark.parametrize(
    ("app", "name", "parameters", "type_uid"),
    [
        ("login", "login_success", {}, 300201),
        ("login", "login_failure", {}, 300201),
        ("saml", "login_success", {}, 300201),
        ("login", "logout", {}, 300202),
        ("login", "login_challenge", {}, 300299),
        ("login", "account_disabled_hijacked", {}, 300105),
        ("login", "gov_attack_warning", {}, 200401),
        ("rules", "rule_trigger", {}, 200401),
        ("user_accounts", "2sv_enroll", {}, 300110),
        ("user_accounts", "2sv_disable", {}, 300111),
        ("user_accounts", "password_edit", {}, 300103),
        ("admin", "CREATE_USER", MEMBER, 300101),
        ("admin", "SUSPEND_USER", MEMBER, 300105),
        ("admin", "UNSUSPEND_USER", MEMBER, 300102),
        ("admin", "CHANGE_PASSWORD", MEMBER, 300104),
        ("admin", "ADD_GROUP_MEMBER", MEMBER, 300603),
        ("admin", "REMOVE_GROUP_MEMBER", MEMBER, 300604),
        ("admin", "CREATE_GROUP", GROUP, 300606),
        ("admin", "ASSIGN_ROLE", {"ROLE_NAME": "r"}, 300401),
        ("admin", "CHANGE_APPLICATION_SETTING", {"SETTING_NAME": "s"}, 300403),
        ("groups", "add_member", {"group_email": "g@example.com"}, 300603),
        ("drive", "upload", FILE, 600601),
        ("drive", "trash", FILE, 600604),
        ("drive", "rename", FILE, 600605),
        ("drive", "change_user_access", FILE, 600612),
        ("drive", "view", FILE, 600614),
        ("drive", "sheets_import_range", FILE, 600699),
        ("drive", "shared_drive_settings_change", {}, 600399),
        ("token", "authorize", {}, 600301),
        ("token", "revoke", {}, 600304),
        ("calendar", "change_calendar_acls", {}, 600303),
    ],
)
def test_classes(app: str, name: str, parameters: dict[str, str], type_uid: int) -> None:
    """The application and the name of an event pick its class and its activity."""
    assert event_of(app, name, parameters=parameters)["type_uid"] == type_uid


@pytest.mark.parametrize(("name", "status"), [("login_success", 1), ("login_failure", 2), ("suspicious_login", 0)])
def test_outcomes_of_sign_ins(name: str, status: int) -> None:
    """A failed sign-in is a Logon that failed; a suspicious one says nothing of its outcome."""
    event = event_of("login", name, parameters={"login_failure_type": "login_failure_invalid_password"})

    assert (event["activity_name"], event["status_id"]) == ("Logon", status)
    assert event["status_detail"] == "login_failure_invalid_password"


@pytest.mark.parametrize(
    ("login_type", "protocol"), [("saml", "SAML"), ("exchange", "OAUTH 2.0"), ("google_password", "Other")]
)
def test_protocols_of_sign_ins(login_type: str, protocol: str) -> None:
    """How somebody signed in is the protocol; OCSF has none for a password."""
    event = event_of("login", "login_success", parameters={"login_type": login_type, "is_second_factor": True})

    assert event["auth_protocol"] == login_type
    assert event["auth_protocol_id"] == {"SAML": 5, "OAUTH 2.0": 6, "Other": 99}[protocol]
    assert event["is_mfa"] is True


def test_risk() -> None:
    """A suspicious sign-in has a high risk from OCSF 1.4 on; before, the parameter stays."""
    new, old = (event_of("login", "login_success", v, parameters={"is_suspicious": True}) for v in ("1.4.0", "1.3.0"))

    assert new["risk_level"] == "High"
    assert old["unmapped"]["events[].parameters[].name"] == "is_suspicious"
    assert old["unmapped"]["events[].parameters[].boolValue"] == "true"


def test_a_group_without_a_user() -> None:
    """Group Management required a user or a privilege up to OCSF 1.3: there a new group is a managed entity."""
    new, old = (event_of("admin", "CREATE_GROUP", v, parameters=GROUP) for v in ("1.4.0", "1.3.0"))

    assert (new["class_uid"], new["group"]["name"]) == (3006, "g@example.com")
    assert (old["class_uid"], old["entity"]["name"]) == (3004, "g@example.com")


def test_who_is_affected() -> None:
    """The user of a change is who was changed, the actor who did it; without a name it is the same person."""
    changed = event_of("admin", "CREATE_USER", parameters=MEMBER)
    own = event_of("user_accounts", "password_edit")

    assert changed["user"] == {"name": "bob@example.com", "email_addr": "bob@example.com"}
    assert changed["actor"]["user"]["name"] == "alice@example.com"
    assert own["user"]["uid"] == "110000000000000000011"


def test_files() -> None:
    """A file has its document's name and id; a folder is one."""
    event = event_of("drive", "view", parameters=FILE | {"doc_type": "folder", "owner": "bob@example.com"})

    assert event["file"] == {
        "name": "plan",
        "uid": "d-1",
        "type": "Folder",
        "type_id": 2,
        "owner": {"name": "bob@example.com", "email_addr": "bob@example.com"},
    }


@pytest.mark.parametrize("actor", [{}, {"callerType": "KEY", "key": "SYSTEM"}])
def test_what_google_does_itself(actor: dict[str, str]) -> None:
    """A record may have no person and no address."""
    event = event_of("calendar", "change_calendar_acls", "1.1.0", actor=actor, ipAddress=None)

    assert event["src_endpoint"] == {"svc_name": "Google Workspace"}
    assert event["actor"].get("invoked_by") == (None if actor else "Google Workspace")
    assert event["actor"].get("user", {}).get("name") == actor.get("key")


def test_an_address_that_is_none() -> None:
    """What is no address stays, and the event with it."""
    event = event_of("calendar", "change_calendar_acls", ipAddress="unknown host")

    assert event["src_endpoint"] == {"svc_name": "Google Workspace"}
    assert event["unmapped"]["ipAddress"] == "unknown host"


def test_ids_are_exact() -> None:
    """The id is a signed number of 64 bits, which a float would change; events of one activity share it."""
    event = event_of("login", "logout")

    assert event["metadata"]["uid"] == "-9007199254740993/logout"


def test_the_customer_is_the_account() -> None:
    """The customer is organization and account; its type has a name of its own from OCSF 1.4 on."""
    new, old = (event_of("login", "logout", version)["cloud"] for version in ("1.4.0", "1.1.0"))

    assert new["org"] == {"uid": "C00examp1"}
    assert new["account"] == {"uid": "C00examp1", "type": "Google Workspace", "type_id": 15}
    assert old["account"] == {"uid": "C00examp1", "type": "Google Workspace", "type_id": 99}


def test_parameters_of_every_kind_are_kept() -> None:
    """Values of all kinds stay: numbers as text, lists, and messages that nest parameters."""
    made = activity("token", "authorize")
    made["events"][0]["parameters"] = [
        {"name": "n", "intValue": "9007199254740993"},
        {"name": "m", "multiValue": ["a", "b"]},
        {"name": "o", "multiMessageValue": [{"parameter": [{"name": "p", "value": "q"}]}]},
    ]
    (event,) = events(RawBatch(json.dumps(made).encode()), LOG, "1.8.0")
    kept = event["unmapped"]

    assert kept["events[].parameters[].intValue"] == "9007199254740993"
    assert kept["events[].parameters[].multiValue[]"] == "a,b"
    assert kept["events[].parameters[].multiMessageValue[].parameter[].value"] == "q"


def test_equal_events_in_every_shape() -> None:
    """The API's list, JSON lines, and activities that were split by event give the same events."""
    listed, split = (path for path in sorted(samples.files(LOG), key=lambda path: path.suffix))
    first, second = (lines(mapper(LOG).map_batches(raw_batches([path])), "1.1.0") for path in (listed, split))
    halves = [
        json.dumps({**made, "events": event}).encode()
        for made in map(json.loads, split.read_bytes().splitlines())
        for event in made["events"]
    ]
    third = lines([mapper(LOG).map(RawBatch(halves))], "1.1.0")

    assert first == second
    assert sorted(first) == sorted(third)
