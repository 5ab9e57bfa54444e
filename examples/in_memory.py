"""Events in memory, for a notebook: nothing is written.

python examples/in_memory.py PATH_OF_CLOUDTRAIL_LOGS
"""

from __future__ import annotations

import sys

import ocsflake


def main(path: str) -> None:
    """Read logs, and ask them something."""
    events = ocsflake.read(ocsflake.source("files", log_type="aws.cloudtrail", uri=path))
    print(events)
    print(ocsflake.validate(events))
    calls = events.query(
        "SELECT api.operation AS operation, count(*) AS calls FROM api_activity GROUP BY ALL ORDER BY ALL"
    )
    for row in calls.to_pylist():
        print(row["operation"], row["calls"])


if __name__ == "__main__":
    main(*sys.argv[1:])
