"""Management events of the last 90 days from CloudTrail's LookupEvents, where no trail writes to a bucket.

The service gives 50 events a call and takes two calls a second in an account and Region, so 100 events a second at
most. It matches times by the second, both ends included, and its page tokens want the very parameters of the first
call.

The call: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ocsflake.model import RawBatch
from ocsflake.sources.aws._apis import EVERY, ApiSource, text_at
from ocsflake.sources.aws._scopes import Access
from ocsflake.sources.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ocsflake.sources.aws._apis import Span, When, Words
    from ocsflake.sources.aws._scopes import Caller

__all__ = ["ManagementEvents", "aws_cloudtrail_lookup"]

_PAGE = 50
# Events show some 5 minutes after the call on average, and 15 at times.
_WINDOWS = Windows(step=timedelta(hours=6), settle=timedelta(minutes=5), overlap=timedelta(minutes=30))


@frozen(kw_only=True)
class ManagementEvents:
    """The management events of an account and Region; see `ocsflake.sources.aws._apis.Api`."""

    service: str = "cloudtrail"
    identity: str = "lookup"
    per_second: float = 2.0
    windows: Windows = _WINDOWS
    every: timedelta = EVERY
    reach: timedelta = timedelta(days=7)
    mutable: bool = False

    def parts(self, call: Caller) -> Iterable[str]:  # noqa: ARG002 - as all of them take it
        """Return ``""``: they have windows together."""
        return ("",)

    def check(self, call: Caller, part: str) -> None:  # noqa: ARG002 - as all of them take it
        """See whether events may be looked up."""
        call("lookup_events", MaxResults=1)

    def read(self, call: Caller, part: str, span: Span) -> Iterator[RawBatch]:  # noqa: ARG002 - as all of them take it
        """Yield the events of a span of time, the latest first, as CloudTrail would write them to a bucket."""
        last = span.end - timedelta(milliseconds=1)  # boto3 cuts it to the second
        for page in call.pages("lookup_events", StartTime=span.start, EndTime=last, MaxResults=_PAGE):
            found = page.records("Events")
            records = [text_at(event, "CloudTrailEvent").encode() or event for event in found]
            yield RawBatch(records, ids=[text_at(event, "EventId") for event in found])


def aws_cloudtrail_lookup(
    *,
    log_type: str,
    regions: Words = (),
    accounts: Words = (),
    role_arn: str = "",
    external_id: str = "",
    since: When = None,
    until: When = None,
    name: str | None = None,
    session: Any = None,
) -> ApiSource:
    """Return the source of CloudTrail's management events; `Access` and `ApiSource` say what the options are."""
    access = Access(regions=regions, accounts=accounts, role_arn=role_arn, external_id=external_id, session=session)
    return ApiSource(log_type=log_type, api=ManagementEvents(), access=access, since=since, until=until, name=name)
