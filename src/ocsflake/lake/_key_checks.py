"""What is wrong with the key of an object: the names, the order and the values of its partitions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attrs import frozen

from ocsflake.errors import ConfigError
from ocsflake.lake._checks import Problem
from ocsflake.lake.layout import check_region, parse_key

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Place", "check_key_of", "place_of"]

_NAMES = ("region", "accountId", "eventDay")
_KNOWN = {
    **{re.sub("[^a-z]", "", name.lower()): name for name in _NAMES},
    "awsregion": "region",
    "account": "accountId",
    "awsaccount": "accountId",
    "awsaccountid": "accountId",
    "day": "eventDay",
    "date": "eventDay",
    "eventhour": "eventDay",
}
_DAY = re.compile(r"[0-9]{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])")
_ACCOUNT = re.compile(r"[0-9]{12}|external(?:_[A-Za-z0-9_.-]+)?")
_NUMBERED = re.compile(r"(?:[a-z]+[_.-])*[0-9][0-9tz:_.+-]{0,31}(?:\.[a-z]+)?\.parquet", re.IGNORECASE)
"""A name of nothing but words and a counter or a time; digests and UUIDs have letters between their digits."""


@frozen
class Place:
    """Where an object lies, read with patience.

    Attributes:
        location: The prefix of its custom source.
        region: The value of its ``region`` partition or what stands for it, ``""`` if there is none.
        account: The same of ``accountId``.
        day: The same of ``eventDay``.
    """

    location: str
    region: str
    account: str
    day: str


def place_of(key: str) -> Place:
    """Return where an object lies, whatever the partitions are called."""
    values = dict.fromkeys(_NAMES, "")
    location: list[str] = []
    for part in key.split("/")[:-1]:
        name, equals, value = part.partition("=")
        known = _known(name) if equals else ""
        if known:
            values[known] = value
        elif not any(values.values()):
            location.append(part)
    return Place("".join(f"{part}/" for part in location), values["region"], values["accountId"], values["eventDay"])


def check_key_of(key: str, region: str = "") -> Iterator[Problem]:
    """Yield what is wrong with the key of a Parquet object.

    Args:
        key: The key below the root.
        region: The AWS Region that the objects must be under, if there is one only.
    """
    *folders, file = key.split("/")
    names = [part.partition("=")[0] for part in folders if "=" in part]
    wrong = False
    for name in names:
        known = _known(name)
        if name != known:
            wrong = True
            meant = f"the partition {name}= is to be {known}=" if known else f"there is no partition {name}="
            yield Problem("partition-name", meant, name)
    missing = [name for name in _NAMES if name not in map(_known, names)]
    if missing:
        wrong = True
        yield Problem("key", f"there is no {'= and no '.join(missing)}= in the key", ",".join(missing))
    elif not wrong and (tuple(names) != _NAMES or not all("=" in part for part in folders[-3:])):
        wrong = True
        yield Problem("key", f"the partitions are {'/'.join(names)}, and not the last three folders in order", "order")
    if "" in folders or "." in folders or ".." in folders:
        wrong = True
        yield Problem("key", "a part of the key is empty, '.' or '..' (it may begin with '/')", "parts")
    if _NUMBERED.fullmatch(file):
        yield Problem("object-name", "its name is a counter or a time, which another writer may give as well")
    values = list(_check_values(place_of(key), region))
    yield from values
    if not wrong and not values and parse_key(key) is None:
        yield Problem("key", "the key holds characters that the layout does not allow", "characters")


def _check_values(place: Place, region: str) -> Iterator[Problem]:
    if place.region:
        try:
            check_region(place.region)
        except ConfigError:
            yield Problem("region", f"region={place.region} is no AWS Region", "not AWS")
        else:
            if region and place.region != region:
                yield Problem("region", f"region={place.region}, and the lake is in {region}", "elsewhere")
    if place.account and not _ACCOUNT.fullmatch(place.account):
        yield Problem("account-form", f"accountId={place.account} is neither 12 digits nor external_ID")
    if place.day and not _DAY.fullmatch(place.day):
        yield Problem("day-format", f"eventDay={place.day} is no day of eight digits")


def _known(name: str) -> str:
    return _KNOWN.get(re.sub("[^a-z]", "", name.lower()), "")
