"""VPC flow logs in all the ways they are delivered."""

from __future__ import annotations

import gzip
import json
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sample_events import events, lines, sample_lines

from ocsflake import mapper, samples
from ocsflake.mappers.aws.vpc_flow import DEFAULT
from ocsflake.mapping.records import split_records
from ocsflake.model import RawBatch
from ocsflake.sources.streams import read_batches

NUMBERS = {"version", "srcport", "dstport", "protocol", "packets", "bytes", "start", "end", "tcp_flags", "traffic_path"}
"""Columns that a Parquet delivery has as numbers."""

V2 = (
    "2 111122223333 eni-0examp1e0000000e7 203.0.113.10 10.20.1.107 51544 443 6 25 20480 1794819730 1794819790 ACCEPT OK"
)


def sample_text(part: str) -> str:
    """Return the sample file whose name has a part."""
    path = next(path for path in samples.files("aws.vpc_flow") if part in path.name)
    return (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode()


def as_parquet(text: str) -> bytes:
    """Return delivered text as a Parquet delivery has it: ``_`` in names, numbers as numbers, nothing for ``-``."""
    header, *rows = (line.split(" ") for line in text.splitlines())
    columns = {}
    for place, name in enumerate(word.replace("-", "_") for word in header):
        words = [None if row[place] == "-" else row[place] for row in rows]
        numbers = [None if word is None else int(word) for word in words] if name in NUMBERS else None
        columns[name] = pa.array(words) if numbers is None else pa.array(numbers, pa.int64())
    file = BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


@pytest.mark.parametrize("part", ["e000000002", "e000000005", "e000000006", "e000000008"])
def test_parquet_says_what_text_says(part: str) -> None:
    """A Parquet delivery becomes the same events as text, to the byte."""
    flows = mapper("aws.vpc_flow")
    text = sample_text(part)

    typed = lines(flows.map_batches(read_batches(BytesIO(as_parquet(text)), "a.parquet")), "1.1.0")

    assert typed == lines([flows.map(RawBatch(text.encode()))], "1.1.0")
    assert set(typed) <= set(sample_lines("aws.vpc_flow", "1.1.0"))


def test_json_says_what_text_says() -> None:
    """Flow logs as JSON lines, with ``_`` or ``-`` in their keys, become the same events."""
    flows = mapper("aws.vpc_flow")
    text = sample_text("e000000005")
    header, *rows = (line.split(" ") for line in text.splitlines())
    for separator in "_-":
        keys = [word.replace("-", separator) for word in header]
        records = [json.dumps(dict(zip(keys, row, strict=True))) for row in rows]
        mapped = flows.map(RawBatch("\n".join(records).encode()))

        assert lines([mapped], "1.1.0") == lines([flows.map(RawBatch(text.encode()))], "1.1.0")


def test_without_a_header() -> None:
    """Lines of the default format need no header; in a subscription of CloudWatch Logs they are messages."""
    messages = [{"id": "1", "timestamp": 1794819790000, "message": V2}, {"id": "2", "timestamp": 0, "message": V2}]
    document = {"messageType": "DATA_MESSAGE", "owner": "111122223333", "logGroup": "flows", "logEvents": messages}
    expected = events(RawBatch(V2.encode()), "aws.vpc_flow")

    assert expected[0]["src_endpoint"]["ip"] == "203.0.113.10"
    assert events(RawBatch(json.dumps(document).encode()), "aws.vpc_flow") == expected * 2
    assert split_records(json.dumps(document).encode(), ())[0] == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"action": "ACCEPT"}, {"activity_id": 6, "action_id": 1, "disposition_id": 1}),
        ({"action": "REJECT"}, {"activity_id": 5, "action_id": 2, "disposition_id": 2}),
        ({"action": "-"}, {"activity_id": 0, "action_id": 0, "disposition_id": 0}),
        ({"action": "NEW"}, {"activity_id": 99, "activity_name": "NEW", "action_id": 99, "action": "NEW"}),
        ({"account-id": "000000000012"}, {"cloud": {"provider": "AWS", "account": {"uid": "000000000012"}}}),
        ({"account-id": "unknown"}, {"cloud": {"provider": "AWS"}, "unmapped": {"account-id": "unknown"}}),
        ({"traffic-path": "1"}, {"connection_info.boundary_id": 4}),
        ({"traffic-path": "8"}, {"connection_info.boundary_id": 11}),
        ({"traffic-path": "9"}, {"connection_info.boundary_id": 99, "connection_info.boundary": "9"}),
        ({"flow-direction": "egress"}, {"connection_info.direction_id": 2}),
        ({"pkt-srcaddr": "203.0.113.10"}, {"src_endpoint.intermediate_ips": None}),
        (
            {"pkt-srcaddr": "192.0.2.9"},
            {"src_endpoint.ip": "192.0.2.9", "src_endpoint.intermediate_ips": ["203.0.113.10"]},
        ),
        ({"srcaddr": "2001:db8::1"}, {"connection_info.protocol_ver_id": 6}),
        ({"type": "IPv4", "srcaddr": "2001:db8::1"}, {"connection_info.protocol_ver_id": 4}),
        ({"protocol": "17"}, {"connection_info.protocol_num": 17, "connection_info.protocol_name": "udp"}),
        ({"protocol": "200"}, {"connection_info.protocol_num": 200, "connection_info.protocol_name": None}),
        ({"srcport": "70000"}, {"src_endpoint.port": None, "unmapped": {"srcport": "70000"}}),
        ({"new-field": "x"}, {"unmapped": {"new-field": "x"}}),
    ],
)
def test_fields(fields: dict[str, str], expected: dict[str, Any]) -> None:
    """What single fields say."""
    values = dict(zip(DEFAULT, V2.split(), strict=True)) | fields
    (event,) = events(RawBatch(f"{' '.join(values)}\n{' '.join(values.values())}\n".encode()), "aws.vpc_flow")

    for path, value in expected.items():
        found: Any = event
        for name in path.split("."):
            found = found.get(name) if found else None
        assert found == value, path
