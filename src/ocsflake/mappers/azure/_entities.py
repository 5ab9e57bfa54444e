"""Parts of Microsoft's alerts: entities that refer to each other, steps, tactics and techniques."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["percent", "resolved", "steps", "tactics", "technique_names", "techniques"]

_Texts = list[str | None] | None
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXTS = msgspec.json.Decoder(list[str])
_REFERENCE = re.compile(rb'\{\s*"\$ref"\s*:\s*"([^"\\]*)"\s*\}')
_NAMED = re.compile(r"(?s)(.+?) ?\((T[0-9]{4}(?:\.[0-9]{3})?)\)")
_MOST_BYTES = 1 << 20
"""Entities that would grow beyond this keep their references: few bytes could ask for very many."""
_ERRORS = (msgspec.DecodeError, RecursionError)


def resolved(entities: pa.Array) -> pa.Array:
    """Return lists of entities, each JSON, with every ``{"$ref": "3"}`` replaced by the entity whose ``$id`` is 3.

    References within an entity that was put in stay as they are, so no circle of references is followed.
    """
    if not pa.types.is_list(entities.type):
        return entities
    rows = [
        None if row is None else _resolved([(text or "null").encode() for text in row]) for row in entities.to_pylist()
    ]
    return pa.array(rows, pa.list_(pa.binary()))


def steps(texts: pa.Array) -> pa.Array:
    """Return the texts of a JSON list as lines; any other text as it is."""
    return pa.array(["\n".join(_texts(text or "[]")) or None for text in texts.to_pylist()], pa.string())


def tactics(names: pa.Array, technique_ids: pa.Array) -> pa.Array:
    """Return the names of tactics, each in its place in the list of attacks: before the techniques."""
    return pa.array([_attacks(*row)[0] for row in _rows(names, technique_ids)], pa.list_(pa.string()))


def techniques(names: pa.Array, technique_ids: pa.Array) -> pa.Array:
    """Return the ids of techniques, each in its place in the list of attacks: behind the tactics."""
    return pa.array([_attacks(*row)[1] for row in _rows(names, technique_ids)], pa.list_(pa.string()))


def technique_names(names: pa.Array, technique_ids: pa.Array) -> pa.Array:
    """Return the names of techniques where they are written as ``Valid Accounts (T1078)``, in the same places."""
    return pa.array([_attacks(*row)[2] for row in _rows(names, technique_ids)], pa.list_(pa.string()))


def percent(scores: pa.Array) -> pa.Array:
    """Return scores between 0 and 1 as whole numbers up to 100; what is no such score becomes null."""
    return pa.array([_percent(score) for score in scores.to_pylist()], pa.int32())


def _resolved(entities: Sequence[bytes]) -> list[bytes]:
    if not any(b"$ref" in entity for entity in entities):
        return list(entities)
    known: dict[bytes, bytes] = {}
    for entity in entities:
        known |= dict(_named(entity))
    return [_with_references(entity, known) for entity in entities]


def _named(entity: bytes, depth: int = 1) -> Iterator[tuple[bytes, bytes]]:
    """Yield the ids of an entity, and of those that stand within it, with their JSON."""
    try:
        members = _OBJECT.decode(entity)
    except _ERRORS:
        return
    if depth:
        for value in members.values():
            yield from _named(bytes(value), depth - 1)
    if "$id" in members:
        yield bytes(members["$id"]).strip(b'"'), entity


def _with_references(entity: bytes, known: Mapping[bytes, bytes]) -> bytes:
    size = sum(len(known.get(name, b"")) for name in _REFERENCE.findall(entity))
    if size > _MOST_BYTES:
        return entity
    return _REFERENCE.sub(lambda match: known.get(match.group(1), match.group(0)), entity)


def _texts(text: str) -> list[str]:
    if text.lstrip()[:1] == "[":
        try:
            return _TEXTS.decode(text)
        except _ERRORS:
            pass
    return [text]


def _rows(names: pa.Array, technique_ids: pa.Array) -> Iterator[tuple[str | None, str | None]]:
    return zip(names.to_pylist(), technique_ids.to_pylist(), strict=True)


def _attacks(names: str | None, technique_ids: str | None) -> tuple[_Texts, _Texts, _Texts]:
    """Return tactics, and ids and names of techniques, in lists of one length: which belong together, no alert says."""
    found = [word for word in _words(names) if word != "Unknown"]
    pairs = [_technique(word) for word in _words(technique_ids)]
    if not found and not pairs:
        return None, None, None
    before: list[str | None] = [None] * len(found)
    return [*found, *([None] * len(pairs))], [*before, *(uid for uid, _ in pairs)], [*before, *(n for _, n in pairs)]


def _technique(word: str) -> tuple[str, str | None]:
    named = _NAMED.fullmatch(word)
    return (named.group(2), named.group(1)) if named else (word, None)


def _words(text: str | None) -> list[str]:
    """Return the words of ``A, B``, or of a JSON list of texts."""
    return [word.strip() for part in _texts(text or "") for word in part.split(",") if word.strip()]


def _percent(score: str | None) -> int | None:
    if score is None or not re.fullmatch(r"0(?:\.\d{1,17})?|1(?:\.0{1,17})?", score):
        return None
    return round(float(score) * 100)
