"""Azure Activity log to API Activity 6003; its category Security to Detection Finding 2004.

All categories (Administrative, Policy, ServiceHealth, ResourceHealth, Alert, Autoscale, Recommendation, Security):
records of diagnostic settings, rows of the table ``AzureActivity``, events of the REST API and its SDKs.

The fields: https://learn.microsoft.com/azure/azure-monitor/platform/activity-log-schema
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocsflake.mappers._address import host, port
from ocsflake.mappers._json import json_of
from ocsflake.mappers._words import any_case
from ocsflake.mappers.azure._shapes import ENVELOPE, LEVEL, NULL_WORDS, RECORDS, digest, subscription
from ocsflake.mapping import EventMap, Fields, Mapper, apply, at, is_ip, when

if TYPE_CHECKING:
    from ocsflake.mapping import Expr

STATUS = any_case(
    dict.fromkeys(["Accept", "Accepted", "Success", "Succeeded"], 1)
    | dict.fromkeys(["Failed", "Failure"], 2)
    | dict.fromkeys(["Active", "In Progress", "Start", "Started"], 0)
)
"""Own rule: what has only begun has neither succeeded nor failed."""
REPLY = {
    "Accepted": 202,
    "BadGateway": 502,
    "BadRequest": 400,
    "Conflict": 409,
    "Created": 201,
    "Forbidden": 403,
    "GatewayTimeout": 504,
    "Gone": 410,
    "InternalServerError": 500,
    "MethodNotAllowed": 405,
    "NoContent": 204,
    "NotFound": 404,
    "OK": 200,
    "PreconditionFailed": 412,
    "ServiceUnavailable": 503,
    "TooManyRequests": 429,
    "Unauthorized": 401,
}
SEVERITY = any_case({"Informational": 1, "Low": 2, "Medium": 3, "High": 4})
VERB = any_case({"Read": 2, "Write": 3, "Delete": 4})
READS = r"(?i)/((?:list|get|read|query|search|export)[a-z]*)/action$"
GUID = "^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"
CLAIMS = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
MICROSOFT_CLAIMS = "http://schemas.microsoft.com/identity/claims/"


def claim(name: str) -> Expr:
    """Return a claim of the token that the caller showed; its name is a URI, or short."""
    return at(f'identity.claims."{name}"', f'Claims."{name}"', f'claims."{name}"', f'Claims_d."{name}"')


def granted(name: str) -> Expr:
    """Return a part of the authorization that let the caller through."""
    return at(f"identity.authorization.{name}", f"Authorization.{name}", f"authorization.{name}")


def detail(name: str) -> Expr:
    """Return a property of the operation."""
    return at(f"properties.{name}", f"Properties.{name}", f"Properties_d.{name}")


operation = at("operationName.value", "OperationNameValue", "operationName", "operation_name.value", "OperationName")
verb = operation.extract(r"(?i)/([^/]+?)(?:/action)?/?$")
word = detail("eventCategory").or_(
    at("CategoryValue", "category.value", "Category", "category")
)  # of some exports it is what the operation does
category = when(word.is_in(["Action", "Delete", "Write"]), "Administrative", word)
resource = at("resourceId", "ResourceId", "resource_id", "_ResourceId", "resourceUri")
subscribed = subscription(resource).or_(at("subscriptionId", "SubscriptionId", "subscription_id").lower())
tenant = at("tenantId", "tenant_id").or_(claim(f"{MICROSOFT_CLAIMS}tenantid"))
status = at("status.value", "ActivityStatusValue", "resultType", "ActivityStatus", "ResultType", "status").text()
signature = at("subStatus.value", "ActivitySubstatusValue", "resultSignature", "sub_status.value").text()
reply = detail("statusCode").text().or_(signature)
answer = reply.extract(r"([A-Za-z]+)$")
level = at("level", "Level").text()
address = at(
    "callerIpAddress",
    "CallerIpAddress",
    "httpRequest.clientIpAddress",
    "HTTPRequest.clientIpAddress",
    "http_request.client_ip_address",
).or_(claim("ipaddr"))
service = operation.extract(r"^([^/]+)/").or_("Azure")
named = at("caller", "Caller")  # by the principal name, or by the object id
object_id = named.only_if(~named.extract(f"({GUID})").is_null())
caller = named.only_if(named.extract(f"({GUID})").is_null()).or_(
    claim(f"{CLAIMS}upn"), claim(f"{CLAIMS}name"), claim(f"{CLAIMS}emailaddress"), claim("name")
)
principal = claim(f"{MICROSOFT_CLAIMS}objectidentifier").or_(object_id)
app = claim("appid")
is_app = (
    (claim("idtyp") == "app")
    | caller.or_(principal).is_null()
    | (granted("evidence.principalType") == "ServicePrincipal")
)
methods = claim("http://schemas.microsoft.com/claims/authnmethodsreferences")
correlation = at("correlationId", "CorrelationId", "correlation_id")
time = at("eventTimestamp", "event_timestamp", "time", "TimeGenerated", "EventSubmissionTimestamp")
event_uid = at("eventDataId", "EventDataId", "event_data_id").or_(
    # Start, accept and success of one operation share their correlation id.
    apply(digest, correlation, operation, resource, status, time.text())
)

COMMON: Fields = {
    "time": time,
    "metadata.uid": event_uid,
    "metadata.correlation_uid": correlation,
    "metadata.tenant_uid": tenant,
    "metadata.logged_time": at("submissionTimestamp", "submission_timestamp", "EventSubmissionTimestamp"),
    "metadata.log_name": category,
    "metadata.product.name": "Azure Activity Log",
    "metadata.product.vendor_name": "Microsoft",
    "metadata.product.version": at("operationVersion", "OperationVersion").text(),
    "metadata.product.feature.name": category,
    "cloud.provider": "Azure",
    "cloud.account.uid": subscribed.or_(tenant),
    "cloud.account.type": when(subscribed.is_null(), "Entra Tenant", "Azure Subscription"),
    "cloud.account.type_id": when(subscribed.is_null(), 99, 13),
    "cloud.region": at("location", "Location"),
    "resources[].uid": resource,
    "resources[].name": resource.extract(r"/([^/]+)/?$"),
    "resources[].type": resource.extract(r"(?i)^.*/providers/([^/]+/[^/]+)"),
    "resources[].group.name": resource.extract(r"(?i)^/subscriptions/[^/]+/resourcegroups/([^/]+)"),
}
API: Fields = COMMON | {
    "severity_id": level.lookup(LEVEL, default=99).or_(1),
    "activity_id": when(
        (verb.lower() == "write") & reply.extract(r"(Created|201)$").is_in(["Created", "201"]),
        1,
        when(
            operation.extract(READS).is_null(),
            verb.lookup(VERB, default=99),
            2,
        ),
    ).or_(99),
    "status_id": status.lookup(STATUS, default=99).or_(0),
    "status_code": status,
    "status_detail": at("resultDescription", "ResultDescription", "description").or_(detail("statusMessage")),
    "message": detail("title").or_(at("operationName.localizedValue", "OperationName")),
    "duration": at("durationMs", "DurationMs"),
    "api.operation": operation,
    "api.service.name": service,
    "api.version": detail("apiVersion"),
    "api.request.uid": detail("serviceRequestId").or_(at("operationId", "OperationId", "operation_id"), correlation),
    "api.request.data": apply(json_of, detail("requestbody").or_(detail("requestBody"))),
    "api.response.code": answer.lookup(REPLY).or_(reply.extract("^([1-5][0-9][0-9])$")),
    "api.response.message": signature,
    "api.response.data": apply(json_of, detail("responseBody")),
    # OCSF before 1.2 knows no actor that is only an application.
    "actor.user.uid": principal.or_(app.only_if(caller.is_null())),
    "actor.user.name": caller,
    "actor.user.email_addr": caller,
    "actor.user.full_name": claim("name"),
    "actor.user.type_id": when(is_app, 4, 1).only_if(~caller.or_(principal, app).is_null()),
    "actor.app_uid": app,
    "actor.session.uid": claim("uti"),
    "actor.session.issuer": claim("iss"),
    "actor.session.created_time": claim("iat").epoch("s"),
    "actor.session.expiration_time": claim("exp").epoch("s"),
    "actor.session.is_mfa": (~methods.extract("(mfa)").is_null()).only_if(~methods.is_null()),
    "actor.authorizations[].policy.name": granted("evidence.role"),
    "actor.authorizations[].policy.uid": granted("evidence.roleDefinitionId"),
    # What the platform does by itself has no caller, and comes from no address.
    "actor.invoked_by": service.only_if(caller.or_(principal, app).is_null()),
    "src_endpoint.ip": host(address),
    "src_endpoint.port": port(address),
    "src_endpoint.svc_name": service.only_if(~is_ip(host(address))),
    "http_request.http_method": at("httpRequest.method", "HTTPRequest.method", "http_request.method"),
    "http_request.url.url_string": at("httpRequest.uri", "HTTPRequest.uri", "http_request.uri"),
    "http_request.uid": at(
        "httpRequest.clientRequestId", "HTTPRequest.clientRequestId", "http_request.client_request_id"
    ),
}
SECURITY: Fields = COMMON | {
    "severity_id": detail("severity")
    .or_(detail("Severity"))
    .lookup(SEVERITY, default=99)
    .or_(level.lookup(LEVEL, default=99), 1),
    "activity_id": 1,
    "status_id": status.lookup({"Active": 1, "Resolved": 4}, default=99).or_(0),
    "message": at("operationName.localizedValue", "OperationName"),
    "finding_info.uid": event_uid,
    "finding_info.title": at("eventName.value").or_(detail("eventName"), at("eventName"), operation),
    "finding_info.desc": at("description", "resultDescription", "ResultDescription"),
    "finding_info.types": operation,
    "finding_info.created_time": time,
}

MAPPER = Mapper(
    "azure.activity",
    title="Azure Activity log",
    source_name="azure_activity",
    parse=RECORDS,
    null_words=NULL_WORDS,
    events=[
        EventMap("detection_finding", where=category == "Security", fields=SECURITY),
        EventMap("api_activity", fields=API),
    ],
    unmapped=(
        *ENVELOPE,
        *(f"{place}.*" for place in ("identity", "Identity", "properties", "Properties", "authorization", "claims")),
        *(f"{place}{twin}" for place in ("Authorization", "Claims", "Properties") for twin in ("", "_d", ".*", "_d.*")),
        *(f"{place}.*" for place in ("httpRequest", "HTTPRequest", "http_request", "operationName", "eventName")),
        "identity",
        "$table",
        "ActivityStatus",
        "ActivitySubstatus",
        "Hierarchy",
        "HTTPRequest",
        "ResourceProviderValue",
        "SubscriptionId",
        "category.*",
        "category",
        "channels",
        "eventName",
        "event_name.*",
        "id",
        "resourceGroupName",
        "resourceProviderName.*",
        "resourceType.*",
        "resource_group_name",
        "resource_provider_name.*",
        "resource_type.*",
        "status.*",
        "subStatus.*",
        "sub_status.*",
        "subscriptionId",
        "operation_name.*",
    ),
)
