"""Writing from executors: the very objects of one machine, whatever fails on the way."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define, field
from spark_help import Fades, Stumbles

import ocsflake
import ocsflake.spark
from ocsflake.checkpoints import MemoryCheckpoints
from ocsflake.errors import ConfigError, DriftError, LakeError, RejectedRecordsError
from pipeline_logs import Overlapping, bad, events, objects, record, rows, save

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pyspark.sql import SparkSession

    from ocsflake.model import Source
    from ocsflake.testing.servers import AwsServer

pytestmark = pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")


def trail(folder: Path) -> Source:
    return ocsflake.source("files", log_type="aws.cloudtrail", uri=str(folder))


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Three files of CloudTrail, of ten records each."""
    for number in range(3):
        save(tmp_path / "logs" / f"{number}.json.gz", map(record, range(number * 10, number * 10 + 10)))
    return tmp_path / "logs"


@define
class Breaks:
    """Checkpoints on a disk that is full from the second save on."""

    left: int = 1
    store: MemoryCheckpoints = field(factory=MemoryCheckpoints)

    def load(self, name: str) -> tuple[dict[str, Any] | None, str | None]:
        return self.store.load(name)

    def save(self, name: str, doc: Mapping[str, Any], revision: str | None) -> str:
        if not self.left:
            raise LakeError("no space is left")
        self.left -= 1
        return self.store.save(name, doc, revision)


class TestSources:
    def test_as_one_machine(self, spark: SparkSession, logs: Path, tmp_path: Path) -> None:
        """The objects are those of `run`, byte for byte, and all of them are in the manifest."""
        wanted = ocsflake.run(trail(logs), ocsflake.Lake(tmp_path / "one"), commit_bytes=1)

        lake = ocsflake.Lake(tmp_path / "many")
        report = ocsflake.spark.write(trail(logs), lake, spark=spark, commit_bytes=1)

        assert objects(tmp_path / "one") == objects(lake.root)
        assert sorted(wanted.objects, key=str) == sorted(report.objects, key=str)
        assert (wanted.counts, wanted.sources[0].splits) == (report.counts, report.sources[0].splits)
        assert (wanted.earliest, wanted.latest) == (report.earliest, report.latest)

    def test_state(self, spark: SparkSession, logs: Path, tmp_path: Path) -> None:
        """The state is that of `run`: each goes on where the other ended."""
        lake = ocsflake.Lake(tmp_path / "lake")
        assert ocsflake.spark.write(trail(logs), lake, spark=spark).counts.written == 30
        assert ocsflake.spark.write(trail(logs), lake).counts.records == 0
        save(logs / "3.json.gz", map(record, range(30, 35)))

        assert ocsflake.run(trail(logs), lake).counts.written == 5
        assert ocsflake.spark.write(trail(logs), lake).counts.records == 0
        assert events(range(35)) == rows(lake.root)

    def test_bounds(self, spark: SparkSession, logs: Path, tmp_path: Path) -> None:
        """Events outside the bounds are counted as filtered."""
        since = datetime(2026, 3, 1, 6, 0, 4, tzinfo=UTC)
        wanted = ocsflake.run(trail(logs), ocsflake.Lake(tmp_path / "one"), since=since)

        report = ocsflake.spark.write(trail(logs), ocsflake.Lake(tmp_path / "many"), spark=spark, since=since)

        assert wanted.counts == report.counts
        assert report.counts.filtered > 0
        assert objects(tmp_path / "one") == objects(tmp_path / "many")

    def test_rejects_and_broken_files(self, spark: SparkSession, logs: Path, tmp_path: Path) -> None:
        """A file that cannot be read is reported and stops no other, and rejects come to the driver, as with `run`."""
        save(logs / "0.json.gz", [bad(90), *map(record, range(10))])
        (logs / "4.json.gz").write_bytes((logs / "1.json.gz").read_bytes()[:-20])
        (logs / "5.json.gz").write_bytes((logs / "2.json.gz").read_bytes()[:-20])
        wanted = ocsflake.run(trail(logs), ocsflake.Lake(tmp_path / "one"), rejects=tmp_path / "rejects-one")

        lake = ocsflake.Lake(tmp_path / "many")
        report = ocsflake.spark.write(trail(logs), lake, spark=spark, rejects=tmp_path / "rejects-many")

        assert len(report.failures) == 2
        assert sorted(wanted.failures, key=str) == sorted(report.failures, key=str)
        assert wanted.counts == report.counts
        assert objects(tmp_path / "one") == objects(lake.root)
        [one], [many] = (
            [(path.relative_to(tmp_path / folder), path.read_bytes()) for path in (tmp_path / folder).rglob("*.jsonl")]
            for folder in ("rejects-one", "rejects-many")
        )
        assert one == many

    def test_refused(self, spark: SparkSession, logs: Path, tmp_path: Path) -> None:
        """Rejects with no place end the call; the other commits count, and nothing is read twice after that."""
        save(logs / "1.json.gz", [bad(90), *map(record, range(10, 20))])
        lake = ocsflake.Lake(tmp_path / "lake")

        with pytest.raises(RejectedRecordsError, match="1 records were rejected and have nowhere to go"):
            ocsflake.spark.write(trail(logs), lake, spark=spark, commit_bytes=1)
        assert events([*range(10), *range(20, 30)]) == rows(lake.root)

        report = ocsflake.spark.write(trail(logs), lake, spark=spark, rejects=tmp_path / "rejects")
        assert (report.counts.written, report.counts.rejects) == (10, 1)
        assert events(range(30)) == rows(lake.root)

    def test_drift(self, spark: SparkSession, logs: Path, tmp_path: Path) -> None:
        """Drift beyond the limit is told as `run` tells it."""
        save(logs / "1.json.gz", [record(10, somethingNew={"a": 1})])

        with pytest.raises(DriftError, match="somethingNew"):
            ocsflake.spark.write(trail(logs), ocsflake.Lake(tmp_path / "lake"), spark=spark, max_drift=0)

    def test_a_task_that_fails_after_its_write(self, spark: SparkSession, logs: Path, tmp_path: Path) -> None:
        """It is run again, puts the same objects, and doubles nothing."""
        ocsflake.run(trail(logs), ocsflake.Lake(tmp_path / "one"), commit_bytes=1)
        lake = Stumbles(ocsflake.Lake(tmp_path / "many"), tmp_path / "attempts")

        report = ocsflake.spark.write(trail(logs), lake, spark=spark, commit_bytes=1)

        assert sorted((tmp_path / "attempts").read_text().split()) == ["0", "0", "0", "1", "1", "1"]
        assert report.counts.written == 30
        assert objects(tmp_path / "one") == objects(tmp_path / "many")

    def test_a_file_that_is_gone_at_the_second_attempt(self, spark: SparkSession, logs: Path, tmp_path: Path) -> None:
        """It is not left out then, since the first may have published it: Spark gives up, the next call mends it."""
        from pyspark.errors import PySparkException

        lake = ocsflake.Lake(tmp_path / "lake")
        stumbles = Stumbles(lake, tmp_path / "attempts")
        with pytest.raises(PySparkException, match="it is gone"):
            ocsflake.spark.write(Fades(trail(logs)), stumbles, spark=spark)
        before = objects(lake.root)
        assert events(range(30)) == rows(lake.root)

        assert ocsflake.spark.write(trail(logs), lake, spark=spark).failures == []
        assert before == objects(lake.root)

    def test_a_driver_that_dies(self, spark: SparkSession, logs: Path, tmp_path: Path) -> None:
        """Its job is done again as it was, though more has come meanwhile."""
        lake, store = ocsflake.Lake(tmp_path / "lake"), Breaks()
        with pytest.raises(LakeError, match="no space"):
            ocsflake.spark.write(trail(logs), lake, spark=spark, checkpoints=store)
        before = objects(lake.root)
        assert events(range(30)) == rows(lake.root)
        store.left = 100
        save(logs / "3.json.gz", map(record, range(30, 35)))
        with pytest.raises(ConfigError, match=r"root was .*lake' and is .*other'"):
            ocsflake.spark.write(trail(logs), ocsflake.Lake(tmp_path / "other"), spark=spark, checkpoints=store)

        report = ocsflake.spark.write(trail(logs), lake, spark=spark, checkpoints=store)

        assert report.counts.written == 35
        assert events(range(35)) == rows(lake.root)
        assert before.items() <= objects(lake.root).items()

    def test_a_run_that_dies(self, spark: SparkSession, logs: Path, tmp_path: Path) -> None:
        """A commit of `run` is finished first."""
        lake, store = ocsflake.Lake(tmp_path / "lake"), Breaks()
        with pytest.raises(LakeError, match="no space"):
            ocsflake.run(trail(logs), lake, checkpoints=store)
        store.left = 100
        save(logs / "3.json.gz", map(record, range(30, 35)))

        report = ocsflake.spark.write(trail(logs), lake, spark=spark, checkpoints=store)

        assert report.counts.written == sum(item.rows for item in report.objects) == 35
        assert events(range(35)) == rows(lake.root)

    def test_what_executors_cannot_read(self, spark: SparkSession, tmp_path: Path) -> None:
        """Queues, splits that overlap and credentials are refused before anything is read."""
        queue = "https://sqs.eu-west-1.amazonaws.com/111122223333/queue"
        lake = ocsflake.Lake(tmp_path / "lake")
        for source, problem in (
            (Overlapping({"a": [record(1)]}), "may give a record in more than one split"),
            (ocsflake.source("aws.s3_events", log_type="aws.cloudtrail", queue_url=queue), "is a queue"),
            (ocsflake.source("aws.s3", log_type="aws.cloudtrail", uri="s3://logs", client=object()), "has a client"),
        ):
            with pytest.raises(ConfigError, match=problem):
                ocsflake.spark.write(source, lake, spark=spark)


def test_s3(
    spark: SparkSession,
    spark_environment: dict[str, str],
    moto: AwsServer,
    logs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Executors read and write S3 with credentials of their own; those of a lake stay here."""
    for name, value in spark_environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)  # the driver lists
    bucket, archive = moto.make_bucket(), moto.make_bucket()
    for path in logs.iterdir():
        moto.session().client("s3").upload_file(str(path), archive, path.name)
    source = ocsflake.source("aws.s3", log_type="aws.cloudtrail", uri=f"s3://{archive}", layout="free")
    lake = ocsflake.Lake(f"s3://{bucket}", session=moto.session())

    report = ocsflake.spark.write(source, lake, spark=spark, commit_bytes=1)

    assert report.counts.written == sum(item.rows for item in report.objects) == 30
    wanted = [(item.key, item.bytes) for item in report.objects]
    assert sorted(wanted) == [(item.key, item.bytes) for item in lake.storage.objects("ext/")]
    assert ocsflake.spark.write(source, lake, spark=spark).counts.records == 0


class TestFrames:
    def read(self, spark: SparkSession, logs: Path) -> Any:
        ocsflake.spark.register(spark)
        options = {"source": "files", "log_type": "aws.cloudtrail", "uri": str(logs), "class": "api_activity"}
        return spark.read.format("ocsflake").options(**options, commit_bytes="1").load()

    def test_write(self, spark: SparkSession, logs: Path, tmp_path: Path) -> None:
        """The events of a frame are those of `run`, and writing them again changes nothing."""
        one, many = ocsflake.Lake(tmp_path / "one"), ocsflake.Lake(tmp_path / "many")
        ocsflake.run(trail(logs), one)
        frame = self.read(spark, logs)

        report = ocsflake.spark.write(
            frame, many, log_type="aws.cloudtrail", event_class="api_activity", commit="first"
        )

        before = objects(many.root)
        query = "SELECT * FROM aws_cloudtrail_6003 ORDER BY metadata.uid"
        assert one.query(query).equals(many.query(query))
        assert {item.key.removeprefix("ext/") for item in report.objects} == before.keys()
        assert report.counts.balanced
        assert report.counts.written == sum(item.rows for item in report.objects) == 24
        ocsflake.spark.write(frame, many, log_type="aws.cloudtrail", event_class="api_activity", commit="first")
        assert before == objects(many.root)

    def test_other_columns(self, spark: SparkSession, logs: Path, tmp_path: Path) -> None:
        """A frame with other columns, or of another type, is refused before it is read."""
        frame, lake = self.read(spark, logs), ocsflake.Lake(tmp_path / "lake")
        for wrong, problem in (
            (frame.drop("time"), "lacks the column 'time'"),
            (frame.withColumnRenamed("time_dt", "time_dtt"), "lacks the column 'time_dt'; did you mean 'time_dtt'"),
            (frame.selectExpr("*", "1 AS extra"), "events have not, the column 'extra'"),
            (frame.withColumn("time", frame["time"].cast("string")), "'time' is of type string; events have bigint"),
        ):
            with pytest.raises(ConfigError, match=problem):
                ocsflake.spark.write(wrong, lake, log_type="aws.cloudtrail", event_class="api_activity", commit="a")
