"""The calls of STS and IAM that setting up Security Lake takes, for the stand-in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["answer"]

_DECISIONS = ("allowed", "implicitDeny")
_PAGE = 3


def answer(
    body: bytes,
    account: str,
    caller: str,
    roles: Mapping[str, str],
    denied: Collection[str],
    assumed: list[str],
    seconds: float,
) -> tuple[int, bytes]:
    """Return status and body for a request.

    Args:
        body: Of the request.
        account: That roles are in.
        caller: The ARN of who calls.
        roles: The external id that each role asks for.
        denied: Actions that are not allowed, some of them on one resource only.
        assumed: Takes each role that is assumed.
        seconds: How long its credentials last.
    """
    asked = {name: values[0] for name, values in parse_qs(body.decode()).items()}
    action = asked.get("Action", "")
    if action == "GetCallerIdentity":
        return 200, _result(action, f"<Arn>{escape(caller)}</Arn><UserId>AIDA</UserId><Account>{account}</Account>")
    if action == "AssumeRole":
        role = asked.get("RoleArn", "")
        if role not in roles or asked.get("ExternalId", "") != roles[role]:
            return _denied(f"User: {caller} is not authorized to perform: sts:AssumeRole on resource: {role}")
        assumed.append(role)
        return 200, _result(action, _credentials(role, asked["RoleSessionName"], timedelta(seconds=seconds)))
    if f"iam:{action}" in denied:
        return _denied(f"User: {caller} is not authorized to perform: iam:{action}")
    if action == "GetRole":
        name = asked["RoleName"]
        about = f"<RoleName>{name}</RoleName><Path>/team/</Path><Arn>arn:aws:iam::{account}:role/team/{name}</Arn>"
        about += "<RoleId>AROA</RoleId><CreateDate>2026-01-01T00:00:00Z</CreateDate>"
        return 200, _result(action, f"<Role>{about}</Role>")
    if action == "SimulatePrincipalPolicy":
        return 200, _result(action, _simulation(asked, denied))
    return 400, _error("InvalidAction", f"the stand-in has no {action}")


def _simulation(asked: Mapping[str, str], denied: Collection[str]) -> str:
    """Return a page of the results: one for each action, with what is so of each resource."""
    actions, resources = (
        [value for name, value in asked.items() if name.startswith(f"{kind}.member.")]
        for kind in ("ActionNames", "ResourceArns")
    )
    results = []
    for action in actions:
        denials = [not {action, f"{action} on {resource}"}.isdisjoint(denied) for resource in resources]
        specific = "".join(
            f"<member><EvalResourceName>{escape(resource)}</EvalResourceName>"
            f"<EvalResourceDecision>{_DECISIONS[denial]}</EvalResourceDecision></member>"
            for resource, denial in zip(resources, denials, strict=True)
            if resource != "*"
        )
        results.append(
            f"<member><EvalActionName>{escape(action)}</EvalActionName>"
            f"<EvalResourceName>{escape(resources[0])}</EvalResourceName>"
            f"<EvalDecision>{_DECISIONS[any(denials)]}</EvalDecision>"
            f"<ResourceSpecificResults>{specific}</ResourceSpecificResults></member>"
        )
    start = int(asked.get("Marker", "0"))
    end = start + _PAGE
    more = f"<Marker>{end}</Marker>" if end < len(results) else ""
    shown = "".join(results[start:end])
    return f"<EvaluationResults>{shown}</EvaluationResults><IsTruncated>{str(bool(more)).lower()}</IsTruncated>{more}"


def _credentials(role: str, session: str, life: timedelta) -> str:
    """Return credentials whose token names the role, so that a test can tell whose a request has."""
    until = (datetime.now(UTC) + life).strftime("%Y-%m-%dT%H:%M:%SZ")
    return (
        f"<AssumedRoleUser><AssumedRoleId>AROA:{escape(session)}</AssumedRoleId><Arn>{escape(role)}</Arn>"
        "</AssumedRoleUser><Credentials><AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId><SecretAccessKey>not-a-secret"
        f"</SecretAccessKey><SessionToken>{escape(role)}</SessionToken><Expiration>{until}</Expiration></Credentials>"
    )


def _result(action: str, inner: str) -> bytes:
    return f"<{action}Response><{action}Result>{inner}</{action}Result></{action}Response>".encode()


def _denied(message: str) -> tuple[int, bytes]:
    return 403, _error("AccessDenied", message)


def _error(code: str, message: str) -> bytes:
    return (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        "</ErrorResponse>"
    ).encode()
