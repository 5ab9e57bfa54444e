"""Security logs of AWS, Azure and Google Cloud as valid OCSF in Amazon Security Lake, or in a directory like it.

::

    import ocsflake

    source = ocsflake.source("files", log_type="aws.cloudtrail", uri="logs/")
    lake = ocsflake.Lake("lake")
    report = ocsflake.run(source, lake)
    lake.query("SELECT api.operation, count(*) FROM api_activity GROUP BY 1")

Every name is loaded when it is first used: importing the package loads no SDK, no Arrow and no database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocsflake import queries
    from ocsflake.errors import (
        AccessDeniedError,
        CheckpointConflictError,
        ConfigError,
        DriftError,
        DuplicateNameError,
        LakeError,
        MissingExtraError,
        NotRegisteredError,
        OcsflakeError,
        PluginError,
        RejectedRecordsError,
        SchemaError,
        SourceError,
        UnavailableError,
    )
    from ocsflake.lake import Lake
    from ocsflake.ocsf import validate
    from ocsflake.pipeline import read, replay, run
    from ocsflake.registry import mapper, register_mapper, register_source, source

    __version__: str

__all__ = [
    "AccessDeniedError",
    "CheckpointConflictError",
    "ConfigError",
    "DriftError",
    "DuplicateNameError",
    "Lake",
    "LakeError",
    "MissingExtraError",
    "NotRegisteredError",
    "OcsflakeError",
    "PluginError",
    "RejectedRecordsError",
    "SchemaError",
    "SourceError",
    "UnavailableError",
    "__version__",
    "mapper",
    "queries",
    "read",
    "register_mapper",
    "register_source",
    "replay",
    "run",
    "source",
    "validate",
]

_HOMES = {
    "Lake": "lake",
    "mapper": "registry",
    "read": "pipeline",
    "register_mapper": "registry",
    "register_source": "registry",
    "replay": "pipeline",
    "run": "pipeline",
    "source": "registry",
    "validate": "ocsf",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'ocsflake' has no attribute {name!r}")
    from importlib import import_module

    if name == "__version__":
        value: object = import_module("importlib.metadata").version("ocsflake")
    elif name == "queries":
        value = import_module("ocsflake.queries")
    else:
        value = getattr(import_module(f"ocsflake.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
