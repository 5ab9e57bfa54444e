"""`ocsflake run`, `replay` and `query`: into a lake and out of it."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from cli_help import COMMAND, Done, call, line, lines, process
from ocsflake.cli._run import _stopped_by_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Return a folder with two logs."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(lines(3))
    (folder / "b.jsonl").write_bytes(lines(2, eventName="ConsoleLogin", eventTime="2026-11-02T06:00:00Z"))
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], logs: Path, tmp_path: Path) -> Callable[..., Done]:
    """Return a function that runs the logs into a lake."""
    start = ["run", "files", "--log-type", "aws.cloudtrail", "--option", f"uri={logs}", "--lake", tmp_path / "lake"]
    return lambda *more: call(capsys, *start, *more)


def in_a_terminal(arguments: Sequence[str]) -> tuple[int, str]:
    """Call a command in a terminal of 80 columns, and return its exit code and all that is shown there."""
    master, slave = pty.openpty()
    shown = b""
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(arguments, stdin=slave, stdout=slave, stderr=slave, env=environment) as running:
        os.close(slave)
        while True:
            try:
                part = os.read(master, 4096)
            except OSError:  # the last one who had the terminal open is gone
                break
            shown += part
    os.close(master)
    return running.returncode, shown.decode()


class TestRun:
    """What `ocsflake run` does and says."""

    def test_a_report(self, run: Callable[..., Done], tmp_path: Path) -> None:
        """The report is a table on stdout; a pipe gets no progress bar."""
        done = run()

        assert (done.code, done.err) == (0, "")
        assert done.out.splitlines()[1].split()[1:5] == ["aws.cloudtrail", "5", "5", "5"]
        assert "2 objects in" in done.out
        assert len(list((tmp_path / "lake" / "ext").rglob("*.parquet"))) == 2

    def test_as_json(self, run: Callable[..., Done], logs: Path) -> None:
        """`--json` gives the report as one object."""
        [report] = run("--json").objects
        [source] = report["sources"]

        assert report["counts"]["written"] == 5
        assert (report["earliest"], report["latest"]) == ("2026-11-01T06:00:00Z", "2026-11-02T06:00:00Z")
        assert (source["source"], source["splits"]) == (f"files:aws.cloudtrail:{logs}", 2)
        assert source["drift"] == {"records": 0, "found": []}
        assert [(item["source"], item["rows"], item["day"]) for item in report["objects"]] == [
            ("aws_cloudtrail_3002", 2, "20261102"),
            ("aws_cloudtrail_6003", 3, "20261101"),
        ]

    def test_again(self, run: Callable[..., Done], logs: Path) -> None:
        """A second run writes nothing, and one after a log has grown writes what is new."""
        run()
        again = run("--json").objects[0]
        with (logs / "a.jsonl").open("ab") as file:
            file.write(line(eventID="new"))
        grown = run("--json").objects[0]

        assert (again["counts"]["records"], again["objects"]) == (0, [])
        assert grown["counts"]["written"] == 1

    def test_checkpoints_of_its_own(self, run: Callable[..., Done], tmp_path: Path) -> None:
        """`--checkpoints` is where the run remembers what it read."""
        run("--checkpoints", tmp_path / "state.db")
        again = run("--checkpoints", tmp_path / "state.db", "--json")

        assert (tmp_path / "state.db").is_file()
        assert again.objects[0]["counts"]["records"] == 0

    def test_settings_of_the_lake(self, run: Callable[..., Done], tmp_path: Path) -> None:
        """`--region` and `--ocsf-version` are those of the lake."""
        done = run("--region", "eu-central-1", "--ocsf-version", "1.5.0", "--json")
        [path] = (tmp_path / "lake").rglob("accountId=*/eventDay=20261101/*.parquet")

        assert "/region=eu-central-1/" in done.objects[0]["objects"][0]["key"]
        assert process("validate", path, "--ocsf-version", "1.5.0").err == "events=3 invalid=0\n"

    def test_a_window(self, run: Callable[..., Done]) -> None:
        """`--since` and `--until` choose the events by their time."""
        done = run("--since", "2026-11-01T07:00Z", "--until", "2026-12-01", "--json")

        assert (done.objects[0]["counts"]["written"], done.objects[0]["counts"]["filtered"]) == (2, 3)

    def test_a_window_that_is_none(self, run: Callable[..., Done]) -> None:
        """A moment that is none is a wrong call."""
        done = run("--since", "tomorrow")

        assert (done.code, done.out) == (2, "")
        assert "'tomorrow' is no time" in done.err

    def test_a_broken_file(self, run: Callable[..., Done], logs: Path) -> None:
        """A file that cannot be read is told of, and the others are written."""
        (logs / "c.gz").write_bytes(b"\x1f\x8b\x08garbage")
        done = run()
        as_json = run("--json")

        assert done.code == as_json.code == 1
        assert done.out.splitlines()[1].split()[2] == "5"
        assert f"not read: file://{logs}/c.gz" in done.out
        assert f"{logs}/c.gz" in as_json.objects[0]["sources"][0]["failures"][0]["error"]

    def test_a_lake_that_cannot_be_written(self, run: Callable[..., Done], tmp_path: Path) -> None:
        """A lake that cannot be written ends the run with 1."""
        (tmp_path / "lake").write_bytes(b"a file")
        done = run()

        assert (done.code, done.out) == (1, "")
        assert f"{tmp_path}/lake" in done.err

    def test_what_steers_a_terminal(self, run: Callable[..., Done], logs: Path) -> None:
        """Names of files reach the terminal with their control characters made visible."""
        (logs / "\x1b[31m.gz").write_bytes(b"\x1f\x8b\x08garbage")

        assert "\x1b" not in run().out


class TestRejects:
    """Records that become no event, and how they come back."""

    def test_kept_in_the_lake(self, run: Callable[..., Done], logs: Path, tmp_path: Path) -> None:
        """Without `--rejects` they are kept in the lake's own folder, and the way back is told."""
        (logs / "c.jsonl").write_bytes(b"hello\n")
        done = run("--json")
        place = tmp_path / "lake" / ".ocsflake" / "rejects"
        [kept] = place.rglob("*.jsonl")

        assert done.code == 0
        assert json.loads(kept.read_bytes())["record"] == "hello"
        assert done.err == (
            f"rejected records are in {place}; to map them again: ocsflake replay {place} --lake {tmp_path}/lake\n"
        )
        assert done.objects[0]["sources"][0]["reasons"][0]["records"] == 1

    def test_kept_elsewhere(self, run: Callable[..., Done], logs: Path, tmp_path: Path) -> None:
        """`--rejects` names another place."""
        (logs / "c.jsonl").write_bytes(b"hello\n")
        done = run("--rejects", tmp_path / "elsewhere")

        assert "1 rejected" in done.out
        assert len(list((tmp_path / "elsewhere").rglob("*.jsonl"))) == 1

    def test_replayed(
        self, capsys: pytest.CaptureFixture[str], run: Callable[..., Done], logs: Path, tmp_path: Path
    ) -> None:
        """A reject that maps now is written, and one that does not stays."""
        (logs / "c.jsonl").write_bytes(line(eventID="c") + b"hello\n" + b"mended\n")
        run("--rejects", tmp_path / "rejects")
        [kept] = (tmp_path / "rejects").rglob("*.jsonl")
        kept.write_text(kept.read_text().replace('"mended"', json.dumps(line().decode())))
        done = call(capsys, "replay", tmp_path / "rejects", "--lake", tmp_path / "lake", "--json")
        again = call(capsys, "replay", tmp_path / "rejects", "--lake", tmp_path / "lake")

        assert (done.code, again.code) == (0, 0)
        assert (done.objects[0]["counts"]["written"], done.objects[0]["counts"]["rejects"]) == (1, 1)
        assert again.out.splitlines()[1].split()[2:6] == ["1", "0", "0", "1"]


class TestTerminal:
    """What a person sees."""

    def command(self, logs: Path, tmp_path: Path) -> list[str]:
        uri = f"uri={logs}"
        return ["run", "files", "--log-type", "aws.cloudtrail", "--option", uri, "--lake", str(tmp_path / "lake")]

    def test_a_progress_bar(self, logs: Path, tmp_path: Path) -> None:
        """A terminal gets a progress bar with counts, the rate, and how old the latest event is."""
        (logs / "c.jsonl").write_bytes(b"hello\n")
        code, shown = in_a_terminal([*COMMAND, *self.command(logs, tmp_path)])

        assert code == 0
        assert "5 events, 1 rejected" in shown
        assert re.search(r"records/s, the latest \d+ (d|h|min|s) old", shown)

    def test_without_rich(self, logs: Path, tmp_path: Path) -> None:
        """Without rich there is no bar, and the run is the same."""
        script = "import sys; sys.modules['rich'] = None; from ocsflake.cli import main; sys.exit(main(sys.argv[1:]))"
        code, shown = in_a_terminal([sys.executable, "-c", script, *self.command(logs, tmp_path)])

        assert code == 0
        assert "records/s" not in shown
        assert "2 objects in" in shown

    def test_a_wide_result(self, run: Callable[..., Done], tmp_path: Path) -> None:
        """The rows of a result are cut to the width of the terminal."""
        run()
        query = [
            "query",
            "--lake",
            str(tmp_path / "lake"),
            "SELECT class_name, unmapped, observables FROM api_activity",
        ]
        code, shown = in_a_terminal([*COMMAND, *query])

        assert code == 0
        assert "…" in shown
        assert max(map(len, shown.splitlines())) <= 80


class TestFollow:
    """`ocsflake run --follow`."""

    def test_until_a_signal(self, logs: Path, tmp_path: Path) -> None:
        """It takes what comes until SIGTERM, and ends with its report."""
        start = ["run", "files", "--log-type", "aws.cloudtrail", "--option", f"uri={logs}", "--follow", "--json"]
        command = [*COMMAND, *start, "--lake", str(tmp_path / "lake")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
            while not list(tmp_path.glob("lake/ext/aws_cloudtrail_6003/**/*.parquet")):
                assert running.poll() is None
                time.sleep(0.05)
            running.send_signal(signal.SIGTERM)
            out, err = running.communicate()

        assert running.returncode == 0
        assert json.loads(out)["counts"]["written"] == 5
        assert err == b"ocsflake: stops once what is being published is complete; a second signal stops it at once\n"

    def test_the_second_signal(self) -> None:
        """The first signal asks the run to stop; the second does what it always does, and so does one afterwards."""
        before = signal.getsignal(signal.SIGINT)
        with _stopped_by_signals(wanted=True) as stop:
            assert stop is not None
            assert not stop.is_set()
            signal.raise_signal(signal.SIGINT)
            stopped = stop.wait(60)
            restored = signal.getsignal(signal.SIGINT)

        assert stopped
        assert restored is before


class TestQuery:
    """What `ocsflake query` shows."""

    @pytest.fixture
    def query(
        self, capsys: pytest.CaptureFixture[str], run: Callable[..., Done], tmp_path: Path
    ) -> Callable[..., Done]:
        """Return a function that queries a lake."""
        run()
        return lambda *arguments: call(capsys, "query", "--lake", tmp_path / "lake", *arguments)

    def test_a_table(self, query: Callable[..., Done]) -> None:
        """The rows come as a table, with the number of rows below."""
        done = query("SELECT api.operation AS operation, count(*) AS calls FROM api_activity GROUP BY ALL")

        assert (done.code, done.err) == (0, "")
        assert done.out.splitlines() == [
            "operation  calls",
            "─────────  ─────",
            "GetObject      3",
            "(1 row)",
        ]

    def test_lists_and_objects(self, query: Callable[..., Done]) -> None:
        """What is nested is shown as JSON."""
        done = query(
            "SELECT actor.user.account AS account, unmapped, [1, 2] AS numbers, NULL AS nothing FROM api_activity"
        )

        assert done.out.splitlines()[2].split() == ['{"uid":"123456789012"}', '{"readOnly":"true"}', "[1,2]"]
        assert done.out.splitlines()[-1] == "(3 rows)"

    def test_as_json(self, query: Callable[..., Done]) -> None:
        """`--json` gives one object a row; columns of one name keep apart."""
        done = query(
            "--json",
            "SELECT time_dt, unmapped, metadata.uid, 1 AS uid, 2 AS uid_2, NULL AS none FROM api_activity ORDER BY 3",
        )

        assert done.objects[0] == {
            "time_dt": "2026-11-01T06:00:00Z",
            "unmapped": {"readOnly": "true"},
            "uid": "E0",
            "uid_2": 1,
            "uid_2_2": 2,
            "none": None,
        }
        assert len(done.objects) == 3

    def test_no_rows(self, query: Callable[..., Done]) -> None:
        """A result without rows still names its columns."""
        done = query("SELECT class_uid FROM api_activity WHERE false")

        assert done.out.splitlines() == ["class_uid", "─────────", "(0 rows)"]

    def test_athena(self, query: Callable[..., Done]) -> None:
        """`--dialect athena` takes Athena's SQL."""
        done = query("--dialect", "athena", "--json", "SELECT approx_distinct(metadata.uid) AS n FROM api_activity")

        assert done.objects == [{"n": 3}]

    def test_a_wrong_statement(self, query: Callable[..., Done]) -> None:
        """SQL that is wrong is a wrong call, with what is near."""
        done = query("SELECT * FROM api_activty")

        assert (done.code, done.out) == (2, "")
        assert "did you mean 'api_activity'" in done.err

    def test_an_empty_lake(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        """A lake without events is told of."""
        done = call(capsys, "query", "--lake", tmp_path / "none", "SELECT 1")

        assert (done.code, done.out) == (1, "")
        assert done.err == f"ocsflake: {tmp_path}/none holds no events yet: write some into it first\n"

    def test_without_duckdb(self, tmp_path: Path) -> None:
        """Without DuckDB the message says what to install."""
        script = "import sys; sys.modules['duckdb'] = None; from ocsflake.cli import main; sys.exit(main(sys.argv[1:]))"
        done = process("-c", script, "query", "--lake", tmp_path, "SELECT 1", command=COMMAND[:1])

        assert done.code == 2
        assert "pip install 'ocsflake[query]'" in done.err
