"""The public API as a caller types it: checked by mypy, never run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, assert_type

from pyspark.sql import DataFrame, SparkSession

import ocsflake
import ocsflake.spark
from ocsflake import alerts, queries
from ocsflake import security_lake as ocsflake_security_lake
from ocsflake.checkpoints import FileCheckpoints, MemoryCheckpoints, S3Checkpoints
from ocsflake.consumers import Destination, Document, Forwarded, OpenSearch, Refusal, Splunk, forward
from ocsflake.events import Events
from ocsflake.lake.report import LakeReport
from ocsflake.lake.storage import Storage
from ocsflake.mapping import EventMap, Expr, Fields, JsonRecords, Mapper, at, when
from ocsflake.model import CheckpointStore, CustomSource, RawBatch, Sink, Source, Split, State
from ocsflake.queries import Query
from ocsflake.registry import Offer, offers
from ocsflake.rejects import read_rejects
from ocsflake.report import Counts, RunReport
from ocsflake.sources.files import FilesSource
from ocsflake.sources.streams import read_batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ocsflake.ocsf import Report
    from ocsflake.pipeline import Progress


def the_main_job() -> None:
    source = ocsflake.source("files", log_type="aws.cloudtrail", uri="logs/*.json.gz")
    assert_type(source, Source)
    assert_type(ocsflake.mapper("aws.cloudtrail"), Mapper)
    lake = ocsflake.Lake("lake")
    assert_type(ocsflake.run(source, lake, checkpoints="checkpoints.db", rejects="rejects"), RunReport)
    assert_type(ocsflake.run([source], lake, checkpoints=MemoryCheckpoints(), since="7d"), RunReport)
    assert_type(ocsflake.replay("rejects", lake), RunReport)
    assert_type(ocsflake.read(source, source, until=datetime.now(UTC)), Events)
    assert_type(ocsflake.__version__, str)


def on_spark(spark: SparkSession, frame: DataFrame, source: Source, lake: ocsflake.Lake) -> None:
    ocsflake.spark.register(spark)
    assert_type(ocsflake.spark.write(source, lake, spark=spark, since="7d"), RunReport)
    named = {"log_type": "aws.cloudtrail", "event_class": "api_activity"}
    assert_type(ocsflake.spark.write(frame, lake, commit="1", **named), RunReport)
    assert_type(ocsflake.spark.map_records(frame, "aws.cloudtrail", event_class="api_activity"), DataFrame)
    ocsflake.spark.write(source, lake, commit="1")  # type: ignore[call-overload]


def a_lake_is_a_sink(lake: ocsflake.Lake) -> Sink:
    return lake


def checkpoints_are_stores() -> list[CheckpointStore]:
    return [FileCheckpoints("checkpoints.db"), MemoryCheckpoints(), S3Checkpoints("s3://bucket/state")]


def a_lake_may_be_in_s3(session: object) -> None:
    sources = [CustomSource("aws_cloudtrail_6003", "api_activity", "s3://bucket/ext/x/", role_arn="arn:aws:iam::…")]
    lake = ocsflake.Lake("s3://bucket", region="eu-west-1", session=session, custom_sources=sources, external_id="x")
    assert_type(lake.min_commit_seconds, float)
    assert_type(lake.storage, Storage)
    ocsflake.run(Complete(), lake, checkpoints="s3://other/state", follow=True, commit_seconds=60, commit_bytes=1)


def files_are_a_source() -> Source:
    files = FilesSource(log_type="aws.cloudtrail", uri="logs/")
    assert_type(files.name, str)
    return files


class Incomplete:
    """Half a source."""

    name = "mine"
    log_type = "acme.audit"

    def read(self, split: Split) -> Iterator[RawBatch]:
        yield RawBatch(b"{}\n", {"page": split.id})


class Complete(Incomplete):
    """A source of somebody else's: it inherits from nothing of ours."""

    def plan(self, state: State | None, now: datetime) -> Iterator[Split]:
        if state is None:
            yield Split(now.isoformat(), {"page": 1}, 100)

    def advance(self, state: State | None, done: Sequence[Split]) -> State:
        return {**(state or {}), "done": [split.id for split in done]}


def anything_complete_is_a_source(lake: ocsflake.Lake) -> None:
    ocsflake.run(Complete(), lake)
    ocsflake.run([Complete(), Complete()], lake)
    ocsflake.run([Incomplete()], lake)  # type: ignore[list-item]


def errors_say_where(error: ocsflake.OcsflakeError) -> None:
    if isinstance(error, ocsflake.SourceError):
        assert_type(error.split, str | None)
    if isinstance(error, ocsflake.UnavailableError):
        assert_type(error.retry_after, float | None)
    if isinstance(error, ocsflake.CheckpointConflictError):
        assert_type(error.path, str)


def plugins_are_listed() -> None:
    for offer in offers():
        assert_type(offer, Offer)
        assert_type(offer.name, str)


def batches(path: str) -> None:
    with open(path, "rb") as file:  # noqa: PTH123
        for batch in read_batches(file, path, origin={"uri": path}):
            assert_type(batch, RawBatch)
    for log_type, batch in read_rejects(path):
        assert_type(log_type, str)
        assert_type(batch, RawBatch)


def security_lake() -> None:
    wanted = ocsflake_security_lake.custom_sources(
        [ocsflake.mapper("aws.cloudtrail")],
        regions=["eu-west-1"],
        provider="2",
        external_id="x",
        crawler_role_arn="arn",
    )
    assert_type(ocsflake_security_lake.plan(wanted), ocsflake_security_lake.Plan)
    assert_type(ocsflake.Lake.security_lake(region="eu-west-1", external_id="x"), ocsflake.Lake)


def told(progress: Progress) -> None:
    assert_type(progress.counts, Counts)
    assert_type(progress.latest, datetime | None)


def a_table_of_ones_own() -> Mapper:
    fields: Fields = {"time": at("when").epoch("s"), "status_id": when(at("ok") == "yes", 1, 2), "severity_id": 1}
    assert_type(at("a").or_(at("b")), Expr)
    return Mapper(
        "acme.x", source_name="acme_x", parse=JsonRecords(), events=[EventMap("authentication", fields=fields)]
    )


def judged(events: Events) -> Report:
    assert_type(queries.failed_sign_ins(days=7), Query)
    return ocsflake.validate(events)


class Printer:
    def send(self, documents: Sequence[Document]) -> Sequence[Refusal]:
        print(len(documents))
        return []


def destinations() -> list[Destination]:
    return [OpenSearch(object()), Splunk("https://splunk.example.com:8088", token=input()), Printer()]


def a_lake_is_told_of(lake: ocsflake.Lake, checkpoints: CheckpointStore) -> None:
    assert_type(lake.report(since="30d"), LakeReport)
    assert_type(lake.report().html, str)
    assert_type(forward(lake.subscribe("https://sqs.example.com/q"), Printer()), Forwarded)
    query = Query("q", "SELECT 1 AS a", key=("a",))
    assert_type(alerts.check(query, lake, send=print, checkpoints=checkpoints), alerts.Checked)
