from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ocsflake.testing.aws_apis import AwsApisServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def one_aws_apis_server() -> Iterator[AwsApisServer]:
    with AwsApisServer() as server:
        yield server


@pytest.fixture
def aws_apis(one_aws_apis_server: AwsApisServer) -> AwsApisServer:
    """The stand-in for AWS's APIs, with nothing in it."""
    one_aws_apis_server.reset()
    return one_aws_apis_server


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder of a user without privileges, as whom the test runs: to root nothing is forbidden."""
    folder = Path(tempfile.mkdtemp())
    root = os.geteuid() == 0
    if root:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
    yield folder
    if root:
        os.seteuid(0)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o700)
    shutil.rmtree(folder)
