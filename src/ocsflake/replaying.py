"""Rejected records as a source, so that they run again through the same commits as any others."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from ocsflake.errors import ConfigError, LakeError, SourceError
from ocsflake.model import Split
from ocsflake.rejects import read_rejects

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from ocsflake.model import RawBatch, State

__all__ = ["RejectedRecords", "rejected_sources"]


@frozen
class RejectedRecords:
    """The rejects of one log type in a folder; a file is removed once its records are durable elsewhere.

    Attributes:
        folder: The folder of that log type.
        log_type: The log type.
    """

    folder: Path
    log_type: str

    @property
    def name(self) -> str:
        """The identity of the source."""
        return f"rejects:{self.log_type}:{self.folder}"

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:  # noqa: ARG002 - a Protocol has it
        """Yield the files that are there.

        Raises:
            SourceError: If one of them cannot be read.
        """
        done = set((state or {}).get("done", ()))
        for file in sorted(self.folder.glob("*.jsonl")):
            try:
                with file.open("rb") as opened:
                    mark = hashlib.file_digest(opened, "blake2b").hexdigest()[:32]
                    split = Split(f"{file.name}:{mark}", {"file": file.name}, opened.tell())
            except OSError as error:
                raise SourceError(f"{file} cannot be read: {error.strerror}", source=self.name) from error
            if split.id in done:
                file.unlink(missing_ok=True)  # a crash came between the checkpoint and the removal
            else:
                yield split

    def read(self, split: Split) -> Iterator[RawBatch]:
        """Yield the records of one file; text has the header that its ``origin`` names.

        Raises:
            SourceError: If the file cannot be read.
        """
        path = self.folder / split.detail["file"]
        try:
            for _, raw in read_rejects(path):
                yield evolve(raw, head=raw.origin.get("header", "").encode())
        except LakeError as error:
            raise SourceError(str(error), source=self.name, split=split.id) from error

    def advance(self, state: State | None, done: Sequence[Split]) -> State:  # noqa: ARG002 - a Protocol has it
        """Return the files whose records are durable elsewhere, and that may still be there."""
        return {"done": [split.id for split in done]}

    def acknowledge(self, splits: Sequence[Split]) -> None:
        """Remove the files."""
        for split in splits:
            (self.folder / split.detail["file"]).unlink(missing_ok=True)


def rejected_sources(folder: str | os.PathLike[str]) -> list[RejectedRecords]:
    """Return one source for each log type that has rejects in a folder.

    Raises:
        ConfigError: If there is no such folder.
    """
    path = Path(folder).absolute()
    if not path.is_dir():
        raise ConfigError(f"{path} is no folder of rejects: give what a run was given as rejects= or --rejects")
    return [RejectedRecords(inner, inner.name) for inner in sorted(path.iterdir()) if inner.is_dir()]
