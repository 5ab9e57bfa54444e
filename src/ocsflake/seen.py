"""Which records were taken already, where a source may give one more than once.

Windows of an API overlap so that nothing late is lost, and queues deliver at least once. Such a source gives the
service's own id of each record; the ids of committed splits stay in the checkpoint, as digests of 12 bytes, until the
source says that they cannot come again.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

from attrs import evolve

from ocsflake.marks import among, mark_of, pack, unpack
from ocsflake.model import Overlaps, Split

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ocsflake.model import RawBatch, Source, State

__all__ = ["Seen", "decoded", "encoded"]


def decoded(doc: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checkpoint with its ids as bytes: there may be a million, and they are looked through as they are."""
    return {**doc, "seen": [[*where, b64decode(ids)] for *where, ids in doc.get("seen") or ()]}


def encoded(doc: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checkpoint with its ids as text, as it is kept."""
    return {**doc, "seen": [[*where, b64encode(ids).decode()] for *where, ids in doc.get("seen") or ()]}


class Seen:
    """The ids of one source: those of earlier commits, and those of the commit under way.

    Args:
        doc: The checkpoint, as `decoded` gives it.

    Attributes:
        dropped: How many records of the commit under way were taken already.
    """

    def __init__(self, doc: Mapping[str, Any]) -> None:
        self.dropped = 0
        self._stored: list[list[Any]] = list(doc.get("seen") or ())
        self._known: set[bytes] = set()
        self._new: dict[str, set[bytes]] = {}
        intended = (doc.get("intent") or {}).get("ids")
        self._intended = None if intended is None else {name: unpack(ids) for name, ids in intended.items()}

    def new(self, raws: Iterable[RawBatch], split: Split) -> Iterator[RawBatch]:
        """Yield the records of a split without those that were taken already.

        When an interrupted commit is repeated, what came meanwhile is left for a later split.
        """
        found = self._new.setdefault(split.id, set())
        intended = None if self._intended is None else self._intended.get(split.id, set())
        for raw in raws:
            if raw.ids is None:
                yield raw
                continue
            kept = []
            marks = [mark_of(name) for name in raw.ids]
            stored = among(marks, [ids for *_, ids in self._stored])  # a set of all takes seven times the memory
            for place, mark in enumerate(marks):
                if mark in stored or mark in self._known:
                    self.dropped += 1
                elif intended is None or mark in intended:
                    self._known.add(mark)
                    found.add(mark)
                    kept.append(place)
            if kept:
                yield raw if len(kept) == len(raw.ids) else _only(raw, kept)

    def taken(self) -> dict[str, str]:
        """Return the ids of the commit under way, by split; what a repeat of it must take, and nothing else."""
        return {name: pack(found) for name, found in self._new.items() if found}

    def after(self, source: Source, state: State, splits: Sequence[Split]) -> list[list[Any]]:
        """Return what the checkpoint holds once `splits` are durable."""
        entries = [*self._stored]
        entries += [[s.id, _place(s), b"".join(sorted(self._new[s.id]))] for s in splits if self._new.get(s.id)]
        if not isinstance(source, Overlaps):
            return entries
        return [entry for entry in entries if not source.forgets(state, Split(entry[0], entry[1]))]


def _place(split: Split) -> dict[str, Any]:
    """Return the detail of a split without the records that a queue gave, which it is only read from."""
    return {name: value for name, value in split.detail.items() if name != "messages"}


def _only(raw: RawBatch, places: Sequence[int]) -> RawBatch:
    import pyarrow as pa

    records: Any = raw.records
    kept = records.take(pa.array(places)) if isinstance(records, pa.RecordBatch) else [records[p] for p in places]
    return evolve(raw, records=kept, ids=None)
