"""The shape of an OCSF schema export, as far as it is read here.

An export is what an OCSF schema server answers under ``/export/schema`` (layout 1) or ``/export/v2/schema``
(layout 2), and what the schema compiler writes. Decoding it into these structs checks its shape and lets the
descriptions, most of its size, go.
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["Export", "RawAttribute", "RawType", "read_export"]


class RawEnumValue(msgspec.Struct):
    """One value of an enum."""

    caption: str = ""


class RawAttribute(msgspec.Struct):
    """An attribute of a class or an object, before profiles are applied."""

    type: str
    caption: str = ""
    requirement: str = "optional"
    is_array: bool = False
    object_type: str | None = None
    enum: dict[str, RawEnumValue] | None = None
    sibling: str | None = None
    observable: int | None = None
    profile: str | None = None
    profiles: list[str] | None = None
    deprecated: Any = msgspec.field(default=None, name="@deprecated")

    def admitted_by(self) -> frozenset[str]:
        """Return the profiles any one of which brings the attribute in; empty if it is always there."""
        return frozenset(self.profiles or ([self.profile] if self.profile else ()))


class RawObject(msgspec.Struct):
    """An object."""

    attributes: dict[str, RawAttribute]
    constraints: dict[str, list[str]] = {}
    observable: int | None = None


class RawClass(msgspec.Struct):
    """An event class."""

    uid: int
    attributes: dict[str, RawAttribute]
    caption: str = ""
    category_uid: int = 0
    category_name: str | None = None
    constraints: dict[str, list[str]] = {}
    profiles: list[str] | None = None
    deprecated: Any = msgspec.field(default=None, name="@deprecated")


class RawType(msgspec.Struct):
    """A scalar type: a base type, or one derived from a base type."""

    type: str | None = None
    regex: str | None = None
    max_len: int | None = None
    range: tuple[int, int] | None = None
    observable: int | None = None


class Export(msgspec.Struct):
    """All of a schema version.

    Attributes:
        profiles: The names of all profiles.
    """

    version: str
    types: dict[str, RawType]
    objects: dict[str, RawObject]
    classes: dict[str, RawClass]
    profiles: frozenset[str]


def read_export(data: dict[str, Any]) -> Export:
    """Decode an export of either layout.

    Raises:
        KeyError, TypeError, msgspec.ValidationError: If `data` is no export.
    """
    types = data["types"] if "types" in data else data["dictionary"]["types"]["attributes"]
    objects = msgspec.convert(data["objects"], dict[str, RawObject])
    classes = msgspec.convert(data["classes"], dict[str, RawClass])
    of_classes = (name for item in classes.values() for name in item.profiles or ())
    return Export(
        version=msgspec.convert(data["version"], str),
        types=msgspec.convert(types, dict[str, RawType]),
        objects=objects,
        classes=classes,
        profiles=frozenset(data.get("profiles", of_classes)),
    )
