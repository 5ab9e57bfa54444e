"""All that the author of a mapper imports: expressions, tables, parsers."""

from __future__ import annotations

from ocsflake.mapping.expr import Expr, Scalar, apply, at, is_ip, origin, when
from ocsflake.mapping.json_records import JsonRecords
from ocsflake.mapping.mapper import EventMap, Fields, Lineage, Mapper
from ocsflake.mapping.pattern import PatternText
from ocsflake.mapping.protobuf import ProtoJson
from ocsflake.mapping.rejects import REJECT_SCHEMA
from ocsflake.mapping.text import DelimitedText

__all__ = [
    "REJECT_SCHEMA",
    "DelimitedText",
    "EventMap",
    "Expr",
    "Fields",
    "JsonRecords",
    "Lineage",
    "Mapper",
    "PatternText",
    "ProtoJson",
    "Scalar",
    "apply",
    "at",
    "is_ip",
    "origin",
    "when",
]
