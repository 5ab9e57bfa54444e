"""A soak: three clouds at once into one lake, by a run that follows, with faults on; and what that takes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from attrs import define, field, frozen
from aws_archive import trail
from gcp_entries import entry

from ocsflake.testing.azure_monitor import LogAnalytics, Row
from ocsflake.testing.faults import FaultProxy, WireProxy
from ocsflake.testing.gcp_pubsub import pubsub_server
from ocsflake.testing.servers import moto_server
from pipeline_logs import bad, record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CHILD = Path(__file__).with_name("soak_child.py")
RATES = {"aws": 700, "azure": 50, "gcp": 250}
"""Events a second."""
_WORKSPACE = "11111111-2222-3333-4444-555555555555"
_SUBSCRIPTION = "projects/p/subscriptions/soak"
_COLUMNS = {"TimeGenerated": "datetime", "OperationNameValue": "string", "EventDataId": "string", "Level": "string"}
_FAULTS = ("limited", "failed", "unavailable", "reset", "lost", "cut", "slow")
_ONE_IN = 30  # requests fail
_WIRE_BYTES = 400_000  # that gRPC sends between two faults of it
_REJECT_EVERY = 1_000
_AGAIN_EVERY = 100


@define
class Sent:
    """What was sent so far."""

    events: int = 0
    rejects: int = 0
    again: int = 0
    faults: int = 0


@frozen
class Soaked:
    """What a soak came to.

    Attributes:
        seconds: How long it went on.
        sent: What was sent.
        found: Events in the lake.
        doubled: Events that are there again.
        rejects: Records that are kept as rejects.
        lags: Seconds from an event to its object: half of the events, 99 % of them, all of them.
        resident: Bytes of memory: the median of the second fifth of the time, and of the last.
        open: Open files, likewise.
        to_stop: Seconds from SIGTERM to the end of the process.
        failures: What the run told of.
    """

    seconds: float
    sent: Sent
    found: int
    doubled: int
    rejects: int
    lags: tuple[float, float, float]
    resident: tuple[float, float]
    open: tuple[float, float]
    to_stop: float
    failures: list[str] = field(factory=list)

    @property
    def lost(self) -> int:
        """Events that are not in the lake."""
        return self.sent.events - (self.found - self.doubled)


def soak(
    seconds: float,
    root: Path,
    *,
    messages: int = RATES["gcp"],
    seed: int = 2026,
    tell: Callable[[str], object] = lambda _: None,
) -> Soaked:
    """Run a soak.

    Args:
        seconds: For how long there are new events.
        root: A folder for the lake.
        messages: Of Pub/Sub, a second.
        seed: Of the faults.
        tell: Hears how far it is.
    """
    rng, sent = Random(seed), Sent()
    with ExitStack() as stack:
        moto = stack.enter_context(moto_server())
        azure = stack.enter_context(LogAnalytics())
        google = stack.enter_context(pubsub_server())
        over_http = [stack.enter_context(FaultProxy(each.url, patience=2)) for each in (moto, azure)]
        over_grpc = stack.enter_context(WireProxy(google.target))
        bucket = moto.make_bucket()
        began = datetime.now(UTC)
        addresses = {
            "aws.s3": {"uri": f"s3://{bucket}", "url": over_http[0].url},
            "azure.monitor": {"url": over_http[1].url, "settle": "2s", "overlap": "10s", "since": began.isoformat()},
            "gcp.pubsub": {"target": over_grpc.target, "subscription": _SUBSCRIPTION},
        }
        azure.add(_WORKSPACE, "AzureActivity", [], _COLUMNS)
        senders = [
            _Aws(moto.client(), bucket, sent, RATES["aws"]).send,
            _Azure(azure, sent, RATES["azure"]).send,
            _Google(google, sent, messages).send,
        ]
        command = [sys.executable, str(CHILD), json.dumps(addresses), str(root)]
        path = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        with (
            (root / "stderr").open("wb") as log,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=path) as process,
        ):
            lines: list[dict[str, Any]] = []
            reader = threading.Thread(target=_read, args=(process, lines))
            reader.start()
            try:
                _feed(seconds, senders, over_http, over_grpc, rng, sent, process, tell, lines)
                to_stop = _drain(process, sent, lines)
            finally:
                process.kill()
            reader.join()
    events, doubled, lags = _found(root / "lake", began)
    rejects = sum(len(path.read_bytes().splitlines()) for path in (root / "rejects").rglob("*.jsonl"))
    steady = [line for line in lines if "resident" in line]
    fifth = max(1, len(steady) // 5)
    early, late = steady[fifth : 2 * fifth], steady[-fifth:]
    return Soaked(
        seconds,
        sent,
        events,
        doubled,
        rejects,
        lags,
        (median(line["resident"] for line in early), median(line["resident"] for line in late)),
        (median(line["open"] for line in early), median(line["open"] for line in late)),
        to_stop,
        next((line["failures"] for line in lines if "failures" in line), ["the run did not end with its report"]),
    )


def _feed(
    seconds: float,
    senders: list[Callable[[datetime], None]],
    over_http: list[FaultProxy],
    over_grpc: WireProxy,
    rng: Random,
    sent: Sent,
    process: subprocess.Popen[bytes],
    tell: Callable[[str], object],
    lines: list[dict[str, Any]],
) -> None:
    """Send what is new each second, and choose the faults of the next requests."""
    armed = [0 for _ in over_http]
    wire = over_grpc.received + _WIRE_BYTES
    start = time.monotonic()
    for second in count():
        if time.monotonic() - start > seconds:
            return
        if process.poll() is not None:
            raise AssertionError("the run ended by itself: see stderr")
        now = datetime.now(UTC)
        for send in senders:
            send(now)
        for place, proxy in enumerate(over_http):
            while armed[place] < len(proxy.requests) + 200:
                armed[place] = max(armed[place], len(proxy.requests)) + rng.randint(1, 2 * _ONE_IN)
                how: Any = "silent" if rng.random() < 0.02 else rng.choice(_FAULTS)
                proxy.fail(how, [armed[place] - len(proxy.requests)])
                sent.faults += 1
        if over_grpc.received > wire:
            wire = over_grpc.received + _WIRE_BYTES
            how = rng.choice(("reset", "cut", "silent", "slow"))
            over_grpc.fail(how, rng.randint(0, _WIRE_BYTES // 2))
            sent.faults += 1
        if second % 30 == 0 and lines:
            last = lines[-1]
            tell(
                f"{second:5} s: {sent.events:,} sent, {last.get('written', 0):,} written, "
                f"{last.get('resident', 0) >> 20} MB, {last.get('open')} files open"
            )
        time.sleep(max(0.0, start + second + 1 - time.monotonic()))


def _drain(process: subprocess.Popen[bytes], sent: Sent, lines: list[dict[str, Any]]) -> float:
    """Wait until all that was sent is written, and end the run; return how long that end took."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and (not lines or lines[-1].get("written", 0) < sent.events):
        time.sleep(0.5)
    begin = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    return time.monotonic() - begin


def _read(process: subprocess.Popen[bytes], lines: list[dict[str, Any]]) -> None:
    lines.extend(map(json.loads, process.stdout or ()))


def _found(root: Path, began: datetime) -> tuple[int, int, tuple[float, float, float]]:
    """Return how many events a lake holds, how many of them are there again, and how late they came."""
    events, seen, ages = 0, list[pa.Array](), list[pa.Array]()
    for path in (root / "ext").rglob("*.parquet"):
        table = pq.ParquetFile(path).read(["metadata.uid", "time"])
        events += table.num_rows
        seen.append(table["metadata"].combine_chunks().field("uid").dictionary_encode().dictionary.cast(pa.string()))
        written = int(path.stat().st_mtime * 1000)
        ages.append(pc.subtract(pa.scalar(written, pa.int64()), table["time"].combine_chunks()))
    distinct = pc.count_distinct(pa.chunked_array(seen)).as_py()
    quantiles = pc.quantile(pa.chunked_array(ages), q=[0.5, 0.99, 1.0]).to_pylist()
    half, most, last = (each / 1000 for each in quantiles)
    return events, events - distinct, (half, most, last)


@define
class _Aws:
    client: Any
    bucket: str
    sent: Sent
    rate: int
    number: int = 0

    def send(self, now: datetime) -> None:
        """Put an object of CloudTrail; one of many records has no time."""
        import gzip

        first, self.number = self.number, self.number + self.rate
        records = [
            record(n, eventTime=f"{now:%Y-%m-%dT%H:%M:%SZ}", eventID=f"aws-{n}") for n in range(first, self.number)
        ]
        broken = [bad(n) for n in range(first, self.number) if n % _REJECT_EVERY == 0]
        body = gzip.compress(json.dumps({"Records": records + broken}).encode(), 1)
        self.client.put_object(Bucket=self.bucket, Key=trail(f"{first:09}", day=f"{now:%Y/%m/%d}"), Body=body)
        self.sent.events += len(records)
        self.sent.rejects += len(broken)


@define
class _Azure:
    server: LogAnalytics
    sent: Sent
    rate: int
    number: int = 0

    def send(self, now: datetime) -> None:
        """Add rows to a table."""
        first, self.number = self.number, self.number + self.rate
        values: list[Mapping[str, Any]] = [
            {
                "TimeGenerated": f"{now:%Y-%m-%dT%H:%M:%S.%f}Z",
                "OperationNameValue": "MICROSOFT.COMPUTE/VIRTUALMACHINES/WRITE",
                "EventDataId": f"azure-{n}",
                "Level": "Informational",
            }
            for n in range(first, self.number)
        ]
        self.server.add(_WORKSPACE, "AzureActivity", [Row(each, now) for each in values], _COLUMNS)
        self.sent.events += len(values)


@define
class _Google:
    server: Any
    sent: Sent
    rate: int
    number: int = 0

    def send(self, now: datetime) -> None:
        """Publish entries, a few of them twice."""
        text = f"{now:%Y-%m-%dT%H:%M:%S.%f}Z"
        first, self.number = self.number, self.number + self.rate
        for n in range(first, self.number):
            data = json.dumps(entry(n, insertId=f"gcp-{n}", timestamp=text, receiveTimestamp=text)).encode()
            for _ in range(1 + (n % _AGAIN_EVERY == 0)):
                self.server.publish(_SUBSCRIPTION, data, published=now)
            self.sent.again += n % _AGAIN_EVERY == 0
        self.sent.events += self.rate
