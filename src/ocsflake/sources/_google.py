"""What the sources of Google Cloud share: the logs of a log type, identities, windows, messages as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from heapq import merge
from typing import TYPE_CHECKING, Any

import msgspec

from ocsflake.errors import SourceError
from ocsflake.model import Split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ocsflake.model import State
    from ocsflake.sources.windows import Windows

__all__ = ["LOGS", "check_unread", "entry_id", "plan_windows", "rest_json", "text_of"]

_EXACT = 2**53  # up to here a double has each whole number

_AUDIT = tuple(f"cloudaudit.googleapis.com/{log}" for log in ("activity", "data_access", "policy", "system_event"))

LOGS: dict[str, tuple[str, ...]] = {
    "gcp.audit": _AUDIT,
    "gcp.cloud_ids": ("ids.googleapis.com/threat", "ids.googleapis.com/traffic"),
    "gcp.dns": ("dns.googleapis.com/dns_queries",),
    "gcp.firewall": ("compute.googleapis.com/firewall",),
    "gcp.gke_audit": _AUDIT,
    "gcp.load_balancer": (
        "loadbalancing.googleapis.com/external_regional_requests",
        "loadbalancing.googleapis.com/internal_requests",
        "loadbalancing.googleapis.com/requests",
        "requests",
    ),
    "gcp.vpc_flow": ("compute.googleapis.com/vpc_flows", "networkmanagement.googleapis.com/vpc_flows"),
}
"""The ids of the logs that the records of a log type are in."""


class _Entry(msgspec.Struct):
    log: str = msgspec.field(name="logName", default="")
    time: str = msgspec.field(name="timestamp", default="")
    insert_id: str = msgspec.field(name="insertId", default="")


_ENTRY = msgspec.json.Decoder(_Entry)


def entry_id(entry: bytes | msgspec.Raw) -> str:
    """Return what tells a log entry from all others; ``""`` if it is none.

    Cloud Logging takes entries of one log, one time and one ``insertId`` for the same.
    """
    try:
        found = _ENTRY.decode(entry)
    except (msgspec.DecodeError, RecursionError):
        return ""
    return f"{found.log} {found.time} {found.insert_id}" if found.log and found.insert_id else ""


def text_of(milliseconds: int) -> str:
    """Return a time as Google's APIs take it."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plan_windows(
    windows: Windows,
    state: State | None,
    now: datetime,
    *,
    since: str | datetime,
    until: datetime | None,
    scopes: Iterable[str],
    probe: Callable[[str], object],
) -> Iterator[Split]:
    """Yield the windows of several scopes that are not covered yet, oldest first.

    A scope that was never read is probed; if it cannot be read, it has one split, whose reading fails in the same way.

    Args:
        windows: How time is cut.
        state: What `Windows.advance` returned last.
        now: What time it is.
        since: Where to begin; an age counts from the first run, so that nothing between two runs is passed over.
        until: Where to end.
        scopes: The names of the scopes.
        probe: Raises a `SourceError` if a scope cannot be read.
    """
    covered = (state or {}).get("covered", {})
    readable = []
    for scope in dict.fromkeys(scopes):
        planned = windows.plan(state, now, since=since, until=until, scopes=[scope])
        if scope in covered or _can(probe, scope):
            readable.append(planned)
        else:
            yield Split(f"{scope}#unread", {"scope": scope}, 0)
    yield from merge(*readable, key=lambda split: (split.detail["end"], split.detail["scope"]))


def check_unread(split: Split, probe: Callable[[str], object], source: str) -> None:
    """Raise if a split stands for a scope that could not be read when it was planned."""
    if "end" not in split.detail:
        scope = split.detail["scope"]
        try:
            probe(scope)
        except SourceError as error:
            error.split = split.id
            raise
        raise SourceError(f"{scope} can be read now: run again", source=source, split=split.id)


def rest_json(message: Any) -> dict[str, Any]:
    """Return a message of gRPC as the HTTP API has it.

    Raises:
        TypeError: If a part of it is of a type that no library here knows.
    """
    from google.protobuf.json_format import MessageToDict

    found: Mapping[str, Any] = _numbers(MessageToDict(message))
    return dict(found)


def _can(probe: Callable[[str], object], scope: str) -> bool:
    try:
        probe(scope)
    except SourceError:
        return False
    return True


def _numbers(value: Any) -> Any:
    """Return a value with whole numbers where gRPC, to which all numbers of a Struct are doubles, has ``3.0``."""
    if isinstance(value, dict):
        return {name: _numbers(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_numbers(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT else value
