"""Google Kubernetes Engine audit logs to API Activity 6003.

What the Kubernetes API server of a cluster writes to Cloud Audit Logs (``k8s.io``), and what is done to clusters
themselves (``container.googleapis.com``). Other logs of a cluster (Kubernetes events, nodes, containers) that come
along in a stream become Base Events.

The methods of Kubernetes name group, version, resource and verb: ``io.k8s.core.v1.pods.exec.create``. The resource is
named by its path: ``core/v1/namespaces/shop/pods/web-0/exec``. The decision and its reason are labels of the entry.

The fields: https://docs.cloud.google.com/kubernetes-engine/docs/how-to/audit-logging
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.compute as pc

from ocsflake.mappers.gcp._audit_log import CALL, UNMAPPED, operation
from ocsflake.mappers.gcp._entry import ENTRIES, OTHER, is_other, matches
from ocsflake.mappers.gcp.audit import ACTIVITY
from ocsflake.mapping import EventMap, Fields, Mapper, apply, at

if TYPE_CHECKING:
    import pyarrow as pa

    from ocsflake.mapping import Expr


def with_subresource(resources: pa.Array, subresources: pa.Array) -> pa.Array:
    """Return ``pods/exec`` of ``pods`` and ``exec``; the resource alone where there is no other."""
    return pc.coalesce(pc.binary_join_element_wise(resources, subresources, "/"), resources)


path = at("protoPayload.resourceName")
"""Group, version, namespace, resource, name and subresource; a path of a URL for what is no resource."""
VERSION = "^[^/]+/v[0-9][^/]*/"
NAMESPACE = f"{VERSION}namespaces/[^/]+/"


def part(pattern: str) -> Expr:
    """Return what a pattern finds behind the version, or behind the namespace where there is one."""
    in_cluster = path.extract(VERSION + pattern).only_if(~matches(path, f"{NAMESPACE}([^/]+)"))
    return path.extract(NAMESPACE + pattern).or_(in_cluster)


image = at("protoPayload.request.spec.containers[].image")
decision = at('labels."authorization.k8s.io/decision"')

FIELDS: Fields = CALL | {
    "activity_id": operation.lookup_prefix(ACTIVITY | {"deletecollection": 4}, default=99).or_(0),
    "metadata.product.feature.name": "Google Kubernetes Engine",
    "api.group.name": path.extract("^([^/]+)/v[0-9]"),
    "api.version": path.extract("^[^/]+/(v[0-9][^/]*)"),
    "api.request.containers[].name": at("protoPayload.request.spec.containers[].name"),
    "api.request.containers[].image.name": image,
    "api.request.containers[].image.uid": image,
    "actor.authorizations[].decision": decision.or_(CALL["actor.authorizations[].decision"]),
    "actor.authorizations[].policy.desc": at('labels."authorization.k8s.io/reason"'),
    "resources[].uid": path,
    "resources[].name": part("[^/]+/([^/]+)"),
    "resources[].namespace": path.extract(f"{VERSION}namespaces/([^/]+)/"),
    "resources[].type": apply(with_subresource, part("([^/]+)"), part("[^/]+/[^/]+/([^/]+)")).or_(at("resource.type")),
    "resources[].group.name": at("resource.labels.cluster_name"),
    "http_request.url.path": path.extract("^(/.*)$"),
}

MAPPER = Mapper(
    "gcp.gke_audit",
    title="Google Kubernetes Engine audit logs",
    source_name="gcp_gke_audit",
    parse=ENTRIES,
    events=[
        EventMap("base_event", where=is_other, fields=OTHER),
        EventMap("api_activity", fields=FIELDS),
    ],
    unmapped=(*UNMAPPED, "jsonPayload.*", "resource.type"),
)
