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

    import pyarrow as pa

    from ocsflake.lake.sink import CustomSource

__all__ = ["query"]

_DIALECTS = ("athena", "duckdb")
# DuckDB would make numbers of accounts and days, and an account would lose its leading zeros.
_HIVE_TYPES = "{'region': VARCHAR, 'accountId': VARCHAR, 'eventDay': VARCHAR}"
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
    try:
        try:
            return _run(root, views, statement)
        except duckdb.InternalException:
            # DuckDB 2.0.0 fails to read a part of a struct that some files lack (duckdb/duckdb#24253).
            return _run(root, views, statement, without="unused_columns")
    except (
        duckdb.ProgrammingError,
        duckdb.DataError,
        duckdb.NotSupportedError,
        duckdb.PermissionException,
    ) as error:
        raise ConfigError(_explained(str(error), views)) from error
    except duckdb.Error as error:
        raise LakeError(f"{root}: {error}", path=str(root)) from error


def _run(root: Path, views: Mapping[str, str], sql: str, *, without: str = "") -> pa.Table:
    """Run a statement in a DuckDB that reads below the lake and nowhere else, and installs nothing."""
    import duckdb

    allowed = ", ".join(_quoted(f"{path}/ext/") for path in (root, glob.escape(str(root))))
    with duckdb.connect(":memory:") as connection:
        connection.execute(
            f"""
            SET autoinstall_known_extensions = false;
            SET autoload_known_extensions = false;
            SET allow_community_extensions = false;
            SET allowed_directories = [{allowed}];
            SET enable_external_access = false;
            SET disabled_optimizers = {_quoted(without)};
            """
        )
        try:
            for view in _named_in(sql, views).values():
                connection.execute(view)
        except duckdb.Error as error:
            raise LakeError(f"{root}: an object cannot be read: {error}", path=str(root)) from error
        connection.execute("SET lock_configuration = true")
        kinds = [statement.type.name for statement in connection.extract_statements(sql)]
        if kinds not in (["SELECT"], ["EXPLAIN"]):
            raise ConfigError(f"a query is one SELECT or EXPLAIN; this is {' and '.join(kinds) or 'none'}")
        return connection.sql(sql).to_arrow_table()


def _views(root: Path, sources: Sequence[CustomSource]) -> dict[str, str]:
    """Return the SQL that makes each view, by the view's own name."""
    views: dict[str, str] = {}
    classes: dict[str, list[str]] = defaultdict(list)
    for source in sources:
        folder = glob.escape(str(root / "ext" / source.name))
        view = f"CREATE VIEW {_identifier(source.name)} AS "
        views[source.name.lower()] = view + _select(f"{folder}/region=*")
        for region in source.regions:
            database, table = _identifier(glue_database(region)), glue_table(region, source.name)
            views[table] = (
                f"CREATE SCHEMA IF NOT EXISTS {database}; CREATE VIEW {database}.{_identifier(table)} AS "
                + _select(f"{folder}/region={glob.escape(region)}")
            )
        if source.event_class:
            name = source.event_class.rpartition("/")[2]
            classes[name].append(_select(f"{folder}/region=*", f', {_quoted(source.name)} AS "source"'))
    for name, parts in classes.items():
        views[name] = f"CREATE VIEW {_identifier(name)} AS {' UNION ALL BY NAME '.join(parts)}"
    return views


def _select(folder: str, also: str = "") -> str:
    files = _quoted(f"{folder}/accountId=*/eventDay=*/*.parquet")
    columns = (
        '* EXCLUDE ("region", "accountId", "eventDay"), "region", "accountId" AS "accountid", "eventDay" AS "eventday"'
    )
    options = f"union_by_name = true, hive_partitioning = true, hive_types = {_HIVE_TYPES}"
    return f"SELECT {columns}{also} FROM read_parquet({files}, {options})"  # noqa: S608 - all texts are quoted


def _named_in(sql: str, views: Mapping[str, str]) -> Mapping[str, str]:
    """Return the views whose names stand in the statement, all if none does; a view costs a look at all its files."""
    text = sql.lower()
    return {name: view for name, view in views.items() if name in text} or views


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
