"""The views of a lake: what there is to query, and the SQL that makes a view as a statement needs it.

A view has all rows of the partitions that the statement may read, and all columns; of a struct it has what the
statement takes out of it. What OCSF has and no object of the lake does is NULL.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Protocol

from attrs import field, frozen

from ocsflake.lake import columns
from ocsflake.lake.columns import Row, quoted, quoted_name
from ocsflake.lake.layout import glue_database, glue_table
from ocsflake.lake.native_tables import NATIVE_TABLES, native_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ocsflake.lake.columns import Shape
    from ocsflake.lake.native_tables import NativeTable
    from ocsflake.lake.reading import Path, Reading
    from ocsflake.model import CustomSource

__all__ = ["PARTITIONS", "Relation", "View", "create", "views"]

PARTITIONS = ("region", "accountid", "eventday")
"""The columns of partitions, as Athena calls them."""

_CLASS_COLUMNS: Mapping[str, Shape] = {
    "time": "BIGINT",
    "time_dt": "TIMESTAMP WITH TIME ZONE",
    "source": "VARCHAR",
    **dict.fromkeys(PARTITIONS, "VARCHAR"),
}


class Relation(Protocol):
    """Objects of one custom source, as something to select from."""

    @property
    def sql(self) -> str:
        """What stands after FROM."""
        ...

    @property
    def shape(self) -> Mapping[str, Shape]:
        """The columns, without partitions, with their types."""
        ...

    @property
    def partitions(self) -> Mapping[str, str]:
        """What the columns of the partitions are called here, by the names that Athena shows."""
        ...


@frozen
class View:
    """A view of the objects of some custom sources.

    Attributes:
        name: Without the database.
        sources: Whose objects it has.
        database: The Glue database that it is in, ``""`` if it is in none.
        region: The lake Region that its objects are kept under, ``""`` for all.
        event_class: The OCSF name of the class that it has, ``""`` if this is not known.
        united: Whether it is that of a class, over all its sources, and has a column ``source``.
        native: The table of Security Lake's own that it looks like.
    """

    name: str
    sources: tuple[CustomSource, ...]
    database: str = ""
    region: str = ""
    event_class: str = ""
    united: bool = False
    native: NativeTable | None = field(default=None, repr=False)

    @property
    def sql_name(self) -> str:
        """Its name as SQL has it."""
        return (f"{quoted_name(self.database)}." if self.database else "") + quoted_name(self.name)


def views(sources: Sequence[CustomSource], region: str) -> dict[str, View]:
    """Return the views by their names, in lower case.

    Args:
        sources: The custom sources that have objects.
        region: The lake's own: its tables in Glue have the objects of all Regions, as those of a roll-up Region do.
    """
    found: dict[str, View] = {}
    classes: dict[str, list[CustomSource]] = defaultdict(list)
    for source in sources:
        event_class = source.event_class.rpartition("/")[2]
        found[source.name.lower()] = View(source.name, (source,), event_class=source.event_class)
        if event_class:
            classes[source.event_class].append(source)
        for at in {*source.regions, region}:
            table, only = glue_table(at, source.name), "" if at == region else at
            found[table] = View(table, (source,), glue_database(at), only, source.event_class)
    for event_class, members in classes.items():
        name = event_class.rpartition("/")[2]
        found[name.lower()] = View(name, tuple(members), event_class=event_class, united=True)
    for at in {region, *(each for source in sources for each in source.regions)}:
        there = [source for source in sources if at == region or at in source.regions]
        for native in NATIVE_TABLES.values():
            if of := tuple(source for source in there if _feeds(source, native)):
                name, only = native_name(at, native.name), "" if at == region else at
                found[name] = View(name, of, glue_database(at), only, native=native)
    return found


def _feeds(source: CustomSource, table: NativeTable) -> bool:
    return source.event_class in table.classes and source.name.rpartition("_")[0].lower() in {table.stem, "ocsf"}


def create(
    wanted: Mapping[str, View],
    relations: Mapping[str, Sequence[tuple[CustomSource, Relation]]],
    read: Reading,
    ocsf_version: str,
) -> Iterator[str]:
    """Yield the statements that make views.

    Args:
        wanted: The views by name.
        relations: What each is made of.
        read: What of it is read.
        ocsf_version: Whose attributes are NULL where no object has them.
    """
    shapes = {name: _shapes(view, relations[name]) for name, view in wanted.items()}
    lacking = [path for path in read.named if not any(_has(shape, path) for shape in shapes.values())]
    for name, view in wanted.items():
        shape = shapes[name]
        if view.native is None and view.event_class:
            paths = lacking if relations[name] else read.named
            shape = _extended(shape, view.event_class, paths, ocsf_version)
        parts = [_select(view, source, relation, shape, read) for source, relation in relations[name]]
        if view.database:
            yield f"CREATE SCHEMA IF NOT EXISTS {quoted_name(view.database)}"
        yield f"CREATE VIEW {view.sql_name} AS {' UNION ALL BY NAME '.join(parts or [_empty(shape)])}"


def _shapes(view: View, relations: Iterable[tuple[CustomSource, Relation]]) -> Mapping[str, Shape]:
    """Return the columns of a view with their types."""
    if view.native is not None:
        return view.native.shapes()
    there = [relation.shape for _, relation in relations]
    own = {"source": "VARCHAR"} if view.united else {}
    shape = columns.merged(there) if there else {}
    assert not isinstance(shape, str | list)
    base = _CLASS_COLUMNS if view.united and not there else {}
    return {**base, **shape, **own, **dict.fromkeys(PARTITIONS, "VARCHAR")}


def _has(shape: Mapping[str, Shape], path: Path) -> bool:
    """Return whether a dotted name, which may begin with that of a table, is one of these columns."""
    return any(columns.lookup(shape, path[start:]) is not None for start in range(len(path)))


def _extended(
    shape: Mapping[str, Shape], event_class: str, paths: Iterable[Path], ocsf_version: str
) -> Mapping[str, Shape]:
    """Return a shape with those paths too that OCSF has for the class."""
    for path in paths:
        for start in range(len(path)):
            known = columns.ocsf_shape(ocsf_version, event_class, path[start:])
            if known is not None:
                both = columns.merged([shape, {path[start]: known}])
                assert not isinstance(both, str | list)
                shape = both
                break
    return shape


def _select(view: View, source: CustomSource, relation: Relation, shape: Mapping[str, Shape], read: Reading) -> str:
    made = view.native.made(source.event_class, relation.shape) if view.native else {}
    renamed = [tuple(path.split(".")) for path in view.native.renamed] if view.native else []
    row = Row(
        relation.shape,
        quoted_name,
        made,
        view.native.places if view.native else columns.same,
        {path[:length] for path in (*made, *renamed) for length in range(1, len(path) + 1)},
    )
    values = []
    for name, kind in shape.items():
        wanted = read.of(name)
        if name in PARTITIONS:
            value = quoted_name(relation.partitions[name])
        elif name == "source" and view.united:
            value = quoted(source.name)
        elif wanted:
            value = columns.column(row, (name,), kind, wanted)
        else:  # it is there to be named by an error
            value = quoted_name(name) if name in relation.shape else f"CAST(NULL AS {columns.type_text(kind)})"
        values.append(f"{value} AS {quoted_name(name)}")
    conditions = [f"{quoted_name(relation.partitions['region'])} = {quoted(view.region)}"] if view.region else []
    if view.native:
        conditions += [text for text in (view.native.where,) if text]
        conditions += [view.native.only] if source.name.lower().startswith("ocsf_") else []
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT {', '.join(values)} FROM {relation.sql}{where}"  # noqa: S608 - all texts are quoted


def _empty(shape: Mapping[str, Shape]) -> str:
    values = (f"CAST(NULL AS {columns.type_text(kind)}) AS {quoted_name(name)}" for name, kind in shape.items())
    return f"SELECT {', '.join(values)} WHERE false"
