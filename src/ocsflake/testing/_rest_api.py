"""Requests of an AWS service as boto3's model of it describes them: routes, parameters, and what is allowed."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Refused", "bad", "check", "operations", "parameters"]


class Refused(Exception):  # noqa: N818 - it is an answer
    """An error that the API answers."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def bad(message: str) -> Refused:
    """Return the answer to a request that the service does not take."""
    return Refused("BadRequestException", message, 400)


def operations() -> list[tuple[str, str, re.Pattern[str], Any]]:
    """Return name, method, route and input shape of every operation of Security Lake."""
    from botocore.session import Session

    model = Session().get_service_model("securitylake")
    found = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        parts = re.split(r"\{(\w+)\}", operation.http["requestUri"])
        route = "".join(f"(?P<{part}>[^/]+)" if place % 2 else re.escape(part) for place, part in enumerate(parts))
        found.append((name, operation.http["method"], re.compile(route), operation.input_shape))
    return found


def parameters(shape: Any, path: Mapping[str, str], query: str, body: bytes) -> dict[str, Any]:
    """Return the parameters of a request, out of its path, its query and its body."""
    asked: dict[str, Any] = json.loads(body) if body else {}
    asked |= {name: unquote(value) for name, value in path.items()}
    for name, values in parse_qs(query).items():
        kind = shape.members[name].type_name if name in shape.members else "string"
        asked[name] = values if kind == "list" else int(values[0]) if kind == "integer" else values[0]
    return asked


def check(shape: Any, value: Any, where: str) -> None:
    """Raise if a value is not what the model of the service allows."""
    about = shape.metadata
    kinds: dict[str, Any] = {"structure": dict, "list": list, "string": str, "integer": int, "long": int}
    if not isinstance(value, kinds[shape.type_name]):
        raise bad(f"{where}: {value!r} is no {shape.type_name}")
    if isinstance(value, dict):
        if absent := [name for name in shape.required_members if name not in value]:
            raise bad(f"{where}: {', '.join(absent)} is required")
        for name, inner in value.items():
            if name not in shape.members:
                raise bad(f"{where}: {name} is unknown")
            check(shape.members[name], inner, f"{where}.{name}")
        return
    size: int = value if isinstance(value, int) else len(value)
    if not about.get("min", size) <= size <= about.get("max", size):
        raise bad(f"{where}: {value!r} is out of bounds")
    if isinstance(value, list):
        for inner in value:
            check(shape.member, inner, where)
    elif isinstance(value, str):
        if not re.fullmatch(about.get("pattern", ".*").removeprefix("^").removesuffix("$"), value, re.DOTALL):
            raise bad(f"{where}: {value!r} does not match {about['pattern']}")
        if value not in about.get("enum", [value]):
            raise bad(f"{where}: {value!r} is none of {about['enum']}")
