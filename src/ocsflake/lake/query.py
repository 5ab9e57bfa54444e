"""SQL over the tree of a lake, with DuckDB.

A statement is looked at first: objects of partitions that it leaves out are not opened, and the views are made of what
it names (`ocsflake.lake.views`).
"""

from __future__ import annotations

import glob
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen

from ocsflake import ocsf
from ocsflake.errors import ConfigError, LakeError, MissingExtraError, did_you_mean
from ocsflake.lake.columns import quoted
from ocsflake.lake.dialect import MACROS, from_athena
from ocsflake.lake.native_tables import NATIVE_TABLES, native_name
from ocsflake.lake.reading import reading
from ocsflake.lake.relations import Asked, relations
from ocsflake.lake.views import View, create, views

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from ocsflake.errors import OcsflakeError
    from ocsflake.lake.relations import Parameters
    from ocsflake.lake.storage import Storage
    from ocsflake.model import CustomSource

__all__ = ["Query", "query"]

_DIALECTS = ("athena", "duckdb")
_BROKEN_STREAM = "reading the stream registered as"
"""What DuckDB says when a dataset fails."""
_MISSING = re.compile(r"with name (\S+) does not exist")


@frozen
class Query:
    """A statement with its parameters, for `ocsflake.Lake.query`; `ocsflake.queries` has some.

    Attributes:
        name: What it is called.
        sql: The statement, in DuckDB's dialect; ``$name`` stands for a parameter.
        parameters: Their values, by name. They are bound, and never become part of the text.
        classes: OCSF names of the event classes that it reads. Those of which a lake has no events are empty, as long
            as it has some of one.
        key: The columns that tell one row of the result from all others.
    """

    name: str
    sql: str = field(repr=False)
    parameters: Mapping[str, object] = field(factory=dict)
    classes: tuple[str, ...] = ()
    key: tuple[str, ...] = ()


@frozen
class _Lake:
    """What is queried.

    Attributes:
        root: The directory, or the URI.
        storage: Where its objects are kept.
        sources: The custom sources that have objects.
        region: The lake's own.
        ocsf_version: Whose names attributes have.
    """

    root: Path | str
    storage: Storage
    sources: Sequence[CustomSource]
    region: str
    ocsf_version: str


def query(
    root: Path | str,
    storage: Storage,
    sources: Sequence[CustomSource],
    sql: str | Query,
    parameters: Parameters = None,
    *,
    dialect: str = "duckdb",
    region: str = "us-east-1",
    ocsf_version: str = ocsf.DEFAULT_VERSION,
) -> pa.Table:
    """Run one statement that reads over the custom sources of a lake; `ocsflake.Lake.query` says what it sees.

    DuckDB reads a directory by itself; of any other storage it gets Arrow datasets.

    Args:
        root: The lake's directory, or its URI.
        storage: Where its objects are kept.
        sources: What to make views of.
        sql: The statement.
        parameters: Of the statement.
        dialect: ``duckdb`` or ``athena``.
        region: The lake's own.
        ocsf_version: Whose attributes are NULL where no object has them.

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
    asked = sql if isinstance(sql, Query) else Query("", sql)
    lake = _Lake(root, storage, sources, region, ocsf_version)
    known = views(sources, region)
    _check_classes(lake, asked, known)
    given = asked.parameters if isinstance(sql, Query) else parameters
    statement = from_athena(asked.sql) if dialect == "athena" else asked.sql
    errors: list[OcsflakeError] = []
    run = partial(_run, lake, known, asked.classes, statement, given, errors)
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
            message = f"{root}: an object cannot be read, `ocsflake doctor` names it: {error}"
            raise LakeError(message, path=str(root)) from error
        raise ConfigError(_explained(str(error), known, lake)) from error
    except duckdb.Error as error:
        raise LakeError(f"{root}: {error}", path=str(root)) from error


def _check_classes(lake: _Lake, asked: Query, known: Mapping[str, View]) -> None:
    if asked.classes and not any(name in known for name in asked.classes):
        held = ", ".join(sorted(view.name for view in known.values() if view.united))
        raise LakeError(
            f"{lake.root}: {asked.name} reads events of {' and '.join(asked.classes)}, and this lake has none; it holds"
            f" {held or 'no class that is known'}",
            path=str(lake.root),
        )


def _run(
    lake: _Lake,
    known: Mapping[str, View],
    classes: Sequence[str],
    sql: str,
    parameters: Parameters,
    errors: list[OcsflakeError],
    *,
    without: str = "",
) -> pa.Table:
    """Run a statement in a DuckDB that reads below the lake and nowhere else, and installs nothing."""
    import duckdb

    root = lake.root
    folders = {f"{root}/ext/", f"{glob.escape(str(root))}/ext/"} if isinstance(root, Path) else set()
    allowed = ", ".join(map(quoted, sorted(folders)))
    with duckdb.connect(":memory:") as connection:
        connection.execute(
            f"""
            SET autoinstall_known_extensions = false;
            SET autoload_known_extensions = false;
            SET allow_community_extensions = false;
            SET allowed_directories = [{allowed}];
            SET enable_external_access = false;
            SET disabled_optimizers = {quoted(without)};
            SET parquet_metadata_cache = true;
            SET python_enable_replacements = false;
            SET TimeZone = 'UTC';
            {MACROS if "ocsflake_ip" in sql.lower() else ""}
            """
        )
        read = reading(sql)
        wanted = dict(_named_in(sql, known))
        wanted |= {name: View(name, (), event_class=name, united=True) for name in classes if name not in known}
        try:
            question = Asked(connection, lake.storage, read, parameters, errors)
            made = {name: list(relations(question, lake.root, view)) for name, view in wanted.items()}
            wanted = {name: view for name, view in wanted.items() if made[name] or name not in known}
            for statement in create(wanted, made, read, lake.ocsf_version):
                connection.execute(statement)
        except duckdb.InternalException:
            raise
        except duckdb.Error as error:
            message = f"{root}: an object cannot be read, `ocsflake doctor` names it: {error}"
            raise LakeError(message, path=str(root)) from error
        connection.execute("SET lock_configuration = true")
        kinds = [statement.type.name for statement in connection.extract_statements(sql)]
        if kinds not in (["SELECT"], ["EXPLAIN"]):
            raise ConfigError(f"a query is one SELECT or EXPLAIN; this is {' and '.join(kinds) or 'none'}")
        return connection.sql(sql, params=parameters).to_arrow_table()


def _named_in(sql: str, views: Mapping[str, View]) -> Mapping[str, View]:
    """Return the views whose names stand in the statement, all but Security Lake's own if none does."""
    text = sql.lower()
    named = {name: view for name, view in views.items() if name in text or name.replace('"', '""') in text}
    return named or {name: view for name, view in views.items() if view.native is None}


def _explained(message: str, known: Mapping[str, View], lake: _Lake) -> str:
    """Return DuckDB's message, with names of ours in place of its own guess when a view is missing."""
    missing = _MISSING.search(message)
    if not missing:
        return message
    name = missing[1].strip('"').rpartition(".")[2].lower()
    shown = ", ".join(sorted(view.name for view in known.values() if not view.database))
    databases = ", ".join(sorted({view.database for view in known.values() if view.database}))
    return (
        f"{message.splitlines()[0].rstrip('!')}{_why_missing(name, known, lake)}\nviews of this lake: {shown}; and the"
        f" tables of {databases}"
    )


def _why_missing(name: str, known: Mapping[str, View], lake: _Lake) -> str:
    if name in ocsf.load(lake.ocsf_version).classes:
        return f"; it is a class of OCSF {lake.ocsf_version}, of which this lake has no events"
    for region in {lake.region, *(each for source in lake.sources for each in source.regions)}:
        for table in NATIVE_TABLES.values():
            if name == native_name(region, table.name):
                return f"; it has events of {table.log_type}, and this lake has none from {region}"
    return did_you_mean(name, known)
