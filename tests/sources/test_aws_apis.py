"""What all sources over AWS's APIs have in common: each record once, whatever the service does."""

from __future__ import annotations

import json
import pickle
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from attrs import define, evolve
from aws_api_cases import CASES, NOW, OTHER, ROLE, Case, ago, run, written

import ocsflake
from ocsflake.checkpoints import MemoryCheckpoints
from ocsflake.errors import ConfigError, SourceError
from ocsflake.model import Bounded, Mutable, Overlaps, RawBatch, ReadsAhead

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ocsflake.model import Commit, EventBatch, ObjectWritten
    from ocsflake.testing.aws_apis import AwsApisServer

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind.replace(" ", "_"))
LATER = NOW + timedelta(minutes=10)
PASSING = [("ThrottlingException", 400), ("reset", 0), ("InternalServerException", 500), ("RequestLimitExceeded", 503)]


@pytest.fixture
def lake(tmp_path: Path) -> ocsflake.Lake:
    return ocsflake.Lake(tmp_path / "lake")


@define
class Torn:
    """A lake whose commits fail when they are published, after what they put is there."""

    lake: ocsflake.Lake

    def __getattr__(self, name: str) -> Any:
        return getattr(self.lake, name)

    def begin(self, commit_id: str) -> Commit:
        return _TornCommit(self.lake.begin(commit_id))


@define
class _TornCommit:
    commit: Commit

    def write(self, batch: EventBatch) -> None:
        self.commit.write(batch)

    def publish(self) -> Sequence[ObjectWritten]:
        self.commit.publish()
        raise KeyboardInterrupt

    def close(self) -> None:
        self.commit.close()


def raws(source: Any) -> list[RawBatch]:
    return [raw for split in source.plan(None, NOW) for raw in source.read(split)]


def rows(mapper: Any, batches: Sequence[RawBatch]) -> list[Any]:
    tables = [pa.Table.from_batches([batch.events]) for part in mapper.map_batches(batches) for batch in part.batches]
    return sorted((row for table in tables for row in table.to_pylist()), key=repr)


@pytest.mark.parametrize("case", [case for case in CASES if case.envelope], ids=lambda case: case.kind)
def test_same_as_from_a_file(case: Case, aws_apis: AwsApisServer) -> None:
    """Records become the events that the mapper makes of them in the vendor's own envelope."""
    case.add(aws_apis, ago(5, hours=1))
    mapper = ocsflake.mapper(case.log_type)

    read = raws(case.make(aws_apis))

    text = json.dumps({case.envelope: [case.made(uid, when) for uid, when in ago(5, hours=1).items()]}).encode()
    found = rows(mapper, read)
    assert len(found) == 5
    assert found == rows(mapper, [RawBatch(text, read[0].origin)])


@each_case
def test_runs(case: Case, aws_apis: AwsApisServer, lake: ocsflake.Lake) -> None:
    """A second run writes nothing; what is late comes once, and so does what is new."""
    early, late, new = ago(5, hours=1), {"late": NOW - timedelta(minutes=4)}, {"new": NOW + timedelta(minutes=1)}
    source = case.make(aws_apis)
    case.add(aws_apis, early)

    assert run(source, lake).counts.written == 5
    assert run(source, lake).counts.written == 0
    case.add(aws_apis, late | new)
    report = run(source, lake, LATER)
    assert run(source, lake, LATER + timedelta(hours=3)).counts.written == 0

    assert report.counts.written == 2
    assert written(lake.root) == case.expected(early, late, new)


@each_case
def test_overlaps(case: Case, aws_apis: AwsApisServer, lake: ocsflake.Lake) -> None:
    """What a window reads again is counted as a duplicate."""
    case.add(aws_apis, {"a": NOW - timedelta(minutes=7)})
    source = case.make(aws_apis)

    run(source, lake)
    report = run(source, lake, LATER)

    assert (report.counts.duplicates, report.counts.written) == (1, 0)
    assert written(lake.root) == case.expected({"a": NOW - timedelta(minutes=7)})


@pytest.mark.parametrize("case", [case for case in CASES if case.mutable], ids=lambda case: case.kind)
def test_changes(case: Case, aws_apis: AwsApisServer, lake: ocsflake.Lake) -> None:
    """Each state of a finding that a run meets is an event."""
    states = [{"f": NOW - timedelta(hours=2)}, {"f": NOW - timedelta(minutes=5)}, {"f": NOW + timedelta(minutes=9)}]
    source = case.make(aws_apis)

    for number, state in enumerate(states):
        case.add(aws_apis, state)
        run(source, lake, NOW + timedelta(minutes=5 * number))

    assert written(lake.root) == case.expected(*states)


@each_case
@pytest.mark.parametrize("shift", [0, 1])
def test_every_call_fails_once(case: Case, aws_apis: AwsApisServer, lake: ocsflake.Lake, shift: int) -> None:
    """Throttling, errors of the service and closed connections at every call cost time, and nothing else."""
    case.add(aws_apis, ago(3, hours=1))
    source = case.make(aws_apis)
    for number, operation in enumerate(("sts:GetCallerIdentity", *case.operations)):
        aws_apis.fail(operation, *PASSING[(number + shift) % 4][:1], status=PASSING[(number + shift) % 4][1])

    report = run(source, lake)

    assert not report.failures
    assert written(lake.root) == case.expected(ago(3, hours=1))
    assert all(aws_apis.calls[operation] > 1 for operation in case.operations)


@each_case
def test_a_missing_permission(case: Case, aws_apis: AwsApisServer, lake: ocsflake.Lake) -> None:
    """An account that lacks a permission is reported, others go on, and it is read once it has the permission."""
    aws_apis.roles = {ROLE.format(account=account): "x-1" for account in ("111122223333", OTHER)}
    case.add(aws_apis, ago(3, hours=1))
    case.add(aws_apis, {"far": NOW - timedelta(hours=2)}, account=OTHER)
    source = case.make(
        aws_apis, accounts=f"111122223333,{OTHER}", role_arn=ROLE, external_id="x-1", regions="us-east-1"
    )
    aws_apis.denied.add((OTHER, case.operations[-1]))

    report = run(source, lake)

    assert len(report.failures) >= 1
    [error] = {failure.error for failure in report.failures}
    for word in (f"arn:aws:sts::{OTHER}:assumed-role/logs/ocsflake may not do this", case.operations[-1], "arn:aws:"):
        assert word in error
    assert written(lake.root) == case.expected(ago(3, hours=1))
    aws_apis.denied.clear()
    assert not run(source, lake, LATER).failures
    far = case.expected({"far": NOW - timedelta(hours=2)}, account=OTHER)
    assert written(lake.root) == case.expected(ago(3, hours=1)) + far


@each_case
def test_expired_credentials(case: Case, aws_apis: AwsApisServer, lake: ocsflake.Lake) -> None:
    """Credentials of a role that are no longer taken are renewed on the way."""
    aws_apis.roles = {ROLE.format(account=OTHER): ""}
    source = case.make(aws_apis, accounts=OTHER, role_arn=ROLE)
    case.add(aws_apis, {"a": NOW - timedelta(hours=1)}, account=OTHER)

    run(source, lake)
    aws_apis.expire()
    case.add(aws_apis, {"b": NOW}, account=OTHER)
    report = run(source, lake, LATER)

    assert not report.failures
    assert aws_apis.assumed == [ROLE.format(account=OTHER)] * 2
    times = {"a": NOW - timedelta(hours=1), "b": NOW}
    assert written(lake.root) == case.expected(times, account=OTHER)


@each_case
def test_a_crash(case: Case, aws_apis: AwsApisServer, lake: ocsflake.Lake) -> None:
    """A commit that was cut off is repeated with its own records, and what changed or came meanwhile is not lost."""
    store = MemoryCheckpoints()
    case.add(aws_apis, ago(4, hours=1))
    source = case.make(aws_apis)
    with pytest.raises(KeyboardInterrupt):
        run(source, Torn(lake), checkpoints=store)
    case.add(aws_apis, {"late": NOW - timedelta(minutes=9)})
    changed = {"r0": NOW + timedelta(minutes=2)} if case.mutable else {}
    case.add(aws_apis, changed)

    report = run(source, lake, LATER, checkpoints=store)
    run(source, lake, LATER, checkpoints=store)

    assert not report.failures
    found = written(lake.root)
    gone = case.expected({"r0": ago(1, hours=1)["r0"]}) if case.mutable else {}  # nobody can tell this state any more
    wanted = case.expected(ago(4, hours=1), {"late": NOW - timedelta(minutes=9)}, changed)
    assert {**found, **gone} == {**wanted}


@each_case
def test_between(case: Case, aws_apis: AwsApisServer) -> None:
    """A run's own bounds are asked of the service, and the source's bounds hold as well."""
    source = case.make(aws_apis, since="2d", until="1d")
    case.add(aws_apis, ago(1))

    def limits(given: Any) -> tuple[Any, Any]:
        splits = list(given.plan(None, NOW))
        return NOW.timestamp() - splits[0].detail["start"] / 1000, NOW.timestamp() - splits[-1].detail["end"] / 1000

    day = 86_400
    assert limits(source) == (2 * day, day)
    assert limits(source.between(NOW - timedelta(days=3), NOW)) == (2 * day, day)
    assert limits(source.between(NOW - timedelta(hours=36), NOW - timedelta(hours=30))) == (1.5 * day, 1.25 * day)


@each_case
def test_a_long_outage(case: Case, aws_apis: AwsApisServer, lake: ocsflake.Lake) -> None:
    """What came while an account could not be read is read in the end, though it is older than `since` by then."""
    source = case.make(aws_apis, since="1d")
    case.add(aws_apis, {"a": NOW - timedelta(hours=1)})
    run(source, lake)
    case.add(aws_apis, {"b": NOW + timedelta(hours=1)})

    report = run(source, lake, NOW + timedelta(days=5))

    assert report.counts.written == 1
    assert written(lake.root) == case.expected({"a": NOW - timedelta(hours=1), "b": NOW + timedelta(hours=1)})


@each_case
def test_travels(case: Case, aws_apis: AwsApisServer) -> None:
    """A source is a value: it can be sent to another process, and shows no secret."""
    options = {"role_arn": ROLE, "accounts": OTHER, "external_id": "hush", "regions": "us-east-1", "session": None}
    source = case.make(aws_apis, **options)

    assert pickle.loads(pickle.dumps(source)) == source
    assert "hush" not in repr(source)
    assert isinstance(source, Bounded | Overlaps)
    assert isinstance(source, ReadsAhead)
    assert isinstance(source, Mutable)
    assert source.name.startswith("aws:")
    assert evolve(source, name="mine").name == "mine"


@each_case
def test_splits_are_read_anywhere(case: Case, aws_apis: AwsApisServer) -> None:
    """Another instance reads the same of a split, and again."""
    case.add(aws_apis, ago(5, hours=1))
    splits = list(case.make(aws_apis).plan(None, NOW))

    reads = [[raw.ids for split in splits for raw in case.make(aws_apis).read(split)] for _ in range(2)]

    assert reads[0] == reads[1]
    assert sum(map(len, reads[0])) == 5


@each_case
def test_regions(case: Case, aws_apis: AwsApisServer, lake: ocsflake.Lake) -> None:
    """A Region that is added later is read from the beginning; those before are not read again."""
    case.add(aws_apis, {"a": NOW - timedelta(hours=1)})
    case.add(aws_apis, {"b": NOW - timedelta(hours=1)}, region="eu-west-1")

    first = run(case.make(aws_apis, regions="us-east-1"), lake)
    second = run(case.make(aws_apis, regions="us-east-1, eu-west-1"), lake)

    assert [report.counts.written for report in (first, second)] == [1, 1]
    assert len(written(lake.root)) == 2


@each_case
def test_wrong_times(case: Case, aws_apis: AwsApisServer) -> None:
    """A time that is none is refused at once."""
    with pytest.raises(ConfigError, match="'soon' is no time"):
        case.make(aws_apis, since="soon")


@each_case
def test_unreadable_split(case: Case, aws_apis: AwsApisServer) -> None:
    """What cannot be read is one split, which fails to be read in the same way."""
    case.add(aws_apis, ago(1, hours=1))
    aws_apis.denied.add(("111122223333", case.operations[0]))
    source = case.make(aws_apis, since="60d")

    [split] = source.plan(None, NOW)

    with pytest.raises(SourceError, match="allow it") as caught:
        list(source.read(split))
    assert (caught.value.source, caught.value.split) == (source.name, split.id)
    assert source.advance(None, [split]) == {"covered": {}}
