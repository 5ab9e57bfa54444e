"""The named queries: their exact answers on the samples, and what they read."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import ocsflake
from ocsflake import queries, samples
from ocsflake.errors import ConfigError, LakeError
from ocsflake.lake import Lake

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LAST = date(2026, 11, 17)
EVERY: list[Callable[..., queries.Query]] = [getattr(queries, name) for name in queries.__all__ if name != "Query"]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return a lake of all samples."""
    root = tmp_path_factory.mktemp("lake")
    lake = Lake(root / "lake")
    sources = [
        ocsflake.source("files", log_type=log_type, uri=str(samples.files(log_type)[0].parent))
        for log_type in samples.log_types()
    ]
    ocsflake.run(sources, lake, rejects=root / "rejects")
    return lake


def answer(lake: Lake, query: queries.Query, *columns: str) -> list[list[object]]:
    """Return some columns of the rows."""
    return [[row[name] for name in columns] for row in lake.query(query).to_pylist()]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_duplicate_findings(lake: Lake) -> None:
    """Only ids that came twice or more, with the latest state, and from all that sent them."""
    rows = answer(lake, queries.duplicate_findings(until=LAST), "uid", "findings", "severity", "status", "sources")
    finding = "arn:aws:inspector2:us-east-1:111122223333:finding/0000000000000000000000000000a00"
    hub = (
        "arn:aws:securityhub:us-east-1:111122223333:security-control/S3.8/finding/0a1b2c3d-0000-4000-8000-000000000001"
    )

    assert len(rows) == len({row[0] for row in rows}) == 43
    assert rows[0] == [f"{finding}1", 7, "High", "New", ["aws_inspector_2002", "aws_securityhub_2002"]]
    assert [hub, 4, "Informational", "Resolved", ["aws_securityhub_2003"]] in rows
    assert min(row[1] for row in rows) == 2


def test_duplicate_findings_keep_the_first_day(lake: Lake) -> None:
    """Both the first and the last day are whole."""
    both = answer(lake, queries.duplicate_findings(days=1, until=LAST), "uid")
    last = answer(lake, queries.duplicate_findings(days=0, until=LAST), "uid")
    first = answer(lake, queries.duplicate_findings(days=7, until=date(2026, 11, 23)), "uid", "first_time")

    assert len(both) == 43
    assert 0 < len(last) < 43
    assert {uid for [uid] in both} > {uid for [uid] in last}
    assert min(row[1] for row in first) >= at("2026-11-16")  # type: ignore[type-var]
    assert {uid for [uid] in both} <= {row[0] for row in first}


def test_failed_sign_ins(lake: Lake) -> None:
    """One address tried in every cloud."""
    rows = lake.query(queries.failed_sign_ins(until=LAST)).to_pylist()

    assert [(row["address"], row["failures"], row["clouds"]) for row in rows] == [
        ("198.51.100.77", 25, ["AWS", "Azure", "GCP", "Microsoft 365"]),
        ("192.0.2.44", 2, ["Azure", "Microsoft 365"]),
        ("203.0.113.10", 1, ["AWS"]),
    ]
    assert {"bob", "bob@example.com", "root"} <= set(rows[0]["users"])
    assert (rows[0]["first_time"], rows[2]["accounts"]) == (at("2026-11-16T08:04:40"), ["444455556666"])


def test_privilege_changes(lake: Lake) -> None:
    """Policies, roles, group members and bindings, whoever gave them."""
    rows = answer(lake, queries.privilege_changes(until=LAST), "cloud", "who", "change", "whom", "what", "source")
    distinct = {tuple(row) for row in rows}

    assert len(rows) == 30
    assert {
        ("AWS", "alice", "Attach Policy", "erin", "AddUserToGroup", "aws_cloudtrail_3001"),
        ("Azure", "dave@example.com", "Remove User", "erin@example.com", "Finance", "azure_audit_3006"),
        ("GCP", "alice@example.com", "Update", None, "SetIamPolicy", "gcp_audit_6003"),
        ("Microsoft 365", "dave@example.com", "Add User", "erin@example.com", "Finance", "m365_audit_3006"),
    } <= distinct
    assert ("AWS", "alice", "Create", "erin", "CreateUser", "aws_cloudtrail_3001") not in distinct


def test_rejects_by_port(lake: Lake) -> None:
    """SSH first, in all clouds, from one address."""
    rows = answer(
        lake,
        queries.rejects_by_port(until=LAST),
        *("port", "protocol_num", "rejects", "from_addresses", "to_addresses", "clouds"),
    )

    assert rows[:3] == [
        [22, 6, 15, 1, 3, ["AWS", "Azure", "GCP"]],
        [161, 17, 12, 3, 1, ["Azure"]],
        [3389, 6, 11, 1, 3, ["AWS", "Azure", "GCP"]],
    ]
    assert len(rows) == 17


def test_top_talkers(lake: Lake) -> None:
    """As many pairs as asked for, most bytes first; numbers are whole however large."""
    rows = answer(lake, queries.top_talkers(until=LAST, limit=2), "from_address", "to_address", "bytes", "flows")

    assert rows == [
        ["10.40.1.7", "203.0.113.66", 19_753_086_420_246, 2],
        ["10.20.1.107", "203.0.113.66", 9_876_546_330, 2],
    ]


def test_first_seen_identities(lake: Lake) -> None:
    """Who did something on the last day and nothing on the one before."""
    every = answer(lake, queries.first_seen_identities(days=7, until=LAST), "cloud", "identity", "first_time")
    new = answer(lake, queries.first_seen_identities(days=0, until=LAST), "cloud", "identity", "first_time")
    blind = answer(lake, queries.first_seen_identities(days=0, known_days=0, until=LAST), "cloud", "identity")

    assert len(every) == 77
    assert ["AWS", "arn:aws:iam::111122223333:user/alice", at("2026-11-16T08:02:11")] in every
    assert {tuple(row[:2]) for row in new} == {tuple(row[:2]) for row in every if row[2] >= at("2026-11-17")}  # type: ignore[operator]
    assert 0 < len(new) < len(blind) < len(every)


@pytest.mark.parametrize("make", EVERY, ids=lambda make: make.__name__)
def test_they_end_today(make: Callable[..., queries.Query]) -> None:
    """Without a last day, the days end with today, in UTC; values are bound, and no part of the text."""
    query, other = make(days=3), make(days=4, until=LAST)
    today = datetime.now(UTC).date()

    assert query.parameters["last_day"] in {f"{today:%Y%m%d}", f"{today + timedelta(days=1):%Y%m%d}"}
    assert other.parameters["first_day"] == "20261113"
    assert query.sql == other.sql
    assert query.name == make.__name__
    assert all(f"${name}" in query.sql for name in query.parameters)


@pytest.mark.parametrize("make", EVERY, ids=lambda make: make.__name__)
def test_their_keys_tell_rows_apart(lake: Lake, make: Callable[..., queries.Query]) -> None:
    """No two different rows have the same key."""
    query = make(until=LAST)
    rows = lake.query(query).to_pylist()

    assert len({tuple(row[name] for name in query.key) for row in rows}) == len({str(row) for row in rows})


@pytest.mark.parametrize("make", EVERY, ids=lambda make: make.__name__)
def test_other_days_are_not_opened(make: Callable[..., queries.Query], lake: Lake, tmp_path: Path) -> None:
    """Objects of days that are not asked about may be broken; the same question over those days fails."""
    for path in lake.root.rglob("*.parquet"):  # type: ignore[union-attr]
        copy = tmp_path / path.relative_to(lake.root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(b"broken" if "eventDay=20261116" in str(path) else path.read_bytes())
    some = {"known_days": 0} if make is queries.first_seen_identities else {}

    found = Lake(tmp_path).query(make(days=0, until=LAST, **some))

    assert found.equals(lake.query(make(days=0, until=LAST, **some)))
    with pytest.raises(LakeError):
        Lake(tmp_path).query(make(days=1, until=LAST, **some))


def test_classes_that_a_lake_lacks_are_empty(tmp_path: Path) -> None:
    """One class of those that a question is about is enough; without any it is told which."""
    lake = Lake(tmp_path / "lake")
    folder = samples.files("azure.audit")[0].parent
    ocsflake.run(ocsflake.source("files", log_type="azure.audit", uri=str(folder)), lake, rejects=tmp_path / "rejects")

    assert lake.query(queries.privilege_changes(until=LAST)).num_rows == 6
    with pytest.raises(LakeError, match=r"top_talkers reads events of network_activity, and this lake has none; it h"):
        lake.query(queries.top_talkers(until=LAST))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: queries.duplicate_findings(days=-1), "days -1: give 0 or more"),
        (lambda: queries.first_seen_identities(known_days=-2), "known_days -2"),
        (lambda: queries.top_talkers(limit=0), "limit 0: give 1 or more"),
    ],
)
def test_wrong_numbers(call: Callable[[], object], message: str) -> None:
    """They are told when the query is made."""
    with pytest.raises(ConfigError, match=message):
        call()
