"""AWS, Azure and Google Cloud at once: one read, one run, one report, and questions over all of them."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import ocsflake
from ocsflake.testing.azure_monitor import LogAnalytics, Row
from ocsflake.testing.gcp_logging import logging_server
from pipeline_logs import record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ocsflake.model import Source
    from ocsflake.testing.servers import AwsServer

NOW = datetime.now(UTC)
WORKSPACE = "11111111-2222-3333-4444-555555555555"
PROJECT = "example-shop-prod"
COLUMNS = {"TimeGenerated": "datetime", "OperationNameValue": "string", "EventDataId": "string", "Level": "string"}
WORDS = {"OperationNameValue": "MICROSOFT.COMPUTE/VIRTUALMACHINES/WRITE", "Level": "Informational"}


@pytest.fixture
def sources(moto: AwsServer) -> Iterator[list[Source]]:
    """An archive of CloudTrail, a workspace of Log Analytics and a project's audit logs, of a few records each."""
    bucket, client = moto.make_bucket(), moto.client()
    for number in range(2):
        body = gzip.compress(json.dumps({"Records": [record(2 * number), record(2 * number + 1)]}).encode())
        key = f"AWSLogs/111122223333/CloudTrail/eu-west-1/2026/03/0{number + 1}/{number}.json.gz"
        client.put_object(Bucket=bucket, Key=key, Body=body)
    with LogAnalytics() as azure, logging_server() as google:
        when = NOW - timedelta(hours=2)
        values = [
            {"TimeGenerated": f"{when:%Y-%m-%dT%H:%M:%S}.1234567Z", "EventDataId": f"azure-{n}", **WORDS}
            for n in range(3)
        ]
        azure.add(WORKSPACE, "AzureActivity", [Row(each, when) for each in values], COLUMNS)
        google.entries += [audit_entry(number, when) for number in range(4)]
        yield [
            ocsflake.source("aws.s3", log_type="aws.cloudtrail", uri=f"s3://{bucket}", client=client),
            ocsflake.source(
                "azure.monitor", log_type="azure.activity", workspace=WORKSPACE, since="7d", client=azure.client()
            ),
            ocsflake.source(
                "gcp.logging",
                log_type="gcp.audit",
                resource=f"projects/{PROJECT}",
                since="7d",
                client=google.client(),
                requests_per_minute=6000,
            ),
        ]


def audit_entry(number: int, when: datetime) -> dict[str, Any]:
    """Return an entry of Google's audit logs."""
    return {
        "protoPayload": {
            "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
            "authenticationInfo": {"principalEmail": "alice@example.com"},
            "requestMetadata": {"callerIp": "203.0.113.10"},
            "serviceName": "storage.googleapis.com",
            "methodName": "storage.objects.get",
            "resourceName": f"projects/_/buckets/media/objects/clip-{number}",
        },
        "insertId": f"google-{number}",
        "resource": {"type": "gcs_bucket", "labels": {"project_id": PROJECT}},
        "timestamp": f"{when:%Y-%m-%dT%H:%M:%S}.123456789Z",
        "receiveTimestamp": f"{when:%Y-%m-%dT%H:%M:%S}.987654321Z",
        "severity": "INFO",
        "logName": f"projects/{PROJECT}/logs/cloudaudit.googleapis.com%2Fdata_access",
    }


def test_one_run(sources: list[Source], tmp_path: Path) -> None:
    """One run takes from all three, one report tells of each, a second run writes nothing; one query sees all."""
    lake = ocsflake.Lake(tmp_path / "lake")

    report = ocsflake.run(sources, lake, rejects=tmp_path / "rejects")
    again = ocsflake.run(sources, lake, rejects=tmp_path / "rejects")

    assert [(each.log_type, each.counts.mapped) for each in report.sources] == [
        ("aws.cloudtrail", 4),
        ("azure.activity", 3),
        ("gcp.audit", 4),
    ]
    assert report.counts.written == 11
    assert (report.counts.rejects, report.failures, again.counts.written) == (0, [], 0)
    found = lake.query("SELECT cloud.provider AS cloud, count(*) AS n FROM api_activity GROUP BY 1 ORDER BY 1")
    assert {row["cloud"] for row in found.to_pylist()} == {"AWS", "Azure", "GCP"}


def test_one_read(sources: list[Source]) -> None:
    """The same in memory, without a lake."""
    found = ocsflake.read(*sources)

    assert sum(table.num_rows for table in found.values()) == 11
    clouds = found.query("SELECT DISTINCT cloud.provider AS cloud FROM api_activity ORDER BY 1").to_pylist()
    assert [row["cloud"] for row in clouds] == ["AWS", "Azure", "GCP"]
