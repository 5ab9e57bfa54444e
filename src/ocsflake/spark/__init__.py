"""ocsflake on Apache Spark, for those who outgrow one machine.

::

    import ocsflake.spark

    ocsflake.spark.register(spark)
    frame = (
        spark.read.format("ocsflake")
        .options(source="aws.s3", uri="s3://org-trail", log_type="aws.cloudtrail", **{"class": "api_activity"})
        .load()
    )

    report = ocsflake.spark.write(source, ocsflake.Lake("s3://lake"), spark=spark)

Executors need the same ocsflake, and credentials of their own. PySpark is imported when a function is called.
"""

from __future__ import annotations

from ocsflake.spark.reading import map_records, register
from ocsflake.spark.writing import write

__all__ = ["map_records", "register", "write"]
