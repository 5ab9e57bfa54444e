"""Azure Kubernetes Service: Kubernetes' audit events within the records of Azure."""

from __future__ import annotations

import json
from typing import Any

import pytest
from azure_events import differences, event_of, of_file

CLUSTER = "/SUBSCRIPTIONS/3D5F7A90-1C2E-4B68-9A0C-5E7D9F1B2A34/RESOURCEGROUPS/S/PROVIDERS/X/MANAGEDCLUSTERS/AKS"


def record(log: Any = None, category: str = "kube-audit", **event: Any) -> dict[str, Any]:
    audit = {
        "kind": "Event",
        "level": "Metadata",
        "auditID": "a-1",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/shop/secrets/db",
        "verb": "get",
        "user": {"username": "carol@example.com"},
        "sourceIPs": ["203.0.113.10", "10.0.0.1"],
        "objectRef": {"resource": "secrets", "name": "db", "namespace": "shop"},
        "responseStatus": {"code": 403},
        "stageTimestamp": "2026-11-17T11:00:01.006000Z",
        **event,
    }
    return {
        "time": "2026-11-17T11:00:02.1234567Z",
        "resourceId": CLUSTER,
        "category": category,
        "properties": {"log": log or json.dumps(audit), "stream": "stdout", "pod": "kube-apiserver-1"},
    }


def test_the_text_is_an_audit_event() -> None:
    """What stands in the text of a record becomes the event; the record says which cluster it is of."""
    event = event_of("azure.aks_audit", record())

    assert (event["class_uid"], event["activity_name"], event["status"]) == (6003, "Read", "Failure")
    assert event["actor"]["user"]["name"] == "carol@example.com"
    assert event["src_endpoint"] == {"ip": "203.0.113.10", "intermediate_ips": ["10.0.0.1"]}
    assert event["time_dt"] == "2026-11-17T11:00:01.006Z"
    assert event["metadata"]["uid"] == "a-1/ResponseComplete"
    assert event["metadata"]["logged_time_dt"] == "2026-11-17T11:00:02.123Z"
    assert event["metadata"]["product"]["feature"] == {"name": "kube-audit", "uid": CLUSTER}


def test_the_account_is_the_subscription() -> None:
    """The cluster's subscription is the account, with a type of its own from OCSF 1.4 on."""
    old = event_of("azure.aks_audit", record(), "1.1.0")["cloud"]

    assert old["provider"] == "Azure"
    assert old["account"] == {
        "uid": "3d5f7a90-1c2e-4b68-9a0c-5e7d9f1b2a34",
        "type": "Azure Subscription",
        "type_id": 99,
    }


def test_no_address() -> None:
    """What the control plane asks itself has no address."""
    event = event_of("azure.aks_audit", record(sourceIPs=[]))

    assert event["src_endpoint"] == {"svc_name": "Azure Kubernetes Service"}


@pytest.mark.parametrize(
    ("log", "left"),
    [
        ("I1117 11:04:00 leaderelection.go:250] attempting", "properties.log"),
        ('{"kind":"Event","level":"Metadata"}', "properties.log.kind"),
        ('{"kind":"Event","lev', "properties.log"),
    ],
)
def test_what_is_no_audit_event(log: str, left: str) -> None:
    """Lines of other components and cut-off events become Base Events that keep what was logged."""
    event = event_of("azure.aks_audit", record(log, "kube-controller-manager"), "1.1.0")

    assert event["class_uid"] == 0
    assert event["time_dt"] == "2026-11-17T11:00:02.123Z"
    assert left in event["unmapped"]


def test_rows_of_the_control_plane() -> None:
    """A row of AKSControlPlane is a message."""
    row = {"TimeGenerated": "2026-11-17T11:00:02Z", "Type": "AKSControlPlane", "Category": "guard", "Message": "hello"}
    event = event_of("azure.aks_audit", {**row, "_ResourceId": CLUSTER})

    assert (event["class_uid"], event["message"], event["metadata"]["log_name"]) == (0, "hello", "guard")


@pytest.mark.parametrize("shape", ["eventhub", "portal_export"])
def test_equal_events_with_the_text(shape: str) -> None:
    """A record is the same event as a blob's line, from Event Hubs, and from the portal."""
    first = of_file("azure.aks_audit", "insights-logs-kube-audit")
    found = of_file("azure.aks_audit", shape)

    assert found.keys() == first.keys()
    assert [difference for uid, event in found.items() if (difference := differences(first[uid], event))] == []


@pytest.mark.parametrize("shape", ["log_analytics_aksaudit", "log_analytics_query"])
def test_equal_events_of_the_table(shape: str) -> None:
    """A row of AKSAudit says the same; it has no kind and no version, and its table for a category."""
    first = of_file("azure.aks_audit", "insights-logs-kube-audit")
    found = of_file("azure.aks_audit", shape)
    names = {"metadata.log_name", "metadata.product.feature.name", "metadata.product.version"}

    assert found.keys() <= first.keys()
    for uid, event in found.items():
        assert differences(first[uid], event).keys() <= names
