"""What the footers of objects tell, whoever wrote them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ocsflake.errors import LakeError
from ocsflake.lake.drift import UnmappedPath, unmapped_paths
from ocsflake.lake.footer import MERGED, Footer, footers, read_footer
from ocsflake.lake.storage import DirectoryStorage

if TYPE_CHECKING:
    from pathlib import Path


def write(root: Path, key: str = "x.parquet", **columns: Any) -> None:
    options = columns.pop("options", {})
    (root / key).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), root / key, **options)


def footer(root: Path, **columns: Any) -> Footer:
    write(root, **columns)
    return read_footer(DirectoryStorage(root), "x.parquet")


def test_all_of_it(tmp_path: Path) -> None:
    """The bounds of all row groups, their size before compression, and no metadata among the columns."""
    table = {"other": ["a", "b", "c"], "time": [5, 9, 2], "class_uid": [6003] * 3}

    found = footer(tmp_path, **table, options={"row_group_size": 1})

    about = pq.read_metadata(tmp_path / "x.parquet")
    assert (found.rows, found.first, found.last, found.class_uid) == (3, 2, 9, 6003)
    assert found.decoded_bytes == sum(about.row_group(group).total_byte_size for group in range(3))
    assert found.schema.equals(pa.table(table).schema, check_metadata=True)
    assert set(found.metadata) == {b"ARROW:schema"}
    assert found.made_of == frozenset()


@pytest.mark.parametrize(
    "columns",
    [
        {"other": [1]},
        {"time": ["a"], "class_uid": [1.5]},
        {"time": pa.array([None], pa.int64()), "class_uid": pa.array([None], pa.int32())},
        {"time": pa.array([], pa.int64()), "class_uid": pa.array([], pa.int32())},
        {"time": [1, None], "class_uid": [1, None], "options": {"row_group_size": 1}},
        {"time": [1], "class_uid": [1], "options": {"write_statistics": False}},
    ],
)
def test_what_is_not_told_of_all_rows(columns: dict[str, Any], tmp_path: Path) -> None:
    """One row group that says nothing may hold anything."""
    found = footer(tmp_path, **columns)

    assert (found.first, found.last, found.class_uid) == (None, None, None)


def test_several_classes_are_none(tmp_path: Path) -> None:
    assert footer(tmp_path, class_uid=[1, 2]).class_uid is None


@pytest.mark.parametrize(
    ("text", "names"), [(b'["a", "b", 1]', {"a", "b", "1"}), (b"[]", set()), (b"{}", None), (b"[" * 9_999, None)]
)
def test_what_it_was_made_of(text: bytes, names: set[str] | None) -> None:
    made = Footer(0, 0, pa.schema([]), None, None, None, {MERGED: text})

    if names is not None:
        assert made.made_of == names
    else:
        with pytest.raises(ValueError, match=r"ocsflake\.merged is no list|Expecting"):
            _ = made.made_of


def test_what_is_no_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"nothing")

    with pytest.raises(LakeError, match=r"^x\.parquet is no Parquet that can be read: ") as caught:
        read_footer(DirectoryStorage(tmp_path), "x.parquet")
    assert caught.value.path == "x.parquet"


def test_they_come_in_order(tmp_path: Path) -> None:
    """More than are read at once, and each with its own."""
    storage = DirectoryStorage(tmp_path)
    for number in range(3):
        write(tmp_path, f"{number}.parquet", time=[number])
    items = list(storage.objects("")) * 100

    found = list(footers(storage, iter(items)))

    assert [item for item, _ in found] == items
    assert [each.first for _, each in found] == [0, 1, 2] * 100


MAP = pa.map_(pa.string(), pa.string())
PLACE = "{}region=us-east-1/accountId=1/eventDay={}/{}.parquet"


class TestUnmapped:
    """Which paths of which objects are left over, by the keys of their maps."""

    def test_paths_of_all_objects(self, tmp_path: Path) -> None:
        """By source, class and path, those of most events first, with the first and the last day of each."""
        first = pa.array([[("a", "1"), ("b", "1")], [("a", "2")], None], MAP)
        for location, day, name, columns in (
            ("ext/s/", "20260102", "x", {"class_uid": [6003] * 3, "unmapped": first}),
            ("ext/s/", "20260103", "x", {"class_uid": [6003], "unmapped": first[:1]}),
            ("ext/s/", "20260101", "x", {"class_uid": [6003], "unmapped": pa.array([[("b", "1")]], MAP)}),
            ("ext/s/", "20260101", "y", {"class_uid": [1], "unmapped": pa.array([[("b", "1")]], MAP)}),
            ("ext/r/", "20260101", "x", {"unmapped": pa.array([[("b", "1")]], MAP)}),
            ("", "20260101", "x", {"unmapped": pa.array([[("b", "1")]], MAP)}),
            ("ext/t/", "20260101", "x", {"unmapped": ["text"]}),
            ("ext/t/", "20260101", "y", {"other": ["text"]}),
        ):
            write(tmp_path, PLACE.format(location, day, name), **columns, options={"row_group_size": 1})
        write(tmp_path, "outside.parquet", unmapped=first)

        storage = DirectoryStorage(tmp_path)
        found = unmapped_paths(storage)

        assert found == [
            UnmappedPath("s", "api_activity", "a", 3, "20260102", "20260103"),
            UnmappedPath("s", "api_activity", "b", 3, "20260101", "20260103"),
            UnmappedPath(".", "", "b", 1, "20260101", "20260101"),
            UnmappedPath("r", "", "b", 1, "20260101", "20260101"),
            UnmappedPath("s", "1", "b", 1, "20260101", "20260101"),
        ]
        assert unmapped_paths(storage, since="2026-01-02") == found[:1]

    def test_an_object_that_breaks_off_is_named(self, tmp_path: Path) -> None:
        key = PLACE.format("ext/s/", "20260101", "x")
        write(tmp_path, key, unmapped=pa.array([[("a" * 999, "1")]], MAP), options={"compression": "none"})
        content = (tmp_path / key).read_bytes()
        (tmp_path / key).write_bytes(b"PAR1" + b"\xff" * 900 + content[904:])

        with pytest.raises(LakeError, match=f"^{key} is no Parquet that can be read: ") as caught:
            unmapped_paths(DirectoryStorage(tmp_path))
        assert caught.value.path == key
