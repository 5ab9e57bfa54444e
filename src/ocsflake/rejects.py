"""A place for rejected records: JSON lines in a folder, one file for each log type and commit.

The files are ``<folder>/<log type>/<32 hex digits of the commit>.jsonl``, a line a record::

    {"log_type": "aws.cloudtrail", "record": "...", "reason": "...", "attribute": "time", "origin": {"uri": "..."}}

A record that is no UTF-8 text is kept as ``record_base64``. The records are kept byte for byte and can be run again.
They are whatever somebody wrote into a log, so folder and files are open to their owner alone.
"""

from __future__ import annotations

import os
import re
import tempfile
from base64 import b64decode, b64encode
from collections import Counter
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from ocsflake.errors import LakeError
from ocsflake.model import RawBatch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    import pyarrow as pa

__all__ = ["RejectsFile", "count_rejects", "read_rejects"]

_ROWS = 1_000
_BATCH_RECORDS = 10_000
_BATCH_BYTES = 8 << 20


class _Line(msgspec.Struct):
    log_type: str
    record: str | msgspec.UnsetType = msgspec.UNSET
    record_base64: str | msgspec.UnsetType = msgspec.UNSET
    reason: str = ""
    attribute: str = ""
    origin: dict[str, str] = {}


class RejectsFile:
    """The rejects of one log type in one commit, on their way to the disk.

    Lines are appended as they come; the file appears when it is published, under a name that depends on the log type
    and the commit alone, so that a commit that is repeated replaces its own file. Use it as a context manager, or
    close it.

    Args:
        folder: Where all rejects go; made when it is missing.
        log_type: The log type of the records.
        commit_id: What the commit is called.

    Attributes:
        path: The file as it will be called.
        rows: How many rejects were written.
    """

    def __init__(self, folder: str | os.PathLike[str], log_type: str, commit_id: str) -> None:
        name = blake2b(commit_id.encode(), digest_size=16).hexdigest()
        self.path = Path(folder) / _file_name(log_type) / f"{name}.jsonl"
        self.rows = 0
        self._log_type = log_type
        self._file: BinaryIO | None = None
        self._temporary = Path()

    def __enter__(self) -> RejectsFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, rejects: pa.RecordBatch) -> None:
        """Append the rows of a batch of `ocsflake.mapping.rejects.REJECT_SCHEMA`; they are not visible yet.

        Raises:
            LakeError: If they cannot be written.
        """
        try:
            for start in range(0, rejects.num_rows, _ROWS):
                rows = rejects.slice(start, _ROWS).to_pylist()
                self._opened().write(msgspec.json.Encoder().encode_lines([self._line(**row) for row in rows]))
                self.rows += len(rows)
        except OSError as error:
            raise self._broken(error) from error

    def publish(self) -> Path | None:
        """Make the file visible, safe on the disk, and return its path; ``None`` if there are no rejects.

        Without rejects, the file of an earlier attempt at the same commit is removed.

        Raises:
            LakeError: If that fails.
        """
        try:
            if self._file is not None:
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()
                self._temporary.replace(self.path)
                self._file = None
                _sync(self.path.parent)
                _sync(self.path.parent.parent)
            elif not self.rows:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            raise self._broken(error) from error
        return self.path if self.rows else None

    def close(self) -> None:
        """Drop what was not published."""
        if self._file is not None:
            with suppress(OSError):  # a disk that is full may fail once more; the file goes away in any case
                self._file.close()
            self._temporary.unlink(missing_ok=True)
            self._file = None

    def _opened(self) -> BinaryIO:
        if self._file is None:
            for folder in (self.path.parent.parent, self.path.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f".{self.path.stem}-", suffix=".tmp", dir=self.path.parent)
            self._file = os.fdopen(handle, "wb")
            self._temporary = Path(name)
        return self._file

    def _line(self, record: bytes, reason: str, attribute: str, origin: list[tuple[str, str]]) -> _Line:
        line = _Line(self._log_type, reason=reason, attribute=attribute, origin=dict(origin))
        try:
            line.record = record.decode()
        except UnicodeDecodeError:
            line.record_base64 = b64encode(record).decode()
        return line

    def _broken(self, error: OSError) -> LakeError:
        return LakeError(f"the rejects in {self.path} cannot be written: {error.strerror}", path=str(self.path))


def read_rejects(path: str | os.PathLike[str]) -> Iterator[tuple[str, RawBatch]]:
    """Yield rejected records with their log type, to be run again.

    Records that follow one another and came from one place are one batch, of bounded size.

    Args:
        path: A file of rejects, or a folder of them.

    Raises:
        LakeError: If there is nothing at `path`, or a line is no reject.
    """
    for file in _files(Path(path)):
        yield from _read_file(file)


def count_rejects(path: str | os.PathLike[str]) -> Counter[tuple[str, str, str]]:
    """Return how many records were rejected by log type, attribute and reason.

    Args:
        path: A file of rejects, or a folder of them.

    Raises:
        LakeError: If there is nothing at `path`, or a line is no reject.
    """
    return Counter(
        (line.log_type, line.attribute, line.reason) for file in _files(Path(path)) for line, _ in _read_lines(file)
    )


def _files(path: Path) -> list[Path]:
    return sorted([*path.glob("*.jsonl"), *path.glob("*/*.jsonl")]) if path.is_dir() else [path]


def _read_file(path: Path) -> Iterator[tuple[str, RawBatch]]:
    log_type = ""
    origin: dict[str, str] = {}
    records: list[bytes] = []
    size = 0
    for line, record in _read_lines(path):
        full = len(records) == _BATCH_RECORDS or size >= _BATCH_BYTES
        if records and (full or (log_type, origin) != (line.log_type, line.origin)):
            yield log_type, RawBatch(records, origin)
            records, size = [], 0
        log_type, origin = line.log_type, line.origin
        records.append(record)
        size += len(record)
    if records:
        yield log_type, RawBatch(records, origin)


def _read_lines(path: Path) -> Iterator[tuple[_Line, bytes]]:
    decoder = msgspec.json.Decoder(_Line)
    done = 0
    try:
        with path.open("rb") as file:
            for text in file:
                line = decoder.decode(text)
                yield line, _record(line)
                done += 1
    except OSError as error:
        raise LakeError(f"the rejects in {path} cannot be read: {error.strerror}", path=str(path)) from error
    except ValueError as error:
        message = f"{path}, line {done + 1}, is no reject as ocsflake writes them: {error}"
        raise LakeError(message, path=str(path)) from error


def _record(line: _Line) -> bytes:
    if line.record is not msgspec.UNSET:
        return line.record.encode()
    if line.record_base64 is not msgspec.UNSET:
        return b64decode(line.record_base64)
    raise ValueError("it has neither record nor record_base64")


def _file_name(log_type: str) -> str:
    """Return a log type as the name of a folder, which it cannot leave."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", log_type)
    return f"_{name}" if name.startswith(".") or not name else name


def _sync(folder: Path) -> None:
    """Make the names in a folder last through a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
