"""What a value shows of itself in a notebook or a traceback: what it is, on one line, and nothing of any log."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

import ocsflake
from ocsflake import registry, samples
from ocsflake.mapping import EventMap, JsonRecords, Mapper, at, when
from ocsflake.model import RawBatch

if TYPE_CHECKING:
    from pathlib import Path

    from ocsflake.model import Source

SECRET = "c2VjcmV0LWtleQ=="
OPTIONS: dict[str, dict[str, Any]] = {
    "files": {"uri": "/logs"},
    "aws.s3": {"uri": "s3://bucket", "external_id": SECRET},
    "aws.s3_events": {"queue_url": "https://sqs.eu-west-1.amazonaws.com/111122223333/trail", "external_id": SECRET},
    "azure.blob": {"uri": "https://account.blob.core.windows.net/logs", "credential": SECRET},
    "azure.eventhub": {
        "connection_string": f"Endpoint=sb://x.example.com/;SharedAccessKeyName=n;SharedAccessKey={SECRET};EntityPath=e"
    },
    "azure.monitor": {"workspace": "00000000-0000-0000-0000-000000000000", "credential": SECRET},
    "gcp.gcs": {"uri": "gs://bucket"},
    "gcp.logging": {"resource": "projects/p"},
    "gcp.pubsub": {"subscription": "projects/example/subscriptions/siem"},
    "gcp.scc": {"resource": "organizations/1"},
}
MAPPER = Mapper(
    "acme.vpn",
    source_name="acme_vpn",
    parse=JsonRecords(),
    events=[EventMap("authentication", fields={"time": at("when"), "status_id": when(at("ok") == "yes", 1, 2)})],
)


@pytest.fixture(scope="module")
def source() -> Source:
    return ocsflake.source("files", log_type="aws.vpc_flow", uri=str(samples.files("aws.vpc_flow")[0].parent))


def test_mapping() -> None:
    """A mapper shows its classes, a table its size, an expression what it reads."""
    assert repr(MAPPER) == "<Mapper acme.vpn: authentication>"
    assert repr(MAPPER.events[0]) == "<EventMap authentication: 2 attributes>"
    assert repr(at("a.b").or_(at("c"))) == "a.b or c"


def test_records_and_events(source: Source) -> None:
    """Batches show how many there are, and none of them."""
    raw = RawBatch(b'{"password": "hunter2"}')
    mapped = ocsflake.mapper("aws.vpc_flow").map(
        next(iter(source.read(next(iter(source.plan(None, datetime.now(UTC)))))))
    )

    assert repr(raw) == "<RawBatch: 23 bytes>"
    assert repr(RawBatch([b"hunter2", b"x"])) == "<RawBatch: 2 records>"
    assert re.fullmatch(r"<Mapped: \d+ records, network_activity \d+, 0 rejects>", repr(mapped))
    assert re.fullmatch(r"<EventBatch network_activity of aws.vpc_flow: \d+ events>", repr(mapped.batches[0]))
    assert "hunter2" not in repr(ocsflake.mapper("aws.cloudtrail").map(raw))


def test_a_lake_and_what_it_says(source: Source, tmp_path: Path) -> None:
    """Lake, reports, usage and findings are one line each."""
    lake = ocsflake.Lake(tmp_path)
    report = ocsflake.run(source, lake)
    events = ocsflake.read(source)

    assert repr(lake) == f"Lake(root='{tmp_path}', region='us-east-1', ocsf_version='1.1.0', naming='log_type')"
    assert re.fullmatch(r"<RunReport: \d+ records, \d+ events in \d+ objects, 0 rejects, 0 failures>", repr(report))
    assert re.fullmatch(r"<Events network_activity: \d+; 0 rejects>", repr(events))
    assert re.fullmatch(r"<Report: \d+ events, 0 invalid>", repr(ocsflake.validate(events)))
    assert re.fullmatch(r"<Usage: .* events>", repr(lake.usage()))
    assert re.fullmatch(r"<Diagnosis: objects=\d+ .*>", repr(lake.doctor()))
    assert re.fullmatch(r"<LakeReport of .*>", repr(lake.report()))


@pytest.mark.parametrize("name", OPTIONS)
def test_sources(name: str) -> None:
    """A source shows where it reads, and no credential."""
    log_type = {"azure": "azure.activity", "gcp": "gcp.audit"}.get(name.partition(".")[0], "aws.cloudtrail")
    shown = repr(registry.source(name, log_type="gcp.scc" if name == "gcp.scc" else log_type, **OPTIONS[name]))

    assert shown.startswith(("S3", "Azure", "Files", "Gcs", "Logging", "PubSub", "Scc"))
    assert SECRET not in shown
    assert "_name" not in shown
