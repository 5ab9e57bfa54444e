"""Valid events made from the schema itself. Seeded: the same random state makes the same events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from ocsflake.ocsf import Attribute, EventClass

__all__ = ["make_event"]

_DEPTH = 3

_TEXT = {
    "ip_t": ["10.0.0.1", "192.168.255.1", "2001:db8::1", "::1", "fe80::1%eth0"],
    "mac_t": ["00:1b:44:11:3a:b7", "00-1B-44-11-3A-B7"],
    "email_t": ["jane@example.com", "a.b+c@sub.example.org"],
    "datetime_t": ["2024-05-01T12:00:00Z", "2024-05-01T12:00:00.123+02:00"],
    "uuid_t": ["123e4567-e89b-12d3-a456-426614174000"],
    "hostname_t": ["host-1.example.com", "localhost"],
    "file_hash_t": ["d41d8cd98f00b204e9800998ecf8427e"],
    "bytestring_t": ["aGVsbG8=", "AAAA"],
    "subnet_t": ["10.0.0.0/8"],
    "url_t": ["https://example.com/a?b=c"],
    "file_name_t": ["report.txt"],
}


def make_event(rng: Random, event_class: EventClass) -> dict[str, Any]:
    """Return a valid event: all that is required, some of the rest, to a depth of three objects."""
    event = _make_object(rng, event_class.attributes, event_class.constraints, 0)
    event["class_uid"] = event_class.uid
    event["category_uid"] = event_class.category_uid
    event["type_uid"] = event_class.uid * 100 + event.get("activity_id", 0)
    event["metadata"]["version"] = event_class.version
    event["metadata"]["profiles"] = sorted(event_class.profiles)
    return event


def _make_object(
    rng: Random, attributes: Mapping[str, Attribute], constraints: Mapping[str, tuple[str, ...]], depth: int
) -> dict[str, Any]:
    chance = 0.15 if depth == 0 else 0.25
    names = [
        name
        for name, attribute in attributes.items()
        if attribute.requirement == "required"
        or (rng.random() < chance and (depth < _DEPTH or not attribute.attributes))
    ]
    for kind, choices in constraints.items():
        known = [name for name in choices if name in attributes]
        scalars = [name for name in known if not attributes[name].attributes]
        chosen = rng.choice(scalars or known)
        if kind == "just_one":
            names = [name for name in names if name not in known]
        names.append(chosen)
    return {name: _make_attribute(rng, attributes[name], depth) for name in dict.fromkeys(names)}


def _make_attribute(rng: Random, attribute: Attribute, depth: int) -> Any:
    if attribute.is_array:
        return [_make_value(rng, attribute, depth) for _ in range(rng.choice((0, 1, 1, 2, 3)))]
    return _make_value(rng, attribute, depth)


def _make_value(rng: Random, attribute: Attribute, depth: int) -> Any:
    if attribute.base == "object_t":
        if not attribute.attributes:
            return {"key": {"deep": [1, None]}}
        return _make_object(rng, attribute.attributes, attribute.constraints, depth + 1)
    if attribute.enum:
        return rng.choice(list(attribute.enum))
    if attribute.base == "boolean_t":
        return rng.random() < 0.5
    if attribute.base == "json_t":
        return rng.choice([{"a": [1]}, "text", 5, [None, {}], True])
    if attribute.base in ("integer_t", "long_t"):
        return rng.choice([0, 7, 443, 3.0])
    if attribute.base == "float_t":
        return rng.choice([0.5, 7, -1.25])
    return rng.choice(_TEXT.get(attribute.type, ["text", "ünïcode ✓", ""]))
