"""Log files in Cloud Storage: every file once, whenever it comes and whatever fails on the way."""

from __future__ import annotations

import gzip
import json
import pickle
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from gcp_entries import NOW, CrashError, Crashing, entry, ids, rows, run, sample

import ocsflake
from ocsflake.errors import ConfigError, SourceError
from ocsflake.testing.faults import Fault, FaultProxy
from ocsflake.testing.gcp_storage import StorageServer, storage_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LOG = "cloudaudit.googleapis.com/data_access"
FAULTS: tuple[Fault, ...] = ("cut", "lost", "reset", "throttled")
names = count()


@pytest.fixture(autouse=True)
def _no_metadata_of_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client asks for no bucket in the background, so that requests can be counted."""
    monkeypatch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")


@pytest.fixture(scope="module")
def server() -> Iterator[StorageServer]:
    with storage_server() as server:
        yield server


@pytest.fixture
def bucket(server: StorageServer) -> Any:
    return server.client().create_bucket(f"logs-{next(names)}")


def put(bucket: Any, numbers: Iterable[int], name: str = f"{LOG}/2026/11/17/11:00:00_11:59:59_S0.json") -> Any:
    """Put a file of entries."""
    blob = bucket.blob(name)
    blob.upload_from_string("".join(f"{json.dumps(entry(number))}\n" for number in numbers).encode())
    return blob


def source(server: StorageServer, bucket: Any, **options: Any) -> Any:
    given = {"log_type": "gcp.audit", "uri": f"gs://{bucket.name}", "client": server.client()} | options
    return ocsflake.source("gcp.gcs", **given)


def planned(source: Any, state: Any = None) -> list[str]:
    """Return the names of the files that a source would read."""
    return [split.detail["uri"].split("/", 3)[3] for split in source.plan(state, NOW) if "uri" in split.detail]


class TestRuns:
    def test_second_run(self, server: StorageServer, bucket: Any, tmp_path: Path) -> None:
        """A second run writes nothing; a file that comes late is read then, of whatever open day and log."""
        put(bucket, range(10))
        put(bucket, range(10, 20), f"{LOG}/2026/11/10/03:00:00_03:59:59_S0.json")
        put(bucket, range(30, 40), "requests/2026/11/17/11:00:00_11:59:59_S0.json")
        given = source(server, bucket)

        assert [run(given, tmp_path).counts.written for _ in range(2)] == [20, 0]
        put(bucket, range(20, 25), f"{LOG}/2026/11/17/11:00:00_11:59:59_A0.json")
        put(bucket, range(25, 30), "cloudaudit.googleapis.com/policy/2026/11/15/00:00:00_00:59:59_S0.json")
        assert run(given, tmp_path).counts.written == 10
        assert rows(tmp_path) == ids(range(30))

    def test_generations(self, server: StorageServer, bucket: Any, tmp_path: Path) -> None:
        """A file that is put anew is another one."""
        put(bucket, range(5))
        run(source(server, bucket), tmp_path)
        put(bucket, range(5, 9))

        run(source(server, bucket), tmp_path)

        assert rows(tmp_path) == ids(range(9))

    def test_events(self, server: StorageServer, bucket: Any, tmp_path: Path) -> None:
        """Files of a bucket become the events that the same files on a disk become, compressed or not."""
        text = "".join(f"{json.dumps(each)}\n" for each in sample("gcp.dns")).encode()
        (tmp_path / "dns.json").write_bytes(text)
        bucket.blob("sink/dns.googleapis.com/dns_queries/2026/11/17/a.json").upload_from_string(gzip.compress(text))

        found = ocsflake.read(source(server, bucket, log_type="gcp.dns", uri=f"gs://{bucket.name}/sink"))
        expected = ocsflake.read(ocsflake.source("files", log_type="gcp.dns", uri=str(tmp_path)))

        assert {name: table.to_pylist() for name, table in found.items()} == {
            name: table.to_pylist() for name, table in expected.items()
        }

    def test_other_logs(self, server: StorageServer, bucket: Any) -> None:
        """Logs can be named, and what no log is known for is read wherever it is."""
        put(bucket, [1], "app/2026/11/17/a.json")
        put(bucket, [2], "deep/er/b.json")

        assert planned(source(server, bucket, logs="app")) == ["app/2026/11/17/a.json"]
        assert planned(source(server, bucket, log_type="gcp.scc")) == ["app/2026/11/17/a.json", "deep/er/b.json"]
        assert planned(source(server, bucket, log_type="gcp.scc", uri=f"gs://{bucket.name}/deep")) == ["deep/er/b.json"]

    def test_bounds(self, server: StorageServer, bucket: Any) -> None:
        """Days that can hold no events of a span are not listed."""
        for day in range(1, 18):
            put(bucket, [day], f"{LOG}/2026/11/{day:02d}/a.json")
        bounds = (datetime(2026, 11, 5, 23, tzinfo=UTC), datetime(2026, 11, 6, 1, tzinfo=UTC))

        found = planned(source(server, bucket).between(*bounds))

        assert found == [f"{LOG}/2026/11/{day:02d}/a.json" for day in (5, 6, 7, 8)]
        assert planned(source(server, bucket, since="2d")) == [f"{LOG}/2026/11/{day}/a.json" for day in (15, 16, 17)]

    def test_age(self, server: StorageServer, bucket: Any, tmp_path: Path) -> None:
        """An age counts from the first run: after a week without a run no day is missing."""
        for day in (10, 16):
            put(bucket, [day], f"{LOG}/2026/11/{day}/a.json")
        given = source(server, bucket, since="2d")
        run(given, tmp_path)
        put(bucket, [18], f"{LOG}/2026/11/18/a.json")

        run(given, tmp_path, NOW + timedelta(days=7))

        assert rows(tmp_path) == ids([16, 18])

    def test_closed_days(self, server: StorageServer, bucket: Any, tmp_path: Path) -> None:
        """Days that are over are listed no more."""
        for day in (10, 11, 17):
            put(bucket, [day], f"{LOG}/2026/11/{day}/a.json")
        given = source(server, bucket)
        run(given, tmp_path)
        put(bucket, [1], f"{LOG}/2026/11/10/b.json")

        assert run(given, tmp_path).counts.written == 0

    @pytest.mark.parametrize("saves", [1, 2])
    def test_crash(self, server: StorageServer, bucket: Any, tmp_path: Path, saves: int) -> None:
        """A crash after the intent, or after all was published, doubles and loses nothing, even if more came since."""
        put(bucket, range(10))
        checkpoints = Crashing(saves)
        with pytest.raises(CrashError):
            run(source(server, bucket), tmp_path, checkpoints=checkpoints)
        put(bucket, range(10, 15), f"{LOG}/2026/11/17/10:00:00_10:59:59_S0.json")

        run(source(server, bucket), tmp_path, NOW + timedelta(minutes=1), checkpoints=checkpoints)

        assert rows(tmp_path) == ids(range(15))


class TestFailures:
    @pytest.mark.parametrize("fault", FAULTS)
    def test_once(self, server: StorageServer, bucket: Any, tmp_path: Path, fault: Fault) -> None:
        """Whatever call fails once, it is made again."""
        put(bucket, range(10))
        with FaultProxy(server.url) as proxy:
            proxy.fail(fault, [1, 6])

            run(source(server, bucket, client=server.client(proxy.url)), tmp_path)

            assert rows(tmp_path) == ids(range(10))
            assert len(proxy.requests) == 4 + 1 + 2  # a listing for each log and one file

    def test_ranges(self, server: StorageServer, bucket: Any) -> None:
        """A large file is read range by range; one that breaks off is asked for again, and no other."""
        line = b'{"n": "%s"}\n' % (b"x" * 100_000)
        bucket.blob(f"{LOG}/2026/11/17/a.json").upload_from_string(line * 180)
        with FaultProxy(server.url) as proxy:
            given = source(server, bucket, client=server.client(proxy.url), logs=LOG)
            [split] = given.plan(None, NOW)
            before = len(proxy.requests)
            proxy.fail("cut", [2])

            assert b"".join(bytes(raw.records) for raw in given.read(split)) == line * 180
            assert len(proxy.requests) - before == 4

    def test_bucket_that_is_not_there(self, server: StorageServer, bucket: Any, tmp_path: Path) -> None:
        """It is reported and does not stop the others, and what is wrong is said when it is read."""
        put(bucket, range(10))
        given = source(server, bucket, uri=f"gs://not-there,gs://{bucket.name}", logs=LOG)

        report = run(given, tmp_path)

        [failure] = report.sources[0].failures
        assert failure.split == f"gs://not-there/{LOG}/#unread"
        assert "there is no such resource (NOT_FOUND: Not Found): correct uri=" in failure.error
        assert rows(tmp_path) == ids(range(10))

    def test_denied(self, server: StorageServer, bucket: Any, tmp_path: Path) -> None:
        """A file that may not be read is reported with the permission, and is read when it is allowed."""
        for number in range(3):
            put(bucket, [number], f"{LOG}/2026/11/17/0{number}.json")
        with FaultProxy(server.url) as proxy:
            given = source(server, bucket, client=server.client(proxy.url), logs=LOG)
            proxy.fail("denied", [3])

            report = run(given, tmp_path, commit_bytes=1)

            [failure] = report.sources[0].failures
            assert failure.split.startswith(f"gs://{bucket.name}/{LOG}/2026/11/17/01.json#")
            assert "allow storage.objects.get (roles/storage.objectViewer)" in failure.error
            assert rows(tmp_path) == ids([0, 2])
            run(given, tmp_path)
            assert rows(tmp_path) == ids(range(3))

    def test_deleted(self, server: StorageServer, bucket: Any) -> None:
        """A file that is gone when its turn comes is an error that says so."""
        blob = put(bucket, [1])
        given = source(server, bucket)
        split = next(given.plan(None, NOW))
        blob.delete()

        with pytest.raises(SourceError, match=r"S0.json: there is no such resource .* if it was deleted meanwhile"):
            list(given.read(split))


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"uri": ""}, "uri= is empty"),
            ({"uri": "s3://bucket"}, "'s3://bucket' is no address in Cloud Storage"),
            ({"until": "soon"}, "'soon' is no time"),
        ],
    )
    def test_wrong(self, options: dict[str, Any], message: str) -> None:
        """What is wrong is said when the source is made."""
        with pytest.raises(ConfigError, match=message):
            ocsflake.source("gcp.gcs", **({"log_type": "gcp.audit", "uri": "gs://bucket"} | options))

    def test_identity(self) -> None:
        """The name says what and where; a source without a live client can be sent to another process."""
        given = ocsflake.source("gcp.gcs", log_type="gcp.dns", uri="gs://bucket/logs/")

        assert given.name == "gcp.gcs:gcp.dns:gs://bucket/logs"
        assert pickle.loads(pickle.dumps(given)) == given
