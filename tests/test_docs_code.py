"""Every block of code in README and docs runs, page by page and in order, on samples and against stand-ins.

What does not run is in `NOT_RUN` and `CLOUDS`, and is looked at: it parses, and calls of ours take what they are given.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

import ocsflake
from docs_code import ROOT, Block, blocks, parse, run, without_cloud
from ocsflake import samples
from ocsflake.testing.aws_apis import AwsApisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocsflake.testing.servers import AwsServer

PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if "```" in path.read_text()
)

ELSEWHERE = {
    "docs/consumers.md": "tests/consumers/test_docs_consumers.py",
    "docs/security-lake.md": "tests/security_lake/test_docs_security_lake.py",
    "docs/plugins.md": "tests/test_docs.py",
    "docs/spark.md": "tests/spark/test_spark_docs.py",
}
"""Pages whose Python has a test of its own, with the servers that it needs."""

NOT_RUN = {
    ("README.md", "python3 -m venv .venv &&"): "CI runs both lines; the demo has tests of its own",
    ("CONTRIBUTING.md", "python3 -m venv .venv &&"): "the same",
    ("docs/benchmarks.md", "python -m venv .venv &&"): "minutes; tests of benchmarks/ are there",
    ("docs/command-line.md", "ocsflake "): "a synopsis",
    ("docs/plugins.md", "ocsflake new-plugin"): "the tutorial for vendors does the same",
    ("docs/queries.md", "result = lake.athena("): "Athena alone runs it; tests/lake/test_athena.py does the same",
    (
        "docs/lake.md",
        'lake = ocsflake.Lake("s3://aws-',
    ): "follows without end; tests/lake/test_subscribe.py does the same",
}
"""Blocks by page and beginning, and why they do not run."""

CLOUDS = {"docs/sources/azure.md", "docs/sources/gcp.md"}
"""Pages whose sources are made, and not run: the SDKs have no setting that leads them to a stand-in as boto3's have.
tests/sources runs each of them with a client of a stand-in."""


def not_run(block: Block) -> bool:
    return any(block.page == page and block.code.startswith(begin) for page, begin in NOT_RUN)


def sample(log_type: str, folder: Path) -> None:
    """Copy the sample of a log type into a folder."""
    shutil.copytree(samples.files(log_type)[0].parent, folder, dirs_exist_ok=True)


def lake_of(folder: Path) -> ocsflake.Lake:
    """Return a lake in a folder, with the samples of some log types."""
    lake = ocsflake.Lake(folder / "lake")
    log_types = ("aws.cloudtrail", "aws.vpc_flow", "azure.signin", "gcp.audit")
    sources = [
        ocsflake.source("files", log_type=log_type, uri=str(samples.files(log_type)[0].parent))
        for log_type in log_types
    ]
    ocsflake.run(sources, lake, rejects=folder / "lake" / ".ocsflake" / "rejects")
    return lake


@pytest.fixture(scope="module")
def apis() -> Iterator[AwsApisServer]:
    with AwsApisServer() as server:
        yield server


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel of ocsflake, which pip installs from as from an index."""
    folder = tmp_path_factory.mktemp("wheels")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(pip, check=True, capture_output=True)
    return folder


@pytest.fixture
def environment(
    moto: AwsServer, apis: AwsApisServer, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """An environment that has this Python first, and leads boto3 to the stand-ins."""
    (tmp_path / "aws").write_text("[profile security]\nregion = us-east-1\n")
    variables = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "TMPDIR": str(tmp_path),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",  # that there is a newer pip is no part of a page
        "AWS_ENDPOINT_URL": moto.url,
        "AWS_ENDPOINT_URL_GUARDDUTY": apis.url,
        "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": apis.url,
        "AWS_ACCESS_KEY_ID": moto.access_key,
        "AWS_SECRET_ACCESS_KEY": moto.secret_key,
        "AWS_DEFAULT_REGION": moto.region,
        "AWS_CONFIG_FILE": str(tmp_path / "aws"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "aws"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "PIP_FIND_LINKS": f"{wheels} {os.environ.get('PIP_FIND_LINKS', '')}",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


def names_of(page: str, folder: Path, moto: AwsServer) -> dict[str, Any]:
    """Put what a page takes for granted into a folder and the stand-ins, and return the names that its code uses."""
    names: dict[str, Any] = {"ocsflake": ocsflake}
    if page == "docs/how-to.md":
        statement = {"Effect": "Allow", "Principal": {"AWS": "222222222222"}, "Action": "sts:AssumeRole"}
        condition = {"StringEquals": {"sts:ExternalId": "old-id"}}
        moto.client("iam").create_role(
            RoleName="AmazonSecurityLake-Provider-aws_cloudtrail_6003-eu-west-1",
            AssumeRolePolicyDocument=json.dumps(
                {"Statement": [statement | {"Condition": condition}], "Version": "2012-10-17"}
            ),
        )
    elif page in ("README.md", "docs/quickstart.md"):
        sample("aws.cloudtrail", folder / "logs" / ("" if page == "README.md" else "cloudtrail"))
        sample("aws.vpc_flow", folder / ("vpc" if page == "README.md" else "logs/vpc"))
        (folder / "logs" / ("" if page == "README.md" else "cloudtrail") / "notes.txt").write_text("no log\n")
    elif page in ("docs/lake.md", "docs/report.md", "docs/queries.md", *CLOUDS):
        names |= {
            "lake": lake_of(folder),
            "day": "20261117",
            "name": "aws_cloudtrail_6003",
            "date": date,
            "entries": [],
            "credential": "a2V5",
        }
    elif page == "docs/sources/files.md":
        sample("aws.cloudtrail", folder / "logs")
        names["lake"] = ocsflake.Lake(folder / "lake")
    elif page == "docs/s3.md":
        evolve(moto, region="eu-central-1").client().create_bucket(
            Bucket="my-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        sample("aws.cloudtrail", folder / "logs")
        names["source"] = ocsflake.source("files", log_type="aws.cloudtrail", uri=str(folder / "logs"))
        names |= {"boto3": pytest.importorskip("boto3")}
    elif page == "docs/sources/aws.md":
        for bucket in ("org-trail", "flow-logs"):
            moto.client().create_bucket(Bucket=bucket)
        names["lake"] = lake_of(folder)
    return names


@pytest.mark.timeout(900)  # the tutorial for vendors installs twice
@pytest.mark.parametrize("page", [page for page in PAGES if page not in ELSEWHERE])
def test_page(page: str, tmp_path: Path, moto: AwsServer, environment: dict[str, str]) -> None:
    """The code of a page runs from its first block to its last."""
    names = names_of(page, tmp_path, moto)
    runs = []
    for block in blocks(page):
        if not_run(block):
            parse(block)
        elif block.language == "python" and (page in CLOUDS or "follow=True" in block.code):
            runs.append(evolve(block, code=without_cloud(block)))
        elif page in CLOUDS:
            parse(block)
        else:
            runs.append(block)
    run(runs, tmp_path, names, environment)


@pytest.mark.parametrize("page", ELSEWHERE)
def test_page_elsewhere(page: str) -> None:
    """Its test is there, and takes the code from the page; what is no Python is looked at here."""
    assert Path(page).name in (ROOT / ELSEWHERE[page]).read_text()
    for block in blocks(page):
        parse(block)


def test_a_source_of_15_lines() -> None:
    """The source of the tutorial for vendors is as short as the page says."""
    [source] = [block for block in blocks("docs/tutorials/vendor.md") if block.title == "src/acme_vpn/export.py"]
    lines = source.code.partition("@frozen")[2].splitlines()

    assert len([line for line in lines if line.strip()]) == 15


def test_what_does_not_run() -> None:
    """The list is short, and each entry is a block that is there."""
    there = [block for page in PAGES for block in blocks(page)]

    assert [
        entry for entry in NOT_RUN if not any(b.page == entry[0] and b.code.startswith(entry[1]) for b in there)
    ] == []
    assert len([block for block in there if not_run(block) and block.page != "docs/command-line.md"]) <= 10


def test_generated_pages_have_no_code() -> None:
    """The pages of log types have tables alone."""
    assert [page for page in PAGES if page.startswith("docs/mapping/")] == []


def test_outside_links() -> None:
    """Each link to another site is a whole https address."""
    pattern = re.compile(r"https://[\w.-]+\.[a-z]{2,}(:\d+)?(/[\w./~#?=&%+:@,()-]*)?")
    wrong = []
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        text = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(), flags=re.DOTALL)
        links = re.findall(r"\]\(((?:https?:)?//[^)\s]*(?:\([^)]*\)[^)\s]*)?)\)", text)
        wrong += [f"{path.name}: {link}" for link in links if not pattern.fullmatch(link)]

    assert wrong == []
