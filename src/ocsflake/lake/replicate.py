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

from ocsflake.errors import ConfigError
from ocsflake.lake.layout import parse_key
from ocsflake.lake.storage import lake_errors

if TYPE_CHECKING:
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
            since that would double rows; remove them from the roll-up lake to copy them anew.
    """

    objects: int = 0
    bytes: int = 0
    there: int = 0
    outside: int = 0
    held: tuple[str, ...] = ()

    def __str__(self) -> str:
        held = f", {len(self.held):,} partitions held: {', '.join(self.held[:3])}" if self.held else ""
        return f"{self.objects:,} objects copied ({self.bytes:,} bytes), {self.there:,} were there already{held}"


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
    listed = []
    for item in origin.objects(prefix):
        if parse_key(item.key):
            listed.append(item)
        else:
            outside += 1
    for folder, items in groupby(listed, lambda item: item.key.rpartition("/")[0]):
        found = list(items)
        had = {item.key: item.bytes for item in target.objects(f"{folder}/") if parse_key(item.key)}
        if had.keys() - {item.key for item in found}:
            held.append(folder)
            continue
        missing = [item for item in found if had.get(item.key) != item.bytes]
        already += len(found) - len(missing)
        for item in missing:
            _copy(origin, target, item)
            objects, size = objects + 1, size + item.bytes
    return Replicated(objects, size, already, outside, tuple(held))


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
