"""Runs with several processes: the very objects of one, whatever ends them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ocsflake
from ocsflake.checkpoints import MemoryCheckpoints
from ocsflake.errors import ConfigError, LakeError, RejectedRecordsError
from pipeline_logs import Overlapping, Parts, bad, events, objects, record, rows, save
from slow_source import Slow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocsflake.model import Source
    from ocsflake.testing.servers import AwsServer


def trail(folder: Path) -> Source:
    return ocsflake.source("files", log_type="aws.cloudtrail", uri=str(folder))


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Three files of CloudTrail, of ten records each."""
    for number in range(3):
        save(tmp_path / "logs" / f"{number}.json.gz", map(record, range(number * 10, number * 10 + 10)))
    return tmp_path / "logs"


def test_as_one_process(logs: Path, tmp_path: Path) -> None:
    """The objects are the same, byte for byte; either goes on where the other ended."""
    lake = ocsflake.Lake(tmp_path / "many")
    wanted = ocsflake.run(trail(logs), ocsflake.Lake(tmp_path / "one"), commit_bytes=1)

    report = ocsflake.run(trail(logs), lake, commit_bytes=1, workers=2)

    assert report.counts == wanted.counts
    assert objects(lake.root) == objects(tmp_path / "one")
    assert ocsflake.run(trail(logs), lake).counts.records == 0
    save(logs / "3.json.gz", map(record, range(30, 35)))
    assert ocsflake.run(trail(logs), lake, workers=2).counts.written == 5
    assert events(range(35)) == rows(lake.root)


def test_what_is_rejected_or_broken(logs: Path, tmp_path: Path) -> None:
    """Rejects are where one process puts them, and without a place for them nothing of their commit counts."""
    save(logs / "1.json.gz", [record(10), bad(11)])
    (logs / "2.json.gz").write_bytes((logs / "2.json.gz").read_bytes()[:-10])
    lakes = [ocsflake.Lake(tmp_path / name) for name in ("one", "many")]
    places = [tmp_path / f"all-{lake.root.name}" / "rejects" for lake in lakes if isinstance(lake.root, Path)]
    wanted = ocsflake.run(trail(logs), lakes[0], rejects=places[0], commit_bytes=1)

    with pytest.raises(RejectedRecordsError):
        ocsflake.run(trail(logs), lakes[1], commit_bytes=1, workers=2)
    report = ocsflake.run(trail(logs), lakes[1], rejects=places[1], commit_bytes=1, workers=2)

    assert (report.counts.rejects, len(report.failures)) == (1, 1)
    assert report.failures == wanted.failures
    assert objects(lakes[0].root) == objects(lakes[1].root)
    kept = [{path.relative_to(place): path.read_bytes() for path in place.rglob("*.jsonl")} for place in places]
    assert kept[0] == kept[1] != {}


def test_a_worker_that_is_killed(logs: Path, tmp_path: Path) -> None:
    """The run says so, and the next one does the same commits again, with workers or without, and nowhere else."""
    lake, store = ocsflake.Lake(tmp_path / "lake"), MemoryCheckpoints()
    ended = threading.Event()

    def kill() -> None:
        while not ended.is_set():
            for child in multiprocessing.active_children():
                if child.pid is not None and store.load(trail(logs).name)[0] is not None:
                    os.kill(child.pid, signal.SIGKILL)
                    return
            time.sleep(0.01)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(LakeError, match="a worker process ended before its commit was done"):
            ocsflake.run(Slow(trail(logs)), lake, checkpoints=store, since="2026-03-02", commit_bytes=1, workers=2)
    finally:
        ended.set()
        killer.join()

    with pytest.raises(ConfigError, match=r"interrupted .* elsewhere: naming was 'log_type' and is 'class'"):
        ocsflake.run(trail(logs), ocsflake.Lake(lake.root, naming="class"), checkpoints=store)
    report = ocsflake.run(trail(logs), lake, checkpoints=store)

    wanted = [number for number in range(30) if number // 2 % 2]  # those of the day that the first run asked for
    assert report.counts.written == len(wanted)
    assert (store.load(trail(logs).name)[0] or {})["job"] is None
    save(logs / "3.json.gz", map(record, range(30, 35)))
    ocsflake.run(trail(logs), lake, checkpoints=store)
    assert events([*wanted, *range(30, 35)]) == rows(lake.root)


def test_a_commit_that_one_process_left(logs: Path, tmp_path: Path) -> None:
    """It is finished first, and the workers go on from there."""
    lake, store = ocsflake.Lake(tmp_path / "lake"), MemoryCheckpoints()
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "ext").touch()
    with pytest.raises(LakeError):
        ocsflake.run(trail(logs), lake, checkpoints=store, commit_bytes=1)
    (tmp_path / "lake" / "ext").unlink()

    report = ocsflake.run(trail(logs), lake, checkpoints=store, workers=2)

    assert report.counts.written == 30
    assert events(range(30)) == rows(lake.root)


def test_a_job_that_is_repeated(logs: Path, tmp_path: Path) -> None:
    """Its days are those of the first attempt, however late the next one is, which may have a place for rejects."""

    class Broken(MemoryCheckpoints):
        def save(self, name: str, doc: Mapping[str, Any], revision: str | None) -> str:
            if revision is not None:
                raise ZeroDivisionError
            return super().save(name, doc, revision)

    lake, now = ocsflake.Lake(tmp_path / "lake"), datetime(2026, 3, 3, tzinfo=UTC)
    store, broken, settings = MemoryCheckpoints(), Broken(), {"max_age": "30d", "workers": 2}
    with pytest.raises(ZeroDivisionError):
        ocsflake.run(trail(logs), lake, checkpoints=broken, now=lambda: now, **settings)
    name = trail(logs).name
    store.save(name, broken.load(name)[0] or {}, None)

    report = ocsflake.run(
        trail(logs),
        lake,
        checkpoints=store,
        rejects=tmp_path / "rejects",
        now=lambda: now + timedelta(days=300),
        **settings,
    )

    assert (report.counts.written, report.counts.rejects) == (30, 0)
    assert events(range(30)) == rows(lake.root)


def test_workers_end_with_the_run(logs: Path, tmp_path: Path) -> None:
    """No process stays behind when the one that started them is killed."""
    script = tmp_path / "script.py"
    script.write_text(
        "import multiprocessing, os, signal, threading, time\n"
        "import ocsflake\n"
        "from slow_source import Slow\n"
        "def end():\n"
        "    while len(multiprocessing.active_children()) < 2: time.sleep(0.01)\n"
        "    print(*[child.pid for child in multiprocessing.active_children()], flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "if __name__ == '__main__':\n"
        "    threading.Thread(target=end).start()\n"
        f"    source = ocsflake.source('files', log_type='aws.cloudtrail', uri={str(logs)!r})\n"
        f"    ocsflake.run(Slow(source), ocsflake.Lake({str(tmp_path / 'lake')!r}), commit_bytes=1, workers=2)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}

    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True)

    assert done.returncode == -signal.SIGKILL, done.stderr
    pids = done.stdout.split()
    assert len(pids) == 2
    for _ in range(1000):
        if not any(_lives(pid) for pid in pids):
            break
        time.sleep(0.05)
    assert not any(_lives(pid) for pid in pids)


def _lives(pid: str) -> bool:
    try:
        status = Path("/proc", pid, "stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_an_archive_in_s3(moto: AwsServer, logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers read it with what their environment gives them, after this process has listed it."""
    for name, value in (
        ("AWS_ENDPOINT_URL", moto.url),
        ("AWS_ACCESS_KEY_ID", moto.access_key),
        ("AWS_SECRET_ACCESS_KEY", moto.secret_key),
        ("AWS_DEFAULT_REGION", moto.region),
    ):
        monkeypatch.setenv(name, value)
    moto.client().create_bucket(Bucket="workers")
    for path in logs.iterdir():
        moto.client().upload_file(str(path), "workers", f"trail/{path.name}")
    source = ocsflake.source("aws.s3", log_type="aws.cloudtrail", uri="s3://workers/trail/")

    report = ocsflake.run(source, ocsflake.Lake(tmp_path / "lake"), commit_bytes=1, workers=2)

    assert report.counts.written == 30
    assert events(range(30)) == rows(tmp_path / "lake")


def test_what_one_process_must_read(tmp_path: Path) -> None:
    """Records that may come twice are told apart by this process."""
    lake = ocsflake.Lake(tmp_path / "lake")

    report = ocsflake.run(Overlapping({"a": [record(1), record(2)], "b": [record(2)]}), lake, workers=2)

    assert report.counts.written == 2
    assert report.counts.duplicates == 1


def test_a_client_of_its_own(tmp_path: Path) -> None:
    """A client cannot be sent to others, so this process reads for it."""

    class Own(Parts):
        client = threading.Lock()

    source = Own({"a": [record(1)], "b": [record(2)]})

    assert ocsflake.run(source, ocsflake.Lake(tmp_path), commit_bytes=1, workers=2).counts.written == 2
    assert source.reads == ["a", "b"]


def test_no_workers(logs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="workers 0: give 1 or more"):
        ocsflake.run(trail(logs), ocsflake.Lake(tmp_path / "lake"), workers=0)
