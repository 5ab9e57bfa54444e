"""Names of any kind in a lake that others wrote to as well: each is quoted, or passed over and named by the doctor."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lake_events import api_activity, events
from ocsf_json_schema import get_ocsf_schema

import ocsflake
from ocsflake.lake import Lake
from ocsflake.lake.columns import quoted_name
from pipeline_logs import record, save

if TYPE_CHECKING:
    from pathlib import Path

PARTITIONS = "region=us-east-1/accountId=external/eventDay=20240101"
WORDS = [
    "it's",
    'a"b',
    "x; DROP TABLE y; --",
    "select",
    "a b",
    "a.b",
    "e1",
    "$1",
    "?",
    "{x}",
    "%s",
    "*",
    "\n",
    "ü",
    "--",
]
WORDS += ["a') || (SELECT 'run') || struct_extract(s, 'a", "\x1b[31m", "\u202e", "x=5"]
COLUMNS = [*WORDS, "\\", "a/b", "/*", "time_dt"]


def put(root: Path, source: str, table: pa.Table) -> None:
    folder = root / "ext" / source / PARTITIONS
    folder.mkdir(parents=True)
    with (folder / "1.parquet").open("wb") as file:
        pq.write_table(table, file)


def kept(root: Path) -> Lake:
    """A lake with a source of ours beside whatever else is there."""
    lake = Lake(root)
    with lake.begin("c") as commit:
        commit.write(api_activity(events(3)))
        commit.publish()
    return lake


def test_columns(tmp_path: Path) -> None:
    """Columns, fields and fields in lists have any names, alone and where views unite objects that differ."""
    struct = {"a": "other"} | {word: f"v{number}" for number, word in enumerate(COLUMNS)}
    plain = {"class_uid": [6003], "time": [1_704_067_200_000]}
    one = {**plain, "s": [struct], "l": [[struct]], **{word: [struct[word]] for word in COLUMNS}}
    put(tmp_path, "one_6003", pa.table(one))
    put(tmp_path, "two_6003", pa.table({**plain, "s": [{"another": 1}], "l": [[{"another": 1}]]}))
    lake = Lake(tmp_path)

    for view in ("one_6003", "api_activity WHERE source = 'one_6003'"):
        for word in COLUMNS:
            name, value = quoted_name(word), struct[word]
            rows = lake.query(f"SELECT {name} AS a, s.{name} AS b, l[1].{name} AS c FROM {view}").to_pylist()
            assert rows == [{"a": value, "b": value, "c": value}]
        (row,) = lake.query(f"SELECT * FROM {view}").to_pylist()
        assert row["s"].items() >= struct.items()
        assert row["l"][0].items() >= struct.items()
        assert {word: row[word] for word in COLUMNS}.items() <= struct.items()
    assert lake.query("SELECT s FROM api_activity").num_rows == 2
    assert lake.doctor().objects == lake.usage().total.rows == lake.report().usage.total.rows == 2


def test_sources(tmp_path: Path) -> None:
    """A folder of any name that others made is a view of this name, and takes nothing from those of ours."""
    lake, sources = kept(tmp_path), [f"{word}{uid}" for word in WORDS for uid in ("", "_6003")]
    for number, source in enumerate(sources):
        put(tmp_path, source, pa.table({"time": [1_704_067_200_000], "z": [number]}))

    database = "amazon_security_lake_glue_db_us_east_1"
    for number, source in enumerate(sources):
        glue = f"amazon_security_lake_table_us_east_1_ext_{source.replace('-', '_').lower()}"
        joined = f"SELECT z, count(*) AS n FROM {quoted_name(source)} CROSS JOIN aws_cloudtrail_6003 GROUP BY z"
        assert lake.query(joined).to_pylist() == [{"z": number, "n": 3}]
        assert lake.query(f"SELECT z FROM {database}.{quoted_name(glue)}").to_pylist() == [{"z": number}]
    united = {row["source"] for row in lake.query("SELECT source FROM api_activity").to_pylist()}
    assert united == {"aws_cloudtrail_6003", *(source for source in sources if source.endswith("_6003"))}
    told = {finding.key for finding in lake.doctor().findings if finding.check == "source-name"}
    proper = {source for source in sources if re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,19}", source)}
    assert told == {f"ext/{source}/" for source in sources if source not in proper}


@pytest.mark.parametrize("source", ["a\\b_6003", "\udcff_6003"])
def test_sources_that_are_no_keys(tmp_path: Path, source: str) -> None:
    """A folder whose name is a path elsewhere, or no text, is no source; the doctor tells, and the others are read."""
    lake = kept(tmp_path)
    put(tmp_path, source, pa.table({"time": [1], "z": [1]}))
    (tmp_path / "ext/aws_cloudtrail_6003" / PARTITIONS).mkdir(parents=True, exist_ok=True)
    stray = tmp_path / "ext/aws_cloudtrail_6003" / PARTITIONS / "a\\\udcff.parquet"
    stray.write_bytes(b"PAR1")

    assert [each.name for each in lake.sources()] == ["aws_cloudtrail_6003"]
    assert lake.query("SELECT count(*) AS n FROM api_activity").to_pylist() == [{"n": 3}]
    told = {finding.key for finding in lake.doctor().findings if finding.check == "key"}
    assert told == {str(stray.relative_to(tmp_path)), f"ext/{source}/{PARTITIONS}/1.parquet"}


@pytest.mark.parametrize("region", ["us'--", 'us"', "a\\b", "zz"])
def test_regions(tmp_path: Path, region: str) -> None:
    """What is under no AWS Region is in no view, and names no table."""
    lake = kept(tmp_path)
    folder = tmp_path / "ext/aws_cloudtrail_6003" / f"region={region}/accountId=external/eventDay=20240101"
    folder.mkdir(parents=True)
    (folder / "1.parquet").write_bytes(b"PAR1")

    assert lake.query("SELECT count(*) AS n FROM aws_cloudtrail_6003").to_pylist() == [{"n": 3}]
    assert [finding.level for finding in lake.doctor().findings if region in finding.key] != []


@pytest.mark.parametrize("name", ["""it's "a" lake""", "a' || 'b", "*[?]{}", "%24 #&", "ü\u202e", "-- ;"])
def test_a_lake_in_any_folder(tmp_path: Path, name: str) -> None:
    """Runs, queries, doctor and reading work wherever the lake and the logs are."""
    folder = tmp_path / name
    save(folder / "logs" / "it's.json.gz", map(record, range(3)))
    source = ocsflake.source("files", log_type="aws.cloudtrail", uri=folder / "logs")
    lake = Lake(folder / "lake")

    assert ocsflake.run(source, lake).counts.written == 3
    assert lake.query("SELECT count(*) AS n FROM aws_cloudtrail_6003 WHERE eventday > '2'").to_pylist() == [{"n": 3}]
    assert lake.doctor().errors == 0
    assert ocsflake.read(source).query("SELECT count(*) AS n FROM api_activity").to_pylist() == [{"n": 3}]


def test_classes_of_an_extension(tmp_path: Path) -> None:
    """A class of one's own schema may have any name, and its view has it too."""
    export = get_ocsf_schema("1.1.0")
    for number, word in enumerate(WORDS):
        export["classes"][f"mine/{word}"] = export["classes"]["api_activity"] | {"name": word, "uid": 900_000 + number}
        put(tmp_path, f"mine_{900_000 + number}", pa.table({"time": [1_704_067_200_000], "z": [number]}))
    (tmp_path / "schema.json").write_text(json.dumps(export))
    lake = Lake(tmp_path, ocsf_version=str(tmp_path / "schema.json"))

    for number, word in enumerate(WORDS):
        assert lake.query(f"SELECT z FROM {quoted_name(word)}").to_pylist() == [{"z": number}]
