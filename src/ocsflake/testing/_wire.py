"""Requests in the JSON protocols of AWS, as boto3's models of the services describe them."""

from __future__ import annotations

import functools
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from ocsflake.testing._rest_api import Refused
from ocsflake.testing.servers import _loader

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["moment", "request"]

_KINDS: dict[str, Any] = {
    "boolean": (bool,),
    "double": (int, float),
    "integer": (int,),
    "list": (list,),
    "long": (int,),
    "map": (dict,),
    "string": (str,),
    "structure": (dict,),
    "timestamp": (int, float, str),
}


def request(service: str, method: str, path: str, target: str, body: bytes) -> tuple[str, dict[str, Any]]:
    """Return the operation that a request is for, and its parameters by the names that boto3 has for them.

    Args:
        service: As boto3 calls it.
        method: Of HTTP.
        path: With the query.
        target: The header that names the operation, in the protocol that has all of them in one place.
        body: Of the request.

    Raises:
        Refused: If there is no such operation, or the model does not allow the parameters.
    """
    path, _, query = path.partition("?")
    name = target.rpartition(".")[2]
    placed: Mapping[str, str] = {}
    if not name:
        routes = _routes(service)
        found = ((each, match) for each, verb, route in routes if verb == method and (match := route.fullmatch(path)))
        name, match = next(found, ("", None))
        placed = match.groupdict() if match else {}
    model = _model(service)
    if name not in model.operation_names:
        raise Refused("UnknownOperationException", f"{service} has no {name or path}", 404)
    asked: dict[str, Any] = json.loads(body) if body else {}
    asked |= {key: unquote(value) for key, value in placed.items()}
    asked |= {key: values[0] for key, values in parse_qs(query).items()}
    shape = model.operation_model(name).input_shape
    for key, member in shape.members.items():
        wire = member.serialization.get("name", key)
        if member.type_name == "integer" and isinstance(asked.get(wire), str):
            asked[wire] = int(asked[wire])
    return name, _taken(shape, asked, name)


def moment(value: Any) -> float:
    """Return a time in seconds since 1970, from text or a number."""
    if not isinstance(value, str):
        return float(value)
    found = datetime.fromisoformat(value)
    return (found.replace(tzinfo=UTC) if found.tzinfo is None else found).timestamp()


@functools.cache
def _model(service: str) -> Any:
    from botocore.session import Session

    core = Session()
    core.register_component("data_loader", _loader())
    return core.get_service_model(service)


@functools.cache
def _routes(service: str) -> list[tuple[str, str, re.Pattern[str]]]:
    model = _model(service)
    found = []
    for name in model.operation_names:
        http = model.operation_model(name).http
        parts = re.split(r"\{(\w+)\}", http["requestUri"])
        route = "".join(f"(?P<{part}>[^/]+)" if place % 2 else re.escape(part) for place, part in enumerate(parts))
        found.append((name, http["method"], re.compile(route)))
    return found


def _taken(shape: Any, value: Any, where: str) -> Any:
    """Return a value by boto3's names; raise if the model does not allow it."""
    if not isinstance(value, _KINDS[shape.type_name]):
        raise _invalid(f"{where}: {value!r} is no {shape.type_name}")
    if shape.type_name == "structure":
        names = {member.serialization.get("name", name): name for name, member in shape.members.items()}
        if unknown := set(value) - set(names):
            raise _invalid(f"{where}: {sorted(unknown)} is unknown")
        taken = {names[key]: _taken(shape.members[names[key]], inner, f"{where}.{key}") for key, inner in value.items()}
        if absent := [name for name in shape.required_members if name not in taken]:
            raise _invalid(f"{where}: {absent} is required")
        return taken
    size = value if shape.type_name in {"integer", "long"} else len(value) if isinstance(value, list | str) else 0
    about = shape.metadata
    if not about.get("min", size) <= size <= about.get("max", size):
        raise _invalid(f"{where}: {value!r} is out of bounds")
    if shape.type_name == "string" and value not in about.get("enum", [value]):
        raise _invalid(f"{where}: {value!r} is none of {about['enum']}")
    if shape.type_name == "list":
        return [_taken(shape.member, inner, where) for inner in value]
    if shape.type_name == "map":
        return {key: _taken(shape.value, inner, where) for key, inner in value.items()}
    return value


def _invalid(message: str) -> Refused:
    return Refused("ValidationException", message, 400)
