"""The code of docs/spark.md runs, on a bucket of a stand-in and a session of this machine."""

from __future__ import annotations

import gzip
import re
from contextlib import chdir
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

import ocsflake
from docs_code import blocks
from ocsflake import samples
from pipeline_logs import record, save

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

    from ocsflake.testing.servers import AwsServer


@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")
def test_page(
    spark: SparkSession,
    spark_environment: dict[str, str],
    moto: AwsServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From the first block to the last, streams until they have taken all there is."""
    for name, value in spark_environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    moto.client().create_bucket(Bucket="org-trail")
    evolve(moto, region="eu-central-1").client().create_bucket(
        Bucket="my-lake", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    for path in samples.files("aws.cloudtrail"):
        moto.client().upload_file(str(path), "org-trail", path.name)
    save(tmp_path / "raw.json.gz", map(record, range(3)))
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "records.json").write_bytes(gzip.decompress((tmp_path / "raw.json.gz").read_bytes()))
    names: dict[str, Any] = {"ocsflake": ocsflake, "spark": spark}

    with chdir(tmp_path):
        for block in blocks("docs/spark.md"):
            if block.language == "python":
                code = re.sub(r'"(raw/|state/)', rf'"{tmp_path}/\1', block.code)  # the JVM has a folder of its own
                exec(compile(code, str(block), "exec"), names)
                for query in spark.streams.active:
                    query.processAllAvailable()
                    query.stop()

    assert names["report"].counts.written > 0
    assert names["report"].objects
    assert names["events"].count() == 3
