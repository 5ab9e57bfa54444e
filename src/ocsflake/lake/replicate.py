"""Copy the objects of a lake to a roll-up lake, under the keys that they have.

``region=`` in a key stays the Region that the event was written in, as it does where Security Lake replicates by itself
(contract rule 36), so several lakes roll up into one without meeting, and one query sees them all. What does not follow
the layout is not copied (contract rule 16).
"""

from __future__ import annotations

import shutil
from itertools import groupby
from typing import TYPE_CHECKING

from attrs import frozen

from ocsflake.errors import ConfigError, LakeError
from ocsflake.lake.footer import footers
from ocsflake.lake.layout import parse_key
from ocsflake.lake.storage import lake_errors
from ocsflake.steering import clean_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocsflake.lake.storage import Storage, StoredObject

__all__ = ["Replicated", "replicate"]

_PIECE = 8 * 1024 * 1024


@frozen
class Replicated:
    """What was copied.

    Attributes:
        objects: Objects copied.
        bytes: Their size.
        there: Objects that the roll-up lake had already.
        outside: Objects that do not follow the layout.
        held: Partitions in which one of the two lakes was compacted after they were copied. Nothing of them is copied,
            since that would double rows; remove them from the roll-up lake to copy them anew. Objects of other lakes
            hold nothing back.
    """

    objects: int = 0
    bytes: int = 0
    there: int = 0
    outside: int = 0
    held: tuple[str, ...] = ()

    def __str__(self) -> str:
        held = f", {len(self.held):,} partitions held: {', '.join(self.held[:3])}" if self.held else ""
        copied = f"{self.objects:,} objects copied ({self.bytes:,} bytes), {self.there:,} were there already"
        return clean_line(copied + held)


def replicate(origin: Storage, target: Storage, *, prefix: str = "ext/") -> Replicated:
    """Copy what the roll-up lake does not have yet; an object of the same key and size counts as had.

    Compact the roll-up lake or its origins only when their days are complete there.

    Args:
        origin: Where the objects are.
        target: The roll-up lake.
        prefix: Only what is below it.

    Raises:
        ConfigError: If both are one.
        LakeError: If an object cannot be read or put. What was copied stays, and another call goes on from there.
    """
    if origin == target:
        raise ConfigError("a lake cannot be replicated to itself")
    objects = size = already = outside = 0
    held: list[str] = []
    for folder, items in groupby(origin.objects(prefix), lambda item: item.key.rpartition("/")[0]):
        found = []
        for item in items:
            if parse_key(item.key):
                found.append(item)
            else:
                outside += 1
        had = {item.key: item for item in target.objects(f"{folder}/") if parse_key(item.key)} if found else {}
        missing = [item for item in found if item.key not in had or had[item.key].bytes != item.bytes]
        others = [had[key] for key in had.keys() - {item.key for item in found}]
        if missing and others and not _names(origin, missing).isdisjoint(_names(target, others)):
            held.append(folder)
            continue
        already += len(found) - len(missing)
        for item in missing:
            _copy(origin, target, item)
            objects, size = objects + 1, size + item.bytes
    return Replicated(objects, size, already, outside, tuple(held))


def _names(storage: Storage, items: Sequence[StoredObject]) -> set[str]:
    """Return the names of objects, and of those that a compaction made them of."""
    names = {item.key.rpartition("/")[2] for item in items}
    for item, footer in footers(storage, items):
        try:
            names |= footer.made_of
        except ValueError as error:
            raise LakeError(f"{item.key}: what it was made of cannot be read", path=item.key) from error
    return names


def _copy(origin: Storage, target: Storage, item: StoredObject) -> None:
    scratch = target.scratch()
    try:
        file = scratch / "object"
        with origin.open(item.key) as source, lake_errors(file), file.open("wb") as copy:
            while piece := source.read(_PIECE):
                copy.write(piece)
        target.put(file, item.key)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
