"""SQL over the tree of a lake, with DuckDB."""

from __future__ import annotations

import glob
import re
from collections import defaultdict
from typing import TYPE_CHECKING

from ocsflake.errors import ConfigError, LakeError, MissingExtraError, did_you_mean
from ocsflake.lake.layout import glue_database, glue_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import duckdb
    import pyarrow as pa

    from ocsflake.lake.sink import CustomSource

__all__ = ["query"]

_DIALECTS = ("athena", "duckdb")
# DuckDB would make numbers of accounts and days, and an account would lose its leading zeros.
_HIVE_TYPES = "{'region': VARCHAR, 'accountId': VARCHAR, 'eventDay': VARCHAR}"
_SOURCE = r"([^/\\]+)[/\\]region=[^/\\]+[/\\]accountId=[^/\\]+[/\\]eventDay=[^/\\]+[/\\][^/\\]+$"
_MISSING = re.compile(r"with name (\S+) does not exist")


def query(root: Path, sources: Sequence[CustomSource], sql: str, *, dialect: str = "duckdb") -> pa.Table:
    """Run one statement that reads over the custom sources of a directory; `ocsflake.Lake.query` says what it sees.

    Raises:
        ConfigError: If the statement or the dialect is wrong.
        LakeError: If there is nothing to query yet, or an object cannot be read.
        MissingExtraError: If DuckDB or sqlglot is not installed.
    """
    try:
        import duckdb
        import sqlglot  # noqa: F401 - said now, not at the first statement in Athena's dialect
    except ImportError as error:
        raise MissingExtraError("queries need DuckDB and sqlglot: pip install 'ocsflake[query]'") from error

    if dialect not in _DIALECTS:
        raise ConfigError(f"dialect {dialect!r}: give 'duckdb' or 'athena'{did_you_mean(dialect, _DIALECTS)}")
    if not sources:
        raise LakeError(f"{root} holds no events yet: write some into it first", path=str(root))
    statement = _from_athena(sql) if dialect == "athena" else sql
    views = _views(root, sources)
    with duckdb.connect(":memory:") as connection:
        try:
            _prepare(connection, root, _named_in(statement, views))
        except duckdb.Error as error:
            raise LakeError(f"{root}: an object cannot be read: {error}", path=str(root)) from error
        try:
            _check_reads(connection, statement)
            return connection.sql(statement).to_arrow_table()
        except (
            duckdb.ProgrammingError,
            duckdb.DataError,
            duckdb.NotSupportedError,
            duckdb.PermissionException,
        ) as error:
            raise ConfigError(_explained(str(error), views)) from error
        except duckdb.Error as error:
            raise LakeError(f"{root}: {error}", path=str(root)) from error


def _prepare(connection: duckdb.DuckDBPyConnection, root: Path, views: Mapping[str, str]) -> None:
    """Make the views, and lock DuckDB up: it reads below the lake and nowhere else, and installs nothing."""
    allowed = ", ".join(_quoted(f"{path}/ext/") for path in (root, glob.escape(str(root))))
    connection.execute(
        f"""
        SET autoinstall_known_extensions = false;
        SET autoload_known_extensions = false;
        SET allow_community_extensions = false;
        SET allowed_directories = [{allowed}];
        SET enable_external_access = false;
        """
    )
    for view in views.values():
        connection.execute(view)
    connection.execute("SET lock_configuration = true")


def _views(root: Path, sources: Sequence[CustomSource]) -> dict[str, str]:
    """Return the SQL that makes each view, by the view's own name."""
    views: dict[str, str] = {}
    of_class: dict[str, list[str]] = defaultdict(list)
    for source in sources:
        below = glob.escape(str(root / "ext" / source.name))
        files = "accountId=*/eventDay=*/*.parquet"
        views[source.name.lower()] = _view(_identifier(source.name), [f"{below}/region=*/{files}"])
        for region in source.regions:
            database, table = glue_database(region), glue_table(region, source.name)
            view = _view(
                f"{_identifier(database)}.{_identifier(table)}", [f"{below}/region={glob.escape(region)}/{files}"]
            )
            views[table] = f"CREATE SCHEMA IF NOT EXISTS {_identifier(database)}; {view}"
        if source.event_class:
            of_class[source.event_class.rpartition("/")[2]].append(f"{below}/region=*/{files}")
    for name, globs in of_class.items():
        views[name] = _view(_identifier(name), globs, source=True)
    return views


def _view(name: str, globs: Sequence[str], *, source: bool = False) -> str:
    files = ", ".join(map(_quoted, globs))
    hidden, shown = '"region", "accountId", "eventDay"', ""
    if source:
        hidden = f'{hidden}, "filename"'
        shown = f', regexp_extract("filename", {_quoted(_SOURCE)}, 1) AS "source"'
    columns = f'* EXCLUDE ({hidden}), "region", "accountId" AS "accountid", "eventDay" AS "eventday"{shown}'
    options = f"union_by_name = true, hive_partitioning = true, hive_types = {_HIVE_TYPES}"
    table = f"read_parquet([{files}], {options}, filename = {str(source).lower()})"
    return f"CREATE VIEW {name} AS SELECT {columns} FROM {table}"  # noqa: S608 - all names and texts are quoted


def _named_in(sql: str, views: Mapping[str, str]) -> Mapping[str, str]:
    """Return the views whose names stand in the statement, all if none does; a view costs a look at all its files."""
    text = sql.lower()
    return {name: view for name, view in views.items() if name in text} or views


def _check_reads(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    kinds = [statement.type.name for statement in connection.extract_statements(sql)]
    if kinds not in (["SELECT"], ["EXPLAIN"]):
        raise ConfigError(f"a query is one SELECT or EXPLAIN statement; this is {' and '.join(kinds) or 'none'}")


def _from_athena(sql: str) -> str:
    import sqlglot

    try:
        return ";\n".join(sqlglot.transpile(sql, read="athena", write="duckdb"))
    except sqlglot.errors.SqlglotError as error:
        raise ConfigError(f"Athena's dialect: {error}") from error


def _explained(message: str, views: Mapping[str, str]) -> str:
    """Return DuckDB's message, with names of ours in place of its own guess when a view is missing."""
    missing = _MISSING.search(message)
    if not missing:
        return message
    near = did_you_mean(missing[1].lower(), views)
    return f"{message.splitlines()[0].rstrip('!')}{near}\nviews of this lake: {', '.join(sorted(views))}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
