"""What the campaigns try: every source by the client of its vendor, and what serves it, with faults on the way.

A subject is two things that know each other by an address alone, so that the source may be in another process.
"""

from __future__ import annotations

import functools
import gc
import json
import os
import subprocess
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

from attrs import evolve, field, frozen
from aws_api_cases import CASES, ROLE, Case
from aws_archive import packed, trail
from gcp_entries import entry

import ocsflake
from ocsflake.testing.aws_apis import AwsApisServer
from ocsflake.testing.azure_eventhub import EventHub
from ocsflake.testing.azure_monitor import LogAnalytics, Row
from ocsflake.testing.azurite import AzuriteServer, azurite_server, install_azurite
from ocsflake.testing.faults import FaultProxy, WireProxy
from ocsflake.testing.gcp_logging import logging_server
from ocsflake.testing.gcp_pubsub import pubsub_server
from ocsflake.testing.gcp_scc import scc_server
from ocsflake.testing.gcp_storage import storage_server
from ocsflake.testing.google_workspace_reports import reports_server
from ocsflake.testing.servers import AwsServer, moto_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from ocsflake.model import Source

    Address = Mapping[str, str]

FIRST = datetime(2026, 11, 17, 9, tzinfo=UTC)
"""When the first record was."""
NOW = FIRST + timedelta(hours=3, minutes=5)
"""When a run is that takes all of them."""
RECORDS = 24
FAULTS = ("429", "500", "503", "reset", "answer lost", "timeout", "truncated", "expired token", "slow")
"""Ways in which one call fails."""

_ACCOUNT = "111122223333"
_WORKSPACE = "11111111-2222-3333-4444-555555555555"
_COLUMNS = {"TimeGenerated": "datetime", "OperationNameValue": "string", "EventDataId": "string", "Level": "string"}
_PATIENCE = 0.7
_CALLS: dict[str, Any] = {
    "429": "limited",
    "500": "failed",
    "503": "unavailable",
    "reset": "reset",
    "answer lost": "lost",
    "timeout": "silent",
    "truncated": "cut",
    "slow": "slow",
}
_CODES = {"429": "RESOURCE_EXHAUSTED", "500": "INTERNAL", "503": "UNAVAILABLE", "expired token": "UNAUTHENTICATED"}
_WIRE: dict[str, Any] = {"reset": "reset", "timeout": "silent", "truncated": "cut", "slow": "slow"}


class Faults(Protocol):
    """Fails calls to a service, or what the service sends."""

    def places(self) -> dict[str, int]:
        """Return the ways to fail, and at how many places in what went by since the last time."""
        ...

    def fail(self, how: str, place: int) -> None:
        """Fail at a place that is to come; 0 is the next one."""
        ...

    def heal(self) -> None:
        """Fail no more."""
        ...


@frozen
class Service:
    """What serves a source.

    Attributes:
        faults: What is between it and the source.
        add: Makes records of some numbers.
        fresh: Returns where the source finds them, as if it had never been asked.
        rest: What happens in the service while nothing runs.
        again: Whether the service may give a record more than once, so that one may be added again.
        quiet: How many runs must find nothing before there is nothing: a queue may have lent what it has.
    """

    faults: Faults
    add: Callable[[Iterable[int]], object]
    fresh: Callable[[], Address]
    rest: Callable[[], object] = lambda: None
    again: bool = True
    quiet: int = 1


@frozen
class Subject:
    """One source.

    Attributes:
        name: As it is registered, and what tells it from another of that name.
        serve: Runs what serves it.
        source: Makes the source, of the address that the service has.
    """

    name: str
    serve: Callable[[], AbstractContextManager[Service]]
    source: Callable[[Address], Source]

    @property
    def registered(self) -> str:
        """The name that it is registered under."""
        return self.name.partition(" ")[0]


def when(number: int) -> datetime:
    """Return when a record was."""
    return FIRST + timedelta(minutes=7 * number)


@frozen
class Requests:
    """Faults of requests of HTTP.

    Attributes:
        proxy: What is between.
        expired: How the service says that a token has expired.
        at: How many requests there were when places were counted last.
    """

    proxy: FaultProxy
    expired: str = "unauthorized"
    at: list[int] = field(factory=lambda: [0])

    def places(self) -> dict[str, int]:
        """Return the number of requests since the last time, for each way."""
        before, self.at[0] = self.at[0], len(self.proxy.requests)
        return dict.fromkeys(FAULTS, self.at[0] - before)

    def fail(self, how: str, place: int) -> None:
        """Fail a request."""
        fault: Any = self.expired if how == "expired token" else _CALLS[how]
        self.proxy.fail(fault, [place + 1])

    def heal(self) -> None:
        """Fail no more."""
        self.proxy.heal()


@frozen
class Calls:
    """Faults of calls of gRPC, or of whatever a stand-in can refuse, and of the bytes that it sends.

    Attributes:
        proxy: What is between.
        came: Returns how many calls there were.
        refuse: Refuses a call that is to come, with a code of gRPC.
        codes: The ways in which calls are refused.
        at: How many calls and bytes there were when places were counted last.
    """

    proxy: WireProxy
    came: Callable[[], int] = lambda: 0
    refuse: Callable[[str, int], object] = lambda _code, _number: None
    codes: Mapping[str, str] = field(factory=lambda: dict(_CODES))
    at: list[int] = field(factory=lambda: [0, 0])

    def places(self) -> dict[str, int]:
        """Return the number of calls, and of bytes, since the last time."""
        (calls, received), now = self.at, [self.came(), self.proxy.received]
        self.at[:] = now
        return dict.fromkeys(self.codes, now[0] - calls) | dict.fromkeys(_WIRE, now[1] - received)

    def fail(self, how: str, place: int) -> None:
        """Refuse a call, or fail the connection at a byte."""
        if how in _WIRE:
            self.proxy.fail(_WIRE[how], place)
        else:
            self.refuse(self.codes[how], place + 1)

    def heal(self) -> None:
        """Fail no more connections; a call that was to be refused may have gone by."""
        self.proxy.heal()


# AWS


@functools.cache
def session(url: str) -> Any:
    """Return a session of boto3 whose calls wait for half a second, and are tried once."""
    return AwsServer(url, region="us-east-1").session(timeout=0.5)


@contextmanager
def _archive() -> Iterator[Service]:
    with moto_server() as moto, FaultProxy(moto.url) as proxy:
        bucket = moto.make_bucket()

        def add(numbers: Iterable[int]) -> None:
            for number in numbers:
                put(moto, bucket, number)

        address = {"uri": f"s3://{bucket}", "url": proxy.url}
        yield Service(Requests(proxy, "expired"), add, lambda: address, again=False)


def put(server: AwsServer, bucket: str, number: int) -> str:
    """Put an object with one record; return its key."""
    day = f"2026/11/{16 + number % 2}"
    key = trail(f"{number:06}", day=day)
    server.client().put_object(Bucket=bucket, Key=key, Body=packed([number]))
    return key


def _s3(address: Address) -> Source:
    given = {"uri": address["uri"], "session": session(address["url"]), "role_arn": ROLE.format(account=_ACCOUNT)}
    return ocsflake.source("aws.s3", log_type="aws.cloudtrail", **given)


@contextmanager
def _notifications() -> Iterator[Service]:
    with moto_server() as moto, FaultProxy(moto.url) as proxy:
        bucket, sqs, queues, added = moto.make_bucket(), moto.client("sqs"), count(), list[int]()

        def tell(queue: str, number: int) -> None:
            key = put(moto, bucket, number)
            head = moto.client().head_object(Bucket=bucket, Key=key)
            about = {"key": key, "size": head["ContentLength"], "eTag": head["ETag"].strip('"')}
            told = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": bucket}, "object": about}}
            sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"Records": [told]}))

        made: list[str] = []

        def add(numbers: Iterable[int]) -> None:
            for number in numbers:
                added.append(number)
                if made:
                    tell(made[-1], number)

        def fresh() -> Address:
            made.append(sqs.create_queue(QueueName=f"q{next(queues)}")["QueueUrl"])
            for number in dict.fromkeys(added):
                tell(made[-1], number)
            # moto names its own address, and the proxy is to be asked
            return {"queue": made[-1].replace(moto.url, proxy.url), "url": proxy.url}

        def rest() -> None:
            for queue in made[-1:]:  # what another consumer holds comes again
                sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "0"})
            time.sleep(1.1)

        yield Service(Requests(proxy, "expired"), add, fresh, rest, quiet=2)


def _s3_events(address: Address) -> Source:
    given = {"queue_url": address["queue"], "session": session(address["url"]), "wait": 0, "visibility": 1}
    role = ROLE.format(account="123456789012")  # moto's own
    return ocsflake.source("aws.s3_events", log_type="aws.cloudtrail", role_arn=role, **given)


def _apis(case: Case) -> Subject:
    @contextmanager
    def serve() -> Iterator[Service]:
        with AwsApisServer(page=3) as server, FaultProxy(server.url) as proxy:
            server.roles[ROLE.format(account=_ACCOUNT)] = ""

            def add(numbers: Iterable[int]) -> None:
                case.add(server, {f"r{number}": when(number) for number in numbers})

            yield Service(Requests(proxy, "expired"), add, lambda: {"url": proxy.url})

    def source(address: Address) -> Source:
        given = {"session": session(address["url"]), "role_arn": ROLE, "accounts": _ACCOUNT, "regions": "us-east-1"}
        made = ocsflake.source(case.source, log_type=case.log_type, since="1d", **given, **case.options)
        return evolve(made, api=evolve(made.api, per_second=2000.0, every=timedelta(0)))

    return Subject(
        case.source + " (OCSF)" * (case.kind == "securityhub ocsf") + " (items)" * ("items" in case.kind), serve, source
    )


# Azure


def _activity(number: int) -> dict[str, Any]:
    return {
        "time": f"{when(number):%Y-%m-%dT%H:%M:%S}.1234567Z",
        "operationName": "MICROSOFT.COMPUTE/VIRTUALMACHINES/WRITE",
        "eventDataId": f"event-{number}",
        "level": "Informational",
    }


@contextmanager
def _tables() -> Iterator[Service]:
    with LogAnalytics() as server, FaultProxy(server.url, patience=_PATIENCE) as proxy:

        def add(numbers: Iterable[int]) -> None:
            rows = []
            for number in numbers:
                values = {
                    "TimeGenerated": f"{when(number):%Y-%m-%dT%H:%M:%S}.1234567Z",
                    "OperationNameValue": "MICROSOFT.COMPUTE/VIRTUALMACHINES/WRITE",
                    "EventDataId": f"event-{number}",
                    "Level": "Informational",
                }
                rows.append(Row(values, when(number)))
            server.add(_WORKSPACE, "AzureActivity", rows, _COLUMNS)

        yield Service(Requests(proxy), add, lambda: {"url": proxy.url})


def _monitor(address: Address) -> Source:
    client = LogAnalytics.client_of(address["url"])
    given = {"workspace": _WORKSPACE, "since": FIRST, "client": client, "per_second": 1e6}
    return ocsflake.source("azure.monitor", log_type="azure.activity", **given | _spans(address))


def _spans(address: Address) -> dict[str, str]:
    return {name: address[name] for name in ("settle", "overlap", "since") if name in address}


@contextmanager
def _blobs() -> Iterator[Service]:
    try:
        program = install_azurite()
    except (OSError, subprocess.SubprocessError):
        program = None
    if program is None:
        raise LookupError("Azurite needs npm")
    with azurite_server(program) as azurite, FaultProxy(azurite.url.rpartition("/")[0], patience=_PATIENCE) as proxy:
        container = azurite.make_container()

        def add(numbers: Iterable[int]) -> None:
            for number in numbers:
                hour = f"{when(number):y=%Y/m=%m/d=%d/h=%H/m=00}"
                blob = container.get_blob_client(f"tenantId=t/{hour}/PT1H.json")
                if not blob.exists():
                    blob.create_append_blob()
                blob.append_block(json.dumps(_activity(number)).encode() + b"\n")

        url = f"{azurite.at(proxy.url).url}"
        address = {"url": url, "key": azurite.key, "container": container.container_name}
        yield Service(Requests(proxy), add, lambda: address, again=False)


def _blob(address: Address) -> Source:
    client = AzuriteServer(address["url"], address["key"]).client()
    uri = f"{address['url']}/{address['container']}"
    return ocsflake.source("azure.blob", log_type="azure.activity", uri=uri, client=client)


@contextmanager
def _hub() -> Iterator[Service]:
    with EventHub() as hub, WireProxy(hub.connection_string.split("//")[1].split(";")[0]) as proxy:

        def add(numbers: Iterable[int]) -> None:
            for number in numbers:
                hub.add(0, [json.dumps({"records": [_activity(number)]}).encode()], when(number))

        def refuse(code: str, number: int) -> None:
            troubles: Any = ["" for _ in range(number - 1)]
            hub.trouble(*troubles, code)  # type: ignore[arg-type]

        there = hub.connection_string.split("//")[1].split(";")[0]
        address = {"connection": hub.connection_string.replace(there, proxy.target)}
        codes = {"503": "refused", "expired token": "denied"}
        faults = Calls(proxy, lambda: hub.connections, refuse, codes)
        yield Service(faults, add, lambda: address, gc.collect, again=False)


def _eventhub(address: Address) -> Source:
    return ocsflake.source("azure.eventhub", log_type="azure.activity", connection_string=address["connection"])


# Google Cloud


def renewable() -> Any:
    """Return credentials that have a new token each time."""
    from google.auth.credentials import Credentials

    class Renewed(Credentials):
        def refresh(self, _request: Any) -> None:
            self.token = os.urandom(8).hex()

    return Renewed()


def channel(target: str) -> Any:
    """Return a channel of gRPC that is soon open again when it breaks."""
    import grpc

    options = {"grpc.initial_reconnect_backoff_ms": 100, "grpc.max_reconnect_backoff_ms": 200}
    return grpc.insecure_channel(target, options=[*options.items(), ("grpc.use_local_subchannel_pool", 1)])


def _entry(number: int) -> dict[str, Any]:
    text = f"{when(number):%Y-%m-%dT%H:%M:%S}"
    return entry(number, timestamp=f"{text}.123456789Z", receiveTimestamp=f"{text}.423456789Z")


@contextmanager
def _entries() -> Iterator[Service]:
    with logging_server() as server, FaultProxy(server.url, patience=_PATIENCE) as proxy:

        def add(numbers: Iterable[int]) -> None:
            known = {each["insertId"] for each in server.entries}
            server.entries.extend(each for each in map(_entry, numbers) if each["insertId"] not in known)

        yield Service(Requests(proxy), add, lambda: {"url": proxy.url})


@contextmanager
def _entries_by_grpc() -> Iterator[Service]:
    with logging_server() as server, WireProxy(server.target) as proxy:

        def add(numbers: Iterable[int]) -> None:
            known = {each["insertId"] for each in server.entries}
            server.entries.extend(each for each in map(_entry, numbers) if each["insertId"] not in known)

        faults = Calls(proxy, lambda: len(server.requests), lambda code, number: server.fail(code, [number]))
        yield Service(faults, add, lambda: {"target": proxy.target})


def _logging(address: Address) -> Source:
    from google.cloud import logging

    if "target" in address:
        from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
        from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcTransport

        client: Any = LoggingServiceV2Client(
            transport=LoggingServiceV2GrpcTransport(channel=channel(address["target"]))
        )
    else:
        options = {"api_endpoint": address["url"]}
        client = logging.Client(project="p", client_options=options, credentials=renewable(), _use_grpc=False)
    given = {"resource": "projects/p", "since": FIRST, "requests_per_minute": 600_000}
    return ocsflake.source("gcp.logging", log_type="gcp.audit", client=client, **given)


@contextmanager
def _subscription() -> Iterator[Service]:
    with pubsub_server() as server, WireProxy(server.target) as proxy:
        names, added, made = count(), list[int](), list[str]()

        def publish(number: int) -> None:
            server.publish(made[-1], json.dumps(_entry(number)).encode(), published=NOW - timedelta(minutes=10))

        def add(numbers: Iterable[int]) -> None:
            for number in numbers:
                added.append(number)
                if made:
                    publish(number)

        def fresh() -> Address:
            made.append(f"projects/p/subscriptions/logs-{next(names)}")
            for number in dict.fromkeys(added):
                publish(number)
            return {"target": proxy.target, "subscription": made[-1]}

        def refuse(code: str, number: int) -> None:
            came = [name for name, _ in server.requests]
            # Pull, ModifyAckDeadline, Acknowledge: the calls of a run, one after the other
            method = ("Pull", "ModifyAckDeadline", "Acknowledge")[number % 3]
            server.fail(method, code, [1 + number // 3 % max(1, came.count(method) or 1)])

        faults = Calls(proxy, lambda: len(server.requests), refuse)
        yield Service(faults, add, fresh, server.end_leases, quiet=2)


def _pubsub(address: Address) -> Source:
    from google.cloud import pubsub_v1
    from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

    client = pubsub_v1.SubscriberClient(transport=SubscriberGrpcTransport(channel=channel(address["target"])))
    given = {"subscription": address["subscription"], "client": client}
    return ocsflake.source("gcp.pubsub", log_type="gcp.audit", **given)


@contextmanager
def _buckets() -> Iterator[Service]:
    os.environ["DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"] = "true"  # or it asks for more than it is asked for
    with storage_server() as server, FaultProxy(server.url, patience=_PATIENCE) as proxy:
        bucket = server.client().create_bucket("logs")

        def add(numbers: Iterable[int]) -> None:
            for number in numbers:
                hour = f"{when(number):%Y/%m/%d/%H}:00:00"
                blob = bucket.blob(f"cloudaudit.googleapis.com/data_access/{hour}_S{number}.json")
                blob.upload_from_string(json.dumps(_entry(number)).encode() + b"\n")

        yield Service(Requests(proxy), add, lambda: {"url": proxy.url}, again=False)


def _gcs(address: Address) -> Source:
    from google.cloud import storage

    options = {"api_endpoint": address["url"]}
    client = storage.Client(project="p", credentials=renewable(), client_options=options)
    return ocsflake.source("gcp.gcs", log_type="gcp.audit", uri="gs://logs", client=client)


def _finding(number: int) -> dict[str, Any]:
    name = f"organizations/1/sources/7/locations/global/findings/f{number}"
    time = f"{when(number):%Y-%m-%dT%H:%M:%S}.123456789Z"
    about = {
        "name": name,
        "parent": name.partition("/findings")[0],
        "state": "ACTIVE",
        "category": "Persistence",
        "findingClass": "THREAT",
        "severity": "HIGH",
        "eventTime": time,
        "createTime": time,
    }
    return {"finding": about, "resource": {"name": "//x", "type": "google.cloud.Project"}}


@contextmanager
def _findings() -> Iterator[Service]:
    with scc_server() as server, WireProxy(server.target) as proxy:

        def add(numbers: Iterable[int]) -> None:
            server.put(*map(_finding, numbers))

        faults = Calls(proxy, lambda: len(server.requests), lambda code, number: server.fail(code, [number]))
        yield Service(faults, add, lambda: {"target": proxy.target})


def _scc(address: Address) -> Source:
    from google.cloud import securitycenter_v2
    from google.cloud.securitycenter_v2.services.security_center.transports import SecurityCenterGrpcTransport

    transport = SecurityCenterGrpcTransport(channel=channel(address["target"]))
    client = securitycenter_v2.SecurityCenterClient(transport=transport)
    return ocsflake.source("gcp.scc", log_type="gcp.scc", resource="organizations/1", since="3d", client=client)


@contextmanager
def _activities() -> Iterator[Service]:
    with reports_server() as server, FaultProxy(server.url, patience=_PATIENCE) as proxy:

        def add(numbers: Iterable[int]) -> None:
            known = {each["id"]["uniqueQualifier"] for each in server.activities}
            server.activities.extend(_report(number) for number in numbers if str(-number - 1) not in known)

        yield Service(Requests(proxy), add, lambda: {"url": proxy.url})


def _report(number: int) -> dict[str, Any]:
    return {
        "kind": "admin#reports#activity",
        "id": {
            "time": f"{when(number):%Y-%m-%dT%H:%M:%S}.123Z",
            "uniqueQualifier": str(-number - 1),
            "applicationName": "login",
            "customerId": "C00examp1",
        },
        "actor": {"callerType": "USER", "email": "ana@example.com", "profileId": "110000000000000000011"},
        "ipAddress": "192.0.2.7",
        "events": [{"type": "login", "name": "login_success"}],
    }


def _reports(address: Address) -> Source:
    from google.auth.transport.requests import AuthorizedSession

    given = {
        "applications": "login",
        "since": "1d",
        "endpoint": address["url"],
        "session": AuthorizedSession(renewable()),
    }
    return ocsflake.source("google_workspace.reports", log_type="google_workspace.activity", **given)


SUBJECTS = {
    subject.name: subject
    for subject in (
        Subject("aws.s3", _archive, _s3),
        Subject("aws.s3_events", _notifications, _s3_events),
        *map(_apis, CASES),
        Subject("azure.monitor", _tables, _monitor),
        Subject("azure.blob", _blobs, _blob),
        Subject("azure.eventhub", _hub, _eventhub),
        Subject("gcp.logging", _entries, _logging),
        Subject("gcp.logging (gRPC)", _entries_by_grpc, _logging),
        Subject("gcp.pubsub", _subscription, _pubsub),
        Subject("gcp.gcs", _buckets, _gcs),
        Subject("gcp.scc", _findings, _scc),
        Subject("google_workspace.reports", _activities, _reports),
    )
}
"""All that read from a service, by name; `files` has no service that could fail, and disks of its own."""
