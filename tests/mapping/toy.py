"""A mapper of a log that nobody writes, for looking at one attribute at a time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ocsflake.mapping import EventMap, JsonRecords, Mapper, at
from ocsflake.model import RawBatch
from ocsflake.ocsf import load
from ocsflake.ocsf.json_lines import json_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocsflake.mapping import Expr, Scalar
    from ocsflake.model import Mapped

BASE: dict[str, Expr | Scalar] = {
    "time": at("time").or_("2026-01-01T00:00:00Z"),
    "severity_id": 1,
    "activity_id": 1,
    "finding_info.title": "a title",
    "finding_info.uid": "a uid",
    "metadata.product.name": "Toy",
    "metadata.product.vendor_name": "Example",
}
"""What a detection finding cannot do without."""


def toy(
    fields: dict[str, Expr | Scalar], *, where: Expr | None = None, consumes: Sequence[str] = (), **options: Any
) -> Mapper:
    """Return a mapper to detection findings with some attributes of interest."""
    options = {"parse": JsonRecords(), **options}
    events = [EventMap("detection_finding", fields=BASE | fields, where=where, consumes=tuple(consumes))]
    return Mapper("toy.log", source_name="toy", events=events, **options)


def raw(*records: Any) -> RawBatch:
    """Return records, given as bytes or as values, as one batch of JSON."""
    return RawBatch([record if isinstance(record, bytes) else json.dumps(record).encode() for record in records])


def events_of(mapped: Mapped, version: str = "1.1.0") -> list[dict[str, Any]]:
    """Return events as their JSON says them."""
    schema = load(version)
    return [
        json.loads(line, parse_int=lambda digits: int(digits) if len(digits) < 1000 else digits)
        for batch in mapped.batches
        for line in json_lines(batch.events, schema.event_class(batch.event_class, schema.profiles()))
    ]


def values(
    attribute: str, expression: Expr | Scalar, *records: Any, version: str = "1.1.0", **options: Any
) -> list[Any]:
    """Return what an expression gives an attribute in each record; none may be rejected."""
    mapped = toy({attribute: expression}, **options).map(raw(*records), version)
    assert mapped.rejects.to_pylist() == []
    return [get(event, attribute) for event in events_of(mapped, version)]


def reasons(mapped: Mapped) -> list[tuple[str, str]]:
    """Return the reason and the attribute of each reject."""
    return [(row["reason"], row["attribute"]) for row in mapped.rejects.to_pylist()]


def get(event: Any, attribute: str) -> Any:
    """Return what stands at an attribute path, a list for every list on the way; ``None`` where nothing does."""
    name, _, rest = attribute.partition(".")
    found = event.get(name.removesuffix("[]"))
    if not rest or found is None:
        return found
    return [get(inner, rest) for inner in found] if isinstance(found, list) else get(found, rest)
