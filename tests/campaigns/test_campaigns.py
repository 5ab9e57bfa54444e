"""The campaigns in short: each source with each fault once, runs that are killed, disks that are full, a soak.

``python tests/campaigns`` runs the long ones, and writes the tables of docs/reliability.md.
"""

from __future__ import annotations

import os
import signal
from importlib.metadata import distribution
from typing import TYPE_CHECKING

import pytest
from disks import can_mount, disks
from kills import KILLED, kills
from soak import soak
from subjects import SUBJECTS
from trials import Tally, deliveries, faults, summed

if TYPE_CHECKING:
    from pathlib import Path

# Connections that broke are left to the garbage collector by more than one client.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def whole(found: Tally) -> bool:
    return found.tried > 0 and (found.lost, found.doubled) == (0, 0)


def test_every_source_is_tried() -> None:
    """No source of ours is left out, but for files, which no service gives."""
    ours = {each.name for each in distribution("ocsflake").entry_points if each.group == "ocsflake.sources"}

    assert {subject.registered for subject in SUBJECTS.values()} == ours - {"files"}


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_call_fails(name: str, tmp_path: Path) -> None:
    """One call fails in each way: nothing is lost, nothing is there twice."""
    try:
        found = summed(faults(SUBJECTS[name], tmp_path, 1))
    except LookupError as error:  # a server that cannot be fetched
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))

    assert len(found) >= 6
    assert [how for how, each in found.items() if not whole(each)] == []


@pytest.mark.parametrize("name", ["aws.s3_events", "azure.monitor", "gcp.logging", "gcp.pubsub"])
def test_order_and_repetition(name: str, tmp_path: Path) -> None:
    """Records come in another order, in parts with a run after each, and some again: each is there once."""
    (found,) = deliveries(SUBJECTS[name], tmp_path, 1)

    assert whole(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", KILLED)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=lambda how: how.name)
def test_killed(name: str, how: signal.Signals, tmp_path: Path) -> None:
    """A run that ends at a random moment, some times over, leaves what the next run completes."""
    ((ended, found, _),) = kills(SUBJECTS[name], tmp_path, how, 1)

    assert ended > 0
    assert whole(found)


def test_disks(tmp_path: Path) -> None:
    """A disk that is full or read-only ends the run with an error of ours, and the next run completes it."""
    if not can_mount(tmp_path / "disk"):
        pytest.skip("this user may not mount disks")
    found = summed(disks(tmp_path, 3))

    assert len(found) == 6
    assert all(map(whole, found.values()))
    assert all(each.noticed for each in found.values())


@pytest.mark.slow
def test_soak(tmp_path: Path) -> None:
    """Three clouds at once for a minute, with faults on: all is there once, memory and open files stay as they are."""
    found = soak(60, tmp_path)

    assert (found.lost, found.doubled, found.failures) == (0, 0, [])
    assert found.rejects == found.sent.rejects
    assert found.resident[1] < found.resident[0] * 1.2 + (32 << 20)
    assert found.open[1] < found.open[0] + 8
