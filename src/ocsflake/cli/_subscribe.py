"""``ocsflake subscribe``: the events of new objects, as JSON lines."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import msgspec

from ocsflake.cli._output import put, tell
from ocsflake.errors import LakeError
from ocsflake.lake import Lake

if TYPE_CHECKING:
    import argparse

    from ocsflake.lake.subscribe import Delivery

_ROWS = 1_000


def main(arguments: argparse.Namespace) -> int:
    """Write what a queue tells of; 1 if an object could not be read, which is told of again."""
    objects = events = failed = 0
    for delivery in Lake(arguments.root).subscribe(arguments.queue_url, follow=arguments.follow):
        try:
            events += _write(delivery)
            sys.stdout.flush()
            delivery.confirm()
        except (LakeError, UnicodeDecodeError) as error:
            tell(f"{', '.join(delivery.keys)}: {error}")
            failed += 1
        else:
            objects += len(delivery.keys)
    tell(f"objects={objects} events={events} failed={failed}")
    return int(bool(failed))


def _write(delivery: Delivery) -> int:
    written = 0
    for batch in delivery.events():
        for start in range(0, batch.num_rows, _ROWS):
            for row in batch.slice(start, _ROWS).to_pylist(maps_as_pydicts="lossy"):
                put(msgspec.json.encode(_present(row)))
                written += 1
    return written


def _present(value: Any) -> Any:
    """Return a value without the nulls in its objects."""
    if isinstance(value, dict):
        return {name: _present(inner) for name, inner in value.items() if inner is not None}
    return [_present(inner) for inner in value] if isinstance(value, list) else value
