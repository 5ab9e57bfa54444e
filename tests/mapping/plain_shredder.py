"""A shredder as one would write it first: `json.loads` and loops. The judge of the one that is fast."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ocsflake.mapping.paths import EACH, quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocsflake.mapping.frame import Node

Columns = dict[str, Any]


class Number(str):
    """A number, as it is written."""

    __slots__ = ()


def read(data: bytes | str) -> Any:
    """Return a JSON value with numbers as they are written."""
    return json.loads(data, parse_float=Number, parse_int=Number)


class Shredder:
    """Takes one record apart.

    Attributes:
        leftovers: Path to the texts of values that no path names, in order.
    """

    def __init__(self) -> None:
        self.leftovers: dict[str, list[str]] = {}

    def record(self, record: Mapping[str, Any], root: Node) -> Columns:
        """Return path to value; a list for every list on the way."""
        return self._object(dict(record), root, "")

    def _object(self, members: dict[str, Any], node: Node, prefix: str) -> Columns:
        columns: Columns = {}
        for key, child in node.children.items():
            path, value = prefix + quote(key), members.pop(key, None)
            columns |= {path: value} if child.whole else self._below(value, child, path)
        for key, value in members.items():
            self._leave(value, prefix + quote(key))
        return columns

    def _below(self, value: Any, node: Node, path: str) -> Columns:
        if node.each:
            return self._list(value, node.each[0], path)
        members = _opened(value)
        if not isinstance(members, dict):
            self._leave(value, path)
            members = {}
        return self._object(dict(members), node, path + ".")

    def _list(self, value: Any, node: Node, path: str) -> Columns:
        opened = _opened(value)
        elements = [opened] if isinstance(opened, dict) else opened
        if not isinstance(elements, list):
            self._leave(value, path)
            elements = []
        inside = [
            {path + EACH: element} if node.whole else self._below(element, node, path + EACH) for element in elements
        ]
        return {name: [columns.get(name) for columns in inside] for columns in inside for name in columns}

    def _leave(self, value: Any, path: str) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                self._leave(inner, f"{path}.{quote(key)}")
        elif isinstance(value, list):
            for inner in value:
                self._leave(inner, path + EACH)
        elif value is not None:
            self.leftovers.setdefault(path, []).append(str(value).lower() if isinstance(value, bool) else str(value))


def _opened(value: Any) -> Any:
    """Return what a text that holds a JSON object or list says, anything else as it is."""
    if type(value) is str and value.lstrip()[:1] in ("{", "["):
        try:
            return read(value)
        except ValueError:
            return value
    return value
