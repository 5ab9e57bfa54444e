"""Writing events as OCSF's own JSON: one compact object a line, nulls left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ocsflake.ocsf.schema import Attribute, EventClass

__all__ = ["json_lines"]

_ROWS = 1000


def json_lines(events: pa.Table | pa.RecordBatch, event_class: EventClass) -> Iterator[bytes]:
    """Yield one JSON object an event, without a line end.

    A JSON value that an attribute holds (``json_t``) stands as it came, but for white space between its tokens.

    Args:
        events: Rows of one class, as a mapper makes them or a lake holds them; columns that the class does not
            have (the partitions of a lake) are left out.
        event_class: Their class, with the profiles that they use.
    """
    names = [name for name in events.schema.names if name in event_class.attributes]
    shapers = {name: _shaper(events.schema.field(name).type, event_class.attributes[name]) for name in names}
    for batch in events.select(names).to_batches(_ROWS) if isinstance(events, pa.Table) else _slices(events, names):
        columns = [(name, _as_text(batch.column(name)).to_pylist(), shapers[name]) for name in names]
        for row in range(batch.num_rows):
            event = {}
            for name, values, shape in columns:
                value = shape(values[row])
                if value is not None:
                    event[name] = value
            yield msgspec.json.encode(event)


def _slices(batch: pa.RecordBatch, names: list[str]) -> Iterator[pa.RecordBatch]:
    for start in range(0, batch.num_rows, _ROWS):
        yield batch.select(names).slice(start, _ROWS)


def _as_text(column: pa.Array) -> pa.Array:
    """Return datetimes at the top level as RFC 3339; nested ones are shaped one by one."""
    if pa.types.is_timestamp(column.type):
        return pc.strftime(column.cast(pa.timestamp("ms", "UTC")), format="%Y-%m-%dT%H:%M:%SZ")
    return column


def _shaper(kind: pa.DataType, attribute: Attribute) -> Callable[[Any], Any]:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = _shaper(kind.value_type, attribute)
        return lambda value: None if value is None else [inner(v) for v in value]
    if pa.types.is_map(kind):
        return lambda value: None if value is None else dict(value)
    if pa.types.is_struct(kind):
        return _struct_shaper({f.name: _shaper(f.type, attribute.attributes[f.name]) for f in kind})
    if pa.types.is_timestamp(kind):
        return _datetime
    if attribute.base == "json_t":
        return _json
    return lambda value: value


def _struct_shaper(members: Mapping[str, Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def shape(value: Any) -> Any:
        if value is None:
            return None
        found = {}
        for name, inner in members.items():
            member = inner(value[name])
            if member is not None:
                found[name] = member
        return found

    return shape


def _datetime(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    text: str = value.isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _json(text: str | None) -> msgspec.Raw | None:
    return None if text is None else msgspec.Raw(msgspec.json.format(text.encode(), indent=-1))
