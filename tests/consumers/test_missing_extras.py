"""Without its library, a consumer says what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("library", "code", "extra"),
    [
        ("opensearchpy", "OpenSearch(None)", "ocsflake[opensearch]"),
        ("urllib3", "Splunk('https://x', token='t')", "ocsflake[splunk]"),
    ],
)
def test_missing(library: str, code: str, extra: str) -> None:
    """Importing the consumers loads neither."""
    script = f"""
import sys
from ocsflake.consumers import Document, OpenSearch, Splunk
assert {library!r} not in sys.modules
sys.modules[{library!r}] = None
{code}.send([Document("i", 1, 2, b"{{}}")])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    assert "MissingExtraError" in done.stderr
    assert extra in done.stderr
