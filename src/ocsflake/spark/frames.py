"""Raw records as the columns of a Spark frame: the events of one class, or what was rejected.

Spark has no unsigned or millisecond types and calls everything nullable that it cannot prove; values are the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.compute as pc
from attrs import frozen

from ocsflake.commits import ROWS
from ocsflake.errors import ConfigError, MissingExtraError, RejectedRecordsError, did_you_mean
from ocsflake.mapping.rejects import REJECT_SCHEMA
from ocsflake.times import Window, within

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyspark.sql.types import StructType

    from ocsflake.mapping import Mapper
    from ocsflake.model import RawBatch

__all__ = ["REJECTS", "Columns", "Mode", "as_mode", "fitted", "missing_extra", "spark_schema"]

REJECTS = "rejects"
"""What a frame of rejected records is asked for by, where else the name of an event class stands."""

Mode = Literal["FAILFAST", "DROPMALFORMED"]
_MODES: tuple[Mode, ...] = ("FAILFAST", "DROPMALFORMED")


def missing_extra() -> MissingExtraError:
    """Return the error for PySpark that is not installed."""
    return MissingExtraError("ocsflake.spark needs PySpark: pip install 'ocsflake[spark]'")


def as_mode(text: str) -> Mode:
    """Return what is done about rejected records, by Spark's own words for it.

    Raises:
        ConfigError: If it is none of them.
    """
    found = text.upper()
    if found not in _MODES:
        raise ConfigError(f"mode {text!r}: give FAILFAST, or DROPMALFORMED{did_you_mean(found, _MODES)}")
    return found


@frozen
class Columns:
    """What a frame holds: the events of one class that a mapper makes, or `REJECTS`.

    Attributes:
        mapper: The mapper.
        event_class: The OCSF name of the class, or `REJECTS`.
        ocsf_version: The OCSF version of the events.
        mode: What is done about records that become no event, unless they are what is asked for: ``FAILFAST`` ends
            the job, ``DROPMALFORMED`` leaves them out.
    """

    mapper: Mapper
    event_class: str
    ocsf_version: str
    mode: Mode

    def schema(self) -> pa.Schema:
        """Return the Arrow schema.

        Raises:
            ConfigError: If the mapper makes no events of that class in that version.
        """
        if self.event_class == REJECTS:
            return REJECT_SCHEMA
        tables = [table for table in self.mapper.events if table.holds_in(self.ocsf_version)]
        known = [*dict.fromkeys(table.event_class for table in tables), REJECTS]
        if self.event_class not in known:
            raise ConfigError(
                f"{self.mapper.log_type} has no class {self.event_class!r} in OCSF {self.ocsf_version}"
                f"{did_you_mean(self.event_class, known) or ';'} there are {', '.join(known)}"
            )
        return self.mapper.schema(self.event_class, self.ocsf_version)

    def batches(self, raws: Iterable[RawBatch], schema: pa.Schema, span: Window) -> Iterator[pa.RecordBatch]:
        """Yield the rows of raw records, as some columns of the schema, in the types that Spark gave them.

        Raises:
            RejectedRecordsError: If a record became no event, and the mode is ``FAILFAST``.
        """
        for mapped in self.mapper.map_batches(raws, self.ocsf_version, rows=ROWS):
            rejects = mapped.rejects
            if self.event_class == REJECTS:
                if rejects.num_rows:
                    yield fitted(rejects, schema)
                continue
            if rejects.num_rows and self.mode == "FAILFAST":
                raise RejectedRecordsError(self._rejected(rejects))
            for batch in mapped.batches:
                if batch.event_class == self.event_class:
                    events = within(batch, span).events
                    if events.num_rows:
                        yield fitted(events, schema)

    def _rejected(self, rejects: pa.RecordBatch) -> str:
        first = rejects.slice(0, 1).to_pylist()[0]
        origin = dict(first["origin"]).get("uri", "")
        where, attribute = (f"{text}: " if text else "" for text in (origin, first["attribute"]))
        return (
            f"{self.mapper.log_type}: {rejects.num_rows:,} records became no event; the first: {where}{attribute}"
            f"{first['reason']}. Leave them out with the mode DROPMALFORMED, and read them as the class {REJECTS!r}"
        )


def spark_schema(schema: pa.Schema) -> StructType:
    """Return an Arrow schema in Spark's types."""
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)


def fitted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return the columns of a batch that a schema names, in its types: other units, other words on what may be null."""
    return pa.RecordBatch.from_arrays([_fit(batch[field.name], field.type) for field in schema], schema=schema)


def _fit(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if column.type.equals(kind):
        return column
    if pa.types.is_struct(kind):
        members = [_fit(column.field(field.name), field.type) for field in kind]
        return pa.StructArray.from_arrays(members, fields=list(kind), mask=column.is_null())
    if pa.types.is_list(kind):
        counts = pc.fill_null(pc.list_value_length(column), 0)
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(counts).cast(pa.int32())])
        mask = column.is_null() if column.null_count else None
        return pa.ListArray.from_arrays(offsets, _fit(column.flatten(), kind.value_type), type=kind, mask=mask)
    return column.cast(kind, safe=False)  # Spark's timestamps are finer, and OCSF's end at milliseconds
