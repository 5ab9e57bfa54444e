"""Questions that are asked of every lake, as statements with parameters for `ocsflake.Lake.query`.

::

    from ocsflake import queries

    lake.query(queries.duplicate_findings(days=7))

Each reads event classes, whatever cloud the events come from, and only the days it is asked about. A class that a lake
has no events of counts as empty, as long as there are events of one that the question is about.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from ocsflake.errors import ConfigError
from ocsflake.lake.query import Query

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Query",
    "duplicate_findings",
    "failed_sign_ins",
    "first_seen_identities",
    "privilege_changes",
    "rejects_by_port",
    "top_talkers",
]


def duplicate_findings(*, days: int = 7, until: date | None = None) -> Query:
    """Return the findings that came more than once, most often first.

    The query that AWS publishes under this name has one row for every finding, and leaves out the first day: it
    compares days with hours, as text. This one has a row for each id that came twice or more, on any of the days.

    Columns: ``uid``, ``findings`` (how often), ``title``, ``severity`` and ``status`` (the latest), ``first_time``,
    ``last_time``, ``accounts``, ``regions`` (of the cloud), ``sources``.

    Args:
        days: How many days before the last one are asked about too.
        until: The last day, in UTC; today if it is not given.

    Raises:
        ConfigError: If `days` is negative.
    """
    classes = ("vulnerability_finding", "compliance_finding", "detection_finding")
    every = " UNION ALL ".join(_FINDINGS.format(event_class=name) for name in classes)
    return Query("duplicate_findings", _DUPLICATES.format(findings=every), _days(days, until), classes, ("uid",))


def failed_sign_ins(*, days: int = 7, until: date | None = None) -> Query:
    """Return the addresses that sign-ins failed from, most often first, across all clouds.

    Columns: ``address``, ``failures``, ``users`` and ``clouds`` that they were for, ``accounts``, ``first_time``,
    ``last_time``.

    Args:
        days: How many days before the last one are asked about too.
        until: The last day, in UTC; today if it is not given.

    Raises:
        ConfigError: If `days` is negative.
    """
    return Query("failed_sign_ins", _FAILED_SIGN_INS, _days(days, until), ("authentication",), ("address",))


def privilege_changes(*, days: int = 7, until: date | None = None) -> Query:
    """Return who gave whom which rights, or took them, latest first: policies, roles, groups and bindings.

    Columns: ``time``, ``cloud``, ``account``, ``who``, ``change``, ``whom``, ``what``, ``status``, ``source``, ``uid``
    (of the event).

    Args:
        days: How many days before the last one are asked about too.
        until: The last day, in UTC; today if it is not given.

    Raises:
        ConfigError: If `days` is negative.
    """
    classes = ("account_change", "group_management", "user_access", "api_activity")
    key = ("time", "account", "who", "change", "whom", "what", "uid")
    return Query("privilege_changes", _PRIVILEGE_CHANGES, _days(days, until), classes, key)


def rejects_by_port(*, days: int = 7, until: date | None = None) -> Query:
    """Return the ports that connections were refused to, most often first.

    Columns: ``port``, ``protocol_num`` (as IANA numbers it), ``rejects``, ``from_addresses`` and ``to_addresses`` (how
    many), ``clouds``.

    Args:
        days: How many days before the last one are asked about too.
        until: The last day, in UTC; today if it is not given.

    Raises:
        ConfigError: If `days` is negative.
    """
    return Query(
        "rejects_by_port", _REJECTS_BY_PORT, _days(days, until), ("network_activity",), ("port", "protocol_num")
    )


def top_talkers(*, days: int = 7, until: date | None = None, limit: int = 10) -> Query:
    """Return the pairs of addresses that sent each other most, most bytes first.

    Columns: ``from_address``, ``to_address``, ``bytes``, ``packets``, ``flows``, ``clouds``.

    Args:
        days: How many days before the last one are asked about too.
        until: The last day, in UTC; today if it is not given.
        limit: How many pairs.

    Raises:
        ConfigError: If `days` is negative, or `limit` is not positive.
    """
    if limit < 1:
        raise ConfigError(f"limit {limit!r}: give 1 or more")
    parameters = {**_days(days, until), "limit": limit}
    return Query("top_talkers", _TOP_TALKERS, parameters, ("network_activity",), ("from_address", "to_address"))


def first_seen_identities(*, days: int = 7, known_days: int = 30, until: date | None = None) -> Query:
    """Return the identities that act for the first time, earliest first.

    An identity is new if it did nothing, and did not sign in, on the `known_days` before the days asked about. In a
    lake that goes back less far, more are new.

    Columns: ``cloud``, ``identity`` (its id, or its name if it has none), ``name``, ``first_time``, ``events``,
    ``addresses``, ``operations`` (the first few of each).

    Args:
        days: How many days before the last one are asked about too.
        known_days: How many days before these are looked at.
        until: The last day, in UTC; today if it is not given.

    Raises:
        ConfigError: If `days` or `known_days` is negative.
    """
    asked, known = _days(days, until), _days(days + _not_negative("known_days", known_days), until)
    parameters = {**asked, "known_from": known["first_day"]}
    classes = ("api_activity", "authentication")
    return Query("first_seen_identities", _FIRST_SEEN, parameters, classes, ("cloud", "identity"))


def _days(days: int, until: date | None) -> Mapping[str, str]:
    """Return the first and the last day as partitions have them."""
    last = until or datetime.now(UTC).date()
    first = last - timedelta(days=_not_negative("days", days))
    return {"first_day": f"{first:%Y%m%d}", "last_day": f"{last:%Y%m%d}"}


def _not_negative(name: str, value: int) -> int:
    if value < 0:
        raise ConfigError(f"{name} {value!r}: give 0 or more")
    return value


def _all(value: str) -> str:
    """Return the SQL of all that a value is in a group, in order."""
    return f"list_sort(list(DISTINCT {value}) FILTER ({value} IS NOT NULL))"


_FINDINGS = """\
SELECT finding_info.uid AS uid, finding_info.title AS title, severity, status, time, accountid, source,
           cloud.region AS cloud_region,
           row(time, source, coalesce(finding_info.title, ''), coalesce(severity, ''), coalesce(status, '')) AS latest
    FROM {event_class} WHERE eventday BETWEEN $first_day AND $last_day"""

_DUPLICATES = f"""\
WITH findings AS (
    {{findings}}
)
SELECT uid, count(*) AS findings, arg_max(title, latest) AS title, arg_max(severity, latest) AS severity,
       arg_max(status, latest) AS status, to_timestamp(min(time) / 1000) AS first_time,
       to_timestamp(max(time) / 1000) AS last_time, {_all("accountid")} AS accounts,
       {_all("cloud_region")} AS regions, {_all("source")} AS sources
FROM findings WHERE uid IS NOT NULL
GROUP BY uid HAVING count(*) > 1
ORDER BY findings DESC, uid"""  # noqa: S608 - all of it is ours

_FAILED_SIGN_INS = f"""\
SELECT src_endpoint.ip AS address, count(*) AS failures,
       {_all("coalesce(user.name, user.email_addr, user.uid)")} AS users,
       {_all("cloud.provider")} AS clouds, {_all("accountid")} AS accounts,
       to_timestamp(min(time) / 1000) AS first_time, to_timestamp(max(time) / 1000) AS last_time
FROM authentication
WHERE status_id = 2 AND eventday BETWEEN $first_day AND $last_day
GROUP BY address
ORDER BY failures DESC, address"""  # noqa: S608 - all of it is ours

_BINDINGS = "(setiampolicy|roleassignments/(write|delete)|rolebindings[.](create|update|patch|delete))"

_PRIVILEGE_CHANGES = f"""\
WITH changes AS (
    SELECT time, cloud.provider AS cloud, accountid, source, status, metadata.uid AS uid, activity_name AS change,
           coalesce(actor.user.name, actor.user.email_addr, actor.user.uid) AS who,
           coalesce(user.name, user.uid) AS whom, coalesce(policy.name, policy.uid, api.operation) AS what
    FROM account_change
    WHERE activity_id IN (7, 8) AND eventday BETWEEN $first_day AND $last_day
    UNION ALL
    SELECT time, cloud.provider, accountid, source, status, metadata.uid, activity_name,
           coalesce(actor.user.name, actor.user.email_addr, actor.user.uid),
           coalesce(user.name, user.uid), coalesce("group".name, "group".uid)
    FROM group_management
    WHERE activity_id IN (1, 2, 3, 4) AND eventday BETWEEN $first_day AND $last_day
    UNION ALL
    SELECT time, cloud.provider, accountid, source, status, metadata.uid, activity_name,
           coalesce(actor.user.name, actor.user.email_addr, actor.user.uid),
           coalesce(user.name, user.uid), array_to_string(privileges, ', ')
    FROM user_access
    WHERE activity_id IN (1, 2) AND eventday BETWEEN $first_day AND $last_day
    UNION ALL
    SELECT time, cloud.provider, accountid, source, status, metadata.uid, activity_name,
           coalesce(actor.user.name, actor.user.email_addr, actor.user.uid),
           NULL, api.operation
    FROM api_activity
    WHERE regexp_matches(api.operation, '(?i){_BINDINGS}') AND eventday BETWEEN $first_day AND $last_day
)
SELECT to_timestamp(time / 1000) AS time, cloud, accountid AS account, who, change, whom, what, status, source, uid
FROM changes
ORDER BY time DESC, cloud, account, who, change, whom, what, status, source, uid"""  # noqa: S608 - all of it is ours

_REJECTS_BY_PORT = f"""\
SELECT dst_endpoint.port AS port, connection_info.protocol_num AS protocol_num, count(*) AS rejects,
       count(DISTINCT src_endpoint.ip) AS from_addresses, count(DISTINCT dst_endpoint.ip) AS to_addresses,
       {_all("cloud.provider")} AS clouds
FROM network_activity
WHERE (activity_id = 5 OR action_id = 2) AND eventday BETWEEN $first_day AND $last_day
GROUP BY port, protocol_num
ORDER BY rejects DESC, port, protocol_num"""  # noqa: S608 - all of it is ours

_TOP_TALKERS = f"""\
SELECT src_endpoint.ip AS from_address, dst_endpoint.ip AS to_address, sum(traffic.bytes)::BIGINT AS bytes,
       sum(traffic.packets)::BIGINT AS packets, count(*) AS flows, {_all("cloud.provider")} AS clouds
FROM network_activity
WHERE traffic.bytes > 0 AND eventday BETWEEN $first_day AND $last_day
GROUP BY from_address, to_address
ORDER BY bytes DESC, from_address, to_address
LIMIT $limit"""  # noqa: S608 - all of it is ours

_FIRST_SEEN = f"""\
WITH acts AS (
    SELECT cloud.provider AS cloud, coalesce(actor.user.uid, actor.user.name) AS identity, actor.user.name AS name,
           time, eventday, src_endpoint.ip AS address, api.operation AS operation
    FROM api_activity WHERE eventday BETWEEN $known_from AND $last_day
    UNION ALL
    SELECT cloud.provider, coalesce(user.uid, user.name), user.name, time, eventday, src_endpoint.ip, activity_name
    FROM authentication WHERE eventday BETWEEN $known_from AND $last_day
)
SELECT cloud, identity, arg_min(name, row(time, name)) AS name, to_timestamp(min(time) / 1000) AS first_time,
       count(*) AS events, {_all("address")}[:5] AS addresses, {_all("operation")}[:5] AS operations
FROM acts WHERE identity IS NOT NULL
GROUP BY cloud, identity HAVING min(eventday) >= $first_day
ORDER BY first_time, cloud, identity"""  # noqa: S608 - all of it is ours
