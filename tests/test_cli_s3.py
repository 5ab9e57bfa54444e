"""The command line on a lake in S3, with what the environment says of AWS."""

from __future__ import annotations

import gzip
import json
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli_help import COMMAND, process
from pipeline_logs import bad, events, record, rows, save

if TYPE_CHECKING:
    from pathlib import Path

    from cli_help import Done
    from ocsflake.testing.servers import AwsServer


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    save(tmp_path / "logs" / "a.json.gz", [*map(record, range(10)), bad(90)])
    return tmp_path / "logs"


@pytest.fixture
def command(moto: AwsServer) -> list[str]:
    """The command, with an environment that leads to moto."""
    environment = {
        "AWS_ENDPOINT_URL": moto.url,
        "AWS_ACCESS_KEY_ID": moto.access_key,
        "AWS_SECRET_ACCESS_KEY": moto.secret_key,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }
    return ["env", *(f"{name}={value}" for name, value in environment.items()), *COMMAND]


def test_an_archive_that_grows(moto: AwsServer, tmp_path: Path, command: list[str]) -> None:
    """Run after run, objects of today and late ones of days before are read once each; the same keys come again."""
    bucket, rng, client = moto.make_bucket(), random.Random(7), moto.client()
    numbers = iter(range(10_000))
    today = datetime.now(UTC)
    counts = []
    for turn in range(2):
        for place in range(6):
            when = today - timedelta(days=rng.choice([0, 0, 1, 2]), hours=rng.randrange(3))
            account, region = rng.choice(["111122223333", "444455556666"]), rng.choice(["us-east-1", "eu-west-1"])
            day, name = f"{when:%Y/%m/%d}", f"{account}_CloudTrail_{region}_{turn}{place}.json.gz"
            key = f"AWSLogs/{account}/CloudTrail/{region}/{day}/{name}"
            body = gzip.compress(json.dumps({"Records": [record(next(numbers)) for _ in range(5)]}).encode())
            client.put_object(Bucket=bucket, Key=key, Body=body)
        for _ in range(2):
            start = ["run", "aws.s3", "--log-type", "aws.cloudtrail", "--option", f"uri=s3://{bucket}", "--json"]
            done = process(*start, "--lake", str(tmp_path), command=command)
            assert done.code == 0, done.err
            counts.append(json.loads(done.out)["counts"]["written"])

    assert counts == [30, 0] * 2
    assert rows(tmp_path) == events(range(60))


def test_run_and_query(moto: AwsServer, logs: Path, tmp_path: Path, command: list[str]) -> None:
    """A lake in S3 keeps what was read as well, and is queried in the same way."""
    lake = f"s3://{moto.make_bucket()}/lake"

    def run() -> Done:
        start = ["run", "files", "--log-type", "aws.cloudtrail", "--option", f"uri={logs}", "--json"]
        return process(*start, "--lake", lake, "--rejects", str(tmp_path / "rejects"), command=command)

    first, second = run(), run()
    found = process("query", "--lake", lake, "--json", "SELECT count(*) AS n FROM api_activity", command=command)

    assert json.loads(first.out)["counts"]["written"] == 10
    assert json.loads(second.out)["counts"]["written"] == 0
    assert (found.code, found.out, found.err) == (0, '{"n":8}\n', "")


def test_subscribe(moto: AwsServer, tmp_path: Path, command: list[str]) -> None:
    """The events of new objects, Security Lake's own sources among them; what cannot be read is told of again."""
    bucket, sqs = moto.make_bucket(), moto.client("sqs")
    queue = sqs.create_queue(QueueName=bucket)["QueueUrl"]
    row = {"class_uid": 3005, "unmapped": {"a": "b"}, "resources": [{"uid": "arn", "type": None}], "message": None}
    kinds = [("class_uid", pa.int32()), ("unmapped", pa.map_(pa.string(), pa.string()))]
    kinds += [
        ("resources", pa.list_(pa.struct([("uid", pa.string()), ("type", pa.string())]))),
        ("message", pa.string()),
    ]
    pq.write_table(pa.Table.from_pylist([row] * 3, pa.schema(kinds)), tmp_path / "x", compression="gzip")
    native = "aws/CLOUD_TRAIL_MGMT/1.0/region=us-east-1/accountId=123456789012/eventDay=20240101"
    moto.client().put_object(Bucket=bucket, Key=f"{native}/x.gz.parquet", Body=(tmp_path / "x").read_bytes())
    for name in ("x", "gone"):
        detail = {"bucket": {"name": bucket}, "object": {"key": f"{native}/{name}.gz.parquet"}}
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"source": "aws.s3", "detail": detail}))

    done = process("subscribe", f"s3://{bucket}", queue, command=command)

    assert done.objects == [{"class_uid": 3005, "unmapped": {"a": "b"}, "resources": [{"uid": "arn"}]}] * 3
    assert (done.code, done.last) == (1, "objects=1 events=3 failed=1")
    assert f"{native}/gone.gz.parquet: there is no such object" in done.err
    kept = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessagesNotVisible"])
    assert kept["Attributes"]["ApproximateNumberOfMessagesNotVisible"] == "1"


def test_rejects_need_a_folder(logs: Path) -> None:
    """A bucket has no folder for rejects, which is told before anything is read."""
    done = process("run", "files", "--log-type", "aws.cloudtrail", "--option", f"uri={logs}", "--lake", "s3://bucket")

    assert (done.code, done.out) == (2, "")
    assert done.err == "ocsflake: s3://bucket/ has no folder for records that become no event: give --rejects DIR\n"


def test_a_failed_query_says_one_thing(command: list[str]) -> None:
    """A bucket that is not there is told in one line."""
    done = process("query", "--lake", "s3://no-such-bucket", "SELECT 1", command=command)

    assert (done.code, done.out) == (2, "")
    assert done.err == ("ocsflake: s3://no-such-bucket/ext/: there is no such bucket: make it, or correct the name\n")
