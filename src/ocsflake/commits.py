"""The commits of one source: nothing lost, nothing doubled.

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

import logging
import time
from collections import Counter
from contextlib import ExitStack, nullcontext
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from attrs import evolve, frozen

from ocsflake import telemetry
from ocsflake.ahead import read_ahead
from ocsflake.drift import Drift
from ocsflake.errors import ConfigError, DriftError, LakeError, RejectedRecordsError, SourceError
from ocsflake.model import Acknowledges, Mutable, Split
from ocsflake.rejects import RejectsFile
from ocsflake.report import Counts, Failure, SourceReport
from ocsflake.seen import Seen, decoded, encoded
from ocsflake.times import Window, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ocsflake.mapping import Mapper
    from ocsflake.model import CheckpointStore, Commit, Mapped, ObjectWritten, RawBatch, Sink, Source
    from ocsflake.pace import Pace

__all__ = ["ROWS", "Job", "Outcome", "checkpoint", "commit_alone", "new_commits", "save"]

_log = logging.getLogger(__name__)

ROWS = 16_000
"""Records that are mapped at a time; a run of CloudTrail takes some 300 MB with it."""


@frozen
class Job:
    """What stays the same for all commits of one source."""

    source: Source
    mapper: Mapper
    lake: Sink
    checkpoints: CheckpointStore
    rejects: Path | None
    window: Window
    pace: Pace
    max_drift: float | None = None
    bounds: Callable[[], Window] = Window
    """What the time of events must lie in, which moves on as a run follows; a record outside is a reject."""


@frozen
class Outcome:
    """What one commit did."""

    report: SourceReport
    objects: Sequence[ObjectWritten] = ()
    span: tuple[int, int] | None = None
    bytes: int = 0


def new_commits(job: Job) -> Iterator[Outcome]:
    """Commit what is new in one source, an interrupted commit first."""
    doc, revision = checkpoint(job)
    job.pace.resume(doc.get("published"))
    try:
        if doc.get("intent"):
            splits, job_then = _intended(doc["intent"], job)
            doc, revision, outcome = _observed(job_then, splits, doc, revision)
            yield outcome
        for splits in job.pace.commits(job.source, doc.get("state")):
            doc, revision, outcome = _observed(job, splits, doc, revision)
            yield outcome
    except _StoppedError:
        return


def checkpoint(job: Job) -> tuple[dict[str, Any], str | None]:
    """Return the checkpoint of a source, empty if there is none, and its revision."""
    doc, revision = job.checkpoints.load(job.source.name)
    return decoded(_checked(doc, job.source.name)), revision


def save(job: Job, doc: Mapping[str, Any], revision: str | None) -> str:
    """Save the checkpoint of a source, and return its new revision.

    Raises:
        CheckpointConflictError: If another run saved since `revision`.
    """
    return job.checkpoints.save(job.source.name, encoded(doc), revision)


def commit_alone(job: Job, splits: Sequence[Split]) -> Outcome:
    """Publish the commit of some splits, whose state and intent are kept by somebody else.

    Raises:
        SourceError: If one of them cannot be read; nothing is published then.
    """
    _, _, outcome = _attempt(job, splits, {}, None)
    return outcome


class _StoppedError(Exception):
    """The run was stopped before a commit was published; nothing of it was saved."""


def _observed(
    job: Job, splits: Sequence[Split], doc: Mapping[str, Any], revision: str | None
) -> tuple[dict[str, Any], str | None, Outcome]:
    """Do what `_commit` does, and tell of it in spans, metrics and logs."""
    about: dict[str, Any] = {"source": job.source.name, "log_type": job.source.log_type}
    started = time.monotonic()
    stopped: _StoppedError | None = None
    with telemetry.span("commit", {**about, "splits": len(splits)}) as add:
        try:
            saved, revision, outcome = _commit(job, splits, doc, revision)
        except _StoppedError as error:
            add({"stopped": True})
            stopped = error
        else:
            numbers = _numbers(outcome)
            add(numbers)
    if stopped is not None:
        raise stopped
    telemetry.count(numbers, about)
    for failure in outcome.report.failures:
        told = {**about, "split": failure.split, "error": failure.error}
        _log.warning("%s: left for the next run: %s", job.source.name, failure.error, extra=told)
    if numbers["commits"]:
        lag = None
        if outcome.span is not None and job.pace.published is not None:
            lag = max(0.0, (job.pace.published - outcome.span[1]) / 1000)
            telemetry.gauge("lag", lag, about)
        seconds = round(time.monotonic() - started, 3)
        told = {**about, **numbers, "splits": outcome.report.splits, "seconds": seconds, "lag": lag}
        words = "%s: %d records of %d splits are %d events and %d rejects, after %.1f s"
        counts = (numbers["records"], outcome.report.splits, numbers["events"], numbers["rejects"], seconds)
        _log.info(words, job.source.name, *counts, extra=told)
    return saved, revision, outcome


def _numbers(outcome: Outcome) -> dict[str, int]:
    """Return what a commit did, by the names that metrics have."""
    report, counts = outcome.report, outcome.report.counts
    return {
        "records": counts.records,
        "events": counts.written,
        "rejects": counts.rejects,
        "duplicates": counts.duplicates,
        "drifted": report.drift.records,
        "read": outcome.bytes,
        "written": sum(item.bytes for item in outcome.objects),
        "commits": int(report.splits > 0),
        "failures": len(report.failures),
    }


def _commit(
    job: Job, splits: Sequence[Split], doc: Mapping[str, Any], revision: str | None
) -> tuple[dict[str, Any], str | None, Outcome]:
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
            rest = splits[place + 1 :]
            splits = [*splits[:place], *(rest if len(failures) == 1 else _readable(job.source, rest, failures))]
        else:
            if isinstance(job.source, Acknowledges):
                job.source.acknowledge(splits)
            return saved, revision, evolve(outcome, report=evolve(outcome.report, failures=tuple(failures)))
    report = SourceReport(job.source.name, job.source.log_type, failures=tuple(failures))
    return dict(doc), revision, Outcome(report)


def _readable(source: Source, splits: Sequence[Split], failures: list[Failure]) -> Iterator[Split]:
    """Yield the splits that can be read: once a second one is broken there may be many, at one more reading for all."""
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
    job: Job, splits: Sequence[Split], doc: Mapping[str, Any], revision: str | None
) -> tuple[dict[str, Any], str, Outcome]:
    source = job.source
    bounds = job.bounds()
    commit_id = _commit_id(source.name, splits)
    with ExitStack() as stack:
        commit = job.lake.begin(commit_id)
        stack.callback(commit.close)
        rejected = stack.enter_context(
            nullcontext() if job.rejects is None else RejectsFile(job.rejects, source.log_type, commit_id)
        )
        seen = Seen(doc)
        report, span = _fill(job, splits, commit, rejected, seen, bounds)
        intent = _intent(job, splits, report.counts, rejected, seen, bounds)
        if doc.get("intent"):
            _check_same(source, doc["intent"], intent)
        else:
            _check_drift(report, job.max_drift)
            if _must_wait(commit, report.counts) and not job.pace.wait():
                raise _StoppedError
        revision = save(job, {**doc, "format": 1, "intent": intent}, revision)
        objects = commit.publish()
        if objects:
            job.pace.publish()
        if rejected is not None:
            rejected.publish()
        written = sum(item.rows for item in objects)
        counts = evolve(report.counts, written=written)
        if not counts.balanced:
            raise LakeError(f"{source.name}: the numbers of commit {commit_id} do not balance: {counts}")
        state = source.advance(doc.get("state"), splits)
        saved = {
            "format": 1,
            "state": dict(state),
            "intent": None,
            "seen": seen.after(source, state, splits),
            "published": job.pace.published,
        }
        revision = save(job, saved, revision)
    done = evolve(report, counts=counts, splits=len(splits))
    return saved, revision, Outcome(done, objects, span, sum(split.bytes or 0 for split in splits))


def _check_drift(report: SourceReport, allowed: float | None) -> None:
    """Raise where too many records hold what their mapper does not know."""
    drift, records = report.drift, report.counts.records - report.counts.duplicates
    if allowed is not None and drift.records > allowed * records:
        raise DriftError(
            f"{report.source}: {drift.records:,} of {records:,} records hold what the mapper of {report.log_type} does "
            f"not know, more than max_drift={allowed} allows; nothing of them is published, and the next run reads "
            f"them again. {'; '.join(drift.told())}. Look at the mapper, or allow more"
        )


def _must_wait(commit: Commit, counts: Counts) -> bool:
    """Return whether a commit has events, and no object that is worth putting at once."""
    return counts.events > counts.filtered and not getattr(commit, "full", False)


def _fill(
    job: Job, splits: Sequence[Split], commit: Commit, rejected: RejectsFile | None, seen: Seen, bounds: Window
) -> tuple[SourceReport, tuple[int, int] | None]:
    """Read and map splits into a commit that nobody sees yet."""
    counts = Counts()
    reasons: Counter[tuple[str, str]] = Counter()
    drift = Drift()
    spans: list[tuple[int, int]] = []
    raws = _new_records(job.source, splits, seen)
    for mapped in job.mapper.map_batches(raws, job.lake.ocsf_version, rows=ROWS, bounds=bounds):
        if job.pace.stopped:
            raise _StoppedError
        counts += _counted(mapped)
        drift += mapped.drift
        if mapped.rejects.num_rows:
            reasons.update(_reasons(mapped.rejects))
            if rejected is None:
                raise RejectedRecordsError(_nowhere(job.source, mapped.rejects))
            rejected.write(mapped.rejects)
        for batch in mapped.batches:
            kept = within(batch, job.window)
            counts = evolve(counts, filtered=counts.filtered + batch.rows - kept.rows)
            if kept.rows:
                spans.append(_span(kept.encoded))
                commit.write(kept)
            del batch, kept
        del mapped  # or it would be in memory while the next one is made
        pa.default_memory_pool().release_unused()  # or it would grow as far as all batches at their largest
    counts = evolve(counts, records=counts.records + seen.dropped, duplicates=seen.dropped)
    report = SourceReport(job.source.name, job.source.log_type, counts, reasons=reasons, drift=drift)
    return report, (min(a for a, _ in spans), max(b for _, b in spans)) if spans else None


def _new_records(source: Source, splits: Sequence[Split], seen: Seen) -> Iterator[RawBatch]:
    for split, records in read_ahead(source, splits):
        facts = {"source": source.name, "split": split.id, **({} if split.bytes is None else {"read": split.bytes})}
        with telemetry.span("split", facts, current=False):
            yield from seen.new(records, split)


def _commit_id(source: str, splits: Sequence[Split]) -> str:
    names = "\0".join([source, *(split.id for split in splits)])
    return blake2b(names.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _intent(
    job: Job, splits: Sequence[Split], counts: Counts, rejected: RejectsFile | None, seen: Seen, bounds: Window
) -> dict[str, Any]:
    """Return what a commit must be repeated from, and what decides where it writes."""
    places = {name: getattr(job.lake, name, None) for name in ("root", "region", "naming", "ocsf_version")}
    places["rejects"] = job.rejects if rejected is not None and rejected.rows else None
    return {
        "splits": [[split.id, dict(split.detail), split.bytes] for split in splits],
        "records": counts.records - counts.duplicates,
        "ids": seen.taken(),
        "bounds": [bounds.since, bounds.until],
        "since": job.window.since,
        "until": job.window.until,
        "places": {name: None if place is None else str(place) for name, place in places.items()},
    }


def _intended(intent: Mapping[str, Any], job: Job) -> tuple[list[Split], Job]:
    """Return the splits and the job of an interrupted commit."""
    splits = [Split(name, detail, size) for name, detail, size in intent["splits"]]
    bounds = Window(*intent.get("bounds", (None, None)))
    return splits, evolve(job, window=Window(intent["since"], intent["until"]), bounds=lambda: bounds)


def _check_same(source: Source, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise unless an interrupted commit is repeated from as many records, and to the same places."""
    changed = [name for name in now["places"] if now["places"][name] != then["places"][name]]
    if changed:
        words = ", ".join(f"{name} was {then['places'][name]!r} and is {now['places'][name]!r}" for name in changed)
        raise ConfigError(
            f"{source.name}: an earlier run was interrupted while it published, and this one writes elsewhere: "
            f"{words}. Run once more with the old settings to finish it"
        )
    changes = isinstance(source, Mutable) and source.mutable
    if now["records"] > then["records"] or (now["records"] < then["records"] and not changes):
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
        events=sum(batch.rows for batch in mapped.batches),
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
    found = pc.min_max(events["time"]).as_py()
    return found["min"], found["max"]
