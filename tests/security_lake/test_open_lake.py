"""The lake as the service knows it, and writing to it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from wanted_sources import EXTERNAL_ID, wanted_sources

import ocsflake
from ocsflake import registry
from ocsflake.cli import main
from ocsflake.errors import ConfigError, LakeError
from ocsflake.lake import Lake
from ocsflake.model import CustomSource
from ocsflake.pipeline import run
from ocsflake.samples import files
from ocsflake.security_lake import apply, open_lake, plan
from ocsflake.testing.security_lake import SecurityLakeServer

CLOUDTRAIL = ["aws_cloudtrail_3001", "aws_cloudtrail_3002", "aws_cloudtrail_6003"]


@pytest.fixture
def bucket(api, moto):
    bucket = moto.make_bucket()
    api.enable("us-east-1", bucket)
    return bucket


@pytest.fixture
def session(api, moto):
    """Security Lake, STS and IAM of the stand-in, and S3 of moto."""
    return api.beside(moto).session()


@pytest.fixture
def cloudtrail(bucket, session):
    wanted = wanted_sources(ocsflake.mapper("aws.cloudtrail"), regions="us-east-1")
    apply(plan(wanted, session=session), session=session)


def run_cloudtrail(lake, tmp_path):
    folder = files("aws.cloudtrail")[0].parent
    source = registry.source("files", log_type="aws.cloudtrail", uri=str(folder))
    return run(source, lake, checkpoints=tmp_path / "checkpoints.db", rejects=tmp_path / "rejects")


def test_all_of_it_comes_from_the_service(session, bucket, cloudtrail):
    """Bucket, locations and roles are what the API says, page by page."""
    lake = open_lake(region="us-east-1", session=session, external_id=EXTERNAL_ID)

    assert lake.root == f"s3://{bucket}/"
    assert lake.region == "us-east-1"
    assert lake.min_commit_seconds == 300
    assert lake.custom_sources == tuple(
        CustomSource(
            name,
            event_class,
            f"s3://{bucket}/ext/{name}/",
            role_arn=f"arn:aws:iam::111111111111:role/AmazonSecurityLake-Provider-{name}-us-east-1",
        )
        for name, event_class in zip(CLOUDTRAIL, ["account_change", "authentication", "api_activity"], strict=True)
    )


def test_a_run_writes_with_the_roles(session, bucket, cloudtrail, moto, tmp_path):
    """Registered, a log type runs into the lake, and all that is read is there."""
    report = run_cloudtrail(open_lake(region="us-east-1", session=session, external_id=EXTERNAL_ID), tmp_path)
    keys = [item["Key"] for item in moto.client().list_objects_v2(Bucket=bucket)["Contents"]]

    assert report.counts.written > 0
    assert sorted(keys) == sorted(written.key for written in report.objects)
    assert {written.source for written in report.objects} <= set(CLOUDTRAIL)


@pytest.mark.parametrize("external_id", ["", "another-id"])
def test_a_wrong_external_id_is_told_before_anything_is_written(
    session, bucket, cloudtrail, moto, tmp_path, external_id
):
    lake = open_lake(region="us-east-1", session=session, external_id=external_id)
    with pytest.raises(LakeError, match=r"cannot be assumed .*external_id= must be what it asks for"):
        run_cloudtrail(lake, tmp_path)
    assert "Contents" not in moto.client().list_objects_v2(Bucket=bucket)


def test_the_lake_has_it_as_a_constructor(session, cloudtrail):
    opened = Lake.security_lake(region="us-east-1", session=session, external_id=EXTERNAL_ID)

    assert opened == open_lake(region="us-east-1", session=session, external_id=EXTERNAL_ID)


def test_a_source_that_is_not_registered_is_told_before_anything_is_read(session, cloudtrail):
    lake = open_lake(region="us-east-1", session=session, external_id=EXTERNAL_ID)
    command = "ocsflake custom-sources apply azure_signin --region us-east-1 --provider"
    with pytest.raises(ConfigError, match=f"'azure_signin_3002' is not registered .*{command}"):
        lake.check("azure_signin", ["authentication"])


def test_a_lake_without_custom_sources_is_told_with_the_command(session, bucket):
    with pytest.raises(ConfigError, match=r"ocsflake custom-sources apply LOG_TYPE --region us-east-1 --provider"):
        open_lake(region="us-east-1", session=session)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"region": "eu-north-1"}, r"in eu-north-1 has no bucket yet \(not enabled\)"),
        ({"region": "eu-west-2"}, r"in eu-west-2 has no bucket yet \(PENDING\)"),
        ({"region": "westeurope"}, "is no AWS Region"),
        ({"region": "eu-west-1", "ocsf_version": "1.7.0"}, "too new"),
    ],
)
def test_wrong_settings(api, session, settings, message):
    api.lakes["eu-west-2"] = {"region": "eu-west-2", "createStatus": "PENDING", "dataLakeArn": "arn"}
    with pytest.raises(ConfigError, match=message):
        open_lake(session=session, **settings)


def test_the_newest_version_of_a_source_counts(api, session):
    """Sources of AWS's own are no custom sources, and a class of an older list is known."""
    versions = {"a": "1.5", "b": "2.10", "c": "2.9", "d": ""}
    api.sources["eu-west-1"] = {
        key: {
            "resource": {
                "sourceName": "fw",
                "sourceVersion": version,
                "provider": {"location": f"s3://{api.bucket('eu-west-1')}/ext/fw/{version}/", "roleArn": "r"},
            },
            "eventClasses": ["FILE_ACTIVITY"],
            "crawler": "c",
        }
        for key, version in versions.items()
    }
    api.sources["eu-west-1"]["fw"] = {
        "resource": {
            "sourceName": "fw",
            "provider": {"location": f"s3://{api.bucket('eu-west-1')}/ext/fw/", "roleArn": "r"},
        },
        "eventClasses": ["FILE_ACTIVITY"],
        "crawler": "c",
    }
    api.sources["eu-west-1"]["WAF"] = {"resource": {"sourceName": "WAF"}, "eventClasses": []}
    [source] = open_lake(region="eu-west-1", session=session).custom_sources

    assert source.version == "2.10"
    assert source.location.endswith("/ext/fw/2.10/")
    assert source.event_class == "file_activity"


def test_failures_that_pass_are_waited_out(session, cloudtrail, api):
    waits = []
    api.fail("ListLogSources", "ThrottlingException", times=2)
    open_lake(region="us-east-1", session=session, sleep=waits.append)

    assert len(waits) == 2


@pytest.mark.parametrize(
    ("code", "status", "kind", "message"),
    [
        ("ThrottlingException", 429, LakeError, "asks to be left alone"),
        ("BadRequestException", 400, ConfigError, "was given what it does not take"),
        ("ExpiredTokenException", 403, LakeError, "renew them and run again"),
        ("ResourceNotFoundException", 404, LakeError, r"securitylake:ListLogSources failed \(ResourceNotFound"),
    ],
)
def test_what_does_not_pass_is_told(session, cloudtrail, api, code, status, kind, message):
    api.fail("ListLogSources", code, times=8, status=status)
    with pytest.raises(kind, match=message):
        open_lake(region="us-east-1", session=session, sleep=lambda _: None)


def test_no_credentials():
    """They are missed before anything is asked."""
    import boto3
    from botocore.credentials import CredentialResolver
    from botocore.session import Session

    core = Session()
    core.register_component("credential_provider", CredentialResolver(providers=[]))
    with SecurityLakeServer() as api:
        core.set_config_variable("region", "eu-west-1")
        with pytest.raises(ConfigError, match="there are no AWS credentials"):
            plan(wanted_sources("api_activity"), session=boto3.Session(botocore_session=core))
        with pytest.raises(ConfigError, match="there are no AWS credentials"):
            open_lake(region="eu-west-1", session=boto3.Session(botocore_session=core))
        assert not api.calls


def test_a_service_that_is_out_of_reach():
    """Where nothing listens, planning ends after its patience."""
    with SecurityLakeServer() as api:
        session = api.beside().session(timeout=1)
    waits = []
    with pytest.raises(LakeError, match="AWS STS in eu-west-1 cannot be reached"):
        plan(wanted_sources("api_activity"), session=session, sleep=waits.append)

    assert len(waits) == 7


class Broken:
    """A session that makes clients of one service that do not work, and leaves the others."""

    def __init__(self, session, service):
        self.session = session
        self.service = service

    def __getattr__(self, name):
        return getattr(self.session, name)

    def client(self, service, **settings):
        return object() if service == self.service else self.session.client(service, **settings)


@pytest.mark.parametrize("service", ["securitylake", "sts", "iam"])
@pytest.mark.parametrize("caller", ["user/me", "assumed-role/Admin/me"])
def test_what_is_no_answer_of_aws_is_not_hidden(service, caller):
    with SecurityLakeServer(caller=f"arn:aws:sts::111111111111:{caller}") as api:
        api.enable("eu-west-1")
        with pytest.raises(AttributeError):
            plan(wanted_sources("api_activity"), session=Broken(api.beside().session(), service))


def test_the_command_line_runs_into_it(api, moto, bucket, cloudtrail, tmp_path):
    """``ocsflake run --security-lake`` needs no address; without a place for checkpoints it says so."""
    environment = {
        "AWS_ENDPOINT_URL_S3": moto.url,
        "AWS_ENDPOINT_URL": api.url,
        "AWS_ACCESS_KEY_ID": moto.access_key,
        "AWS_SECRET_ACCESS_KEY": moto.secret_key,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }

    (tmp_path / "logs").mkdir()
    shutil.copy(files("aws.cloudtrail")[0], tmp_path / "logs")
    (tmp_path / "logs" / "bad.json").write_text("no record")

    def call(*more):
        command = [sys.executable, "-m", "ocsflake", "run", "files", "--log-type", "aws.cloudtrail", "--security-lake"]
        command += ["--option", f"uri={tmp_path / 'logs'}", "--external-id", EXTERNAL_ID, *more]
        return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)

    assert call("--checkpoints", str(tmp_path / "kept.db")).returncode == 2
    missing = call("--rejects", str(tmp_path / "rejects"))
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "give them one" in missing.stderr
    done = call("--rejects", str(tmp_path / "rejects"), "--checkpoints", str(tmp_path / "kept.db"), "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["counts"]["written"] == sum(written["rows"] for written in report["objects"]) > 0
    assert {written["source"] for written in report["objects"]} == set(CLOUDTRAIL)
    assert "--security-lake --region us-east-1" in done.stderr


def test_the_command_line_takes_one_lake(capsys):
    assert main(["run", "files", "--log-type", "aws.cloudtrail", "--lake", "a", "--security-lake"]) == 2
    assert "not allowed with argument --lake" in capsys.readouterr().err
