"""The errors that ocsflake raises.

The tree, by what the caller should do::

    OcsflakeError
    - ConfigError (ValueError)     the call or a setting is wrong: fix the code
      - NotRegisteredError         no source or mapper of that name is installed
      - DuplicateNameError         two distributions offer one name
      - MissingExtraError          an optional dependency is missing: the pip line is in the message
    - PluginError                  an installed plugin does not load
    - SchemaError                  a mapper or an event disagrees with OCSF
    - SourceError                  a source could not be read; has .source and .split
      - AccessDeniedError          never retried; names the permission
      - UnavailableError           worth trying again; has .retry_after
    - RejectedRecordsError         records were rejected and had nowhere to go
    - DriftError                   records hold more that the mapper does not know than max_drift allows
    - LakeError                    the lake could not be written or read; has .path
      - CheckpointConflictError    another run moved the checkpoint meanwhile

Bad records are data (rejects), never exceptions.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from ocsflake.steering import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "AccessDeniedError",
    "CheckpointConflictError",
    "ConfigError",
    "DriftError",
    "DuplicateNameError",
    "LakeError",
    "MissingExtraError",
    "NotRegisteredError",
    "OcsflakeError",
    "PluginError",
    "RejectedRecordsError",
    "SchemaError",
    "SourceError",
    "UnavailableError",
    "did_you_mean",
]


class OcsflakeError(Exception):
    """Every error that ocsflake raises on purpose; what others named, a file or a key, steers no terminal."""

    def __str__(self) -> str:
        return clean(super().__str__())


class ConfigError(OcsflakeError, ValueError):
    """The call or a setting is wrong; fixing the code or the setting mends it."""


class NotRegisteredError(ConfigError):
    """No source or mapper of the given name is installed."""


class DuplicateNameError(ConfigError):
    """Two installed distributions offer a source or a mapper under one name."""


class MissingExtraError(ConfigError):
    """An optional dependency is not installed; the message holds the pip command that installs it."""


class PluginError(OcsflakeError):
    """An installed plugin does not load; the others are not affected."""


class SchemaError(OcsflakeError):
    """A mapper, an attribute path or a version disagrees with OCSF."""


class SourceError(OcsflakeError):
    """A source could not list or read its records.

    Attributes:
        source: The name of the source, or ``""``.
        split: The id of the split that was being read, or ``None``.
    """

    def __init__(self, message: str, *, source: str = "", split: str | None = None) -> None:
        super().__init__(message)
        self.source = source
        self.split = split

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the attributes when an error crosses a process boundary."""
        return (_rebuild, (type(self), self.args[0], dict(self.__dict__)))


class AccessDeniedError(SourceError):
    """The credentials lack a permission, which the message names; trying again does not help."""


class UnavailableError(SourceError):
    """The service did not answer, or asked to be left alone for a while.

    Attributes:
        retry_after: Seconds the service asked to wait, or ``None``.
    """

    def __init__(
        self, message: str, *, source: str = "", split: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, source=source, split=split)
        self.retry_after = retry_after


class RejectedRecordsError(OcsflakeError):
    """Records were rejected and the run was given no place to keep them (``rejects=``)."""


class DriftError(OcsflakeError):
    """Too many records of a commit hold what their mapper does not know (``max_drift=``); it was not published."""


class LakeError(OcsflakeError):
    """The lake, its rejects or its checkpoints could not be written or read.

    Attributes:
        path: Where, as far as it is known.
    """

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(message)
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the attributes when an error crosses a process boundary."""
        return (_rebuild, (type(self), self.args[0], dict(self.__dict__)))


class CheckpointConflictError(LakeError):
    """Another run of the same source saved its checkpoint first; this run wrote nothing that counts."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'a' or 'b'?"`` for the names near to `name`, or ``""`` when none is near."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def _rebuild(kind: type[OcsflakeError], message: str, attributes: dict[str, object]) -> OcsflakeError:
    error = kind(message)
    error.__dict__.update(attributes)
    return error
