"""Events in memory: a table a class, united by column names where several log types share a class."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pyarrow as pa
import pytest

from ocsflake.errors import ConfigError, MissingExtraError
from ocsflake.events import Events, Gathered
from ocsflake.mapping.rejects import Reject, reject_batch
from ocsflake.model import EventBatch

TIME = pa.field("time", pa.int64(), nullable=False)


def batch(columns: dict[str, tuple[pa.DataType, list[Any]]], event_class: str = "api_activity") -> EventBatch:
    schema = pa.schema([pa.field(name, kind, nullable=name != "time") for name, (kind, _) in columns.items()])
    arrays = [pa.array(values, kind) for kind, values in columns.values()]
    return EventBatch("x", "x", event_class, pa.RecordBatch.from_arrays(arrays, schema=schema))


def gathered(*batches: EventBatch) -> Events:
    events = Gathered()
    for each in batches:
        events.add([each], reject_batch([]))
    return events.events()


EVENTS = gathered(
    batch({"time": (pa.int64(), [1772348148000, 1772434548000]), "status": (pa.string(), ["Success", "Failure"])}),
    batch({"time": (pa.int64(), [])}, "authentication"),
)


class TestMapping:
    def test_mapping(self) -> None:
        """Events are a mapping of class to table, in the order of the names."""
        assert list(EVENTS) == ["api_activity", "authentication"]
        assert len(EVENTS) == 2
        assert EVENTS["api_activity"]["status"].to_pylist() == ["Success", "Failure"]
        assert "process_activity" not in EVENTS
        assert EVENTS.get("process_activity") is None

    def test_unknown_class(self) -> None:
        """A class that is not there is named, with what is near and what there is."""
        with pytest.raises(KeyError, match=r"'api_activty'; did you mean 'api_activity'\?; there are \['api_activity'"):
            EVENTS["api_activty"]

    def test_rejects(self) -> None:
        """The rejects of all batches are one table."""
        events = Gathered()
        events.add([], reject_batch([Reject(b"1", "bad")]))
        events.add([], reject_batch([Reject(b"2", "worse", "time", {"uri": "x"})]))

        rejects = events.events().rejects

        assert rejects["record"].to_pylist() == [b"1", b"2"]
        assert rejects["origin"].to_pylist() == [[], [("uri", "x")]]

    def test_nothing(self) -> None:
        """No events at all are an empty mapping, with no rejects."""
        events = Gathered().events()

        assert dict(events) == {}
        assert events.rejects.num_rows == 0
        assert repr(events) == "<Events none; 0 rejects>"


class TestRendering:
    def test_repr(self) -> None:
        """One line for a shell."""
        assert repr(EVENTS) == "<Events api_activity: 2, authentication: 0; 0 rejects>"

    def test_html(self) -> None:
        """A table for a notebook, with the times between which the events lie."""
        html = EVENTS._repr_html_()

        assert '<th scope="row" class="short">api_activity</th>' in html
        assert '<td class="number">2</td><td>2026-03-01 06:55:48 to 2026-03-02 06:55:48 UTC</td></tr>' in html
        assert '<td class="number">0</td><td class="short"></td></tr>' in html
        assert html.endswith("<p>0 rejects</p></div>")


class TestQuery:
    def test_query(self) -> None:
        """SQL over the classes by their names."""
        found = EVENTS.query("SELECT status, count(*) AS n FROM api_activity GROUP BY ALL ORDER BY status")

        assert found.to_pylist() == [{"status": "Failure", "n": 1}, {"status": "Success", "n": 1}]

    @pytest.mark.parametrize("sql", ["SELECT nothing FROM api_activity", "SELECT * FROM api_activties", "SELEKT"])
    def test_wrong(self, sql: str) -> None:
        """A wrong statement is the caller's mistake: what DuckDB said, and the tables that there are."""
        with pytest.raises(ConfigError, match="tables: api_activity, authentication"):
            EVENTS.query(sql)

    def test_reaches_nothing_else(self, tmp_path: Any) -> None:
        """A statement cannot read or write a file."""
        path = tmp_path / "secret.csv"
        path.write_text("a\n1\n")

        with pytest.raises(ConfigError, match=r"(?i)disabled|permission|not allowed"):
            EVENTS.query(f"SELECT * FROM read_csv('{path}')")
        with pytest.raises(ConfigError):
            EVENTS.query(f"COPY api_activity TO '{tmp_path / 'out.csv'}'")
        assert not (tmp_path / "out.csv").exists()

    def test_without_duckdb(self, tmp_path: Any) -> None:
        """Without DuckDB the error holds the command that installs it."""
        (tmp_path / "duckdb.py").write_text("raise ImportError('not installed')\n")
        code = "from ocsflake.events import Gathered\nGathered().events().query('SELECT 1')"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(tmp_path)}
        )

        assert f"{MissingExtraError.__name__}: query() needs DuckDB: pip install 'ocsflake[query]'" in done.stderr


class TestUnited:
    def test_same_columns(self) -> None:
        """Batches of the same columns are put together as they are."""
        one = batch({"time": (pa.int64(), [1])})

        table = gathered(one, batch({"time": (pa.int64(), [2])}))["api_activity"]

        assert table.schema == one.events.schema
        assert table["time"].to_pylist() == [1, 2]

    def test_other_columns(self) -> None:
        """Columns and members that one log type lacks are null in its events, at any depth."""
        user = pa.struct([("name", pa.string()), ("account", pa.struct([("uid", pa.string())]))])
        other = pa.struct([("uid", pa.string()), ("account", pa.struct([("name", pa.string())]))])

        table = gathered(
            batch({"time": (pa.int64(), [1, 2]), "user": (user, [{"name": "a", "account": {"uid": "1"}}, None])}),
            batch(
                {
                    "time": (pa.int64(), [3]),
                    "count": (pa.int32(), [9]),
                    "user": (other, [{"uid": "u", "account": None}]),
                }
            ),
        )["api_activity"]

        assert table.schema.names == ["count", "time", "user"]
        assert table.to_pylist() == [
            {"count": None, "time": 1, "user": {"account": {"name": None, "uid": "1"}, "name": "a", "uid": None}},
            {"count": None, "time": 2, "user": None},
            {"count": 9, "time": 3, "user": {"account": None, "name": None, "uid": "u"}},
        ]
        assert all(field.nullable for field in table.schema)

    def test_lists_of_objects(self) -> None:
        """The elements of lists are united; an empty list, a null list and a null element stay what they are."""
        one = pa.list_(pa.struct([("uid", pa.string())]))
        two = pa.list_(pa.struct([("type", pa.string()), ("uid", pa.string())]))
        values = [[{"uid": "1"}, {"uid": "2"}], [], None, [None, {"uid": "3"}]]

        table = gathered(
            batch({"time": (pa.int64(), [1, 2, 3, 4]), "resources": (one, values)}),
            batch({"time": (pa.int64(), [5]), "resources": (two, [[{"type": "t", "uid": "4"}]])}),
        )["api_activity"]

        assert table["resources"].to_pylist() == [
            [{"type": None, "uid": "1"}, {"type": None, "uid": "2"}],
            [],
            None,
            [None, {"type": None, "uid": "3"}],
            [{"type": "t", "uid": "4"}],
        ]

    def test_part_of_a_batch(self) -> None:
        """A slice of a batch gives its own rows, whatever stands before them."""
        kind = pa.list_(pa.struct([("uid", pa.string())]))
        whole = batch({"time": (pa.int64(), [1, 2, 3]), "resources": (kind, [[{"uid": "1"}], None, [{"uid": "3"}]])})
        part = EventBatch("x", "x", "api_activity", whole.events.slice(1))

        table = gathered(part, batch({"time": (pa.int64(), [4]), "status": (pa.string(), ["ok"])}))["api_activity"]
        wider = gathered(
            part, batch({"time": (pa.int64(), [4]), "resources": (pa.list_(pa.struct([("type", pa.string())])), [[]])})
        )["api_activity"]

        assert table["resources"].to_pylist() == [None, [{"uid": "3"}], None]
        assert wider["resources"].to_pylist() == [None, [{"type": None, "uid": "3"}], []]

    def test_maps_and_scalars(self) -> None:
        """Maps and scalars are kept as they are."""
        kind = pa.map_(pa.string(), pa.string())

        table = gathered(
            batch({"time": (pa.int64(), [1]), "unmapped": (kind, [[("a", "1")]])}),
            batch({"time": (pa.int64(), [2]), "unmapped": (kind, [None]), "status_id": (pa.int32(), [1])}),
        )["api_activity"]

        assert table["unmapped"].to_pylist() == [[("a", "1")], None]
        assert table["status_id"].to_pylist() == [None, 1]

    def test_widened(self) -> None:
        """A scalar of another type is cast to that of the first log type."""
        table = gathered(
            batch({"time": (pa.int64(), [1]), "port": (pa.int64(), [80])}),
            batch({"time": (pa.int64(), [2]), "port": (pa.int32(), [443]), "status": (pa.string(), ["ok"])}),
        )["api_activity"]

        assert table["port"].to_pylist() == [80, 443]
