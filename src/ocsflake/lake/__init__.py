"""The lake: events as Parquet in the layout of Amazon Security Lake, and SQL over them."""

from __future__ import annotations

from ocsflake.lake.sink import Lake
from ocsflake.model import CustomSource

__all__ = ["CustomSource", "Lake"]
