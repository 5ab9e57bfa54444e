"""sshd, sudo and PAM to Authentication 3002, Process Activity 1007 and Base Event 0.

From systemd's journal as JSON (``journalctl -o json``), or from ``auth.log`` with ISO times. What a program said stays
whole in ``message``; attributes are taken out of it.

The fields: https://systemd.io/JOURNAL_EXPORT_FORMATS/ and the manuals systemd.journal-fields(7), sshd(8), sudoers(5)
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mapping import EventMap, Fields, Mapper, PatternText, apply, at, when

LINE = (
    r"(?P<timestamp>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|[+-][0-9:]+)) (?P<host>\S+) "
    r"(?P<program>[^\s:\[]+)(?:\[(?P<pid>[0-9]+)\])?: (?P<message>.*)"
)
SSHD = r"^(?:error: )?(?:PAM: )?"


def journal_time(counts: pa.Array) -> pa.Array:
    """Return the journal's microseconds since 1970 as ISO times; null for any other text."""
    known = pc.match_substring_regex(counts, pattern=r"^[0-9]{15,17}$")
    counts = pc.if_else(known, counts, pa.scalar(None, counts.type))
    return pc.strftime(counts.cast(pa.int64()).cast(pa.timestamp("us", "UTC")), format="%Y-%m-%dT%H:%M:%SZ")


message = at("MESSAGE").or_(at("message"))
program = at("SYSLOG_IDENTIFIER").or_(at("program"))
host = at("_HOSTNAME").or_(at("host"))
pid = at("_PID").or_(at("pid"))

# sshd says: Accepted publickey for alice from 198.51.100.7 port 50022 ssh2
accepted = message.extract(SSHD + r"(Accepted) ")
failed = message.extract(
    SSHD + r"(Failed|Invalid user|maximum authentication attempts exceeded|Connection closed by auth)"
)
left = message.extract(r"^(Disconnected from user|session closed|pam_unix\([a-z-]+:session\): session closed)")
opened = message.extract(r"^pam_unix\([a-z-]+:session\): (session opened)")
session_user = message.extract(r"session (?:opened|closed) for user ([^\s(]+)")
user = message.extract(
    r"(?:for (?:invalid user )?|Invalid user |Disconnected from user |authenticating user )(\S+) "
    r"(?:from )?[0-9a-fA-F:.]+ port"
).or_(session_user)
# Who signs in chooses the name, and may put an address into it: the server's own words are the last ones.
address = message.extract(r"^.* ([0-9]+\.[0-9]+\.[0-9]+\.[0-9]+|[0-9a-fA-F]*:[0-9a-fA-F:.]+) port [0-9]+")
port = message.extract(r"^.* port ([0-9]+)")

# sudo says: alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/cat
command = message.extract(r"COMMAND=(.*)$")
sudoer = message.extract(r"^\s*(\S+) : ")
refused = message.extract(r"^\s*\S+ : ([^;=]+) ; TTY=")

BASE: Fields = {
    "time": apply(journal_time, at("__REALTIME_TIMESTAMP")).or_(at("timestamp")),
    "message": message,
    "metadata.uid": at("__CURSOR"),
    "metadata.log_name": program,
    "metadata.product.name": "Linux",
    "metadata.product.vendor_name": "Linux",
    "device.hostname": host,
    "device.uid": at("_MACHINE_ID"),
    "device.type_id": 0,
    "device.os.name": "Linux",
    "device.os.type_id": 200,
}

AUTHENTICATION: Fields = BASE | {
    "severity_id": 1,
    "activity_id": when(~left.is_null(), 2, 1),
    "status_id": when(~failed.is_null(), 2, 1),
    "status_detail": failed,
    "user.name": user,
    "src_endpoint.ip": address,
    "src_endpoint.port": port,
    "dst_endpoint.hostname": host,
    "service.name": program,
    "session.uid": at("_AUDIT_SESSION"),
}

PROCESS: Fields = BASE | {
    "severity_id": when(refused.is_null(), 1, 3),
    "activity_id": 1,
    "status_id": when(refused.is_null(), 1, 2),
    "status_detail": refused,
    "actor.user.name": sudoer,
    "actor.process.name": program,
    "process.pid": pid,
    "process.uid": at("timestamp").only_if(pid.is_null()),  # auth.log has no number of sudo's process
    "process.cmd_line": command,
    "process.name": command.extract(r"^(\S+)").extract(r"([^/]+)$"),
    "process.user.name": message.extract(r" USER=(\S+) "),
    "process.working_directory": message.extract(r" PWD=(\S+) "),
}

MAPPER = Mapper(
    "linux.auth",
    title="Linux sign-ins and sudo",
    source_name="linux_auth",
    parse=PatternText((LINE,)),
    events=[
        EventMap(
            "process_activity", where=(program == "sudo") & ~command.is_null() & ~sudoer.is_null(), fields=PROCESS
        ),
        EventMap(
            "authentication",
            where=~user.is_null() & (~accepted.is_null() | ~failed.is_null() | ~left.is_null() | ~opened.is_null()),
            fields=AUTHENTICATION,
        ),
        EventMap(
            "base_event",
            fields=BASE
            | {"activity_id": 0, "severity_id": at("PRIORITY").lookup({"2": 5, "3": 4, "4": 3}, default=1).or_(1)},
        ),
    ],
    unmapped=(
        "PRIORITY",
        "SYSLOG_FACILITY",
        "SYSLOG_PID",
        "SYSLOG_TIMESTAMP",
        "__MONOTONIC_TIMESTAMP",
        "_AUDIT_LOGINUID",
        "_AUDIT_SESSION",
        "_BOOT_ID",
        "_CAP_EFFECTIVE",
        "_CMDLINE",
        "_COMM",
        "_EXE",
        "_GID",
        "_SOURCE_REALTIME_TIMESTAMP",
        "_SYSTEMD_CGROUP",
        "_SYSTEMD_SLICE",
        "_SYSTEMD_UNIT",
        "_TRANSPORT",
        "_UID",
        "_PID",
        "pid",
        "__SEQNUM",
        "__SEQNUM_ID",
        "_RUNTIME_SCOPE",
        "_SELINUX_CONTEXT",
        "_SYSTEMD_INVOCATION_ID",
    ),
)
