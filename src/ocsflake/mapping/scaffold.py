"""A first mapper from a sample of a log: what its records hold, and which attribute each value might fill.

What it finds are suggestions by names and kinds. The log's documentation decides, and whoever reads it.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from datetime import datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import msgspec
from attrs import define, field, frozen

from ocsflake.errors import SchemaError
from ocsflake.mapping import paths
from ocsflake.mapping.paths import EACH
from ocsflake.mapping.records import split_records
from ocsflake.ocsf import DEFAULT_VERSION, load, versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ocsflake.model import RawBatch
    from ocsflake.ocsf import Attribute, EventClass

__all__ = ["RawField", "Sample", "mapper_text", "read_sample"]

_LOG_TYPE = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_DEPTH = 3
_ENVELOPE_KEYS = 4
_VALUES = 12
_EXAMPLE = 40
_MAX_SOURCE_NAME = 15
_ENOUGH = 0.5

_SAME = (
    {"ip", "address", "addr", "ipaddress"},
    {"time", "timestamp", "ts", "date", "datetime", "when", "at"},
    {"src", "source", "client", "remote", "from"},
    {"dst", "dest", "destination", "target", "server", "to"},
    {"user", "username", "principal", "login", "who"},
    {"uid", "id", "uuid", "guid", "identifier"},
    {"hostname", "host", "machine", "computer"},
    {"message", "msg", "text", "description"},
    {"activity", "action", "event", "operation", "verb"},
    {"status", "outcome", "result"},
    {"detail", "reason", "error"},
    {"svc", "service", "app", "application"},
    {"success", "succeeded", "ok", "allowed", "granted"},
    {"failure", "failed", "fail", "denied", "error"},
    {"logon", "login", "signin"},
    {"logoff", "logout", "signout"},
    {"read", "get", "list", "describe", "view"},
    {"create", "add", "insert", "new"},
    {"update", "modify", "change", "set", "patch", "put"},
    {"delete", "remove", "drop"},
)
"""Words that logs use for one another."""

_USEFUL = {"metadata.uid", "actor", "src_endpoint", "dst_endpoint"}
"""Optional attributes that most logs have a value for."""

_DERIVED = re.compile(
    r"(category|class)_(uid|name)|type_(uid|name)|.*_dt|activity_name|observables|unmapped|raw_data|metadata\.(version|profiles)"
)
"""What the engine fills by itself."""


@define
class RawField:
    """A raw path, as some records hold it.

    Attributes:
        path: As it is written in a mapper.
        count: How many records have it.
        kinds: How often it was a text, a number, a truth value.
        values: The first different values, as text.
    """

    path: str
    count: int = 0
    kinds: Counter[str] = field(factory=Counter)
    values: dict[str, None] = field(factory=dict)


@frozen
class Sample:
    """What the records of a sample hold.

    Attributes:
        records: How many there are.
        fields: Their raw paths, in the order in which they came up.
        envelope: The key of the list that holds the records, ``""`` if they stand for themselves.
    """

    records: int
    fields: list[RawField]
    envelope: str = ""


def read_sample(raws: Iterable[RawBatch]) -> Sample:
    """Return what some JSON records hold.

    Raises:
        SchemaError: If there is no record.
    """
    found: dict[str, RawField] = {}
    count, envelope = 0, ""
    for raw in raws:
        data: Any = raw.records
        text = data if isinstance(data, bytes) else b"\n".join(data)
        if not count:
            envelope = next(filter(None, (_envelope(record) for record in split_records(text, ())[0][:1])), "")
        for record in split_records(text, (envelope,) if envelope else ())[0]:
            values = _decoded(record)
            if values is None:
                continue
            count += 1
            seen = set()
            for name, value in _leaves(values, ""):
                leaf = found.setdefault(name, RawField(name))
                leaf.count += name not in seen
                seen.add(name)
                leaf.kinds[_kind(value)] += 1
                if len(leaf.values) < _VALUES:
                    leaf.values[value if isinstance(value, str) else msgspec.json.encode(value).decode()] = None
    if not count:
        raise SchemaError("there are no JSON records in the sample: a mapper of text is written by hand, see the docs")
    return Sample(count, list(found.values()), envelope)


def mapper_text(log_type: str, event_class: str, sample: Sample) -> str:
    """Return a module with a mapper: candidates where there are some, and what is left to do.

    Args:
        log_type: Of the mapper, such as ``acme.vpn``.
        event_class: The OCSF name of its class.
        sample: What its records hold.

    Raises:
        SchemaError: If the log type is no name, or OCSF has no such class; says what is near.
    """
    if not _LOG_TYPE.fullmatch(log_type):
        raise SchemaError(f"log type {log_type!r}: give two names joined by a dot, such as acme.vpn")
    schema = load(versions()[-1])
    target = schema.event_class(event_class)
    found = sample.fields
    filled = _filled(log_type, target, found)
    used = {path for path, _ in filled.values()}
    rest = [raw.path for raw in found if raw.path not in used]  # these go to `unmapped`
    lines = [
        f'"""{log_type} to {target.caption} {target.uid}.',
        "",
        "TODO: say where the log comes from, and where its fields are documented.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "from ocsflake.mapping import EventMap, Fields, JsonRecords, Mapper, at",
        "",
        f"# The sample has {sample.records:,} records. How many have a path, what it is, and an example:",
    ]
    lines += [_described(raw, sample.records) for raw in found]
    lines += ["", "FIELDS: Fields = {"]
    lines += [line for attribute, (_, expression) in filled.items() for line in _entry(attribute, expression)]
    lines += ["}", ""]
    objects = {name.rpartition(".")[0] for name in filled}
    left = [
        name
        for name, attribute in _targets(target.attributes, "", 1)
        if name not in filled and name not in objects and name.rpartition(".")[0] in objects
    ]
    lines += _comment("Recommended, and nothing here seems to fill it: ", left)
    lines += [
        "MAPPER = Mapper(",
        f"    {_quoted(log_type)},",
        f"    source_name={_quoted(re.sub('[^a-z0-9]', '_', log_type)[:_MAX_SOURCE_NAME])},",
        f"    parse=JsonRecords({f'unwrap=({_quoted(sample.envelope)},)' if sample.envelope else ''}),",
        f"    events=[EventMap({_quoted(event_class)}, fields=FIELDS)],",
        f"    unmapped=({' '.join(f'{_quoted(path)},' for path in rest)}),",
        ")",
    ]
    return "\n".join(lines) + "\n"


def _envelope(record: bytes) -> str:
    """Return the key of a document that holds a list of records and little else."""
    document = _decoded(record) or {}
    lists = [key for key, value in document.items() if isinstance(value, list) and value and isinstance(value[0], dict)]
    return lists[0] if len(lists) == 1 and len(document) <= _ENVELOPE_KEYS else ""


def _decoded(record: bytes) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(record)
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{paths.quote(key)}" if path else paths.quote(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, path + EACH)
    elif value is not None and path:
        yield path, value


def _kind(value: Any) -> str:
    return "text" if isinstance(value, str) else "truth value" if isinstance(value, bool) else "number"


def _described(raw: RawField, count: int) -> str:
    """Return a comment; what a log holds is no code, whatever it is."""
    kinds = "/".join(kind for kind, _ in raw.kinds.most_common())
    example = ascii(next(iter(raw.values), ""))[: _EXAMPLE + 2]
    return f"#   {100 * raw.count / count:3.0f} %  {kinds:11}  {raw.path.encode('unicode_escape').decode()}  {example}"


def _entry(attribute: str, expression: str) -> list[str]:
    """Return the lines of an attribute; what is left to do, which is an expression's second line, stands above it."""
    value, _, remark = expression.partition("\n")
    above = textwrap.wrap(remark, 114, initial_indent="    # ", subsequent_indent="    # ")
    return [*above, f"    {_quoted(attribute)}: {value},"]


def _quoted(text: str) -> str:
    """Return a text as Python writes it, in double quotes where that needs no escape."""
    written = ascii(text)
    return f'"{written[1:-1]}"' if written[0] == "'" and '"' not in written else written


def _comment(what: str, names: list[str]) -> list[str]:
    text = f"{what}{', '.join(names)}"
    return [*textwrap.wrap(text, 118, initial_indent="# ", subsequent_indent="# "), ""] if names else []


def _filled(log_type: str, target: EventClass, found: list[RawField]) -> dict[str, tuple[str, str]]:
    """Return the attributes that the mapper fills, each with the raw path and the expression."""
    vendor, _, log = log_type.partition(".")
    filled: dict[str, tuple[str, str]] = {}
    free = {raw.path: raw for raw in found}
    wanted = list(_targets(target.attributes, "", 1))
    fits = [
        (_fit(name, attribute, raw), -place, name, raw)
        for place, (name, attribute) in enumerate(wanted)
        if not attribute.attributes
        for raw in found
    ]
    for score, _, name, raw in sorted(fits, key=lambda fit: (-fit[0], -fit[1])):
        if score >= _ENOUGH and name not in filled and raw.path in free:
            filled[name] = (raw.path, _expression(dict(wanted)[name], raw))
            del free[raw.path]
    constants = {
        "severity_id": "1",
        "metadata.product.name": _quoted(log),
        "metadata.product.vendor_name": _quoted(vendor),
    }
    for name, value in constants.items():
        filled.setdefault(name, ("", value))
    oldest = load(DEFAULT_VERSION)
    classes = [target, *([oldest.event_class(target.name)] if target.name in oldest.classes else [])]
    for name in [name for name in filled if not all(_holds(each, name, filled) for each in classes)]:
        del filled[name]  # too little of an object that nothing asks for
    while missing := next((name for each in classes for name in _missing(each, filled)), ""):
        filled[missing] = ("", f"{_constant(target.attribute(missing.replace('[]', '')))}\nTODO")
    order = [name for name, _ in wanted]
    ordered = sorted(filled, key=lambda name: order.index(name) if name in order else len(order))
    return {name: filled[name] for name in ordered}


def _targets(attributes: Mapping[str, Attribute], above: str, depth: int) -> Iterator[tuple[str, Attribute]]:
    """Yield the required and recommended attributes, and those of objects that are."""
    captions = {attribute.sibling for attribute in attributes.values()}
    for name, attribute in attributes.items():
        path = f"{above}{name}"
        optional = attribute.requirement == "optional" and path not in _USEFUL
        if optional or attribute.deprecated or name in captions or _DERIVED.fullmatch(path):
            continue
        if attribute.is_array or attribute.base in {"object_t", "json_t"}:
            if attribute.attributes and not attribute.is_array and depth < _DEPTH:
                yield path, attribute
                yield from _targets(attribute.attributes, f"{path}.", depth + 1)
            continue
        yield path, attribute


def _words(path: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(path)]


def _alike(first: str, second: str) -> bool:
    return first == second or any(first in group and second in group for group in _SAME)


def _fit(name: str, attribute: Attribute, raw: RawField) -> float:
    """Return how well a raw path fits an attribute by its words; 0 if its values cannot be of the type."""
    if EACH in paths.parse(raw.path) or not _can_be(attribute, raw):
        return 0.0
    wanted, offered = _words(name), _words(raw.path)
    if attribute.enum and len(wanted) > 1:
        wanted.pop()  # its _id
    last = [word for word in wanted if word != "name"][-1:] + wanted[-1:]
    if not any(_alike(word, other) for word in last for other in offered[-1:]):
        return 0.0
    shared = sum(any(_alike(word, other) for other in offered) for word in wanted)
    extra = sum(not any(_alike(word, other) for other in wanted) for word in offered)
    telling = 0.2 * (attribute.type in {"ip_t", "timestamp_t"}) + 0.05 * name.startswith(("src_", "metadata.uid"))
    return shared / len(wanted) - 0.1 * extra + telling


def _can_be(attribute: Attribute, raw: RawField) -> bool:
    values = list(raw.values)
    if attribute.type == "timestamp_t":
        return all(map(_is_time, values))
    if attribute.type == "ip_t":
        return all(map(_is_ip, values))
    if attribute.base in {"integer_t", "long_t", "float_t"}:
        return bool(attribute.enum) or set(raw.kinds) == {"number"}
    if attribute.base == "boolean_t":
        return set(raw.kinds) == {"truth value"}
    return attribute.base == "string_t"


def _is_time(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return re.fullmatch(r"\d{9,19}(\.\d+)?", value) is not None
    return not value.isdecimal()


def _is_ip(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return True


def _expression(attribute: Attribute, raw: RawField) -> str:
    reading = f"at({_quoted(raw.path)})"
    if attribute.type == "timestamp_t" and set(raw.kinds) == {"number"}:
        unit = {10: "s", 13: "ms", 16: "us", 19: "ns"}.get(len(next(iter(raw.values)).partition(".")[0]), "s")
        return f"{reading}.epoch({_quoted(unit)})"
    if attribute.enum and attribute.base != "string_t":
        ids = {value: _nearest(value, attribute.enum) for value in raw.values}
        known = {value: number for value, number in ids.items() if number is not None}
        other = 99 if 99 in attribute.enum else 0
        table = ", ".join(f"{_quoted(value)}: {number}" for value, number in known.items())
        captions = ", ".join(f"{number} {caption}" for number, caption in attribute.enum.items())
        return f"{reading}.lookup({{{table}}}, default={other})\nTODO {captions}"
    return f"{reading}.text()" if attribute.base == "string_t" and "text" not in raw.kinds else reading


def _nearest(value: str, enum: Mapping[int | str, str]) -> int | str | None:
    """Return the value of an enum whose caption a text resembles."""
    words = set(_words(value))
    for number, caption in enum.items():
        names = _words(caption)
        if any(_alike(word, name) or (word[:5] == name[:5]) for word in words for name in names):
            return number
    return None


def _constant(attribute: Attribute) -> str:
    if attribute.type == "timestamp_t":
        return 'at("TODO")'
    if attribute.enum:
        values = list(attribute.enum)
        return repr(99 if 99 in values else values[0])
    return {"boolean_t": "False", "string_t": '"TODO"'}.get(attribute.base, "0")


def _holds(event_class: EventClass, path: str, filled: Mapping[str, Any]) -> bool:
    """Return whether all that the objects around an attribute require is filled, unless they are required too."""
    above = path.rpartition(".")[0]
    while above:
        try:
            holder = event_class.attribute(above)
        except SchemaError:
            return True  # the version lacks it, so it asks for nothing
        missing = [name for name in _required(holder.attributes) if not _has(filled, f"{above}.{name}")]
        if holder.requirement != "required" and any(not holder.attributes[name].enum for name in missing):
            return False
        above = above.rpartition(".")[0]
    return True


def _missing(event_class: EventClass, filled: Mapping[str, Any]) -> Iterator[str]:
    """Yield attributes that the class, or an object that is filled, requires, and nothing fills."""
    holders: list[tuple[str, Any]] = [("", event_class)]
    for above in dict.fromkeys(
        path.rsplit(".", depth)[0] for path in filled for depth in range(1, path.count(".") + 1)
    ):
        try:
            holders.append((f"{above}.", event_class.attribute(above.replace("[]", ""))))
        except SchemaError:
            continue
    for above, holder in holders:
        choices = [f"{above}{name}" for name in holder.constraints.get("at_least_one", ())]
        if choices and not any(_has(filled, path) for path in choices):
            yield _scalar(event_class, choices[0])
        for name in _required(holder.attributes):
            if not _has(filled, f"{above}{name}") and not _DERIVED.fullmatch(f"{above}{name}"):
                yield _scalar(event_class, f"{above}{name}")


def _required(attributes: Mapping[str, Attribute]) -> list[str]:
    return [
        name
        for name, attribute in attributes.items()
        if attribute.requirement == "required" and not _DERIVED.fullmatch(name)
    ]


def _has(filled: Mapping[str, Any], path: str) -> bool:
    return any(name == path or name.startswith((f"{path}.", f"{path}[]")) for name in filled)


def _scalar(event_class: EventClass, path: str) -> str:
    """Return an attribute, or one of those in it that says what it is."""
    attribute = event_class.attribute(path.replace("[]", ""))
    while attribute.attributes:
        names = [*_required(attribute.attributes), *(name for name in ("name", "uid") if name in attribute.attributes)]
        name = (names or list(attribute.attributes))[0]
        path, attribute = f"{path}{'[]' if attribute.is_array else ''}.{name}", attribute.attributes[name]
    return path
