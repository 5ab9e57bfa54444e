"""The question whether a value of a raw record is lost is answered rightly."""

from __future__ import annotations

import json

from ocsflake import mapper
from ocsflake.testing.raw_leaves import lost, read_json


def test_what_is_lost_is_found() -> None:
    """A value that its event does not hold is named: one that is gone, one that changed, one that moved."""
    record = json.dumps(
        {
            "eventTime": "2026-11-17T08:00:00Z",
            "eventName": "GetThing",
            "requestParameters": {"a": [{"b": 1}, {"b": 1.50}]},
            "tlsDetails": {"tlsVersion": "TLSv1.3"},
        }
    )
    event = {
        "time": 1794902400001,
        "api": {"operation": "GetThing", "request": {"data": {"a": [{"b": 1}]}}},
        "unmapped": {"tlsVersion": "TLSv1.3"},
    }

    found = lost(mapper("aws.cloudtrail"), read_json(record), [json.dumps(event).encode()])

    assert found == [
        (("eventTime",), "2026-11-17T08:00:00Z"),
        (("requestParameters", "a", "[]", "b"), "1.5"),
        (("tlsDetails", "tlsVersion"), "TLSv1.3"),
    ]
