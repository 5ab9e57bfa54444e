r"""Amazon Route 53 Resolver query logs to DNS Activity 4003.

JSON as Resolver delivers it to S3 and Firehose, or in CloudWatch Logs envelopes. DNS Firewall actions become the action
and the disposition: ALERT is traffic that was allowed.

OCSF before 1.5 holds host names to a pattern. There a name stands without its trailing dot, and what the pattern
forbids, such as ``_ldap._tcp`` or an escaped ``\052``, leaves the query in ``unmapped``. From 1.5 on a name stands as
it was logged.

The fields: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resolver-query-logs-format.html
"""

from __future__ import annotations

from ocsflake.mappers._network import protocol_number
from ocsflake.mapping import EventMap, Fields, JsonRecords, Mapper, at

RCODE = {
    "NOERROR": 0,
    "FORMERR": 1,
    "SERVFAIL": 2,
    "NXDOMAIN": 3,
    "NOTIMP": 4,
    "REFUSED": 5,
    "YXDOMAIN": 6,
    "YXRRSET": 7,
    "NXRRSET": 8,
    "NOTAUTH": 9,
    "NOTZONE": 10,
    "DSOTYPENI": 11,
    "BADVERS": 16,
    "BADSIG": 16,
    "BADKEY": 17,
    "BADTIME": 18,
    "BADMODE": 19,
    "BADNAME": 20,
    "BADALG": 21,
    "BADTRUNC": 22,
    "BADCOOKIE": 23,
}
ACTION = {"ALLOW": 1, "ALERT": 1, "BLOCK": 2}
DISPOSITION = {"ALLOW": 1, "ALERT": 19, "BLOCK": 2}

FIELDS: Fields = {
    "time": at("query_timestamp"),
    "query_time": at("query_timestamp"),
    "severity_id": 1,
    "activity_id": 6,
    "status_id": at("rcode").lookup({"NOERROR": 1}, default=2).or_(0),
    "action_id": at("firewall_rule_action").lookup(ACTION, default=99).or_(0),
    "disposition_id": at("firewall_rule_action").lookup(DISPOSITION, default=99),
    "metadata.product.version": at("version").text(),
    "metadata.product.name": "Route 53",
    "metadata.product.vendor_name": "AWS",
    "metadata.product.feature.name": "Resolver Query Logs",
    "cloud.provider": "AWS",
    "cloud.account.uid": at("account_id").text(),
    "cloud.region": at("region"),
    "query.hostname": at("query_name"),
    "query.type": at("query_type"),
    "query.class": at("query_class"),
    "rcode_id": at("rcode").lookup(RCODE, default=99),
    "answers[].rdata": at("answers[].Rdata"),
    "answers[].type": at("answers[].Type"),
    "answers[].class": at("answers[].Class"),
    "src_endpoint.ip": at("srcaddr"),
    "src_endpoint.port": at("srcport"),
    "src_endpoint.vpc_uid": at("vpc_id"),
    "src_endpoint.instance_uid": at("srcids.instance"),
    "dst_endpoint.instance_uid": at("srcids.resolver_endpoint"),
    "dst_endpoint.interface_uid": at("srcids.resolver_network_interface"),
    "connection_info.direction_id": 0,
    "connection_info.protocol_name": at("transport"),
    "connection_info.protocol_num": protocol_number(at("transport")),
    "firewall_rule.uid": at("firewall_rule_group_id"),
    "firewall_rule.match_details": at("firewall_domain_list_id"),
}

HELD_TO_PATTERN: Fields = {"query.hostname": at("query_name").extract(r"^(.+?)\.?$")}

MAPPER = Mapper(
    "aws.route53_resolver",
    title="Amazon Route 53 Resolver query logs",
    source_name="aws_route53_dns",
    parse=JsonRecords(unwrap=("Records",)),
    events=[
        EventMap("dns_activity", fields=FIELDS | HELD_TO_PATTERN, until="1.4.0"),
        EventMap("dns_activity", fields=FIELDS),
    ],
    unmapped=("additional_properties.*", "firewall_protection", "firewall_threat_protection"),
)
