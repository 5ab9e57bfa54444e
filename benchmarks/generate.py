"""Make up logs of the shapes and sizes of real ones: the same seed, the same bytes.

CloudTrail: some 1.5 KB an event, in gzip documents of one account, Region and day, as CloudTrail delivers them; S3
data events, calls of roles and services, sign-ins and changes of IAM, with nested request parameters, ``tlsDetails``
and ``resources``. VPC flow logs: text in gzip, version 2 or the 29 fields of version 5. Audit logs of Google Cloud:
JSON lines, as a log sink writes them to a bucket. Sign-ins of Entra: JSON lines, as diagnostic settings write them.

Keys, ids and request ids are random, so that gzip takes them down to a fifth only, where real logs often become
smaller.
"""

from __future__ import annotations

import argparse
import gzip
import random
import string
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-2")
FIRST_DAY = datetime(2026, 3, 1, tzinfo=UTC)
V2 = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status"
)
V5 = (
    f"{V2} vpc-id subnet-id instance-id tcp-flags type pkt-srcaddr pkt-dstaddr region az-id sublocation-type "
    "sublocation-id pkt-src-aws-service pkt-dst-aws-service flow-direction traffic-path"
)

_UPPER = string.ascii_uppercase + "234567"
_TEXT = string.ascii_letters + string.digits + "+/"
_AGENTS = (
    "aws-cli/2.15.30 Python/3.11.8 Linux/5.10.209-198.858.amzn2.x86_64 exe/x86_64.amzn.2 prompt/off",
    "Boto3/1.34.51 md/Botocore#1.34.51 ua/2.0 os/linux#6.1.77 md/arch#x86_64 lang/python#3.12.2 cfg/retry-mode#legacy",
    "aws-sdk-go/1.50.21 (go1.21.7; linux; amd64) amazon-ssm-agent/3.2.2303.0",
    "aws-sdk-java/2.24.12 Linux/5.10.210 OpenJDK_64-Bit_Server_VM/17.0.10+7-LTS Java/17.0.10 io/sync http/Apache cfg/x",
    "APN/1.0 HashiCorp/1.0 Terraform/1.7.4 terraform-provider-aws/5.39.1 aws-sdk-go-v2/1.25.2 os/linux lang/go#1.21.7",
    "[AWSConfig]",
    "console.amazonaws.com",
)


class Account:
    """One account with its people, roles, machines and buckets; the same names come again and again, as in life."""

    def __init__(self, rng: random.Random, number: int) -> None:
        self.id = f"{111_122_220_000 + number * 7:012d}"
        self.users = [f"{name}.{rng.choice('abcdefgh')}" for name in ("ana", "bram", "chidi", "dana", "emre", "farah")]
        self.roles = [
            f"{self.id[-4:]}-{name}" for name in ("deploy", "node", "etl", "audit", "lambda-orders", "backup")
        ]
        self.role_ids = [f"AROA{_some(rng, _UPPER, 17)}" for _ in self.roles]
        self.user_ids = [f"AIDA{_some(rng, _UPPER, 17)}" for _ in self.users]
        self.instances = [f"i-{rng.getrandbits(68):017x}" for _ in range(40)]
        self.buckets = [f"{name}-{self.id}" for name in ("data-lake", "artifacts", "access-logs", "media")]
        self.keys = [str(UUID(int=rng.getrandbits(128), version=4)) for _ in range(5)]
        self.addresses = [_address(rng) for _ in range(25)]
        self.interfaces = [f"eni-{rng.getrandbits(68):017x}" for _ in range(12)]
        self.vpc = f"vpc-{rng.getrandbits(68):017x}"
        self.subnets = [f"subnet-{rng.getrandbits(68):017x}" for _ in range(4)]


def cloudtrail(folder: Path, events: int, per_file: int, *, seed: int = 7, accounts: int = 20, days: int = 2) -> int:
    """Write CloudTrail files of `per_file` events below `folder`; return how many bytes the events take as JSON.

    Files go over all accounts, Regions and days in turn, one of each at first.
    """
    rng = random.Random(seed)
    owners = [Account(rng, number) for number in range(accounts)]
    places = [(owner, region, day) for day in range(days) for region in REGIONS for owner in owners]
    size = 0
    for number in range(-(-events // per_file)):
        owner, region, day = places[number % len(places)]
        date = FIRST_DAY + timedelta(days=day)
        count = min(per_file, events - number * per_file)
        times = sorted(rng.randrange(86_400) for _ in range(count))
        records = [_event(rng, owner, region, date + timedelta(seconds=second)) for second in times]
        text = msgspec.json.encode({"Records": records})
        size += len(text)
        stem = f"{owner.id}_CloudTrail_{region}_{date:%Y%m%d}T{number:04d}Z_{_some(rng, string.ascii_letters, 16)}"
        path = folder / "AWSLogs" / owner.id / "CloudTrail" / region / f"{date:%Y/%m/%d}" / f"{stem}.json.gz"
        _save(path, text)
    return size


def mixed_cloudtrail(folder: Path, events: int, per_file: int, *, seed: int = 7, accounts: int = 40) -> int:
    """Write CloudTrail files that each have events of all accounts, as a stream of an organisation has them."""
    rng = random.Random(seed)
    owners = [Account(rng, number) for number in range(accounts)]
    size = 0
    for number in range(-(-events // per_file)):
        count = min(per_file, events - number * per_file)
        moments = sorted(rng.randrange(3_600) for _ in range(count))
        start = FIRST_DAY + timedelta(hours=number % 24)
        records = [
            _event(rng, rng.choice(owners), rng.choice(REGIONS), start + timedelta(seconds=second))
            for second in moments
        ]
        text = msgspec.json.encode({"Records": records})
        size += len(text)
        _save(folder / "stream" / f"{start:%Y/%m/%d}" / f"{number:06d}.json.gz", text)
    return size


def gcp_audit(folder: Path, events: int, per_file: int, *, seed: int = 7, projects: int = 20) -> int:
    """Write audit logs of Google Cloud as JSON lines; return how many bytes they take."""
    rng = random.Random(seed)
    names = [f"shop-{_some(rng, string.ascii_lowercase, 5)}-{number}" for number in range(projects)]
    addresses = [_address(rng) for _ in range(200)]
    return _lines(
        folder, events, per_file, lambda when: _audit_entry(rng, rng.choice(names), rng.choice(addresses), when)
    )


def azure_signin(folder: Path, events: int, per_file: int, *, seed: int = 7) -> int:
    """Write sign-ins of Entra as JSON lines; return how many bytes they take."""
    rng = random.Random(seed)
    tenant, users = _uuid(rng), [(f"user{number}", _uuid(rng)) for number in range(500)]
    addresses = [_address(rng) for _ in range(400)]
    apps = [(name, _uuid(rng)) for name in ("Azure Portal", "Office 365 Exchange Online", "Shop", "Microsoft Teams")]

    def record(when: datetime) -> dict[str, Any]:
        return _sign_in_record(rng, tenant, rng.choice(users), rng.choice(addresses), rng.choice(apps), when)

    return _lines(folder, events, per_file, record)


def _lines(folder: Path, events: int, per_file: int, make: Callable[[datetime], dict[str, Any]]) -> int:
    """Write files of JSON lines, an hour each."""
    size = 0
    for number in range(-(-events // per_file)):
        start = FIRST_DAY + timedelta(hours=number)
        count = min(per_file, events - number * per_file)
        records = [make(start + timedelta(seconds=3_600 * place / count)) for place in range(count)]
        text = b"\n".join(map(msgspec.json.encode, records))
        size += len(text)
        _save(folder / "lines" / f"{start:%Y/%m/%d/%H}" / f"{number:06d}.json.gz", text)
    return size


def vpc_flow(folder: Path, lines: int, per_file: int, *, version: int = 2, seed: int = 7, accounts: int = 20) -> int:
    """Write VPC flow logs of `per_file` lines below `folder`; return how many bytes the text takes."""
    rng = random.Random(seed)
    owners = [Account(rng, number) for number in range(accounts)]
    size = 0
    for number in range(-(-lines // per_file)):
        owner, region = owners[number % accounts], REGIONS[number // accounts % len(REGIONS)]
        start = FIRST_DAY + timedelta(minutes=5 * number)
        count = min(per_file, lines - number * per_file)
        rows = [flow(rng, owner, region, int(start.timestamp()), version) for _ in range(count)]
        text = "\n".join([V2 if version == 2 else V5, *rows, ""]).encode()
        size += len(text)
        name = f"{owner.id}_vpcflowlogs_{region}_fl-{rng.getrandbits(68):017x}_{start:%Y%m%dT%H%MZ}_{number:08x}"
        path = folder / "AWSLogs" / owner.id / "vpcflowlogs" / region / f"{start:%Y/%m/%d}" / f"{name}.log.gz"
        _save(path, text)
    return size


def _save(path: Path, text: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text, 6, mtime=0))


def _address(rng: random.Random) -> str:
    return f"{rng.randint(3, 220)}.{rng.randint(0, 255)}.{rng.randint(0, 255)}.{rng.randint(1, 254)}"


def _some(rng: random.Random, letters: str, count: int) -> str:
    return "".join(rng.choices(letters, k=count))


def _event(rng: random.Random, owner: Account, region: str, when: datetime) -> dict[str, Any]:
    make = rng.choices(_KINDS, _WEIGHTS)[0]
    service, name, read_only, more = make(rng, owner, region)
    identity = more.pop("userIdentity", None) or _identity(rng, owner, when)
    host = f"{service}.{region}.amazonaws.com"
    event = {
        "eventVersion": "1.09",
        "userIdentity": identity,
        "eventTime": f"{when:%Y-%m-%dT%H:%M:%SZ}",
        "eventSource": f"{service}.amazonaws.com",
        "eventName": name,
        "awsRegion": region,
        "sourceIPAddress": identity.get("invokedBy") or rng.choice(owner.addresses),
        "userAgent": identity.get("invokedBy") or rng.choice(_AGENTS),
        "requestParameters": None,
        "responseElements": None,
        "requestID": _uuid(rng),
        "eventID": _uuid(rng),
        "readOnly": read_only,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": owner.id,
        "eventCategory": "Management",
        **more,
    }
    if "invokedBy" not in identity:
        event["tlsDetails"] = {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": host,
        }
    if rng.random() < 0.04:
        event["errorCode"] = rng.choice(["AccessDenied", "Client.UnauthorizedOperation", "ThrottlingException"])
        event["errorMessage"] = f"User: {identity.get('arn')} is not authorized to perform: {service}:{name}"
        event["responseElements"] = None
    return event


def _identity(rng: random.Random, owner: Account, when: datetime) -> dict[str, Any]:
    pick = rng.random()
    if pick < 0.12:
        return {"type": "AWSService", "invokedBy": rng.choice(["config.amazonaws.com", "autoscaling.amazonaws.com"])}
    if pick < 0.22:
        place = rng.randrange(len(owner.users))
        return {
            "type": "IAMUser",
            "principalId": owner.user_ids[place],
            "arn": f"arn:aws:iam::{owner.id}:user/{owner.users[place]}",
            "accountId": owner.id,
            "accessKeyId": f"AKIA{_some(rng, _UPPER, 16)}",
            "userName": owner.users[place],
        }
    if pick < 0.225:
        return {
            "type": "Root",
            "principalId": owner.id,
            "arn": f"arn:aws:iam::{owner.id}:root",
            "accountId": owner.id,
            "accessKeyId": "",
        }
    place = rng.randrange(len(owner.roles))
    session = rng.choice(owner.instances) if place == 1 else rng.choice(owner.users)
    created = when - timedelta(seconds=rng.randrange(3600))
    return {
        "type": "AssumedRole",
        "principalId": f"{owner.role_ids[place]}:{session}",
        "arn": f"arn:aws:sts::{owner.id}:assumed-role/{owner.roles[place]}/{session}",
        "accountId": owner.id,
        "accessKeyId": f"ASIA{_some(rng, _UPPER, 16)}",
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": owner.role_ids[place],
                "arn": f"arn:aws:iam::{owner.id}:role/{owner.roles[place]}",
                "accountId": owner.id,
                "userName": owner.roles[place],
            },
            "webIdFederationData": {},
            "attributes": {"creationDate": f"{created:%Y-%m-%dT%H:%M:%SZ}", "mfaAuthenticated": "false"},
            "ec2RoleDelivery": "2.0",
        },
    }


Kind = tuple[str, str, bool, dict[str, Any]]


def _s3(rng: random.Random, owner: Account, region: str) -> Kind:
    name = rng.choices(["GetObject", "PutObject", "HeadObject", "DeleteObject"], [60, 25, 12, 3])[0]
    bucket = rng.choice(owner.buckets)
    key = f"raw/orders/dt=2026-03-{rng.randint(1, 28):02d}/part-{rng.randrange(9999):05d}-{_uuid(rng)}.snappy.parquet"
    request: dict[str, Any] = {"bucketName": bucket, "Host": f"{bucket}.s3.{region}.amazonaws.com", "key": key}
    if name == "GetObject":
        request["x-amz-checksum-mode"] = "ENABLED"
    more: dict[str, Any] = {
        "requestParameters": request,
        "responseElements": {"x-amz-server-side-encryption": "aws:kms"} if name == "PutObject" else None,
        "additionalEventData": {
            "SignatureVersion": "SigV4",
            "CipherSuite": "TLS_AES_128_GCM_SHA256",
            "bytesTransferredIn": rng.randrange(200) if name != "PutObject" else rng.randrange(1 << 24),
            "AuthenticationMethod": "AuthHeader",
            "x-amz-id-2": _some(rng, _TEXT, 75) + "=",
            "bytesTransferredOut": rng.randrange(1 << 24),
        },
        "resources": [
            {"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{bucket}/{key}"},
            {"accountId": owner.id, "type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{bucket}"},
        ],
        "managementEvent": False,
        "eventCategory": "Data",
    }
    return "s3", name, name != "PutObject", more


def _kms(rng: random.Random, owner: Account, region: str) -> Kind:
    name = rng.choice(["Decrypt", "GenerateDataKey"])
    arn = f"arn:aws:kms:{region}:{owner.id}:key/{rng.choice(owner.keys)}"
    context = {"aws:s3:arn": f"arn:aws:s3:::{rng.choice(owner.buckets)}"}
    request = {"keyId": arn, "encryptionContext": context, "encryptionAlgorithm": "SYMMETRIC_DEFAULT"}
    resources = [{"accountId": owner.id, "type": "AWS::KMS::Key", "ARN": arn}]
    return "kms", name, True, {"requestParameters": request, "resources": resources}


def _assume_role(rng: random.Random, owner: Account, _region: str) -> Kind:
    place = rng.randrange(len(owner.roles))
    session = rng.choice(owner.instances)
    arn = f"arn:aws:iam::{owner.id}:role/{owner.roles[place]}"
    response = {
        "credentials": {
            "accessKeyId": f"ASIA{_some(rng, _UPPER, 16)}",
            "sessionToken": _some(rng, _TEXT, 180),
            "expiration": "Mar 2, 2026, 11:45:12 PM",
        },
        "assumedRoleUser": {
            "assumedRoleId": f"{owner.role_ids[place]}:{session}",
            "arn": f"arn:aws:sts::{owner.id}:assumed-role/{owner.roles[place]}/{session}",
        },
    }
    more = {
        "requestParameters": {"roleArn": arn, "roleSessionName": session, "durationSeconds": 3600},
        "responseElements": response,
        "resources": [{"accountId": owner.id, "type": "AWS::IAM::Role", "ARN": arn}],
        "sharedEventID": _uuid(rng),
    }
    if rng.random() < 0.7:
        service = rng.choice(["ec2.amazonaws.com", "lambda.amazonaws.com"])
        more["userIdentity"] = {"type": "AWSService", "invokedBy": service}
    return "sts", "AssumeRole", True, more


def _describe(rng: random.Random, owner: Account, _region: str) -> Kind:
    name = rng.choice(["DescribeInstances", "DescribeVolumes", "DescribeNetworkInterfaces", "DescribeSecurityGroups"])
    items = [{"instanceId": instance} for instance in rng.sample(owner.instances, rng.randint(1, 4))]
    request = {
        "instancesSet": {"items": items},
        "filterSet": {"items": [{"name": "tag:env", "valueSet": {"items": [{"value": "prod"}, {"value": "stage"}]}}]},
        "maxResults": 1000,
    }
    return "ec2", name, True, {"requestParameters": request}


def _run_instances(rng: random.Random, owner: Account, region: str) -> Kind:
    instance = rng.choice(owner.instances)
    subnet = rng.choice(owner.subnets)
    request = {
        "instancesSet": {"items": [{"imageId": f"ami-{rng.getrandbits(68):017x}", "minCount": 1, "maxCount": 1}]},
        "instanceType": "m6i.xlarge",
        "blockDeviceMapping": {"items": [{"deviceName": "/dev/xvda", "ebs": {"volumeSize": 100, "volumeType": "gp3"}}]},
        "monitoring": {"enabled": True},
        "networkInterfaceSet": {"items": [{"deviceIndex": 0, "subnetId": subnet}]},
        "clientToken": _uuid(rng),
    }
    response = {
        "requestId": _uuid(rng),
        "reservationId": f"r-{rng.getrandbits(68):017x}",
        "ownerId": owner.id,
        "instancesSet": {
            "items": [
                {
                    "instanceId": instance,
                    "currentState": {"code": 0, "name": "pending"},
                    "privateDnsName": f"ip-10-0-{rng.randrange(256)}-{rng.randrange(256)}.{region}.compute.internal",
                    "subnetId": subnet,
                    "vpcId": owner.vpc,
                    "placement": {"availabilityZone": f"{region}a", "tenancy": "default"},
                    "cpuOptions": {"coreCount": 2, "threadsPerCore": 2},
                }
            ]
        },
    }
    return "ec2", "RunInstances", False, {"requestParameters": request, "responseElements": response}


def _other(rng: random.Random, owner: Account, region: str) -> Kind:
    agent = {"agentVersion": "3.2.2303.0", "platformName": "Amazon Linux", "iPAddress": "10.0.12.7"}
    stream = {"logGroupName": "/aws/lambda/orders", "logStreamName": f"2026/03/01/{_uuid(rng)}"}
    calls: list[tuple[str, str, bool, dict[str, Any]]] = [
        ("dynamodb", "DescribeTable", True, {"tableName": "orders"}),
        ("logs", "CreateLogStream", False, stream),
        ("ssm", "UpdateInstanceInformation", False, {"instanceId": rng.choice(owner.instances), **agent}),
        ("secretsmanager", "GetSecretValue", True, {"secretId": f"arn:aws:secretsmanager:{region}:{owner.id}:db"}),
        ("lambda", "Invoke", False, {"functionName": f"arn:aws:lambda:{region}:{owner.id}:function:orders"}),
        ("monitoring", "DescribeAlarms", True, {"alarmNamePrefix": "TargetTracking", "maxRecords": 100}),
    ]
    service, name, read_only, request = rng.choice(calls)
    return service, name, read_only, {"requestParameters": request}


def _iam(rng: random.Random, owner: Account, _region: str) -> Kind:
    user = rng.choice(owner.users)
    if rng.random() < 0.5:
        request = {"policyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess", "userName": user}
        return "iam", "AttachUserPolicy", False, {"requestParameters": request}
    made = {
        "path": "/",
        "userName": user,
        "userId": rng.choice(owner.user_ids),
        "arn": f"arn:aws:iam::{owner.id}:user/{user}",
        "createDate": "Mar 1, 2026, 9:00:00 AM",
    }
    given = {"userName": user, "tags": [{"key": "team", "value": "data"}]}
    return "iam", "CreateUser", False, {"requestParameters": given, "responseElements": {"user": made}}


def _sign_in(rng: random.Random, _owner: Account, _region: str) -> Kind:
    more = {
        "responseElements": {"ConsoleLogin": rng.choice(["Success", "Success", "Success", "Failure"])},
        "additionalEventData": {
            "LoginTo": "https://console.aws.amazon.com/console/home",
            "MobileVersion": "No",
            "MFAUsed": "Yes",
        },
        "eventType": "AwsConsoleSignIn",
    }
    return "signin", "ConsoleLogin", False, more


_KINDS: Sequence[Callable[[random.Random, Account, str], Kind]] = (
    _s3, _kms, _assume_role, _describe, _run_instances, _other, _iam, _sign_in,
)  # fmt: skip
_WEIGHTS = (34, 12, 14, 16, 3, 18, 2, 1)


_CALLS = (
    ("compute.googleapis.com", "v1.compute.instances.insert", "gce_instance", "compute.instances.create"),
    ("compute.googleapis.com", "v1.compute.firewalls.patch", "gce_firewall_rule", "compute.firewalls.update"),
    ("storage.googleapis.com", "storage.objects.get", "gcs_bucket", "storage.objects.get"),
    ("storage.googleapis.com", "storage.objects.list", "gcs_bucket", "storage.objects.list"),
    ("bigquery.googleapis.com", "google.cloud.bigquery.v2.JobService.InsertJob", "bigquery_project",
     "bigquery.jobs.create"),
    ("cloudresourcemanager.googleapis.com", "SetIamPolicy", "project", "resourcemanager.projects.setIamPolicy"),
    ("secretmanager.googleapis.com", "google.cloud.secretmanager.v1.SecretManagerService.AccessSecretVersion",
     "audited_resource", "secretmanager.versions.access"),
)  # fmt: skip


def _audit_entry(rng: random.Random, project: str, address: str, when: datetime) -> dict[str, Any]:
    """Return an entry of some 1.9 KB, as a service writes it for a call."""
    service, method, kind, permission = rng.choice(_CALLS)
    stamp = f"{when:%Y-%m-%dT%H:%M:%S}.{rng.randrange(10**9):09d}Z"
    zone = rng.choice(("europe-west1-b", "us-central1-a", "asia-east1-c"))
    name = f"projects/{project}/zones/{zone}/things/{_some(rng, string.ascii_lowercase, 8)}"
    is_machine = rng.random() < 0.4
    email = (
        f"deploy-{rng.randrange(20)}@{project}.iam.gserviceaccount.com"
        if is_machine
        else f"user{rng.randrange(300)}@example.com"
    )
    payload = {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "status": {"code": 7, "message": f"Permission '{permission}' denied."} if rng.random() < 0.05 else {},
        "authenticationInfo": {
            "principalEmail": email,
            "principalSubject": f"{'serviceAccount' if is_machine else 'user'}:{email}",
        },
        "requestMetadata": {
            "callerIp": address if rng.random() < 0.9 else "private",
            "callerSuppliedUserAgent": rng.choice(_AGENTS),
            "requestAttributes": {"time": stamp, "auth": {}},
            "destinationAttributes": {},
        },
        "serviceName": service,
        "methodName": method,
        "authorizationInfo": [
            {
                "permission": permission,
                "granted": True,
                "resource": name,
                "resourceAttributes": {"service": service, "name": name, "type": kind},
            }
        ],
        "resourceName": name,
        "request": {
            "name": name.rpartition("/")[2],
            "labels": [{"key": "team", "value": _some(rng, string.ascii_lowercase, 6)} for _ in range(4)],
            "body": {"size": str(rng.randrange(10**6)), "token": _some(rng, _TEXT, 200), "deletion": False},
            "@type": "type.googleapis.com/example.Request",
        },
        "response": {"id": str(rng.getrandbits(63)), "selfLink": f"https://www.googleapis.com/v1/{name}", "done": True},
    }
    return {
        "protoPayload": payload,
        "insertId": _some(rng, string.ascii_lowercase + string.digits, 14),
        "resource": {
            "type": kind,
            "labels": {"instance_id": str(rng.getrandbits(63)), "project_id": project, "zone": zone},
        },
        "timestamp": stamp,
        "severity": "NOTICE",
        "logName": f"projects/{project}/logs/cloudaudit.googleapis.com%2Factivity",
        "receiveTimestamp": f"{when + timedelta(seconds=1):%Y-%m-%dT%H:%M:%S}.000000000Z",
    }


def _sign_in_record(
    rng: random.Random, tenant: str, user: tuple[str, str], address: str, app: tuple[str, str], when: datetime
) -> dict[str, Any]:
    """Return an interactive sign-in of some 2.5 KB."""
    stamp = f"{when:%Y-%m-%dT%H:%M:%S}.{rng.randrange(10**7):07d}Z"
    failed, risk = rng.random() < 0.1, rng.choice(("none", "none", "none", "low", "high"))
    name, is_mfa = user[0], rng.random() < 0.6
    correlation = _uuid(rng)
    steps = [{"authenticationStepDateTime": stamp, "authenticationMethod": "Password", "succeeded": not failed}]
    if is_mfa:
        step = {"authenticationStepDateTime": stamp, "authenticationMethod": "Mobile app notification"}
        steps.append({**step, "succeeded": not failed})
    properties = {
        "id": _uuid(rng),
        "createdDateTime": stamp,
        "userId": user[1],
        "userPrincipalName": f"{name}@example.com",
        "userDisplayName": name.title(),
        "appId": app[1],
        "appDisplayName": app[0],
        "resourceId": app[1],
        "resourceDisplayName": app[0],
        "userType": "Member",
        "ipAddress": address,
        "location": {
            "city": "Lisbon",
            "state": "Lisboa",
            "countryOrRegion": "PT",
            "geoCoordinates": {"latitude": 38.71, "longitude": -9.13},
        },
        "deviceDetail": {
            "deviceId": _uuid(rng),
            "displayName": f"LIS-{rng.randrange(999)}",
            "operatingSystem": "Windows10",
            "browser": "Edge 142.0.0",
            "isCompliant": True,
            "isManaged": True,
            "trustType": "Azure AD joined",
        },
        "clientAppUsed": "Browser",
        "userAgent": rng.choice(_AGENTS),
        "status": {
            "errorCode": 50126 if failed else 0,
            "failureReason": "Invalid username or password." if failed else "Other.",
            "additionalDetails": "MFA completed in Azure AD",
        },
        "authenticationRequirement": "multiFactorAuthentication" if is_mfa else "singleFactorAuthentication",
        "authenticationProtocol": "none",
        "authenticationDetails": steps,
        "conditionalAccessStatus": "success",
        "isInteractive": True,
        "riskDetail": "none",
        "riskLevelAggregated": risk,
        "riskState": "none",
        "sessionId": _uuid(rng),
        "uniqueTokenIdentifier": _some(rng, _TEXT, 22),
        "autonomousSystemNumber": 64_000 + rng.randrange(500),
        "homeTenantId": tenant,
        "resourceTenantId": tenant,
        "correlationId": correlation,
        "appliedConditionalAccessPolicies": [
            {"id": _uuid(rng), "displayName": f"Policy {number}", "result": "success", "enforcedGrantControls": ["Mfa"]}
            for number in range(3)
        ],
    }
    return {
        "time": stamp,
        "resourceId": f"/tenants/{tenant}/providers/Microsoft.aadiam",
        "operationName": "Sign-in activity",
        "operationVersion": "1.0",
        "category": "SignInLogs",
        "tenantId": tenant,
        "resultType": "50126" if failed else "0",
        "resultSignature": "None",
        "durationMs": 0,
        "callerIpAddress": address,
        "correlationId": correlation,
        "identity": name.title(),
        "Level": 4,
        "location": "PT",
        "properties": properties,
    }


def _uuid(rng: random.Random) -> str:
    return str(UUID(int=rng.getrandbits(128), version=4))


def flow(rng: random.Random, owner: Account, region: str, start: int, version: int) -> str:
    """Return one line of a flow log."""
    inside = f"10.0.{rng.randrange(4)}.{rng.randrange(1, 255)}"
    outside = _address(rng)
    ingress = rng.random() < 0.5
    source, destination = (outside, inside) if ingress else (inside, outside)
    interface = rng.choice(owner.interfaces)
    begin = start + rng.randrange(240)
    packets = rng.randint(1, 400)
    action = "ACCEPT" if rng.random() < 0.85 else "REJECT"
    port, far = rng.randint(1024, 65535), rng.choice((22, 53, 80, 123, 443, 443, 443, 3389, 5432))
    protocol = rng.choices((6, 17, 1), (80, 18, 2))[0]
    head = "5" if version == 5 else "2"
    if rng.random() < 0.01:
        line = f"{head} {owner.id} {interface} - - - - - - - {begin} {begin + 60} - NODATA"
        rest = f"{owner.vpc} {owner.subnets[0]} - - - - - {region} use1-az1 - - - - - -"
    else:
        line = (
            f"{head} {owner.id} {interface} {source} {destination} {port} {far} {protocol} {packets} "
            f"{packets * rng.randint(40, 1500)} {begin} {begin + rng.randint(10, 60)} {action} OK"
        )
        service = rng.choices(("-", "S3", "AMAZON", "EC2"), (70, 12, 10, 8))[0]
        rest = (
            f"{owner.vpc} {rng.choice(owner.subnets)} {rng.choice(owner.instances)} {rng.choice((2, 18, 19, 0))} IPv4 "
            f"{source} {destination} {region} use1-az{rng.randint(1, 3)} - - "
            f"{service if ingress else '-'} {'-' if ingress else service} {'ingress -' if ingress else 'egress 8'}"
        )
    return f"{line} {rest}" if version == 5 else line


LOGS: dict[str, tuple[str, Callable[[Path, int], int]]] = {
    "CloudTrail, 20,000 events a file": ("aws.cloudtrail", lambda f, n: cloudtrail(f, n, 20_000)),
    "CloudTrail, 1,000 events a file": ("aws.cloudtrail", lambda f, n: cloudtrail(f, n, 1_000)),
    "CloudTrail, 40 accounts mixed in each file": ("aws.cloudtrail", lambda f, n: mixed_cloudtrail(f, n, 10_000)),
    "VPC flow logs, version 2": ("aws.vpc_flow", lambda f, n: vpc_flow(f, 4 * n, 20_000, version=2)),
    "VPC flow logs, version 5": ("aws.vpc_flow", lambda f, n: vpc_flow(f, 4 * n, 20_000, version=5)),
    "Google Cloud audit logs": ("gcp.audit", lambda f, n: gcp_audit(f, n, 10_000)),
    "Azure sign-ins": ("azure.signin", lambda f, n: azure_signin(f, n, 10_000)),
}
"""What is measured: the log type, and what writes so many events below a folder; of flow logs four times as many."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["cloudtrail", "vpc-v2", "vpc-v5"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--per-file", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    if given.kind == "cloudtrail":
        size = cloudtrail(given.folder, given.events, given.per_file, seed=given.seed)
    else:
        size = vpc_flow(given.folder, given.events, given.per_file, version=int(given.kind[-1]), seed=given.seed)
    print(f"{given.events:,} events, {size / given.events:,.0f} bytes each, in {given.folder}")


if __name__ == "__main__":
    main()
