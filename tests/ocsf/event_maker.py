"""Break valid events. Seeded: the same random state makes the same events."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random


def break_event(rng: Random, event: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of `event` with a random change somewhere, mostly one that makes it invalid."""
    event = copy.deepcopy(event)
    holder, key = rng.choice(_places(event))
    change = rng.choice(CHANGES)
    change(rng, holder, key)
    return event


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return all (container, key) pairs, but for the list of profiles: it picks the schema to judge by."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    places = []
    for key, item in items:
        if key != "profiles":
            places.append((value, key))
            places += _places(item)
    return places


def _delete(rng: Random, holder: Any, key: Any) -> None:
    del holder[key]


def _null(rng: Random, holder: Any, key: Any) -> None:
    holder[key] = None


def _other_type(rng: Random, holder: Any, key: Any) -> None:
    choices = ["1", "text", 1, 1.5, 3.0, True, [], {}, ["text"], [1], [{}], {"name": "x"}, [None], [[1]]]
    holder[key] = rng.choice(choices)


def _other_value(rng: Random, holder: Any, key: Any) -> None:
    value = holder[key]
    if isinstance(value, bool):
        holder[key] = int(value)
    elif isinstance(value, (int, float)):
        holder[key] = rng.choice([777, -1, 70000, 65535, 65536, 99, value + 1])
    elif isinstance(value, str):
        holder[key] = rng.choice(["x" * 41, "é" * 40, "x" * 70000, "é" * 65535, "not/any pattern!", ""])
    elif isinstance(value, list):
        value.append(rng.choice([None, 5, {}, "text", []]))
    elif isinstance(value, dict):
        value.clear()


def _unknown(rng: Random, holder: Any, key: Any) -> None:
    target = holder if isinstance(holder, dict) else {}
    name = rng.choice(["no_such_thing", "cloud", "ip", "name", "time_dt", "uid", "type_id", "osint", "a.b", ""])
    target[name] = rng.choice(["x", 1, {}])


def _hollow(rng: Random, holder: Any, key: Any) -> None:
    """Empty an object, or leave one attribute of it: constraints and requirements inside fail."""
    if isinstance(holder, dict) and len(holder) > 1:
        for name in rng.sample(sorted(holder), len(holder) - 1):
            if name != "metadata":
                del holder[name]


def _crowd(rng: Random, holder: Any, key: Any) -> None:
    """Copy values to other keys, which breaks `just_one`."""
    if isinstance(holder, dict):
        holder.update((name, {"name": "x"}) for name in ("cve", "cwe", "advisory", "group", "process", "job"))


CHANGES = (_delete, _null, _other_type, _other_type, _other_value, _other_value, _unknown, _hollow, _crowd)
