"""AWS Config: results of its rules, or configuration items as they are now.

GetComplianceDetailsByConfigRule has no filter by time and tells the last result of each rule on each resource: all of
them are listed each time, and those that were recorded since are taken.

SelectResourceConfig tells the present item of each resource that is there, and can be asked for those that were
captured in a span of time. What was between two runs, and what was deleted, is only in the files that Config writes to
a bucket.

The calls: https://docs.aws.amazon.com/config/latest/APIReference/API_GetComplianceDetailsByConfigRule.html and
https://docs.aws.amazon.com/config/latest/APIReference/API_SelectResourceConfig.html
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from attrs import frozen

from ocsflake.errors import ConfigError, SourceError
from ocsflake.sources.aws._apis import ALWAYS, EVERY, ApiSource, changed, iso
from ocsflake.sources.aws._scopes import Access
from ocsflake.sources.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ocsflake.model import RawBatch
    from ocsflake.sources.aws._apis import Span, When, Words
    from ocsflake.sources.aws._scopes import Caller

__all__ = ["Items", "Results", "aws_config"]

_PAGE = 100
_GONE = "NoSuchConfigRuleException"
_OF = "EvaluationResultIdentifier.EvaluationResultQualifier"
_UID = tuple(f"{_OF}.{name}" for name in ("ConfigRuleName", "ResourceType", "ResourceId", "EvaluationMode"))
_WINDOWS = Windows(step=timedelta(days=10), settle=timedelta(0), overlap=timedelta(minutes=30))
_SELECT = (
    "SELECT accountId, arn, availabilityZone, awsRegion, configuration, configurationItemCaptureTime, "
    "configurationItemStatus, configurationStateId, relationships, resourceCreationTime, resourceId, resourceName, "
    "resourceType, supplementaryConfiguration, tags, version "
    "WHERE configurationItemCaptureTime BETWEEN '{}' AND '{}'"
)


@frozen(kw_only=True)
class Results:
    """The results of all rules of an account and Region; see `ocsflake.sources.aws._apis.Api`."""

    service: str = "config"
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
        """See whether the rules may be listed."""
        call("describe_config_rules")

    def read(self, call: Caller, part: str, span: Span) -> Iterator[RawBatch]:  # noqa: ARG002 - as all of them take it
        """Yield the results that were recorded in a span of time."""
        for rules in call.pages("describe_config_rules"):
            for rule in rules.parsed["ConfigRules"]:
                yield from _results(call, rule["ConfigRuleName"], span)


@frozen(kw_only=True)
class Items:
    """The present configuration items of an account and Region; see `ocsflake.sources.aws._apis.Api`."""

    service: str = "config"
    identity: str = "items"
    per_second: float = 5.0
    windows: Windows = _WINDOWS
    every: timedelta = EVERY
    reach: timedelta = timedelta(days=90)
    mutable: bool = True

    def parts(self, call: Caller) -> Iterable[str]:  # noqa: ARG002 - as all of them take it
        """Return ``""``: they have windows together."""
        return ("",)

    def check(self, call: Caller, part: str) -> None:  # noqa: ARG002 - as all of them take it
        """See whether items may be selected."""
        call("select_resource_config", Expression="SELECT resourceId", Limit=1)

    def read(self, call: Caller, part: str, span: Span) -> Iterator[RawBatch]:  # noqa: ARG002 - as all of them take it
        """Yield the items that were captured in a span of time."""
        asked = _SELECT.format(iso(span.start), iso(span.end))
        for page in call.pages("select_resource_config", Expression=asked, Limit=_PAGE):
            items = [str(msgspec.json.decode(item)).encode() for item in page.records("Results")]
            uid = ["accountId", "awsRegion", "resourceType", "resourceId"]
            yield changed(items, uid, ["configurationItemCaptureTime"], span)


def _results(call: Caller, rule: str, span: Span) -> Iterator[RawBatch]:
    """Yield the results of one rule; none of what is left of a rule that is gone meanwhile."""
    try:
        for page in call.pages("get_compliance_details_by_config_rule", ConfigRuleName=rule, Limit=_PAGE):
            yield changed(page.records("EvaluationResults"), _UID, ["ResultRecordedTime"], span, f"{call.scope} ")
    except SourceError as error:
        if call.code_of(error) != _GONE:
            raise


def aws_config(
    *,
    log_type: str,
    records: Literal["results", "items"] = "results",
    regions: Words = (),
    accounts: Words = (),
    role_arn: str = "",
    external_id: str = "",
    since: When = None,
    until: When = None,
    name: str | None = None,
    session: Any = None,
) -> ApiSource:
    """Return the source of Config's records; `Access` and `ApiSource` say what the other options are.

    ``records`` is ``results`` for those of its rules, or ``items`` for the configuration of resources.

    Raises:
        ConfigError: If an option is wrong.
    """
    if records not in {"results", "items"}:
        raise ConfigError(f"records={records!r}: give results or items")
    api = Items() if records == "items" else Results()
    access = Access(regions=regions, accounts=accounts, role_arn=role_arn, external_id=external_id, session=session)
    return ApiSource(log_type=log_type, api=api, access=access, since=since, until=until, name=name)
