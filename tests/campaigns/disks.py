"""Disks that are full or read-only, for the lake with its spool, for the checkpoints and for the rejects."""

from __future__ import annotations

import random
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trials import Tally

import ocsflake
from ocsflake.errors import OcsflakeError
from pipeline_logs import bad, events, record, rows, save

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator
    from pathlib import Path

PLACES = ("lake", "checkpoints", "rejects")
_FILES, _RECORDS = 6, 40
_ENOUGH = "64m"


def can_mount(folder: Path) -> bool:
    """Return whether this process may make disks."""
    try:
        with _disk(folder, "64k"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


@contextmanager
def _disk(folder: Path, size: str) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def disks(root: Path, sizes: int, seed: int = 2026) -> Iterator[tuple[str, Tally]]:
    """Run files onto disks of some sizes that are too small, and onto one that is read-only; yield what came of it.

    Args:
        root: A folder for logs and disks.
        sizes: How many sizes are tried for each place.
        seed: Of the text in the logs.
    """
    rng = random.Random(seed)
    for number in range(_FILES):
        numbers = range(number * _RECORDS, (number + 1) * _RECORDS)
        made = [record(n, userAgent=rng.randbytes(200).hex()) for n in numbers]
        save(root / "logs" / f"{number}.json.gz", [*made, bad(9_000 + number)])
    expected = events(range(_FILES * _RECORDS))
    need = _needed(root)
    for place in PLACES:
        for turn in range(sizes):
            size = max(4, (turn * need[place] // sizes) >> 10)
            yield f"{place}: full", _trial(root, root / f"{place}-{turn}", place, f"{size}k", expected)
        yield f"{place}: read-only", _trial(root, root / f"{place}-read-only", place, "", expected)


def _needed(root: Path) -> dict[str, int]:
    """Return the bytes that an undisturbed run needs in each place."""
    where = root / "undisturbed"
    _run(root, where)
    return {
        place: sum(path.stat().st_size for path in (where / place).rglob("*") if path.is_file()) for place in PLACES
    }


def _trial(root: Path, where: Path, place: str, size: str, expected: Counter[str]) -> Tally:
    """Run onto a disk of a size, or a read-only one, and again once there is room."""
    with _disk(where / place, size or _ENOUGH):
        if not size:
            _mount("-o", "remount,ro", str(where / place))
        noticed = not _ran(root, where)
        found = rows(where / "lake")
        assert not found - expected
        _mount("-o", f"remount,rw,size={_ENOUGH}", str(where / place))
        for _ in range(2):
            _run(root, where)
        found = rows(where / "lake")
        kept = sum(len(path.read_bytes().splitlines()) for path in (where / "rejects").rglob("*.jsonl"))
        assert kept == _FILES, f"{kept} rejects are kept"
        assert not any((where / "lake" / ".ocsflake" / "tmp").iterdir())
    return Tally(1, expected.total(), (expected & found).total(), (found - expected).total(), int(noticed))


def _ran(root: Path, where: Path) -> bool:
    try:
        _run(root, where)
    except OcsflakeError:
        return False
    return True


def _run(root: Path, where: Path) -> None:
    source = ocsflake.source("files", log_type="aws.cloudtrail", uri=str(root / "logs"))
    given = {"checkpoints": where / "checkpoints" / "state.db", "rejects": where / "rejects"}
    ocsflake.run(source, ocsflake.Lake(where / "lake"), commit_bytes=30_000, **given)  # type: ignore[arg-type]
