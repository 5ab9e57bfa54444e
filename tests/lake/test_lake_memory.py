from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROBE = Path(__file__).with_name("memory_probe.py")

pytestmark = pytest.mark.slow


def measure(root, kind, rows):
    """How many objects came of it, and the peak memory in MB."""
    done = subprocess.run([sys.executable, PROBE, root, kind, str(rows)], capture_output=True, text=True, check=True)
    objects, megabytes = map(int, done.stdout.split())
    return objects, megabytes


def test_fifteen_thousand_mixed_partitions_stay_below_400_mb(tmp_path):
    objects, megabytes = measure(tmp_path, "mixed", 400_000)

    assert objects == 15_000
    assert megabytes < 400


def test_memory_does_not_grow_with_the_input(tmp_path):
    _, small = measure(tmp_path / "a", "clustered", 500_000)
    _, large = measure(tmp_path / "b", "clustered", 2_000_000)

    assert large < 350
    assert large < small + 75
