"""Events for the tests of the lake, built without a mapper: API Activity of about 60 leaves, and a narrow kind."""

from __future__ import annotations

import random
from typing import Any

import pyarrow as pa

from ocsflake.model import EventBatch

T0 = 1_704_067_200_000  # 2024-01-01
DAY = 86_400_000

_S = pa.string()


def _struct(**fields: pa.DataType) -> pa.DataType:
    return pa.struct(list(fields.items()))


_USER = _struct(name=_S, uid=_S, type=_S, type_id=pa.int32(), account=_struct(uid=_S, name=_S))

SCHEMA = pa.schema(
    [
        ("activity_id", pa.int32()),
        ("activity_name", _S),
        ("category_uid", pa.int32()),
        ("category_name", _S),
        ("class_uid", pa.int32()),
        ("class_name", _S),
        ("type_uid", pa.int64()),
        ("type_name", _S),
        ("severity_id", pa.int32()),
        ("severity", _S),
        ("status", _S),
        ("status_id", pa.int32()),
        ("status_code", _S),
        ("message", _S),
        ("time", pa.int64()),
        ("time_dt", pa.timestamp("ms", "UTC")),
        (
            "metadata",
            _struct(
                version=_S,
                uid=_S,
                event_code=_S,
                profiles=pa.list_(_S),
                product=_struct(name=_S, vendor_name=_S, version=_S, feature=_struct(name=_S)),
            ),
        ),
        ("cloud", _struct(provider=_S, region=_S, account=_struct(uid=_S, type=_S))),
        (
            "actor",
            _struct(
                user=_USER,
                session=_struct(uid=_S, created_time=pa.int64(), is_mfa=pa.bool_(), issuer=_S),
                invoked_by=_S,
                idp=_struct(name=_S),
            ),
        ),
        (
            "api",
            _struct(
                operation=_S,
                version=_S,
                service=_struct(name=_S),
                request=_struct(uid=_S, data=_S),
                response=_struct(data=_S, error=_S, message=_S),
            ),
        ),
        ("src_endpoint", _struct(ip=_S, domain=_S, uid=_S)),
        ("http_request", _struct(user_agent=_S)),
        ("resources", pa.list_(_struct(uid=_S, type=_S, owner=_struct(account=_struct(uid=_S))))),
        ("observables", pa.list_(_struct(name=_S, value=_S, type=_S, type_id=pa.int32()))),
        ("unmapped", pa.map_(_S, _S)),
    ]
)

NARROW = pa.schema([("time", pa.int64()), ("cloud", _struct(provider=_S, account=_struct(uid=_S))), ("n", pa.int64())])


def event(rng: random.Random, *, account: str | None = "123456789012", time: int = T0) -> dict[str, Any]:
    """One API call, as nested Python values."""
    arn = f"arn:aws:iam::{account}:user/user{rng.randrange(300)}"
    ip = ".".join(str(rng.randrange(256)) for _ in range(4))
    return {
        "activity_id": rng.randrange(5),
        "activity_name": "Read",
        "category_uid": 6,
        "category_name": "Application Activity",
        "class_uid": 6003,
        "class_name": "API Activity",
        "type_uid": 600302,
        "type_name": "API Activity: Read",
        "severity_id": 1,
        "severity": "Informational",
        "status": "Success",
        "status_id": 1,
        "time": time,
        "time_dt": time,
        "metadata": {
            "version": "1.1.0",
            "uid": f"{rng.getrandbits(128):032x}",
            "event_code": "AwsApiCall",
            "profiles": ["cloud", "datetime"],
            "product": {
                "name": "CloudTrail",
                "vendor_name": "AWS",
                "version": "1.08",
                "feature": {"name": "Management"},
            },
        },
        "cloud": {
            "provider": "AWS",
            "region": rng.choice(["us-east-1", "eu-west-1", "ap-southeast-1"]),
            "account": {"uid": account, "type": "AWS Account"},
        },
        "actor": {
            "user": {"name": arn[-7:], "uid": f"AIDA{rng.getrandbits(64):016X}", "account": {"uid": account}},
            "session": {"uid": f"ASIA{rng.getrandbits(64):016X}", "created_time": time - 5000, "issuer": arn},
        },
        "api": {
            "operation": f"Operation{rng.randrange(40)}",
            "service": {"name": "ec2.amazonaws.com"},
            "request": {
                "uid": f"{rng.getrandbits(128):x}",
                "data": f'{{"bucketName":"{rng.getrandbits(64):x}"}}',
            },
            "response": {"data": f'{{"x":"{rng.getrandbits(400):x}"}}' if rng.random() < 0.4 else None},
        },
        "src_endpoint": {"ip": ip},
        "http_request": {"user_agent": f"aws-cli/2.{rng.randrange(50)} Python/3.11"},
        "resources": [{"uid": arn, "type": "AWS::IAM::User", "owner": {"account": {"uid": account}}}],
        "observables": [
            {"name": "src_endpoint.ip", "value": ip, "type": "IP Address", "type_id": 2},
            {"name": "actor.user.name", "value": arn, "type": "User", "type_id": 4},
        ],
        "unmapped": [("tlsDetails.cipherSuite", "ECDHE-RSA-AES128"), ("eventID", f"{rng.getrandbits(32):x}")],
    }


def events(
    count: int, seed: int = 0, *, accounts: tuple[str, ...] = ("123456789012",), days: int = 1
) -> pa.RecordBatch:
    """`count` API calls of random accounts and days, in random order."""
    rng = random.Random(seed)
    rows = [
        event(rng, account=rng.choice(accounts), time=T0 + rng.randrange(days) * DAY + rng.randrange(DAY))
        for _ in range(count)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


def narrow(rows: list[tuple[int, str | None, str | None]]) -> pa.RecordBatch:
    """Events of three leaves, from (time, account, provider)."""
    return pa.RecordBatch.from_pylist(
        [
            {"time": time, "cloud": {"provider": provider, "account": {"uid": account}}, "n": n}
            for n, (time, account, provider) in enumerate(rows)
        ],
        schema=NARROW,
    )


def api_activity(batch: pa.RecordBatch, source_name: str = "aws_cloudtrail") -> EventBatch:
    """A batch of events as a mapper would give it."""
    return EventBatch("aws.cloudtrail", source_name, "api_activity", batch)
