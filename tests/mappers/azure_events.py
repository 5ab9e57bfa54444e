"""Events of single records, and of the samples of one log type in its several shapes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sample_events import events, lines, raw_batches

from ocsflake import mapper, samples
from ocsflake.model import RawBatch

if TYPE_CHECKING:
    from collections.abc import Iterator

Event = dict[str, Any]


def event_of(log_type: str, record: Any, version: str = "1.8.0") -> Event:
    """Return the one event of one record."""
    (found,) = events(RawBatch(json.dumps(record).encode()), log_type, version)
    return found


def reject_of(log_type: str, record: Any, version: str = "1.8.0") -> tuple[str, str]:
    """Return the attribute and the reason of the one reject of one record."""
    (found,) = mapper(log_type).map(RawBatch(json.dumps(record).encode()), version).rejects.to_pylist()
    return found["attribute"], found["reason"]


def of_file(log_type: str, name: str, version: str = "1.8.0") -> dict[str, Event]:
    """Return the events of the sample file whose name begins so, by their ids."""
    (path,) = (path for path in samples.files(log_type) if path.name.startswith(name))
    found = map(json.loads, lines(mapper(log_type).map_batches(raw_batches([path]), version), version))
    return {event["metadata"]["uid"]: event for event in found}


def differences(one: Event, other: Event, both: bool = False) -> dict[str, tuple[Any, Any]]:
    """Return the attributes that differ between two events of one record; ``unmapped`` has each shape's own names.

    Args:
        one: An event.
        other: The event of the same record in another shape.
        both: Whether only attributes count that both have: some shapes have less to tell.
    """
    first, second = dict(_leaves(one)), dict(_leaves(other))
    names = first.keys() & second.keys() if both else first.keys() | second.keys()
    return {name: (first.get(name), second.get(name)) for name in sorted(names) if first.get(name) != second.get(name)}


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if path or key not in ("unmapped", "observables"):
                yield from _leaves(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{place}]")
    else:
        yield path, value
