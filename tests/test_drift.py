"""What runs and mappers say of records that hold more than the mapper knows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ocsflake
from cli_help import call, line
from ocsflake.checkpoints import MemoryCheckpoints
from ocsflake.drift import LONGEST, Drift, shape
from ocsflake.errors import ConfigError, DriftError
from ocsflake.lake import Lake
from ocsflake.lake.drift import UnmappedPath
from ocsflake.mapping import EventMap, JsonRecords, Mapper, at
from ocsflake.model import RawBatch
from pipeline_logs import Parts, objects, record, rows

if TYPE_CHECKING:
    from pathlib import Path

MAPPER = Mapper(
    "toy.log",
    source_name="toy",
    parse=JsonRecords(),
    events=[
        EventMap(
            "api_activity",
            fields={
                "activity_id": at("verb").lookup({"get": 2, "odd": 99}, default=99),
                "severity_id": 1,
                "time": at("time"),
                "metadata.product.vendor_name": "Toy",
                "metadata.product.name": "Toy",
                "actor.user.name": at("user"),
                "api.operation": at("verb"),
                "status_id": at("status").lookup({"ok": 1}, default=99),
                "src_endpoint.ip": at("from.ip"),
                "src_endpoint.name": at("user"),
                "src_endpoint.port": at("from.port"),
                "cloud.provider": "Toy",
                "resources[].uid": at("things[].id"),
                "resources[].type": at("things[].kind"),
            },
        )
    ],
)
GOOD: dict[str, Any] = {"time": "2026-03-01T06:00:00Z", "verb": "get", "user": "ana", "from": {"ip": "192.0.2.1"}}


def drift(*records: dict[str, Any]) -> Drift:
    """What the toy mapper does not know of some records, each like the good one."""
    return MAPPER.map(RawBatch([json.dumps(GOOD | each).encode() for each in records])).drift


class TestFound:
    """What counts as drift, and what it is shown by."""

    def test_nothing(self) -> None:
        """What the mapper knows is no drift: its keys, their absence, numbers as text, what it says is Other itself."""
        known = {"from": {"ip": "no address", "port": "443"}, "verb": "odd", "things": {"id": "1"}}

        assert drift({}, known, {"user": None}, {"user": ""}) == Drift()

    def test_an_unknown_key(self) -> None:
        """The value of a key that nobody knows may be a secret: its shape is shown."""
        found = drift({"token": "hunter2-äß!"}, {"token": "other", "from": {"ip": "192.0.2.1", "new": True}})

        assert found == Drift(2, {"from.new": 1, "token": 2}, {"from.new": "aaaa", "token": found.shapes["token"]})
        assert found.shapes["token"] in {"aaaaaa9-aa?", "aaaaa"}

    @pytest.mark.parametrize(
        ("changes", "kinds"),
        [
            ({"user": {"name": "ana"}}, {("user", "object"): 1}),
            ({"user": ["ana"]}, {("user", "list"): 1}),
            ({"user": 7}, {("user", "number"): 1}),
            ({"from": {"port": "https"}}, {("from.port", "text"): 1}),
            ({"from": {"port": True}}, {("from.port", "boolean"): 1}),
            ({"from": "192.0.2.1"}, {("from", "scalar"): 1}),
            ({"from": [{"ip": "192.0.2.1"}]}, {("from", "list"): 1}),
            ({"things": "one"}, {("things", "scalar"): 1}),
            ({"status": {"code": 5}}, {("status", "object"): 1}),
            ({"status": ["ok"]}, {("status", "list"): 1}),
            ({"things": [{"id": {"a": 1}}, {"id": "2"}]}, {("things[].id", "object"): 1}),
        ],
        ids=str,
    )
    def test_a_changed_kind(self, changes: dict[str, Any], kinds: dict[tuple[str, str], int]) -> None:
        """A value of another JSON kind than its attribute takes, or none where the mapper looks into an object."""
        found = drift({}, changes)

        assert (found.records, found.unknown, found.kinds) == (1, {}, kinds)

    def test_a_new_word_of_an_enum(self) -> None:
        """The words that a table lacks are shown as they are, up to some length."""
        found = drift({"verb": "burn"}, {"verb": "burn"}, {"verb": "x" * 200}, {"verb": "odd"}, {"verb": None})

        assert found.values == {("activity_id", "burn"): 2, ("activity_id", "x" * LONGEST): 1}
        assert found.records == 3

    def test_a_record_counts_once(self) -> None:
        """However much of it the mapper does not know."""
        assert drift({"verb": "burn", "a": 1, "b": 2, "user": {"c": 1}}).records == 1

    def test_columns(self) -> None:
        """Columns that nobody named are unknown keys."""
        columns: dict[str, Any] = {"time": ["2026-03-01T06:00:00Z"] * 2, "new": [None, "a1"], "more": [{"a": 1}] * 2}
        found = MAPPER.map(RawBatch(pa.RecordBatch.from_pydict(columns))).drift

        assert (found.records, found.unknown, found.shapes) == (
            2,
            {"more": 2, "new": 1},
            {"more": "??a?:9?", "new": "a9"},
        )

    def test_cutting_changes_nothing(self) -> None:
        """The parts add up to the whole."""
        records = [{"verb": "burn"}, {"a": 1}, {}, {"user": 1}, {"a": 2, "verb": "burn"}]
        parts = sum((drift(each) for each in records), Drift())

        assert parts == drift(*records)


def test_repr() -> None:
    """One line for a shell."""
    found = repr(Drift(2, {"a": 1}, {"a": "9"}, {("b", "list"): 1}))

    assert found == "<Drift in 2 records: 1 unknown keys, 1 changed kinds, 0 new values>"


def test_shape() -> None:
    """Nothing of a value shows but its length, where letters and digits are, and what ids and paths are cut with."""
    assert shape("arn:aws:iam::123:user/Ünal") == "aaa:aaa:aaa::999:aaaa/aaaa"
    assert shape("p@$$w0rd") == "a@??a9aa"
    assert len(shape("k" * 1000)) == LONGEST


def test_many_keys_are_bounded() -> None:
    """Who writes records chooses keys, and a run may go on for months: the most frequent are kept."""
    total = Drift()
    for number in range(12):
        total += Drift(1000, {f"{number}.{key}": 1 for key in range(1000)} | {"often": 1000}, {"often": "a"})

    assert (total.records, len(total.unknown), total.unknown["often"]) == (12_000, 10_000, 12_000)
    assert total.shapes == {"often": "a"}


class TestThreshold:
    """What `max_drift` does to a run."""

    def test_more_than_is_allowed(self, tmp_path: Path) -> None:
        """Nothing of the commit is published, and a later run that allows it reads the same records."""
        lake, store = Lake(tmp_path), MemoryCheckpoints()
        source = Parts({"a": [*map(record, range(9)), record(9, token="hunter2")]})

        with pytest.raises(DriftError) as raised:
            ocsflake.run(source, lake, checkpoints=store, max_drift=0.05)

        assert "1 of 10 records" in str(raised.value)
        assert "unknown key token (aaaaaa9) in 1 records" in str(raised.value)
        assert "hunter2" not in str(raised.value)
        assert (store.load("parts"), objects(tmp_path) if (tmp_path / "ext").exists() else {}) == ((None, None), {})

        report = ocsflake.run(source, lake, checkpoints=store, max_drift=0.1)
        assert report.counts.written == sum(rows(tmp_path).values()) == 10
        assert report.sources[0].drift.records == 1

    def test_an_interrupted_commit_is_finished(self, tmp_path: Path) -> None:
        """What may be in the lake in part is finished, whatever is allowed now."""
        lake, store = Lake(tmp_path), MemoryCheckpoints()

        class Breaking(Parts):
            def advance(self, state: Any, done: Any) -> Any:
                raise ZeroDivisionError

        parts: Any = {"a": [record(1, token="x")]}
        with pytest.raises(ZeroDivisionError):
            ocsflake.run(Breaking(parts), lake, checkpoints=store)

        assert ocsflake.run(Parts(parts), lake, checkpoints=store, max_drift=0).counts.written == 1

    @pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
    def test_no_share(self, tmp_path: Path, share: float) -> None:
        """A share is from 0 to 1."""
        with pytest.raises(ConfigError, match="from 0 to 1"):
            ocsflake.run([], Lake(tmp_path), max_drift=share)


class TestCommand:
    """What `ocsflake run --max-drift` and `ocsflake drift` say."""

    @pytest.fixture
    def lake(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
        """Return a lake of two days, of which the second has a key more."""
        content = line(old="1") + line(old="2") + line(old="3", new="a b", eventTime="2026-11-02T06:00:00Z")
        (tmp_path / "log.jsonl").write_bytes(content)
        return tmp_path / "lake"

    def run(self, capsys: pytest.CaptureFixture[str], lake: Path, *more: str) -> Any:
        """Run the log into the lake."""
        uri = f"uri={lake.parent / 'log.jsonl'}"
        return call(capsys, "run", "files", "--log-type", "aws.cloudtrail", "--option", uri, "--lake", lake, *more)

    def test_run(self, capsys: pytest.CaptureFixture[str], lake: Path) -> None:
        """The report has the drift, and the limit ends the run with 1 and a message."""
        stopped = self.run(capsys, lake, "--max-drift", "0.5")
        done = self.run(capsys, lake, "--json")

        assert (stopped.code, stopped.out) == (1, "")
        assert "3 of 3 records" in stopped.err
        assert done.code == 0
        assert done.objects[0]["sources"][0]["drift"] == {
            "records": 3,
            "found": [
                {"drift": "unknown key", "where": "old", "sample": "9", "records": 3},
                {"drift": "unknown key", "where": "new", "sample": "a a", "records": 1},
            ],
        }

    def test_drift(self, capsys: pytest.CaptureFixture[str], lake: Path) -> None:
        """All paths in the lake's `unmapped`, or those that are new."""
        self.run(capsys, lake)
        everything = call(capsys, "drift", lake)
        new = call(capsys, "drift", lake, "--since", "2026-11-02", "--json")

        assert (everything.code, new.code) == (0, 0)
        found = [row.split() for row in everything.out.splitlines()]
        assert ["aws_cloudtrail_6003", "api_activity", "old", "3", "20261101", "20261102"] in found
        assert new.objects == [
            {
                "source": "aws_cloudtrail_6003",
                "event_class": "api_activity",
                "path": "new",
                "events": 1,
                "first_day": "20261102",
                "last_day": "20261102",
            }
        ]
        assert new.err == "paths=1\n"

    def test_a_day_that_is_none(self, capsys: pytest.CaptureFixture[str], lake: Path) -> None:
        """A wrong time is a wrong call, and a lake without events has no drift."""
        assert call(capsys, "drift", lake, "--since", "soon").code == 2
        assert call(capsys, "drift", lake).err == "paths=0\n"


def test_the_lake_by_itself(tmp_path: Path) -> None:
    """`Lake.drift` counts over objects, classes and days."""
    lake = Lake(tmp_path)
    for number in range(3):
        ocsflake.run(Parts({f"{number}": [record(number * 2, odd=number)]}, name=f"p{number}"), lake)

    [found] = [path for path in lake.drift() if path.path == "odd" and path.event_class == "api_activity"]

    assert found == UnmappedPath("aws_cloudtrail_6003", "api_activity", "odd", 2, "20260301", "20260302")


def _unmapped(root: Path, day: int, table: pa.Table, source: str = "ext/x/") -> None:
    path = root / f"{source}region=us-east-1/accountId=external/eventDay=2026030{day}/a.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(table, path, row_group_size=2)


def test_a_lake_that_anybody_wrote(tmp_path: Path) -> None:
    """All row groups count; what has no map of that name, or lies elsewhere, has nothing; the most frequent first."""
    kind = pa.map_(pa.string(), pa.string())

    def table(*paths: str, uid: int = 6003) -> pa.Table:
        rows = pa.array([[(path, "1")] for path in paths], kind)
        return pa.table({"class_uid": pa.array([uid] * len(paths), pa.int32()), "unmapped": rows})

    _unmapped(tmp_path, 2, table("b", "a", "a", "c", "a"))
    _unmapped(tmp_path, 1, table("c", uid=3), "")
    _unmapped(tmp_path, 3, table("b", "b", "d").drop_columns("class_uid"))
    _unmapped(tmp_path, 4, pa.table({"unmapped": ["text"]}))
    _unmapped(tmp_path, 5, pa.table({"other": ["text"]}))
    (tmp_path / "notes").write_text("none")

    everything = [
        UnmappedPath("x", "api_activity", "a", 3, "20260302", "20260302"),
        UnmappedPath("x", "", "b", 2, "20260303", "20260303"),
        UnmappedPath(".", "3", "c", 1, "20260301", "20260301"),
        UnmappedPath("x", "", "d", 1, "20260303", "20260303"),
        UnmappedPath("x", "api_activity", "b", 1, "20260302", "20260302"),
        UnmappedPath("x", "api_activity", "c", 1, "20260302", "20260302"),
    ]
    assert Lake(tmp_path).drift() == everything
    assert Lake(tmp_path).drift(since="2026-03-03") == [each for each in everything if each.first_day == "20260303"]
