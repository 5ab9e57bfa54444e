"""What the tests of the command line share: calling it, and records to give it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ocsflake.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pytest

COMMAND = [sys.executable, "-m", "ocsflake"]

RECORD: dict[str, Any] = {
    "eventVersion": "1.11",
    "userIdentity": {
        "type": "IAMUser",
        "principalId": "AIDAEXAMPLE",
        "arn": "arn:aws:iam::123456789012:user/alice",
        "accountId": "123456789012",
        "userName": "alice",
    },
    "eventTime": "2026-11-01T06:00:00Z",
    "eventSource": "s3.amazonaws.com",
    "eventName": "GetObject",
    "awsRegion": "eu-central-1",
    "sourceIPAddress": "198.51.100.7",
    "userAgent": "aws-cli/2.22",
    "requestID": "R1",
    "eventID": "E1",
    "eventType": "AwsApiCall",
    "recipientAccountId": "123456789012",
    "readOnly": True,
}
"""One CloudTrail record."""


@frozen
class Done:
    """What a call did."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[Any]:
        """The JSON lines on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def last(self) -> str:
        """The last line on stderr."""
        return self.err.splitlines()[-1]


def call(capture: pytest.CaptureFixture[str], *arguments: object) -> Done:
    """Call the command in this process."""
    capture.readouterr()
    code = main([str(argument) for argument in arguments])
    out, err = capture.readouterr()
    return Done(code, out, err)


def process(*arguments: object, stdin: bytes = b"", command: Sequence[str] = COMMAND) -> Done:
    """Call the command as a process of its own."""
    done = subprocess.run([*command, *map(os.fspath, arguments)], input=stdin, capture_output=True)
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def line(**changes: Any) -> bytes:
    """Return a CloudTrail record as a line of JSON."""
    return json.dumps(RECORD | changes).encode() + b"\n"


def lines(count: int, **changes: Any) -> bytes:
    """Return so many records that differ in their ids."""
    return b"".join(line(eventID=f"E{number}", **changes) for number in range(count))


def without(text: str, parts: Iterable[str]) -> list[str]:
    """Return the parts that a text does not hold."""
    return [part for part in parts if part not in text]
