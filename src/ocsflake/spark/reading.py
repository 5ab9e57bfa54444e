"""Reading into Spark frames: the data source by its name, and frames of raw records that Spark has already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from ocsflake import registry
from ocsflake.errors import ConfigError, did_you_mean
from ocsflake.model import RawBatch
from ocsflake.ocsf import DEFAULT_VERSION
from ocsflake.spark.frames import Columns, Mode, as_mode, missing_extra, spark_schema
from ocsflake.times import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import DataFrame, SparkSession

__all__ = ["map_records", "register"]


def register(spark: SparkSession) -> None:
    """Make ``spark.read.format("ocsflake")`` and ``spark.readStream.format("ocsflake")`` known to a session.

    The options of a read are those of `ocsflake.spark.datasource.OcsflakeDataSource`.

    Raises:
        MissingExtraError: If PySpark is not installed.
    """
    try:
        from ocsflake.spark.datasource import OcsflakeDataSource
    except ModuleNotFoundError:
        raise missing_extra() from None
    spark.dataSource.register(OcsflakeDataSource)


def map_records(
    frame: DataFrame,
    log_type: str,
    *,
    event_class: str,
    column: str = "value",
    ocsf_version: str = DEFAULT_VERSION,
    mode: Mode = "FAILFAST",
) -> DataFrame:
    """Return the events of one class of raw records that are in a frame, such as one of Kafka's.

    Args:
        frame: Any frame, a stream too.
        log_type: What the records are, such as ``aws.cloudtrail``.
        event_class: The OCSF name of the class, such as ``api_activity``; or ``rejects`` for the records that become no
            event, with the reason.
        column: The column that holds the records, as text or binary: a record or a document of some in each row. Rows
            that are null or empty hold none.
        ocsf_version: The OCSF version of the events.
        mode: ``FAILFAST``: a record that becomes no event ends the job. ``DROPMALFORMED``: it is left out.

    Raises:
        ConfigError: If a name is wrong, or the column is not there or of another type.
        MissingExtraError: If PySpark is not installed.
    """
    try:
        from pyspark.sql.pandas.types import to_arrow_schema
    except ModuleNotFoundError:
        raise missing_extra() from None
    columns = Columns(registry.mapper(log_type), event_class, ocsf_version, as_mode(mode))
    schema = spark_schema(columns.schema())
    target = to_arrow_schema(schema, timezone="UTC")
    if column not in frame.columns:
        raise ConfigError(f"the frame has no column {column!r}{did_you_mean(column, frame.columns)}")
    kind = frame.schema[column].dataType.simpleString()
    if kind not in {"string", "binary"}:
        raise ConfigError(f"the column {column!r} is of type {kind}: raw records are text or binary")

    def mapped(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return columns.batches(map(_raw, batches), target, Window())

    return frame.select(column).mapInArrow(mapped, schema)


def _raw(batch: pa.RecordBatch) -> RawBatch:
    return RawBatch([record for record in batch.column(0).cast(pa.binary()).to_pylist() if record])
