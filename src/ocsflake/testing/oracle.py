"""A judge of events that shares no code with ocsflake: jsonschema-rs over the JSON Schema of ocsf-json-schema.

It needs ``pip install jsonschema-rs``.
"""

from __future__ import annotations

import functools
from typing import Any

import jsonschema_rs
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

VERSIONS = ("1.1.0", "1.3.0", "1.5.0", "1.8.0")


@functools.cache
def _validator(version: str, class_uid: int, profiles: tuple[str, ...]) -> Any:
    schema = get_ocsf_schema(version)
    name = next(name for name, found in schema["classes"].items() if found.get("uid") == class_uid)
    built = OcsfJsonSchemaEmbedded(schema).get_class_schema(class_name=name, profiles=list(profiles))
    return jsonschema_rs.validator_for(built)


def problems(event: dict[str, Any]) -> list[str]:
    """Return what is wrong with an event, each with its place."""
    metadata = event["metadata"]
    validator = _validator(metadata["version"], event["class_uid"], tuple(metadata.get("profiles", ())))
    return [f"{'.'.join(map(str, error.instance_path))}: {error.message}" for error in validator.iter_errors(event)]
