"""Writing into a lake from the executors of Spark.

A task is a commit of `ocsflake.run`, cut as `run` cuts it, and so are the names of its objects: a task that is run
again, after a failure or by speculation, puts the same bytes under the same names. The driver keeps the checkpoint:

1. it plans a job: commits, and in them splits; executors read all of them once, and what cannot be read is left out;
2. it saves the job beside the unchanged state of the source;
3. each task reads its splits again, maps them, and publishes what they hold;
4. the driver keeps the rejects, and saves the state that the source has now, which ends the job.

A crash after step 2 leaves the job in the checkpoint, and the next call does the very same job again. Step 1 has its
price, a second reading, which is some hundredths of the work. It is what makes the names final: without a split a
commit is another one, of other names, and once a task has begun nobody knows what another attempt at it has published.
"""

from __future__ import annotations

import os
import pickle
import tempfile
import threading
import time
import zlib
from contextlib import closing
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

import pyarrow as pa
from attrs import astuple, evolve, frozen

from ocsflake import pipeline, registry
from ocsflake.checkpoints import MemoryCheckpoints
from ocsflake.commits import Job, Outcome, checkpoint, commit_alone, new_commits
from ocsflake.errors import ConfigError, LakeError, OcsflakeError, SourceError, did_you_mean
from ocsflake.lake import Lake
from ocsflake.lake.storage import lake_errors
from ocsflake.model import Acknowledges, EventBatch, Overlaps, Split
from ocsflake.pace import Pace
from ocsflake.report import Counts, Failure, RunReport, SourceReport
from ocsflake.spark.frames import REJECTS, Columns, fitted, missing_extra, spark_schema
from ocsflake.times import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from pyspark.sql import DataFrame, SparkSession

    from ocsflake.mapping import Mapper
    from ocsflake.model import CheckpointStore, ObjectWritten, Sink, Source

__all__ = ["write"]

T = TypeVar("T")

_COMMITS = 1_000
_SPLITS = 100_000
"""What one job has at most: its splits are in the checkpoint while it runs."""
_CREDENTIALS = ("session", "client", "credential")


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
        _check_source(source)
    written: list[ObjectWritten] = []
    report = pipeline.run(sources, lake, commits=partial(_new_commits, spark, written), **settings)
    return evolve(report, objects=tuple(written))


def _check_source(source: Source) -> None:
    """Raise if executors cannot read a source as one machine does."""
    if isinstance(source, Acknowledges):
        problem = "is a queue, whose messages executors cannot hold"
    elif isinstance(source, Overlaps):
        problem = "may give a record in more than one split, which only one process can tell apart"
    elif given := [name for name in _CREDENTIALS if getattr(source, name, None) is not None]:
        raise ConfigError(
            f"{source.name} has a {given[0]} of its own, which is not sent to other machines: leave it out, and let "
            "the executors have theirs from their environment"
        )
    else:
        return
    raise ConfigError(f"{source.name} {problem}: use ocsflake.run")


def _new_commits(spark: SparkSession, written: list[ObjectWritten], job: Job) -> Iterator[Outcome]:
    """Commit what is new in one source on the executors, what was interrupted first; note what was written."""
    doc, revision = checkpoint(job)
    if doc.get("intent"):
        outcome = next(new_commits(job))  # a commit of `run`, which was interrupted on one machine
        written += outcome.objects
        yield outcome
        doc, revision = checkpoint(job)
    job.pace.resume(doc.get("published"))
    if pending := doc.get("job"):
        commits, job_then = _interrupted(pending, job)
        doc, revision, outcomes = _run(spark, job_then, commits, doc, revision, repeated=True)
        written += [item for outcome in outcomes for item in outcome.objects]
        yield from outcomes
    for planned in _jobs(job.pace.commits(job.source, doc.get("state"))):
        if not job.pace.wait():
            return
        commits, failures = _readable(spark, job.source, planned)
        if failures:
            yield Outcome(SourceReport(job.source.name, job.source.log_type, failures=tuple(failures)))
        if commits:
            doc, revision, outcomes = _run(spark, job, commits, doc, revision)
            written += [item for outcome in outcomes for item in outcome.objects]
            yield from outcomes


def _jobs(commits: Iterable[list[Split]]) -> Iterator[list[list[Split]]]:
    """Gather commits into jobs."""
    group: list[list[Split]] = []
    for commit in commits:
        if group and (len(group) == _COMMITS or sum(map(len, group)) + len(commit) > _SPLITS):
            yield group
            group = []
        group.append(commit)
    if group:
        yield group


def _run(
    spark: SparkSession,
    job: Job,
    commits: list[list[Split]],
    doc: Mapping[str, Any],
    revision: str | None,
    *,
    repeated: bool = False,
) -> tuple[dict[str, Any], str, list[Outcome]]:
    """Do one job, which may be in the checkpoint already; return the checkpoint, its revision, and what was done."""
    store, name = job.checkpoints, job.source.name
    bounds = job.bounds()
    job = evolve(job, bounds=lambda: bounds)  # they move on with time, and a job that is repeated must not
    revision = store.save(name, {**doc, "format": 1, "job": _pending(job, commits)}, revision)
    task = _task(job)
    done: list[Split] = []
    refused: list[list[Split]] = []
    outcomes: list[Outcome] = []
    errors: list[OcsflakeError] = []
    for splits, found in zip(commits, _on_executors(spark, lambda part: _commit(task, part), commits), strict=True):
        if isinstance(found, OcsflakeError):
            errors.append(found)
            refused.append(splits)
        else:
            outcomes.append(found.outcome)
            done += splits
            _keep_rejects(job.rejects, found)
    if any(outcome.objects for outcome in outcomes):
        job.pace.publish()
    saved = {
        "format": 1,
        "state": job.source.advance(doc.get("state"), done) if done else doc.get("state"),
        "intent": None,
        "seen": doc.get("seen", []),
        "published": job.pace.published,
        # What one attempt refuses no other published, unless it was an earlier call, of another version perhaps.
        "job": _pending(job, refused) if refused and repeated else None,
    }
    revision = store.save(name, saved, revision)
    if errors:
        raise errors[0]
    return saved, revision, outcomes


def _pending(job: Job, commits: Sequence[Sequence[Split]]) -> dict[str, Any]:
    """Return what a job must be repeated from, and what decides where it writes."""
    places = {name: getattr(job.lake, name, None) for name in ("root", "region", "naming", "ocsf_version")}
    places["rejects"] = job.rejects
    return {
        "commits": [[[split.id, dict(split.detail), split.bytes] for split in commit] for commit in commits],
        "bounds": list(astuple(job.bounds())),
        "since": job.window.since,
        "until": job.window.until,
        "places": {name: None if place is None else str(place) for name, place in places.items()},
    }


def _interrupted(pending: Mapping[str, Any], job: Job) -> tuple[list[list[Split]], Job]:
    """Return the commits and the settings of an interrupted job.

    Raises:
        ConfigError: If this call would write elsewhere.
    """
    now, then = _pending(job, [])["places"], pending["places"]
    # Without a place for rejects, no commit that has some was published.
    changed = [name for name in now if now[name] != then[name] and not (name == "rejects" and then[name] is None)]
    if changed:
        words = ", ".join(f"{name} was {then[name]!r} and is {now[name]!r}" for name in changed)
        raise ConfigError(
            f"{job.source.name}: an earlier job was interrupted while it published, and this one writes elsewhere: "
            f"{words}. Write once more with the old settings to finish it"
        )
    commits = [[Split(*split) for split in commit] for commit in pending["commits"]]
    bounds = Window(*pending.get("bounds", (None, None)))
    return commits, evolve(job, window=Window(pending["since"], pending["until"]), bounds=lambda: bounds)


def _keep_rejects(folder: Path | None, done: _Done) -> None:
    """Write the rejects of a commit, safe on the disk.

    Raises:
        LakeError: If they cannot be written.
    """
    for name, lines in done.rejects.items():
        assert folder is not None
        path = folder / name
        with lake_errors(path):
            for place in (folder, path.parent):
                place.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=".tmp", dir=path.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(lines)
                file.flush()
                os.fsync(handle)
            Path(temporary).replace(path)


def _readable(
    spark: SparkSession, source: Source, commits: list[list[Split]]
) -> tuple[list[list[Split]], list[Failure]]:
    """Return commits without the splits that cannot be read, and what is wrong with these."""
    failures = [found for part in _on_executors(spark, lambda part: _failures(source, part), commits) for found in part]
    broken = {failure.split for failure in failures}
    kept = [[split for split in splits if split.id not in broken] for splits in commits]
    return [splits for splits in kept if splits], failures


def _on_executors(
    spark: SparkSession, function: Callable[[list[Split]], T], commits: Sequence[Sequence[Split]]
) -> Iterator[T]:
    """Yield what a function returns for each commit, which is a task of its own."""
    parts = [zlib.compress(pickle.dumps(list(splits)), 1) for splits in commits]

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for place in (place for batch in batches for place in batch.column(0).to_pylist()):
            found = zlib.compress(pickle.dumps(function(pickle.loads(zlib.decompress(parts[place])))), 1)  # noqa: S301 - ours
            yield pa.RecordBatch.from_pydict({"place": [place], "found": [found]})

    tasks = spark.range(0, len(parts), 1, len(parts))
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
    stem, sink = mapper.source_name, _without_credentials(lake)

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


@frozen
class _Task:
    """What a commit needs on another machine."""

    source: Source
    mapper: Mapper
    lake: Sink
    window: Window
    max_drift: float | None
    keeps_rejects: bool
    bounds: Window


@frozen
class _Done:
    """What became of a commit; its rejects are the file that `run` would have written, by its path below the folder."""

    outcome: Outcome
    rejects: Mapping[str, bytes]


def _task(job: Job) -> _Task:
    lake, keeps_rejects = _without_credentials(job.lake), job.rejects is not None
    return _Task(job.source, job.mapper, lake, job.window, job.max_drift, keeps_rejects, job.bounds())


def _without_credentials(lake: Sink) -> Sink:
    if not isinstance(lake, Lake) or (lake.session is None and lake.client is None):
        return lake
    names = ("region", "ocsf_version", "naming", "custom_sources", "role_arn", "external_id", "transport")
    return Lake(lake.root, **{name: getattr(lake, name) for name in names})


def _commit(task: _Task, splits: list[Split]) -> _Done | OcsflakeError:
    """Publish a commit.

    An error that any attempt would come to, before it publishes, is returned: Spark need not try again. All others are
    raised, so that it does.
    """
    pace = Pace(commit_bytes=None, commit_seconds=0, apart=0, follow=False, stop=threading.Event())
    with tempfile.TemporaryDirectory(prefix="ocsflake-") as name:
        folder = Path(name)
        rejects = folder if task.keeps_rejects else None
        settings = task.window, pace, task.max_drift, lambda: task.bounds
        job = Job(task.source, task.mapper, task.lake, MemoryCheckpoints(), rejects, *settings)
        try:
            outcome = commit_alone(job, splits)
        except (SourceError, LakeError):
            raise
        except OcsflakeError as error:
            return error
        return _Done(outcome, {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.jsonl")})


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


def _failures(source: Source, splits: Iterable[Split]) -> list[Failure]:
    """Return the splits that cannot be read."""
    failures = []
    for split in splits:
        try:
            for _ in source.read(split):
                pass
        except SourceError as error:
            failures.append(Failure(split.id, str(error)))
    return failures
