"""Write the pages of docs/mapping/ from the mappers themselves: `python docs/mapping_pages.py`.

A test compares the pages with what this makes of the mappers, so that they never go stale.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ocsflake import ocsf, registry
from ocsflake.errors import SchemaError
from ocsflake.mapping import paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocsflake.mapping import EventMap, Mapper
    from ocsflake.registry import Offer

_BARE_URL = re.compile(r"(?<![<(])(https?://[^\s>)]*[^\s>).,;:])")
_LONGEST = 240

FOLDER = Path(__file__).parent / "mapping"

INDEX = """\
# Log types

One page for each log type that `ocsflake` maps: which event class its records become, and what fills each attribute.
The pages are written from the mappers; `ocsflake explain LOG_TYPE FILE` shows the same tables with how often each
attribute is filled in your own logs.

| log type | what it is | event classes |
|---|---|---|
"""


def pages() -> dict[str, str]:
    """Return file names and the text of every page."""
    mappers = {offer.name: offer for offer in _offers()}
    found = {f"{name}.md": _page(registry.mapper(name), offer) for name, offer in mappers.items()}
    lines = [_index_line(registry.mapper(name)) for name in mappers]
    return {"index.md": INDEX + "".join(lines), **found}


def _offers() -> Iterator[Offer]:
    """Yield the mappers of ours, by name."""
    for offer in registry.offers():
        if (offer.kind, offer.distribution, offer.state) == ("mapper", "ocsflake", "ok"):
            yield offer


def _index_line(mapper: Mapper) -> str:
    classes = dict.fromkeys(event.event_class for event in mapper.events)
    return f"| [{mapper.log_type}]({mapper.log_type}.md) | {mapper.title} | {', '.join(classes)} |\n"


def _page(mapper: Mapper, offer: Offer) -> str:
    doc = inspect.getdoc(importlib.import_module(offer.value.partition(":")[0])) or ""
    shared = _shared(mapper)
    parts = [
        f"# {mapper.title or mapper.log_type}\n",
        f"Log type `{mapper.log_type}`.\n",
        _BARE_URL.sub(r"<\1>", doc.replace("``", "`")) + "\n",
        "\n".join(_classes(mapper)),
        *(["## In every class\n", _table(mapper.events[0], shared)] if shared else []),
    ]
    for number, event in enumerate(mapper.events, 1):
        parts.append(f"## {number}. {_newest(event.event_class).caption}\n")
        parts.append(_table(event, [path for path in event.fields if path not in shared]))
    return "\n".join([*parts, *_rest(mapper)])


def _shared(mapper: Mapper) -> list[str]:
    """Return the attributes that are filled alike in every class, if there are several classes."""
    first, *others = mapper.events
    return [
        path
        for path, expression in first.fields.items()
        if others and all(path in other.fields and repr(other.fields[path]) == repr(expression) for other in others)
    ]


def _classes(mapper: Mapper) -> Iterator[str]:
    yield "A record becomes an event of the first class whose condition holds, and that the OCSF version has.\n"
    yield "| | event class | custom source | OCSF versions | condition |"
    yield "|---|---|---|---|---|"
    for number, event in enumerate(mapper.events, 1):
        uid = _newest(event.event_class).uid
        where = "" if event.where is None else _code(_cut(repr(event.where)))
        since = _note(_versions(event), _targets())
        yield f"| {number} | {event.event_class} {uid} | `{mapper.source_name}_{uid}` | {since} | {where} |"
    yield ""


def _table(event: EventMap, attributes: list[str]) -> str:
    lines = ["| attribute | OCSF type | filled from | raw paths | OCSF versions |", "|---|---|---|---|---|"]
    for attribute in attributes:
        versions = _versions_of(event, attribute)
        if not versions:
            continue  # tables of several versions share their lines
        expression = event.fields[attribute]
        text = repr(expression)
        raw = dict.fromkeys(map(paths.join, expression.raw_paths()))
        cells = [
            _code(attribute),
            _newest(event.event_class).attribute(attribute).type,
            _code(_cut(text)),
            "" if list(raw) == [text] else ", ".join(map(_code, raw)),
            _note(versions, _versions(event)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _rest(mapper: Mapper) -> Iterator[str]:
    yield "## Left over\n"
    yield "Every raw value that no attribute takes is kept in `unmapped`, under its path."
    if mapper.unmapped:
        paths = ", ".join(map(_code, mapper.unmapped))
        yield f"\nThese go there on purpose; any other path that no table names is counted as new:\n\n{paths}"
    if mapper.null_words:
        yield f"\nThese words stand for no value: {', '.join(map(_code, mapper.null_words))}"
    yield ""


def _newest(event_class: str) -> ocsf.EventClass:
    schema = _schema(ocsf.versions()[-1])
    return schema.event_class(event_class, schema.profiles())


@functools.cache
def _schema(version: str) -> ocsf.Schema:
    return ocsf.load(version)


def _versions(event: EventMap) -> list[str]:
    """Return the versions that a table is for."""
    return [v for v in _targets() if event.event_class in _schema(v).classes and event.holds_in(v)]


def _versions_of(event: EventMap, attribute: str) -> list[str]:
    """Return those of them that have an attribute."""
    found = []
    for version in _versions(event):
        schema = _schema(version)
        try:
            schema.event_class(event.event_class, schema.profiles()).attribute(attribute)
        except SchemaError:
            continue
        found.append(version)
    return found


def _targets() -> list[str]:
    """Return the versions that events are written in."""
    versions = list(ocsf.versions())
    return versions[versions.index(ocsf.DEFAULT_VERSION) :]


def _note(versions: list[str], targets: list[str]) -> str:
    """Return in which versions something is, ``""`` if in all; elsewhere its values go to ``unmapped``."""
    if versions == targets:
        return ""
    if versions == targets[targets.index(versions[0]) :]:
        return f"since {versions[0]}"
    if versions == targets[: len(versions)]:
        return f"up to {versions[-1]}"
    return ", ".join(versions)


def _cut(expression: str) -> str:
    """Return an expression, the end left out if it is long; the raw paths are listed beside it in full."""
    return expression if len(expression) <= _LONGEST else f"{expression[:_LONGEST]} ..."


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|") if text else ""


def main() -> None:
    """Write the pages, and remove those of mappers that are gone."""
    wanted = pages()
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.md"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
