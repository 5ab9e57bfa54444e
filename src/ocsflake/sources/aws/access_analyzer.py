"""Findings of IAM Access Analyzer, from ListAnalyzers, ListFindingsV2 and GetFindingV2.

The service has no filter by time: all findings are listed each time, and those that were updated since are fetched.

The filters: https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-reference-filter-keys.html
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from attrs import frozen

from ocsflake.errors import SourceError
from ocsflake.sources.aws._apis import ALWAYS, ApiSource, changed, text_at
from ocsflake.sources.aws._scopes import Access, raw_list, raw_members

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ocsflake.model import RawBatch
    from ocsflake.sources.aws._apis import Span, When, Words
    from ocsflake.sources.aws._scopes import Caller
    from ocsflake.sources.windows import Windows

__all__ = ["Findings", "aws_access_analyzer"]

_PAGE = 100
_GONE = "ResourceNotFoundException"


@frozen(kw_only=True)
class Findings:
    """The findings of all analyzers of an account and Region; see `ocsflake.sources.aws._apis.Api`."""

    service: str = "accessanalyzer"
    identity: str = ""
    per_second: float = 5.0
    windows: Windows = ALWAYS
    every: timedelta = timedelta(minutes=30)
    reach: timedelta = timedelta(days=90)
    mutable: bool = True

    def parts(self, call: Caller) -> Iterable[str]:  # noqa: ARG002 - as all of them take it
        """Return ``""``: they have windows together."""
        return ("",)

    def check(self, call: Caller, part: str) -> None:  # noqa: ARG002 - as all of them take it
        """See whether the analyzers may be listed."""
        call("list_analyzers")

    def read(self, call: Caller, part: str, span: Span) -> Iterator[RawBatch]:  # noqa: ARG002 - as all of them take it
        """Yield the findings that were last updated in a span of time, with their details."""
        for analyzers in call.pages("list_analyzers"):
            for analyzer in analyzers.parsed["analyzers"]:
                arn = analyzer["arn"]
                for page in call.pages("list_findings_v2", analyzerArn=arn, maxResults=_PAGE):
                    listed = changed(page.records("findings"), ["id"], ["updatedAt"], span).records
                    yield changed([_detailed(call, arn, bytes(each)) for each in listed], ["id"], ["updatedAt"], span)


def _detailed(call: Caller, analyzer: str, listed: bytes) -> bytes:
    """Return a finding with all its details, or as it was listed if it is gone meanwhile."""
    uid = text_at(listed, "id")
    try:
        pages = [raw_members(page.body) for page in call.pages("get_finding_v2", analyzerArn=analyzer, id=uid)]
    except SourceError as error:
        if call.code_of(error) == _GONE:
            return listed
        raise
    details = [msgspec.Raw(each) for page in pages for each in raw_list(page.get("findingDetails", b"[]"))]
    finding = {name: value for name, value in pages[0].items() if name != "nextToken"}
    return msgspec.json.encode(finding | {"findingDetails": details})


def aws_access_analyzer(
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
    """Return the source of Access Analyzer's findings; `Access` and `ApiSource` say what the options are."""
    access = Access(regions=regions, accounts=accounts, role_arn=role_arn, external_id=external_id, session=session)
    return ApiSource(log_type=log_type, api=Findings(), access=access, since=since, until=until, name=name)
