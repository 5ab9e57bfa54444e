"""Reading into Spark frames: batches, streams, and frames of raw records."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

import ocsflake
import ocsflake.spark
from ocsflake.errors import ConfigError
from ocsflake.spark.frames import fitted
from pipeline_logs import bad, events, objects, record, rows, save

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Three files of CloudTrail, of ten records each."""
    for number in range(3):
        save(tmp_path / "logs" / f"{number}.json.gz", map(record, range(number * 10, number * 10 + 10)))
    return tmp_path / "logs"


def options(logs: Path, event_class: str = "api_activity", **more: str) -> dict[str, str]:
    return {"source": "files", "log_type": "aws.cloudtrail", "uri": str(logs), "class": event_class, **more}


def read(spark: SparkSession, logs: Path, event_class: str = "api_activity", **more: str) -> DataFrame:
    ocsflake.spark.register(spark)
    return spark.read.format("ocsflake").options(**options(logs, event_class, **more)).load()


def uids(frame: DataFrame) -> list[str]:
    return sorted(row[0] for row in frame.select("metadata.uid").collect())


class TestBatches:
    def test_all_columns(self, spark: SparkSession, logs: Path) -> None:
        """A frame has the events of one class, all columns of them; a partition is what `run` commits."""
        source = ocsflake.source("files", log_type="aws.cloudtrail", uri=str(logs))
        wanted = ocsflake.read(source, ocsf_version="1.3.0")["api_activity"].sort_by("time")

        frame = read(spark, logs, ocsf_version="1.3.0", commit_bytes="1")
        found = frame.toArrow().combine_chunks().sort_by("time").to_batches()[0]

        assert frame.rdd.getNumPartitions() == 3
        assert wanted.combine_chunks().to_batches()[0].equals(fitted(found, wanted.schema))

    def test_some_columns(self, spark: SparkSession, logs: Path) -> None:
        """A schema picks columns; one with another column is refused."""
        whole = read(spark, logs).schema
        ours = spark.read.format("ocsflake").options(**options(logs))

        assert ours.schema("time LONG, class_uid INT").load().distinct().count() == 24
        assert len(whole.names) > 10
        with pytest.raises(Exception, match="api_activity has no column 'tme' of type bigint"):
            ours.schema("tme LONG").load().count()

    def test_bounds(self, spark: SparkSession, logs: Path) -> None:
        """Events outside the bounds are left out."""
        frame = read(spark, logs, since="2026-03-01T06:00:04Z", until="2026-03-02T06:00:10Z")

        assert uids(frame) == sorted(f"event-{n}" for n in (5, 6, 7, 8, 12, 13, 16, 17, 20, 21, 25, 28, 2, 3))

    def test_rejects(self, spark: SparkSession, logs: Path) -> None:
        """A record that becomes no event ends the job, or is left out; it can be read with the reason."""
        save(logs / "1.json.gz", [bad(90), *map(record, range(10, 20))])

        with pytest.raises(Exception, match=r"1 records became no event; the first: .*1\.json\.gz: time: "):
            read(spark, logs).count()
        assert read(spark, logs, mode="dropmalformed").count() == 24
        [row] = read(spark, logs, "rejects").collect()
        assert json.loads(row.record)["eventID"] == "event-90"
        assert (row.attribute, row.origin["uri"][-9:]) == ("time", "1.json.gz")

    def test_nothing(self, spark: SparkSession, logs: Path) -> None:
        """A folder without files is a frame without rows."""
        (logs / "empty").mkdir()

        assert read(spark, logs / "empty").count() == 0

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"class": ""}, "needs the options source, log_type and class"),
            ({"class": "api_activty"}, "has no class 'api_activty' in OCSF 1.1.0; did you mean 'api_activity'"),
            ({"log_type": "aws.cloudtrial"}, "did you mean 'aws.cloudtrail'"),
            ({"mode": "permissive"}, "mode 'permissive': give FAILFAST, or DROPMALFORMED"),
            ({"commit_bytes": "1MB"}, "commit_bytes '1MB': give a number of bytes"),
            ({"urii": "x"}, "the source 'files' has no option 'urii'; did you mean 'uri'"),
            (
                {"source": "aws.s3_events", "uri": "", "queue_url": "https://sqs.eu-west-1.amazonaws.com/1/q"},
                "is a queue",
            ),
        ],
    )
    def test_wrong_options(self, spark: SparkSession, logs: Path, changes: dict[str, str], problem: str) -> None:
        """A wrong option is told of before anything is read."""
        given = {name: value for name, value in {**options(logs), **changes}.items() if value}
        ocsflake.spark.register(spark)

        with pytest.raises(Exception, match=problem):
            spark.read.format("ocsflake").options(**given).load().count()


class TestStreams:
    def run(self, spark: SparkSession, logs: Path, tmp_path: Path, **more: str) -> ocsflake.Lake:
        """Bring what is new into a lake, batch by batch, and end."""
        lake = ocsflake.Lake(tmp_path / "lake")
        ocsflake.spark.register(spark)

        def put(frame: DataFrame, number: int) -> None:
            ocsflake.spark.write(
                frame, lake, log_type="aws.cloudtrail", event_class="api_activity", commit=f"trail-{number}"
            )

        stream = spark.readStream.format("ocsflake").options(**options(logs, commit_bytes="1", **more)).load()
        query = stream.writeStream.foreachBatch(put).option("checkpointLocation", str(tmp_path / "checkpoint"))
        query.trigger(availableNow=True).start().awaitTermination()
        return lake

    def test_a_restart(self, spark: SparkSession, logs: Path, tmp_path: Path) -> None:
        """A stream goes on where it ended; a batch that Spark died before it noted is the same when it is repeated."""
        lake = self.run(spark, logs, tmp_path)
        before = objects(lake.root)
        assert events(n for n in range(30) if n % 5 != 4) == rows(lake.root)
        for name in ("0", ".0.crc"):
            (tmp_path / "checkpoint" / "commits" / name).unlink()
        save(logs / "3.json.gz", map(record, range(30, 35)))

        self.run(spark, logs, tmp_path)

        assert events(n for n in range(35) if n % 5 != 4) == rows(lake.root)
        assert before.items() <= objects(lake.root).items()
        assert len(list((tmp_path / "checkpoint" / "commits").glob("[0-9]"))) == 2

    def test_overlaps(self, spark: SparkSession, tmp_path: Path) -> None:
        """A source whose windows overlap is refused."""
        ocsflake.spark.register(spark)
        given = {"source": "aws.cloudtrail_lookup", "log_type": "aws.cloudtrail", "class": "api_activity"}
        query = spark.readStream.format("ocsflake").options(**given, regions="eu-west-1").load().writeStream

        with pytest.raises(Exception, match="its records may come in more than one split"):
            query.format("noop").option("checkpointLocation", str(tmp_path)).start().awaitTermination(60)


class TestMapRecords:
    @pytest.mark.parametrize("kind", ["STRING", "BINARY"])
    def test_records(self, spark: SparkSession, kind: str) -> None:
        """Text and binary are mapped alike, a record or a document in each row; null rows hold none."""
        lines = [json.dumps(record(n)) for n in range(20)] + [json.dumps({"Records": [record(20), record(21)]}), None]
        frame = spark.createDataFrame([(line,) for line in lines], "body STRING").selectExpr(
            f"CAST(body AS {kind}) body"
        )

        found = ocsflake.spark.map_records(frame, "aws.cloudtrail", event_class="api_activity", column="body")

        assert uids(found) == sorted(f"event-{n}" for n in range(22) if n % 5 != 4)

    def test_rejects(self, spark: SparkSession) -> None:
        """Records that become no event end the job, are left out, or are what is asked for."""
        frame = spark.createDataFrame([(json.dumps(bad(1)),), (json.dumps(record(2)),), ("{",)], "value STRING")

        def mapped(event_class: str, **mode: Any) -> DataFrame:
            return ocsflake.spark.map_records(frame, "aws.cloudtrail", event_class=event_class, **mode)

        with pytest.raises(Exception, match="records became no event"):
            mapped("api_activity").count()
        assert uids(mapped("api_activity", mode="DROPMALFORMED")) == ["event-2"]
        assert mapped("rejects").count() == 2

    def test_wrong_column(self, spark: SparkSession) -> None:
        """The column must be there, and hold text or bytes."""
        frame = spark.createDataFrame([(1, "a")], "number INT, value STRING")

        with pytest.raises(ConfigError, match="no column 'valu'; did you mean 'value'"):
            ocsflake.spark.map_records(frame, "aws.cloudtrail", event_class="api_activity", column="valu")
        with pytest.raises(ConfigError, match="'number' is of type int: raw records are text or binary"):
            ocsflake.spark.map_records(frame, "aws.cloudtrail", event_class="api_activity", column="number")


def test_fitted() -> None:
    """Values stay as they are through other units and nullability, nulls and slices included."""
    inner = pa.struct([pa.field("at", pa.timestamp("us", "UTC")), pa.field("n", pa.int32())])
    kind = pa.struct([pa.field("at", pa.timestamp("ms", "UTC")), pa.field("n", pa.int32(), nullable=False)])
    values = [[{"at": 1_000, "n": 1}], None, [], [{"at": None, "n": 2}, {"at": 3_999, "n": 3}], None]
    column = pa.array([[], *values], pa.list_(inner)).slice(1)
    batch = pa.RecordBatch.from_arrays([column, pa.array(range(5))], ["x", "y"])

    found = fitted(batch, pa.schema([pa.field("x", pa.list_(kind))]))

    assert found.schema.field("x").type == pa.list_(kind)
    assert found["x"].cast(pa.list_(pa.struct([("at", pa.int64()), ("n", pa.int32())]))).to_pylist() == [
        [{"at": 1, "n": 1}],
        None,
        [],
        [{"at": None, "n": 2}, {"at": 3, "n": 3}],
        None,
    ]


@pytest.mark.parametrize(
    "call", ["register(None)", "map_records(None, 'aws.cloudtrail', event_class='api_activity')", "write([], None)"]
)
def test_without_pyspark(call: str) -> None:
    """Where PySpark is missing, the error says what to install."""
    code = f"import sys; sys.modules['pyspark'] = None; import ocsflake.spark; ocsflake.spark.{call}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert "MissingExtraError: ocsflake.spark needs PySpark: pip install 'ocsflake[spark]'" in done.stderr
