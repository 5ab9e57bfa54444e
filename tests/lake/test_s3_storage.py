"""Storage in S3: what a directory does as well, on two servers, and what a server makes of failures."""

from __future__ import annotations

import io
import os
import pickle
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from ocsflake.errors import ConfigError, LakeError
from ocsflake.lake._deletes import S3Deletes
from ocsflake.lake._obstore import make_put
from ocsflake.lake.s3 import S3Storage
from ocsflake.lake.storage import DirectoryStorage, StoredObject
from ocsflake.testing.faults import FaultProxy

KEYS = ["ext/a-b/x", "ext/a.b", "ext/a/x", "ext/ab/x", "ext/ab/y", "other/x"]
BAD_KEYS = ["../x", "ext/../../x", "/etc/x", "ext//x", "", "ext/./x", "ext\\x", "ext/\0", "ext/"]


def put(storage, key, content=b"content"):
    folder = storage.scratch()
    file = folder / "file"
    file.write_bytes(content)
    storage.put(file, key)
    left = list(folder.iterdir())
    folder.rmdir()
    return left


@pytest.fixture(params=["directory", "moto", "rclone", "obstore"])
def storage(request, tmp_path):
    if request.param == "directory":
        return DirectoryStorage(tmp_path / "lake")
    if request.param == "obstore":
        server = request.getfixturevalue("rclone")
        uri = f"s3://{server.make_bucket()}/some/prefix"
        return S3Storage(uri, region="us-east-1", client=server.client(), transport="obstore")
    server = request.getfixturevalue(request.param)
    return S3Storage(f"s3://{server.make_bucket()}/some/prefix", region="us-east-1", client=server.client())


def nowhere(port):
    """Return a client of a server that is not there."""
    settings = {"region_name": "us-east-1", "aws_access_key_id": "k", "aws_secret_access_key": "s"}
    config = Config(retries={"total_max_attempts": 1})
    return boto3.session.Session().client("s3", endpoint_url=f"http://127.0.0.1:{port}", config=config, **settings)


class TestEverywhere:
    def test_a_put_object_is_there_whole_and_its_file_is_gone(self, storage):
        for size in (0, 1, 64 * 1024, 1_000_000):
            assert put(storage, f"ext/{size}", b"x" * size) == []

            with storage.open(f"ext/{size}") as file:
                assert file.read() == b"x" * size

    def test_a_repeated_put_replaces(self, storage):
        put(storage, "ext/a", b"one")
        put(storage, "ext/a", b"two")

        with storage.open("ext/a") as file:
            assert file.read() == b"two"

    def test_reading_goes_anywhere(self, storage):
        content = bytes(range(256)) * 1_000
        put(storage, "ext/a", content)
        with storage.open("ext/a") as file:
            assert (file.readable(), file.seekable(), file.tell()) == (True, True, 0)
            for start, length in ((0, 10), (5, 100_000), (len(content) - 70_000, 70_000), (len(content) - 3, 3)):
                assert file.seek(start) == start
                assert file.read(length) == content[start : start + length]
            assert file.seek(-4, io.SEEK_END) == len(content) - 4
            assert file.read(100) == content[-4:]
            assert file.read(1) == b""
            assert file.seek(-2, io.SEEK_CUR) == len(content) - 2
            assert file.seek(10, io.SEEK_END) == len(content) + 10
            assert file.read() == b""

    def test_files_are_built_where_nobody_else_looks(self, storage):
        folder = storage.scratch()

        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert list(storage.objects("")) == []
        folder.rmdir()

    def test_objects_come_in_the_order_of_their_keys(self, storage):
        for key in KEYS:
            put(storage, key)

        assert [item.key for item in storage.objects("ext/")] == KEYS[:-1]
        assert list(storage.objects("ext/ab/x")) == [StoredObject("ext/ab/x", 7)]
        assert [item.key for item in storage.objects("ext/a")] == KEYS[:-1]
        assert [item.key for item in storage.objects("o")] == ["other/x"]
        assert list(storage.objects("ext/nothing/")) == []

    def test_folders_are_those_with_something_in_them(self, storage):
        for key in KEYS:
            put(storage, key)

        assert storage.folders("ext/") == ["a", "a-b", "ab"]
        assert storage.folders("nothing/") == []

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_a_key_cannot_leave_the_root(self, storage, key):
        file = storage.scratch() / "file"
        file.write_bytes(b"x")

        with pytest.raises(ConfigError, match="does not stay below"):
            storage.put(file, key)
        with pytest.raises(ConfigError, match="does not stay below"):
            storage.open(key)
        assert list(storage.objects("e")) == []
        file.unlink()
        file.parent.rmdir()

    def test_a_missing_object_is_named(self, storage):
        with pytest.raises(LakeError, match=r"ext/a: (No such file|there is no such object)") as caught:
            storage.open("ext/a")
        assert caught.value.path.endswith("ext/a")

    def test_a_place_that_can_be_written_passes_the_check(self, storage):
        storage.check("ext/a/", "us-east-1")
        storage.check("ext/a/", "us-east-1")


class TestS3:
    @pytest.fixture
    def storage(self, moto):
        return S3Storage(f"s3://{moto.make_bucket()}/p", region="us-east-1", session=moto.session())

    def test_says_what_it_is_and_no_secret(self):
        storage = S3Storage("s3://bucket/p", region="eu-west-1", external_id="secret", client="secret")

        assert repr(storage) == "S3Storage(root='s3://bucket/p/', region='eu-west-1', roles={})"

    @pytest.mark.parametrize(
        "uri", ["bucket/a", "gs://bucket", "s3://Bucket", "s3://b/a//b", "s3://bucket/a/../b", "s3://"]
    )
    def test_refuses_what_is_no_address(self, uri):
        with pytest.raises(ConfigError, match="s3://"):
            S3Storage(uri, region="us-east-1")

    @pytest.mark.parametrize(
        ("call", "where"),
        [
            (lambda storage, _: storage.check("ext/a/", "us-east-1"), "s3://bucket/p/"),
            (lambda storage, file: storage.put(file, "ext/a"), "s3://bucket/p/ext/a"),
            (lambda storage, _: storage.open("ext/a"), "s3://bucket/p/ext/a"),
            (lambda storage, _: storage.read("ext/a", 0, 1), "s3://bucket/p/ext/a"),
            (lambda storage, _: list(storage.objects("ext/")), "s3://bucket/p/ext/"),
            (lambda storage, _: storage.folders("ext/"), "s3://bucket/p/ext/"),
            (lambda storage, _: S3Deletes(storage).delete(["ext/a"]), "s3://bucket/p/ext/a"),
        ],
    )
    def test_what_cannot_be_reached_is_named(self, call, where, tmp_path):
        """After some waits, whose number is that of the attempts that failed; a file that was not put stays."""
        client, waited = nowhere(1), []
        storage = S3Storage("s3://bucket/p", region="us-east-1", client=client, sleep=waited.append)
        (tmp_path / "file").touch()

        with pytest.raises(LakeError, match=f"^{where}: ") as caught:
            call(storage, tmp_path / "file")

        assert caught.value.path == where
        assert len(waited) > 1
        assert (tmp_path / "file").exists()

    def test_who_calls_is_the_role_of_the_location(self, tmp_path):
        """For putting; what is read is read with the client that was given."""
        storage = S3Storage(
            "s3://bucket/p", region="r", client=nowhere(1), roles={"ext/a/": "role"}, sleep=lambda _: None
        )
        storage._clients.by_role["role"] = nowhere(2)
        (tmp_path / "file").touch()

        for call, port in (
            (lambda: storage.put(tmp_path / "file", "ext/a/x"), 2),
            (lambda: storage.put(tmp_path / "file", "ext/b/x"), 1),
            (lambda: storage.open("ext/a/x"), 1),
        ):
            with pytest.raises(LakeError, match=f"http://127.0.0.1:{port}/bucket/p/ext/"):
                call()

    def test_names_that_no_key_has_are_no_folders(self, moto):
        """Such as other programs may put there."""
        client, bucket = moto.client(), moto.make_bucket()
        for name in ("a", "a\\b"):
            client.put_object(Bucket=bucket, Key=f"ext/{name}/x", Body=b"x")

        assert S3Storage(f"s3://{bucket}", region="us-east-1", client=client).folders("ext/") == ["a"]

    def test_many_objects_are_listed_page_by_page(self, moto):
        client, bucket = moto.client(), moto.make_bucket()
        client.meta.events.register(
            "provide-client-params.s3.ListObjectsV2", lambda params, **_: {**params, "MaxKeys": 3}
        )
        storage = S3Storage(f"s3://{bucket}/p", region="us-east-1", client=client)
        for n in range(20):
            client.put_object(Bucket=bucket, Key=f"p/ext/{n:02}/x", Body=b"x")
        client.put_object(Bucket=bucket, Key="p/ext/folder/", Body=b"")

        assert [item.key for item in storage.objects("ext/")] == [f"ext/{n:02}/x" for n in range(20)]
        assert storage.folders("ext/") == [*(f"{n:02}" for n in range(20)), "folder"]

    def test_an_object_is_put_by_one_request_with_a_checksum(self, moto):
        with FaultProxy(moto.url) as proxy:
            bucket = moto.make_bucket()
            storage = S3Storage(f"s3://{bucket}", region="us-east-1", client=moto.at(proxy.url).client())
            put(storage, "ext/a", b"x" * 20_000_000)

            assert proxy.requests == [f"PUT /{bucket}/ext/a"]
        assert "ChecksumCRC32" in moto.client().head_object(Bucket=bucket, Key="ext/a", ChecksumMode="ENABLED")

    def test_obstore_puts_by_one_request_and_boto3_when_that_fails(self, moto):
        with FaultProxy(moto.url) as proxy:
            bucket = moto.make_bucket()
            client = moto.at(proxy.url).client()
            storage = S3Storage(f"s3://{bucket}", region="us-east-1", client=client, transport="obstore")
            put(storage, "ext/a", b"x" * 20_000_000)
            assert proxy.requests == [f"PUT /{bucket}/ext/a"]
            head = moto.client().head_object(Bucket=bucket, Key="ext/a", ChecksumMode="ENABLED")
            assert "ChecksumCRC32" not in head  # which boto3 sends

            proxy.fail("unavailable", [1])
            put(storage, "ext/b", b"y")
            assert proxy.requests[1:] == [f"PUT /{bucket}/ext/b"] * 2
            with storage.open("ext/b") as file:
                assert file.read() == b"y"

    def test_obstore_tells_whether_it_did(self, moto, tmp_path):
        (tmp_path / "a").write_bytes(b"x")

        assert make_put(moto.client(), moto.make_bucket())("ext/a", tmp_path / "a") is True
        assert make_put(moto.client(), "no-such-bucket")("ext/a", tmp_path / "a") is False

    def test_an_unknown_transport_is_refused(self):
        with pytest.raises(ConfigError, match="transport 'obstor': give"):
            S3Storage("s3://bucket", region="us-east-1", transport="obstor")

    def test_opening_costs_one_request_and_the_tail_is_read_without_another(self, moto):
        with FaultProxy(moto.url) as proxy:
            bucket = moto.make_bucket()
            storage = S3Storage(f"s3://{bucket}", region="us-east-1", client=moto.at(proxy.url).client())
            put(storage, "ext/a", b"x" * 1_000_000)
            proxy.requests.clear()
            with storage.open("ext/a") as file:
                file.seek(-60_000, io.SEEK_END)
                file.read(60_000)
                assert proxy.requests == [f"GET /{bucket}/ext/a"]
                file.seek(0)
                assert len(file.read()) == 1_000_000
                assert len(proxy.requests) == 2

    def test_an_object_that_shrank_while_it_was_read_is_an_error(self, storage):
        put(storage, "ext/a", b"x" * 1_000_000)
        file = storage.open("ext/a")
        put(storage, "ext/a", b"y" * 10)

        with pytest.raises(LakeError, match="is not what it was when it was opened"):
            file.read(1_000)

    def test_an_object_that_was_replaced_while_it_was_read_is_an_error(self, storage):
        """Its size is the same, and halves of two objects would be read as one."""
        put(storage, "ext/a", b"x" * 1_000_000)
        file = storage.open("ext/a")
        put(storage, "ext/a", b"y" * 1_000_000)

        with pytest.raises(LakeError, match="is not what it was when it was opened"):
            file.read(1_000)

    def test_what_was_abandoned_for_a_day_is_removed_if_it_is_ours(self, storage):
        old, new = storage.scratch(), storage.scratch()
        (old / "file").write_bytes(b"x")
        strange = Path(tempfile.mkdtemp(prefix="ocsflake-other-"))
        yesterday = time.time() - 25 * 60 * 60
        for folder in (old, strange):
            os.utime(folder, (yesterday, yesterday))

        storage.scratch().rmdir()

        assert not old.exists()
        assert new.exists()
        assert strange.exists()
        new.rmdir()
        strange.rmdir()

    def test_a_copy_in_another_process_makes_clients_of_its_own(self, moto):
        storage = S3Storage("s3://bucket", region="us-east-1", roles={"ext/a/": "arn"}, external_id="x")

        assert pickle.loads(pickle.dumps(storage)) == storage

    def test_a_missing_library_is_told_with_its_pip_line(self):
        code = (
            "import sys; sys.modules['boto3'] = None\n"
            "from ocsflake.errors import MissingExtraError\n"
            "from ocsflake.lake import Lake\n"
            "lake = Lake('s3://bucket')\n"
            "try: lake.check('x', ['api_activity'])\n"
            "except MissingExtraError as error: print(error)\n"
        )

        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

        assert "pip install 'ocsflake[aws]'" in done.stdout


class TestWrongPlaces:
    def test_a_bucket_that_is_not_there(self, moto, rclone):
        for server in (moto, rclone):
            storage = S3Storage("s3://no-such-bucket", region="us-east-1", client=server.client())

            with pytest.raises(ConfigError, match="s3://no-such-bucket/: there is no such bucket"):
                storage.check("ext/a/", "us-east-1")
            with pytest.raises(ConfigError, match="no such bucket"):
                list(storage.objects("ext/"))
            with pytest.raises(ConfigError, match="no such bucket"):
                put(storage, "ext/a")

    def test_a_bucket_in_another_region(self, moto):
        from attrs import evolve

        bucket = evolve(moto, region="eu-west-1").make_bucket()
        storage = S3Storage(f"s3://{bucket}", region="us-east-1", client=moto.client())

        with pytest.raises(
            ConfigError, match=r"the bucket is in eu-west-1, and the lake in us-east-1.*region='eu-west-1'"
        ):
            storage.check("ext/a/", "us-east-1")
        storage.check("ext/a/", "eu-west-1")

    def test_no_credentials(self, moto):
        from attrs import evolve

        session = evolve(moto, access_key="", secret_key="").session()
        session._session._credentials = None
        session._session.get_component("credential_provider").providers = []
        storage = S3Storage("s3://bucket", region="us-east-1", session=session)

        with pytest.raises(ConfigError, match="there are no AWS credentials: set AWS_PROFILE"):
            storage.check("ext/a/", "us-east-1")

    def test_a_wrong_secret_is_told_by_a_server_that_checks_it(self, rclone):
        from attrs import evolve

        bucket = rclone.make_bucket()
        storage = S3Storage(f"s3://{bucket}", region="us-east-1", client=evolve(rclone, secret_key="wrong").client())

        with pytest.raises(LakeError, match=rf"s3://{bucket}/ext/a: the credentials are not valid") as caught:
            put(storage, "ext/a")
        assert "wrong" not in str(caught.value)

    def test_a_proxy_that_is_not_there(self, moto):
        waits = []
        client = moto.at("http://127.0.0.1:1").client()
        storage = S3Storage("s3://bucket", region="us-east-1", client=client, sleep=waits.append)

        with pytest.raises(LakeError, match="it cannot be reached"):
            storage.check("ext/a/", "us-east-1")
        assert len(waits) == 7


class TestFaults:
    @pytest.fixture(params=["moto", "rclone"])
    def server(self, request):
        return request.getfixturevalue(request.param)

    @pytest.fixture
    def proxy(self, server):
        with FaultProxy(server.url) as proxy:
            yield proxy

    @pytest.fixture
    def waits(self):
        return []

    @pytest.fixture
    def storage(self, request, server, proxy, waits):
        client = server.at(proxy.url).session(timeout=0.5 if "silent" in request.node.name else 60).client("s3")
        return S3Storage(f"s3://{server.make_bucket()}", region="us-east-1", client=client, sleep=waits.append)

    @pytest.mark.parametrize("fault", ["unavailable", "throttled", "reset", "lost", "silent", "cut"])
    def test_any_call_may_fail_once(self, storage, proxy, waits, fault):
        def use():
            storage.check("ext/", "us-east-1")
            put(storage, "ext/a", b"x" * 200_000)
            with storage.open("ext/a") as file:
                assert file.read() == b"x" * 200_000
            assert list(storage.objects("ext/")) == [StoredObject("ext/a", 200_000)]

        use()
        requests = list(proxy.requests)
        for number in range(1, len(requests) + 1):
            storage._clients.bucket_region = None
            proxy.fail(fault, [number])
            use()
        # An answer that has no body cannot be cut in its middle.
        assert len(waits) >= (2 if fault == "cut" else len(requests))

    def test_a_failure_that_lasts_is_raised_after_some_patience(self, storage, proxy, waits):
        proxy.fail("unavailable", range(1, 100))

        with pytest.raises(
            LakeError, match=r"ext/a: it cannot be reached, or asks to be left alone \(ServiceUnavailable"
        ):
            put(storage, "ext/a")
        assert len(waits) == 7

    @pytest.mark.parametrize(
        ("do", "permission"),
        [
            (lambda storage: put(storage, "ext/a"), "ext/a: .* may not do this .*: allow it s3:PutObject"),
            (lambda storage: storage.open("ext/a"), "ext/a: .* may not do this .*: allow it s3:GetObject"),
            (lambda storage: list(storage.objects("ext/")), "/ext/: .* may not do this .*: allow it s3:ListBucket"),
        ],
    )
    def test_a_missing_permission_is_named_and_not_tried_again(self, storage, proxy, waits, do, permission):
        proxy.fail("denied", [1])

        with pytest.raises(LakeError, match=permission):
            do(storage)
        assert waits == []

    def test_a_bucket_that_may_not_be_looked_at_may_still_be_written(self, storage, proxy):
        proxy.fail("denied", [1])

        storage.check("ext/", "us-east-1")

    def test_credentials_that_expired_and_cannot_be_renewed(self, storage, proxy, waits):
        proxy.fail("expired", [1])

        with pytest.raises(LakeError, match=r"the credentials have expired .*renew them and run again"):
            put(storage, "ext/a")
        assert waits == []
