"""Both mappers keep what every mapper promises, and make of odd records what they should."""

from __future__ import annotations

from pathlib import Path

import pytest

import ocsflake
from ocsflake.model import RawBatch
from ocsflake.testing.mappers import check_mapper

HERE = Path(__file__).parent
SAMPLES = {"linux.auth": ["auth.log", "journal.jsonl"], "windows.security": ["security.jsonl"]}


@pytest.mark.parametrize("log_type", SAMPLES)
def test_sample(log_type: str, write_goldens: bool) -> None:
    """The samples become the golden events, valid in every OCSF version, and nothing of them is lost."""
    samples = [HERE / name for name in SAMPLES[log_type]]
    check_mapper(ocsflake.mapper(log_type), samples, golden=HERE / "golden" / log_type, write=write_goldens)


def events(log_type: str, records: bytes) -> list[dict]:
    mapped = ocsflake.mapper(log_type).map(RawBatch(records))
    return [event for batch in mapped.batches for event in batch.events.to_pylist()]


def test_a_line_without_a_year_is_rejected() -> None:
    """The old form of auth.log does not say when it was."""
    line = b"Nov 17 08:00:01 web-1 sshd[1]: Accepted password for alice from 198.51.100.7 port 1 ssh2\n"
    mapped = ocsflake.mapper("linux.auth").map(RawBatch(line))

    assert [row["reason"] for row in mapped.rejects.to_pylist()] == ["no line of this log type"]


def test_a_user_name_is_no_address() -> None:
    """Who signs in chooses the name, and it may look like the rest of the line: the address stays the server's."""
    line = (
        b"2026-11-17T08:01:00Z web-1 sshd[1]: Failed password for invalid user x from 192.0.2.1 port 1 "
        b"from 203.0.113.66 port 40112 ssh2\n"
    )
    [event] = events("linux.auth", line)

    assert event["src_endpoint"]["ip"] == "203.0.113.66"
    assert event["src_endpoint"]["port"] == 40112


def test_a_failed_audit_is_a_failure() -> None:
    """Windows marks it in the keywords."""
    record = (
        (HERE / "security.jsonl").read_bytes().splitlines()[0].replace(b"0x8020000000000000", b"0x8010000000000000")
    )
    [event] = events("windows.security", record)

    assert (event["activity_name"], event["status"]) == ("Logon", "Failure")
