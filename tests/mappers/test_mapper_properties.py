"""What holds for every mapper, whatever comes: counts balance, and how records are cut changes no event."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from typing import TYPE_CHECKING

from hypothesis import example, given, settings
from hypothesis import strategies as st
from sample_events import lines

from ocsflake import mapper, samples
from ocsflake.mappers.aws.vpc_flow import DEFAULT
from ocsflake.mapping.records import split_records
from ocsflake.model import RawBatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ocsflake.model import Mapped

PIECES = [
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\",
    b"\xff",
    b"\0",
    b"}{",
    b",",
    b":",
    b"null",
    b"1e999",
    b"-",
    b" ",
    b'"\\ud800"',
    b'"{broken"',
    b'{"a":[1,{"b":null}]}',
    b"[" * 2000,
    b'{"k":' * 2000,
    b"99999999999999999999",
    b"\r",
    b'{"Records":[',
    b'"detail-type":"x","detail":',
    b'"logEvents":[{"message":"x"}],"messageType":"DATA_MESSAGE",',
]


def sample_records(log_type: str) -> list[bytes]:
    """Return the records of a sample, each on a line of its own."""
    found: list[bytes] = []
    for path in samples.files(log_type):
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix == ".gz" else data
        if data[:1] == b"{":
            found += [bytes(record).replace(b"\n", b" ") for record in split_records(data, ("Records",))[0]]
        else:
            found += data.splitlines()[1:] if b"log-status" in data.splitlines()[0] else []
    return found


CLOUDTRAIL = sample_records("aws.cloudtrail")
FLOWS = [line for line in sample_records("aws.vpc_flow") if line.startswith(b"2 ")]


@st.composite
def damaged(draw: st.DrawFn, records: Sequence[bytes]) -> bytes:
    """A record with a few bytes gone or put in."""
    data = draw(st.sampled_from(records))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data)))
        stop = draw(st.integers(start, min(len(data), start + draw(st.sampled_from([0, 0, 1, 20, 400])))))
        data = data[:start] + draw(st.sampled_from(PIECES)) + data[stop:]
    return data


def balanced(mapped: Mapped) -> None:
    assert mapped.records == mapped.mapped + mapped.rejects.num_rows
    assert all(row["reason"] for row in mapped.rejects.to_pylist())
    for line in lines([mapped], "1.1.0"):
        json.loads(line)


@given(data=st.binary(max_size=200) | damaged(CLOUDTRAIL) | damaged([b"\n".join(CLOUDTRAIL[:3])]))
@settings(max_examples=80, deadline=None)
@example(data=b"")
@example(data=b"\n\n \n")
@example(data=b"null")
@example(data=b"[]")
@example(data=b'{"Records": {}}')
@example(data=b'{"Records": [1, null, "x", [], {}]}')
def test_any_bytes_balance_as_cloudtrail(data: bytes) -> None:
    """Every record becomes an event or a reject with a reason, never an exception."""
    balanced(mapper("aws.cloudtrail").map(RawBatch(data)))


@given(data=st.binary(max_size=200) | damaged(FLOWS) | damaged([b"\n".join(FLOWS[:4])]))
@settings(max_examples=80, deadline=None)
@example(data=b"")
@example(data=b"\xef\xbb\xbf\n")
@example(data=b'{"version": 2')
def test_any_bytes_balance_as_flows(data: bytes) -> None:
    """Every line becomes an event or a reject with a reason, never an exception."""
    balanced(mapper("aws.vpc_flow").map(RawBatch(data)))


def outcome(parts: Iterable[Mapped]) -> tuple[Counter[bytes], Counter[tuple[bytes, str, str]]]:
    """Return events and rejects without their order."""
    parts = list(parts)
    events = Counter(lines(parts, "1.1.0"))
    rejects = Counter(
        (row["record"], row["reason"], row["attribute"]) for part in parts for row in part.rejects.to_pylist()
    )
    return events, rejects


def whole(record: bytes) -> bool:
    """Return whether a line stands for itself alone."""
    return b"\n" not in record and b"\r" not in record and bool(record.strip())


@given(records=st.lists(damaged(CLOUDTRAIL), min_size=2, max_size=8), data=st.data())
@settings(max_examples=25, deadline=None)
def test_how_records_are_cut_changes_no_event(records: list[bytes], data: st.DataObject) -> None:
    """One batch, two batches or a batch a record: the same events and the same rejects, to the byte."""
    cut = data.draw(st.integers(1, len(records) - 1))
    cloudtrail = mapper("aws.cloudtrail")

    together = outcome([cloudtrail.map(RawBatch(records))])

    assert outcome(cloudtrail.map_batches([RawBatch(records[:cut]), RawBatch(records[cut:])])) == together
    assert outcome(cloudtrail.map_batches((RawBatch([record]) for record in records), rows=1)) == together
    assert outcome(cloudtrail.map_batches((RawBatch([record]) for record in records), rows=3)) == together


@given(records=st.lists(damaged(FLOWS).filter(whole), min_size=2, max_size=8), data=st.data())
@settings(max_examples=25, deadline=None)
def test_how_lines_are_cut_changes_no_event(records: list[bytes], data: st.DataObject) -> None:
    """A batch that begins within a file is given the header, and yields what it would within the whole."""
    cut = data.draw(st.integers(1, len(records) - 1))
    flows = mapper("aws.vpc_flow")
    header = " ".join(DEFAULT).encode()

    together = outcome([flows.map(RawBatch(b"\n".join([header, *records])))])

    parts = [RawBatch(b"\n".join([header, *records[:cut]])), RawBatch(b"\n".join(records[cut:]), head=header)]
    assert outcome(flows.map_batches(parts)) == together
    singles = (RawBatch(record, head=header) for record in records)
    assert outcome(flows.map_batches(singles, rows=1)) == together
