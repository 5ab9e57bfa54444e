"""Findings of Amazon GuardDuty, from ListFindings and GetFindings.

A window is one of ``updatedAt``. An administrator account has the findings of its members among its own.

The calls: https://docs.aws.amazon.com/guardduty/latest/APIReference/API_ListFindings.html
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ocsflake.sources.aws._apis import EVERY, ApiSource, changed
from ocsflake.sources.aws._scopes import Access
from ocsflake.sources.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ocsflake.model import RawBatch
    from ocsflake.sources.aws._apis import Span, When, Words
    from ocsflake.sources.aws._scopes import Caller

__all__ = ["Findings", "aws_guardduty"]

_PAGE = 50
_WINDOWS = Windows(step=timedelta(days=10), settle=timedelta(0), overlap=timedelta(minutes=30))


@frozen(kw_only=True)
class Findings:
    """The findings of the detector of an account and Region, archived too; see `ocsflake.sources.aws._apis.Api`."""

    service: str = "guardduty"
    identity: str = ""
    per_second: float = 5.0
    windows: Windows = _WINDOWS
    every: timedelta = EVERY
    reach: timedelta = timedelta(days=90)  # how long GuardDuty keeps them
    mutable: bool = True

    def parts(self, call: Caller) -> Iterable[str]:  # noqa: ARG002 - as all of them take it
        """Return ``""``: they have windows together."""
        return ("",)

    def check(self, call: Caller, part: str) -> None:  # noqa: ARG002 - as all of them take it
        """See whether the detectors may be listed."""
        call("list_detectors")

    def read(self, call: Caller, part: str, span: Span) -> Iterator[RawBatch]:  # noqa: ARG002 - as all of them take it
        """Yield the findings that were last updated in a span of time."""
        start, end = span.milliseconds
        criterion = {"updatedAt": {"GreaterThanOrEqual": start, "LessThan": end}}
        for detectors in call.pages("list_detectors"):
            for detector in detectors.parsed["DetectorIds"]:
                pages = call.pages(
                    "list_findings",
                    DetectorId=detector,
                    FindingCriteria={"Criterion": criterion},
                    SortCriteria={"AttributeName": "updatedAt", "OrderBy": "ASC"},
                    MaxResults=_PAGE,
                )
                for page in pages:
                    if ids := page.parsed["FindingIds"]:
                        found = call("get_findings", DetectorId=detector, FindingIds=ids)
                        yield changed(found.records("findings"), ["id"], ["updatedAt"], span)


def aws_guardduty(
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
    """Return the source of GuardDuty's findings; `Access` and `ApiSource` say what the options are."""
    access = Access(regions=regions, accounts=accounts, role_arn=role_arn, external_id=external_id, session=session)
    return ApiSource(log_type=log_type, api=Findings(), access=access, since=since, until=until, name=name)
