"""Isolation: an object holds one account's bytes alone, and a run leaves nothing but lake, rejects and checkpoints."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

import ocsflake
from pipeline_logs import Parts, bad, record, save

sys.path.append(str(Path(__file__).parent / "lake"))
from parquet_pages import pages

ACCOUNTS = {"111122223333": b"alpha-marker", "444455556666": b"bravo-marker", "777788889999": b"charlie-marker"}


def marked(number: int, account: str) -> dict[str, object]:
    """A record whose every text says whose it is; it comes between those of the others."""
    word = ACCOUNTS[account].decode()
    identity = {"type": "IAMUser", "arn": f"arn:{word}", "userName": word, "accountId": account, "new": word}
    texts = dict.fromkeys(("eventID", "requestID", "eventSource", "userAgent", "errorMessage"), f"{word}-{number}")
    parameters = {"bucketName": word, "key": [word, {"x": word}]}
    return record(
        number,
        recipientAccountId=account,
        userIdentity=identity,
        requestParameters=parameters,
        responseElements={"x": word},
        awsRegion=word,
        sourceIPAddress=f"{word}.example.com",
        resources=[{"ARN": f"arn:{word}", "accountId": account, "type": word}],
        somethingNew={word: word},
        **texts,
    )


def test_no_bytes_of_another_account(tmp_path: Path) -> None:
    """Neither pages nor dictionaries, statistics, schema or metadata of an object know of another account."""
    order = [(number, account) for number in range(40) for account in ACCOUNTS]
    save(tmp_path / "logs" / "a.json.gz", [marked(*pair) for pair in order])
    source = ocsflake.source("files", log_type="aws.cloudtrail", uri=str(tmp_path / "logs"))

    assert ocsflake.run(source, ocsflake.Lake(tmp_path / "lake")).counts.written == len(order)
    found = list((tmp_path / "lake").rglob("*.parquet"))
    assert len(found) >= 2 * len(ACCOUNTS)
    for path in found:
        whose = next(account for account in ACCOUNTS if f"accountId={account}/" in str(path))
        content = path.read_bytes() + b"".join(page.body for page in pages(path))
        assert ACCOUNTS[whose] in content
        others = [
            word for account, marker in ACCOUNTS.items() if account != whose for word in (marker, account.encode())
        ]
        assert [word for word in others if word in content] == []


HOSTILE = [
    "../../../../etc",
    "..",
    ".",
    "",
    "a_b",
    "a=b",
    "a b",
    "a%2Fb",
    "a/b",
    "a\nb",
    "a\0b",
    "x" * 10_000,
    "x" * 250,
]
HOSTILE += [
    "\u202ea",
    "\x1b[31m",
    "external",
    "external_a_b",
    " 111122223333",
    "a_h0123456789abcdef",
    "\ud800",
    "\uff11" * 12,
]
HOSTILE += ["<script>alert(1)</script>", "'; DROP TABLE x; --", "=cmd|' /C calc'!A0", "111122223333", "444455556666"]


def test_hostile_accounts(tmp_path: Path) -> None:
    """Whatever an account or a Region is called, nothing is outside, and no two accounts share a partition."""
    records = [
        record(number, recipientAccountId=text, awsRegion=text, eventName="GetObject")
        for number, text in enumerate(HOSTILE)
    ]
    source = Parts({"<script>": records}, name="<script>\x1b[31m")
    lake = ocsflake.Lake(tmp_path / "lake")

    report = ocsflake.run(source, lake, rejects=tmp_path / "rejects")

    assert report.counts.records == report.counts.written + report.counts.rejects == len(HOSTILE)
    files = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()]
    key = r"lake/ext/aws_cloudtrail_6003/region=[a-z0-9-]+/accountId=[A-Za-z0-9_.-]{1,64}/eventDay=2026030[12]/[^/]+"
    ours = rf"{key}|lake/\.ocsflake/checkpoints\.db|rejects/aws\.cloudtrail/[0-9a-f]+\.jsonl"
    assert [name for name in files if not re.fullmatch(ours, name)] == []
    rows = lake.query("SELECT accountid, cloud.account.uid AS uid FROM aws_cloudtrail_6003").to_pylist()
    assert {"a_b", "a=b", "a b", "111122223333"} <= {row["uid"] for row in rows}
    assert len({row["accountid"] for row in rows}) == len({row["uid"] for row in rows}) == len(rows)
    assert not [finding for finding in lake.doctor().findings if finding.level == "error"]
    for shown in (report._repr_html_(), ocsflake.read(source)._repr_html_()):
        assert "<script" not in shown


def tree(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*")}


def command(home: Path) -> tuple[list[str], dict[str, str]]:
    """A run with a home, temporary folder and working directory of its own."""
    for name in ("home", "tmp", "cwd"):
        (home / name).mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "HOME": str(home / "home"),
        "TMPDIR": str(home / "tmp"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment.pop("COVERAGE_PROCESS_START", None)
    options = ["--log-type", "aws.cloudtrail", "--option", f"uri={home / 'logs'}", "--lake", str(home / "lake")]
    return [sys.executable, "-m", "ocsflake", "run", "files", *options], environment


def test_nothing_is_left_elsewhere(tmp_path: Path) -> None:
    """Home, temporary folder and working directory stay empty; rejects and checkpoints are their owner's alone."""
    save(tmp_path / "logs" / "a.json.gz", [*map(record, range(50)), bad(1)])
    call, environment = command(tmp_path)
    before = os.umask(0)
    try:
        subprocess.run(call, env=environment, cwd=tmp_path / "cwd", check=True, capture_output=True)
    finally:
        os.umask(before)

    assert {name.split("/")[0] for name in tree(tmp_path)} == {"home", "tmp", "cwd", "logs", "lake"}
    assert [tree(tmp_path / name) for name in ("home", "tmp", "cwd")] == [{}, {}, {}]
    kept = {name: mode for name, mode in tree(tmp_path / "lake").items() if name.startswith(".ocsflake/")}
    assert any("rejects" in name for name in kept)
    assert [name for name, mode in kept.items() if name.endswith((".jsonl", ".db")) and mode & 0o077] == []


@pytest.mark.slow
def test_after_a_kill(tmp_path: Path) -> None:
    """A run that is killed leaves files that its owner alone can read, and the next run removes them."""
    for number in range(30):
        save(tmp_path / "logs" / f"{number}.json.gz", map(record, range(3000 * number, 3000 * (number + 1))))
    call, environment = command(tmp_path)
    before = os.umask(0)
    try:
        run = subprocess.Popen(call, env=environment, cwd=tmp_path / "cwd", stderr=subprocess.PIPE)
    finally:
        os.umask(before)
    while run.poll() is None and not any((tmp_path / "lake" / ".ocsflake" / "tmp").glob("*")):
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.communicate()

    scratch = tmp_path / "lake" / ".ocsflake" / "tmp"
    assert stat.S_IMODE(scratch.stat().st_mode) == 0o700
    abandoned = list(scratch.iterdir())
    for path in [inner for folder in abandoned for inner in (*folder.rglob("*"), folder)]:
        os.utime(path, (0, 0))  # a day later: until then it may be another run's
    subprocess.run(call, env=environment, cwd=tmp_path / "cwd", check=True, capture_output=True)
    assert [tree(tmp_path / name) for name in ("home", "tmp", "cwd")] == [{}, {}, {}]
    assert abandoned
    assert list(scratch.iterdir()) == []
