"""Azure Key Vault audit events to API Activity 6003.

Records of diagnostic settings, rows of the tables ``AZKVAuditLogs`` and ``AzureDiagnostics``. A client's first call
carries no token and is answered with 401: its caller is anonymous. ``resultType`` may be ``Success`` where the status
of HTTP says otherwise, so the latter counts (own rule).

The fields: https://learn.microsoft.com/azure/key-vault/general/logging
"""

from __future__ import annotations

import pyarrow as pa

from ocsflake.mappers._address import host, port
from ocsflake.mappers._http import http_outcome
from ocsflake.mappers.azure._resource_logs import NAMES, detail, milliseconds, resource, resource_fields, time
from ocsflake.mappers.azure._shapes import ENVELOPE, NULL_WORDS, RECORDS, digest, known
from ocsflake.mapping import EventMap, Expr, Fields, Mapper, apply, at, is_ip, when

VERB = (
    dict.fromkeys(["Create", "Import", "Put", "Restore", "Set"], 1)
    | dict.fromkeys(["Backup", "Get", "List", "Verify"], 2)
    | dict.fromkeys(["Merge", "Patch", "Recover", "Renew", "Rotate", "Update"], 3)
    | dict.fromkeys(["Delete", "Purge"], 4)
)
OBJECT = (
    "(?:Vault|Key|Secret|StorageAccount|Storage|Sas"
    "|Certificate(?:Contacts|Contact|Issuers|Issuer|Policy|Pending)?|ManagedHsm)"
)
CATEGORY = {"AZKVAuditLogs": "AuditEvent", "AZKVPolicyEvaluationDetailsLogs": "AzurePolicyEvaluationDetails"}
SERVICE = "Microsoft.KeyVault"
CLAIMS = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
MICROSOFT_CLAIMS = "http://schemas.microsoft.com/identity/claims/"


def claim(name: str, *columns: str) -> Expr:
    """Return a claim of the caller's token.

    Args:
        name: The claim, short or a URI.
        columns: What ``AzureDiagnostics`` calls it.
    """
    return at(f'identity.claim."{name}"', f'Identity.claim."{name}"', f'Identity_dynamic.claim."{name}"', *columns)


def both(first: pa.Array, second: pa.Array) -> pa.Array:
    """Return the values of two columns as lists of two."""
    rows = zip(first.to_pylist(), second.to_pylist(), strict=True)
    return pa.array([[*row] if any(row) else None for row in rows], pa.list_(pa.string()))


def alone(values: pa.Array) -> pa.Array:
    """Return each value as a list of one."""
    return pa.ListArray.from_arrays(pa.array(range(len(values) + 1), pa.int32()), values)


word = at("category", "Category", "Type")
operation = at("operationName", "OperationName")
code = detail("httpStatusCode").text().extract(r"^([1-5][0-9]{2})(?:\.0*)?$")
result = at("resultType", "ResultType")
address = at("callerIpAddress", "CallerIpAddress", "CallerIPAddress")
object_id = claim("oid", "identity_claim_oid_g").or_(
    claim(
        f"{MICROSOFT_CLAIMS}objectidentifier",
        "identity_claim_http_schemas_microsoft_com_identity_claims_objectidentifier_g",
    )
)
name = claim("upn", "identity_claim_upn_s").or_(
    claim(f"{CLAIMS}upn", "identity_claim_http_schemas_xmlsoap_org_ws_2005_05_identity_claims_upn_s"),
    claim("unique_name", "identity_claim_unique_name_s"),
    claim(f"{CLAIMS}name"),
)
app = claim("appid", "identity_claim_appid_g").or_(claim("azp"))
uid = object_id.or_(app.only_if(name.is_null()))
kept = detail("id", "Id", "id_s")
uri = detail("requestUri")

FIELDS: Fields = resource_fields("Azure Key Vault", word.lookup(CATEGORY).or_(word)) | {
    "activity_id": operation.extract(f"^{OBJECT}([A-Z][A-Za-z]*)$").or_(operation).lookup_prefix(VERB, default=99),
    "status_id": when(
        code.is_null(), result.lookup({"Success": 1, "Succeeded": 1}, default=2).or_(0), http_outcome(code)
    ),
    "status_code": result,
    "status_detail": at("resultDescription", "ResultDescription"),
    "duration": milliseconds(at("durationMs", "DurationMs")),
    "metadata.uid": apply(digest, at("correlationId", "CorrelationId"), operation, uri, time.text()),
    "api.operation": operation,
    "api.service.name": SERVICE,
    "api.version": at("operationVersion", "OperationVersion").text(),
    "api.request.uid": at("correlationId", "CorrelationId"),
    "api.response.code": code,
    "api.response.message": at("resultSignature", "ResultSignature"),
    # OCSF before 1.2 knows no actor that is only an application.
    "actor.user.uid": uid,
    "actor.user.name": name.or_(uid, address.is_null().lookup({"false": "Anonymous"})),
    "actor.user.email_addr": name,
    "actor.app_uid": app,
    # What Key Vault does itself has no caller, and comes from no address.
    "actor.invoked_by": address.is_null().lookup({"true": SERVICE}),
    "src_endpoint.ip": host(address),
    "src_endpoint.port": port(address),
    "src_endpoint.svc_name": address.or_(SERVICE).only_if(~is_ip(host(address))),
    "http_request.url.url_string": uri,
    "http_request.user_agent": detail("clientInfo"),
    "resources[].uid": apply(both, resource, kept),
    "resources[].name": apply(alone, resource.extract(r"/([^/]+)/?$")),
    "resources[].type": apply(alone, resource.extract(r"(?i)/providers/([^/]+/[^/]+)")),
}

MAPPER = Mapper(
    "azure.keyvault",
    title="Azure Key Vault",
    source_name="azure_keyvault",
    parse=RECORDS,
    null_words=NULL_WORDS,
    events=[EventMap("api_activity", fields=FIELDS)],
    unmapped=(
        *ENVELOPE,
        *NAMES,
        "identity",
        "identity.*",
        "Identity",
        "Identity.*",
        "Identity_dynamic.*",
        "properties.*",
        *known(
            "addrAuthType",
            "addressAuthorizationType",
            "algorithm",
            "appliedAssignmentId",
            "certificateProperties",
            "hsmPoolResourceId",
            "isAccessPolicyMatch",
            "isAddressAuthorized",
            "isRbacAuthorized",
            "keyProperties",
            "networkSecurityPerimeterResourceId",
            "properties",
            "secretProperties",
            "sku",
            "subnetId",
            "tlsVersion",
            "trustedService",
            "vaultProperties",
        ),
        "isAccessPolicyMatch_b",
        "isAddressAuthorized_b",
        "addrAuthType_s",
        "tlsVersion_s",
        "isRbacAuthorized_b",
        "appliedAssignmentId_g",
    ),
)
