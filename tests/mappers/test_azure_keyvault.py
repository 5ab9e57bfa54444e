"""Azure Key Vault: what was done with which secret, by whom, and whether it was allowed."""

from __future__ import annotations

from typing import Any

import pytest
from azure_events import differences, event_of, of_file

VAULT = "/SUBSCRIPTIONS/3D5F7A90-1C2E-4B68-9A0C-5E7D9F1B2A34/RESOURCEGROUPS/SHOP/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/KV"


def record(**more: Any) -> dict[str, Any]:
    properties = {"id": "https://kv.vault.azure.net/secrets/a", "httpStatusCode": 200} | more.pop("properties", {})
    return {
        "time": "2026-11-17T08:00:03.1234567Z",
        "resourceId": VAULT,
        "operationName": "SecretGet",
        "category": "AuditEvent",
        "resultType": "Success",
        "callerIpAddress": "203.0.113.10",
        "identity": {"claim": {"oid": "o-1", "upn": "alice@example.com", "appid": "app-1"}},
        "properties": properties,
        **more,
    }


@pytest.mark.parametrize(
    ("operation", "activity"),
    [
        ("SecretGet", "Read"),
        ("SecretListVersions", "Read"),
        ("KeyVerify", "Read"),
        ("SecretSet", "Create"),
        ("KeyImport", "Create"),
        ("CertificateContactsSet", "Create"),
        ("CertificateUpdate", "Update"),
        ("VaultPatch", "Update"),
        ("SecretPurge", "Delete"),
        ("KeySign", "Sign"),
        ("KeyUnwrap", "Unwrap"),
        ("Authentication", "Authentication"),
    ],
)
def test_the_verb_is_the_activity(operation: str, activity: str) -> None:
    """The verb behind the kind of object says what was done; cryptography has no activity of its own."""
    assert event_of("azure.keyvault", record(operationName=operation))["activity_name"] == activity


@pytest.mark.parametrize(
    ("result", "code", "status"),
    [
        ("Success", 200, "Success"),
        ("Success", 401, "Failure"),
        ("Failed", 403, "Failure"),
        ("Success", "404", "Failure"),
        ("Success", None, "Success"),
        ("Failed", None, "Failure"),
        (None, None, "Unknown"),
    ],
)
def test_the_status_of_http_counts(result: Any, code: Any, status: str) -> None:
    """A call that was answered with 401 or 403 failed, whatever its result type says."""
    event = event_of("azure.keyvault", record(resultType=result, properties={"httpStatusCode": code}))

    assert event["status"] == status


@pytest.mark.parametrize("identity", [{}, {"claim": {}}, None])
def test_a_call_without_a_token_is_anonymous(identity: Any) -> None:
    """A client's first call has no identity: it is an event all the same."""
    event = event_of("azure.keyvault", record(identity=identity), "1.1.0")

    assert event["actor"] == {"user": {"name": "Anonymous"}}


def test_what_the_vault_does_itself() -> None:
    """A notification has no caller and no address."""
    event = event_of("azure.keyvault", record(identity={}, callerIpAddress=""))

    assert event["actor"] == {"invoked_by": "Microsoft.KeyVault"}
    assert event["src_endpoint"] == {"svc_name": "Microsoft.KeyVault"}


def test_an_application() -> None:
    """A caller without a user is its application, by the object id; the application has an attribute from 1.2 on."""
    made = record(identity={"claim": {"oid": "o-2", "appid": "app-2"}})
    new, old = (event_of("azure.keyvault", made, version) for version in ("1.2.0", "1.1.0"))

    assert new["actor"] == {"app_uid": "app-2", "user": {"name": "o-2", "uid": "o-2"}}
    assert old["actor"] == {"user": {"name": "o-2", "uid": "o-2"}}
    assert old["unmapped"]["identity.claim.appid"] == "app-2"


@pytest.mark.parametrize(
    ("address", "ip", "port"),
    [
        ("203.0.113.10:443", "203.0.113.10", 443),
        ("[2001:db8::1]:50110", "2001:db8::1", 50110),
        ("2001:db8::1", "2001:db8::1", None),
    ],
)
def test_addresses_with_ports(address: str, ip: str, port: int | None) -> None:
    """A port behind the caller's address is its port."""
    endpoint = event_of("azure.keyvault", record(callerIpAddress=address))["src_endpoint"]

    assert (endpoint["ip"], endpoint.get("port")) == (ip, port)


@pytest.mark.parametrize(("duration", "expected"), [(12, 12), ("12", 12), (12.7, 12), (None, None)])
def test_durations(duration: Any, expected: int | None) -> None:
    """Durations come as numbers, text or fractions; milliseconds are whole."""
    assert event_of("azure.keyvault", record(durationMs=duration)).get("duration") == expected


def test_the_vault_and_what_it_keeps() -> None:
    """The vault is the first resource, the object in it the second; the subscription is the account."""
    event = event_of("azure.keyvault", record())

    assert event["resources"] == [
        {"uid": VAULT, "name": "KV", "type": "MICROSOFT.KEYVAULT/VAULTS"},
        {"uid": "https://kv.vault.azure.net/secrets/a"},
    ]
    assert event["cloud"]["account"]["uid"] == "3d5f7a90-1c2e-4b68-9a0c-5e7d9f1b2a34"


@pytest.mark.parametrize("shape", ["eventhub", "log_analytics_azkv", "log_analytics_query", "portal_export"])
def test_equal_events_in_every_shape(shape: str) -> None:
    """A record is the same event as a blob's line, from Event Hubs, from either table, and from the portal."""
    first = of_file("azure.keyvault", "insights-logs")
    found = of_file("azure.keyvault", shape)

    assert found.keys() <= first.keys()
    assert [difference for uid, event in found.items() if (difference := differences(first[uid], event))] == []
