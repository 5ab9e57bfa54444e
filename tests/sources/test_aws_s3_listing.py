"""A large archive is planned in bounded memory, by as many requests as it has prefixes and pages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import overload

import pytest
from aws_archive import trail

from ocsflake.testing.s3_archive import ArchiveServer

PROBE = Path(__file__).with_name("listing_probe.py")
REGIONS = ("eu-west-1", "us-east-1")
DAYS = tuple(f"2026/03/0{day}" for day in range(1, 6))


class Keys(Sequence[str]):
    """The keys of an archive, in their order."""

    def __init__(self, accounts: int, a_day: int) -> None:
        self.accounts = accounts
        self.a_day = a_day

    def __len__(self) -> int:
        return self.accounts * len(REGIONS) * len(DAYS) * self.a_day

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        if place >= len(self):
            raise IndexError(place)
        rest, number = divmod(place, self.a_day)
        rest, day = divmod(rest, len(DAYS))
        account, region = divmod(rest, len(REGIONS))
        return trail(f"{number:06}", day=DAYS[day], account=f"{111_100_000_000 + account}", region=REGIONS[region])


def planned(keys: Keys, state: Path) -> tuple[int, int, list[str]]:
    """Return how many objects another process plans, the MB that it takes, and the requests of one plan."""
    with ArchiveServer(keys) as server:
        done = subprocess.run([sys.executable, PROBE, server.url, state], capture_output=True, text=True)
        requests = server.requests
    assert done.returncode == 0, done.stderr
    count, size = map(int, done.stdout.split())
    start = len(requests) - 1 - requests[::-1].index("LIST logs/AWSLogs/")
    return count, size, requests[start:]


def wanted(accounts: int, pages: int) -> int:
    """Return how many requests a plan needs."""
    found_by_listing = 1 + accounts * 2  # the accounts, the trail's folders of each, and their Regions
    return found_by_listing + accounts * len(REGIONS) * pages


def test_requests(tmp_path: Path) -> None:
    """Each prefix is listed once, in as many pages as it has; what is closed is not listed again."""
    keys = Keys(accounts=3, a_day=210)

    count, _, first = planned(keys, tmp_path / "state.json")
    again, _, second = planned(keys, tmp_path / "state.json")

    assert (count, again) == (len(keys), 0)
    assert len(first) == wanted(3, pages=2)
    assert len(second) == wanted(3, pages=1)


@pytest.mark.slow
def test_memory(tmp_path: Path) -> None:
    """200,000 objects of 50 accounts take no more memory than what is remembered of their open days."""
    keys = Keys(accounts=50, a_day=400)

    count, size, requests = planned(keys, tmp_path / "state.json")

    assert count == len(keys) == 200_000
    assert size < 80
    assert len(requests) == wanted(50, pages=2)
