"""Azure Storage: who read, wrote and deleted what, and how they proved who they were."""

from __future__ import annotations

import json
from typing import Any

import pytest
from azure_events import differences, event_of, of_file

ACCOUNT = (
    "/subscriptions/3D5F7A90-1C2E-4B68-9A0C-5E7D9F1B2A34/resourceGroups/s"
    "/providers/Microsoft.Storage/storageAccounts/acc"
)


def record(service: str = "blob", **more: Any) -> dict[str, Any]:
    properties = {"accountName": "acc", "serviceType": service, "objectKey": "/acc/box/a/b.txt"}
    return {
        "time": "2026-11-17T08:00:03.1234567Z",
        "resourceId": f"{ACCOUNT}/{service}Services/default",
        "category": "StorageRead",
        "operationName": "GetBlob",
        "statusCode": 200,
        "statusText": "Success",
        "callerIpAddress": "203.0.113.10:52114",
        "identity": {"type": "OAuth", "requester": {"objectId": "o-1", "upn": "alice@example.com", "appId": "app-1"}},
        "uri": "https://acc.blob.core.windows.net:443/box/a/b.txt",
        "properties": properties | more.pop("properties", {}),
        **more,
    }


@pytest.mark.parametrize(
    ("category", "operation", "activity"),
    [
        ("StorageRead", "GetBlob", "Read"),
        ("StorageRead", "GetBlobProperties", "Read"),
        ("StorageRead", "QueryEntities", "Query"),
        ("StorageWrite", "PutBlob", "Create"),
        ("StorageWrite", "PutBlock", "Write"),
        ("StorageWrite", "CreateContainer", "Create"),
        ("StorageWrite", "SetBlobTags", "Update"),
        ("StorageWrite", "LeaseBlob", "Write"),
        ("StorageDelete", "DeleteBlob", "Delete"),
        ("StorageRead", "ListBlobs", "List"),
        (None, None, "Unknown"),
    ],
)
def test_operations(category: Any, operation: Any, activity: str) -> None:
    """The operation is the activity where it says more than its category does."""
    event = event_of("azure.storage", record(category=category, operationName=operation))

    assert event["activity_name"] == activity


def test_lists_before_they_were_known() -> None:
    """List is an activity from OCSF 1.2 on; before it is another."""
    event = event_of("azure.storage", record(operationName="ListBlobs"), "1.1.0")

    assert (event["activity_id"], event["activity_name"]) == (99, "List")


@pytest.mark.parametrize(
    ("code", "text", "status"),
    [
        (200, "Success", "Success"),
        ("200", "SASSuccess", "Success"),
        (403, "AuthorizationFailure", "Failure"),
        (404, "BlobNotFound", "Failure"),
        ("0", "Success", "Success"),
        ("0xC0000034", "ObjectNameNotFound", "Failure"),
        (None, None, "Unknown"),
    ],
)
def test_outcomes(code: Any, text: Any, status: str) -> None:
    """A status of HTTP counts; files over SMB have a code of their own, and their text counts."""
    assert event_of("azure.storage", record(statusCode=code, statusText=text))["status"] == status


@pytest.mark.parametrize("kind", ["AccountKey", "SAS", "Anonymous"])
def test_who_has_no_name(kind: str) -> None:
    """There is an actor where nobody is named: OCSF requires one, and a lookup finds anonymous requests."""
    event = event_of("azure.storage", record(identity={"type": kind, "tokenHash": "key1(00)"}), "1.1.0")

    assert event["actor"]["user"]["name"] == kind
    assert event["actor"]["user"]["credential_uid"] == "key1(00)"


@pytest.mark.parametrize("identity", [None, {"type": "system"}])
def test_the_platform_itself(identity: Any) -> None:
    """A request of the platform has no requester, and no address."""
    event = event_of("azure.storage", record(identity=identity, callerIpAddress=None))

    assert event["actor"]["invoked_by"] == "Microsoft.Storage"
    assert "user" not in event["actor"]
    assert event["src_endpoint"] == {"svc_name": "Microsoft.Storage"}


def test_signatures_do_not_pass() -> None:
    """The signature of a shared access token is nowhere in the event, wherever a record has it."""
    made = record(
        uri="https://acc.blob.core.windows.net/box/a?sv=1&sig=s3cr%2Bt&se=2",
        properties={"sourceUri": "https://x/y?sig=s3cr%2Bt", "referrerHeader": "https://x/?SIG=s3cr%2Bt"},
    )
    event = event_of("azure.storage", made)

    assert event["http_request"]["url"]["url_string"].endswith("?sv=1&sig=XXXXX&se=2")
    assert event["http_request"]["http_headers"] == [{"name": "x-ms-copy-source", "value": "https://x/y?sig=XXXXX"}]
    assert "s3cr" not in json.dumps(event)


def test_addresses_have_ports() -> None:
    """The caller's port stands behind the address."""
    endpoint = event_of("azure.storage", record())["src_endpoint"]

    assert endpoint == {"ip": "203.0.113.10", "port": 52114}


def test_a_blob() -> None:
    """The account's blob service is the bucket, the blob a file in it."""
    event = event_of("azure.storage", record())

    assert event["type_id"] == 2
    assert event["databucket"] == {
        "name": "acc",
        "uid": f"{ACCOUNT}/blobServices/default",
        "type": "Azure Blob",
        "type_id": 2,
        "file": {"name": "b.txt", "path": "/acc/box/a/b.txt", "type": "Regular File", "type_id": 1},
    }


def test_a_container_is_a_folder() -> None:
    """A key that ends with the container is a folder."""
    event = event_of("azure.storage", record(properties={"objectKey": "/acc/box"}))

    assert event["databucket"]["file"]["type"] == "Folder"


def test_a_table() -> None:
    """Tables are tables, queues are buckets of another kind."""
    table = event_of("azure.storage", record("table", properties={"objectKey": "/acc/customers()"}))
    queue = event_of("azure.storage", record("queue", properties={"objectKey": "/acc/orders"}))

    assert (table["type_id"], table["table"]["name"]) == (3, "customers")
    assert "databucket" not in table
    assert (queue["type_id"], queue["databucket"]["type"]) == (99, "queue")


def test_the_account_is_the_subscription() -> None:
    """The storage account's subscription is the account."""
    assert event_of("azure.storage", record())["cloud"]["account"]["uid"] == "3d5f7a90-1c2e-4b68-9a0c-5e7d9f1b2a34"


@pytest.mark.parametrize("shape", ["eventhub", "log_analytics.", "log_analytics_query", "portal_export"])
def test_equal_events_in_every_shape(shape: str) -> None:
    """A record is the same event as a blob's line, from Event Hubs, from its table, and from the portal."""
    first = of_file("azure.storage", "insights-logs")
    found = of_file("azure.storage", shape)

    assert found.keys() <= first.keys()
    assert [difference for uid, event in found.items() if (difference := differences(first[uid], event))] == []
