"""``ocsflake custom-sources``: what a lake of Security Lake needs before events are written to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from attrs import asdict

from ocsflake import registry, security_lake
from ocsflake.cli._output import put, say, tell
from ocsflake.errors import NotRegisteredError

if TYPE_CHECKING:
    import argparse

    from ocsflake.mapping import Mapper
    from ocsflake.security_lake import Step

__all__ = ["main"]


def main(arguments: argparse.Namespace) -> int:
    """Show what is left to do, or do it."""
    wanted = security_lake.custom_sources(
        [_mapper_or_class(name) for name in arguments.names],
        regions=arguments.region,
        provider=arguments.provider,
        external_id=arguments.external_id,
        crawler_role_arn=arguments.crawler_role,
        naming=arguments.naming,
        ocsf_version=arguments.ocsf_version,
        without=arguments.without,
    )
    plan = security_lake.plan(wanted)
    if arguments.action == "plan":
        if arguments.json:
            put(plan.to_json().encode())
        else:
            say(str(plan))
        return int(bool(plan.missing))
    taken = security_lake.apply(plan, progress=None if arguments.json else _show)
    if arguments.json:
        put(msgspec.json.encode({"steps": [asdict(step) for step in taken], "there": plan.there}))
    else:
        tell(f"{len(taken)} done, {len(plan.there)} were there already")
    return 0


def _show(step: Step) -> None:
    say(f"{step.region}  {step.operation}: {step.purpose}")


def _mapper_or_class(name: str) -> Mapper | str:
    """Return the mapper of a log type, or the one whose custom sources have a stem; or a class, as it is given.

    Raises:
        NotRegisteredError: If it is none of them.
        PluginError: If the mapper does not load.
    """
    if name in security_lake.event_classes():
        return name
    try:
        return registry.mapper(name)
    except NotRegisteredError:
        for offer in registry.offers():
            if offer.kind == "mapper" and offer.state == "ok":
                found = registry.mapper(offer.name)
                if found.source_name == name:
                    return found
        raise
