"""The samples, read and mapped as the product does it."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

from ocsflake import mapper, samples
from ocsflake.ocsf import load
from ocsflake.ocsf.json_lines import json_lines
from ocsflake.sources.streams import read_batches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ocsflake.model import Mapped, RawBatch


def raw_batches(paths: Iterable[Path]) -> Iterator[RawBatch]:
    """Yield the raw records of files."""
    for path in paths:
        with path.open("rb") as file:
            yield from read_batches(file, path.name, origin={"uri": path.name})


def lines(parts: Iterable[Mapped], version: str) -> list[bytes]:
    """Return events as JSON lines."""
    schema = load(version)
    return [
        line
        for mapped in parts
        for batch in mapped.batches
        for line in json_lines(batch.events, schema.event_class(batch.event_class, schema.profiles()))
    ]


@functools.cache
def sample_lines(log_type: str, version: str) -> tuple[bytes, ...]:
    """Return the events of the sample of a log type, in the order of its files."""
    found: list[bytes] = []
    for path in samples.files(log_type):
        found += lines(mapper(log_type).map_batches(raw_batches([path]), version), version)
    return tuple(found)


def events(raw: RawBatch, log_type: str, version: str = "1.1.0", **options: Any) -> list[dict[str, Any]]:
    """Return the events of one batch of raw records."""
    return [json.loads(line) for line in lines([mapper(log_type).map(raw, version, **options)], version)]
