"""Fixtures and options of pytest: ``pytest_plugins = ["ocsflake.testing.fixtures"]`` in the root ``conftest.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ocsflake.testing import servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocsflake.testing.servers import AwsServer

__all__ = ["moto", "rclone", "write_goldens"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--write-goldens``."""
    parser.addoption(
        "--write-goldens",
        action="store_true",
        help="write golden files from what the mappers make of their samples, instead of comparing; then read the diff",
    )


@pytest.fixture
def write_goldens(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be written, for `ocsflake.testing.mappers.check_mapper`."""
    return bool(request.config.getoption("--write-goldens"))


@pytest.fixture(scope="session")
def moto() -> Iterator[AwsServer]:
    """A server of moto."""
    with servers.moto_server() as server:
        yield server


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsServer]:
    """A server of rclone."""
    with servers.rclone_server(tmp_path_factory.mktemp("rclone")) as server:
        yield server
