"""SQL over the tree of a lake, with DuckDB."""

from __future__ import annotations

import glob
import re
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from ocsflake.errors import ConfigError, LakeError, MissingExtraError, did_you_mean
from ocsflake.lake.layout import glue_database, glue_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from ocsflake.errors import OcsflakeError
    from ocsflake.lake.storage import Storage
    from ocsflake.model import CustomSource

__all__ = ["query"]

_DIALECTS = ("athena", "duckdb")
# DuckDB would make numbers of accounts and days, and an account would lose its leading zeros.
_HIVE_TYPES = "{'region': VARCHAR, 'accountId': VARCHAR, 'eventDay': VARCHAR}"
_BROKEN_STREAM = "reading the stream registered as"
"""What DuckDB says when a dataset fails."""
_MISSING = re.compile(r"with name (\S+) does not exist")


def query(
    root: Path | str, storage: Storage, sources: Sequence[CustomSource], sql: str, *, dialect: str = "duckdb"
) -> pa.Table:
    """Run one statement that reads over the custom sources of a lake; `ocsflake.Lake.query` says what it sees.

    DuckDB reads a directory by itself; of any other storage it gets Arrow datasets.

    Args:
        root: The lake's directory, or its URI.
        storage: Where its objects are kept.
        sources: What to make views of.
        sql: The statement.
        dialect: ``duckdb`` or ``athena``.

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
    views = _views(sources)
    errors: list[OcsflakeError] = []
    run = partial(_run, root, storage, views, statement, errors)
    try:
        try:
            return run()
        except duckdb.InternalException:
            # DuckDB 2.0.0 fails to read a part of a struct that some files lack (duckdb/duckdb#24253).
            return run(without="unused_columns")
    except (
        duckdb.ProgrammingError,
        duckdb.DataError,
        duckdb.NotSupportedError,
        duckdb.PermissionException,
    ) as error:
        if errors:
            first = errors[0]
            errors.clear()  # the datasets have them too, and would live on in a circle
            raise first from error
        if _BROKEN_STREAM in str(error):
            raise LakeError(f"{root}: an object cannot be read: {error}", path=str(root)) from error
        raise ConfigError(_explained(str(error), views)) from error
    except duckdb.Error as error:
        raise LakeError(f"{root}: {error}", path=str(root)) from error


@frozen
class _View:
    """A view of the objects of some custom sources.

    Attributes:
        sql: What begins the statement that makes it.
        sources: Whose objects it has.
        region: The lake Region that its objects are kept under, ``""`` for all.
        named: Whether it has a column ``source``.
    """

    sql: str
    sources: tuple[CustomSource, ...]
    region: str = ""
    named: bool = False


def _run(
    root: Path | str,
    storage: Storage,
    views: Mapping[str, _View],
    sql: str,
    errors: list[OcsflakeError],
    *,
    without: str = "",
) -> pa.Table:
    """Run a statement in a DuckDB that reads below the lake and nowhere else, and installs nothing."""
    import duckdb

    folders = {f"{root}/ext/", f"{glob.escape(str(root))}/ext/"} if isinstance(root, Path) else set()
    allowed = ", ".join(map(_quoted, sorted(folders)))
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
            tables = _Files(root) if isinstance(root, Path) else _Datasets(storage, connection, errors)
            for view in _named_in(sql, views).values():
                if parts := [part for source in view.sources for part in _selects(tables, source, view)]:
                    connection.execute(view.sql + " UNION ALL BY NAME ".join(parts))
        except duckdb.Error as error:
            raise LakeError(f"{root}: an object cannot be read: {error}", path=str(root)) from error
        connection.execute("SET lock_configuration = true")
        kinds = [statement.type.name for statement in connection.extract_statements(sql)]
        if kinds not in (["SELECT"], ["EXPLAIN"]):
            raise ConfigError(f"a query is one SELECT or EXPLAIN; this is {' and '.join(kinds) or 'none'}")
        return connection.sql(sql).to_arrow_table()


def _views(sources: Sequence[CustomSource]) -> dict[str, _View]:
    """Return the views by their own names."""
    views: dict[str, _View] = {}
    classes: dict[str, list[CustomSource]] = defaultdict(list)
    for source in sources:
        views[source.name.lower()] = _View(f"CREATE VIEW {_identifier(source.name)} AS ", (source,))
        for region in source.regions:
            database, table = _identifier(glue_database(region)), glue_table(region, source.name)
            made = f"CREATE SCHEMA IF NOT EXISTS {database}; CREATE VIEW {database}.{_identifier(table)} AS "
            views[table] = _View(made, (source,), region)
        if source.event_class:
            classes[source.event_class.rpartition("/")[2]].append(source)
    for name, members in classes.items():
        views[name] = _View(f"CREATE VIEW {_identifier(name)} AS ", tuple(members), named=True)
    return views


def _selects(tables: _Files | _Datasets, source: CustomSource, view: _View) -> Iterator[str]:
    columns = (
        '* EXCLUDE ("region", "accountId", "eventDay"), "region", "accountId" AS "accountid", "eventDay" AS "eventday"'
    )
    also = f', {_quoted(source.name)} AS "source"' if view.named else ""
    where = f" WHERE region = {_quoted(view.region)}" if view.region else ""
    for table in tables.of(source, view.region):
        yield f"SELECT {columns}{also} FROM {table}{where}"  # noqa: S608 - all texts are quoted


@frozen
class _Files:
    """The objects of a directory, which DuckDB reads by itself."""

    root: Path

    def of(self, source: CustomSource, region: str) -> Sequence[str]:
        """Return what to select from for one custom source."""
        folder = glob.escape(f"{self.root}/{source.location}")
        files = _quoted(f"{folder}region={glob.escape(region) or '*'}/accountId=*/eventDay=*/*.parquet")
        return [f"read_parquet({files}, union_by_name = true, hive_partitioning = true, hive_types = {_HIVE_TYPES})"]


@frozen
class _Datasets:
    """The objects of any storage, as Arrow datasets that are known to a connection by name."""

    storage: Storage
    connection: Any
    errors: list[OcsflakeError]
    _names: dict[str, list[str]] = field(factory=dict, init=False)

    def of(self, source: CustomSource, region: str) -> Sequence[str]:  # noqa: ARG002 - it has all Regions
        """Return what to select from for one custom source."""
        from ocsflake.lake.dataset import datasets

        if source.location not in self._names:
            found = datasets(self.storage, source.location, self.errors)
            names = [f"{source.name}.{number}" for number in range(len(found))]
            for name, dataset in zip(names, found, strict=True):
                self.connection.register(name, dataset)
            self._names[source.location] = [_identifier(name) for name in names]
        return self._names[source.location]


def _named_in(sql: str, views: Mapping[str, _View]) -> Mapping[str, _View]:
    """Return the views whose names stand in the statement, all if none does; a view costs a look at all its files."""
    text = sql.lower()
    return {name: view for name, view in views.items() if name in text} or views


def _from_athena(sql: str) -> str:
    import sqlglot

    try:
        return ";\n".join(sqlglot.transpile(sql, read="athena", write="duckdb"))
    except sqlglot.errors.SqlglotError as error:
        raise ConfigError(f"Athena's dialect: {error}") from error


def _explained(message: str, views: Mapping[str, _View]) -> str:
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
