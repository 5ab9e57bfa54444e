"""Commits of one source that workers do, processes or the executors of Spark.

A task is a commit of `ocsflake.run`, cut as `run` cuts it, and so are the names of its objects: a task that is run
again puts the same bytes under the same names. Who hands the tasks out keeps the checkpoint:

1. it plans a job: commits, and in them splits; workers read all of them once, and what cannot be read is left out;
2. it saves the job beside the unchanged state of the source;
3. each task reads its splits again, maps them, and publishes what they hold;
4. the rejects are kept, and the state that the source has now is saved, which ends the job.

A crash after step 2 leaves the job in the checkpoint, and the next run does the very same job again. Step 1 has its
price, a second reading, which is some hundredths of the work. It is what makes the names final: without a split a
commit is another one, of other names, and once a task has begun nobody knows what another attempt at it has published.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from attrs import astuple, evolve, frozen

from ocsflake import commits as alone
from ocsflake.checkpoints import MemoryCheckpoints
from ocsflake.commits import Job, Outcome, checkpoint, commit_alone, save
from ocsflake.errors import ConfigError, LakeError, OcsflakeError, SourceError
from ocsflake.lake import Lake
from ocsflake.lake.storage import lake_errors
from ocsflake.model import Acknowledges, Overlaps, Split
from ocsflake.pace import Pace
from ocsflake.report import Failure, SourceReport
from ocsflake.times import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ocsflake.mapping import Mapper
    from ocsflake.model import Sink, Source

__all__ = ["Workers", "new_commits", "processes", "why_not", "without_credentials"]

T = TypeVar("T")

_SPLITS = 100_000
"""What one job has at most: its splits are in the checkpoint while it runs."""
_TURNS = 8
"""Commits of a job for each process: the processes wait for the last one of a job, and a run that is to stop does."""
_CREDENTIALS = ("session", "client", "credential")


class Workers(Protocol):
    """Does something for each commit, somewhere else, and gives back what came of it in the order of the commits."""

    @property
    def most(self) -> int:
        """How many commits a job has at most."""
        ...

    def each(self, function: Callable[[list[Split]], T], commits: Sequence[list[Split]]) -> Iterator[T]:
        """Yield what a function returns for each commit; both can be pickled."""
        ...


def new_commits(job: Job, workers: Workers | None = None) -> Iterator[Outcome]:
    """Commit what is new in one source, what was interrupted first.

    Workers do it where they can read the source as this process does; see `why_not`.
    """
    doc, revision = checkpoint(job)
    if pending := doc.get("job"):
        commits, job_then = _interrupted(pending, job)
        _, _, outcomes = _run(workers or _Here(), job_then, commits, doc, revision, repeated=True)
        yield from outcomes
    if workers is None or why_not(job.source):
        yield from alone.new_commits(job)
        return
    doc, revision = checkpoint(job)
    if doc.get("intent"):
        yield from islice(alone.new_commits(job), 1)  # it was interrupted in one process
        doc, revision = checkpoint(job)
    job.pace.resume(doc.get("published"))
    for planned in _jobs(job.pace.commits(job.source, doc.get("state")), workers.most):
        if job.pace.stopped or not job.pace.wait():
            return
        commits, failures = _readable(workers, job.source, planned)
        if failures:
            yield Outcome(SourceReport(job.source.name, job.source.log_type, failures=tuple(failures)))
        if commits:
            doc, revision, outcomes = _run(workers, job, commits, doc, revision)
            yield from outcomes


def why_not(source: Source) -> str:
    """Return why workers cannot read a source as one process does, ``""`` if they can."""
    if isinstance(source, Acknowledges):
        return "is a queue, whose messages workers cannot hold"
    if isinstance(source, Overlaps):
        return "may give a record in more than one split, which only one process can tell apart"
    if given := [name for name in _CREDENTIALS if getattr(source, name, None) is not None]:
        return (
            f"has a {given[0]} of its own, which is not sent to others: leave it out, and let the workers have theirs "
            "from their environment"
        )
    return ""


@frozen
class _Processes:
    """Processes of this machine; none of them is forked, since threads run here."""

    pool: ProcessPoolExecutor
    most: int

    def each(self, function: Callable[[list[Split]], T], commits: Sequence[list[Split]]) -> Iterator[T]:
        try:
            yield from self.pool.map(function, commits)
        except BrokenProcessPool as error:
            raise LakeError(
                "a worker process ended before its commit was done, perhaps for want of memory: run again, with fewer "
                "workers or smaller commits, and the same commits are done again"
            ) from error


class _Here:
    """This process, which finishes a job that workers left."""

    most = 1

    def each(self, function: Callable[[list[Split]], T], commits: Sequence[list[Split]]) -> Iterator[T]:
        return map(function, commits)


@contextlib.contextmanager
def processes(count: int) -> Iterator[Workers]:
    """Give so many processes as workers; they end with this one, whatever ends it."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_begin) as pool:
        try:
            yield _Processes(pool, _TURNS * count)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _begin() -> None:
    """Leave Ctrl-C to the parent, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _jobs(commits: Iterable[list[Split]], most: int) -> Iterator[list[list[Split]]]:
    """Gather commits into jobs."""
    group: list[list[Split]] = []
    for commit in commits:
        if group and (len(group) >= most or sum(map(len, group)) + len(commit) > _SPLITS):
            yield group
            group = []
        group.append(commit)
    if group:
        yield group


def _run(
    workers: Workers,
    job: Job,
    commits: list[list[Split]],
    doc: Mapping[str, Any],
    revision: str | None,
    *,
    repeated: bool = False,
) -> tuple[dict[str, Any], str, list[Outcome]]:
    """Do one job, which may be in the checkpoint already; return the checkpoint, its revision, and what was done."""
    bounds = job.bounds()
    job = evolve(job, bounds=lambda: bounds)  # they move on with time, and a job that is repeated must not
    revision = save(job, {**doc, "format": 1, "job": _pending(job, commits)}, revision)
    task = _task(job)
    done: list[Split] = []
    refused: list[list[Split]] = []
    outcomes: list[Outcome] = []
    errors: list[OcsflakeError] = []
    for splits, found in zip(commits, workers.each(partial(_commit, task), commits), strict=True):
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
    revision = save(job, saved, revision)
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
            f"{words}. Run once more with the old settings to finish it"
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


def _readable(workers: Workers, source: Source, commits: list[list[Split]]) -> tuple[list[list[Split]], list[Failure]]:
    """Return commits without the splits that cannot be read, and what is wrong with these."""
    failures = [found for part in workers.each(partial(_failures, source), commits) for found in part]
    broken = {failure.split for failure in failures}
    kept = [[split for split in splits if split.id not in broken] for splits in commits]
    return [splits for splits in kept if splits], failures


# What follows is done by workers.


@frozen
class _Task:
    """What a commit needs elsewhere."""

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
    lake, keeps_rejects = without_credentials(job.lake), job.rejects is not None
    return _Task(job.source, job.mapper, lake, job.window, job.max_drift, keeps_rejects, job.bounds())


def without_credentials(lake: Sink) -> Sink:
    """Return the same lake for others, who have credentials of their own."""
    if not isinstance(lake, Lake) or (lake.session is None and lake.client is None):
        return lake
    names = ("region", "ocsf_version", "naming", "custom_sources", "role_arn", "external_id", "transport")
    return Lake(lake.root, **{name: getattr(lake, name) for name in names})


def _commit(task: _Task, splits: list[Split]) -> _Done | OcsflakeError:
    """Publish a commit.

    An error that any attempt would come to, before it publishes, is returned: there is no need to try again. All
    others are raised.
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
