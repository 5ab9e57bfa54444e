"""``ocsflake run``: what is new in a source, into a lake."""

from __future__ import annotations

import os
import shlex
import signal
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from attrs import asdict

from ocsflake import pipeline, registry
from ocsflake.cli._output import put, say, tell
from ocsflake.errors import ConfigError
from ocsflake.lake import Lake

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence
    from datetime import timedelta

    from ocsflake.drift import Drift
    from ocsflake.pipeline import Progress
    from ocsflake.report import RunReport, SourceReport

__all__ = ["lake_of", "main", "progress_bar", "show"]


def main(arguments: argparse.Namespace) -> int:
    """Run one source; 1 if a part of it could not be read."""
    lake = lake_of(arguments)
    rejects = arguments.rejects or _place_for_rejects(lake)
    source = registry.source(arguments.source, log_type=arguments.log_type, **_options(arguments.option))
    with progress_bar() as progress, _stopped_by_signals(wanted=arguments.follow) as stop:
        report = pipeline.run(
            source,
            lake,
            checkpoints=arguments.checkpoints,
            rejects=rejects,
            max_drift=arguments.max_drift,
            redact=arguments.redact,
            keep_secrets=arguments.keep_secrets,
            max_age=arguments.max_age,
            max_ahead=arguments.max_ahead,
            since=arguments.since,
            until=arguments.until,
            follow=arguments.follow,
            commit_seconds=arguments.commit_seconds,
            workers=arguments.workers,
            stop=stop,
            progress=progress,
        )
    if report.counts.rejects:
        where = ["--security-lake", "--region", lake.region] if arguments.security_lake else ["--lake", arguments.lake]
        again = shlex.join(["ocsflake", "replay", rejects, *where])
        tell(f"rejected records are in {rejects}; to map them again: {again}")
    return show(report, json=arguments.json)


def lake_of(arguments: argparse.Namespace) -> Lake:
    """Return the lake that the options describe."""
    settings = {name: getattr(arguments, name) for name in ("region", "ocsf_version", "external_id", "naming")}
    return Lake.security_lake(**settings) if arguments.security_lake else Lake(arguments.lake, **settings)


def _place_for_rejects(lake: Lake) -> str:
    """Return the folder for rejects in a lake.

    Raises:
        ConfigError: If the lake is no directory.
    """
    if isinstance(lake.root, Path):
        return str(lake.root / ".ocsflake" / "rejects")
    raise ConfigError(f"{lake.root} has no folder for records that become no event: give --rejects DIR")


def show(report: RunReport, *, json: bool) -> int:
    """Write a report to stdout, and return the exit code that it calls for."""
    if json:
        put(msgspec.json.encode(_as_json(report)))
    else:
        say(str(report))
    return int(bool(report.failures))


@contextmanager
def progress_bar() -> Iterator[Callable[[Progress], None] | None]:
    """Show on stderr how far a run is, if that is a terminal and rich is installed."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    except ImportError:
        yield None
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    text = TextColumn("{task.description}", markup=False)
    with Progress(SpinnerColumn(), text, BarColumn(), TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task("reading", total=None)
        started = time.monotonic()
        yield lambda progress: bar.update(task, description=_described(progress, time.monotonic() - started))


def _described(progress: Progress, seconds: float) -> str:
    counts = progress.counts
    rejected = f", {counts.rejects:,} rejected" if counts.rejects else ""
    rate = counts.records / max(seconds, 0.001)
    lag = f", the latest {_age(datetime.now(UTC) - progress.latest)} old" if progress.latest else ""
    return f"{counts.written:,} events{rejected}, {rate:,.0f} records/s{lag}"


def _age(age: timedelta) -> str:
    """Return an age in its largest unit."""
    seconds = max(0, round(age.total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


@contextmanager
def _stopped_by_signals(*, wanted: bool) -> Iterator[threading.Event | None]:
    """Give an event that SIGINT and SIGTERM set; a second signal does what it always does."""
    if not wanted:
        yield None
        return
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def ask(*_: object) -> None:
        restore()
        threading.Thread(target=stop.set).start()  # this thread may hold the event's lock, in the middle of a wait
        os.write(2, b"ocsflake: stops once what is being published is complete; a second signal stops it at once\n")

    for number in before:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        restore()


def _options(given: Sequence[str]) -> dict[str, str]:
    """Return the options of a source: ``uri=logs/``."""
    options: dict[str, str] = {}
    for item in given:
        name, equals, value = item.partition("=")
        name = name.replace("-", "_")
        if not equals or not name:
            raise ConfigError(f"--option {item!r}: give a name and a value, such as uri=logs/")
        if name in options:
            raise ConfigError(f"--option {name} is given twice")
        if name == "log_type":
            raise ConfigError("--option log_type: give --log-type instead")
        options[name] = value
    return options


def _as_json(report: RunReport) -> dict[str, Any]:
    return {
        "counts": asdict(report.counts),
        "earliest": report.earliest,
        "latest": report.latest,
        "seconds": round(report.seconds, 3),
        "sources": [_source_as_json(source) for source in report.sources],
        "objects": [asdict(written) for written in report.objects],
    }


def drift_as_json(drift: Drift) -> dict[str, Any]:
    """Return what a mapper does not know, for JSON."""
    names = ("drift", "where", "sample", "records")
    return {"records": drift.records, "found": [dict(zip(names, row, strict=True)) for row in drift.rows()]}


def _source_as_json(source: SourceReport) -> dict[str, Any]:
    return {
        "source": source.source,
        "log_type": source.log_type,
        "counts": asdict(source.counts),
        "splits": source.splits,
        "reasons": [
            {"attribute": attribute, "reason": reason, "records": count}
            for (attribute, reason), count in source.reasons.items()
        ],
        "drift": drift_as_json(source.drift),
        "failures": [asdict(failure) for failure in source.failures],
    }
