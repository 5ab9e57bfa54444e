"""Names as Security Lake has them: of event classes, of custom sources, of Regions."""

from __future__ import annotations

import functools
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

from attrs import frozen

from ocsflake import ocsf
from ocsflake.errors import ConfigError, did_you_mean
from ocsflake.lake.layout import source_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ocsflake.mapping import Mapper

__all__ = [
    "MAX_CUSTOM_SOURCES",
    "EventClass",
    "aws_event_class",
    "check_available",
    "check_collisions",
    "check_ocsf_version",
    "event_classes",
    "names_of",
    "ocsf_event_class",
]

MAX_CUSTOM_SOURCES = 50
"""How many custom sources an account may have (contract rule 8)."""

_NEWEST = (1, 3)
_BASE = "base_event"


@frozen
class EventClass:
    """An event class that custom sources may hold.

    Attributes:
        aws_name: Security Lake's name for it, such as ``FILE_SYSTEM_ACTIVITY``.
        name: OCSF's, such as ``file_activity``.
        uid: OCSF's number.
    """

    aws_name: str
    name: str
    uid: int


@functools.cache
def event_classes() -> Mapping[str, EventClass]:
    """Return the event classes that Security Lake lists for custom sources, by OCSF name (contract rule 5).

    They are the 71 classes of OCSF 1.3.0. Most have OCSF's name in capitals, nine have the caption's words or others.
    """
    text = resources.files(__package__).joinpath("event_classes.tsv").read_text()
    rows = [line.split("\t") for line in text.splitlines()[1:]]
    return MappingProxyType({name: EventClass(aws_name, name, int(uid)) for aws_name, name, uid in rows})


def aws_event_class(name: str) -> str:
    """Return Security Lake's name of an OCSF class: ``FILE_SYSTEM_ACTIVITY`` for ``file_activity``.

    It has none for ``base_event``, which all classes extend: a source of such events is registered without naming a
    class, as the service allows (contract rule 5); ``""`` is returned.

    Raises:
        ConfigError: If Security Lake does not list the class; says what is near.
    """
    if name == _BASE:
        return ""
    known = event_classes()
    if name not in known:
        near = did_you_mean(name.lower(), known) or "; its classes are those of OCSF 1.3.0"
        raise ConfigError(f"Security Lake has no event class {name!r} for custom sources{near}")
    return known[name].aws_name


def ocsf_event_class(aws_name: str) -> str:
    """Return OCSF's name of a class that Security Lake names, ``""`` if it is not among those it lists."""
    for known in event_classes().values():
        if aws_name == known.aws_name or aws_name == known.name.upper():  # FILE_ACTIVITY is of an older list
            return known.name
    return ""


def names_of(
    of: Iterable[Mapper | str],
    *,
    naming: str = "log_type",
    ocsf_version: str = ocsf.DEFAULT_VERSION,
    without: Iterable[str] = (),
) -> Mapping[str, str]:
    """Return the names of custom sources, with the OCSF name of the class of each.

    Args:
        of: Mappers, each for all classes that it makes events of; or OCSF names of classes, with ``naming="class"``.
        naming: As `ocsflake.Lake` has it.
        ocsf_version: Of the events.
        without: OCSF names of classes to leave out.

    Raises:
        ConfigError: If a name breaks the rules, Security Lake does not list a class, or the version is too new.
    """
    if naming not in {"log_type", "class"}:
        raise ConfigError(f"naming {naming!r}: give 'log_type' or 'class'{did_you_mean(naming, ('log_type', 'class'))}")
    check_ocsf_version(ocsf_version)
    known = ocsf.load(ocsf_version).classes
    left_out = set(without)
    found = {}
    for item in of:
        if isinstance(item, str):
            if naming != "class":
                raise ConfigError(f"{item!r} is a class, and no log type's: give a mapper, or naming='class'")
            stem, classes = "ocsf", [item]
        else:
            stem = item.source_name if naming == "log_type" else "ocsf"
            classes = [table.event_class for table in item.events if table.holds_in(ocsf_version)]
            classes = [name for name in classes if name in known]
        for name in classes:
            if name not in left_out:
                aws_event_class(name)
                found[source_name(stem, known[name])] = name
    return found


def check_ocsf_version(version: str) -> None:
    """Raise if custom sources may not hold events of an OCSF version: they take 1.3 and earlier (contract rule 9).

    Raises:
        ConfigError: If the version is newer.
    """
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if parts > _NEWEST:
        raise ConfigError(f"OCSF {version} is too new: custom sources of Security Lake take 1.3 and earlier")


def check_available(regions: Iterable[str], known: Iterable[str]) -> None:
    """Raise for a Region that Security Lake is not in (contract rule 13).

    Args:
        regions: To check.
        known: Those that it is in.

    Raises:
        ConfigError: If there is one; says what is near.
    """
    known = list(known)
    for region in regions:
        if region not in known:
            near = did_you_mean(region, known) or f"; it is in {', '.join(known)}"
            raise ConfigError(f"Security Lake is not in the Region {region!r}{near}")


def check_collisions(new: Iterable[str], there: Iterable[str]) -> None:
    """Raise if two custom sources would share a Glue table, whose name is in lower case with ``_`` for ``-``.

    Contract rule 2.

    Raises:
        ConfigError: If two do; names both.
    """
    tables: dict[str, str] = {}
    for name in (*there, *new):
        other = tables.setdefault(name.lower().replace("-", "_"), name)
        if other != name:
            raise ConfigError(
                f"the custom sources {other!r} and {name!r} would share a table in Glue, which knows neither case nor"
                " '-' from '_': rename one"
            )
