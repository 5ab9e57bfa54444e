"""Evaluating expressions on a frame: Arrow columns in, one Arrow column out.

An expression sees values as its log type means them: JSON null, an empty text and the log type's own null words are
null. What an attribute finally gets is cast in `ocsflake.mapping.cast`.
"""

from __future__ import annotations

import re
from functools import singledispatchmethod
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.errors import SchemaError
from ocsflake.mapping import expr as e
from ocsflake.mapping import paths
from ocsflake.mapping.lists import constant, each, fit, pick, relist, rows_with, singles
from ocsflake.mapping.shred import shred_values
from ocsflake.mapping.values import is_ip, json_text, scalar_text, whole_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ocsflake.mapping.frame import Frame, Node

__all__ = ["Columns"]

_GROUP = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?!\?)")
"""An escape, a character class, or the beginning of a group."""
_UNITS = {"s": 1000, "ms": 1}
_FINER = {"us": 1000, "ns": 1_000_000}
_MOST = 10**15


class Columns:
    """The columns of some rows of a frame, and the values of expressions over them, each made once.

    Attributes:
        rows: How many rows.
        bad: Expression to (rows that it could not make a value of, why); see `bad_of`.
    """

    def __init__(
        self, frame: Frame, root: Node, null_words: tuple[str, ...], selection: pa.Array | None = None
    ) -> None:
        self.frame = frame
        self.root = root
        self.selection = selection
        self.rows = frame.rows if selection is None else len(selection)
        self.bad: dict[int, tuple[pa.Array, str]] = {}
        self._nulls = pa.array([b'""', *(msgspec.json.encode(word) for word in null_words)], pa.binary())
        self._clean = {"", *null_words} <= frame.nulled
        self._null_words = pa.array(["", *null_words], pa.string())
        self._exact: dict[str, pa.Array] = {}
        self._values: dict[int, pa.Array] = {}
        self._encoded: dict[int, pa.DictionaryArray] = {}
        self._by_path: dict[paths.Path, pa.Array] = {}

    def exact(self, path: paths.Path) -> pa.Array:
        """Return the column at a path as it came; nulls where it is absent."""
        name = paths.join(path)
        if name not in self._exact:
            if name in self.frame.columns:
                self._exact[name] = self.selected(self.frame.columns[name])
            else:
                self._exact[name] = pa.nulls(self.rows)
                self._exact |= self._below_ancestor(path)
        return self._exact[name]

    def selected(self, column: pa.Array) -> pa.Array:
        """Return a column of the whole frame for these rows."""
        return column if self.selection is None else pick(column, self.selection)

    def value(self, expression: e.Expr) -> pa.Array:
        """Return the value of an expression in every row."""
        key = id(expression)
        if key not in self._values:
            self._values[key] = _WAYS(type(expression))(self, expression)
        return self._values[key]

    def holds(self, condition: e.Expr) -> pa.Array:
        """Return where a condition holds: truth values without nulls."""
        found = self._truth(condition)
        if pa.types.is_boolean(found.type):
            return found
        raise SchemaError(f"{condition!r} is used as a condition of records and holds for elements of lists")

    def _truth(self, condition: e.Expr) -> pa.Array:
        """Return truth values without nulls, of rows or of the elements of lists."""

        def sure(column: pa.Array) -> pa.Array:
            if not pa.types.is_boolean(column.type):
                raise SchemaError(f"{condition!r} is used as a condition and yields {column.type}")
            return column if not column.null_count else pc.fill_null(column, False)

        return each(self.value(condition), sure)

    def bad_of(self, expression: e.Expr) -> tuple[pa.Array, str] | None:
        """Return the rows that an expression or one that it is made of could not make a value of."""
        own = self.bad.get(id(expression))
        for child in expression.children():
            inner = self.bad_of(child)
            if inner is not None:
                own = inner if own is None else (pc.or_(own[0], inner[0]), own[1])
        return own

    def _below_ancestor(self, path: paths.Path) -> dict[str, pa.Array]:
        """Return what is named below the nearest column that holds `path` as raw JSON."""
        for length in range(len(path) - 1, 0, -1):
            name = paths.join(path[:length])
            node = self.root
            for step in path[:length]:
                node = node.each[0] if step == paths.EACH else node.children[step]
            if name not in self.frame.columns and not node.whole:
                continue
            column = self.exact(path[:length])
            return {} if pa.types.is_null(column.type) else shred_values(column, node, name)
        return {}

    def _at(self, path: paths.Path) -> pa.Array:
        if path not in self._by_path:
            self._by_path[path] = each(self.exact(path), self._without_null_words)
        return self._by_path[path]

    def _without_null_words(self, column: pa.Array) -> pa.Array:
        if pa.types.is_binary(column.type):
            words = self._nulls
        elif pa.types.is_string(column.type):
            words = self._null_words
        else:
            return column
        if self._clean:
            return column
        empty = pc.is_in(column, value_set=words)
        return pc.if_else(empty, pa.scalar(None, column.type), column) if pc.any(empty).as_py() else column

    def _by_word(self, expression: e.Expr, function: Callable[[pa.DictionaryArray], pa.Array]) -> pa.Array:
        """Apply a function to the distinct texts of a value and to where they are; these are found once."""
        column = self.value(expression)
        if pa.types.is_list(column.type):
            return each(column, lambda values: function(scalar_text(values).dictionary_encode()))
        key = id(expression)
        if key not in self._encoded:
            self._encoded[key] = scalar_text(column).dictionary_encode()
        return function(self._encoded[key])

    @singledispatchmethod
    def _evaluate(self, expression: e.Expr) -> pa.Array:
        raise SchemaError(f"{type(expression).__name__} is no expression that can be evaluated")

    @_evaluate.register
    def _(self, x: e.At) -> pa.Array:
        return self._at(x.path)

    @_evaluate.register
    def _(self, x: e.Origin) -> pa.Array:
        return self.selected(self.frame.origin_column(x.key))

    @_evaluate.register
    def _(self, x: e.Constant) -> pa.Array:
        return constant(x.value, self.rows)

    @_evaluate.register
    def _(self, x: e.Coalesce) -> pa.Array:
        found = self.value(x.options[0])
        for option in x.options[1:]:
            if not found.null_count and not pa.types.is_nested(found.type):
                break
            found = _coalesce(found, self.value(option))
        return found

    @_evaluate.register
    def _(self, x: e.OnlyIf) -> pa.Array:
        found = self.value(x.value)
        if pa.types.is_null(found.type):
            return found
        return _only(found, self._truth(x.condition) if pa.types.is_list(found.type) else self.holds(x.condition))

    @_evaluate.register
    def _(self, x: e.When) -> pa.Array:
        condition = self.holds(x.condition)
        return _coalesce(_only(self.value(x.then), condition), _only(self.value(x.otherwise), pc.invert(condition)))

    @_evaluate.register
    def _(self, x: e.Lookup) -> pa.Array:
        keys = pa.array(list(x.table), pa.string())
        found = pa.array(list(x.table.values()))

        def look(encoded: pa.DictionaryArray) -> pa.Array:
            text = encoded.dictionary
            values = found.take(pc.index_in(text, value_set=keys))
            return pick(values if x.default is None else _default(values, text, x.default), encoded.indices)

        return self._by_word(x.key, look)

    @_evaluate.register
    def _(self, x: e.LookupPrefix) -> pa.Array:
        def look(encoded: pa.DictionaryArray) -> pa.Array:
            words = encoded.dictionary.to_pylist()
            found = pa.array([_by_prefix(word, x.table, x.default) for word in words], _type_of(x.table, x.default))
            return pick(found, encoded.indices)

        return self._by_word(x.key, look)

    @_evaluate.register
    def _(self, x: e.IsIn) -> pa.Array:
        words = pa.array(x.values, pa.string())
        return each(self.value(x.value), lambda column: pc.is_in(scalar_text(column), value_set=words))

    @_evaluate.register
    def _(self, x: e.IsNull) -> pa.Array:
        return _no_value(self.value(x.value))

    @_evaluate.register
    def _(self, x: e.Missing) -> pa.Array:
        return each(self.value(x.value), pc.is_null)

    @_evaluate.register
    def _(self, x: e.IsIp) -> pa.Array:
        return each(self.value(x.value), lambda column: is_ip(scalar_text(column)))

    @_evaluate.register
    def _(self, x: e.Equal) -> pa.Array:
        if not isinstance(x.other, e.Constant):
            first, second = (each(self.value(side), scalar_text) for side in (x.value, x.other))
            return _paired(lambda a, b: pc.fill_null(pc.equal(a, b), False), first, second)
        wanted = x.other.value
        word = str(wanted).lower() if isinstance(wanted, bool) else str(wanted)

        def equal(column: pa.Array) -> pa.Array:
            text = scalar_text(column)
            return pc.fill_null(pc.equal(pc.utf8_lower(text) if isinstance(wanted, bool) else text, word), False)

        return each(self.value(x.value), equal)

    @_evaluate.register
    def _(self, x: e.Not) -> pa.Array:
        return each(self._truth(x.condition), pc.invert)

    @_evaluate.register
    def _(self, x: e.All) -> pa.Array:
        return _paired(pc.and_, *map(self._truth, x.conditions))

    @_evaluate.register
    def _(self, x: e.Any_) -> pa.Array:
        return _paired(pc.or_, *map(self._truth, x.conditions))

    @_evaluate.register
    def _(self, x: e.Text) -> pa.Array:
        return each(self.value(x.value), scalar_text)

    @_evaluate.register
    def _(self, x: e.Lower) -> pa.Array:
        return each(self.value(x.value), lambda column: pc.utf8_lower(scalar_text(column)))

    @_evaluate.register
    def _(self, x: e.Extract) -> pa.Array:
        named = _GROUP.sub(lambda m: "(?P<part>" if m[0] == "(" else m[0], x.pattern)

        def part(encoded: pa.DictionaryArray) -> pa.Array:
            found = pc.struct_field(pc.extract_regex(encoded.dictionary, pattern=named), "part")
            return pick(pc.if_else(pc.equal(found, ""), pa.scalar(None, pa.string()), found), encoded.indices)

        return self._by_word(x.value, part)

    @_evaluate.register
    def _(self, x: e.Split) -> pa.Array:
        def part(encoded: pa.DictionaryArray) -> pa.Array:
            found = [_part(word, x.separator, x.index) for word in encoded.dictionary.to_pylist()]
            return pick(pa.array(found, pa.string()), encoded.indices)

        return self._by_word(x.value, part)

    @_evaluate.register
    def _(self, x: e.Epoch) -> pa.Array:
        text = each(self.value(x.value), scalar_text)
        found = each(text, lambda column: _epoch(column, x.unit))
        lists = pa.types.is_list(text.type)
        pair = [found.flatten(), text.flatten()] if lists else [found, text]
        bad = pc.and_(pair[0].is_null(), pair[1].is_valid())
        if pc.any(bad).as_py():
            self.bad[id(x)] = (rows_with(text, bad) if lists else bad, f"no count of {x.unit} since 1970")
        return found

    @_evaluate.register
    def _(self, x: e.Apply) -> pa.Array:
        found = x.function(*[each(self.value(argument), scalar_text) for argument in x.arguments])
        if isinstance(found, pa.ChunkedArray):
            found = found.combine_chunks()
        if len(found) != self.rows:
            raise SchemaError(f"{x.function.__name__} returned {len(found)} values for {self.rows} rows")
        return found


_WAYS = Columns.__dict__["_evaluate"].dispatcher.dispatch
"""The method for a kind of expression; asked for once, where `singledispatchmethod` makes a function for each call."""


def _paired(function: Callable[[pa.Array, pa.Array], pa.Array], first: pa.Array, second: pa.Array) -> pa.Array:
    """Apply a function to two columns; to every element where one of them is a list."""
    if pa.types.is_list(first.type) or pa.types.is_list(second.type):
        shape = first if pa.types.is_list(first.type) else second
        return relist(shape, _paired(function, fit(first, shape), fit(second, shape)))
    return function(first, second)


def _only(values: pa.Array, condition: pa.Array) -> pa.Array:
    """Return values where a condition holds, of rows or of the elements of lists."""
    if pa.types.is_list(condition.type):
        return relist(values, _only(values.flatten(), fit(condition, values)))
    return pc.if_else(condition, values, pa.scalar(None, values.type))


def _no_value(column: pa.Array) -> pa.Array:
    """Return the rows that are null, or lists of nothing else."""
    if pa.types.is_list(column.type):
        return pc.invert(rows_with(column, pc.invert(_no_value(column.flatten()))))
    return column.is_null()


def _coalesce(first: pa.Array, second: pa.Array) -> pa.Array:
    if pa.types.is_null(first.type):
        return second
    if pa.types.is_null(second.type):
        return first
    if pa.types.is_list(first.type) or pa.types.is_list(second.type):
        first = _nested(first, second)
        found = _coalesce(first.flatten(), fit(second, first))
        second = _nested(second, first)
        found, other = _alike(found, second.flatten())
        taken = pc.or_(first.is_null(), pc.and_(_no_value(first), pc.invert(_no_value(second))))
        return pc.if_else(taken, relist(second, other), relist(first, found))
    first, second = _alike(first, second)
    return pc.coalesce(first, second)


def _nested(column: pa.Array, other: pa.Array) -> pa.Array:
    """Return a column as lists that are at least as deep as those of another: a value is a list of one."""
    for _ in range(_depth(other.type) - _depth(column.type)):
        column = singles(column)
    return column


def _depth(kind: pa.DataType) -> int:
    return 1 + _depth(kind.value_type) if pa.types.is_list(kind) else 0


def _alike(first: pa.Array, second: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return two columns as one type: JSON tokens where one of them is, else text."""
    if first.type == second.type or pa.types.is_null(first.type) or pa.types.is_null(second.type):
        kind = second.type if pa.types.is_null(first.type) else first.type
        return first.cast(kind), second.cast(kind)
    if pa.types.is_list(first.type) or pa.types.is_list(second.type):
        first, second = _nested(first, second), _nested(second, first)
        pair = _alike(first.flatten(), second.flatten())
        return relist(first, pair[0]), relist(second, pair[1])
    if pa.types.is_binary(first.type) or pa.types.is_binary(second.type):
        return _tokens(first), _tokens(second)
    return scalar_text(first), scalar_text(second)


def _tokens(column: pa.Array) -> pa.Array:
    return column if pa.types.is_binary(column.type) else json_text(column).cast(pa.binary())


def _default(values: pa.Array, text: pa.Array, default: e.Scalar) -> pa.Array:
    missing = pc.and_(values.is_null(), text.is_valid())
    return pc.if_else(missing, pa.scalar(default), values)


def _type_of(table: Mapping[str, e.Scalar], default: e.Scalar | None) -> pa.DataType:
    return pa.array([*table.values(), default]).type


def _by_prefix(word: str | None, table: Mapping[str, e.Scalar], default: e.Scalar | None) -> e.Scalar | None:
    if word is None:
        return None
    best = max(
        (key for key in table if word.startswith(key) and not word[len(key) :][:1].islower()), key=len, default=""
    )
    return table[best] if best else default


def _part(word: str | None, separator: str, index: int) -> str | None:
    parts = [] if word is None else word.split(separator)
    return parts[index] if -len(parts) <= index < len(parts) else None


def _epoch(text: pa.Array, unit: str) -> pa.Array:
    """Return milliseconds, floored; null where a text is no number or no time before the year 10000."""
    count = whole_numbers(text)
    found = _milliseconds(count, unit)
    odd = pc.and_(count.is_null(), text.is_valid())
    if pc.any(odd).as_py():
        rest = [_epoch_one(word, unit) for word in text.filter(odd).to_pylist()]
        found = pc.replace_with_mask(found, odd, pa.array(rest, pa.int64()))
    return found


def _milliseconds(count: pa.Array, unit: str) -> pa.Array:
    if unit in _UNITS:
        sane = pc.and_(pc.less(count, _MOST), pc.greater(count, -_MOST))
        return pc.multiply(_only(count, sane), _UNITS[unit])
    divisor = _FINER[unit]
    cut = pc.divide(count, divisor)
    behind = pc.greater(pc.multiply(cut, divisor), count)
    return pc.subtract(cut, behind.cast(pa.int64()))


def _epoch_one(word: str, unit: str) -> int | None:
    match = re.fullmatch(r"(-?)([0-9]{1,18})\.([0-9]*)", word)
    if match is None or (unit in _UNITS and int(match[2]) >= _MOST):
        return None
    sign, whole, fraction = match.groups()
    digits = {"s": 3, "ms": 0}.get(unit, 0)
    scaled = int(whole) * 10**digits + int((fraction + "000")[:digits] or 0)
    return int(sign + str(scaled)) // _FINER.get(unit, 1)
