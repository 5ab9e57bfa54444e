"""Plan what is wanted of Security Lake, and apply the plan."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
from attrs import asdict, field, frozen

from ocsflake.errors import ConfigError, LakeError
from ocsflake.security_lake import iam
from ocsflake.security_lake.names import check_available
from ocsflake.security_lake.service import Service
from ocsflake.security_lake.steps import Findings, Step, find, perform
from ocsflake.security_lake.wanted import CustomSources, DataLakes, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Plan", "apply", "plan"]


@frozen
class Plan:
    """What is left to do for what is wanted. ``str(plan)`` is for people, `to_json` for programs.

    Attributes:
        wanted: What should be there.
        caller: The ARN of who asked.
        steps: The calls that change something, in order; none if all is there.
        there: What is there already, in words.
        caller_statements: IAM statements: what the caller must be allowed.
        missing: What of it the caller lacks, such as ``glue:CreateCrawler on arn:...``; ``None`` if IAM would not tell.
        crawler_role: For custom sources: what the role of the crawlers must have.
        provider_role: For custom sources: what the writer's roles, which Security Lake makes, trust and allow.
    """

    wanted: Wanted
    caller: str
    steps: tuple[Step, ...]
    there: tuple[str, ...]
    caller_statements: tuple[Mapping[str, Any], ...] = field(repr=False)
    missing: tuple[str, ...] | None
    crawler_role: Mapping[str, Any] = field(factory=dict, repr=False)
    provider_role: Mapping[str, Any] = field(factory=dict, repr=False)

    def to_json(self) -> str:
        """Return all of it as one JSON object; ``statements`` can be pasted into policies."""
        return msgspec.json.encode(
            {
                "caller": self.caller,
                "steps": [asdict(step) for step in self.steps],
                "there": self.there,
                "caller_statements": self.caller_statements,
                "missing": self.missing,
                "crawler_role": self.crawler_role,
                "provider_role": self.provider_role,
            }
        ).decode()

    def __str__(self) -> str:
        parts = [f"there already  {item}" for item in self.there]
        parts += [f"to do          {step.region}  {step.operation}: {step.purpose}" for step in self.steps]
        parts += [] if self.steps else ["nothing is left to do"]
        parts += [f"\nthe caller, {self.caller}, must be allowed", _pretty(self.caller_statements)]
        if self.missing is None:
            parts.append("whether it is, IAM would not tell: that takes iam:SimulatePrincipalPolicy")
        else:
            parts += [f"it lacks       {permission}" for permission in self.missing] or ["which it is"]
        if self.crawler_role:
            parts += ["\nthe role of the crawlers must be there, with", _pretty(self.crawler_role)]
        if self.provider_role:
            parts += ["\nthe roles of the writer are made by Security Lake, and act as", _pretty(self.provider_role)]
        return "\n".join(parts)


def plan(wanted: Wanted, *, session: Any = None, sleep: Callable[[float], object] = time.sleep) -> Plan:
    """Ask what is there, and return what is left to do. Nothing is changed.

    Args:
        wanted: `CustomSources` (see `custom_sources`), `DataLakes`, `Subscriber` or `ExceptionSubscription`.
        session: A `boto3.Session`; if it is not given, one with the settings of the environment.
        sleep: Waits some seconds before a call is tried again.

    Raises:
        ConfigError: If it cannot be: a limit, a collision, a Region without the service; says why.
        LakeError: If a permission to ask is missing, which the message names; or the service cannot be reached.
        MissingExtraError: If boto3 is not installed.
    """
    service = Service(session, sleep)
    regions = _regions(wanted)
    check_available(regions, service.regions())
    who = iam.caller(service, regions[0])
    found = find(service, wanted)
    statements = iam.caller_statements(wanted, found, who)
    custom = isinstance(wanted, CustomSources)
    return Plan(
        wanted,
        who.arn,
        found.steps,
        found.there,
        statements,
        iam.missing_permissions(service, regions[0], who, statements),
        iam.crawler_role(found, who) if custom else {},
        iam.provider_role(wanted, found, who) if isinstance(wanted, CustomSources) else {},
    )


def apply(
    plan: Plan,
    *,
    session: Any = None,
    progress: Callable[[Step], object] | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> tuple[Step, ...]:
    """Do what is left of a plan, and return the steps that were taken; none if all is there.

    What is there is looked at anew, so a plan may be applied again after any failure, wherever it came, and by two at
    once. While another change is under way, a step is tried again with growing pauses.

    Args:
        plan: What `plan` returned.
        session: A `boto3.Session`; if it is not given, one with the settings of the environment.
        progress: Told of each step when it is done.
        sleep: Waits some seconds before a call is tried again.

    Raises:
        ConfigError: If what is there has changed so that other steps are called for: plan again.
        LakeError: If the caller lacks a permission, before anything is changed; or a step failed.
        MissingExtraError: If boto3 is not installed.
    """
    if plan.missing:
        raise LakeError(
            f"nothing was changed, since {plan.caller} lacks {'; '.join(plan.missing)}: allow it, plan again"
        )
    service = Service(session, sleep)
    left: Findings = find(service, plan.wanted)
    strange = [step for step in left.steps if step not in plan.steps]
    if strange:
        raise ConfigError(f"nothing was changed, since the plan is out of date ({strange[0].purpose}): plan again")
    for step in left.steps:
        perform(service, step, plan.wanted)
        if progress:
            progress(step)
    return left.steps


def _regions(wanted: Wanted) -> tuple[str, ...]:
    if isinstance(wanted, CustomSources):
        return wanted.regions
    if isinstance(wanted, DataLakes):
        targets = (target for region in wanted.regions for target in region.roll_up_to)
        return (*(region.region for region in wanted.regions), *targets)
    return (wanted.region,)


def _pretty(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
