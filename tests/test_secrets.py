"""Secrets of the clouds, planted in environment, options and addresses, are in nothing that a run writes or says."""

from __future__ import annotations

import json
import logging
import pickle
from typing import TYPE_CHECKING

import pytest

import ocsflake
from ocsflake.errors import OcsflakeError
from ocsflake.lake import Lake
from ocsflake.lake.s3 import S3Storage
from pipeline_logs import bad, record, save

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET = "pl4nted"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": f"{SECRET}-aws-key",
    "AWS_SESSION_TOKEN": f"{SECRET}-aws-token",
    "AZURE_CLIENT_SECRET": f"{SECRET}-azure",
    "AWS_MAX_ATTEMPTS": "1",
}
HUB = f"Endpoint=sb://127.0.0.1/;SharedAccessKeyName=listen;SharedAccessKey={SECRET};EntityPath=logs"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def ours(caplog: pytest.LogCaptureFixture) -> str:
    """What ocsflake logged, with everything that a handler could show."""
    return repr([vars(entry) for entry in caplog.records if entry.name.startswith("ocsflake")])


MADE: dict[str, Callable[[], object]] = {
    "lake": lambda: Lake("s3://bucket/lake", external_id=f"{SECRET}-id", role_arn="arn:aws:iam::111122223333:role/x"),
    "aws.s3_events": lambda: ocsflake.source(
        "aws.s3_events",
        log_type="aws.cloudtrail",
        queue_url=f"{NOWHERE}/111122223333/q",
        role_arn="arn:aws:iam::111122223333:role/x",
        external_id=f"{SECRET}-id",
    ),
    "azure.eventhub": lambda: ocsflake.source("azure.eventhub", log_type="azure.activity", connection_string=HUB),
    "azure.blob": lambda: ocsflake.source(
        "azure.blob",
        log_type="azure.activity",
        uri="https://account.blob.core.windows.net/logs",
        credential=f"sv=2024&sig={SECRET}",
    ),
    "signed URL": lambda: ocsflake.source(
        "azure.blob", log_type="azure.activity", uri=f"https://a.blob.core.windows.net/logs?sv=1&sig={SECRET}"
    ),
    "no key": lambda: ocsflake.source(
        "azure.eventhub", log_type="azure.activity", connection_string=f"SharedAccessKey={SECRET}"
    ),
}


@pytest.mark.parametrize("name", MADE)
def test_what_is_made_does_not_tell(name: str) -> None:
    """Neither the text of a source or a lake, nor its name, nor the error of a wrong one holds a secret."""
    try:
        made = MADE[name]()
    except OcsflakeError as error:
        said = f"{error!r} {error} {vars(error)}"
    else:
        said = f"{made!r} {made} {getattr(made, 'name', '')}"

    assert said
    assert SECRET not in said


def test_a_run_tells_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Lake, rejects, checkpoints, report and log at DEBUG of a run hold no secret that CloudTrail does."""
    caplog.set_level(logging.DEBUG)
    given = {"credentials": {"sessionToken": f"{SECRET}-sts", "accessKeyId": "ASIAEXAMPLE"}}
    records = [record(1, responseElements=given), bad(2) | {"responseElements": given}, record(3, password=SECRET)]
    save(tmp_path / "logs" / "a.json.gz", records)
    (tmp_path / "logs" / "b.json").write_bytes(json.dumps({"Records": [bad(4) | {"password": SECRET}]}).encode())
    source = ocsflake.source("files", log_type="aws.cloudtrail", uri=str(tmp_path / "logs"))
    settings = {"rejects": tmp_path / "rejects", "redact": ["password"]}

    report = ocsflake.run(source, Lake(tmp_path / "lake"), **settings)

    assert (report.counts.written, report.counts.rejects) == (2, 2)
    assert SECRET not in f"{report!r} {report} {report._repr_html_()} {pickle.dumps(report)!r}"
    assert ours(caplog) != "[]"
    assert SECRET not in ours(caplog)
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and "logs" not in path.parts]
    assert len(kept) >= 3
    for path in kept:
        assert SECRET.encode() not in path.read_bytes(), path
    rows = Lake(tmp_path / "lake").query("SELECT * FROM aws_cloudtrail_6003")
    assert SECRET not in repr(rows.to_pylist())
    assert "REDACTED" in repr(rows.to_pylist())


def test_an_endpoint_that_is_not_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What a failing call says, and what it is logged with, holds no credential."""
    import boto3

    caplog.set_level(logging.DEBUG, logger="ocsflake")
    client = boto3.client("s3", region_name="us-east-1", endpoint_url=NOWHERE)
    storage = S3Storage("s3://bucket/lake", region="us-east-1", client=client, sleep=lambda _seconds: None)
    save(tmp_path / "logs" / "a.json.gz", [record(1)])
    source = ocsflake.source("files", log_type="aws.cloudtrail", uri=str(tmp_path / "logs"))

    with pytest.raises(OcsflakeError) as caught:
        ocsflake.run(source, Lake("s3://bucket/lake", storage=storage), rejects=tmp_path / "rejects")
    assert SECRET not in f"{caught.value!r} {caught.value} {vars(caught.value)} {caught.getrepr()}"
    assert SECRET not in ours(caplog)
