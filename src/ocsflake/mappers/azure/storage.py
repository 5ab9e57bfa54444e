"""Azure Storage resource logs to Datastore Activity 6005.

Reads, writes and deletes of blobs, files, queues and tables: records of diagnostic settings, rows of the tables
``StorageBlobLogs``, ``StorageFileLogs``, ``StorageQueueLogs`` and ``StorageTableLogs``. A request that was not found
failed (own rule). Who holds a key or a signature has no name: the kind of authentication stands in its place.

The signature of a shared access token is a secret: it does not pass into events.

The fields: https://learn.microsoft.com/azure/storage/blobs/monitor-blob-storage-reference
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mappers._address import host, port
from ocsflake.mappers._http import http_outcome
from ocsflake.mappers.azure._resource_logs import NAMES, detail, milliseconds, resource, resource_fields, time
from ocsflake.mappers.azure._shapes import ENVELOPE, NULL_WORDS, RECORDS, digest, known
from ocsflake.mapping import EventMap, Fields, Mapper, apply, at, is_ip, when

if TYPE_CHECKING:
    from ocsflake.mapping import Expr

SERVICE = "Microsoft.Storage"
OPERATION = (
    dict.fromkeys(["Append", "Put", "Write", "Copy"], 5)
    | dict.fromkeys(["Create", "Insert", "PutBlob", "CopyBlob", "CopyFile", "PutMessage"], 6)
    | dict.fromkeys(["Merge", "Set", "Update", "Rename", "Undelete", "Restore"], 2)
    | dict.fromkeys(["Clear", "Delete"], 7)
    | dict.fromkeys(["List", "QueryDirectory"], 8)
    | dict.fromkeys(["QueryBlobContents", "QueryEntities", "QueryEntity", "QueryTable", "QueryTables"], 4)
)
CATEGORY = {"StorageRead": 1, "StorageWrite": 5, "StorageDelete": 7}
BLOBS = ("blob", "dfs", "file")


def redacted(uris: pa.Array) -> pa.Array:
    """Return addresses without the signatures of shared access tokens."""
    return pc.replace_substring_regex(uris.cast(pa.string()), pattern=r"(?i)([?&]sig=)[^&#]*", replacement=r"\1XXXXX")


def requester(name: str) -> Expr:
    """Return what the token of a requester says."""
    column = name[0].upper() + name[1:]
    return at(f"identity.requester.{name}", f"Requester{column}", f"Identity.requester.{name}")


def granted(name: str) -> Expr:
    """Return a part of the authorizations that let the request through, or did not."""
    return at(f"identity.authorization[].{name}").or_(
        at(f"AuthorizationDetails[].{name}"), at(f"AuthorizationDetails_dynamic[].{name}")
    )


operation = at("operationName", "OperationName")
category = at("category", "Category", "Type")
code = at("statusCode", "StatusCode").text()
outcome = at("statusText", "StatusText")
address = at("callerIpAddress", "CallerIpAddress")
uri = at("uri", "Uri")
kind = at("identity.type", "AuthenticationType", "Identity.type")
account = detail("accountName")
service = detail("serviceType").or_(resource.lower().extract("/(blob|file|queue|table)services(?:/|$)")).lower()
key = detail("objectKey")
source = detail("sourceUri")
uid, email = requester("objectId"), requester("upn")
app = requester("appId")
name = email.or_(requester("userName"), uid, app)
itself = kind.is_null() | (kind.lower() == "system")
bucket = ~service.is_in(["table"])
# The key of an object begins with the account and its container; what has no more than these is the container.
held = key.only_if(service.is_null() | service.is_in(BLOBS))

FIELDS: Fields = resource_fields("Azure Storage", category) | {
    "activity_id": operation.lookup_prefix(OPERATION).or_(category.lookup(CATEGORY, default=99), 0),
    "status_id": when(
        code.extract("^([1-5][0-9]{2})$").is_null(),
        outcome.lookup({"Success": 1}, default=2).or_(0),
        http_outcome(code),
    ),
    "status_code": code,
    "status_detail": outcome,
    "duration": milliseconds(at("durationMs", "DurationMs")),
    "type_id": service.lookup({"blob": 2, "dfs": 2, "table": 3}, default=99).or_(2),
    "metadata.uid": apply(digest, at("correlationId", "CorrelationId"), operation, apply(redacted, uri), time.text()),
    "metadata.log_version": at("schemaVersion", "SchemaVersion").text(),
    "api.operation": operation,
    "api.service.name": SERVICE,
    "api.version": at("operationVersion", "OperationVersion").text(),
    "api.response.code": code,
    "actor.user.uid": uid,
    "actor.user.name": name.or_(kind.only_if(~itself)),
    "actor.user.email_addr": email,
    "actor.user.credential_uid": at("identity.tokenHash", "AuthenticationHash"),
    "actor.app_uid": app,
    "actor.authorizations[].policy.name": kind,
    "actor.authorizations[].policy.uid": granted("roleDefinitionId"),
    "actor.authorizations[].decision": granted("result"),
    # What the platform does by itself has no requester.
    "actor.invoked_by": itself.lookup({"true": SERVICE}).only_if(name.is_null()),
    "src_endpoint.ip": host(address),
    "src_endpoint.port": port(address),
    "src_endpoint.svc_name": address.or_(SERVICE).only_if(~is_ip(host(address))),
    "dst_endpoint.hostname": uri.extract("^[A-Za-z]+://([^/:?]+)"),
    "databucket.name": account.or_(resource.extract("(?i)/storageAccounts/([^/]+)")).only_if(bucket),
    "databucket.uid": resource.only_if(bucket),
    "databucket.type_id": service.lookup({"blob": 2, "dfs": 2}, default=99).or_(2).only_if(bucket),
    "databucket.file.path": held,
    "databucket.file.name": held.extract(r"([^/]+)/*$"),
    "databucket.file.type_id": when(held.extract("^/?[^/]+/[^/]+/(.)").is_null(), 2, 1).only_if(~held.is_null()),
    "table.name": key.extract(r"^/[^/]+/([^/\x28]+)").or_(account).only_if(~bucket),
    "table.uid": resource.only_if(~bucket),
    "http_request.uid": detail("clientRequestId"),
    "http_request.url.url_string": apply(redacted, uri),
    "http_request.user_agent": detail("userAgentHeader"),
    "http_request.referrer": apply(redacted, detail("referrerHeader")),
    "http_request.http_headers[].name": source.lookup({}, default="x-ms-copy-source"),
    "http_request.http_headers[].value": apply(redacted, source),
    "http_request.length": detail("requestBodySize"),
    "http_response.code": code.extract("^([1-5][0-9]{2})$"),
    "http_response.length": detail("responseBodySize"),
}

MAPPER = Mapper(
    "azure.storage",
    title="Azure Storage",
    source_name="azure_storage",
    parse=RECORDS,
    null_words=NULL_WORDS,
    events=[EventMap("datastore_activity", fields=FIELDS)],
    unmapped=(
        *ENVELOPE,
        *NAMES,
        "AuthorizationDetails",
        "AuthorizationDetails[].*",
        "AuthorizationDetails_dynamic[].*",
        "Protocol",
        "identity",
        "identity.*",
        "properties.*",
        "protocol",
        "resourceType",
        *(f"Requester{column}" for column in ("Audience", "TenantId", "TokenIssuer", "UniqueId")),
        *known(
            "accessTier",
            "conditionsUsed",
            "contentLengthHeader",
            "destinationUri",
            "etag",
            "lastModifiedTime",
            "metricResponseType",
            "operationCount",
            "rehydratePriority",
            "requestHeaderSize",
            "requestMd5",
            "responseHeaderSize",
            "responseMd5",
            "sasExpiryStatus",
            "serverLatencyMs",
            "serverMd5",
            "sourceAccessTier",
            "tlsVersion",
        ),
    ),
)
