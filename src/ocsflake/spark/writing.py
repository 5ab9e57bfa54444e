"""Writing into a lake from the executors of Spark, which are the workers of a job of `ocsflake.jobs`.

The driver keeps the checkpoint and the rejects. A task that Spark runs again, after a failure or by speculation, puts
the same bytes under the same names.
"""

from __future__ import annotations

import pickle
import time
import zlib
from contextlib import closing
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeVar, overload

import pyarrow as pa
from attrs import evolve, frozen

from ocsflake import pipeline, registry
from ocsflake.errors import ConfigError, did_you_mean
from ocsflake.jobs import new_commits, why_not, without_credentials
from ocsflake.model import EventBatch
from ocsflake.report import Counts, RunReport, SourceReport
from ocsflake.spark.frames import REJECTS, Columns, fitted, missing_extra, spark_schema

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from pyspark.sql import DataFrame, SparkSession

    from ocsflake.commits import Job, Outcome
    from ocsflake.model import CheckpointStore, ObjectWritten, Sink, Source, Split

__all__ = ["write"]

T = TypeVar("T")

_COMMITS = 1_000
"""What one job has at most."""


@overload
def write(
    what: Source | Iterable[Source],
    lake: Sink,
    *,
    spark: SparkSession | None = ...,
    checkpoints: CheckpointStore | str | os.PathLike[str] | None = ...,
    rejects: str | os.PathLike[str] | None = ...,
    max_drift: float | None = ...,
    redact: Sequence[str] = ...,
    keep_secrets: bool = ...,
    max_age: str | None = ...,
    max_ahead: str | None = ...,
    since: str | datetime | None = ...,
    until: str | datetime | None = ...,
    commit_bytes: int | None = ...,
) -> RunReport: ...


@overload
def write(what: DataFrame, lake: Sink, *, log_type: str, event_class: str, commit: str) -> RunReport: ...


def write(what: Any, lake: Sink, **settings: Any) -> RunReport:
    """Bring what is new in sources, or the events of a frame, into a lake, from the executors.

    The report is that of `ocsflake.run`, but for its ``objects``, which are all that were written: the manifest.

    Args:
        what: A source or several, whose state is kept as `run` keeps it: either goes on where the other ended. Or a
            frame of events of one class, with the columns that ``spark.read.format("ocsflake")`` gives it.
        lake: Where to write. A directory must be the same one on all machines. Executors use credentials of their own;
            the session and the client of a lake stay on the driver.
        settings: For sources those of `run` (``checkpoints``, ``rejects``, ``max_drift``, ``redact``,
            ``keep_secrets``, ``max_age``, ``max_ahead``, ``since``, ``until``, ``commit_bytes``), and ``spark``: the
            session, where it is not the active one. Checkpoints and rejects are the driver's. For a frame ``log_type``
            and ``event_class`` of its events, and ``commit``, which names what it holds: with the same name, the same
            events in the same partitions are the same objects, and writing them again changes nothing.

    Raises:
        ConfigError: If a name or a setting is wrong; if a source is a queue, if its splits overlap, or if it has a
            session or credential of its own, which are not sent to other machines; if the frame has other columns.
        RejectedRecordsError: If records were rejected and `rejects` is not given; nothing of their commits counts.
        DriftError: If more than `max_drift` of the records of a commit drifted; nothing of it counts.
        SourceError: If a source cannot be listed.
        LakeError: If the checkpoints or the rejects cannot be written.
        CheckpointConflictError: If another run of the same source was faster; nothing is doubled.
        MissingExtraError: If PySpark is not installed.
        pyspark.errors.PySparkException: If Spark gave a task up, with what the task said; the next call does the very
            same job again.
    """
    try:
        from pyspark.sql import SparkSession
    except ModuleNotFoundError:
        raise missing_extra() from None
    if hasattr(what, "mapInArrow"):
        return _write_frame(what, lake, **settings)
    spark = settings.pop("spark", None) or SparkSession.getActiveSession()
    if spark is None:
        raise ConfigError("there is no active Spark session: make one, or give spark=")
    sources: list[Source] = [what] if hasattr(what, "plan") else list(what)
    for source in sources:
        if problem := why_not(source):
            raise ConfigError(f"{source.name} {problem}; or use ocsflake.run")
    written: list[ObjectWritten] = []

    def commits(job: Job) -> Iterator[Outcome]:
        for outcome in new_commits(job, _Executors(spark)):
            written.extend(outcome.objects)
            yield outcome

    report = pipeline.run(sources, lake, commits=commits, **settings)
    return evolve(report, objects=tuple(written))


@frozen
class _Executors:
    """The executors of a session; what they do for a commit is a task of its own."""

    spark: SparkSession
    most: int = _COMMITS

    def each(self, function: Callable[[list[Split]], T], commits: Sequence[list[Split]]) -> Iterator[T]:
        parts = [zlib.compress(pickle.dumps(splits), 1) for splits in commits]

        def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for place in (place for batch in batches for place in batch.column(0).to_pylist()):
                found = function(pickle.loads(zlib.decompress(parts[place])))  # noqa: S301 - ours
                yield pa.RecordBatch.from_pydict({"place": [place], "found": [zlib.compress(pickle.dumps(found), 1)]})

        tasks = self.spark.range(0, len(parts), 1, len(parts))
        rows = tasks.mapInArrow(work, "place BIGINT, found BINARY").toArrow().to_pylist()
        for row in sorted(rows, key=lambda row: row["place"]):
            yield pickle.loads(zlib.decompress(row["found"]))  # noqa: S301 - our own executors made it


def _write_frame(frame: DataFrame, lake: Sink, *, log_type: str, event_class: str, commit: str) -> RunReport:
    """Write the events of a frame; each of its partitions is a commit."""
    mapper = registry.mapper(log_type)
    if event_class == REJECTS:
        raise ConfigError("rejects are no events: a lake takes events of a class")
    schema = Columns(mapper, event_class, lake.ocsf_version, "FAILFAST").schema()
    _check_columns(frame, schema)
    check = getattr(lake, "check", None)
    if check is not None:
        check(mapper.source_name, [event_class])
    started = time.monotonic()
    stem, sink = mapper.source_name, without_credentials(lake)

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        found = _write_part((EventBatch(log_type, stem, event_class, fitted(b, schema)) for b in batches), sink, commit)
        yield pa.RecordBatch.from_pydict({"found": [pickle.dumps(found)]})

    rows = frame.mapInArrow(work, "found BINARY").toArrow().to_pylist()
    parts: list[tuple[ObjectWritten, ...]] = [pickle.loads(row["found"]) for row in rows]  # noqa: S301 - our executors'
    objects = tuple(item for part in parts for item in part)
    count = sum(item.rows for item in objects)
    report = SourceReport(commit, log_type, Counts(events=count, written=count), splits=len(parts))
    return RunReport((report,), objects, seconds=time.monotonic() - started)


def _check_columns(frame: DataFrame, schema: pa.Schema) -> None:
    """Raise unless a frame has the columns of a class."""
    wanted = {field.name: field.dataType.simpleString() for field in spark_schema(schema)}
    given = {field.name: field.dataType.simpleString() for field in frame.schema}
    if wrong := [name for name in wanted if name not in given] or [name for name in given if name not in wanted]:
        which = "lacks" if wrong[0] in wanted else "has, and events have not,"
        near = did_you_mean(wrong[0], wanted if wrong[0] not in wanted else given)
        raise ConfigError(f"the frame {which} the column {wrong[0]!r}{near}")
    if wrong := [name for name in wanted if wanted[name] != given[name]]:
        raise ConfigError(f"the column {wrong[0]!r} is of type {given[wrong[0]]}; events have {wanted[wrong[0]]}")


# What follows runs on executors.


def _write_part(batches: Iterator[EventBatch], lake: Sink, commit: str) -> tuple[ObjectWritten, ...]:
    """Publish a partition of a frame."""
    from pyspark import TaskContext

    context = TaskContext.get()
    assert context is not None
    name = blake2b(f"{commit}\0{context.partitionId()}".encode(), digest_size=16).hexdigest()
    with closing(lake.begin(name)) as started:
        for batch in batches:
            started.write(batch)
        return tuple(started.publish())
