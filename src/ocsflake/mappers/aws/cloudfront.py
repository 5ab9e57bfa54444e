"""Amazon CloudFront access logs to HTTP Activity 4002.

Standard logs, legacy and v2, as tab-separated text under its ``#Fields:`` line, as JSON lines or Parquet; and real-time
logs, which have no header: there the columns are the documented ones in their order, as many as a line has, which is
what the console chooses. (Put a ``#Fields:`` line before logs of other fields.)

The two kinds call the host by opposite names: in standard logs ``cs(Host)`` is the distribution and ``x-host-header``
what the viewer asked for, in real-time logs ``cs-host`` is what the viewer asked for and ``x-host-header`` the
distribution. Percent-encoding is taken off header values, once.

A status of 000 (the viewer left before there was one) is the code 0, which is no HTTP status. OCSF before 1.5 requires
a response of every HTTP Activity: there the code is 0 too where a log has no status at all.

A log has no account: it is that of the log's origin.

The fields: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logs-reference.html and
real-time-logs.html beside it
"""

from __future__ import annotations

from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mappers._http import addresses, http_activity, http_outcome
from ocsflake.mapping import DelimitedText, EventMap, Fields, Mapper, apply, at, origin

STANDARD = (
    "date",
    "time",
    "x-edge-location",
    "sc-bytes",
    "c-ip",
    "cs-method",
    "cs(Host)",
    "cs-uri-stem",
    "sc-status",
    "cs(Referer)",
    "cs(User-Agent)",
    "cs-uri-query",
    "cs(Cookie)",
    "x-edge-result-type",
    "x-edge-request-id",
    "x-host-header",
    "cs-protocol",
    "cs-bytes",
    "time-taken",
    "x-forwarded-for",
    "ssl-protocol",
    "ssl-cipher",
    "x-edge-response-result-type",
    "cs-protocol-version",
    "fle-status",
    "fle-encrypted-fields",
    "c-port",
    "time-to-first-byte",
    "x-edge-detailed-result-type",
    "sc-content-type",
    "sc-content-len",
    "sc-range-start",
    "sc-range-end",
)
REAL_TIME = (
    "timestamp",
    "c-ip",
    "time-to-first-byte",
    "sc-status",
    "sc-bytes",
    "cs-method",
    "cs-protocol",
    "cs-host",
    "cs-uri-stem",
    "cs-bytes",
    "x-edge-location",
    "x-edge-request-id",
    "x-host-header",
    "time-taken",
    "cs-protocol-version",
    "c-ip-version",
    "cs-user-agent",
    "cs-referer",
    "cs-cookie",
    "cs-uri-query",
    "x-edge-response-result-type",
    "x-forwarded-for",
    "ssl-protocol",
    "ssl-cipher",
    "x-edge-result-type",
    "fle-encrypted-fields",
    "fle-status",
    "sc-content-type",
    "sc-content-len",
    "sc-range-start",
    "sc-range-end",
    "c-port",
    "x-edge-detailed-result-type",
    "c-country",
    "cs-accept-encoding",
    "cs-accept",
    "cache-behavior-path-pattern",
    "cs-headers",
    "cs-header-names",
    "cs-headers-count",
    "primary-distribution-id",
    "primary-distribution-dns-name",
    "origin-fbl",
    "origin-lbl",
    "asn",
)
LATER = ("DistributionId", "timestamp(ms)", "distribution-tenant-id", "connection-id")


def moment(date: pa.Array, time: pa.Array) -> pa.Array:
    """Return a date and a time of UTC in milliseconds since 1970; null where they are neither."""
    text = pc.binary_join_element_wise(date.cast(pa.string()), time.cast(pa.string()), "T")
    return pc.strptime(text, format="%Y-%m-%dT%H:%M:%S", unit="ms", error_is_null=True).cast(pa.int64())


def decoded(texts: pa.Array) -> pa.Array:
    """Return texts without their percent-encoding; one that is then no UTF-8 stays as it is."""
    encoded = texts.cast(pa.string()).dictionary_encode()
    return pa.array(map(_decoded, encoded.dictionary.to_pylist()), pa.string()).take(encoded.indices)


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


host, edge_host, viewer_host = at("cs(Host)"), at("x-host-header"), at("cs-host")
distribution = host.or_(edge_host.only_if(~viewer_host.is_null()))
asked = viewer_host.or_(edge_host)
code = at("sc-status").text()

FIELDS: Fields = {
    "time": apply(moment, at("date"), at("time")).or_(at("timestamp(ms)").epoch("ms"), at("timestamp").epoch("s")),
    "severity_id": 1,
    "activity_id": http_activity(at("cs-method")),
    "status_id": http_outcome(code),
    "status_code": at("x-edge-detailed-result-type"),
    "status_detail": at("x-edge-result-type"),
    "duration": at("time-taken").epoch("s"),
    "metadata.uid": at("x-edge-request-id"),
    "metadata.product.name": "Amazon CloudFront",
    "metadata.product.vendor_name": "AWS",
    "cloud.provider": "AWS",
    "cloud.account.uid": origin("account"),
    "src_endpoint.ip": at("c-ip"),
    "src_endpoint.port": at("c-port"),
    "src_endpoint.zone": at("x-edge-location"),
    "src_endpoint.location.country": at("c-country"),
    "src_endpoint.autonomous_system.number": at("asn"),
    "dst_endpoint.svc_name": "cloudfront.amazonaws.com",
    "dst_endpoint.hostname": distribution,
    "dst_endpoint.domain": distribution,
    "dst_endpoint.uid": at("DistributionId"),
    "http_request.uid": at("x-edge-request-id"),
    "http_request.http_method": at("cs-method"),
    "http_request.version": at("cs-protocol-version"),
    "http_request.referrer": apply(decoded, at("cs(Referer)", "cs-referer")),
    "http_request.user_agent": apply(decoded, at("cs(User-Agent)", "cs-user-agent")),
    "http_request.x_forwarded_for": addresses(apply(decoded, at("x-forwarded-for"))),
    "http_request.url.scheme": at("cs-protocol"),
    "http_request.url.hostname": asked.extract(r"^([^:\[\]]+)(?::[0-9]+)?$"),
    "http_request.url.port": asked.extract(r"^[^:\[\]]+:([0-9]{1,5})$"),
    "http_request.url.path": at("cs-uri-stem").extract(r"^([^?]+)"),
    "http_request.url.query_string": at("cs-uri-query").or_(at("cs-uri-stem").extract(r"\?(.+)$")),
    "http_response.code": code,
    "http_response.latency": at("time-to-first-byte").epoch("s"),
    "http_response.length": at("sc-bytes"),
    "http_response.content_type": apply(decoded, at("sc-content-type")),
    "http_status": code,
    # OCSF counts from the viewer: out is what it sent.
    "traffic.bytes_out": at("cs-bytes"),
    "traffic.bytes_in": at("sc-bytes"),
    "tls.version": at("ssl-protocol"),
    "tls.cipher": at("ssl-cipher"),
}

RESPONSE_REQUIRED: Fields = {"http_response.code": code.or_(0)}

MAPPER = Mapper(
    "aws.cloudfront",
    title="Amazon CloudFront",
    source_name="aws_cloudfront",
    parse=DelimitedText(
        columns=STANDARD,
        names=frozenset({*STANDARD, *REAL_TIME, *LATER}),
        separator="\t",
        header="#Fields:",
        layouts=((r"\d{4}-", STANDARD), (r"\d+\.?\d*\t", REAL_TIME)),
    ),
    null_words=("-",),
    events=[
        EventMap("http_activity", fields=FIELDS | RESPONSE_REQUIRED, until="1.4.0"),
        EventMap("http_activity", fields=FIELDS),
    ],
    unmapped=tuple(sorted({*STANDARD, *REAL_TIME, *LATER})),
)
