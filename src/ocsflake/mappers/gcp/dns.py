r"""Google Cloud DNS query logs to DNS Activity 4003.

Queries to private zones (``dns_query`` of a VPC network) and to public ones. Answers come as ``structuredRdata``, in
older logs as lines of text, which are cut at 260 bytes; those stay whole in ``message`` too.

OCSF before 1.5 holds host names to a pattern. There a name stands without its trailing dot, and what the pattern
forbids, such as ``_ldap._tcp``, leaves the query in ``unmapped``. From 1.5 on a name stands as it was logged. A query
without a source address (forwarded from outside of the network) has the kind of its source for a name.

The fields: https://docs.cloud.google.com/dns/docs/monitoring
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.compute as pc

from ocsflake.mappers._network import protocol_number
from ocsflake.mappers.gcp._entry import ENTRIES, ENTRY, UNMAPPED, whole
from ocsflake.mapping import EventMap, Fields, Mapper, apply, at
from ocsflake.mapping.lists import each, relist

if TYPE_CHECKING:
    import pyarrow as pa

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
RECORD = r"^[^\t]+\t(?P<ttl>[0-9]+)\t(?P<class>[^\t]+)\t(?P<type>[^\t]+)\t(?P<data>.+)$"


def _answers(texts: pa.Array, part: str) -> pa.Array:
    lines = pc.split_pattern(texts, pattern="\n")
    return relist(lines, pc.struct_field(pc.extract_regex(lines.flatten(), pattern=RECORD), part))


def ttls(texts: pa.Array) -> pa.Array:
    """Return the times to live of records in presentation format, one a line."""
    return _answers(texts, "ttl")


def classes(texts: pa.Array) -> pa.Array:
    """Return the classes of records in presentation format, one a line."""
    return _answers(texts, "class")


def types(texts: pa.Array) -> pa.Array:
    """Return the types of records in presentation format, one a line; in capitals, which not every server writes."""
    return each(_answers(texts, "type"), pc.utf8_upper)


def data(texts: pa.Array) -> pa.Array:
    """Return the data of records in presentation format, one a line."""
    return _answers(texts, "data")


name = at("jsonPayload.queryName")
rcode = at("jsonPayload.responseCode")
text = at("jsonPayload.rdata")
source, target = at("jsonPayload.sourceIP"), at("jsonPayload.destinationIP")
structured = "jsonPayload.structuredRdata[]"

FIELDS: Fields = ENTRY | {
    "activity_id": 6,
    "status_id": rcode.lookup({"NOERROR": 1}, default=2).or_(0),
    "status_detail": at("jsonPayload.egressError"),
    "duration": whole(at("jsonPayload.serverLatency")),
    "message": text,
    "metadata.product.name": "Cloud DNS",
    "query.hostname": name,
    "query.type": at("jsonPayload.queryType"),
    "rcode_id": rcode.lookup(RCODE, default=99),
    "answers[].rdata": at(f"{structured}.rvalue").or_(apply(data, text)),
    "answers[].ttl": whole(at(f"{structured}.ttl")).or_(apply(ttls, text)),
    "answers[].class": at(f"{structured}.class").or_(apply(classes, text)),
    "answers[].type": at(f"{structured}.type").or_(apply(types, text)),
    "answers[].flag_ids": at("jsonPayload.authAnswer").text().lookup({"true": 1}),
    "src_endpoint.ip": source,
    "src_endpoint.name": at("jsonPayload.vmInstanceName").or_(
        at("resource.labels.source_type").only_if(source.is_null())
    ),
    "src_endpoint.zone": at("jsonPayload.vmZoneName"),
    # A float does not hold the number exactly; newer logs have it as text too.
    "src_endpoint.instance_uid": at("jsonPayload.vmInstanceIdString").or_(whole(at("jsonPayload.vmInstanceId"))),
    "src_endpoint.vpc_uid": at("jsonPayload.sourceNetwork"),
    "src_endpoint.owner.account.uid": at("jsonPayload.vmProjectId"),
    "dst_endpoint.ip": target,
    "connection_info.direction_id": 0,
    "connection_info.protocol_name": at("jsonPayload.protocol"),
    "connection_info.protocol_num": protocol_number(at("jsonPayload.protocol")),
}

HELD_TO_PATTERN: Fields = {"query.hostname": name.extract(r"^(.+?)\.?$")}

MAPPER = Mapper(
    "gcp.dns",
    title="Google Cloud DNS",
    source_name="gcp_dns",
    parse=ENTRIES,
    events=[
        EventMap("dns_activity", fields=FIELDS | HELD_TO_PATTERN, until="1.4.0"),
        EventMap("dns_activity", fields=FIELDS),
    ],
    unmapped=(*UNMAPPED, "jsonPayload.*", "resource.type"),
)
