"""The samples of AWS's logs, record by record, and what becomes of one record that a test changes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from hypothesis import strategies as st
from sample_events import events, lines

from ocsflake import mapper, samples
from ocsflake.mapping import plan
from ocsflake.model import RawBatch
from ocsflake.testing.oracle import problems

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PIECES = [b'"', b" ", b",", b"-", b"\xff", b"\0", b"\r", b"\t", b"[", b"9" * 400, b"1e999", b"%FF", b"\\", b"{", b"#"]


def sample(log_type: str, part: str) -> Path:
    """Return the one file of a sample whose name holds `part`."""
    [path] = [path for path in samples.files(log_type) if part in path.name]
    return path


def records(log_type: str, part: str) -> list[bytes]:
    """Return the lines of a file of a sample."""
    return sample(log_type, part).read_bytes().splitlines()


def event(log_type: str, record: Any, version: str = "1.1.0", **origin: str) -> dict[str, Any]:
    """Return the one event of a record, given as a line or as JSON values; it is valid."""
    data = record if isinstance(record, bytes) else json.dumps(record).encode()
    [found] = events(RawBatch(data, origin), log_type, version)
    assert problems(found) == []
    return found


def all_events(log_type: str, data: bytes, version: str = "1.1.0") -> list[dict[str, Any]]:
    """Return the events of a text, without their order: classes come one after the other."""
    found = events(RawBatch(data), log_type, version)
    return sorted(found, key=lambda event: json.dumps(event, sort_keys=True))


def reasons(log_type: str, data: bytes, version: str = "1.1.0") -> list[tuple[str, str]]:
    """Return why records of a text are rejected, with the attribute."""
    mapped = mapper(log_type).map(RawBatch(data), version)
    return [(row["reason"], row["attribute"]) for row in mapped.rejects.to_pylist()]


def balanced(log_type: str, data: bytes) -> None:
    """Check that every record of a text becomes an event or a reject with a reason, never an exception."""
    mapped = mapper(log_type).map(RawBatch(data))
    assert mapped.records == mapped.mapped + mapped.rejects.num_rows
    assert all(row["reason"] for row in mapped.rejects.to_pylist())
    for line in lines([mapped], "1.1.0"):
        assert problems(json.loads(line)) == []


@st.composite
def damaged(draw: st.DrawFn, found: Sequence[bytes]) -> bytes:
    """A line with a few bytes gone or put in."""
    data = draw(st.sampled_from(list(found)))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data)))
        stop = draw(st.integers(start, min(len(data), start + draw(st.sampled_from([0, 1, 8, 40])))))
        data = data[:start] + draw(st.sampled_from(PIECES)) + data[stop:]
    return data


def missing(log_type: str, line: bytes, head: bytes = b"", version: str = "1.1.0") -> dict[str, str]:
    """Return the columns of a line whose value its event does not hold, as it stands, decoded or in milliseconds."""
    found = mapper(log_type)
    raw = RawBatch(line, head=head)
    [frame] = found.parse(raw, plan.compile_mapper(found).root)
    held = set(_texts(events(raw, log_type, version)))
    parts = {path for event_map in found.events for path in event_map.consumes}
    columns = {name: column[0].as_py() for name, column in frame.columns.items()}
    return {
        name: value
        for name, value in columns.items()
        if value is not None and name not in parts and not held & {value, unquote(value), _milliseconds(value)}
    }


def _milliseconds(value: str) -> str:
    return str(round(float(value) * 1000)) if re.fullmatch(r"\d{1,9}\.\d+", value) else value


def _texts(value: Any) -> Iterator[str]:
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from _texts(inner)
        else:
            yield str(inner)
