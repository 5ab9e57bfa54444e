"""The limits of Security Lake hold whatever the events look like: pages below 1 MB uncompressed."""

from __future__ import annotations

import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lake_events import SCHEMA, T0, event, events
from parquet_pages import pages

from ocsflake.lake.packed import pack
from ocsflake.lake.parquet import ObjectWriter, leaves

MB = 1_000_000


def write(path, batch, step=2_000):
    writer = ObjectWriter(path, batch.schema)
    for start in range(0, batch.num_rows, step):
        writer.write(pack(batch.slice(start, step)))
    writer.close()
    assert writer.rows == batch.num_rows
    return pq.read_metadata(path)


def with_text(texts, **other):
    """Events of a time, a text, and what else is given."""
    columns = {
        "time": pa.array(range(T0, T0 + len(texts)), pa.int64()),
        "api": pa.array([{"data": text} for text in texts], pa.struct([("data", pa.string())])),
        **other,
    }
    return pa.RecordBatch.from_pydict(columns)


def random_text(rng, length):
    return rng.randbytes((length + 1) // 2).hex()[:length]


def nasty(name):
    rng = random.Random(name)
    match name:
        case "values of 8 KB":
            return with_text([random_text(rng, 8_000) for _ in range(3_000)])
        case "values of 900 KB":
            return with_text([random_text(rng, 900_000) for _ in range(12)])
        case "values of 900 KB among small ones":
            return with_text([random_text(rng, 900_000 if n % 50 == 7 else 30) for n in range(500)])
        case "values of 900 KB that repeat":
            values = [random_text(rng, 900_000) for _ in range(3)]
            return with_text([values[n % 3] if n % 100 == 50 else "x" for n in range(2_000)])
        case "values of 200 KB that repeat":
            values = [random_text(rng, 200_000) for _ in range(20)]
            return with_text([values[n % 20] for n in range(1_500)])
        case "values of growing size":
            return with_text([random_text(rng, n * 30) for n in range(4_000)])
        case "texts that are never the same":
            return with_text([random_text(rng, 64) for _ in range(130_000)])
        case "texts that repeat a little":
            return with_text([random_text(random.Random(rng.randrange(30_000)), 40) for _ in range(130_000)])
        case "wide lists":
            lists = [[random_text(rng, 20) for _ in range(rng.randrange(2_000))] for _ in range(300)]
            return with_text([""] * 300, resources=pa.array(lists, pa.list_(pa.string())))
        case "lists of nulls and empty texts":
            lists = [[None, ""] * rng.randrange(2_000) for _ in range(2_000)]
            return with_text([""] * 2_000, resources=pa.array(lists, pa.list_(pa.string())))
        case "wide maps":
            maps = [[(random_text(rng, 30), random_text(rng, 300)) for _ in range(500)] for _ in range(200)]
            return with_text([None] * 200, unmapped=pa.array(maps, pa.map_(pa.string(), pa.string())))
        case "numbers only":
            return pa.RecordBatch.from_pydict({"time": pa.array(range(T0, T0 + 400_000), pa.int64())})
    raise AssertionError(name)


@pytest.mark.parametrize(
    "name",
    [
        "values of 8 KB",
        "values of 900 KB",
        "values of 900 KB among small ones",
        "values of 900 KB that repeat",
        "values of 200 KB that repeat",
        "values of growing size",
        "texts that are never the same",
        "texts that repeat a little",
        "wide lists",
        "lists of nulls and empty texts",
        "wide maps",
        "numbers only",
    ],
)
def test_no_page_is_above_a_megabyte(tmp_path, name):
    path = tmp_path / "x.parquet"
    batch = nasty(name)

    metadata = write(path, batch)

    assert max(page.bytes for page in pages(path)) <= MB
    assert all(
        sum(metadata.row_group(group).column(c).total_compressed_size for c in range(metadata.num_columns)) <= 256 * MB
        for group in range(metadata.num_row_groups)
    )
    assert pq.read_table(path).equals(pa.Table.from_batches([batch]))


def test_a_value_above_a_megabyte_is_alone_in_its_page(tmp_path):
    path = tmp_path / "x.parquet"
    write(path, with_text(["a", "x" * 3 * MB, "b"]))

    large = [page for page in pages(path) if page.bytes > MB]

    assert [page.column for page in large] == ["api.data"]
    assert pq.read_metadata(path).num_row_groups == 3


def test_one_batch_of_any_size_is_cut_like_many(tmp_path):
    path = tmp_path / "x.parquet"
    batch = nasty("texts that repeat a little")

    metadata = write(path, batch, step=batch.num_rows)

    assert max(page.bytes for page in pages(path)) <= MB
    assert metadata.row_group(0).num_rows <= 122_880


def test_events_read_back_as_they_were(tmp_path):
    path = tmp_path / "x.parquet"
    batch = events(3_000)

    write(path, batch, step=700)

    assert pq.read_table(path).equals(pa.Table.from_batches([batch]))


def test_is_zstd_with_statistics_that_tell_something_sorted_by_time_and_without_arrow_s_own_schema(tmp_path):
    path = tmp_path / "x.parquet"

    metadata = write(path, events(1_500))

    group = metadata.row_group(0)
    columns = [group.column(index) for index in range(group.num_columns)]
    assert {column.compression for column in columns} == {"ZSTD"}
    told = {column.path_in_schema for column in columns if column.is_stats_set}
    assert told >= {"time", "class_uid", "cloud.account.uid"}
    assert not any(".list." in path for path in told)
    (sorting,) = group.sorting_columns
    assert columns[sorting.column_index].path_in_schema == "time"
    assert not sorting.descending
    assert metadata.metadata is None
    assert "resources.list.element.uid" in {column.path_in_schema for column in columns}
    assert "unmapped.key_value.key" in {column.path_in_schema for column in columns}


def test_dictionaries_are_for_values_that_repeat_in_objects_worth_it(tmp_path):
    path = tmp_path / "x.parquet"

    def with_dictionary(metadata):
        group = metadata.row_group(0)
        columns = [group.column(index) for index in range(group.num_columns)]
        return {column.path_in_schema for column in columns if column.has_dictionary_page}

    large = with_dictionary(write(path, events(2_000)))

    assert {"api.operation", "cloud.region", "class_uid", "observables.list.element.name"} <= large
    assert not {"metadata.uid", "api.request.data", "time"} & large
    assert not with_dictionary(write(path, events(500)))


@pytest.mark.skipif(
    not hasattr(pq.ColumnChunkMetaData, "bloom_filter_length"), reason="this pyarrow writes no bloom filters"
)
def test_large_objects_have_a_page_index_and_bloom_filters_of_ips_and_ids(tmp_path):
    path = tmp_path / "x.parquet"
    batch = pa.concat_batches([events(2_000)] * 11)

    group = write(path, batch).row_group(0)

    columns = {group.column(index).path_in_schema: group.column(index) for index in range(group.num_columns)}
    bloomed = {path for path, column in columns.items() if column.bloom_filter_length}
    assert {"src_endpoint.ip", "metadata.uid", "actor.user.uid"} <= bloomed
    assert not {"api.operation", "resources.list.element.uid", "class_uid"} & bloomed
    assert columns["time"].has_offset_index
    assert columns["time"].has_column_index


def test_equal_events_give_equal_bytes(tmp_path):
    write(tmp_path / "a.parquet", events(3_000))
    write(tmp_path / "b.parquet", events(3_000))

    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_no_events_make_no_file(tmp_path):
    writer = ObjectWriter(tmp_path / "x.parquet", SCHEMA)
    writer.close()

    assert list(tmp_path.iterdir()) == []


def test_leaves_are_the_columns_of_the_file_in_its_order(tmp_path):
    path = tmp_path / "x.parquet"
    batch = events(10).slice(3, 4)

    metadata = write(path, batch)

    group = metadata.row_group(0)
    expected = [(group.column(n).path_in_schema, group.column(n).num_values) for n in range(group.num_columns)]
    assert [(path, len(array)) for path, array in leaves(batch)] == expected


def test_leaves_of_no_rows_are_empty():
    batch = pa.RecordBatch.from_pylist([], schema=SCHEMA)

    assert {len(array) for _, array in leaves(batch)} == {0}
    assert len(list(leaves(batch))) == len(list(leaves(pa.RecordBatch.from_pylist([event(random.Random(0))], SCHEMA))))
