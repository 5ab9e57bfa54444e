"""What is wrong with the content of one object of a custom source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from attrs import field, frozen

from ocsflake import ocsf
from ocsflake.lake._checks import Problem
from ocsflake.lake._pages import odd_lists, pages
from ocsflake.lake.layout import DAY_MS, account_partition, day_text
from ocsflake.lake.parquet import leaves

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ocsflake.lake._key_checks import Place

__all__ = ["Facts", "check_object"]

_PAGE_BYTES = 1024 * 1024
_ROW_GROUP_BYTES = 256 * 1024 * 1024
_WIDE_LEAVES = 1_000
_SAMPLE_ROWS = 1_000
_BATCH_ROWS = 65_536
_OLDEST, _NEWEST = (1, 0), (1, 3)
_DAY_DIGITS = 8
_SECONDS, _SECONDS_END = 100_000_000, 100_000_000_000
"""As milliseconds these are two days of 1970 and 1973; as seconds, 1973 and the year 5138."""
_MICROSECONDS = 100_000_000_000_000
"""As milliseconds that is the year 5138; as microseconds, 1973."""

_TYPES: Mapping[str, tuple[pa.DataType, ...]] = {
    "class_uid": (pa.int32(), pa.int64()),
    "category_uid": (pa.int32(), pa.int64()),
    "activity_id": (pa.int32(), pa.int64()),
    "severity_id": (pa.int32(), pa.int64()),
    "type_uid": (pa.int64(), pa.int32()),
    "time_dt": (pa.timestamp("ms", "UTC"),),
}


@frozen(eq=False)
class Facts:
    """What an object is like, to be compared with others of its source.

    Attributes:
        rows: How many events it holds.
        codecs: The codecs of its columns.
        classes: The ``class_uid`` of its events.
        leaves: The types of its columns, by path.
        ids: What tells its first events from others, as hashes of this process.
    """

    rows: int
    codecs: frozenset[str]
    classes: frozenset[int]
    leaves: Mapping[str, str] = field(repr=False)
    ids: frozenset[int] = field(repr=False)


def check_object(file: BinaryIO, place: Place) -> tuple[Facts | None, list[Problem]]:
    """Read an object, and return what it is like and what is wrong with it.

    Its footer, its page headers, ``time``, ``class_uid`` and the account are read, and the first 1,000 events.

    Args:
        file: The object.
        place: Where it lies.
    """
    try:
        parquet = pq.ParquetFile(file)
        schema = parquet.schema_arrow
        problems = [*_check_parts(file, parquet.metadata), *_check_columns(schema, parquet.metadata.num_columns)]
        classes, found = _check_events(parquet, place)
        batch = next(parquet.iter_batches(_SAMPLE_ROWS)) if parquet.metadata.num_rows else None
        problems += [*found, *(_check_sample(batch, place) if batch else ())]
    except (pa.ArrowException, OSError, ValueError) as error:
        return None, [Problem("parquet", f"it is no Parquet that can be read: {_first_line(error)}")]
    codecs = {
        parquet.metadata.row_group(group).column(index).compression
        for group in range(parquet.metadata.num_row_groups)
        for index in range(parquet.metadata.num_columns)
    }
    facts = Facts(
        rows=parquet.metadata.num_rows,
        codecs=frozenset(codecs),
        classes=classes,
        leaves=dict(_leaf_types(schema)),
        ids=_identities(batch) if batch else frozenset(),
    )
    return facts, problems


def _check_parts(file: BinaryIO, about: pq.FileMetaData) -> Iterator[Problem]:
    """Check what the columns of any content are to be like."""
    for group in range(about.num_row_groups):
        row_group = about.row_group(group)
        size = sum(row_group.column(index).total_compressed_size for index in range(row_group.num_columns))
        if size > _ROW_GROUP_BYTES:
            yield Problem("row-group-size", f"row group {group} has {size / 1e6:.0f} MB")
    codecs = {
        about.row_group(group).column(index).compression
        for group in range(about.num_row_groups)
        for index in range(about.num_columns)
    }
    if codecs - {"ZSTD"}:
        yield Problem("codec", f"the codec is {' and '.join(sorted(codecs))}")
    largest: dict[str, int] = {}
    for page in pages(file, about):
        largest[page.column] = max(page.bytes, largest.get(page.column, 0))
    for column, size in largest.items():
        if size > _PAGE_BYTES:
            yield Problem("page-size", f"{column} has a page of {size / 1e6:.2f} MB", column)
    for path, kind in odd_lists(file):
        if kind == "repeated":
            yield Problem("list-encoding", f"{path} repeats outside a LIST or MAP", path)
        else:
            yield Problem("old-lists", f"{path} is a list of two levels", path)


def _check_columns(schema: pa.Schema, leaves: int) -> Iterator[Problem]:
    for path, kind in _leaf_types(schema):
        if kind == "null":
            yield Problem("null-column", f"{path} has no type: it had no value when the object was written", path)
    if leaves > _WIDE_LEAVES:
        yield Problem("wide", f"there are {leaves:,} columns, and a footer that every reader has to read first")
    index = schema.get_field_index("unmapped")
    if index >= 0 and not pa.types.is_map(schema.field(index).type):
        kind = (
            "a struct of their own keys" if pa.types.is_struct(schema.field(index).type) else schema.field(index).type
        )
        yield Problem("loose-object", f"unmapped is {kind}", "unmapped")
    for name, kinds in _TYPES.items():
        index = schema.get_field_index(name)
        if index >= 0 and schema.field(index).type not in kinds and not pa.types.is_null(schema.field(index).type):
            yield Problem("column-type", f"{name} is {schema.field(index).type}, and is to be {kinds[0]}", name)


def _check_events(parquet: pq.ParquetFile, place: Place) -> tuple[frozenset[int], list[Problem]]:
    """Check the columns that place an event: its time, its class and its account."""
    schema = parquet.schema_arrow
    kinds = {name: schema.field(name).type for name in ("time", "class_uid") if schema.get_field_index(name) >= 0}
    problems: list[Problem] = []
    if not parquet.metadata.num_rows:
        problems.append(Problem("empty", "it holds no events"))
    timed = kinds.get("time") == pa.int64()
    if not timed:
        had = f"time is {kinds['time']}" if "time" in kinds else "there is no column time"
        problems.append(Problem("time", had))
    classed = pa.types.is_integer(kinds.get("class_uid", pa.null()))
    if "class_uid" not in kinds:
        problems.append(Problem("one-class", "there is no column class_uid"))
    names = [name for name, wanted in (("time", timed), ("class_uid", classed)) if wanted]
    days: set[int] = set()
    classes: set[int] = set()
    nulls, least, most, last, in_order = 0, None, None, None, True
    for batch in parquet.iter_batches(_BATCH_ROWS, columns=names) if names else ():
        if classed:
            classes.update(uid for uid in pc.unique(batch["class_uid"]).to_pylist() if uid is not None)
        if not timed:
            continue
        times = batch["time"]
        nulls += times.null_count
        times = times.drop_null()
        if not len(times):
            continue
        bounds = pc.min_max(times).as_py()
        least = bounds["min"] if least is None else min(least, bounds["min"])
        most = bounds["max"] if most is None else max(most, bounds["max"])
        before = pa.concat_arrays([times.slice(0, 1) if last is None else last, times.slice(0, len(times) - 1)])
        in_order &= pc.all(pc.less_equal(before, times)).as_py()
        last = times.slice(len(times) - 1)
        days.update(pc.unique(pc.divide(times, DAY_MS)).to_pylist())
    if nulls:
        problems.append(Problem("time", f"{nulls:,} events have no time", "null"))
    if not in_order:
        problems.append(Problem("sorted", "the events are not in the order of their time"))
    if len(classes) > 1:
        problems.append(Problem("one-class", f"there are events of the classes {_listed(classes)}", "mixed"))
    if least is not None and most is not None:
        problems += _check_days(least, most, days, place)
    return frozenset(classes), problems


def _check_days(least: int, most: int, days: set[int], place: Place) -> Iterator[Problem]:
    if 0 < most < _SECONDS_END:
        yield Problem("time-unit", f"time has {most}, which looks like seconds")
    elif most >= _MICROSECONDS:
        yield Problem("time-unit", f"time has {most}, which looks like micro- or nanoseconds")
    elif least < 0:
        yield Problem("time", f"time has {least}, before 1970", "range")
    elif place.day.isdecimal() and len(place.day) == _DAY_DIGITS:
        texts = sorted(map(day_text, days))
        if texts != [place.day]:
            yield Problem("event-day", f"eventDay={place.day} holds events of {_listed(texts)}")


def _check_sample(batch: pa.RecordBatch, place: Place) -> Iterator[Problem]:
    """Judge the first events by OCSF."""
    yield from _check_versions(batch)
    yield from _check_times(batch)
    for finding in ocsf.validate(batch).findings:
        check = "ocsf" if finding.level == "error" else "ocsf-advice"
        where = finding.attribute or "the event"
        text = f"{where}: {finding.rule} in {len(finding.rows)} of {batch.num_rows} events ({finding.detail})"
        yield Problem(check, text, f"{finding.attribute} {finding.rule}")
    uid, provider = _text(batch, "cloud", "account", "uid"), _text(batch, "cloud", "provider")
    if place.account and place.account != "external" and uid is not None:
        named = uid.is_valid()
        providers = pa.nulls(len(uid), pa.string()) if provider is None else provider
        wanted = account_partition(uid.filter(named), providers.filter(named))
        others = {name for name in pc.unique(wanted.cast(pa.string())).to_pylist() if name != place.account}
        others -= {f"external_{place.account}", f"external_{place.account.removeprefix('external_')}"}
        if others:
            check = "account" if place.account.isdecimal() else "account-form"  # any other text may mean many accounts
            yield Problem(check, f"accountId={place.account} holds events of {_listed(others)}", "events")


def _check_versions(batch: pa.RecordBatch) -> Iterator[Problem]:
    """Check the OCSF versions of events, and whether these advise against their classes."""
    version, classes = _text(batch, "metadata", "version"), _integers(batch, "class_uid")
    texts = [] if version is None else [text for text in pc.unique(version).to_pylist() if text]
    for text in texts:
        numbers, _, pre_release = text.partition("-")
        parts = numbers.split(".")
        if all(map(str.isdecimal, parts)):
            release = tuple(map(int, parts))[:2]
            if not _OLDEST <= release <= _NEWEST or (pre_release and release == _OLDEST):
                yield Problem("ocsf-version", f"metadata.version is {text}", text)
    for text in set(texts).intersection(ocsf.versions()):
        known = ocsf.load(text)
        for uid in set(known.classes.values()).intersection(classes):
            event_class = known.event_class(uid)
            if event_class.deprecated:
                what = f"class_uid is {uid}, {event_class.name}, which OCSF {text} advises against"
                yield Problem("old-class", what, f"{text} {uid}")


def _check_times(batch: pa.RecordBatch) -> Iterator[Problem]:
    """Check the unit of the times beside ``time``: OCSF calls all of them ``..._time``."""
    for path, values in leaves(batch):
        if path.endswith("_time") and pa.types.is_integer(values.type):
            most = pc.max(values).as_py()
            name = path.replace(".list.element", "[]")
            if most is not None and _SECONDS <= most < _SECONDS_END:
                yield Problem("time-unit", f"{name} has {most}, which looks like seconds", name)
            elif most is not None and most >= _MICROSECONDS:
                yield Problem("time-unit", f"{name} has {most}, which looks like micro- or nanoseconds", name)


def _identities(batch: pa.RecordBatch) -> frozenset[int]:
    """Return a hash for each event that says which it is; the id alone may be that of a finding that goes on."""
    uid, times = _text(batch, "metadata", "uid"), _integers(batch, "time")
    if uid is None:
        return frozenset()
    pairs = zip(uid.to_pylist(), times, strict=False)
    return frozenset(hash(pair) for pair in pairs if None not in pair)


def _integers(batch: pa.RecordBatch, name: str) -> list[int | None]:
    """Return a column of integers, nothing if there is none."""
    index = batch.schema.get_field_index(name)
    if index < 0 or not pa.types.is_integer(batch.schema.field(index).type):
        return []
    return cast("list[int | None]", batch.column(index).to_pylist())


def _text(batch: pa.RecordBatch, *path: str) -> pa.Array | None:
    """Return the text at a path, ``None`` if there is none."""
    holder: Any = pa.struct(list(batch.schema))
    for name in path:
        index = holder.get_field_index(name) if pa.types.is_struct(holder) else -1
        if index < 0:
            return None
        holder = holder.field(index).type
    found = pc.struct_field(batch.column(path[0]), list(path[1:]))
    if pa.types.is_dictionary(holder):
        found, holder = found.dictionary_decode(), holder.value_type
    if not (pa.types.is_string(holder) or pa.types.is_large_string(holder)):
        return None
    return found.cast(pa.string())


def _leaf_types(fields: Any, above: str = "") -> Iterator[tuple[str, str]]:
    """Yield the columns with their types, lists as ``path[]``, however they are encoded."""
    for each in fields:
        path, kind = f"{above}{each.name}", each.type
        if pa.types.is_dictionary(kind):  # which only the writer's Arrow schema says
            kind = kind.value_type
        while pa.types.is_list(kind) or pa.types.is_large_list(kind):
            path, kind = f"{path}[]", kind.value_type
        if pa.types.is_struct(kind):
            yield from _leaf_types(kind, f"{path}.")
        else:
            yield path, str(kind).replace("large_", "")


def _listed(items: Any) -> str:
    texts = sorted(map(str, items))
    more = f" and {len(texts) - 3} more" if len(texts) > 3 else ""
    return ", ".join(texts[:3]) + more


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
