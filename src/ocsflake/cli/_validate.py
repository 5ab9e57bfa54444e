"""``ocsflake validate``: events in, one JSON line a finding out."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from ocsflake import ocsf
from ocsflake.cli._inputs import Inputs
from ocsflake.cli._output import put, tell
from ocsflake.sources.streams import is_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from ocsflake.ocsf import Report

_BOM = b"\xef\xbb\xbf"


def main(arguments: argparse.Namespace) -> int:
    """Validate files; 1 if an event is invalid or a file could not be read."""
    version = arguments.ocsf_version
    if version is not None:
        ocsf.load(version)
    inputs = Inputs(arguments.files)
    events = invalid = 0
    for name, batches in inputs.by_file():
        line = 0
        for batch in batches:
            numbers, report, line = _judged(batch.records, line, version)
            for finding in _findings(report, numbers, name):
                put(msgspec.json.encode(finding))
            events += report.rows
            invalid += report.invalid
    tell(f"events={events} invalid={invalid}")
    return int(bool(invalid or inputs.failed))


def _judged(records: Any, line: int, version: str | None) -> tuple[Sequence[int], Report, int]:
    """Return the line of each event, what is wrong with them, and the last line; `line` ones came before."""
    if not isinstance(records, bytes):
        report = ocsf.validate(records, version)
        return range(line + 1, line + 1 + report.rows), report, line + report.rows
    numbered = list(_events(records, line))
    report = ocsf.validate([event for _, event in numbered], version)
    return [number for number, _ in numbered], report, line + records.count(b"\n")


def _events(text: bytes, line: int) -> Iterator[tuple[int, bytes]]:
    """Yield the events of a piece of text, each with the number of its line.

    One event that spans lines is on the line where it begins; those of a JSON array are numbered from 1.
    """
    text = text if line else text.removeprefix(_BOM)
    if (start := text.lstrip()[:1]) == b"[":
        with suppress(msgspec.DecodeError, RecursionError):
            yield from enumerate(map(bytes, msgspec.json.decode(text, type=list[msgspec.Raw])), 1)
            return
    if start == b"{" and b"\n" in text.strip() and is_json(text):
        yield text[: text.index(b"{")].count(b"\n") + 1, text
        return
    for number, event in enumerate(text.split(b"\n"), line + 1):
        if event.strip():
            yield number, event


def _findings(report: Report, numbers: Sequence[int], file: str) -> Iterator[dict[str, str | int]]:
    """Yield findings one event at a time, in the order of the input."""
    found = [(row, finding) for finding in report.findings for row in finding.rows.to_pylist()]
    for row, finding in sorted(found, key=lambda item: item[0]):
        yield {
            "line": numbers[row],
            "rule": finding.rule,
            "attribute": finding.attribute,
            "level": finding.level,
            "detail": finding.detail,
            "file": file,
        }
