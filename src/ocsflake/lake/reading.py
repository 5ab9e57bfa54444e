"""What a statement reads, by its syntax tree: which attributes it names, and which partitions it leaves out.

Both are used to read less, so both are on the safe side: what is not understood is read in full.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlglot import exp

__all__ = ["Path", "Reading", "reading"]

Path = tuple[str, ...]
"""An attribute, from the outermost name to the innermost."""

PARTITIONS = frozenset({"region", "accountid", "eventday"})
_DAY = "strptime(eventday, '%Y%m%d')"
_MILLISECONDS = f"epoch_ms({_DAY})"
_TIMES = {
    "time_dt": (f"CAST({_DAY} AS TIMESTAMPTZ)", f"CAST({_DAY} + INTERVAL 1 DAY AS TIMESTAMPTZ)"),
    "time": (_MILLISECONDS, f"({_MILLISECONDS} + 86400000)"),
}
"""The first moment of a partition's day and the one after its last, for a column of times."""

_UNDERSTOOD = frozenset(
    [
        "Add",
        "And",
        "Between",
        "Boolean",
        "Cast",
        "Column",
        "Concat",
        "CurrentDate",
        "CurrentTimestamp",
        "DataType",
        "DataTypeParam",
        "DateAdd",
        "DateSub",
        "DPipe",
        "EQ",
        "GT",
        "GTE",
        "Identifier",
        "In",
        "Interval",
        "LT",
        "LTE",
        "Like",
        "Literal",
        "NEQ",
        "Neg",
        "Not",
        "Null",
        "Or",
        "Paren",
        "Placeholder",
        "Sub",
        "TimeToStr",
        "TimestampTrunc",
        "Tuple",
        "Var",
    ]
)
"""The kinds of nodes of which sqlglot gives back the very SQL that was parsed, as far as it matters."""

_QUERY = re.compile(
    r"(?>\s+|--[^\n]*\n|/\*.*?\*/)*+(?:EXPLAIN\s+(?:ANALYZE\s+)?)?(?P<query>(?:\(|(?:SELECT|WITH|FROM)\b).*)",
    re.IGNORECASE | re.DOTALL,
)
_INDIRECT = frozenset({"columns", "query", "query_table"})
"""Functions that name columns or tables by text."""


@frozen
class Reading:
    """What a statement reads.

    Attributes:
        paths: The names that it has, in lower case; the first of each may be that of a table. ``None`` if it may read
            any column, as ``SELECT *`` does.
        named: The same, whatever else it reads.
        conditions: By table, the conditions on partitions that hold wherever it is read: for each place that reads it a
            condition in DuckDB's SQL over `PARTITIONS`, ``""`` if there is none.
        of_times: The same, with what conditions on ``time`` and ``time_dt`` say about ``eventday``.
    """

    paths: frozenset[Path] | None
    named: frozenset[Path]
    conditions: Mapping[str, tuple[str, ...]]
    of_times: Mapping[str, tuple[str, ...]]

    def of(self, column: str) -> Sequence[Path]:
        """Return what is read of a column, as paths below it: ``()`` for all of it."""
        if self.paths is None:
            return [()]
        name = column.lower()
        return [path[place + 1 :] for path in self.paths for place, part in enumerate(path) if part == name]


_ANYTHING = Reading(None, frozenset(), {}, {})


@functools.lru_cache(maxsize=64)
def reading(sql: str) -> Reading:
    """Return what a statement in DuckDB's dialect reads."""
    from sqlglot.errors import SqlglotError

    query = _QUERY.fullmatch(sql)
    try:
        return _read(query["query"]) if query else _ANYTHING
    except (SqlglotError, RecursionError):  # DuckDB takes thousands of conditions in a row
        return _ANYTHING


def _read(sql: str) -> Reading:
    import sqlglot
    from sqlglot import exp

    trees = sqlglot.parse(sql, read="duckdb")
    statements = [tree for tree in trees if tree is not None]
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        return _ANYTHING
    tree = statements[0]
    if any(table.alias_column_names for table in tree.find_all(exp.Table)):
        return _ANYTHING  # names by place
    paths = set(_paths(tree))
    own = {each.alias.lower() for each in tree.find_all(exp.CTE)}  # what these have is named where they are made
    from_outside = [table for table in tree.find_all(exp.Table) if table.name.lower() not in own]
    tables = {name.lower() for table in from_outside for name in (table.name, table.alias)}
    any_column = _reads_any(tree) or any(len(path) == 1 and path[0] in tables for path in paths)
    conditions: dict[str, list[str]] = {}
    of_times: dict[str, list[str]] = {}
    for table in tree.find_all(exp.Table):
        wanted = list(_conditions(table))
        for found, times in ((conditions, False), (of_times, True)):
            texts = [text for each in wanted if (text := _on_partitions(each, table, times=times))]
            found.setdefault(table.name.lower(), []).append(" AND ".join(texts))
    return Reading(
        None if any_column else frozenset(paths),
        frozenset(paths),
        {name: tuple(texts) for name, texts in conditions.items()},
        {name: tuple(texts) for name, texts in of_times.items()},
    )


def _paths(tree: exp.Expr) -> Iterator[Path]:
    """Yield the dotted names below a node."""
    from sqlglot import exp

    left: list[exp.Expr] = [tree]
    while left:
        node = left.pop()
        if isinstance(node, exp.Column | exp.Dot):
            names = tuple(_names(node))
            if not names:  # what stands before the dot is no name
                left += node.iter_expressions()
                continue
            yield names
            left += (inner for below in node.find_all(exp.Func, exp.Bracket) for inner in below.iter_expressions())
            continue
        if isinstance(node, exp.Join):
            yield from ((name.name.lower(),) for name in node.args.get("using") or ())
        left += node.iter_expressions()


def _names(node: exp.Expr) -> Iterator[str]:
    """Yield the names of a dotted name up to the first thing that is none."""
    from sqlglot import exp

    parts = node.parts if isinstance(node, exp.Column) else list(node.flatten())
    for part in parts:
        if isinstance(part, exp.Column):
            yield from _names(part)
        elif isinstance(part, exp.Identifier):
            yield part.name.lower()
        else:
            return


def _reads_any(tree: exp.Expr) -> bool:
    """Return whether a statement may read columns that it does not name."""
    from sqlglot import exp

    stars = (star for star in tree.find_all(exp.Star) if not isinstance(star.parent, exp.Count))
    natural = (join for join in tree.find_all(exp.Join) if join.method)
    indirect = (call for call in tree.find_all(exp.Anonymous) if call.name.lower() in _INDIRECT)
    others = tree.find_all(exp.Columns, exp.Pivot, exp.Describe)
    return any(True for found in (stars, natural, indirect, others) for _ in found)


def _conditions(table: exp.Table) -> Iterator[exp.Expr]:
    """Yield the conditions that rows of a table must meet to count, where a SELECT reads it."""
    from sqlglot import exp

    clause = table.parent
    select = clause.parent if isinstance(clause, exp.From | exp.Join) else None
    if not isinstance(select, exp.Select) or not (where := select.args.get("where")):
        return
    joins = select.args.get("joins") or []
    sides = {join.side for join in joins} | {join.kind for join in joins if join.kind not in {"INNER", "CROSS"}}
    if sides <= ({"", "LEFT"} if isinstance(clause, exp.From) else {""}):
        yield from where.this.flatten() if isinstance(where.this, exp.And) else (where.this,)


def _on_partitions(condition: exp.Expr, table: exp.Table, *, times: bool) -> str:
    """Return a condition as one over `PARTITIONS`, ``""`` if it is about anything else."""
    from sqlglot import exp

    if any(type(node).__name__ not in _UNDERSTOOD for node in condition.walk()):
        return ""
    if any(placeholder.this is None for placeholder in condition.find_all(exp.Placeholder)):
        return ""  # the n-th parameter of the statement would be another one here
    columns = list(condition.find_all(exp.Column))
    if not all(_is_of(column, table) for column in columns):
        return ""
    if columns and all(column.name.lower() in PARTITIONS for column in columns):
        return f"({condition.transform(_unqualified).sql('duckdb')})"
    return _day(condition) if times and len(columns) == 1 else ""


def _is_of(column: exp.Column, table: exp.Table) -> bool:
    """Return whether a column is a table's own, and none of another one that is read beside it."""
    from sqlglot import exp

    qualifier = [part.name.lower() for part in column.parts[:-1]]
    if qualifier:
        return qualifier == [table.alias_or_name.lower()]
    select = table.find_ancestor(exp.Select)
    beside = [join.this for join in select.args.get("joins") or ()] if select else []
    others = [other for other in beside if other is not table]
    if isinstance(table.parent, exp.Join) or not all(isinstance(other, exp.Unnest) for other in others):
        return False
    made = {name.name.lower() for other in others for name in other.find_all(exp.Identifier)}
    return column.name.lower() not in made


def _unqualified(node: exp.Expr) -> exp.Expr:
    from sqlglot import exp

    return exp.column(node.name.lower()) if isinstance(node, exp.Column) else node


def _day(condition: exp.Expr) -> str:
    """Return what a comparison of a time with something else says about the day."""
    from sqlglot import exp

    if isinstance(condition, exp.Between):
        low, high = condition.args["low"], condition.args["high"]
        after, before = exp.GTE(this=condition.this, expression=low), exp.LTE(this=condition.this, expression=high)
        texts = [_day(after), _day(before)]
        return " AND ".join(texts) if all(texts) else ""
    if not isinstance(condition, exp.GT | exp.GTE | exp.LT | exp.LTE | exp.EQ):
        return ""
    left, right = condition.this, condition.expression
    later = isinstance(condition, exp.GT | exp.GTE)
    if isinstance(right, exp.Column):
        left, right, later = right, left, not later
    if not isinstance(left, exp.Column) or left.name.lower() not in _TIMES:
        return ""
    first, end = _TIMES[left.name.lower()]
    bound = right.sql("duckdb")
    if isinstance(condition, exp.EQ):
        return f"({first} <= ({bound}) AND {end} > ({bound}))"
    return f"({end} > ({bound}))" if later else f"({first} <= ({bound}))"
