"""Finding drift while records are mapped, from what the engine has at hand anyway: leftovers, bad cells, ids of 99.

A cell that does not become its attribute's type is looked at, and so is the word behind an id of 99. Records that a
mapper knows cost next to nothing.
"""

from __future__ import annotations

import functools
import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.drift import LONGEST, Drift, shape
from ocsflake.mapping import expr as e
from ocsflake.mapping import paths
from ocsflake.mapping.derive import OTHER
from ocsflake.mapping.lists import fit
from ocsflake.mapping.values import scalar_text, starts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ocsflake.mapping.cast import Cell
    from ocsflake.mapping.evaluate import Columns
    from ocsflake.mapping.frame import Frame, Node
    from ocsflake.mapping.plan import CompiledEvent, CompiledMapper, EnumPlan, Field

__all__ = ["Noted"]

_KINDS = {b"{": "object", b"[": "list", b'"': "text", b"t": "boolean", b"f": "boolean"}
_NUMBER = re.compile(rb'"?-?[0-9][0-9.eE+-]*"?')
_TAKEN = {
    "string_t": {"text"},
    "integer_t": {"number"},
    "long_t": {"number"},
    "float_t": {"number"},
    "boolean_t": {"boolean"},
}
"""The JSON kinds that an attribute takes; where a value of one of them does not fit, it is no drift."""
_TEXTUAL = (e.Lookup, e.LookupPrefix, e.Lower, e.Extract, e.Split, e.Epoch)


class Noted:
    """What drifted in one frame."""

    def __init__(self) -> None:
        self._kinds: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        self._values: Counter[tuple[str, str]] = Counter()
        self._rows: set[int] = set()

    def cell(self, event: CompiledEvent, line: Field, cell: Cell, columns: Columns) -> None:
        """Note the kinds of raw values that did not become what their attribute is."""
        taken = {"text", "number"} if line.attribute.type == "timestamp_t" else _TAKEN.get(line.attribute.base)
        failed = [pc.fill_null(rows, False) for rows in (cell.bad, cell.refused) if rows is not None]
        if taken is None or not failed:
            return
        rows = pc.indices_nonzero(failed[0] if len(failed) == 1 else pc.or_(*failed))
        for path in line.expression.raw_paths():
            if any(use.attribute == line.path for use in event.uses.get(path, ())):
                self._note_kinds(paths.join(path), columns.exact(path).take(rows), _numbers(columns, rows), taken)

    def enum(self, plan: EnumPlan, ids: pa.Array, columns: Columns) -> None:
        """Note the words that the table of an enum lacks, and that 99 Other stands for."""
        if plan.word is None or not plan.known:
            return
        words, owners = columns.value(plan.word), None
        if pa.types.is_list(ids.type):
            if pa.types.is_list(ids.type.value_type):
                return
            words, owners, ids = fit(words, ids), pc.list_parent_indices(ids), ids.flatten()
        if pa.types.is_null(words.type) or pa.types.is_list(words.type):
            return
        other = pc.equal(ids, OTHER)
        if not pc.any(other).as_py():
            return
        places = pc.indices_nonzero(pc.fill_null(other, False))
        encoded = scalar_text(words.take(places)).dictionary_encode()
        new = pc.invert(pc.is_in(encoded.dictionary, value_set=pa.array(plan.known, pa.string())))
        if not pc.any(new).as_py():
            return
        missed = pc.fill_null(new.take(encoded.indices), False)
        rows = places.filter(missed)
        for found in pc.value_counts(encoded.filter(missed).cast(pa.string())).to_pylist():
            self._values[plan.path, found["values"][:LONGEST]] += found["counts"]
        self._rows.update(_numbers(columns, rows if owners is None else owners.take(rows)))

    def drift(self, compiled: CompiledMapper, frame: Frame) -> Drift:
        """Return all that was noted, with the raw paths that nobody named."""
        unknown, shapes = self._unknown(compiled, frame)
        for path in _looked_up(compiled):
            if path in frame.columns:
                self._nested(path, frame.columns[path])
        rows = self._rows.union(*self._kinds.values())
        if not rows:
            return Drift()
        if frame.record_of is not None:
            rows = set(frame.record_of.take(pa.array(sorted(rows), pa.int32())).to_pylist())
        kinds = {which: len(held) for which, held in self._kinds.items()}
        return Drift(len(rows), unknown, shapes, kinds, dict(self._values))

    def _unknown(self, compiled: CompiledMapper, frame: Frame) -> tuple[dict[str, int], dict[str, str]]:
        """Count the raw paths that neither a table nor the mapper's list of unmapped paths names."""
        left = frame.leftovers
        found = pc.value_counts(left.keys)
        counts = dict(zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True))
        named = [re.escape(path).replace(r"\.\*", r"[.\[].*") for path in compiled.mapper.unmapped]
        known = re.compile("|".join(named) or r"(?!)")
        unknown = {path: count for path, count in counts.items() if not known.fullmatch(path)}
        shapes: dict[str, str] = {}
        if unknown:
            new = pc.is_in(left.keys, value_set=pa.array(list(unknown), pa.string()))
            places = dict(_places(compiled.root, ""))
            misplaced = {path: which for path in unknown if (which := _misplaced(path, places))}
            leaves = (column.filter(new).to_pylist() for column in (left.rows, left.keys, left.values))
            for row, path, text in zip(*leaves, strict=True):
                if path in misplaced:
                    self._kinds[misplaced[path]].add(row)
                    unknown.pop(path, None)
                else:
                    self._rows.add(row)
                    if path not in shapes:
                        shapes[path] = shape(text)
        for name, column in frame.columns.items():  # what a text or Parquet file has beside those that are named
            new = paths.parse(name)[0] not in compiled.root.children and not known.fullmatch(name)
            if new and column.null_count < len(column):
                rows = pc.indices_nonzero(column.is_valid()).to_pylist()
                self._rows.update(rows)
                unknown[name] = len(rows)
                shapes[name] = _shape_of(column[rows[0]])
        return dict(sorted(unknown.items())), shapes

    def _note_kinds(self, path: str, values: pa.Array, rows: Sequence[int], taken: set[str]) -> None:
        """Note the JSON kinds of values that are not `taken`; native values are what their file says they are."""
        owners = list(rows)
        while pa.types.is_list(values.type):
            owners = [owners[parent] for parent in pc.list_parent_indices(values).to_pylist()]
            values = values.flatten()
        if not pa.types.is_binary(values.type):
            return
        for row, token in zip(owners, values.to_pylist(), strict=True):
            if token is None or ("number" in taken and _NUMBER.fullmatch(token)):  # text that holds a number will do
                continue
            kind = _KINDS.get(starts(token), "number")
            if kind not in taken:
                self._kinds[path, kind].add(row)

    def _nested(self, path: str, values: pa.Array) -> None:
        """Note the objects and lists among values that are looked up as text."""
        if not pa.types.is_binary(values.type):
            return
        data = memoryview(values.buffers()[2] or b"").tobytes()
        if b"{" in data or b"[" in data:  # a fraction of what asking each value costs
            nested = pc.or_(pc.starts_with(values, pattern=b"{"), pc.starts_with(values, pattern=b"["))
            rows = pc.indices_nonzero(pc.fill_null(nested, False))
            self._note_kinds(path, values.take(rows), rows.to_pylist(), {"text", "number", "boolean"})


def _numbers(columns: Columns, rows: pa.Array) -> list[int]:
    """Return the numbers that rows of a table have in the frame."""
    found: list[int] = (rows if columns.selection is None else columns.selection.take(rows)).to_pylist()
    return found


def _places(node: Node, path: str) -> Iterator[tuple[str, bool]]:
    """Yield the raw paths of objects and lists that a mapper looks into, and whether each is a list."""
    if node.children or node.each:
        yield path, bool(node.each)
    for key, child in node.children.items():
        yield from _places(child, f"{path}.{paths.quote(key)}".lstrip("."))
    for child in node.each:
        yield from _places(child, path + paths.EACH)


def _misplaced(path: str, places: Mapping[str, bool]) -> tuple[str, str] | None:
    """Return the place at or above a raw path that is no object or list, although a mapper looks into it, and what."""
    if path in places:
        return path, "scalar"
    longest = max(map(len, places), default=0) + len(paths.EACH)  # a key of a megabyte is looked at no further
    end = path.find(paths.EACH, 0, longest)
    while end >= 0:
        if places.get(path[:end]) is False:
            return path[:end], "list"
        end = path.find(paths.EACH, end + 1, longest)
    return None


@functools.lru_cache(maxsize=128)
def _looked_up(compiled: CompiledMapper) -> tuple[str, ...]:
    """Return the raw paths whose values are looked up or taken apart as text, and never taken in full.

    Of those, no cell shows that a value became an object.
    """
    texts: set[paths.Path] = set()
    whole: set[paths.Path] = set()
    for event in compiled.events:
        for line in event.fields:
            for path, as_text in _read(line.expression, as_text=False):
                (texts if as_text else whole).add(path)
    return tuple(sorted(paths.join(path) for path in texts - whole if _is_leaf(compiled.root, path)))


def _read(x: e.Expr, *, as_text: bool) -> Iterator[tuple[paths.Path, bool]]:
    """Yield the raw paths that an expression takes values from, and whether as text that is a key or has parts."""
    if isinstance(x, e.At):
        yield x.path, as_text
    elif isinstance(x, e.OnlyIf):
        yield from _read(x.value, as_text=as_text)
    elif isinstance(x, e.When):
        yield from _read(x.then, as_text=as_text)
        yield from _read(x.otherwise, as_text=as_text)
    else:
        for child in x.children():
            yield from _read(child, as_text=as_text or isinstance(x, _TEXTUAL))


def _is_leaf(root: Node, path: paths.Path) -> bool:
    node = root
    for step in path:
        if step == paths.EACH:
            return False
        node = node.children[step]
    return not node.children and not node.each


def _shape_of(value: pa.Scalar) -> str:
    if pa.types.is_binary(value.type):
        return shape(value.as_py().decode(errors="replace").strip('"'))
    return shape(str(value.as_py()))
