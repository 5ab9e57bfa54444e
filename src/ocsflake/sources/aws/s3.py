"""Archives of logs in S3: what AWS services deliver to a bucket, and any other keys below a prefix.

The accounts, Regions and what else a layout names are found by listing with a delimiter. Below them keys are ordered by
day: one listing gives the days that are still open, and what was read of them is remembered; see
`ocsflake.sources.objects`. A prefix that may not be listed has a split whose reading fails, so that it is reported and
the others are read.
"""

from __future__ import annotations

import re
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from attrs import Factory, evolve, field, frozen

from ocsflake import aws
from ocsflake.errors import AccessDeniedError, ConfigError, SourceError, UnavailableError
from ocsflake.model import Split
from ocsflake.sources import objects
from ocsflake.sources.aws._layouts import Template, layout, origin_of
from ocsflake.sources.aws._objects import Objects
from ocsflake.sources.aws._places import Place, Scope, find, numbers
from ocsflake.sources.objects import LATE, Listed
from ocsflake.sources.options import bounds, words
from ocsflake.times import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ocsflake.model import RawBatch, State

__all__ = ["READERS", "S3Source"]

READERS = 8
"""Objects that are read at a time: most are small, and a request takes longer than what it brings."""

_ACCOUNT = re.compile(r"[0-9]{12}")


@frozen(kw_only=True)
class S3Source:
    """Records of one log type in a bucket of S3, or in several accounts' buckets.

    Objects are known by their key and ETag. Those whose key names a day are waited for until two days after it.

    Attributes:
        log_type: Picks the mapper and the layout, such as ``aws.cloudtrail``.
        uri: ``s3://bucket`` or ``s3://bucket/prefix``: what stands before ``AWSLogs/``, or more of the key, such as one
            account and Region. ``{account}`` stands for each of `accounts`.
        name: The identity of the source; made of the log type and the URI unless it is given.
        layout: How keys are made, where it is not the layout of the log type: a template such as
            ``{account}/{region}/{year}/{month}/{day}/``, ``firehose`` (``YYYY/MM/DD/``), the name of a log type, or
            ``free`` for any keys, which are all listed each time.
        accounts: Accounts to read, as a list or as text with commas; all that are found if there are none.
        role_arn: A role to act as; ``{account}`` stands for each of `accounts`.
        external_id: What the trust policy of the role asks for, if it does.
        since: Only objects that may hold events from this moment on: an age (``7d``), ISO 8601, or a datetime.
        until: Only objects that may hold events before this moment, and came at most two days later.
        session: A `boto3.Session`; one with the settings of the environment if it is not given.
        client: A boto3 client for S3; the clients of roles get its endpoint and configuration.
        sleep: Waits some seconds before a call is tried again.
    """

    log_type: str
    uri: str
    _name: str | None = field(default=None, repr=False)
    layout: str = ""
    accounts: tuple[str, ...] = field(default=(), converter=words)
    role_arn: str = ""
    external_id: str = field(default="", repr=False)
    since: str | datetime | None = None
    until: str | datetime | None = None
    session: Any = field(default=None, eq=False, repr=False)
    client: Any = field(default=None, eq=False, repr=False)
    sleep: Callable[[float], object] = field(default=time.sleep, eq=False, repr=False)
    _objects: Objects = field(
        init=False, eq=False, repr=False, default=Factory(lambda self: self._make_objects(), takes_self=True)
    )

    def __attrs_post_init__(self) -> None:
        """Check what can be checked without a call."""
        layout(self.layout, self.log_type)
        for account in self.accounts:
            if not _ACCOUNT.fullmatch(account):
                raise ConfigError(f"accounts: {account!r} is no account: an id has 12 digits, zeros at the front too")
        if not self.accounts and "{account}" in f"{self.uri}{self.role_arn}":
            raise ConfigError("{account} stands for each of accounts=, and none are given")
        self._scopes()
        now = datetime.now(UTC)
        moment(self.since, now)
        moment(self.until, now)

    @property
    def name(self) -> str:
        """The identity of the source; its state is kept under it."""
        return self._name or f"aws.s3:{self.log_type}:{self.uri.removesuffix('/')}"

    @property
    def readers(self) -> int:
        """How many splits may be read at a time."""
        return READERS

    def between(self, since: datetime | None, until: datetime | None) -> S3Source:
        """Return the same source, which plans what may hold events from `since` on and before `until`; in UTC."""
        first, last = bounds((self.since, self.until), since, until)
        return evolve(self, since=first, until=last)

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
        """Yield what is new since `state`: prefix after prefix, in each the oldest day first.

        A prefix that cannot be listed has a split as well, and it is the reading of that split which fails.

        Raises:
            ConfigError: If there are no credentials.
            MissingExtraError: If boto3 is not installed.
        """
        for scope in self._scopes():
            found = find(self._objects, scope, self._templates, or_all=not self.layout)
            yield from (self._unlisted(scope, prefix) for prefix in found.unlisted)
            for place in found.places:
                try:
                    yield from self._new(place, state, now)
                except AccessDeniedError:
                    yield self._unlisted(scope, place.listed)
                except SourceError:  # it will be no better elsewhere in the bucket
                    yield self._unlisted(scope, place.listed)
                    break

    def read(self, split: Split) -> Iterator[RawBatch]:
        """Yield the records of `split`, each batch with the URI, account and Region of its object as its ``origin``.

        Raises:
            SourceError: If the object is not what it was when the split was planned, or cannot be read.
        """
        detail = split.detail
        if "unlisted" in detail:
            raise self._why_unlisted(split)
        if not objects.is_end_of_day(split):
            known = {name: detail[name] for name in ("account", "region") if name in detail}
            yield from self._objects.batches(
                detail["uri"], detail["version"], origin=known, account=detail.get("account", ""), split=split.id
            )

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        """Return the state once the records of `done` are durable."""
        return objects.advance(state, done)

    @property
    def _templates(self) -> tuple[Template, ...]:
        return layout(self.layout, self.log_type)

    def _make_objects(self) -> Objects:
        return Objects(
            source=self.name,
            role_arn=self.role_arn,
            external_id=self.external_id,
            session=self.session,
            client=self.client,
            sleep=self.sleep,
        )

    def _scopes(self) -> list[Scope]:
        if "{account}" not in f"{self.uri}{self.role_arn}":
            return [Scope(*aws.s3_address(self.uri), accounts=self.accounts)]
        return [
            Scope(*aws.s3_address(self.uri.replace("{account}", account)), account, (account,))
            for account in self.accounts
        ]

    def _new(self, place: Place, state: State | None, now: datetime) -> Iterator[Split]:
        since, until = moment(self.since, now), moment(self.until, now)
        if place.template is None:
            late = until and until + timedelta(days=LATE)
            yield from objects.new(state, now, place.name, self._free(place, since, late))
            return
        first, last = place.days
        if since:  # what a day's keys hold was delivered then, and may be from the day before
            first = max(first, str((since - timedelta(days=1)).date()))
        if until:
            last = min(last or "~", str((until + timedelta(days=LATE)).date()))
        for start, end in objects.gaps(state, place.name, first, last):
            listed = self._dated(place, place.template, start, end)
            yield from objects.new(state, now, place.name, listed, first=start)

    def _free(self, place: Place, since: datetime | None, until: datetime | None) -> Iterator[Listed]:
        bucket, path = place.scope.bucket, place.prefix.removesuffix("/")
        found = False
        for page in self._pages(place, place.prefix):
            for item in page.get("Contents", ()):
                found = True
                stored, known = item["LastModified"], origin_of(self._templates, item["Key"])
                if known is not None and not (since and stored < since) and not (until and stored > until):
                    yield from _listed(bucket, item, "", {**place.origin, **known})
        if not found and path:  # it may be the key of one object
            for item in next(self._pages(place, path, MaxKeys=1)).get("Contents", ()):
                if item["Key"] == path:
                    yield from _listed(bucket, item, "", place.origin)

    def _dated(self, place: Place, template: Template, start: str, end: str) -> Iterator[Listed]:
        for page in self._pages_of_days(place, template, start, end):
            for item in page.get("Contents", ()):
                day = template.day_of(item["Key"], place.prefix)
                if end and day > end:
                    return
                if day and day >= start:
                    yield from _listed(place.scope.bucket, item, day, place.origin)

    def _pages_of_days(self, place: Place, template: Template, start: str, end: str) -> Iterator[Mapping[str, Any]]:
        """Yield the pages of a listing, in the order of days, from one day to another; what is beyond may be there."""
        if not template.is_ordered:
            for prefix in self._folders(place, start, end):
                yield from self._pages(place, max(prefix, place.listed, key=len))
            return
        asked = {"StartAfter": place.prefix + template.start_of(start)} if start else {}
        if "/" not in template.date:
            asked["Delimiter"] = "/"
        yield from self._pages(place, place.listed, **asked)

    def _folders(self, place: Place, start: str, end: str) -> Iterator[str]:
        """Yield the prefixes of days without zeros, such as ``2026/3/9/``, in their order."""
        first, last = start or "0000-00-00", end or "9999-99-99"
        for year in numbers(self._objects, place.scope, place.prefix):
            if not int(first[:4]) <= year <= int(last[:4]):
                continue
            of_year = f"{place.prefix}{year}/"
            for month in numbers(self._objects, place.scope, of_year):
                if first[:7] <= f"{year:04d}-{month:02d}" <= last[:7]:
                    of_month = f"{of_year}{month}/"
                    for day in numbers(self._objects, place.scope, of_month):
                        if first <= f"{year:04d}-{month:02d}-{day:02d}" <= last:
                            yield f"{of_month}{day}/"

    def _pages(self, place: Place, prefix: str, **asked: Any) -> Iterator[Mapping[str, Any]]:
        return self._objects.pages(place.scope.bucket, prefix, account=place.scope.account, **asked)

    def _unlisted(self, scope: Scope, prefix: str) -> Split:
        """Return a split whose reading fails; it is a commit by itself, so that no other has to be read twice."""
        detail = {"unlisted": prefix, "bucket": scope.bucket, "account": scope.account}
        return Split(f"s3://{scope.bucket}/{prefix}#unlisted", detail, sys.maxsize)

    def _why_unlisted(self, split: Split) -> SourceError:
        """Return the error of a listing that failed."""
        bucket, prefix = split.detail["bucket"], split.detail["unlisted"]
        try:
            next(self._objects.pages(bucket, prefix, account=split.detail["account"], split=split.id, MaxKeys=1))
        except SourceError as error:
            return error
        message = f"s3://{bucket}/{prefix} could not be listed a moment ago, and now it can be: run again"
        return UnavailableError(message, source=self.name, split=split.id)


def _listed(bucket: str, item: Mapping[str, Any], day: str, known: Mapping[str, str]) -> Iterator[Listed]:
    """Yield an object of a listing, unless it is empty: some consoles make such, to show a folder."""
    if item["Size"]:
        yield Listed(f"s3://{bucket}/{item['Key']}", item["ETag"].strip('"'), item["Size"], day, known)
