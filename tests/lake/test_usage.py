"""How much a lake holds, told without reading events."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lake_events import DAY, T0, api_activity, events, narrow

from cli_help import call
from ocsflake.charts import size_text
from ocsflake.errors import ConfigError, LakeError
from ocsflake.lake import Lake
from ocsflake.lake.storage import DirectoryStorage
from ocsflake.lake.usage import Amount, Usage, usage
from ocsflake.model import EventBatch

if TYPE_CHECKING:
    from pathlib import Path

PARTITION = "ext/a_6003/region=us-east-1/accountId=123456789012/eventDay=20240101/"


def fill(lake: Lake) -> Any:
    with lake.begin("c") as commit:
        commit.write(api_activity(events(30, accounts=("111111111111", "222222222222"), days=2)))
        flows = narrow([(T0 + DAY, "x", "Azure"), (T0, None, None)])
        commit.write(EventBatch("a", "azure_flow", "network_activity", flows))
        return commit.publish()


class TestUsage:
    def test_it_agrees_with_what_was_written(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        written = fill(lake)

        found = lake.usage()

        assert found.total.objects == len(written)
        assert found.total.rows == 32
        assert found.total.bytes == sum(each.bytes for each in written)
        for each in written:
            event_class = each.event_class if each.source == "aws_cloudtrail_6003" else ""
            amount = found.amounts[each.source, event_class, each.account, "us-east-1", each.day]
            assert (amount.objects, amount.rows, amount.bytes) == (1, each.rows, each.bytes)

    def test_first_and_last_event(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        fill(lake)

        amount = lake.usage().by("source")[("azure_flow_4001",)]

        assert (amount.first, amount.last) == (T0, T0 + DAY)

    def test_by_some_names(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        fill(lake)

        assert sorted(lake.usage().by("account")) == [
            ("111111111111",),
            ("222222222222",),
            ("external",),
            ("external_x",),
        ]

    def test_by_what_it_is_not_known_by(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="did you mean 'account'"):
            Lake(tmp_path).usage().by("acount")

    def test_amounts_add_up(self) -> None:
        """Times are told as far as any footer tells them."""
        one, other = Amount(1, 20, 300, 5, 7), Amount(1, 2, 3, 4, 6)

        assert one + other == Amount(2, 22, 303, 4, 7)
        assert other + one == one + other
        assert one + Amount(1) == Amount(2, 20, 300, 5, 7)
        assert Amount(1) + Amount(1) == Amount(2)

    def test_by_several_names(self) -> None:
        """In the order of the names, sorted; what has the same names is summed."""
        amounts = {
            ("b", "c", "1", "r", "2"): Amount(1, 1, 1, 0, 0),
            ("a", "c", "2", "r", "2"): Amount(2, 2, 2, None, None),
            ("a", "c", "1", "s", "1"): Amount(4, 4, 4, 1, 1),
        }
        found = Usage(amounts)

        assert list(found.by("account", "source").items()) == [
            (("1", "a"), Amount(4, 4, 4, 1, 1)),
            (("1", "b"), Amount(1, 1, 1, 0, 0)),
            (("2", "a"), Amount(2, 2, 2)),
        ]
        assert found.by("region") == {("r",): Amount(3, 3, 3, 0, 0), ("s",): Amount(4, 4, 4, 1, 1)}
        assert found.by() == {(): found.total}
        assert found.table("day") == [
            ["day", "objects", "bytes", "rows", "first", "last"],
            ["1", 4, 4, 4, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"],
            ["2", 3, 3, 3, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"],
        ]
        assert Usage({("a", "", "1", "r", "1"): Amount(1)}).table()[1][-2:] == ["", ""]
        assert Usage({}, Amount(1_234)).summary == "0 objects, 0 B, 0 events, and 1,234 objects outside the layout"

    def test_sources_are_named_by_their_prefix(self, tmp_path: Path) -> None:
        """Below ext/ or not, or none; only what is below the prefix that is asked for counts."""
        for location in ("", "ext/a/", "ext/a/b/", "aws/A/1.0/"):
            path = tmp_path / f"{location}region=us-east-1/accountId=1/eventDay=20260101"
            path.mkdir(parents=True)
            pq.write_table(pa.table({"time": [1]}), path / "x.parquet")
        storage = DirectoryStorage(tmp_path)

        assert list(usage(storage).by("source")) == [(".",), ("a",), ("a/b",), ("aws/A/1.0",)]
        assert list(usage(storage, "ext/").by("source")) == [("a",), ("a/b",)]
        assert usage(storage).others == Amount()

    def test_an_empty_lake(self, tmp_path: Path) -> None:
        found = Lake(tmp_path).usage()

        assert found.total == Amount()
        assert found.summary == "0 objects, 0 B, 0 events"
        assert "<svg" not in found._repr_html_()

    def test_what_is_outside_the_layout_is_counted_apart(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("abc")
        (tmp_path / ".ocsflake").mkdir()
        (tmp_path / ".ocsflake" / "checkpoints.db").write_text("abc")

        found = usage(DirectoryStorage(tmp_path))

        assert found.others == Amount(objects=1, bytes=3)
        assert "1 objects outside the layout" in found.summary

    def test_what_footers_do_not_tell(self, tmp_path: Path) -> None:
        """Another program may write no statistics, times of another type, or more than one class."""
        path = tmp_path / PARTITION
        path.mkdir(parents=True)
        pq.write_table(pa.table({"time": [1], "class_uid": [6003]}), path / "a.parquet", write_statistics=False)
        pq.write_table(pa.table({"time": ["x"], "class_uid": [1]}), path / "b.parquet")
        pq.write_table(pa.table({"time": [1 << 62, 5], "class_uid": [6003, 3002]}), path / "c.parquet")
        pq.write_table(pa.table({"time": pa.array([], pa.int64())}), path / "d.parquet")

        found = usage(DirectoryStorage(tmp_path))

        assert {key[1]: amount.rows for key, amount in found.amounts.items()} == {"": 3, "1": 1}
        assert found.total.last == 1 << 62
        assert str(1 << 62) in str(found)

    def test_what_is_no_parquet(self, tmp_path: Path) -> None:
        path = tmp_path / PARTITION
        path.mkdir(parents=True)
        (path / "a.parquet").write_text("no")

        with pytest.raises(LakeError, match=r"a\.parquet is no Parquet"):
            usage(DirectoryStorage(tmp_path))

    def test_on_s3(self, moto: Any, tmp_path: Path) -> None:
        here, there = Lake(tmp_path), Lake(f"s3://{moto.make_bucket()}", client=moto.client())
        fill(here)
        fill(there)

        assert there.usage().amounts == here.usage().amounts

    def test_more_objects_than_are_read_at_once(self, tmp_path: Path) -> None:
        path = tmp_path / PARTITION
        path.mkdir(parents=True)
        for number in range(257):
            pq.write_table(pa.table({"time": [number], "class_uid": [6003]}), path / f"{number}.parquet")

        assert usage(DirectoryStorage(tmp_path)).total == Amount(
            257, sum(file.stat().st_size for file in path.iterdir()), 257, 0, 256
        )


@pytest.mark.usefixtures("elsewhere")
class TestPictures:
    def test_a_table(self, tmp_path: Path) -> None:
        """Numbers end where those above them end, and times are in UTC."""
        lake = Lake(tmp_path)
        fill(lake)
        found = lake.usage()
        sizes = [f"{found.by('source')[name,].bytes:,}" for name in ("aws_cloudtrail_6003", "azure_flow_4001")]
        times = ["2024-01-01T00:32:56Z", "2024-01-01T00:00:00Z"]

        assert str(found).splitlines() == [
            "source               event_class   objects   bytes  rows  first                 last",
            f"aws_cloudtrail_6003  api_activity        4  {sizes[0]}    30  {times[0]}  2024-01-02T23:24:00Z",
            f"azure_flow_4001                          2   {sizes[1]}     2  {times[1]}  2024-01-02T00:00:00Z",
            found.summary,
        ]
        assert found.summary == f"6 objects, {size_text(found.total.bytes)}, 32 events"
        assert repr(found) == f"<Usage: {found.summary}>"

    def test_a_chart(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        fill(lake)
        html = lake.usage()._repr_html_()
        svg = re.search("<svg.*</svg>", html)

        assert svg is not None
        assert len(ElementTree.fromstring(svg[0]).findall("rect")) == 4  # two sources on two days
        assert "01-02: aws_cloudtrail_6003" in html
        assert "Bytes by day, stacked by custom source" in html
        assert "kB" in svg[0]
        assert lake.usage().summary in html
        assert [html.count(word) for word in ("<li>", "api_activity<", "2024-01-02T23:24:00Z")] == [2, 1, 1]


class TestCommand:
    def test_a_table(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        fill(Lake(tmp_path))

        done = call(capsys, "usage", tmp_path, "--by", "source,day")

        assert done.code == 0
        assert done.out.splitlines()[2].split()[:3] == ["aws_cloudtrail_6003", "20240101", "2"]
        assert "6 objects" in done.last

    def test_json(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        fill(Lake(tmp_path))

        done = call(capsys, "usage", tmp_path, "--by", "region", "--json")

        [row] = map(json.loads, done.out.splitlines())
        assert (row["region"], row["objects"], row["rows"]) == ("us-east-1", 6, 32)

    def test_a_name_that_is_none(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        done = call(capsys, "usage", tmp_path, "--by", "regoin")

        assert (done.code, "did you mean 'region'" in done.err) == (2, True)
