"""Running sources into a lake, reading them into memory, and running rejected records again."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter, deque
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import asdict, evolve, frozen

from ocsflake import registry, telemetry
from ocsflake.ahead import read_ahead
from ocsflake.checkpoints import FileCheckpoints, MemoryCheckpoints, S3Checkpoints
from ocsflake.commits import ROWS, Job, Outcome
from ocsflake.errors import ConfigError
from ocsflake.events import Events, Gathered
from ocsflake.jobs import new_commits, processes
from ocsflake.memory import give_back
from ocsflake.ocsf import DEFAULT_VERSION
from ocsflake.pace import Pace, Published, now_in_utc
from ocsflake.report import KEPT, Counts, RunReport, SourceReport, Written, add_written
from ocsflake.seen import Seen
from ocsflake.times import narrowed, reach, window, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ocsflake.model import CheckpointStore, ObjectWritten, RawBatch, Sink, Source, Split

__all__ = ["Progress", "read", "replay", "run"]

K = TypeVar("K")

_log = logging.getLogger(__name__)

_POLL_SECONDS = 15.0

MAX_AGE = "9125d"
"""No log of a cloud is older than 25 years; a broken clock says 1970."""
MAX_AHEAD = "1d"
"""Clocks differ by minutes, and by hours where a zone was forgotten."""


@frozen
class Progress:
    """How far a run is.

    Attributes:
        source: The source that is being read.
        splits: Splits done so far, in this source.
        bytes: Bytes of splits done so far, in this source.
        counts: Records and events so far, in all sources.
        latest: The time of the latest event so far, in all sources.
    """

    source: str
    splits: int
    bytes: int
    counts: Counts
    latest: datetime | None = None


def run(
    source_or_sources: Source | Iterable[Source],
    lake: Sink,
    *,
    checkpoints: CheckpointStore | str | os.PathLike[str] | None = None,
    rejects: str | os.PathLike[str] | None = None,
    max_drift: float | None = None,
    redact: Sequence[str] = (),
    keep_secrets: bool = False,
    max_age: str | None = MAX_AGE,
    max_ahead: str | None = MAX_AHEAD,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    follow: bool = False,
    stop: threading.Event | None = None,
    progress: Callable[[Progress], None] | None = None,
    commit_bytes: int | None = None,
    commit_seconds: float = 0.0,
    workers: int = 1,
    now: Callable[[], datetime] = now_in_utc,
    commits: Callable[[Job], Iterator[Outcome]] | None = None,
) -> RunReport:
    """Bring what is new in the sources into the lake.

    Every record read is written as an event, kept as a reject, or counted as filtered or as a duplicate; a run whose
    numbers do not balance fails and moves no checkpoint. A split that cannot be read is reported, left for the next
    run, and does not stop the others.

    Args:
        source_or_sources: What to read.
        lake: Where to write.
        checkpoints: Where the state of sources is kept, or for it the path of a file or an ``s3://`` URI. If it is not
            given, a lake in a directory or a bucket of one's own keeps it inside, and a sink of another kind starts
            anew each time.
        rejects: A folder for records that became no event, with their reasons; see `replay`.
        max_drift: The share of a commit's records, 0 to 1, that may hold what their mapper does not know: new keys,
            other kinds of values, new words of enums. Beyond it the run ends before the commit is published.
        redact: Raw paths whose values are redacted before anything is made of a record, such as
            ``requestParameters.comment`` or ``**.email``; see `Mapper.redacting`.
        keep_secrets: Whether what a mapper redacts by itself is kept: what gives access, in CloudTrail.
        max_age: How old an event may be, such as ``365d``: records of older ones are rejects. ``None`` for any age.
        max_ahead: The same for events of the future.
        since: Only events from this moment on: an age (``7d``), ISO 8601, or a datetime.
        until: Only events before this moment.
        follow: Go on waiting for what comes, until `stop` is set.
        stop: Ends the run soon: a commit that is being published is finished, and one that is still being read is left
            for the next run.
        progress: Called now and then with how far the run is.
        commit_bytes: How many bytes of splits, as stored, one commit gathers: 64 MiB, or 1 GiB where commits must be
            minutes apart, as they must on Security Lake.
        commit_seconds: With `follow`, how long a source may gather less than that, counted from its commit before.
        workers: How many processes read, map and write, each one commit at a time, where a source's splits stand alone:
            files and archives. Queues, and sources with a session of their own, are read by this process. A script
            that asks for more than one needs the usual ``if __name__ == "__main__":``.
        now: Tells what time it is.
        commits: Commits what is new in one source; `ocsflake.spark.write` has it done by other machines.

    Raises:
        ConfigError: If a name or a setting is wrong, or the sink knows before that it cannot take the events.
        RejectedRecordsError: If records were rejected and `rejects` is not given; nothing of that commit counts.
        DriftError: If more than `max_drift` of the records drifted; nothing of that commit counts.
        SourceError: If a commit that was interrupted can no longer be repeated, or a source cannot be listed.
        LakeError: If the lake, the rejects or the checkpoints cannot be written.
        CheckpointConflictError: If another run of the same source was faster; nothing is doubled.
    """
    if max_drift is not None and not 0 <= max_drift <= 1:
        raise ConfigError(f"max_drift {max_drift!r}: give a share of the records, from 0 to 1")
    if workers < 1:
        raise ConfigError(f"workers {workers!r}: give 1 or more")
    stop = stop or threading.Event()
    bounds = reach(max_age, max_ahead)
    between = window(since, until, now())
    sources = [narrowed(source, between) for source in _sources(source_or_sources)]
    store = _store(checkpoints, lake)
    folder = None if rejects is None else Path(rejects).absolute()
    jobs = []
    apart = getattr(lake, "min_commit_seconds", 0.0)
    last: dict[str, Published] = {}
    for source in sources:
        mapper = registry.mapper(source.log_type).redacting(redact, keep_secrets=keep_secrets)
        shared = "" if getattr(lake, "naming", "") == "class" else mapper.source_name
        pace = Pace(
            commit_bytes=commit_bytes,
            commit_seconds=commit_seconds,
            apart=apart,
            follow=follow,
            now=now,
            stop=stop,
            last=last.setdefault(shared, Published()) if apart else None,
        )
        jobs.append(Job(source, mapper, lake, store, folder, between, pace, max_drift, lambda: bounds.around(now())))
        _check_sink(jobs[-1])
    started = time.monotonic()
    total = _Total(jobs, progress)
    turns = list(range(len(jobs)))
    with telemetry.span("run", {"sources": [source.name for source in sources]}), ExitStack() as stack:
        if commits is None:
            commits = partial(new_commits, workers=stack.enter_context(processes(workers)) if workers > 1 else None)
        while True:
            done = 0
            for place in list(turns):
                if stop.is_set():
                    break
                for outcome in commits(jobs[place]):
                    total.add(place, outcome)
                    done += outcome.report.splits
                    turns.append(turns.pop(turns.index(place)))  # who has published lets the others go first
            if not follow or stop.is_set():
                break
            if done:
                give_back()
            else:
                stop.wait(_POLL_SECONDS)
    report = total.report(time.monotonic() - started)
    _log.info("the run is over: %r", report, extra={**asdict(report.counts), "seconds": round(report.seconds, 3)})
    return report


def read(
    *sources: Source,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    ocsf_version: str = DEFAULT_VERSION,
) -> Events:
    """Return the events of all records that the sources have, in memory, and write nothing.

    Args:
        sources: What to read; no checkpoint is used.
        since: Only events from this moment on, as for `run`.
        until: Only events before this moment.
        ocsf_version: The OCSF version of the events.

    Raises:
        ConfigError: If a name or a setting is wrong.
        SourceError: If a source cannot be read.
    """
    now = datetime.now(UTC)
    between = window(since, until, now)
    gathered = Gathered()
    for source in (narrowed(source, between) for source in sources):
        splits = list(source.plan(None, now))
        for mapped in registry.mapper(source.log_type).map_batches(_raws(source, splits), ocsf_version, rows=ROWS):
            gathered.add([within(batch, between) for batch in mapped.batches], mapped.rejects)
    return gathered.events()


def replay(
    rejects: str | os.PathLike[str],
    lake: Sink,
    *,
    checkpoints: CheckpointStore | str | os.PathLike[str] | None = None,
    redact: Sequence[str] = (),
    keep_secrets: bool = False,
    max_age: str | None = MAX_AGE,
    max_ahead: str | None = MAX_AHEAD,
    progress: Callable[[Progress], None] | None = None,
) -> RunReport:
    """Run rejected records again; those that are rejected again stay, the others become events.

    Args:
        rejects: The folder that an earlier run was given as `rejects`.
        lake: Where to write.
        checkpoints: As for `run`.
        redact: As for `run`.
        keep_secrets: As for `run`; what was redacted when a record was rejected stays so.
        max_age: As for `run`; other bounds bring in what lay outside.
        max_ahead: As for `run`.
        progress: As for `run`.

    Raises:
        ConfigError: If there is no such folder.
        LakeError: As `run` does.
    """
    from ocsflake.replaying import rejected_sources

    return run(
        rejected_sources(rejects),
        lake,
        checkpoints=checkpoints,
        rejects=rejects,
        redact=redact,
        keep_secrets=keep_secrets,
        max_age=max_age,
        max_ahead=max_ahead,
        progress=progress,
    )


class _Total:
    """Adds outcomes up, and tells how far the run is."""

    def __init__(self, jobs: Sequence[Job], progress: Callable[[Progress], None] | None) -> None:
        self.reports = [SourceReport(job.source.name, job.source.log_type) for job in jobs]
        self.objects: deque[ObjectWritten] = deque(maxlen=KEPT)
        self.written: dict[tuple[str, str, str, str], Written] = {}
        self.span: tuple[int, int] | None = None
        self.progress = progress
        self.bytes = [0] * len(jobs)

    def add(self, place: int, outcome: Outcome) -> None:
        """Add what one commit did."""
        old, new = self.reports[place], outcome.report
        self.reports[place] = evolve(
            old,
            counts=old.counts + new.counts,
            splits=old.splits + new.splits,
            reasons=_sum(old.reasons, new.reasons),
            drift=old.drift + new.drift,
            failures=tuple({failure.split: failure for failure in old.failures + new.failures}.values())[-KEPT:],
        )
        self.bytes[place] += outcome.bytes
        self.objects += outcome.objects
        add_written(self.written, outcome.objects)
        if outcome.span:
            first, last = self.span or outcome.span
            self.span = min(first, outcome.span[0]), max(last, outcome.span[1])
        if self.progress is not None:
            counts = sum((report.counts for report in self.reports), Counts())
            latest = _datetime(self.span[1]) if self.span else None
            self.progress(Progress(old.source, self.reports[place].splits, self.bytes[place], counts, latest))

    def report(self, seconds: float) -> RunReport:
        """Return the report of the whole run."""
        earliest, latest = self.span or (None, None)
        span = _datetime(earliest), _datetime(latest)
        return RunReport(tuple(self.reports), tuple(self.objects), *span, seconds, written=self.written)


def _sum(old: Mapping[K, int], new: Mapping[K, int]) -> dict[K, int]:
    """Return the sums of two counts, the most frequent `KEPT` of them: log content has a say in how many there are."""
    found = Counter(old) + Counter(new)
    return dict(found if len(found) <= KEPT else found.most_common(KEPT))


def _check_sink(job: Job) -> None:
    """Raise if the sink knows that it cannot take the events of a source."""
    check = getattr(job.lake, "check", None)
    if check is not None:
        check(
            job.mapper.source_name,
            [events.event_class for events in job.mapper.events if events.holds_in(job.lake.ocsf_version)],
        )


def _raws(source: Source, splits: Sequence[Split]) -> Iterator[RawBatch]:
    seen = Seen({})
    for split, records in read_ahead(source, splits):
        yield from seen.new(records, split)


def _sources(given: Source | Iterable[Source]) -> list[Source]:
    sources: list[Any] = [given] if hasattr(given, "plan") else list(given)
    names = Counter(source.name for source in sources)
    twice = sorted(name for name, count in names.items() if count > 1)
    if twice:
        raise ConfigError(f"two sources are called {twice[0]!r}: give each a name= of its own")
    return sources


def _store(given: CheckpointStore | str | os.PathLike[str] | None, lake: Sink) -> CheckpointStore:
    """Return a checkpoint store; one in S3 has the credentials of the lake, if that is in S3 as well."""
    root = getattr(lake, "root", None)
    if given is None and isinstance(root, Path):
        given = root / ".ocsflake" / "checkpoints.db"
    elif given is None and isinstance(root, str):
        if getattr(lake, "custom_sources", ()):
            raise ConfigError(
                f"{root} belongs to Security Lake and has no place for checkpoints: give them one (checkpoints=), a"
                " file or the s3:// URI of another bucket"
            )
        given = f"{root}.ocsflake/checkpoints"
    if given is None:
        return MemoryCheckpoints()
    if isinstance(given, str) and given.startswith("s3://"):
        return S3Checkpoints(given, session=getattr(lake, "session", None), client=getattr(lake, "client", None))
    return FileCheckpoints(given) if isinstance(given, str | os.PathLike) else given


def _datetime(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
