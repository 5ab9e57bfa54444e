"""AWS WAF logs to HTTP Activity 4002.

JSON lines as WAF delivers them to S3, Firehose and CloudWatch Logs, of web ACLs (v2) and of WAF Classic.

WAF sees requests, and responses only where it gives them itself: the custom code that it logs, the code of a CAPTCHA or
a challenge, or the 403 that AWS documents for a block without a custom response. OCSF before 1.5 requires a response of
every HTTP Activity: there the code is 0, which is no HTTP status, where WAF knows of none.

The destination is the protected resource, by the name and the id that WAF gives its source.

The fields: https://docs.aws.amazon.com/waf/latest/developerguide/logging-fields.html
"""

from __future__ import annotations

from ocsflake.mappers._http import addresses, http_activity
from ocsflake.mappers._pairs import named
from ocsflake.mappers.aws._arn import account_of, region_of
from ocsflake.mapping import EventMap, Fields, JsonRecords, Mapper, at, origin

ACTION = {"ALLOW": 1, "BLOCK": 2, "CAPTCHA": 2, "CHALLENGE": 2, "COUNT": 3}
DISPOSITION = {"ALLOW": 1, "BLOCK": 2, "CAPTCHA": 22, "CHALLENGE": 23, "COUNT": 20}
TLS = {"10": "TLSv1", "11": "TLSv1.1", "12": "TLSv1.2", "13": "TLSv1.3"}

webacl = at("webaclId")
names, values = at("httpRequest.headers[].name"), at("httpRequest.headers[].value")
host = at("httpRequest.host").or_(named(names, values, "host"))
ja3, ja4 = at("ja3Fingerprint"), at("ja4Fingerprint")
code = at("responseCodeSent").or_(
    at("captchaResponse.responseCode"),
    at("challengeResponse.responseCode"),
    at("action").lookup({"BLOCK": 403}),
)

FIELDS: Fields = {
    "time": at("timestamp").epoch("ms"),
    "severity_id": 1,
    "activity_id": http_activity(at("httpRequest.httpMethod")),
    "action_id": at("action").lookup(ACTION, default=99).or_(0),
    "disposition_id": at("action").lookup(DISPOSITION, default=99).or_(0),
    "metadata.uid": at("httpRequest.requestId"),
    "metadata.labels": at("labels[].name"),
    "metadata.product.version": at("formatVersion").text(),
    "metadata.product.name": "AWS WAF",
    "metadata.product.vendor_name": "AWS",
    "metadata.product.feature.uid": webacl,
    "cloud.provider": "AWS",
    "cloud.account.uid": account_of(webacl).or_(origin("account")),
    "cloud.region": webacl.extract(r"^arn:[^:]+:wafv2:[^:]+:[0-9]+:(global)/").or_(region_of(webacl), origin("region")),
    "src_endpoint.ip": at("httpRequest.clientIp"),
    "src_endpoint.location.country": at("httpRequest.country"),
    "src_endpoint.autonomous_system.number": at("clientAsn"),
    # Security Lake's own WAF source has the protected resource in the source endpoint.
    "src_endpoint.svc_name": at("httpSourceName"),
    "src_endpoint.uid": at("httpSourceId"),
    "dst_endpoint.svc_name": at("httpSourceName"),
    "dst_endpoint.uid": at("httpSourceId"),
    "http_request.uid": at("httpRequest.requestId"),
    "http_request.http_method": at("httpRequest.httpMethod"),
    "http_request.version": at("httpRequest.httpVersion"),
    "http_request.args": at("httpRequest.args"),
    "http_request.url.path": at("httpRequest.uri"),
    "http_request.url.query_string": at("httpRequest.args"),
    "http_request.url.scheme": at("httpRequest.scheme"),
    "http_request.url.hostname": host.extract(r"^([^:\[\]]+)(?::[0-9]+)?$"),
    "http_request.url.port": host.extract(r"^[^:\[\]]+:([0-9]{1,5})$"),
    "http_request.user_agent": named(names, values, "user-agent"),
    "http_request.referrer": named(names, values, "referer"),
    "http_request.x_forwarded_for": addresses(named(names, values, "x-forwarded-for")),
    "http_request.http_headers[].name": names,
    "http_request.http_headers[].value": values,
    "http_response.code": code,
    "http_status": code,
    "firewall_rule.uid": at("terminatingRuleId"),
    "firewall_rule.type": at("terminatingRuleType"),
    "firewall_rule.name": at("rateBasedRuleList[].rateBasedRuleName"),
    "firewall_rule.rate_limit": at("rateBasedRuleList[].maxRateAllowed"),
    "firewall_rule.condition": at("terminatingRuleMatchDetails[].conditionType"),
    "firewall_rule.match_location": at("terminatingRuleMatchDetails[].location"),
    "firewall_rule.match_details": at("terminatingRuleMatchDetails[].matchedData[]"),
    # JA4 begins with the transport and the highest TLS version that the client offers.
    "tls.version": ja4.extract(r"^[tqd]([0-9]{2})").lookup(TLS),
    "tls.ja3_hash.algorithm_id": ja3.lookup({}, default=1),
    "tls.ja3_hash.value": ja3,
    "ja4_fingerprint_list[].type_id": ja4.lookup({}, default=1),
    "ja4_fingerprint_list[].value": ja4,
}

RESPONSE_REQUIRED: Fields = {
    "action_id": at("action").lookup(ACTION | {"COUNT": 1}, default=99).or_(0),
    "http_response.code": code.or_(0),
}

IN_FULL = ("terminatingRuleMatchDetails[].matchedData[]",)

MAPPER = Mapper(
    "aws.waf",
    title="AWS WAF",
    source_name="aws_waf",
    parse=JsonRecords(),
    null_words=("-",),
    events=[
        EventMap("http_activity", fields=FIELDS | RESPONSE_REQUIRED, consumes=IN_FULL, until="1.4.0"),
        EventMap("http_activity", fields=FIELDS, consumes=IN_FULL),
    ],
    unmapped=(
        "captchaResponse.*",
        "cfDistributionTenantId",
        "challengeResponse.*",
        "excludedRules[]",
        "httpRequest.fragment",
        "nonTerminatingMatchingRules.*",
        "oversizeFields[]",
        "rateBasedRuleList.*",
        "requestBodySize",
        "requestBodySizeInspectedByWAF",
        "requestHeadersInserted.*",
        "ruleGroupList.*",
        "terminatingRuleMatchDetails.*",
    ),
)
