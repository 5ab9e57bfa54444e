"""Datasets over a storage: one for each schema, read where a filter lets it, and no exception in the hands of Arrow."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from lake_events import api_activity, events

from ocsflake.errors import LakeError
from ocsflake.lake import Lake
from ocsflake.lake.dataset import _Quiet, datasets, scanner
from ocsflake.lake.reading import reading
from ocsflake.model import EventBatch

PRODUCT = "struct<name: string, vendor_name: string, version: string, feature: struct<name: string>>"
CLOUD = "struct<provider: string, region: string, account: struct<uid: string, type: string>>"


def fill(lake, *batches):
    with lake.begin("c") as commit:
        for batch in batches:
            commit.write(batch)
        return commit.publish()


def objects(lake):
    return list(lake.storage.objects("ext/"))


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path)


def test_partitions_are_columns_of_text(lake):
    fill(lake, api_activity(events(20, accounts=("012345678901",), days=2)))

    (dataset,) = datasets(lake.storage, objects(lake), [])

    assert dataset.schema.names[-3:] == ["region", "accountid", "eventday"]
    table = dataset.to_table(columns=["region", "accountid", "eventday"], filter=pc.field("eventday") == "20240102")
    assert table.schema.types == [pa.string()] * 3
    assert set(map(tuple, map(dict.values, table.to_pylist()))) == {("us-east-1", "012345678901", "20240102")}


def test_each_schema_has_its_own(lake):
    other = EventBatch("x", "aws_cloudtrail", "authentication", events(2).select(["time", "cloud"]))
    fill(lake, api_activity(events(3, days=2)), other)

    found = datasets(lake.storage, objects(lake), [])

    assert sorted(dataset.count_rows() for dataset in found) == [2, 3]


def test_no_objects(lake):
    assert datasets(lake.storage, objects(lake), []) == []


def test_an_object_that_is_no_parquet_is_named(lake):
    (written,) = fill(lake, api_activity(events(3)))
    (lake.root / written.key).write_bytes(b"not")

    with pytest.raises(LakeError, match=f"{written.key} is no Parquet"):
        datasets(lake.storage, objects(lake), [])


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("SELECT 1 FROM x", {}),
        ("SELECT TIME FROM x", {"time": "int64"}),
        ("SELECT time FROM x WHERE eventday = '1'", {"time": "int64"}),
        ("SELECT metadata.uid FROM x", {"metadata": "struct<uid: string>"}),
        ("SELECT x.Metadata.Product.name FROM x", {"metadata": "struct<product: struct<name: string>>"}),
        ("SELECT metadata.uid, metadata.product FROM x", {"metadata": f"struct<uid: string, product: {PRODUCT}>"}),
        ("SELECT cloud FROM x", {"cloud": CLOUD}),
        ("SELECT cloud, cloud.region FROM x", {"cloud": CLOUD}),
        ("SELECT cloud.nothing FROM x", {"cloud": CLOUD}),
        ("SELECT uid FROM x", {}),
    ],
)
def test_parts_that_a_statement_names_are_read(lake, sql, columns):
    """And always the partitions; of a struct only those fields, unless all of it is read, or none is there."""
    fill(lake, api_activity(events(3)))
    (dataset,) = datasets(lake.storage, objects(lake), [])

    found = scanner(dataset, reading(sql)).projected_schema

    assert {field.name: str(field.type) for field in found} == {
        **dict.fromkeys(("region", "accountid", "eventday"), "string"),
        **columns,
    }
    assert scanner(dataset, reading("SELECT * FROM x")).projected_schema.names[3:] == dataset.schema.names[:-3]


class TestFiles:
    """What Arrow's own threads do, done in this one."""

    def test_they_can_be_read_anywhere(self, lake):
        (written,) = fill(lake, api_activity(events(3)))
        errors = []
        (dataset,) = datasets(lake.storage, objects(lake), errors)

        with dataset.filesystem.open_input_file(written.key) as file:
            assert file.size() == written.bytes
            file.seek(written.bytes - 4)
            assert (file.read(4), file.tell()) == (b"PAR1", written.bytes)
            assert file.closed is False
        assert errors == []

    def test_one_is_a_file_like_any(self):
        """It goes where it is told, and what is closed is closed below as well."""
        below, errors = io.BytesIO(b"0123456789"), []
        file = _Quiet(below, errors)

        assert (file.readable(), file.seekable()) == (True, True)
        assert (file.seek(2), file.read(3), file.tell()) == (2, b"234", 5)
        assert (file.seek(1, io.SEEK_CUR), file.read(1)) == (6, b"6")
        assert (file.seek(-2, io.SEEK_END), file.read(9), file.read(9)) == (8, b"89", b"")
        file.close()
        assert (file.closed, below.closed, errors) == (True, True, [])

    def test_one_that_is_gone_is_noted_and_empty(self, lake):
        (written,) = fill(lake, api_activity(events(3)))
        errors = []
        (dataset,) = datasets(lake.storage, objects(lake), errors)
        (lake.root / written.key).unlink()

        with dataset.filesystem.open_input_file(written.key) as file:
            assert file.read() == b""
        assert [type(error) for error in errors] == [LakeError]

    def test_one_that_cannot_be_read_is_noted_and_ends_there(self, moto):
        bucket = moto.make_bucket()
        lake = Lake(f"s3://{bucket}", session=moto.session())
        (written,) = fill(lake, api_activity(events(2_000)))
        errors = []
        (dataset,) = datasets(lake.storage, objects(lake), errors)

        with dataset.filesystem.open_input_file(written.key) as file:
            moto.client().put_object(Bucket=bucket, Key=written.key, Body=b"short")
            assert file.read(1_000) == b""
        assert "is not what it was" in str(errors[0])
