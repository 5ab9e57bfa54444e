"""The Windows Security log to Authentication 3002, Account Change 3001, Group Management 3006, Process Activity 1007.

As ``evtx_dump -o jsonl Security.evtx`` writes it: one object an event, ``System`` and ``EventData`` in it. Any other
event is a Base Event 0.

The fields: https://learn.microsoft.com/windows/security/threat-protection/auditing/advanced-security-audit-policy-settings
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mapping import EventMap, Fields, JsonRecords, Mapper, apply, at, is_ip, when

SIGN_IN = {
    "4624": 1,  # an account was logged on
    "4625": 1,  # it failed to
    "4634": 2,  # it was logged off
    "4647": 2,  # it logged off
    "4648": 1,  # with credentials that were given
    "4768": 3,  # a ticket-granting ticket was asked for
    "4769": 4,  # a service ticket
    "4770": 5,  # was renewed
    "4771": 3,  # Kerberos pre-authentication failed
    "4776": 1,  # NTLM checked credentials
}
ACCOUNT = {
    "4720": 1,  # created
    "4722": 2,  # enabled
    "4723": 3,  # somebody changed their password
    "4724": 4,  # a password was reset
    "4725": 5,  # disabled
    "4726": 6,  # deleted
    "4740": 9,  # locked out
    "4767": 12,  # unlocked
}
MEMBERS = {"4728": 3, "4732": 3, "4756": 3, "4729": 4, "4733": 4, "4757": 4}  # added, removed
LOGON_TYPE = {str(number): number for number in (2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13)}
PROTOCOL = {"NTLM": 1, "Kerberos": 2}
NUMBER = re.compile("0x[0-9a-fA-F]{1,16}|0|[1-9][0-9]{0,18}")
AUDIT_FAILURE = "0x8010000000000000"

SYSTEM, DATA = "Event.System", "Event.EventData"


def number(texts: pa.Array) -> pa.Array:
    """Return numbers that are written in base 16 (``0x1f4``) or 10 in base 10; null for any other text."""
    unique = texts.unique()
    values = [str(int(text, 0)) if text and NUMBER.fullmatch(text) else None for text in unique.to_pylist()]
    return pa.array(values, pa.string()).take(pc.index_in(texts, value_set=unique))


code = at(f"{SYSTEM}.EventID").text().or_(at(f"{SYSTEM}.EventID.#text").text())
failed = (at(f"{SYSTEM}.Keywords") == AUDIT_FAILURE) | code.is_in(["4625", "4771"])
target, subject = at(f"{DATA}.TargetUserName"), at(f"{DATA}.SubjectUserName")
address = at(f"{DATA}.IpAddress").extract(r"^(?:::ffff:)?(.*)$")
member = at(f"{DATA}.MemberName").or_(at(f"{DATA}.MemberSid"))
image = at(f"{DATA}.NewProcessName")

BASE: Fields = {
    "time": at(f"{SYSTEM}.TimeCreated.#attributes.SystemTime"),
    "severity_id": 1,
    "metadata.uid": at(f"{SYSTEM}.EventRecordID").text(),
    "metadata.event_code": code,
    "metadata.log_name": at(f"{SYSTEM}.Channel"),
    "metadata.product.name": "Windows",
    "metadata.product.vendor_name": "Microsoft",
    "metadata.product.feature.name": at(f"{SYSTEM}.Provider.#attributes.Name"),
    "device.hostname": at(f"{SYSTEM}.Computer"),
    "device.type_id": 0,
    "device.os.name": "Windows",
    "device.os.type_id": 100,
    "status_id": when(failed, 2, 1),
}

ACTOR: Fields = {
    "actor.user.name": subject,
    "actor.user.uid": at(f"{DATA}.SubjectUserSid"),
    "actor.user.domain": at(f"{DATA}.SubjectDomainName"),
    "actor.session.uid": at(f"{DATA}.SubjectLogonId"),
}

AUTHENTICATION: Fields = (
    BASE
    | ACTOR
    | {
        "activity_id": code.lookup(SIGN_IN),
        "user.name": target,
        "user.uid": at(f"{DATA}.TargetUserSid").or_(at(f"{DATA}.TargetSid")),
        "user.domain": at(f"{DATA}.TargetDomainName"),
        "session.uid": at(f"{DATA}.TargetLogonId"),
        "logon_type_id": at(f"{DATA}.LogonType").text().lookup(LOGON_TYPE, default=99),
        "auth_protocol_id": at(f"{DATA}.AuthenticationPackageName").lookup(PROTOCOL, default=99),
        "status_code": at(f"{DATA}.Status").text(),
        "status_detail": at(f"{DATA}.SubStatus").text(),
        "src_endpoint.ip": address.only_if(is_ip(address)),
        "src_endpoint.port": apply(number, at(f"{DATA}.IpPort").text()),
        "src_endpoint.hostname": at(f"{DATA}.WorkstationName").or_(at(f"{DATA}.Workstation")),
        "dst_endpoint.hostname": at(f"{SYSTEM}.Computer"),
        "service.name": at(f"{DATA}.ServiceName"),
    }
)

ACCOUNT_CHANGE: Fields = (
    BASE
    | ACTOR
    | {
        "activity_id": code.lookup(ACCOUNT),
        "user.name": target,
        "user.uid": at(f"{DATA}.TargetSid"),
        "user.domain": at(f"{DATA}.TargetDomainName"),
        "src_endpoint.hostname": at(f"{DATA}.CallerComputerName"),
    }
)

GROUP: Fields = (
    BASE
    | ACTOR
    | {
        "activity_id": code.lookup(MEMBERS),
        "group.name": target,
        "group.uid": at(f"{DATA}.TargetSid"),
        "group.domain": at(f"{DATA}.TargetDomainName"),
        "user.name": member,
        "user.uid": at(f"{DATA}.MemberSid"),
    }
)

PROCESS: Fields = (
    BASE
    | ACTOR
    | {
        "activity_id": 1,
        "process.name": image.extract(r"([^\\]+)$"),
        "process.pid": apply(number, at(f"{DATA}.NewProcessId")),
        "process.cmd_line": at(f"{DATA}.CommandLine"),
        "process.file.name": image.extract(r"([^\\]+)$"),
        "process.file.path": image,
        "process.file.type_id": 1,
        "process.parent_process.pid": apply(number, at(f"{DATA}.ProcessId")),
        "process.parent_process.file.path": at(f"{DATA}.ParentProcessName"),
        "process.parent_process.file.name": at(f"{DATA}.ParentProcessName").extract(r"([^\\]+)$"),
        "process.parent_process.file.type_id": at(f"{DATA}.ParentProcessName").lookup({}, default=1),
    }
)

MAPPER = Mapper(
    "windows.security",
    title="The Windows Security log",
    source_name="windows",
    parse=JsonRecords(),
    null_words=("-", "S-1-0-0"),
    events=[
        EventMap("authentication", where=code.is_in(SIGN_IN) & ~target.is_null(), fields=AUTHENTICATION),
        EventMap("account_change", where=code.is_in(ACCOUNT), fields=ACCOUNT_CHANGE),
        EventMap("group_management", where=code.is_in(MEMBERS), fields=GROUP),
        EventMap("process_activity", where=code == "4688", fields=PROCESS),
        EventMap("base_event", fields=BASE | {"activity_id": 0}),
    ],
    unmapped=("Event.System.*", "Event.EventData.*", "Event.UserData.*", "Event.#attributes.*"),
)
