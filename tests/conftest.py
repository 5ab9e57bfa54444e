"""Options of the whole test suite."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.register_assert_rewrite("ocsflake.testing.suites")
pytest_plugins = ["ocsflake.testing.fixtures"]

settings.register_profile("fixed", deadline=None, derandomize=True)  # the same examples in every run
settings.register_profile("search", deadline=None)  # pytest --hypothesis-profile=search looks for new ones
settings.load_profile("fixed")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose clock is not UTC."""
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
