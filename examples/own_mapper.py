"""A mapper for a log of your own: a VPN's sign-ins, to OCSF Authentication 3002.

    python examples/own_mapper.py

To use it by its name, with `ocsflake run` and everything else, offer it in your own package's pyproject.toml:

    [project.entry-points."ocsflake.mappers"]
    "example.vpn" = "your_package.vpn:MAPPER"
"""

from __future__ import annotations

from ocsflake.mapping import EventMap, JsonRecords, Mapper, at, when
from ocsflake.model import RawBatch

MAPPER = Mapper(
    "example.vpn",
    title="The VPN of example.com",
    source_name="example_vpn",
    parse=JsonRecords(unwrap=()),
    events=[
        EventMap(
            "authentication",
            fields={
                "time": at("when"),
                "severity_id": 1,
                "activity_id": at("event").lookup({"login": 1, "logout": 2}, default=99),
                "status_id": when(at("result") == "ok", 1, 2),
                "status_detail": at("reason"),
                "user.name": at("user"),
                "src_endpoint.ip": at("from"),
                "dst_endpoint.hostname": at("gateway"),
                "service.name": "VPN",
                "metadata.product.name": "VPN",
                "metadata.product.vendor_name": "example.com",
            },
        )
    ],
)

LOG = b"""\
{"when": "2026-11-01T06:00:00Z", "event": "login", "user": "alice", "from": "198.51.100.7", "gateway": "vpn-1.example.com", "result": "ok"}
{"when": "2026-11-01T06:00:09Z", "event": "login", "user": "bob", "from": "203.0.113.9", "gateway": "vpn-1.example.com", "result": "no", "reason": "password", "attempt": 3}
{"when": "soon", "event": "login", "user": "carol"}
"""  # noqa: E501 - a log has long lines


def main() -> None:
    """Check the table, map the log, and show what became of it."""
    MAPPER.check()
    mapped = MAPPER.map(RawBatch(LOG))
    for batch in mapped.batches:
        print(batch.event_class)
        for event in batch.events.to_pylist():
            print(event["time_dt"], event["activity_name"], event["status"], event["user"]["name"], event["unmapped"])
    for reject in mapped.rejects.to_pylist():
        print("rejected:", reject["attribute"], reject["reason"])


if __name__ == "__main__":
    main()
