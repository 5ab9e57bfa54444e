"""What a statement reads: only that is read, and never less."""

from __future__ import annotations

import random

import pytest
from lake_events import api_activity, events

from ocsflake.lake import Lake
from ocsflake.lake.reading import reading

RECENT = "(eventday >= STRFTIME(CURRENT_DATE - INTERVAL '7' DAY, '%Y%m%d'))"
FIRST = "epoch_ms(strptime(eventday, '%Y%m%d'))"


class TestPaths:
    """Which attributes a statement names."""

    @pytest.mark.parametrize(
        ("sql", "paths"),
        [
            ("SELECT a.b.c FROM t", {("a", "b", "c")}),
            ("SELECT x.A.b FROM t x", {("x", "a", "b")}),
            ("SELECT a.b.c.d.e.f FROM t", {("a", "b", "c", "d", "e", "f")}),
            ("SELECT r[1].uid, m['k'] FROM t", {("r",), ("m",)}),
            ("SELECT list_filter(r, lambda e: e.x = y.z) FROM t", {("r",), ("e", "x"), ("y", "z")}),
            ("SELECT count(*) FROM t WHERE a = 1", {("a",)}),
            ("SELECT (SELECT s.x FROM t).y, (CASE WHEN c THEN d END).e FROM u", {("s", "x"), ("c",), ("d",)}),
            ("SELECT 1 FROM t WHERE " + " OR ".join(["a.b = 1"] * 3_000), {("a", "b")}),
            ("SELECT a.b.lower() FROM t", {("a", "b")}),
            ("SELECT a FROM t JOIN u USING (k)", {("a",), ("k",)}),
            ("EXPLAIN ANALYZE SELECT a FROM t", {("a",)}),
            ("WITH n AS (SELECT a FROM t) SELECT n FROM n", {("a",), ("n",)}),
            ("/* no */ -- no\nSELECT a FROM t", {("a",)}),
        ],
    )
    def test_names(self, sql, paths):
        """They are found wherever they stand."""
        assert reading(sql).paths == paths

    @pytest.mark.parametrize(
        "sql",
        [
            "SELECT * FROM t",
            "SELECT t.* FROM t",
            "SELECT x FROM t AS x",
            "FROM t",
            "SELECT COLUMNS('a') FROM t",
            "SELECT a FROM t NATURAL JOIN u",
            "SELECT a FROM t AS x(a, b)",
            "SELECT a FROM query_table('t')",
            "SELECT a FROM query('SELECT a FROM t')",
            "DESCRIBE t",
            "SUMMARIZE t",
            "SHOW TABLES",
            "PIVOT t ON a USING count(*)",
            "SELECT a FROM t; SELECT b FROM t",
            "this is no SQL",
            "/**/" * 500 + "this is no SQL",
            "SELECT " + "(" * 3_000 + "1" + ")" * 3_000,
            "",
        ],
    )
    def test_anything(self, sql):
        """What may read a column without its name, or is not understood, reads them all."""
        assert reading(sql).paths is None


class TestConditions:
    """Which partitions a statement leaves out."""

    @pytest.mark.parametrize(
        ("where", "condition"),
        [
            ("eventday = '20240102'", "(eventday = '20240102')"),
            ("EventDay BETWEEN $a AND $b AND n = 1", "(eventday BETWEEN $a AND $b)"),
            ("x.region IN ('a', 'b') AND '1' < accountid", "(region IN ('a', 'b')) AND ('1' < accountid)"),
            ("(eventday = '1' OR region = 'a') AND time > 5", "(eventday = '1' OR region = 'a')"),
            ("eventday = '1' OR n = 1", ""),
            ("cloud.region = 'a'", ""),
            ("y.eventday = '1'", ""),
            ("eventday = (SELECT max(d) FROM u)", ""),
            ("eventday = ?", ""),
            ("eventday ~ '2024.*'", ""),
            ("eventday >= strftime(current_date - INTERVAL 7 DAY, '%Y%m%d')", RECENT),
            ("n = 1", ""),
        ],
    )
    def test_of_partitions(self, where, condition):
        """Those that are about partitions alone, and hold for every row that counts."""
        assert reading(f"SELECT n FROM t AS x WHERE {where}").conditions["t"] == (condition,)

    @pytest.mark.parametrize(
        "where",
        [
            "eventday = CAST('1' AS DECIMAL(8, 2))",
            "eventday = '2024' || $m || CONCAT('0', $d)",
            "NOT (region <> 'a') OR NOT accountid IN ('1', '2')",
            "eventday > '1' OR eventday >= '2' OR eventday < '3' OR eventday <= '4'",
            "region = 'a' OR TRUE OR region = NULL",
            "(region, accountid) = ('a', 'b')",
            "region LIKE 'us-%'",
            "eventday = STRFTIME(DATE_TRUNC('MONTH', CURRENT_TIMESTAMP), '%Y%m%d')",
            "eventday = STRFTIME(CURRENT_DATE + INTERVAL '1' DAY, '%Y%m%d')",
            "eventday = CAST(-20260101 + 1 - 2 AS TEXT)",
        ],
    )
    def test_that_are_understood(self, where):
        """Each is what it was, in DuckDB's own words."""
        assert reading(f"SELECT n FROM t WHERE {where}").conditions["t"] == (f"({where})",)

    @pytest.mark.parametrize(
        ("where", "condition"),
        [
            ("5 < time", f"(({FIRST} + 86400000) > (5))"),
            ("time < 5", f"({FIRST} <= (5))"),
            ("t.TIME <= 5", f"({FIRST} <= (5))"),
            ("5 >= time", f"({FIRST} <= (5))"),
            ("time > 5", f"(({FIRST} + 86400000) > (5))"),
            ("5 = time", f"({FIRST} <= (5) AND ({FIRST} + 86400000) > (5))"),
            ("time > 5 OR time < 1", ""),
            ("start_time > 5", ""),
            ("5 > 4", ""),
            ("time BETWEEN n AND 5", ""),
            ("time + 1 > 5", ""),
            ("u.time > 5", ""),
            ("NOT time > 5", ""),
            ("time >= 5", f"(({FIRST} + 86400000) > (5))"),
            ("5 > time", f"({FIRST} <= (5))"),
            ("time BETWEEN 1 AND 5", f"(({FIRST} + 86400000) > (1)) AND ({FIRST} <= (5))"),
            ("time = 5", f"({FIRST} <= (5) AND ({FIRST} + 86400000) > (5))"),
            ("time <> 5", ""),
            ("time > n", ""),
            ("time BETWEEN 1 AND n", ""),
        ],
    )
    def test_of_times(self, where, condition):
        """A comparison of the time with something that is no column says what days there may be."""
        assert reading(f"SELECT n FROM t WHERE {where}").of_times["t"] == (condition,)

    @pytest.mark.parametrize(
        ("sql", "conditions"),
        [
            ("SELECT 1 FROM t LEFT JOIN u ON t.a = u.a WHERE t.eventday = '1' AND u.eventday = '2'", ("1", "")),
            ("SELECT 1 FROM t RIGHT JOIN u ON t.a = u.a WHERE t.eventday = '1' AND u.eventday = '2'", ("", "")),
            ("SELECT 1 FROM t JOIN u ON t.a = u.a WHERE t.eventday = '1' AND u.eventday = '2'", ("1", "2")),
            ("SELECT 1 FROM t, u WHERE eventday = '1'", ("", "")),
            ("SELECT 1 FROM t, UNNEST(t.l) AS u(x) WHERE eventday = '1'", ("1", None)),
            ("SELECT 1 FROM t, UNNEST(t.l) AS u(eventday) WHERE eventday = '1'", ("", None)),
            ("SELECT 1 FROM t SEMI JOIN u ON t.a = u.a WHERE t.eventday = '1'", ("", "")),
        ],
    )
    def test_joins(self, sql, conditions):
        """They hold for the table that they name, unless a join puts rows in that do not meet them."""
        found = reading(sql).conditions
        texts = tuple(None if text is None else f"(eventday = '{text}')" if text else "" for text in conditions)

        assert (found["t"][0], found.get("u", (None,))[0]) == texts

    def test_every_place_counts(self):
        """A table that is read twice has the condition of each place."""
        sql = "SELECT 1 FROM t WHERE eventday = '1' UNION ALL SELECT 2 FROM t"

        assert set(reading(sql).conditions["t"]) == {"(eventday = '1')", ""}


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    lake = Lake(tmp_path_factory.mktemp("lake"))
    with lake.begin("c") as commit:
        accounts = ("111111111111", "222222222222", "333333333333")
        commit.write(api_activity(events(300, accounts=accounts, days=4)))
        commit.publish()
    return lake


class TestResults:
    """Nothing that is left out would have counted."""

    ATOMS = (
        "eventday = '20240102'",
        "eventday >= $day",
        "v.eventday BETWEEN '20240101' AND $day",
        "accountid IN ('111111111111', '333333333333')",
        "NOT accountid LIKE '2%'",
        "region <> 'eu-west-1'",
        "severity_id = 1",
        "time < 1704240000000",
        "eventday IS NULL",
        "length(eventday) = 8",
    )

    @pytest.mark.parametrize("seed", range(25))
    def test_pruned_is_as_all(self, lake, seed):
        """Any mix of conditions gives the rows that it gives where nothing is left out."""
        rng = random.Random(seed)
        where = rng.choice(self.ATOMS)
        for _ in range(rng.randrange(4)):
            where = f"({where}) {rng.choice(('AND', 'OR', 'AND NOT'))} ({rng.choice(self.ATOMS)})"
        bound = {"day": "20240103"} if "$day" in where else None
        order = f"WHERE {where} ORDER BY uid"

        pruned = lake.query(f"SELECT metadata.uid AS uid, eventday FROM api_activity AS v {order}", bound)
        joined = lake.query(
            f"SELECT metadata.uid AS uid, eventday FROM api_activity AS v JOIN (SELECT 1 AS one) AS o ON true {order}",
            bound,
        )
        every = lake.query(
            f"SELECT uid, eventday FROM (SELECT *, metadata.uid AS uid FROM api_activity) AS v {order}", bound
        )

        assert pruned.equals(every)
        assert joined.equals(every)
