"""Where sources remember what was read: a document for each source, with compare and swap.

A save names the revision that it was loaded with, and fails if another run saved in between, so two runs of one
source cannot both believe that they are the one.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from attrs import field, frozen

from ocsflake.errors import CheckpointConflictError, LakeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["FileCheckpoints", "MemoryCheckpoints"]

_APPLICATION = 0x4F435346  # "OCSF": marks the file as ours
_FORMAT = 1
_PATIENCE = 30.0  # seconds to wait for another process to finish its save


@frozen
class MemoryCheckpoints:
    """Checkpoints that last as long as the process; for tests and for one-off reads."""

    _docs: dict[str, tuple[bytes, str]] = field(factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False, eq=False)

    def load(self, name: str) -> tuple[dict[str, Any] | None, str | None]:
        """Return the document and its revision, or ``(None, None)``."""
        doc, revision = self._docs.get(name, (None, None))
        return (None if doc is None else msgspec.json.decode(doc)), revision

    def save(self, name: str, doc: Mapping[str, Any], revision: str | None) -> str:
        """Save `doc` if the stored revision still is `revision`, and return the new revision.

        Raises:
            CheckpointConflictError: If another run saved first.
        """
        encoded, new = msgspec.json.encode(doc), secrets.token_hex(8)
        with self._lock:
            if self._docs.get(name, (None, None))[1] != revision:
                raise _conflict(name, "")
            self._docs[name] = (encoded, new)
        return new


def _absolute(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - links are kept


@frozen
class FileCheckpoints:
    """Checkpoints in one SQLite file, safe between the threads and processes of one machine.

    A save is on the disk when it returns. The file is readable by its owner alone; it and its folder are made by the
    first save. It is never repaired: a file that is damaged, that a newer ocsflake wrote, or that is another
    program's is an error.

    Attributes:
        path: The file; on a local disk, since SQLite's locks do not hold on every network file system.
    """

    path: Path = field(converter=_absolute)

    def load(self, name: str) -> tuple[dict[str, Any] | None, str | None]:
        """Return the document and its revision, or ``(None, None)``.

        Raises:
            LakeError: If the file cannot be read.
        """
        try:
            self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None, None
        except OSError as error:
            raise _broken(self.path, f"cannot be read: {error.strerror}") from error
        with self._opened() as database:
            if not _format(database, self.path):
                return None, None
            row = database.execute("SELECT doc, revision FROM checkpoints WHERE name = ?", (name,)).fetchone()
            return (None, None) if row is None else (msgspec.json.decode(row[0], type=dict[str, Any]), row[1])

    def save(self, name: str, doc: Mapping[str, Any], revision: str | None) -> str:
        """Save `doc` if the stored revision still is `revision`, and return the new revision.

        Raises:
            CheckpointConflictError: If another run saved first.
            LakeError: If the file cannot be written.
        """
        encoded, new = msgspec.json.encode(doc), secrets.token_hex(8)
        self._make()
        with self._opened() as database:
            database.execute("BEGIN IMMEDIATE")
            if not _format(database, self.path):
                database.execute(
                    "CREATE TABLE checkpoints (name TEXT PRIMARY KEY, revision TEXT NOT NULL, doc BLOB NOT NULL)"
                )
                database.execute(f"PRAGMA application_id = {_APPLICATION}")
                database.execute(f"PRAGMA user_version = {_FORMAT}")
            if revision is None:
                statement = "INSERT INTO checkpoints (revision, doc, name) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
                changed = database.execute(statement, (new, encoded, name)).rowcount
            else:
                statement = "UPDATE checkpoints SET revision = ?, doc = ? WHERE name = ? AND revision = ?"
                changed = database.execute(statement, (new, encoded, name, revision)).rowcount
            if changed != 1:
                raise _conflict(name, str(self.path))
            database.execute("COMMIT")
        return new

    def _make(self) -> None:
        """Make the file and its folder, unless they are there."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise _broken(self.path, f"cannot be written: {error.strerror}") from error

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """Open the file; what is not committed at the end is rolled back."""
        try:
            uri = f"{self.path.as_uri()}?mode=rw"
            with closing(sqlite3.connect(uri, uri=True, timeout=_PATIENCE, isolation_level=None)) as database:
                database.execute("PRAGMA journal_mode = DELETE")
                database.execute("PRAGMA synchronous = EXTRA")  # a save that returned outlives a loss of power
                yield database
        except sqlite3.OperationalError as error:
            raise _broken(self.path, f"cannot be used: {error}") from error
        except (sqlite3.DatabaseError, msgspec.MsgspecError) as error:
            advice = "put a copy from before in its place, or remove it to read everything from the beginning"
            raise _broken(self.path, f"is damaged ({error}): {advice}") from error


def _format(database: sqlite3.Connection, path: Path) -> int:
    """Return the format that a file is in, 0 if it is empty.

    Raises:
        LakeError: If it is not ours to read.
    """
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != _APPLICATION and tables:
        raise _broken(path, "is another program's SQLite database: give checkpoints a file of their own")
    if version > _FORMAT:
        raise _broken(path, f"has format {version}, and this version of ocsflake knows {_FORMAT}: upgrade ocsflake")
    return int(version)


def _broken(path: Path, problem: str) -> LakeError:
    return LakeError(f"the checkpoint file {path} {problem}", path=str(path))


def _conflict(name: str, path: str) -> CheckpointConflictError:
    where = f" in {path}" if path else ""
    message = f"another run saved the checkpoint of {name!r}{where} first: run one at a time for each source"
    return CheckpointConflictError(message, path=path)
