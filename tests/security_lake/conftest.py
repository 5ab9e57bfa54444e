"""A stand-in for the service, and what the tests share."""

from __future__ import annotations

import pytest

from ocsflake.security_lake import plan
from ocsflake.testing.security_lake import SecurityLakeServer


@pytest.fixture
def api():
    with SecurityLakeServer(page=2) as server:
        server.enable("eu-west-1")
        server.enable("us-east-1")
        yield server


@pytest.fixture
def session(api):
    return api.beside().session()


@pytest.fixture
def waits():
    """The pauses that were made, instead of making them."""
    return []


@pytest.fixture
def planned(session, waits):
    """Plan with the stand-in."""
    return lambda wanted: plan(wanted, session=session, sleep=waits.append)
