"""Equal expressions as one object, so that a value is made once, however often a table writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import attrs

from ocsflake.mapping.expr import Expr

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["shared"]


def shared(expression: Expr, known: dict[Hashable, Expr]) -> Expr:
    """Return the expression that stands for all that are equal to this one; its parts do so, too.

    Args:
        expression: Any expression; ``==`` does not compare two of them, it makes another one.
        known: Those seen so far; takes this one, too.
    """
    kind: type[Any] = type(expression)
    if not attrs.has(kind):
        return expression
    values = {name: _shared(getattr(expression, name), known) for name in attrs.fields_dict(kind)}
    key = (kind, *map(_key, values.values()))
    if key not in known:
        known[key] = cast("Expr", kind(**values))
    return known[key]


def _shared(value: Any, known: dict[Hashable, Expr]) -> Any:
    if isinstance(value, Expr):
        return shared(value, known)
    if isinstance(value, tuple) and any(isinstance(each, Expr) for each in value):
        return tuple(_shared(each, known) for each in value)
    return value


def _key(value: Any) -> Hashable:
    """Return what equal values have in common: 1, 1.0 and True are three."""
    if isinstance(value, Mapping):
        return tuple((word, _key(found)) for word, found in value.items())
    return tuple(map(_key, value)) if isinstance(value, tuple) else (type(value), value)
