from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lake_events import DAY, T0, api_activity, events

from ocsflake.errors import ConfigError, LakeError
from ocsflake.lake import CustomSource, Lake
from ocsflake.model import EventBatch

GLUE = "amazon_security_lake_glue_db_us_east_1.amazon_security_lake_table_us_east_1_ext_aws_cloudtrail_6003"


def fill(lake, *batches, commit_id="c"):
    with lake.begin(commit_id) as commit:
        for batch in batches:
            commit.write(batch)
        return commit.publish()


def gcp(rows=3):
    """API Activity of another mapper: a struct with other fields."""
    batch = pa.RecordBatch.from_pylist(
        [
            {
                "time": T0 + 5 * DAY + n,
                "class_uid": 6003,
                "cloud": {"provider": "GCP", "account": {"uid": "my-project"}},
                "api": {"operation": "storage.get", "group": {"name": "objects"}},
            }
            for n in range(rows)
        ]
    )
    return EventBatch("gcp.audit", "gcp_audit", "api_activity", batch)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    lake = Lake(tmp_path_factory.mktemp("lake"))
    fill(lake, api_activity(events(500, accounts=("012345678901", "123456789012"), days=3)), gcp())
    return lake


class TestLake:
    def test_says_what_it_is(self):
        expected = "Lake(root='/data/lake', region='eu-west-1', ocsf_version='1.1.0', naming='log_type')"

        assert repr(Lake("/data/lake", region="eu-west-1")) == expected

    @pytest.mark.parametrize(
        "root", ["/data/a lake", Path("/data/a lake"), "file:///data/a%20lake", "file://localhost/data/a%20lake"]
    )
    def test_takes_a_path_or_a_uri(self, root):
        assert Lake(root).root == Path("/data/a lake")

    def test_a_relative_path_is_fixed_at_once(self):
        assert Lake("x").root == Path.cwd() / "x"

    @pytest.mark.parametrize(
        ("root", "message"),
        [
            ("s3://Bucket/x", "is no address in S3"),
            ("s3://bucket/region=x", "would take the folder 'region=x' above the lake for a partition"),
            ("gs://bucket/x", "a lake is a directory"),
            ("file://host/x", "a lake is a directory"),
            ("/data/region=x/lake", "would take the folder 'region=x' above the lake for a partition"),
        ],
    )
    def test_refuses_other_roots(self, root, message):
        with pytest.raises(ConfigError, match=message):
            Lake(root)

    def test_refuses_wrong_settings_before_anything_is_written(self, tmp_path):
        with pytest.raises(ConfigError, match="no AWS Region"):
            Lake(tmp_path, region="westeurope")
        with pytest.raises(ConfigError, match=r"naming 'clas'.*did you mean 'class'"):
            Lake(tmp_path, naming="clas")
        with pytest.raises(ConfigError, match=r"1\.1\.1"):
            Lake(tmp_path, ocsf_version="1.1.1").begin("c")
        assert list(tmp_path.iterdir()) == []

    def test_making_one_writes_nothing(self, tmp_path):
        lake = Lake(tmp_path / "x")

        assert lake.sources() == ()
        assert not lake.root.exists()

    def test_the_region_is_the_lake_s_own(self, tmp_path):
        (written,) = fill(Lake(tmp_path, region="eu-central-1"), api_activity(events(1)))

        assert "/region=eu-central-1/" in written.key

    def test_one_source_a_class_over_all_clouds_if_named_so(self, tmp_path):
        lake = Lake(tmp_path, naming="class")

        written = fill(lake, api_activity(events(5)), gcp(2))

        assert [item.source for item in written] == ["ocsf_6003", "ocsf_6003"]
        assert len({item.key for item in written}) == 2
        table = lake.query("SELECT cloud.provider p, count(*) n FROM ocsf_6003 GROUP BY 1 ORDER BY 1")
        assert table.to_pylist() == [{"p": "AWS", "n": 5}, {"p": "GCP", "n": 2}]
        # A part of a struct that some of the objects lack altogether.
        table = lake.query('SELECT api."group".name g, api.request.uid IS NULL r FROM ocsf_6003 ORDER BY time DESC')
        assert table.to_pylist()[:3] == [{"g": "objects", "r": True}] * 2 + [{"g": None, "r": False}]


class TestSources:
    def test_are_those_with_objects(self, lake):
        assert lake.sources() == (
            CustomSource("aws_cloudtrail_6003", "api_activity", "ext/aws_cloudtrail_6003/", ("us-east-1",)),
            CustomSource("gcp_audit_6003", "api_activity", "ext/gcp_audit_6003/", ("us-east-1",)),
        )

    def test_a_folder_of_another_hand_has_no_class(self, tmp_path):
        folder = tmp_path / "ext/other/region=us-east-1/accountId=external/eventDay=20240101"
        folder.mkdir(parents=True)
        (tmp_path / "ext/other/notes").mkdir()
        (tmp_path / "ext/empty/region=us-east-1").mkdir(parents=True)
        pq.write_table(pa.table({"x": [1]}), folder / "1.parquet")

        assert Lake(tmp_path).sources() == (CustomSource("other", "", "ext/other/", ("us-east-1",)),)
        assert Lake(tmp_path).query("SELECT x FROM other").to_pylist() == [{"x": 1}]


class TestQuery:
    def test_there_is_a_view_for_each_source(self, lake):
        assert lake.query("SELECT count(*) n FROM aws_cloudtrail_6003").to_pylist() == [{"n": 500}]
        assert lake.query("SELECT count(*) n FROM GCP_Audit_6003").to_pylist() == [{"n": 3}]

    def test_and_under_the_names_of_glue(self, lake):
        assert lake.query(f"SELECT count(*) n FROM {GLUE}").to_pylist() == [{"n": 500}]

    def test_the_view_of_a_class_unites_its_sources_by_name(self, lake):
        table = lake.query("SELECT source, count(*) n FROM api_activity GROUP BY source ORDER BY source")
        assert table.to_pylist() == [
            {"source": "aws_cloudtrail_6003", "n": 500},
            {"source": "gcp_audit_6003", "n": 3},
        ]
        table = lake.query("SELECT api.\"group\".name g, api.request.uid r FROM api_activity WHERE source LIKE 'gcp%'")
        assert table.to_pylist() == [{"g": "objects", "r": None}] * 3

    def test_partitions_are_text(self, lake):
        table = lake.query("SELECT DISTINCT region, accountid, eventday FROM aws_cloudtrail_6003 ORDER BY ALL")

        assert table.schema.types == [pa.string()] * 3
        assert table.to_pylist() == [
            {"region": "us-east-1", "accountid": account, "eventday": day}
            for account in ("012345678901", "123456789012")
            for day in ("20240101", "20240102", "20240103")
        ]

    def test_partitions_have_the_names_that_athena_shows(self, lake):
        columns = lake.query("SELECT * FROM aws_cloudtrail_6003 LIMIT 0").schema.names

        assert columns[-3:] == ["region", "accountid", "eventday"]
        assert {*columns, "source"} <= set(lake.query("SELECT * FROM api_activity LIMIT 0").schema.names)

    @pytest.mark.parametrize(
        "where",
        [
            "eventday = '20240102'",
            "eventday BETWEEN $first AND $last",
            "t.eventday > '20240101' AND accountid = '012345678901' AND NOT eventday >= '20240103' AND severity_id = 1",
        ],
    )
    def test_objects_of_other_partitions_are_not_opened(self, tmp_path, where):
        lake = Lake(tmp_path)
        written = fill(lake, api_activity(events(60, accounts=("012345678901", "123456789012"), days=3)))
        wanted = {item.key for item in written if "eventDay=20240102" in item.key}
        rows = sum(item.rows for item in written if item.key in wanted)
        if "accountid" in where:
            wanted = {key for key in wanted if "accountId=0" in key}
            rows = sum(item.rows for item in written if item.key in wanted)
        for item in written:
            if item.key not in wanted:
                (tmp_path / item.key).write_bytes(b"broken")

        bound = {"first": "20240102", "last": "20240102"} if "$" in where else None
        table = lake.query(f"SELECT count(metadata.uid) n FROM api_activity t WHERE {where}", bound)

        assert table.to_pylist() == [{"n": rows}]
        with pytest.raises(LakeError, match="an object cannot be read"):
            lake.query("SELECT count(metadata.uid) n FROM api_activity t")

    def test_a_day_without_events_has_columns(self, lake):
        table = lake.query("SELECT time, api.operation, eventday FROM api_activity WHERE eventday = '19990101'")

        assert (table.num_rows, table.schema.names) == (0, ["time", "operation", "eventday"])

    def test_only_what_is_named_of_a_struct_is_read(self, lake):
        plan = lake.query("EXPLAIN SELECT actor.user.name, count(*) FROM api_activity GROUP BY ALL")
        text = plan.to_pylist()[0]["explain_value"]

        assert "actor.user.name" in text
        assert "actor.user.uid" not in text
        assert "cloud" not in text

    def test_a_struct_that_is_not_there_is_null_as_a_whole(self, lake):
        table = lake.query("SELECT count(*) n FROM api_activity WHERE actor IS NULL AND source LIKE 'gcp%'")

        assert table.to_pylist() == [{"n": 3}]

    def test_a_path_that_is_a_struct_in_one_source_and_text_in_another(self, tmp_path):
        """All else of their class can be asked for."""
        for name, actor in (("a_6003", {"user": "ana"}), ("b_6003", "ana")):
            folder = tmp_path / f"ext/{name}/region=us-east-1/accountId=external/eventDay=20240101"
            folder.mkdir(parents=True)
            pq.write_table(pa.table({"time": [1], "actor": [actor]}), folder / "1.parquet")

        assert Lake(tmp_path).query("SELECT sum(time) t FROM api_activity").to_pylist() == [{"t": 2}]

    def test_elements_of_a_list_have_the_fields_of_all_sources(self, tmp_path):
        for name, resource in (("a_6003", {"uid": "1"}), ("b_6003", {"name": "x", "uid": "2"})):
            folder = tmp_path / f"ext/{name}/region=us-east-1/accountId=external/eventDay=20240101"
            folder.mkdir(parents=True)
            pq.write_table(pa.table({"time": [1], "resources": [[resource]]}), folder / "1.parquet")

        table = Lake(tmp_path).query("SELECT resources FROM api_activity ORDER BY resources[1].uid")

        assert table.to_pylist() == [
            {"resources": [{"uid": "1", "name": None}]},
            {"resources": [{"uid": "2", "name": "x"}]},
        ]

    def test_attributes_of_ocsf_that_no_object_has_are_null(self, lake):
        table = lake.query("SELECT DISTINCT actor.user.email_addr e, duration d, cloud.zone z FROM api_activity")

        assert table.to_pylist() == [{"e": None, "d": None, "z": None}]
        with pytest.raises(ConfigError, match="email_adr"):
            lake.query("SELECT actor.user.email_adr FROM api_activity")

    def test_and_have_their_types(self, lake):
        schema = lake.query(
            "SELECT start_time_dt, start_time, duration, src_endpoint.location.coordinates,"
            " actor.session.is_remote, src_endpoint.location.city FROM api_activity"
        ).schema

        assert schema.types[1:] == [pa.int64(), pa.int32(), pa.list_(pa.float64()), pa.bool_(), pa.string()]
        assert pa.types.is_timestamp(schema.types[0])

    @pytest.mark.parametrize(
        ("sql", "bound"),
        [
            ("SELECT count(*) n FROM api_activity WHERE eventday = $day AND source = $source", {"day": "20240106"}),
            ("SELECT count(*) n FROM api_activity WHERE eventday = ? AND source = ?", ["20240106"]),
        ],
    )
    def test_parameters_are_bound(self, lake, sql, bound):
        both = [*bound, "gcp_audit_6003"] if isinstance(bound, list) else {**bound, "source": "gcp_audit_6003"}
        evil = [*bound, "' OR '' = '"] if isinstance(bound, list) else {**bound, "source": "' OR '' = '"}

        assert lake.query(sql, both).to_pylist() == [{"n": 3}]
        assert lake.query(sql, evil).to_pylist() == [{"n": 0}]
        with pytest.raises(ConfigError):
            lake.query(sql, bound)

    def test_times_are_in_utc(self, lake):
        (row,) = lake.query("SELECT CAST(make_timestamptz(0) AS VARCHAR) t, current_setting('TimeZone') z").to_pylist()

        assert row == {"t": "1970-01-01 00:00:00+00", "z": "UTC"}

    def test_the_views_can_be_listed(self, lake):
        assert {row["name"] for row in lake.query("SHOW TABLES").to_pylist()} == {
            "api_activity",
            "aws_cloudtrail_6003",
            "gcp_audit_6003",
        }

    def test_each_lake_region_has_its_own_glue_database(self, tmp_path):
        for region, rows in (("us-east-1", 2), ("eu-west-1", 3)):
            fill(Lake(tmp_path, region=region), api_activity(events(rows)))

        lake = Lake(tmp_path)
        name = GLUE.replace("us_east_1", "eu_west_1")
        assert lake.query(f"SELECT count(*) n FROM {name}").to_pylist() == [{"n": 3}]
        assert lake.query("SELECT count(*) n FROM aws_cloudtrail_6003").to_pylist() == [{"n": 5}]

    @pytest.mark.parametrize("name", ["plain", "it's [a] *strange? name"])
    def test_the_name_of_the_root_does_not_matter(self, tmp_path, name):
        lake = Lake(tmp_path / name)
        fill(lake, api_activity(events(3)))

        assert lake.query("SELECT count(*) n FROM api_activity").to_pylist() == [{"n": 3}]

    def test_the_dialect_of_athena_is_translated(self, lake):
        sql = f"""
            SELECT date_format(from_unixtime(time / 1000), '%Y-%m-%d') AS day, count(*) AS n
            FROM {GLUE}
            WHERE eventday BETWEEN '20240101' AND '20240102' AND regexp_like(api.operation, '^Operation')
            GROUP BY 1 ORDER BY 1
        """

        table = lake.query(sql, dialect="athena")

        assert [row["day"] for row in table.to_pylist()] == ["2024-01-01", "2024-01-02"]


class TestWrongQueries:
    def test_a_misspelt_view_is_told_from_what_is_near(self, lake):
        with pytest.raises(ConfigError) as caught:
            lake.query("SELECT * FROM aws_cloudtrail_6003 JOIN api_activty USING (time)")

        message = str(caught.value)
        assert "name api_activty does not exist; did you mean 'api_activity'?" in message
        assert (
            "views of this lake: api_activity, aws_cloudtrail_6003, gcp_audit_6003; and the tables of amazon" in message
        )

    def test_a_class_that_was_never_seen_is_told(self, lake):
        with pytest.raises(ConfigError, match=r"dns_activity does not exist; it is a class of OCSF 1\.1\.0, of which"):
            lake.query("SELECT * FROM dns_activity")

    @pytest.mark.parametrize(
        ("sql", "message"),
        [
            ("SELEC 1", "syntax error"),
            ("SELECT tim FROM api_activity", "tim"),
            ("SELECT CAST('x' AS INTEGER)", "Conversion Error"),
            ("", "one SELECT or EXPLAIN; this is none"),
            ("SELECT 1; SELECT 2", "this is SELECT and SELECT"),
        ],
    )
    def test_a_wrong_statement_is_a_config_error_in_duckdb_s_words(self, lake, sql, message):
        with pytest.raises(ConfigError, match=message):
            lake.query(sql)

    @pytest.mark.parametrize(
        "sql",
        [
            "COPY api_activity TO '{root}/ext/out.parquet'",
            "CREATE TABLE x AS SELECT 1",
            "DROP VIEW api_activity",
            "ATTACH '{root}/x.db'",
            "SET enable_external_access = true",
            "INSTALL httpfs",
            "PRAGMA enable_profiling",
            "EXPORT DATABASE '{root}/x'",
        ],
    )
    def test_only_reading_is_allowed(self, lake, sql):
        before = sorted(lake.root.rglob("*"))

        with pytest.raises(ConfigError, match="one SELECT or EXPLAIN"):
            lake.query(sql.format(root=lake.root))
        assert sorted(lake.root.rglob("*")) == before

    @pytest.mark.parametrize(
        "sql",
        [
            "SELECT * FROM read_text('{secret}')",
            "SELECT * FROM read_csv('{secret}')",
            "SELECT * FROM '{secret}'",
            "SELECT * FROM glob('{root}/*')",
            "SELECT * FROM read_blob('{root}/ext/../secret.csv')",
        ],
    )
    def test_nothing_but_the_lake_can_be_read(self, lake, sql):
        secret = lake.root / "secret.csv"
        secret.write_text("a,b\n1,2\n")

        with pytest.raises(ConfigError):
            lake.query(sql.format(secret=secret, root=lake.root))

    def test_variables_of_python_cannot_be_read(self, lake):
        secrets = pa.table({"a": [1]})

        with pytest.raises(ConfigError, match="name secrets does not exist"):
            lake.query("SELECT * FROM secrets")
        assert secrets.num_rows == 1

    def test_a_wrong_dialect_is_told(self, lake):
        with pytest.raises(ConfigError, match=r"dialect 'athina'.*did you mean 'athena'"):
            lake.query("SELECT 1", dialect="athina")

    def test_a_statement_that_athena_would_not_take_is_told(self, lake):
        with pytest.raises(ConfigError, match="Athena's dialect"):
            lake.query("SELECT FROM WHERE (", dialect="athena")

    def test_an_empty_lake_says_so(self, tmp_path):
        with pytest.raises(LakeError, match="holds no events yet"):
            Lake(tmp_path).query("SELECT 1")

    def test_an_object_that_is_no_parquet_is_named(self, tmp_path):
        lake = Lake(tmp_path)
        (written,) = fill(lake, api_activity(events(3)))
        (tmp_path / written.key).write_bytes(b"PAR1 is not enough PAR1")

        with pytest.raises(LakeError, match=Path(written.key).name):
            lake.query("SELECT * FROM api_activity")

    def test_an_object_that_breaks_off_in_its_pages_is_a_lake_error(self, tmp_path):
        lake = Lake(tmp_path)
        (written,) = fill(lake, api_activity(events(2_000)))
        path = tmp_path / written.key
        data = path.read_bytes()
        path.write_bytes(data[:4] + b"\xff" * (len(data) - 60_000) + data[-60_000 + 4 :])

        with pytest.raises(LakeError):
            lake.query("SELECT metadata.uid, api.operation FROM api_activity")

    @pytest.mark.parametrize("module", ["duckdb", "sqlglot"])
    def test_a_missing_library_is_told_with_its_pip_line(self, lake, module):
        code = (
            f"import sys; sys.modules[{module!r}] = None\n"
            "from ocsflake.errors import MissingExtraError\n"
            "from ocsflake.lake import Lake\n"
            f"try: Lake({str(lake.root)!r}).query('SELECT 1')\n"
            "except MissingExtraError as error: print(error)\n"
        )

        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

        assert "pip install 'ocsflake[query]'" in done.stdout


def test_exports_are_sorted_and_all_there():
    import ocsflake.lake

    assert ocsflake.lake.__all__ == sorted(ocsflake.lake.__all__)
    assert all(hasattr(ocsflake.lake, name) for name in ocsflake.lake.__all__)


def test_writing_needs_neither_duckdb_nor_numpy(tmp_path):
    code = (
        "import sys\n"
        "for name in ('duckdb', 'sqlglot', 'numpy', 'pandas'): sys.modules[name] = None\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from lake_events import api_activity, events\n"
        "from ocsflake.lake import Lake\n"
        f"with Lake({str(tmp_path)!r}).begin('c') as commit:\n"
        "    commit.write(api_activity(events(2000)))\n"
        "    print(len(commit.publish()))\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "1\n"
