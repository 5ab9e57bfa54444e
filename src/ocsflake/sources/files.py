"""Raw records in local files: one file, a directory, or a glob.

What was read is remembered by a file's path, size, time and a print of its content (the digest of its first 64 KiB
and of the last 4 KiB before its end):

- Same size and time: read already; the file is not opened.
- Same size and print, another time (touched, copied over): read already.
- Plain text or JSON lines that grew, the old part with its old print: only the new lines are read. A last line that
  is not finished is left until its newline comes or the file has been quiet for a minute.
- Moved within the tree (rotated), with its old print: what was read under the old path counts as read.
- Everything else that changed is another object, and is read whole: a document or a compressed file that grew, text
  that was truncated or rewritten, a copy under another path.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, BinaryIO

from attrs import field, frozen

from ocsflake.errors import AccessDeniedError, SourceError
from ocsflake.model import Split
from ocsflake.sources import _listing as listing
from ocsflake.sources.streams import BLOCK, HEAD, cuts_at_lines, first_line, is_json, read_batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from ocsflake.model import RawBatch, State

__all__ = ["FilesSource"]

_PRINT_HEAD = 64 << 10
_PRINT_TAIL = 4 << 10
_QUIET = 60.0  # seconds after which an unfinished last line counts as finished


@frozen(kw_only=True)
class FilesSource:
    """Records of one log type in local files.

    A directory is read with all that is below it, but for hidden files and those that end in ``.tmp`` or ``.part``.
    Links to directories are not followed there, and a link to a file stands for that file, which is read once
    whatever links lead to it. Files are best
    moved into place when they are complete: a compressed file or a document that is still being written is an error,
    or is read again once it is whole.

    Attributes:
        log_type: Picks the mapper, such as ``aws.cloudtrail``.
        uri: A path, a glob (``*``, ``?``, ``[]``, and ``**`` for any depth), or a ``file://`` URI of either. Relative
            paths are resolved when the source is made.
        name: The identity of the source; made of the log type and the absolute path unless it is given.
        header: The line that names the columns of text which has none, such as VPC flow logs of a custom format. It
            is given to mappers as the `head` of every batch, and a mapper takes `head` for the header line.
    """

    log_type: str
    uri: str = field(converter=listing.local_path)
    _name: str | None = field(default=None, repr=False)
    header: str | None = None

    @property
    def name(self) -> str:
        """The identity of the source; its state is kept under it."""
        return self._name or f"files:{self.log_type}:{listing.readable(self.uri)}"

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
        """Yield what is new since `state`, the file that changed longest ago first.

        A file that may not be read has a split as well, and it is the reading of that split which fails.

        Raises:
            ConfigError: If `uri` has no wildcard and nothing is there.
            SourceError: If a directory may not be listed.
        """
        known: Mapping[str, Any] = (state or {}).get("files", {})
        moved = {entry["inode"]: entry for entry in known.values()}
        for changed, uri, size in listing.files(self.uri, self.name):
            entry = known.get(uri)
            if entry is None or (entry["size"], entry["mtime_ns"]) != (size, changed):
                try:
                    yield from self._split(uri, entry, moved, now)
                except FileNotFoundError:
                    continue  # gone meanwhile
                except SourceError:
                    yield Split(f"{uri}#unread", {"uri": uri, "offset": 0, "end": size, "print": ""}, size)

    def read(self, split: Split) -> Iterator[RawBatch]:
        """Yield the records of `split`, each batch with the file's URI as its ``origin``.

        Raises:
            SourceError: If the file is not what it was when the split was planned, or cannot be read.
        """
        detail = split.detail
        uri, offset, end = detail["uri"], detail["offset"], detail["end"]
        origin = {"uri": uri}
        try:
            with self._opened(uri, split.id) as file:
                if not _is_still(file, end, detail["print"]):
                    raise self._changed(split)
                head = (self.header or "").encode()
                if offset and not head:
                    file.seek(0)
                    head = first_line(file.read(HEAD))
                file.seek(offset)
                yield from read_batches(
                    file, uri, origin=origin, head=head, size=end - offset, source=self.name, split=split.id
                )
        except FileNotFoundError:
            raise self._changed(split) from None

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        """Return the state once the records of `done` are durable."""
        files = dict((state or {}).get("files", {}))
        for split in done:
            detail = split.detail
            files[detail["uri"]] = {
                "size": detail["end"],
                "mtime_ns": detail["mtime_ns"],
                "inode": detail["inode"],
                "print": detail["print"],
            }
        return {"files": files}

    def _split(
        self, uri: str, entry: Mapping[str, Any] | None, moved: Mapping[str, Mapping[str, Any]], now: datetime
    ) -> Iterator[Split]:
        """Yield the part of one file that is new, if there is any."""
        with self._opened(uri, None) as file:
            stat = os.fstat(file.fileno())
            inode = f"{stat.st_dev}-{stat.st_ino}"
            olds = (old for old in (moved.get(inode), entry) if old and _goes_on(file, old, stat.st_size))
            old = next(olds, None)
            quiet = now.timestamp() - stat.st_mtime > _QUIET
            offset, end = _new_part(file, old["size"], stat.st_size, quiet=quiet) if old else (0, stat.st_size)
            if offset == end and old is entry:
                return  # a file that moved has a split of no bytes, so that its new path is remembered
            mark = _print(file, end)
        detail = {
            "uri": uri,
            "offset": offset,
            "end": end,
            "mtime_ns": stat.st_mtime_ns,
            "inode": inode,
            "print": mark,
        }
        yield Split(f"{uri}#{offset}-{end}:{mark}", detail, end - offset)

    @contextmanager
    def _opened(self, uri: str, split: str | None) -> Iterator[BinaryIO]:
        """Open a file; what goes wrong with it, but for its being gone, is a `SourceError`."""
        try:
            with open(listing.path_of(uri), "rb") as file:  # noqa: PTH123 - a path may hold bytes that are no text
                yield file
        except FileNotFoundError:
            raise
        except PermissionError as error:
            message = f"{uri} may not be read: give this process the permission to read it"
            raise AccessDeniedError(message, source=self.name, split=split) from error
        except OSError as error:
            raise SourceError(f"{uri}: {error.strerror}", source=self.name, split=split) from error

    def _changed(self, split: Split) -> SourceError:
        message = f"{split.detail['uri']} changed since it was planned; plan again to read it as it is now"
        return SourceError(message, source=self.name, split=split.id)


def _print(file: BinaryIO, end: int) -> str:
    """Return what tells the first `end` bytes of a file from others, without reading them all."""
    digest = blake2b(digest_size=16)
    file.seek(0)
    digest.update(file.read(min(end, _PRINT_HEAD)))
    if end > _PRINT_HEAD:
        file.seek(max(_PRINT_HEAD, end - _PRINT_TAIL))
        digest.update(file.read(end - file.tell()))
    return digest.hexdigest()


def _is_still(file: BinaryIO, end: int, mark: str) -> bool:
    """Return whether a file is what a split says, or that with more lines behind it."""
    size = os.fstat(file.fileno()).st_size
    return size >= end and _print(file, end) == mark and (size == end or _is_lines(file))


def _goes_on(file: BinaryIO, old: Mapping[str, Any], size: int) -> bool:
    """Return whether a file still begins with what was read of it, or is that."""
    end: int = old["size"]
    return size >= end and old["print"] == _print(file, end)


def _new_part(file: BinaryIO, end: int, size: int, *, quiet: bool) -> tuple[int, int]:
    """Return where the part of a file begins and ends that came after its first `end` bytes."""
    if size == end:
        return size, size
    if not _is_lines(file):
        return 0, size
    file.seek(end - 1)
    if b"\n" not in file.read(2):  # the last line that was read went on: it is read again, whole
        end = _line_start(file, end)
    if quiet:
        return end, size
    last = _line_start(file, size)
    if size - last <= BLOCK:
        file.seek(last)
        if is_json(file.read(size - last)):
            return end, size
    return end, max(end, last)


def _is_lines(file: BinaryIO) -> bool:
    file.seek(0)
    start = file.read(HEAD)
    return cuts_at_lines(start if b"\n" in start else start + file.read(BLOCK))


def _line_start(file: BinaryIO, end: int) -> int:
    """Return where the line begins that holds the last byte before `end`; `end` itself after a newline."""
    while end > 0:
        start = max(0, end - _PRINT_HEAD)
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
