"""Options of the whole test suite."""

from __future__ import annotations

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("ocsflake.testing.suites")
pytest_plugins = ["ocsflake.testing.fixtures"]

settings.register_profile("fixed", deadline=None, derandomize=True)  # the same examples in every run
settings.register_profile("search", deadline=None)  # pytest --hypothesis-profile=search looks for new ones
settings.load_profile("fixed")
