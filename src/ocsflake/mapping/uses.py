"""Which raw values an expression carries over into its attribute, and under which conditions.

A value that no attribute of its event carries goes to ``unmapped``. Reading a value in a condition does not carry it; a
word that a lookup knows is carried by what stands for it. Where several words stand for one id, ``Deny`` and ``Block``
for 2, it is the id that is kept: the word itself is in the event only if another attribute takes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from ocsflake.mapping import expr as e

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocsflake.mapping.paths import Path

__all__ = ["Use", "uses"]


@frozen(eq=False)
class Use:
    """An attribute carries the value at a path in the rows where all `conditions` hold.

    Attributes:
        path: The raw path.
        attribute: The OCSF attribute.
        conditions: All must hold; none means always.
    """

    path: Path
    attribute: str
    conditions: tuple[e.Expr, ...]


def uses(expression: e.Expr, attribute: str, *, with_sibling: bool) -> Iterator[Use]:
    """Yield what `expression` carries into `attribute`.

    Args:
        expression: The mapping of the attribute.
        attribute: Its path.
        with_sibling: Whether the attribute is an enum whose text sibling keeps a word that no id stands for.
    """
    for path, conditions in _carried(expression, (), with_sibling):
        yield Use(path, attribute, conditions)


def _carried(
    x: e.Expr, conditions: tuple[e.Expr, ...], with_sibling: bool
) -> Iterator[tuple[Path, tuple[e.Expr, ...]]]:
    if isinstance(x, e.At):
        yield x.path, conditions
    elif isinstance(x, e.Coalesce):
        for place, option in enumerate(x.options):
            earlier = tuple(e.Missing(before) for before in x.options[:place])
            yield from _carried(option, conditions + earlier, with_sibling)
    elif isinstance(x, e.OnlyIf):
        yield from _carried(x.value, (*conditions, x.condition), with_sibling)
    elif isinstance(x, e.When):
        yield from _carried(x.then, (*conditions, x.condition), with_sibling)
        yield from _carried(x.otherwise, (*conditions, e.Not(x.condition)), with_sibling)
    elif isinstance(x, e.Lookup) and not isinstance(x.key, e.Extract | e.Split):  # a part does not stand for the whole
        kept = () if with_sibling and x.default is not None else (e.IsIn(x.key, tuple(x.table)),)
        yield from _carried(x.key, conditions + kept, with_sibling)
    elif isinstance(x, e.Equal):
        yield from _carried(x.value, (*conditions, x), with_sibling)
    elif isinstance(x, e.Extract | e.Split):  # of a text that has no such part nothing is carried
        yield from _carried(x.value, (*conditions, e.Not(e.IsNull(x))), with_sibling)
    elif isinstance(x, e.Apply):
        for child in x.children():
            yield from _carried(child, (*conditions, e.Not(e.IsNull(x))), with_sibling)
    elif isinstance(x, e.Epoch | e.Text | e.Lower):
        for child in x.children():
            yield from _carried(child, conditions, with_sibling)
