"""Small samples of every log type, written for this project in the shapes that the vendors document.

They tell one story of an invented company over three days, so that the same people and addresses appear in several
logs: what was denied in one and what was refused in another can be joined. The demo, the documentation and the tests
use them. Names are ``example.com``'s and addresses are those that are set aside for documentation.
"""

from __future__ import annotations

from pathlib import Path

from ocsflake.errors import ConfigError, did_you_mean

__all__ = ["files", "log_types"]

_HERE = Path(__file__).parent


def log_types() -> list[str]:
    """Return the log types that there is a sample of, in order."""
    return sorted(path.name for path in _HERE.iterdir() if path.is_dir() and "." in path.name)


def files(log_type: str) -> list[Path]:
    """Return the files of the sample of a log type, in order.

    Raises:
        ConfigError: If there is no sample of it; names what is near.
    """
    known = log_types()
    if log_type not in known:
        raise ConfigError(f"there is no sample of {log_type!r}{did_you_mean(log_type, known)}; there are {known}")
    return sorted((_HERE / log_type).iterdir())
