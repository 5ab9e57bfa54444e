"""What can be said of a table's expressions before there are records: which conditions are about elements of lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocsflake.errors import SchemaError
from ocsflake.mapping import expr as e
from ocsflake.mapping import paths

if TYPE_CHECKING:
    from collections.abc import Collection

    from ocsflake.mapping.mapper import EventMap

__all__ = ["check_conditions"]


def check_conditions(event: EventMap, rows: Collection[paths.Path] = ()) -> None:
    """Raise where a condition holds for the elements of lists and one that holds for records is due.

    Args:
        event: The table.
        rows: The paths of the lists whose elements become records of their own.

    Raises:
        SchemaError: Names the attribute and the condition.
    """
    if event.where is not None:
        _check(event.where, "where", rows)
        _check_depth(event.where, 0, "where", rows)
    for attribute, expression in event.fields.items():
        _check(expression, attribute, rows)


def _check(x: e.Expr, attribute: str, rows: Collection[paths.Path]) -> None:
    if isinstance(x, e.When):
        _check_depth(x.condition, 0, attribute, rows)
    elif isinstance(x, e.OnlyIf):
        _check_depth(x.condition, _depth(x.value, rows), attribute, rows)
    for child in x.children():
        _check(child, attribute, rows)


def _check_depth(condition: e.Expr, most: int | None, attribute: str, rows: Collection[paths.Path]) -> None:
    depth = _depth(condition, rows)
    if depth is not None and most is not None and depth > most:
        raise SchemaError(
            f"{attribute!r}: {condition!r} holds for elements of lists, and what it decides on are "
            f"{'elements of fewer lists' if most else 'records'}"
        )


def _depth(x: e.Expr, rows: Collection[paths.Path]) -> int | None:
    """Return in how many lists the values of an expression stand; ``None`` where only its function knows."""
    if isinstance(x, e.At):
        return sum(step == paths.EACH and x.path[:place] not in rows for place, step in enumerate(x.path))
    if isinstance(x, e.IsNull):
        return 0
    if isinstance(x, e.OnlyIf):
        return _depth(x.value, rows)
    found = [_depth(child, rows) for child in x.children() if not (isinstance(x, e.When) and child is x.condition)]
    if None in found or (isinstance(x, e.Apply) and any(found)):
        return None
    return max((depth for depth in found if depth is not None), default=0)
