"""Measure what it costs to take the rows of a Log Analytics answer: the client's row objects, and ours.

    python benchmarks/azure_rows.py [--rows 100000] [--rounds 3]

Both ask the same stand-in, a process of its own, by the same client. Prints the CPU time of this process, the median of
rounds that alternate. Exits with 1 if ours is not at least 5 times as cheap.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ocsflake.sources.azure._log_analytics import ask, record_batches
from ocsflake.testing.azure_monitor import LogAnalytics, Row

if TYPE_CHECKING:
    from collections.abc import Callable

GATE = 5.0
WORKSPACE = "11111111-2222-3333-4444-555555555555"
INGESTED = datetime(2026, 3, 2, tzinfo=UTC)
COLUMNS = {
    "TimeGenerated": "datetime",
    "TenantId": "guid",
    "OperationNameValue": "string",
    "CallerIpAddress": "string",
    "Level": "string",
    "Properties": "dynamic",
    "DurationMs": "long",
    "Score": "real",
    "Ok": "bool",
    "EventSubmissionTimestamp": "datetime",
    "EventDataId": "string",
}


def row(number: int) -> dict[str, Any]:
    """Return the values of a row of AzureActivity."""
    return {
        "TimeGenerated": f"2026-03-02T00:{number // 60 % 60:02d}:{number % 60:02d}.{number % 10**7:07d}Z",
        "TenantId": WORKSPACE,
        "OperationNameValue": "MICROSOFT.COMPUTE/VIRTUALMACHINES/WRITE",
        "CallerIpAddress": f"192.0.2.{number % 256}",
        "Level": "Informational",
        "Properties": json.dumps({"statusCode": "Created", "serviceRequestId": str(number), "nested": {"a": [1, 2]}}),
        "DurationMs": number,
        "Score": number / 3,
        "Ok": number % 2 == 0,
        "EventSubmissionTimestamp": f"2026-03-02T00:{number // 60 % 60:02d}:{number % 60:02d}.1234567Z",
        "EventDataId": f"event-{number}",
    }


def serve(rows: int, pipe: Any) -> None:
    with LogAnalytics() as server:
        server.add(WORKSPACE, "AzureActivity", [Row(row(number), INGESTED) for number in range(rows)], COLUMNS)
        pipe.send(server.url)
        pipe.recv()


def by_objects(client: Any) -> int:
    answer = client.query_workspace(WORKSPACE, "AzureActivity", timespan=None)
    return sum(1 for table in answer.tables for found in table.rows if found["EventDataId"])


def by_json(client: Any) -> int:
    answer = ask(client, WORKSPACE, "AzureActivity", per_second=1e6)
    return sum(len(records) for records, _ in record_batches(answer))


def seconds(work: Callable[[Any], int], client: Any, rows: int) -> float:
    """Return the CPU time of taking all rows."""
    started = time.process_time()
    if work(client) != rows:
        raise SystemExit(f"{work.__name__} did not get {rows:,} rows")
    return time.process_time() - started


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=serve, args=(given.rows, theirs))
    process.start()
    client = LogAnalytics.client_of(ours.recv())
    times: dict[str, list[float]] = {"row objects": [], "JSON rows": []}
    for _ in range(given.rounds):
        times["row objects"].append(seconds(by_objects, client, given.rows))
        times["JSON rows"].append(seconds(by_json, client, given.rows))
    ours.send("done")
    process.join()
    medians = {name: statistics.median(found) for name, found in times.items()}
    for name, median in medians.items():
        print(f"{name:12} {median:6.2f} s CPU, {median / given.rows * 1e6:6.1f} us a row")
    ratio = medians["row objects"] / medians["JSON rows"]
    held = ratio >= GATE
    print(f"{ratio:.1f} times as cheap; at least {GATE:g} is due: {'held' if held else 'MISSED'}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
