"""OCSF: look the schema up, give it Arrow types, validate events against it."""

from __future__ import annotations

from ocsflake.ocsf.arrow import arrow_schema, arrow_type
from ocsflake.ocsf.columnar import compile_validator
from ocsflake.ocsf.report import Finding, Report
from ocsflake.ocsf.schema import DEFAULT_VERSION, Attribute, EventClass, Schema, load, versions
from ocsflake.ocsf.validation import validate

__all__ = [
    "DEFAULT_VERSION",
    "Attribute",
    "EventClass",
    "Finding",
    "Report",
    "Schema",
    "arrow_schema",
    "arrow_type",
    "compile_validator",
    "load",
    "validate",
    "versions",
]
