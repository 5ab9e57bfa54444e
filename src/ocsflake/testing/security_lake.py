"""A stand-in for the API of Amazon Security Lake, with the parts of STS and IAM that its set-up needs.

boto3 talks to it over loopback, and it takes and refuses what boto3's model of the service says. Glue, S3 and SQS are
moto's business: `SecurityLakeServer.beside` joins both.
"""

# ruff: noqa: N803 - parameters have the names that the API gives them

from __future__ import annotations

import json
import re
import threading
import uuid
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from attrs import evolve, frozen

from ocsflake.testing._query_api import answer as answer_query
from ocsflake.testing._rest_api import Refused, bad, check, operations, parameters
from ocsflake.testing.servers import AwsServer

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SecurityLakeServer"]

_REGION = re.compile(r"Credential=[^/]+/[0-9]+/([^/]+)/([^/]+)/")
_MAX_SOURCES = 50
_MAX_SUBSCRIBED = 10
_MAX_NAME = 20
_STATUSES = {
    "AccessDeniedException": 403,
    "BadRequestException": 400,
    "ConflictException": 409,
    "InternalServerException": 500,
    "ResourceNotFoundException": 404,
    "ThrottlingException": 429,
}


def _missing(message: str) -> Refused:
    return Refused("ResourceNotFoundException", message, 404)


def _conflict(message: str) -> Refused:
    return Refused("ConflictException", message, 409)


@frozen
class _Fault:
    operation: str
    code: str
    status: int
    after: bool
    call: int = 0


class SecurityLakeServer:
    """The API of Security Lake on a free loopback port; a context manager.

    Args:
        account: The account that the lake is in.
        caller: The ARN of who calls, as STS tells it.
        page: How many items a page of an answer has at most.

    Attributes:
        url: Where it listens.
        calls: How often each operation was called.
        denied: Actions that the simulation of IAM does not allow, such as ``glue:CreateCrawler``, or
            ``glue:CreateCrawler on arn:...``; with ``iam:SimulatePrincipalPolicy`` among them, it may not be asked.
            One of Security Lake is refused as well.
        roles: The external id that each role asks for, by its ARN: those of custom sources, and any that you add.
        assumed: The roles that were assumed, in order.
        credential_seconds: How long the credentials of a role last.
        lakes: Regions and what the API says of them.
        sources: Custom and other sources by Region and name.
        subscribers: By Region and id.
        exceptions: Exceptions that ``ListDataLakeExceptions`` shows.
    """

    def __init__(
        self, *, account: str = "111111111111", caller: str = "arn:aws:iam::111111111111:user/me", page: int = 100
    ) -> None:
        self.account = account
        self.caller = caller
        self.page = page
        self.calls: Counter[str] = Counter()
        self.denied: set[str] = set()
        self.roles: dict[str, str] = {}
        self.assumed: list[str] = []
        self.credential_seconds = 3600.0
        self.lakes: dict[str, dict[str, Any]] = {}
        self.sources: dict[str, dict[str, dict[str, Any]]] = {}
        self.subscribers: dict[str, dict[str, dict[str, Any]]] = {}
        self.subscriptions: dict[str, dict[str, Any]] = {}
        self.exceptions: list[dict[str, Any]] = []
        self._faults: list[_Fault] = []
        self._lock = threading.Lock()
        self._operations = operations()
        stand_in = self

        class Handler(_Handler):
            server_of = stand_in

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def beside(self, server: AwsServer | None = None) -> AwsServer:
        """Return a server, such as moto's, whose Security Lake, STS and IAM are this one; without one, this alone."""
        if server is None:
            return AwsServer(self.url)
        return evolve(server, elsewhere={**server.elsewhere, **dict.fromkeys(("securitylake", "sts", "iam"), self.url)})

    def enable(self, region: str, bucket: str = "") -> str:
        """Enable the lake in a Region without a call, and return its bucket."""
        bucket = bucket or f"aws-security-data-lake-{region}-{uuid.uuid4().hex[:30]}"
        self.lakes[region] = self._lake({"region": region}) | {"s3BucketArn": f"arn:aws:s3:::{bucket}"}
        return bucket

    def fail(self, operation: str, code: str, *, times: int = 1, status: int = 0, after: bool = False) -> None:
        """Answer the next calls of an operation with an error.

        Args:
            operation: Such as ``CreateCustomLogSource``.
            code: Such as ``ConflictException``.
            times: How many calls.
            status: Of HTTP; if it is not given, that of the code.
            after: Whether the call is carried out all the same.
        """
        self._faults += [_Fault(operation, code, status or _STATUSES[code], after)] * times

    def fail_at(self, call: int, code: str, *, after: bool = False) -> None:
        """Answer one call with an error, whatever its operation.

        Args:
            call: Its number, counted from 1 since the start.
            code: As `fail` has it.
            after: As `fail` has it.
        """
        self._faults.append(_Fault("*", code, _STATUSES[code], after, call))

    def answer(self, region: str, method: str, target: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body for a request."""
        with self._lock:
            try:
                answer = self._called(region, method, target, body)
            except Refused as error:
                kind = {"x-amzn-errortype": error.code}
                return error.status, kind, json.dumps({"message": str(error)}).encode()
        return 200, {}, json.dumps(answer).encode()

    def _called(self, region: str, method: str, target: str, body: bytes) -> dict[str, Any]:
        path, _, query = target.partition("?")
        called = (
            (name, shape, match.groupdict())
            for name, verb, route, shape in self._operations
            if verb == method and (match := route.fullmatch(path))
        )
        name, shape, placed = next(called)
        asked = parameters(shape, placed, query, body)
        self.calls[name] += 1
        number = sum(self.calls.values())
        if f"securitylake:{name}" in self.denied:
            text = f"User: {self.caller} is not authorized to perform: securitylake:{name}"
            raise Refused("AccessDeniedException", text, 403)
        fault = next((fault for fault in self._faults if fault.operation == name or fault.call == number), None)
        if fault:
            self._faults.remove(fault)
        if fault and not fault.after:
            raise Refused(fault.code, "injected", fault.status)
        check(shape, asked, name)
        carry_out = getattr(self, f"_{_snake(name)}", None)
        if carry_out is None:
            raise Refused("UnknownOperationException", f"the stand-in has no {name}", 501)
        answer: dict[str, Any] = carry_out(region, **asked)
        if fault:
            raise Refused(fault.code, "injected, after the deed", fault.status)
        return answer

    def _lake(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        region = configuration["region"]
        return {
            "encryptionConfiguration": {"kmsKeyId": "S3_MANAGED_KEY"},
            **configuration,
            "createStatus": "COMPLETED",
            "dataLakeArn": f"arn:aws:securitylake:{region}:{self.account}:data-lake/default",
        }

    def _create_data_lake(self, _region: str, *, configurations: Any, **_more: Any) -> dict[str, Any]:
        made = []
        for configuration in configurations:
            if configuration["region"] in self.lakes:
                raise _conflict(f"the data lake in {configuration['region']} is there")
            self._check_roll_ups(configuration)
            self.enable(configuration["region"])
            self.lakes[configuration["region"]] |= self._lake(configuration)
            made.append(self.lakes[configuration["region"]])
        return {"dataLakes": made}

    def _update_data_lake(self, _region: str, *, configurations: Any, **_more: Any) -> dict[str, Any]:
        for configuration in configurations:
            if configuration["region"] not in self.lakes:
                raise _missing(f"there is no data lake in {configuration['region']}")
            self._check_roll_ups(configuration)
            self.lakes[configuration["region"]] |= configuration
        return {"dataLakes": [self.lakes[each["region"]] for each in configurations]}

    def _check_roll_ups(self, configuration: Mapping[str, Any]) -> None:
        for target in configuration.get("replicationConfiguration", {}).get("regions", ()):
            if target not in self.lakes:
                raise bad(f"there is no data lake in {target}")
            if self.lakes[target].get("replicationConfiguration", {}).get("regions"):
                raise bad(f"{target} contributes to another rollup Region")

    def _list_data_lakes(self, _region: str, *, regions: Any = ()) -> dict[str, Any]:
        return {"dataLakes": [lake for region, lake in sorted(self.lakes.items()) if not regions or region in regions]}

    def _create_custom_log_source(
        self, region: str, *, sourceName: str, configuration: Any, eventClasses: Any = (), sourceVersion: str = ""
    ) -> dict[str, Any]:
        bucket = self.bucket(region)
        there = self.sources.setdefault(region, {})
        custom = {name for each in self.sources.values() for name, about in each.items() if "crawler" in about}
        if len(sourceName) > _MAX_NAME:
            raise bad(f"sourceName has more than {_MAX_NAME} characters")
        if sourceName in there:
            raise _conflict(f"the custom source {sourceName} is there")
        if len(custom | {sourceName}) > _MAX_SOURCES:
            raise bad(f"an account may have {_MAX_SOURCES} custom sources")
        role = f"arn:aws:iam::{self.account}:role/AmazonSecurityLake-Provider-{sourceName}-{region}"
        path = "/".join(filter(None, ("ext", sourceName, sourceVersion)))
        resource = {
            "sourceName": sourceName,
            "provider": {"location": f"s3://{bucket}/{path}/", "roleArn": role},
            **({"sourceVersion": sourceVersion} if sourceVersion else {}),
        }
        self.roles[role] = configuration["providerIdentity"]["externalId"]
        crawler = configuration["crawlerConfiguration"]["roleArn"]
        there[sourceName] = {"resource": resource, "eventClasses": list(eventClasses), "crawler": crawler}
        return {"source": resource}

    def _delete_custom_log_source(self, region: str, *, sourceName: str, sourceVersion: str = "") -> dict[str, Any]:
        there = self.sources.get(region, {}).get(sourceName)
        if there is None or sourceVersion not in {"", there["resource"].get("sourceVersion")}:
            raise _missing(f"there is no custom source {sourceName}")
        self.sources[region].pop(sourceName)
        return {}

    def _list_log_sources(
        self, region: str, *, regions: Any = (), accounts: Any = (), sources: Any = (), **page: Any
    ) -> dict[str, Any]:
        self.bucket(region)
        wanted = {about["sourceName"] for source in sources for about in source.values()}
        entries = [
            {"account": self.account, "region": where, "sources": [{_kind(about): about["resource"]}]}
            for where, found in sorted(self.sources.items())
            for name, about in sorted(found.items())
            if (not regions or where in regions) and (not wanted or name in wanted)
            if not accounts or self.account in accounts
        ]
        return self._paged("sources", entries, **page)

    def _get_data_lake_sources(self, region: str, *, accounts: Any = (), **page: Any) -> dict[str, Any]:
        self.bucket(region)
        found = self.sources.get(region, {}).items() if not accounts or self.account in accounts else ()
        entries = [
            {
                "account": self.account,
                "sourceName": name,
                "eventClasses": about["eventClasses"],
                "sourceStatuses": [{"resource": name, "status": "COLLECTING"}],
            }
            for name, about in sorted(found)
        ]
        return self._paged("dataLakeSources", entries, **page)

    def _create_subscriber(self, region: str, *, sources: Any, subscriberName: str, **more: Any) -> dict[str, Any]:
        bucket = self.bucket(region)
        self._check_sources(region, sources)
        there = self.subscribers.setdefault(region, {})
        if any(each["subscriberName"] == subscriberName for each in there.values()):
            raise _conflict(f"the subscriber {subscriberName} is there")
        uid = str(uuid.uuid4())
        role = f"arn:aws:iam::{self.account}:role/AmazonSecurityLake-{uid}"
        there[uid] = {
            **more,
            "accessTypes": more.get("accessTypes", ["S3"]),
            "subscriberName": subscriberName,
            "sources": sources,
            "subscriberId": uid,
            "subscriberArn": f"arn:aws:securitylake:{region}:{self.account}:subscriber/{uid}",
            "subscriberStatus": "ACTIVE",
            "roleArn": role,
            "s3BucketArn": f"arn:aws:s3:::{bucket}",
        }
        self.roles[role] = more["subscriberIdentity"]["externalId"]
        return {"subscriber": there[uid]}

    def _update_subscriber(self, region: str, *, subscriberId: str, **more: Any) -> dict[str, Any]:
        self._check_sources(region, more.get("sources", ()))
        there = self._subscriber(region, subscriberId)
        there.update(more)
        return {"subscriber": there}

    def _get_subscriber(self, region: str, *, subscriberId: str) -> dict[str, Any]:
        return {"subscriber": self._subscriber(region, subscriberId)}

    def _list_subscribers(self, region: str, **page: Any) -> dict[str, Any]:
        return self._paged("subscribers", list(self.subscribers.get(region, {}).values()), **page)

    def _create_subscriber_notification(self, region: str, *, subscriberId: str, configuration: Any) -> dict[str, Any]:
        there = self._subscriber(region, subscriberId)
        if "subscriberEndpoint" in there:
            raise _conflict(f"the subscriber {subscriberId} has notifications")
        queue = f"arn:aws:sqs:{region}:{self.account}:AmazonSecurityLake-{subscriberId}-Main-Queue"
        there["subscriberEndpoint"] = configuration.get("httpsNotificationConfiguration", {}).get("endpoint", queue)
        return {"subscriberEndpoint": there["subscriberEndpoint"]}

    def _create_data_lake_exception_subscription(self, region: str, **asked: Any) -> dict[str, Any]:
        if region in self.subscriptions:
            raise _conflict(f"there is an exception subscription in {region}")
        self.subscriptions[region] = asked
        return {}

    def _update_data_lake_exception_subscription(self, region: str, **asked: Any) -> dict[str, Any]:
        if region not in self.subscriptions:
            raise _missing(f"there is no exception subscription in {region}")
        self.subscriptions[region] = asked
        return {}

    def _get_data_lake_exception_subscription(self, region: str) -> dict[str, Any]:
        if region not in self.subscriptions:
            raise _missing(f"there is no exception subscription in {region}")
        return self.subscriptions[region]

    def _list_data_lake_exceptions(self, _region: str, *, regions: Any = (), **page: Any) -> dict[str, Any]:
        found = [each for each in self.exceptions if not regions or each["region"] in regions]
        return self._paged("exceptions", found, **page)

    def bucket(self, region: str) -> str:
        """Return the bucket of the lake in a Region."""
        if region not in self.lakes:
            raise _missing(f"there is no data lake in {region}")
        return str(self.lakes[region]["s3BucketArn"]).rpartition(":")[2]

    def _subscriber(self, region: str, uid: str) -> dict[str, Any]:
        found = self.subscribers.get(region, {}).get(uid)
        if found is None:
            raise _missing(f"there is no subscriber {uid}")
        return found

    def _check_sources(self, region: str, sources: Any) -> None:
        if len(sources) > _MAX_SUBSCRIBED:
            raise bad(f"a subscriber may have {_MAX_SUBSCRIBED} sources")
        for source in sources:
            for about in source.values():
                if about["sourceName"] not in self.sources.get(region, {}):
                    raise _missing(f"there is no source {about['sourceName']}")

    def _paged(self, key: str, items: list[Any], *, maxResults: int = 100, nextToken: str = "0") -> dict[str, Any]:
        start = int(nextToken)
        end = start + min(maxResults, self.page)
        return {key: items[start:end]} | ({"nextToken": str(end)} if end < len(items) else {})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_of: SecurityLakeServer

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        scope = _REGION.search(self.headers.get("Authorization", ""))
        region, service = scope.groups() if scope else ("us-east-1", "")
        if service == "securitylake":
            status, headers, text = self.server_of.answer(region, self.command, self.path, body)
        else:
            server = self.server_of
            status, text = answer_query(
                body,
                server.account,
                server.caller,
                server.roles,
                server.denied,
                server.assumed,
                server.credential_seconds,
            )
            headers = {"Content-Type": "text/xml"}
        self.send_response_only(status)
        for name, value in ({"Content-Type": "application/json"} | headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_DELETE = do_GET = do_POST = do_PUT = _do  # noqa: N815 - the names that http.server calls

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


def _kind(about: Mapping[str, Any]) -> str:
    return "customLogSource" if "crawler" in about else "awsLogSource"


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
