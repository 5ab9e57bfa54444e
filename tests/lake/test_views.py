"""The views of a lake, by their names and by the SQL that makes them, over a row or two of each source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from attrs import frozen

from ocsflake.lake.columns import shape_of
from ocsflake.lake.reading import reading
from ocsflake.lake.views import View, create, views
from ocsflake.model import CustomSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HIVE = {"region": "region", "accountid": "accountId", "eventday": "eventDay"}
GLUE = "amazon_security_lake_glue_db"
TABLE = "amazon_security_lake_table"


@frozen
class Rows:
    """Rows of one source."""

    sql: str
    shape: Mapping[str, Any]
    partitions: Mapping[str, str] = HIVE


@pytest.fixture
def connection() -> Iterator[Any]:
    with duckdb.connect(":memory:") as connection:
        yield connection


def source(name: str, event_class: str = "", *regions: str) -> CustomSource:
    return CustomSource(name, event_class, f"ext/{name}/", regions)


def asked(connection: Any, sql: str, made: dict[str, list[tuple[CustomSource, str]]], *wanted: View) -> Any:
    """Return what a statement finds in views that are made of some rows."""
    relations: dict[str, list[tuple[CustomSource, Rows]]] = {}
    for name, parts in made.items():
        for of, columns in parts:
            text = f"(SELECT 'us-east-1' AS region, '1' AS \"accountId\", '20260101' AS \"eventDay\", {columns})"
            found = connection.sql(f"SELECT {columns}")
            shape = {each: shape_of(kind) for each, kind in zip(found.columns, found.types, strict=True)}
            relations.setdefault(name, []).append((of, Rows(text, shape)))
    known = {view.name: view for view in wanted}
    for statement in create(known, {name: relations.get(name, []) for name in known}, reading(sql), "1.5.0"):
        connection.execute(statement)
    return connection.sql(sql).to_arrow_table().to_pylist()


class TestNames:
    def test_a_source_has_a_view_of_its_name_and_a_table_of_each_region(self) -> None:
        """The lake's own Region has objects of all, another those that are kept under it."""
        trail = source("AWS_Trail_6003", "api_activity", "eu-west-1", "us-east-1")

        found = views([trail], "us-east-1")

        own, other = f"{TABLE}_us_east_1_ext_aws_trail_6003", f"{TABLE}_eu_west_1_ext_aws_trail_6003"
        assert found == {
            "aws_trail_6003": View("AWS_Trail_6003", (trail,), event_class="api_activity"),
            "api_activity": View("api_activity", (trail,), event_class="api_activity", united=True),
            own: View(own, (trail,), f"{GLUE}_us_east_1", "", "api_activity"),
            other: View(other, (trail,), f"{GLUE}_eu_west_1", "eu-west-1", "api_activity"),
        }

    def test_a_source_without_a_class_is_in_no_view_of_one(self) -> None:
        found = views([source("x")], "us-east-1")

        assert list(found) == ["x", f"{TABLE}_us_east_1_ext_x"]
        assert {view.event_class for view in found.values()} == {""}

    def test_the_class_of_an_extension_is_named_without_it(self) -> None:
        found = views([source("x_1", "win/registry"), source("y_1", "win/registry")], "us-east-1")

        assert found["registry"].event_class == "win/registry"
        assert [of.name for of in found["registry"].sources] == ["x_1", "y_1"]

    def test_native_tables_are_made_of_the_sources_of_their_log(self) -> None:
        """Whichever class of theirs a source has, by its stem, or of one source a class for all clouds."""
        flow = source("aws_vpc_flow_4001", "network_activity", "eu-west-1")
        all_clouds = source("OCSF_4001", "network_activity")
        others = [source("gcp_vpc_flow_4001", "network_activity"), source("aws_vpc_flow_4003", "dns_activity")]

        found = {name: view for name, view in views([flow, all_clouds, *others], "us-east-1").items() if view.native}

        own, other = f"{TABLE}_us_east_1_vpc_flow_", f"{TABLE}_eu_west_1_vpc_flow_"
        assert sorted(found) == [f"{other}1_0", f"{other}2_0", f"{own}1_0", f"{own}2_0"]
        view = found[f"{own}2_0"]
        assert (view.name, view.database, view.region, view.event_class) == (f"{own}2_0", f"{GLUE}_us_east_1", "", "")
        assert view.sources == (flow, all_clouds)
        view = found[f"{other}2_0"]
        assert (view.database, view.region, view.sources) == (f"{GLUE}_eu_west_1", "eu-west-1", (flow,))

    def test_names_in_sql(self) -> None:
        assert View('a"b', ()).sql_name == '"a""b"'
        assert View("a", (), "d").sql_name == '"d"."a"'


class TestRows:
    A, B = source("a_6003", "api_activity"), source("b_6003", "api_activity")
    CLASS = View("api_activity", (A, B), event_class="api_activity", united=True)

    def test_a_class_unites_its_sources(self, connection: Any) -> None:
        """By the names of columns; each row says of which source it is, and what one lacks is NULL."""
        made = {"api_activity": [(self.A, "1 AS n, {'x': 'y'} AS s"), (self.B, "2 AS n, 'b' AS t")]}

        found = asked(connection, 'SELECT * FROM "api_activity" ORDER BY n', made, self.CLASS)

        partitions = {"region": "us-east-1", "accountid": "1", "eventday": "20260101"}
        assert found == [
            {"n": 1, "s": {"x": "y"}, "t": None, "source": "a_6003", **partitions},
            {"n": 2, "s": None, "t": "b", "source": "b_6003", **partitions},
        ]

    def test_a_source_has_a_column_of_that_name_only_if_its_objects_do(self, connection: Any) -> None:
        view = View("a_6003", (self.A,), event_class="api_activity")

        assert asked(connection, "SELECT source FROM a_6003", {"a_6003": [(self.A, "'its' AS source")]}, view) == [
            {"source": "its"}
        ]

    def test_what_is_not_read_can_be_named_all_the_same(self, connection: Any) -> None:
        """Columns that no object of a source has are NULL of their type, whether they are read or not."""
        made = {"api_activity": [(self.A, "1 AS n, 5 AS m"), (self.B, "2 AS n, {'x': 'y'} AS s")]}

        assert asked(connection, "SELECT n, m FROM api_activity ORDER BY 1", made, self.CLASS) == [
            {"n": 1, "m": 5},
            {"n": 2, "m": None},
        ]
        described = dict(connection.sql("SELECT column_name, column_type FROM (DESCRIBE api_activity)").fetchall())
        assert described == {
            "n": "INTEGER",
            "m": "INTEGER",
            "s": "STRUCT(x VARCHAR)",
            **dict.fromkeys(("source", "region", "accountid", "eventday"), "VARCHAR"),
        }

    def test_attributes_of_ocsf_that_no_object_has(self, connection: Any) -> None:
        """They are NULL of their types, with the name of the view before them or without; only of the class's own."""
        made = {"api_activity": [(self.A, "1 AS n, {'x': 'y'} AS actor")]}
        sql = "SELECT n, severity_id, v.actor.user.name AS who, actor.x AS x FROM api_activity AS v"

        assert asked(connection, sql, made, self.CLASS) == [{"n": 1, "severity_id": None, "who": None, "x": "y"}]
        types = {row[0]: row[1] for row in connection.sql(f"DESCRIBE {sql}").fetchall()}
        assert types == {"n": "INTEGER", "severity_id": "INTEGER", "who": "VARCHAR", "x": "VARCHAR"}
        unknown = View("x", (self.A,))
        with pytest.raises(duckdb.BinderException, match="severity_id"):
            asked(connection, "SELECT severity_id FROM x", {"x": [(self.A, "1 AS n")]}, unknown)

    def test_what_one_view_has_is_not_looked_for_in_ocsf_for_another(self, connection: Any) -> None:
        """A path that is the one's own would be NULL in the other, where it is a mistake."""
        other = View("b_6003", (self.B,), event_class="api_activity")
        first = View("a_6003", (self.A,), event_class="api_activity")
        made = {"a_6003": [(self.A, "1 AS n, 3 AS severity_id")], "b_6003": [(self.B, "1 AS n")]}

        with pytest.raises(duckdb.BinderException, match="severity_id"):
            asked(connection, "SELECT b.severity_id FROM a_6003 a JOIN b_6003 b USING (n)", made, first, other)

    def test_a_class_without_objects_is_empty(self, connection: Any) -> None:
        """It has times, the source and partitions, and what OCSF has of what is read."""
        sql = "SELECT time, time_dt, source, region, accountid, eventday, actor.user.name AS who FROM api_activity"

        assert asked(connection, sql, {}, View("api_activity", (), event_class="api_activity", united=True)) == []
        types = [row[1] for row in connection.sql(f"DESCRIBE {sql}").fetchall()]
        assert types == ["BIGINT", "TIMESTAMP WITH TIME ZONE", *["VARCHAR"] * 5]

    def test_a_table_of_another_region_has_its_rows(self, connection: Any) -> None:
        made = {"t": [(self.A, "1 AS n")]}
        for region, count in (("us-east-1", 1), ("eu-west-1", 0), ("", 1)):
            view = View("t", (self.A,), f"d{count}{region[:2]}", region)
            assert len(asked(connection, f'SELECT n FROM "{view.database}"."t"', made, view)) == count


class TestNative:
    FLOW = source("aws_vpc_flow_4001", "network_activity")
    ALL = source("ocsf_4001", "network_activity")
    DNS = source("aws_route53_dns_4003", "dns_activity")
    TRAIL = source("aws_cloudtrail_6003", "api_activity")

    def view(self, of: CustomSource, name: str) -> View:
        return views([of], "us-east-1")[f"{TABLE}_us_east_1_{name}"]

    def ask(self, connection: Any, columns: str, of: CustomSource, name: str, there: str) -> Any:
        view = self.view(of, name)
        sql = f"SELECT {columns} FROM {view.database}.{view.name} AS v"
        return asked(connection, sql, {view.name: [(of, there)]}, view)

    def test_values_have_the_names_and_types_of_the_table(self, connection: Any) -> None:
        there = "{'account': {'uid': '1'}, 'provider': 'AWS'} AS cloud, 'x' AS other, {'version': '1.5.0'} AS metadata"

        [found] = self.ask(connection, "*", self.FLOW, "vpc_flow_1_0", there)

        assert found["cloud"] == {"account_uid": "1", "region": None, "zone": None, "provider": "AWS"}
        assert found["metadata"]["version"] == "1.0.0-rc.2"
        assert "other" not in found
        assert (found["accountid"], found["eventday"]) == ("1", "20260101")

    def test_a_name_that_means_something_else_here(self, connection: Any) -> None:
        """What our events have under it is none of the table's, even where it is all that is read."""
        found = self.ask(connection, "v.user.uid", self.TRAIL, "cloud_trail_mgmt_1_0", "{'uid': 'U'} AS user, 7 AS n")

        assert found == [{"uid": None}]

    def test_what_is_computed_is_of_the_class(self, connection: Any) -> None:
        """Also where nothing but the computed part is read."""
        there = "2 AS activity_id, 6003 AS class_uid, {'product': {'feature': {'name': NULL::VARCHAR}}} AS metadata"

        assert self.ask(
            connection, "class_uid, type_uid, v.metadata.version", self.TRAIL, "cloud_trail_mgmt_1_0", there
        ) == [{"class_uid": 3005, "type_uid": 300502, "version": "1.0.0-rc.2"}]
        assert self.ask(connection, "answers", self.DNS, "route53_2_0", "NULL::STRUCT(rdata VARCHAR)[] AS answers") == [
            {"answers": []}
        ]

    @pytest.mark.parametrize(
        ("category", "table"),
        [("Management", "cloud_trail_mgmt"), ("Data", "s3_data"), ("Insight", None), (None, "cloud_trail_mgmt")],
    )
    def test_which_events_are_in_a_table(self, connection: Any, category: str | None, table: str | None) -> None:
        kind = "NULL::VARCHAR" if category is None else f"'{category}'"
        there = f"{{'product': {{'feature': {{'name': {kind}}}, 'name': 'CloudTrail'}}}} AS metadata"
        there += ", {'service': {'name': 's3.amazonaws.com'}} AS api, 7 AS activity_id"
        for name in ("cloud_trail_mgmt", "s3_data", "lambda_execution"):
            found = self.ask(connection, "activity_id", self.TRAIL, f"{name}_2_0", there)
            assert len(found) == (name == table)

    @pytest.mark.parametrize(
        ("of", "product", "count"), [(ALL, "Amazon VPC", 1), (ALL, "VPC Flow Logs", 0), (FLOW, "VPC Flow Logs", 1)]
    )
    def test_other_clouds_are_left_out_of_a_source_of_all(
        self, connection: Any, of: CustomSource, product: str, count: int
    ) -> None:
        """A source of one log has no others, whatever its product is called."""
        there = f"{{'product': {{'name': '{product}'}}}} AS metadata, 1 AS severity_id"

        assert len(self.ask(connection, "severity_id", of, "vpc_flow_2_0", there)) == count
