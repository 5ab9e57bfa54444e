"""Which objects a statement is given: those of the partitions that it may read, by the names that DuckDB shows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ocsflake.lake.reading import reading
from ocsflake.lake.relations import Asked, relations
from ocsflake.lake.storage import DirectoryStorage
from ocsflake.lake.views import View, views
from ocsflake.model import CustomSource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FLOW = CustomSource("aws_vpc_flow_4001", "network_activity", "ext/aws_vpc_flow_4001/")
OTHER = CustomSource("other", "", "ext/other/")
NONE = CustomSource("none", "", "ext/none/")
S = View("s", (FLOW, OTHER, NONE))
NATIVE = {name[-8:]: view for name, view in views([FLOW], "us-east-1").items() if view.native}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a lake of two sources, of a row an object; its folders have names that a pattern would take apart."""
    root = tmp_path_factory.mktemp("lake") / "a[b]*'c"
    for key in (
        *(f"ext/aws_vpc_flow_4001/region=us-east-1/accountId=0{account}/eventDay=2026010{day}/x.parquet"
          for account in (1, 2) for day in (1, 2)),
        "ext/aws_vpc_flow_4001/region=eu-west-1/accountId=03/eventDay=20260102/x.parquet",
        "ext/other/region=us-east-1/accountId=01/eventDay=20260101/x.parquet",
        "ext/other/region=us-east-1/accountId=01/eventDay=20260101/outside/x.parquet",
    ):  # fmt: skip
        (root / key).parent.mkdir(parents=True)
        more = {"more": ["x"]} if "other" in key else {"product": [{"name": "x"}]}
        pq.write_table(pa.table({"time": [1], **more}), root / key)
    return root


@pytest.fixture(scope="module")
def connection() -> Iterator[Any]:
    with duckdb.connect(":memory:") as connection:
        yield connection


def found(connection: Any, root: Path, sql: str, view: View = S, parameters: Any = None) -> list[tuple[str, ...]]:
    """Return the partitions that a view is made of, source by source, and how many rows it has."""
    asked = Asked(connection, DirectoryStorage(root), reading(sql), parameters, [])
    shown = []
    for source, relation in relations(asked, root, view):
        places = re.findall(r"region=([a-z]+)[^/]+/accountId=0(.)/eventDay=2026010(.)/x\.parquet", relation.sql)
        [(rows,)] = connection.sql(f"SELECT count(*) FROM {relation.sql}").fetchall()
        shown.append((source.name[:1], *("".join(place) for place in places), f"{rows} rows"))
    return shown


ALL = [("a", "eu32", "us11", "us12", "us21", "us22", "5 rows"), ("o", "us11", "1 rows")]


@pytest.mark.parametrize(
    ("where", "parameters", "expected"),
    [
        ("time = 1", None, ALL),
        ("time = 0", None, ALL),
        ("eventday = '20260102'", None, [("a", "eu32", "us12", "us22", "3 rows")]),
        ("accountid = '01' AND time = 1", None, [("a", "us11", "us12", "2 rows"), ALL[1]]),
        ("region = 'eu-west-1'", None, [("a", "eu32", "1 rows")]),
        ("eventday = $day", {"day": "20260101"}, [("a", "us11", "us21", "2 rows"), ALL[1]]),
        ("eventday = $day AND time > $n", {"day": "20260102", "n": 1}, [("a", "eu32", "us12", "us22", "3 rows")]),
        ("eventday = ?", ["20260102"], ALL),
        ("eventday = $missing", {"day": "1"}, ALL),
        ("eventday = 'x' OR eventday = CAST('y' AS INTEGER)", None, ALL),
    ],
)  # fmt: skip
def test_partitions_that_meet_the_conditions(
    where: str, parameters: Any, expected: list[tuple[str, ...]], connection: Any, root: Path
) -> None:
    """As DuckDB judges them; what it cannot judge leaves nothing out, since the statement itself will tell."""
    assert found(connection, root, f"SELECT time FROM s WHERE {where}", S, parameters) == expected


def test_a_view_that_is_read_twice_has_what_either_place_reads(connection: Any, root: Path) -> None:
    one, two = "SELECT time FROM s WHERE eventday = '20260101' AND accountid = '02'", "SELECT time FROM s"

    assert found(connection, root, f"{one} UNION ALL {two} WHERE region = 'eu-west-1'") == [
        ("a", "eu32", "us21", "2 rows")
    ]
    assert found(connection, root, f"{one} UNION ALL {two}") == ALL


def test_without_a_partition_there_are_the_columns_of_the_newest(connection: Any, root: Path) -> None:
    """Of the last source that has objects: the last day, then the account, then the Region; and no rows."""
    sql = "SELECT time FROM s WHERE eventday = '20270101'"

    assert found(connection, root, sql, View("s", (OTHER, FLOW))) == [("a", "eu32", "0 rows")]
    assert found(connection, root, sql) == [("o", "us11", "0 rows")]
    assert found(connection, root, sql, View("s", (NONE,))) == []


def test_a_table_of_one_region_has_its_objects(connection: Any, root: Path) -> None:
    assert found(connection, root, "SELECT time FROM s", View("s", (FLOW, OTHER), region="eu-west-1")) == [
        ("a", "eu32", "1 rows")
    ]


@pytest.mark.parametrize(("name", "rows"), [("flow_1_0", 5), ("flow_2_0", 3)])
def test_times_leave_days_out_of_tables_that_have_no_other_partition(
    name: str, rows: int, connection: Any, root: Path
) -> None:
    view = NATIVE[name]
    sql = f"SELECT time FROM {view.name} WHERE time >= 1767312000000"

    assert found(connection, root, sql, view)[0][-1] == f"{rows} rows"


def test_columns_without_the_partitions(connection: Any, root: Path) -> None:
    """A directory has the names of its folders, whatever their case in the statement; partitions are text."""
    asked = Asked(connection, DirectoryStorage(root), reading("SELECT * FROM s"), None, [])

    first, second = [relation for _, relation in relations(asked, root, S)]

    assert first.shape == {"time": "BIGINT", "product": {"name": "VARCHAR"}}
    assert second.shape == {"time": "BIGINT", "more": "VARCHAR"}
    assert first.partitions == {"region": "region", "accountid": "accountId", "eventday": "eventDay"}
    [row] = connection.sql(f'SELECT region, "accountId", "eventDay" FROM {second.sql}').fetchall()
    assert row == ("us-east-1", "01", "20260101")


def test_other_storages_are_read_by_arrow(connection: Any, root: Path) -> None:
    """Each kind of object by itself, with the columns that are read, and partitions as Athena shows them."""
    asked = Asked(connection, DirectoryStorage(root), reading("SELECT s.product.name FROM s"), None, [])

    made = list(relations(asked, "s3://bucket/", S))

    assert [source.name for source, _ in made] == ["aws_vpc_flow_4001", "other"]
    assert [relation.sql for _, relation in made] == ['"ocsflake_0"', '"ocsflake_1"']
    assert [dict(relation.shape) for _, relation in made] == [{"product": {"name": "VARCHAR"}}, {}]
    assert made[0][1].partitions == {name: name for name in ("region", "accountid", "eventday")}
    assert connection.sql('SELECT count(*) FROM "ocsflake_0"').fetchall() == [(5,)]
