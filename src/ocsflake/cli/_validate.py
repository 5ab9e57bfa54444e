"""``ocsflake validate``: events in, one JSON line a finding out."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    if arguments.ocsf_version is not None:
        ocsf.load(arguments.ocsf_version)
    inputs = Inputs(arguments.files)
    events = invalid = 0
    current, line = "", 0
    for name, batch in inputs.batches():
        if name != current:
            current, line = name, 0
        records = batch.records
        if isinstance(records, bytes):
            numbered = list(_events(records, line))
            line += records.count(b"\n")
            numbers: Sequence[int] = [number for number, _ in numbered]
            report = ocsf.validate([event for _, event in numbered], arguments.ocsf_version)
        else:
            report = ocsf.validate(records, arguments.ocsf_version)
            numbers = range(line + 1, line + 1 + report.rows)
            line += report.rows
        for finding in _findings(report, numbers, name):
            put(msgspec.json.encode(finding))
        events += report.rows
        invalid += report.invalid
    tell(f"events={events} invalid={invalid}")
    return int(bool(invalid or inputs.failed))


def _events(text: bytes, before: int) -> Iterator[tuple[int, bytes]]:
    """Yield the events of a piece of text, each with the number of its line.

    One event that spans lines is on the line where it begins; those of a JSON array are numbered from 1.
    """
    if not before:
        text = text.removeprefix(_BOM)
    start = text.lstrip()[:1]
    if start == b"[" and is_json(text):
        for number, event in enumerate(msgspec.json.decode(text, type=list[msgspec.Raw]), 1):
            yield number, bytes(event)
    elif start == b"{" and b"\n" in text.strip() and is_json(text):
        yield text[: text.index(b"{")].count(b"\n") + 1, text
    else:
        for number, event in enumerate(text.split(b"\n"), before + 1):
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
