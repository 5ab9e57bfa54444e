"""Fuzzing of everything that reads what others wrote: ``python fuzz/harness.py SECONDS [TARGET ...]``.

It needs ``pip install atheris`` (CPython 3.11 to 3.13 on Linux). Coverage leads the way, and goes on from
``fuzz/corpus/<target>`` the next time. Input that broke something belongs in ``fuzz/seeds/<target>-<what>`` once it is
mended: `tests/test_fuzz_seeds.py` runs all seeds with every change.
"""

from __future__ import annotations

import contextlib
import functools
import io
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

ONE = __name__ == "__main__" and sys.argv[1:2] == ["--one"]
"""Whether this process is the one that fuzzes, and so must watch which lines run."""

if ONE:
    import atheris

with atheris.instrument_imports(include=["ocsflake"]) if ONE else contextlib.nullcontext():
    import ocsflake.mapping  # noqa: F401 - its parts would be loaded later, and not be watched
    from ocsflake import mapper
    from ocsflake.checkpoints import FileCheckpoints
    from ocsflake.errors import LakeError, SourceError
    from ocsflake.model import RawBatch
    from ocsflake.notifications import new_objects
    from ocsflake.rejects import read_rejects
    from ocsflake.sources.streams import BLOCK, read_batches

if TYPE_CHECKING:
    from collections.abc import Callable

SEEDS = Path(__file__).parent / "seeds"
_LIMIT = 4 << 20


def _mapped(log_type: str) -> Callable[[bytes], None]:
    redacting = functools.cache(lambda: mapper(log_type).redacting(["**.password"]))  # to compile one takes a while

    def target(data: bytes) -> None:
        for records in (data, data.split(b"\n")):
            mapped = redacting().map(RawBatch(records, head=data[:40]), raw_data=True)
            assert mapped.records == mapped.mapped + mapped.rejects.num_rows
            for batch in mapped.batches:
                batch.events.validate(full=True)

    return target


def _stream(data: bytes) -> None:
    size = 0
    with contextlib.suppress(SourceError):
        for batch in read_batches(io.BytesIO(data), "a", limit=_LIMIT):
            if isinstance(batch.records, bytes):
                assert 0 < len(batch.records) <= _LIMIT + 2 * BLOCK
                size += len(batch.records)
    if data[:1] in (b"{", b"[", b"a"):
        assert size == len(data) or data.isspace()  # plain text goes through as it is


def _notification(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        for found in new_objects(data.decode(errors="surrogateescape")):
            assert (found.bucket + found.key + found.etag).encode() is not None


def _checkpoint(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoints.db"
        path.write_bytes(data)
        with contextlib.suppress(LakeError):
            FileCheckpoints(path).load("a")
        assert path.read_bytes() == data  # never repaired


def _rejects(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        path.write_bytes(data)
        with contextlib.suppress(LakeError):
            list(read_rejects(path))


TARGETS: dict[str, Callable[[bytes], None]] = {
    "json": _mapped("aws.cloudtrail"),
    "rows": _mapped("azure.vnet_flow"),
    "csv": _mapped("azure.signin"),
    "delimited": _mapped("aws.vpc_flow"),
    "pattern": _mapped("aws.s3_access"),
    "proto": _mapped("gcp.audit"),
    "stream": _stream,
    "notification": _notification,
    "checkpoint": _checkpoint,
    "rejects": _rejects,
}


def _fuzz(name: str, seconds: str) -> None:
    corpus = Path(__file__).parent / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(sorted(SEEDS.glob(f"{name}-*"))):
        (corpus / f"seed-{number}").write_bytes(seed.read_bytes())
    limits = ["-max_len=65536", "-timeout=20", "-rss_limit_mb=2048", f"-artifact_prefix={corpus.parent}/{name}-"]
    atheris.Setup([name, str(corpus), f"-max_total_time={seconds}", *limits], TARGETS[name])
    atheris.Fuzz()


def main(seconds: str, *names: str) -> int:
    """Fuzz some targets, all if none is named, each in a process of its own; 1 if one broke."""
    calls = [[sys.executable, __file__, "--one", name, seconds] for name in names or TARGETS]
    codes = [subprocess.run(call, check=False).returncode for call in calls]  # noqa: S603 - calls of ours
    return int(any(codes))


if __name__ == "__main__":
    if ONE:
        _fuzz(*sys.argv[2:])
    else:
        sys.exit(main(*sys.argv[1:]))
