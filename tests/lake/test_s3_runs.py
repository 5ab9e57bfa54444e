"""Whole runs into S3, failed and killed between any two calls: the same objects as in a directory, byte for byte."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.request
from hashlib import blake2b
from pathlib import Path

import pytest
from attrs import evolve

import ocsflake
from ocsflake.checkpoints import FileCheckpoints, S3Checkpoints
from ocsflake.errors import ConfigError, LakeError
from ocsflake.lake.s3 import S3Storage
from ocsflake.model import CustomSource
from ocsflake.testing.faults import FaultProxy
from ocsflake.testing.security_lake import SecurityLakeServer
from ocsflake.testing.servers import moto_server
from pipeline_logs import events, objects, record, rows, save

PROBE = Path(__file__).with_name("s3_probe.py")
FILES, RECORDS = 2, 5
ROLE = "arn:aws:iam::123456789012:role/provider"


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    for n in range(FILES):
        save(folder / f"{n}.json.gz", map(record, range(n * RECORDS, (n + 1) * RECORDS)))
    return folder


@pytest.fixture(scope="module")
def expected(logs, tmp_path_factory):
    """What an undisturbed run leaves in a directory."""
    root = tmp_path_factory.mktemp("lake")
    run(logs, ocsflake.Lake(root), root / "state.db")
    assert rows(root) == events(range(FILES * RECORDS))
    return objects(root)


def run(logs, lake, checkpoints):
    source = ocsflake.source("files", log_type="aws.cloudtrail", uri=str(logs))
    return ocsflake.run(source, lake, checkpoints=checkpoints, commit_bytes=1)


def stored(server, bucket):
    """The objects of a bucket, as `objects` gives them."""
    storage = S3Storage(f"s3://{bucket}", region="us-east-1", client=server.client())
    found = {}
    for item in storage.objects("ext/"):
        with storage.open(item.key) as file:
            found[item.key.removeprefix("ext/")] = blake2b(file.read()).hexdigest()
    return found


def no_wait(_seconds):
    """Wait no time at all."""


class Place:
    """A bucket behind a proxy, and checkpoints for it: in S3 as well, where the server allows that."""

    def __init__(self, server, proxy, tmp_path, *, timeout=60, **options):
        self.server = server
        self.bucket = server.make_bucket()
        root = f"s3://{self.bucket}"
        session = evolve(server, url=proxy.url, elsewhere=options.pop("elsewhere", {})).session(timeout=timeout)
        storage = S3Storage(root, region="us-east-1", session=session, sleep=no_wait, **options)
        self.lake = ocsflake.Lake(root, storage=storage)
        self.checkpoints = FileCheckpoints(tmp_path / f"{self.bucket}.db")
        if server.conditional:
            self.checkpoints = S3Checkpoints(f"{root}/state", session=session, sleep=no_wait)

    def run(self, logs):
        return run(logs, self.lake, self.checkpoints)

    def stored(self):
        return stored(self.server, self.bucket)


@pytest.fixture(params=["moto", "rclone"])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def proxy(server):
    with FaultProxy(server.url) as proxy:
        yield proxy


class TestFaults:
    @pytest.mark.parametrize("fault", ["unavailable", "throttled", "reset", "lost", "silent"])
    def test_every_call_fails_once(self, server, proxy, logs, expected, tmp_path, fault):
        """A failure that passes is not seen."""
        place = Place(server, proxy, tmp_path, timeout=0.5 if fault == "silent" else 60)
        proxy.fail(fault, range(1, 1_000, 2))

        report = place.run(logs)

        assert report.counts.written == FILES * RECORDS
        assert place.stored() == expected
        proxy.heal()
        assert place.run(logs).counts.written == 0

    @pytest.mark.parametrize("fault", ["unavailable", "reset", "lost"])
    def test_every_call_fails_once_by_obstore(self, server, proxy, logs, expected, tmp_path, fault):
        """What obstore cannot put, boto3 does, and with as much patience."""
        place = Place(server, proxy, tmp_path, transport="obstore")
        proxy.fail(fault, range(1, 1_000, 2))

        assert place.run(logs).counts.written == FILES * RECORDS
        assert place.stored() == expected

    def test_credentials_expire_at_every_call(self, server, proxy, logs, expected, tmp_path):
        """The role is assumed again, and the run goes on."""
        with SecurityLakeServer() as sts:
            sts.roles[ROLE] = "there"
            options = {"roles": {"": ROLE}, "external_id": "there", "elsewhere": {"sts": sts.url}}
            place = Place(server, proxy, tmp_path, **options)
            place.checkpoints = FileCheckpoints(tmp_path / "state.db")  # their own session cannot be renewed
            proxy.fail("expired", range(2, 1_000, 2))  # the first one looks at the bucket, as the session

            place.run(logs)

            assert place.stored() == expected
            assert len(sts.assumed) > 1

    @pytest.mark.parametrize("fault", ["denied", "lost"])
    def test_the_run_ends_at_any_call_and_the_next_one_completes_it(
        self, server, proxy, logs, expected, tmp_path, fault
    ):
        """Whether or not the server did what was asked last, nothing is lost, and nothing is there twice."""
        whole = Place(server, proxy, tmp_path)
        whole.run(logs)
        calls = len(proxy.requests)
        assert calls >= FILES * 2

        ended = 0
        for number in range(1, calls + 1):
            place = Place(server, proxy, tmp_path)
            proxy.fail("denied", range(number, number + 100))
            proxy.fail(fault, [number])
            try:
                place.run(logs)
            except LakeError:
                ended += 1
                assert place.stored().items() <= expected.items()
            proxy.heal()

            place.run(logs)
            assert place.stored() == expected
            assert place.run(logs).counts.written == 0
        assert ended >= calls - 2  # the look at the bucket may be denied, and the last answer may be lost


def test_a_stop_in_the_middle_of_a_commit_completes_it(server, proxy, logs, expected, tmp_path):
    """What SIGTERM asks for: the commit under way is saved as well, and the rest is for the next run."""
    place, stop = Place(server, proxy, tmp_path), threading.Event()
    source = ocsflake.source("files", log_type="aws.cloudtrail", uri=str(logs))

    def watch():
        while not any("/ext/" in request for request in list(proxy.requests)):
            time.sleep(0.001)
        stop.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    ocsflake.run(source, place.lake, checkpoints=place.checkpoints, commit_bytes=1, follow=True, stop=stop)
    watcher.join()

    doc, _ = place.checkpoints.load(source.name)
    assert doc["intent"] is None
    assert 0 < len(place.stored()) <= len(expected)
    place.run(logs)
    assert place.stored() == expected


def test_a_kill_at_any_call_leaves_whole_objects_and_the_next_run_completes_them(
    server, proxy, logs, expected, tmp_path
):
    """A process that is killed while it waits for an answer, with and without effect, has lost and doubled nothing."""
    for number in range(2, 9, 3):
        for fault in ("ignored", "silent"):
            bucket, state = server.make_bucket(), str(tmp_path / f"{fault}{number}.db")
            seen = len(proxy.requests)
            proxy.fail(fault, [number])
            with subprocess.Popen([sys.executable, PROBE, proxy.url, bucket, str(logs), state]) as process:
                while len(proxy.requests) < seen + number and process.poll() is None:
                    time.sleep(0.01)
                time.sleep(0.1)
                process.kill()
            proxy.heal()
            assert stored(server, bucket).items() <= expected.items()

            run(logs, ocsflake.Lake(f"s3://{bucket}", client=server.client()), state)
            assert stored(server, bucket) == expected


class TestCheckpoints:
    def test_a_bucket_of_ones_own_keeps_them(self, moto, logs, expected):
        """Without a word about checkpoints, a second run writes nothing."""
        bucket = moto.make_bucket()
        lake = ocsflake.Lake(f"s3://{bucket}/lake", session=moto.session())

        assert [run(logs, lake, None).counts.written for _ in range(2)] == [FILES * RECORDS, 0]
        kept = S3Storage(f"s3://{bucket}/lake", region="us-east-1", client=moto.client()).objects(".ocsflake/")
        assert len(list(kept)) == 2  # one is the probe

    def test_they_may_be_in_another_bucket(self, moto, logs):
        lake = ocsflake.Lake(f"s3://{moto.make_bucket()}", session=moto.session())
        state = f"s3://{moto.make_bucket()}/state"

        assert [run(logs, lake, state).counts.written for _ in range(2)] == [FILES * RECORDS, 0]

    def test_a_store_that_cannot_keep_them_is_refused_before_anything_is_written(self, rclone, logs):
        bucket = rclone.make_bucket()

        with pytest.raises(ConfigError, match="ignores the condition of a write"):
            run(logs, ocsflake.Lake(f"s3://{bucket}", session=rclone.session()), None)
        assert stored(rclone, bucket) == {}

    def test_security_lake_has_no_place_for_them(self, moto, logs):
        bucket = moto.make_bucket()
        sources = [CustomSource("aws_cloudtrail_6003", "", f"s3://{bucket}/ext/aws_cloudtrail_6003/")]
        lake = ocsflake.Lake(f"s3://{bucket}", session=moto.session(), custom_sources=sources)

        with pytest.raises(ConfigError, match=r"has no place for checkpoints: give them one \(checkpoints=\)"):
            run(logs, lake, None)


@pytest.fixture(scope="module")
def iam():
    with moto_server() as server:
        yield server


class TestPolicy:
    """With IAM in force: a role that may put objects below its prefix, and nothing else at all."""

    def policy(self, actions, resources):
        return json.dumps(
            {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": actions, "Resource": resources}}
        )

    def enforce(self, server, calls):
        """Let so many more calls go unchecked."""
        headers = {"Content-Type": "text/plain"}
        url = f"{server.url}/moto-api/reset-auth"
        urllib.request.urlopen(urllib.request.Request(url, str(calls).encode(), headers)).close()

    def role(self, server, name, bucket, source):
        """Make a role that puts objects of one custom source."""
        iam = server.client("iam")
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=self.policy("sts:AssumeRole", "*"))
        policy = self.policy("s3:PutObject", f"arn:aws:s3:::{bucket}/ext/{source}/*")
        iam.put_role_policy(RoleName=name, PolicyName="put", PolicyDocument=policy)
        return made["Role"]["Arn"]

    def user(self, server, name):
        """Return the server with the keys of a user who may assume roles."""
        iam = server.client("iam")
        iam.create_user(UserName=name)
        iam.put_user_policy(
            UserName=name, PolicyName="assume", PolicyDocument=self.policy("sts:AssumeRole", "arn:aws:iam::*:role/*")
        )
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return evolve(server, access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])

    @pytest.fixture
    def bucket(self, iam):
        self.enforce(iam, "inf")
        yield iam.make_bucket()
        self.enforce(iam, "inf")

    def sources(self, iam, bucket, **wrong):
        names = ("aws_cloudtrail_6003", "aws_cloudtrail_3002", "aws_cloudtrail_3001")
        return [
            CustomSource(
                name,
                "",
                f"s3://{bucket}/ext/{name}/",
                role_arn=self.role(iam, f"{name}-{bucket}", bucket, wrong.get(name, name)),
            )
            for name in names
        ]

    def test_a_whole_run_passes(self, iam, bucket, logs, expected, tmp_path):
        sources = self.sources(iam, bucket)
        user = self.user(iam, f"user-{bucket}")
        lake = ocsflake.Lake(f"s3://{bucket}", session=user.session(), custom_sources=sources, external_id="there")
        self.enforce(iam, 0)

        source = ocsflake.source("files", log_type="aws.cloudtrail", uri=str(logs))
        report = ocsflake.run(source, lake, checkpoints=tmp_path / "state.db")

        assert report.counts.written == FILES * RECORDS
        with pytest.raises(LakeError, match="allow it s3:ListBucket"):  # it is in force
            lake.sources()
        self.enforce(iam, "inf")
        assert len(stored(iam, bucket)) == len(report.objects)

    def test_a_role_of_another_prefix_is_told_before_a_byte_is_written(self, iam, bucket, logs, tmp_path):
        sources = self.sources(iam, bucket, **dict.fromkeys(["aws_cloudtrail_6003", "aws_cloudtrail_3002"], "other"))
        user = self.user(iam, f"user-{bucket}")
        lake = ocsflake.Lake(f"s3://{bucket}", session=user.session(), custom_sources=sources)
        self.enforce(iam, 0)

        with pytest.raises(LakeError, match=rf"ext/aws_cloudtrail_.*:role/aws_cloudtrail_.*-{bucket} may not do this"):
            run(logs, lake, tmp_path / "state.db")
        self.enforce(iam, "inf")
        assert stored(iam, bucket) == {}
