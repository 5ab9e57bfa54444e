"""The named queries against SQL written by hand over the same files, on a lake of some million events.

    python benchmarks/queries.py [--rows 5000000] [--rounds 7] [--lake FOLDER]

The lake has two weeks of CloudTrail and VPC flow logs of 20 accounts, with the findings of the samples besides; the
queries ask for the second week. Both take turns, in one process with as many threads as DuckDB takes, and each with a
database of its own: what is compared is everything from the call to the Arrow table. A lake that is there is used
again.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import generate
import pyarrow as pa
import pyarrow.compute as pc

import ocsflake
from ocsflake import queries, samples
from ocsflake.model import EventBatch

if TYPE_CHECKING:
    from collections.abc import Callable

COPIES = 7
"""The generated events are of two days; the lake has so many times two."""
LAST = (generate.FIRST_DAY + timedelta(days=2 * COPIES - 1)).date()
DAYS = 6
SOURCE_NAMES = {
    "aws.cloudtrail": "aws_cloudtrail",
    "aws.vpc_flow": "aws_vpc_flow",
    "aws.securityhub": "aws_securityhub",
}


def files(lake: ocsflake.Lake, *sources: str) -> str:
    """Return what somebody would write to read some sources."""
    paths = ", ".join(f"'{lake.root}/ext/{name}/region=*/accountId=*/eventDay=*/*.parquet'" for name in sources)
    types = "{'region': VARCHAR, 'accountId': VARCHAR, 'eventDay': VARCHAR}"
    return f"read_parquet([{paths}], hive_partitioning = true, union_by_name = true, hive_types = {types})"


def by_hand(lake: ocsflake.Lake) -> dict[str, str]:
    """Return for each named query what somebody would write who knows the files; ``{days}`` are those asked about."""
    trail, flows = files(lake, "aws_cloudtrail_6003"), files(lake, "aws_vpc_flow_4001")
    changes, logins = files(lake, "aws_cloudtrail_3001"), files(lake, "aws_cloudtrail_3002")
    findings = files(lake, *(f"aws_securityhub_{uid}" for uid in (2002, 2003, 2004)))
    return {
        "duplicate_findings": f"""
            SELECT finding_info.uid uid, count(*) n, arg_max(finding_info.title, time), arg_max(severity, time),
                arg_max(status, time), min(time), max(time), list(DISTINCT accountId), list(DISTINCT cloud.region)
            FROM {findings} WHERE {{days}} GROUP BY 1 HAVING count(*) > 1 ORDER BY n DESC, uid""",
        "failed_sign_ins": f"""
            SELECT src_endpoint.ip, count(*) n, list(DISTINCT coalesce("user".name, "user".uid)),
                list(DISTINCT cloud.provider), list(DISTINCT accountId), min(time), max(time)
            FROM {logins} WHERE status_id = 2 AND {{days}} GROUP BY 1 ORDER BY n DESC""",
        "first_seen_identities": f"""
            SELECT provider, identity, arg_min(name, time), min(time), count(*), list(DISTINCT ip)[:5],
                list(DISTINCT operation)[:5]
            FROM (SELECT cloud.provider, coalesce(actor.user.uid, actor.user.name) identity, actor.user.name name, time,
                    eventDay, src_endpoint.ip, api.operation FROM {trail} WHERE eventDay <= '{{last}}'
                UNION ALL SELECT cloud.provider, coalesce("user".uid, "user".name), "user".name, time, eventDay,
                    src_endpoint.ip, activity_name FROM {logins} WHERE eventDay <= '{{last}}')
            WHERE identity IS NOT NULL GROUP BY 1, 2 HAVING min(eventDay) >= '{{first}}' ORDER BY 4""",
        "privilege_changes": f"""
            SELECT time, cloud.provider, accountId, coalesce(actor.user.name, actor.user.uid), activity_name,
                coalesce("user".name, "user".uid), api.operation, status, metadata.uid
            FROM {changes} WHERE activity_id IN (7, 8) AND {{days}}
            UNION ALL SELECT time, cloud.provider, accountId, coalesce(actor.user.name, actor.user.uid), activity_name,
                NULL, api.operation, status, metadata.uid
            FROM {trail} WHERE regexp_matches(api.operation, '(?i){queries._BINDINGS}') AND {{days}} ORDER BY 1""",
        "rejects_by_port": f"""
            SELECT dst_endpoint.port, connection_info.protocol_num, count(*) n, count(DISTINCT src_endpoint.ip),
                count(DISTINCT dst_endpoint.ip), list(DISTINCT cloud.provider)
            FROM {flows} WHERE (activity_id = 5 OR action_id = 2) AND {{days}} GROUP BY 1, 2 ORDER BY n DESC""",
        "top_talkers": f"""
            SELECT src_endpoint.ip, dst_endpoint.ip, sum(traffic.bytes)::BIGINT b, sum(traffic.packets)::BIGINT,
                count(*), list(DISTINCT cloud.provider)
            FROM {flows} WHERE traffic.bytes > 0 AND {{days}} GROUP BY 1, 2 ORDER BY b DESC LIMIT 10""",
    }


def fill(lake: ocsflake.Lake, rows: int) -> None:
    """Write some million events: generated ones, mapped once, and moved to other days."""
    with tempfile.TemporaryDirectory() as folder:
        each = rows // COPIES
        generate.cloudtrail(Path(folder, "trail"), each * 3 // 5, 2_000)
        generate.vpc_flow(Path(folder, "flow"), each * 2 // 5, 10_000)
        places = {
            "aws.cloudtrail": Path(folder, "trail"),
            "aws.vpc_flow": Path(folder, "flow"),
            "aws.securityhub": samples.files("aws.securityhub")[0].parent,
        }
        for log_type, place in places.items():
            made = ocsflake.read(ocsflake.source("files", log_type=log_type, uri=str(place)))
            for copy in range(COPIES):
                with lake.begin(f"{log_type} {copy}") as commit:
                    for event_class, table in made.items():
                        for batch in moved(table, copy, log_type).to_batches(max_chunksize=100_000):
                            commit.write(EventBatch(log_type, SOURCE_NAMES[log_type], event_class, batch))
                    commit.publish()


def moved(table: pa.Table, copy: int, log_type: str) -> pa.Table:
    """Return events two days later for each copy; those of the samples are moved to the days of the lake first."""
    first = int(generate.FIRST_DAY.timestamp()) * 1_000
    earliest = first if log_type != "aws.securityhub" else pc.min(table["time"]).as_py() // 86_400_000 * 86_400_000
    shift = first - earliest + copy * 2 * 86_400_000
    for name in ("time", "time_dt"):
        place = table.schema.get_field_index(name)
        later = pc.add(table[name].cast(pa.int64()), shift).cast(table.schema.field(place).type)
        table = table.set_column(place, table.schema.field(place), later)
    return table


def seconds(call: Callable[[], pa.Table]) -> tuple[float, int]:
    before = time.perf_counter()
    found = call()
    return time.perf_counter() - before, found.num_rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--lake", type=Path, default=Path(tempfile.gettempdir(), "ocsflake-benchmark-lake"))
    given = parser.parse_args()
    lake = ocsflake.Lake(given.lake)
    if not lake.sources():
        fill(lake, given.rows)
    total = lake.usage().total
    print(f"{total.rows:,} events in {total.objects:,} objects, {total.bytes / 1e6:,.0f} MB\n")
    first = f"{LAST - timedelta(days=DAYS):%Y%m%d}"
    days = f"eventDay BETWEEN '{first}' AND '{LAST:%Y%m%d}'"
    print(f"{'query':<24}{'rows':>10}{'named, s':>10}{'by hand, s':>12}{'ratio':>8}")
    for name, text in by_hand(lake).items():
        query = getattr(queries, name)(days=DAYS, until=LAST)
        sql = text.replace("{days}", days).replace("{first}", first).replace("{last}", f"{LAST:%Y%m%d}")
        named, hand, rows = [], [], 0
        for number in range(given.rounds + 1):
            took, rows = seconds(lambda query=query: lake.query(query))
            with duckdb.connect(":memory:") as connection:
                other, same = seconds(lambda sql=sql, connection=connection: connection.sql(sql).to_arrow_table())
            if rows != same:
                raise SystemExit(f"{name}: {rows:,} rows, and {same:,} by hand")
            if number:
                named.append(took)
                hand.append(other)
        one, two = statistics.median(named), statistics.median(hand)
        print(f"{name:<24}{rows:>10,}{one:>10.2f}{two:>12.2f}{one / two:>8.2f}")


if __name__ == "__main__":
    main()
