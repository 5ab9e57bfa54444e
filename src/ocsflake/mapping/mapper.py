"""A mapper: the table from raw records of one log type to OCSF events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from ocsflake.errors import ConfigError, SchemaError
from ocsflake.mapping import engine, plan
from ocsflake.mapping.expr import Expr, Scalar, lift
from ocsflake.mapping.redact import rules_of
from ocsflake.ocsf import versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pyarrow as pa

    from ocsflake.mapping.frame import Parse
    from ocsflake.model import Mapped, RawBatch
    from ocsflake.times import Window

__all__ = ["EventMap", "Fields", "Lineage", "Mapper"]

MAX_SOURCE_NAME = 15
"""``<source_name>_<class_uid>`` is the name of a custom source, which has at most 20 characters."""


Fields = dict[str, Expr | Scalar]
"""A table: attribute path to expression or constant."""


def _lifted(fields: Mapping[str, Expr | Scalar]) -> dict[str, Expr]:
    return {path: lift(value) for path, value in fields.items()}


def _in_order(events: Iterable[EventMap]) -> tuple[EventMap, ...]:
    return tuple(events)


@frozen(eq=False)
class EventMap:
    """The table of one event class.

    Attributes:
        event_class: The OCSF name of the class, such as ``api_activity``.
        fields: Attribute path to expression or constant. Paths are those of the newest OCSF version; lists of
            objects are spelt ``resources[].uid``.
        where: The records that become events of this class; ``None`` for all that no earlier map took. A class that
            the target version lacks takes none.
        consumes: Raw paths that the fields carry in full, where an expression does not show it.
        since: The first OCSF version that the table is for; a target before it passes over the table.
        until: The last one.
    """

    event_class: str
    fields: Mapping[str, Expr] = field(converter=_lifted)
    where: Expr | None = None
    consumes: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None

    def __repr__(self) -> str:
        return f"<EventMap {self.event_class}: {len(self.fields)} attributes>"

    def holds_in(self, ocsf_version: str) -> bool:
        """Return whether the table is for an OCSF version."""
        known = versions()
        if ocsf_version not in known:
            return self.until is None  # a version from a file is newer than all that are at hand
        place = known.index(ocsf_version)
        since = 0 if self.since is None else known.index(self.since)
        until = len(known) if self.until is None else known.index(self.until)
        return since <= place <= until


@frozen
class Lineage:
    """Where an attribute comes from.

    Attributes:
        event_class: The class.
        attribute: The attribute path.
        expression: What it is made of, in words.
        raw_paths: The raw paths that it reads.
    """

    event_class: str
    attribute: str
    expression: str
    raw_paths: tuple[str, ...]


@frozen(eq=False)
class Mapper:
    """Maps the records of one log type; pure, stateless, picklable.

    Attributes:
        log_type: Such as ``aws.cloudtrail``.
        source_name: The stem of the names of its custom sources, at most 15 characters: ``aws_cloudtrail``.
        parse: Turns raw records into columns.
        events: The tables; a record becomes an event of the first whose `where` holds.
        null_words: Texts that stand for no value, besides the empty text.
        unmapped: Raw paths that are known and go to ``unmapped`` on purpose; ``x.*`` names all below x. Any other
            path that no table names counts as drift.
        title: The log type's name for people.
        secrets: Raw paths whose values are redacted before anything is made of a record; see `redacting`.
    """

    log_type: str
    source_name: str
    parse: Parse
    events: tuple[EventMap, ...] = field(converter=_in_order)
    null_words: tuple[str, ...] = ()
    unmapped: tuple[str, ...] = ()
    title: str = ""
    secrets: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        """Check the name."""
        if len(self.source_name) > MAX_SOURCE_NAME:
            raise SchemaError(
                f"{self.log_type}: source_name {self.source_name!r} has {len(self.source_name)} characters, at most "
                f"{MAX_SOURCE_NAME} are allowed: a custom source is called <source_name>_<class_uid>, in 20"
            )

    def __repr__(self) -> str:
        return f"<Mapper {self.log_type}: {', '.join(dict.fromkeys(table.event_class for table in self.events))}>"

    def redacting(self, raw_paths: Iterable[str], *, keep_secrets: bool = False) -> Mapper:
        """Return the same mapper, which redacts what stands at some raw paths, whatever becomes of a record.

        Args:
            raw_paths: Such as ``requestParameters.comment``; ``*`` stands for any characters of one key, a step ``**``
                for any number of keys, ``[]`` may be left out, and capitals, ``_`` and ``-`` do not count. What is
                below goes too: text becomes ``REDACTED``, numbers and truth values become null.
            keep_secrets: Whether the mapper's own `secrets` are kept.

        Raises:
            ConfigError: If a text is no raw path.
        """
        if isinstance(raw_paths, str):
            raise ConfigError(f"redact {raw_paths!r}: give a list of raw paths")
        found = (*(() if keep_secrets else self.secrets), *raw_paths)
        try:
            rules_of(found)
        except SchemaError as error:
            raise ConfigError(f"redact: {error}") from None
        return self if found == self.secrets else evolve(self, secrets=found)

    def check(self, ocsf_version: str | None = None) -> None:
        """Check the table against an OCSF version (the newest if none is given).

        Raises:
            SchemaError: If a class or an attribute is unknown, has another kind than its expression, or if a
                required attribute is not filled; names what is near.
        """
        plan.compile_mapper(self, ocsf_version)

    def map(
        self, raw: RawBatch, ocsf_version: str = "1.1.0", *, datetime: bool = True, raw_data: bool = False
    ) -> Mapped:
        """Map one batch of raw records; see `map_batches`."""
        from ocsflake.model import Mapped

        parts = list(self.map_batches([raw], ocsf_version, datetime=datetime, raw_data=raw_data, rows=1 << 62))
        return parts[0] if parts else Mapped((), engine.no_rejects(), 0, 0)

    def map_batches(
        self,
        raws: Iterable[RawBatch],
        ocsf_version: str = "1.1.0",
        *,
        datetime: bool = True,
        raw_data: bool = False,
        rows: int = 20_000,
        bounds: Window | None = None,
    ) -> Iterator[Mapped]:
        """Map raw records, many small batches at a time.

        Args:
            raws: Batches of any size; how they are cut changes no event.
            ocsf_version: The version of the events.
            datetime: Whether every timestamp has its ``*_dt`` twin (the datetime profile).
            raw_data: Whether each event keeps its record as it came, in ``raw_data``.
            rows: About how many rows are mapped at a time; memory grows with it.
            bounds: What the time of events must lie in; a record with an event outside is rejected.

        Raises:
            SchemaError: If the table does not fit the version.
        """
        compiled = plan.compile_mapper(self, ocsf_version, datetime, raw_data)
        if bounds is not None:
            compiled = evolve(compiled, bounds=bounds)
        yield from engine.map_batches(compiled, raws, rows)

    def schema(self, event_class: str, ocsf_version: str = "1.1.0", *, datetime: bool = True) -> pa.Schema:
        """Return the Arrow schema of this mapper's events of one class.

        Raises:
            SchemaError: If the mapper has no such class in that version.
        """
        for compiled in plan.compile_mapper(self, ocsf_version, datetime, False).events:
            if compiled.event_class.name == event_class:
                return compiled.schema
        raise SchemaError(f"{self.log_type} maps to no {event_class!r} in OCSF {ocsf_version}")

    def lineage(self) -> list[Lineage]:
        """Return where every attribute comes from, in the order of the table."""
        from ocsflake.mapping import paths

        return [
            Lineage(event.event_class, path, repr(x), tuple(dict.fromkeys(map(paths.join, x.raw_paths()))))
            for event in self.events
            for path, x in event.fields.items()
        ]
