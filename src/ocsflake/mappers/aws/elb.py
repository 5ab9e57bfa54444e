r"""Elastic Load Balancing logs to HTTP Activity 4002 and Network Activity 4001.

Access logs of Application, Classic and Network Load Balancers, and connection logs of Application Load Balancers: text
as ELB writes it to S3, with as many of the columns as there were at the time. A line whose request ELB took for HTTP is
HTTP Activity; TLS and TCP listeners and connection logs are Network Activity.

OCSF before 1.5 requires a response of every HTTP Activity: where ELB logs no status, the code there is 0, which is no
HTTP status. A connection log does not name its load balancer: the destination there is the service.

The account is that of the target group, else of the certificate, else that of the log's origin.

The fields: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html,
load-balancer-connection-logs.html beside it, and access-log-collection.html and load-balancer-access-logs.html of the
guides to Classic and Network Load Balancers
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mappers._http import http_activity, http_outcome
from ocsflake.mappers.aws._arn import account_of, region_of
from ocsflake.mappers.aws._lines import line, plain, quoted
from ocsflake.mapping import EventMap, Fields, Mapper, PatternText, apply, at, origin

# Some columns are taken twice: whole, and the part that an attribute needs. What has no attribute stays whole.
TIME = r"(?P<time>\d{4}-\d\d-\d\dT\S+)"
CLIENT = r"\[?(?P<client_ip>[^\s\]]+)\]?:(?P<client_port>\d+)"
TARGET = r"(?:\[?(?P<target_ip>[^\s\]]+)\]?:(?P<target_port>\d+)|-)"
TIMES = r"(?P<times>{} {} {})".format(
    *plain("request_processing_time", "target_processing_time", "response_processing_time")
)
REQUEST = r'"(?:(?P<request_verb>\S+) (?P<request_url>.*?) (?P<request_proto>HTTP/[0-9.]+)|(?:- ?)+|(?P<request>.*?))"'
AGENT = '(?:"(?P<user_agent>.*?)"|-)'
CERTIFICATE = r"(?P<chosen_cert_arn>arn:[^:]+:[^:]+:(?P<cert_region>[^:]*):(?P<cert_account>\d{12}):[^\s\"]+|[^\s\"]+)"
ACTIONS = r'(?:"(?P<actions_executed>(?:[^"]*,)?(?P<last_action>[^",]*))"|-)'

APPLICATION = line(
    [r"(?P<type>https?|h2|grpcs?|wss?)", TIME, *plain("elb"), CLIENT, TARGET, TIMES],
    [
        *plain("elb_status_code", "target_status_code", "received_bytes", "sent_bytes"),
        REQUEST,
        AGENT,
        *plain("ssl_cipher", "ssl_protocol", "target_group_arn"),
        *quoted("trace_id", "domain_name"),
        f'(?:"{CERTIFICATE}"|-)',
        *plain("matched_rule_priority", "request_creation_time"),
        ACTIONS,
        *quoted("redirect_url", "error_reason", "target_port_list", "target_status_code_list"),
        *quoted("classification", "classification_reason"),
        *plain("conn_trace_id"),
    ],
)
CLASSIC = line(
    [TIME, *plain("elb"), CLIENT, TARGET, TIMES],
    [
        *plain("elb_status_code", "target_status_code", "received_bytes", "sent_bytes"),
        REQUEST,
        AGENT,
        *plain("ssl_cipher", "ssl_protocol"),
    ],
)
NETWORK = line(
    [r"(?P<type>tls)", *plain("log_version"), TIME, *plain("elb", "listener"), CLIENT, TARGET],
    [
        *plain("connection_time", "tls_handshake_time", "received_bytes", "sent_bytes", "incoming_tls_alert"),
        CERTIFICATE,
        *plain("chosen_cert_serial", "ssl_cipher", "ssl_protocol", "tls_named_group", "domain_name"),
        *plain("alpn_fe_protocol", "alpn_be_protocol"),
        *quoted("alpn_client_preference_list"),
        *plain("tls_connection_creation_time"),
    ],
)
CONNECTION = line(
    [TIME, r"(?P<client_ip>[0-9A-Fa-f.:]+)", r"(?P<client_port>\d+)", r"(?P<listener_port>\d+)"],
    [
        *plain("ssl_protocol", "ssl_cipher", "tls_handshake_latency"),
        *quoted("leaf_client_cert_subject"),
        *plain("leaf_client_cert_validity", "leaf_client_cert_serial_number", "tls_verify_status", "conn_trace_id"),
        *plain("tls_keyexchange"),
    ],
)

PARTS = ("cert_account", "cert_region", "last_action", "times")
"""Parts of columns that stay whole."""

ACTION = {"fixed-response": 1, "forward": 1, "redirect": 1, "waf": 2, "waf-failed": 2}
DISPOSITION = {"fixed-response": 1, "forward": 1, "redirect": 1, "waf": 2, "waf-failed": 27}


SECONDS = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"


def total(times: pa.Array) -> pa.Array:
    """Return the sum of three times in seconds, in milliseconds; null where one is -1, which is no time."""
    found = pc.extract_regex(times, pattern=f"^(?P<a>{SECONDS}) (?P<b>{SECONDS}) (?P<c>{SECONDS})$")
    first, second, third = (part.cast(pa.float64()) for part in found.flatten())
    return pc.round(pc.multiply(pc.add(pc.add(first, second), third), 1000)).cast(pa.int64())


def latency(times: pa.Array) -> pa.Array:
    """Return the second of three times in seconds, in milliseconds; null where it is -1."""
    found = pc.struct_field(pc.extract_regex(times, pattern=f"^[^ ]+ (?P<b>{SECONDS}) "), "b")
    return pc.round(pc.multiply(found.cast(pa.float64()), 1000)).cast(pa.int64())


elb, url = at("elb"), at("request_url")
received, sent = at("received_bytes"), at("sent_bytes")
verified = at("tls_verify_status")
network = at("type").is_in(["tls"]) | (at("request_verb").is_null() & at("request").is_null())
http_url = url.or_(at("request").extract(r"^- (\S+)- -$"))

COMMON: Fields = {
    "time": at("time"),
    "severity_id": 1,
    "metadata.product.name": "Elastic Load Balancing",
    "metadata.product.vendor_name": "AWS",
    "metadata.product.feature.name": at("type"),
    "metadata.log_version": at("log_version"),
    "cloud.provider": "AWS",
    "cloud.account.uid": account_of(at("target_group_arn")).or_(at("cert_account"), origin("account")),
    "cloud.region": region_of(at("target_group_arn")).or_(at("cert_region"), origin("region")),
    "src_endpoint.ip": at("client_ip"),
    "src_endpoint.port": at("client_port"),
    "dst_endpoint.name": elb,
    "dst_endpoint.uid": at("target_group_arn"),
    "dst_endpoint.ip": at("target_ip"),
    "dst_endpoint.port": at("target_port").or_(at("listener_port")),
    "dst_endpoint.svc_name": elb.is_null().lookup({"true": "elasticloadbalancing.amazonaws.com"}),
    "load_balancer.name": elb,
    "load_balancer.code": at("target_status_code"),
    "load_balancer.error_message": at("error_reason"),
    "load_balancer.classification": at("classification"),
    "load_balancer.status_detail": at("classification_reason"),
    "connection_info.direction_id": 0,
    "connection_info.protocol_num": 6,
    "connection_info.uid": at("conn_trace_id"),
    # OCSF counts from the client: out is what it sent. A Classic Load Balancer writes -1 where it counted nothing.
    "traffic.bytes_out": received.only_if(received != "-1"),
    "traffic.bytes_in": sent.only_if(sent != "-1"),
    "tls.version": at("ssl_protocol"),
    "tls.cipher": at("ssl_cipher"),
    "tls.sni": at("domain_name"),
}

HTTP: Fields = {
    "activity_id": http_activity(at("request_verb")),
    "status_id": http_outcome(at("elb_status_code")),
    "status_code": at("target_status_code"),
    "action_id": at("last_action").lookup(ACTION).or_(0),
    "disposition_id": at("last_action").lookup(DISPOSITION).or_(0),
    "start_time": at("request_creation_time"),
    "duration": apply(total, at("times")),
    "http_request.uid": at("trace_id"),
    "http_request.http_method": at("request_verb"),
    "http_request.version": at("request_proto"),
    "http_request.user_agent": at("user_agent"),
    "http_request.url.url_string": http_url.or_(at("request")),
    "http_request.url.scheme": http_url.extract(r"^([a-z]+)://"),
    "http_request.url.hostname": http_url.extract(r"^[a-z]+://([^/:\[\]]+)"),
    "http_request.url.port": http_url.extract(r"^[a-z]+://[^/]*:([0-9]{1,5})(?:/|$)"),
    "http_request.url.path": http_url.extract(r"^[a-z]+://[^/]*(/[^?]*)"),
    "http_request.url.query_string": http_url.extract(r"^[^?]*\?(.*)$"),
    "http_response.code": at("elb_status_code"),
    "http_response.latency": apply(latency, at("times")),
    "http_status": at("elb_status_code"),
}

RESPONSE_REQUIRED: Fields = {"http_response.code": at("elb_status_code").or_(0)}

CONNECTIONS: Fields = {
    "activity_id": verified.extract("^([A-Za-z]+)")
    .lookup({"Success": 1, "Failed": 4}, default=99)
    .or_(at("listener_port").lookup({}, default=1), at("incoming_tls_alert").lookup({}, default=4), 6),
    "status_id": verified.extract("^([A-Za-z]+)")
    .lookup({"Success": 1, "Failed": 2}, default=99)
    .or_(at("incoming_tls_alert").lookup({}, default=2), 0),
    "status_detail": verified.or_(at("incoming_tls_alert")),
    "start_time": at("tls_connection_creation_time").or_(at("request_creation_time")),
    "duration": at("connection_time").or_(apply(total, at("times"))),
    "tls.handshake_dur": at("tls_handshake_time").or_(at("tls_handshake_latency").epoch("s")),
}

MAPPER = Mapper(
    "aws.elb",
    title="Elastic Load Balancing",
    source_name="aws_elb",
    parse=PatternText((*APPLICATION, *CLASSIC, *NETWORK, *CONNECTION)),
    null_words=("-",),
    events=[
        EventMap("network_activity", where=network, fields=COMMON | CONNECTIONS, consumes=PARTS),
        EventMap("http_activity", fields=COMMON | HTTP | RESPONSE_REQUIRED, consumes=PARTS, until="1.4.0"),
        EventMap("http_activity", fields=COMMON | HTTP, consumes=PARTS),
    ],
    unmapped=(
        "actions_executed",
        "alpn_be_protocol",
        "alpn_client_preference_list",
        "alpn_fe_protocol",
        "chosen_cert_arn",
        "chosen_cert_serial",
        "elb_status_code",
        "leaf_client_cert_serial_number",
        "leaf_client_cert_subject",
        "leaf_client_cert_validity",
        "listener",
        "matched_rule_priority",
        "more",
        "redirect_url",
        "request_processing_time",
        "response_processing_time",
        "target_port_list",
        "target_processing_time",
        "target_status_code_list",
        "tls_keyexchange",
        "tls_named_group",
        "trace_id",
        "user_agent",
    ),
)
