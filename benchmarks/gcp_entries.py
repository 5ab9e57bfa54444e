"""What an entry of Cloud Logging costs to read: CPU of the client alone, by transport.

    python benchmarks/gcp_entries.py [--entries 20000] [--rounds 3]

The stand-in of `ocsflake.testing.gcp_logging` gives the same audit entries, in pages of 1000, over HTTP and over gRPC,
from a process of its own. *list_entries* is what google-cloud-logging does by default: gRPC, and an object an entry.
Exits with 1 unless the source reads over HTTP at a fifth of that, or less.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any

from ocsflake.sources.gcp.logging import LoggingSource
from ocsflake.testing.gcp_logging import LoggingServer, logging_server

if TYPE_CHECKING:
    from collections.abc import Callable

GATE = 5
START = datetime(2026, 11, 17, tzinfo=UTC)


def entry(number: int) -> dict[str, Any]:
    """Return an audit entry of some 1,700 bytes, as Compute Engine writes them."""
    when = f"{START + timedelta(seconds=number):%Y-%m-%dT%H:%M:%S}.{number % 1000:03d}456789Z"
    name = f"projects/p/zones/europe-west1-b/instances/web-{number}"
    payload = {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "status": {},
        "authenticationInfo": {
            "principalEmail": f"user{number % 50}@example.com",
            "principalSubject": f"user:{number}",
        },
        "requestMetadata": {
            "callerIp": f"192.0.2.{number % 250}",
            "callerSuppliedUserAgent": "google-cloud-sdk gcloud/545.0.0 command/gcloud.compute.instances,gzip(gfe)",
            "requestAttributes": {"time": when, "auth": {}},
            "destinationAttributes": {},
        },
        "serviceName": "compute.googleapis.com",
        "methodName": "v1.compute.instances.insert",
        "authorizationInfo": [
            {
                "permission": f"compute.instances.{verb}",
                "granted": True,
                "resource": name,
                "resourceAttributes": {"service": "compute", "name": name, "type": "compute.instances"},
            }
            for verb in ("create", "setMetadata", "setLabels")
        ],
        "resourceName": name,
        "request": {
            "name": f"web-{number}",
            "machineType": "projects/p/zones/europe-west1-b/machineTypes/e2-medium",
            "disks": [{"type": "PERSISTENT", "boot": True, "autoDelete": True}],
            "@type": "type.googleapis.com/compute.instances.insert",
        },
    }
    return {
        "protoPayload": payload,
        "insertId": f"id{number:09d}",
        "resource": {
            "type": "gce_instance",
            "labels": {"instance_id": str(2**62 + number), "project_id": "p", "zone": "europe-west1-b"},
        },
        "timestamp": when,
        "severity": "NOTICE",
        "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity",
        "receiveTimestamp": when,
    }


def serve(entries: int, pipe: Any) -> None:
    """Run the stand-in until the other side hangs up."""
    with logging_server() as server:
        server.entries += map(entry, range(entries))
        pipe.send((server.url, server.target))
        pipe.recv()


def listed(server: LoggingServer) -> int:
    """Return how many entries ``list_entries`` of the default transport yields."""
    from google.cloud.logging_v2 import _gapic

    client = server.client()
    client._logging_api = _gapic._LoggingAPI(server.grpc_client(), client)  # without TLS and credentials
    found = client.list_entries(
        resource_names=["projects/p"], filter_='timestamp>="2026-11-01T00:00:00Z"', page_size=1000
    )
    return sum(1 for _ in found)


def read(client: Any) -> int:
    """Return how many entries the source reads."""
    since, now = "2026-11-17T00:00", START + timedelta(hours=12)
    source = LoggingSource(
        log_type="gcp.audit", resource="projects/p", since=since, client=client, requests_per_minute=1e9
    )
    return sum(len(raw.records) for split in source.plan(None, now) for raw in source.read(split))


def cost(do: Callable[[], int], entries: int) -> float:
    """Return microseconds of CPU an entry."""
    before = time.process_time()
    if do() != entries:
        raise SystemExit("entries are missing")
    return (time.process_time() - before) / entries * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(given.entries, theirs), daemon=True)
    process.start()
    server = LoggingServer(*ours.recv())
    ways: dict[str, Callable[[], int]] = {
        "list_entries, gRPC": lambda: listed(server),
        "gcp.logging, transport=grpc": lambda: read(server.grpc_client()),
        "gcp.logging": lambda: read(server.client()),
    }
    costs: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(given.rounds + 1):
        for name, do in ways.items():
            spent = cost(do, given.entries)
            if number:  # the first time imports what it needs
                costs[name].append(spent)
    ours.send("done")
    usual = median(costs["list_entries, gRPC"])
    print(f"{'us/entry':>9}{'times':>7}")
    for name, spent in costs.items():
        print(f"{median(spent):>9.1f}{usual / median(spent):>7.1f}  {name}")
    ratio = usual / median(costs["gcp.logging"])
    print(f"\n{ratio:.1f} times less CPU than the default; the gate is {GATE}: {'held' if ratio >= GATE else 'missed'}")
    sys.exit(ratio < GATE)


if __name__ == "__main__":
    main()
