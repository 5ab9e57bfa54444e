"""A run that is killed, anywhere, and started again: the lake holds what an undisturbed run would have written."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline_logs import bad, events, objects, record, rows, save

PROBE = Path(__file__).with_name("crash_probe.py")


def steps(*arguments: object) -> int:
    """Crash at each step; return how many there were."""
    done = subprocess.run([sys.executable, PROBE, "steps", *map(str, arguments)], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_crash_at_each_step(tmp_path: Path) -> None:
    """After a crash at any step the same objects, byte for byte, and the same rejects are there once, for good."""
    save(tmp_path / "logs" / "a.json.gz", [record(0), bad(1)])
    save(tmp_path / "logs" / "b.json.gz", [record(2), record(8)])

    assert steps(tmp_path / "logs", tmp_path / "work", 1) > 40


@pytest.mark.slow
def test_crash_and_new_files(tmp_path: Path) -> None:
    """What comes after a crash at any step changes nothing about what was under way."""
    save(tmp_path / "logs" / "a.json.gz", [record(0), bad(1)])
    save(tmp_path / "logs" / "b.json.gz", [record(2), record(8)])
    save(tmp_path / "later" / "c.json.gz", [record(4), bad(3)])

    assert steps(tmp_path / "logs", tmp_path / "work", 1 << 20, tmp_path / "later") > 30


@pytest.mark.slow
def test_killed_at_random(tmp_path: Path) -> None:
    """A run over 500 files is killed at 50 random moments and started again each time."""
    rng = random.Random(2026)
    logs = tmp_path / "logs"
    for number in range(500):
        rest = [bad(9_000 + number)] if number % 50 == 7 else []
        save(logs / f"{number:03d}.json.gz", [*map(record, range(number * 4, number * 4 + 4)), *rest])
    size = 2 * (logs / "000.json.gz").stat().st_size

    def start(root: Path) -> subprocess.Popen[str]:
        command = [sys.executable, str(PROBE), "run", str(logs), str(root), str(size)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    moments = [time.monotonic()]
    with start(tmp_path / "undisturbed") as process:
        moments += [time.monotonic() for _ in process.stdout or ()]
    assert process.returncode == 0
    to_start, to_commit = moments[1] - moments[0], (moments[-1] - moments[1]) / len(moments)
    for kill in range(50):
        with start(tmp_path / "killed") as process:
            assert process.stdout is not None
            if kill % 4 == 0:
                time.sleep(rng.uniform(0, to_start))
            else:
                for _ in range(rng.choice((1, 2))):
                    process.stdout.readline()
                time.sleep(rng.uniform(0, 2 * to_commit))
            process.kill()
        assert process.returncode < 0, "the run ended before it was killed often enough"
        assert max(rows(tmp_path / "killed" / "lake").values(), default=1) == 1
    for _ in range(2):
        before = objects(tmp_path / "killed" / "lake")
        with start(tmp_path / "killed") as process:
            process.communicate()
        assert process.returncode == 0

    assert events(range(2_000)) == rows(tmp_path / "killed" / "lake")
    assert objects(tmp_path / "undisturbed" / "lake") == objects(tmp_path / "killed" / "lake")
    assert before == objects(tmp_path / "killed" / "lake")
    assert {Path(path).suffix for path in before} == {".parquet"}
    lines = [
        sorted(line for path in (root / "rejects").rglob("*.jsonl") for line in path.read_bytes().splitlines())
        for root in (tmp_path / "killed", tmp_path / "undisturbed")
    ]
    assert len(lines[0]) == 10
    assert lines[0] == lines[1]
