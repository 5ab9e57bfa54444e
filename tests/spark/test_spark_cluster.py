"""Writing on a cluster of two workers, one of which dies, or is slow: the very objects of one machine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen

import ocsflake
from pipeline_logs import events, objects, record, rows, save

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
HOST = "127.0.0.1"
FILES, RECORDS = 6, 20
SECONDS = 120
QUIET = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": HOST,
    "spark.driver.bindAddress": HOST,
    "spark.executor.memory": "512m",
}


@frozen
class Cluster:
    """A standalone master and its workers, of one core each."""

    master: str
    environment: dict[str, str]
    workers: list[subprocess.Popen[bytes]]


@pytest.fixture
def cluster(tmp_path: Path, spark_environment: dict[str, str]) -> Iterator[Cluster]:
    """Two workers on loopback, on two addresses: Spark has no task run twice on one machine."""
    port = free_port()
    environment = os.environ | spark_environment
    master = f"spark://{HOST}:{port}"
    with ExitStack() as stack:
        log = tmp_path / "master.log"
        stack.enter_context(
            started(log, environment, "master.Master", "--host", HOST, "--port", str(port), "--webui-port", "0")
        )
        wait(lambda: "I have been elected leader" in log.read_text())
        workers = []
        for number in range(2):
            folder = str(tmp_path / f"work-{number}")
            host = f"127.0.0.{number + 1}"
            given = ("--host", host, "--port", "0", "--webui-port", "0", "-c", "1", "-m", "1g", "-d", folder, master)
            workers.append(
                stack.enter_context(
                    started(tmp_path / f"{number}.log", environment | {"SPARK_LOCAL_IP": host}, "worker.Worker", *given)
                )
            )
        wait(lambda: log.read_text().count("Registering worker") == 2)
        yield Cluster(master, environment, workers)


@contextmanager
def started(log: Path, environment: dict[str, str], kind: str, *given: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of Spark's, with a group of its own, which is killed in the end."""
    import pyspark

    home = Path(pyspark.__file__).parent
    command = [home / "bin" / "spark-class", f"org.apache.spark.deploy.{kind}", *given]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, start_new_session=True)
    try:
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[Any]) -> None:
    """Kill a process and all that it started, with no time to tidy up."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    with socket.create_server((HOST, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait(done: Callable[[], object]) -> None:
    """Wait until something is so; fail if it is not in two minutes."""
    end = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    for number in range(FILES):
        numbers = range(number * RECORDS, (number + 1) * RECORDS)
        save(tmp_path / "logs" / f"{number:02}.json.gz", map(record, numbers))
    return tmp_path / "logs"


@contextmanager
def driver(cluster: Cluster, logs: Path, lake: Path, problem: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """A job that writes the logs into a lake, a file in a commit."""
    conf = [f"{name}={value}" for name, value in (QUIET | settings).items()]
    command = [sys.executable, HERE / "cluster_job.py", cluster.master, logs, lake, problem, *conf]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdout=pipe, stderr=pipe, text=True, env=cluster.environment, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            kill(process)


def test_a_worker_that_dies(cluster: Cluster, logs: Path, tmp_path: Path) -> None:
    """A worker is killed while both write: its tasks are done by the other, and nothing is lost or doubled."""
    wanted = on_one_machine(logs, tmp_path / "one")
    lake, attempts = tmp_path / "many", tmp_path / "attempts"

    with driver(cluster, logs, lake, "slow") as process:
        wait(
            lambda: attempts.exists() and len(attempts.read_text().splitlines()) >= FILES + 3
        )  # all was read once before
        busy = attempts.read_text().splitlines()[-1]
        kill(cluster.workers[0 if "/work-0/" in busy else 1])
        output, errors = process.communicate(timeout=SECONDS)

    assert process.returncode == 0, errors
    assert "Lost executor" in errors
    assert sorted(line[0] for line in attempts.read_text().splitlines()) == ["0"] * 2 * FILES + ["1"]
    assert json.loads(output) == wanted
    assert objects(tmp_path / "one") == objects(lake)
    assert events(range(FILES * RECORDS)) == rows(lake)


def test_speculation(cluster: Cluster, logs: Path, tmp_path: Path) -> None:
    """A task that seems stuck is done by the other worker as well; both write, and nothing is doubled."""
    wanted = on_one_machine(logs, tmp_path / "one")
    lake = tmp_path / "many"
    eager = {"interval": "100ms", "quantile": "0.5", "multiplier": "1.5", "minTaskRuntime": "1s"}
    settings = {f"spark.speculation.{name}": value for name, value in eager.items()}

    with driver(cluster, logs, lake, "stuck", **{"spark.speculation": "true"}, **settings) as process:
        output, errors = process.communicate(timeout=SECONDS)

    assert process.returncode == 0, errors
    assert set((tmp_path / "attempts").read_text().split()) == {"0", "1"}
    assert json.loads(output) == wanted
    assert objects(tmp_path / "one") == objects(lake)


def on_one_machine(logs: Path, lake: Path) -> dict[str, int]:
    """What `run` writes."""
    source = ocsflake.source("files", log_type="aws.cloudtrail", uri=str(logs))
    report = ocsflake.run(source, ocsflake.Lake(lake), commit_bytes=1)
    return {"written": report.counts.written, "objects": len(report.objects)}
