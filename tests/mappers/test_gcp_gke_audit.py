"""Google Kubernetes Engine audit logs."""

from __future__ import annotations

from typing import Any

import pytest
from gcp_shapes import entry, event

LOG_TYPE = "gcp.gke_audit"
CALL = entry(LOG_TYPE, "000000000003")


def call(version: str = "1.1.0", *, labels: dict[str, str] | None = None, **payload: Any) -> dict[str, Any]:
    """Return the event of a call with some members changed; ``None`` takes one out."""
    merged = {key: value for key, value in (CALL["protoPayload"] | payload).items() if value is not None}
    return event(LOG_TYPE, CALL | {"protoPayload": merged} | ({} if labels is None else {"labels": labels}), version)


def by_id(name: str, version: str = "1.1.0") -> dict[str, Any]:
    return event(LOG_TYPE, entry(LOG_TYPE, name), version)


@pytest.mark.parametrize(
    ("verb", "activity"),
    [
        ("create", 1),
        ("get", 2),
        ("list", 2),
        ("watch", 2),
        ("update", 3),
        ("patch", 3),
        ("delete", 4),
        ("deletecollection", 4),
        ("escalate", 99),
    ],
)
def test_activity(verb: str, activity: int) -> None:
    """The verb of Kubernetes is the last word of the method."""
    assert call(methodName=f"io.k8s.core.v1.pods.{verb}")["activity_id"] == activity


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("core/v1/namespaces/shop/pods/web-0", ("core", "v1", "shop", "pods", "web-0")),
        ("core/v1/namespaces/shop/pods/web-0/exec", ("core", "v1", "shop", "pods/exec", "web-0")),
        ("core/v1/namespaces/shop/pods", ("core", "v1", "shop", "pods", None)),
        ("core/v1/namespaces/shop", ("core", "v1", None, "namespaces", "shop")),
        ("core/v1/nodes/node-1/status", ("core", "v1", None, "nodes/status", "node-1")),
        ("apps/v1beta1/deployments", ("apps", "v1beta1", None, "deployments", None)),
        (
            "rbac.authorization.k8s.io/v1/clusterroles/admin",
            ("rbac.authorization.k8s.io", "v1", None, "clusterroles", "admin"),
        ),
    ],
)
def test_path_of_a_resource(path: str, expected: tuple[str | None, ...]) -> None:
    """The path of a resource names its group, version, namespace, kind, subresource and name."""
    found = call(resourceName=path)
    [resource] = found["resources"]
    parts = (resource.get("namespace"), resource["type"], resource.get("name"))

    assert (found["api"]["group"]["name"], found["api"]["version"], *parts) == expected
    assert resource["uid"] == path
    assert resource["group"] == {"name": "shop"}


def test_what_is_no_resource() -> None:
    """A path of a URL is that of the request."""
    found = by_id("000000000011")

    assert found["http_request"]["url"]["path"] == "/healthz"
    assert found["actor"]["user"]["type"] == "System"
    assert "version" not in found["api"]


@pytest.mark.parametrize(
    ("labels", "decision"),
    [
        ({"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": "by X"}, "allow"),
        ({"authorization.k8s.io/decision": "forbid"}, "forbid"),
        ({}, "allowed"),
    ],
)
def test_decision(labels: dict[str, str], decision: str) -> None:
    """The decision of Kubernetes and its reason are labels of the entry; else what was granted counts."""
    [authorization] = call(labels=labels)["actor"]["authorizations"]

    assert authorization["decision"] == decision
    assert authorization["policy"].get("desc") == labels.get("authorization.k8s.io/reason")
    assert authorization["policy"]["name"] == "io.k8s.core.v1.secrets.get"


def test_denied() -> None:
    """A call that was forbidden failed."""
    found = by_id("000000000004")

    assert (found["status"], found["api"]["response"]["error"]) == ("Failure", "PERMISSION_DENIED")
    assert found["actor"]["user"]["name"] == "system:serviceaccount:shop:checkout"
    assert found["actor"]["authorizations"][0]["decision"] == "forbid"


@pytest.mark.parametrize("version", ["1.1.0", "1.8.0"])
def test_containers(version: str) -> None:
    """The containers of a pod that is asked for are those of the request, whose JSON is kept."""
    request = by_id("000000000001", version)["api"]["request"]

    assert [container["name"] for container in request["containers"]] == ["debug", "sidecar"]
    assert request["containers"][0]["image"]["name"] == "docker.io/library/alpine:3"
    assert request["data"]["spec"]["hostPID"] is True
    assert request["uid"] == "0e000000-0000-4000-8000-000000000001"


def test_cluster() -> None:
    """What is done to a cluster is a call of Google Cloud, about the cluster."""
    found = by_id("gkeclust0001")

    assert (found["activity_name"], found["api"]["service"]["name"]) == ("Update", "container.googleapis.com")
    assert found["resources"][0]["type"] == "gke_cluster"


@pytest.mark.parametrize(
    ("name", "message"),
    [("gkeevent0001", "Started container debug"), ("gkenode00001", "I1117 09:00:01.000000 Started kubelet")],
)
def test_other_logs_of_a_cluster(name: str, message: str) -> None:
    """Events of Kubernetes and lines of nodes are Base Events."""
    found = by_id(name)

    assert (found["class_name"], found["message"]) == ("Base Event", message)
    assert found["unmapped"]["resource.labels.cluster_name"] == "shop"
