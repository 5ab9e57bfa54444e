"""What a run cannot do without, beside what ocsflake and the plain way take: microseconds of CPU an event.

    python benchmarks/floor.py [--events 20000] [--rounds 3] [--only NAME] [--write]

The floor knows the answer. It gunzips the files, finds where each record begins and ends (`msgspec.Raw`; Arrow's CSV
reader for text), copies the columns of the finished events once, as a sort does, and writes the objects that ocsflake
wrote anew, with as few dictionaries and the same zstd. It maps nothing, keeps nothing for ``unmapped``, checks nothing.
Rounds alternate, the first does not count, and all is CPU time of one thread, the medians of the rounds. With
``--write`` the table goes into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import baseline
import generate
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq
import tables
from isal import igzip

import ocsflake
from ocsflake.checkpoints import MemoryCheckpoints

if TYPE_CHECKING:
    from collections.abc import Callable

FLOOR = ("gunzip", "split", "one copy", "Parquet")


def ours(log_type: str, folder: Path, lake: Path) -> int:
    """Run `folder` into a lake; return how many events that are."""
    source = ocsflake.source("files", log_type=log_type, uri=str(folder))
    return ocsflake.run(source, ocsflake.Lake(lake), checkpoints=MemoryCheckpoints()).counts.written


def split(log_type: str, data: bytes) -> None:
    """Find the records of one file, and read none."""
    if log_type == "aws.cloudtrail":
        msgspec.json.decode(data, type=dict[str, list[msgspec.Raw]])
    elif log_type == "aws.vpc_flow":
        names = data[: data.index(b"\n")].decode().split()
        text = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
        csv.read_csv(BytesIO(data), parse_options=csv.ParseOptions(delimiter=" "), convert_options=text)
    else:
        msgspec.json.Decoder(msgspec.Raw).decode_lines(data)


def measured(log_type: str, folder: Path, rounds: int, root: Path) -> dict[str, float]:
    """Return microseconds of CPU an event of each part of the floor, of ocsflake and of the plain way."""
    files = sorted(folder.rglob("*.gz"))
    count = ours(log_type, folder, root / "first")
    objects = [pq.ParquetFile(path) for path in sorted((root / "first" / "ext").rglob("*.parquet"))]
    events = [each.read() for each in objects]
    orders = [pc.sort_indices(each["time"]) for each in events]
    texts = [igzip.decompress(path.read_bytes()) for path in files]
    parts: dict[str, Callable[[Path], object]] = {
        "gunzip": lambda _: [igzip.decompress(path.read_bytes()) for path in files],
        "split": lambda _: [split(log_type, text) for text in texts],
        "one copy": lambda _: [each.take(order) for each, order in zip(events, orders, strict=True)],
        "Parquet": lambda out: [encoded(each, like, out) for each, like in zip(events, objects, strict=True)],
        "ocsflake": lambda out: ours(log_type, folder, out),
        "plain": lambda out: baseline.write(log_type, files, out),
    }
    spent: dict[str, list[float]] = {name: [] for name in parts}
    for number in range(rounds + 1):
        for name, part in parts.items():
            before = time.process_time()
            part(root / f"{name}-{number}")
            if number:
                spent[name].append((time.process_time() - before) / count * 1e6)
    return {name: statistics.median(found) for name, found in spent.items()}


def encoded(events: pa.Table, like: pq.ParquetFile, out: Path) -> None:
    """Write events as an object was written, with dictionaries for the columns that have one there."""
    group = like.metadata.row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    out.mkdir(exist_ok=True)
    pq.write_table(
        events,
        out / "events.parquet",
        compression="zstd",
        compression_level=1,
        use_dictionary=[each.path_in_schema for each in columns if each.has_dictionary_page],
        write_statistics=["time"],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000, help="of each log; four times as many lines of flow logs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="only logs whose name holds this")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    given = parser.parse_args()
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    lines = [f"| logs | {' | '.join(FLOOR)} | floor | ocsflake | plain | ocsflake is | plain is |", "|---" * 10 + "|"]
    for name, (log_type, make) in generate.LOGS.items():
        if given.only in name:
            with tempfile.TemporaryDirectory(prefix="ocsflake-floor-") as folder:
                make(Path(folder) / "logs", given.events)
                found = measured(log_type, Path(folder) / "logs", given.rounds, Path(folder))
            least = sum(found[part] for part in FLOOR)
            cells = [*(found[part] for part in FLOOR), least, found["ocsflake"], found["plain"]]
            times = [f"{found[way] / least:.1f} floors" for way in ("ocsflake", "plain")]
            lines.append(f"| {name} | {' | '.join([*(f'{cell:.1f}' for cell in cells), *times])} |")
            print(lines[-1], flush=True)
    lines += ["", f"The load of the machine was {tables.load()} when the last of them ended."]
    print("\n".join(lines))
    if given.write:
        tables.put("floor", lines)


if __name__ == "__main__":
    main()
