"""Running sources into a lake: nothing lost, nothing doubled.

A commit takes some splits of one source through five steps:

1. read and map all of them; events and rejects gather where nobody sees them;
2. save the *intent*: the splits of this commit, beside the unchanged state of the source;
3. publish: objects and rejects get names that depend on the commit alone;
4. save the state that the source has now, which ends the intent;
5. acknowledge, where the source is a queue.

A crash before step 2 leaves nothing behind. A crash after it leaves the intent, and the next run does the very same
commit again, onto the same names. The checkpoint is swapped only if nobody else moved it.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from contextlib import ExitStack, nullcontext
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from ocsflake import registry
from ocsflake.checkpoints import FileCheckpoints, MemoryCheckpoints
from ocsflake.errors import ConfigError, LakeError, RejectedRecordsError, SourceError
from ocsflake.events import Events, Gathered
from ocsflake.model import Acknowledges, Split
from ocsflake.ocsf import DEFAULT_VERSION
from ocsflake.rejects import RejectsFile
from ocsflake.report import Counts, Failure, RunReport, SourceReport
from ocsflake.seen import Seen
from ocsflake.times import Window, window, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from ocsflake.mapping import Mapper
    from ocsflake.model import CheckpointStore, Commit, Mapped, ObjectWritten, RawBatch, Sink, Source

__all__ = ["Progress", "read", "replay", "run"]

COMMIT_BYTES = 64 << 20
"""Bytes of splits, as stored, that one commit gathers: some 200,000 CloudTrail events in gzip."""

_ROWS = 20_000
_COMMIT_SPLITS = 10_000
_POLL_SECONDS = 15.0


@frozen
class Progress:
    """How far a run is.

    Attributes:
        source: The source that is being read.
        splits: Splits done so far, in this source.
        bytes: Bytes of splits done so far, in this source.
        counts: Records and events so far, in all sources.
    """

    source: str
    splits: int
    bytes: int
    counts: Counts


@frozen
class _Job:
    """What stays the same for all commits of one source."""

    source: Source
    mapper: Mapper
    lake: Sink
    checkpoints: CheckpointStore
    rejects: Path | None
    window: Window


@frozen
class _Outcome:
    """What one commit did."""

    report: SourceReport
    objects: Sequence[ObjectWritten] = ()
    span: tuple[int, int] | None = None
    bytes: int = 0


def run(
    source_or_sources: Source | Iterable[Source],
    lake: Sink,
    *,
    checkpoints: CheckpointStore | str | os.PathLike[str] | None = None,
    rejects: str | os.PathLike[str] | None = None,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    follow: bool = False,
    stop: threading.Event | None = None,
    progress: Callable[[Progress], None] | None = None,
    commit_bytes: int = COMMIT_BYTES,
) -> RunReport:
    """Bring what is new in the sources into the lake.

    Every record read is written as an event, kept as a reject, or counted as filtered or as a duplicate; a run whose
    numbers do not balance fails and moves no checkpoint. A split that cannot be read is reported, left for the next
    run, and does not stop the others.

    Args:
        source_or_sources: What to read.
        lake: Where to write.
        checkpoints: Where the state of sources is kept, or the path of a file for it. If it is not given, a lake in a
            directory keeps it inside, and any other sink starts anew each time.
        rejects: A folder for records that became no event, with their reasons; see `replay`.
        since: Only events from this moment on: an age (``7d``), ISO 8601, or a datetime.
        until: Only events before this moment.
        follow: Go on waiting for what comes, until `stop` is set.
        stop: Ends the run after the commit under way.
        progress: Called now and then with how far the run is.
        commit_bytes: How many bytes of splits one commit gathers.

    Raises:
        ConfigError: If a name or a setting is wrong.
        RejectedRecordsError: If records were rejected and `rejects` is not given; nothing of that commit counts.
        SourceError: If a commit that was interrupted can no longer be repeated, or a source cannot be listed.
        LakeError: If the lake, the rejects or the checkpoints cannot be written.
        CheckpointConflictError: If another run of the same source was faster; nothing is doubled.
    """
    sources = _sources(source_or_sources)
    stop = stop or threading.Event()
    now = datetime.now(UTC)
    between = window(since, until, now)
    store = _store(checkpoints, lake)
    folder = None if rejects is None else Path(rejects).absolute()
    jobs = [_Job(s, registry.mapper(s.log_type), lake, store, folder, between) for s in sources]
    started = time.monotonic()
    total = _Total(jobs, progress)
    while True:
        done = 0
        for place, job in enumerate(jobs):
            for outcome in _new(job, commit_bytes, stop):
                total.add(place, outcome)
                done += outcome.report.splits
        if not follow or stop.is_set():
            return total.report(time.monotonic() - started)
        if not done:
            stop.wait(_POLL_SECONDS)


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
    for source in sources:
        splits = list(source.plan(None, now))
        for mapped in registry.mapper(source.log_type).map_batches(_raws(source, splits), ocsf_version, rows=_ROWS):
            gathered.add([within(batch, between) for batch in mapped.batches], mapped.rejects)
    return gathered.events()


def replay(
    rejects: str | os.PathLike[str],
    lake: Sink,
    *,
    checkpoints: CheckpointStore | str | os.PathLike[str] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> RunReport:
    """Run rejected records again; those that are rejected again stay, the others become events.

    Args:
        rejects: The folder that an earlier run was given as `rejects`.
        lake: Where to write.
        checkpoints: As for `run`.
        progress: As for `run`.

    Raises:
        ConfigError: If there is no such folder.
        LakeError: As `run` does.
    """
    from ocsflake.replaying import rejected_sources

    return run(rejected_sources(rejects), lake, checkpoints=checkpoints, rejects=rejects, progress=progress)


class _Total:
    """Adds outcomes up, and tells how far the run is."""

    def __init__(self, jobs: Sequence[_Job], progress: Callable[[Progress], None] | None) -> None:
        self.reports = [SourceReport(job.source.name, job.source.log_type) for job in jobs]
        self.objects: list[ObjectWritten] = []
        self.spans: list[tuple[int, int]] = []
        self.progress = progress
        self.bytes = [0] * len(jobs)

    def add(self, place: int, outcome: _Outcome) -> None:
        """Add what one commit did."""
        old, new = self.reports[place], outcome.report
        self.reports[place] = evolve(
            old,
            counts=old.counts + new.counts,
            splits=old.splits + new.splits,
            reasons=dict(Counter(old.reasons) + Counter(new.reasons)),
            unknown=dict(Counter(old.unknown) + Counter(new.unknown)),
            failures=tuple({failure.split: failure for failure in old.failures + new.failures}.values()),
        )
        self.bytes[place] += outcome.bytes
        self.objects += outcome.objects
        self.spans += [outcome.span] if outcome.span else []
        if self.progress is not None:
            counts = sum((report.counts for report in self.reports), Counts())
            self.progress(Progress(old.source, self.reports[place].splits, self.bytes[place], counts))

    def report(self, seconds: float) -> RunReport:
        """Return the report of the whole run."""
        earliest = min((first for first, _ in self.spans), default=None)
        latest = max((last for _, last in self.spans), default=None)
        return RunReport(tuple(self.reports), tuple(self.objects), _datetime(earliest), _datetime(latest), seconds)


def _new(job: _Job, commit_bytes: int, stop: threading.Event) -> Iterator[_Outcome]:
    """Commit all that is new in one source, an interrupted commit first."""
    name = job.source.name
    doc, revision = job.checkpoints.load(name)
    doc = _checked(doc, name)
    if doc.get("intent"):
        splits, job_then = _intended(doc["intent"], job)
        doc, revision, outcome = _commit(job_then, splits, doc, revision)
        yield outcome
    for splits in _groups(job.source.plan(doc.get("state"), datetime.now(UTC)), commit_bytes):
        if stop.is_set():
            return
        doc, revision, outcome = _commit(job, splits, doc, revision)
        yield outcome


def _commit(
    job: _Job, splits: Sequence[Split], doc: Mapping[str, Any], revision: str | None
) -> tuple[dict[str, Any], str | None, _Outcome]:
    """Take splits through the steps; return the checkpoint as it now is, its revision, and what was done."""
    failures: list[Failure] = []
    while splits:
        try:
            saved, revision, outcome = _attempt(job, splits, doc, revision)
        except SourceError as error:
            ids = [split.id for split in splits]
            if doc.get("intent"):
                raise _unrepeatable(job.source, str(error), error.split) from error
            if error.split not in ids:
                raise
            failures.append(Failure(error.split, str(error)))
            place = ids.index(error.split)
            splits = [*splits[:place], *_readable(job.source, splits[place + 1 :], failures)]
        else:
            if isinstance(job.source, Acknowledges):
                job.source.acknowledge(splits)
            return saved, revision, evolve(outcome, report=evolve(outcome.report, failures=tuple(failures)))
    report = SourceReport(job.source.name, job.source.log_type, failures=tuple(failures))
    return dict(doc), revision, _Outcome(report)


def _readable(source: Source, splits: Sequence[Split], failures: list[Failure]) -> Iterator[Split]:
    """Yield the splits that can be read, so that many broken ones cost one more reading, and not one each."""
    for split in splits:
        try:
            for _ in source.read(split):
                pass
        except SourceError as error:
            failures.append(Failure(split.id, str(error)))
        else:
            yield split


def _unrepeatable(source: Source, problem: str, split: str | None = None) -> SourceError:
    return SourceError(
        f"{source.name}: an earlier run was interrupted while it published, some of its events may be in the lake "
        f"already, and so its records must be read again just as they were; but {problem}. Put back what it read and "
        "run again",
        source=source.name,
        split=split,
    )


def _attempt(
    job: _Job, splits: Sequence[Split], doc: Mapping[str, Any], revision: str | None
) -> tuple[dict[str, Any], str, _Outcome]:
    source, store = job.source, job.checkpoints
    commit_id = _commit_id(source.name, splits)
    with ExitStack() as stack:
        commit = job.lake.begin(commit_id)
        stack.callback(commit.close)
        rejected = stack.enter_context(
            nullcontext() if job.rejects is None else RejectsFile(job.rejects, source.log_type, commit_id)
        )
        seen = Seen(doc)
        report, span = _fill(job, splits, commit, rejected, seen)
        intent = _intent(job, splits, report.counts, rejected)
        if doc.get("intent"):
            _check_same(source, doc["intent"], intent)
        revision = store.save(source.name, {**doc, "format": 1, "intent": intent}, revision)
        objects = commit.publish()
        if rejected is not None:
            rejected.publish()
        written = sum(item.rows for item in objects)
        counts = evolve(report.counts, written=written)
        if not counts.balanced:
            raise LakeError(f"{source.name}: the numbers of commit {commit_id} do not balance: {counts}")
        state = source.advance(doc.get("state"), splits)
        saved = {"format": 1, "state": dict(state), "intent": None, "seen": seen.after(source, state, splits)}
        revision = store.save(source.name, saved, revision)
    done = evolve(report, counts=counts, splits=len(splits))
    return saved, revision, _Outcome(done, objects, span, sum(split.bytes or 0 for split in splits))


def _fill(
    job: _Job, splits: Sequence[Split], commit: Commit, rejected: RejectsFile | None, seen: Seen
) -> tuple[SourceReport, tuple[int, int] | None]:
    """Read and map splits into a commit that nobody sees yet."""
    counts = Counts()
    reasons: Counter[tuple[str, str]] = Counter()
    unknown: Counter[str] = Counter()
    spans: list[tuple[int, int]] = []
    raws = (raw for split in splits for raw in seen.new(job.source.read(split), split))
    for mapped in job.mapper.map_batches(raws, job.lake.ocsf_version, rows=_ROWS):
        counts += _counted(mapped)
        unknown.update(mapped.unknown)
        if mapped.rejects.num_rows:
            reasons.update(_reasons(mapped.rejects))
            if rejected is None:
                raise RejectedRecordsError(_nowhere(job.source, mapped.rejects))
            rejected.write(mapped.rejects)
        for batch in mapped.batches:
            kept = within(batch, job.window)
            counts = evolve(counts, filtered=counts.filtered + batch.events.num_rows - kept.events.num_rows)
            if kept.events.num_rows:
                spans.append(_span(kept.events))
                commit.write(kept)
    counts = evolve(counts, records=counts.records + seen.dropped, duplicates=seen.dropped)
    report = SourceReport(job.source.name, job.source.log_type, counts, reasons=reasons, unknown=unknown)
    return report, (min(a for a, _ in spans), max(b for _, b in spans)) if spans else None


def _raws(source: Source, splits: Sequence[Split]) -> Iterator[RawBatch]:
    seen = Seen({})
    for split in splits:
        yield from seen.new(source.read(split), split)


def _groups(splits: Iterator[Split], commit_bytes: int) -> Iterator[list[Split]]:
    """Gather splits into commits."""
    group: list[Split] = []
    size = 0
    for split in splits:
        group.append(split)
        size += split.bytes or 0
        if size >= commit_bytes or len(group) >= _COMMIT_SPLITS:
            yield group
            group, size = [], 0
    if group:
        yield group


def _commit_id(source: str, splits: Sequence[Split]) -> str:
    names = "\0".join([source, *(split.id for split in splits)])
    return blake2b(names.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _intent(job: _Job, splits: Sequence[Split], counts: Counts, rejected: RejectsFile | None) -> dict[str, Any]:
    """Return what a commit must be repeated from, and what decides where it writes."""
    places = {name: getattr(job.lake, name, None) for name in ("root", "region", "naming", "ocsf_version")}
    places["rejects"] = job.rejects if rejected is not None and rejected.rows else None
    return {
        "splits": [[split.id, dict(split.detail), split.bytes] for split in splits],
        "records": counts.records,
        "since": job.window.since,
        "until": job.window.until,
        "places": {name: None if place is None else str(place) for name, place in places.items()},
    }


def _intended(intent: Mapping[str, Any], job: _Job) -> tuple[list[Split], _Job]:
    """Return the splits and the job of an interrupted commit."""
    splits = [Split(name, detail, size) for name, detail, size in intent["splits"]]
    return splits, evolve(job, window=Window(intent["since"], intent["until"]))


def _check_same(source: Source, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise unless an interrupted commit is repeated from as many records, and to the same places."""
    changed = [name for name in now["places"] if now["places"][name] != then["places"][name]]
    if changed:
        words = ", ".join(f"{name} was {then['places'][name]!r} and is {now['places'][name]!r}" for name in changed)
        raise ConfigError(
            f"{source.name}: an earlier run was interrupted while it published, and this one writes elsewhere: "
            f"{words}. Run once more with the old settings to finish it"
        )
    if now["records"] != then["records"]:
        raise _unrepeatable(source, f"there were {then['records']:,} of them, and now there are {now['records']:,}")


def _checked(doc: Mapping[str, Any] | None, name: str) -> dict[str, Any]:
    if doc is not None and doc.get("format") != 1:
        raise LakeError(
            f"the checkpoint of {name!r} has format {doc.get('format')!r}, this version of ocsflake reads format 1: "
            "use the version that wrote it, or a checkpoint of its own"
        )
    return dict(doc or {})


def _counted(mapped: Mapped) -> Counts:
    return Counts(
        records=mapped.records,
        mapped=mapped.mapped,
        rejects=mapped.rejects.num_rows,
        skipped=sum(mapped.skipped.values()),
        events=sum(batch.events.num_rows for batch in mapped.batches),
    )


def _reasons(rejects: pa.RecordBatch) -> Counter[tuple[str, str]]:
    pairs = zip(rejects["attribute"].to_pylist(), rejects["reason"].to_pylist(), strict=True)
    return Counter(pairs)


def _nowhere(source: Source, rejects: pa.RecordBatch) -> str:
    first = rejects.slice(0, 1).to_pylist()[0]
    where = dict(first["origin"]).get("uri", source.name)
    attribute = f"{first['attribute']}: " if first["attribute"] else ""
    return (
        f"{source.name}: {rejects.num_rows:,} records were rejected and have nowhere to go; the first, from {where}: "
        f"{attribute}{first['reason']}. Give a folder for them (rejects=, --rejects)"
    )


def _span(events: pa.RecordBatch) -> tuple[int, int]:
    import pyarrow.compute as pc

    found = pc.min_max(events["time"]).as_py()
    return found["min"], found["max"]


def _sources(given: Source | Iterable[Source]) -> list[Source]:
    sources: list[Any] = [given] if hasattr(given, "plan") else list(given)
    names = Counter(source.name for source in sources)
    twice = sorted(name for name, count in names.items() if count > 1)
    if twice:
        raise ConfigError(f"two sources are called {twice[0]!r}: give each a name= of its own")
    return sources


def _store(given: CheckpointStore | str | os.PathLike[str] | None, lake: Sink) -> CheckpointStore:
    if given is None:
        root = getattr(lake, "root", None)
        if not isinstance(root, Path):
            return MemoryCheckpoints()
        return FileCheckpoints(root / ".ocsflake" / "checkpoints.db")
    return FileCheckpoints(given) if isinstance(given, str | os.PathLike) else given


def _datetime(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
