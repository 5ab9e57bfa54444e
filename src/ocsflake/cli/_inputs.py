"""The files that a command was given, as batches of raw records."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote_from_bytes

from ocsflake.cli._output import tell
from ocsflake.errors import SourceError
from ocsflake.sources.streams import read_batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ocsflake.model import RawBatch

__all__ = ["Inputs", "name_of"]


class Inputs:
    """Files, read one after the other; one that cannot be read is told of, and does not stop the others.

    Attributes:
        failed: How many could not be read to their end.
    """

    def __init__(self, files: Sequence[str]) -> None:
        self._files = files
        self.failed = 0

    def by_file(self) -> Iterator[tuple[str, Iterator[RawBatch]]]:
        """Yield the name of each file, as it was given, and its batches."""
        for file in self._files:
            yield name_of(file), self._batches(file)

    def batches(self) -> Iterator[RawBatch]:
        """Yield the batches of all files."""
        for _, batches in self.by_file():
            yield from batches

    def _batches(self, file: str) -> Iterator[RawBatch]:
        name = name_of(file)
        empty = True
        try:
            with _opened(file) as stream:
                for batch in read_batches(stream, name, origin={"uri": _uri(file)}):
                    empty = False
                    yield batch
        except SourceError as error:
            self.failed += 1
            tell(f"ocsflake: {error}")
        else:
            if empty:
                tell(f"ocsflake: {name} is empty")


def name_of(file: str) -> str:
    """Return what to call a file in messages and in JSON: text that any encoder takes."""
    return "stdin" if file == "-" else os.fsencode(file).decode(errors="backslashreplace")


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    """Open a file; what goes wrong with that is a `SourceError`."""
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = open(file, "rb")  # noqa: PTH123, SIM115 - a path may hold bytes that are no text
    except OSError as error:
        more = " (to read a whole directory into a lake: ocsflake run files)" if error.errno == errno.EISDIR else ""
        raise SourceError(f"{name_of(file)}: {error.strerror}{more}") from error
    with stream:
        yield stream


def _uri(file: str) -> str:
    path = os.path.abspath(file)  # noqa: PTH100 - links are kept
    return "stdin:" if file == "-" else f"file://{quote_from_bytes(os.fsencode(path))}"
