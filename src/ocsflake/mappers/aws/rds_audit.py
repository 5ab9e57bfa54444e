"""Audit logs of Amazon RDS and Aurora to Datastore Activity 6005, Authentication 3002 and Base Event 0.

The comma-separated lines of MySQL and MariaDB, as Aurora's advanced auditing and the MariaDB audit plugin write them,
and the log lines of PostgreSQL with RDS's own prefix (``%t:%r:%u@%d:[%p]:``): text, or in CloudWatch Logs envelopes,
where a statement may have several lines. Connecting and disconnecting is Authentication; what pgAudit and the audit
plugins say of statements and tables is Datastore Activity; any other line of PostgreSQL is a Base Event.

An empty user is MySQL's anonymous user. A line has no account: it is that of the log's origin.

The fields: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraMySQL.Auditing.html,
https://mariadb.com/kb/en/mariadb-audit-plugin-log-format/ and
https://github.com/pgaudit/pgaudit/blob/main/README.md#format
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mapping import EventMap, Fields, Mapper, PatternText, apply, at, is_ip, origin, when

MYSQL = (
    r"(?P<timestamp>[0-9]{16}|[0-9]{8} [0-9:]{8}),(?P<serverhost>[^,]*),(?P<username>[^,]*),(?P<host>[^,]*),"
    r"(?P<connectionid>[0-9]*),(?P<queryid>[0-9]*),(?P<operation>[A-Z_]+),(?P<database>[^,]*),"
    r"(?:'(?P<query>(?s:.*))'|(?P<object>[^,]*)),(?P<retcode>-?[0-9]*)(?P<more>,[^']*)?"
)
PREFIX = (
    r"(?P<timestamp>[0-9-]{10} [0-9:]{8}(?:\.[0-9]+)? [A-Z]+):(?:(?P<host>[^:()]+|[0-9A-Fa-f:.]+)\((?P<port>[0-9]+)\)|"
    r"(?P<socket>\[local\])|):(?P<username>[^@]*)@(?P<database>[^:]*):\[(?P<connectionid>[0-9]+)\]:"
    r"(?P<level>[A-Z0-9]+):\s+"
)
PGAUDIT = (
    PREFIX + r"AUDIT: (?P<audit_type>[A-Z]+),(?P<queryid>[0-9]+),(?P<substatement>[0-9]+),(?P<audit_class>[A-Z]+),"
    r"(?P<operation>[A-Z ]+),(?P<object_type>[^,]*),(?P<object>\"[^\"]*\"|[^,]*),"
    r"(?:\"(?P<query>(?s:.*))\"|(?P<statement>[^\",]*)),(?P<parameters>(?s:.*))"
)
POSTGRES = PREFIX + r"(?P<message>(?s:.*))"

LOGON = {"CONNECT": 1, "FAILED_CONNECT": 1, "DISCONNECT": 2}
MESSAGE = {
    "connection authorized": 1,
    "password authentication failed": 1,
    "PAM authentication failed": 1,
    "no pg_hba.conf entry": 1,
    "disconnection": 2,
}
ACTIVITY = {
    "ALTER": 2,
    "CREATE": 6,
    "DELETE": 7,
    "DROP": 7,
    "GRANT": 2,
    "INSERT": 5,
    "QUERY": 4,
    "READ": 1,
    "RENAME": 2,
    "REVOKE": 2,
    "SELECT": 4,
    "TRUNCATE": 7,
    "UPDATE": 2,
    "WRITE": 5,
}
SEVERITY = {"WARNING": 2, "ERROR": 3, "FATAL": 4, "PANIC": 5}


def moment(texts: pa.Array) -> pa.Array:
    """Return the times of the three logs in milliseconds since 1970; null for any other text.

    Aurora counts microseconds, the plugin writes ``20261117 08:15:30`` and PostgreSQL ``2026-11-17 08:15:30 UTC``.
    """
    texts = texts.cast(pa.string())
    count = pc.if_else(pc.match_substring_regex(texts, pattern=r"^[0-9]{16}$"), texts, pa.scalar(None, pa.string()))
    whole = pc.replace_substring_regex(texts, pattern=r"\.[0-9]+ UTC$", replacement=" UTC")
    return pc.coalesce(
        pc.divide(count.cast(pa.int64()), 1000),
        *(
            pc.strptime(whole, format=form, unit="ms", error_is_null=True).cast(pa.int64())
            for form in ("%Y%m%d %H:%M:%S", "%Y-%m-%d %H:%M:%S UTC")
        ),
    )


operation, message, level = at("operation"), at("message"), at("level")
said = message.extract(f"^({'|'.join(MESSAGE)})")
code = at("retcode")
user = at("username").or_("anonymous")
host = at("host").or_(at("socket"))
failed = level.is_in(["FATAL"]) | (~code.is_null() & (code != "0"))
succeeded = (code == "0") | level.is_in(["LOG"])
sign_in = operation.is_in(LOGON) | (~said.is_null() & ~host.is_null())

BASE: Fields = {
    "time": apply(moment, at("timestamp")),
    "metadata.product.name": "Amazon RDS",
    "metadata.product.vendor_name": "AWS",
    "metadata.log_level": level,
    "cloud.provider": "AWS",
    "cloud.account.uid": origin("account"),
    "cloud.region": origin("region"),
    "message": message,
}

COMMON: Fields = BASE | {
    "severity_id": 1,
    "status_code": code,
    "metadata.event_code": operation,
    "src_endpoint.ip": host.only_if(is_ip(host)),
    "src_endpoint.port": at("port"),
    "src_endpoint.name": host.only_if(~is_ip(host)),
    "src_endpoint.hostname": host.only_if(~is_ip(host)),
    "dst_endpoint.name": at("serverhost"),
}

AUTHENTICATION: Fields = {
    "activity_id": operation.lookup(LOGON).or_(said.lookup(MESSAGE)),
    "status_id": when(failed, 2, when(succeeded, 1, 0)),
    "user.name": user,
    "session.uid": at("connectionid"),
    "service.name": "rds.amazonaws.com",
}

DATASTORE: Fields = {
    "activity_id": operation.split(" ", 0).lookup(ACTIVITY, default=99),
    "status_id": code.lookup({"0": 1}, default=2).or_(0),
    "actor.user.name": user,
    "actor.session.uid": at("connectionid"),
    "database.name": at("database").or_(at("serverhost")),
    "database.type_id": 1,
    "table.name": at("object"),
    "query_info.uid": at("queryid"),
    "query_info.query_string": at("query").or_(at("statement")),
}

OTHER: Fields = {"activity_id": 0, "severity_id": level.lookup(SEVERITY).or_(1)}

MAPPER = Mapper(
    "aws.rds_audit",
    title="Amazon RDS and Aurora audit logs",
    source_name="aws_rds_audit",
    parse=PatternText((MYSQL, PGAUDIT, POSTGRES)),
    events=[
        EventMap("authentication", where=sign_in, fields=COMMON | AUTHENTICATION),
        EventMap("datastore_activity", where=~operation.is_null(), fields=COMMON | DATASTORE),
        EventMap("base_event", fields=BASE | OTHER),
    ],
    unmapped=(
        "audit_class",
        "audit_type",
        "connectionid",
        "database",
        "host",
        "more",
        "object",
        "object_type",
        "operation",
        "parameters",
        "port",
        "query",
        "queryid",
        "serverhost",
        "socket",
        "substatement",
        "username",
    ),
)
