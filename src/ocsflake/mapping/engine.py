"""Running a compiled mapper: raw records in, valid events and rejects out, every record accounted for."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.dictionaries import fitting, plain_column
from ocsflake.mapping import expr as e
from ocsflake.mapping import paths
from ocsflake.mapping.assemble import assemble
from ocsflake.mapping.cast import cast
from ocsflake.mapping.derive import datetimes, enum_values, observables, one_word
from ocsflake.mapping.drift import Noted
from ocsflake.mapping.evaluate import Columns
from ocsflake.mapping.explode import is_empty
from ocsflake.mapping.frame import concat
from ocsflake.mapping.leftovers import Leftovers
from ocsflake.mapping.lists import constant, fit, lengths, pick, relist, relist_flat, row_numbers, rows_with, same_list
from ocsflake.mapping.redact import redacted
from ocsflake.mapping.rejects import Reject, reject_batch
from ocsflake.mapping.shred import paused_gc
from ocsflake.mapping.unmapped import column_leaves, unmapped
from ocsflake.model import EventBatch, Mapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ocsflake.mapping.frame import Frame
    from ocsflake.mapping.plan import CompiledEvent, CompiledMapper
    from ocsflake.model import RawBatch
    from ocsflake.ocsf import Report
    from ocsflake.times import Window

__all__ = ["map_batches", "no_rejects"]

_SAFE_ACCOUNT = r"^[A-Za-z0-9_.:@ +=~-]+$"
_LONGEST_ACCOUNT = 256
_DOTS = ".."
_ROW_BYTES = 1024
"""Bytes of a usual record: what bounds the memory where records are larger than that."""


class _Failures:
    """Why rows become rejects; the first reason of a row counts."""

    def __init__(self) -> None:
        self.found: list[tuple[pa.Array, str, str]] = []

    def add(self, rows: pa.Array, reason: str, attribute: str) -> None:
        """Mark rows (truth values)."""
        if pc.any(rows).as_py():
            self.found.append((pc.fill_null(rows, False), reason, attribute))

    def rows(self) -> dict[int, tuple[str, str]]:
        """Return row number to (reason, attribute)."""
        failed: dict[int, tuple[str, str]] = {}
        for rows, reason, attribute in self.found:
            for row in pc.indices_nonzero(rows).to_pylist():
                failed.setdefault(row, (reason, attribute))
        return failed


def map_batches(compiled: CompiledMapper, raws: Iterable[RawBatch], rows: int) -> Iterator[Mapped]:
    """Yield what becomes of raw records, about `rows` rows at a time, fewer where records are large."""
    waiting: list[Frame] = []
    count = size = 0
    for raw in raws:
        size += _size(raw)
        for frame in compiled.mapper.parse(raw, compiled.root):
            waiting.append(frame)
            count += frame.rows
            if count >= rows:
                yield _map(compiled, _joined(waiting))
                count = 0
        if waiting and size >= rows * _ROW_BYTES:
            yield _map(compiled, _joined(waiting))
            count = 0
        size = size if waiting else 0
    if waiting:
        yield _map(compiled, _joined(waiting))


def _joined(waiting: list[Frame]) -> Frame:
    """Return frames as one, and let go of them: they take as much memory again."""
    frame = concat(waiting)
    waiting.clear()
    return frame


def _size(raw: RawBatch) -> int:
    records = raw.records
    if isinstance(records, pa.RecordBatch):
        return int(records.nbytes)
    return len(records) if isinstance(records, bytes) else sum(map(len, records))


def no_rejects() -> pa.RecordBatch:
    """Return an empty batch of rejects."""
    return reject_batch(())


def _map(compiled: CompiledMapper, frame: Frame) -> Mapped:
    mapper = compiled.mapper
    if mapper.secrets:
        frame = redacted(frame, mapper.secrets, mapper.parse)
    failed: dict[int, tuple[str, str]] = {}
    made = []
    noted = Noted()
    for event, selection in _selections(compiled, frame):
        columns = Columns(frame, compiled.root, mapper.null_words, selection)
        with paused_gc():
            batch, failures = _events(compiled, event, columns, noted)
        numbers = row_numbers(frame.rows) if selection is None else selection
        failed |= {numbers[row].as_py(): why for row, why in failures.rows().items()}
        made.append((event, numbers, batch))
    covered = sum(batch.num_rows for _, _, batch in made)
    if covered < frame.rows:
        taken = {number for _, numbers, _ in made for number in numbers.to_pylist()}
        why = f"no event class of {mapper.log_type} takes it"
        failed |= {row: (why, "") for row in range(frame.rows) if row not in taken}
    record_of = frame.record_of
    bad = {row if record_of is None else record_of[row].as_py(): why for row, why in failed.items()}
    batches = [
        EventBatch.of_words(mapper.log_type, mapper.source_name, event.event_class.name, kept)
        for event, numbers, batch in made
        if (kept := _without(batch, event.schema, numbers, record_of, bad)).num_rows
    ]
    unfruitful = _unfruitful(frame)
    explode = getattr(mapper.parse, "explode", None)
    refused = frame.refused
    empty = {n for n in unfruitful if explode and n not in refused and is_empty(frame.records([n])[0], explode)}
    without = {n: (refused.get(n, "it holds no events"), "") for n in unfruitful if n not in empty}
    rejects = [*frame.rejects, *_rejects(frame, bad), *_rejects(frame, without)]
    read = frame.read + len(frame.rejects) - len(empty)
    return Mapped(
        batches=tuple(batches),
        rejects=reject_batch(rejects),
        records=read,
        mapped=read - len(rejects),
        skipped={**frame.skipped, "record without events": len(empty)} if empty else frame.skipped,
        drift=noted.drift(compiled, frame),
    )


def _selections(compiled: CompiledMapper, frame: Frame) -> Iterator[tuple[CompiledEvent, pa.Array | None]]:
    """Yield each table with the rows that it takes: the first that fits takes a row; ``None`` stands for all rows."""
    columns = Columns(frame, compiled.root, compiled.mapper.null_words)
    free: pa.Array | None = None
    for event in compiled.events:
        if not frame.rows:
            return
        takes = None if event.where is None else columns.holds(event.where)
        if takes is not None:
            chosen = takes if free is None else pc.and_(takes, free)
            free = pc.invert(takes) if free is None else pc.and_(free, pc.invert(takes))
        else:
            chosen, free = free, pa.repeat(pa.scalar(False), frame.rows)
        if chosen is None or pc.all(chosen).as_py():
            yield event, None
            return
        rows = pc.indices_nonzero(chosen).cast(pa.int32())
        if len(rows):
            yield event, rows


def _events(
    compiled: CompiledMapper, event: CompiledEvent, columns: Columns, noted: Noted
) -> tuple[pa.RecordBatch, _Failures]:
    """Return the events of some rows, bad ones among them, and which those are."""
    failures = _Failures()
    leaves, refused = _leaves(compiled, event, columns, failures, noted)
    arrays, left = assemble(event.event_class, event.schema, leaves, columns.rows)
    refused |= left
    places = {name: place for place, name in enumerate(event.schema.names)}
    if event.observables:
        ways = [rule.path.replace("[]", "").split(".") for rule in event.observables]
        kept = [plain_column(_inside(arrays[places[way[0]]], way[1:])) for way in ways]
        kind = event.loose.field("observables").type
        arrays[places["observables"]] = observables(event.observables, kept, columns.rows, kind)
    leftovers = list(_leftovers(event, columns, refused))
    arrays[places["unmapped"]] = unmapped(leftovers, columns.rows)
    batch = pa.RecordBatch.from_arrays(arrays, schema=fitting(event.loose, arrays))
    _judge(event.validate(batch), failures)
    _check_account(leaves, failures)
    _check_time(leaves, compiled.bounds, failures)
    return batch, failures


def _leaves(
    compiled: CompiledMapper, event: CompiledEvent, columns: Columns, failures: _Failures, noted: Noted
) -> tuple[dict[str, pa.Array], dict[str, pa.Array]]:
    """Return attribute path to column, and to the rows whose value OCSF refuses there."""
    leaves: dict[str, pa.Array] = {}
    refused: dict[str, pa.Array] = {}
    for line in event.fields:
        cell = cast(columns.value(line.expression), line.attribute, needed=line.needed)
        good = cell.bad is None and cell.refused is None
        leaves[line.path] = cell.values if line.text is None or not good else one_word(line.text, columns.rows)
        if cell.bad is not None:
            failures.add(cell.bad, cell.reason, line.path)
        if cell.refused is not None:
            refused[line.path] = cell.refused
        noted.cell(event, line, cell, columns)
        unreadable = columns.bad_of(line.expression)
        if unreadable is not None and line.needed:
            failures.add(*unreadable, line.path)
        elif unreadable is not None:
            refused[line.path] = pc.or_(refused[line.path], unreadable[0]) if line.path in refused else unreadable[0]
    for plan in event.enums:
        words = None if plan.word is None or plan.sibling is None else columns.value(plan.word)
        noted.enum(plan, leaves[plan.path], columns)
        leaves[plan.path], texts = enum_values(plan.rule, leaves[plan.path], words)
        if plan.sibling is not None:
            leaves[plan.sibling] = texts
    for path, twin in event.twins:
        leaves[twin] = datetimes(leaves[path])
    for path, value in event.constants.items():
        same = constant(value, columns.rows).cast(pa.int32()) if isinstance(value, int) else None
        leaves[path] = one_word(str(value), columns.rows) if same is None else same
    _types(event, leaves)
    profiles = sorted(event.event_class.profiles)
    leaves["metadata.profiles"] = same_list(profiles, columns.rows)
    if compiled.raw_data:
        leaves["raw_data"] = _raw_data(columns)
    return leaves, refused


def _types(event: CompiledEvent, leaves: dict[str, pa.Array]) -> None:
    """Fill ``type_uid`` (class_uid * 100 + activity_id) and ``type_name``."""
    ids = leaves["activity_id"].cast(pa.int64())
    leaves["type_uid"] = pc.add(ids, event.event_class.uid * 100)
    captions, words = event.types.captions, event.types.words
    place = pc.index_in(leaves["type_uid"], value_set=pa.array(list(captions), pa.int64()))
    if words is None:
        leaves["type_name"] = pick(pa.array(list(captions.values()), pa.string()), place)
    else:
        places = pa.array([words.places[uid] for uid in captions], pa.int8())
        leaves["type_name"] = words.take(pick(places, place))


def _raw_data(columns: Columns) -> pa.Array:
    frame = columns.frame
    rows = row_numbers(frame.rows) if columns.selection is None else columns.selection
    records = rows if frame.record_of is None else frame.record_of.take(rows)
    return pa.array(frame.records(records.to_pylist()), pa.binary()).cast(pa.string())


def _leftovers(event: CompiledEvent, columns: Columns, refused: Mapping[str, pa.Array]) -> Iterator[Leftovers]:
    """Yield every raw value that no attribute carries."""
    left = columns.frame.leftovers
    if columns.selection is not None:
        place = pc.index_in(left.rows, value_set=columns.selection)
        kept = place.is_valid()
        left = Leftovers(place.filter(kept), left.keys.filter(kept), left.values.filter(kept))
    yield left
    for name in columns.frame.columns:
        path = paths.parse(name)
        carried = _carried(event, columns, path, refused)
        if carried is True:
            continue
        column = columns.exact(path)
        if column.null_count < len(column):
            yield column_leaves(name, column, None if carried is None else pc.invert(carried))


def _carried(
    event: CompiledEvent, columns: Columns, path: paths.Path, refused: Mapping[str, pa.Array]
) -> pa.Array | bool | None:
    """Return where an attribute carries the value at a path: ``True`` for everywhere, ``None`` for nowhere."""
    found: pa.Array | None = None
    for length in range(1, len(path) + 1):
        for use in event.uses.get(path[:length], ()):
            held = [_holds(columns, condition, path) for condition in use.conditions]
            gone = [refused[name] for name in _prefixes(use.attribute) if name in refused]
            held += [pc.invert(pc.fill_null(rows, False)) for rows in gone]
            if use.attribute in event.depths:
                held += _single(columns.exact(path), event.depths[use.attribute])
            if not held:
                return True
            here = reduce(pc.and_, held)
            found = here if found is None else pc.or_(found, here)
    return found


def _single(column: pa.Array, depth: int) -> list[pa.Array]:
    """Return where lists below the `depth` that their attribute has hold one value: of more, only the first is kept."""
    if not pa.types.is_list(column.type):
        return []
    if depth:
        return [pc.invert(rows_with(column, pc.invert(inner))) for inner in _single(column.flatten(), depth - 1)]
    return [pc.less_equal(lengths(_flat(column)), 1)]


def _holds(columns: Columns, condition: e.Expr, path: paths.Path) -> pa.Array:
    """Return the rows where a condition holds; for the elements of lists, where it does for all that have a value."""
    value = columns.value(condition)
    if not pa.types.is_list(value.type):
        return columns.holds(condition)
    column = columns.exact(path)
    absent = isinstance(condition, e.Missing)  # a list that is not there has no value for any element
    if pa.types.is_list(column.type):
        return pc.invert(_fails(value, column, absent))
    flat = _flat(value)
    return pc.or_(value.is_null(), rows_with(flat, flat.flatten())) if absent else value.is_valid()


def _fails(truth: pa.Array, column: pa.Array, absent: bool) -> pa.Array:
    """Return where a column has a value that a condition does not hold for; `absent` is what it is where it is null."""
    if pa.types.is_list(truth.type) and pa.types.is_list(column.type):
        return rows_with(column, _fails(fit(truth, column), column.flatten(), absent))
    if pa.types.is_list(truth.type):
        flat = _flat(truth)
        failed = rows_with(flat, pc.invert(pc.fill_null(flat.flatten(), absent)))
    else:
        failed = pc.invert(pc.fill_null(truth.cast(pa.bool_()), absent))
    return pc.and_(failed, column.is_valid())


def _flat(lists: pa.Array) -> pa.Array:
    """Return lists of lists as lists of their values."""
    while pa.types.is_list(lists.type.value_type):
        lists = relist_flat(lists, lists.flatten())
    return lists


def _prefixes(attribute: str) -> Iterator[str]:
    steps = attribute.split(".")
    for length in range(1, len(steps) + 1):
        yield ".".join(steps[:length])
        yield ".".join(steps[:length]).removesuffix("[]")


def _inside(column: pa.Array, names: Sequence[str]) -> pa.Array:
    """Return what the objects of an event hold at a path, within lists too."""
    if not names:
        return column
    if pa.types.is_list(column.type):
        return relist(column, _inside(column.flatten(), names))
    return _inside(pc.struct_field(column, names[0]), names[1:])


def _judge(report: Report, failures: _Failures) -> None:
    """Mark the rows that OCSF does not allow."""
    if not report.invalid:
        return
    for finding in report.findings:
        if finding.level == "error":
            rows = pc.is_in(row_numbers(report.rows).cast(pa.int64()), value_set=finding.rows)
            failures.add(
                rows, f"{finding.rule}: {finding.detail}" if finding.detail else finding.rule, finding.attribute
            )


def _check_account(leaves: Mapping[str, pa.Array], failures: _Failures) -> None:
    """Mark account ids that could not be a part of an object's key: log content must choose no path."""
    account = leaves.get("cloud.account.uid")
    if account is None or account.null_count == len(account):
        return
    encoded = account.dictionary_encode()
    fit = pc.match_substring_regex(encoded.dictionary, pattern=_SAFE_ACCOUNT)
    fit = pc.and_(fit, pc.less_equal(pc.binary_length(encoded.dictionary), _LONGEST_ACCOUNT))
    fit = pc.and_(fit, pc.invert(pc.match_substring(encoded.dictionary, pattern=_DOTS)))
    if not pc.all(fit).as_py():
        failures.add(
            pc.invert(fit.take(encoded.indices)), "the account id holds characters of a path", "cloud.account.uid"
        )


def _check_time(leaves: Mapping[str, pa.Array], bounds: Window, failures: _Failures) -> None:
    """Mark events of days that nobody would look at, and that would each be an object of their own."""
    times = leaves["time"]
    found = pc.min_max(times)
    first, last = found["min"].as_py(), found["max"].as_py()
    if bounds.since is not None and first is not None and first < bounds.since:
        failures.add(pc.less(times, bounds.since), "the time is further in the past than max_age", "time")
    if bounds.until is not None and last is not None and last >= bounds.until:
        failures.add(pc.greater_equal(times, bounds.until), "the time is further in the future than max_ahead", "time")


def _without(
    batch: pa.RecordBatch,
    schema: pa.Schema,
    numbers: pa.Array,
    record_of: pa.Array | None,
    bad: Mapping[int, object],
) -> pa.RecordBatch:
    """Return the events of good records."""
    if bad:
        records = numbers if record_of is None else record_of.take(numbers)
        batch = batch.filter(pc.invert(pc.is_in(records, value_set=pa.array(sorted(bad), pa.int32()))))
    return pa.RecordBatch.from_arrays(batch.columns, schema=fitting(schema, batch.columns))


def _rejects(frame: Frame, bad: Mapping[int, tuple[str, str]]) -> Iterator[Reject]:
    """Yield records by number, each with its reason and attribute."""
    numbers = sorted(bad)
    for number, record, origin in zip(numbers, frame.records(numbers), frame.origins_of(numbers), strict=True):
        yield Reject(record, *bad[number], origin)


def _unfruitful(frame: Frame) -> list[int]:
    """Return the records of which no row came: no list, or an empty one, where events were due."""
    if frame.record_of is None:
        return []
    seen = set(pc.unique(frame.record_of).to_pylist())
    return [record for record in range(frame.read) if record not in seen]
