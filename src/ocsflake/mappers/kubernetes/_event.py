"""The audit event of Kubernetes (``audit.k8s.io/v1``), by itself or within the record of a cloud that wraps it."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mappers._http import http_outcome
from ocsflake.mapping import Fields, apply, at, when

__all__ = ["event_fields", "event_unmapped"]

ACTIVITY = {
    "create": 1,
    "post": 1,
    "get": 2,
    "head": 2,
    "list": 2,
    "options": 2,
    "watch": 2,
    "patch": 3,
    "put": 3,
    "update": 3,
    "delete": 4,
    "deletecollection": 4,
}


def event_fields(prefix: str = "") -> Fields:
    """Return the fields of API Activity 6003 that an audit event fills.

    One request gives up to three events, one a stage: the audit id is the request's, and with the stage the event's. A
    request for a collection names no object: the collection stands for it.

    Args:
        prefix: The raw path of the event with its dot, such as ``properties.log.``; a text that holds JSON will do.
    """
    stage, audit_id, collection = at(f"{prefix}stage"), at(f"{prefix}auditID"), at(f"{prefix}objectRef.resource")
    reason = at(f'{prefix}annotations."authorization.k8s.io/reason"')
    status, code = at(f"{prefix}responseStatus.status"), at(f"{prefix}responseStatus.code").text()
    pod = (f"{prefix}requestObject.spec.containers[]", f"{prefix}requestObject.spec.template.spec.containers[]")
    image = at(*(f"{path}.image" for path in pod))
    return {
        "time": at(f"{prefix}stageTimestamp", f"{prefix}requestReceivedTimestamp"),
        "start_time": at(f"{prefix}requestReceivedTimestamp"),
        "severity_id": 1,
        "activity_id": at(f"{prefix}verb").lookup(ACTIVITY, default=99),
        "status_id": when(code.is_null(), status.lookup({"Success": 1, "Failure": 2}).or_(0), http_outcome(code)),
        "message": stage,
        "metadata.uid": apply(event_id, audit_id, stage).or_(audit_id),
        "metadata.log_name": at(f"{prefix}kind"),
        "metadata.log_level": at(f"{prefix}level"),
        "metadata.product.version": at(f"{prefix}apiVersion"),
        "api.operation": at(f"{prefix}verb"),
        "api.version": at(f"{prefix}objectRef.apiVersion"),
        "api.group.name": at(f"{prefix}objectRef.apiGroup"),
        "api.request.uid": audit_id,
        "api.request.data": at(f"{prefix}requestObject"),
        "api.request.containers[].name": at(*(f"{path}.name" for path in pod)),
        "api.request.containers[].image.name": image,
        "api.request.containers[].image.uid": image,
        "api.response.code": code,
        "api.response.error": at(f"{prefix}responseStatus.reason"),
        "api.response.error_message": status,
        "api.response.message": at(f"{prefix}responseStatus.message"),
        "api.response.data": at(f"{prefix}responseObject"),
        "actor.user.name": at(f"{prefix}user.username"),
        "actor.user.uid": at(f"{prefix}user.uid"),
        "actor.user.groups[].name": at(f"{prefix}user.groups[]"),
        "actor.authorizations[].decision": at(f'{prefix}annotations."authorization.k8s.io/decision"'),
        "actor.authorizations[].policy.name": reason,
        "actor.authorizations[].policy.desc": reason,
        "policy.name": reason,
        "src_endpoint.ip": at(f"{prefix}sourceIPs[]"),
        "src_endpoint.intermediate_ips": apply(rest, at(f"{prefix}sourceIPs[]")),
        "http_request.url.path": at(f"{prefix}requestURI"),
        "http_request.url.query_string": at(f"{prefix}requestURI").extract(r"\?(.*)$"),
        "http_request.user_agent": at(f"{prefix}userAgent"),
        "resources[].type": apply(resource_type, collection, at(f"{prefix}objectRef.subresource")).or_(collection),
        "resources[].name": at(f"{prefix}objectRef.name").or_(collection),
        "resources[].namespace": at(f"{prefix}objectRef.namespace"),
        "resources[].uid": at(f"{prefix}objectRef.uid"),
        "resources[].version": at(f"{prefix}objectRef.resourceVersion"),
    }


def event_unmapped(prefix: str = "") -> tuple[str, ...]:
    """Return the raw paths of an audit event that go to ``unmapped``."""
    names = (
        "annotations.*",
        "authenticationMetadata.*",
        "impersonatedUser.*",
        "metadata.*",
        "responseStatus.*",
        "user.extra.*",
    )
    return tuple(f"{prefix}{name}" for name in names)


def event_id(audit_ids: pa.Array, stages: pa.Array) -> pa.Array:
    """Return audit ids with their stages."""
    return pc.binary_join_element_wise(audit_ids.cast(pa.string()), stages.cast(pa.string()), "/")


def resource_type(collections: pa.Array, subresources: pa.Array) -> pa.Array:
    """Return collections with their subresources, such as ``pods/exec``."""
    return pc.binary_join_element_wise(collections.cast(pa.string()), subresources.cast(pa.string()), "/")


def rest(lists: pa.Array) -> pa.Array:
    """Return each list without its first value."""
    return pc.list_slice(lists, 1) if pa.types.is_list(lists.type) else lists
