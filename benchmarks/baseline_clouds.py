"""The plain way of `baseline` for audit logs of Google Cloud and sign-ins of Entra, as `generate` makes them."""

from __future__ import annotations

import gzip
import ipaddress
import re
from typing import TYPE_CHECKING, Any

import orjson
from baseline import Event, _json, _leaves, _moment, _object, _observables, _time

from ocsflake.mappers.gcp._audit_log import CODES, SERVICE_ACCOUNT
from ocsflake.mappers.gcp.audit import ACTIVITY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WORD = re.compile(r"[^./]+$")
_LOG = re.compile("cloudaudit\\.googleapis\\.com(?:%2F|/)([a-z_]+)$")
_ZONE = re.compile(r"^([a-z]+-[a-z]+[0-9]+)-[a-z0-9]+$")
_MACHINE = re.compile(SERVICE_ACCOUNT)
_PREFIXES = sorted(ACTIVITY, key=len, reverse=True)
_CAPTIONS = {1: "Create", 2: "Read", 3: "Update", 4: "Delete", 99: "Other"}
_AUDIT_READ = frozenset(
    [
        *("timestamp", "receiveTimestamp", "severity", "insertId", "logName", "resource.type"),
        *("resource.labels.project_id", "resource.labels.zone"),
        *(f"protoPayload.{name}" for name in ("serviceName", "methodName", "resourceName", "request", "response")),
        *("protoPayload.status.code", "protoPayload.status.message"),
        *("protoPayload.authenticationInfo.principalEmail", "protoPayload.authenticationInfo.principalSubject"),
        *("protoPayload.requestMetadata.callerIp", "protoPayload.requestMetadata.callerSuppliedUserAgent"),
        *("protoPayload.authorizationInfo[].permission", "protoPayload.authorizationInfo[].granted"),
    ]
)
_SIGN_IN_READ = frozenset(
    [
        *("time", "category", "operationVersion", "durationMs", "tenantId"),
        *(
            f"properties.{name}"
            for name in (
                *("id", "createdDateTime", "userId", "userPrincipalName", "userDisplayName", "appId", "appDisplayName"),
                *("resourceId", "resourceDisplayName", "userType", "ipAddress", "userAgent", "sessionId"),
                *("correlationId", "authenticationRequirement", "authenticationProtocol"),
                *("status.errorCode", "status.failureReason", "status.additionalDetails"),
                *("deviceDetail.deviceId", "deviceDetail.displayName", "deviceDetail.operatingSystem"),
                *("location.city", "location.state", "location.countryOrRegion"),
                *("location.geoCoordinates.latitude", "location.geoCoordinates.longitude"),
            )
        ),
    ]
)


def gcp_audit(path: Path) -> Iterator[tuple[str, Event]]:
    """Yield the events of one file, each with its class."""
    for line in gzip.decompress(path.read_bytes()).splitlines():
        yield "api_activity", _audit_event(orjson.loads(line))


def _audit_event(entry: Event) -> Event:
    payload, project = entry["protoPayload"], entry["resource"]["labels"]["project_id"]
    status, who, request = payload["status"], payload["authenticationInfo"], payload["requestMetadata"]
    time, logged = _milliseconds(entry["timestamp"]), _milliseconds(entry["receiveTimestamp"])
    word = _found(_WORD, payload["methodName"]) or ""
    activity = next((ACTIVITY[prefix] for prefix in _PREFIXES if word.startswith(prefix)), 99)
    email, subject, address = who["principalEmail"], who["principalSubject"], request["callerIp"]
    is_machine, is_address = bool(_MACHINE.search(email) or _MACHINE.search(subject)), _is_address(address)
    code = str(status["code"]) if "code" in status else None
    zone = entry["resource"]["labels"]["zone"]
    region = _ZONE.match(zone)
    found: dict[str, str] = {}
    _leaves(entry, "", _AUDIT_READ, found)
    return {
        "time": time,
        "time_dt": _moment(time),
        "category_uid": 6,
        "category_name": "Application Activity",
        "class_uid": 6003,
        "class_name": "API Activity",
        "activity_id": activity,
        "activity_name": word if activity == 99 else _CAPTIONS[activity],
        "type_uid": 600_300 + activity,
        "type_name": f"API Activity: {_CAPTIONS[activity]}",
        "severity_id": 1,
        "severity": "Informational",
        "status_id": 2 if code else 1,
        "status": "Failure" if code else "Success",
        "status_code": code,
        "status_detail": status.get("message"),
        "metadata": {
            "uid": entry["insertId"],
            "log_name": entry["logName"],
            "log_level": entry["severity"],
            "logged_time": logged,
            "logged_time_dt": _moment(logged),
            "original_time": entry["timestamp"],
            "product": {
                "name": "Cloud Audit Logs",
                "vendor_name": "Google Cloud",
                "feature": {"name": (_LOG.search(entry["logName"]) or [None, None])[1]},
            },
            "version": "1.1.0",
            "profiles": ["cloud", "datetime"],
        },
        "cloud": {
            "provider": "GCP",
            "account": {"uid": project, "type": "GCP Project", "type_id": 99},
            "project_uid": project,
            "region": region[1] if region else zone,
            "zone": zone,
        },
        "api": {
            "operation": payload["methodName"],
            "service": {"name": payload["serviceName"]},
            "request": {"uid": entry["insertId"], "data": _json(payload.get("request"))},
            "response": {
                "data": _json(payload.get("response")),
                "code": status.get("code"),
                "error": CODES[code] if code else None,
                "message": status.get("message"),
            },
        },
        "actor": {
            "user": {
                "name": email,
                "email_addr": email,
                "uid": subject,
                "type_id": 99 if is_machine else 1,
                "type": "Service" if is_machine else "User",
            },
            "authorizations": [
                {"decision": "allowed" if each["granted"] else "denied", "policy": {"name": each["permission"]}}
                for each in payload["authorizationInfo"]
            ],
        },
        "src_endpoint": {"ip": address if is_address else None, "name": None if is_address else address},
        "http_request": {"user_agent": request["callerSuppliedUserAgent"]},
        "resources": [{"uid": payload["resourceName"], "type": entry["resource"]["type"]}],
        "observables": _observables(
            [
                ("actor.user.email_addr", "Email Address", 5, email),
                ("actor.user.name", "User Name", 4, email),
                ("src_endpoint.ip", "IP Address", 2, address if is_address else None),
                ("src_endpoint.name", "Hostname", 1, None),
            ]
        ),
        "unmapped": sorted(found.items()) or None,
    }


def azure_signin(path: Path) -> Iterator[tuple[str, Event]]:
    """Yield the events of one file, each with its class."""
    for line in gzip.decompress(path.read_bytes()).splitlines():
        yield "authentication", _sign_in_event(orjson.loads(line))


def _sign_in_event(record: Event) -> Event:
    given = record["properties"]
    time, logged = _milliseconds(given["createdDateTime"]), _milliseconds(record["time"])
    status, device, place = given["status"], given["deviceDetail"], given["location"]
    succeeded = status["errorCode"] == 0
    name, address = given["userPrincipalName"], given["ipAddress"]
    spot = place["geoCoordinates"]
    found: dict[str, str] = {}
    _leaves(record, "", _SIGN_IN_READ, found)
    return {
        "time": time,
        "time_dt": _moment(time),
        "category_uid": 3,
        "category_name": "Identity & Access Management",
        "class_uid": 3002,
        "class_name": "Authentication",
        "activity_id": 1,
        "activity_name": "Logon",
        "type_uid": 300_201,
        "type_name": "Authentication: Logon",
        "severity_id": 1,
        "severity": "Informational",
        "status_id": 1 if succeeded else 2,
        "status": "Success" if succeeded else "Failure",
        "status_code": str(status["errorCode"]),
        "status_detail": status["failureReason"],
        "message": status["additionalDetails"],
        "duration": record["durationMs"],
        "metadata": {
            "uid": given["id"],
            "correlation_uid": given["correlationId"],
            "tenant_uid": record["tenantId"],
            "log_name": record["category"],
            "logged_time": logged,
            "logged_time_dt": _moment(logged),
            "product": {
                "name": "Microsoft Entra ID",
                "vendor_name": "Microsoft",
                "version": record["operationVersion"],
                "feature": {"name": record["category"]},
            },
            "version": "1.1.0",
            "profiles": ["cloud", "datetime"],
        },
        "cloud": {"provider": "Azure", "account": {"uid": record["tenantId"], "type": "Entra Tenant", "type_id": 99}},
        "user": {
            "uid": given["userId"],
            "name": name,
            "email_addr": name,
            "full_name": given["userDisplayName"],
            "type": given["userType"],
            "type_id": 1,
        },
        "service": {"uid": given["appId"], "name": given["appDisplayName"]},
        "dst_endpoint": {"uid": given["resourceId"], "svc_name": given["resourceDisplayName"]},
        "src_endpoint": {
            "ip": address,
            "uid": device["deviceId"],
            "name": device["displayName"],
            "os": {"name": device["operatingSystem"], "type_id": 100, "type": "Windows"},
            "location": {
                "city": place["city"],
                "region": place["state"],
                "country": place["countryOrRegion"],
                "coordinates": [spot["longitude"], spot["latitude"]],
            },
        },
        "http_request": {"user_agent": given["userAgent"]},
        "session": _object(uid=given["sessionId"]),
        "is_mfa": given["authenticationRequirement"] == "multiFactorAuthentication",
        "auth_protocol_id": 0,
        "auth_protocol": "Unknown",
        "logon_type": "interactiveUser",
        "logon_type_id": 99,
        "observables": _observables(
            [
                ("src_endpoint.ip", "IP Address", 2, address),
                ("user.email_addr", "Email Address", 5, name),
                ("user.name", "User Name", 4, name),
            ]
        ),
        "unmapped": sorted(found.items()) or None,
    }


def _milliseconds(text: str) -> int:
    return _time(f"{text[:19]}Z") + int(text[20:23])


def _found(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    return match[0] if match else None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


EVENTS: dict[str, Any] = {"gcp.audit": (gcp_audit, "gcp_audit"), "azure.signin": (azure_signin, "azure_signin")}
"""What makes the events of a log type, and the stem of its custom sources."""
