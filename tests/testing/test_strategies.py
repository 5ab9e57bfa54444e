"""What the strategies make is what they say: records that a mapper survives, events that are valid."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ocsflake import mapper, samples, validate
from ocsflake.errors import SchemaError
from ocsflake.model import RawBatch
from ocsflake.ocsf import load
from ocsflake.testing.strategies import events, raw_records

LOG_TYPES = samples.log_types()


@pytest.mark.parametrize("log_type", LOG_TYPES)
@given(data=st.data())
@settings(max_examples=12, suppress_health_check=list(HealthCheck))
def test_every_mapper_survives(log_type: str, data: st.DataObject) -> None:
    """Whatever stands at the paths that a mapper reads, each record is an event or a reject with a reason."""
    records = data.draw(st.lists(raw_records(mapper(log_type)), min_size=1, max_size=4))

    mapped = mapper(log_type).map(RawBatch(records))

    assert mapped.records == mapped.mapped + mapped.rejects.num_rows
    assert all(row["reason"] for row in mapped.rejects.to_pylist())


@pytest.mark.parametrize(("event_class", "version"), [("api_activity", "1.1.0"), ("detection_finding", "1.8.0")])
@given(data=st.data())
@settings(max_examples=10, suppress_health_check=list(HealthCheck))
def test_events_are_valid(event_class: str, version: str, data: st.DataObject) -> None:
    """Events are valid, and of the class and the version that were asked for."""
    event: dict[str, Any] = data.draw(events(event_class, version))

    assert [finding for finding in validate([event]).findings if finding.level == "error"] == []
    assert event["class_uid"] == load(version).classes[event_class]
    assert event["metadata"]["version"] == version


def test_no_such_class() -> None:
    """A class that does not exist is an error with what is near."""
    with pytest.raises(SchemaError, match="did you mean 'authentication'"):
        events("authentcation")
