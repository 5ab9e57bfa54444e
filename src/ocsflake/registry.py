"""Sources and mappers by name, from whatever distributions are installed.

A distribution offers them as entry points, ours in the same way as anyone's:

- group ``ocsflake.sources``: the name of a transport (``files``, ``aws.s3``) and a callable that makes a `Source`
  from ``log_type=`` and options of its own;
- group ``ocsflake.mappers``: the name of a log type (``aws.cloudtrail``) and a `Mapper`.

Nothing is imported until it is asked for, so a plugin that does not load breaks nothing but itself. A package may say
which version of this interface it is written for, by ``__ocsflake_interface__ = 1`` beside its ``__version__``; one
that says nothing is taken for this one.

What is not installed, as in a notebook, is registered for the running process: `register_mapper`, `register_source`.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal, cast

from attrs import frozen

from ocsflake.errors import (
    ConfigError,
    DuplicateNameError,
    MissingExtraError,
    NotRegisteredError,
    OcsflakeError,
    PluginError,
    did_you_mean,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocsflake.mapping import Mapper
    from ocsflake.model import Source

__all__ = ["INTERFACE", "Offer", "mapper", "offers", "register_mapper", "register_source", "source"]

INTERFACE = 1
"""The version of what sources and mappers are called by, and call; a change that breaks them raises it."""

Kind = Literal["mapper", "source"]

_GROUPS: dict[Kind, str] = {"mapper": "ocsflake.mappers", "source": "ocsflake.sources"}
_HERE = "this process"

_registered: dict[tuple[Kind, str], Any] = {}


@frozen
class Offer:
    """A source or a mapper that a distribution offers.

    Attributes:
        kind: ``source`` or ``mapper``.
        name: What it is asked for by.
        distribution: Who offers it.
        version: The version of the distribution.
        value: Where it is, as ``module:attribute``.
        state: ``ok``; ``broken`` if it does not load; ``duplicate`` if another offer has its name.
        error: What is wrong, or ``""``.
    """

    kind: Kind
    name: str
    distribution: str
    version: str
    value: str
    state: Literal["ok", "broken", "duplicate"]
    error: str = ""


def source(name: str, /, *, log_type: str, **options: Any) -> Source:
    """Return the source `name` for records of `log_type`.

    Args:
        name: The transport, such as ``files``.
        log_type: Picks the mapper, such as ``aws.cloudtrail``.
        options: What the transport wants to know, such as ``uri=``; ``name=`` where the source is to be called so.

    Raises:
        NotRegisteredError: If no source of that name is installed.
        DuplicateNameError: If two distributions offer the name.
        PluginError: If it does not load.
        MissingExtraError: If it needs an optional dependency that is not installed.
        ConfigError: If an option is unknown, missing or wrong.
    """
    make = _registered.get(("source", name))
    if make is None:
        point = _find("source", name)
        make = _load("source", point)
        if not callable(make):
            raise PluginError(f"{_described('source', point)} is no callable")
    _check_options(name, make, {"log_type", *options})
    return cast("Source", make(log_type=log_type, **options))


def mapper(log_type: str) -> Mapper:
    """Return the mapper for records of `log_type`.

    Raises:
        NotRegisteredError: If no mapper for it is installed.
        DuplicateNameError: If two distributions offer one.
        PluginError: If it does not load, or is no mapper for `log_type`.
    """
    if ("mapper", log_type) in _registered:
        return cast("Mapper", _registered["mapper", log_type])
    point = _find("mapper", log_type)
    found = _load("mapper", point)
    if not callable(getattr(found, "map", None)) or getattr(found, "log_type", None) != log_type:
        raise PluginError(f"{_described('mapper', point)} is no mapper for {log_type!r}")
    return cast("Mapper", found)


def register_mapper(mapper: Mapper, *, override: bool = False) -> None:
    """Offer a mapper under its log type, in this process.

    Args:
        mapper: The mapper.
        override: Whether it takes the place of one that is installed or registered.

    Raises:
        DuplicateNameError: If there is one of that log type, and `override` is false.
    """
    _register("mapper", mapper.log_type, mapper, override=override)


def register_source(name: str, make: Callable[..., Source], *, override: bool = False) -> None:
    """Offer a source under a name, in this process.

    Args:
        name: The transport, such as ``acme.api``.
        make: Makes a `Source` from ``log_type=`` and options of its own; a class, or a function.
        override: Whether it takes the place of one that is installed or registered.

    Raises:
        DuplicateNameError: If there is one of that name, and `override` is false.
    """
    _register("source", name, make, override=override)


def offers() -> list[Offer]:
    """Return every source and mapper that is installed or registered, loading each to see whether it loads."""
    here = [
        Offer(kind, name, _HERE, "", f"{getattr(value, '__module__', '')}:{getattr(value, '__qualname__', name)}", "ok")
        for (kind, name), value in sorted(_registered.items(), key=lambda item: item[0])
    ]
    return here + [
        _offer(kind, point, points)
        for kind in _GROUPS
        for name, points in _installed(_GROUPS[kind], tuple(sys.path)).items()
        if (kind, name) not in _registered
        for point in points
    ]


def _register(kind: Kind, name: str, value: Any, *, override: bool) -> None:
    if not override:
        installed = _installed(_GROUPS[kind], tuple(sys.path)).get(name, [])
        others = [_HERE] if (kind, name) in _registered else [" ".join(_distribution(point)) for point in installed]
        if others:
            raise DuplicateNameError(
                f"the {kind} {name!r} is offered by {' and '.join(others)} already: give it another name, or"
                " override=True to take its place"
            )
    _registered[kind, name] = value


def _offer(kind: Kind, point: metadata.EntryPoint, rivals: list[metadata.EntryPoint]) -> Offer:
    state: Literal["ok", "broken", "duplicate"] = "ok"
    error = ""
    if len(rivals) > 1:
        state, error = "duplicate", _duplicate(kind, rivals)
    else:
        try:
            _load(kind, point)
        except OcsflakeError as problem:
            state, error = "broken", str(problem)
    distribution, version = _distribution(point)
    return Offer(kind, point.name, distribution, version, point.value, state, error)


@functools.cache
def _installed(group: str, path: tuple[str, ...]) -> dict[str, list[metadata.EntryPoint]]:  # noqa: ARG001 - the key of the cache
    """Return the entry points of a group by name; looked up once for each ``sys.path``."""
    importlib.invalidate_caches()
    found: dict[str, list[metadata.EntryPoint]] = {}
    for point in sorted(metadata.entry_points(group=group), key=lambda point: (point.name, _distribution(point))):
        found.setdefault(point.name, []).append(point)
    return found


def _find(kind: Kind, name: str) -> metadata.EntryPoint:
    points = _installed(_GROUPS[kind], tuple(sys.path))
    if name not in points:
        _installed.cache_clear()  # it may have been installed meanwhile, as one does in a notebook
        points = _installed(_GROUPS[kind], tuple(sys.path))
    if name not in points:
        known = [*points, *(here for of, here in _registered if of == kind)]
        there = ", ".join(map(repr, known)) or "none at all"
        raise NotRegisteredError(
            f"no {kind} {name!r} is installed{did_you_mean(name, known) or ';'} installed are {there}"
        )
    if len(points[name]) > 1:
        raise DuplicateNameError(_duplicate(kind, points[name]))
    return points[name][0]


def _load(kind: Kind, point: metadata.EntryPoint) -> Any:
    try:
        _check_interface(kind, point)
        return point.load()
    except (MissingExtraError, PluginError):
        raise
    except (Exception, SystemExit) as error:  # it is a stranger's code
        message = f"{_described(kind, point)} does not load: {type(error).__name__}: {error}"
        raise PluginError(message) from error


def _check_interface(kind: Kind, point: metadata.EntryPoint) -> None:
    package = importlib.import_module(point.module.partition(".")[0])
    written_for = getattr(package, "__ocsflake_interface__", INTERFACE)
    if written_for != INTERFACE:
        raise PluginError(
            f"{_described(kind, point)} is written for interface {written_for} of ocsflake, and this one has"
            f" {INTERFACE}: install versions of both that agree"
        )


def _check_options(name: str, make: Callable[..., Any], given: set[str]) -> None:
    """Raise a `ConfigError` if the options do not fit the signature."""
    parameters = inspect.signature(make).parameters.values()
    known = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p.name for p in parameters if p.name in known and p.default is p.empty]
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        for option in sorted(given.difference(known)):
            near = did_you_mean(option, known) or f"; it takes {', '.join(known)}"
            raise ConfigError(f"the source {name!r} has no option {option!r}{near}")
    if missing := [option for option in needed if option not in given]:
        raise ConfigError(f"the source {name!r} needs {' and '.join(f'{option}=' for option in missing)}")


def _described(kind: Kind, point: metadata.EntryPoint) -> str:
    distribution, version = _distribution(point)
    return f"the {kind} {point.name!r} of {distribution} {version} ({point.value})"


def _duplicate(kind: Kind, points: list[metadata.EntryPoint]) -> str:
    who = " and ".join(f"{' '.join(_distribution(point))} ({point.value})" for point in points)
    return f"the {kind} {points[0].name!r} is offered by {who}: uninstall all but one"


def _distribution(point: metadata.EntryPoint) -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist else ("an unknown distribution", "")
