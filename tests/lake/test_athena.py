"""Statements that Athena runs: started, waited for, paged into Arrow; driven by boto3 against two stand-ins."""

from __future__ import annotations

import datetime as dt
import json
import re
import urllib.request
from decimal import Decimal

import pyarrow as pa
import pytest
from lake_events import api_activity, events

from ocsflake.aws import Failure
from ocsflake.errors import ConfigError, LakeError
from ocsflake.lake import Lake
from ocsflake.lake.athena import _check, _failed, _literal, _type, run
from ocsflake.testing.athena import AthenaServer

DATABASE = "amazon_security_lake_glue_db_us_east_1"
TABLE = f"{DATABASE}.amazon_security_lake_table_us_east_1_ext_aws_cloudtrail_6003"


def never(_sql):
    raise AssertionError("it is not to be run")


def ask(server, sql, *parameters, **options):
    """Run a statement without waiting."""
    waited = []
    return run(server.client(), sql, parameters, database=DATABASE, sleep=waited.append, **options), waited


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    lake = Lake(tmp_path_factory.mktemp("lake"))
    with lake.begin("c") as commit:
        commit.write(api_activity(events(2_500)))
        commit.publish()
    return lake


@pytest.fixture
def athena(lake):
    """Athena that asks a lake in a directory."""
    with AthenaServer(lambda sql: lake.query(sql, dialect="athena")) as server:
        yield server


def test_all_pages_become_one_table(lake, athena):
    """More rows than a page holds come whole, with the types that Athena tells."""
    sql = f"SELECT time, metadata.uid AS uid, severity_id, actor.session.is_mfa AS mfa FROM {TABLE} ORDER BY time, uid"

    result, _ = ask(athena, sql)

    assert result.table.equals(lake.query(sql, dialect="athena"))
    assert result.table.num_rows == 2_500
    assert athena.calls["GetQueryResults"] == 3


def test_the_cost_is_in_the_result(athena):
    """What was scanned, and how long it took, come with the rows."""
    result, _ = ask(athena, f"SELECT count(*) AS n FROM {TABLE}")

    assert (result.bytes_scanned, result.milliseconds) == (10_000_000, 1234)
    assert "<1 rows>" in repr(result)


def test_it_is_asked_less_and_less_often(lake):
    """The waits grow, up to a few seconds."""
    with AthenaServer(lambda sql: lake.query(sql, dialect="athena"), polls=12) as server:
        _, waited = ask(server, f"SELECT count(*) AS n FROM {TABLE}")

    assert waited == sorted(waited)
    assert (waited[0], waited[-1], len(waited)) == (0.25, 5.0, 12)


def test_workgroup_place_and_database_are_passed_on(athena):
    """Athena is told where to run, where to leave the result, and which tables are meant."""
    result, _ = ask(athena, f"SELECT 1 AS n FROM {TABLE} LIMIT 1", workgroup="security", output_location="s3://out/x/")

    assert result.output_location == "s3://out/x/"
    [asked] = athena.asked
    assert asked["WorkGroup"] == "security"
    assert asked["QueryExecutionContext"] == {"Database": DATABASE}
    assert "ExecutionParameters" not in asked


def test_parameters_are_literals_of_their_own(athena):
    """They are passed beside the statement, so that text stays text whatever is in it."""
    day, time = dt.date(2026, 11, 17), dt.datetime(2026, 11, 17, 9, 5, 1, 250_000, dt.timezone(dt.timedelta(hours=2)))

    ask(athena, f"SELECT 1 AS n FROM {TABLE} LIMIT 1", "it's' OR 1=1 --", 7, 1.5, True, Decimal("2.50"), day, time)

    [asked] = athena.asked
    assert asked["ExecutionParameters"] == [
        "'it''s'' OR 1=1 --'",
        "7",
        "1.5",
        "true",
        "2.50",
        "DATE '2026-11-17'",
        "TIMESTAMP '2026-11-17 07:05:01.250'",
    ]


def test_a_parameter_of_another_kind_is_refused():
    """What is no literal is told before Athena is asked."""
    with AthenaServer(never) as server, pytest.raises(ConfigError, match=r"parameter \['x'\]: give text, a number"):
        ask(server, "SELECT ?", ["x"])
    assert not server.calls


def test_types_of_every_kind():
    """Each type that Athena tells becomes Arrow's; nothing is NULL, and an empty text is not."""
    table = pa.table(
        {
            "b": pa.array([True, None]),
            "d": pa.array([dt.date(2026, 1, 2), None]),
            "f": pa.array([1.5, None]),
            "i": pa.array([1, None], pa.int32()),
            "l": pa.array([2**60, None]),
            "n": pa.array([Decimal("12.50"), None], pa.decimal128(10, 2)),
            "s": pa.array(["", None]),
            "t": pa.array([1_767_323_045_678_901, None], pa.timestamp("us")),
            "list": pa.array(["[1, 2]", None]),
        }
    )
    with AthenaServer(lambda _: table) as server:
        result, _ = ask(server, "SELECT *")

    assert result.table.equals(table)


def test_no_rows_have_columns():
    """A result without rows has its columns all the same."""
    with AthenaServer(lambda _: pa.table({"n": pa.array([], pa.int64())})) as server:
        result, _ = ask(server, "SELECT n")

    assert result.table.schema == pa.schema([("n", pa.int64())])
    assert result.table.num_rows == 0


def test_what_the_statement_does_wrong_is_a_config_error(athena):
    """A statement that fails for its own fault tells why, and its id."""
    with pytest.raises(ConfigError, match=r"(?s)Athena: .*\"tim\" not found.* \(query [0-9a-f-]{36}\)"):
        ask(athena, f"SELECT tim FROM {TABLE}")
    assert not athena.stopped


def test_throttling_is_waited_out(athena):
    """A call that is turned away is made again."""
    athena.fail("StartQueryExecution", "TooManyRequestsException")
    athena.fail("GetQueryExecution", "ThrottlingException")

    result, _ = ask(athena, f"SELECT count(*) AS n FROM {TABLE}")

    assert result.table.to_pylist() == [{"n": 2_500}]
    assert len(athena.asked) == 1


def test_a_missing_permission_is_named(athena):
    """What the credentials lack is in the message."""
    athena.fail("StartQueryExecution", "AccessDeniedException")

    with pytest.raises(LakeError, match="athena:StartQueryExecution"):
        ask(athena, "SELECT 1")


def test_a_refused_call_is_a_config_error(athena):
    """Such as a workgroup without a place for results."""
    athena.fail("StartQueryExecution", "InvalidRequestException")

    with pytest.raises(ConfigError, match="Athena refuses the call: injected"):
        ask(athena, "SELECT 1")


@pytest.mark.parametrize(
    ("failure", "kind", "message"),
    [
        (Failure("no credentials", "NoCredentialsError", message="none"), ConfigError, r"\(NoCredentialsError: none\)"),
        (Failure("no credentials", "NoCredentialsError"), ConfigError, r"\(NoCredentialsError\): set AWS_PROFILE"),
        (Failure("denied", "X", "GetQueryResults", "no"), LakeError, r"\(X: no\): allow them athena:GetQueryResults"),
        (Failure("unavailable", "X"), LakeError, r"cannot be reached, .* \(X\): run again later"),
        (Failure("other", "X", "StopQueryExecution"), LakeError, r"^Athena: StopQueryExecution failed \(X\)"),
        (Failure("other", "X", message="no"), LakeError, r"^Athena: the call failed \(X: no\)"),
    ],
)
def test_what_a_failure_is_to_the_user(failure, kind, message):
    """Credentials are a setting; the rest is Athena's, with its word and its sentence."""
    error = _failed(failure)

    assert type(error) is kind
    assert re.search(message, str(error))


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (
            {"StateChangeReason": "wrong", "AthenaError": {"ErrorCategory": 2}},
            ConfigError,
            r"^Athena: wrong \(query q\)",
        ),
        ({"StateChangeReason": "full", "AthenaError": {"ErrorCategory": 1}}, LakeError, "query q was failed: full"),
        ({"AthenaError": {"ErrorCategory": 3, "ErrorMessage": "gone"}}, LakeError, "query q was failed: gone"),
        ({"StateChangeReason": "a", "AthenaError": {"ErrorMessage": "b"}}, LakeError, "query q was failed: a"),
        ({}, LakeError, "query q was failed: no reason given"),
    ],
)
def test_why_a_statement_failed(status, kind, message):
    """What Athena's own words say comes first; only category 2 is the user's fault."""
    with pytest.raises(kind, match=message):
        _check({"Status": {"State": "FAILED", **status}}, "q")


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ({"Type": "real"}, pa.float32()),
        ({"Type": "float"}, pa.float32()),
        ({"Type": "tinyint"}, pa.int8()),
        ({"Type": "smallint"}, pa.int16()),
        ({"Type": "TIMESTAMP(3)"}, pa.timestamp("us")),
        ({"Type": "decimal", "Precision": 5, "Scale": 2}, pa.decimal128(5, 2)),
        ({"Type": "decimal"}, pa.decimal128(38, 0)),
        ({"Type": "row(a integer)"}, pa.string()),
        ({}, pa.string()),
    ],
)
def test_types_that_are_seldom(column, kind):
    """A precision in parentheses is not looked at; what is not known is text."""
    assert _type(column) == kind


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        (dt.datetime.fromisoformat("2026-01-02T03:04:05.006999"), "TIMESTAMP '2026-01-02 03:04:05.006'"),
        (dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), "TIMESTAMP '2026-01-02 03:04:05.000'"),
        (1e-7, "1e-07"),
        (False, "false"),
        (-3, "-3"),
    ],
)
def test_literals(value, literal):
    """A time without a zone stands as it is."""
    assert _literal(value) == literal


def test_a_statement_that_is_given_up_is_stopped(athena):
    """Whoever interrupts the wait does not pay for what would go on."""

    def interrupted(_seconds):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(athena.client(), f"SELECT 1 AS n FROM {TABLE}", database=DATABASE, sleep=interrupted)
    assert len(athena.stopped) == 1


def test_a_statement_that_another_one_stops(athena):
    """It is told from one that failed."""
    client = athena.client()

    def stop(_seconds):
        for name in list(athena._running):
            client.stop_query_execution(QueryExecutionId=name)

    with pytest.raises(LakeError, match="was cancelled: no reason given"):
        run(client, f"SELECT 1 AS n FROM {TABLE}", database=DATABASE, sleep=stop)


def test_a_lake_in_a_directory_cannot_be_asked(lake):
    """The message says what can."""
    with pytest.raises(ConfigError, match=r"is a directory, which Athena cannot read: ask it with query\(\)"):
        lake.athena("SELECT 1")


def test_a_lake_passes_on_what_it_is_given(athena):
    """Its own database is asked if no other is named."""
    lake = Lake("s3://bucket/", region="us-east-1")

    lake.athena(f"SELECT 1 AS n FROM {TABLE} LIMIT 1", client=athena.client(), workgroup="security")

    [asked] = athena.asked
    assert asked["WorkGroup"] == "security"
    assert asked["QueryExecutionContext"] == {"Database": "amazon_security_lake_glue_db_us_east_1"}


def test_moto_answers_too(moto):
    """A double by another hand takes the same calls: a result that it was told is had by way of the lake."""
    rows = [{"Data": [{"VarCharValue": "n"}]}, {"Data": [{"VarCharValue": "41"}]}]
    info = [{"Name": "n", "Type": "bigint", "Nullable": "UNKNOWN", "Precision": 19, "Scale": 0, "CaseSensitive": False}]
    told = {"account_id": "123456789012", "region": "us-east-1", "results": [{"rows": rows, "column_info": info}]}
    request = urllib.request.Request(f"{moto.url}/moto-api/static/athena/query-results", json.dumps(told).encode())
    urllib.request.urlopen(request).close()
    lake = Lake(f"s3://{moto.make_bucket()}", session=moto.session())

    result = lake.athena("SELECT 41 AS n", output_location="s3://results/")

    assert result.table.to_pylist() == [{"n": 41}]
    assert result.output_location.startswith("s3://results/")
