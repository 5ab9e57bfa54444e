"""Which files a path, a glob or a ``file://`` URI stands for, without hanging on links that loop."""

from __future__ import annotations

import errno
import functools
import glob
import os
import re
import stat
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes, unquote_to_bytes

from ocsflake.errors import AccessDeniedError, ConfigError, SourceError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

_WILDCARD = re.compile(r"[*?\[]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_UNFINISHED = (".tmp", ".part")
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)  # gone meanwhile, or a link that leads nowhere


def local_path(uri: str | os.PathLike[str]) -> str:
    """Return the absolute path, or glob, that a path or a ``file://`` URI names."""
    text = os.fspath(uri)
    if not text:
        raise ConfigError("uri is empty: give a path, a glob or a file:// URI")
    if scheme := _SCHEME.match(text):
        host, _, path = text[scheme.end() :].partition("/")
        if scheme[1].lower() != "file" or host not in ("", "localhost"):
            raise ConfigError(f"uri={text!r} is not on this machine: the source 'files' reads local paths only")
        text = os.fsdecode(unquote_to_bytes(f"/{path}"))
    return os.path.abspath(text)  # noqa: PTH100 - links are kept, and a glob is no path


def readable(path: str) -> str:
    """Return a path as text that any encoder takes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def uri_of(path: str) -> str:
    """Return the ``file://`` URI of an absolute path; ASCII, whatever bytes the path holds."""
    return f"file://{quote_from_bytes(os.fsencode(path))}"


def path_of(uri: str) -> str:
    """Return the path of what `uri_of` made."""
    return os.fsdecode(unquote_to_bytes(uri.removeprefix("file://")))


def files(pattern: str, source: str) -> list[tuple[int, str, int]]:
    """Return the regular files that `pattern` stands for: time of change in ns, URI, size; the oldest first.

    A link stands for what it leads to, so a file that several paths lead to is listed once.

    Raises:
        ConfigError: If `pattern` has no wildcard and nothing is there, or no file.
        SourceError: If a directory may not be listed, or the file system fails.
    """
    found: dict[str, os.stat_result] = {}
    real_folder = functools.cache(os.path.realpath)
    try:
        for path in _paths(pattern):
            try:
                status = os.stat(path)  # noqa: PTH116 - 100,000 Path objects cost more than the calls
            except OSError as error:
                if error.errno in _NOT_THERE:
                    continue
                raise
            if stat.S_ISREG(status.st_mode):
                folder, name = os.path.split(path)
                real = os.path.realpath(path) if os.path.islink(path) else f"{real_folder(folder)}{os.sep}{name}"  # noqa: PTH114 - paths are text here
                found[real] = status
    except PermissionError as error:
        message = f"{_named(error)} may not be listed: give this process the permission to read and enter it"
        raise AccessDeniedError(message, source=source) from error
    except OSError as error:
        raise SourceError(f"{_named(error)}: {error.strerror}", source=source) from error
    return sorted((status.st_mtime_ns, uri_of(path), status.st_size) for path, status in found.items())


def _named(error: OSError) -> str:
    return readable(str(error.filename))


def _paths(pattern: str) -> Iterator[str]:
    try:
        mode = os.stat(pattern).st_mode  # noqa: PTH116 - paths are text here
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise
        if not _WILDCARD.search(pattern):
            raise ConfigError(_missing(pattern)) from None
        for path in _expand(pattern):
            yield from _walk(path) if os.path.isdir(path) else (path,)  # noqa: PTH112 - paths are text here
        return
    if stat.S_ISDIR(mode):
        yield from _walk(pattern)
    elif stat.S_ISREG(mode):
        yield pattern
    else:
        raise ConfigError(f"{readable(pattern)} is neither a file nor a directory")


def _missing(path: str) -> str:
    """Return what to say of a path that does not exist: the part that is missing, and what is there instead."""
    folder, name = os.path.split(path)
    while not os.path.isdir(folder):  # noqa: PTH112 - paths are text here
        folder, name = os.path.split(folder)
    near = did_you_mean(name, os.listdir(folder))  # noqa: PTH208 - paths are text here
    return f"{readable(path)} does not exist: nothing is called {readable(name)!r} in {readable(folder)}{near}"


def _expand(pattern: str) -> Iterator[str]:
    """Yield what a glob matches; ``**`` stands for any number of directories, links to directories excepted."""
    before, deep, after = pattern.partition(f"{os.sep}**{os.sep}")
    if not deep:
        yield from glob.iglob(pattern.removesuffix(f"{os.sep}**"))  # noqa: PTH207 - paths are text here
        return
    for top in glob.iglob(before or os.sep):  # noqa: PTH207 - paths are text here
        for folder, _ in _tree(top):
            yield from _expand(os.path.join(glob.escape(folder), after))  # noqa: PTH118 - paths are text here


def _walk(top: str) -> Iterator[str]:
    for _, entries in _tree(top):
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False) and not entry.name.endswith(_UNFINISHED):
                yield entry.path


def _tree(top: str) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
    """Yield a directory and all below it, with what each holds, but for what is hidden."""
    folders = [top]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                shown = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            if error.errno in _NOT_THERE:
                continue
            raise
        yield folder, shown
        folders += [entry.path for entry in shown if entry.is_dir(follow_symlinks=False)]
