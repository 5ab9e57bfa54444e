"""Events for data frames: columns that pandas, polars and model training take, and Arrow IPC files.

A query's result and the events of a delivery are Arrow already; `flat` makes one column of each leaf, such as
``actor.user.name``, where a program takes no nested ones. What cannot be a column of its own, lists and maps, becomes
JSON text.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa

from ocsflake.errors import ConfigError, LakeError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

__all__ = ["flat", "write_ipc"]


def flat(events: pa.Table | pa.RecordBatch) -> pa.Table:
    """Return events with a column for each leaf, named by its path; lists and maps as JSON text.

    ``flat(events).to_pandas()`` and ``polars.from_arrow(flat(events))`` are frames of plain columns.
    """
    table = events if isinstance(events, pa.Table) else pa.Table.from_batches([events])
    columns: dict[str, pa.ChunkedArray] = {}
    for name in table.schema.names:
        columns.update(_leaves(name, table[name]))
    return pa.table(columns)


def _leaves(name: str, column: pa.ChunkedArray) -> Iterator[tuple[str, pa.ChunkedArray]]:
    kind = column.type
    if pa.types.is_struct(kind):
        members = column.flatten()
        for member, values in zip(kind, members, strict=True):
            yield from _leaves(f"{name}.{member.name}", values)
    elif pa.types.is_nested(kind):
        yield name, pa.chunked_array([_as_json(chunk) for chunk in column.chunks], pa.string())
    else:
        yield name, column


def _as_json(array: pa.Array) -> pa.Array:
    values = array.to_pylist(maps_as_pydicts="lossy")
    return pa.array([None if value is None else msgspec.json.encode(value).decode() for value in values], pa.string())


def write_ipc(events: Iterable[pa.RecordBatch | pa.Table], path: str | os.PathLike[str]) -> int:
    """Write events into a file of Arrow IPC, which a notebook of SageMaker maps into memory; return how many.

    The file appears under its name when it is whole. All events must have one schema, as those of one custom source do;
    give ``flat(batch)`` for columns without nesting.

    Args:
        events: Batches, which are written as they come.
        path: The file; one that is there is replaced.

    Raises:
        ConfigError: If there are no events, or they have several schemas.
        LakeError: If the file cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp")
    rows = 0
    try:
        with ExitStack() as stack:
            writer: pa.RecordBatchFileWriter | None = None
            for batch in events:
                if writer is None:
                    schema = batch.schema
                    writer = stack.enter_context(pa.ipc.new_file(temporary, schema))
                if not batch.schema.equals(schema):
                    raise ConfigError(f"{path}: the events have several schemas: write those of each source by itself")
                writer.write(batch)
                rows += batch.num_rows
        if writer is None:
            raise ConfigError(f"{path}: there are no events to write")
        temporary.replace(path)
    except OSError as error:
        raise LakeError(f"{path} cannot be written: {error}", path=str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)
    return rows
