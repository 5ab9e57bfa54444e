"""Rejects: every record is kept byte for byte with its reason, and can be run again."""

from __future__ import annotations

import json
import stat
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import pytest

from ocsflake.errors import LakeError
from ocsflake.mapping.rejects import Reject, reject_batch
from ocsflake.rejects import RejectsFile, count_rejects, read_rejects

if TYPE_CHECKING:
    from pathlib import Path

BAD = Reject(b'{"a": "\xc3\xbc", \n"b": 1.10}', "eventTime is missing", "time", {"uri": "file:///a"})
BINARY = Reject(b"\xff\x00\xfe", "not UTF-8 (byte 1)", "", {"uri": "file:///a"})


def save(folder: Path, *rejects: Reject, log_type: str = "aws.cloudtrail", commit: str = "one") -> Path:
    with RejectsFile(folder, log_type, commit) as file:
        file.write(reject_batch(rejects))
        path = file.publish()
    assert path is not None
    return path


def replayed(path: Path) -> list[tuple[str, Any, Any]]:
    return [(log_type, batch.records, dict(batch.origin)) for log_type, batch in read_rejects(path)]


class TestFile:
    def test_lines(self, tmp_path: Path) -> None:
        """A line says what the record was, why it was rejected, and where it came from."""
        path = save(tmp_path, BAD, BINARY)

        assert [json.loads(line) for line in path.read_text().splitlines()] == [
            {
                "log_type": "aws.cloudtrail",
                "record": '{"a": "ü", \n"b": 1.10}',
                "reason": "eventTime is missing",
                "attribute": "time",
                "origin": {"uri": "file:///a"},
            },
            {
                "log_type": "aws.cloudtrail",
                "record_base64": "/wD+",
                "reason": "not UTF-8 (byte 1)",
                "attribute": "",
                "origin": {"uri": "file:///a"},
            },
        ]

    def test_place(self, tmp_path: Path) -> None:
        """The name depends on the log type and the commit alone, and all is private."""
        path = save(tmp_path / "new" / "rejects", BAD)

        assert path.parent == tmp_path / "new" / "rejects" / "aws.cloudtrail"
        assert path.stem == blake2b(b"one", digest_size=16).hexdigest()
        assert path.suffix == ".jsonl"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert {stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent.parent)} == {0o700}
        assert save(tmp_path / "new" / "rejects", BAD, commit="two") != path

    def test_repeated_commit(self, tmp_path: Path) -> None:
        """A commit that is repeated replaces its file."""
        first = save(tmp_path, BAD, BINARY)
        second = save(tmp_path, BAD)

        assert first == second
        assert len(second.read_text().splitlines()) == 1

    def test_repeated_commit_without_rejects(self, tmp_path: Path) -> None:
        """A commit that is repeated and rejects nothing any more leaves no file."""
        path = save(tmp_path, BAD)
        with RejectsFile(tmp_path, "aws.cloudtrail", "one") as file:
            file.write(reject_batch([]))

            assert file.publish() is None
        assert not path.exists()

    def test_nothing_rejected(self, tmp_path: Path) -> None:
        """Without rejects there is neither file nor folder."""
        with RejectsFile(tmp_path / "rejects", "aws.cloudtrail", "one") as file:
            assert file.publish() is None

        assert not (tmp_path / "rejects").exists()

    def test_invisible_until_published(self, tmp_path: Path) -> None:
        """What is written is not read before it is published, and gone if it never is."""
        with RejectsFile(tmp_path, "aws.cloudtrail", "one") as file:
            file.write(reject_batch([BAD]))
            assert not file.path.exists()
            assert list(read_rejects(tmp_path)) == []
            (hidden,) = file.path.parent.iterdir()
            assert (hidden.name.startswith(f".{file.path.stem}-"), hidden.suffix) == (True, ".tmp")

        assert list((tmp_path / "aws.cloudtrail").iterdir()) == []

    def test_dropped_twice(self, tmp_path: Path) -> None:
        """Whoever removed what was not published has spared us the trouble, and it can be closed again."""
        with RejectsFile(tmp_path, "aws.cloudtrail", "one") as file:
            file.write(reject_batch([BAD]))
            for path in file.path.parent.iterdir():
                path.unlink()
            file.close()

        assert list(file.path.parent.iterdir()) == []

    def test_many_writes(self, tmp_path: Path) -> None:
        """Batches are appended, and counted; publishing twice is publishing once."""
        with RejectsFile(tmp_path, "aws.cloudtrail", "one") as file:
            for _ in range(3):
                file.write(reject_batch([BAD] * 1_500))
            path = file.publish()

            assert file.publish() == path
            assert file.rows == 4_500
        assert path is not None
        assert path.read_bytes().count(b"\n") == 4_500

    @pytest.mark.parametrize(
        ("log_type", "name"),
        [
            ("../../x", "_.._.._x"),
            ("..", "_.."),
            ("", "_"),
            ("a/b", "a_b"),
            ("ü\0", "__"),
            (".", "_."),
            ("A-1_b.c", "A-1_b.c"),
        ],
    )
    def test_hostile_log_type(self, tmp_path: Path, log_type: str, name: str) -> None:
        """A log type chooses no folder outside."""
        path = save(tmp_path / "rejects", BAD, log_type=log_type)

        assert path.parent.parent == tmp_path / "rejects"
        assert path.parent.name == name
        assert replayed(path)[0][0] == log_type

    def test_place_that_cannot_be_written(self, tmp_path: Path) -> None:
        """A place that cannot be written to is an error that names it."""
        (tmp_path / "file").touch()
        with RejectsFile(tmp_path / "file", "aws.cloudtrail", "one") as file:
            with pytest.raises(LakeError, match="cannot be written: ") as caught:
                file.write(reject_batch([BAD]))
            assert caught.value.path == str(file.path)
            with pytest.raises(LakeError, match="cannot be written: Not a directory"):
                file.publish()


class TestReplay:
    def test_round_trip(self, tmp_path: Path) -> None:
        """Records come back byte for byte, with their log type and origin; what has one origin is one batch."""
        elsewhere = Reject(b"x", "why", "", {"uri": "file:///b", "account": "123456789012"})
        path = save(tmp_path, BAD, BINARY, elsewhere, BAD)

        assert replayed(path) == [
            ("aws.cloudtrail", [BAD.record, BINARY.record], {"uri": "file:///a"}),
            ("aws.cloudtrail", [b"x"], dict(elsewhere.origin)),
            ("aws.cloudtrail", [BAD.record], {"uri": "file:///a"}),
        ]

    def test_folder(self, tmp_path: Path) -> None:
        """A folder is read with all its log types; so is the folder of one."""
        save(tmp_path, BAD)
        save(tmp_path, BINARY, log_type="aws.vpc_flow")

        assert {log_type for log_type, _, _ in replayed(tmp_path)} == {"aws.cloudtrail", "aws.vpc_flow"}
        assert [log_type for log_type, _, _ in replayed(tmp_path / "aws.vpc_flow")] == ["aws.vpc_flow"]

    def test_batches_are_bounded(self, tmp_path: Path) -> None:
        """Many records, or large ones, are several batches."""
        path = save(tmp_path, *[BINARY] * 25_000, *[Reject(b"x" * (3 << 20), "large", "", BAD.origin)] * 4)

        assert [len(records) for _, records, _ in replayed(path)] == [10_000, 10_000, 5_003, 1]

    def test_batches_of_8_mib(self, tmp_path: Path) -> None:
        """A batch ends with the record that fills it, the next one as well."""
        large, small = (Reject(b"x" * size, "large", "", {}) for size in ((8 << 20) - 1, 1))
        path = save(tmp_path, large, small, large, small, small)

        assert [len(records) for _, records, _ in replayed(path)] == [2, 2, 1]

    def test_what_a_line_may_lack(self, tmp_path: Path) -> None:
        """A line needs no more than its log type and its record."""
        (tmp_path / "a.jsonl").write_text('{"log_type": "x", "record": "r"}\n')

        assert replayed(tmp_path) == [("x", [b"r"], {})]
        assert count_rejects(tmp_path / "a.jsonl") == {("x", "", ""): 1}

    def test_damaged_line(self, tmp_path: Path) -> None:
        """A line that is no reject is an error that says where."""
        path = save(tmp_path, BAD)
        for line in ("{", '{"log_type": "x"}', '{"log_type": "x", "record_base64": "/"}', "[]", ""):
            (tmp_path / "bad.jsonl").write_text(f"{path.read_text() * 2}{line}\n")
            with pytest.raises(LakeError, match=r"/bad\.jsonl, line 3, is no reject as ocsflake writes them") as caught:
                replayed(tmp_path / "bad.jsonl")
            assert caught.value.path == str(tmp_path / "bad.jsonl")

    def test_counts(self, tmp_path: Path) -> None:
        """How many there are of each log type, attribute and reason, in all files."""
        save(tmp_path, BAD, BAD, BINARY)
        save(tmp_path, BAD, commit="two", log_type="aws.vpc_flow")

        assert count_rejects(tmp_path) == {
            ("aws.cloudtrail", "time", "eventTime is missing"): 2,
            ("aws.cloudtrail", "", "not UTF-8 (byte 1)"): 1,
            ("aws.vpc_flow", "time", "eventTime is missing"): 1,
        }

    def test_empty_file(self, tmp_path: Path) -> None:
        """An empty file holds no rejects."""
        (tmp_path / "empty.jsonl").touch()

        assert replayed(tmp_path) == []

    def test_nothing_there(self, tmp_path: Path) -> None:
        """A path that does not exist is an error that names it."""
        with pytest.raises(LakeError, match=r"the rejects in .*/none cannot be read: No such file"):
            replayed(tmp_path / "none")
