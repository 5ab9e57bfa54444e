"""The driver of a job on a cluster: writes a folder of CloudTrail into a lake, and prints how it went as JSON.

python cluster_job.py MASTER LOGS LAKE PROBLEM [setting=value ...]

PROBLEM is slow (each file takes seconds) or stuck (the first task does not end for minutes, once it has written).
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import SparkSession
from spark_help import Slow, Stumbles

import ocsflake
import ocsflake.spark

if TYPE_CHECKING:
    from ocsflake.model import Sink


def main(master: str, logs: str, root: str, problem: str, *settings: str) -> None:
    warnings.simplefilter("ignore", FutureWarning)
    given = dict(setting.split("=", 1) for setting in settings)
    with SparkSession.builder.master(master).config(map=given).getOrCreate() as spark:
        spark.sparkContext.setLogLevel("WARN")
        source = ocsflake.source("files", log_type="aws.cloudtrail", uri=logs)
        lake: Sink = ocsflake.Lake(root)
        log = Path(root).with_name("attempts")
        if problem == "slow":
            source = Slow(source, log)
        else:
            lake = Stumbles(ocsflake.Lake(root), log, 600)
        report = ocsflake.spark.write(source, lake, spark=spark, commit_bytes=1)
        print(json.dumps({"written": report.counts.written, "objects": len(report.objects)}))


main(*sys.argv[1:])
