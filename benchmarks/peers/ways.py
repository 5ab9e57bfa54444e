"""One peer, one time: read the gzip files of a log, map them to OCSF, write Parquet by account and day.

    python ways.py WAY LOG_TYPE FOLDER OUT

`compare.py` runs each in a process of its own, on one core or on all that the process may use, and takes the figures
from the line of JSON that it prints. The few logs in FOLDER/warm are run first and do not count, so that those in
FOLDER/logs find everything imported and compiled, as in a service that runs on; a program of its own, which Tenzir is,
starts anew. CPU is that of the process and its children.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import shutil
import string
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ocsflake.mappers.aws import cloudtrail as table
from ocsflake.mappers.aws import vpc_flow as flow
from ocsflake.mappers.gcp import audit
from ocsflake.mappers.gcp._audit_log import CODES

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
CORES = len(os.sched_getaffinity(0))
PREFIXES = sorted(table.OPERATION, key=len, reverse=True)
LATER = {
    "pkt_src": "pkt-srcaddr",
    "pkt_dst": "pkt-dstaddr",
    "direction": "flow-direction",
    "flags": "tcp-flags",
    "path": "traffic-path",
    "region_name": "region",
    "az": "az-id",
    "vpc": "vpc-id",
    "subnet": "subnet-id",
    "instance": "instance-id",
    "src_service": "pkt-src-aws-service",
    "dst_service": "pkt-dst-aws-service",
}
CLASSES = {"aws.vpc_flow": "network_activity", "gcp.audit": "api_activity", "azure.signin": "authentication"}
"""The class of each log type that has one."""
KEPT = 1_000
"""Events that the slowest peer is given; its time is multiplied."""


@frozen
class Logs:
    """What is to be mapped, and where to.

    Attributes:
        log_type: The log type.
        folder: The folder of the files.
        files: The files.
        out: A folder that is not there yet.
    """

    log_type: str
    folder: Path
    files: list[Path]
    out: Path


def ocsflake(logs: Logs) -> int:
    import ocsflake as library
    from ocsflake.checkpoints import MemoryCheckpoints

    source = library.source("files", log_type=logs.log_type, uri=str(logs.folder))
    return library.run(source, library.Lake(logs.out), checkpoints=MemoryCheckpoints()).counts.written


def plain(logs: Logs) -> int:
    import baseline

    return baseline.write(logs.log_type, logs.files, logs.out)


def duckdb(logs: Logs) -> int:
    import duckdb as library

    logs.out.mkdir(parents=True, exist_ok=True)
    with library.connect() as connection:
        connection.execute(f"SET threads = {CORES}")
        connection.execute("SET preserve_insertion_order = true")
        if logs.log_type == "aws.cloudtrail":
            lines = [str(path) for path in _split(logs.files, logs.out)]
            filled = _filled("cloudtrail.sql", files=_sql(lines), out=_sql(str(logs.out / "lake")))
        elif logs.log_type != "aws.vpc_flow":
            name, files = f"{_stem(logs.log_type)}.sql", [str(path) for path in logs.files]
            filled = _filled(name, files=_sql(files), out=_sql(str(logs.out / "lake")))
        else:
            names = _header(logs.files[0])
            later = ", ".join(
                f'"{column}" AS {name}' if column in names else f"NULL::VARCHAR AS {name}"
                for name, column in LATER.items()
            )
            filled = _filled(
                "vpc_flow.sql",
                files=_sql([str(path) for path in logs.files]),
                out=_sql(str(logs.out / "lake")),
                columns=_sql(dict.fromkeys(names, "VARCHAR")),
                later=later,
            )
        connection.execute(filled)
        [(count,)] = connection.fetchall()
        return int(count)


def polars(logs: Logs) -> int:
    import in_polars

    if logs.log_type == "aws.cloudtrail":
        return in_polars.cloudtrail(_split(logs.files, logs.out), logs.out / "lake")
    mapped = {"aws.vpc_flow": in_polars.vpc_flow, "gcp.audit": in_polars.gcp_audit}
    return mapped.get(logs.log_type, in_polars.azure_signin)(logs.files, logs.out / "lake")


def tenzir(logs: Logs) -> int:
    name = f"{_stem(logs.log_type)}.tql"
    logs.out.mkdir(parents=True)
    pipeline = logs.out / "pipeline.tql"
    pipeline.write_text(
        _filled(name, files=json.dumps(f"{logs.folder}/**.gz"), out=json.dumps(f"{logs.out}/lake/**.parquet"))
    )
    program = Path(sys.executable).with_name("tenzir")
    done = subprocess.run([program, "-f", pipeline], capture_output=True, text=True, check=False)
    if done.returncode or "error" in done.stderr:
        raise SystemExit(f"tenzir: {done.stdout}{done.stderr}"[:2000])
    return -1  # it does not say


def pyvrl(logs: Logs) -> int:
    import pyvrl as library

    form, first = "", 0
    if logs.log_type == "aws.vpc_flow":
        names, first = _header(logs.files[0]), 1
        if len(names) != len(flow.DEFAULT):
            form = f', format: "{" ".join(name.replace("-", "_") for name in names)}"'
    transform = library.Transform(_filled(f"{_stem(logs.log_type)}.vrl", format=form))
    events = (transform.remap({"message": line}) for path in logs.files for line in _lines(path)[first:])
    return _write(logs.log_type, CLASSES[logs.log_type], events, logs.out)


def ocsf_mapper(logs: Logs) -> int:
    from ocsf_mapper import apply_stream_with_class

    config = json.loads(_filled(f"{_stem(logs.log_type)}.ocsf-mapper.json"))
    files = _split(logs.files, logs.out) if logs.log_type == "aws.cloudtrail" else logs.files
    lines = (line for path in files for line in _lines(path))
    found: dict[str, list[Any]] = {}
    for event, event_class in apply_stream_with_class(config, lines):
        found.setdefault(event_class, []).append(event)
    return sum(_write(logs.log_type, event_class, events, logs.out) for event_class, events in found.items())


def ocsfkit(logs: Logs) -> int:
    from ocsfkit.mapping import apply_mapping

    mapping = json.loads((HERE / "vpc_flow.ocsfkit.json").read_text())
    names = _header(logs.files[0])
    lines = _lines(logs.files[0])[1 : KEPT + 1]
    events = (
        apply_mapping({n: v for n, v in zip(names, line.split(" "), strict=True) if v != "-"}, mapping).event
        for line in lines
    )
    return _write(logs.log_type, "network_activity", events, logs.out)


WAYS: dict[str, Callable[[Logs], int]] = {
    "ocsflake": ocsflake,
    "plain": plain,
    "duckdb": duckdb,
    "polars": polars,
    "tenzir": tenzir,
    "pyvrl": pyvrl,
    "ocsf-mapper": ocsf_mapper,
    "ocsfkit": ocsfkit,
}


def _write(log_type: str, event_class: str, events: Any, out: Path) -> int:
    """Write events that are dicts, with the columns of ocsflake, as `baseline` does."""
    from collections import defaultdict

    import pyarrow as pa
    import pyarrow.parquet as pq

    from ocsflake.registry import mapper

    given = mapper(log_type).schema(event_class)
    schema = pa.schema([each.with_nullable(True) for each in given])
    partitions: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for event in events:
        day = time.strftime("%Y%m%d", time.gmtime(event["time"] // 1000))
        partitions[event["cloud"]["account"]["uid"], day].append(event)
    for (account, day), found in partitions.items():
        rows = pa.Table.from_pylist(sorted(found, key=lambda event: event["time"]), schema=schema)
        folder = out / "lake" / event_class / f"accountId={account}" / f"eventDay={day}"
        folder.mkdir(parents=True)
        pq.write_table(rows, folder / "events.parquet", compression="zstd", compression_level=1)
    return sum(map(len, partitions.values()))


def _split(files: list[Path], out: Path) -> list[Path]:
    """Write the records of documents as JSON lines, which peers read that cannot take documents apart fast."""
    import msgspec
    from isal import igzip

    decoder = msgspec.json.Decoder(dict[str, list[msgspec.Raw]])
    folder = out / "lines"
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number, path in enumerate(files):
        records = decoder.decode(igzip.decompress(path.read_bytes()))["Records"]
        made.append(folder / f"{number}.json")
        made[-1].write_bytes(b"\n".join(records))
    return made


def _stem(log_type: str) -> str:
    """Return how the files of a log type in this folder are called."""
    return log_type.removeprefix("aws.").replace(".", "_")


def _lines(path: Path) -> list[str]:
    from isal import igzip

    data = path.read_bytes()
    return (igzip.decompress(data) if path.suffix == ".gz" else data).decode().removesuffix("\n").split("\n")


def _header(path: Path) -> list[str]:
    with gzip.open(path, "rt") as text:
        return text.readline().split()


def _filled(name: str, **more: str) -> str:
    """Return a file of this folder with paths and rules in it."""
    given = {
        "sign_in": _sql(list(table.SIGN_IN))[1:-1],
        "account_change": _sql(list(table.ACCOUNT_CHANGE))[1:-1],
        "identity_services": _sql(list(table.IDENTITY_SERVICES))[1:-1],
        "sign_in_map": _map(table.SIGN_IN),
        "account_change_map": _map(table.ACCOUNT_CHANGE),
        "operation_map": _map(table.OPERATION),
        "user_type_map": _map(table.USER_TYPE),
        "protocol_map": _map(flow.PROTOCOL),
        "prefixes": "|".join(PREFIXES),
        "sign_in_record": json.dumps(table.SIGN_IN),
        "account_change_record": json.dumps(table.ACCOUNT_CHANGE),
        "identity_services_list": json.dumps(list(table.IDENTITY_SERVICES)),
        "user_type_record": json.dumps(table.USER_TYPE),
        "protocol_record": json.dumps(flow.PROTOCOL),
        "operation_rules": _rules("eventName", table.OPERATION),
        "sign_in_names": json.dumps(list(table.SIGN_IN)),
        "account_change_names": json.dumps(list(table.ACCOUNT_CHANGE)),
        "operation_record": json.dumps({prefix: table.OPERATION[prefix] for prefix in PREFIXES}),
        "gcp_map": _map(audit.ACTIVITY),
        "gcp_prefixes": "|".join(sorted(audit.ACTIVITY, key=len, reverse=True)),
        "gcp_record": json.dumps(audit.ACTIVITY),
        "gcp_rules": _rules("word", audit.ACTIVITY),
        "gcp_codes": _map(CODES),
        "gcp_codes_record": json.dumps(CODES),
        "gcp_code_texts": json.dumps({code: code for code in CODES}),
        "ocsf_mapper_common": (HERE / "cloudtrail-common.ocsf-mapper.json").read_text(),
        **more,
    }
    return string.Template((HERE / name).read_text()).substitute(given)


def _rules(field: str, activities: dict[str, int]) -> str:
    """Return TQL that sets the activity by what a field begins with."""
    return (
        "".join(
            f'if {field}.match_regex("^(?:{"|".join(p for p, found in activities.items() if found == number)})") '
            f"{{\n    activity = {number}\n  }} else "
            for number in sorted(set(activities.values()))
        )
        + "{\n    activity = 99\n  }"
    )


def _map(values: dict[str, int] | dict[str, str]) -> str:
    return f"MAP {_sql(values)}"


def _sql(value: Any) -> str:
    """Return a value as DuckDB writes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_sql(k)}: {_sql(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_sql, value))}]"
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def main() -> None:
    way, log_type, folder, out = sys.argv[1], sys.argv[2], Path(sys.argv[3]) / "logs", Path(sys.argv[4])
    import pyarrow as pa
    import pyarrow.parquet

    pa.set_cpu_count(CORES)
    pa.set_io_thread_count(CORES)
    os.environ["POLARS_MAX_THREADS"] = str(CORES)
    for name in ("duckdb", "polars", "ocsflake"):
        __import__(name)
    warm = folder.with_name("warm")
    WAYS[way](Logs(log_type, warm, sorted(warm.rglob("*.gz")), out))
    shutil.rmtree(out)
    logs = Logs(log_type, folder, sorted(folder.rglob("*.gz")), out)
    begun, used = time.perf_counter(), _cpu()
    count = WAYS[way](logs)
    seconds, spent = time.perf_counter() - begun, _cpu() - used
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({"count": count, "cpu": spent, "wall": seconds, "peak": peak * 1024}))


if __name__ == "__main__":
    main()
