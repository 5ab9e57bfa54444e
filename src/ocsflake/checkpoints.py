"""Where sources remember what was read: a document for each source, with compare and swap.

A save names the revision that it was loaded with, and fails if another run saved in between, so two runs of one
source cannot both believe that they are the one.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
import time
from contextlib import closing, contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from attrs import field, frozen

from ocsflake import aws
from ocsflake.errors import CheckpointConflictError, ConfigError, LakeError
from ocsflake.retry import retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["FileCheckpoints", "MemoryCheckpoints", "S3Checkpoints"]

_APPLICATION = 0x4F435346  # "OCSF": marks the file as ours
_FORMAT = 1
_PATIENCE = 30.0  # seconds to wait for another process to finish its save
_ADVICE = "put a copy from before in its place, or remove it to read everything from the beginning"
_PROBE = "probe.json"
_NO_ETAG = f'"{0:032}"'

T = TypeVar("T")


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
            raise _broken(self.path, f"is damaged ({error}): {_ADVICE}") from error


class _Stored(msgspec.Struct):
    """An object of `S3Checkpoints`; each save has a mark of its own, so no two are equal."""

    name: str
    mark: str
    doc: dict[str, Any]
    format: int = _FORMAT


def _place(uri: str) -> str:
    bucket, prefix = aws.s3_address(uri)
    return f"s3://{bucket}/{prefix}"


@frozen
class S3Checkpoints:
    """Checkpoints in S3, an object for each source, safe between machines.

    A save is a conditional write: of two runs that loaded the same revision, one is refused. A store that ignores the
    condition would let both go on, so the first use tries whether it keeps them, with an object ``probe.json``.

    The credentials need ``s3:GetObject`` and ``s3:PutObject`` below `uri`, and ``s3:ListBucket``, since AWS calls what
    is missing forbidden otherwise. Nothing is ever deleted.

    Attributes:
        uri: ``s3://bucket/prefix/``, of a bucket of one's own: Security Lake's has no place for other objects.
        session: A `boto3.Session`; if neither it nor `client` is given, one with the settings of the environment.
        client: A boto3 client for S3.
        sleep: Waits some seconds before a call is tried again.
    """

    uri: str = field(converter=_place)
    session: Any = field(default=None, kw_only=True, repr=False)
    client: Any = field(default=None, kw_only=True, repr=False)
    sleep: Callable[[float], object] = field(default=time.sleep, kw_only=True, repr=False)
    _tried: list[Any] = field(factory=list, init=False, repr=False, eq=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False, eq=False)

    def load(self, name: str) -> tuple[dict[str, Any] | None, str | None]:
        """Return the document and its revision, or ``(None, None)``.

        Raises:
            ConfigError: If the bucket is not there, or the store ignores the conditions of writes.
            LakeError: If the object cannot be read.
            MissingExtraError: If boto3 is not installed.
        """
        stored, revision = self._get(name)
        return (None if stored is None else stored.doc), revision

    def save(self, name: str, doc: Mapping[str, Any], revision: str | None) -> str:
        """Save `doc` if the stored revision still is `revision`, and return the new revision.

        Raises:
            CheckpointConflictError: If another run saved first.
            ConfigError: If the bucket is not there, or the store ignores the conditions of writes.
            LakeError: If the object cannot be written.
            MissingExtraError: If boto3 is not installed.
        """
        mark = secrets.token_hex(8)
        body = msgspec.json.encode(_Stored(name, mark, dict(doc)))
        condition = {"IfNoneMatch": "*"} if revision is None else {"IfMatch": revision}
        new = self._put(self._usable(), _key(name), body, **condition)
        if new is None:  # or an answer was lost, and what is in the way is what this very save wrote
            stored, new = self._get(name)
            if stored is None or new is None or stored.mark != mark:
                raise _conflict(name, self.uri)
        return new

    def _get(self, name: str) -> tuple[_Stored | None, str | None]:
        client = self._usable()

        def get(**place: str) -> tuple[bytes, str]:
            about = client.get_object(**place)
            with closing(about["Body"]) as body:
                return body.read(), about["ETag"]

        found = self._call(get, _key(name))
        if found is None:
            return None, None
        try:
            stored = msgspec.json.decode(found[0], type=_Stored)
        except msgspec.MsgspecError as error:
            raise _broken(f"{self.uri}{_key(name)}", f"is damaged ({error}): {_ADVICE}") from error
        if stored.format > _FORMAT:
            raise _broken(f"{self.uri}{_key(name)}", _newer(stored.format))
        return stored, found[1]

    def _put(self, client: Any, key: str, body: bytes, **condition: str) -> str | None:
        """Return the new ETag, ``None`` if the condition does not hold."""
        return self._call(lambda **place: str(client.put_object(Body=body, **place, **condition)["ETag"]), key)

    def _usable(self) -> Any:
        """Return a client of a store that was seen to keep the conditions of writes."""
        with self._lock:
            if not self._tried:
                client = self.client or aws.make_client("s3", self.session)
                self._put(client, _PROBE, b"{}", IfNoneMatch="*")  # it is there now, whoever made it
                for condition in ({"IfNoneMatch": "*"}, {"IfMatch": _NO_ETAG}):
                    if self._put(client, _PROBE, b"{}", **condition) is not None:
                        raise ConfigError(
                            f"{self.uri}: this store ignores the condition of a write ({next(iter(condition))}), so two"
                            " runs of one source could undo each other's checkpoints: keep them in a file, or in a"
                            " bucket of AWS"
                        )
                self._tried.append(client)
            return self._tried[0]

    def _call(self, call: Callable[..., T], key: str) -> T | None:
        """Call S3 with patience; ``None`` if there is no such object, or the condition does not hold."""
        bucket, prefix = aws.s3_address(self.uri)

        def attempt() -> T | None:
            try:
                return call(Bucket=bucket, Key=prefix + key)
            except Exception as error:
                found = aws.failure(error)
                if found and found.kind in {"changed", "missing"}:
                    return None
                raise

        try:
            return retry(attempt, retryable=aws.seconds_to_wait, sleep=self.sleep)
        except Exception as error:
            known = aws.lake_error(error, self.uri + key)
            if known is None:
                raise
            raise known from error


def _key(name: str) -> str:
    """Return the key of a source's object, whose name may have any length and characters."""
    return f"{blake2b(name.encode(), digest_size=16).hexdigest()}.json"


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
        raise _broken(path, _newer(version))
    return int(version)


def _newer(version: int) -> str:
    return f"has format {version}, and this version of ocsflake knows {_FORMAT}: upgrade ocsflake"


def _broken(path: Path | str, problem: str) -> LakeError:
    return LakeError(f"the checkpoint file {path} {problem}", path=str(path))


def _conflict(name: str, path: str) -> CheckpointConflictError:
    where = f" in {path}" if path else ""
    message = f"another run saved the checkpoint of {name!r}{where} first: run one at a time for each source"
    return CheckpointConflictError(message, path=path)
