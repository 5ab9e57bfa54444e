"""Where the objects of a lake are kept.

A `Storage` has no way to delete: the role that Security Lake gives a custom source may put objects and no more
(contract rule 27), so nothing may depend on taking one back.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from attrs import frozen

from ocsflake.errors import ConfigError, LakeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["DirectoryStorage", "Storage", "StoredObject", "check_key", "is_key", "lake_errors", "remove_abandoned"]

_SCRATCH = ".ocsflake/tmp"
_ABANDONED_SECONDS = 24 * 60 * 60
_NO_KEY = re.compile(r"[\\\0\ud800-\udfff]")
"""What ends or parts paths somewhere, or is no text: names on a disk may be any bytes."""


@frozen
class StoredObject:
    """An object that is there.

    Attributes:
        key: Its path below the root, with ``/``.
        bytes: Its size.
    """

    key: str
    bytes: int


class Storage(Protocol):
    """A place for objects; whole ones only, whatever happens while one is put."""

    def check(self, location: str, region: str) -> None:
        """Raise if objects cannot be put below `location` in a lake of `region`, as far as that shows before."""
        ...

    def scratch(self) -> Path:
        """Make a private folder to build files in; the caller removes it."""
        ...

    def put(self, file: Path, key: str) -> None:
        """Make `file`, finished and in a `scratch` folder, the object at `key`, durably; it may be gone then."""
        ...

    def objects(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects whose key begins with `prefix`, in the order of their keys."""
        ...

    def folders(self, prefix: str) -> list[str]:
        """Return the sorted names just below `prefix`, which ends in ``/``, that have something below them.

        Names that no key can have (`is_key`) are left out.
        """
        ...

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading."""
        ...


@frozen
class DirectoryStorage:
    """A directory of this machine.

    A file is built in ``.ocsflake/tmp`` under the root, synced, and renamed to its key: no reader ever sees a part
    of it, and what a killed process leaves behind is outside the lake's tree.

    Attributes:
        root: The directory; made when something is first put.
    """

    root: Path

    def check(self, location: str, region: str) -> None:
        """Do nothing: a directory may hold a lake of any Region, and says by itself if it cannot be written."""

    def scratch(self) -> Path:
        """Make a private folder on the same file system, and remove what processes left there a day ago or more.

        Raises:
            LakeError: If the directory cannot be written.
        """
        home = self.root / _SCRATCH
        with lake_errors(home):
            home.mkdir(parents=True, exist_ok=True)
            home.chmod(0o700)
            remove_abandoned(home.iterdir())
            return Path(tempfile.mkdtemp(dir=home))

    def put(self, file: Path, key: str) -> None:
        """Sync `file`, rename it to `key`, and sync the folders that changed; `file` is gone then.

        Raises:
            ConfigError: If `key` would leave the root.
            LakeError: If the file cannot be moved there.
        """
        target = self._path(key)
        with lake_errors(target):
            _sync(file)
            made = _make_folders(target.parent)
            file.replace(target)
            for folder in (target.parent, *made):
                _sync(folder)

    def objects(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the files whose key begins with `prefix`, in the order of their keys.

        Raises:
            ConfigError: If `prefix` would leave the root.
            LakeError: If a folder cannot be read.
        """
        folder, _, _ = prefix.rpartition("/")
        if folder:
            check_key(folder, self.root)
        with lake_errors(self.root / folder):
            yield from self._walk(folder, prefix)

    def folders(self, prefix: str) -> list[str]:
        """Return the sorted names of the folders just below `prefix` that are not empty.

        Raises:
            ConfigError: If `prefix` would leave the root.
            LakeError: If a folder cannot be read.
        """
        folder = self._path(prefix.rstrip("/"))
        with lake_errors(folder):
            if not folder.is_dir():
                return []
            below = (entry for entry in folder.iterdir() if entry.is_dir() and is_key(entry.name))
            return sorted(entry.name for entry in below if any(entry.iterdir()))

    def open(self, key: str) -> BinaryIO:
        """Open a file for reading.

        Raises:
            ConfigError: If `key` would leave the root.
            LakeError: If it cannot be opened.
        """
        path = self._path(key)
        with lake_errors(path):
            return path.open("rb")

    def _path(self, key: str) -> Path:
        check_key(key, self.root)
        return self.root.joinpath(*key.split("/"))

    def _walk(self, folder: str, prefix: str) -> Iterator[StoredObject]:
        path = self.root / folder
        if not path.is_dir():
            return
        with os.scandir(path) as entries:
            below = sorted(entries, key=lambda entry: entry.name + "/" * entry.is_dir())
        for entry in below:
            key = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir() and (key.startswith(prefix) or prefix.startswith(f"{key}/")):
                yield from self._walk(key, prefix)
            elif entry.is_file() and key.startswith(prefix):
                yield StoredObject(key, entry.stat().st_size)


def check_key(key: str, root: Path | str) -> None:
    """Raise if `key` is no name below `root`, as a path of any system or for whoever copies objects to one.

    Raises:
        ConfigError: If a part of it is empty, ``.`` or ``..``, or holds a character that ends or parts paths.
    """
    if not is_key(key):
        raise ConfigError(f"key {key!r} does not stay below {root}")


def is_key(key: str) -> bool:
    """Return whether `key` is the name of an object below any root, in text that any program can write."""
    return not (_NO_KEY.search(key) or {"", ".", ".."}.intersection(key.split("/")))


def remove_abandoned(folders: Iterable[Path]) -> None:
    """Remove those of our own folders that were last touched a day ago or more."""
    for folder in folders:
        with contextlib.suppress(FileNotFoundError):  # another process is as tidy
            about = folder.lstat()
            if about.st_uid == os.geteuid() and about.st_mtime < time.time() - _ABANDONED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def lake_errors(path: Path | str) -> Iterator[None]:
    """Turn an ``OSError`` of the block into a `LakeError` that names `path`."""
    try:
        yield
    except OSError as error:
        raise LakeError(f"{path}: {error.strerror or error}", path=str(path)) from error


def _make_folders(folder: Path) -> list[Path]:
    """Make `folder` and return the folders above it that got a new entry, which are to be synced."""
    missing: list[Path] = []
    above = folder
    while not above.is_dir():
        missing.append(above)
        above = above.parent
    folder.mkdir(parents=True, exist_ok=True)
    return [path.parent for path in missing]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
