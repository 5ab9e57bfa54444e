"""Lakes roll up into one: every object once, under its own key, and one query over all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from lake_events import api_activity, events

from cli_help import call
from ocsflake.errors import ConfigError
from ocsflake.lake import Lake
from ocsflake.lake.replicate import Replicated

if TYPE_CHECKING:
    from pathlib import Path


def fill(lake: Lake, commit_id: str = "c", *, seed: int = 0) -> None:
    with lake.begin(commit_id) as commit:
        commit.write(api_activity(events(10, seed, days=2)))
        commit.publish()


def keys(lake: Lake) -> list[str]:
    return [item.key for item in lake.storage.objects("ext/")]


def test_keys_are_kept_and_a_repeat_copies_nothing(tmp_path: Path) -> None:
    origin, target = Lake(tmp_path / "a", region="eu-west-1"), Lake(tmp_path / "b")
    fill(origin)

    first, second = origin.replicate(target), origin.replicate(target)

    assert (first.objects, first.there) == (2, 0)
    assert second == Replicated(there=2)
    assert keys(target) == keys(origin)
    assert all("/region=eu-west-1/" in key for key in keys(target))
    for key in keys(target):
        assert (tmp_path / "a" / key).read_bytes() == (tmp_path / "b" / key).read_bytes()


def test_what_is_new_is_copied(tmp_path: Path) -> None:
    origin, target = Lake(tmp_path / "a"), Lake(tmp_path / "b")
    fill(origin)
    origin.replicate(target)
    fill(origin, "d", seed=1)

    assert (origin.replicate(target).objects, len(keys(target))) == (2, 4)


def test_a_copy_that_was_cut_off_is_made_anew(tmp_path: Path) -> None:
    origin, target = Lake(tmp_path / "a"), Lake(tmp_path / "b")
    fill(origin)
    origin.replicate(target)
    (tmp_path / "b" / keys(target)[0]).write_bytes(b"")

    assert origin.replicate(target).objects == 1
    assert origin.replicate(target).objects == 0


def test_a_roll_up_lake_is_queried_as_one(tmp_path: Path) -> None:
    origins = [Lake(tmp_path / region, region=region) for region in ("eu-west-1", "us-east-1")]
    target = Lake(tmp_path / "all")
    for seed, origin in enumerate(origins):
        fill(origin, f"c{seed}", seed=seed)
        origin.replicate(target)

    rows = target.query("SELECT region, count(*) AS n FROM api_activity GROUP BY 1 ORDER BY 1").to_pylist()

    assert rows == [{"region": "eu-west-1", "n": 10}, {"region": "us-east-1", "n": 10}]
    assert target.query("SELECT count(*) AS n FROM aws_cloudtrail_6003").to_pylist() == [{"n": 20}]
    assert target.usage().total.rows == 20


@pytest.mark.parametrize("compacted", ["origin", "target"])
def test_a_compaction_on_one_side_doubles_nothing(compacted: str, tmp_path: Path) -> None:
    origin, target = Lake(tmp_path / "a"), Lake(tmp_path / "b")
    fill(origin)
    fill(origin, "d", seed=1)
    origin.replicate(target)
    (origin if compacted == "origin" else target).compact()

    done = origin.replicate(target)

    assert (done.objects, len(done.held)) == (0, 2)
    assert "2 partitions held" in str(done)
    assert target.usage().total.rows == 20


def test_it_says_what_was_done() -> None:
    """The first three of the partitions that are held are named."""
    text = "2 objects copied (3,000 bytes), 1 were there already"

    assert str(Replicated(2, 3_000, 1)) == text
    assert str(Replicated(2, 3_000, 1, held=("a", "b", "c", "d"))) == f"{text}, 4 partitions held: a, b, c"


def test_lakes_of_one_region_meet_in_a_partition(tmp_path: Path) -> None:
    """What another lake rolled up, compacted or not, holds nothing back."""
    origins, target = [Lake(tmp_path / name) for name in "ab"], Lake(tmp_path / "all")
    for seed, origin in enumerate(origins):
        for number in range(2):
            fill(origin, f"{seed}-{number}", seed=10 * seed + number)
    origins[0].compact()

    done = [origin.replicate(target) for origin in (*origins, *origins)]

    assert [(each.objects, each.held) for each in done] == [(2, ()), (4, ()), (0, ()), (0, ())]
    assert target.usage().total.rows == 40


def test_both_sides_compacted(tmp_path: Path) -> None:
    """The roll-up lake merged more than the origin did, so no name is on both sides."""
    origins, target = [Lake(tmp_path / name) for name in "ab"], Lake(tmp_path / "all")
    for seed, origin in enumerate(origins):
        for number in range(2):
            fill(origin, f"{seed}-{number}", seed=10 * seed + number)
        origin.replicate(target)
    origins[0].compact()
    target.compact()

    assert [len(origin.replicate(target).held) for origin in origins] == [2, 2]
    assert target.usage().total.rows == 40


def test_what_is_outside_the_layout_is_not_copied(tmp_path: Path) -> None:
    origin, target = Lake(tmp_path / "a"), Lake(tmp_path / "b")
    (tmp_path / "a" / "ext").mkdir(parents=True)
    (tmp_path / "a" / "ext" / "notes.txt").write_text("x")

    assert origin.replicate(target) == Replicated(outside=1)


def test_not_to_itself(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="to itself"):
        Lake(tmp_path).replicate(Lake(tmp_path))


def test_from_a_directory_to_s3_and_on(tmp_path: Path, moto: Any, rclone: Any) -> None:
    origin = Lake(tmp_path / "a")
    middle = Lake(f"s3://{moto.make_bucket()}", client=moto.client())
    end = Lake(f"s3://{rclone.make_bucket()}/prefix", client=rclone.client())
    fill(origin)

    assert [origin.replicate(middle).objects, middle.replicate(end).objects] == [2, 2]
    assert keys(end) == keys(origin)
    assert middle.replicate(end).there == 2


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    origin = Lake(tmp_path / "a")
    fill(origin)
    fill(origin, "d", seed=1)

    first = call(capsys, "replicate", tmp_path / "a", tmp_path / "b")
    origin.compact()
    second = call(capsys, "replicate", tmp_path / "a", tmp_path / "b")

    assert (first.code, first.out.startswith("4 objects copied")) == (0, True)
    assert (second.code, second.err.count("it was compacted after it was copied")) == (1, 2)
