"""Writes events into a lake and prints the peak memory of the process in MB: ``memory_probe.py ROOT KIND ROWS``.

``mixed``: 1,000 accounts on 15 days, in random order. ``clustered``: one account and day, nearly in order.
"""

from __future__ import annotations

import random
import resource
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from lake_events import DAY, SCHEMA, T0, api_activity, events

from ocsflake.lake import Lake

BATCH = 20_000
POOL = 4_000


def batches(kind: str, rows: int):
    rng = random.Random(1)
    pool = events(POOL)
    cloud = SCHEMA.field("cloud").type
    for start in range(0, rows, BATCH):
        batch = pool.take(pa.array(rng.choices(range(POOL), k=BATCH)))
        if kind == "mixed":
            accounts = [f"{rng.randrange(1_000):012d}" for _ in range(BATCH)]
            times = [T0 + rng.randrange(15) * DAY + rng.randrange(DAY) for _ in range(BATCH)]
        else:
            accounts = ["123456789012"] * BATCH
            times = [T0 + (start + n) * 40 + rng.randrange(100_000) for n in range(BATCH)]
        account = pa.StructArray.from_arrays(
            [pa.array(accounts), pc.struct_field(batch["cloud"], ["account", "type"])],
            fields=list(cloud.field("account").type),
        )
        given = [pc.struct_field(batch["cloud"], name) for name in ("provider", "region")]
        columns = dict(zip(SCHEMA.names, batch.columns, strict=True))
        columns["time"] = pa.array(times, pa.int64())
        columns["cloud"] = pa.StructArray.from_arrays([*given, account], fields=list(cloud))
        yield pa.RecordBatch.from_pydict(columns, schema=SCHEMA)


def main(root: str, kind: str, rows: int) -> None:
    with Lake(root).begin("c") as commit:
        for batch in batches(kind, rows):
            commit.write(api_activity(batch))
        written = commit.publish()
    assert sum(item.rows for item in written) == rows
    print(len(written), peak())


def peak() -> int:
    """Return the largest resident set of this program alone, in MB.

    ``ru_maxrss`` would do, but on Linux it begins with the memory of the process that started this one.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
