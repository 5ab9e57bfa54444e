"""The leaves of nested JSON values: the scalars that objects and lists hold, each at its path.

Values that stand at one place mostly have one form. msgspec then decodes all of them to structs of that form, and each
member becomes a column at once; values of other forms are taken apart one by one. Both ways give the same leaves: the
values of a list are joined by ``,``, in their order; JSON null is no leaf; a number is text as it is spelt.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import re
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from attrs import frozen
from msgspec.structs import astuple

from ocsflake.mapping import paths
from ocsflake.mapping.values import is_nested, starts, token_column, token_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Leaves = tuple[pa.Array, pa.Array, pa.Array]

__all__ = ["joined", "leaves"]

_FEW = 16
"""Values that are taken apart sooner than their form is known."""
_SAMPLE = 16
_CHUNK = 1000
"""Values whose structs fit into a processor's cache."""
_MOST_LEAVES = 64
"""What has more leaves is a map, whose keys are data."""
_LONGEST = 256
"""Characters of the longest path that is looked below: short values below a long path would fill the memory with it."""

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_NATIVE = msgspec.json.Decoder(float_hook=str)
"""Whole numbers are spelt one way, but for minus nought; all others stay text."""
_ERRORS = (msgspec.DecodeError, RecursionError)

_MINUS_ZERO = re.compile(rb"-0(?![0-9.eE])")
_WORDS = {True: "true", False: "false"}
_NO_FIELD = re.compile(r'[\\"\x00-\x1f]')
"""What msgspec takes in no name of a struct's field."""
_NO_LEAF = pa.array([b"", b"null", b"{}", b"[]"], pa.binary())
_ABSENT = msgspec.Raw(b"")
_ZERO = pa.array([0], pa.int32())
_TRUE = pa.array([True])


@frozen
class _Form:
    """What the values at one place are: objects of `members`, lists of `each`, scalars where both are missing."""

    members: tuple[tuple[str, _Form], ...] = ()
    each: _Form | None = None


_SCALAR = _Form()


def leaves(rows: pa.Array, keys: pa.Array, tokens: pa.Array) -> Iterator[Leaves]:
    """Yield the leaves below values: rows (int32), paths and texts, three columns of one length.

    Args:
        rows: The row of each value, in ascending order where a path stands more than once in succession.
        keys: The path of each value.
        tokens: The values, JSON tokens.
    """
    few = []
    start = 0
    for end in pc.run_end_encode(keys.dictionary_encode().indices).run_ends.to_pylist():
        values = tokens[start:end].to_pylist() if end - start > _FEW else []
        found = _by_form(keys[start].as_py(), rows[start:end], values) if values else None
        if found is None:
            few.append((start, end))
        else:
            yield from found
        start = end
    if few:
        chosen = pa.array([number for run in few for number in range(*run)], pa.int32())
        yield _by_value(rows.take(chosen), keys.take(chosen), tokens.take(chosen))


def _by_form(path: str, rows: pa.Array, tokens: Sequence[bytes]) -> list[Leaves] | None:
    """Return the leaves of values that have one form, ``None`` if they have not."""
    numbers = rows.to_pylist()
    found: list[Leaves] = []
    start = 0
    try:
        form = _form_of(tokens[:: -(-len(tokens) // _SAMPLE)], path, _SCALAR)
        while start < len(tokens):
            last = min(start + _CHUNK, len(tokens)) - 1
            end = bisect.bisect_right(numbers, numbers[last], last)  # the values of a row stay together
            try:
                values = list(map(_decoder(form), tokens[start:end]))
            except _ERRORS:
                form = _form_of(tokens[start:end], path, form)
                values = list(map(_decoder(form), tokens[start:end]))
            found += _columns(form, path, rows[start:end], values)
            start = end
    except (*_ERRORS, TypeError):
        return None
    return found


def _form_of(tokens: Iterable[bytes], path: str, form: _Form) -> _Form:
    """Return the form that fits values at a path beside those of a known form.

    Raises:
        msgspec.DecodeError: If a value is no JSON.
        RecursionError: If it is nested too deeply.
        TypeError: If no form fits, or none that msgspec takes.
    """
    for token in tokens:
        wider = _wider(form, _form(_NATIVE.decode(token)))
        if wider is not form and not _fits(wider, path, [_MOST_LEAVES]):
            raise TypeError
        form = wider
    return form


def _form(value: Any) -> _Form:
    if isinstance(value, dict):
        return _Form(tuple((key, _form(inner)) for key, inner in value.items()))
    if isinstance(value, list):
        return _Form(each=functools.reduce(_wider, map(_form, value), _SCALAR))
    return _SCALAR


def _wider(first: _Form, second: _Form) -> _Form:
    """Return the form of the values of two.

    Raises:
        TypeError: If one is a list, and the other an object.
    """
    if first == second or second == _SCALAR:
        return first
    if first == _SCALAR:
        return second
    if first.each is not None and second.each is not None:
        return _Form(each=_wider(first.each, second.each))
    if first.each is not None or second.each is not None:
        raise TypeError
    members = dict(first.members)
    for key, form in second.members:
        members[key] = _wider(members[key], form) if key in members else form
    return _Form(tuple(members.items()))


def _fits(form: _Form, path: str, left: list[int]) -> bool:
    """Return whether a form has few enough leaves, at paths that are short enough, of names that msgspec takes."""
    if form == _SCALAR:
        left[0] -= 1
        return left[0] >= 0
    if len(path) > _LONGEST:
        return False
    if form.each is not None:
        return _fits(form.each, path + paths.EACH, left)
    return all(
        not _NO_FIELD.search(key) and _fits(inner, f"{path}.{paths.quote(key)}", left) for key, inner in form.members
    )


@functools.lru_cache(maxsize=256)
def _decoder(form: _Form) -> Any:
    return msgspec.json.Decoder(_kind(form)).decode


def _kind(form: _Form) -> Any:
    """Return the type that msgspec decodes values of a form to."""
    if form.each is not None:
        return list[_kind(form.each)] | None  # type: ignore[misc]
    if not form.members:
        return msgspec.Raw
    fields: list[Any] = []
    for number, (key, inner) in enumerate(form.members):
        default = _ABSENT if inner == _SCALAR else None
        fields.append((f"member_{number}", _kind(inner), msgspec.field(name=key, default=default)))
    return msgspec.defstruct("Seen", fields, forbid_unknown_fields=True, gc=False) | None


def _columns(form: _Form, path: str, rows: pa.Array, values: Sequence[Any]) -> Iterator[Leaves]:
    """Yield the leaves of decoded values."""
    if form == _SCALAR:
        yield from _scalars(path, rows, values)
        return
    if not all(values):  # null, absent, an empty list
        rows = rows.filter(pa.array(list(map(bool, values)), pa.bool_()))
        values = list(filter(None, values))
    if form.each is not None:
        rows = _repeated(rows, list(map(len, values)))
        yield from _columns(form.each, path + paths.EACH, rows, list(itertools.chain.from_iterable(values)))
        return
    for (key, inner), column in zip(form.members, zip(*map(astuple, values), strict=True), strict=False):
        yield from _columns(inner, f"{path}.{paths.quote(key)}", rows, column)


def _repeated(rows: pa.Array, counts: Sequence[int]) -> pa.Array:
    """Return each row as often as it has elements."""
    ends = pa.concat_arrays([_ZERO, pc.cumulative_sum(pa.array(counts, pa.int32()))])
    return rows.take(pc.list_parent_indices(pa.ListArray.from_arrays(ends, pa.nulls(ends[-1].as_py()))))


def _scalars(path: str, rows: pa.Array, values: Sequence[bytes]) -> Iterator[Leaves]:
    """Yield the leaves of values that are scalars, as far as their form is known."""
    tokens = token_column(values)
    absent = pc.is_in(tokens, value_set=_NO_LEAF)
    if pc.any(absent).as_py():
        present = pc.invert(absent)
        rows, tokens = rows.filter(present), tokens.filter(present)
    if pc.any(is_nested(tokens)).as_py():
        yield _by_value(rows, pa.repeat(pa.scalar(path), len(rows)), tokens)
    elif len(rows):
        yield joined(rows, pa.repeat(pa.scalar(path), len(rows)), token_text(tokens))


def joined(rows: pa.Array, keys: pa.Array, texts: pa.Array) -> Leaves:
    """Return one text for each row and key, those that follow one another joined by ``,``."""
    same = pc.equal(rows[1:], rows[:-1])
    if not pc.any(same).as_py():
        return rows, keys, texts
    same = pc.and_(same, pc.equal(keys[1:], keys[:-1]))
    starts = pc.indices_nonzero(pa.concat_arrays([_TRUE, pc.invert(same)])).cast(pa.int32())
    ends = pa.concat_arrays([starts, pa.array([len(rows)], pa.int32())])
    return rows.take(starts), keys.take(starts), pc.binary_join(pa.ListArray.from_arrays(ends, texts), ",")


def _by_value(rows: pa.Array, keys: pa.Array, tokens: pa.Array) -> Leaves:
    """Return the leaves of values one by one; what came before is not looked at again."""
    found: dict[tuple[int, str], list[str]] = {}
    seen: dict[tuple[str, bytes], dict[str, str]] = {}
    for row, key, token in zip(*(column.to_pylist() for column in (rows, keys, tokens)), strict=True):
        inner = seen.get((key, token))
        if inner is None:
            inner = seen[key, token] = _leaves_of(token, key)
        for leaf, text in inner.items():
            found.setdefault((row, leaf), []).append(text)
    return (
        pa.array([row for row, _ in found], pa.int32()),
        pa.array([leaf for _, leaf in found], pa.string()),
        pa.array([",".join(texts) for texts in found.values()], pa.string()),
    )


def _leaves_of(token: bytes, path: str) -> dict[str, str]:
    """Return the leaves below one raw value: path to text.

    An object or a list that stands too deep is a leaf of its own, and its JSON the text.
    """
    found: dict[str, list[str]] = {}
    try:
        if not _MINUS_ZERO.search(token):
            _gather(_NATIVE.decode(token), path, found)
            return {where: ",".join(values) for where, values in found.items()}
    except _ERRORS:
        found.clear()
    pending: list[tuple[str, bytes]] = [(path, token)]
    while pending:
        where, value = pending.pop()
        start = starts(value)
        inner = _inner(where, value, start) if start in (b"{", b"[") else None
        if inner is not None:
            pending += reversed(inner)
        elif start == b'"':
            found.setdefault(where, []).append(msgspec.json.decode(value, type=str))
        elif start != b"n":
            found.setdefault(where, []).append(bytes(value).decode())
    return {where: ",".join(values) for where, values in found.items()}


def _gather(value: Any, where: str, found: dict[str, list[str]]) -> None:
    """Gather the leaves of a decoded value, each as it is spelt."""
    if isinstance(value, str):
        found.setdefault(where, []).append(value)
    elif isinstance(value, dict):
        if len(where) > _LONGEST:
            raise RecursionError
        for key, inner in value.items():
            _gather(inner, f"{where}.{paths.quote(key)}", found)
    elif isinstance(value, list):
        if len(where) > _LONGEST:
            raise RecursionError
        for inner in value:
            _gather(inner, where + paths.EACH, found)
    elif value is not None:
        found.setdefault(where, []).append(_WORDS[value] if isinstance(value, bool) else str(value))


def _inner(where: str, value: bytes, start: bytes) -> list[tuple[str, bytes]] | None:
    """Return what an object or a list holds, with paths; ``None`` where that is too deep to look at."""
    if len(where) > _LONGEST:
        return None
    try:
        if start == b"{":
            return [(f"{where}.{paths.quote(key)}", inner) for key, inner in _OBJECT.decode(value).items()]
        return [(where + paths.EACH, element) for element in _LIST.decode(value)]
    except RecursionError:
        return None
