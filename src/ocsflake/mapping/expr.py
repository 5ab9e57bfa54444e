"""Expressions over the columns of raw records: what a mapping table is written in.

An expression is a frozen value; nothing is read until a mapper is given records. ``==`` and ``!=`` build
expressions too, so an expression has no truth value: combine conditions with ``&``, ``|`` and ``~``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn

from attrs import field, frozen

from ocsflake.errors import SchemaError
from ocsflake.mapping import paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["Constant", "Expr", "Scalar", "apply", "at", "is_ip", "origin", "when"]

Scalar = str | int | float | bool
"""A constant value of an attribute."""

Unit = Literal["s", "ms", "us", "ns"]


class Expr:
    """An expression over raw columns; one value a record, null where there is none."""

    __slots__ = ()
    operands: ClassVar[tuple[str, ...]] = ()
    """The fields that hold expressions."""

    def or_(self, *others: Expr | Scalar) -> Expr:
        """Return the first of self and `others` that is not null."""
        return Coalesce((self, *map(lift, others)))

    def only_if(self, condition: Expr) -> Expr:
        """Return self where `condition` holds, null elsewhere."""
        return OnlyIf(self, _condition(condition))

    def lookup(self, table: Mapping[str, Scalar], default: Scalar | None = None) -> Expr:
        """Return the value that `table` holds for the text of self; `default` for a text that it lacks.

        For an enum attribute (``activity_id`` ...) the text itself fills the sibling (``activity_name``) where the
        value is 99 Other, as OCSF demands.
        """
        return Lookup(self, _of_one_kind(table, default), default)

    def lookup_prefix(self, table: Mapping[str, Scalar], default: Scalar | None = None) -> Expr:
        """Like `lookup`, for the longest key that the text begins with, up to the end of a word.

        ``Get`` matches ``GetObject`` and ``Get``, not ``Getaway``: a lower-case letter may not follow.
        """
        return LookupPrefix(self, _of_one_kind(table, default), default)

    def is_in(self, values: Iterable[str]) -> Expr:
        """Return whether the text of self is one of `values`."""
        return IsIn(self, tuple(values))

    def is_null(self) -> Expr:
        """Return whether there is no value: absent, JSON null, an empty text or the log type's null word."""
        return IsNull(self)

    def epoch(self, unit: Unit) -> Expr:
        """Return a time from a count of `unit` since 1970, for a timestamp attribute (floored to milliseconds)."""
        return Epoch(self, unit)

    def text(self) -> Expr:
        """Return any scalar as text, as the record spells it: for logs that write ``"4"`` or ``4``."""
        return Text(self)

    def lower(self) -> Expr:
        """Return the text in lower case."""
        return Lower(self)

    def extract(self, pattern: str) -> Expr:
        """Return the group of a regular expression (RE2, unanchored) in the text; null where it does not match."""
        return Extract(self, pattern)

    def split(self, separator: str, index: int) -> Expr:
        """Return one part of the text between separators; null where there are fewer parts."""
        return Split(self, separator, index)

    def __eq__(self, other: object) -> Expr:  # type: ignore[override]  # written, not compared
        """Return a condition: the text of self equals a constant, or that of another expression."""
        return Equal(self, _comparable(other))

    def __ne__(self, other: object) -> Expr:  # type: ignore[override]  # likewise
        """Return a condition: the opposite of ``==`` (null equals nothing)."""
        return Not(Equal(self, _comparable(other)))

    def __and__(self, other: Expr) -> Expr:
        return All((self, _condition(other)))

    def __or__(self, other: Expr) -> Expr:
        return Any_((self, _condition(other)))

    def __invert__(self) -> Expr:
        return Not(self)

    def __hash__(self) -> int:
        return id(self)

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "an expression has no truth value before there are records: write & for and, | for or, ~ for not, "
            "and put comparisons in parentheses"
        )

    def children(self) -> Iterator[Expr]:
        """Yield the expressions that this one is made of."""
        for name in self.operands:
            value = getattr(self, name)
            if isinstance(value, tuple):
                yield from value
            else:
                yield value

    def raw_paths(self) -> Iterator[paths.Path]:
        """Yield every raw path that this expression reads."""
        if isinstance(self, At):
            yield self.path
        for child in self.children():
            yield from child.raw_paths()


@frozen(eq=False, repr=False)
class At(Expr):
    """The value at a raw path."""

    path: paths.Path

    def __repr__(self) -> str:
        return paths.join(self.path)


@frozen(eq=False, repr=False)
class Origin(Expr):
    """A fact about where the record came from."""

    key: str

    def __repr__(self) -> str:
        return f"origin({self.key})"


@frozen(eq=False, repr=False)
class Constant(Expr):
    """The same value for every record."""

    value: Scalar

    def __repr__(self) -> str:
        return repr(self.value)


@frozen(eq=False, repr=False)
class Coalesce(Expr):
    """The first value that is not null."""

    options: tuple[Expr, ...]
    operands: ClassVar[tuple[str, ...]] = ("options",)

    def __repr__(self) -> str:
        return " or ".join(map(repr, self.options))


@frozen(eq=False, repr=False)
class OnlyIf(Expr):
    """A value where a condition holds."""

    value: Expr
    condition: Expr
    operands: ClassVar[tuple[str, ...]] = ("value", "condition")

    def __repr__(self) -> str:
        return f"{self.value!r} if {self.condition!r}"


@frozen(eq=False, repr=False)
class When(Expr):
    """One of two values."""

    condition: Expr
    then: Expr
    otherwise: Expr
    operands: ClassVar[tuple[str, ...]] = ("condition", "then", "otherwise")

    def __repr__(self) -> str:
        return f"{self.then!r} if {self.condition!r} else {self.otherwise!r}"


@frozen(eq=False, repr=False)
class Lookup(Expr):
    """A value from a table of whole texts."""

    key: Expr
    table: Mapping[str, Scalar]
    default: Scalar | None
    operands: ClassVar[tuple[str, ...]] = ("key",)

    def __repr__(self) -> str:
        return f"lookup({self.key!r})"


@frozen(eq=False, repr=False)
class LookupPrefix(Expr):
    """A value from a table of beginnings of words."""

    key: Expr
    table: Mapping[str, Scalar]
    default: Scalar | None
    operands: ClassVar[tuple[str, ...]] = ("key",)

    def __repr__(self) -> str:
        return f"lookup by prefix({self.key!r})"


@frozen(eq=False, repr=False)
class IsIn(Expr):
    """Whether a text is one of some."""

    value: Expr
    values: tuple[str, ...]
    operands: ClassVar[tuple[str, ...]] = ("value",)

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self.values[:3])) + (", ..." if len(self.values) > 3 else "")
        return f"{self.value!r} in ({shown})"


@frozen(eq=False, repr=False)
class IsNull(Expr):
    """Whether there is no value."""

    value: Expr
    operands: ClassVar[tuple[str, ...]] = ("value",)

    def __repr__(self) -> str:
        return f"{self.value!r} is null"


@frozen(eq=False, repr=False)
class Missing(Expr):
    """Whether there is no value, for each element of a list."""

    value: Expr
    operands: ClassVar[tuple[str, ...]] = ("value",)

    def __repr__(self) -> str:
        return f"{self.value!r} is missing"


@frozen(eq=False, repr=False)
class IsIp(Expr):
    """Whether a text is an IP address."""

    value: Expr
    operands: ClassVar[tuple[str, ...]] = ("value",)

    def __repr__(self) -> str:
        return f"{self.value!r} is an IP address"


@frozen(eq=False, repr=False)
class Equal(Expr):
    """Whether two texts are equal."""

    value: Expr
    other: Expr
    operands: ClassVar[tuple[str, ...]] = ("value", "other")

    def __repr__(self) -> str:
        return f"{self.value!r} is {self.other!r}"


@frozen(eq=False, repr=False)
class Not(Expr):
    """A condition that does not hold."""

    condition: Expr
    operands: ClassVar[tuple[str, ...]] = ("condition",)

    def __repr__(self) -> str:
        return f"not ({self.condition!r})"


@frozen(eq=False, repr=False)
class All(Expr):
    """Conditions that all hold."""

    conditions: tuple[Expr, ...]
    operands: ClassVar[tuple[str, ...]] = ("conditions",)

    def __repr__(self) -> str:
        return " and ".join(f"({c!r})" for c in self.conditions)


@frozen(eq=False, repr=False)
class Any_(Expr):  # noqa: N801 - `Any` is taken
    """Conditions of which one holds."""

    conditions: tuple[Expr, ...]
    operands: ClassVar[tuple[str, ...]] = ("conditions",)

    def __repr__(self) -> str:
        return " or ".join(f"({c!r})" for c in self.conditions)


@frozen(eq=False, repr=False)
class Epoch(Expr):
    """A time from a count since 1970."""

    value: Expr
    unit: Unit
    operands: ClassVar[tuple[str, ...]] = ("value",)

    def __repr__(self) -> str:
        return f"{self.value!r} ({self.unit} since 1970)"


@frozen(eq=False, repr=False)
class Text(Expr):
    """Any scalar as text."""

    value: Expr
    operands: ClassVar[tuple[str, ...]] = ("value",)

    def __repr__(self) -> str:
        return f"{self.value!r} as text"


@frozen(eq=False, repr=False)
class Lower(Expr):
    """A text in lower case."""

    value: Expr
    operands: ClassVar[tuple[str, ...]] = ("value",)

    def __repr__(self) -> str:
        return f"{self.value!r} in lower case"


def _one_group(_: Extract, __: object, pattern: str) -> None:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise SchemaError(f"{pattern!r} is no regular expression: {error}") from None
    if groups != 1:
        raise SchemaError(f"{pattern!r} has {groups} groups; one is due, the part to extract (write others as (?:...))")


@frozen(eq=False, repr=False)
class Extract(Expr):
    """A part of a text."""

    value: Expr
    pattern: str = field(validator=_one_group)
    operands: ClassVar[tuple[str, ...]] = ("value",)

    def __repr__(self) -> str:
        return f"{self.value!r}, the part in {self.pattern!r}"


@frozen(eq=False, repr=False)
class Split(Expr):
    """One part of a text."""

    value: Expr
    separator: str
    index: int
    operands: ClassVar[tuple[str, ...]] = ("value",)

    def __repr__(self) -> str:
        return f"{self.value!r}, part {self.index} by {self.separator!r}"


@frozen(eq=False, repr=False)
class Apply(Expr):
    """The result of a function of Arrow arrays."""

    function: Callable[..., Any]
    arguments: tuple[Expr, ...]
    operands: ClassVar[tuple[str, ...]] = ("arguments",)

    def __repr__(self) -> str:
        return f"{self.function.__name__}({', '.join(map(repr, self.arguments))})"


def at(path: str, *others: str) -> Expr:
    """Return the value at a raw path, such as ``userIdentity.arn`` or ``resources[].ARN``.

    Args:
        path: The raw path.
        others: The same value's paths in other shapes of the log; the first that is not null counts.

    Raises:
        SchemaError: If a text is not a path.
    """
    first = At(paths.parse(path))
    return first.or_(*[At(paths.parse(other)) for other in others]) if others else first


def origin(key: str) -> Expr:
    """Return a fact about where a record came from: ``account``, ``region``, ``uri`` ..."""
    return Origin(key)


def when(condition: Expr, then: Expr | Scalar, otherwise: Expr | Scalar) -> Expr:
    """Return `then` where `condition` holds, `otherwise` elsewhere."""
    return When(_condition(condition), lift(then), lift(otherwise))


def is_ip(value: Expr) -> Expr:
    """Return whether a text is an IPv4 or IPv6 address."""
    return IsIp(value)


def apply(function: Callable[..., Any], *expressions: Expr) -> Expr:
    """Return what `function` makes of the texts of `expressions`: Arrow string arrays in, one Arrow array out.

    The way out where no verb fits. The function must be a module's own (so that the mapper can be pickled), must
    be pure, and must return as many values as it was given.
    """
    return Apply(function, expressions)


def lift(value: Expr | Scalar) -> Expr:
    """Return a constant as an expression, an expression as it is."""
    return value if isinstance(value, Expr) else Constant(_constant(value))


def _comparable(value: object) -> Expr:
    return value if isinstance(value, Expr) else Constant(_constant(value))


def _constant(value: object) -> Scalar:
    if isinstance(value, str | int | float):
        return value
    raise SchemaError(f"{value!r} is no constant: give text, a number or a truth value")


def _of_one_kind(table: Mapping[str, Scalar], default: Scalar | None) -> dict[str, Scalar]:
    kinds = {type(value).__name__ for value in (*table.values(), *([] if default is None else [default]))}
    if len(kinds) > 1:
        raise SchemaError(
            f"a lookup gives values of one kind, its default included; here are {', '.join(sorted(kinds))}"
        )
    return dict(table)


def _condition(value: object) -> Expr:
    if isinstance(value, Expr):
        return value
    raise SchemaError(f"{value!r} is no condition: give an expression such as at('x').is_in(...) or at('x') == 'y'")
