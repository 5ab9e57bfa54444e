"""What a compiled table proves holds: the full check of its events finds nothing that the short one left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import raw, toy

from ocsflake import mapper
from ocsflake.mappers.aws.vpc_flow import DEFAULT
from ocsflake.mapping import at
from ocsflake.mapping.plan import compile_mapper
from ocsflake.mapping.proofs import proved
from ocsflake.model import RawBatch
from ocsflake.ocsf import compile_validator

if TYPE_CHECKING:
    from ocsflake.mapping import Mapper

LONG = "x" * 70_000
VALUES = st.sampled_from(
    [None, True, -1, 0, 1, 99, 12345, 2**31, 2**63, 1.5, "", "a", "99", "1.2.3.4", "::1", "1.2.3.4:5", LONG, [], {}]
)
TOY = toy(
    {
        "severity": at("severity"),
        "confidence_id": at("confidence").lookup({"a": 1}, default=99),
        "status_id": at("status"),
        "message": at("message"),
        "count": at("count"),
        "risk_score": at("score"),
        "confidence_score": at("score"),
        "finding_info.types": at("types"),
        "observables[].name": at("message"),
        "observables[].type_id": at("status"),
        "observables[].value": at("ip"),
    }
)
KEYS = ("severity", "confidence", "status", "message", "count", "score", "types", "ip")
RECORD = st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, VALUES))
FIELD = st.sampled_from(
    [
        "-",
        "0",
        "2",
        "6",
        "256",
        "123456789012",
        "unknown",
        "10.0.0.1",
        "::1",
        "10.0.0.256",
        "ACCEPT",
        "1700000000",
        LONG,
    ]
)


def check(given: Mapper, batch: RawBatch, version: str) -> None:
    """Check all events with every rule."""
    tables = {event.event_class.name: event for event in compile_mapper(given, version).events}
    for found in given.map(batch, version).batches:
        event = tables[found.event_class]
        report = compile_validator(event.event_class, found.events.schema, warnings=False)(found.events)
        assert [(finding.rule, finding.attribute, finding.detail) for finding in report.findings] == []


@pytest.mark.parametrize("version", ["1.1.0", "1.3.0"])
@given(records=st.lists(RECORD, min_size=1, max_size=6))
@settings(deadline=None, max_examples=60)
def test_of_any_json(version: str, records: list[dict[str, object]]) -> None:
    """Whatever a log holds, its events break no rule."""
    check(TOY, raw(*records), version)


@given(lines=st.lists(st.lists(FIELD, min_size=len(DEFAULT), max_size=len(DEFAULT)), min_size=1, max_size=6))
@settings(deadline=None, max_examples=60)
def test_of_any_flow(lines: list[list[str]]) -> None:
    """Whatever a flow log holds, its events break no rule."""
    check(mapper("aws.vpc_flow"), RawBatch("\n".join(map(" ".join, lines)).encode()), "1.1.0")


def test_what_is_not_proved() -> None:
    """A source's own word may be too long for a caption, and nothing casts a range of floats."""
    event = compile_mapper(mapper("aws.vpc_flow"), "1.1.0").events[0]

    found = proved(event.event_class, event.fields, event.enums, event.constants, event.observables)

    assert {"src_endpoint.ip", "class_uid", "severity", "metadata.profiles", "observables[].name"} <= found
    assert not {"action", "disposition", "type_uid", "src_endpoint.intermediate_ips"} & found
