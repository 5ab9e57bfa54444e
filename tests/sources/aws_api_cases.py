"""The sources over AWS's APIs, each with records that a test can make any number of, at any time."""

from __future__ import annotations

import copy
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
from attrs import evolve, field, frozen

import ocsflake
from ocsflake import samples

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocsflake.model import RunReport
    from ocsflake.testing.aws_apis import AwsApisServer

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
OTHER = "444455556666"
ROLE = "arn:aws:iam::{account}:role/logs"
GROUP = "/aws/eks/shop/cluster"


def sample(log_type: str, file: str, key: str = "") -> list[Any]:
    """The records of a sample: the list below a key, or JSON lines."""
    text = next(path for path in samples.files(log_type) if path.name == file).read_text()
    return list(json.loads(text)[key]) if key else [json.loads(line) for line in text.splitlines()]


def iso(when: datetime) -> str:
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(when: datetime) -> int:
    return round(when.timestamp() * 1000)


@frozen
class Case:
    """One source.

    Attributes:
        source: Its name.
        log_type: Of its records.
        kind: What the stand-in calls them.
        made: Makes a record of an id and a time.
        operations: All calls that reading takes.
        options: Of the source.
        uid: What the events of an id are called, in an account.
        envelope: The key of the list of records in the service's own answer, where it holds the records themselves.
        mutable: Whether records change in place.
    """

    source: str
    log_type: str
    kind: str
    made: Callable[[str, datetime], Any]
    operations: tuple[str, ...]
    options: dict[str, Any] = field(factory=dict)
    uid: Callable[[str, str], str] = lambda uid, _: uid
    envelope: str = ""
    mutable: bool = True

    def make(self, server: AwsApisServer, **options: Any) -> Any:
        """Return the source, which looks again at once and is not held to the rates of the real service."""
        given = {"session": server.session(), "since": "1d"} | self.options | options
        made = ocsflake.source(self.source, log_type=self.log_type, **given)
        return evolve(made, api=evolve(made.api, per_second=2000.0, every=timedelta(0)))

    def add(self, server: AwsApisServer, times: dict[str, datetime], **where: str) -> None:
        """Give the service records, by their ids."""
        server.add(self.kind, *(self.made(uid, when) for uid, when in times.items()), **where)

    def expected(self, *times: dict[str, datetime], account: str = "111122223333") -> Counter[tuple[str, int]]:
        """The events that the records become."""
        return Counter((self.uid(uid, account), milliseconds(when)) for each in times for uid, when in each.items())


def ago(count: int, **span: float) -> dict[str, datetime]:
    """Some ids, each a minute older than the one before."""
    first = NOW - timedelta(**span)
    return {f"r{number}": first - timedelta(minutes=number) for number in range(count)}


def written(root: Path | str) -> Counter[tuple[str, int]]:
    """The id and the time of each event of a lake."""
    found: Counter[tuple[str, int]] = Counter()
    for path in Path(root, "ext").rglob("*.parquet"):
        table = pq.ParquetFile(path).read()
        holder = next(name for name in ("finding_info", "device", "metadata") if name in table.column_names)
        uids = table[holder].combine_chunks().field("uid").to_pylist()
        found.update(zip(uids, table["time"].to_pylist(), strict=True))
    return found


def run(source: Any, lake: Any, now: datetime = NOW, **options: Any) -> RunReport:
    return ocsflake.run(source, lake, now=lambda: now, **options)


def _guardduty(uid: str, when: datetime) -> Any:
    return sample("aws.guardduty", "export.jsonl")[0] | {"id": uid, "updatedAt": iso(when)}


def _inspector(uid: str, when: datetime) -> Any:
    found = sample("aws.inspector", "list_findings.json", "findings")[0]
    return found | {"findingArn": uid, "updatedAt": when.timestamp()}


def _securityhub(uid: str, when: datetime) -> Any:
    return sample("aws.securityhub", "get_findings.json", "Findings")[0] | {"Id": uid, "UpdatedAt": iso(when)}


def _ocsf(uid: str, when: datetime) -> Any:
    found = copy.deepcopy(sample("aws.securityhub", "get_findings_v2.json", "Findings")[0])
    found["metadata"]["uid"] = found["finding_info"]["uid"] = uid
    found["finding_info"] |= {"modified_time": milliseconds(when), "modified_time_dt": iso(when)}
    return found | {"time": milliseconds(when), "time_dt": iso(when)}


def _analyzer(uid: str, when: datetime) -> Any:
    found = sample("aws.access_analyzer", "get_finding_v2.jsonl")[0]
    return found | {"id": uid, "updatedAt": iso(when)}


def _config(uid: str, when: datetime) -> Any:
    found = copy.deepcopy(sample("aws.config", "get_compliance_details.json", "EvaluationResults")[0])
    found["EvaluationResultIdentifier"]["EvaluationResultQualifier"]["ResourceId"] = uid
    return found | {"ResultRecordedTime": when.timestamp()}


def _item(uid: str, when: datetime) -> Any:
    return {
        "accountId": "111122223333",
        "arn": uid,
        "awsRegion": "us-east-1",
        "configuration": {"instanceType": "t3.large", "privateIpAddress": "10.20.1.107"},
        "configurationItemCaptureTime": iso(when),
        "configurationItemStatus": "OK",
        "relationships": [],
        "resourceCreationTime": "2026-11-16T09:01:31.000Z",
        "resourceId": uid,
        "resourceType": "AWS::EC2::Instance",
        "tags": [{"key": "team", "value": "shop", "tag": "team=shop"}],
        "version": "1.3",
    }


def _cloudtrail(uid: str, when: datetime) -> Any:
    found = sample(
        "aws.cloudtrail", "111122223333_CloudTrail_us-east-1_20261117T1405Z_Yb7nQw2RtKz5LpXc.json", "Records"
    )
    return found[0] | {"eventID": uid, "eventTime": f"{when:%Y-%m-%dT%H:%M:%SZ}"}


def log_event(uid: str, when: datetime, message: str, group: str = GROUP, stream: str = "audit-1") -> Any:
    """A log event as FilterLogEvents gives it, with its group."""
    stamp = milliseconds(when)
    return {
        "group": group,
        "eventId": uid,
        "logStreamName": stream,
        "timestamp": stamp,
        "ingestionTime": stamp + 2_000,
        "message": message,
    }


def _logs(uid: str, when: datetime) -> Any:
    [first, *_] = sample("aws.eks_audit", "cloudwatch.json", "logEvents")
    event = json.loads(first["message"]) | {"auditID": uid, "stageTimestamp": iso(when)}
    return log_event(uid, when, json.dumps(event))


CASES = [
    Case(
        "aws.cloudwatch_logs",
        "aws.eks_audit",
        "logs",
        _logs,
        ("logs:FilterLogEvents",),
        {"log_groups": GROUP},
        uid=lambda uid, _: f"{uid}/ResponseComplete",
        mutable=False,
    ),
    Case(
        "aws.cloudtrail_lookup",
        "aws.cloudtrail",
        "cloudtrail",
        _cloudtrail,
        ("cloudtrail:LookupEvents",),
        mutable=False,
    ),
    Case(
        "aws.securityhub",
        "aws.securityhub",
        "securityhub",
        _securityhub,
        ("securityhub:GetFindings",),
        envelope="Findings",
    ),
    Case(
        "aws.securityhub",
        "aws.securityhub",
        "securityhub ocsf",
        _ocsf,
        ("securityhub:GetFindingsV2",),
        {"findings": "ocsf"},
        envelope="Findings",
    ),
    Case(
        "aws.guardduty",
        "aws.guardduty",
        "guardduty",
        _guardduty,
        ("guardduty:ListDetectors", "guardduty:ListFindings", "guardduty:GetFindings"),
        envelope="findings",
    ),
    Case("aws.inspector", "aws.inspector", "inspector2", _inspector, ("inspector2:ListFindings",), envelope="findings"),
    Case(
        "aws.access_analyzer",
        "aws.access_analyzer",
        "accessanalyzer",
        _analyzer,
        ("accessanalyzer:ListAnalyzers", "accessanalyzer:ListFindingsV2", "accessanalyzer:GetFindingV2"),
        envelope="findings",
    ),
    Case(
        "aws.config",
        "aws.config",
        "config",
        _config,
        ("config:DescribeConfigRules", "config:GetComplianceDetailsByConfigRule"),
        envelope="EvaluationResults",
        uid=lambda uid, account: f"{account}/us-east-1/restricted-ssh/AWS::EC2::SecurityGroup/{uid}",
    ),
    Case(
        "aws.config",
        "aws.config",
        "config items",
        _item,
        ("config:SelectResourceConfig",),
        {"records": "items"},
        envelope="configurationItems",
    ),
]
