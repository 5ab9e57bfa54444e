"""The samples become exactly the events that were read and committed, and valid ones in every version."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from sample_events import raw_batches, sample_lines

from ocsflake import mapper, samples
from ocsflake.errors import ConfigError
from ocsflake.testing.mappers import check_mapper

GOLDENS = Path(__file__).parents[1] / "goldens"


@pytest.mark.parametrize("log_type", samples.log_types())
def test_mapper(log_type: str, write_goldens: bool) -> None:
    """Every mapper keeps what it promises: nothing is lost, all is valid, and the events are the golden ones."""
    check_mapper(mapper(log_type), samples.files(log_type), golden=GOLDENS / log_type, write=write_goldens)


def test_cloudtrail_sample() -> None:
    """The sample of CloudTrail has all three classes, and a digest that is skipped."""
    skipped: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    for mapped in mapper("aws.cloudtrail").map_batches(raw_batches(samples.files("aws.cloudtrail"))):
        skipped.update(mapped.skipped)
        classes.update({batch.event_class: batch.events.num_rows for batch in mapped.batches})

    assert skipped == {"CloudTrail digest": 1}
    assert classes == {"account_change": 12, "api_activity": 16, "authentication": 12}


def test_the_samples_share_an_attacker() -> None:
    """An address whose API calls are denied is one whose flows are refused: a join over both logs finds it."""
    denied = {
        event["src_endpoint"]["ip"]
        for event in map(json.loads, sample_lines("aws.cloudtrail", "1.1.0"))
        if "AccessDenied" in event["api"].get("response", {}).get("error", "") and "ip" in event["src_endpoint"]
    }
    refused = {
        event["src_endpoint"]["ip"]
        for event in map(json.loads, sample_lines("aws.vpc_flow", "1.1.0"))
        if event["activity_name"] == "Refuse"
    }

    assert denied & refused == {"198.51.100.77"}


def test_no_such_sample() -> None:
    """A log type without a sample is refused with what is near."""
    with pytest.raises(ConfigError, match=r"no sample of 'aws\.cloudtrial'; did you mean 'aws\.cloudtrail'"):
        samples.files("aws.cloudtrial")
