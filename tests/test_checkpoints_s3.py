"""Checkpoints in S3: all that a store does, where conditions of writes are kept; a refusal where they are not."""

from __future__ import annotations

import json
import time
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import pytest

from ocsflake.checkpoints import S3Checkpoints
from ocsflake.errors import CheckpointConflictError, ConfigError, LakeError
from ocsflake.testing.faults import FaultProxy
from ocsflake.testing.suites import CheckpointSuite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocsflake.testing.servers import AwsServer


@pytest.fixture
def bucket(moto: AwsServer) -> str:
    return moto.make_bucket()


class TestMoto(CheckpointSuite):
    @pytest.fixture
    def store(self, moto: AwsServer, bucket: str) -> S3Checkpoints:
        return S3Checkpoints(f"s3://{bucket}/state", session=moto.session())


class TestS3:
    @pytest.fixture
    def client(self, moto: AwsServer) -> Any:
        return moto.client()

    @pytest.fixture
    def store(self, bucket: str, client: Any) -> S3Checkpoints:
        return S3Checkpoints(f"s3://{bucket}/state", client=client)

    def keys(self, client: Any, bucket: str) -> list[str]:
        return [item["Key"] for item in client.list_objects_v2(Bucket=bucket).get("Contents", ())]

    def test_it_says_what_it_is(self) -> None:
        """Nothing is asked of S3 before it is needed, and nothing secret is shown."""
        assert repr(S3Checkpoints("s3://bucket/a", client="secret")) == "S3Checkpoints(uri='s3://bucket/a/')"

    def test_a_value(self) -> None:
        """It is its place alone, and what it is made of is named."""
        assert S3Checkpoints("s3://bucket/a") == S3Checkpoints("s3://bucket/a/")
        assert S3Checkpoints("s3://bucket/a") != S3Checkpoints("s3://bucket/b")
        made = S3Checkpoints("s3://bucket")
        assert (made.session, made.client, made.sleep) == (None, None, time.sleep)
        with pytest.raises(TypeError):
            S3Checkpoints("s3://bucket", None)  # type: ignore[misc]

    @pytest.mark.parametrize("uri", ["bucket/a", "s3:/bucket", "s3://", "s3://Bucket", "s3://b/a//b", "s3://b/../c"])
    def test_no_address(self, uri: str) -> None:
        """What is no address in S3 is told at once."""
        with pytest.raises(ConfigError, match="s3://"):
            S3Checkpoints(uri)

    def test_an_object_each(self, client: Any, bucket: str, store: S3Checkpoints) -> None:
        """A source has one object, the same in every version, which says whose it is; else there is but the probe."""
        store.save("files:x", {"n": 1}, None)

        (key,) = {*self.keys(client, bucket)} - {"state/probe.json"}
        assert key == f"state/{blake2b(b'files:x', digest_size=16).hexdigest()}.json"
        stored = json.loads(client.get_object(Bucket=bucket, Key=key)["Body"].read())
        assert (stored["name"], stored["doc"], stored["format"]) == ("files:x", {"n": 1}, 1)

    def test_lasts(self, client: Any, bucket: str, store: S3Checkpoints) -> None:
        """Another machine finds what was saved."""
        revision = store.save("a", {"n": 1}, None)

        assert S3Checkpoints(f"s3://{bucket}/state/", client=client).load("a") == ({"n": 1}, revision)

    def test_removed_meanwhile(self, client: Any, bucket: str, store: S3Checkpoints) -> None:
        """A checkpoint that was taken away is not brought back by a run that still has it."""
        revision = store.save("a", {"n": 1}, None)
        for key in self.keys(client, bucket):
            client.delete_object(Bucket=bucket, Key=key)

        with pytest.raises(CheckpointConflictError, match=f"s3://{bucket}/state/"):
            store.save("a", {"n": 2}, revision)

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b"", "is damaged"),
            (b"\xff", "is damaged"),
            (b'{"name":"a","mark":"","doc":[]}', "is damaged"),
            (b'{"name":"a"}', r"is damaged \(.*\): put a copy from before"),
            (b'{"name":"a","mark":"","doc":{},"format":2}', "has format 2, and this version of ocsflake knows 1"),
        ],
    )
    def test_damaged(self, client: Any, bucket: str, store: S3Checkpoints, body: bytes, message: str) -> None:
        """An object that is not right is an error that names it, and is never guessed at."""
        revision = store.save("a", {"n": 1}, None)
        key = next(key for key in self.keys(client, bucket) if "probe" not in key)
        client.put_object(Bucket=bucket, Key=key, Body=body)

        with pytest.raises(LakeError, match=message) as caught:
            store.load("a")
        assert caught.value.path == f"s3://{bucket}/{key}"
        with pytest.raises(LakeError):
            store.save("a", {"n": 2}, revision)

    def test_a_client_that_is_none(self) -> None:
        """What boto3 did not raise is raised as it is."""
        with pytest.raises(AttributeError):
            S3Checkpoints("s3://bucket", client=object()).load("a")

    def test_no_bucket(self, client: Any) -> None:
        """A bucket that is not there is a mistake in the call."""
        with pytest.raises(ConfigError, match="there is no such bucket"):
            S3Checkpoints("s3://no-such-bucket", client=client).load("a")


class TestStoresThatIgnoreConditions:
    def test_refused_at_first_use(self, rclone: AwsServer) -> None:
        """A store that takes a stale write is found out before anything is saved in it."""
        for use in (lambda store: store.load("a"), lambda store: store.save("a", {}, None)):
            bucket = rclone.make_bucket()

            with pytest.raises(ConfigError, match=r"ignores the condition of a write .*keep them in a file"):
                use(S3Checkpoints(f"s3://{bucket}", client=rclone.client()))
            listed = rclone.client().list_objects_v2(Bucket=bucket)["Contents"]
            assert [item["Key"] for item in listed] == ["probe.json"]

    @pytest.mark.parametrize("condition", ["if-match", "if-none-match"])
    def test_one_condition_is_not_enough(self, moto: AwsServer, condition: str) -> None:
        """A store that keeps one kind of condition and ignores the other would still take a stale write."""
        bucket = moto.make_bucket()
        with FaultProxy(moto.url, without=[condition]) as proxy:
            store = S3Checkpoints(f"s3://{bucket}", client=moto.at(proxy.url).client())

            with pytest.raises(ConfigError, match="ignores the condition of a write"):
                store.save("a", {}, None)


class TestFaults:
    @pytest.fixture
    def proxy(self, moto: AwsServer) -> Iterator[FaultProxy]:
        with FaultProxy(moto.url) as proxy:
            yield proxy

    @pytest.fixture
    def waits(self) -> list[float]:
        return []

    @pytest.fixture
    def store(
        self, request: pytest.FixtureRequest, moto: AwsServer, proxy: FaultProxy, bucket: str, waits: list[float]
    ) -> S3Checkpoints:
        silent = "silent" in request.node.name
        client = moto.at(proxy.url).session(timeout=0.5 if silent else 60).client("s3")
        return S3Checkpoints(f"s3://{bucket}/state", client=client, sleep=waits.append)

    @pytest.mark.parametrize("fault", ["unavailable", "throttled", "reset", "lost", "silent"])
    @pytest.mark.parametrize("number", range(1, 7))
    def test_any_request_may_fail_once(
        self, store: S3Checkpoints, proxy: FaultProxy, waits: list[float], fault: Any, number: int
    ) -> None:
        """A failure that passes is not seen, also if the server did what was asked and the answer was lost."""
        proxy.fail(fault, [number])
        first = store.save("a", {"n": 1}, None)
        second = store.save("a", {"n": 2}, first)

        assert store.load("a") == ({"n": 2}, second)
        assert len(waits) == 1 or fault == "silent"

    def test_a_conflict_is_one_also_when_an_answer_was_lost(
        self, moto: AwsServer, bucket: str, store: S3Checkpoints, proxy: FaultProxy
    ) -> None:
        """A save whose answer was lost, and that another run went on from, has not happened for whoever made it."""
        first = store.save("a", {"n": 1}, None)
        other = S3Checkpoints(f"s3://{bucket}/state", client=moto.client())
        theirs = other.save("a", {"n": 2}, first)
        proxy.fail("lost")

        with pytest.raises(CheckpointConflictError):
            store.save("a", {"n": 3}, first)
        assert other.load("a") == ({"n": 2}, theirs)

    @pytest.mark.parametrize(
        ("fault", "message"),
        [
            ("unavailable", "cannot be reached, or asks to be left alone .*run again later"),
            ("denied", "allow it s3:PutObject"),
            ("expired", "the credentials have expired"),
        ],
    )
    def test_failures_that_last(self, store: S3Checkpoints, proxy: FaultProxy, fault: Any, message: str) -> None:
        """A failure that does not pass names the place and what to do, and leaves what was saved."""
        revision = store.save("a", {"n": 1}, None)
        proxy.fail(fault, range(1, 50))

        with pytest.raises(LakeError, match=message) as caught:
            store.save("a", {"n": 2}, revision)
        assert caught.value.path.startswith(store.uri)

    def test_reading_is_denied(self, store: S3Checkpoints, proxy: FaultProxy) -> None:
        """The permission that is named is that of the call."""
        store.load("a")
        proxy.fail("denied")

        with pytest.raises(LakeError, match="allow it s3:GetObject"):
            store.load("a")
