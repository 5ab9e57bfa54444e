"""How much of OCSF a mapper fills, and how much of a log: attributes by what fills them, raw paths by where they go.

An attribute is *mapped* from raw values, *constant*, *derived* by the engine from what else is there (captions,
``type_uid``, ``*_dt``, observables), or *missing*: the class, or an object that is filled, requires or recommends it
and nothing fills it. Of a log no value is lost: what no attribute carries is in ``unmapped``, and a record that becomes
no event is a reject.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.compute as pc
from attrs import field, frozen

from ocsflake.drift import Drift
from ocsflake.mapping import engine, plan
from ocsflake.mapping import expr as e
from ocsflake.mapping.frame import concat
from ocsflake.mapping.unmapped import column_leaves

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ocsflake.mapping.frame import Frame
    from ocsflake.mapping.mapper import Mapper
    from ocsflake.mapping.plan import CompiledEvent
    from ocsflake.model import EventBatch, RawBatch
    from ocsflake.ocsf import EventClass

__all__ = ["AttributeCoverage", "ClassCoverage", "Coverage", "RawCoverage", "coverage", "filled", "unmapped_keys"]

By = Literal["mapped", "constant", "derived", "missing"]


@frozen
class AttributeCoverage:
    """One attribute of a class.

    Attributes:
        attribute: Its path.
        requirement: ``required``, ``recommended`` or ``optional``: as OCSF has it for the class, or for the object that
            it is in.
        profiles: The profiles that bring it in; none if the class always has it.
        by: What fills it: ``mapped``, ``constant``, ``derived``, or ``missing`` for nothing.
        expression: What it is made of, in words.
        filled: How many events have a value there.
    """

    attribute: str
    requirement: str
    profiles: tuple[str, ...]
    by: By
    expression: str = ""
    filled: int = 0


@frozen
class ClassCoverage:
    """One event class.

    Attributes:
        event_class: Its OCSF name.
        profiles: The profiles that its events have.
        events: How many were counted.
        attributes: All that is filled or missing, by path.
    """

    event_class: str
    profiles: tuple[str, ...]
    events: int
    attributes: tuple[AttributeCoverage, ...]

    def missing(self, requirement: str) -> list[str]:
        """Return the paths that are ``required`` or ``recommended``, and that nothing fills."""
        return [x.attribute for x in self.attributes if x.by == "missing" and x.requirement == requirement]

    def share(self, requirement: str) -> float:
        """Return how many of the ``required`` or ``recommended`` attributes something fills, from 0 to 1."""
        wanted = [x for x in self.attributes if x.requirement == requirement]
        return 1 - len(self.missing(requirement)) / len(wanted) if wanted else 1.0


@frozen
class RawCoverage:
    """One raw path of a log.

    Attributes:
        path: The raw path.
        held: How many rows have a value there; a row is a record, or an element of the list that the mapper makes
            events of.
        unmapped: How many events have the value in ``unmapped``.
        attributes: The attributes that read it, of all classes.
    """

    path: str
    held: int
    unmapped: int
    attributes: tuple[str, ...] = ()

    @property
    def goes(self) -> str:
        """Where its values go: ``mapped``, ``partly`` or ``unmapped``."""
        return "mapped" if not self.unmapped else "unmapped" if self.unmapped >= self.held else "partly"


@frozen(repr=False)
class Coverage:
    """What a mapper fills.

    Attributes:
        log_type: Of the mapper.
        version: The OCSF version.
        classes: Those of the mapper; where events were counted, those that have some.
        raw_paths: What the log holds, most frequent first; none if events were counted that are in a lake already.
        records: How many records were read.
        rejects: How many of them became no event.
        rows: How many rows they hold; see `RawCoverage`.
        drift: What the mapper does not know.
    """

    log_type: str
    version: str
    classes: tuple[ClassCoverage, ...]
    raw_paths: tuple[RawCoverage, ...] = ()
    records: int = 0
    rejects: int = 0
    rows: int = 0
    drift: Drift = field(factory=Drift)

    def __repr__(self) -> str:
        shares = ", ".join(f"{each.event_class} {100 * each.share('recommended'):.0f} %" for each in self.classes)
        return f"<Coverage of {self.log_type} in OCSF {self.version}: recommended attributes of {shares or 'nothing'}>"


def coverage(
    mapper: Mapper,
    ocsf_version: str = "1.1.0",
    raws: Iterable[RawBatch] | None = None,
    *,
    events: Iterable[EventBatch] | None = None,
) -> Coverage:
    """Return what a mapper fills in one OCSF version, and how often: in the events of a log, or in given events.

    Args:
        mapper: The mapper.
        ocsf_version: The version.
        raws: Raw records to count over.
        events: Events to count over instead, such as those of a lake.

    Raises:
        SchemaError: If the mapper does not fit the version.
    """
    compiled = plan.compile_mapper(mapper, ocsf_version)
    tally = _Tally(compiled.events)
    held: Counter[str] = Counter()
    drift = Drift()
    records = rejects = rows = 0
    for raw in raws or ():
        for frame in mapper.parse(raw, compiled.root):
            held.update(_held(frame))
            rows += frame.rows
        for mapped in engine.map_batches(compiled, [raw], 1 << 62):
            records += mapped.records
            rejects += mapped.rejects.num_rows
            drift += mapped.drift
            for batch in mapped.batches:
                tally.add(batch.event_class, batch.events)
    for batch in events or ():
        tally.add(batch.event_class, batch.events)
    counted = raws is not None or events is not None
    tables: dict[str, list[CompiledEvent]] = {}
    for event in compiled.events:
        tables.setdefault(event.event_class.name, []).append(event)
    classes = tuple(_class(found, tally) for name, found in tables.items() if tally.events[name] or not counted)
    readers = _readers(mapper)
    raw_paths = tuple(
        RawCoverage(path, count, min(count, tally.unmapped[path]), tuple(readers.get(path, ())))
        for path, count in sorted(held.items(), key=lambda item: (-item[1], item[0]))
    )
    return Coverage(mapper.log_type, ocsf_version, classes, raw_paths, records, rejects, rows, drift)


class _Tally:
    """Counts events, and the values that they have."""

    def __init__(self, compiled: Iterable[CompiledEvent]) -> None:
        self.events: Counter[str] = Counter()
        self.unmapped: Counter[str] = Counter()
        self.filled: Counter[tuple[str, str]] = Counter()
        self._paths: dict[str, set[str]] = {}
        for event in compiled:
            self._paths.setdefault(event.event_class.name, set()).update(path for path, _, _ in _fills(event))

    def add(self, event_class: str, events: pa.RecordBatch) -> None:
        """Count some events."""
        self.events[event_class] += events.num_rows
        if "unmapped" in events.schema.names and pa.types.is_map(events.schema.field("unmapped").type):
            self.unmapped.update(unmapped_keys(events["unmapped"]))
        for path in self._paths.get(event_class, ()):
            self.filled[event_class, path] += filled(events, path)


def unmapped_keys(column: pa.Array) -> dict[str, int]:
    """Return how many events hold each key of a map."""
    pairs = column.cast(pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())])))
    counts = pc.value_counts(pc.struct_field(pairs.flatten(), "key"))
    return dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))


def filled(events: pa.RecordBatch, attribute: str) -> int:
    """Return in how many events an attribute has a value, in any element of a list."""
    rows = pa.array(range(events.num_rows), pa.int32())
    column: pa.Array = events.to_struct_array()
    for name in [*attribute.replace("[]", "").split("."), None]:
        if pa.types.is_list(column.type):
            rows = rows.take(pc.list_parent_indices(column))
            column = column.flatten()
        if name is not None:
            if not pa.types.is_struct(column.type) or column.type.get_field_index(name) < 0:
                return 0  # the version has no such attribute
            column = pc.struct_field(column, name)
    return len(pc.unique(rows.filter(column.is_valid())))


def _held(frame: Frame) -> dict[str, int]:
    """Return how many rows hold each raw path, spelt as in ``unmapped``."""
    frame = concat([frame])
    pairs: set[tuple[str, int]] = set()
    parts = [column_leaves(name, column, None) for name, column in frame.columns.items() if not _is_empty(column)]
    for part in (frame.leftovers, *parts):
        pairs.update(zip(part.keys.to_pylist(), part.rows.to_pylist(), strict=True))
    return Counter(path for path, _ in pairs)


def _is_empty(column: pa.Array) -> bool:
    return bool(column.null_count == len(column))


def _readers(mapper: Mapper) -> Mapping[str, list[str]]:
    found: dict[str, dict[str, None]] = {}
    for line in mapper.lineage():
        for path in line.raw_paths:
            found.setdefault(path, {})[line.attribute] = None
    return {path: list(attributes) for path, attributes in found.items()}


def _class(tables: Sequence[CompiledEvent], tally: _Tally) -> ClassCoverage:
    event_class = max((table.event_class for table in tables), key=lambda one: len(one.profiles))
    count = tally.events[event_class.name]
    fills = {path: (by, expression) for table in reversed(tables) for path, by, expression in _fills(table)}
    lines = [
        AttributeCoverage(path, *_about(event_class, path), by, expression, tally.filled[event_class.name, path])
        for path, (by, expression) in fills.items()
    ]
    lines += [AttributeCoverage(path, *_about(event_class, path), "missing") for path in _missing(event_class, fills)]
    return ClassCoverage(
        event_class.name, tuple(sorted(event_class.profiles)), count, tuple(sorted(lines, key=lambda x: x.attribute))
    )


def _fills(event: CompiledEvent) -> Iterator[tuple[str, By, str]]:
    """Yield every attribute of the events of a class that something fills, with what does."""
    for line in event.fields:
        yield line.path, "constant" if isinstance(line.expression, e.Constant) else "mapped", repr(line.expression)
    for path, value in event.constants.items():
        yield path, "constant", repr(value)
    for plan_ in event.enums:
        if plan_.sibling:
            yield plan_.sibling, "derived", f"caption of {plan_.path}"
    for path, twin in event.twins:
        yield twin, "derived", path
    derived = {"type_uid": "class_uid and activity_id", "type_name": "type_uid", "metadata.profiles": "the table"}
    derived |= {"observables": "attributes that are observables"} if event.observables else {}
    for path, source in {**derived, "unmapped": "what no attribute carries"}.items():
        if event.event_class.find(path) is not None:
            yield path, "derived", source


def _about(event_class: EventClass, path: str) -> tuple[str, tuple[str, ...]]:
    """Return the requirement of an attribute, and the profiles that bring it in."""
    along = event_class.attributes_along(path)
    profiles = next((attribute.profiles for attribute in along if attribute.profiles), frozenset[str]())
    return along[-1].requirement, tuple(sorted(profiles))


def _missing(event_class: EventClass, fills: Iterable[str]) -> Iterator[str]:
    """Yield what the class, or an object that is filled, requires or recommends and nothing fills."""
    paths = set(fills)
    bare = {path.replace("[]", "") for path in paths}
    objects = {path.rsplit(".", depth)[0] for path in paths for depth in range(1, path.count(".") + 1)}
    holders = {"": event_class.attributes} | {path: event_class.attribute(path).attributes for path in sorted(objects)}
    for holder, attributes in holders.items():
        for name, attribute in attributes.items():
            path = f"{holder}.{name}".lstrip(".")
            within = path.replace("[]", "")
            wanted = attribute.requirement in ("required", "recommended") and not attribute.deprecated
            if wanted and not any(one == within or one.startswith(f"{within}.") for one in bare):
                yield path
