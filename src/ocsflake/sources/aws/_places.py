"""Finds where in a bucket the keys of a layout are: listing with a delimiter gives one field after the other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attrs import field, frozen

from ocsflake.errors import AccessDeniedError, SourceError
from ocsflake.sources.aws._layouts import ARCHIVE, Template, origin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ocsflake.sources.aws._layouts import Step
    from ocsflake.sources.aws._objects import Objects

__all__ = ["Place", "Places", "Scope", "find", "numbers"]

_FLAT_YEAR = re.compile(r"[0-9]{4}-")


@frozen
class Scope:
    """A bucket, and the account whose role lists it.

    Attributes:
        bucket: Its name.
        given: The prefix that was asked for, ``""`` or ending in ``/``.
        account: What ``{account}`` stands for, ``""`` for nothing.
        accounts: The accounts that are wanted, none for all.
    """

    bucket: str
    given: str
    account: str = ""
    accounts: tuple[str, ...] = ()


@frozen
class Place:
    """Keys that differ by day and name alone.

    Attributes:
        scope: Where they are.
        prefix: What they begin with.
        template: What comes after that, from the year on; ``None`` for whatever there is.
        origin: What the prefix says of where records come from.
    """

    scope: Scope
    prefix: str
    template: Template | None
    origin: Mapping[str, str]

    @property
    def name(self) -> str:
        """What its state is kept under: the same for all days, but not for less than a day."""
        return f"s3://{self.scope.bucket}/{self.prefix if len(self._asked) <= len('ymd') else self.listed}"

    @property
    def listed(self) -> str:
        """The prefix to list; a longer one where a year, a month or a day was asked for."""
        return max(self.prefix, self.scope.given, key=len)

    @property
    def days(self) -> tuple[str, str]:
        """The first and the last day that were asked for, ``""`` for no bound."""
        if not self._asked:
            return "", ""
        year, month, day, *_ = [*self._asked, "", ""]
        return f"{year}-{month or '01':0>2}-{day or '01':0>2}", f"{year}-{month or '12':0>2}-{day or '31':0>2}"

    @property
    def _asked(self) -> list[str]:
        """The year, month, day and hour that were asked for."""
        return re.findall("[0-9]+", self.scope.given[len(self.prefix) :]) if self.template else []


@frozen
class Places:
    """What was found in a bucket.

    Attributes:
        places: Where keys of the layout are.
        unlisted: Prefixes that could not be listed.
    """

    places: Sequence[Place]
    unlisted: Sequence[str]


def find(objects: Objects, scope: Scope, templates: Sequence[Template], *, or_all: bool) -> Places:
    """Find the places of a layout; each prefix is listed once.

    Args:
        objects: Lists them.
        scope: The bucket, and what is wanted of it.
        templates: The layout; without any, all keys are wanted.
        or_all: Whether all keys are wanted where nothing follows the layout, and no archive of AWS services is there.
    """
    walk = _Walk(objects, scope)
    known = {"account": scope.account} if scope.account else {}
    above, archive, _ = f"/{scope.given}".partition(f"/{ARCHIVE}")
    found: dict[str, Place] = {}
    for template in templates:
        root = f"{above}/"[1:] if archive and template.is_archive else scope.given
        for prefix, fields in walk.below(root, template, template.steps, {}):
            found.setdefault(prefix, Place(scope, prefix, template, known | origin(fields)))
    is_empty = not found and not walk.unlisted and not archive and not walk.archived
    if not templates or (or_all and is_empty):
        found[scope.given] = Place(scope, scope.given, None, known)
    return Places(tuple(found.values()), tuple(walk.unlisted))


def numbers(objects: Objects, scope: Scope, prefix: str) -> list[int]:
    """Return the numbers that stand below a prefix as folders, in their order.

    Raises:
        SourceError: If it cannot be listed.
    """
    names = _names(objects, scope, prefix, "/") if prefix.startswith(scope.given) else _part(scope.given, prefix, "/")
    return sorted(int(name) for name in names if re.fullmatch("[0-9]{1,4}", name))


@frozen
class _Walk:
    """One walk over a bucket."""

    objects: Objects
    scope: Scope
    unlisted: list[str] = field(factory=list)
    _found: dict[tuple[str, str], list[str]] = field(factory=dict)
    _down: list[SourceError] = field(factory=list)

    @property
    def archived(self) -> bool:
        """Whether AWS services have an archive there."""
        return any(names for (prefix, _), names in self._found.items() if f"/{ARCHIVE}" in f"/{prefix}")

    def below(
        self, prefix: str, template: Template, steps: Sequence[Step], fields: Mapping[str, str]
    ) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Yield the prefixes below one that follow the rest of a template, up to the year, and their fields."""
        if not steps:
            prefix += template.before
            if self._is_wanted(prefix) and (template.steps or self._has_years(prefix, template)):
                yield prefix, fields
            return
        step, *rest = steps
        prefix += step.before
        for name in self._names(prefix, step.delimiter, is_account=step.field == "account"):
            if step.takes(name) and (step.field != "account" or name in (self.scope.accounts or (name,))):
                yield from self.below(f"{prefix}{name}{step.delimiter}", template, rest, {**fields, step.field: name})

    def _is_wanted(self, prefix: str) -> bool:
        given = self.scope.given
        return prefix.startswith(given) or given.startswith(prefix)

    def _has_years(self, prefix: str, template: Template) -> bool:
        after = template.date.removeprefix("{year}")[0]
        return any(re.fullmatch("[0-9]{4}", name) for name in self._names(prefix, after))

    def _names(self, prefix: str, delimiter: str, *, is_account: bool = False) -> list[str]:
        if not self._is_wanted(prefix) or self._down:
            return []
        if len(self.scope.given) > len(prefix):
            return _part(self.scope.given, prefix, delimiter)
        key = prefix, delimiter
        if key not in self._found:
            self._found[key] = []
            try:
                self._found[key] += _names(self.objects, self.scope, prefix, delimiter, over_flat=is_account)
            except AccessDeniedError:
                self.unlisted.append(prefix)
            except SourceError as error:  # it will be no better elsewhere in the bucket
                self.unlisted.append(prefix)
                self._down.append(error)
        return self._found[key]


def _part(given: str, prefix: str, delimiter: str) -> list[str]:
    name, found, _ = given[len(prefix) :].partition(delimiter)
    return [name] if found else []


def _names(objects: Objects, scope: Scope, prefix: str, delimiter: str, *, over_flat: bool = False) -> Iterator[str]:
    """Yield what stands between a prefix and the next delimiter.

    With `over_flat`, files whose names begin with a date are passed over a year at a time: S3 access logs may lie
    beside folders in their thousands.
    """
    asked: dict[str, str] | None = {"Delimiter": delimiter}
    while asked is not None:
        following = None
        for page in objects.pages(scope.bucket, prefix, account=scope.account, **asked):
            folders = [item["Prefix"] for item in page.get("CommonPrefixes", ())]
            yield from (folder[len(prefix) : -len(delimiter)] for folder in folders)
            last = max((item["Key"] for item in page.get("Contents", ())), default="")
            flat = _FLAT_YEAR.match(last, len(prefix))
            if over_flat and flat and page.get("IsTruncated") and last > max(folders, default=""):
                following = {"Delimiter": delimiter, "StartAfter": f"{prefix}{flat[0][:-1]}."}  # "." comes after "-"
                break
        asked = following
