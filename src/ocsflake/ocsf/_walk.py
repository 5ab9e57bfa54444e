"""Walk events that came as JSON: find what no typed column can hold, and give the rest the types of columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
from attrs import define, field

from ocsflake.errors import SchemaError
from ocsflake.ocsf.arrow import arrow_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ocsflake.ocsf.schema import Attribute, EventClass

__all__ = ["Walk"]

_DEPTH = 32
_EXPLAINED = 64
_WRONG: Any = object()


@define(eq=False)
class _Node:
    """An attribute that was seen at a path, with those that were seen below it."""

    attribute: Attribute
    path: str
    below: Mapping[str, Attribute]
    clean: Callable[[Any], Any] | None
    children: dict[str, _Node] = field(factory=dict)


@define(eq=False)
class Walk:
    """Walks events of one class; keeps what it saw, so that the columns of later events have the same types.

    A null is an absent attribute. An integer may be written as 3.0, as JSON Schema has it, and must fit the 32 bits
    of ``integer_t`` or the 64 of ``long_t``. What is below 32 objects is of the wrong type, so that no event can
    exhaust the stack.

    Attributes:
        event_class: The class, with its profiles applied.
        details: What to say of a path that was found to be bad.
    """

    event_class: EventClass
    details: dict[str, str] = field(factory=dict)
    _seen: dict[str, _Node] = field(factory=dict)
    _unknown: dict[str, list[int]] = field(factory=dict)
    _wrong: dict[str, list[int]] = field(factory=dict)

    def columns(
        self, events: Sequence[Mapping[str, Any]]
    ) -> tuple[pa.RecordBatch, dict[str, list[int]], dict[str, list[int]]]:
        """Return events as typed columns, and what those cannot hold.

        Returns:
            The columns, where date and time stay text, and JSON values and free objects are empty; paths that are
            no attributes, with the positions of the events; paths of values of a wrong type, with the same.
        """
        self._unknown, self._wrong, self.details = {}, {}, {}
        top = self.event_class.attributes
        cleaned = [self._object(event, top, self._seen, "", row, 0) for row, event in enumerate(events)]
        columns = pa.array(cleaned, pa.struct(_fields(self._seen)))
        return pa.RecordBatch.from_struct_array(columns), self._unknown, self._wrong

    def _object(
        self,
        value: Mapping[str, Any],
        attributes: Mapping[str, Attribute],
        seen: dict[str, _Node],
        prefix: str,
        row: int,
        depth: int,
    ) -> dict[str, Any]:
        out = {}
        for name, item in value.items():
            if item is None:
                continue
            node = seen.get(name)
            if node is None:
                attribute = attributes.get(name)
                if attribute is None:
                    self._note_unknown(f"{prefix}{name}", row)
                    continue
                path = prefix + name
                node = seen[name] = _Node(attribute, path, attribute.attributes, _cleaner(attribute))
            if not node.attribute.is_array:
                cleaned = self._value(item, node, node.path, row, depth)
                if cleaned is not _WRONG:
                    out[name] = cleaned
            elif isinstance(item, (list, tuple)):
                path = f"{node.path}[]"
                elements = [self._value(element, node, path, row, depth) for element in item]
                out[name] = [element for element in elements if element is not _WRONG]
            else:
                self._note_wrong(node.path, node.attribute, item, row)
        return out

    def _value(self, value: Any, node: _Node, path: str, row: int, depth: int) -> Any:
        if node.clean is not None:
            cleaned = node.clean(value)
        elif isinstance(value, dict) and depth < _DEPTH:
            cleaned = self._object(value, node.below, node.children, f"{path}.", row, depth + 1)
        else:
            cleaned = _WRONG
        if cleaned is _WRONG:
            self._note_wrong(path, node.attribute, value, row)
        return cleaned

    def _note_unknown(self, path: str, row: int) -> None:
        self._unknown.setdefault(path, []).append(row)
        if path not in self.details:
            self.details[path] = "no such attribute"
            if len(self._unknown) <= _EXPLAINED:  # names come from logs, and looking for near ones takes time
                try:
                    self.event_class.attribute(path)
                except SchemaError as error:
                    self.details[path] = str(error)

    def _note_wrong(self, path: str, attribute: Attribute, value: Any, row: int) -> None:
        self._wrong.setdefault(path, []).append(row)
        if path not in self.details:
            wanted = attribute.object_type or attribute.type
            if attribute.is_array and not path.endswith("[]"):
                wanted = f"a list of {wanted}"
            shown = repr(value)[:60] if isinstance(value, (str, int, float, bool)) else type(value).__name__
            self.details[path] = f"expected {wanted}, got {shown}"


def _fields(seen: Mapping[str, _Node]) -> list[pa.Field]:
    fields = []
    for name, node in seen.items():
        if node.attribute.type == "datetime_t":
            kind = pa.list_(pa.string()) if node.attribute.is_array else pa.string()
        else:
            kind = arrow_type(node.attribute, _fields(node.children))
        fields.append(pa.field(name, kind))
    return fields


def _cleaner(attribute: Attribute) -> Callable[[Any], Any] | None:
    """Return the function that gives a scalar its column's type, or `_WRONG`; ``None`` for objects."""
    if attribute.base != "object_t":
        return _CLEANERS[attribute.base]
    return None if attribute.attributes else _free_object


def _free_object(value: Any) -> Any:
    return [] if isinstance(value, dict) else _WRONG


def _json(value: Any) -> Any:  # noqa: ARG001 - any value will do
    return ""


def _text(value: Any) -> Any:
    if not isinstance(value, str):
        return _WRONG
    return value if value.isascii() or _is_unicode(value) else _WRONG


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return False
    return True


def _boolean(value: Any) -> Any:
    return value if isinstance(value, bool) else _WRONG


def _float(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**1023:
        return _WRONG
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else _WRONG


def _integer(value: Any) -> Any:
    return _whole(value, 2**31)


def _long(value: Any) -> Any:
    return _whole(value, 2**63)


def _whole(value: Any, limit: int) -> Any:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return _WRONG
    return value if -limit <= value < limit else _WRONG


_CLEANERS = {
    "boolean_t": _boolean,
    "float_t": _float,
    "integer_t": _integer,
    "json_t": _json,
    "long_t": _long,
    "string_t": _text,
}
