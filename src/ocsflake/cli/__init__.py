"""The command ``ocsflake``: the library's verbs for a shell.

Data goes to stdout, everything else to stderr. The exit code is 0 when the work was done, 1 when it found something
wrong, and 2 when the call was wrong.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from ocsflake.cli._arguments import parse
from ocsflake.cli._output import tell
from ocsflake.errors import ConfigError, OcsflakeError, SchemaError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

DONE, WRONG, MISUSED = 0, 1, 2
INTERRUPTED, NOBODY_READS = 130, 141  # what a shell says of a process that SIGINT or SIGPIPE ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code.

    Args:
        arguments: What follows the command's name; by default that of this process.

    Returns:
        0 done, 1 the work found something wrong, 2 the call was wrong, 130 interrupted, 141 nobody read the output.
    """
    try:
        parsed = parse(sys.argv[1:] if arguments is None else list(arguments))
        code: int = import_module(f"ocsflake.cli._{parsed.verb.replace('-', '_')}").main(parsed)
        sys.stdout.flush()
    except SystemExit as stop:  # --help, --version, and what argparse refuses
        return stop.code if isinstance(stop.code, int) else MISUSED
    except OcsflakeError as error:
        tell(f"ocsflake: {error}")
        return MISUSED if isinstance(error, ConfigError | SchemaError) else WRONG
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _forget_output()
        return NOBODY_READS
    except OSError as error:  # a full disk, a file that may not be written
        tell(f"ocsflake: {error}")
        _forget_output()
        return WRONG
    return code


def _forget_output() -> None:
    """Give up what cannot be written: Python would try once more at its end, and exit with a code of its own."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
