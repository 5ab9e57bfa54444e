"""The JSON shredder: raw records in, one Arrow column for each path that a mapper names, and all else as leftovers.

msgspec cuts each object into the raw JSON of its members; members that a mapper names are taken out one column at a
time, and what then is left in the objects is what nobody named. Values stay the bytes that came, until an attribute
asks for text, a number or a time.
"""

from __future__ import annotations

import contextlib
import functools
import gc
from array import array
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec.structs import astuple

from ocsflake.mapping import paths
from ocsflake.mapping.frame import Frame
from ocsflake.mapping.leftovers import Collector
from ocsflake.mapping.lists import relist
from ocsflake.mapping.records import MAX_RECORD, problem, repair_surrogates
from ocsflake.mapping.rejects import Reject
from ocsflake.mapping.shapes import shapes_of
from ocsflake.mapping.values import starts, token_column, with_nulls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ocsflake.mapping.frame import Node
    from ocsflake.mapping.shapes import Shape

    Inner = Callable[[Sequence[Any], str, Collector | None], dict[str, pa.Array]]

__all__ = ["below", "column_frame", "decode_lists", "paused_gc", "shred_records", "shred_values", "structs_of"]

_SCALARS = (
    pa.types.is_string,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_boolean,
    pa.types.is_timestamp,
    pa.types.is_date,
    pa.types.is_decimal,
    pa.types.is_null,
)

Object = dict[str, msgspec.Raw]
_OBJECT = msgspec.json.Decoder(Object)
_OBJECT_OR_NULL = msgspec.json.Decoder(Object | None)
_LIST_OR_NULL = msgspec.json.Decoder(list[msgspec.Raw] | None)
_ANY = msgspec.json.Decoder(msgspec.Raw)
_NOTHING: Object = {}
_NO_PLAIN_TEXT = rb'^(?:[^"n]|"\s*[{\[\\])'
"""What is neither null, nor text that holds no JSON."""
_JSON_ERRORS = (msgspec.DecodeError, RecursionError)


def column_frame(batch: pa.RecordBatch, origin: Mapping[str, str], root: Node | None = None) -> Frame:
    """Return a frame of records that came as Arrow columns; raw bytes are their JSON.

    Nested columns of which `root` names parts are taken apart as JSON is.
    """

    def records(numbers: Sequence[int]) -> list[bytes]:
        rows = batch.take(pa.array(numbers, pa.int64())).to_pylist(maps_as_pydicts="lossy")
        return [_as_json({k: v for k, v in row.items() if v is not None}) for row in rows]

    columns: dict[str, pa.Array] = {}
    left = Collector()
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        found, node = _plain(column), root.children.get(name) if root else None
        if node and not node.whole and pa.types.is_binary(found.type):
            columns |= below([value or b"" for value in found.to_pylist()], node, paths.quote(name), left)
        else:
            columns[paths.quote(name)] = found
    return Frame(
        rows=batch.num_rows,
        columns=columns,
        leftovers=left.leftovers(),
        records=records,
        record_of=None,
        read=batch.num_rows,
        origins=((batch.num_rows, origin),),
    )


def shred_values(tokens: pa.Array, node: Node, path: str) -> dict[str, pa.Array]:
    """Return the columns of what `node` names below a column of JSON tokens, of text that holds JSON, or lists of them.

    Leftovers are not collected: the column itself holds them.
    """
    if pa.types.is_list(tokens.type):
        return {name: relist(tokens, column) for name, column in shred_values(tokens.flatten(), node, path).items()}
    values: list[Any] = [b"" if v is None else v for v in tokens.cast(pa.binary()).to_pylist()]
    with paused_gc():
        found = below(values, node, path, None)
    return {name: with_nulls(column) for name, column in found.items()}


def shred_records(
    records: Sequence[bytes],
    rejects: Sequence[Reject],
    origin: Mapping[str, str],
    root: Node,
    skip: tuple[tuple[str, str], ...],
    structs: Sequence[msgspec.Struct] | None = None,
) -> Frame:
    """Return the frame of some records, and of what was no record; `structs` are they, if that was looked up."""
    bad = [Reject(r.record, r.reason, r.attribute, origin) for r in rejects]
    left = Collector()
    shapes = shapes_of(root)
    structs = structs or structs_of(records, root)
    kept, skipped = records, dict[str, int]()
    if structs and shapes.shape is not None:
        columns = _known_members(structs, shapes.shape, "", left)
    else:
        objects, kept, skipped = _objects(records, origin, bad, skip)
        columns = _members(objects, root, "", left)
        left.take(objects, "")
        shapes.learn(kept)
    return Frame(
        rows=len(kept),
        columns=columns,
        leftovers=left.leftovers(),
        records=lambda numbers: [bytes(kept[n]) for n in numbers],
        record_of=None,
        read=len(kept),
        origins=((len(kept), origin),) if kept else (),
        rejects=tuple(bad),
        skipped=skipped,
    )


def structs_of(records: Sequence[bytes], root: Node) -> list[msgspec.Struct] | None:
    """Return records as structs, ``None`` if one of them has not the shape that is known, or is too long."""
    return shapes_of(root).decode(records) if max(map(len, records), default=0) <= MAX_RECORD else None


def _objects(
    records: Sequence[bytes], origin: Mapping[str, str], bad: list[Reject], skip: tuple[tuple[str, str], ...]
) -> tuple[list[Object], Sequence[bytes], dict[str, int]]:
    """Decode records; what is too long, no object or none of ours is left out."""
    skipped: dict[str, int] = {}
    if max(map(len, records), default=0) <= MAX_RECORD:
        with contextlib.suppress(*_JSON_ERRORS):
            objects = list(map(_OBJECT.decode, records))
            if not any(key in found for found in objects for _, key in skip):
                return objects, records, skipped
    objects, kept = [], []
    for record in records:
        if len(record) > MAX_RECORD:
            bad.append(Reject(bytes(record), f"{len(record):,} bytes, at most {MAX_RECORD:,} are taken", "", origin))
            continue
        try:
            found = _decode(record)
        except _JSON_ERRORS as error:
            bad.append(Reject(bytes(record), _why(error), "", origin))
            continue
        name = next((name for name, key in skip if key in found), None)
        if name is None:
            objects.append(found)
            kept.append(record)
        else:
            skipped[name] = skipped.get(name, 0) + 1
    return objects, kept, skipped


def _decode(record: bytes) -> Object:
    try:
        return _OBJECT.decode(record)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        return _OBJECT.decode(repair_surrogates(bytes(record)))


def _why(error: Exception) -> str:
    if isinstance(error, msgspec.ValidationError):
        return f"a JSON object is due: {str(error)[:100]}"
    return problem(error)


def _members(objects: Sequence[Object], node: Node, prefix: str, left: Collector | None) -> dict[str, pa.Array]:
    """Take the named members out of objects; each becomes a column, and so does what is named below it."""
    columns: dict[str, pa.Array] = {}
    in_list = paths.EACH in prefix  # elements without a value are elements, and so in every batch
    held: set[str] = set().union(*objects)  # a mapper names the paths of every shape, most of which are not here
    for key, child in node.children.items():
        if key not in held and not in_list:
            continue
        tokens: list[Any] = [found.pop(key, b"") for found in objects]
        if any(tokens) or in_list:
            path = prefix + paths.quote(key)
            if child.whole:
                columns[path] = token_column(tokens)
            else:
                columns |= below(tokens, child, path, left)
    return columns


def _known_members(
    structs: Sequence[msgspec.Struct], shape: Shape, prefix: str, left: Collector
) -> dict[str, pa.Array]:
    """Return what `_members` would, of objects whose shape is known."""
    in_list = paths.EACH in prefix
    if not structs:
        return _members([], shape.node, prefix, left) if in_list else {}
    columns: dict[str, pa.Array] = {}
    for member, values in zip(shape.members, zip(*map(astuple, structs), strict=True), strict=True):
        if not any(values) and not in_list:
            continue
        path = prefix + paths.quote(member.key)
        if member.shape is not None and member.listed:
            columns |= _listed(values, functools.partial(_known_elements, member.shape), path, left)
        elif member.shape is not None:
            columns |= _known_elements(member.shape, values, path, left)
        elif member.node is None:
            left.take_column(values, path)
        elif member.node.whole:
            columns[path] = token_column(values)
        else:
            columns |= below(values, member.node, path, left)
    return columns


def _known_elements(shape: Shape, values: Sequence[Any], path: str, left: Collector | None) -> dict[str, pa.Array]:
    assert left is not None
    structs = [shape.empty if value is None else value for value in values]
    return _known_members(structs, shape, path + ".", left)


def below(tokens: Sequence[Any], node: Node, path: str, left: Collector | None) -> dict[str, pa.Array]:
    """Return the columns below one member, which may be an object, a list, or text that holds either."""
    if node.each:
        return _elements(tokens, node.each[0], path, left)
    objects = _decode_all(tokens, _OBJECT_OR_NULL.decode, path, left)
    columns = _members(objects, node, path + ".", left)
    if left is not None:
        left.take(objects, path + ".")
    return columns


def _elements(tokens: Sequence[Any], node: Node, path: str, left: Collector | None) -> dict[str, pa.Array]:
    """Return list columns of what is named in the elements of a list; an object counts as a list of one."""

    def inner(elements: Sequence[Any], path: str, left: Collector | None) -> dict[str, pa.Array]:
        return {path: token_column(elements)} if node.whole else below(elements, node, path, left)

    return _listed(_decode_all(tokens, _list_or_object, path, left), inner, path, left)


def _listed(lists: Sequence[Any], inner: Inner, path: str, left: Collector | None) -> dict[str, pa.Array]:
    """Return list columns of what `inner` makes of the elements of all lists."""
    offsets = array("i", [0])
    elements: list[Any] = []
    owners: list[int] = []
    for number, found in enumerate(lists):
        if found:
            elements += found
            owners += [number] * len(found)
        offsets.append(len(elements))
    if not elements and paths.EACH not in path:
        return {}
    if left is not None:
        outer = left.rows
        left.rows = owners if outer is None else [outer[n] for n in owners]
    columns = inner(elements, path + paths.EACH, left)
    if left is not None:
        left.rows = outer
    places = pa.array(offsets, pa.int32())
    absent = pa.array([not found for found in lists], pa.bool_())  # an empty list is no list
    return {name: pa.ListArray.from_arrays(places, column, mask=absent) for name, column in columns.items()}


def _decode_all(tokens: Sequence[Any], decode: Callable[[Any], Any], path: str, left: Collector | None) -> list[Any]:
    nothing: Any = _NOTHING
    try:
        return [(decode(token) or nothing) if token else nothing for token in tokens]
    except _JSON_ERRORS:
        pass
    if not pc.any(pc.match_substring_regex(token_column(tokens), pattern=_NO_PLAIN_TEXT)).as_py():
        if left is not None:
            left.take_column(tokens, path)
        return [nothing] * len(tokens)
    found = []
    for number, token in enumerate(tokens):
        value: Any = nothing
        if token:
            try:
                value = decode(_inner_json(token)) or nothing
            except _JSON_ERRORS:
                if left is not None:
                    left.add(number, path, token)
        found.append(value)
    return found


def decode_lists(tokens: Sequence[Any], path: str, left: Collector) -> list[Any]:
    """Return the elements of values at a path, an object being one; what is neither is left over."""
    return _decode_all(tokens, _list_or_object, path, left)


def _inner_json(token: Any) -> bytes:
    """Return the JSON that a text holds (dynamic columns come so), any other value as it is."""
    value = bytes(token)
    if value[:1] == b'"':
        text = msgspec.json.decode(value, type=str)
        if text.lstrip()[:1] in ("{", "["):
            with contextlib.suppress(*_JSON_ERRORS):
                return bytes(_ANY.decode(text.encode()))
    return value


def _list_or_object(token: Any) -> list[Any] | None:
    return [token] if starts(token) == b"{" else _LIST_OR_NULL.decode(token)


def _plain(column: pa.Array) -> pa.Array:
    """Return a column of scalars without dictionaries or large offsets; anything else as JSON tokens."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return column.cast(pa.string())
    if any(is_kind(kind) for is_kind in _SCALARS):
        return column
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        values = column.to_pylist()
        return pa.array([None if value is None else value.decode(errors="replace") for value in values], pa.string())
    values = column.to_pylist(maps_as_pydicts="lossy")
    return pa.array([None if value is None else _as_json(value) for value in values], pa.binary())


def _as_json(value: Any) -> bytes:
    return msgspec.json.encode(_decoded(value), enc_hook=str)


def _decoded(value: Any) -> Any:
    """Return a value of Arrow's without bytes, which JSON does not know."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, dict):
        return {str(key): _decoded(inner) for key, inner in value.items()}
    return [_decoded(inner) for inner in value] if isinstance(value, list) else value


@contextlib.contextmanager
def paused_gc() -> Iterator[None]:
    """Pause the garbage collector: many small objects are made here, none of them in a cycle."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
