"""Files: what is new is planned once, and what is read is what was planned."""

from __future__ import annotations

import gzip
import json
import os
import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ocsflake.errors import AccessDeniedError, ConfigError, SourceError
from ocsflake.model import Split
from ocsflake.sources.files import FilesSource

if TYPE_CHECKING:
    from ocsflake.model import RawBatch, State

NOW = datetime(2024, 5, 17, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1)
A, B, C, D = (b'{"n": %d}\n' % n for n in range(4))
BIG = b"".join(b'{"n": %d, "text": "%s"}\n' % (n, b"x" * 200) for n in range(1_000))


def write(path: Path, data: bytes, when: datetime = NOW) -> Path:
    """Write a file that changed at a given time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (when.timestamp(), when.timestamp()))
    return path


def source(uri: str | Path, **options: Any) -> FilesSource:
    return FilesSource(log_type="aws.cloudtrail", uri=uri, **options)


def plan(uri: str | Path, state: State | None = None, now: datetime = NOW) -> list[Split]:
    return list(source(uri).plan(state, now))


def names(splits: list[Split]) -> list[str]:
    return [split.detail["uri"].rpartition("/")[2] for split in splits]


def text(batches: list[RawBatch]) -> bytes:
    return b"".join(batch.records for batch in batches)  # type: ignore[misc]


class Reader:
    """Runs a source over and over, as a pipeline does, with the state as it comes back from a checkpoint."""

    def __init__(self, uri: str | Path, **options: Any) -> None:
        self.source = source(uri, **options)
        self.state: State | None = None

    def run(self, now: datetime = NOW) -> bytes:
        """Return all the text that is new."""
        splits = list(self.source.plan(self.state, now))
        found = text([batch for split in splits for batch in self.source.read(split)])
        self.state = json.loads(json.dumps(self.source.advance(self.state, splits)))
        return found


class TestUri:
    def test_forms(self, tmp_path: Path) -> None:
        """A path, a `Path`, and both spellings of a file URI name one file."""
        path = write(tmp_path / "a b%.json", A)
        local = path.as_uri().replace("file://", "FILE://localhost")

        assert {str(path)} == {source(uri).uri for uri in (path, str(path), path.as_uri(), local)}

    def test_relative(self, tmp_path: Path) -> None:
        """A relative path is resolved when the source is made."""
        write(tmp_path / "a.json", A)
        before = Path.cwd()
        os.chdir(tmp_path)
        try:
            made = source("a.json")
        finally:
            os.chdir(before)

        assert str(tmp_path / "a.json") == made.uri

    @pytest.mark.parametrize("uri", ["s3://bucket/key", "file://server/share"])
    def test_elsewhere(self, uri: str) -> None:
        """What is not on this machine is another source's."""
        with pytest.raises(ConfigError, match="not on this machine"):
            source(uri)

    def test_empty(self) -> None:
        """An empty path is a mistake, and not the current folder."""
        with pytest.raises(ConfigError, match="uri is empty"):
            source("")

    def test_missing(self, tmp_path: Path) -> None:
        """A path that does not exist is an error that says what is there instead."""
        write(tmp_path / "logs" / "cloudtrail.json", A)

        with pytest.raises(ConfigError, match=r"does not exist: nothing is called 'log' in .* mean 'logs'\?"):
            plan(tmp_path / "log" / "cloudtrail.json")
        with pytest.raises(ConfigError, match=r"did you mean 'cloudtrail.json'\?"):
            plan(tmp_path / "logs" / "cloudtrial.json")

    def test_neither_file_nor_folder(self, tmp_path: Path) -> None:
        """A pipe is refused, and not waited for."""
        os.mkfifo(tmp_path / "pipe")

        with pytest.raises(ConfigError, match="neither a file nor a directory"):
            plan(tmp_path / "pipe")
        assert plan(tmp_path) == []

    def test_name(self, tmp_path: Path) -> None:
        """The name is the caller's, or made of the log type and the path."""
        assert source(tmp_path, name="mine").name == "mine"
        assert source(tmp_path).name == f"files:aws.cloudtrail:{tmp_path}"
        assert repr(source("/a", name="mine")) == "FilesSource(log_type='aws.cloudtrail', uri='/a', header=None)"
        with pytest.raises(TypeError):
            FilesSource("aws.cloudtrail", str(tmp_path))  # type: ignore[misc]


class TestListing:
    @pytest.fixture
    def logs(self, tmp_path: Path) -> Path:
        for n, name in enumerate(
            ["b.json", "a.json", "2024/c.gz", "2024/05/d.json", "2024/05/x.tmp", "x.part", ".x", "2024/.hidden/x"]
        ):
            write(tmp_path / name, A, NOW + timedelta(seconds=n))
        return tmp_path

    def test_folder(self, logs: Path) -> None:
        """A folder is read with all below it, oldest first, but for what is hidden or unfinished."""
        assert names(plan(logs)) == ["b.json", "a.json", "c.gz", "d.json"]

    def test_folders_beside_one_another(self, tmp_path: Path) -> None:
        """Each of them is read, with all that is below it."""
        for folder in ("a", "a/s", "b", "b/s"):
            write(tmp_path / folder / f"{folder[0]}{len(folder)}", A)

        assert names(plan(tmp_path)) == ["a1", "a3", "b1", "b3"]

    def test_order_of_equal_times(self, tmp_path: Path) -> None:
        """Files of one time come in the order of their paths."""
        for name in "cab":
            write(tmp_path / name, A)

        assert names(plan(tmp_path)) == ["a", "b", "c"]

    @pytest.mark.parametrize(
        ("pattern", "found"),
        [
            ("*.json", ["b.json", "a.json"]),
            ("[ab].json", ["b.json", "a.json"]),
            ("?.json", ["b.json", "a.json"]),
            ("**/*.json", ["b.json", "a.json", "d.json"]),
            ("**/05/*", ["d.json", "x.tmp"]),
            ("2024/**/d.*", ["d.json"]),
            ("20*/**/0*/**/*.json", ["d.json"]),
            ("20*", ["c.gz", "d.json"]),
            ("20*/**", ["c.gz", "d.json"]),
            ("**", ["b.json", "a.json", "c.gz", "d.json"]),
            ("*.xml", []),
            ("no*/**/x", []),
            ("*.json/**/x", []),
        ],
    )
    def test_globs(self, logs: Path, pattern: str, found: list[str]) -> None:
        """Wildcards match as in a shell; a folder that matches is read like any folder."""
        assert names(plan(f"{logs}/{pattern}")) == found

    def test_file_uri_with_wildcard(self, logs: Path) -> None:
        """A file URI may be a glob."""
        assert names(plan(f"{logs.as_uri()}/*.json")) == ["b.json", "a.json"]

    def test_wildcards_in_a_name(self, tmp_path: Path) -> None:
        """A path that exists is that path, whatever is in it."""
        write(tmp_path / "logs[1]" / "a*.json", A)

        assert len(plan(tmp_path / "logs[1]" / "a*.json")) == 1
        assert len(plan(f"{tmp_path}/**/a*.json")) == 1

    def test_links(self, tmp_path: Path) -> None:
        """Links that loop or lead nowhere are passed by, and a file is read once however many lead to it."""
        logs = tmp_path / "logs"
        write(logs / "app-2024.log", A)
        (logs / "latest.log").symlink_to("app-2024.log")
        (logs / "loop").symlink_to(logs)
        (logs / "self").symlink_to("self")
        (logs / "nowhere").symlink_to("missing")
        (logs / "outside").symlink_to(write(tmp_path / "outside.log", B))

        for uri in (logs, f"{logs}/**", f"{logs}/*", f"{logs}/**/*", f"{logs}/*/*/*/*.log", logs / "loop"):
            expected = ["app-2024.log"] if "/*/*" in str(uri) else ["app-2024.log", "outside.log"]
            assert names(plan(uri)) == expected
        assert names(plan(logs / "latest.log")) == ["app-2024.log"]

    def test_deep_folders(self, tmp_path: Path) -> None:
        """Folders within folders need no recursion."""
        before = Path.cwd()
        os.chdir(tmp_path)
        for _ in range(1_500):
            Path("d").mkdir()
            os.chdir("d")
        try:
            assert plan(tmp_path) == []
        finally:
            for _ in range(1_500):
                os.chdir("..")
                Path("d").rmdir()
            os.chdir(before)

    def test_bytes_in_a_name(self, tmp_path: Path) -> None:
        """A name that is no text goes through JSON and back."""
        (tmp_path / os.fsdecode(b"caf\xe9 \n.json")).write_bytes(A)
        reader = Reader(tmp_path)

        assert reader.run() == A
        assert reader.run() == b""
        assert source(tmp_path / os.fsdecode(b"\xe9")).name.endswith("/\\xe9")

    def test_empty_file(self, tmp_path: Path) -> None:
        """An empty file is nothing yet."""
        write(tmp_path / "a", b"")

        assert plan(tmp_path) == []

    def test_forbidden(self, unprivileged: Path) -> None:
        """What may not be listed or read is an error that names it."""
        write(unprivileged / "folder" / "a.json", A)
        (unprivileged / "folder").chmod(0)
        with pytest.raises(AccessDeniedError, match=r"/folder may not be listed: give .*") as caught:
            plan(unprivileged)
        assert caught.value.source == source(unprivileged).name
        with pytest.raises(AccessDeniedError, match=r"/folder/a.json may not be listed"):
            plan(unprivileged / "folder" / "a.json")
        (unprivileged / "link").symlink_to("folder/a.json")
        with pytest.raises(AccessDeniedError, match=r"/link may not be listed"):
            plan(f"{unprivileged}/l*")
        (unprivileged / "link").unlink()
        (unprivileged / "folder").chmod(0o700)
        (unprivileged / "folder" / "a.json").chmod(0)

        write(unprivileged / "folder" / "b.json", B)
        first, second = plan(unprivileged)
        uri = (unprivileged / "folder" / "a.json").as_uri()
        assert first == Split(f"{uri}#unread", {"uri": uri, "offset": 0, "end": len(A), "print": ""}, len(A))
        with pytest.raises(AccessDeniedError, match=r"^file:///.*/a.json may not be read") as caught:
            list(source(unprivileged).read(first))
        assert caught.value.split == first.id
        assert text(list(source(unprivileged).read(second))) == B
        (unprivileged / "folder" / "a.json").chmod(0o600)
        with pytest.raises(SourceError, match="changed since it was planned"):
            list(source(unprivileged).read(first))

    def test_name_too_long(self) -> None:
        """What the file system refuses is an error that names it."""
        with pytest.raises(SourceError, match=r"x: File name too long$"):
            plan("/" + "x" * 300)


class TestState:
    def test_read_once(self, tmp_path: Path) -> None:
        """A file is read once, and a new one is found."""
        write(tmp_path / "a", A, LONG_AGO)
        reader = Reader(tmp_path)

        assert reader.run() == A
        assert reader.run() == b""
        write(tmp_path / "b", B, LONG_AGO - timedelta(days=9))
        assert reader.run() == B
        assert reader.run() == b""

    def test_seen_files_are_not_opened(self, unprivileged: Path) -> None:
        """A file of the same size and time is taken as read by its metadata alone."""
        path = write(unprivileged / "a", A)
        reader = Reader(unprivileged)
        reader.run()
        path.chmod(0)

        assert reader.run() == b""

    @pytest.mark.parametrize("data", [A, BIG, gzip.compress(BIG, mtime=0)])
    def test_touched(self, tmp_path: Path, data: bytes) -> None:
        """A file that was touched, or copied over by itself, is not new."""
        path = write(tmp_path / "a", data)
        reader = Reader(tmp_path)
        reader.run()
        write(path, data, NOW + timedelta(hours=1))

        assert reader.run() == b""

    def test_advance_keeps_what_was(self, tmp_path: Path) -> None:
        """The state grows by what is done, and no input is changed."""
        write(tmp_path / "a", A)
        write(tmp_path / "b", B)
        first, second = plan(tmp_path)
        made = source(tmp_path)
        state = made.advance(None, [first])

        assert list(made.plan({}, NOW)) == [first, second]
        assert made.advance({}, [first]) == state
        assert list(made.plan(state, NOW)) == [second]
        assert len(made.advance(state, [second])["files"]) == 2
        assert len(state["files"]) == 1

    def test_split_ids_name_the_content(self, tmp_path: Path) -> None:
        """Equal content at one path has one id; other content has another."""
        path = write(tmp_path / "a", A)
        [first] = plan(tmp_path)
        write(path, A, LONG_AGO)
        [again] = plan(tmp_path)
        write(path, B)
        [other] = plan(tmp_path)

        assert first.id == again.id
        assert first.id != other.id
        assert first.id.startswith(f"{path.as_uri()}#0-9:")
        assert first.bytes == len(A)

    def test_values_travel(self, tmp_path: Path) -> None:
        """A source and a split work in another process, and a split survives JSON."""
        write(tmp_path / "a", A)
        made = pickle.loads(pickle.dumps(source(tmp_path)))
        [split] = pickle.loads(pickle.dumps(plan(tmp_path)))

        assert json.loads(json.dumps(split.detail)) == split.detail
        assert text(list(made.read(split))) == A


class TestGrowth:
    def test_new_lines_only(self, tmp_path: Path) -> None:
        """Of text that grew, the new lines are read."""
        path = tmp_path / "a"
        reader = Reader(path)
        for n, line in enumerate((BIG, A, B, BIG)):
            with path.open("ab") as file:
                file.write(line)
            os.utime(path, (n, n))

            assert reader.run() == line
        assert reader.run() == b""

    def test_header_goes_with_them(self, tmp_path: Path) -> None:
        """New lines have the first line of the file as their head."""
        path = write(tmp_path / "a", b"version account-id\n2 1\n", LONG_AGO)
        made = source(path)
        state = made.advance(None, list(made.plan(None, NOW)))
        write(path, b"version account-id\n2 1\n2 2\n")
        [split] = made.plan(state, NOW)
        [batch] = made.read(split)

        assert batch.records == b"2 2\n"
        assert batch.head == b"version account-id"

    def test_unfinished_line_waits(self, tmp_path: Path) -> None:
        """A new line without its end is left until the end comes."""
        path = write(tmp_path / "a", b"1 ACCEPT\n", LONG_AGO)
        reader = Reader(path)
        reader.run()
        write(path, b"1 ACCEPT\n2 ACCEPT\n3 ACC")
        assert reader.run() == b"2 ACCEPT\n"
        assert reader.run() == b""
        write(path, b"1 ACCEPT\n2 ACCEPT\n3 ACCEPT\n", NOW + timedelta(seconds=1))

        assert reader.run() == b"3 ACCEPT\n"

    def test_unfinished_line_alone(self, tmp_path: Path) -> None:
        """A file whose whole growth is unfinished is not new."""
        path = write(tmp_path / "a", b"1 ACCEPT\n", LONG_AGO)
        reader = Reader(path)
        reader.run()
        write(path, b"1 ACCEPT\n2 ACC")

        assert reader.run() == b""

    def test_quiet_file_is_finished(self, tmp_path: Path) -> None:
        """A last line that never gets an end is read once the file has been quiet for a minute."""
        path = write(tmp_path / "a", b"1 ACCEPT\n", LONG_AGO)
        reader = Reader(path)
        reader.run()
        write(path, b"1 ACCEPT\n2 ACCEPT")
        assert reader.run(NOW + timedelta(seconds=60)) == b""

        assert reader.run(NOW + timedelta(seconds=61)) == b"2 ACCEPT"
        assert reader.run(NOW + timedelta(seconds=61)) == b""

    def test_complete_json_needs_no_newline(self, tmp_path: Path) -> None:
        """A last line that is a JSON value is whole; the newline that comes later adds nothing to it."""
        path = write(tmp_path / "a", A, LONG_AGO)
        reader = Reader(path)
        reader.run()
        write(path, A + B.strip())
        assert reader.run() == B.strip()
        write(path, A + B + C, NOW + timedelta(seconds=1))

        assert reader.run().strip() == C.strip()

    def test_long_unfinished_line(self, tmp_path: Path) -> None:
        """The end of a long line is looked for as far back as it takes."""
        path = write(tmp_path / "a", A, LONG_AGO)
        reader = Reader(path)
        reader.run()
        write(path, A + B + b'{"text": "' + b"x" * (9 << 20) + b'"}')

        assert reader.run() == B
        assert reader.run(NOW + timedelta(minutes=2)).endswith(b'x"}')

    def test_torn_line_is_read_again(self, tmp_path: Path) -> None:
        """A line that was read before it was finished is read again, whole."""
        path = write(tmp_path / "a", A + b'{"n": "to', LONG_AGO)
        reader = Reader(path)
        reader.run()
        write(path, A + b'{"n": "torn"}\n' + B)

        assert reader.run() == b'{"n": "torn"}\n' + B

    @pytest.mark.parametrize("lines", [2_000, 200_000], ids=["some", "many"])
    def test_torn_line_of_a_long_file(self, tmp_path: Path, lines: int) -> None:
        """However much there is before it, and whatever came after it, the line is read whole and nothing else is."""
        long = b'{"n": "a line of forty bytes or so"}\n' * lines
        path = write(tmp_path / "a", long + b'{"n": "to', LONG_AGO)
        reader = Reader(path)
        reader.run()
        write(path, long + b'{"n": "torn"}\n' + B.strip())

        assert reader.run() == b'{"n": "torn"}\n' + B.strip()

    @pytest.mark.parametrize(
        ("before", "torn", "rest"),
        [(b"", b"2 ACC", b"EPT\n"), (b"", b"2 ACCEP", b"T\n"), (b"\n", b"2 ACC", b"EPT\n"), (A, b"2", b" ACCEPT\n")],
    )
    def test_torn_anywhere(self, tmp_path: Path, before: bytes, torn: bytes, rest: bytes) -> None:
        """That holds for the only line of a file, too, and wherever it was torn."""
        path = write(tmp_path / "a", before + torn, LONG_AGO)
        reader = Reader(path)
        reader.run()
        write(path, before + torn + rest)

        assert reader.run() == torn + rest

    def test_long_first_line(self, tmp_path: Path) -> None:
        """A file of long lines grows by lines as well."""
        long = b'{"Records": [' + b",".join([A.strip()] * 20_000) + b"]}\n"
        path = write(tmp_path / "a", long, LONG_AGO)
        reader = Reader(path)
        reader.run()
        write(path, long + A)

        assert reader.run() == A

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (A + B, C),
            (A + B, C + D + A),
            (BIG, BIG[:-10]),
            (BIG, b" " + BIG),
            (BIG, b" " + BIG[1:] + A),
            (BIG, BIG[:-30] + b"y" * 29 + b"\n" + A),
            (b'[\n{"n": 1}]\n', b'[\n{"n": 1}]\n[{"n": 2}]\n'),
        ],
    )
    def test_other_changes(self, tmp_path: Path, before: bytes, after: bytes) -> None:
        """What was truncated, rewritten, or is a document, is another object and is read whole."""
        path = write(tmp_path / "a", before, LONG_AGO)
        reader = Reader(path)
        reader.run()
        write(path, after)

        assert reader.run() == after
        assert reader.run() == b""

    def test_compressed_file_that_grew(self, tmp_path: Path) -> None:
        """A compressed file that grew is read whole."""
        path = write(tmp_path / "a.gz", gzip.compress(A, mtime=0), LONG_AGO)
        reader = Reader(path)
        reader.run()
        write(path, gzip.compress(A, mtime=0) + gzip.compress(B, mtime=0))

        assert reader.run() == A + B

    def test_rotated(self, tmp_path: Path) -> None:
        """A file that was read and then moved is not new under its new path, and what was added to it is."""
        path = write(tmp_path / "app.log", A, LONG_AGO)
        reader = Reader(tmp_path)
        reader.run()
        write(path, A + B, LONG_AGO + timedelta(seconds=1))
        path.rename(tmp_path / "app.log.1")
        write(path, C)
        assert reader.run() == B + C
        (tmp_path / "app.log.1").rename(tmp_path / "app.log.2")
        path.rename(tmp_path / "app.log.1")
        write(path, D, NOW + timedelta(seconds=1))

        assert reader.run() == D
        assert reader.run() == b""

    def test_copy(self, tmp_path: Path) -> None:
        """A copy is a file of its own: two hosts may well write the same."""
        write(tmp_path / "a", A)
        reader = Reader(tmp_path)
        reader.run()
        write(tmp_path / "b", A)

        assert reader.run() == A


class TestRead:
    def test_origin_and_head(self, tmp_path: Path) -> None:
        """A batch has the URI of its file as origin, and nothing else."""
        path = write(tmp_path / "a b", A)
        [batch] = source(path).read(plan(path)[0])

        assert batch.origin == {"uri": path.as_uri()}
        assert batch.head == b""

    def test_declared_header(self, tmp_path: Path) -> None:
        """A declared header is the head of every batch."""
        path = write(tmp_path / "a", b"2 1 eni-1\n" * 2_000_000)
        made = source(path, header="version account-id interface-id")

        heads = [batch.head for batch in made.read(plan(path)[0])]

        assert len(heads) > 1
        assert set(heads) == {b"version account-id interface-id"}

    def test_repeatable(self, tmp_path: Path) -> None:
        """A split can be read again."""
        path = write(tmp_path / "a", A)
        [split] = plan(path)
        made = source(path)

        assert list(made.read(split)) == list(made.read(split))

    def test_growth_after_planning(self, tmp_path: Path) -> None:
        """Lines that came after the plan are not part of the split."""
        path = write(tmp_path / "a", A)
        [split] = plan(path)
        write(path, A + B)

        assert text(list(source(path).read(split))) == A

    @pytest.mark.parametrize("after", [b"", B, gzip.compress(A + B, mtime=0), gzip.compress(A, mtime=0) * 2, None])
    def test_other_change_after_planning(self, tmp_path: Path, after: bytes | None) -> None:
        """A file that is gone, or is another by now, is an error and not another file's records."""
        path = write(tmp_path / "a", gzip.compress(A, mtime=0))
        [split] = plan(path)
        path.unlink()
        if after is not None:
            write(path, after)

        with pytest.raises(SourceError, match=r"/a changed since it was planned") as caught:
            list(source(path).read(split))
        assert caught.value.split == split.id

    def test_gone_while_planning(self, tmp_path: Path) -> None:
        """A file that goes away between the listing and the look at it is no error."""
        write(tmp_path / "a", A, LONG_AGO)
        gone = write(tmp_path / "b", B)
        write(tmp_path / "c", C)
        splits = source(tmp_path).plan(None, NOW)
        next(splits)
        gone.unlink()

        assert names(list(splits)) == ["c"]

    def test_folder_in_place_of_a_file(self, tmp_path: Path) -> None:
        """What cannot be opened is an error with the reason."""
        path = write(tmp_path / "a", A)
        [split] = plan(path)
        path.unlink()
        path.mkdir()

        with pytest.raises(SourceError, match=r"/a: Is a directory$"):
            list(source(path).read(split))

    def test_truncated_gzip(self, tmp_path: Path) -> None:
        """A file that is damaged is an error that names it, the source and the split."""
        path = write(tmp_path / "a.gz", gzip.compress(BIG, mtime=0)[:-4])
        [split] = plan(path)

        with pytest.raises(SourceError, match=r"/a.gz: cannot be read as gzip: truncated") as caught:
            list(source(path).read(split))
        assert (caught.value.source, caught.value.split) == (source(path).name, split.id)

    def test_parquet(self, tmp_path: Path) -> None:
        """Parquet comes as columns."""
        table = pa.table({"version": [2, 3]})
        pq.write_table(table, tmp_path / "a")
        [batch] = source(tmp_path).read(plan(tmp_path)[0])

        assert pa.Table.from_batches([batch.records]) == table
