"""The samples become exactly the events that were read and committed, and valid ones in every version."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from event_oracle import VERSIONS, problems
from sample_events import raw_batches, sample_lines

from ocsflake import mapper, samples
from ocsflake.errors import ConfigError

GOLDENS = Path(__file__).parents[1] / "goldens"


@pytest.mark.parametrize("version", ["1.1.0", "1.8.0"])
@pytest.mark.parametrize("log_type", samples.log_types())
def test_golden(log_type: str, version: str, request: pytest.FixtureRequest) -> None:
    """The events of a sample are those that stand in its golden file, byte for byte."""
    path = GOLDENS / log_type / f"{version}.jsonl"
    found = b"".join(line + b"\n" for line in sample_lines(log_type, version))
    if request.config.getoption("--write-goldens"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(found)

    assert found.splitlines() == path.read_bytes().splitlines()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("log_type", samples.log_types())
def test_valid_by_the_oracle(log_type: str, version: str) -> None:
    """Every event of a sample is valid to a validator that shares no code with ocsflake."""
    wrong = [(line, found) for line in sample_lines(log_type, version) if (found := problems(json.loads(line)))]

    assert wrong == []


@pytest.mark.parametrize("log_type", samples.log_types())
def test_every_sample_balances(log_type: str) -> None:
    """Nothing of a sample is rejected, nothing is unknown to its mapper, and every record becomes an event."""
    for path in samples.files(log_type):
        for mapped in mapper(log_type).map_batches(raw_batches([path])):
            assert mapped.rejects.to_pylist() == []
            assert mapped.records == mapped.mapped
            assert mapped.unknown == {}


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
