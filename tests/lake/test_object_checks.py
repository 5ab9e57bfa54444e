"""What the doctor says of the content of one object: where each of its limits lies, and what it tells of it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lake_events import DAY, T0

from ocsflake.lake._key_checks import Place
from ocsflake.lake._object_checks import check_object

if TYPE_CHECKING:
    from ocsflake.lake._checks import Problem
    from ocsflake.lake._object_checks import Facts

ACCOUNT = "123456789012"


def look(
    table: pa.Table, *, day: str = "20240101", account: str = ACCOUNT, **options: Any
) -> tuple[Facts, list[Problem]]:
    sink = io.BytesIO()
    pq.write_table(table, sink, **{"compression": "zstd", "store_schema": False} | options)
    facts, problems = check_object(io.BytesIO(sink.getvalue()), Place("ext/a/", "us-east-1", account, day))
    assert facts is not None
    return facts, [problem for problem in problems if problem.check not in {"ocsf", "ocsf-advice"}]


def told(*columns: Any, **options: Any) -> list[tuple[str, str, str]]:
    """Return what is said of an object of one event, beside what OCSF says."""
    table = pa.table({"time": [T0], "class_uid": [6003]} | dict(columns))
    return [(each.check, each.text, each.subject) for each in look(table, **options)[1]]


@pytest.mark.parametrize(
    ("time", "day", "problem"),
    [
        (-1, "19691231", ("time", "time has -1, before 1970", "range")),
        (0, "19700101", None),
        (1, "19700101", ("time-unit", "time has 1, which looks like seconds", "")),
        (99_999_999_999, "19730303", ("time-unit", "time has 99999999999, which looks like seconds", "")),
        (100_000_000_000, "19730303", None),
        (99_999_999_999_999, "51381116", None),
        (10**14, "51381116", ("time-unit", f"time has {10**14}, which looks like micro- or nanoseconds", "")),
    ],
)
def test_the_unit_of_time(time: int, day: str, problem: tuple[str, str, str] | None) -> None:
    assert told(("time", [time]), day=day) == ([problem] if problem else [])


@pytest.mark.parametrize(
    ("time", "unit"),
    [
        (99_999_999, ""),
        (100_000_000, "seconds"),
        (99_999_999_999, "seconds"),
        (100_000_000_000, ""),
        (99_999_999_999_999, ""),
        (10**14, "micro- or nanoseconds"),
    ],
)
def test_the_unit_of_other_times(time: int, unit: str) -> None:
    """The largest of a column tells; each column is told of for itself, one of a list by its path."""
    columns = {"start_time": [time], "items": [[{"seen_time": None}, {"seen_time": time}, {"seen_time": 5}]]}
    names = ("start_time", "items[].seen_time") if unit else ()

    assert told(*columns.items()) == [
        ("time-unit", f"{name} has {time}, which looks like {unit}", name) for name in names
    ]


@pytest.mark.parametrize("values", [pa.array([None], pa.int64()), pa.array(["200000000"]), pa.array([2e8])])
def test_times_that_are_none_or_no_integers(values: pa.Array) -> None:
    assert told(("start_time", values)) == []


@pytest.mark.parametrize("day", ["", "2024", "2024-1-1"])
def test_a_day_that_is_none_is_not_compared(day: str) -> None:
    """The check of the key says what is wrong with it."""
    assert told(day=day) == []


def test_events_of_one_of_several_batches() -> None:
    """Times, classes and what is missing are gathered from all of a large object."""
    rows = 70_000
    times = pa.array([None, *[T0] * (rows - 3), T0 + DAY, None], pa.int64())
    table = pa.table({"time": times, "class_uid": pa.array([6003] * (rows - 2) + [None, 3002], pa.int32())})

    facts, problems = look(table)

    assert (facts.rows, facts.classes) == (rows, {6003, 3002})
    assert [(each.check, each.text, each.subject) for each in problems] == [
        ("time", "2 events have no time", "null"),
        ("one-class", "there are events of the classes 3002, 6003", "mixed"),
        ("event-day", "eventDay=20240101 holds events of 20240101, 20240102", ""),
    ]


def test_no_event_has_a_time() -> None:
    """In the first of two batches, and in none."""
    late = pa.array([None] * 65_536 + [T0], pa.int64())
    table = pa.table({"time": late, "class_uid": pa.array([6003] * len(late), pa.int32())})

    assert [each.text for each in look(table)[1]] == ["65,536 events have no time"]
    assert told(("time", pa.array([None], pa.int64()))) == [("time", "1 events have no time", "null")]


@pytest.mark.parametrize(
    ("version", "wrong"),
    [
        ("1.0.0-rc.2", True),
        ("1.0.0", False),
        ("1.1.0-dev", False),
        ("1.3.9", False),
        ("1.4.0", True),
        ("2.0.0", True),
        ("0.99.0", True),
        ("one", False),
        (None, False),
        ("", False),
    ],
)
def test_versions(version: str | None, wrong: bool) -> None:
    metadata = pa.array([{"version": version}], pa.struct({"version": pa.string()}))
    expected = [("ocsf-version", f"metadata.version is {version}", version)] if wrong else []

    assert told(("metadata", metadata)) == expected


def test_classes_that_are_advised_against() -> None:
    """By the version of OCSF that events are of: 2001 was no old class in 1.0."""
    for version, problems in {
        "1.0.0": [],
        "1.1.0": [("old-class", "class_uid is 2001, security_finding, which OCSF 1.1.0 advises against", "1.1.0 2001")],
    }.items():
        assert told(("class_uid", [2001]), ("metadata", [{"version": version}])) == problems


def test_the_first_thousand_events_are_judged() -> None:
    """By their versions, and what tells them from others; the rest is not read."""
    texts = ["1.1.0"] * 999 + ["9.1.0", "9.2.0"]
    metadata = [{"version": text, "uid": str(number)} for number, text in enumerate(texts)]
    table = pa.table({"time": [T0] * 1001, "class_uid": [6003] * 1001, "metadata": metadata})

    facts, problems = look(table)

    assert len(facts.ids) == 1000
    assert [each.text for each in problems] == ["metadata.version is 9.1.0"]


def test_what_tells_events_from_others() -> None:
    """Their ids and times, of those that have both."""
    uids, times = ["a", "a", "b", None, "c"], pa.array([T0, T0 + 1, T0, T0, None], pa.int64())
    table = pa.table({"time": times, "class_uid": [6003] * 5, "metadata": [{"uid": uid} for uid in uids]})

    assert len(look(table)[0].ids) == 3
    assert look(table)[0].ids == look(table.take([2, 1, 0]))[0].ids
    assert look(table.drop_columns(["metadata"]))[0].ids == frozenset()
    assert look(table.drop_columns(["time"]))[0].ids == frozenset()


def account_of(uid: Any, provider: Any = None) -> tuple[str, Any]:
    fields = {"account": pa.StructArray.from_arrays([uid], ["uid"])} | ({"provider": provider} if provider else {})
    return "cloud", pa.StructArray.from_arrays(list(fields.values()), list(fields))


@pytest.mark.parametrize(
    ("account", "uid", "provider", "problem"),
    [
        (ACCOUNT, ACCOUNT, "AWS", None),
        (ACCOUNT, None, "AWS", None),
        ("", "210987654321", "AWS", None),
        ("external", "210987654321", "AWS", None),
        (ACCOUNT, "210987654321", "AWS", ("account", f"accountId={ACCOUNT} holds events of 210987654321", "events")),
        (ACCOUNT, "acme", "GCP", ("account", f"accountId={ACCOUNT} holds events of external_acme", "events")),
        ("acme", "acme", "GCP", None),
        ("external_acme", "acme", "GCP", None),
        ("external_a", "b", "GCP", ("account-form", "accountId=external_a holds events of external_b", "events")),
    ],
)
def test_accounts(account: str, uid: str | None, provider: str, problem: tuple[str, str, str] | None) -> None:
    cloud = account_of(pa.array([uid], pa.string()), pa.array([provider]))

    assert told(cloud, account=account) == ([problem] if problem else [])


@pytest.mark.parametrize(
    "uid",
    [
        pa.array(["210987654321"], pa.large_string()),
        pa.array(["210987654321"]).dictionary_encode(),
        pa.array(["210987654321"]),
    ],
    ids=lambda uid: str(uid.type)[:12],
)
def test_accounts_however_text_is_kept(uid: pa.Array) -> None:
    """Also without a provider; twelve digits are an account of AWS then, too, if they are so for the layout."""
    [(check, text, _)] = told(account_of(uid, pa.array(["AWS"])), store_schema=True)

    assert (check, text.rpartition(" ")[2]) == ("account", "210987654321")
    assert len(told(account_of(uid), store_schema=True)) == 1


@pytest.mark.parametrize(
    "cloud", [("cloud", ["text"]), account_of(pa.array([12])), ("cloud", [{"account": "text"}]), ("cloud", [{"x": 1}])]
)
def test_accounts_that_are_no_text(cloud: tuple[str, Any]) -> None:
    assert told(cloud) == []


@pytest.mark.parametrize("columns", [1000, 1001])
def test_how_many_columns_are_many(columns: int) -> None:
    wide = {f"c{number}": [1] for number in range(columns - 2)}

    assert [check for check, _, _ in told(*wide.items())] == ["wide"] * (columns > 1000)


@pytest.mark.parametrize(
    ("name", "kinds", "wrong", "wanted"),
    [
        *((name, ("int32", "int64"), "int16", "int32") for name in ("category_uid", "activity_id", "severity_id")),
        ("class_uid", ("int32", "int64"), "int16", "int32"),
        ("type_uid", ("int32", "int64"), "double", "int64"),
    ],
)
def test_types_of_columns(name: str, kinds: tuple[str, ...], wrong: str, wanted: str) -> None:
    for kind in kinds:
        assert told((name, pa.array([1], pa.type_for_alias(kind)))) == []
    [problem] = told((name, pa.array([1], pa.type_for_alias(wrong))))
    assert problem == ("column-type", f"{name} is {wrong}, and is to be {wanted}", name)


def test_a_column_without_a_type_is_said_to_be_so_alone() -> None:
    [(check, _, subject)] = told(("type_uid", pa.nulls(1)))

    assert (check, subject) == ("null-column", "type_uid")


def test_each_defect_of_a_column_has_its_name() -> None:
    """By which the doctor tells each column once."""
    columns = {"unmapped": pa.array([{"a": {"b": None}}], pa.struct({"a": pa.struct({"b": pa.null()})}))}

    assert [(check, subject) for check, _, subject in told(*columns.items())] == [
        ("null-column", "unmapped.a.b"),
        ("loose-object", "unmapped"),
    ]
    assert told(("unmapped", pa.array([[("a", "b")]], pa.map_(pa.string(), pa.string())))) == []


def test_what_an_object_is_like() -> None:
    """Columns with their types, however lists and texts are kept."""
    table = pa.table({
        "time": [T0, T0],
        "class_uid": [6003, 6003],
        "texts": pa.array([["a"], []], pa.large_list(pa.large_string())),
        "things": [[{"name": "a", "of": [[1]]}], None],
        "status": pa.array(["a", "b"]).dictionary_encode(),
    })  # fmt: skip

    facts, _ = look(table, store_schema=True, row_group_size=1, compression={"time": "gzip", "class_uid": "zstd"})

    assert (facts.rows, facts.codecs, facts.classes) == (2, {"GZIP", "ZSTD", "UNCOMPRESSED"}, {6003})
    assert facts.leaves == {
        "time": "int64",
        "class_uid": "int64",
        "texts[]": "string",
        "things[].name": "string",
        "things[].of[][]": "int64",
        "status": "string",
    }


def test_the_largest_page_of_a_column_is_told() -> None:
    """A page of a megabyte is none that is too large."""
    parts = [["a" * (2**20 - 4)], ["b" * (2**21 - 4)], ["c" * (2**20 - 3)]]
    for texts, size in zip([parts[0], parts[0] + parts[1] + parts[2], parts[2]], [None, "2.10", "1.05"], strict=True):
        table = pa.table({"time": [T0] * len(texts), "class_uid": [6003] * len(texts), "message": pa.array(texts)})
        schema = pa.schema([pa.field(each.name, each.type, nullable=False) for each in table.schema])
        _, problems = look(table.cast(schema), use_dictionary=False, row_group_size=1, write_statistics=False)

        wanted = [("page-size", f"message has a page of {size} MB", "message")] if size else []
        assert [(each.check, each.text, each.subject) for each in problems] == wanted


@pytest.mark.parametrize("content", [b"", b"no Parquet\nat all"])
def test_what_is_no_parquet(content: bytes) -> None:
    facts, [problem] = check_object(io.BytesIO(content), Place("", "", "", ""))

    assert (facts, problem.check, "\n" in problem.text) == (None, "parquet", False)
    assert problem.text.startswith("it is no Parquet that can be read: ")
    assert len(problem.text) > 50
