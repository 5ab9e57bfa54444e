"""No value of a raw record is lost on its way into an event."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from raw_leaves import leaves, lost, read_json
from sample_events import lines, raw_batches

from ocsflake import mapper, samples
from ocsflake.mapping import DelimitedText, JsonRecords
from ocsflake.mapping.records import split_records
from ocsflake.model import RawBatch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Record = tuple[bytes, Any]


def text_of(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def json_records(log_type: str, parse: JsonRecords) -> Iterator[Record]:
    for path in samples.files(log_type):
        for raw in raw_batches([path]):
            for record in split_records(raw.records, parse.unwrap, csv=parse.csv)[0]:
                values = read_json(bytes(record))
                if not any(key in values for _, key in parse.skip):
                    yield bytes(record), values


def text_records(log_type: str, separator: str) -> Iterator[Record]:
    """Yield the lines of files that begin with a header."""
    for path in samples.files(log_type):
        header, *rows = text_of(path).decode().splitlines()
        for row in rows:
            yield f"{header}\n{row}\n".encode(), dict(zip(header.split(), row.split(separator), strict=True))


def records_of(log_type: str) -> Iterator[Record]:
    """Yield each record of a sample, as bytes and as values."""
    parse = mapper(log_type).parse
    if isinstance(parse, JsonRecords):
        return json_records(log_type, parse)
    if isinstance(parse, DelimitedText) and not parse.header:
        return text_records(log_type, parse.separator)
    pytest.skip(f"nothing here reads the records of {type(parse).__name__} yet")


@pytest.mark.parametrize("version", ["1.1.0", "1.8.0"])
@pytest.mark.parametrize("log_type", samples.log_types())
def test_no_raw_leaf_is_lost(log_type: str, version: str) -> None:
    """Every value of every record of a sample is in its event: as an attribute, in a JSON text, or in ``unmapped``."""
    checked = 0
    for record, values in records_of(log_type):
        event_lines = lines([mapper(log_type).map(RawBatch(record), version)], version)
        checked += len(list(leaves(values)))

        assert lost(mapper(log_type), values, event_lines) == [], record

    assert checked > 0


def test_what_is_lost_is_found() -> None:
    """A value that its event does not hold is named: one that is gone, one that changed, one that moved."""
    record = json.dumps(
        {
            "eventTime": "2026-11-17T08:00:00Z",
            "eventName": "GetThing",
            "requestParameters": {"a": [{"b": 1}, {"b": 1.50}]},
            "tlsDetails": {"tlsVersion": "TLSv1.3"},
        }
    )
    event = {
        "time": 1794902400001,
        "api": {"operation": "GetThing", "request": {"data": {"a": [{"b": 1}]}}},
        "unmapped": {"tlsVersion": "TLSv1.3"},
    }

    found = lost(mapper("aws.cloudtrail"), read_json(record), [json.dumps(event).encode()])

    assert found == [
        (("eventTime",), "2026-11-17T08:00:00Z"),
        (("requestParameters", "a", "[]", "b"), "1.5"),
        (("tlsDetails", "tlsVersion"), "TLSv1.3"),
    ]
