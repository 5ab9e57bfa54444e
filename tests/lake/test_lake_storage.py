from __future__ import annotations

import os
import stat
import time

import pytest

from ocsflake.errors import ConfigError, LakeError
from ocsflake.lake.storage import DirectoryStorage, StoredObject


@pytest.fixture
def storage(tmp_path):
    return DirectoryStorage(tmp_path / "lake")


def put(storage, key, content=b"content"):
    file = storage.scratch() / "file"
    file.write_bytes(content)
    storage.put(file, key)
    return file


def test_a_put_object_is_there_whole(storage):
    put(storage, "ext/a/b.parquet", b"one")

    with storage.open("ext/a/b.parquet") as file:
        assert file.read() == b"one"


def test_a_repeated_put_replaces(storage):
    put(storage, "ext/a", b"one")
    put(storage, "ext/a", b"two")

    with storage.open("ext/a") as file:
        assert file.read() == b"two"


def test_the_file_is_moved_not_copied(storage):
    file = put(storage, "ext/a")

    assert not file.exists()


def test_files_are_built_outside_the_tree_where_nobody_else_looks(storage):
    folder = storage.scratch()

    assert folder.parent == storage.root / ".ocsflake/tmp"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert list(storage.objects("ext/")) == []


def test_an_object_is_readable_as_the_umask_says(storage):
    put(storage, "ext/a")
    umask = os.umask(0)
    os.umask(umask)

    assert stat.S_IMODE((storage.root / "ext/a").stat().st_mode) == 0o666 & ~umask


def test_what_was_abandoned_for_a_day_is_removed(storage):
    old, new = storage.scratch(), storage.scratch()
    (old / "file").write_bytes(b"x")
    yesterday = time.time() - 25 * 60 * 60
    os.utime(old, (yesterday, yesterday))

    storage.scratch()

    assert not old.exists()
    assert new.exists()


@pytest.mark.parametrize("key", ["../x", "ext/../../x", "/etc/x", "ext//x", "", "ext/./x", "ext\\x", "ext/\0", "ext/"])
def test_a_key_cannot_leave_the_root(storage, key, tmp_path):
    file = storage.scratch() / "file"
    file.write_bytes(b"x")

    with pytest.raises(ConfigError, match="does not stay below"):
        storage.put(file, key)
    with pytest.raises(ConfigError, match="does not stay below"):
        storage.open(key)
    assert [path.name for path in tmp_path.iterdir()] == ["lake"]


def test_objects_come_in_the_order_of_their_keys(storage):
    keys = ["ext/a/x", "ext/a-b/x", "ext/a.b", "ext/ab/y", "ext/ab/x", "other/x"]
    for key in keys:
        put(storage, key)

    expected = sorted(key for key in keys if key.startswith("ext/"))
    assert [item.key for item in storage.objects("ext/")] == expected
    assert list(storage.objects("ext/ab/x")) == [StoredObject("ext/ab/x", 7)]
    assert [item.key for item in storage.objects("ext/a")] == expected
    assert [item.key for item in storage.objects("o")] == ["other/x"]
    assert list(storage.objects("ext/nothing/")) == []


def test_folders_are_those_with_something_in_them(storage):
    put(storage, "ext/b/x")
    put(storage, "ext/a/x")
    put(storage, "ext/file")
    (storage.root / "ext/empty").mkdir()

    assert storage.folders("ext/") == ["a", "b"]
    assert storage.folders("nothing/") == []


def test_errors_name_the_path(storage):
    with pytest.raises(LakeError, match=r"ext/a: No such file or directory") as caught:
        storage.open("ext/a")

    assert caught.value.path == str(storage.root / "ext/a")


def test_what_cannot_be_put_is_named(storage):
    """Where a file stands in the place of a folder, the message says where."""
    storage.root.mkdir(parents=True, exist_ok=True)
    (storage.root / "ext").write_bytes(b"")
    built = storage.scratch() / "built"
    built.write_bytes(b"x")

    with pytest.raises(LakeError, match="ext/a/b") as caught:
        storage.put(built, "ext/a/b")
    assert caught.value.path == str(storage.root / "ext/a/b")


def test_a_root_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(LakeError, match="file"):
        DirectoryStorage(tmp_path / "file").scratch()
