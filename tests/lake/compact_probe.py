"""Compacts a lake, and dies after so many events of the interpreter that change files."""

from __future__ import annotations

import os
import sys
from typing import Any

from ocsflake.lake import Lake

left = int(sys.argv[2])


def die(event: str, arguments: tuple[Any, ...]) -> None:
    global left  # noqa: PLW0603 - a hook has no other place to count
    if event in {"os.rename", "os.mkdir", "os.link", "os.remove", "os.rmdir", "ctypes.dlsym"} or (
        event == "open" and str(arguments[0]).endswith((".parquet", "plan.json")) and arguments[1] not in {"r", "rb"}
    ):
        left -= 1
        if left == 0:
            os._exit(9)


lake = Lake(sys.argv[1])
sys.addaudithook(die)
lake.compact()
