"""Events as frames: flat columns for pandas and polars, and Arrow IPC files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars
import pyarrow as pa
import pytest
from lake_of_calls import T0, call, deliveries, lake_of, write

from ocsflake.consumers import flat, write_ipc
from ocsflake.errors import ConfigError, LakeError

if TYPE_CHECKING:
    from pathlib import Path

    from ocsflake.lake import Lake


def events(lake: Lake) -> pa.Table:
    return pa.Table.from_batches([batch for each in deliveries(lake) for batch in each.events()])


def test_flat(tmp_path: Path) -> None:
    """Each leaf is a column; an absent object is null in all of its leaves; lists and maps are JSON."""
    lake = lake_of(tmp_path, "alice")
    write(lake, "second", call("", time=T0 + 1, actor=None, resources=None))
    table = flat(events(lake)).sort_by("time").to_pydict()

    assert table["actor.user.name"] == ["alice", None]
    assert table["cloud.account.uid"] == ["111122223333", "111122223333"]
    assert table["resources"] == ['[{"uid":"r1"}]', None]
    assert table["unmapped"] == ['{"a.b":"1"}', '{"a.b":"1"}']


def test_pandas_and_polars(tmp_path: Path) -> None:
    """Both make a frame of plain columns."""
    table = flat(events(lake_of(tmp_path, "alice", "bob")))

    frames = table.to_pandas(), polars.from_arrow(table)

    for frame in frames:
        assert list(frame["actor.user.name"]) == ["alice", "bob"]
        assert frame.shape == (2, 9)


def test_ipc(tmp_path: Path) -> None:
    """A file has what was written, nested as it is, and can be mapped into memory."""
    lake, path = lake_of(tmp_path / "lake", "alice", "bob"), tmp_path / "events.arrow"
    wanted = events(lake)

    assert write_ipc((batch for each in deliveries(lake) for batch in each.events()), path) == 2
    with pa.memory_map(str(path)) as mapped:
        assert pa.ipc.open_file(mapped).read_all().equals(wanted)
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["events.arrow"]


def test_ipc_of_several_schemas(tmp_path: Path) -> None:
    """Nothing is left behind."""
    tables = [pa.table({"a": [1]}), pa.table({"b": [1]})]

    with pytest.raises(ConfigError, match="several schemas"):
        write_ipc(tables, tmp_path / "events.arrow")
    with pytest.raises(ConfigError, match="no events"):
        write_ipc([], tmp_path / "events.arrow")
    assert list(tmp_path.iterdir()) == []


def test_ipc_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="cannot be written"):
        write_ipc([pa.table({"a": [1]})], tmp_path / "missing" / "events.arrow")
