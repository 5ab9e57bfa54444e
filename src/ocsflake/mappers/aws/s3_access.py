r"""Amazon S3 server access logs to API Activity 6003.

Text as S3 writes it, with as many of the columns as there were at the time, and JSON or Parquet under the column names
of Athena's table. Quotes within quoted columns, which S3 does not escape, are taken as they stand.

A line has the canonical id of the bucket's owner and no account number: the account is that of the log's origin.
A request without a requester is anonymous, which CloudTrail calls ``ANONYMOUS_PRINCIPAL``. What S3 does itself, such as
expiring an object, has no address: its source is the service.

The fields: https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html
"""

from __future__ import annotations

import pyarrow as pa

from ocsflake.mappers._http import http_outcome
from ocsflake.mappers.aws._arn import account_of
from ocsflake.mappers.aws._lines import line, plain, quoted
from ocsflake.mapping import EventMap, Fields, Mapper, PatternText, apply, at, origin, when

REQUEST = (
    r'"(?:(?P<method>[A-Z]+) (?P<path>[^?]*?)(?:\?(?P<query>.*?))? (?P<version>HTTP/[0-9.]+)|(?P<requesturi>.*?))"'
)
LINES = line(
    [
        *plain("bucketowner", "bucket"),
        r"\[(?P<time>[^\]]*)\]",
        *plain("remoteip", "requester", "requestid", "operation"),
    ],
    [
        *plain("key"),
        f"(?:{REQUEST}|-)",
        *plain("httpstatus", "errorcode", "bytessent", "objectsize", "totaltime", "turnaroundtime"),
        *quoted("referrer"),
        '(?:"(?P<useragent>.*)"|-)',
        *plain("versionid", "hostid", "signatureversion", "ciphersuite", "authenticationtype", "hostheader"),
        *plain("tlsversion", "accesspointarn", "aclrequired"),
    ],
)

OPERATION = {
    "REST.COPY.OBJECT_GET": 2,
    "REST.COPY.PART_GET": 2,
    "REST.POST.MULTI_OBJECT_DELETE": 4,
    "REST.POST.SELECT": 2,
    "S3.CREATE.DELETEMARKER": 4,
}
VERB = {
    "COPY": 1,
    "DELETE": 4,
    "EXPIRE": 4,
    "GET": 2,
    "HEAD": 2,
    "OPTIONS": 2,
    "POST": 1,
    "PUT": 3,
    "RESTORE": 3,
    "SELECT": 2,
    "TRANSITION": 3,
}


def alone(values: pa.Array) -> pa.Array:
    """Return each value as a list of one."""
    return pa.ListArray.from_arrays(pa.array(range(len(values) + 1), pa.int32()), values)


def second(values: pa.Array) -> pa.Array:
    """Return each value as the second of a list."""
    places = [place for number in range(len(values)) for place in (None, number)]
    offsets = pa.array(range(0, 2 * len(values) + 1, 2), pa.int32())
    return pa.ListArray.from_arrays(offsets, values.take(pa.array(places, pa.int64())))


operation = at("operation")
requester = at("requester")
remote = at("remoteip")
status, error = at("httpstatus").text(), at("errorcode")
request = at("requesturi", "request_uri")
# What S3 does itself has no address.
service = when(remote.is_null(), "s3.amazonaws.com", requester.extract(r"^svc:(.+)$"))
user = requester.extract(r"^arn:[^:]+:(?:iam|sts)::[0-9]{12}:(root|user|assumed-role|federated-user)")

FIELDS: Fields = {
    "time": at("time", "requestdatetime"),
    "severity_id": 1,
    "activity_id": operation.lookup(OPERATION).or_(operation.extract(r"^[A-Z0-9]+\.([A-Z]+)").lookup(VERB, default=99)),
    "status_id": when(status.is_null() & ~error.is_null(), 2, http_outcome(status)),
    "duration": at("totaltime"),
    "metadata.uid": at("requestid"),
    "metadata.product.name": "Amazon S3",
    "metadata.product.vendor_name": "AWS",
    "metadata.product.feature.name": "Server access logs",
    "cloud.provider": "AWS",
    "cloud.account.uid": origin("account"),
    "cloud.region": origin("region"),
    "api.operation": operation,
    "api.service.name": "s3.amazonaws.com",
    "api.request.uid": at("requestid"),
    "api.response.code": status,
    "api.response.error": error,
    "actor.user.type_id": user.lookup({"root": 2}, default=1),
    "actor.user.uid": requester,
    "actor.user.name": requester.extract(r"^arn:.*:user/(?:.*/)?([^/]+)$").or_(
        service.is_null().lookup({"true": "ANONYMOUS_PRINCIPAL"}).only_if(requester.is_null())
    ),
    "actor.user.account.uid": account_of(requester),
    "actor.invoked_by": service,
    "src_endpoint.ip": remote,
    "src_endpoint.svc_name": service,
    "resources[].name": apply(alone, at("bucket", "bucket_name")),
    "resources[].uid": apply(second, at("key")),
    "resources[].owner.uid": apply(alone, at("bucketowner")),
    "http_request.http_method": at("method").or_(request.extract(r"^([A-Z]+) \S.* HTTP/[0-9.]+$")),
    "http_request.url.path": at("path").or_(request.extract(r"^[A-Z]+ ([^?]+)(?:\?.*)? HTTP/[0-9.]+$")),
    "http_request.url.query_string": at("query").or_(request.extract(r"^[A-Z]+ [^?]+\?(.*) HTTP/[0-9.]+$")),
    "http_request.version": at("version").or_(request.extract(r"^[A-Z]+ \S.* (HTTP/[0-9.]+)$")),
    "http_request.referrer": at("referrer", "referer"),
    "http_request.user_agent": at("useragent"),
    "http_response.code": status,
    "http_response.length": at("bytessent"),
}

MAPPER = Mapper(
    "aws.s3_access",
    title="Amazon S3 server access logs",
    source_name="aws_s3_access",
    parse=PatternText(LINES),
    null_words=("-",),
    events=[EventMap("api_activity", fields=FIELDS)],
    unmapped=(
        "accesspointarn",
        "aclrequired",
        "authenticationtype",
        "authtype",
        "ciphersuite",
        "endpoint",
        "hostheader",
        "hostid",
        "more",
        "objectsize",
        "sigv",
        "signatureversion",
        "tlsVersion",
        "tlsversion",
        "turnaroundtime",
        "versionid",
    ),
)
