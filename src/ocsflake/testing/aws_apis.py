"""A stand-in for the APIs of AWS that logs and findings are read from, in any number of accounts and Regions.

boto3 talks to it over loopback: CloudWatch Logs, CloudTrail, Security Hub, GuardDuty, Inspector, Access Analyzer and
Config, as far as reading goes, and STS. It takes and refuses what boto3's models of the services say, and pages are
short. A finding that is added again, changed, takes the place of the one before.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections import Counter, deque
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs

from attrs import frozen

from ocsflake.testing import _wire
from ocsflake.testing._rest_api import Refused
from ocsflake.testing.servers import AwsServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["AwsApisServer"]

_SCOPE = re.compile(r"Credential=([^/]+)/[0-9]+/([^/]+)/([^/]+)/")
_SERVICES = {"access-analyzer": "accessanalyzer"}
"""What boto3 calls a service that signs with another name."""
_STATUSES = {"AccessDeniedException": 403, "InternalServerException": 500, "TooManyRequestsException": 429}
_KEY = re.compile(r"ASIA([0-9]{12})([0-9]{6})")
_MODIFIED = "finding_info.modified_time_dt"


class _ResetError(Exception):
    """The connection is to be closed without an answer."""


@frozen
class _Fault:
    code: str
    status: int
    message: str


class AwsApisServer:
    """APIs of AWS on a free loopback port; a context manager.

    Args:
        account: The account that the credentials of `session` belong to.
        page: How many records an answer has at most.

    Attributes:
        url: Where it listens.
        calls: How often each operation was called, by service and operation: ``guardduty:ListFindings``.
        roles: The external id that each role asks for, by its ARN.
        assumed: The roles that were assumed, in order.
        denied: What is refused: an account and an operation, or a Region of it (``111122223333/eu-west-1``).
        burst: How many calls of LookupEvents in a row are answered, before one is turned away.
    """

    def __init__(self, *, account: str = "111122223333", page: int = 2) -> None:
        self.account = account
        self.page = page
        self._serial = 0
        self._sessions: dict[str, Any] = {}
        self.reset()
        self._lock = threading.Lock()
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

    def reset(self) -> None:
        """Forget all that was added, asked, allowed and told."""
        self.calls: Counter[str] = Counter()
        self.roles: dict[str, str] = {}
        self.assumed: list[str] = []
        self.denied: set[tuple[str, str]] = set()
        self.burst = 0
        self._records: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._faults: dict[str, deque[_Fault | None]] = {}
        self._valid_from = 0

    def session(self, region: str = "us-east-1") -> Any:
        """Return a `boto3.Session` whose clients all talk to this server."""
        if region not in self._sessions:  # to make one takes as long as many calls
            self._sessions[region] = AwsServer(self.url, region=region).session()
        return self._sessions[region]

    def add(self, kind: str, *records: Mapping[str, Any], account: str = "", region: str = "us-east-1") -> None:
        """Add records as the service gives them, or put changed ones in place.

        Args:
            kind: ``logs``, ``cloudtrail``, ``securityhub``, ``securityhub ocsf``, ``guardduty``, ``inspector2``,
                ``accessanalyzer``, ``config`` or ``config items``. Log events have the name of their group besides,
                as ``group``.
            records: JSON objects; those of CloudTrail are the events themselves.
            account: Where they are; in the account of the credentials if it is not given.
            region: Where they are.
        """
        with self._lock:
            there = self._records.setdefault((kind, account or self.account, region), {})
            for record in records:
                there[_UID[kind](record)] = record

    def remove(self, kind: str, *, account: str = "", region: str = "us-east-1") -> None:
        """Remove all records of a kind."""
        with self._lock:
            self._records.pop((kind, account or self.account, region), None)

    def fail(self, operation: str, code: str, *, times: int = 1, status: int = 0, message: str = "injected") -> None:
        """Answer the next calls of an operation with an error, or close the connection.

        Args:
            operation: Such as ``guardduty:ListFindings``.
            code: Such as ``ThrottlingException``, or ``reset``.
            times: How many calls.
            status: Of HTTP; if it is not given, that of the code.
            message: What the answer says.
        """
        fault = None if code == "reset" else _Fault(code, status or _STATUSES.get(code, 400), message)
        self._faults.setdefault(operation, deque()).extend([fault] * times)

    def expire(self) -> None:
        """Take no credentials of roles any longer that were given out before."""
        self._valid_from = self._serial

    def answer(self, scope: Sequence[str], method: str, path: str, target: str, body: bytes) -> tuple[int, Any, bytes]:
        """Return status, headers and body for a request.

        Args:
            scope: The access key, the Region and the service that the request was signed for.
            method: Of HTTP.
            path: With the query.
            target: The header that names the operation, if there is one.
            body: Of the request.
        """
        key, region, signed = scope
        service = _SERVICES.get(signed, signed)
        with self._lock:
            try:
                if service == "sts":
                    return 200, {"Content-Type": "text/xml"}, self._sts(body)
                name, asked = _wire.request(service, method, path, target, body)
                found = self._called(key, region, service, name, asked)
            except Refused as error:
                if service == "sts":
                    text = f"<Error><Code>{error.code}</Code><Message>{error}</Message></Error>"
                    return error.status, {}, f"<ErrorResponse>{text}</ErrorResponse>".encode()
                told = {"__type": error.code, "message": str(error)}
                return error.status, {"x-amzn-errortype": error.code}, json.dumps(told).encode()
        return 200, {"Content-Type": "application/json"}, json.dumps(found).encode()

    def _called(self, key: str, region: str, service: str, name: str, asked: dict[str, Any]) -> Any:
        operation = f"{service}:{name}"
        self.calls[operation] += 1
        role = _KEY.fullmatch(key)
        account = role[1] if role else self.account
        if role and int(role[2]) <= self._valid_from:
            raise Refused("ExpiredTokenException", "The security token included in the request is expired", 403)
        if {(account, operation), (f"{account}/{region}", operation)} & self.denied:
            who = f"arn:aws:sts::{account}:assumed-role/logs/ocsflake" if role else f"arn:aws:iam::{account}:user/me"
            text = f"User: {who} is not authorized to perform: {operation} on resource: arn:aws:{service}:{region}:*"
            raise Refused("AccessDeniedException", f"{text} because no identity-based policy allows it", 403)
        self._fail(operation)
        carry_out = _OPERATIONS.get(operation)
        if carry_out is None:
            raise Refused("UnknownOperationException", f"the stand-in has no {operation}", 501)
        return carry_out(self, (account, region), asked)

    def _fail(self, operation: str) -> None:
        faults = self._faults.get(operation)
        if faults:
            fault = faults.popleft()
            if fault is None:
                raise _ResetError
            raise Refused(fault.code, fault.message, fault.status)

    def _sts(self, body: bytes) -> bytes:
        asked = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        action = asked["Action"]
        self.calls[f"sts:{action}"] += 1
        self._fail(f"sts:{action}")
        if action == "GetCallerIdentity":
            inner = f"<Arn>arn:aws:iam::{self.account}:user/me</Arn><UserId>AIDA</UserId>"
            return _result(action, f"{inner}<Account>{self.account}</Account>")
        role = asked["RoleArn"]
        if role not in self.roles or asked.get("ExternalId", "") != self.roles[role]:
            text = f"User: arn:aws:iam::{self.account}:user/me is not authorized to perform: sts:AssumeRole"
            raise Refused("AccessDenied", f"{text} on resource: {role}", 403)
        self.assumed.append(role)
        self._serial += 1
        until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        key = f"ASIA{role.split(':')[4]}{self._serial:06}"
        return _result(
            action,
            f"<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>not-a-secret</SecretAccessKey>"
            f"<SessionToken>token</SessionToken><Expiration>{until}</Expiration></Credentials>",
        )

    def there(self, kind: str, scope: tuple[str, str]) -> list[Any]:
        """Return the records of a kind in an account and Region."""
        return list(self._records.get((kind, *scope), {}).values())

    def paged(self, key: str, items: Sequence[Any], asked: Mapping[str, Any], more: str = "nextToken") -> Any:
        """Return a page; a token is good for the very request that it came for."""
        given = {name: value for name, value in asked.items() if name.lower() != "nexttoken"}
        sign = json.dumps(given, sort_keys=True)
        start = 0
        if came := asked.get("NextToken") or asked.get("nextToken"):
            of, start = json.loads(base64.b64decode(came))
            if of != sign:
                raise Refused("InvalidNextTokenException", "the token is of a request with other parameters", 400)
        most = next((asked[name] for name in ("MaxResults", "maxResults", "Limit") if name in asked), self.page)
        end = start + min(most, self.page)
        token = base64.b64encode(json.dumps([sign, end]).encode()).decode()
        return {key: list(items[start:end])} | ({more: token} if end < len(items) else {})


def _filter_log_events(server: AwsApisServer, scope: tuple[str, str], asked: dict[str, Any]) -> Any:
    group, prefix = asked["logGroupName"], asked.get("logStreamNamePrefix", "")
    of_group = [event for event in server.there("logs", scope) if event["group"] == group]
    if not of_group:
        raise Refused("ResourceNotFoundException", "The specified log group does not exist.", 400)
    found = [
        {name: value for name, value in event.items() if name != "group"}
        for event in sorted(of_group, key=lambda event: event["timestamp"])
        if asked.get("startTime", 0) <= event["timestamp"] <= asked.get("endTime", 1 << 62)
        if event["logStreamName"].startswith(prefix) and asked.get("filterPattern", "").strip('"') in event["message"]
    ]
    if "nextToken" not in asked and len(found) > 1:  # a page without events is no end
        token = json.dumps([json.dumps(asked, sort_keys=True), 0])
        return {"events": [], "searchedLogStreams": [], "nextToken": base64.b64encode(token.encode()).decode()}
    return server.paged("events", found, asked) | {"searchedLogStreams": []}


def _describe_log_groups(server: AwsApisServer, scope: tuple[str, str], asked: dict[str, Any]) -> Any:
    names = sorted({event["group"] for event in server.there("logs", scope)})
    found = [{"logGroupName": name} for name in names if name.startswith(asked.get("logGroupNamePrefix", ""))]
    return server.paged("logGroups", found, asked)


def _lookup_events(server: AwsApisServer, scope: tuple[str, str], asked: dict[str, Any]) -> Any:
    if server.burst and not server.calls["cloudtrail:LookupEvents"] % (server.burst + 1):
        raise Refused("ThrottlingException", "Rate exceeded", 400)
    first, last = asked.get("StartTime", 0), asked.get("EndTime", 1 << 62)
    if first > last:
        raise Refused("InvalidTimeRangeException", "the start is after the end", 400)
    found = [
        {
            "EventId": event["eventID"],
            "EventTime": _wire.moment(event["eventTime"]),
            "Resources": [],
            "CloudTrailEvent": json.dumps(event),
        }
        for event in server.there("cloudtrail", scope)
        if int(first) <= int(_wire.moment(event["eventTime"])) <= int(last)
    ]
    return server.paged("Events", sorted(found, key=lambda event: -event["EventTime"]), asked, "NextToken")


def _get_findings(server: AwsApisServer, scope: tuple[str, str], asked: dict[str, Any]) -> Any:
    times = asked.get("Filters", {}).get("UpdatedAt", [{}])[0]
    found = _between(server.there("securityhub", scope), "UpdatedAt", times.get("Start"), times.get("End"))
    return server.paged("Findings", found, asked, "NextToken")


def _get_findings_v2(server: AwsApisServer, scope: tuple[str, str], asked: dict[str, Any]) -> Any:
    found = server.there("securityhub ocsf", scope)
    for composite in asked.get("Filters", {}).get("CompositeFilters", ()):
        for dates in composite.get("DateFilters", ()):
            found = _between(found, dates["FieldName"], dates["Filter"].get("Start"), dates["Filter"].get("End"))
    return server.paged("Findings", found, asked, "NextToken")


def _list_detectors(server: AwsApisServer, scope: tuple[str, str], asked: dict[str, Any]) -> Any:
    return server.paged("detectorIds", [f"{scope[0]}0000000000000000cafe"], asked)


def _list_detector_findings(server: AwsApisServer, scope: tuple[str, str], asked: dict[str, Any]) -> Any:
    times = asked.get("FindingCriteria", {}).get("Criterion", {}).get("updatedAt", {})
    found = [
        finding["id"]
        for finding in server.there("guardduty", scope)
        if times.get("GreaterThanOrEqual", 0) <= _wire.moment(finding["updatedAt"]) * 1000 < times.get("LessThan", 1e18)
    ]
    return {"nextToken": ""} | server.paged("findingIds", found, asked)


def _get_detector_findings(server: AwsApisServer, scope: tuple[str, str], asked: dict[str, Any]) -> Any:
    there = {finding["id"]: finding for finding in server.there("guardduty", scope)}
    return {"findings": [there[uid] for uid in asked["FindingIds"] if uid in there]}


def _list_inspector_findings(server: AwsApisServer, scope: tuple[str, str], asked: dict[str, Any]) -> Any:
    times = asked.get("filterCriteria", {}).get("updatedAt", [{}])[0]
    found = server.there("inspector2", scope)
    found = _between(found, "updatedAt", times.get("startInclusive"), times.get("endInclusive"))
    return server.paged("findings", found, asked)


def _list_analyzers(server: AwsApisServer, scope: tuple[str, str], asked: dict[str, Any]) -> Any:
    account, region = scope
    arn = f"arn:aws:access-analyzer:{region}:{account}:analyzer/all"
    about = {"arn": arn, "name": "all", "type": "ACCOUNT", "status": "ACTIVE", "createdAt": "2026-01-01T00:00:00Z"}
    return server.paged("analyzers", [about], asked)


def _list_findings_v2(server: AwsApisServer, scope: tuple[str, str], asked: dict[str, Any]) -> Any:
    found = [
        {name: value for name, value in finding.items() if name != "findingDetails"}
        for finding in server.there("accessanalyzer", scope)
    ]
    return server.paged("findings", found, asked)


def _get_finding_v2(server: AwsApisServer, scope: tuple[str, str], asked: dict[str, Any]) -> Any:
    found = next((each for each in server.there("accessanalyzer", scope) if each["id"] == asked["id"]), None)
    if found is None:
        raise Refused("ResourceNotFoundException", f"there is no finding {asked['id']}", 404)
    return found | server.paged("findingDetails", found["findingDetails"], asked)


def _describe_config_rules(server: AwsApisServer, scope: tuple[str, str], asked: dict[str, Any]) -> Any:
    names = sorted({_rule(result) for result in server.there("config", scope)})
    return server.paged("ConfigRules", [{"ConfigRuleName": name} for name in names], asked, "NextToken")


def _get_compliance_details(server: AwsApisServer, scope: tuple[str, str], asked: dict[str, Any]) -> Any:
    found = [result for result in server.there("config", scope) if _rule(result) == asked["ConfigRuleName"]]
    if not found:
        raise Refused("NoSuchConfigRuleException", "The ConfigRule provided in the request is invalid.", 400)
    return server.paged("EvaluationResults", found, asked, "NextToken")


def _select_resource_config(server: AwsApisServer, scope: tuple[str, str], asked: dict[str, Any]) -> Any:
    selected = re.fullmatch(r"SELECT ([\w, ]+?)(?: WHERE (\w+) BETWEEN '([^']+)' AND '([^']+)')?", asked["Expression"])
    if not selected:
        raise Refused("InvalidExpressionException", "the stand-in has no such SQL", 400)
    names, path, first, last = selected.groups()
    found = server.there("config items", scope)
    if path:
        found = _between(found, path, first, last)
    rows = [json.dumps({name: item[name] for name in names.split(", ") if name in item}) for item in found]
    return server.paged("Results", rows, asked, "NextToken")


def _between(records: list[Any], path: str, first: Any, last: Any) -> list[Any]:
    """Return the records with a time that is neither before nor after some others."""
    start = -1.0 if first is None else _wire.moment(first)
    end = 1e18 if last is None else _wire.moment(last)
    return [record for record in records if start <= _wire.moment(_at(record, path)) <= end]


def _at(record: Mapping[str, Any], path: str) -> Any:
    value: Any = record
    for step in path.split("."):
        value = value[step]
    return value


def _qualifier(result: Mapping[str, Any]) -> Any:
    return result["EvaluationResultIdentifier"]["EvaluationResultQualifier"]


def _rule(result: Mapping[str, Any]) -> str:
    return str(_qualifier(result)["ConfigRuleName"])


def _result(action: str, inner: str) -> bytes:
    return f"<{action}Response><{action}Result>{inner}</{action}Result></{action}Response>".encode()


_UID: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "accessanalyzer": lambda finding: finding["id"],
    "cloudtrail": lambda event: event["eventID"],
    "config": lambda result: json.dumps(_qualifier(result), sort_keys=True),
    "config items": lambda item: item["resourceId"],
    "guardduty": lambda finding: finding["id"],
    "inspector2": lambda finding: finding["findingArn"],
    "logs": lambda event: event["eventId"],
    "securityhub": lambda finding: finding["Id"],
    "securityhub ocsf": lambda finding: finding["metadata"]["uid"],
}
_OPERATIONS: dict[str, Callable[[AwsApisServer, tuple[str, str], dict[str, Any]], Any]] = {
    "accessanalyzer:GetFindingV2": _get_finding_v2,
    "accessanalyzer:ListAnalyzers": _list_analyzers,
    "accessanalyzer:ListFindingsV2": _list_findings_v2,
    "cloudtrail:LookupEvents": _lookup_events,
    "config:DescribeConfigRules": _describe_config_rules,
    "config:GetComplianceDetailsByConfigRule": _get_compliance_details,
    "config:SelectResourceConfig": _select_resource_config,
    "guardduty:GetFindings": _get_detector_findings,
    "guardduty:ListDetectors": _list_detectors,
    "guardduty:ListFindings": _list_detector_findings,
    "inspector2:ListFindings": _list_inspector_findings,
    "logs:DescribeLogGroups": _describe_log_groups,
    "logs:FilterLogEvents": _filter_log_events,
    "securityhub:GetFindings": _get_findings,
    "securityhub:GetFindingsV2": _get_findings_v2,
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_of: AwsApisServer

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        scope = _SCOPE.search(self.headers.get("Authorization", ""))
        signed = scope.groups() if scope else ("", "us-east-1", "")
        target = self.headers.get("X-Amz-Target", "")
        try:
            status, headers, text = self.server_of.answer(signed, self.command, self.path, target, body)
        except _ResetError:
            self.close_connection = True
            self.connection.shutdown(SHUT_RDWR)
            return
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = _do  # noqa: N815 - the names that http.server calls

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""
