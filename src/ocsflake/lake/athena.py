"""Statements that Athena runs over a lake on AWS, with their results as Arrow.

Athena is asked to start, then how far it is, less and less often, and at last for the result, page by page. What a
statement costs is told by the bytes that it scanned.
"""

from __future__ import annotations

import datetime as dt
import decimal
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from attrs import field, frozen

from ocsflake import aws
from ocsflake.errors import ConfigError, LakeError, OcsflakeError
from ocsflake.retry import retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["AthenaResult", "run"]

T = TypeVar("T")

_FIRST_WAIT = 0.25
_LONGEST_WAIT = 5.0
_DONE = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})
_PAGE_ROWS = 1000  # the most that GetQueryResults gives
_TYPES = {
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "double": pa.float64(),
    "float": pa.float32(),
    "integer": pa.int32(),
    "real": pa.float32(),
    "smallint": pa.int16(),
    "timestamp": pa.timestamp("us"),
    "tinyint": pa.int8(),
}
"""Arrow types of Athena's; any other comes as the text that Athena makes of it."""


@frozen
class AthenaResult:
    """What Athena answered.

    Attributes:
        table: The rows. Lists, structs and maps are text, as Athena writes them.
        bytes_scanned: What it read, which is what it is paid for.
        milliseconds: How long the statement ran.
        query_execution_id: Its id, under which Athena keeps it.
        output_location: Where Athena left the result in S3, ``""`` if it keeps it itself.
        reused: Whether it is the result of an earlier run, for which nothing was read.
    """

    table: pa.Table = field(repr=lambda table: f"<{table.num_rows:,} rows>")
    bytes_scanned: int
    milliseconds: int
    query_execution_id: str
    output_location: str = ""
    reused: bool = False


def run(
    client: Any,
    sql: str,
    parameters: Sequence[object] = (),
    *,
    database: str,
    workgroup: str = "",
    output_location: str = "",
    sleep: Callable[[float], object] = time.sleep,
) -> AthenaResult:
    """Run a statement and return its result; `ocsflake.Lake.athena` is how it is called.

    Args:
        client: A boto3 client for Athena.
        sql: The statement, in Athena's dialect.
        parameters: What is bound to its ``?``, in order.
        database: Where tables are that the statement does not name the database of.
        workgroup: Athena's ``primary`` if it is not given.
        output_location: An ``s3://`` URI for the result; if it is not given, what the workgroup says.
        sleep: Waits some seconds.

    Raises:
        ConfigError: If Athena refuses the statement or a setting, or a parameter is of no kind that it takes.
        LakeError: If Athena fails, or a permission is missing, which the message names.
    """
    asked: dict[str, Any] = {"QueryString": sql, "QueryExecutionContext": {"Database": database}}
    if parameters:
        asked["ExecutionParameters"] = [_literal(value) for value in parameters]
    if workgroup:
        asked["WorkGroup"] = workgroup
    if output_location:
        asked["ResultConfiguration"] = {"OutputLocation": output_location}
    calls = _Calls(client, sleep)
    name = calls(lambda: client.start_query_execution(**asked))["QueryExecutionId"]
    try:
        execution = _ended(calls, name)
    except BaseException:
        with suppress(OcsflakeError):  # it would go on, and cost
            calls(lambda: client.stop_query_execution(QueryExecutionId=name))
        raise
    _check(execution, name)
    numbers = execution.get("Statistics", {})
    return AthenaResult(
        _table(calls, name),
        numbers.get("DataScannedInBytes", 0),
        numbers.get("TotalExecutionTimeInMillis", 0),
        name,
        execution.get("ResultConfiguration", {}).get("OutputLocation", ""),
        numbers.get("ResultReuseInformation", {}).get("ReusedPreviousResult", False),
    )


@frozen
class _Calls:
    """Calls Athena with patience; what boto3 raises becomes an error of ours."""

    client: Any
    sleep: Callable[[float], object]

    def __call__(self, call: Callable[[], T]) -> T:
        try:
            return retry(call, retryable=aws.seconds_to_wait, sleep=self.sleep)
        except Exception as error:
            found = aws.failure(error)
            if found is None:
                raise
            if found.code == "InvalidRequestException":
                raise ConfigError(f"Athena refuses the call: {found.message}") from error
            raise _failed(found) from error


def _failed(found: aws.Failure) -> LakeError | ConfigError:
    said = f"{found.code}: {found.message}" if found.message else found.code
    if found.kind == "no credentials":
        return ConfigError(f"Athena: there are no AWS credentials ({said}): set AWS_PROFILE, or give a session")
    if found.kind == "denied":
        return LakeError(f"Athena: the credentials may not do this ({said}): allow them athena:{found.action}")
    if found.kind == "unavailable":
        return LakeError(f"Athena cannot be reached, or asks to be left alone ({said}): run again later")
    return LakeError(f"Athena: {found.action or 'the call'} failed ({said})")


def _literal(value: object) -> str:
    """Return a parameter as Athena takes it: as a literal of its SQL."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | decimal.Decimal):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, dt.datetime):
        moment = value if value.tzinfo is None else value.astimezone(dt.UTC)
        return f"TIMESTAMP '{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}'"
    if isinstance(value, dt.date):
        return f"DATE '{value:%Y-%m-%d}'"
    raise ConfigError(f"parameter {value!r}: give text, a number, a truth value, a date or a time")


def _ended(calls: _Calls, name: str) -> dict[str, Any]:
    """Wait for a statement to end, and return what Athena tells about it."""
    wait = _FIRST_WAIT
    while True:
        answer = calls(lambda: calls.client.get_query_execution(QueryExecutionId=name))
        execution: dict[str, Any] = answer["QueryExecution"]
        if execution["Status"]["State"] in _DONE:
            return execution
        calls.sleep(wait)
        wait = min(wait * 1.5, _LONGEST_WAIT)


def _check(execution: dict[str, Any], name: str) -> None:
    """Raise if a statement did not succeed."""
    status = execution["Status"]
    if status["State"] == "SUCCEEDED":
        return
    fault = status.get("AthenaError", {})
    reason = status.get("StateChangeReason") or fault.get("ErrorMessage") or "no reason given"
    # 2 is what the user did wrong: https://docs.aws.amazon.com/athena/latest/ug/error-reference.html
    if fault.get("ErrorCategory") == 2:
        raise ConfigError(f"Athena: {reason} (query {name})")
    raise LakeError(f"Athena: query {name} was {status['State'].lower()}: {reason}", path=name)


def _pages(calls: _Calls, name: str) -> Iterator[dict[str, Any]]:
    asked: dict[str, Any] = {"QueryExecutionId": name, "MaxResults": _PAGE_ROWS}
    while True:
        answer: dict[str, Any] = calls(lambda: calls.client.get_query_results(**asked))
        yield answer["ResultSet"]
        if not answer.get("NextToken"):
            return
        asked["NextToken"] = answer["NextToken"]


def _table(calls: _Calls, name: str) -> pa.Table:
    batches: list[pa.RecordBatch] = []
    schema: pa.Schema | None = None
    for page in _pages(calls, name):
        rows = page.get("Rows", [])
        if schema is None:
            columns = page.get("ResultSetMetadata", {}).get("ColumnInfo", [])
            schema = pa.schema([(column["Name"], _type(column)) for column in columns])
            head = [cell.get("VarCharValue") for cell in rows[0]["Data"]] if rows else []
            if head == schema.names:  # a SELECT's first row; EXPLAIN and SHOW have none
                rows = rows[1:]
        cells = [[cell.get("VarCharValue") for cell in row.get("Data", [])] for row in rows]
        columns = zip(*cells, strict=True) if cells else ([] for _ in schema)
        arrays = [_array(values, kind) for values, kind in zip(columns, schema.types, strict=True)]
        batches.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return pa.Table.from_batches(batches, schema)


def _type(column: dict[str, Any]) -> pa.DataType:
    kind = column.get("Type", "varchar").lower()
    if kind == "decimal":
        return pa.decimal128(column.get("Precision") or 38, column.get("Scale") or 0)
    return _TYPES.get(re.sub(r"\(.*", "", kind), pa.string())


def _array(values: Sequence[str | None], kind: pa.DataType) -> pa.Array:
    texts = pa.array(values, pa.string())
    return texts if kind == pa.string() else pc.cast(texts, kind)
