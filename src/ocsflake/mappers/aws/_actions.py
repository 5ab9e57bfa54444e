"""What GuardDuty says of the action and the process behind a finding, as evidences.

GuardDuty's own findings and those that Security Hub passes on spell the same members in different ways; the caller
knows how, and gives a function from a member's path in GuardDuty's events to its value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocsflake.mappers._network import protocol_number
from ocsflake.mappers.aws._findings import given, times
from ocsflake.mapping import Expr, apply

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["action_evidence", "process_evidence"]

SOURCE = "evidences[].src_endpoint"
DESTINATION = "evidences[].dst_endpoint"
DIRECTION = {"INBOUND": 1, "IN": 1, "OUTBOUND": 2, "OUT": 2, "UNKNOWN": 0}


def action_evidence(action: Callable[[str], Expr]) -> dict[str, Expr]:
    """Return the attributes of an action, of which a finding has one kind.

    A connection inwards has the remote address as its source, one outwards as its destination; where the direction is
    unknown, no side is claimed.

    Args:
        action: Returns the value at a path below ``service.action``.
    """
    connection = "networkConnectionAction"
    probe = "portProbeAction.portProbeDetails[]"
    direction = action(f"{connection}.connectionDirection")
    inbound, outbound = direction.is_in(["INBOUND", "IN"]), direction.is_in(["OUTBOUND", "OUT"])
    protocol = action(f"{connection}.protocol").or_(action("dnsRequestAction.protocol"))

    def remote(detail: str) -> Expr:
        return action(f"awsApiCallAction.remoteIpDetails.{detail}").or_(
            action(f"kubernetesApiCallAction.remoteIpDetails.{detail}"),
            action(f"rdsLoginAttemptAction.remoteIpDetails.{detail}"),
            action(f"{connection}.remoteIpDetails.{detail}").only_if(inbound),
            action(f"{probe}.remoteIpDetails.{detail}"),
        )

    def reached(detail: str) -> Expr:
        return action(f"{connection}.remoteIpDetails.{detail}").only_if(outbound)

    def local(detail: str, side: Expr) -> Expr:
        return action(f"{connection}.{detail}").only_if(side)

    return {
        "evidences[].api.operation": action("awsApiCallAction.api").or_(
            action("kubernetesApiCallAction.verb"), action("kubernetesPermissionCheckedDetails.verb")
        ),
        "evidences[].api.service.name": action("awsApiCallAction.serviceName"),
        "evidences[].api.response.error": action("awsApiCallAction.errorCode"),
        "evidences[].api.response.code": action("kubernetesApiCallAction.statusCode"),
        "evidences[].http_request.user_agent": action("awsApiCallAction.userAgent").or_(
            action("kubernetesApiCallAction.userAgent")
        ),
        f"{SOURCE}.ip": remote("ipAddressV4").or_(
            remote("ipAddressV6"),
            local("localIpDetails.ipAddressV4", outbound),
            local("localIpDetails.ipAddressV6", outbound),
        ),
        f"{SOURCE}.port": local("remotePortDetails.port", inbound).or_(local("localPortDetails.port", outbound)),
        f"{SOURCE}.interface_uid": local("localNetworkInterface", outbound),
        # What a service did for a caller comes from the name of the service.
        f"{SOURCE}.svc_name": action("awsApiCallAction.domainDetails.domain"),
        f"{SOURCE}.owner.account.uid": action("awsApiCallAction.remoteAccountDetails.accountId"),
        f"{DESTINATION}.ip": reached("ipAddressV4").or_(
            reached("ipAddressV6"),
            local("localIpDetails.ipAddressV4", inbound),
            local("localIpDetails.ipAddressV6", inbound),
            action(f"{probe}.localIpDetails.ipAddressV4"),
            action(f"{probe}.localIpDetails.ipAddressV6"),
        ),
        f"{DESTINATION}.port": local("remotePortDetails.port", outbound).or_(
            local("localPortDetails.port", inbound), action(f"{probe}.localPortDetails.port")
        ),
        f"{DESTINATION}.interface_uid": local("localNetworkInterface", inbound),
        "evidences[].connection_info.direction_id": direction.lookup(DIRECTION).or_(given(protocol, 0)),
        "evidences[].connection_info.protocol_name": protocol,
        "evidences[].connection_info.protocol_num": protocol_number(protocol),
        "evidences[].query.hostname": action("dnsRequestAction.domainWithSuffix").or_(
            action("dnsRequestAction.domain")
        ),
        **_place(SOURCE, remote),
        **_place(DESTINATION, reached),
    }


def process_evidence(attribute: str, member: Callable[[str], Expr]) -> dict[str, Expr]:
    """Return the attributes of a process.

    Args:
        attribute: Where it goes.
        member: Returns a member of its raw object.
    """
    file, digest = member("executablePath"), member("executableSha256")
    return {
        f"{attribute}.name": member("name"),
        f"{attribute}.pid": member("pid"),
        f"{attribute}.uid": member("uuid"),
        f"{attribute}.created_time": apply(times, member("startTime")),
        f"{attribute}.user.name": member("user"),
        f"{attribute}.user.uid": member("userId").text(),
        f"{attribute}.parent_process.uid": member("parentUuid"),
        f"{attribute}.file.path": file,
        f"{attribute}.file.name": file.extract(r"([^/\\]+)$"),
        f"{attribute}.file.type_id": given(file, 1),
        f"{attribute}.file.hashes[].value": digest,
        f"{attribute}.file.hashes[].algorithm_id": given(digest, 3),
    }


def _place(side: str, detail: Callable[[str], Expr]) -> dict[str, Expr]:
    """Return where an address is."""
    return {
        f"{side}.location.city": detail("city.cityName"),
        f"{side}.location.country": detail("country.countryCode").or_(detail("country.countryName")),
        f"{side}.location.lat": detail("geoLocation.lat"),
        f"{side}.location.long": detail("geoLocation.lon"),
        # The number of a system may be larger than OCSF's integers.
        f"{side}.autonomous_system.number": detail("organization.asn").text(),
        f"{side}.autonomous_system.name": detail("organization.asnOrg"),
        f"{side}.isp": detail("organization.isp"),
        f"{side}.isp_org": detail("organization.org"),
    }
