"""Text of others steers no terminal: not in reports, findings, errors and messages, and not as data at a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ocsflake
from ocsflake.drift import Drift
from ocsflake.errors import ConfigError, LakeError, OcsflakeError, SourceError
from ocsflake.lake import Lake
from ocsflake.lake.doctor import Diagnosis, Finding
from ocsflake.lake.replicate import Replicated
from ocsflake.lake.usage import Amount, Usage
from ocsflake.ocsf.report import Finding as Broken
from ocsflake.report import Counts, Failure, RunReport, SourceReport
from ocsflake.steering import clean, clean_line
from pipeline_logs import Parts, record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Colours, a title, a link, a bell, a return, the C1 form of an escape, and what turns or hides text.
STEERING = ["\x1b[31m", "\x1b]0;x\x07", "\x1b]8;;http://a\x1b\\", "\a", "\r", "\x9b31m", "\x7f", "\b", "\x00", "\x85"]
STEERING += ["\u202e", "\u2066", "\u200f", "\u061c", "\u200b", "\u2028", "\ufeff", "\x1bc", "\x1bP", "\ud800"]
HOSTILE = "".join(f"{number}{text}" for number, text in enumerate(STEERING))


@pytest.mark.parametrize("text", [*STEERING, HOSTILE])
def test_clean(text: str) -> None:
    """Nothing of it is left that is not printable, what it was can be read, and other text stays as it is."""
    assert clean(text).isprintable()
    assert clean_line(text) == clean(text) == clean(clean(text))
    assert clean(f"{text}x\x1b[31m\u202e").endswith("x\\x1b[31m\\u202e")
    assert clean("a\tb\nä \U0001f600") == "a\tb\nä \U0001f600"
    assert clean_line("a\tb\nä") == "a\\tb\\nä"


def texts() -> Iterator[str]:
    """Yield what values say whose names and texts others chose."""
    drift = Drift(1, {HOSTILE: 1}, {HOSTILE: "a"}, {(HOSTILE, "text"): 1}, {("a", HOSTILE): 1})
    reasons, failures = {(HOSTILE, HOSTILE): 1}, (Failure(HOSTILE, HOSTILE),)
    source = SourceReport(HOSTILE, HOSTILE, Counts(records=1), 1, reasons, drift, failures)
    finding = Finding(1, "key", "error", HOSTILE, HOSTILE, "mend it")
    values = [RunReport([source, source], []), drift, finding, Diagnosis((finding,)), Replicated(1, 1, 1, (HOSTILE,))]
    values += [Usage({(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE): Amount(1, 1, 1)})]
    values += [Broken(HOSTILE, "error", "rule", pa.array([1]), HOSTILE), source, *failures]
    values += [kind(HOSTILE) for kind in (OcsflakeError, ConfigError, LakeError, SourceError)]
    for value in values:
        yield from (str(value), repr(value))


def test_values() -> None:
    """Neither the text nor the representation of a value holds what would steer."""
    for text in texts():
        assert all(line.isprintable() for line in text.split("\n")), text


def test_lines_cannot_be_forged() -> None:
    """A newline in a name begins no line of a report."""
    source = SourceReport("a\nb", "c", failures=(Failure("s", "d\ne"),))

    assert str(RunReport([source], [])).count("\n") == 3
    assert "\n" not in str(Finding(1, "key", "error", "a\nb", "c", "d"))


def test_a_run(tmp_path: Path) -> None:
    """What a run tells of a source, its records and its failures is clean, whatever they are called."""
    bad = record(1) | {HOSTILE.removesuffix("\ud800"): 1, "eventTime": "\x1b[31m"}
    parts = Parts({"a": [record(0), bad]}, name="\x1b[31m\u202e")

    report = ocsflake.run(parts, Lake(tmp_path / "lake"), rejects=tmp_path / "rejects")

    assert (report.counts.written, report.counts.rejects) == (1, 1)
    assert all(line.isprintable() for line in str(report).split("\n"))


def test_data_at_a_terminal(tmp_path: Path) -> None:
    """Lines of data go to a pipe as they are; at a terminal what would steer it is made visible."""
    folder = tmp_path / "ext/a_6003/region=us-east-1/accountId=external/eventDay=20240101"
    folder.mkdir(parents=True)
    value = HOSTILE.removesuffix("\ud800")
    pq.write_table(pa.table({"time": [1], "x": [value]}), folder / "1.parquet")
    query = [sys.executable, "-m", "ocsflake", "query", "SELECT x FROM a_6003", "--lake", str(tmp_path), "--json"]

    piped = subprocess.run(query, capture_output=True, check=True).stdout
    master, slave = pty.openpty()
    with subprocess.Popen(query, stdout=slave, stderr=slave, stdin=slave) as running:
        os.close(slave)
        shown = b""
        while part := _read(master):
            shown += part
    os.close(master)

    assert json.loads(piped) == {"x": value}
    assert running.returncode == 0
    assert shown.decode().strip().isprintable()
    assert "\\x9b31m" in shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the last one who had it open is gone
        return b""
