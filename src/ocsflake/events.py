"""Events in memory: one Arrow table a class, for notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.charts import Bar, bars, rendering
from ocsflake.errors import ConfigError, MissingExtraError, did_you_mean
from ocsflake.mapping.rejects import REJECT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ocsflake.model import EventBatch

__all__ = ["Events", "Gathered"]


class Events(Mapping[str, pa.Table]):
    """Events by class: a mapping of the class's OCSF name to an Arrow table.

    Attributes:
        rejects: The records that became no event (columns ``record``, ``reason``, ``attribute``, ``origin``).
    """

    def __init__(self, tables: Mapping[str, pa.Table], rejects: pa.Table) -> None:
        self._tables = dict(sorted(tables.items()))
        self.rejects = rejects

    def __getitem__(self, event_class: str) -> pa.Table:
        try:
            return self._tables[event_class]
        except KeyError:
            near = did_you_mean(event_class, self._tables)
            raise KeyError(f"no events of class {event_class!r}{near}; there are {list(self._tables)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def query(self, sql: str) -> pa.Table:
        """Run SQL over the events with DuckDB; each class is a table of its own name.

        Raises:
            ConfigError: If the statement is wrong; says what DuckDB said.
            MissingExtraError: If DuckDB is not installed.
        """
        try:
            import duckdb
        except ImportError:
            raise MissingExtraError("query() needs DuckDB: pip install 'ocsflake[query]'") from None
        with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:
            for name, table in self._tables.items():
                connection.register(name, table)
            connection.execute("SET enable_external_access = false")
            try:
                return connection.sql(sql).to_arrow_table()
            except duckdb.Error as error:
                raise ConfigError(f"{error}; tables: {', '.join(self._tables)}") from None

    def __repr__(self) -> str:
        counts = ", ".join(f"{name}: {table.num_rows:,}" for name, table in self._tables.items())
        return f"<Events {counts or 'none'}; {self.rejects.num_rows:,} rejects>"

    def _repr_html_(self) -> str:
        rows = [Bar(name, table.num_rows, (_span(table),)) for name, table in self._tables.items()]
        return rendering(bars(["event class", "events", "time"], rows), f"<p>{self.rejects.num_rows:,} rejects</p>")


class Gathered:
    """Event batches and rejects on their way to `Events`."""

    def __init__(self) -> None:
        self._batches: dict[str, list[pa.RecordBatch]] = {}
        self._rejects: list[pa.RecordBatch] = []

    def add(self, batches: Iterable[EventBatch], rejects: pa.RecordBatch) -> None:
        """Take what a mapper made."""
        for batch in batches:
            self._batches.setdefault(batch.event_class, []).append(batch.events)
        self._rejects.append(rejects)

    def events(self) -> Events:
        """Return all events; those of several mappers are united by column names."""
        tables = {name: _united(batches) for name, batches in self._batches.items()}
        return Events(tables, pa.Table.from_batches(self._rejects, schema=REJECT_SCHEMA))


def _united(batches: Sequence[pa.RecordBatch]) -> pa.Table:
    kinds = [batch.schema for batch in batches]
    if all(kind.equals(kinds[0]) for kind in kinds):
        return pa.Table.from_batches(batches)
    loose = [pa.schema([field.with_nullable(True) for field in kind]) for kind in kinds]
    united = pa.schema(sorted(_merged(loose), key=lambda field: field.name))
    return pa.concat_tables([pa.Table.from_arrays(_fitted(batch, united), schema=united) for batch in batches])


def _merged(parts: Sequence[Iterable[pa.Field]]) -> list[pa.Field]:
    """Return the fields of several structs, those of one name merged."""
    found: dict[str, pa.Field] = {}
    for field in (field for part in parts for field in part):
        known = found.get(field.name)
        found[field.name] = field if known is None else pa.field(field.name, _merged_type(known.type, field.type))
    return list(found.values())


def _merged_type(first: pa.DataType, second: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(first) and pa.types.is_struct(second):
        return pa.struct(sorted(_merged([list(first), list(second)]), key=lambda field: field.name))
    if pa.types.is_list(first) and pa.types.is_list(second):
        return pa.list_(_merged_type(first.value_type, second.value_type))
    return first


def _fitted(batch: pa.RecordBatch, schema: pa.Schema) -> list[pa.Array]:
    names = set(batch.schema.names)
    return [
        _fit(batch[field.name], field.type) if field.name in names else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]


def _fit(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return a column with the members that it lacks as nulls."""
    if column.type == kind:
        return column
    if pa.types.is_struct(kind):
        inner = dict(zip([field.name for field in column.type], column.flatten(), strict=True))
        members = [
            _fit(inner[field.name], field.type) if field.name in inner else pa.nulls(len(column), field.type)
            for field in kind
        ]
        return pa.StructArray.from_arrays(members, fields=list(kind), mask=column.is_null())
    if pa.types.is_list(kind):
        counts = pc.fill_null(pc.list_value_length(column), 0)
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(counts).cast(pa.int32())])
        mask = column.is_null() if column.null_count else None
        return pa.ListArray.from_arrays(offsets, _fit(column.flatten(), kind.value_type), mask=mask)
    return column.cast(kind)


def _span(table: pa.Table) -> str:
    found = pc.min_max(table["time"].cast(pa.timestamp("ms", "UTC"))).as_py()
    return "" if found["min"] is None else f"{found['min']:%Y-%m-%d %H:%M:%S} to {found['max']:%Y-%m-%d %H:%M:%S} UTC"
