from __future__ import annotations

import itertools
import random
import tempfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lake_events import DAY, NARROW, SCHEMA, T0, api_activity, events, narrow
from parquet_pages import pages

from ocsflake.errors import ConfigError, LakeError
from ocsflake.lake import Lake
from ocsflake.lake.commit import LakeCommit
from ocsflake.lake.layout import parse_key
from ocsflake.lake.storage import DirectoryStorage
from ocsflake.model import CustomSource, EventBatch, ObjectWritten


def begin(root, commit_id="c1"):
    return LakeCommit(
        DirectoryStorage(root),
        region="us-east-1",
        commit_id=commit_id,
        source_of=lambda batch: CustomSource(f"{batch.source_name}_6003", "", f"ext/{batch.source_name}_6003/"),
    )


def publish(root, *batches, commit_id="c1"):
    with begin(root, commit_id) as commit:
        for batch in batches:
            commit.write(batch if isinstance(batch, EventBatch) else api_activity(batch))
        return commit.publish()


def tree(root):
    """Every file below the root, with its bytes."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def rows(root, written):
    return {item.key: pq.read_table(root / item.key).to_pylist() for item in written}


class TestObjects:
    def test_there_is_one_for_each_account_and_day(self, tmp_path):
        batch = events(400, accounts=("123456789012", "210987654321"), days=3)

        written = publish(tmp_path, batch)

        assert len(written) == 6
        for item in written:
            key = parse_key(item.key)
            assert (key.location, key.region) == ("ext/aws_cloudtrail_6003/", "us-east-1")
            assert (key.account, key.day) == (item.account, item.day)
            assert (item.source, item.event_class) == ("aws_cloudtrail_6003", "api_activity")
            table = pq.read_table(tmp_path / item.key)
            assert {row["account"]["uid"] for row in table["cloud"].to_pylist()} == {item.account}
            days = {time // DAY - T0 // DAY + 20240101 for time in table["time"].to_pylist()}
            assert {str(day) for day in days} == {item.day}
            assert table["time"].to_pylist() == sorted(table["time"].to_pylist())
            assert item.rows == table.num_rows
            assert item.bytes == (tmp_path / item.key).stat().st_size
        found = pa.concat_tables([pq.read_table(tmp_path / item.key, schema=SCHEMA) for item in written])
        order = [("time", "ascending"), ("type_uid", "ascending")]
        assert found.sort_by(order).equals(pa.Table.from_batches([batch]).sort_by(order))

    def test_the_files_are_named_by_a_digest(self, tmp_path):
        (written,) = publish(tmp_path, events(3))

        assert written == ObjectWritten(
            key="ext/aws_cloudtrail_6003/region=us-east-1/accountId=123456789012/eventDay=20240101/"
            "52105506ed9f5df8cfdd4d758e5c4235.parquet",
            source="aws_cloudtrail_6003",
            event_class="api_activity",
            account="123456789012",
            day="20240101",
            rows=3,
            bytes=(tmp_path / written.key).stat().st_size,
        )

    def test_a_class_has_objects_of_its_own(self, tmp_path):
        lake = Lake(tmp_path)
        with lake.begin("c") as commit:
            commit.write(EventBatch("aws.cloudtrail", "aws_cloudtrail", "api_activity", events(5)))
            commit.write(EventBatch("aws.cloudtrail", "aws_cloudtrail", "authentication", events(7, 1)))
            written = commit.publish()

        assert [(item.source, item.event_class, item.rows) for item in written] == [
            ("aws_cloudtrail_6003", "api_activity", 5),
            ("aws_cloudtrail_3002", "authentication", 7),
        ]

    @pytest.mark.parametrize("account", ["../../x", "a=b", "%2F", "a\nb", "x" * 10_000, "", None])
    def test_a_hostile_account_stays_below_its_source(self, tmp_path, account):
        root = tmp_path / "lake"
        (written,) = publish(root, narrow([(T0, account, "AWS")]))

        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert files == [root / written.key]
        assert parse_key(written.key).account == written.account
        assert pq.read_table(root / written.key)["cloud"].to_pylist()[0]["account"]["uid"] == account

    def test_a_class_without_the_cloud_profile_is_external(self, tmp_path):
        for schema in (
            pa.schema([("time", pa.int64())]),
            pa.schema([("time", pa.int64()), ("cloud", pa.string())]),
            pa.schema([("time", pa.int64()), ("cloud", pa.struct([("region", pa.string())]))]),
        ):
            batch = pa.RecordBatch.from_pylist([{"time": T0}], schema=schema)

            (written,) = publish(tmp_path, batch)

            assert written.account == "external"

    @settings(deadline=None, max_examples=60)
    @given(
        st.lists(
            st.lists(
                st.tuples(
                    st.integers(T0, T0 + 3 * DAY) | st.integers(0, 253_402_300_799_999),
                    st.sampled_from(["123456789012", "210987654321", "a/b", "a_b", None, "external"]),
                    st.sampled_from(["AWS", "Azure", None]),
                ),
                max_size=15,
            ),
            max_size=6,
        )
    )
    def test_every_event_is_in_its_partition_once_and_in_order(self, batches):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            written = publish(root, *map(narrow, batches))

            found = Counter()
            for item in written:
                table = rows(root, [item])[item.key]
                assert [row["time"] for row in table] == sorted(row["time"] for row in table)
                found += Counter((row["time"], row["cloud"]["account"]["uid"], item.account) for row in table)
            given_rows = Counter((time, uid) for batch in batches for time, uid, _ in batch)
            assert (
                Counter({(time, uid): 0 for time, uid, _ in found})
                + Counter((time, uid) for time, uid, _ in found.elements())
                == given_rows
            )
            assert len({item.key for item in written}) == len(written)


class TestRepeats:
    def test_the_same_commit_gives_the_same_tree(self, tmp_path):
        batches = [events(300, seed, accounts=("123456789012", "9"), days=2) for seed in range(3)]

        publish(tmp_path / "a", *batches)
        publish(tmp_path / "b", *batches)

        assert tree(tmp_path / "a") == tree(tmp_path / "b")

    def test_a_repeat_into_the_same_lake_changes_nothing(self, tmp_path):
        publish(tmp_path, events(300, days=2))
        before = tree(tmp_path)

        publish(tmp_path, events(300, days=2))

        assert tree(tmp_path) == before

    def test_another_commit_adds_objects(self, tmp_path):
        first = publish(tmp_path, events(3), commit_id="c1")
        second = publish(tmp_path, events(3), commit_id="c2")

        assert not {item.key for item in first} & {item.key for item in second}

    def test_batches_of_other_sizes_give_the_same_rows_in_the_same_order(self, tmp_path):
        batch = events(1_000, accounts=("123456789012", "9"), days=2)

        whole = publish(tmp_path / "a", batch)
        parts = publish(tmp_path / "b", *(batch.slice(start, 7) for start in range(0, 1_000, 7)))

        assert rows(tmp_path / "a", whole) == rows(tmp_path / "b", parts)


class TestPublishing:
    def test_nothing_is_visible_before(self, tmp_path):
        with begin(tmp_path) as commit:
            commit.write(api_activity(events(3)))

            assert not (tmp_path / "ext").exists()

    def test_what_was_not_published_is_gone(self, tmp_path):
        with begin(tmp_path) as commit:
            commit.write(api_activity(events(3)))

        assert tree(tmp_path) == {}
        assert list((tmp_path / ".ocsflake/tmp").iterdir()) == []

    def test_nothing_is_left_but_the_objects(self, tmp_path):
        written = publish(tmp_path, events(100, days=3))

        assert set(tree(tmp_path)) == {item.key for item in written}
        assert list((tmp_path / ".ocsflake/tmp").iterdir()) == []

    def test_no_events_give_no_objects(self, tmp_path):
        assert publish(tmp_path) == ()
        assert publish(tmp_path, events(3).slice(0, 0)) == ()

    def test_a_second_publish_gives_the_same_objects(self, tmp_path):
        with begin(tmp_path) as commit:
            commit.write(api_activity(events(30, days=3)))

            assert commit.publish() == commit.publish()

    def test_a_second_publish_goes_on_where_the_first_one_failed(self, tmp_path):
        expected = publish(tmp_path / "a", events(300, days=5))
        root = tmp_path / "b"
        blocked = root / expected[2].key
        blocked.mkdir(parents=True)  # a folder where an object is to go
        with begin(root) as commit:
            commit.write(api_activity(events(300, days=5)))
            with pytest.raises(LakeError, match="Is a directory"):
                commit.publish()
            blocked.rmdir()

            assert commit.publish() == expected
        assert tree(root) == tree(tmp_path / "a")

    def test_no_events_are_taken_after_it(self, tmp_path):
        with begin(tmp_path) as commit:
            commit.publish()

            with pytest.raises(LakeError, match="'c1' was published; begin another"):
                commit.write(api_activity(events(1)))


class TestBadBatches:
    def write(self, root, *batches):
        with begin(root) as commit:
            for batch in batches:
                commit.write(api_activity(batch))

    def test_a_column_without_a_type_is_named(self, tmp_path):
        table = pa.RecordBatch.from_pylist([{"time": T0, "actor": {"user": {"name": None}}}])

        with pytest.raises(LakeError, match=r"aws_cloudtrail_6003\.actor\.user\.name: the column has no type"):
            self.write(tmp_path, table)

    @pytest.mark.parametrize("kind", [pa.list_(pa.null()), pa.map_(pa.string(), pa.null())])
    def test_nor_may_it_hold_one(self, tmp_path, kind):
        schema = pa.schema([("time", pa.int64()), ("x", kind)])

        with pytest.raises(LakeError, match=r"6003\.x\.[\w.]+: the column has no type"):
            self.write(tmp_path, pa.RecordBatch.from_pylist([{"time": T0}], schema=schema))

    def test_columns_that_change_are_named(self, tmp_path):
        first = pa.RecordBatch.from_pydict({"time": [T0], "a": [{"b": 1}], "c": [1]})
        second = pa.RecordBatch.from_pydict({"time": [T0], "a": [{"b": "x", "d": 1}]})

        with pytest.raises(LakeError) as caught:
            self.write(tmp_path, first, second)

        expected = "a.b was int64 and is string; a.d was absent and is int64; c was int64 and is absent"
        assert expected in str(caught.value)
        assert caught.value.path == "aws_cloudtrail_6003"

    def test_the_order_of_columns_counts_too(self, tmp_path):
        batch = pa.RecordBatch.from_pydict({"time": [T0], "a": [1]})

        with pytest.raises(LakeError, match="order or the nullability"):
            self.write(tmp_path, batch, batch.select(["a", "time"]))

    @pytest.mark.parametrize("time", [None, -1, 253_402_300_800_000])
    def test_a_time_that_makes_no_day_is_an_error(self, tmp_path, time):
        with pytest.raises(LakeError, match="milliseconds from 1970 to 9999"):
            self.write(tmp_path, narrow([(T0, "1", "AWS"), (time, "1", "AWS")]))

    @pytest.mark.parametrize("column", [{"when": [T0]}, {"time": [T0 / 1000]}])
    def test_events_need_a_time(self, tmp_path, column):
        with pytest.raises(LakeError, match="need a column 'time' of int64"):
            self.write(tmp_path, pa.RecordBatch.from_pydict(column))

    def test_a_commit_that_failed_publishes_nothing(self, tmp_path):
        with begin(tmp_path) as commit:
            commit.write(api_activity(narrow([(T0, "1", "AWS")])))
            with pytest.raises(LakeError):
                commit.write(api_activity(narrow([(-1, "1", "AWS")])))

            for call in (commit.publish, lambda: commit.write(api_activity(events(1)))):
                with pytest.raises(LakeError, match="failed before; close it and begin it again"):
                    call()
        assert tree(tmp_path) == {}

    def test_an_unknown_class_is_an_error_of_the_call(self, tmp_path):
        with Lake(tmp_path).begin("c") as commit, pytest.raises(Exception, match="did you mean 'api_activity'"):
            commit.write(EventBatch("aws.cloudtrail", "aws_cloudtrail", "api_activty", events(1)))

    def test_a_long_source_name_is_an_error_of_the_call(self, tmp_path):
        with Lake(tmp_path).begin("c") as commit, pytest.raises(ConfigError, match="Security Lake takes 20"):
            commit.write(api_activity(events(1), source_name="aws_cloudtrail_logs"))

    def test_a_lake_that_cannot_be_written_is_a_lake_error(self, tmp_path):
        with begin(tmp_path) as commit:
            for folder in (tmp_path / ".ocsflake/tmp").iterdir():
                folder.rmdir()
            commit.write(api_activity(events(1)))

            with pytest.raises(LakeError, match=r"\.ocsflake/tmp/.*No such file"):
                commit.publish()


class TestSecrecy:
    """The values of one account are in no object of another."""

    ACCOUNTS = tuple(f"{n:012d}" for n in range(1, 6))

    def with_markers(self):
        rng = random.Random(0)
        accounts = [rng.choice(self.ACCOUNTS) for _ in range(3_000)]
        markers = pa.array([f"marker-of-{account}" for account in accounts])
        texts = pa.array([f"text-of-{account}-{n}" for n, account in enumerate(accounts)])
        encoded = markers.dictionary_encode()
        cloud = pa.StructArray.from_arrays(
            [
                pa.array(["AWS"] * 3_000).dictionary_encode(),
                pa.StructArray.from_arrays([pa.array(accounts).dictionary_encode()], ["uid"]),
            ],
            ["provider", "account"],
        )
        offsets = pa.array(range(3_001), pa.int32())
        return pa.RecordBatch.from_pydict(
            {
                "time": pa.array([T0 + rng.randrange(DAY) for _ in range(3_000)], pa.int64()),
                "cloud": cloud,
                "flat": encoded,
                "text": texts,
                "nested": pa.StructArray.from_arrays([encoded], ["a"]),
                "items": pa.ListArray.from_arrays(offsets, encoded),
                "structs": pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays([encoded], ["b"])),
                "unmapped": pa.MapArray.from_arrays(offsets, texts, encoded),
            }
        )

    def seen(self, path):
        raw = path.read_bytes() + b"".join(page.body for page in pages(path))
        return {account for account in self.ACCOUNTS if f"of-{account}".encode() in raw}

    def test_also_when_columns_are_dictionaries(self, tmp_path):
        batch = self.with_markers()
        written = publish(tmp_path, batch, batch.slice(100, 1_000))

        assert len(written) == 5
        for item in written:
            assert self.seen(tmp_path / item.key) == {item.account}
            table = pq.read_table(tmp_path / item.key)
            assert set(table["flat"].to_pylist()) == {f"marker-of-{item.account}"}
            assert {text for row in table["unmapped"].to_pylist() for _, text in row} == {f"marker-of-{item.account}"}
        assert sum(item.rows for item in written) == 4_000

    def test_the_search_would_find_a_slice_of_a_dictionary(self, tmp_path):
        """pyarrow itself does write the values of others; that is why the columns are made plain."""
        part = self.with_markers().select(["flat"]).slice(0, 1)
        pq.write_table(pa.Table.from_batches([part]), tmp_path / "x.parquet", compression="zstd")

        assert len(self.seen(tmp_path / "x.parquet")) > 1


class TestBounds:
    def test_a_generation_ends_at_a_fixed_count_of_rows(self, tmp_path):
        """However the rows are batched, the same ones are in the same part."""
        count = 1_050_000
        time = pa.array(range(T0, T0 + count), pa.int64())
        cloud = pa.array([{"provider": "AWS", "account": {"uid": "123456789012"}}], NARROW.field("cloud").type)
        n = pa.array(range(count), pa.int64())
        batch = pa.RecordBatch.from_arrays([time, cloud.take(pa.repeat(pa.scalar(0), count)), n], schema=NARROW)

        whole = publish(tmp_path / "a", batch)
        parts = publish(tmp_path / "b", *(batch.slice(at, 70_001) for at in range(0, count, 70_001)))

        assert [item.rows for item in whole] == [500_000, 500_000, 50_000]
        assert [item.rows for item in publish(tmp_path / "c", batch.slice(0, 500_000))] == [500_000]
        assert [(item.key, item.rows) for item in parts] == [(item.key, item.rows) for item in whole]
        for item in whole:
            tables = [pq.read_table(tmp_path / root / item.key) for root in "ab"]
            assert tables[0].equals(tables[1])

    def test_large_commits_are_sorted_on_disk(self, tmp_path):
        """40 MB of two sources is more than a commit keeps in memory; it comes out sorted and complete."""
        rng = random.Random(0)
        schema = pa.schema([*NARROW, ("text", pa.string())])
        expected: dict[str, list[int]] = {"a": [], "b": []}
        with begin(tmp_path) as commit:
            for _, name in itertools.product(range(20), "ab"):
                times = [T0 + rng.randrange(DAY) for _ in range(1_000)]
                batch = pa.RecordBatch.from_pylist([{"time": time, "text": "x" * 1_000} for time in times], schema)
                commit.write(EventBatch("x", name, "api_activity", batch))
                expected[name] += times
            assert len(list((tmp_path / ".ocsflake/tmp").rglob("*"))) == 1
            written = commit.publish()

        assert [item.source for item in written] == ["a_6003", "b_6003"]
        for item in written:
            times = pq.read_table(tmp_path / item.key, columns=["time"])["time"].to_pylist()
            assert times == sorted(expected[item.source[0]])

    def test_the_full_schema_goes_through_the_disk_unharmed(self, tmp_path):
        batches = [events(5_000, seed) for seed in range(5)]

        (written,) = publish(tmp_path, *batches)

        expected = pa.Table.from_batches(batches).sort_by("time")
        assert pq.read_table(tmp_path / written.key, schema=SCHEMA).equals(expected)
