from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

PROBE = Path(__file__).with_name("kill_probe.py")


def publish(root, last):
    return subprocess.run([sys.executable, PROBE, root, str(last)], check=False).returncode


def objects(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in (root / "ext").rglob("*") if path.is_file()}


def test_a_kill_at_any_step_of_publish_leaves_whole_objects_and_a_repeat_completes_them(tmp_path):
    assert publish(tmp_path / "whole", 0) == 0
    expected = objects(tmp_path / "whole")
    assert len(expected) == 2

    killed = 0
    for last in range(1, 100):
        root = tmp_path / str(last)
        code = publish(root, last)
        found = objects(root)
        assert found.items() <= expected.items()
        for key in found:
            pq.read_table(root / key)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        killed += 1
        if last % 3 == 0:
            assert publish(root, 0) == 0
            assert objects(root) == expected

    assert killed > 8
