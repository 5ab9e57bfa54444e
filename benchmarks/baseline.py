"""The plain way, to measure against: a Python function for each event, dicts, and ``pa.Table.from_pylist``.

It writes what ocsflake writes of the generated logs (`generate`): the same attributes, captions, ``*_dt`` twins,
observables and complete ``unmapped``, in the same columns and partitions. It does not validate, it rejects nothing,
and it knows no input but the generated one.
"""

from __future__ import annotations

import gzip
import ipaddress
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ocsflake.mappers.aws import cloudtrail as table
from ocsflake.registry import mapper

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Event = dict[str, Any]

CAPTIONS = {
    "authentication": {1: "Logon", 99: "Other"},
    "account_change": {1: "Create", 7: "Attach Policy"},
    "api_activity": {1: "Create", 2: "Read", 3: "Update", 4: "Delete", 99: "Other"},
}
CLASSES = {
    "authentication": (3, "Identity & Access Management", 3002, "Authentication"),
    "account_change": (3, "Identity & Access Management", 3001, "Account Change"),
    "api_activity": (6, "Application Activity", 6003, "API Activity"),
    "network_activity": (4, "Network Activity", 4001, "Network Activity"),
}
_IDENTITY = (
    *("type", "arn", "principalId", "userName", "accountId", "accessKeyId", "invokedBy"),
    *("sessionContext.attributes.creationDate", "sessionContext.attributes.mfaAuthenticated"),
    "sessionContext.sessionIssuer.arn",
)
_SECRET = frozenset(map(str.lower, table.SECRET))

READ = frozenset(
    [
        *(
            "eventTime",
            "eventID",
            "eventType",
            "eventVersion",
            "eventCategory",
            "eventName",
            "eventSource",
            "awsRegion",
        ),
        *("recipientAccountId", "apiVersion", "requestID", "requestParameters", "responseElements", "errorCode"),
        *("errorMessage", "sourceIPAddress", "vpcEndpointId", "userAgent"),
        *(f"userIdentity.{name}" for name in _IDENTITY),
    ]
)
READ_BY = {
    "authentication": READ | {"additionalEventData.MFAUsed", "additionalEventData.LoginTo"},
    "account_change": READ,
    "api_activity": READ | {"resources[].ARN", "resources[].type", "resources[].accountId"},
}
PREFIXES = sorted(table.OPERATION, key=len, reverse=True)


def cloudtrail(path: Path) -> Iterator[tuple[str, Event]]:
    """Yield the events of one file, each with its class."""
    for record in orjson.loads(gzip.decompress(path.read_bytes()))["Records"]:
        name = record["eventName"]
        if name in table.SIGN_IN:
            event_class = "authentication"
        elif name in table.ACCOUNT_CHANGE and record["eventSource"] in table.IDENTITY_SERVICES:
            event_class = "account_change"
        else:
            event_class = "api_activity"
        yield event_class, _cloudtrail_event(record, event_class)


def _redacted(value: Any) -> Any:
    """Return a raw value without what gives access."""
    if isinstance(value, dict):
        return {
            key: "REDACTED" if key.lower() in _SECRET and isinstance(inner, str) else _redacted(inner)
            for key, inner in value.items()
        }
    return [_redacted(inner) for inner in value] if isinstance(value, list) else value


def _cloudtrail_event(record: Event, event_class: str) -> Event:
    identity, name = record["userIdentity"], record["eventName"]
    context = identity.get("sessionContext") or {}
    request, response = (_redacted(record.get(name)) for name in ("requestParameters", "responseElements"))
    time, error, account = _time(record["eventTime"]), record.get("errorCode"), record["recipientAccountId"]
    user_name = identity.get("userName") or (identity.get("invokedBy") if identity["type"] == "AWSService" else None)
    ip, domain = _endpoint(record["sourceIPAddress"])
    event = _base(event_class, time) | {
        "severity_id": 1,
        "severity": "Informational",
        "status_id": 2 if error else 1,
        "metadata": {
            "uid": record["eventID"],
            "event_code": record["eventType"],
            "product": {
                "version": record["eventVersion"],
                "name": "CloudTrail",
                "vendor_name": "AWS",
                "feature": {"name": record["eventCategory"]},
            },
            "version": "1.1.0",
            "profiles": ["cloud", "datetime"],
        },
        "cloud": {"provider": "AWS", "region": record["awsRegion"], "account": {"uid": account}},
        "api": {
            "operation": name,
            "service": {"name": record["eventSource"]},
            "version": record.get("apiVersion"),
            "request": _object(uid=record.get("requestID"), data=_json(request)),
            "response": _object(data=_json(response), error=error, message=record.get("errorMessage")),
        },
        "actor": {
            "user": {
                "type": identity["type"],
                "type_id": table.USER_TYPE.get(str(identity["type"]), 99),
                "uid": identity.get("arn"),
                "uid_alt": identity.get("principalId"),
                "name": user_name,
                "account": _object(uid=identity.get("accountId")),
                "credential_uid": identity.get("accessKeyId") or None,
            },
            "session": _session(context),
            "invoked_by": identity.get("invokedBy"),
        },
        "src_endpoint": {"ip": ip, "domain": domain, "svc_name": domain, "uid": record.get("vpcEndpointId")},
        "http_request": _object(user_agent=record.get("userAgent")),
    }
    observed = [("actor.user.name", "User Name", 4, user_name), ("src_endpoint.ip", "IP Address", 2, ip)]
    _BY_CLASS[event_class](event, record)
    if "user" in event:
        observed.append(("user.name", "User Name", 4, event["user"]["name"]))
    event["status"] = "Success" if event["status_id"] == 1 else "Failure"
    activity = CAPTIONS[event_class][event["activity_id"]]
    event["activity_name"] = name if event["activity_id"] == 99 else activity
    event["type_uid"] = event["class_uid"] * 100 + event["activity_id"]
    event["type_name"] = f"{event['class_name']}: {activity}"
    event["observables"] = _observables(observed)
    found: dict[str, str] = {}
    _leaves(record, "", READ_BY[event_class], found)
    event["unmapped"] = sorted(found.items()) or None
    return event


def _authentication(event: Event, record: Event) -> None:
    identity, more = record["userIdentity"], record.get("additionalEventData") or {}
    request, response = record.get("requestParameters") or {}, record.get("responseElements") or {}
    role, credentials = response.get("assumedRoleUser") or {}, response.get("credentials") or {}
    expires = credentials.get("expiration")
    expiration = None if expires is None else _time(expires, "%b %d, %Y, %I:%M:%S %p")
    event["activity_id"] = table.SIGN_IN[record["eventName"]]
    if response.get("ConsoleLogin") == "Failure":
        event["status_id"] = 2
    event["is_mfa"] = {"Yes": True, "No": False}.get(more.get("MFAUsed") or "")
    event["user"] = {
        "uid": request.get("roleArn") or identity.get("arn"),
        "uid_alt": identity.get("principalId"),
        "name": request.get("roleSessionName") or identity.get("userName"),
        "account": {"uid": identity.get("accountId") or record["recipientAccountId"]},
    }
    event["session"] = _object(
        uid=role.get("arn"),
        uid_alt=role.get("assumedRoleId"),
        credential_uid=credentials.get("accessKeyId"),
        expiration_time=expiration,
        expiration_time_dt=_moment(expiration),
    )
    event["service"] = {"name": record["eventSource"]}
    event["dst_endpoint"] = _object(svc_name=more.get("LoginTo"))


def _account_change(event: Event, record: Event) -> None:
    request = record.get("requestParameters") or {}
    made = (record.get("responseElements") or {}).get("user") or {}
    event["activity_id"] = table.ACCOUNT_CHANGE[record["eventName"]]
    event["user"] = {
        "name": made.get("userName") or request.get("userName"),
        "uid": made.get("userId"),
        "uid_alt": made.get("userId"),
        "account": {"uid": record["recipientAccountId"]},
    }
    event["policy"] = _object(uid=request.get("policyArn"), name=request.get("policyName"))


def _api_activity(event: Event, record: Event) -> None:
    name = record["eventName"]
    event["activity_id"] = next((table.OPERATION[prefix] for prefix in PREFIXES if name.startswith(prefix)), 99)
    event["resources"] = [
        {"uid": found.get("ARN"), "type": found.get("type"), "owner": _owner(found.get("accountId"))}
        for found in record.get("resources") or ()
    ] or None


_BY_CLASS = {"authentication": _authentication, "account_change": _account_change, "api_activity": _api_activity}


def _owner(account: str | None) -> Event | None:
    return {"account": {"uid": account}} if account else None


def _session(context: Event) -> Event | None:
    attributes = context.get("attributes") or {}
    created = None if "creationDate" not in attributes else _time(attributes["creationDate"])
    mfa = {"true": True, "false": False}.get(attributes.get("mfaAuthenticated") or "")
    issuer = (context.get("sessionIssuer") or {}).get("arn")
    return _object(created_time=created, created_time_dt=_moment(created), is_mfa=mfa, issuer=issuer)


def vpc_flow(path: Path) -> Iterator[tuple[str, Event]]:
    """Yield the events of one file, each with its class."""
    lines = gzip.decompress(path.read_bytes()).decode().split("\n")
    names = lines[0].split(" ")
    for line in lines[1:]:
        if line:
            values = (None if value == "-" else value for value in line.split(" "))
            yield "network_activity", _flow_event(dict(zip(names, values, strict=True)))


def _flow_event(row: dict[str, str | None]) -> Event:
    get = row.get
    start, end = int(row["start"] or 0) * 1000, int(row["end"] or 0) * 1000
    source, destination = get("pkt-srcaddr") or row["srcaddr"], get("pkt-dstaddr") or row["dstaddr"]
    inbound = get("flow-direction") == "ingress"
    place = {
        "interface_uid": row["interface-id"],
        "vpc_uid": get("vpc-id"),
        "subnet_uid": get("subnet-id"),
        "instance_uid": get("instance-id"),
    }
    here, there = not inbound or source is None, inbound or destination is None
    activity, activity_name, action_id, action = _ACTIONS[row["action"]]
    version = get("type")
    direction, direction_name = _DIRECTIONS[get("flow-direction")]
    boundary, boundary_name = _BOUNDARIES[get("traffic-path")]
    return _base("network_activity", start) | {
        "start_time": start,
        "start_time_dt": _moment(start),
        "end_time": end,
        "end_time_dt": _moment(end),
        "severity_id": 1,
        "severity": "Informational",
        "activity_id": activity,
        "activity_name": activity_name,
        "type_uid": 400_100 + activity,
        "type_name": f"Network Activity: {activity_name}",
        "action_id": action_id,
        "action": action,
        "disposition_id": action_id,
        "disposition": _DISPOSITIONS[action_id],
        "status_code": row["log-status"],
        "metadata": {
            "product": {
                "version": row["version"],
                "name": "Amazon VPC",
                "vendor_name": "AWS",
                "feature": {"name": "Flowlogs"},
            },
            "version": "1.1.0",
            "profiles": ["cloud", "datetime", "security_control"],
        },
        "cloud": {
            "provider": "AWS",
            "account": {"uid": row["account-id"]},
            "region": get("region"),
            "zone": get("az-id"),
        },
        "src_endpoint": _side(source, row["srcport"], get("pkt-src-aws-service"), place if here else {}),
        "dst_endpoint": _side(destination, row["dstport"], get("pkt-dst-aws-service"), place if there else {}),
        "connection_info": {
            "protocol_num": _number(row["protocol"]),
            "protocol_name": _PROTOCOLS[row["protocol"]],
            "protocol_ver": version,
            "protocol_ver_id": 4 if version == "IPv4" or (source is not None and ":" not in source) else None,
            "tcp_flags": _number(get("tcp-flags")),
            "direction_id": direction,
            "direction": direction_name,
            "boundary_id": boundary,
            "boundary": boundary_name,
        },
        "traffic": _object(packets=_number(row["packets"]), bytes=_number(row["bytes"])),
        "observables": _observables(
            [("dst_endpoint.ip", "IP Address", 2, destination), ("src_endpoint.ip", "IP Address", 2, source)]
        ),
        "unmapped": None,
    }


_ACTIONS = {
    "ACCEPT": (6, "Traffic", 1, "Allowed"),
    "REJECT": (5, "Refuse", 2, "Denied"),
    None: (0, "Unknown", 0, "Unknown"),
}
_DISPOSITIONS = {0: "Unknown", 1: "Allowed", 2: "Blocked"}
_DIRECTIONS = {"ingress": (1, "Inbound"), "egress": (2, "Outbound"), None: (0, "Unknown")}
_PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", None: None}
_BOUNDARIES = {"8": (11, "Internet Gateway"), None: (None, None)}


def _side(ip: str | None, port: str | None, service: str | None, place: Event) -> Event:
    return {"ip": ip, "port": _number(port), "svc_name": service, **place}


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _base(event_class: str, time: int) -> Event:
    category, category_name, uid, caption = CLASSES.get(event_class) or (
        4,
        "Network Activity",
        4001,
        "Network Activity",
    )
    return {
        "time": time,
        "time_dt": _moment(time),
        "category_uid": category,
        "category_name": category_name,
        "class_uid": uid,
        "class_name": caption,
    }


def _object(**members: Any) -> Event | None:
    return members if any(value is not None for value in members.values()) else None


def _observables(found: list[tuple[str, str, int, str | None]]) -> list[Event] | None:
    return [
        {"name": name, "type": kind, "type_id": number, "value": value} for name, kind, number, value in found if value
    ] or None


def _leaves(value: Any, path: str, read: frozenset[str], found: dict[str, str]) -> None:
    """Collect the text of every leaf whose path is not in `read`."""
    if value is None or path in read:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            _leaves(inner, f"{path}.{key}" if path else key, read, found)
    elif isinstance(value, list):
        for inner in value:
            _leaves(inner, f"{path}[]", read, found)
    else:
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
        found[path] = f"{found[path]},{text}" if path in found else text


def _json(value: object) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def _time(text: str, form: str | None = None) -> int:
    when = datetime.fromisoformat(text) if form is None else datetime.strptime(text, form).replace(tzinfo=UTC)
    return int(when.timestamp()) * 1000


def _moment(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)


def _endpoint(address: str) -> tuple[str | None, str | None]:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return None, address
    return address, None


def write(log_type: str, files: list[Path], root: Path) -> int:
    """Write the events of all files below `root`, one file for each class, account and day; return their number."""
    import baseline_clouds

    own = {"aws.cloudtrail": (cloudtrail, "aws_cloudtrail"), "aws.vpc_flow": (vpc_flow, "aws_vpc_flow")}
    events_of, stem = (own | baseline_clouds.EVENTS)[log_type]
    schemas = {line.event_class: mapper(log_type).schema(line.event_class) for line in mapper(log_type).events}
    partitions: dict[tuple[str, str, str], list[pa.Table]] = defaultdict(list)
    for path in files:
        rows: dict[tuple[str, str, str], list[Event]] = defaultdict(list)
        for event_class, event in events_of(path):
            rows[event_class, event["cloud"]["account"]["uid"], f"{event['time_dt']:%Y%m%d}"].append(event)
        for partition, events in rows.items():
            partitions[partition].append(pa.Table.from_pylist(events, schema=schemas[partition[0]]))
    count = 0
    for (_, account, day), tables in partitions.items():
        events = pa.concat_tables(tables)
        events = events.take(pc.sort_indices(events, [("time", "ascending")]))
        uid = events["class_uid"][0].as_py()
        folder = root / "ext" / f"{stem}_{uid}" / "region=us-east-1" / f"accountId={account}" / f"eventDay={day}"
        folder.mkdir(parents=True)
        pq.write_table(events, folder / "events.parquet", compression="zstd", compression_level=1)
        count += events.num_rows
    return count
