"""The command as such: verbs and options, exit codes, errors, pipes."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import chdir
from typing import TYPE_CHECKING

import pytest

import ocsflake
from cli_help import COMMAND, call, line, lines, process, without
from ocsflake.cli._arguments import parsers
from ocsflake.cli._output import table
from ocsflake.ocsf import DEFAULT_VERSION

if TYPE_CHECKING:
    from pathlib import Path


class TestCall:
    """What the command makes of its arguments."""

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        """`--version` says which."""
        done = call(capsys, "--version")

        assert (done.code, done.out) == (0, f"ocsflake {ocsflake.__version__}\n")

    def test_help(self, capsys: pytest.CaptureFixture[str]) -> None:
        """`--help` names every verb, and a verb's own help every option."""
        _, verbs = parsers()
        done = call(capsys, "--help")

        assert done.code == 0
        assert without(done.out, verbs) == []
        for name, parser in verbs.items():
            options = [option for action in parser._actions for option in action.option_strings]
            assert without(call(capsys, name, "--help").out, options) == []

    def test_the_default_version(self) -> None:
        """Verbs that write events write the library's own default version."""
        _, verbs = parsers()

        assert {verbs[name].get_default("ocsf_version") for name in ("map", "run", "replay")} == {DEFAULT_VERSION}

    def test_as_a_module(self) -> None:
        """`python -m ocsflake` is the command."""
        done = process("--version")

        assert (done.code, done.out, done.err) == (0, f"ocsflake {ocsflake.__version__}\n", "")

    def test_help_is_quick(self) -> None:
        """The help loads no Arrow, no schema and no mapper."""
        code = "from ocsflake.cli import main; import sys; main(['--help']); print(*sys.modules)"
        loaded = process("-c", code, command=COMMAND[:1]).out.splitlines()[-1].split()

        assert {"pyarrow", "msgspec", "ocsf_json_schema", "duckdb"} & set(loaded) == set()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["mpa"], "ocsflake: there is no verb 'mpa'; did you mean 'map' or 'compact'?\n"),
            (["xyzzy"], "ocsflake: there is no verb 'xyzzy'; see ocsflake --help\n"),
            (
                ["map", "--reject", "x"],
                "ocsflake: map has no option '--reject'; did you mean '--rejects' or '--redact'?\n",
            ),
            (["map", "--lake=x"], "ocsflake: map has no option '--lake'; see ocsflake map --help\n"),
        ],
    )
    def test_wrong_names(self, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
        """A wrong verb or option is told of, with what is near."""
        done = call(capsys, *arguments)

        assert (done.code, done.out, done.err) == (2, "", message)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "required: VERB"),
            (["map", "aws.cloudtrail"], "required: FILE"),
            (["query", "SELECT 1"], "required: --lake"),
            (["query", "SELECT 1", "--lake", "x", "--dialect", "oracle"], "invalid choice: 'oracle'"),
            (["map", "aws.cloudtrial", "x"], "did you mean 'aws.cloudtrail'"),
            (["map", "aws.cloudtrail", "x", "--ocsf-version", "9.9"], "9.9"),
            (["validate", "x", "--ocsf-version", "9.9"], "9.9"),
            (["run", "file", "--log-type", "aws.cloudtrail", "--lake", "x"], "did you mean 'files'"),
            (["run", "files", "--log-type", "a", "--lake", "x", "--option", "uri"], "a name and a value"),
            (["run", "files", "--log-type", "a", "--lake", "x", "--option", "=1"], "a name and a value"),
            (["run", "files", "--log-type", "a", "--lake", "x", "--option", "log-type=b"], "--log-type"),
            (["run", "files", "--log-type", "a", "--lake", "x", "--option=u=1", "--option=u=2"], "given twice"),
            (["run", "files", "--log-type", "aws.cloudtrail", "--lake", "x", "--option", "ur=1"], "mean 'uri'"),
            (["run", "files", "--log-type", "a", "--lake", "x", "--region", "westeurope"], "westeurope"),
            (["replay", "nowhere", "--lake", "x"], "no folder of rejects"),
        ],
    )
    def test_wrong_calls(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], message: str
    ) -> None:
        """A wrong call ends with 2 and one clear message, and leaves nothing behind."""
        with chdir(tmp_path):
            done = call(capsys, *arguments)

        assert (done.code, done.out) == (2, "")
        assert message in done.err
        assert list(tmp_path.iterdir()) == []

    def test_an_option_after_two_dashes_is_a_file(self, capsys: pytest.CaptureFixture[str]) -> None:
        """What follows `--` names files, whatever it looks like."""
        done = call(capsys, "map", "aws.cloudtrail", "--", "--no-file")

        assert done.err == "ocsflake: --no-file: No such file or directory\nrecords=0 events=0 rejects=0\n"

    def test_sql_may_begin_with_a_comment(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        """SQL that begins with two dashes is no option."""
        done = call(capsys, "query", "--lake", tmp_path, "-- all of it\nSELECT 1")

        assert "holds no events yet" in done.err


class TestEnds:
    """How the command ends when its surroundings are in the way."""

    def test_nobody_reads(self, tmp_path: Path) -> None:
        """A reader that goes away ends the command without a word."""
        (tmp_path / "log").write_bytes(lines(2_000))
        command = [*COMMAND, "map", "aws.cloudtrail", str(tmp_path / "log")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
            assert running.stdout is not None
            assert running.stderr is not None
            running.stdout.readline()
            running.stdout.close()
            told = running.stderr.read()

        assert (running.returncode, told) == (141, b"")

    def test_messages_stay_behind_the_data_before_them(self, tmp_path: Path) -> None:
        """Where both go to one place, the counts come last, though Python holds data back and messages not."""
        (tmp_path / "log").write_bytes(line())
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}

        command = [*COMMAND, "map", "aws.cloudtrail", str(tmp_path / "log")]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)

        event, counts = done.stdout.splitlines()
        assert event.startswith(b"{")
        assert counts == b"records=1 events=1 rejects=0"

    def test_a_full_disk(self, tmp_path: Path) -> None:
        """Output that cannot be written is told of in a line."""
        (tmp_path / "log").write_bytes(line())
        with open("/dev/full", "wb") as full:  # noqa: PTH123
            command = [*COMMAND, "map", "aws.cloudtrail", str(tmp_path / "log")]
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE)

        assert done.returncode == 1
        assert done.stderr.endswith(b"ocsflake: [Errno 28] No space left on device\n")

    def test_interrupted(self, tmp_path: Path) -> None:
        """SIGINT ends the command without a traceback."""
        os.mkfifo(tmp_path / "pipe")
        command = [*COMMAND, "map", "aws.cloudtrail", str(tmp_path / "pipe")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
            with (tmp_path / "pipe").open("wb"):  # opens when the command has opened it
                running.send_signal(signal.SIGINT)
            told = running.communicate()  # the pipe is closed: a read that began after the signal ends too

        assert (running.returncode, told) == (130, (b"", b""))


class TestList:
    """`ocsflake list`."""

    def test_as_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Each source and mapper is one JSON object."""
        done = call(capsys, "list", "--json")
        found = {(offer["kind"], offer["name"]): offer for offer in done.objects}

        assert done.code == 0
        assert found["mapper", "aws.cloudtrail"] == {
            "kind": "mapper",
            "name": "aws.cloudtrail",
            "state": "ok",
            "distribution": "ocsflake",
            "version": ocsflake.__version__,
            "error": "",
        }
        assert ("source", "files") in found

    def test_as_a_table(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The table has a line for each."""
        done = call(capsys, "list")

        assert done.out.splitlines()[0].split()[:5] == ["kind", "name", "state", "distribution", "version"]
        assert f"aws.cloudtrail  ok  ocsflake  {ocsflake.__version__}".split() in [
            row.split()[1:5] for row in done.out.splitlines()
        ]

    def test_a_broken_plugin(self, tmp_path: Path) -> None:
        """A plugin that does not load is listed with what is wrong, and the others are well."""
        folder = tmp_path / "broken-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text("[ocsflake.sources]\ntape = no_such_module:Tape\n")
        code = (
            "import sys; from ocsflake.cli import main; sys.path.insert(0, sys.argv[1]); sys.exit(main(sys.argv[2:]))"
        )
        done = process("-c", code, tmp_path, "list", "--json", command=COMMAND[:1])
        found = {offer["name"]: offer for offer in done.objects}
        shown = process("-c", code, tmp_path, "list", command=COMMAND[:1])

        assert done.code == 0
        assert found["tape"]["state"] == "broken"
        assert "no_such_module" in found["tape"]["error"]
        assert found["files"]["state"] == "ok"
        assert "error" in shown.out.splitlines()[0].split()


class TestTable:
    """Tables for people."""

    def test_numbers_stand_to_the_right(self) -> None:
        """Numbers stand to the right, text to the left, nothing is left empty."""
        text = table(["name", "count"], [["a", 1234567], ["bc", None], [True, 0.5]])

        assert text.splitlines() == [
            "name    count",
            "────  ───────",
            "a     1234567",
            "bc",
            "True      0.5",
        ]

    def test_without_rows(self) -> None:
        """A table without rows still names its columns."""
        assert table(["a", "b"], []).splitlines() == ["a  b", "─  ─"]

    def test_a_narrow_terminal(self) -> None:
        """The widest cells are cut until the table fits, none to less than a few characters."""
        text = table(["a", "b"], [["x" * 50, "y" * 9], ["x", "y"]], 30)

        assert text.splitlines()[2:] == [f"{'x' * 18}…  {'y' * 9}", f"x{' ' * 20}y"]
        assert len(table(["a"] * 9, [["x" * 50] * 9], 30).splitlines()[2].split()[0]) == 8

    def test_what_would_steer_a_terminal(self) -> None:
        """Control characters in cells are made visible, newlines too: they come from logs."""
        assert table(["a"], [["x\ny\tz\x07"]]).splitlines()[2] == "x\\ny\\tz\\x07"
