"""A lake in S3: custom sources where Security Lake has them, put by its roles, and checked before a byte is put."""

from __future__ import annotations

import pickle

import pyarrow as pa
import pytest
from attrs import evolve
from lake_events import DAY, T0, api_activity, events

from ocsflake.errors import ConfigError, LakeError
from ocsflake.lake import CustomSource, Lake
from ocsflake.lake.s3 import S3Storage
from ocsflake.model import EventBatch
from ocsflake.testing.faults import FaultProxy
from ocsflake.testing.security_lake import SecurityLakeServer

ROLE = "arn:aws:iam::123456789012:role/AmazonSecurityLake-Provider-aws_cloudtrail_6003-us-east-1"
OTHER_ROLE = "arn:aws:iam::123456789012:role/service-role/another"


def fill(lake, *batches, commit_id="c"):
    with lake.begin(commit_id) as commit:
        for batch in batches:
            commit.write(batch)
        return commit.publish()


def keys(server, bucket):
    return [item["Key"] for item in server.client().list_objects_v2(Bucket=bucket).get("Contents", ())]


def source(bucket, *, name="aws_cloudtrail_6003", location=None, role_arn=ROLE):
    return CustomSource(name, "api_activity", location or f"s3://{bucket}/ext/{name}/", role_arn=role_arn)


@pytest.fixture(params=["moto", "rclone"])
def server(request):
    return request.getfixturevalue(request.param)


class TestSettings:
    @pytest.mark.parametrize(
        ("given", "root"),
        [
            ("s3://bucket", "s3://bucket/"),
            ("s3://bucket/", "s3://bucket/"),
            ("s3://bucket/a b/c", "s3://bucket/a b/c/"),
        ],
    )
    def test_a_root_is_a_bucket_or_what_is_below_a_prefix(self, given, root):
        assert Lake(given).root == root
        assert Lake(given).storage == S3Storage(root, region="us-east-1", roles={"": ""})

    def test_making_one_asks_nothing_of_s3(self):
        expected = "Lake(root='s3://bucket/', region='eu-west-1', ocsf_version='1.1.0', naming='log_type')"

        assert repr(Lake("s3://bucket", region="eu-west-1", external_id="secret", role_arn=ROLE)) == expected

    @pytest.mark.parametrize("option", ["role_arn", "external_id", "session", "client"])
    def test_a_directory_has_no_use_for_aws(self, tmp_path, option):
        with pytest.raises(ConfigError, match=f"is a directory: {option}= is for a lake in S3"):
            Lake(tmp_path, **{option: "x"})

    def test_nor_for_custom_sources(self, tmp_path):
        with pytest.raises(ConfigError, match="is a directory: custom_sources= is for a lake in S3"):
            Lake(tmp_path, custom_sources=[CustomSource("a", "", "ext/a/")])

    @pytest.mark.parametrize(
        "location", ["s3://other/ext/a/", "s3://bucket/ext/a", "s3://bucket/", "", "s3://bucket2/a/"]
    )
    def test_a_location_lies_below_the_root(self, location):
        with pytest.raises(ConfigError, match=r"a: its location .* is no prefix below s3://bucket/"):
            Lake("s3://bucket", custom_sources=[CustomSource("a", "", location)])

    def test_commits_are_five_minutes_apart_on_security_lake_alone(self, tmp_path):
        assert Lake(tmp_path).min_commit_seconds == 0
        assert Lake("s3://bucket").min_commit_seconds == 0
        assert Lake("s3://bucket", custom_sources=[source("bucket")]).min_commit_seconds == 300

    def test_it_goes_to_other_processes(self):
        lake = Lake("s3://bucket", custom_sources=[source("bucket")], external_id="x")
        copied = pickle.loads(pickle.dumps(lake))

        assert (copied, copied.storage) == (lake, lake.storage)


class TestCustomSources:
    def test_objects_lie_where_security_lake_says(self, moto):
        bucket = moto.make_bucket()
        given = source(bucket, location=f"s3://{bucket}/ext/aws_cloudtrail_6003/1.0/")
        lake = Lake(f"s3://{bucket}", session=moto.session(), custom_sources=[given])

        (written,) = fill(lake, api_activity(events(3)))

        assert written.key.startswith(
            "ext/aws_cloudtrail_6003/1.0/region=us-east-1/accountId=123456789012/eventDay=20240101/"
        )
        assert keys(moto, bucket) == [written.key]
        assert lake.sources() == (evolve(given, location="ext/aws_cloudtrail_6003/1.0/", regions=("us-east-1",)),)
        assert lake.query("SELECT count(*) n FROM api_activity").to_pylist() == [{"n": 3}]

    def test_one_that_is_not_registered_is_refused_before_anything_is_put(self, moto):
        bucket = moto.make_bucket()
        lake = Lake(
            f"s3://{bucket}", session=moto.session(), custom_sources=[source(bucket, name="aws_cloudtrail_600")]
        )

        with pytest.raises(ConfigError, match=r"'aws_cloudtrail_6003' is not registered .*mean 'aws_cloudtrail_600'"):
            lake.check("aws_cloudtrail", ["api_activity"])
        with lake.begin("c") as commit, pytest.raises(ConfigError, match="is not registered"):
            commit.write(api_activity(events(1)))
        with pytest.raises(
            ConfigError, match=r"'gcp_audit_6003' is not registered .*; registered are aws_cloudtrail_600"
        ):
            lake.check("gcp_audit", ["api_activity"])
        assert keys(moto, bucket) == []

    def test_a_class_that_the_version_lacks_needs_none(self, moto):
        bucket = moto.make_bucket()
        lake = Lake(f"s3://{bucket}", session=moto.session(), custom_sources=[source(bucket)])

        lake.check("aws_cloudtrail", ["api_activity", "iam_analysis_finding"])

    def test_a_name_that_is_too_long_is_told_before(self, tmp_path):
        with pytest.raises(ConfigError, match="has 21 characters"):
            Lake(tmp_path).check("aws_cloudtrail_m", ["api_activity"])


class TestRoles:
    @pytest.fixture
    def bucket(self, moto):
        return moto.make_bucket()

    @pytest.fixture
    def sts(self):
        with SecurityLakeServer() as server:
            server.roles[ROLE] = "there"
            yield server

    def lake(self, moto, sts, bucket, url=None, **options):
        server = evolve(moto, url=url or moto.url, elsewhere={"sts": sts.url})
        return Lake(f"s3://{bucket}", session=server.session(), **{"external_id": "there", **options})

    def test_each_source_is_put_by_its_own(self, moto, bucket, sts):
        sts.roles[OTHER_ROLE] = "there"
        sources = [source(bucket), source(bucket, name="aws_cloudtrail_3002", role_arn=OTHER_ROLE)]
        lake = self.lake(moto, sts, bucket, custom_sources=sources)
        for n in range(3):
            fill(lake, api_activity(events(2)), commit_id=f"a{n}")
        assert sts.assumed == [ROLE]
        fill(lake, EventBatch("aws.cloudtrail", "aws_cloudtrail", "authentication", events(2)), commit_id="b")

        assert sts.assumed == [ROLE, OTHER_ROLE]
        assert len(keys(moto, bucket)) == 4

    @pytest.mark.parametrize("transport", ["boto3", "obstore"])
    def test_no_object_is_put_with_the_credentials_of_another(self, moto, bucket, sts, transport):
        """Each request has the token of the role that its place asks for, and comes from what is to put it."""
        sts.roles[OTHER_ROLE] = "there"
        sources = [source(bucket), source(bucket, name="aws_cloudtrail_3002", role_arn=OTHER_ROLE)]
        tokens, agents = {}, set()

        class Noted(FaultProxy):
            def passed_on(self, request):
                if request.method == "PUT":
                    agents.add(request.headers["User-Agent"].partition("/")[0].lower())
                    tokens[request.path.split("/")[3]] = request.headers["X-Amz-Security-Token"]
                return super().passed_on(request)

        with Noted(moto.url) as proxy:
            lake = self.lake(moto, sts, bucket, proxy.url, custom_sources=sources, transport=transport)
            other = EventBatch("aws.cloudtrail", "aws_cloudtrail", "authentication", events(2))
            fill(lake, api_activity(events(2)), other)

        assert tokens == {"aws_cloudtrail_6003": ROLE, "aws_cloudtrail_3002": OTHER_ROLE}
        assert agents == {{"boto3": "boto3", "obstore": "object_store"}[transport]}

    def test_a_role_may_be_given_for_all(self, moto, bucket, sts):
        sts.roles[ROLE] = ""
        lake = self.lake(moto, sts, bucket, role_arn=ROLE, external_id="")
        fill(lake, api_activity(events(2)))
        assert lake.query("SELECT count(*) n FROM api_activity").to_pylist() == [{"n": 2}]

        assert sts.assumed == [ROLE]

    @pytest.mark.parametrize("external_id", ["elsewhere", ""])
    def test_a_wrong_external_id_is_told_before_a_byte_is_put(self, moto, bucket, sts, external_id):
        lake = self.lake(moto, sts, bucket, custom_sources=[source(bucket)], external_id=external_id)

        with pytest.raises(LakeError, match=rf"{ROLE} cannot be assumed \(sts:AssumeRole: AccessDenied\)") as caught:
            lake.check("aws_cloudtrail", ["api_activity"])
        assert "elsewhere" not in str(caught.value)
        assert caught.value.path == f"s3://{bucket}/ext/aws_cloudtrail_6003/"
        with lake.begin("c") as commit, pytest.raises(LakeError, match="cannot be assumed"):
            commit.write(api_activity(events(1)))
        assert keys(moto, bucket) == []

    def test_credentials_are_renewed_before_they_expire(self, moto, bucket, sts):
        sts.credential_seconds = 120
        lake = self.lake(moto, sts, bucket, role_arn=ROLE)
        fill(lake, api_activity(events(2)))
        before = len(sts.assumed)
        fill(lake, api_activity(events(2)), commit_id="later")

        assert len(sts.assumed) > before >= 1

    def test_and_when_the_service_says_that_they_have_expired(self, moto, bucket, sts):
        with FaultProxy(moto.url) as proxy:
            lake = self.lake(moto, sts, bucket, proxy.url, role_arn=ROLE)
            lake.check("aws_cloudtrail", ["api_activity"])
            proxy.fail("expired", [1])
            fill(lake, api_activity(events(2)))

            assert sts.assumed == [ROLE, ROLE]
        assert len(keys(moto, bucket)) == 1

    def test_a_role_that_may_not_put_is_named(self, moto, bucket, sts):
        with FaultProxy(moto.url) as proxy:
            lake = self.lake(moto, sts, bucket, proxy.url, role_arn=ROLE)
            lake.check("aws_cloudtrail", ["api_activity"])
            proxy.fail("denied", [1])

            with pytest.raises(LakeError, match=rf"\.parquet: {ROLE} may not do this .*: allow it s3:PutObject"):
                fill(lake, api_activity(events(2)))

    def test_without_credentials_there_is_no_role(self, moto, bucket):
        session = moto.session()
        session._session._credentials = None
        session._session.get_component("credential_provider").providers = []
        lake = Lake(f"s3://{bucket}", session=session, role_arn=ROLE, client=moto.client())

        with pytest.raises(ConfigError, match="there are no AWS credentials to assume"):
            lake.check("aws_cloudtrail", ["api_activity"])

    def test_a_client_gives_roles_its_endpoint(self, moto, bucket, sts):
        session = evolve(moto, url="http://127.0.0.1:1", elsewhere={"sts": sts.url}).session()
        options = {"session": session, "client": moto.client(), "role_arn": ROLE, "external_id": "there"}
        fill(Lake(f"s3://{bucket}", **options), api_activity(events(1)))

        assert len(keys(moto, bucket)) == 1


class TestChecks:
    def test_another_region(self, moto):
        bucket = evolve(moto, region="eu-central-1").make_bucket()
        lake = Lake(f"s3://{bucket}", session=moto.session())

        with pytest.raises(ConfigError, match="the bucket is in eu-central-1, and the lake in us-east-1"):
            lake.check("aws_cloudtrail", ["api_activity"])
        with lake.begin("c") as commit, pytest.raises(ConfigError, match="eu-central-1"):
            commit.write(api_activity(events(1)))
        assert keys(moto, bucket) == []
        (written,) = fill(
            Lake(f"s3://{bucket}", region="eu-central-1", session=moto.session()), api_activity(events(1))
        )
        assert "/region=eu-central-1/" in written.key

    def test_no_bucket(self, server):
        with pytest.raises(ConfigError, match="there is no such bucket"):
            Lake("s3://nowhere", session=server.session()).check("aws_cloudtrail", ["api_activity"])

    def test_no_region_at_all(self, moto):
        with pytest.raises(ConfigError, match="no AWS Region"):
            Lake("s3://bucket", region="")


def gcp(rows=3):
    """API Activity of another mapper: a struct with other fields."""
    batch = pa.RecordBatch.from_pylist(
        [
            {
                "time": T0 + 5 * DAY + n,
                "class_uid": 6003,
                "cloud": {"provider": "GCP", "account": {"uid": "my-project"}},
                "api": {"operation": "storage.get", "group": {"name": "objects"}},
            }
            for n in range(rows)
        ]
    )
    return EventBatch("gcp.audit", "gcp_audit", "api_activity", batch)


@pytest.fixture(scope="module", params=["moto", "rclone"])
def lake(request):
    server = request.getfixturevalue(request.param)
    lake = Lake(f"s3://{server.make_bucket()}/lake", session=server.session())
    fill(lake, api_activity(events(500, accounts=("012345678901", "123456789012"), days=3)), gcp())
    return lake


class TestQuery:
    def test_sources(self, lake):
        assert [(found.name, found.event_class, found.regions) for found in lake.sources()] == [
            ("aws_cloudtrail_6003", "api_activity", ("us-east-1",)),
            ("gcp_audit_6003", "api_activity", ("us-east-1",)),
        ]

    def test_a_directory_gives_the_same_answers(self, lake, tmp_path):
        local = Lake(tmp_path)
        fill(local, api_activity(events(500, accounts=("012345678901", "123456789012"), days=3)), gcp())
        glue = "amazon_security_lake_glue_db_us_east_1.amazon_security_lake_table_us_east_1_ext_aws_cloudtrail_6003"
        for sql in (
            "SELECT count(*) FROM GCP_Audit_6003",
            f"SELECT count(*), min(region), max(accountid) FROM {glue} WHERE eventday > '20240101'",
            "SELECT source, eventday, accountid, count(*) FROM api_activity GROUP BY ALL ORDER BY ALL",
            "SELECT api.\"group\".name, api.request.uid FROM api_activity WHERE source LIKE 'gcp%'",
            "SELECT * FROM aws_cloudtrail_6003 ORDER BY metadata.uid",
            "SELECT metadata.uid FROM aws_cloudtrail_6003 WHERE len(observables) > 1 ORDER BY 1 LIMIT 5",
        ):
            assert lake.query(sql).to_pylist() == local.query(sql).to_pylist()
        names = lake.query("SELECT * FROM aws_cloudtrail_6003 LIMIT 0").schema.names
        assert names == local.query("SELECT * FROM aws_cloudtrail_6003 LIMIT 0").schema.names

    def test_columns_of_several_mappers_in_one_source(self, server):
        lake = Lake(f"s3://{server.make_bucket()}", session=server.session(), naming="class")
        fill(lake, api_activity(events(5)), gcp(2))

        table = lake.query('SELECT api."group".name g, api.request.uid IS NULL r FROM ocsf_6003 ORDER BY time DESC')
        assert table.to_pylist()[:3] == [{"g": "objects", "r": True}] * 2 + [{"g": None, "r": False}]

    def test_lakes_of_two_regions(self, moto):
        bucket = moto.make_bucket()
        for region, rows in (("us-east-1", 2), ("eu-west-1", 3)):
            storage = S3Storage(f"s3://{bucket}", region="us-east-1", client=moto.client())
            storage._clients.bucket_region = region  # as replication would put them
            fill(Lake(f"s3://{bucket}", region=region, storage=storage), api_activity(events(rows)))
        lake = Lake(f"s3://{bucket}", client=moto.client())

        name = "amazon_security_lake_glue_db_{0}.amazon_security_lake_table_{0}_ext_aws_cloudtrail_6003"
        assert lake.query(f"SELECT count(*) n FROM {name.format('eu_west_1')}").to_pylist() == [{"n": 3}]
        assert lake.query("SELECT count(*) n FROM aws_cloudtrail_6003").to_pylist() == [{"n": 5}]

    def test_only_the_days_asked_for_are_read(self, server):
        with FaultProxy(server.url) as proxy:
            lake = Lake(f"s3://{server.make_bucket()}", session=server.at(proxy.url).session())
            written = fill(lake, api_activity(events(2_000, days=4)))
            proxy.requests.clear()
            lake.query("SELECT count(metadata.uid) FROM api_activity WHERE eventday = '20240102'")

            got = [request for request in proxy.requests if request.endswith(".parquet")]
        days = [next(item.day for item in written if request.endswith(item.key)) for request in got]
        assert set(days) == {"20240102"}

    def test_wrong_statements_are_told_as_for_a_directory(self, lake):
        with pytest.raises(ConfigError, match=r"api_activty does not exist; did you mean 'api_activity'"):
            lake.query("SELECT * FROM api_activty")
        with pytest.raises(ConfigError, match="file system operations are disabled"):
            lake.query("SELECT * FROM read_text('/etc/passwd')")

    def test_an_empty_lake_says_so(self, server):
        with pytest.raises(LakeError, match=r"s3://.* holds no events yet"):
            Lake(f"s3://{server.make_bucket()}", session=server.session()).query("SELECT 1")

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (lambda data: b"PAR1 is not enough PAR1", "is no Parquet"),
            (lambda data: data[:4] + b"\xff" * (len(data) - 60_004) + data[-60_000:], "an object cannot be read"),
        ],
    )
    def test_an_object_that_is_damaged_is_a_lake_error(self, server, damage, message):
        bucket = server.make_bucket()
        lake = Lake(f"s3://{bucket}", session=server.session())
        (written,) = fill(lake, api_activity(events(2_000)))
        with lake.storage.open(written.key) as file:
            server.client().put_object(Bucket=bucket, Key=written.key, Body=damage(file.read()))

        with pytest.raises(LakeError, match=message):
            lake.query("SELECT metadata.uid, api.operation FROM api_activity")

    def test_what_is_no_object_of_the_layout_is_passed_over(self, server):
        bucket = server.make_bucket()
        lake = Lake(f"s3://{bucket}", session=server.session())
        fill(lake, api_activity(events(3)))
        client = server.client()
        for key in ("ext/aws_cloudtrail_6003/note.txt", "ext/other/region=us-east-1/note.txt"):
            client.put_object(Bucket=bucket, Key=key, Body=b"x")

        assert lake.query("SELECT count(*) n FROM api_activity").to_pylist() == [{"n": 3}]
        with pytest.raises(ConfigError, match="other does not exist"):
            lake.query("SELECT * FROM other")

    def test_a_failure_that_passes_is_not_seen(self, server):
        with FaultProxy(server.url) as proxy:
            bucket = server.make_bucket()
            client = server.at(proxy.url).client()
            waits = []
            storage = S3Storage(f"s3://{bucket}", region="us-east-1", client=client, sleep=waits.append)
            lake = Lake(f"s3://{bucket}", storage=storage)
            fill(lake, api_activity(events(2_000, days=2)))
            proxy.fail("unavailable", range(1, 60, 2))

            assert lake.query("SELECT count(metadata.uid) n FROM api_activity").to_pylist() == [{"n": 2_000}]
        assert waits

    def test_a_failure_while_objects_are_scanned_names_what_is_missing(self, server):
        """Again and again: Arrow's threads and Python's must not wait for each other."""
        with FaultProxy(server.url) as proxy:
            lake = Lake(f"s3://{server.make_bucket()}", session=server.at(proxy.url).session())
            fill(lake, api_activity(events(2_000, days=2)))
            for _ in range(10):
                proxy.fail("denied", range(7, 99))  # after the four lists and the two footers
                with pytest.raises(LakeError, match=r"\.parquet: .*allow it s3:GetObject"):
                    lake.query("SELECT count(metadata.uid) n FROM api_activity")
                proxy.heal()
