"""A lake in S3, asked with DuckDB: nothing is downloaded but what the statement reads."""

from __future__ import annotations

import pytest
from attrs import field, frozen
from lake_events import api_activity, events

from ocsflake.errors import ConfigError, LakeError
from ocsflake.lake import Lake


@frozen
class Watched:
    """A storage that notes what is opened."""

    storage: object
    opened: set[str] = field(factory=set)

    def objects(self, prefix):
        return self.storage.objects(prefix)

    def folders(self, prefix):
        return self.storage.folders(prefix)

    def open(self, key):
        self.opened.add(key)
        return self.storage.open(key)


@pytest.fixture(scope="module")
def filled(moto, tmp_path_factory):
    """A roll-up lake in S3, with what was written in two Regions, and the objects of both."""
    target = Lake(f"s3://{moto.make_bucket()}/lake", session=moto.session())
    written = []
    for region in ("us-east-1", "eu-west-1"):
        lake = Lake(tmp_path_factory.mktemp(region), region=region)
        with lake.begin(region) as commit:
            commit.write(api_activity(events(120, accounts=("012345678901", "123456789012"), days=4)))
            written += commit.publish()
        lake.replicate(target)
    return target, written


@pytest.fixture
def watched(filled):
    """The lake, and what it opens."""
    lake, _ = filled
    storage = Watched(lake.storage)
    return Lake(lake.root, session=lake.session, storage=storage), storage.opened


def test_only_objects_of_the_partitions_are_opened(filled, watched):
    """As many objects are read as have the day, the account and the Region that are asked for."""
    lake, opened = watched
    wanted = [i for i in filled[1] if all(part in i.key for part in ("eu-west-1", "accountId=0", "eventDay=20240103"))]

    table = lake.query(
        "SELECT count(metadata.uid) n FROM api_activity"
        " WHERE eventday = $day AND accountid = '012345678901' AND region = 'eu-west-1'",
        {"day": "20240103"},
    )

    assert table.to_pylist() == [{"n": wanted[0].rows}]
    assert opened == {wanted[0].key}
    assert len(filled[1]) == 16


def test_published_queries_leave_days_out_too(filled, watched):
    """The conditions of AWS's own queries, with their functions, are understood: on days, and on times."""
    lake, opened = watched
    database = "amazon_security_lake_glue_db_us_east_1.amazon_security_lake_table_us_east_1_cloud_trail_mgmt_"
    days = (
        "eventDay BETWEEN cast(date_format(TIMESTAMP '2024-01-02 00:00:00' - INTERVAL '1' day, '%Y%m%d') as varchar)"
        " and cast(date_format(TIMESTAMP '2024-01-02 00:00:00', '%Y%m%d') as varchar)"
    )

    first = lake.query(f"SELECT count(*) n FROM {database}1_0 WHERE {days}", dialect="athena")
    of_days = {key[-45:] for key in opened}
    opened.clear()
    second = lake.query(
        f"SELECT count(*) n FROM {database}2_0 WHERE time_dt < TIMESTAMP '2024-01-03 00:00:00'", dialect="athena"
    )

    assert first.equals(second)
    assert {key[-45:] for key in opened} >= of_days
    assert len(of_days) == 8
    assert not any("eventDay=20240104" in key for key in opened)


def test_a_roll_up_lake_is_one(watched):
    """All Regions answer together, and each by itself."""
    lake, _ = watched

    table = lake.query("SELECT region, count(*) n FROM aws_cloudtrail_6003 GROUP BY 1 ORDER BY 1")

    assert table.to_pylist() == [{"region": "eu-west-1", "n": 120}, {"region": "us-east-1", "n": 120}]


def test_only_what_is_named_of_a_struct_is_fetched(moto):
    """One column of a struct takes few of the bytes that all of it takes."""
    bucket = moto.make_bucket()
    with Lake(f"s3://{bucket}", session=moto.session()).begin("c") as commit:
        commit.write(api_activity(events(3_000)))
        commit.publish()

    def fetched(sql):
        sent, client = [], moto.client()
        client.meta.events.register("after-call.s3.GetObject", lambda parsed, **_: sent.append(parsed["ContentLength"]))
        table = Lake(f"s3://{bucket}", client=client).query(sql)
        return table.to_pylist(), sum(sent)

    rows, few = fetched("SELECT count(cloud.region) n, max(cloud.provider) p FROM api_activity")
    _, many = fetched("SELECT max(cloud), max(api), max(metadata), max(actor) FROM api_activity")

    assert rows == [{"n": 3_000, "p": "AWS"}]
    assert few < many / 3


def test_an_object_that_goes_away_while_it_is_read(moto):
    """The error is that of the object, and not what DuckDB and Arrow make of it."""
    bucket = moto.make_bucket()
    lake = Lake(f"s3://{bucket}", session=moto.session())
    with lake.begin("c") as commit:
        commit.write(api_activity(events(5)))
        (written,) = commit.publish()

    @frozen
    class Vanishing(Watched):
        def open(self, key):
            if key in self.opened:
                moto.client().delete_object(Bucket=bucket, Key=key)
            return super().open(key)

    lake = Lake(lake.root, session=lake.session, storage=Vanishing(lake.storage))

    with pytest.raises(LakeError, match=f"{written.key}: there is no such object"):
        lake.query("SELECT max(time) FROM api_activity")


def test_large_row_groups(moto):
    """Structs of more rows than Arrow puts in a batch by itself come whole, and in their rows."""
    batch = events(700).select(["time", "cloud", "actor", "class_uid"])
    lake = Lake(f"s3://{moto.make_bucket()}", session=moto.session())
    with lake.begin("c") as commit:
        for _ in range(200):
            commit.write(api_activity(batch))
        commit.publish()

    table = lake.query("SELECT time, actor.user.name AS name, count(*) n FROM api_activity GROUP BY ALL ORDER BY 1, 2")

    expected = sorted(
        zip(batch["time"].to_pylist(), [a["user"]["name"] for a in batch["actor"].to_pylist()], strict=True)
    )
    assert list(zip(table["time"].to_pylist(), table["name"].to_pylist(), strict=True)) == expected
    assert set(table["n"].to_pylist()) == {200}


def test_nothing_beside_the_lake_can_be_read(watched):
    """Neither the bucket nor this machine."""
    lake, opened = watched

    for what in ("'s3://other/x.parquet'", "read_text('/etc/hostname')", f"read_parquet('{lake.root}x')"):
        with pytest.raises(ConfigError):
            lake.query(f"SELECT * FROM {what}")
    assert all(key.startswith("ext/") for key in opened)
