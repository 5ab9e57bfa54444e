"""One trial: a source is run into a lake with something in the way, until there is nothing new; then all is counted."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from attrs import frozen
from aws_api_cases import written
from subjects import NOW, RECORDS, when

import ocsflake
from ocsflake.errors import OcsflakeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from subjects import Address, Service, Subject

    from ocsflake.report import RunReport

    Ids = Counter[tuple[str, int]]

ANY_ORDER = ("aws.s3", "aws.s3_events", "azure.blob", "azure.eventhub", "gcp.gcs", "gcp.pubsub")
"""Sources whose records may come in any order, however late."""
_RUNS = 8


@frozen
class Tally:
    """What came of some trials.

    Attributes:
        tried: How many there were.
        sent: Events that were to come of the records of the services, in all of them.
        found: Of these, how many are in the lakes.
        doubled: Events that are there again, or that nobody sent.
        noticed: How many trials had a run that told of a failure; in the others it was tried again, and passed.
    """

    tried: int = 0
    sent: int = 0
    found: int = 0
    doubled: int = 0
    noticed: int = 0

    def __add__(self, other: Tally) -> Tally:
        pairs = ((getattr(self, name), getattr(other, name)) for name in _NAMES)
        return Tally(*(mine + more for mine, more in pairs))

    @property
    def lost(self) -> int:
        """Events that are not in the lakes."""
        return self.sent - self.found


_NAMES = ("tried", "sent", "found", "doubled", "noticed")


def tally(expected: Ids, found: Ids, *, noticed: bool = False) -> Tally:
    """Compare what a lake holds with what it should."""
    return Tally(1, expected.total(), (expected & found).total(), (found - expected).total(), int(noticed))


def run(subject: Subject, address: Address, root: Path, now: datetime = NOW, **options: object) -> RunReport:
    """Run a source once, made anew as by a new process; several commits a run."""
    source = subject.source(address)
    lake = ocsflake.Lake(root / "lake")
    given: dict[str, object] = {"commit_bytes": 1, "now": lambda: now} | options
    return ocsflake.run(source, lake, checkpoints=root / "state.db", rejects=root / "rejects", **given)  # type: ignore[arg-type]


def finish(subject: Subject, service: Service, address: Address, root: Path, now: datetime = NOW) -> tuple[Ids, bool]:
    """Run a source until nothing is new; return what the lake holds then, and whether a run told of a failure.

    Raises:
        AssertionError: If it does not come to an end.
    """
    noticed, quiet = False, 0
    for _ in range(_RUNS):
        quiet += 1
        try:
            report = run(subject, address, root, now)
        except OcsflakeError:
            noticed, quiet = True, 0
        else:
            if report.failures or report.counts.records:
                noticed, quiet = noticed or bool(report.failures), 0
        if quiet == service.quiet:
            return written(root / "lake"), noticed
        service.faults.heal()
        service.rest()
    raise AssertionError(f"{subject.name} does not come to an end: see {root}")


def places(rng: Random, there: int, most: int) -> Iterable[int]:
    """Return where to fail, of so many places: all of them, or some if there are more than that."""
    return range(there) if there <= most else sorted(rng.sample(range(there), most))


def faults(subject: Subject, root: Path, most: int, seed: int = 2026) -> Iterator[tuple[str, Tally]]:
    """Fail each call of a source once, in each way; yield the way, and what came of it.

    Args:
        subject: The source.
        root: A folder for lakes.
        most: In how many places, at most, each way is tried.
        seed: Chooses them.
    """
    rng = Random(f"{seed}{subject.name}")
    with subject.serve() as service:
        service.add(range(RECORDS))
        address = service.fresh()
        service.faults.places()
        expected, _ = finish(subject, service, address, root / "undisturbed")
        assert expected.total() == len(expected) == RECORDS, f"{subject.name}: {len(expected)} of {RECORDS}"
        there = service.faults.places()
        for how, count in there.items():
            for place in places(rng, count, most):
                address = service.fresh()
                service.faults.fail(how, place)
                where = root / f"{how}-{place}".replace(" ", "-")
                found, noticed = finish(subject, service, address, where)
                yield how, tally(expected, found, noticed=noticed)


def deliveries(subject: Subject, root: Path, rounds: int, seed: int = 2026) -> Iterator[Tally]:
    """Give records in parts, some again, with a run after each, whose clock is wrong by up to a minute.

    Objects and messages come in any order; services that are asked for a span of time have what came in until then.
    """
    for turn in range(rounds):
        rng = Random(f"{seed}{subject.name}{turn}")
        with subject.serve() as service:
            address, given, left = service.fresh(), list[int](), list(range(RECORDS))
            if subject.registered in ANY_ORDER:
                rng.shuffle(left)
            where = root / f"delivery-{turn}"
            while left:
                size = rng.randint(1, 8)
                part, left = left[:size], left[size:]
                again = rng.sample(given, min(len(given), rng.randint(0, 3))) if service.again else []
                given += part
                now = when(max(given)) + timedelta(minutes=rng.uniform(0, 6), seconds=rng.uniform(-60, 60))
                part += again
                rng.shuffle(part)
                service.add(part)
                run(subject, address, where, now)
                service.rest()
            found, noticed = finish(subject, service, address, where)
            known = Counter(dict.fromkeys(found, 1))
            yield Tally(1, RECORDS, len(known), (found - known).total(), int(noticed))


def summed(rows: Iterable[tuple[str, Tally]]) -> Mapping[str, Tally]:
    """Add up what has the same name."""
    found: dict[str, Tally] = {}
    for name, one in rows:
        found[name] = found.get(name, Tally()) + one
    return found
