"""The data source ``ocsflake`` of Spark: splits are partitions, and the cursors of sources are the offsets of streams.

This module alone needs PySpark to be imported: its classes are those that Spark looks for.
"""

from __future__ import annotations

import json
import threading
from itertools import chain
from typing import TYPE_CHECKING, Any

from attrs import frozen
from pyspark.sql.datasource import DataSource, DataSourceReader, DataSourceStreamReader, InputPartition
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.streaming.datasource import ReadLimit, ReadMaxFiles, SupportsTriggerAvailableNow

from ocsflake import registry
from ocsflake.ahead import read_ahead
from ocsflake.errors import ConfigError
from ocsflake.model import Acknowledges, Overlaps, Split
from ocsflake.ocsf import DEFAULT_VERSION
from ocsflake.pace import Pace, now_in_utc
from ocsflake.spark.frames import Columns, as_mode, spark_schema
from ocsflake.times import Window, narrowed, window

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa
    from pyspark.sql.types import StructType

    from ocsflake.model import Source

__all__ = ["OcsflakeDataSource"]

_SPLITS = 10_000
"""Splits that one batch of a stream has at most: Spark keeps them in its log of offsets."""


class OcsflakeDataSource(DataSource):
    """Events of one class, from any source: ``spark.read.format("ocsflake")``.

    A partition is what `ocsflake.run` takes into one commit. A frame is read anew by each action, as frames are: cache
    it, or write it, if it is to be one state of its source.

    The options:

    - ``source``: its name, such as ``files``. No queue: executors cannot hold its messages. A stream reads from no
      source whose splits overlap, such as the API of a service; run these with `ocsflake.run`.
    - ``log_type``: such as ``aws.cloudtrail``.
    - ``class``: the OCSF name of an event class; ``rejects`` for the records that became no event.
    - ``ocsf_version``, ``since``, ``until``, ``commit_bytes``: as for `ocsflake.run`.
    - ``mode``: ``FAILFAST`` (a record that becomes no event ends the job, the default) or ``DROPMALFORMED``.
    - all others: the source's own, such as ``uri``, as text.

    ``schema(...)`` picks some of the columns.
    """

    @classmethod
    def name(cls) -> str:
        """The name of the format."""
        return "ocsflake"

    def schema(self) -> StructType:
        """Return the columns of the class."""
        return spark_schema(_asked(self.options).columns.schema())

    def reader(self, schema: StructType) -> DataSourceReader:
        """Return what reads all that there is."""
        return _Reader(_asked(self.options), schema)

    def streamReader(self, schema: StructType) -> DataSourceStreamReader:  # noqa: N802 - PySpark's name
        """Return what reads on and on."""
        return _StreamReader(_asked(self.options), schema)


@frozen
class _Asked:
    """The options, understood."""

    source: Source
    columns: Columns
    since: str | None
    until: str | None
    commit_bytes: int | None

    def commits(self, state: Mapping[str, Any] | None, span: Window) -> Iterator[list[Split]]:
        """Yield what is new, cut as `run` cuts it."""
        pace = Pace(commit_bytes=self.commit_bytes, commit_seconds=0, apart=0, follow=False, stop=threading.Event())
        return pace.commits(narrowed(self.source, span), state)

    def span(self) -> Window:
        """Return what events must lie in, as of now."""
        return window(self.since, self.until, now_in_utc())

    def read(self, partition: InputPartition, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Yield the events of a partition."""
        if partition.value is None:  # Spark's own, where there is nothing to read
            return iter(())
        splits, span = partition.value
        raws = (raw for _, records in read_ahead(self.source, splits) for raw in records)
        return self.columns.batches(raws, schema, span)


class _Reader(DataSourceReader):
    def __init__(self, asked: _Asked, schema: StructType) -> None:
        self._asked = asked
        self._schema = _arrow(asked, schema)

    def partitions(self) -> Sequence[InputPartition]:
        span = self._asked.span()
        return [InputPartition((splits, span)) for splits in self._asked.commits(None, span)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        return self._asked.read(partition, self._schema)


class _StreamReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """An offset is the state of the source after a batch, and the splits of that batch, so that it can be repeated."""

    def __init__(self, asked: _Asked, schema: StructType) -> None:
        if isinstance(asked.source, Overlaps):
            raise ConfigError(
                f"{asked.source.name}: its records may come in more than one split, which a stream of Spark does not"
                " tell apart: bring them into a lake with ocsflake.run, and read that"
            )
        self._asked = asked
        self._schema = _arrow(asked, schema)
        self._available: Iterator[list[Split]] | None = None
        self._ends = False

    def initialOffset(self) -> dict[str, str]:  # noqa: N802 - PySpark's name
        return _offset(None, [], self._asked.span())

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802 - PySpark's name
        self._ends = True

    def getDefaultReadLimit(self) -> ReadLimit:  # noqa: N802 - PySpark's name
        return ReadMaxFiles(_SPLITS)

    def latestOffset(self, start: dict[str, str], limit: ReadLimit) -> dict[str, str]:  # noqa: N802 - PySpark's name
        state, span = json.loads(start["state"]), Window(*json.loads(start["span"]))
        if self._available is None or not self._ends:
            self._available = self._asked.commits(state, span)
        most = limit.max_files if isinstance(limit, ReadMaxFiles) else None
        commits: list[list[Split]] = []
        for commit in self._available:
            if most is not None and commits and sum(map(len, commits)) + len(commit) > most:
                self._available = chain([commit], self._available)
                break
            commits.append(commit)
        if not commits:
            return start
        return _offset(self._asked.source.advance(state, [s for commit in commits for s in commit]), commits, span)

    def partitions(self, start: dict[str, str], end: dict[str, str]) -> Sequence[InputPartition]:
        if start == end:
            return []
        span = Window(*json.loads(end["span"]))
        return [InputPartition(([Split(*split) for split in splits], span)) for splits in json.loads(end["commits"])]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        return self._asked.read(partition, self._schema)


def _offset(state: Mapping[str, Any] | None, commits: Sequence[Sequence[Split]], span: Window) -> dict[str, str]:
    """Return an offset; its values are text, since Spark wants no lists in it."""
    splits = [[[split.id, dict(split.detail), split.bytes] for split in commit] for commit in commits]
    values = {"state": state, "commits": splits, "span": [span.since, span.until]}
    return {name: json.dumps(value) for name, value in values.items()}


def _asked(options: Mapping[str, str]) -> _Asked:
    given = dict(options)
    wanted = [given.pop(name, "") for name in ("source", "log_type", "class")]
    if not all(wanted):
        raise ConfigError(
            "a read needs the options source, log_type and class, such as files, aws.vpc_flow, network_activity"
        )
    name, log_type, event_class = wanted
    version, mode = given.pop("ocsf_version", DEFAULT_VERSION), as_mode(given.pop("mode", "FAILFAST"))
    since, until, size = (given.pop(name, None) for name in ("since", "until", "commit_bytes"))
    if size is not None and not (size.isdecimal() and int(size)):
        raise ConfigError(f"commit_bytes {size!r}: give a number of bytes")
    source = registry.source(name, log_type=log_type, **given)
    if isinstance(source, Acknowledges):
        raise ConfigError(
            f"{source.name} is a queue, whose messages executors cannot hold: run it with ocsflake.run, or give Spark's"
            " own frame of its records to ocsflake.spark.map_records"
        )
    columns = Columns(registry.mapper(log_type), event_class, version, mode)
    return _Asked(source, columns, since, until, int(size) if size else None)


def _arrow(asked: _Asked, schema: StructType) -> pa.Schema:
    """Return the Arrow schema of what is read.

    Raises:
        ConfigError: If a column is not one of the class, or of another type.
    """
    known = {field.name: field.dataType for field in spark_schema(asked.columns.schema())}
    for field in schema:
        if field.name not in known or field.dataType.simpleString() != known[field.name].simpleString():
            raise ConfigError(
                f"{asked.columns.event_class} has no column {field.name!r} of type {field.dataType.simpleString()}:"
                " leave the schema out, or pick columns of the one that is then there"
            )
    return to_arrow_schema(schema, timezone="UTC")
