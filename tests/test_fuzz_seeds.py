"""What fuzzing starts from and what it found: every kept input, and any other bytes, through everything that reads."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

FUZZ = Path(__file__).parents[1] / "fuzz"
_spec = importlib.util.spec_from_file_location("fuzz_harness", FUZZ / "harness.py")
assert _spec is not None
assert _spec.loader is not None
harness = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(harness)

SEEDS = sorted((FUZZ / "seeds").iterdir())
PIECES = [b"{", b"}", b"[", b"]", b'"', b"\\", b"\n", b",", b":", b"null", b"NaN", b"1e999", b"\xff", b"\0", b" ", b"-"]
PIECES += [b'{"Records":[', b'"eventTime":"2026-01-01T00:00:00Z"', b"\x1f\x8b", b"PAR1", b"\x28\xb5\x2f\xfd", b"BZh9"]
PIECES += [b'{"message":{"data":"', b'"logEvents":[', rb"\ud800", b"#Fields: ", b'"password":"', b"2 111122223333 eni "]


@pytest.mark.parametrize("seed", SEEDS, ids=lambda path: path.name)
def test_seed(seed: Path) -> None:
    """A kept input breaks nothing."""
    harness.TARGETS[seed.name.partition("-")[0]](seed.read_bytes())


@pytest.mark.parametrize("name", harness.TARGETS)
@settings(deadline=None, max_examples=60)
@given(data=st.lists(st.sampled_from(PIECES) | st.binary(max_size=12), max_size=30).map(b"".join))
def test_any_bytes(name: str, data: bytes) -> None:
    """Any bytes are records, rejects or an error of ours, and the numbers balance."""
    harness.TARGETS[name](data)


MEMORY = """
import io, resource, sys, zlib
from ocsflake.errors import SourceError
from ocsflake.sources.streams import read_batches
def stream(size):
    packer = zlib.compressobj(wbits=31)
    for _ in range(size >> 20):
        yield packer.compress(bytes(1 << 20))
    yield packer.flush()
bomb = b"".join(stream(2 << 30))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    sum(len(batch.records) for batch in read_batches(io.BytesIO(bomb), "bomb", limit=32 << 20))
except SourceError as error:
    print("SourceError", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_bomb() -> None:
    """Two gigabytes of one line in two megabytes end in an error, and take little more than the limit."""
    done = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    word, megabytes = done.stdout.split()

    assert word == "SourceError"
    assert int(megabytes) < 200


LEAK = """
import io, resource
import pyarrow as pa
from ocsflake.errors import SourceError
from ocsflake.sources.streams import read_batches
cut = pa.compress(bytes(range(256)) * 8, codec="zstd", asbytes=True)[:-4]
def fails(times):
    for _ in range(times):
        try:
            list(read_batches(io.BytesIO(cut), "cut"))
        except SourceError:
            continue
        raise SystemExit("it was read")
fails(500)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
fails(4000)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_truncated_again_and_again() -> None:
    """Thousands of zstd streams that break off keep no memory, which is 4 kB at least for each one that leaks."""
    done = subprocess.run([sys.executable, "-c", LEAK], capture_output=True, text=True, check=True)

    assert int(done.stdout) < 4
