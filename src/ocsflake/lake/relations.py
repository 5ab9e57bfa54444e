"""The objects that a statement may read, as something that DuckDB can select from."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import evolve, field, frozen

from ocsflake.lake import columns
from ocsflake.lake.columns import quoted, quoted_name
from ocsflake.lake.layout import parse_key
from ocsflake.lake.views import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ocsflake.errors import OcsflakeError
    from ocsflake.lake.columns import Shape
    from ocsflake.lake.reading import Reading
    from ocsflake.lake.storage import Storage, StoredObject
    from ocsflake.lake.views import View
    from ocsflake.model import CustomSource

__all__ = ["Asked", "Parameters", "relations"]

Parameters: TypeAlias = "Mapping[str, object] | Sequence[object] | None"
"""What is bound to a statement: values by name (``$day``) or by place (``?``)."""

# DuckDB would make numbers of accounts and days, and an account would lose its leading zeros.
_HIVE_TYPES = "{'region': VARCHAR, 'accountId': VARCHAR, 'eventDay': VARCHAR}"
_HIVE_NAMES = {"region": "region", "accountid": "accountId", "eventday": "eventDay"}


@frozen
class Asked:
    """A statement that is about to run.

    Attributes:
        connection: The DuckDB that it runs in.
        storage: Where the objects are kept.
        read: What it reads.
        parameters: What is bound to it.
        errors: Takes what goes wrong while Arrow reads; see `ocsflake.lake.dataset.datasets`.
    """

    connection: Any
    storage: Storage
    read: Reading
    parameters: Parameters
    errors: list[OcsflakeError]
    _names: list[str] = field(factory=list, init=False)

    def register(self, value: object) -> str:
        """Make an Arrow table or dataset known to DuckDB, and return its name."""
        name = f"ocsflake_{len(self._names)}"
        self._names.append(name)
        self.connection.register(name, value)
        return name


@frozen
class _Relation:
    """Objects that can be selected from."""

    sql: str
    shape: Mapping[str, Shape]
    partitions: Mapping[str, str]


def relations(asked: Asked, root: Path | str, view: View) -> Iterator[tuple[CustomSource, _Relation]]:
    """Yield what a view is made of; DuckDB reads a directory by itself, and Arrow anything else for it.

    Raises:
        LakeError: If objects cannot be listed, or a footer cannot be read.
        duckdb.Error: If a file cannot be read.
    """
    listed: list[tuple[CustomSource, Sequence[StoredObject]]] = []
    for source in view.sources:
        prefix = f"{source.location}region={view.region}/" if view.region else source.location
        if found := [item for item in asked.storage.objects(prefix) if parse_key(item.key)]:
            listed.append((source, found))
    kept = [(source, chosen) for source, objects in listed if (chosen := _kept(asked, objects, view))]
    none = ""
    if listed and not kept:  # without any object there would be no columns
        last, objects = listed[-1]
        kept, none = [(last, [max(objects, key=lambda item: _partition(item)[::-1])])], " WHERE false"
    read = asked.read
    if view.native and read.paths is not None:
        read = evolve(read, paths=view.native.reads(read.paths))
    for source, chosen in kept:
        for table, names in _tables(asked, root, chosen, read):
            sql = f"(SELECT * FROM {table}{none})" if none else table  # noqa: S608 - all texts are quoted
            yield source, _Relation(sql, _shape(asked.connection, sql), names)


def _tables(
    asked: Asked, root: Path | str, objects: Sequence[StoredObject], read: Reading
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield what to select from, and what it calls the partitions."""
    if isinstance(root, Path):
        yield _files(root, objects), _HIVE_NAMES
        return
    from ocsflake.lake.dataset import datasets, scanner

    for dataset in datasets(asked.storage, objects, asked.errors):
        yield quoted_name(asked.register(scanner(dataset, read))), {name: name for name in PARTITIONS}


def _files(root: Path, objects: Sequence[StoredObject]) -> str:
    paths = ", ".join(quoted(glob.escape(f"{root}/{item.key}")) for item in objects)
    return f"read_parquet([{paths}], union_by_name = true, hive_partitioning = true, hive_types = {_HIVE_TYPES})"


def _shape(connection: Any, sql: str) -> Mapping[str, Shape]:
    found = connection.sql(f"SELECT * FROM {sql}")  # noqa: S608 - as above
    pairs = zip(found.columns, found.types, strict=True)
    return {name: columns.shape_of(kind) for name, kind in pairs if name.lower() not in PARTITIONS}


def _partition(item: StoredObject) -> tuple[str, str, str]:
    parts = parse_key(item.key)
    assert parts is not None
    return parts.region, parts.account, parts.day


def _kept(asked: Asked, objects: Sequence[StoredObject], view: View) -> Sequence[StoredObject]:
    """Return the objects of those partitions that meet the conditions of the statement, as DuckDB judges them."""
    import duckdb

    hidden = view.native is not None and view.native.version > 1  # time_dt is its partition, and implies the day
    conditions = (asked.read.of_times if hidden else asked.read.conditions).get(view.name.lower(), ("",))
    if not all(conditions):
        return objects
    where = " OR ".join(f"({condition})" for condition in conditions)
    given = asked.parameters if isinstance(asked.parameters, Mapping) else {}
    bound = {name: value for name, value in given.items() if f"${name}" in where}
    partitions = sorted({_partition(item) for item in objects})
    lists = {
        f"ocsflake_{name}": list(values) for name, values in zip(PARTITIONS, zip(*partitions, strict=True), strict=True)
    }
    rows = ", ".join(f"unnest(${listed}) AS {name}" for listed, name in zip(lists, PARTITIONS, strict=True))
    try:
        sql = f"SELECT {', '.join(PARTITIONS)} FROM (SELECT {rows}) WHERE {where}"  # noqa: S608 - of the statement itself
        found = asked.connection.sql(sql, params=bound | lists).to_arrow_table()
    except duckdb.Error:  # the statement itself will tell
        return objects
    kept = set(zip(*(column.to_pylist() for column in found.columns), strict=True))
    return [item for item in objects if _partition(item) in kept]
