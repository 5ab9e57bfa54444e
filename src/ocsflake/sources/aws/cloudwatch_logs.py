"""Log events of CloudWatch Logs, from FilterLogEvents.

A window is one of the events' own time, for the service has no filter by the time that they came in; each log group has
windows of its own. A record is the envelope that a subscription would deliver, with one event: so each mapper takes it
as it takes those, whatever the message is.

The call: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
"""

from __future__ import annotations

from datetime import timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import msgspec
from attrs import field, frozen

from ocsflake.errors import ConfigError
from ocsflake.mapping.records import repair_surrogates
from ocsflake.model import RawBatch
from ocsflake.sources.aws._apis import EVERY, ApiSource, length
from ocsflake.sources.aws._scopes import Access
from ocsflake.sources.options import words
from ocsflake.sources.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ocsflake.sources.aws._apis import Span, When, Words
    from ocsflake.sources.aws._scopes import Caller

__all__ = ["LogGroups", "aws_cloudwatch_logs"]


class _Event(msgspec.Struct):
    eventId: str  # noqa: N815 - the names are the service's
    logStreamName: msgspec.Raw  # noqa: N815 - AWS's name
    timestamp: msgspec.Raw
    message: msgspec.Raw


class _Page(msgspec.Struct):
    events: list[_Event] = []


_WINDOWS = Windows(overlap=timedelta(minutes=15))
_PAGE = msgspec.json.Decoder(_Page)


@frozen(kw_only=True)
class LogGroups:
    """Log groups, each with windows of its own; see `ocsflake.sources.aws._apis.Api`.

    Attributes:
        names: Names of groups, with ``*`` for any part of a name.
        stream_prefix: What the names of their streams begin with.
        pattern: A filter pattern of CloudWatch Logs.
        header: The line that names the columns of messages in a format of one's own.
    """

    names: tuple[str, ...] = field(converter=words)
    stream_prefix: str = ""
    pattern: str = ""
    header: str = ""
    service: str = "logs"
    per_second: float = 5.0
    windows: Windows = _WINDOWS
    every: timedelta = EVERY
    reach: timedelta = timedelta(days=7)
    mutable: bool = False

    @property
    def identity(self) -> str:
        """What is asked for of each group, if it is not all."""
        return " ".join(filter(None, (self.stream_prefix, self.pattern)))

    def parts(self, call: Caller) -> Iterable[str]:
        """Return the names of the groups; a pattern stands for those that are there."""
        found: dict[str, None] = {}
        for name in self.names:
            if "*" not in name:
                found[name] = None
                continue
            prefix = name.partition("*")[0]
            for page in call.pages("describe_log_groups", **({"logGroupNamePrefix": prefix} if prefix else {})):
                there = (group["logGroupName"] for group in page.parsed["logGroups"])
                found |= dict.fromkeys(group for group in there if fnmatchcase(group, name))
        return found

    def check(self, call: Caller, part: str) -> None:
        """See whether a group is there and may be read."""
        call("filter_log_events", logGroupName=part, startTime=0, endTime=1, limit=1)

    def read(self, call: Caller, part: str, span: Span) -> Iterator[RawBatch]:
        """Yield the events of one group in a span of time; a page without events is no end."""
        start, end = span.milliseconds
        asked: dict[str, Any] = {"logGroupName": part, "startTime": start, "endTime": end - 1}
        asked |= {"logStreamNamePrefix": self.stream_prefix} if self.stream_prefix else {}
        asked |= {"filterPattern": self.pattern} if self.pattern else {}
        head = self.header.encode()
        group = msgspec.json.encode(part)
        before = b'{"messageType":"DATA_MESSAGE","owner":"%b","logGroup":%b' % (call.scope.account.encode(), group)
        for page in call.pages("filter_log_events", **asked):
            events = _events(page.body)
            records = [_message(event) if head else _envelope(before, event) for event in events]
            yield RawBatch(records, {"log_group": part}, head, ids=[event.eventId for event in events])


def _events(body: bytes) -> list[_Event]:
    try:
        return _PAGE.decode(body).events
    except msgspec.DecodeError:
        return _PAGE.decode(repair_surrogates(body)).events


def _envelope(before: bytes, event: _Event) -> bytes:
    """Return what a subscription would deliver; every value is the token that came."""
    uid = msgspec.json.encode(event.eventId)
    event_of = b'{"id":%b,"timestamp":%b,"message":%b}' % (uid, event.timestamp, event.message)
    return b'%b,"logStream":%b,"subscriptionFilters":[],"logEvents":[%b]}' % (before, event.logStreamName, event_of)


def _message(event: _Event) -> bytes:
    return str(msgspec.json.decode(event.message)).encode()


def aws_cloudwatch_logs(
    *,
    log_type: str,
    log_groups: Words,
    log_stream_prefix: str = "",
    filter_pattern: str = "",
    header: str = "",
    overlap: str | timedelta = "15m",
    regions: Words = (),
    accounts: Words = (),
    role_arn: str = "",
    external_id: str = "",
    since: When = None,
    until: When = None,
    name: str | None = None,
    session: Any = None,
) -> ApiSource:
    """Return the source of log groups; `Access` and `ApiSource` say what the other options are.

    - ``log_groups``: names of log groups, with ``*`` for any part of a name: a list, or text with commas.
    - ``log_stream_prefix``: what the names of their streams begin with, such as ``kube-apiserver-audit``.
    - ``filter_pattern``: a filter pattern of CloudWatch Logs, which keeps away what does not match it.
    - ``header``: the line that names the columns, for flow logs of a custom format.
    - ``overlap``: how late events may come and still be read: ``15m``, ``2h``. That much is read again each time.

    Raises:
        ConfigError: If an option is wrong.
    """
    groups = LogGroups(
        names=log_groups,
        stream_prefix=log_stream_prefix,
        pattern=filter_pattern,
        header=header,
        windows=Windows(overlap=length("overlap", overlap)),
    )
    if not groups.names:
        raise ConfigError("log_groups is empty: give the names of log groups")
    access = Access(regions=regions, accounts=accounts, role_arn=role_arn, external_id=external_id, session=session)
    return ApiSource(log_type=log_type, api=groups, access=access, since=since, until=until, name=name)
