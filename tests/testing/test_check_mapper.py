"""What is wrong with a mapper is found by checking it, and said."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ocsflake.mapping import DelimitedText, EventMap, JsonRecords, Mapper, apply, at
from ocsflake.testing.mappers import check_mapper

if TYPE_CHECKING:
    from pathlib import Path

    from ocsflake.mapping import Fields

FIELDS: Fields = {
    "time": at("when"),
    "severity_id": 1,
    "activity_id": 1,
    "message": at("what"),
    "metadata.uid": at("id"),
    "metadata.product.vendor_name": "Example",
    "metadata.product.name": "Doors",
    "user.name": at("who"),
    "cloud.provider": "Example",
    "service.name": "doors",
}
COLUMNS = ("id", "when", "who", "what")
CASES = [{"when": f"2026-11-17T08:00:0{n}Z", "what": f"door {n}", "who": "alice", "id": str(n)} for n in range(6)]


def door(fields: Fields, **options: Any) -> Mapper:
    options = {"parse": JsonRecords()} | options
    return Mapper("acme.door", source_name="acme_door", events=[EventMap("authentication", fields=fields)], **options)


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    path = tmp_path / "door.jsonl"
    path.write_text("".join(json.dumps(case) + "\n" for case in CASES))
    return path


def check(mapper: Mapper, sample: Path, **options: Any) -> None:
    check_mapper(mapper, sample, versions=["1.1.0", "1.3.0"], **options)


def test_a_good_one(sample: Path, tmp_path: Path) -> None:
    """Nothing is said of a mapper that keeps its promises; goldens are written on request, then compared."""
    golden = tmp_path / "golden"
    with pytest.raises(AssertionError, match=r"there is no .*1\.1\.0\.jsonl; write it first"):
        check(door(FIELDS), sample, golden=golden)

    check(door(FIELDS), sample, golden=golden, write=True)

    assert sorted(path.name for path in golden.iterdir()) == ["1.1.0.jsonl", "1.3.0.jsonl"]
    check(door(FIELDS), [sample], golden=golden)
    with pytest.raises(AssertionError, match=r"events differ from .*1\.1\.0\.jsonl \(first as made, then as golden\)"):
        check(door(FIELDS | {"severity_id": 2}), sample, golden=golden)


def test_a_good_one_of_text(tmp_path: Path) -> None:
    """Text whose first line names the columns is cut and looked through as well."""
    path = tmp_path / "door.log"
    path.write_text("id when who what\n" + "".join(f"{c['id']} {c['when']} bob in\n" for c in CASES))

    check(door(FIELDS, parse=DelimitedText(COLUMNS, frozenset(COLUMNS))), path)


LUCK = itertools.count()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"time": at("what")}, "records that are rejected"),
        ({"message": "fixed"}, r"raw paths that the mapper does not know;.*\n  what"),
        (
            {"message": apply(lambda column: pa.array([str(next(LUCK))] * len(column)), at("what"))},
            "mapped again gives other bytes",
        ),
        (
            {"message": apply(lambda column: pc.binary_join_element_wise(column, str(len(column)), ""), at("what"))},
            "cut in two gives other events",
        ),
        (
            {"message": apply(lambda column: pa.array(["gone"] * len(column)), at("what"))},
            r"values of a record are lost in OCSF 1\.1\.0\n  .*'door 0'",
        ),
    ],
)
def test_a_bad_one(sample: Path, changes: Fields, message: str) -> None:
    """Each promise that is broken is told apart."""
    with pytest.raises(AssertionError, match=f"acme.door: .*{message}"):
        check(door(FIELDS | changes), sample)
