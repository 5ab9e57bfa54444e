"""Fixtures of pytest: ``pytest_plugins = ["ocsflake.testing.fixtures"]`` in a ``conftest.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ocsflake.testing import servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocsflake.testing.servers import AwsServer

__all__ = ["moto", "rclone"]


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
