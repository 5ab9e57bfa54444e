"""The command line on one page: every verb with what it takes."""

from __future__ import annotations

import argparse
import re
from importlib import metadata
from typing import TYPE_CHECKING

from ocsflake.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["parse", "parsers"]

_LONG_OPTION = re.compile(r"(--[A-Za-z][\w-]*)(?:=.*)?", re.DOTALL)
_VERSION_HELP = "OCSF version of the events (default: 1.1.0)"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the verb and its arguments.

    Raises:
        ConfigError: If there is no such verb or option; says what is near.
        SystemExit: After ``--help`` and ``--version``, and if argparse finds the call wrong.
    """
    parser, verbs = parsers()
    _check_names(arguments, verbs)
    return parser.parse_args(arguments)


def parsers() -> tuple[argparse.ArgumentParser, Mapping[str, argparse.ArgumentParser]]:
    """Return the parser of the command, and those of its verbs."""
    parser = argparse.ArgumentParser(
        prog="ocsflake",
        description="Security logs of AWS, Azure and Google Cloud as valid OCSF in a lake that SQL can query.",
        epilog="Exit code: 0 done, 1 the work found something wrong, 2 the call was wrong.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"ocsflake {metadata.version('ocsflake')}")
    group = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    verbs: dict[str, argparse.ArgumentParser] = {}

    def verb(name: str, purpose: str) -> argparse.ArgumentParser:
        verbs[name] = group.add_parser(name, help=purpose, description=purpose, allow_abbrev=False)
        return verbs[name]

    _add_list(verb("list", "Show the sources and mappers that are installed, and whether they load."))
    _add_map(verb("map", "Map raw logs to OCSF events, as JSON lines on stdout."))
    _add_validate(verb("validate", "Validate OCSF events: one JSON line a finding on stdout."))
    _add_run(verb("run", "Bring what is new in a source into a lake; a second run writes nothing twice."))
    _add_replay(verb("replay", "Map rejected records again; those that are rejected again stay."))
    _add_query(verb("query", "Run a SELECT over a lake, with DuckDB."))
    _add_doctor(verb("doctor", "Look a lake over, whoever wrote it: one finding a line."))
    _add_usage(verb("usage", "Show how much a lake holds, by source, class, account, Region or day."))
    _add_drift(verb("drift", "Show which raw paths mappers left in unmapped, how often and since when."))
    _add_report(verb("report", "Write a report on a lake: one page of HTML that needs nothing else."))
    _add_compact(verb("compact", "Merge the small objects of closed days into full ones."))
    _add_replicate(verb("replicate", "Copy what a roll-up lake does not have yet, under the same keys."))
    _add_subscribe(verb("subscribe", "Write the events of new objects that a queue tells of, as JSON lines."))
    _add_explain(verb("explain", "Show what fills each attribute; with a file, how often, and what is left over."))
    _add_coverage(verb("coverage", "Show which OCSF attributes a mapper fills or leaves out, and where raw values go."))
    _add_custom_sources(verb("custom-sources", "Plan or register the custom sources that Security Lake needs."))
    _add_scaffold(verb("scaffold", "Write a first mapper from a sample of a log of JSON records, to stdout."))
    _add_new_plugin(verb("new-plugin", "Write a distribution with a mapper of one's own, which passes its tests."))
    _add_demo(verb("demo", "Run the main job on the samples that ocsflake brings along."))
    return parser, verbs


def _add_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")


def _add_map(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("log_type", metavar="LOG_TYPE", help="picks the mapper, such as aws.cloudtrail")
    _add_files(parser, "a log, compressed or not; - is stdin")
    parser.add_argument("--ocsf-version", metavar="V", default="1.1.0", help=_VERSION_HELP)
    parser.add_argument("--rejects", metavar="FILE", help="write records that become no event there, as JSON lines")
    _add_care(parser)


def _add_validate(parser: argparse.ArgumentParser) -> None:
    _add_files(parser, "events as JSON lines or Parquet, compressed or not; - is stdin")
    parser.add_argument(
        "--ocsf-version", metavar="V", help="judge by this version, or by a schema export in a .json file"
    )


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="where records come from, such as files; see ocsflake list")
    parser.add_argument("--log-type", metavar="T", required=True, help="picks the mapper, such as aws.cloudtrail")
    parser.add_argument(
        "--option", metavar="K=V", action="append", default=[], help="what the source wants to know, such as uri=logs/"
    )
    _add_lake(parser)
    parser.add_argument("--rejects", metavar="DIR", help="folder for records that become no event (default: in LAKE)")
    parser.add_argument(
        "--max-drift",
        metavar="SHARE",
        type=float,
        help="end before a commit is published of which more records drifted: 0.05",
    )
    _add_care(parser)
    _add_bounds(parser)
    parser.add_argument("--since", metavar="WHEN", help="only events from then on: 7d, 12h, 2026-11-01T06:00Z")
    parser.add_argument("--until", metavar="WHEN", help="only events before then")
    parser.add_argument("--follow", action="store_true", help="go on waiting for what comes, until SIGINT or SIGTERM")
    parser.add_argument(
        "--workers", metavar="N", type=int, default=1, help="processes that read, map and write (default: 1)"
    )
    parser.add_argument(
        "--commit-seconds",
        metavar="S",
        type=float,
        default=0.0,
        help="with --follow, how long at most events gather before they are written, unless they fill objects before",
    )


def _add_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("rejects", metavar="REJECTS", help="the folder that a run was given as --rejects")
    _add_lake(parser)
    _add_care(parser)
    _add_bounds(parser)


def _add_bounds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--max-age", metavar="AGE", default="9125d", help="older events are rejects (default: 9125d)")
    parser.add_argument("--max-ahead", metavar="AGE", default="1d", help="the same for the future (default: 1d)")


def _add_care(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--redact",
        metavar="PATH",
        action="append",
        default=[],
        help="raw path whose value is never written: requestParameters.comment, **.email; may be given again",
    )
    parser.add_argument("--keep-secrets", action="store_true", help="write what the mapper redacts by itself, too")


def _add_lake(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--lake", metavar="ROOT", help="where to write: a directory, or s3://bucket/prefix")
    where.add_argument("--security-lake", action="store_true", help="write to Amazon Security Lake in the Region")
    parser.add_argument(
        "--region", metavar="R", default="us-east-1", help="AWS Region of the lake (default: us-east-1)"
    )
    parser.add_argument("--external-id", metavar="ID", default="", help="what the custom sources were registered with")
    parser.add_argument(
        "--naming", choices=["log_type", "class"], default="log_type", help="a source for each log type, or each class"
    )
    parser.add_argument("--ocsf-version", metavar="V", default="1.1.0", help=_VERSION_HELP)
    parser.add_argument("--checkpoints", metavar="FILE", help="what was read is remembered there (default: in LAKE)")
    parser.add_argument("--json", action="store_true", help="the report as one JSON object instead of a table")


def _add_query(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sql", metavar="SQL", help="one SELECT; views: a source, such as aws_cloudtrail_6003, or a class"
    )
    parser.add_argument(
        "--lake", metavar="ROOT", required=True, help="the lake to read: a directory, or s3://bucket/prefix"
    )
    parser.add_argument("--dialect", choices=["duckdb", "athena"], default="duckdb", help="whose SQL it is")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    _add_root(parser)
    parser.add_argument("--region", metavar="R", help="the AWS Region that all objects must be under")
    parser.add_argument("--json", action="store_true", help="one JSON object a finding")


def _add_usage(parser: argparse.ArgumentParser) -> None:
    _add_root(parser)
    parser.add_argument(
        "--by",
        metavar="NAMES",
        default="source,event_class",
        help="some of source, event_class, account, region, day (default: source,event_class)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a row instead of a table")


def _add_report(parser: argparse.ArgumentParser) -> None:
    _add_root(parser)
    parser.add_argument("--output", metavar="FILE", help="write the page there (default: stdout)")
    parser.add_argument("--since", metavar="WHEN", help="only days from then on: 30d, 2026-11-01")
    parser.add_argument("--rejects", metavar="DIR", help="the folder that runs were given as --rejects")


def _add_drift(parser: argparse.ArgumentParser) -> None:
    _add_root(parser)
    parser.add_argument("--since", metavar="WHEN", help="only paths that no day before has: 7d, 2026-11-01")
    parser.add_argument("--json", action="store_true", help="one JSON object a path instead of a table")


def _add_compact(parser: argparse.ArgumentParser) -> None:
    _add_root(parser)
    parser.add_argument("--before", metavar="DAY", help="only days before this one, such as 2026-11-01, in UTC")


def _add_replicate(parser: argparse.ArgumentParser) -> None:
    _add_root(parser)
    parser.add_argument("target", metavar="TARGET", help="the roll-up lake: a directory, or s3://bucket/prefix")


def _add_subscribe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("root", metavar="ROOT", help="the lake: s3://bucket, or s3://bucket/prefix")
    parser.add_argument("queue_url", metavar="QUEUE_URL", help="the queue of SQS that tells of its new objects")
    parser.add_argument("--follow", action="store_true", help="go on waiting for what comes, until SIGINT or SIGTERM")


def _add_root(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("root", metavar="ROOT", help="the lake: a directory, or s3://bucket/prefix")


def _add_explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("log_type", metavar="LOG_TYPE", help="such as aws.cloudtrail")
    _add_files(parser, "logs to count over", nargs="*")


def _add_coverage(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("log_type", metavar="LOG_TYPE", help="such as aws.cloudtrail")
    _add_files(parser, "logs to count over", nargs="*")
    parser.add_argument("--lake", metavar="ROOT", help="count over the events of a lake instead")
    parser.add_argument("--ocsf-version", metavar="V", default="1.1.0", help=_VERSION_HELP)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")


def _add_custom_sources(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", metavar="ACTION", choices=["plan", "apply"], help="plan, which asks only; or apply")
    parser.add_argument(
        "names",
        metavar="NAME",
        nargs="+",
        help="log types, such as aws.cloudtrail; or OCSF classes, with --naming class",
    )
    parser.add_argument(
        "--region", metavar="R", action="append", required=True, help="AWS Region of the lake; may be given again"
    )
    parser.add_argument("--provider", metavar="ACCOUNT", required=True, help="AWS account of who writes, 12 digits")
    parser.add_argument("--external-id", metavar="ID", required=True, help="what the roles of the writer will ask for")
    parser.add_argument("--crawler-role", metavar="ARN", required=True, help="role that the Glue crawlers act as")
    parser.add_argument(
        "--naming", choices=["log_type", "class"], default="log_type", help="a source for each log type, or each class"
    )
    parser.add_argument("--ocsf-version", metavar="V", default="1.1.0", help=_VERSION_HELP)
    parser.add_argument(
        "--without", metavar="CLASS", action="append", default=[], help="OCSF class to leave out; may be given again"
    )
    parser.add_argument("--json", action="store_true", help="the plan, or what was done, as one JSON object")


def _add_scaffold(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("log_type", metavar="LOG_TYPE", help="of the new mapper, such as acme.vpn")
    _add_files(parser, "a sample of the log, as JSON; - is stdin")
    parser.add_argument(
        "--class", dest="event_class", metavar="CLASS", required=True, help="OCSF class, such as authentication"
    )


def _add_new_plugin(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="of the distribution, such as acme-vpn; its log type is acme.vpn")
    parser.add_argument("folder", metavar="DIR", nargs="?", help="where to write it (default: a new folder NAME)")


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", metavar="DIR", nargs="?", help="where to put the lake (default: a new temporary folder)"
    )


def _add_files(parser: argparse.ArgumentParser, purpose: str, nargs: str = "+") -> None:
    parser.add_argument("files", metavar="FILE", nargs=nargs, help=purpose)


def _check_names(arguments: Sequence[str], verbs: Mapping[str, argparse.ArgumentParser]) -> None:
    """Raise for a verb or an option that does not exist, with the names that are near."""
    name = arguments[0] if arguments else ""
    if not name or name.startswith("-"):
        return
    if name not in verbs:
        raise ConfigError(f"there is no verb {name!r}{did_you_mean(name, verbs) or '; see ocsflake --help'}")
    known = [option for action in verbs[name]._actions for option in action.option_strings]
    for argument in arguments[1:]:
        if argument == "--":
            return
        option = _LONG_OPTION.fullmatch(argument)
        if option and option[1] not in known:
            near = did_you_mean(option[1], known) or f"; see ocsflake {name} --help"
            raise ConfigError(f"{name} has no option {option[1]!r}{near}")
