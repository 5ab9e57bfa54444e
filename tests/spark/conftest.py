"""A Spark session of this machine, where there are Java and PySpark."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

    from ocsflake.testing.servers import AwsServer

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def spark_environment(moto: AwsServer) -> dict[str, str]:
    """What Spark's processes get: our Python and our modules, and credentials for a server of S3."""
    if importlib.util.find_spec("pyspark") is None:
        pytest.skip("PySpark is not installed: pip install 'ocsflake[spark]'")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("there is no Java, which Spark needs: version 17 or 21")
    return {
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)]),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "AWS_ENDPOINT_URL": moto.url,
        "AWS_ACCESS_KEY_ID": moto.access_key,
        "AWS_SECRET_ACCESS_KEY": moto.secret_key,
        "AWS_DEFAULT_REGION": moto.region,
    }


@pytest.fixture(scope="session")
def spark(spark_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A session with two threads, which tries a task twice; its time zone is not UTC."""
    from pyspark.sql import SparkSession

    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.session.timeZone": "America/New_York",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
    }
    with pytest.MonkeyPatch.context() as patch:  # what it starts keeps the environment, and other tests have their own
        for name, value in spark_environment.items():
            patch.setenv(name, value)
        session = SparkSession.builder.master("local[2,2]").config(map=settings).getOrCreate()
    session.sparkContext.setLogLevel("FATAL")
    yield session
    session.stop()
