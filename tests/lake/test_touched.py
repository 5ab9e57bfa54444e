"""A lake that another program touched: it is said, and nothing is mended over what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import ocsflake
from ocsflake.errors import LakeError
from pipeline_logs import objects, record, save

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ocsflake.model import Source


@pytest.fixture
def lake(tmp_path: Path) -> ocsflake.Lake:
    """A lake of two objects or more."""
    made = ocsflake.Lake(tmp_path / "lake")
    ocsflake.run(trail(tmp_path), made)
    return made


def trail(tmp_path: Path) -> Source:
    save(tmp_path / "logs" / "a.json.gz", map(record, range(40)))
    return ocsflake.source("files", log_type="aws.cloudtrail", uri=str(tmp_path / "logs"))


def first(lake: ocsflake.Lake) -> Path:
    """Return an object of a lake."""
    return min(lake.root.rglob("*.parquet"))  # type: ignore[union-attr]


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwrite(path: Path) -> None:
    path.write_bytes(b"something else")


def spoil(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:4] + b"\xff" * (len(data) - 1_000) + data[len(data) - 996 :])


@pytest.mark.parametrize("damage", [halve, overwrite, spoil])
def test_an_object_that_was_damaged(lake: ocsflake.Lake, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """It is named by a query and by the doctor; runs do not touch it."""
    path = first(lake)
    damage(path)
    before = objects(lake.root)

    with pytest.raises(LakeError, match=f"{path.name}|`ocsflake doctor` names it"):
        lake.query("SELECT * FROM api_activity UNION ALL BY NAME SELECT * FROM authentication")
    (finding,) = [each for each in lake.doctor().findings if each.check == "parquet"]
    assert finding.key == str(path.relative_to(lake.root))
    assert ocsflake.run(trail(tmp_path), lake).counts.written == 0
    assert objects(lake.root) == before


def test_objects_that_were_removed(lake: ocsflake.Lake, tmp_path: Path) -> None:
    """What somebody removed stays away: a run reads what is new, and brings nothing back."""
    first(lake).unlink()
    before = objects(lake.root)

    report = ocsflake.run(trail(tmp_path), lake)

    assert report.counts.written == 0
    assert objects(lake.root) == before
    assert lake.query("SELECT count(*) AS n FROM api_activity").num_rows == 1


@pytest.mark.parametrize("name", ["notes.txt", "copy.parquet.tmp", "_SUCCESS"])
def test_files_of_others(lake: ocsflake.Lake, tmp_path: Path, name: str) -> None:
    """A file that is none of ours is named by the doctor, disturbs no query, and stays."""
    held = lake.query("SELECT count(*) AS n FROM api_activity").to_pylist()
    stray = first(lake).with_name(name)
    stray.write_text("theirs")

    assert lake.query("SELECT count(*) AS n FROM api_activity").to_pylist() == held
    assert any(name in each.key for each in lake.doctor().findings)
    ocsflake.run(trail(tmp_path), lake)
    assert stray.read_text() == "theirs"


def test_a_file_that_was_half_written_elsewhere(lake: ocsflake.Lake, tmp_path: Path) -> None:
    """What a process left in the private folder is no part of the lake, and no run takes it for one."""
    left = lake.root / ".ocsflake" / "tmp" / "left" / "0-0-0.parquet"  # type: ignore[operator]
    left.parent.mkdir(parents=True)
    left.write_bytes(first(lake).read_bytes()[:100])
    before = objects(lake.root)

    assert lake.doctor().errors == 0
    ocsflake.run(trail(tmp_path), lake)
    assert objects(lake.root) == before
