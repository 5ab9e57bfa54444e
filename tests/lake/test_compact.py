"""Small objects of closed days become full ones: the same rows, seen once at any moment, whatever fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from attrs import evolve
from lake_events import DAY, T0, api_activity, events

from cli_help import call
from ocsflake.errors import ConfigError, LakeError
from ocsflake.lake import Lake
from ocsflake.lake import _exchange as exchange
from ocsflake.lake._deletes import S3Deletes
from ocsflake.lake.compact import Compacted, _groups, _Member, _prove, _repeated, _sum, compact
from ocsflake.lake.footer import MERGED, Footer, footers
from ocsflake.lake.s3 import S3Storage
from ocsflake.lake.storage import DirectoryStorage, StoredObject
from ocsflake.testing.faults import FaultProxy

FOLDER = "ext/aws_cloudtrail_6003/region=us-east-1/accountId=123456789012/eventDay=20240101"


def fill(lake: Lake, count: int = 5, *, first: int = 0, days: int = 1, rows: int = 20) -> None:
    for number in range(first, first + count):
        with lake.begin(f"commit {number}") as commit:
            commit.write(api_activity(events(rows, number, days=days)))
            commit.publish()


def keys(lake: Lake) -> list[str]:
    return [item.key for item in lake.storage.objects("ext/")]


def rows(lake: Lake) -> list[str]:
    """Return the ids of all events of a lake, sorted."""
    ids = []
    for key in keys(lake):
        with lake.storage.open(key) as file:
            ids += [row["uid"] for row in pq.ParquetFile(file).read(["metadata.uid"])["metadata"].to_pylist()]
    return sorted(ids)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(params=["directory", "moto", "rclone"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    if request.param == "directory":
        return Lake(tmp_path)
    server = request.getfixturevalue(request.param)
    return Lake(f"s3://{server.make_bucket()}", client=server.client())


class TestEverywhere:
    def test_the_same_rows_in_one_object(self, lake: Lake) -> None:
        fill(lake)
        before = rows(lake)

        done = lake.compact()

        assert (done.partitions, done.merged, done.made, done.rows) == (1, 5, 1, 100)
        assert done.bytes_made < done.bytes_merged
        assert rows(lake) == before
        assert len(keys(lake)) == 1

    def test_the_result_is_as_the_contract_asks(self, lake: Lake) -> None:
        fill(lake)
        lake.compact()

        assert lake.doctor().findings == tuple(f for f in lake.doctor().findings if f.check == "ocsf")

    def test_a_repeat_changes_nothing(self, lake: Lake) -> None:
        fill(lake)
        lake.compact()
        there = keys(lake)

        assert lake.compact() == Compacted()
        assert keys(lake) == there

    def test_what_comes_later_is_merged_into_it(self, lake: Lake) -> None:
        fill(lake)
        lake.compact()
        fill(lake, 2, first=5)
        before = rows(lake)

        done = lake.compact()

        assert (done.merged, done.made, done.rows) == (3, 1, 140)
        assert rows(lake) == before

    def test_a_commit_that_is_put_again_is_not_doubled(self, lake: Lake) -> None:
        """A run that was interrupted before a compaction puts its objects again."""
        fill(lake)
        before = rows(lake)
        lake.compact()
        fill(lake, 2)

        done = lake.compact()

        assert (done.repeats, done.merged, done.made) == (2, 0, 0)
        assert "2 repeated objects removed" in str(done)
        assert rows(lake) == before

    def test_nor_after_another_compaction(self, lake: Lake) -> None:
        fill(lake)
        lake.compact()
        fill(lake, 1, first=5)
        before = rows(lake)
        lake.compact()
        fill(lake, 2)
        lake.compact()

        assert rows(lake) == before

    def test_each_partition_by_itself(self, lake: Lake) -> None:
        fill(lake, 3, days=2)
        done = lake.compact()

        assert (done.partitions, done.merged, done.made) == (2, 6, 2)

    def test_days_that_are_not_closed_are_left_alone(self, lake: Lake) -> None:
        fill(lake, 3, days=2)

        assert lake.compact(before=date(2024, 1, 2)).partitions == 1
        assert lake.compact(before=date(2024, 1, 1)) == Compacted()

    def test_today_and_yesterday_are_not_closed(self, lake: Lake) -> None:
        now = int(datetime.now(UTC).timestamp() * 1000)
        for number in range(2):
            batch = events(1, number)
            shift = (now - T0) // DAY * DAY
            batch = batch.set_column(batch.schema.get_field_index("time"), "time", pc.add(batch["time"], shift))
            with lake.begin(f"today {number}") as commit:
                commit.write(api_activity(batch))
                commit.publish()

        assert lake.compact() == Compacted()

    def test_objects_of_different_columns_stay_apart(self, lake: Lake) -> None:
        fill(lake, 2)
        for number in (10, 11):
            with lake.begin(f"other {number}") as commit:
                commit.write(api_activity(events(20, number).drop_columns(["message"])))
                commit.publish()

        done = lake.compact()

        assert (done.merged, done.made) == (4, 2)

    def test_full_objects_stay(self, lake: Lake) -> None:
        fill(lake, 1)

        assert lake.compact() == Compacted()


class TestDirectory:
    def test_a_reader_sees_each_row_once_at_any_moment(self, tmp_path: Path) -> None:
        """It lists while objects are merged, again and again."""
        lake = Lake(tmp_path)
        seen: set[tuple[str, ...]] = set()
        stop = threading.Event()

        def look() -> None:
            while not stop.is_set():
                seen.add(tuple(names(tmp_path / FOLDER)))

        fill(lake, 6)
        before = tuple(names(tmp_path / FOLDER))
        reader = threading.Thread(target=look)
        reader.start()
        lake.compact()
        stop.set()
        reader.join()
        after = tuple(names(tmp_path / FOLDER))

        assert seen <= {before, after}

    def test_an_object_that_is_put_meanwhile_stays(self, tmp_path: Path) -> None:
        """It came to the old folder after that was listed."""
        lake = Lake(tmp_path)
        fill(lake, 3)
        (tmp_path / "made").write_bytes(b"new")
        merged = names(tmp_path / FOLDER)
        stop = threading.Event()
        put: list[str] = []

        def write() -> None:
            while not stop.is_set():
                name = f"late-{len(put)}.parquet"
                (tmp_path / "one").write_bytes(b"late")
                (tmp_path / "one").rename(tmp_path / FOLDER / name)
                put.append(name)

        writer = threading.Thread(target=write)
        writer.start()
        while not put:
            pass
        exchange.exchange(tmp_path, FOLDER, [(tmp_path / "made", "made.parquet")], merged)
        stop.set()
        writer.join()
        exchange.recover(tmp_path)

        assert names(tmp_path / FOLDER) == sorted(["made.parquet", *put])

    def test_a_listing_that_began_before_sees_all_old_objects(self, tmp_path: Path) -> None:
        """It has the old folder open when that is exchanged; what is put there late is moved over in the end."""
        fill(Lake(tmp_path), 3)
        before = names(tmp_path / FOLDER)
        (tmp_path / "made").write_bytes(b"new")
        folder = os.open(tmp_path / FOLDER, os.O_RDONLY)
        try:
            exchange.exchange(tmp_path, FOLDER, [(tmp_path / "made", "made.parquet")], before)
            os.close(os.open("late.parquet", os.O_CREAT, dir_fd=folder))

            assert sorted(os.listdir(folder)) == [*before, "late.parquet"]  # noqa: PTH208 - it has no path any more
        finally:
            os.close(folder)
        exchange.recover(tmp_path)
        assert names(tmp_path / FOLDER) == ["late.parquet", "made.parquet"]
        assert not list((tmp_path / ".ocsflake" / "compact").iterdir())

    def test_who_may_read_a_partition_may_read_it_afterwards(self, tmp_path: Path) -> None:
        fill(Lake(tmp_path), 2)
        (tmp_path / FOLDER).chmod(0o2755)

        Lake(tmp_path).compact()

        assert (tmp_path / FOLDER).stat().st_mode & 0o7777 == 0o2755

    def test_old_folders_do_not_pile_up(self, tmp_path: Path) -> None:
        for day in range(40):
            (tmp_path / f"ext/{day}").mkdir(parents=True)
            (tmp_path / f"ext/{day}/old.parquet").write_bytes(b"old")
            (tmp_path / "made").write_bytes(b"new")
            exchange.exchange(tmp_path, f"ext/{day}", [(tmp_path / "made", "made.parquet")], ["old.parquet"])

        assert len(list((tmp_path / ".ocsflake" / "compact").iterdir())) == 8

    @pytest.mark.parametrize("calls", range(1, 31, 4))
    def test_killed_at_any_point(self, calls: int, tmp_path: Path) -> None:
        """A process that dies between two calls to the system leaves all rows, and the next one finishes."""
        lake = Lake(tmp_path)
        fill(lake, 4)
        before = rows(lake)
        subprocess.run([sys.executable, str(Path(__file__).with_name("compact_probe.py")), tmp_path, str(calls)])

        assert rows(lake) == before
        lake.compact()
        assert rows(lake) == before
        assert len(keys(lake)) == 1
        assert names(tmp_path / ".ocsflake" / "compact") == ["lock"]

    def test_late_objects_survive_a_kill_after_the_exchange(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        fill(lake, 1)
        work = tmp_path / ".ocsflake" / "compact" / "x"
        (work / "new").mkdir(parents=True)
        (work / "new" / "old.parquet").write_bytes(b"old")
        (work / "new" / "late.parquet").write_bytes(b"late")
        made = names(tmp_path / FOLDER)
        (work / "plan.json").write_text(json.dumps({"folder": FOLDER, "made": made, "known": ["old.parquet"]}))

        exchange.recover(tmp_path)

        assert names(tmp_path / FOLDER) == sorted([*made, "late.parquet"])
        assert not work.exists()

    def test_one_at_a_time(self, tmp_path: Path) -> None:
        """The lock is nobody else's to hold."""
        with exchange.alone(tmp_path), pytest.raises(LakeError, match="another process compacts this lake"):
            Lake(tmp_path).compact()

        assert (tmp_path / ".ocsflake" / "compact" / "lock").stat().st_mode & 0o777 == 0o600

    def test_what_was_begun_is_finished_before_and_after(self, tmp_path: Path) -> None:
        """A folder without a plan was begun by a process that was killed before anything was exchanged."""
        home = tmp_path / ".ocsflake" / "compact"
        (home / "before" / "new").mkdir(parents=True)

        with exchange.alone(tmp_path):
            assert names(home) == ["lock"]
            (home / "meanwhile").mkdir()

        assert names(home) == ["lock"]
        with exchange.alone(tmp_path):  # the lock was given back
            pass

    def test_what_cannot_be_exchanged_stays(self, tmp_path: Path) -> None:
        fill(Lake(tmp_path), 2)
        target = tmp_path / FOLDER
        with pytest.raises(LakeError):
            exchange.exchange(tmp_path, f"{FOLDER}/nothing", [], [])

        assert len(names(target)) == 2

    def test_a_file_system_that_cannot_exchange_folders(self, tmp_path: Path) -> None:
        """Here one that is another than the lake's."""
        with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
            Path(elsewhere, "old.parquet").write_bytes(b"old")
            (tmp_path / "ext").symlink_to("/dev/shm")
            (tmp_path / "made").write_bytes(b"new")

            with pytest.raises(LakeError, match="cannot be exchanged at one moment"):
                exchange.exchange(
                    tmp_path, f"ext/{Path(elsewhere).name}", [(tmp_path / "made", "made.parquet")], ["old.parquet"]
                )

            assert names(Path(elsewhere)) == ["old.parquet"]
        assert not list((tmp_path / ".ocsflake" / "compact").iterdir())

    def test_a_partition_with_what_is_none_of_ours_is_left_alone(self, tmp_path: Path) -> None:
        fill(Lake(tmp_path), 2)
        (tmp_path / FOLDER / "notes.txt").write_text("x")

        assert Lake(tmp_path).compact() == Compacted()

    def test_nor_one_with_a_folder_in_it(self, tmp_path: Path) -> None:
        fill(Lake(tmp_path), 2)
        (tmp_path / FOLDER / "below").mkdir()
        (tmp_path / FOLDER / "below" / "notes.txt").write_text("x")

        assert Lake(tmp_path).compact() == Compacted()

    @pytest.mark.parametrize("nonsense", ["{", "7", "[" * 100_000])
    def test_an_object_that_says_nonsense_of_what_it_was_made_of(self, nonsense: str, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        fill(lake, 2)
        key = keys(lake)[0]
        table = pq.ParquetFile(tmp_path / key).read()
        pq.write_table(table.replace_schema_metadata({"ocsflake.merged": nonsense}), tmp_path / key)

        with pytest.raises(LakeError, match="what it was made of cannot be read"):
            lake.compact()

    @pytest.mark.parametrize(
        "kind",
        [
            pa.dictionary(pa.int32(), pa.string()),
            pa.large_string(),
            pa.null(),
            pa.duration("ms"),
            pa.timestamp("ms", "Europe/Berlin"),
            pa.list_(pa.int64(), 2),
            pa.map_(pa.string(), pa.string(), keys_sorted=True),
        ],
        ids=str,
    )
    def test_objects_of_another_program_with_types_of_its_own_are_left_alone(
        self, kind: pa.DataType, tmp_path: Path
    ) -> None:
        lake = Lake(tmp_path)
        fill(lake, 2)
        for key in keys(lake):
            table = pq.read_table(tmp_path / key, partitioning=None)
            pq.write_table(table.append_column("theirs", pa.nulls(table.num_rows, kind)), tmp_path / key)

        assert lake.compact() == Compacted()

    def test_nor_do_those_without_a_time_stop_it(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        fill(lake, 2)
        for number in range(2):
            pq.write_table(
                pa.table(events(5, number)).drop_columns(["time"]), tmp_path / FOLDER / f"theirs-{number}.parquet"
            )

        assert lake.compact().merged == 2
        assert len(names(tmp_path / FOLDER)) == 3

    def test_a_broken_object_stops_it(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        fill(lake, 2)
        path = tmp_path / keys(lake)[0]
        data = bytearray(path.read_bytes())
        data[4:1000] = b"\xff" * 996
        path.write_bytes(data)

        with pytest.raises(LakeError, match="cannot be read"):
            lake.compact()

        assert len(keys(lake)) == 2

    def test_no_lake(self, tmp_path: Path) -> None:
        with pytest.raises(LakeError, match="no such directory"):
            Lake(tmp_path / "none").compact()

    def test_a_storage_that_is_neither(self) -> None:
        with pytest.raises(ConfigError, match="a directory and S3 can"):
            compact(object())  # type: ignore[arg-type]

    def test_large_groups_become_several_objects(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        fill(lake, 3, rows=10)
        storage = DirectoryStorage(tmp_path)
        members = [
            _Member(item, evolve(footer, decoded_bytes=200 << 20))
            for item, footer in footers(storage, storage.objects("ext/"))
        ]

        assert list(_groups(members)) == []
        small = [evolve(member, footer=evolve(member.footer, decoded_bytes=100 << 20)) for member in members]
        assert [len(group) for group in _groups(small)] == [2]


def member(name: str, rows: int = 1, size: int = 1, made_of: str = "[]", **footer: Any) -> _Member:
    """Return an object as it is listed, with a footer of its own."""
    told = {"first": 1, "last": 1, "class_uid": 6003, "schema": pa.schema([("time", pa.int64())])} | footer
    about = Footer(rows=rows, decoded_bytes=size, metadata={MERGED: made_of.encode()}, **told)
    return _Member(StoredObject(f"{FOLDER}/{name}", size), about)


class TestChoice:
    """Which objects become one, by what their footers tell."""

    @pytest.mark.parametrize(
        ("amounts", "sizes"),
        [
            ([(99_999, 1), (99_999, 1)], [2]),
            ([(100_000, 1), (99_999, 1)], []),
            ([(99_999, 1)] * 5 + [(5, 1)], [6]),
            ([(99_999, 1)] * 5 + [(6, 1)], [5]),
            ([(99_999, 1)] * 5 + [(6, 1), (6, 1)], [5, 2]),
            ([(1, 128 << 20), (1, 128 << 20)], [2]),
            ([(1, 128 << 20), (1, (128 << 20) + 1)], []),
            ([(1, 300 << 20), (1, 1), (1, 1)], [2]),
            ([(1, 200 << 20), (1, 100 << 20), (1, 100 << 20), (1, 100 << 20)], [2]),
            ([(1, 1)], []),
        ],
    )
    def test_how_much_becomes_one(self, amounts: list[tuple[int, int]], sizes: list[int]) -> None:
        """Small ones, up to half a million rows and 256 MB; one alone stays."""
        members = [member(str(place), *amount) for place, amount in enumerate(amounts)]

        assert [len(group) for group in _groups(members)] == sizes

    @pytest.mark.parametrize(
        ("footer", "alike"),
        [
            ({}, True),
            ({"class_uid": 3002}, False),
            ({"class_uid": None}, False),
            ({"first": None}, False),
            ({"first": 0, "last": None}, True),
            ({"schema": pa.schema([("time", pa.int32())])}, False),
        ],
    )
    def test_what_is_alike(self, footer: dict[str, Any], alike: bool) -> None:
        """One class and one schema, both told."""
        members = [member("a"), member("b", **footer)]

        assert list(_groups(members)) == ([members] if alike else [])

    @pytest.mark.parametrize(
        "kind",
        [
            *(pa.large_string(), pa.large_list(pa.string()), pa.string_view(), pa.null(), pa.duration("s")),
            *(pa.list_(pa.int8(), 2), pa.dictionary(pa.int8(), pa.string()), pa.timestamp("ms", "Europe/Berlin")),
            *(pa.struct([("x", pa.list_(pa.null()))]), pa.map_(pa.string(), pa.string(), keys_sorted=True)),
        ],
        ids=str,
    )
    def test_types_that_only_arrow_knows_stay(self, kind: pa.DataType) -> None:
        schema = pa.schema([("time", pa.int64()), ("strange", kind)])

        assert list(_groups([member("a", schema=schema), member("b", schema=schema)])) == []
        plain = pa.schema([("time", pa.timestamp("ms", "UTC")), ("x", pa.list_(pa.string()))])
        assert len(list(_groups([member("a", schema=plain), member("b", schema=plain)]))) == 1

    @pytest.mark.parametrize(
        ("made_of", "repeated"),
        [
            ({"a": "[]", "b": "[]"}, set()),
            ({"a": "[]", "b": "[]", "m": '["a", "gone"]'}, {"a"}),
            ({"m": '["x"]', "n": '["x", "y"]'}, {"m"}),
            ({"m": '["x", "y"]', "n": '["x"]'}, {"n"}),
            ({"m": '["x"]', "n": '["y"]'}, set()),
            ({"m": '["x"]', "n": '["x"]'}, {"m"}),
            ({"m": '["x"]', "n": '["m", "x"]', "o": '["x", "y"]'}, {"m", None}),
        ],
    )
    def test_whose_rows_are_in_another_one(self, made_of: dict[str, str], repeated: set[str | None]) -> None:
        """What a merged object names, and merged ones that are part of another; a part in common is told."""
        members = [member(name, made_of=text) for name, text in made_of.items()]

        if None not in repeated:
            assert _repeated(members) == repeated
            return
        with pytest.raises(LakeError, match=f"^{FOLDER}/n and o beside it have rows in common") as caught:
            _repeated(members)
        assert caught.value.path == f"{FOLDER}/n"

    @pytest.mark.parametrize("made", [[1, 2], [1, 2, 4], [2, 1, 3]])
    def test_an_object_that_does_not_hold_the_rows_is_told(self, made: list[int], tmp_path: Path) -> None:
        """Too few, another one, or in another order than that of their times."""
        for name, times in {"a": [3, 1], "b": [2], "made": made}.items():
            (tmp_path / FOLDER).mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table({"time": times}), tmp_path / FOLDER / name)
        storage, group = DirectoryStorage(tmp_path), [member("a", rows=2), member("b")]

        with pytest.raises(LakeError, match=f"^{FOLDER}/made: the merged object does not hold the rows") as caught:
            _prove(storage, f"{FOLDER}/made", group)
        assert caught.value.path == f"{FOLDER}/made"
        pq.write_table(pa.table({"time": [1, 2, 3]}).replace_schema_metadata({"a": "b"}), tmp_path / FOLDER / "made")
        _prove(storage, f"{FOLDER}/made", group)
        with pytest.raises(LakeError, match=f"^{FOLDER}/a and others have 3 rows, and their footers say 4"):
            _prove(storage, f"{FOLDER}/made", [member("a", rows=3), group[1]])

    def test_what_was_done_adds_up(self) -> None:
        one, other = Compacted(1, 2, 3, 4000, 5000, 6000, 0), Compacted(10, 2000, 30, 40, 50, 60, 1000)

        assert _sum(one, other) == Compacted(11, 2002, 33, 4040, 5050, 6060, 1000)
        assert str(_sum(other, other)) == (
            "4,000 objects of 20 partitions became 60 (80 events, 100 bytes became 120); 2,000 repeated objects removed"
        )
        assert str(one) == "2 objects of 1 partitions became 3 (4,000 events, 5,000 bytes became 6,000)"


def put_again(lake: Lake, *numbers: int) -> str:
    """Put what a compaction of some commits makes, as one that runs beside another would; return its name."""
    alone = Lake(f"{lake.root}/alone-{numbers}")
    for number in numbers:
        fill(alone, 1, first=number)
    alone.compact()
    [key] = keys(alone)
    target = Path(lake.root) / key
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes((Path(alone.root) / key).read_bytes())
    return target.name


class TestTwoAtOneTime:
    """As in S3, where nothing keeps compactions apart."""

    def test_what_one_made_is_within_what_the_other_made(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        put_again(lake, 0, 1)
        whole = put_again(lake, 0, 1, 2)

        assert lake.compact().repeats == 1
        assert names(tmp_path / FOLDER) == [whole]

    def test_what_both_made_has_rows_in_common(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        made = {put_again(lake, 0, 1), put_again(lake, 1, 2)}

        with pytest.raises(LakeError, match="have rows in common, since two compactions ran at one time"):
            lake.compact()
        assert {*names(tmp_path / FOLDER)} == made


class TestS3:
    def test_a_lake_that_a_role_writes_is_refused(self) -> None:
        lake = Lake("s3://bucket", role_arn="arn:aws:iam::123456789012:role/x")

        with pytest.raises(ConfigError, match="may not delete"):
            lake.compact()

    @pytest.mark.parametrize("number", range(5))
    def test_after_a_failure_it_goes_on(self, moto: Any, number: int) -> None:
        """Whatever call fails, no row is lost, and the next compaction leaves each once."""
        bucket = moto.make_bucket()
        lake = Lake(f"s3://{bucket}", client=moto.client())
        fill(lake, 3)
        before = rows(lake)
        client = moto.client()
        calls = 0

        def fail(**_: Any) -> None:
            nonlocal calls
            calls += 1
            if calls > number:
                raise KeyboardInterrupt

        for name in ("PutObject", "DeleteObject"):
            client.meta.events.register(f"before-call.s3.{name}", fail)
        with pytest.raises(KeyboardInterrupt):
            Lake(f"s3://{bucket}", client=client).compact()

        assert set(rows(lake)) == set(before)
        lake.compact()
        assert rows(lake) == before
        assert len(keys(lake)) == 1

    def test_deleting_is_tried_again(self, moto: Any) -> None:
        """With the patience of the storage; what makes a client of its own makes it for the Region of the storage."""
        bucket, waits, signed = moto.make_bucket(), [], set()
        session = moto.session()
        session.events.register("before-send.s3", lambda request, **_: signed.add(request.headers["Authorization"]))
        with FaultProxy(moto.url) as proxy:
            client = moto.at(proxy.url).session().client("s3")
            client.put_object(Bucket=bucket, Key="a/b", Body=b"x")
            proxy.fail("throttled")
            storage = S3Storage(f"s3://{bucket}/a", region="us-east-1", client=client, sleep=waits.append)
            S3Deletes(storage).delete(["b"])
        S3Deletes(S3Storage(f"s3://{bucket}/a", region="eu-west-1", session=session)).delete(["b"])

        assert len(waits) == 1
        assert moto.client().list_objects_v2(Bucket=bucket)["KeyCount"] == 0
        assert [b"/eu-west-1/s3/" in header for header in signed] == [True]

    def test_credentials_that_may_not_delete_are_refused_before_anything_is_put(self, moto: Any) -> None:
        bucket = moto.make_bucket()
        fill(Lake(f"s3://{bucket}", client=moto.client()), 3)
        with FaultProxy(moto.url) as proxy:
            lake = Lake(f"s3://{bucket}", session=moto.at(proxy.url).session())
            asked = 1 + 3 + 1  # the listing, the footers, the folders below
            there = keys(lake)
            proxy.fail("denied", [asked + 3 + 1])  # the rows, the probe

            with pytest.raises(LakeError, match=r"allow it (s3:)?DeleteObject") as caught:
                lake.compact()

            assert str(caught.value.path).startswith(f"s3://{bucket}/{FOLDER}/")

            assert [request for request in proxy.requests if request.startswith("PUT")] == []
            assert keys(lake) == there


class TestCommand:
    def test_it_says_what_became_of_the_lake(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        fill(Lake(tmp_path), 3)

        done = call(capsys, "compact", tmp_path, "--before", "2024-01-02")

        assert done.code == 0
        assert done.out.startswith("3 objects of 1 partitions became 1 (60 events, ")

    def test_a_day_that_is_none(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        done = call(capsys, "compact", tmp_path, "--before", "yesterday")

        assert (done.code, "write it as 2026-11-01" in done.err) == (2, True)
