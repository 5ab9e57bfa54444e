"""The command line on a lake in S3, with what the environment says of AWS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cli_help import COMMAND, process
from pipeline_logs import bad, record, save

if TYPE_CHECKING:
    from pathlib import Path

    from cli_help import Done
    from ocsflake.testing.servers import AwsServer


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    save(tmp_path / "logs" / "a.json.gz", [*map(record, range(10)), bad(90)])
    return tmp_path / "logs"


@pytest.fixture
def command(moto: AwsServer) -> list[str]:
    """The command, with an environment that leads to moto."""
    environment = {
        "AWS_ENDPOINT_URL": moto.url,
        "AWS_ACCESS_KEY_ID": moto.access_key,
        "AWS_SECRET_ACCESS_KEY": moto.secret_key,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }
    return ["env", *(f"{name}={value}" for name, value in environment.items()), *COMMAND]


def test_run_and_query(moto: AwsServer, logs: Path, tmp_path: Path, command: list[str]) -> None:
    """A lake in S3 keeps what was read as well, and is queried in the same way."""
    lake = f"s3://{moto.make_bucket()}/lake"

    def run() -> Done:
        start = ["run", "files", "--log-type", "aws.cloudtrail", "--option", f"uri={logs}", "--json"]
        return process(*start, "--lake", lake, "--rejects", str(tmp_path / "rejects"), command=command)

    first, second = run(), run()
    found = process("query", "--lake", lake, "--json", "SELECT count(*) AS n FROM api_activity", command=command)

    assert json.loads(first.out)["counts"]["written"] == 10
    assert json.loads(second.out)["counts"]["written"] == 0
    assert (found.code, found.out, found.err) == (0, '{"n":8}\n', "")


def test_rejects_need_a_folder(logs: Path) -> None:
    """A bucket has no folder for rejects, which is told before anything is read."""
    done = process("run", "files", "--log-type", "aws.cloudtrail", "--option", f"uri={logs}", "--lake", "s3://bucket")

    assert (done.code, done.out) == (2, "")
    assert done.err == "ocsflake: s3://bucket/ has no folder for records that become no event: give --rejects DIR\n"


def test_a_failed_query_says_one_thing(command: list[str]) -> None:
    """A bucket that is not there is told in one line."""
    done = process("query", "--lake", "s3://no-such-bucket", "SELECT 1", command=command)

    assert (done.code, done.out) == (2, "")
    assert done.err == ("ocsflake: s3://no-such-bucket/ext/: there is no such bucket: make it, or correct the name\n")
