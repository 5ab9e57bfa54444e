"""Findings of AWS Security Hub: in ASFF from GetFindings, or in OCSF from GetFindingsV2.

A window is one of ``UpdatedAt``, or of ``finding_info.modified_time``: when the product last updated the finding. What
customers note about it (BatchUpdateFindings: workflow, notes, severity) moves neither, and comes with the next update
of the product.

The calls: https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_GetFindings.html and
https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_GetFindingsV2.html
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from attrs import frozen

from ocsflake.errors import ConfigError
from ocsflake.sources.aws._apis import EVERY, ApiSource, changed, iso
from ocsflake.sources.aws._scopes import Access
from ocsflake.sources.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ocsflake.model import RawBatch
    from ocsflake.sources.aws._apis import Span, When, Words
    from ocsflake.sources.aws._scopes import Caller

__all__ = ["Findings", "OcsfFindings", "aws_securityhub"]

_PAGE = 100
_MODIFIED = "finding_info.modified_time_dt"
_WINDOWS = Windows(step=timedelta(days=10), settle=timedelta(0), overlap=timedelta(minutes=30))


@frozen(kw_only=True)
class Findings:
    """The findings of an account and Region in ASFF; see `ocsflake.sources.aws._apis.Api`."""

    service: str = "securityhub"
    identity: str = ""
    per_second: float = 3.0
    windows: Windows = _WINDOWS
    every: timedelta = EVERY
    reach: timedelta = timedelta(days=90)  # how long Security Hub keeps what is not updated
    mutable: bool = True

    def parts(self, call: Caller) -> Iterable[str]:  # noqa: ARG002 - as all of them take it
        """Return ``""``: they have windows together."""
        return ("",)

    def check(self, call: Caller, part: str) -> None:  # noqa: ARG002 - as all of them take it
        """See whether findings may be read."""
        call("get_findings", MaxResults=1)

    def read(self, call: Caller, part: str, span: Span) -> Iterator[RawBatch]:  # noqa: ARG002 - as all of them take it
        """Yield the findings that their products last updated in a span of time."""
        pages = call.pages(
            "get_findings",
            Filters={"UpdatedAt": [{"Start": iso(span.start), "End": iso(span.end)}]},
            SortCriteria=[{"Field": "UpdatedAt", "SortOrder": "asc"}],
            MaxResults=_PAGE,
        )
        for page in pages:
            yield changed(page.records("Findings"), ["ProductArn", "Id"], ["UpdatedAt"], span)


@frozen(kw_only=True)
class OcsfFindings:
    """The findings of an account and Region in OCSF; see `ocsflake.sources.aws._apis.Api`."""

    service: str = "securityhub"
    identity: str = "ocsf"
    per_second: float = 3.0
    windows: Windows = _WINDOWS
    every: timedelta = EVERY
    reach: timedelta = timedelta(days=90)
    mutable: bool = True

    def parts(self, call: Caller) -> Iterable[str]:  # noqa: ARG002 - as all of them take it
        """Return ``""``: they have windows together."""
        return ("",)

    def check(self, call: Caller, part: str) -> None:  # noqa: ARG002 - as all of them take it
        """See whether findings may be read."""
        call("get_findings_v2", MaxResults=1)

    def read(self, call: Caller, part: str, span: Span) -> Iterator[RawBatch]:  # noqa: ARG002 - as all of them take it
        """Yield the findings that their products last modified in a span of time."""
        times = {"FieldName": _MODIFIED, "Filter": {"Start": iso(span.start), "End": iso(span.end)}}
        pages = call.pages(
            "get_findings_v2",
            Filters={"CompositeFilters": [{"DateFilters": [times]}]},
            SortCriteria=[{"Field": _MODIFIED, "SortOrder": "asc"}],
            MaxResults=_PAGE,
        )
        for page in pages:
            uid = ["metadata.uid", "finding_info.uid"]
            yield changed(page.records("Findings"), uid, [_MODIFIED, "finding_info.modified_time"], span)


def aws_securityhub(
    *,
    log_type: str,
    findings: Literal["asff", "ocsf"] = "asff",
    regions: Words = (),
    accounts: Words = (),
    role_arn: str = "",
    external_id: str = "",
    since: When = None,
    until: When = None,
    name: str | None = None,
    session: Any = None,
) -> ApiSource:
    """Return the source of Security Hub's findings; `Access` and `ApiSource` say what the other options are.

    ``findings`` is ``asff`` for those of Security Hub CSPM, or ``ocsf`` for those of the new Security Hub.

    Raises:
        ConfigError: If an option is wrong.
    """
    if findings not in {"asff", "ocsf"}:
        raise ConfigError(f"findings={findings!r}: give asff or ocsf")
    api = OcsfFindings() if findings == "ocsf" else Findings()
    access = Access(regions=regions, accounts=accounts, role_arn=role_arn, external_id=external_id, session=session)
    return ApiSource(log_type=log_type, api=api, access=access, since=since, until=until, name=name)
