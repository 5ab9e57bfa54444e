"""What every mapper must do with a sample of its log.

A test of one line has it all::

    def test_mapper():
        check_mapper(MAPPER, "tests/door.log", golden="tests/goldens/door")
"""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocsflake.mapping import DelimitedText, JsonRecords
from ocsflake.mapping.records import split_records
from ocsflake.model import RawBatch
from ocsflake.ocsf import load, validate
from ocsflake.ocsf.json_lines import json_lines
from ocsflake.sources.streams import read_batches
from ocsflake.testing.raw_leaves import lost, read_json

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence

    from ocsflake.mapping import Mapper
    from ocsflake.model import Mapped

__all__ = ["VERSIONS", "check_mapper", "event_lines", "raw_batches"]

VERSIONS = ("1.1.0", "1.3.0", "1.5.0", "1.8.0")
"""The OCSF versions that a mapper is tried at."""

_SHOWN = 3


def check_mapper(
    mapper: Mapper,
    sample: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    golden: str | os.PathLike[str] | None = None,
    write: bool = False,
    versions: Sequence[str] = VERSIONS,
) -> None:
    """Check all that a mapper promises, on a sample of its log.

    - Counts balance; nothing of the sample is rejected, and nothing is unknown to the mapper.
    - At every OCSF version all events are valid: to ocsflake, and if it is installed to jsonschema-rs, which shares no
      code with it.
    - The same input gives the same bytes.
    - Cutting a batch changes no event. (JSON, and text whose first line names the columns.)
    - No value of a raw record is lost: an attribute holds it, or ``unmapped``; what is redacted aside. (The same.)
    - The events are those of the golden files, byte for byte.

    Args:
        mapper: To check.
        sample: A file of raw records, or several.
        golden: A folder with the events as JSON lines, ``<version>.jsonl``, for the first and the last of `versions`;
            without it nothing is compared.
        write: Write the golden files, instead of comparing; read what changed before you commit it.
        versions: The OCSF versions to try.

    Raises:
        AssertionError: If a promise is not kept; says which, and shows the first cases.
    """
    paths = [Path(sample)] if isinstance(sample, str | Path) else [Path(path) for path in _each(sample)]
    _check_balance(mapper, paths)
    _check_repeatable(mapper, paths)
    for version in versions:
        if not any(table.holds_in(version) for table in mapper.events):
            continue
        found = event_lines(mapper, paths, version)
        _check_valid(mapper, found, version)
        if version in (versions[0], versions[-1]):
            _check_records(mapper.redacting((), keep_secrets=True), paths, version)
            if golden is not None:
                _check_golden(mapper, found, Path(golden) / f"{version}.jsonl", write=write)


def raw_batches(paths: Iterable[Path]) -> Iterator[RawBatch]:
    """Yield the raw records of files, as the source ``files`` reads them; their origin is the file's name."""
    for path in paths:
        with path.open("rb") as file:
            yield from read_batches(file, path.name, origin={"uri": path.name})


def event_lines(mapper: Mapper, paths: Iterable[Path], version: str) -> list[bytes]:
    """Return the events of files as JSON lines, in the order of the files."""
    return [line for path in paths for line in _lines(mapper.map_batches(raw_batches([path]), version), version)]


def _each(sample: Any) -> Iterable[Any]:
    return [sample] if hasattr(sample, "__fspath__") else sample


def _lines(parts: Iterable[Mapped], version: str) -> list[bytes]:
    schema = load(version)
    return [
        line
        for mapped in parts
        for batch in mapped.batches
        for line in json_lines(batch.events, schema.event_class(batch.event_class, schema.profiles()))
    ]


def _check_balance(mapper: Mapper, paths: Iterable[Path]) -> None:
    for path in paths:
        for mapped in mapper.map_batches(raw_batches([path])):
            rejects = mapped.rejects.to_pylist()
            _say(not rejects, f"{mapper.log_type}: {path} has records that are rejected", rejects)
            _say(mapped.records == mapped.mapped, f"{mapper.log_type}: {path}: records are neither events nor rejects")
            _say(
                not mapped.drift.unknown,
                f"{mapper.log_type}: {path} has raw paths that the mapper does not know; name those that belong to"
                " `unmapped` in Mapper(unmapped=)",
                list(mapped.drift.unknown),
            )


def _check_repeatable(mapper: Mapper, paths: Iterable[Path]) -> None:
    for path in paths:
        first, again = (
            [batch.events.serialize() for mapped in mapper.map_batches(raw_batches([path])) for batch in mapped.batches]
            for _ in range(2)
        )
        _say(first == again, f"{mapper.log_type}: {path} mapped again gives other bytes; a mapper is a pure function")


def _check_valid(mapper: Mapper, lines: Sequence[bytes], version: str) -> None:
    events = [json.loads(line) for line in lines]
    errors = [finding for finding in validate(events, version).findings if finding.level == "error"]
    _say(not errors, f"{mapper.log_type}: events are not valid in OCSF {version}", errors)
    try:
        from ocsflake.testing.oracle import problems
    except ImportError:
        return
    wrong = [(found, event) for event in events if (found := problems(event))]
    _say(not wrong, f"{mapper.log_type}: events are not valid in OCSF {version} to jsonschema-rs", wrong)


def _check_golden(mapper: Mapper, lines: Sequence[bytes], path: Path, *, write: bool) -> None:
    if write:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(line + b"\n" for line in lines))
    _say(path.exists(), f"{mapper.log_type}: there is no {path}; write it first (write=True, pytest --write-goldens)")
    golden = path.read_bytes().splitlines()
    differing = [pair for pair in zip(lines, golden, strict=False) if pair[0] != pair[1]]
    _say(len(lines) == len(golden), f"{mapper.log_type}: {path} has {len(golden)} events, and there are {len(lines)}")
    _say(not differing, f"{mapper.log_type}: events differ from {path} (first as made, then as golden)", differing)


def _check_records(mapper: Mapper, paths: Iterable[Path], version: str) -> None:
    """Check what takes the records one by one: how they are cut, and that nothing of them is lost."""
    for path in paths:
        for batch in raw_batches([path]):
            records = _records(mapper, batch)
            if records is None:
                return
            cut = len(records) // 2
            whole, parts = (
                Counter(_lines([mapper.map(raw, version) for raw in raws], version))
                for raws in ([batch], [_joined(part) for part in (records[:cut], records[cut:]) if part])
            )
            _say(whole == parts, f"{mapper.log_type}: {path} cut in two gives other events", [*(whole - parts)])
            for raw, values in records:
                gone = lost(mapper, values, _lines([mapper.map(raw, version)], version)) if values else []
                _say(not gone, f"{mapper.log_type}: {path}: values of a record are lost in OCSF {version}", gone)


def _records(mapper: Mapper, batch: RawBatch) -> list[tuple[RawBatch, Any]] | None:
    """Return the records of a batch, each as a batch of its own and as values; `None` if nothing here can part them."""
    parse: Any = mapper.parse
    if not isinstance(batch.records, bytes):
        return None
    if isinstance(parse, JsonRecords):
        found = []
        for record in map(bytes, split_records(batch.records, parse.unwrap, csv=parse.csv)[0]):
            values = read_json(record)
            skipped = any(key in values for _, key in parse.skip)
            found.append((RawBatch([record], batch.origin), None if skipped else values))
        return found
    if isinstance(parse, DelimitedText) and not parse.header:
        head, *rows = batch.records.splitlines(keepends=True)
        names = head.decode().split()
        return [
            (RawBatch(row, batch.origin, head), dict(zip(names, _fields(row, parse.separator), strict=False)))
            for row in rows
        ]
    return None


def _fields(row: bytes, separator: str) -> list[str]:
    return row.decode().rstrip("\r\n").split(separator)


def _joined(part: Sequence[tuple[RawBatch, Any]]) -> RawBatch:
    first = part[0][0]
    records: list[Any] = [raw.records for raw, _ in part]
    if isinstance(first.records, bytes):
        return RawBatch(b"".join(records), first.origin, first.head)
    return RawBatch([record for each in records for record in each], first.origin)


def _say(holds: bool, what: str, cases: Iterable[Any] = ()) -> None:
    if not holds:
        shown = "".join(f"\n  {case}" for case in islice(cases, _SHOWN))
        raise AssertionError(what + shown)
