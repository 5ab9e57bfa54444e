"""Checkpoints: what was saved is there, one writer wins, and a file that is not right is never guessed at."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import textwrap
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ocsflake.checkpoints import FileCheckpoints, MemoryCheckpoints
from ocsflake.errors import CheckpointConflictError, LakeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocsflake.model import CheckpointStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "checkpoints.db"


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, path: Path) -> CheckpointStore:
    return MemoryCheckpoints() if request.param == "memory" else FileCheckpoints(path)


class TestStores:
    def test_nothing_yet(self, store: CheckpointStore) -> None:
        """A source that never ran has no document and no revision."""
        assert store.load("a") == (None, None)

    def test_round_trip(self, store: CheckpointStore) -> None:
        """A document comes back as it was saved, each under its own name."""
        doc = {"files": {"file:///ü": {"size": 2**53 + 1}}, "intent": None, "x": ["\u2028", 1.5, True]}
        first = store.save("a", doc, None)
        other = store.save("files:aws.cloudtrail:/logs/'; --", {}, None)

        assert store.load("a") == (doc, first)
        assert store.load("files:aws.cloudtrail:/logs/'; --") == ({}, other)

    def test_documents_are_copies(self, store: CheckpointStore) -> None:
        """A document that is changed after it was saved, or loaded, changes nothing that is stored."""
        doc = {"files": ["a"]}
        store.save("a", doc, None)
        doc["files"].append("b")
        loaded, _ = store.load("a")
        assert loaded is not None
        loaded.clear()

        assert store.load("a")[0] == {"files": ["a"]}

    def test_each_save_needs_the_revision_before(self, store: CheckpointStore) -> None:
        """A save with the revision that is stored succeeds and gives the next one."""
        revision = None
        for n in range(3):
            revision = store.save("a", {"n": n}, revision)

        assert store.load("a") == ({"n": 2}, revision)

    @pytest.mark.parametrize("stale", ["first", "none", "unknown"])
    def test_conflict(self, store: CheckpointStore, stale: str) -> None:
        """A save with another revision is a conflict, and changes nothing."""
        first = store.save("a", {"n": 1}, None)
        second = store.save("a", {"n": 2}, first)

        with pytest.raises(CheckpointConflictError, match="another run saved the checkpoint of 'a'"):
            store.save("a", {"n": 3}, {"first": first, "none": None, "unknown": "7"}[stale])
        assert store.load("a") == ({"n": 2}, second)

    def test_revision_of_a_document_that_is_gone(self, store: CheckpointStore) -> None:
        """A revision that was never stored here does not make a document."""
        with pytest.raises(CheckpointConflictError):
            store.save("a", {}, "7")

    def test_not_json(self, store: CheckpointStore) -> None:
        """What is no JSON is refused before anything is written."""
        with pytest.raises(TypeError):
            store.save("a", {"x": object()}, None)
        assert store.load("a") == (None, None)

    def test_threads(self, store: CheckpointStore) -> None:
        """Of many threads that save at once, one wins each time."""

        def count(_: int) -> None:
            for _ in range(5):
                while True:
                    doc, revision = store.load("n")
                    try:
                        store.save("n", {"n": (doc or {"n": 0})["n"] + 1}, revision)
                        break
                    except CheckpointConflictError:
                        continue

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(count, range(4)))

        assert store.load("n")[0] == {"n": 20}


class TestMemory:
    def test_a_value(self) -> None:
        """It shows nothing of what it holds, and is not given it."""
        store, other = MemoryCheckpoints(), MemoryCheckpoints()
        assert store == other
        store.save("a", {"token": "hunter2"}, None)

        assert store != other
        assert repr(store) == "MemoryCheckpoints()"
        with pytest.raises(TypeError):
            MemoryCheckpoints({})  # type: ignore[call-arg]

    def test_conflict(self) -> None:
        """A conflict names the source, and says what to do."""
        with pytest.raises(CheckpointConflictError, match="checkpoint of 'a' first: run one at a time") as caught:
            MemoryCheckpoints().save("a", {}, "7")
        assert caught.value.path == ""


class TestFile:
    def test_conflict(self, path: Path) -> None:
        """A conflict names the file as well."""
        with pytest.raises(CheckpointConflictError, match=r"of 'a' in .*/checkpoints\.db first: run one") as caught:
            FileCheckpoints(path).save("a", {}, "7")
        assert caught.value.path == str(path)

    def test_format(self, path: Path) -> None:
        """The file says whose it is and in which format, for every version that comes."""
        store = FileCheckpoints(path)
        store.save("a", {}, None)

        with closing(sqlite3.connect(path)) as database:
            found = [database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
            assert found == [int.from_bytes(b"OCSF"), 1]
            database.execute("PRAGMA application_id = 7")
        with pytest.raises(LakeError, match="another program's SQLite database"):
            store.load("a")

    def test_as_safe_as_it_can_be(self, path: Path) -> None:
        """A save outlives a loss of power, waits half a minute for others, and undoes what others chose."""
        store = FileCheckpoints(path)
        store.save("a", {"n": 1}, None)
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA journal_mode = WAL")

        with store._opened() as database:
            names = ("synchronous", "busy_timeout", "journal_mode")
            found = [database.execute(f"PRAGMA {name}").fetchone()[0] for name in names]
            assert found == [3, 30_000, "delete"]
            assert database.isolation_level is None  # transactions begin and end where the code says so
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            database.execute("SELECT 1")
        assert store.load("a")[0] == {"n": 1}

    def test_lasts(self, path: Path) -> None:
        """Another store on the same file finds what was saved."""
        revision = FileCheckpoints(path).save("a", {"n": 1}, None)

        assert FileCheckpoints(str(path)).load("a") == ({"n": 1}, revision)

    def test_private(self, path: Path) -> None:
        """The folders are made with the first save, and the file is its owner's alone; a load makes nothing."""
        path = path.parent / "deeper" / path.name
        store = FileCheckpoints(path)
        store.load("a")
        assert not path.parent.exists()
        store.save("a", {}, None)

        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert list(path.parent.iterdir()) == [path]

    def test_odd_paths(self, tmp_path: Path) -> None:
        """A path is a path, whatever characters are in it."""
        store = FileCheckpoints(tmp_path / "a?mode=ro#%41 b.db")
        store.save("a", {}, None)

        assert (tmp_path / "a?mode=ro#%41 b.db").exists()

    def test_empty_file(self, path: Path) -> None:
        """An empty file is one that was just made, and holds nothing."""
        path.parent.mkdir()
        path.touch()

        assert FileCheckpoints(path).load("a") == (None, None)
        FileCheckpoints(path).save("a", {}, None)

    def test_file_in_place_of_the_folder(self, tmp_path: Path) -> None:
        """A folder that cannot be made is an error that names the file."""
        (tmp_path / "file").touch()
        store = FileCheckpoints(tmp_path / "file" / "c.db")

        assert store.load("a") == (None, None)
        with pytest.raises(LakeError, match=r"file/c.db cannot be written") as caught:
            store.save("a", {}, None)
        assert caught.value.path == str(tmp_path / "file" / "c.db")

    @pytest.mark.parametrize("damage", ["rubbish", "truncated", "overwritten", "no JSON", "not an object", "no table"])
    def test_damaged(self, path: Path, damage: str) -> None:
        """A file that is damaged is an error that names it, and stays as it is."""
        store = FileCheckpoints(path)
        revision = store.save("a", {"x": "y" * 10_000}, None)
        good = path.read_bytes()
        if damage == "rubbish":
            path.write_bytes(b"rubbish" * 1_000)
        elif damage == "truncated":
            path.write_bytes(good[: len(good) // 2])
        elif damage == "overwritten":
            path.write_bytes(good[:4096] + b"\xff" * (len(good) - 4096))
        else:
            statement = {
                "no JSON": "UPDATE checkpoints SET doc = x'7b'",
                "not an object": "UPDATE checkpoints SET doc = '[]'",
                "no table": "DROP TABLE checkpoints",
            }[damage]
            with sqlite3.connect(path) as database:
                database.execute(statement)
            database.close()
        bad = path.read_bytes()

        words = r"checkpoints.db (is damaged \(.*\): put a copy from before in its place|cannot be used)"
        with pytest.raises(LakeError, match=words) as caught:
            store.load("a")
        assert caught.value.path == str(path)
        if damage not in ("no JSON", "not an object"):
            with pytest.raises(LakeError):
                store.save("a", {}, revision)
        assert path.read_bytes() == bad

    def test_newer_format(self, path: Path) -> None:
        """A file of a newer ocsflake is not touched."""
        store = FileCheckpoints(path)
        store.save("a", {}, None)
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA user_version = 2")
        database.close()

        with pytest.raises(LakeError, match="has format 2, and this version of ocsflake knows 1: upgrade"):
            store.load("a")
        with pytest.raises(LakeError, match="upgrade"):
            store.save("a", {}, None)

    def test_foreign_database(self, path: Path) -> None:
        """Another program's database is not touched."""
        path.parent.mkdir()
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE theirs (x)")
        database.close()

        with pytest.raises(LakeError, match="another program's SQLite database"):
            FileCheckpoints(path).save("a", {}, None)
        with pytest.raises(LakeError, match="another program's SQLite database") as caught:
            FileCheckpoints(path).load("a")
        assert caught.value.path == str(path)

    @pytest.fixture
    def unprivileged(self) -> Iterator[Path]:
        """A folder of a user without privileges, as whom the test runs: to root nothing is forbidden."""
        folder = Path(tempfile.mkdtemp())
        if root := os.geteuid() == 0:
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        yield folder
        folder.chmod(0o700)
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
        if root:
            os.seteuid(0)

    def test_read_only(self, unprivileged: Path) -> None:
        """A file that may not be written can be read, and says so when it is saved to."""
        store = FileCheckpoints(unprivileged / "c.db")
        revision = store.save("a", {"n": 1}, None)
        store.path.chmod(0o400)

        assert store.load("a") == ({"n": 1}, revision)
        with pytest.raises(LakeError, match=r"c.db cannot be written: Permission denied"):
            store.save("a", {}, revision)
        store.path.chmod(0o600)
        unprivileged.chmod(0o500)
        with pytest.raises(LakeError, match=r"c.db cannot be used"):
            store.save("a", {}, revision)

    def test_forbidden(self, unprivileged: Path) -> None:
        """A file that may not be looked at is an error, and not a source that never ran."""
        store = FileCheckpoints(unprivileged / "c.db")
        store.save("a", {"n": 1}, None)
        unprivileged.chmod(0)

        with pytest.raises(LakeError, match=r"c.db cannot be read: Permission denied"):
            store.load("a")

    def test_full_disk(self, path: Path) -> None:
        """A disk that is full is an error that names the file, and what was saved before stays."""
        store = FileCheckpoints(path)
        revision = store.save("a", {"n": 1}, None)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
        try:
            with pytest.raises(LakeError, match=r"checkpoints.db cannot be used: .*(full|I/O)"):
                store.save("a", {"x": "y" * 200_000}, revision)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)

        assert store.load("a") == ({"n": 1}, revision)

    def test_processes(self, path: Path) -> None:
        """Processes that count at the same time, from before the file exists, lose no count."""
        code = """
            import sys
            from ocsflake.checkpoints import FileCheckpoints
            from ocsflake.errors import CheckpointConflictError
            store = FileCheckpoints(sys.argv[1])
            sys.stdin.read()
            for _ in range(20):
                while True:
                    doc, revision = store.load("n")
                    try:
                        store.save("n", {"n": (doc or {"n": 0})["n"] + 1}, revision)
                        break
                    except CheckpointConflictError:
                        pass
        """
        command = [sys.executable, "-c", textwrap.dedent(code), str(path)]
        running = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(4)]
        for process in running:
            assert process.stdin is not None
            process.stdin.close()  # they begin together
        assert [process.wait() for process in running] == [0, 0, 0, 0]

        assert FileCheckpoints(path).load("n")[0] == {"n": 80}

    def test_killed_in_the_middle(self, path: Path) -> None:
        """A process that is killed in a save leaves the old document or the new one, and a file that works."""
        code = """
            import sys
            from ocsflake.checkpoints import FileCheckpoints
            store, revision = FileCheckpoints(sys.argv[1]), None
            for n in range(1_000_000):
                revision = store.save("a", {"n": n, "x": str(n) * 20_000}, revision)
                print(n, flush=True)
        """
        command = [sys.executable, "-c", textwrap.dedent(code), str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            seen = [int(process.stdout.readline()) for _ in range(20)]
            process.kill()
            seen += [int(line) for line in process.stdout]
        doc, revision = FileCheckpoints(path).load("a")

        assert doc is not None
        assert doc["n"] in (seen[-1], seen[-1] + 1)
        assert doc["x"] == str(doc["n"]) * 20_000
        FileCheckpoints(path).save("a", {}, revision)
