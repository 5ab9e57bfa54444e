"""Look OCSF up: versions, event classes, attributes by path.

`load` gives a `Schema`, `Schema.event_class` a class with its profiles applied, `EventClass.attribute` an
attribute by its dotted path. Classes and objects are built when they are first asked for, and cached.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from attrs import field, frozen

from ocsflake.errors import ConfigError, SchemaError, did_you_mean
from ocsflake.ocsf._export import read_export

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ocsflake.ocsf._export import Export, RawAttribute

__all__ = ["DEFAULT_VERSION", "Attribute", "EventClass", "Schema", "load", "versions"]

DEFAULT_VERSION = "1.1.0"
"""The version that Security Lake's own current sources write."""

_BASE_TYPES = frozenset({"string_t", "integer_t", "long_t", "float_t", "boolean_t", "json_t"})


@frozen(eq=False)
class Attribute:
    """An attribute of a class or an object, with the profiles of its class applied.

    Attributes:
        name: Its own name, without a path.
        caption: Its name for people.
        type: The OCSF type, such as ``ip_t``, or ``object_t``.
        base: The base type that `type` derives from: ``string_t``, ``integer_t``, ``long_t``, ``float_t``,
            ``boolean_t``, ``json_t`` or ``object_t``.
        is_array: If it holds a list of such values.
        requirement: ``required``, ``recommended`` or ``optional``.
        enum: The allowed values with their captions, or ``None``; integers, or text where the base is text.
        sibling: The text attribute beside an enum, which holds the caption or the source's own word, if any.
        object_type: The name of the object, for ``object_t``.
        profiles: The profiles any one of which brings the attribute in; empty if it is always there.
        regex: A regular expression that the type asks text to hold, unanchored.
        max_len: The most characters that the type allows.
        range: The least and the greatest value that the type allows.
        observable: The ``type_id`` of observables made of it: its own, its object's or its type's.
        deprecated: If OCSF advises against it; it is still valid.
        constraints: ``at_least_one`` and ``just_one`` of its object, with attribute names or paths.
    """

    name: str
    caption: str
    type: str
    base: str
    is_array: bool
    requirement: str
    enum: Mapping[int | str, str] | None
    sibling: str | None
    object_type: str | None
    profiles: frozenset[str]
    regex: str | None = field(repr=False)
    max_len: int | None
    range: tuple[int, int] | None
    observable: int | None
    deprecated: bool
    constraints: Mapping[str, tuple[str, ...]]
    _applied: _Applied = field(repr=False)

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """The attributes of its object; empty for scalars and for free objects such as ``unmapped``."""
        return self._applied.attributes(self.object_type) if self.object_type else {}


@frozen(eq=False)
class EventClass:
    """An event class of one OCSF version with profiles applied.

    Attributes:
        name: As the schema keys it: ``api_activity``, ``win/registry_key_activity``.
        uid: The ``class_uid``.
        caption: The ``class_name``.
        category_uid: The category's id.
        category_name: The category's caption.
        version: The OCSF version.
        profiles: The profiles that are applied.
        attributes: Name to `Attribute`.
        constraints: ``at_least_one`` and ``just_one`` of the class, with attribute names or paths.
        deprecated: If OCSF advises against the class; it is still valid.
        schema: The schema that it is of.
    """

    name: str
    uid: int
    caption: str
    category_uid: int
    category_name: str
    version: str
    profiles: frozenset[str]
    attributes: Mapping[str, Attribute] = field(repr=False)
    constraints: Mapping[str, tuple[str, ...]] = field(repr=False)
    deprecated: bool
    schema: Schema = field(repr=False)

    def attribute(self, path: str) -> Attribute:
        """Return the attribute at a dotted path.

        Args:
            path: Such as ``actor.user.name``; a list is written ``resources[].uid`` or ``resources.uid``.

        Raises:
            SchemaError: If the path is not in this class with these profiles; names what is near.
        """
        return self.attributes_along(path)[-1]

    def attributes_along(self, path: str) -> tuple[Attribute, ...]:
        """Return the attributes that a dotted path passes, from the top-level one to the last.

        Raises:
            SchemaError: As `attribute` does.
        """
        passed: list[Attribute] = []
        for name in path.split("."):
            level = passed[-1].attributes if passed else self.attributes
            attribute = level.get(name.removesuffix("[]"))
            if attribute is None or (name.endswith("[]") and not attribute.is_array):
                raise SchemaError(self._why_not(path, name, passed))
            passed.append(attribute)
        return tuple(passed)

    def find(self, path: str) -> Attribute | None:
        """Return the attribute at a dotted path, or ``None``."""
        try:
            return self.attribute(path)
        except SchemaError:
            return None

    def profiles_of(self, path: str) -> frozenset[str]:
        """Return the profiles that must be applied together for `path` to exist, whatever is applied now.

        Where any one of several profiles would do, it is one that is applied now, else the first by name.

        Raises:
            SchemaError: If the path does not exist with all profiles applied.
        """
        everything = self.schema.event_class(self.name, self.schema.profiles())
        needed: set[str] = set()
        for attribute in everything.attributes_along(path):
            if attribute.profiles and not attribute.profiles & needed:
                needed.add(min(attribute.profiles, key=lambda name: (name not in self.profiles, name)))
        return frozenset(needed)

    def _why_not(self, path: str, name: str, passed: list[Attribute]) -> str:
        where = f"{self.name} (OCSF {self.version})"
        holder = ".".join(attribute.name for attribute in passed)
        level = passed[-1].attributes if passed else self.attributes
        bare = name.removesuffix("[]")
        if bare in level:
            return f"{where}: {path!r}: {bare!r} is not a list; write it without []"
        if passed and not level:
            free = "a free object: name it as a whole"
            kind = free if passed[-1].base == "object_t" else f"of type {passed[-1].type}: it has no attributes"
            return f"{where}: {path!r}: {holder!r} is {kind}"
        everything = self.schema.event_class(self.name, self.schema.profiles())
        if everything is not self and everything.find(path) is not None:
            missing = sorted(self.profiles_of(path) - self.profiles)
            return f"{where}: {path!r} exists only with the profile {' and '.join(map(repr, missing))}"
        holder = f"object {passed[-1].object_type!r} at {holder!r}" if passed else "the class"
        return f"{where}: {path!r}: {holder} has no attribute {bare!r}{did_you_mean(bare, level)}"


@frozen(eq=False)
class Schema:
    """One version of OCSF.

    Attributes:
        version: The OCSF version.
        classes: The name of every event class with its ``class_uid``.
    """

    version: str
    classes: Mapping[str, int] = field(repr=False)
    _export: Export = field(repr=False)

    def profiles(self) -> frozenset[str]:
        """Return the names of all profiles."""
        return self._export.profiles

    def event_class(self, name_or_uid: str | int, profiles: Iterable[str] = ()) -> EventClass:
        """Return an event class with `profiles` applied; cached.

        Args:
            name_or_uid: ``api_activity`` or ``6003``.
            profiles: Names such as ``cloud``; attributes of other profiles do not exist, at any depth.

        Raises:
            SchemaError: If the class or a profile is unknown in this version; names what is near.
        """
        applied = frozenset(profiles)
        for name in sorted(applied - self._export.profiles):
            raise SchemaError(
                f"OCSF {self.version} has no profile {name!r}{did_you_mean(name, self._export.profiles)}"
                f" (profiles: {', '.join(sorted(self._export.profiles))})"
            )
        if isinstance(name_or_uid, int):
            found = [name for name, uid in self.classes.items() if uid == name_or_uid]
            if not found:
                raise SchemaError(f"OCSF {self.version} has no event class with class_uid {name_or_uid}")
            name_or_uid = found[0]
        if name_or_uid not in self.classes:
            near = did_you_mean(name_or_uid, self.classes)
            raise SchemaError(f"OCSF {self.version} has no event class {name_or_uid!r}{near}")
        return _event_class(self, name_or_uid, applied)


class _Applied:
    """An export with profiles applied: the attributes of its objects, built when first asked for."""

    def __init__(self, export: Export, profiles: frozenset[str]) -> None:
        self.export = export
        self.profiles = profiles
        self.objects: dict[str, Mapping[str, Attribute]] = {}

    def attributes(self, object_type: str) -> Mapping[str, Attribute]:
        if object_type not in self.objects:
            self.objects[object_type] = self.table(self.export.objects[object_type].attributes)
        return self.objects[object_type]

    def table(self, raw: Mapping[str, RawAttribute]) -> Mapping[str, Attribute]:
        admitted = {
            name: item for name, item in raw.items() if not (needs := item.admitted_by()) or needs & self.profiles
        }
        return {name: self.attribute(name, item, admitted) for name, item in sorted(admitted.items())}

    def attribute(self, name: str, raw: RawAttribute, beside: Mapping[str, RawAttribute]) -> Attribute:
        kind = self.export.types.get(raw.type)
        held = self.export.objects[raw.object_type] if raw.object_type else None
        base = "object_t" if held else raw.type
        if not held and base not in _BASE_TYPES:
            base = (kind and kind.type) or "string_t"  # 1.0.0-rc.2 derives some kinds of text from nothing
        text = base == "string_t"
        captions = [(key if text else int(key), value.caption) for key, value in (raw.enum or {}).items()]
        observables = (
            raw.observable,
            held.observable if held else None,
            kind.observable if kind else None,
        )
        return Attribute(
            name=name,
            caption=raw.caption,
            type=raw.type,
            base=base,
            is_array=raw.is_array,
            requirement=raw.requirement,
            enum=dict(sorted(captions)) or None,
            sibling=raw.sibling if raw.sibling in beside else None,
            object_type=raw.object_type,
            profiles=raw.admitted_by(),
            regex=kind.regex if kind else None,
            max_len=kind.max_len if kind else None,
            range=kind.range if kind else None,
            observable=next((number for number in observables if number is not None), None),
            deprecated=raw.deprecated is not None,
            constraints=_constraints(held.constraints) if held else {},
            applied=self,
        )


@functools.cache
def versions() -> tuple[str, ...]:
    """Return the OCSF versions that are at hand, oldest first."""
    from ocsf_json_schema import get_packaged_versions

    return tuple(sorted(get_packaged_versions(), key=_age))


def load(version_or_path: str | Path = DEFAULT_VERSION) -> Schema:
    """Return a version of OCSF; cached.

    Args:
        version_or_path: One of `versions`, or an export file of a schema server or of the schema compiler,
            such as one with private extensions: a `Path`, or text that ends in ``.json``. Both layouts are read.

    Raises:
        ConfigError: If the version is not at hand, or the file cannot be read or is no export.
    """
    if isinstance(version_or_path, str) and not version_or_path.endswith(".json"):
        return _load_version(version_or_path)
    path = Path(version_or_path)
    try:
        return _load_file(path, path.stat().st_mtime_ns)
    except (OSError, KeyError, TypeError, msgspec.DecodeError) as error:
        raise ConfigError(
            f"{path}: not a readable OCSF schema export ({error}); export one from an OCSF schema server"
            " (/export/v2/schema) or write one with the OCSF schema compiler"
        ) from error


@functools.lru_cache(maxsize=16)
def _load_version(version: str) -> Schema:
    if version not in versions():
        raise ConfigError(
            f"OCSF version {version!r} is not at hand{did_you_mean(version, versions())}"
            f" (at hand: {', '.join(versions())}; any other can be loaded from an export file)"
        )
    from ocsf_json_schema import get_ocsf_schema

    return _schema(read_export(get_ocsf_schema(version)))


@functools.lru_cache(maxsize=16)
def _load_file(path: Path, changed: int) -> Schema:  # noqa: ARG001 - a changed file is another cache entry
    return _schema(read_export(msgspec.json.decode(path.read_bytes())))


def _schema(export: Export) -> Schema:
    return Schema(export.version, {name: export.classes[name].uid for name in sorted(export.classes)}, export)


@functools.lru_cache(maxsize=64)
def _applied(schema: Schema, profiles: frozenset[str]) -> _Applied:
    return _Applied(schema._export, profiles)


@functools.lru_cache(maxsize=256)
def _event_class(schema: Schema, name: str, profiles: frozenset[str]) -> EventClass:
    raw = schema._export.classes[name]
    attributes = _applied(schema, profiles).table(raw.attributes)
    category = attributes.get("category_uid")
    captions = category.enum if category else None
    return EventClass(
        name=name,
        uid=raw.uid,
        caption=raw.caption,
        category_uid=raw.category_uid,
        category_name=raw.category_name or (captions or {}).get(raw.category_uid, ""),
        version=schema.version,
        profiles=profiles,
        attributes=attributes,
        constraints=_constraints(raw.constraints),
        deprecated=raw.deprecated is not None,
        schema=schema,
    )


def _constraints(raw: Mapping[str, list[str]]) -> Mapping[str, tuple[str, ...]]:
    return {kind: tuple(names) for kind, names in raw.items()}


def _age(version: str) -> tuple[list[int], bool, str]:
    """Sort key: by number, pre-releases before their release."""
    number, _, pre_release = version.partition("-")
    return [int(part) for part in re.findall(r"\d+", number)], not pre_release, pre_release
