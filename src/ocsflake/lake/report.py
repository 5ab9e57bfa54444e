"""What a lake holds and what stands out in it, for people: the facts, gathered by queries.

`ocsflake.lake.report_page` shows them. Columns are looked for before they are asked, since objects of other programs
may lack any of them, or have them in another type.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from attrs import evolve, field, frozen

from ocsflake import ocsf
from ocsflake.lake.report_page import fragment, page
from ocsflake.lake.usage import BY
from ocsflake.rejects import count_rejects
from ocsflake.times import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ocsflake.lake.sink import Lake
    from ocsflake.lake.usage import Usage

__all__ = ["Finding", "Identity", "LakeReport", "LeftOver", "report"]

_FINDINGS = 2
"""The OCSF category of findings; a ``class_uid`` begins with its category."""
_SHOWN = 12
_USER = ("name", "email_addr", "uid")


@frozen
class Finding:
    """A finding as it was told last.

    Attributes:
        severity_id: OCSF's: 1 informational to 5 critical and 6 fatal; 0 unknown, 99 other.
        title: Of the finding.
        product: Whose finding it is.
        cloud: Where, such as ``AWS``.
        account: The account there.
        time: When, milliseconds since the epoch.
    """

    severity_id: int | None
    title: str | None
    product: str | None
    cloud: str | None
    account: str | None
    time: int | None


@frozen
class Identity:
    """Somebody who acts.

    Attributes:
        who: The user's name, address or id, whichever comes first.
        events: What they did, in number.
        failed: How much of it failed.
        clouds: Where.
        last: When they were seen last, milliseconds since the epoch.
    """

    who: str
    events: int
    failed: int
    clouds: Sequence[str]
    last: int | None


@frozen
class LeftOver:
    """A raw path that no attribute takes, kept in ``unmapped``.

    Attributes:
        source: The custom source.
        path: The path.
        events: How many events hold it.
        first_day: The first day that it was seen, ``YYYYMMDD``.
        new: Whether events of the same source were seen on an earlier day, without it: the vendor's log has changed.
    """

    source: str
    path: str
    events: int
    first_day: str
    new: bool


@frozen(repr=False)
class LakeReport:
    """What a lake holds; renders in a notebook, and is one page of HTML that needs nothing else.

    Attributes:
        root: Of the lake.
        made: When it was looked at.
        since: The first day that was looked at, ``YYYYMMDD``; ``""`` for all.
        usage: How much there is.
        events: Events by class, cloud and day.
        severities: Findings by ``severity_id``, each counted once, as it was told last.
        findings: The worst findings, the newest first.
        identities: Who acts most.
        left_over: What no attribute takes, what is new first.
        rejects: Records that became no event, by log type, attribute and reason; ``None`` if nobody said where.
    """

    root: str
    made: datetime
    since: str
    usage: Usage
    events: Mapping[tuple[str, str, str], int] = field(factory=dict)
    severities: Mapping[int, int] = field(factory=dict)
    findings: Sequence[Finding] = ()
    identities: Sequence[Identity] = ()
    left_over: Sequence[LeftOver] = ()
    rejects: Mapping[tuple[str, str, str], int] | None = None

    @property
    def html(self) -> str:
        """The page."""
        return page(self)

    def __repr__(self) -> str:
        return f"<LakeReport of {self.root}: {self.usage.summary}>"

    def _repr_html_(self) -> str:
        return fragment(self)


def report(lake: Lake, *, since: str | datetime | None = None, rejects: str | Path | None = None) -> LakeReport:
    """Gather what is to be known of a lake; see `ocsflake.Lake.report`."""
    now = datetime.now(UTC)
    begin = moment(since, now)
    first = "" if begin is None else f"{begin:%Y%m%d}"
    usage = lake.usage()
    if first:
        day = BY.index("day")
        usage = evolve(usage, amounts={key: amount for key, amount in usage.amounts.items() if key[day] >= first})
    facts = LakeReport(str(lake.root), now, first, usage, rejects=_rejects(rejects))
    views = _views(lake, first) if usage.total.rows else []
    if not views:
        return facts
    return evolve(
        facts,
        events=_events(lake, views),
        severities=_severities(lake, views),
        findings=_findings(lake, views),
        identities=_identities(lake, views),
        left_over=_left_over(lake, views),
    )


def _rejects(folder: str | Path | None) -> Counter[tuple[str, str, str]] | None:
    """Return what was rejected; a run makes the folder when it rejects the first record."""
    if folder is None:
        return None
    return count_rejects(folder) if Path(folder).exists() else Counter()


@frozen
class _View:
    """A view of the lake, and what it has.

    Attributes:
        name: That of an event class, or of a custom source whose class is not known.
        event_class: What its events are called.
        finding: Whether they are findings.
        schema: Its columns.
        where: Which of its events count, as a clause.
    """

    name: str
    event_class: str
    finding: bool
    schema: pa.Schema
    where: str

    def rows(self, *columns: str) -> str:
        """Return a statement that gives some columns."""
        return f"SELECT {', '.join(columns)} FROM {_identifier(self.name)}{self.where}"  # noqa: S608 - quoted

    def has(self, path: str, kind: Callable[[pa.DataType], bool]) -> bool:
        """Return whether there is an attribute of a type."""
        first, *others = path.split(".")
        if first not in self.schema.names:
            return False
        found: pa.DataType = self.schema.field(first).type
        for name in others:
            if not pa.types.is_struct(found) or found.get_field_index(name) < 0:
                return False
            found = found.field(name).type
        return kind(found)

    def text(self, *paths: str) -> str:
        """Return an expression: the first of some attributes that holds text, or null."""
        found = [f"nullif({_path(path)}, '')" for path in paths if self.has(path, pa.types.is_string)]
        return f"coalesce({', '.join(found)})" if found else "NULL::VARCHAR"

    def number(self, path: str) -> str:
        """Return an expression: an attribute that is a number, or null."""
        return _path(path) if self.has(path, pa.types.is_integer) else "NULL::BIGINT"


def _views(lake: Lake, first: str) -> list[_View]:
    """Return a view for each event class, and for each custom source without one."""
    uids = ocsf.load(lake.ocsf_version).classes
    names: dict[str, str] = {}
    for source in lake.sources():
        event_class = source.event_class.rpartition("/")[2]
        names[event_class or source.name] = source.event_class
    where = f" WHERE eventday >= {_quoted(first)}" if first else ""
    return [
        _View(
            name,
            name,
            uids.get(event_class, 0) // 1000 == _FINDINGS,
            lake.query(f"SELECT * FROM {_identifier(name)} LIMIT 0").schema,  # noqa: S608 - quoted
            where,
        )
        for name, event_class in sorted(names.items())
    ]


def _events(lake: Lake, views: Sequence[_View]) -> dict[tuple[str, str, str], int]:
    parts = [
        view.rows(f"{_quoted(view.event_class)} AS kind", f"{_cloud(view)} AS cloud", "eventday") for view in views
    ]
    sql = f"SELECT kind, cloud, eventday, count(*) FROM ({_union(parts)}) GROUP BY ALL ORDER BY ALL"  # noqa: S608 - quoted
    return {(kind, cloud or "unknown", day): count for kind, cloud, day, count in _rows(lake, sql)}


def _severities(lake: Lake, views: Sequence[_View]) -> dict[int, int]:
    if not (latest := _latest(views)):
        return {}
    severity = "coalesce(last.severity_id, 0)"
    return dict(_rows(lake, f"{latest} SELECT {severity}, count(*) FROM latest GROUP BY ALL ORDER BY ALL"))  # noqa: S608 - ours


def _findings(lake: Lake, views: Sequence[_View]) -> list[Finding]:
    if not (latest := _latest(views)):
        return []
    sql = f"""{latest}
        SELECT unnest(last) FROM latest
        ORDER BY CASE WHEN last.severity_id <= 6 THEN last.severity_id ELSE 0 END DESC, last.time DESC, last.title, last
        LIMIT {_SHOWN}"""  # noqa: S608 - of our own texts
    return [Finding(*row) for row in _rows(lake, sql)]


def _latest(views: Sequence[_View]) -> str:
    """Return the beginning of a statement: each finding as it was told last; ``""`` if there are no findings."""
    parts = [
        view.rows(
            f"coalesce({view.text('finding_info.uid', 'finding.uid', 'metadata.uid')}, uuid()::VARCHAR) AS uid",
            f"{view.number('severity_id')} AS severity_id",
            f"{view.text('finding_info.title', 'finding.title', 'message')} AS title",
            f"{view.text('metadata.product.name')} AS product",
            f"{_cloud(view)} AS cloud",
            f"{view.text('cloud.account.uid', 'cloud.account_uid')} AS account",
            f"{view.number('time')} AS time",
        )
        for view in views
        if view.finding
    ]
    if not parts:
        return ""
    names = [attribute.name for attribute in Finding.__attrs_attrs__]
    packed = ", ".join(f"{name} := {name}" for name in names)
    return (
        f"WITH found AS ({_union(parts)}),"  # noqa: S608 - of our own texts
        f" latest AS (SELECT arg_max(struct_pack({packed}), coalesce(time, 0)) AS last FROM found GROUP BY uid)"
    )


def _identities(lake: Lake, views: Sequence[_View]) -> list[Identity]:
    parts = []
    for view in views:
        users = [f"actor.user.{name}" for name in _USER]
        if view.event_class == "authentication":  # elsewhere it is whom something is done to
            users += [f"user.{name}" for name in _USER]
        if any(view.has(path, pa.types.is_string) for path in users):
            columns = (
                f"{view.text(*users)} AS who",
                f"{view.number('status_id')} AS status_id",
                f"{_cloud(view)} AS cloud",
                f"{view.number('time')} AS time",
            )
            parts.append(view.rows(*columns))
    if not parts:
        return []
    sql = f"""
        SELECT who, count(*) AS events, count(*) FILTER (status_id = 2) AS failed,
               coalesce(list_sort(list(DISTINCT cloud) FILTER (cloud IS NOT NULL)), []) AS clouds, max(time) AS last
        FROM ({_union(parts)}) WHERE who IS NOT NULL
        GROUP BY who ORDER BY events DESC, who LIMIT {_SHOWN}"""  # noqa: S608 - of our own texts
    return [Identity(*row) for row in _rows(lake, sql)]


def _left_over(lake: Lake, views: Sequence[_View]) -> list[LeftOver]:
    parts = [
        view.rows(
            '"source"' if "source" in view.schema.names else f'{_quoted(view.name)} AS "source"',
            "eventday",
            "map_keys(unmapped) AS paths",
        )
        for view in views
        if view.has("unmapped", lambda kind: pa.types.is_map(kind) and pa.types.is_string(kind.key_type))
    ]
    if not parts:
        return []
    sql = f"""
        WITH held AS ({_union(parts)}),
             began AS (SELECT "source", min(eventday) AS day FROM held GROUP BY ALL),
             found AS (
                 SELECT "source", path, count(*) AS events, min(eventday) AS first_day
                 FROM (SELECT "source", eventday, unnest(paths) AS path FROM held) GROUP BY ALL
             )
        SELECT "source", path, events, first_day, first_day > began.day AS new
        FROM found JOIN began USING ("source")
        ORDER BY new DESC, events DESC, "source", path LIMIT {_SHOWN}"""  # noqa: S608 - of our own texts
    return [LeftOver(*row) for row in _rows(lake, sql)]


def _cloud(view: _View) -> str:
    return view.text("cloud.provider")


def _rows(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    columns = [column.to_pylist() for column in lake.query(sql).columns]
    return list(zip(*columns, strict=True))


def _union(parts: Sequence[str]) -> str:
    return " UNION ALL ".join(parts)


def _path(path: str) -> str:
    return ".".join(map(_identifier, path.split(".")))


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
