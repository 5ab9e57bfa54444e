"""Archives in S3: what is found in them, what is new, what may not be read, and what an object holds."""

from __future__ import annotations

import io
import json
import pickle
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aws_archive import ACCOUNT, NOW, OTHER, no_wait, packed, put, run, trail, uris

import ocsflake
from ocsflake import samples
from ocsflake.errors import AccessDeniedError, ConfigError, SourceError, UnavailableError
from ocsflake.model import Bounded, ReadsAhead
from ocsflake.sources.aws.s3 import S3Source
from ocsflake.testing.faults import FaultProxy
from ocsflake.testing.s3_archive import ArchiveServer
from ocsflake.testing.security_lake import SecurityLakeServer
from ocsflake.testing.suites import SourceSuite
from pipeline_logs import events, rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ocsflake.testing.servers import AwsServer

CONFIG = "AWSLogs/111122223333/Config/eu-west-1/"


@pytest.fixture
def bucket(moto: AwsServer) -> str:
    return moto.make_bucket()


def source(server: AwsServer, uri: str, log_type: str = "aws.cloudtrail", **options: Any) -> S3Source:
    return S3Source(log_type=log_type, uri=uri, **{"session": server.session(), "sleep": no_wait} | options)


class Archive:
    """Keys in a stand-in, and what a source finds among them."""

    def __init__(self, *keys: str, **options: Any) -> None:
        self.server = ArchiveServer(sorted(keys), **options)

    def found(self, path: str = "", log_type: str = "aws.cloudtrail", now: datetime = NOW, **options: Any) -> list[str]:
        """Return the keys that are planned."""
        with self.server as server:
            splits = list(source(server.beside(), f"s3://logs/{path}", log_type, **options).plan(None, now))
        return [uri.removeprefix("s3://logs/") for uri in uris(splits)]

    @property
    def lists(self) -> list[str]:
        return [request for request in self.server.requests if request.startswith("LIST")]


class TestSuite(SourceSuite):
    now = NOW

    @pytest.fixture
    def source(self, moto: AwsServer, bucket: str) -> S3Source:
        for number in range(3):
            put(moto, bucket, trail(f"{number}", day=f"2026/03/0{3 + number}"), [2 * number, 2 * number + 1])
        return source(moto, f"s3://{bucket}")


class TestFinding:
    ORG = "o-a1b2c3d4e5"

    def test_accounts_and_regions(self) -> None:
        """All accounts, Regions and days of an archive are found, and what lies beside the log is not."""
        wanted = [
            trail("a"),
            trail("b", region="us-east-1"),
            trail("c", account=OTHER),
            trail("d", day="2026/03/01").replace("/CloudTrail/", "/CloudTrail-Insight/"),
            trail("e").replace("AWSLogs/", f"AWSLogs/{self.ORG}/"),
        ]
        beside = [
            f"AWSLogs/{ACCOUNT}/CloudTrail/",
            trail("x").replace("/CloudTrail/", "/CloudTrail-Digest/"),
            f"AWSLogs/{ACCOUNT}/elasticloadbalancing/eu-west-1/2026/03/05/x.log.gz",
            "AWSLogs/test.txt",
            "other/x.json",
        ]
        assert sorted(Archive(*wanted, *beside).found()) == sorted(wanted)

    @pytest.mark.parametrize(
        ("log_type", "keys"),
        [
            ("aws.vpc_flow", [f"AWSLogs/{ACCOUNT}/vpcflowlogs/eu-west-1/2026/03/05/07/x.log.gz"]),
            (
                "aws.vpc_flow",
                [
                    f"AWSLogs/aws-account-id={ACCOUNT}/aws-service=vpcflowlogs/aws-region=eu-west-1/year=2026/month=03/"
                    f"day=0{day}/hour=07/x.log.parquet"
                    for day in (4, 5)
                ],
            ),
            ("aws.waf", [f"AWSLogs/{ACCOUNT}/WAFLogs/cloudfront/acl-{n}/2026/03/05/07/10/x.log.gz" for n in "ab"]),
            ("aws.route53_resolver", [f"AWSLogs/{ACCOUNT}/vpcdnsquerylogs/vpc-0a/2026/03/05/x.log.gz"]),
            ("aws.cloudfront", [f"E2EXAMPLE123{n}.2026-03-05-07.ab12.gz" for n in "45"]),
            ("aws.cloudfront", ["E2EXAMPLE1234/2026/03/05/07/E2EXAMPLE1234.2026-03-05-07.ab12.gz"]),
            ("aws.s3_access", ["2026-03-04-07-11-22-01AB", "2026-03-05-07-11-22-01AB"]),
            (
                "aws.s3_access",
                ["2026-03-05-07-11-22-01AB", f"{ACCOUNT}/eu-west-1/media/2026/03/05/2026-03-05-00-00-00-01AB"],
            ),
            (
                "aws.config",
                [f"{CONFIG}{day}/ConfigHistory/x.json.gz" for day in ("2025/12/31", "2026/3/4", "2026/3/5")],
            ),
        ],
    )
    @pytest.mark.parametrize("prefix", ["", "some/prefix/"])
    def test_layouts(self, log_type: str, keys: list[str], prefix: str) -> None:
        """The keys of each service are found, below any prefix."""
        keys = [prefix + key for key in keys]

        assert sorted(Archive(*keys).found(prefix, log_type, since="2025-12-31")) == sorted(keys)

    def test_days_without_zeros(self) -> None:
        """Days come in their order, though keys do not, and those that are not wanted are not listed."""
        days = ["2025/12/31", "2026/2/28", "2026/3/9", "2026/3/10", "2026/10/1"]
        archive = Archive(*(f"{CONFIG}{day}/ConfigHistory/x.json.gz" for day in days))

        found = archive.found("", "aws.config", since="2026-03-01", until="2026-03-10")

        assert found == [f"{CONFIG}{day}/ConfigHistory/x.json.gz" for day in ("2026/2/28", "2026/3/9", "2026/3/10")]
        assert not [request for request in archive.lists if "2025/" in request or "2026/10/" in request]

    @pytest.mark.parametrize(
        "path",
        ["AWSLogs/", f"AWSLogs/{ACCOUNT}", f"AWSLogs/{ACCOUNT}/CloudTrail/eu-west-1/", trail("").rpartition("/")[0]],
    )
    def test_part_of_an_archive(self, path: str) -> None:
        """A URI may go as deep into an archive as it likes."""
        other = trail("x", account=OTHER, region="us-east-1", day="2026/03/04")

        assert Archive(trail("a"), other).found(path)[:1] == [trail("a")]
        if path != "AWSLogs/":
            assert Archive(trail("a"), other).found(path) == [trail("a")]

    @pytest.mark.parametrize("part", ["2026", "2026/02", "2026/02/01"])
    def test_part_by_part(self, part: str, moto: AwsServer, bucket: str, tmp_path: Path) -> None:
        """A source that was given a year, a month or a day, and then all, reads the rest, and nothing twice."""
        for number, day in enumerate(["2025/12/31", "2026/01/31", "2026/02/01", "2026/02/02", "2026/03/04"]):
            put(moto, bucket, trail("x", day=day), [number])
        uri = f"s3://{bucket}/AWSLogs/{ACCOUNT}/CloudTrail/eu-west-1"

        first = run(source(moto, f"{uri}/{part}", name="trail"), tmp_path)
        run(source(moto, uri, name="trail"), tmp_path)

        assert first.counts.written == {4: 4, 7: 2, 10: 1}[len(part)]
        assert rows(tmp_path / "lake") == events(range(5))

    def test_wanted_accounts(self) -> None:
        """Of an archive with many accounts some can be wanted."""
        archive = Archive(trail("a"), trail("b", account=OTHER))

        assert archive.found(accounts=OTHER) == [trail("b", account=OTHER)]
        assert not [request for request in archive.lists if ACCOUNT in request]

    def test_any_keys(self) -> None:
        """Where there is no archive, all keys below the prefix are wanted."""
        keys = ["in/a.json", "in/b/c.json.gz"]

        assert Archive(*keys, "in-other/x.json", "in/").found("in") == keys
        assert Archive(*keys).found("in/a.json") == ["in/a.json"]
        assert Archive(*keys).found("in", "aws.securityhub") == keys
        assert Archive(trail("a"), "x").found(layout="free") == [trail("a"), "x"]

    def test_nothing_yet(self) -> None:
        """An archive in which the log is not there yet is not read as something else."""
        other = "AWSLogs/111122223333/Config/eu-west-1/2026/3/5/ConfigHistory/x.json.gz"

        assert Archive(other).found() == []
        assert Archive(other).found("AWSLogs/111122223333/") == []
        assert Archive().found() == []

    def test_layout_of_ones_own(self) -> None:
        """Other services' keys can be told by a template, and those of Firehose by a name."""
        keys = [f"team-{team}/{ACCOUNT}/2026-03-0{day}/x.json" for team in "ab" for day in (4, 5)]

        assert Archive(*keys).found(layout="{team}/{account}/{year}-{month}-{day}/") == keys
        assert Archive("2026/03/05/07/x", "failed/x").found(layout="firehose") == ["2026/03/05/07/x"]

    def test_many_flat_files(self) -> None:
        """Files beside folders of accounts are not listed one by one to find the folders."""
        flat = [f"20{year}-03-05-07-11-22-{n:04}" for year in (24, 25, 26) for n in range(50)]
        folders = [f"{account}/eu-west-1/media/2026/03/05/2026-03-05-00-00-00-01" for account in (ACCOUNT, "2" * 12)]
        archive = Archive(*flat, *folders, page=10)

        assert archive.found("", "aws.s3_access", since="2026-03-05") == [*folders, *flat[100:]]
        assert archive.lists.count("LIST logs/") <= 4 + 1 + 6  # over each year; which years; and the files themselves


class TestBounds:
    DAYS = tuple(trail("x", day=f"2026/03/0{day}") for day in range(1, 10))

    def test_since(self) -> None:
        """Days before the one before `since` are not even listed."""
        archive = Archive(*self.DAYS, page=1)

        assert archive.found(since="2026-03-08") == list(self.DAYS[6:])
        assert archive.lists.count(f"LIST logs/AWSLogs/{ACCOUNT}/CloudTrail/eu-west-1/") == 3

    def test_until(self) -> None:
        """What came two days later may hold events from before `until`."""
        assert Archive(*self.DAYS).found(until="2026-03-05") == list(self.DAYS[:7])

    def test_by_run(self) -> None:
        """A run narrows what the source says itself."""
        made = S3Source(log_type="aws.cloudtrail", uri="s3://logs", since="2026-03-02", until="2026-03-04")

        found = made.between(datetime(2026, 3, 3, tzinfo=UTC), datetime(2026, 3, 9, tzinfo=UTC))

        assert isinstance(made, Bounded)
        assert (found.since, found.until) == (datetime(2026, 3, 3, tzinfo=UTC), "2026-03-04")
        assert found.name == made.name
        assert made.between(None, None) == made

    def test_undated(self) -> None:
        """Of keys without a day those are left out that were stored before `since`."""
        assert Archive("a", "b").found(since="2025-12-31", layout="free") == ["a", "b"]
        assert Archive("a", "b").found(since="2026-01-02", layout="free") == []
        assert Archive("a", "b").found(until="2025-12-30", layout="free") == ["a", "b"]
        assert Archive("a", "b").found(until="2025-12-01", layout="free") == []

    def test_further_back(self, moto: AwsServer, bucket: str, tmp_path: Path) -> None:
        """A run that goes further back than those before it reads what they left out, and nothing twice."""
        for place, key in enumerate(self.DAYS[:4]):
            put(moto, bucket, key, [place])
        later = NOW + timedelta(days=5)

        run(source(moto, f"s3://{bucket}", since="2026-03-03"), tmp_path, now=later)
        assert rows(tmp_path / "lake") == events([1, 2, 3])
        run(source(moto, f"s3://{bucket}"), tmp_path, now=later)

        assert rows(tmp_path / "lake") == events(range(4))


class TestRuns:
    @pytest.mark.parametrize("server", ["moto", "rclone"])
    def test_incremental(self, server: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
        """A second run writes nothing; a third one what came late, and an object that was replaced."""
        s3: AwsServer = request.getfixturevalue(server)
        bucket = s3.make_bucket()
        put(s3, bucket, trail("a"), [0, 1])
        put(s3, bucket, trail("b", day="2026/03/04"), [2])
        made = source(s3, f"s3://{bucket}")

        first, second = run(made, tmp_path), run(made, tmp_path)
        put(s3, bucket, trail("late", day="2026/03/04"), [3])
        put(s3, bucket, trail("b", day="2026/03/04"), [4])
        third = run(made, tmp_path, now=NOW + timedelta(hours=12))

        assert (first.counts.written, second.counts.records, third.counts.written) == (3, 0, 2)
        assert rows(tmp_path / "lake") == events(range(5))

    @pytest.mark.parametrize("log_type", ["aws.cloudtrail", "aws.vpc_flow", "aws.elb", "aws.config"])
    def test_same_as_files(self, moto: AwsServer, bucket: str, log_type: str) -> None:
        """Records give the events that the same records give from files, in the account and Region of their key."""
        for path in samples.files(log_type):
            moto.client().upload_file(str(path), bucket, f"in/{path.name}")
            files = ocsflake.source("files", log_type=log_type, uri=str(path.parent))

        found, wanted = ocsflake.read(source(moto, f"s3://{bucket}/in", log_type)), ocsflake.read(files)

        assert set(found) == set(wanted)
        for name, table in wanted.items():
            assert found[name].sort_by("time").equals(table.sort_by("time"))

    def test_origin(self, moto: AwsServer, bucket: str) -> None:
        """A batch says which object, account and Region it is from."""
        put(moto, bucket, trail("a"), [0])
        made = source(moto, f"s3://{bucket}")

        (split,) = made.plan(None, NOW)
        (batch,) = made.read(split)

        assert batch.origin == {"uri": f"s3://{bucket}/{trail('a')}", "account": ACCOUNT, "region": "eu-west-1"}
        assert split.bytes == len(packed([0]))

    def test_parquet(self, moto: AwsServer, bucket: str) -> None:
        """Parquet is read as columns."""
        body = io.BytesIO()
        pq.write_table(pa.table({"version": ["2"] * 3, "account_id": [ACCOUNT] * 3}), body)
        moto.client().put_object(Bucket=bucket, Key="x.parquet", Body=body.getvalue())
        made = source(moto, f"s3://{bucket}", "aws.vpc_flow", layout="free")

        (batch,) = (batch for split in made.plan(None, NOW) for batch in made.read(split))

        assert isinstance(batch.records, pa.RecordBatch)
        assert batch.records.num_rows == 3

    def test_hostile_keys(self) -> None:
        """Whoever writes to the bucket chooses keys, and nothing but keys."""
        keys = sorted(["../../etc/passwd", "a b+c%2F#?&=ü", "x\ny", "//x", "s3://other/x", "<&>"])
        with ArchiveServer(keys, body=lambda key: json.dumps({"key": key}).encode()) as server:
            made = source(server.beside(), "s3://logs", "aws.securityhub")

            splits = list(made.plan(None, NOW))

            assert uris(splits) == [f"s3://logs/{key}" for key in keys]
            assert [json.loads(batch.records)["key"] for split in splits for batch in made.read(split)] == keys

    def test_changed(self, moto: AwsServer, bucket: str) -> None:
        """An object that was replaced or removed since it was planned is an error, and no other content."""
        put(moto, bucket, trail("a"), [0])
        put(moto, bucket, trail("b"), [1])
        made = source(moto, f"s3://{bucket}")
        first, second = made.plan(None, NOW)
        put(moto, bucket, trail("a"), [2])
        moto.client().delete_object(Bucket=bucket, Key=trail("b"))

        with pytest.raises(SourceError, match="changed since it was planned") as changed:
            list(made.read(first))
        with pytest.raises(SourceError, match="was removed since it was planned"):
            list(made.read(second))
        assert changed.value.split == first.id

    def test_as_text(self) -> None:
        """Options may come as text, and a source may go to another process."""
        made = ocsflake.source(
            "aws.s3",
            log_type="aws.cloudtrail",
            uri="s3://logs-{account}",
            accounts=f"{ACCOUNT}, {OTHER}",
            role_arn="arn:aws:iam::{account}:role/reader",
            external_id="secret",
            since="7d",
        )

        assert made.accounts == (ACCOUNT, OTHER)
        assert pickle.loads(pickle.dumps(made)) == made
        assert "secret" not in repr(made)
        assert "secret" not in made.name
        assert isinstance(made, ReadsAhead)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"uri": "logs"}, "is no address in S3"),
            ({"layout": "cloudtrial"}, "is none that is known"),
            ({"accounts": "1"}, "is no account"),
            ({"uri": "s3://logs-{account}"}, "none are given"),
            ({"since": "yesterday"}, "is no time"),
        ],
    )
    def test_wrong(self, options: Mapping[str, Any], message: str) -> None:
        """A wrong option is refused when the source is made, before any call."""
        with pytest.raises(ConfigError, match=message):
            S3Source(**{"log_type": "aws.cloudtrail", "uri": "s3://logs", **options})


class TestDenied:
    @pytest.fixture
    def archive(self) -> Iterator[ArchiveServer]:
        keys = [trail("a"), trail("b"), trail("c", account=OTHER), trail("d", region="us-east-1")]
        numbers = {key: place for place, key in enumerate(keys)}
        with ArchiveServer(sorted(keys), body=lambda key: packed([numbers[key]])) as server:
            yield server

    def test_a_prefix(self, moto: AwsServer, archive: ArchiveServer, tmp_path: Path) -> None:
        """An account that may not be listed is reported with the permission and who lacks it; the others are read."""
        archive.denied = {f"LIST logs/AWSLogs/{OTHER}/"}
        made = source(archive.beside(moto), "s3://logs")

        report = run(made, tmp_path)

        (failure,) = report.failures
        assert rows(tmp_path / "lake") == events([0, 1, 3])
        assert failure.split == f"s3://logs/AWSLogs/{OTHER}/CloudTrail#unlisted"
        for part in ("s3:ListBucket", f"s3://logs/AWSLogs/{OTHER}/", "arn:aws:sts::123456789012:"):
            assert part in failure.error
        assert len([request for request in archive.requests if request.startswith("GET")]) == 3

        archive.denied = set()
        assert run(made, tmp_path).counts.written == 1
        assert rows(tmp_path / "lake") == events(range(4))

    def test_a_day(self, moto: AwsServer, archive: ArchiveServer, tmp_path: Path) -> None:
        """So is a Region whose objects may not be listed."""
        archive.denied = {f"LIST logs/AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/"}

        report = run(source(archive.beside(moto), "s3://logs"), tmp_path)

        assert [failure.split[-20:] for failure in report.failures] == ["/us-east-1/#unlisted"]
        assert rows(tmp_path / "lake") == events([0, 1, 2])

    def test_an_object(self, moto: AwsServer, archive: ArchiveServer, tmp_path: Path) -> None:
        """An object that may not be read is reported, and read when it may."""
        archive.denied = {f"GET logs/{trail('b')}"}
        made = source(archive.beside(moto), "s3://logs", role_arn=f"arn:aws:iam::{OTHER}:role/reader")

        report = run(made, tmp_path)

        (failure,) = report.failures
        assert rows(tmp_path / "lake") == events([0, 2, 3])
        assert f"arn:aws:iam::{OTHER}:role/reader may not do this" in failure.error
        assert f"allow it s3:GetObject on s3://logs/{trail('b')}" in failure.error
        archive.denied = set()
        run(made, tmp_path)
        assert rows(tmp_path / "lake") == events(range(4))

    def test_a_bucket(self, moto: AwsServer, archive: ArchiveServer, tmp_path: Path) -> None:
        """Of several accounts' buckets one that is not there does not stop the others."""
        archive.missing = {f"logs-{OTHER}"}
        made = source(
            archive.beside(moto),
            "s3://logs-{account}",
            accounts=[OTHER, ACCOUNT],
            role_arn="arn:aws:iam::{account}:role/reader",
        )

        report = run(made, tmp_path)

        (failure,) = report.failures
        assert rows(tmp_path / "lake") == events([0, 1, 3])
        assert f"s3://logs-{OTHER}/AWSLogs/: there is no such bucket" in failure.error

    def test_listed_meanwhile(self, archive: ArchiveServer) -> None:
        """A prefix that may be listed by the time it is reported says so."""
        archive.denied = {"LIST logs/"}
        made = source(archive.beside(), "s3://logs", client=archive.beside().client(), session=None)
        (split,) = made.plan(None, NOW)
        with pytest.raises(AccessDeniedError, match="the given client may not do this"):
            list(made.read(split))
        archive.denied = set()

        with pytest.raises(UnavailableError, match="run again"):
            list(made.read(split))

    def test_archived(self, moto: AwsServer, bucket: str) -> None:
        """An object in Glacier says what to do."""
        moto.client().put_object(Bucket=bucket, Key="x", Body=b"{}", StorageClass="GLACIER")
        made = source(moto, f"s3://{bucket}", "aws.securityhub")
        (split,) = made.plan(None, NOW)

        with pytest.raises(SourceError, match="is archived: restore it"):
            list(made.read(split))


class TestRoles:
    def test_who_acts(self, moto: AwsServer, bucket: str) -> None:
        """Each account's bucket is read in the account's own role, which is assumed once."""
        put(moto, bucket, f"{ACCOUNT}/{trail('a')}", [0])
        put(moto, bucket, f"{OTHER}/{trail('b', account=OTHER)}", [1])
        with FaultProxy(moto.url) as proxy:
            made = source(
                moto.at(proxy.url),
                f"s3://{bucket}/{{account}}",
                accounts=[ACCOUNT, OTHER],
                role_arn="arn:aws:iam::{account}:role/reader",
            )

            found = ocsflake.read(made)

            assert found["api_activity"]["metadata"].combine_chunks().field("uid").to_pylist() == ["event-0", "event-1"]
            assert proxy.requests.count("POST /") == 2

    def test_a_role_that_is_not_ours(self, moto: AwsServer) -> None:
        """An account whose role cannot be assumed is reported, with what its trust policy must say."""
        roles = {account: f"arn:aws:iam::{account}:role/reader" for account in (ACCOUNT, OTHER)}
        key = trail("a", account=OTHER)
        with SecurityLakeServer() as sts, ArchiveServer([key], body=lambda _: packed([0])) as archive:
            sts.roles[roles[OTHER]] = "letmein"
            made = source(
                sts.beside(archive.beside(moto)),
                "s3://logs",
                accounts=[ACCOUNT, OTHER],
                role_arn="arn:aws:iam::{account}:role/reader",
                external_id="letmein",
            )

            denied, *splits = made.plan(None, NOW)

            assert uris(splits) == [f"s3://logs/{key}"]
            with pytest.raises(AccessDeniedError, match=r"cannot be assumed \(sts:AssumeRole: AccessDenied") as error:
                list(made.read(denied))
            assert roles[ACCOUNT] in str(error.value)
            assert "letmein" not in str(error.value)
            assert sts.assumed.count(roles[OTHER]) == 1

    def test_no_credentials(self, moto: AwsServer) -> None:
        """Without credentials nothing can be read, and the run says so at once."""
        session = moto.session()
        session._session._credentials = None
        session._session.register_component("credential_provider", _NoProvider())
        made = S3Source(log_type="aws.cloudtrail", uri="s3://logs", session=session, sleep=no_wait)

        with pytest.raises(ConfigError, match="there are no AWS credentials"):
            list(made.plan(None, NOW))


class _NoProvider:
    def load_credentials(self) -> None:
        return None


def test_json() -> None:
    """What a split carries, and what is remembered, is JSON."""
    with ArchiveServer([trail("a", day="2026/03/01"), trail("b")]) as server:
        made = source(server.beside(), "s3://logs")
        splits = list(made.plan(None, NOW))

    state = made.advance(None, splits)
    assert json.loads(json.dumps([dict(split.detail) for split in splits])) == [dict(s.detail) for s in splits]
    assert json.loads(json.dumps(state)) == state
