"""Who needs which permission: IAM statements, and which of them the caller lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from ocsflake import aws
from ocsflake.errors import ConfigError, LakeError
from ocsflake.lake.layout import glue_database, glue_table, location
from ocsflake.retry import retry
from ocsflake.security_lake.wanted import CustomSources, DataLakes, ExceptionSubscription

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ocsflake.security_lake.service import Service
    from ocsflake.security_lake.steps import Findings
    from ocsflake.security_lake.wanted import Wanted

__all__ = ["Caller", "caller", "caller_statements", "crawler_role", "missing_permissions", "provider_role"]

Statement = dict[str, Any]

_KMS = ["kms:Decrypt", "kms:GenerateDataKey"]


@frozen
class Caller:
    """Who calls.

    Attributes:
        arn: As STS names it.
        account: Its account.
    """

    arn: str
    account: str

    @property
    def partition(self) -> str:
        """``aws``, ``aws-cn`` or ``aws-us-gov``."""
        return self.arn.split(":")[1]


def caller(service: Service, region: str) -> Caller:
    """Return who calls.

    Raises:
        ConfigError: If there are no credentials, or they are not valid.
        LakeError: If STS cannot be reached.
    """
    try:
        answer = _patiently(service, service.client(region, "sts").get_caller_identity)
    except Exception as error:
        found = aws.failure(error)
        if found is None:
            raise
        said = f"{found.code}: {found.message}"
        if found.kind == "unavailable":
            raise LakeError(f"AWS STS in {region} cannot be reached ({said}): run again later") from error
        raise ConfigError(f"there are no AWS credentials that are valid ({said}): set AWS_PROFILE") from error
    return Caller(answer["Arn"], answer["Account"])


def caller_statements(wanted: Wanted, found: Findings, who: Caller) -> tuple[Statement, ...]:
    """Return what the caller must be allowed, to plan and to apply (contract rule 6 for custom sources).

    Args:
        wanted: What should be there.
        found: What is there.
        who: The caller; resources are of its account.
    """
    match wanted:
        case CustomSources():
            actions = ["CreateCustomLogSource", "GetDataLakeSources", "ListDataLakes", "ListLogSources"]
            more = _for_sources(wanted, found, who)
        case DataLakes():
            actions = ["CreateDataLake", "ListDataLakes", "UpdateDataLake"]
            copies = wanted.replication_role_arn
            more = [_passes(wanted.meta_store_manager_role_arn, "lambda.amazonaws.com")]
            more += [_passes(copies, "s3.amazonaws.com")] if copies else []
        case ExceptionSubscription():
            name = "DataLakeExceptionSubscription"
            actions, more = [f"Create{name}", f"Get{name}", f"Update{name}", "ListDataLakes"], []
        case _:
            actions = ["CreateSubscriber", "GetDataLakeSources", "ListDataLakes", "ListLogSources", "ListSubscribers"]
            actions += ["UpdateSubscriber"] + (["CreateSubscriberNotification"] if wanted.access == "s3" else [])
            more = []
    return (_allow(*(f"securitylake:{action}" for action in sorted(actions)), resources=["*"]), *more)


def crawler_role(found: Findings, who: Caller) -> Mapping[str, Any]:
    """Return what the role of the Glue crawlers must have: trust, AWS's policy, statements (contract rule 6)."""
    objects = sorted(f"arn:{who.partition}:s3:::{bucket}/*" for bucket in found.buckets.values())
    return {
        "trust": [
            {"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}, "Action": "sts:AssumeRole"},
        ],
        "managed_policies": [f"arn:{who.partition}:iam::aws:policy/service-role/AWSGlueServiceRole"],
        "statements": [
            _allow("s3:GetObject", "s3:PutObject", resources=objects),
            *([_allow(*_KMS, resources=list(found.keys))] if found.keys else []),
        ],
    }


def provider_role(wanted: CustomSources, found: Findings, who: Caller) -> Mapping[str, Any]:
    """Return what the roles of the writer are: Security Lake makes one for each source and Region (contract rule 27).

    ``writer_statements`` is what whoever writes must be allowed in its own account, to act as them.
    """
    names = [f"AmazonSecurityLake-Provider-{source.name}-*" for source in wanted.sources]
    arns = [
        f"arn:{who.partition}:iam::{who.account}:role/{path}{name}" for name in names for path in ("", "service-role/")
    ]
    account = wanted.provider.isdecimal()
    principal = {"AWS": f"arn:{who.partition}:iam::{wanted.provider}:root"} if account else {"Service": wanted.provider}
    buckets = sorted(found.buckets.values())
    return {
        "made_by": "Security Lake",
        "trust": [
            {
                "Effect": "Allow",
                "Principal": principal,
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"sts:ExternalId": wanted.external_id}},
            }
        ],
        "statements": [
            _allow(
                "s3:PutObject",
                resources=[
                    f"arn:{who.partition}:s3:::{bucket}/{location(source.name)}*"
                    for bucket in buckets
                    for source in wanted.sources
                ],
            ),
            *([_allow(*_KMS, resources=list(found.keys))] if found.keys else []),
        ],
        "writer_statements": [_allow("sts:AssumeRole", resources=arns)],
    }


def missing_permissions(
    service: Service, region: str, who: Caller, statements: Sequence[Statement]
) -> tuple[str, ...] | None:
    """Return what the caller lacks, such as ``glue:CreateCrawler on arn:...``; ``None`` if that cannot be told.

    IAM simulates the caller's policies; nothing is tried. The caller may not be allowed to ask, or be of a kind that
    IAM does not simulate.

    Args:
        service: Security Lake and its neighbours.
        region: The AWS Region that clients are made for.
        who: The caller.
        statements: What it must be allowed.
    """
    if who.arn.endswith(":root"):
        return ()
    lacking: list[str] = []
    try:
        arn = _policy_source(service, region, who)
        for statement in statements:
            for result in _simulated(service, region, arn, statement):
                lacking += _denied(result)
    except Exception as error:
        if aws.failure(error) is None:
            raise
        return None
    return tuple(dict.fromkeys(lacking))


def _for_sources(wanted: CustomSources, found: Findings, who: Caller) -> list[Statement]:
    at = f"arn:{who.partition}"
    glue = []
    for region in wanted.regions:
        here, database = f"{at}:glue:{region}:{who.account}", glue_database(region)
        glue += [f"{here}:catalog", f"{here}:database/{database}"]
        for source in wanted.sources:
            glue += [f"{here}:crawler/{source.name}", f"{here}:table/{database}/{glue_table(region, source.name)}"]
    roles = [f"{at}:iam::{who.account}:role/{path}AmazonSecurityLake-Provider-*" for path in ("", "service-role/")]
    buckets = sorted(f"{at}:s3:::{bucket}" for bucket in found.buckets.values())
    return [
        _allow(
            "glue:CreateCrawler",
            "glue:CreateDatabase",
            "glue:CreateTable",
            "glue:StopCrawlerSchedule",
            resources=sorted(glue),
        ),
        _allow("iam:DeleteRolePolicy", "iam:GetRole", "iam:PutRolePolicy", resources=roles),
        _passes(wanted.crawler_role_arn, "glue.amazonaws.com"),
        _allow("lakeformation:GrantPermissions", "lakeformation:RegisterResource", resources=["*"]),
        _allow("s3:ListBucket", resources=buckets),
        _allow("s3:PutObject", resources=[f"{bucket}/*" for bucket in buckets]),
        *([_allow(*_KMS, resources=list(found.keys))] if found.keys else []),
    ]


def _allow(*actions: str, resources: list[str]) -> Statement:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resources}


def _passes(role: str, to: str) -> Statement:
    return _allow("iam:PassRole", resources=[role]) | {"Condition": {"StringEquals": {"iam:PassedToService": to}}}


def _policy_source(service: Service, region: str, who: Caller) -> str:
    """Return the ARN of the user or role whose policies count; STS leaves the path of a role out."""
    kind, _, rest = who.arn.partition(":")[2].rpartition(":")[2].partition("/")
    if kind != "assumed-role":
        return who.arn
    name = rest.split("/")[0]
    try:
        role = _patiently(service, lambda: service.client(region, "iam").get_role(RoleName=name))
        return str(role["Role"]["Arn"])
    except Exception as error:
        if aws.failure(error) is None:
            raise
        return f"arn:{who.partition}:iam::{who.account}:role/{name}"


def _denied(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a result of the simulation denies; what it says itself is the strictest of all its resources."""
    action = result["EvalActionName"]
    resources = result.get("ResourceSpecificResults", ())
    for resource in resources:
        if resource["EvalResourceDecision"] != "allowed":
            name = resource["EvalResourceName"]
            yield action if name == "*" else f"{action} on {name}"
    if not resources and result["EvalDecision"] != "allowed":
        yield action


def _simulated(service: Service, region: str, arn: str, statement: Statement) -> Iterator[Mapping[str, Any]]:
    client = service.client(region, "iam")
    asked: dict[str, Any] = {
        "PolicySourceArn": arn,
        "ActionNames": statement["Action"],
        "ResourceArns": statement["Resource"],
        "ContextEntries": [
            {"ContextKeyName": name, "ContextKeyValues": [value], "ContextKeyType": "string"}
            for name, value in statement.get("Condition", {}).get("StringEquals", {}).items()
        ],
    }
    while True:
        answer = _patiently(service, lambda: client.simulate_principal_policy(**asked))
        yield from answer["EvaluationResults"]
        if not answer.get("IsTruncated"):
            return
        asked["Marker"] = answer["Marker"]


def _patiently(service: Service, call: Any) -> Any:
    return retry(call, retryable=aws.seconds_to_wait, sleep=service.sleep)
