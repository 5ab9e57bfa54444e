"""Validate events against OCSF, whoever made them: Arrow columns or JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from attrs import evolve, field, frozen

from ocsflake.errors import ConfigError, SchemaError
from ocsflake.ocsf._walk import Walk
from ocsflake.ocsf.columnar import compile_validator
from ocsflake.ocsf.report import Finding, make_report
from ocsflake.ocsf.schema import DEFAULT_VERSION, load, versions

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocsflake.ocsf.report import Report
    from ocsflake.ocsf.schema import EventClass, Schema

__all__ = ["validate"]

_BATCH_ROWS = 65536
_CHUNK_EVENTS = 1024
_KEPT_CLASSES = 256


def validate(events: Any, ocsf_version: str | None = None) -> Report:
    """Validate events; each is judged by its own class, version and profiles.

    The class is looked up by ``class_uid``, the version is ``metadata.version`` (1.1.0 if absent), the profiles are
    those of ``metadata.profiles``: attributes of any other profile are unknown. Events of many classes may come
    together. See `compile_validator` for the rules. Beyond those: an event without a ``class_uid``, with one that is
    no integer or that no class has (``class_uid_unknown``) or of a version that is not at hand
    (``version_incompatible``) is invalid and not looked at further; so are a line that is no JSON
    (``json_invalid``) and an event that is no object (``attribute_wrong_type`` at ``""``).

    JSON is judged as JSON Schema does, except that a null stands for an absent attribute, that integers must fit the
    32 bits of ``integer_t`` or the 64 of ``long_t``, and that what nests deeper than 32 objects is of a wrong type.

    Args:
        events: A `pyarrow.Table`, `RecordBatch` or `RecordBatchReader`; a mapping of names to tables, which are
            taken one after the other; JSON lines as bytes or text; or an iterable of events, each a dictionary or
            its JSON. Empty lines are no events.
        ocsf_version: Judge all events by this version, or by the schema export in this ``.json`` file.

    Returns:
        The report; row numbers count events in the order of the input, from 0.

    Raises:
        ConfigError: If `events` is nothing of the kind, or the version is not at hand.
    """
    judge = _Judge(load(ocsf_version) if ocsf_version is not None else None)
    rows, findings = 0, []
    for part in _parts(events):
        size = part.num_rows if isinstance(part, pa.RecordBatch) else len(part)
        found = judge.columns(part) if isinstance(part, pa.RecordBatch) else judge.objects(part)
        findings += [evolve(each, rows=pc.add(each.rows, rows)) for each in found] if rows else found
        rows += size
    return make_report(rows, findings)


def _parts(events: Any) -> Iterator[pa.RecordBatch | list[Any]]:
    """Cut the input into record batches or lists of events."""
    if isinstance(events, Mapping):
        if events and all(isinstance(table, (pa.Table, pa.RecordBatch)) for table in events.values()):
            for table in events.values():
                yield from _parts(table)
            return
        events = [events]
    if isinstance(events, pa.RecordBatch):
        events = pa.Table.from_batches([events])
    if isinstance(events, pa.Table):
        for batch in events.to_batches(max_chunksize=_BATCH_ROWS):
            yield _without_views(batch)
    elif isinstance(events, pa.RecordBatchReader):
        for batch in events:
            yield _without_views(batch)
    else:
        if isinstance(events, str):
            events = events.encode("utf-8", "surrogatepass")
        if isinstance(events, (bytes, bytearray, memoryview)):
            events = bytes(events).split(b"\n")
        if not isinstance(events, Iterable):
            raise ConfigError(
                f"cannot validate {type(events).__name__}: give a pyarrow Table or RecordBatch, JSON lines,"
                " or an iterable of events"
            )
        items = (item for item in events if not (isinstance(item, (bytes, str)) and not item.strip()))
        while chunk := list(islice(items, _CHUNK_EVENTS)):
            yield chunk


def _without_views(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch with plain text for string views, which cannot be taken by rows."""
    schema = pa.schema([_plain(column) for column in batch.schema])
    return batch if schema.equals(batch.schema) else batch.cast(schema)


def _plain(column: pa.Field) -> pa.Field:
    kind = column.type
    if pa.types.is_string_view(kind):
        return column.with_type(pa.large_string())
    if pa.types.is_struct(kind):
        return column.with_type(pa.struct([_plain(child) for child in kind]))
    if pa.types.is_list(kind):
        return column.with_type(pa.list_(_plain(kind.value_field)))
    return column


@frozen(eq=False)
class _Problem:
    """Why an event cannot be judged."""

    rule: str
    attribute: str
    detail: str


@frozen
class _Kind:
    """What tells which class, version and profiles an event is to be judged by."""

    class_uid: Any
    version: Any
    profiles: frozenset[str]


@frozen(eq=False)
class _Judge:
    """Validates parts of the input; keeps what it compiled."""

    schema: Schema | None
    walks: dict[EventClass, Walk] = field(factory=dict)
    validators: dict[EventClass, tuple[pa.Schema, Callable[[pa.RecordBatch], Report]]] = field(factory=dict)

    def columns(self, batch: pa.RecordBatch) -> list[Finding]:
        """Validate a record batch."""
        findings: list[Finding] = []
        for kind, rows in _kinds(batch):
            verdict = self.event_class(kind)
            if isinstance(verdict, _Problem):
                findings.append(Finding(verdict.rule, verdict.attribute, "error", rows, verdict.detail))
                continue
            part = batch if len(rows) == batch.num_rows else batch.take(rows)
            found = self.validator(verdict, part.schema)(part).findings
            findings += [evolve(each, rows=rows.take(each.rows)) for each in found]
        return findings

    def objects(self, events: list[Any]) -> list[Finding]:
        """Validate a list of events, each a dictionary or its JSON."""
        groups: dict[EventClass, tuple[list[int], list[dict[str, Any]]]] = {}
        problems: dict[tuple[str, str], tuple[str, list[int]]] = {}
        for row, item in enumerate(events):
            event, problem = _decode(item)
            verdict = problem or self.event_class(_kind(event))
            if isinstance(verdict, _Problem):
                key = verdict.rule, verdict.attribute
                problems.setdefault(key, (verdict.detail, []))[1].append(row)
            else:
                rows, members = groups.setdefault(verdict, ([], []))
                rows.append(row)
                members.append(event)
        findings = [
            Finding(rule, attribute, "error", pa.array(rows, pa.int64()), detail)
            for (rule, attribute), (detail, rows) in problems.items()
        ]
        for event_class, (rows, members) in groups.items():
            findings += self.group(event_class, rows, members)
        return findings

    def group(self, event_class: EventClass, rows: list[int], events: list[dict[str, Any]]) -> list[Finding]:
        """Validate events of one class, which have these numbers."""
        walk = self.walks.setdefault(event_class, Walk(event_class))
        batch, unknown, wrong = walk.columns(events)
        found = self.validator(event_class, batch.schema)(batch).findings
        findings = [_without_consequences(each, wrong) for each in found]
        findings += _noted("attribute_unknown", unknown, walk)
        findings += _noted("attribute_wrong_type", wrong, walk)
        numbers = pa.array(rows, pa.int64())
        return [evolve(each, rows=numbers.take(each.rows)) for each in findings]

    def event_class(self, kind: _Kind) -> EventClass | _Problem:
        """Return the class to judge an event by, or why there is none."""
        if kind.class_uid is None:
            return _Problem("attribute_required_missing", "class_uid", "a required attribute is missing")
        if not isinstance(kind.class_uid, int):
            return _Problem("attribute_wrong_type", "class_uid", f"expected integer_t, got {kind.class_uid}")
        schema = self.schema
        if schema is None:
            version = kind.version or DEFAULT_VERSION
            if version not in versions():
                detail = f"OCSF {version[:40]!r} is not at hand; these are: {', '.join(versions())}"
                return _Problem("version_incompatible", "metadata.version", detail)
            schema = load(version)
        try:
            return schema.event_class(kind.class_uid, kind.profiles & schema.profiles())
        except SchemaError as error:
            return _Problem("class_uid_unknown", "class_uid", str(error))

    def validator(self, event_class: EventClass, schema: pa.Schema) -> Callable[[pa.RecordBatch], Report]:
        """Return the compiled validator; of each class, that of its newest schema is kept."""
        known = self.validators.get(event_class)
        if known is None or not known[0].equals(schema):
            if len(self.validators) >= _KEPT_CLASSES:
                self.walks.clear()
                self.validators.clear()
            known = self.validators[event_class] = (schema, compile_validator(event_class, schema))
        return known[1]


def _decode(item: Any) -> tuple[dict[str, Any], _Problem | None]:
    if isinstance(item, (bytes, str)):
        try:
            item = msgspec.json.decode(item)
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            return {}, _Problem("json_invalid", "", f"not JSON: {str(error)[:80]}")
    if isinstance(item, dict):
        return item, None
    return {}, _Problem("attribute_wrong_type", "", f"expected an event, got {type(item).__name__}")


def _kind(event: Mapping[str, Any]) -> _Kind:
    uid, metadata = event.get("class_uid"), event.get("metadata")
    if isinstance(uid, float) and uid.is_integer():
        uid = int(uid)
    elif isinstance(uid, bool) or not isinstance(uid, (int, type(None))):
        uid = repr(uid)[:40]
    version = metadata.get("version") if isinstance(metadata, dict) else None
    profiles = metadata.get("profiles") if isinstance(metadata, dict) else None
    names = profiles if isinstance(profiles, (list, tuple)) else ()
    return _Kind(
        uid,
        version if isinstance(version, str) else None,
        frozenset(name for name in names if isinstance(name, str)),
    )


def _kinds(batch: pa.RecordBatch) -> Iterator[tuple[_Kind, pa.Array]]:
    """Yield what the rows are to be judged by, each with the numbers of its rows."""
    rows = batch.num_rows
    uids = _nested(batch, "class_uid")
    versions_ = _nested(batch, "metadata", "version")
    profiles = _nested(batch, "metadata", "profiles")
    codes = pa.repeat(pa.scalar(0, pa.int64()), rows)
    for array in (uids, versions_, *_profile_keys(profiles)):
        encoded = (array.is_valid() if pa.types.is_nested(array.type) else array).dictionary_encode()
        code = pc.fill_null(encoded.indices.cast(pa.int64()), len(encoded.dictionary))
        codes = pc.add(pc.multiply(codes, len(encoded.dictionary) + 1), code)
        codes = codes.dictionary_encode().indices.cast(pa.int64())  # keeps the product small
    order = pc.sort_indices(codes).cast(pa.int64())
    start = 0
    for size in pc.value_counts(codes.take(order)).field("counts").to_pylist():
        chosen = order.slice(start, size)
        first = chosen[0].as_py()
        metadata = {"version": _value(versions_[first]), "profiles": _value(profiles[first])}
        yield _kind({"class_uid": _value(uids[first]), "metadata": metadata}), chosen
        start += size


def _nested(batch: pa.RecordBatch, *names: str) -> pa.Array:
    """Return a column at a path of structs, nulls if there is none."""
    array = batch.to_struct_array()
    for name in names:
        position = array.type.get_field_index(name) if pa.types.is_struct(array.type) else -1
        if position < 0:
            return pa.nulls(batch.num_rows)
        array = array.flatten()[position]
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _profile_keys(lists: pa.Array) -> tuple[pa.Array, ...]:
    """Return columns that are equal where lists of text are; nothing for what is no list of text."""
    try:
        lists = lists.cast(pa.list_(pa.string()))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return ()
    # A list with a null joins to null, as a null list does, and is not equal to it.
    return pc.binary_join(lists, "\x1f"), pc.list_value_length(lists)


def _value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return "not UTF-8"


def _noted(rule: str, rows_by_path: Mapping[str, list[int]], walk: Walk) -> list[Finding]:
    return [
        Finding(rule, path, "error", pc.unique(pa.array(rows, pa.int64())), walk.details[path])
        for path, rows in rows_by_path.items()
    ]


def _without_consequences(finding: Finding, wrong: Mapping[str, list[int]]) -> Finding:
    """Return a finding without the events where something is missing only since its value was of a wrong type."""
    if finding.rule == "attribute_required_missing":
        causes = wrong.get(finding.attribute, [])
    elif finding.rule == "constraint_failed":
        below = (path for path in wrong if path.rpartition(".")[0] == finding.attribute)
        causes = [row for path in below for row in wrong[path]]
    else:
        return finding
    kept = pc.invert(pc.is_in(finding.rows, value_set=pa.array(causes, pa.int64())))
    return evolve(finding, rows=finding.rows.filter(kept))
