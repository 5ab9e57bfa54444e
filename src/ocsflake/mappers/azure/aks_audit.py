"""Azure Kubernetes Service audit logs to API Activity 6003.

Audit events of the API server (``kube-audit``, ``kube-audit-admin``): as JSON text in ``properties.log`` of diagnostic
records and in ``log_s`` of ``AzureDiagnostics``, and as rows of the tables ``AKSAudit`` and ``AKSAuditAdmin``. All
stages of a request are kept. What other parts of the control plane write, and what is no whole event, becomes a Base
Event.

The fields: https://learn.microsoft.com/azure/aks/monitor-aks-reference and
https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/
"""

from __future__ import annotations

from ocsflake.mappers._http import http_outcome
from ocsflake.mappers._json import json_of
from ocsflake.mappers.azure._resource_logs import NAMES, resource, resource_fields, time
from ocsflake.mappers.azure._shapes import ENVELOPE, NULL_WORDS, RECORDS
from ocsflake.mappers.kubernetes._event import ACTIVITY, event_fields, event_id, event_unmapped, resource_type, rest
from ocsflake.mapping import EventMap, Expr, Fields, Mapper, apply, at, when

LOGS = ("properties.log", "log_s")

category = at("category", "Category", "Type")
code = at("ResponseStatus.code").text()
status = at("ResponseStatus.status")
collection = at("ObjectRef.resource")
reason = at('Annotations."authorization.k8s.io/reason"')
pod = ("RequestObject.spec.containers[]", "RequestObject.spec.template.spec.containers[]")
image = at(*(f"{path}.image" for path in pod))

RECORD: Fields = resource_fields("Azure Kubernetes Service", category)
ROW: Fields = {
    "time": at("StageReceivedTime", "RequestReceivedTime", "TimeGenerated"),
    "start_time": at("RequestReceivedTime"),
    "severity_id": 1,
    "activity_id": at("Verb").lookup(ACTIVITY, default=99),
    "status_id": when(code.is_null(), status.lookup({"Success": 1, "Failure": 2}).or_(0), http_outcome(code)),
    "message": at("Stage"),
    "metadata.uid": apply(event_id, at("AuditId"), at("Stage")).or_(at("AuditId")),
    "metadata.log_level": at("Level"),
    "api.operation": at("Verb"),
    "api.version": at("ObjectRef.apiVersion"),
    "api.group.name": at("ObjectRef.apiGroup"),
    "api.request.uid": at("AuditId"),
    "api.request.data": apply(json_of, at("RequestObject")),
    "api.request.containers[].name": at(*(f"{path}.name" for path in pod)),
    "api.request.containers[].image.name": image,
    "api.request.containers[].image.uid": image,
    "api.response.code": code,
    "api.response.error": at("ResponseStatus.reason"),
    "api.response.error_message": status,
    "api.response.message": at("ResponseStatus.message"),
    "api.response.data": apply(json_of, at("ResponseObject")),
    "actor.user.name": at("User.username"),
    "actor.user.uid": at("User.uid"),
    "actor.user.groups[].name": at("User.groups[]"),
    "actor.authorizations[].decision": at('Annotations."authorization.k8s.io/decision"'),
    "actor.authorizations[].policy.name": reason,
    "actor.authorizations[].policy.desc": reason,
    "policy.name": reason,
    "src_endpoint.ip": at("SourceIps[]"),
    "src_endpoint.intermediate_ips": apply(rest, at("SourceIps[]")),
    "http_request.url.path": at("RequestUri"),
    "http_request.url.query_string": at("RequestUri").extract(r"\?(.*)$"),
    "http_request.user_agent": at("UserAgent"),
    "resources[].type": apply(resource_type, collection, at("ObjectRef.subresource")).or_(collection),
    "resources[].name": at("ObjectRef.name").or_(collection),
    "resources[].namespace": at("ObjectRef.namespace"),
    "resources[].uid": at("ObjectRef.uid"),
    "resources[].version": at("ObjectRef.resourceVersion"),
}


def cluster(event: Fields, addresses: Expr) -> Fields:
    """Return the fields of an audit event with those of the cluster that it comes from.

    Args:
        event: The fields of the event.
        addresses: Where it came from: what the control plane does itself may have no address.
    """
    return (
        RECORD
        | event
        | {
            "metadata.logged_time": time,
            "metadata.product.feature.uid": resource,
            "src_endpoint.svc_name": addresses.is_null().lookup({"true": "Azure Kubernetes Service"}),
        }
    )


def whole(verb: str, user: str) -> Expr:
    """Return whether a record holds an audit event."""
    return ~at(verb).is_null() & ~at(user).is_null()


OTHER: Fields = RECORD | {
    "activity_id": 0,
    "message": at("Message"),
    "metadata.product.feature.uid": resource,
}

MAPPER = Mapper(
    "azure.aks_audit",
    title="Azure Kubernetes Service audit logs",
    source_name="azure_aks_audit",
    parse=RECORDS,
    null_words=NULL_WORDS,
    events=[
        *(
            EventMap(
                "api_activity",
                where=whole(f"{log}.verb", f"{log}.user.username"),
                fields=cluster(event_fields(f"{log}."), at(f"{log}.sourceIPs[]")),
            )
            for log in LOGS
        ),
        EventMap("api_activity", where=whole("Verb", "User.username"), fields=cluster(ROW, at("SourceIps[]"))),
        EventMap("base_event", fields=OTHER),
    ],
    unmapped=(
        *ENVELOPE,
        *NAMES,
        *(name for log in LOGS for name in event_unmapped(f"{log}.")),
        *(f"{log}.*" for log in LOGS),
        *LOGS,
        *(f"{name}.*" for name in ("Annotations", "ObjectRef", "ResponseStatus", "User", "UserExtra", "properties")),
        "Cloud",
        "Environment",
        "ImpersonatedUser",
        "ImpersonatedUser.*",
        "PodName",
        "Stream",
        "UserExtra",
        "UnderlayClass",
        "UnderlayName",
        "attrs",
        "ccpNamespace",
        "containerID_s",
        "pod_s",
        "serviceBuild",
        "stream_s",
    ),
)
