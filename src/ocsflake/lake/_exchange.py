"""Put other objects in place of those of a partition, in a directory, at one moment.

The new folder is made beside the lake's tree and exchanged with the old one by Linux's ``renameat2``: a reader that
lists the partition sees all of the old objects or all of the new ones. The old folder stays for a moment, for who began
to list it or to put an object there. What is under way is written down first, so a process that is killed at any point
leaves a state that `recover` brings to its end.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import json
import os
import shutil
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ocsflake.errors import LakeError
from ocsflake.lake.storage import lake_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["alone", "exchange", "recover"]

_HOME = ".ocsflake/compact"
_PLAN = "plan.json"
_NEW = "new"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_GRACE_SECONDS = 0.5
"""How long at least an old folder stays after it was exchanged: longer than a listing or a rename takes."""
_OLD_FOLDERS = 32
"""How many old folders stay at most, since they take space."""


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Let no other process compact the same lake meanwhile, and finish what one that was killed had begun.

    Raises:
        LakeError: If another process does, or the directory cannot be written.
    """
    home = root / _HOME
    with lake_errors(home):
        home.mkdir(parents=True, exist_ok=True)
        lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LakeError(f"{root}: another process compacts this lake; wait for it", path=str(root)) from error
        recover(root)
        yield
        recover(root)
    finally:
        os.close(lock)


def exchange(root: Path, folder: str, made: Sequence[tuple[Path, str]], merged: Sequence[str]) -> None:
    """Exchange the objects of a partition; `recover` removes the old ones.

    Objects that are neither in `merged` nor there yet when this begins stay, and so do those that are put meanwhile.

    Args:
        root: The directory of the lake.
        folder: The partition, below it.
        made: The new objects, finished files of the same file system, with their names.
        merged: The names of the objects that they are made of.

    Raises:
        LakeError: If the file system cannot exchange folders, or cannot be written. Nothing has changed then.
    """
    target = root / folder
    work = root / _HOME / hashlib.blake2b(folder.encode(), digest_size=16).hexdigest()
    if len(_works(root)) >= _OLD_FOLDERS:
        recover(root)
    with lake_errors(target):
        new = work / _NEW
        new.mkdir(parents=True)
        shutil.copymode(target, new)
        known = sorted(path.name for path in target.iterdir())
        plan = {"folder": folder, "made": [name for _, name in made], "known": known}
        (work / _PLAN).write_text(json.dumps(plan))
        for name in known:
            if name not in merged:
                os.link(target / name, new / name)
        for file, name in made:
            _sync(file)
            file.replace(new / name)
        for path in (work / _PLAN, new, work, work.parent):
            _sync(path)
        try:
            _swap(new, target)
        except OSError:
            shutil.rmtree(work)
            raise
        _sync(target.parent)
        _settle(root, work)


def recover(root: Path) -> None:
    """Bring to an end what was begun, also by processes that were killed: remove old objects, or unused new ones.

    Raises:
        LakeError: If the directory cannot be written.
    """
    with lake_errors(root / _HOME):
        exchanged = []
        for work in _works(root):
            if _settle(root, work):
                exchanged.append(work)
            else:
                shutil.rmtree(work)
        if exchanged:
            time.sleep(_GRACE_SECONDS)
        for work in exchanged:
            _settle(root, work)
            shutil.rmtree(work)


def _works(root: Path) -> list[Path]:
    home = root / _HOME
    return [path for path in home.iterdir() if path.is_dir()] if home.is_dir() else []


def _settle(root: Path, work: Path) -> bool:
    """Move what was put during an exchange to where it belongs; return whether there was an exchange."""
    try:
        plan = json.loads((work / _PLAN).read_text())
    except (FileNotFoundError, ValueError):  # it was killed before anything could have been exchanged
        return False
    old, target = work / _NEW, root / plan["folder"]
    there = {path.name for path in old.iterdir()}
    exchanged = not there.intersection(plan["made"]) and all((target / name).exists() for name in plan["made"])
    if exchanged:
        for name in there.difference(plan["known"]):
            (old / name).rename(target / name)
        _sync(target)
    return exchanged


def _swap(one: Path, other: Path) -> None:
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    done = (
        -1 if rename is None else rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    )
    if done != 0:
        code = ctypes.get_errno() or errno.ENOSYS
        raise OSError(
            code,
            f"the folder cannot be exchanged at one moment ({os.strerror(code)}): this takes Linux and"
            " a local file system",
        )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
