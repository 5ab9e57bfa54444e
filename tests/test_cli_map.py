"""`ocsflake map`, `validate` and `explain`: files in, lines out."""

from __future__ import annotations

import gzip
import json
import os
import stat
import subprocess
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli_help import COMMAND, RECORD, call, line, lines, process
from ocsflake.rejects import read_rejects

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FLOW = (
    b"version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action "
    b"log-status\n2 123456789012 eni-1 198.51.100.7 10.0.0.1 4711 22 6 20 4249 1418530010 1418530070 REJECT OK\n"
)


@pytest.fixture
def log(tmp_path: Path) -> Callable[[bytes], Path]:
    """Return a function that writes a file."""

    def write(content: bytes, name: str = "log") -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write


class TestMap:
    """What `ocsflake map` writes."""

    def test_events(self, capsys: pytest.CaptureFixture[str], log: Callable[..., Path]) -> None:
        """Each event is one compact JSON object without nulls; the counts come last."""
        done = call(capsys, "map", "aws.cloudtrail", log(line()))
        [event] = done.objects

        assert (done.code, done.err) == (0, "records=1 events=1 rejects=0\n")
        assert '": ' not in done.out
        assert "null" not in done.out
        assert event["class_uid"] == 6003
        assert event["metadata"]["version"] == "1.1.0"
        assert event["actor"]["user"]["name"] == "alice"
        assert event["time_dt"] == "2026-11-01T06:00:00.000Z"
        assert event["unmapped"] == {"readOnly": "true"}

    def test_another_version(self, capsys: pytest.CaptureFixture[str], log: Callable[..., Path]) -> None:
        """`--ocsf-version` is the version of the events."""
        done = call(capsys, "map", "aws.cloudtrail", log(line()), "--ocsf-version", "1.5.0")

        assert done.objects[0]["metadata"]["version"] == "1.5.0"

    def test_many_files(self, capsys: pytest.CaptureFixture[str], log: Callable[..., Path]) -> None:
        """Files are read one after the other, compressed or not; counts are of all."""
        files = [
            log(lines(3), "a"),
            log(gzip.compress(lines(4), mtime=0), "b"),
            log(json.dumps({"Records": [RECORD]}).encode(), "c"),
        ]
        done = call(capsys, "map", "aws.cloudtrail", *files)

        assert (done.code, len(done.objects), done.last) == (0, 8, "records=8 events=8 rejects=0")

    def test_classes(self, capsys: pytest.CaptureFixture[str], log: Callable[..., Path]) -> None:
        """Events of all classes come out together."""
        content = (
            line() + line(eventName="ConsoleLogin") + line(eventName="CreateUser", eventSource="iam.amazonaws.com")
        )
        done = call(capsys, "map", "aws.cloudtrail", log(content))

        assert {event["class_uid"] for event in done.objects} == {6003, 3001, 3002}

    def test_stdin(self) -> None:
        """`-` is stdin."""
        done = process("map", "aws.vpc_flow", "-", stdin=gzip.compress(FLOW, mtime=0))
        [event] = done.objects

        assert (done.code, done.last) == (0, "records=1 events=1 rejects=0")
        assert event["dst_endpoint"]["port"] == 22

    def test_what_is_mapped_is_valid(self) -> None:
        """`map` and `validate` fit together in a pipe."""
        mapped = process("map", "aws.vpc_flow", "-", stdin=FLOW)
        done = process("validate", "-", stdin=mapped.out.encode())

        assert (done.code, done.out, done.err) == (0, "", "events=1 invalid=0\n")

    def test_events_come_as_they_are_made(self) -> None:
        """A stream is not read to its end before the first event comes out."""
        command = [*COMMAND, "map", "aws.cloudtrail", "-"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as running:
            stdin, stdout = running.stdin, running.stdout
            assert stdin is not None
            assert stdout is not None

            def feed() -> None:
                with suppress(BrokenPipeError):
                    stdin.write(lines(60_000))

            feeder = threading.Thread(target=feed)
            feeder.start()
            first = stdout.readline()  # stdin is still open
            running.kill()
            feeder.join()

        assert first.startswith(b"{")

    def test_names_of_any_bytes(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        """A file may have a name that is no text."""
        name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
        with open(name, "wb") as file:  # noqa: PTH123
            file.write(line() + b"not JSON\n")
        done = call(capsys, "map", "aws.cloudtrail", name)

        assert len(done.objects) == 1
        assert "%FF: not JSON" in done.err


class TestRejects:
    """What becomes of records that become no event."""

    CONTENT = line() + b"hello\n" + line(eventTime="yesterday") + b'{"eventID": "\xff"}\n'

    def test_reasons(self, capsys: pytest.CaptureFixture[str], log: Callable[..., Path]) -> None:
        """Without a place for them, the reasons are told, and the exit code is 1."""
        file = log(self.CONTENT)
        done = call(capsys, "map", "aws.cloudtrail", file)

        assert (done.code, len(done.objects)) == (1, 1)
        assert set(done.err.splitlines()[:-1]) == {
            f"rejected 1: file://{file}: not JSON: JSON is malformed: invalid character (byte 0)",
            f"rejected 1: file://{file}: not UTF-8 (byte 14)",
            f"rejected 1: file://{file}: time: a time is due",
        }
        assert done.last == "records=4 events=1 rejects=3"

    def test_only_the_first_reasons(self, capsys: pytest.CaptureFixture[str], log: Callable[..., Path]) -> None:
        """Of many reasons a few are told, and how many more there are."""
        files = [log(b"wrong\n", str(number)) for number in range(8)]
        done = call(capsys, "map", "aws.cloudtrail", *files, files[0])

        assert [told.split(":")[0] for told in done.err.splitlines()] == [
            "rejected 2",
            *["rejected 1"] * 4,
            "rejected 3 more",
            "records=9 events=0 rejects=9",
        ]

    def test_kept(self, capsys: pytest.CaptureFixture[str], log: Callable[..., Path], tmp_path: Path) -> None:
        """`--rejects` keeps them for their owner alone, as a lake's rejects are kept, and says nothing."""
        kept = tmp_path / "rejects.jsonl"
        done = call(capsys, "map", "aws.cloudtrail", log(self.CONTENT), "--rejects", kept)
        [(log_type, batch)] = read_rejects(kept)

        assert (done.code, done.err) == (1, "records=4 events=1 rejects=3\n")
        assert log_type == "aws.cloudtrail"
        assert set(batch.records) == set(self.CONTENT.splitlines()[1:])
        assert batch.origin == {"uri": f"file://{tmp_path}/log"}
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600

    def test_none(self, capsys: pytest.CaptureFixture[str], log: Callable[..., Path], tmp_path: Path) -> None:
        """A file without rejects says that there were none."""
        done = call(capsys, "map", "aws.cloudtrail", log(line()), "--rejects", tmp_path / "rejects.jsonl")

        assert (done.code, (tmp_path / "rejects.jsonl").read_bytes()) == (0, b"")

    def test_no_place(self, capsys: pytest.CaptureFixture[str], log: Callable[..., Path], tmp_path: Path) -> None:
        """A place that cannot be written is told of before anything is read."""
        done = call(capsys, "map", "aws.cloudtrail", log(line()), "--rejects", tmp_path / "no" / "such")

        assert (done.code, done.out) == (1, "")
        assert done.err.startswith("ocsflake: [Errno 2] No such file or directory")


BAD = {
    "not JSON": (b"hello world\n", "not JSON"),
    "half a record": (line()[:200] + b"\n", "not JSON: Input data was truncated"),
    "HTML": (b"<html>\n<body>503</body>\n</html>\n", "not JSON"),
    "zeros": (b"\0" * 100 + b"\n", "not JSON"),
    "a number": (b"42\n", "not JSON"),
    "a list of no records": (b'[1, "x"]\n', "a JSON object is due"),
    "an envelope without records": (b'{"Records": 5}\n', "Records is a number, a list of records is due"),
    "invalid UTF-8": (line(userAgent="UA").replace(b"UA", b"\xff\xfe"), "not UTF-8"),
    "a line of 20 MB": (line(userAgent="x" * (20 << 20)), "at most 1,048,576 are taken"),
    "10,000 levels": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"\n", "JSON is nested too deeply"),
    "10,000 levels inside": (
        line(requestParameters=0).replace(
            b'"requestParameters": 0', b'"requestParameters":' + b"[" * 10**4 + b"]" * 10**4
        ),
        "JSON is nested too deeply",
    ),
    "numbers for text": (line(eventID=12, eventName=5), "text is due"),
    "a time that is none": (line(eventTime="yesterday"), "time: a time is due"),
    "a time that cannot be": (line(eventTime="2026-13-45T00:00:00Z"), "time: a time is due"),
    "no time": (line(eventTime=None), "time: attribute_required_missing"),
    "an account that is a path": (line(recipientAccountId="../../x"), "the account id holds characters of a path"),
}


class TestBadInput:
    """Bad records are rejects with a reason, bad files are told of by name, and neither is a traceback."""

    @pytest.mark.parametrize("name", BAD)
    def test_records(self, capsys: pytest.CaptureFixture[str], log: Callable[..., Path], name: str) -> None:
        """A bad record is told of with its reason; the good ones around it are mapped."""
        content, reason = BAD[name]
        alone = call(capsys, "map", "aws.cloudtrail", log(content))
        among = call(capsys, "map", "aws.cloudtrail", log(line() + content + line()))

        assert alone.code == among.code == 1
        assert reason in alone.err
        assert alone.out == ""
        assert len(among.objects) == 2
        assert "Traceback" not in alone.err + among.err

    def test_an_object_that_is_a_number(self, capsys: pytest.CaptureFixture[str], log: Callable[..., Path]) -> None:
        """A value in the place of an object is left over, and kept."""
        done = call(capsys, "map", "aws.cloudtrail", log(line(userIdentity=5)))

        assert (done.code, done.last) == (0, "records=1 events=1 rejects=0")
        assert done.objects[0]["unmapped"]["userIdentity"] == "5"

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (gzip.compress(lines(50), mtime=0)[:-20], "cannot be read as gzip: truncated: the end mark is missing"),
            (b"\x1f\x8b\x08garbage", "cannot be read as gzip"),
            (b"\x28\xb5\x2f\xfdgarbage", "cannot be read as zstd"),
            (b"PAR1garbage", "cannot be read as Parquet"),
        ],
        ids=["truncated gzip", "broken gzip", "broken zstd", "broken Parquet"],
    )
    def test_files(
        self, capsys: pytest.CaptureFixture[str], log: Callable[..., Path], content: bytes, message: str
    ) -> None:
        """A broken file is told of by its name; those after it are mapped."""
        broken, good = log(content, "broken"), log(line(), "good")
        done = call(capsys, "map", "aws.cloudtrail", broken, good)

        assert (done.code, len(done.objects)) == (1, 1)
        assert done.err.startswith(f"ocsflake: {broken}: {message}")
        assert done.last == "records=1 events=1 rejects=0"

    def test_files_that_cannot_be_opened(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        """A file that is not there, or is a directory, is told of."""
        done = call(capsys, "map", "aws.cloudtrail", tmp_path / "none", tmp_path)

        assert done.code == 1
        assert done.err.splitlines() == [
            f"ocsflake: {tmp_path}/none: No such file or directory",
            f"ocsflake: {tmp_path}: Is a directory (to read a whole directory into a lake: ocsflake run files)",
            "records=0 events=0 rejects=0",
        ]

    @pytest.mark.parametrize(
        "content", [b"", b"\n \n", gzip.compress(b"", mtime=0)], ids=["no bytes", "white space", "an empty gzip"]
    )
    def test_empty_files(self, capsys: pytest.CaptureFixture[str], log: Callable[..., Path], content: bytes) -> None:
        """An empty file is no error, and not passed over in silence."""
        file = log(content)
        done = call(capsys, "map", "aws.cloudtrail", file)

        assert (done.code, done.err) == (0, f"ocsflake: {file} is empty\nrecords=0 events=0 rejects=0\n")

    @pytest.mark.parametrize("name", BAD)
    def test_in_a_run(
        self, capsys: pytest.CaptureFixture[str], log: Callable[..., Path], tmp_path: Path, name: str
    ) -> None:
        """A run keeps bad records as rejects, and writes nothing that a record named."""
        option = f"uri={log(BAD[name][0])}"
        done = call(
            capsys,
            "run",
            "files",
            "--log-type",
            "aws.cloudtrail",
            "--option",
            option,
            "--lake",
            tmp_path / "lake",
            "--json",
        )
        counts = done.objects[0]["counts"]

        assert done.code == 0
        assert counts["records"] == counts["mapped"] + counts["rejects"]
        assert {path.name for path in tmp_path.iterdir()} == {"lake", "log"}
        assert all("x" not in key["account"] for key in done.objects[0]["objects"])


class TestValidate:
    """What `ocsflake validate` finds."""

    @pytest.fixture
    def event(self, capsys: pytest.CaptureFixture[str], log: Callable[..., Path]) -> dict[str, Any]:
        """Return a valid event."""
        found: dict[str, Any] = call(capsys, "map", "aws.cloudtrail", log(line())).objects[0]
        return found

    def test_findings(
        self, capsys: pytest.CaptureFixture[str], log: Callable[..., Path], event: dict[str, Any]
    ) -> None:
        """A finding names the line, the rule and the attribute; lines are those of the file."""
        content = [
            event,
            event | {"nme": 1},
            None,
            event | {"severity_id": "high"},
            {k: event[k] for k in event if k != "time"},
        ]
        file = log(b"\n".join(b"" if item is None else json.dumps(item).encode() for item in content))
        done = call(capsys, "validate", file)

        assert (done.code, done.err) == (1, "events=4 invalid=3\n")
        assert [(f["line"], f["rule"], f["attribute"], f["level"]) for f in done.objects] == [
            (2, "attribute_unknown", "nme", "error"),
            (4, "attribute_wrong_type", "severity_id", "error"),
            (5, "attribute_required_missing", "time", "error"),
        ]
        assert {f["file"] for f in done.objects} == {str(file)}
        assert all(f["detail"] for f in done.objects)

    def test_warnings_leave_events_valid(
        self, capsys: pytest.CaptureFixture[str], log: Callable[..., Path], event: dict[str, Any]
    ) -> None:
        """A finding of level warning is shown, and the exit code is 0."""
        event["src_endpoint"]["ip"] = "nowhere"
        done = call(capsys, "validate", log(json.dumps(event).encode()))

        assert {f["level"] for f in done.objects} == {"warning"}
        assert (done.code, done.err) == (0, "events=1 invalid=0\n")

    def test_what_is_no_event(self, capsys: pytest.CaptureFixture[str], log: Callable[..., Path]) -> None:
        """Lines that are no JSON, no object, or nested without end, are findings."""
        deep = b"[" * 10_000 + b"]" * 10_000
        done = call(capsys, "validate", log(b"\xef\xbb\xbf" + deep + b"\nhello\n42\n{}\n\xff\n"))

        assert [(f["line"], f["rule"]) for f in done.objects] == [
            (1, "json_invalid"),
            (2, "json_invalid"),
            (3, "attribute_wrong_type"),
            (4, "attribute_required_missing"),
            (5, "json_invalid"),
        ]
        assert (done.code, done.err) == (1, "events=5 invalid=5\n")

    def test_one_event_on_many_lines(
        self, capsys: pytest.CaptureFixture[str], log: Callable[..., Path], event: dict[str, Any]
    ) -> None:
        """An event that is printed for people is one event."""
        done = call(capsys, "validate", log(b"\n" + json.dumps(event | {"nme": 1}, indent=2).encode()))

        assert [f["line"] for f in done.objects] == [2]
        assert done.err == "events=1 invalid=1\n"

    def test_an_array(
        self, capsys: pytest.CaptureFixture[str], log: Callable[..., Path], event: dict[str, Any]
    ) -> None:
        """The events of a JSON array are numbered."""
        done = call(capsys, "validate", log(json.dumps([event, event | {"nme": 1}], indent=2).encode()))

        assert [f["line"] for f in done.objects] == [2]
        assert done.err == "events=2 invalid=1\n"

    def test_parquet(self, capsys: pytest.CaptureFixture[str], log: Callable[..., Path], tmp_path: Path) -> None:
        """Parquet is judged by its rows; numbers go on from file to file anew."""
        file = log(lines(30_000))
        lake = tmp_path / "lake"
        call(capsys, "run", "files", "--log-type", "aws.cloudtrail", "--option", f"uri={file}", "--lake", lake)
        [path] = lake.rglob("*.parquet")
        valid = call(capsys, "validate", path)
        table = pq.read_table(path, partitioning=None)
        wrong = pa.array([None if row == 25_000 else 1 for row in range(table.num_rows)], pa.int32())
        place = table.schema.get_field_index("severity_id")
        pq.write_table(table.set_column(place, "severity_id", wrong), tmp_path / "wrong.parquet")
        invalid = call(capsys, "validate", tmp_path / "wrong.parquet", tmp_path / "wrong.parquet")

        assert (valid.code, valid.out, valid.err) == (0, "", "events=30000 invalid=0\n")
        assert [(f["line"], f["rule"]) for f in invalid.objects] == [(25_001, "attribute_required_missing")] * 2
        assert invalid.err == "events=60000 invalid=2\n"

    def test_another_version(
        self, capsys: pytest.CaptureFixture[str], log: Callable[..., Path], event: dict[str, Any]
    ) -> None:
        """`--ocsf-version` judges by that version, whatever the events say."""
        event["class_uid"] = 5023  # since 1.4
        file = log(json.dumps(event).encode())
        old = call(capsys, "validate", file, "--ocsf-version", "1.1.0")
        new = call(capsys, "validate", file, "--ocsf-version", "1.5.0")

        assert [f["rule"] for f in old.objects] == ["class_uid_unknown"]
        assert "class_uid_unknown" not in {f["rule"] for f in new.objects}

    def test_a_file_that_cannot_be_read(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        """A file that is not there is told of, and the counts still come last."""
        done = call(capsys, "validate", tmp_path / "none")

        assert done.code == 1
        assert done.err == f"ocsflake: {tmp_path}/none: No such file or directory\nevents=0 invalid=0\n"


class TestExplain:
    """What `ocsflake explain` says."""

    def test_the_table(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Each attribute of each class stands with its expression and the raw paths."""
        done = call(capsys, "explain", "aws.vpc_flow")
        rows = [row.split() for row in done.out.splitlines()]

        assert done.code == 0
        assert done.out.startswith("AWS VPC Flow Logs (aws.vpc_flow)\n\nnetwork_activity\n\nattribute")
        assert ["traffic.bytes", "bytes", "bytes"] in rows
        assert ["start_time", "start", "(s", "since", "1970)", "start"] in rows

    def test_with_a_file(self, capsys: pytest.CaptureFixture[str], log: Callable[..., Path]) -> None:
        """With logs, it says how often each attribute is filled, and what is left over."""
        resources = [{"ARN": "arn:aws:s3:::a", "type": "AWS::S3::Object"}, {"ARN": "arn:aws:s3:::b"}]
        content = line(resources=resources) + line(novelty={"a": 1}) + line(userIdentity={"type": "Root"}) + b"wrong\n"
        done = call(capsys, "explain", "aws.cloudtrail", log(content))
        rows = [row.split() for row in done.out.splitlines()]

        assert done.code == 0
        assert "api_activity, 3 events" in done.out
        assert "authentication" not in done.out
        assert ["time", "100.0", "%", "eventTime", "eventTime"] in rows
        assert ["actor.user.uid", "66.7", "%", "userIdentity.arn", "userIdentity.arn"] in rows
        assert ["resources[].type", "33.3", "%", "resources[].type", "resources[].type"] in rows
        assert ["readOnly", "3"] in rows
        assert ["novelty.a", "1", "new", "to", "the", "mapper"] in rows
        assert done.err.startswith("rejected 1: ")
        assert done.last == "records=4 events=3 rejects=1"

    def test_with_a_file_that_is_empty(self, capsys: pytest.CaptureFixture[str], log: Callable[..., Path]) -> None:
        """Without records there is nothing to count."""
        done = call(capsys, "explain", "aws.cloudtrail", log(b""))

        assert (done.code, done.out) == (0, "AWS CloudTrail (aws.cloudtrail)\n")

    def test_attributes_that_the_version_lacks(
        self, capsys: pytest.CaptureFixture[str], log: Callable[..., Path]
    ) -> None:
        """An attribute that the version of the events has not is filled in none."""
        done = call(capsys, "explain", "aws.vpc_flow", log(FLOW))

        assert done.code == 0
        assert "network_activity, 1 events" in done.out

    def test_a_file_that_cannot_be_read(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        """A file that is not there is told of."""
        done = call(capsys, "explain", "aws.cloudtrail", tmp_path / "none")

        assert (done.code, done.last) == (1, "records=0 events=0 rejects=0")
