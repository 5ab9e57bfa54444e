"""Runs over an archive in S3 that goes wrong in every way: each event is in the lake once."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from aws_archive import ACCOUNT, NOW, OTHER, no_wait, put, run, trail

import ocsflake
from ocsflake.checkpoints import FileCheckpoints
from ocsflake.errors import LakeError
from ocsflake.lake.s3 import S3Storage
from ocsflake.sources.aws.s3 import S3Source
from ocsflake.testing.faults import FaultProxy
from pipeline_logs import events, record, rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ocsflake.testing.faults import Fault
    from ocsflake.testing.servers import AwsServer

ROLE = f"arn:aws:iam::{OTHER}:role/reader"


@pytest.fixture
def bucket(moto: AwsServer) -> str:
    return moto.make_bucket()


@pytest.fixture
def proxy(moto: AwsServer) -> Iterator[FaultProxy]:
    with FaultProxy(moto.url) as server:
        yield server


def source(server: AwsServer, bucket: str, *, role_arn: str = "") -> S3Source:
    return S3Source(
        log_type="aws.cloudtrail",
        uri=f"s3://{bucket}",
        role_arn=role_arn,
        session=server.session(timeout=1),
        sleep=no_wait,
    )


@pytest.mark.parametrize("fault", ["throttled", "limited", "unavailable", "reset", "lost", "cut", "silent", "expired"])
def test_every_call_fails_once(moto: AwsServer, proxy: FaultProxy, bucket: str, fault: Fault, tmp_path: Path) -> None:
    """A failure that passes is tried again, at every call; a body goes on where it broke off."""
    body = json.dumps({"Records": [record(number) for number in range(1_000)]}).encode()
    moto.client().put_object(Bucket=bucket, Key=trail("a"), Body=body)
    # After credentials that expired the role is assumed anew, which is a call between.
    proxy.fail(fault, range(2, 30, 3) if fault == "expired" else range(1, 30, 2))

    report = run(source(moto.at(proxy.url), bucket, role_arn=ROLE), tmp_path)

    assert rows(tmp_path / "lake") == events(range(1_000))
    assert not report.failures
    assert len(proxy.requests) >= 12  # a role is assumed, four prefixes are listed, an object is read: twice each


def test_a_session_that_expired(moto: AwsServer, proxy: FaultProxy, bucket: str, tmp_path: Path) -> None:
    """Credentials that nobody can renew are reported, and the next run goes on."""
    put(moto, bucket, trail("a"), [0, 1])
    made = source(moto.at(proxy.url), bucket)
    proxy.fail("expired", range(1, 30))

    (failure,) = run(made, tmp_path).failures

    assert "the credentials have expired (ExpiredToken): renew them and run again" in failure.error
    proxy.heal()
    run(made, tmp_path)
    assert rows(tmp_path / "lake") == events([0, 1])


def test_credentials_of_the_environment(
    moto: AwsServer, proxy: FaultProxy, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials of the environment that expired are looked up anew: they may have been renewed."""
    put(moto, bucket, trail("a"), [0])
    settings = {"ENDPOINT_URL": proxy.url, "ACCESS_KEY_ID": moto.access_key, "SECRET_ACCESS_KEY": moto.secret_key}
    for name, value in (settings | {"DEFAULT_REGION": moto.region, "CONFIG_FILE": "none"}).items():
        monkeypatch.setenv(f"AWS_{name}", value)
    proxy.fail("expired", [1, 4])

    report = run(S3Source(log_type="aws.cloudtrail", uri=f"s3://{bucket}", sleep=no_wait), tmp_path)

    assert not report.failures
    assert rows(tmp_path / "lake") == events([0])


def test_unavailable(moto: AwsServer, proxy: FaultProxy, bucket: str, tmp_path: Path) -> None:
    """A bucket that cannot be reached at all is given up after one prefix, and tried again by the next run."""
    for account in (ACCOUNT, OTHER):
        put(moto, bucket, trail("a", account=account), [int(account == OTHER)])
    made = source(moto.at(proxy.url), bucket)
    proxy.fail("unavailable", range(1, 100))

    (failure,) = run(made, tmp_path).failures

    assert "it cannot be reached, or asks to be left alone" in failure.error
    assert len(proxy.requests) == 2 * 8  # as often as a call is tried, once to plan and once to say why not
    proxy.heal()
    run(made, tmp_path)
    assert rows(tmp_path / "lake") == events([0, 1])


def test_late_objects(moto: AwsServer, proxy: FaultProxy, bucket: str, tmp_path: Path) -> None:
    """Of 80 objects in two accounts over two days a tenth comes hours late, and a fifth of all requests fails."""
    rng = random.Random(2026)
    start = NOW.replace(hour=0)
    arrivals = []
    for number in range(80):
        made = start + timedelta(minutes=36 * number)
        late = timedelta(hours=rng.uniform(1, 20)) if rng.random() < 0.1 else timedelta(minutes=5)
        key = trail(f"{number:03}", day=f"{made:%Y/%m/%d}", account=rng.choice((ACCOUNT, OTHER)))
        arrivals.append((made + late, key, number))
    arrivals.sort(reverse=True)

    made_once, now, listed = source(moto.at(proxy.url), bucket), start, []
    while now < start + timedelta(days=6):
        now += timedelta(hours=10)
        while arrivals and arrivals[-1][0] <= now:
            _, key, number = arrivals.pop()
            put(moto, bucket, key, [2 * number, 2 * number + 1])
        before = len(proxy.requests)
        proxy.heal()
        faults: list[Fault] = ["throttled", "limited", "unavailable", "reset", "cut"]
        for number in range(1, 200):
            if rng.random() < 0.2:
                proxy.fail(rng.choice(faults), [number])
        run(made_once, tmp_path, now=now)
        listed.append(len(proxy.requests) - before)

    assert not arrivals
    assert rows(tmp_path / "lake") == events(range(160))
    assert listed[-1] < 20  # days that are closed are listed no more


def test_interrupted(moto: AwsServer, proxy: FaultProxy, bucket: str, tmp_path: Path) -> None:
    """A run that ends between its intent and its last object is done again just so; what came meanwhile is later's."""
    for name, day, numbers in (("a", "2026/03/05", [0, 2]), ("b", "2026/03/05", [1, 3])):
        put(moto, bucket, trail(name, day=day), numbers)
    lake_bucket = moto.make_bucket()
    root = f"s3://{lake_bucket}/lake"
    storage = S3Storage(root, region="us-east-1", session=moto.at(proxy.url).session(), sleep=no_wait)
    checkpoints = FileCheckpoints(tmp_path / "state.db")
    made = source(moto, bucket)

    def go() -> None:
        ocsflake.run(made, ocsflake.Lake(root, storage=storage), checkpoints=checkpoints, now=lambda: NOW)

    def stored() -> dict[str, str]:
        pages = moto.client().list_objects_v2(Bucket=lake_bucket).get("Contents", ())
        return {item["Key"]: item["ETag"] for item in pages}

    go_on = len(stored())
    proxy.fail("unavailable", range(4, 100))
    with pytest.raises(LakeError):
        go()
    doc, _ = checkpoints.load(made.name)
    assert doc is not None
    assert len(doc["intent"]["splits"]) == 2
    assert len(stored()) > go_on

    put(moto, bucket, trail("c"), [4])
    proxy.heal()
    go()

    again = stored()
    doc, _ = checkpoints.load(made.name)
    assert doc is not None
    assert doc["intent"] is None
    events_found = ocsflake.Lake(root, session=moto.session()).query("SELECT metadata.uid FROM api_activity")
    assert sorted(events_found["uid"].to_pylist()) == [f"event-{number}" for number in range(4)]
    go()
    assert stored() == again
