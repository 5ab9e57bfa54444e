"""How much a lake holds, by source, class, account, Region and day.

Security Lake's own usage page leaves custom sources out (contract rule 39), and its API has no usage at all. Here the
footers of the objects are read, and no events.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from attrs import field, frozen

from ocsflake import ocsf
from ocsflake.charts import days, legend, rendering, size_text, table, text
from ocsflake.errors import ConfigError, did_you_mean
from ocsflake.lake.footer import footers
from ocsflake.lake.layout import parse_key
from ocsflake.steering import clean_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ocsflake.lake.footer import Footer
    from ocsflake.lake.storage import Storage, StoredObject

__all__ = ["BY", "Amount", "Usage", "usage"]

BY = ("source", "event_class", "account", "region", "day")
"""What amounts can be told by."""


@frozen
class Amount:
    """How much there is of something.

    Attributes:
        objects: Parquet objects.
        bytes: Their size as stored.
        rows: Their events.
        first: The time of the earliest event, milliseconds since the epoch; ``None`` if no footer tells.
        last: The time of the latest event.
    """

    objects: int = 0
    bytes: int = 0
    rows: int = 0
    first: int | None = None
    last: int | None = None

    def __add__(self, other: Amount) -> Amount:
        firsts = [first for first in (self.first, other.first) if first is not None]
        lasts = [last for last in (self.last, other.last) if last is not None]
        return Amount(
            self.objects + other.objects,
            self.bytes + other.bytes,
            self.rows + other.rows,
            min(firsts, default=None),
            max(lasts, default=None),
        )


@frozen(repr=False)
class Usage:
    """How much a lake holds; prints as a table by source and class, and renders with a chart in a notebook.

    Attributes:
        amounts: By source, class, account, Region and day, in this order; see `BY`.
        others: Objects that do not follow the layout.
    """

    amounts: Mapping[tuple[str, ...], Amount]
    others: Amount = field(factory=Amount)

    @property
    def total(self) -> Amount:
        """All that follows the layout."""
        return sum(self.amounts.values(), Amount())

    def by(self, *names: str) -> dict[tuple[str, ...], Amount]:
        """Return the amounts by ``source``, ``event_class``, ``account``, ``region``, ``day`` or several of these.

        Raises:
            ConfigError: If a name is none of these.
        """
        for name in names:
            if name not in BY:
                raise ConfigError(f"usage is not known by {name!r}: give some of {BY}{did_you_mean(name, BY)}")
        places = [BY.index(name) for name in names]
        found: dict[tuple[str, ...], Amount] = {}
        for key, amount in self.amounts.items():
            group = tuple(key[place] for place in places)
            found[group] = found.get(group, Amount()) + amount
        return dict(sorted(found.items()))

    def table(self, *names: str) -> list[list[str | int]]:
        """Return a table by some of `BY`: its head, and a row for each; numbers as they are, times as text."""
        head: list[str | int] = [*names, "objects", "bytes", "rows", "first", "last"]
        rows: list[list[str | int]] = [
            [*group, amount.objects, amount.bytes, amount.rows, _time(amount.first), _time(amount.last)]
            for group, amount in self.by(*names).items()
        ]
        return [head, *rows]

    @property
    def summary(self) -> str:
        """The numbers on one line."""
        total = self.total
        others = f", and {self.others.objects:,} objects outside the layout" if self.others.objects else ""
        return f"{total.objects:,} objects, {size_text(total.bytes)}, {total.rows:,} events{others}"

    def __repr__(self) -> str:
        return f"<Usage: {self.summary}>"

    def __str__(self) -> str:
        rows = [
            [f"{cell:,}" if isinstance(cell, int) else clean_line(cell) for cell in row]
            for row in self.table("source", "event_class")
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                cell.rjust(width) if 2 <= place <= 4 else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        return "\n".join([*lines, self.summary])

    def _repr_html_(self) -> str:
        by_day = {(source, day): amount.bytes for (source, day), amount in self.by("source", "day").items()}
        head, *rows = self.table("source", "event_class")
        chart = days(by_day, title="Bytes by day, stacked by custom source", value_text=size_text)
        return rendering(f"<p>{text(self.summary)}</p>", chart, legend(by_day), table(head, rows))


def usage(storage: Storage, prefix: str = "") -> Usage:
    """Return how much there is below a prefix; the footer of every object is read.

    Args:
        storage: Where the objects are kept.
        prefix: Look only below it; ``""`` for all.

    Raises:
        LakeError: If the storage cannot be listed, or an object cannot be read.
    """
    classes = {uid: name for name, uid in ocsf.load(ocsf.versions()[-1]).classes.items()}
    found: dict[tuple[str, ...], Amount] = {}
    others = Amount()

    def of_the_layout() -> Iterator[StoredObject]:
        nonlocal others
        for item in storage.objects(prefix):
            if parse_key(item.key):
                yield item
            elif not item.key.startswith("."):
                others += Amount(objects=1, bytes=item.bytes)

    for item, footer in footers(storage, of_the_layout()):
        group = _group(item.key, footer, classes)
        found[group] = found.get(group, Amount()) + Amount(1, item.bytes, footer.rows, footer.first, footer.last)
    return Usage(dict(sorted(found.items())), others)


def _group(key: str, footer: Footer, classes: Mapping[int, str]) -> tuple[str, ...]:
    parts = parse_key(key)
    assert parts is not None
    source = parts.location.removeprefix("ext/").rstrip("/") or "."
    event_class = "" if footer.class_uid is None else classes.get(footer.class_uid, str(footer.class_uid))
    return source, event_class, parts.account, parts.region, parts.day


def _time(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):  # what another program wrote need not be a time
        return str(milliseconds)
