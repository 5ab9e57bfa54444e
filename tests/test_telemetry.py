"""Spans, metrics and logs of runs."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import ocsflake
from ocsflake.errors import DriftError, SourceError
from pipeline_logs import Parts, bad, record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan

    from ocsflake.model import RawBatch, Split

SECRET = "hunter2-is-no-password"


@pytest.fixture(scope="module")
def exporters() -> tuple[InMemorySpanExporter, InMemoryMetricReader]:
    """Return where the spans and the metrics of this process go; OpenTelemetry allows to say so once."""
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([reader]))
    return spans, reader


@pytest.fixture
def spans(exporters: tuple[InMemorySpanExporter, InMemoryMetricReader]) -> InMemorySpanExporter:
    """Return the spans of one test."""
    exporters[0].clear()
    return exporters[0]


def by_name(spans: InMemorySpanExporter) -> dict[str, list[ReadableSpan]]:
    """The spans that have ended, by their names."""
    found: dict[str, list[ReadableSpan]] = {}
    for each in spans.get_finished_spans():
        found.setdefault(each.name, []).append(each)
    return found


def numbers(reader: InMemoryMetricReader, source: str) -> dict[str, Any]:
    """The metrics of one source, by name."""
    data = reader.get_metrics_data()
    assert data is not None
    return {
        metric.name: point.value
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
        if point.attributes["ocsflake.source"] == source
    }


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    """The attributes of a span."""
    return span.attributes or {}


class TestSpans:
    """A run, its commits, and the splits that they read."""

    def test_a_run(self, spans: InMemorySpanExporter, tmp_path: Path) -> None:
        """A commit is inside its run, a split inside its commit; they hold numbers and names."""
        source = Parts({"a": [record(1, token=SECRET)], "b": [record(2), bad(3)]})
        ocsflake.run(source, ocsflake.Lake(tmp_path / "lake"), rejects=tmp_path / "rejects")

        found = by_name(spans)
        [run], [commit], splits = found["ocsflake.run"], found["ocsflake.commit"], found["ocsflake.split"]
        assert commit.parent == run.context
        assert [split.parent for split in splits] == [commit.context] * 2
        assert attributes(run) == {"ocsflake.sources": ("parts",)}
        assert [dict(attributes(split)) for split in splits] == [
            {"ocsflake.source": "parts", "ocsflake.split": name, "ocsflake.read": 1} for name in "ab"
        ]
        told = attributes(commit)
        assert {name.removeprefix("ocsflake."): value for name, value in told.items()} == {
            "source": "parts",
            "log_type": "aws.cloudtrail",
            "splits": 2,
            "records": 3,
            "events": 2,
            "rejects": 1,
            "duplicates": 0,
            "drifted": 1,
            "read": 2,
            "written": told["ocsflake.written"],
            "commits": 1,
            "failures": 0,
        }
        assert SECRET not in "".join(span.to_json() for span in spans.get_finished_spans())

    def test_an_error(self, spans: InMemorySpanExporter, tmp_path: Path) -> None:
        """A span that ends with an error has its type, and no message, which might quote a record."""
        with pytest.raises(DriftError):
            ocsflake.run(Parts({"a": [record(1, token=SECRET)]}), ocsflake.Lake(tmp_path), max_drift=0)

        found = by_name(spans)
        for span in found["ocsflake.run"] + found["ocsflake.commit"]:
            assert (span.status.is_ok, attributes(span)["error.type"], span.events) == (False, "DriftError", ())
        assert found["ocsflake.split"][0].status.status_code is trace.StatusCode.UNSET

    def test_a_stop(self, spans: InMemorySpanExporter, tmp_path: Path) -> None:
        """To be stopped is no error."""
        stop = threading.Event()

        class Stopping(Parts):
            def read(self, split: Split) -> Iterator[RawBatch]:
                stop.set()
                return super().read(split)

        ocsflake.run(Stopping({"a": [record(1)]}), ocsflake.Lake(tmp_path), stop=stop)

        [commit] = by_name(spans)["ocsflake.commit"]
        assert attributes(commit)["ocsflake.stopped"] is True
        assert commit.status.status_code is trace.StatusCode.UNSET


class TestMetrics:
    def test_a_run(self, exporters: tuple[InMemorySpanExporter, InMemoryMetricReader], tmp_path: Path) -> None:
        """Counters add up over commits, and the lag is the age of the latest event."""
        parts: Any = {
            "a": [record(1, token="x")],
            "b": SourceError("b is broken", source="measured", split="b"),
            "c": [record(2), bad(3)],
        }
        source = Parts(parts, name="measured")
        report = ocsflake.run(
            source,
            ocsflake.Lake(tmp_path / "lake"),
            rejects=tmp_path / "rejects",
            commit_bytes=2,
            now=lambda: datetime(2026, 3, 2, 6, 1, 2, tzinfo=UTC),
        )

        assert numbers(exporters[1], "measured") == {
            "ocsflake.records": 3,
            "ocsflake.events": 2,
            "ocsflake.rejects": 1,
            "ocsflake.drifted": 1,
            "ocsflake.read": 2,
            "ocsflake.written": sum(item.bytes for item in report.objects),
            "ocsflake.commits": 2,
            "ocsflake.failures": 1,
            "ocsflake.lag": 60.0,
        }


class TestLogs:
    def test_a_run(self, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
        """Records of the log have fields; nothing of a record, and no secret, is in them."""
        caplog.set_level(logging.DEBUG, logger="ocsflake")
        parts: Any = {"a": [record(1, token=SECRET)], "b": SourceError("b is broken", source="parts", split="b")}
        ocsflake.run(Parts(parts), ocsflake.Lake(tmp_path))

        [failure, commit, over] = caplog.records
        assert (failure.levelname, failure.__dict__["split"], failure.__dict__["error"]) == (
            "WARNING",
            "b",
            "b is broken",
        )
        fields = commit.__dict__
        assert (commit.levelname, commit.name) == ("INFO", "ocsflake.commits")
        assert (fields["source"], fields["log_type"]) == ("parts", "aws.cloudtrail")
        assert (fields["records"], fields["events"], fields["splits"], fields["drifted"]) == (1, 1, 1, 1)
        assert (fields["seconds"] > 0, over.__dict__["written"], over.__dict__["seconds"] > 0) == (True, 1, True)
        assert SECRET not in "".join(repr(each.__dict__) for each in caplog.records)

    def test_the_command(self, tmp_path: Path) -> None:
        """Who runs the command sees at once what could not be read, without setting up a log."""
        (tmp_path / "a.json.gz").write_bytes(b"\x1f\x8b cut")
        options = ["--log-type", "aws.cloudtrail", "--option", f"uri={tmp_path}", "--lake", str(tmp_path / "lake")]
        command = [sys.executable, "-m", "ocsflake", "run", "files", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)

        assert done.returncode == 1
        assert ": left for the next run: " in done.stderr


def test_without_opentelemetry(tmp_path: Path) -> None:
    """A run needs no OpenTelemetry, and imports none that is there before it runs."""
    code = f"""
import sys
import ocsflake
assert "opentelemetry" not in sys.modules
sys.modules["opentelemetry"] = None
sys.path.insert(0, {str(__file__).rpartition("/")[0]!r})
from pipeline_logs import Parts, record
print(ocsflake.run(Parts({{"a": [record(1)]}}), ocsflake.Lake({str(tmp_path)!r})).counts.written)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("1\n", "")
