"""``ocsflake coverage``: how much of OCSF a mapper fills, and where the values of a log go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from attrs import asdict

from ocsflake import registry
from ocsflake.cli._inputs import Inputs
from ocsflake.cli._output import put, say, table, tell, width
from ocsflake.errors import ConfigError, LakeError
from ocsflake.lake import Lake
from ocsflake.mapping.coverage import coverage
from ocsflake.model import EventBatch

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from ocsflake.mapping import Mapper
    from ocsflake.mapping.coverage import AttributeCoverage, ClassCoverage, Coverage

_ROWS = 16_000


def main(arguments: argparse.Namespace) -> int:
    """Show what is filled; 1 if a file could not be read."""
    if arguments.files and arguments.lake:
        raise ConfigError("coverage counts over files or over a lake: give one of FILE and --lake")
    mapper, version = registry.mapper(arguments.log_type), arguments.ocsf_version
    inputs = Inputs(arguments.files)
    if arguments.lake:
        found = coverage(mapper, version, events=_events(Lake(arguments.lake), mapper))
    else:
        found = coverage(mapper, version, inputs.batches() if arguments.files else None)
    if arguments.json:
        put(msgspec.json.encode(_as_json(found)))
    else:
        say(f"{mapper.title or mapper.log_type} ({mapper.log_type}), OCSF {version}")
        _show(found)
    if arguments.files:
        events = sum(each.events for each in found.classes)
        tell(f"records={found.records} events={events} rejects={found.rejects}")
    return int(bool(inputs.failed))


def _events(lake: Lake, mapper: Mapper) -> Iterator[EventBatch]:
    """Yield the events that a lake has of a mapper.

    Raises:
        LakeError: If it has none, or an object cannot be read.
    """
    own = [source for source in lake.sources() if source.name.rpartition("_")[0] == mapper.source_name]
    if not own:
        held = ", ".join(source.name for source in lake.sources()) or "none"
        raise LakeError(
            f"{lake.root} has no custom source {mapper.source_name}_...; it has {held}", path=str(lake.root)
        )
    for source in own:
        for item in lake.storage.objects(source.location):
            with lake.storage.open(item.key) as file:
                try:
                    for batch in pq.ParquetFile(file).iter_batches(_ROWS):
                        yield EventBatch(mapper.log_type, mapper.source_name, source.event_class, batch)
                except (pa.ArrowException, OSError) as error:
                    raise LakeError(f"{item.key} is no Parquet that can be read: {error}", path=item.key) from error


def _show(found: Coverage) -> None:
    for each in found.classes:
        profiles = f", profiles {', '.join(each.profiles)}" if each.profiles else ""
        events = f", {each.events:,} events" if each.events else ""
        say(f"\n{each.event_class}{profiles}{events}\n{_shares(each)}\n")
        head = ["attribute", "requirement", "profile", "by", *(["filled"] if each.events else []), "from"]
        say(table(head, [_row(line, each.events) for line in each.attributes], width()))
    if found.raw_paths:
        unmapped = sum(path.goes == "unmapped" for path in found.raw_paths)
        say(f"\n{len(found.raw_paths):,} raw paths, {unmapped:,} of them unmapped\n")
        rows = [
            [
                x.path,
                x.goes,
                x.held,
                _percent(x.held, found.rows),
                _percent(x.unmapped, x.held),
                ", ".join(x.attributes),
            ]
            for x in found.raw_paths
        ]
        say(table(["raw path", "goes", "rows", "filled", "unmapped", "attributes"], rows, width()))
    if found.drift.records:
        say("\nthe mapper does not know\n")
        say(table(["", "where", "sample", "records"], found.drift.rows(), width()))


def _shares(each: ClassCoverage) -> str:
    return ", ".join(f"{name} {100 * each.share(name):.0f} %" for name in ("required", "recommended"))


def _row(line: AttributeCoverage, events: int) -> list[str]:
    share = ["" if line.by == "missing" else _percent(line.filled, events)] if events else []
    return [line.attribute, line.requirement, ", ".join(line.profiles), line.by, *share, line.expression]


def _percent(count: int, total: int) -> str:
    return f"{100 * count / total:5.1f} %"


def _as_json(found: Coverage) -> dict[str, Any]:
    about = asdict(found, filter=lambda attribute, _: attribute.name not in {"drift", "classes", "raw_paths"})
    about["classes"] = [
        {**asdict(each), "required": each.share("required"), "recommended": each.share("recommended")}
        for each in found.classes
    ]
    about["raw_paths"] = [{**asdict(path), "goes": path.goes} for path in found.raw_paths]
    names = ("drift", "where", "sample", "records")
    about["drift"] = [dict(zip(names, row, strict=True)) for row in found.drift.rows()]
    return about
