"""The suite for sources passes for ours, and finds what is wrong with others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define

import ocsflake
from ocsflake.model import RawBatch, Split
from ocsflake.testing.suites import SourceSuite
from pipeline_logs import Overlapping, Parts, record, save

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from ocsflake.model import Source, State


class TestFiles(SourceSuite):
    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        for number in range(3):
            save(tmp_path / "logs" / f"{number}.json.gz", [record(2 * number), record(2 * number + 1)])
        return ocsflake.source("files", log_type="aws.cloudtrail", uri=str(tmp_path / "logs"))


class TestOverlapping(SourceSuite):
    @pytest.fixture
    def source(self) -> Source:
        return Overlapping({"a": [record(1), record(2)], "b": [record(2), record(3)]})


@define
class Forgetful(Parts):
    """Plans what it did again."""

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        return {"done": []}


@define
class Fickle(Parts):
    """Reads something else each time."""

    def read(self, split: Split) -> Iterator[RawBatch]:
        self.reads.append(split.id)
        yield RawBatch([json.dumps(record(len(self.reads))).encode()])


@define
class Restless(Parts):
    """Gives its splits other names each time."""

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
        self.reads.append("")
        return (Split(f"{split.id}{len(self.reads)}") for split in Parts.plan(self, state, now))


@define
class Hasty(Parts):
    """Takes all for done once one is."""

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        return {"done": list(self.parts)}


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (Forgetful, "test_all_done"),
        (Fickle, "test_reading_again"),
        (Restless, "test_plan"),
        (Hasty, "test_partly_done"),
    ],
)
def test_a_bad_source(kind: Any, test: str) -> None:
    """What a source does wrong fails the test that is for it."""
    parts = {"a": [record(1)], "b": [record(2)]}

    getattr(SourceSuite(), test)(Parts(parts))
    with pytest.raises(AssertionError):
        getattr(SourceSuite(), test)(kind(parts))
