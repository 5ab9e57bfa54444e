"""Azure for all parts that talk to it: credentials, and what a failure means.

The SDKs are imported when they are first needed.
"""

from __future__ import annotations

import functools
import re
from typing import Any, Literal

from attrs import frozen

from ocsflake.errors import AccessDeniedError, MissingExtraError, SourceError, UnavailableError

__all__ = ["NO_RETRIES", "Failure", "default_credential", "failure", "missing_extra", "seconds_to_wait", "source_error"]

NO_RETRIES = {"retry_total": 0}
"""What a call of an SDK is given, so that it does not try again by itself: `ocsflake.retry` does, and for more."""

_AUTHORITIES = {
    ".us": "login.microsoftonline.us",
    ".usgovcloudapi.net": "login.microsoftonline.us",
    ".cn": "login.chinacloudapi.cn",
}
"""Where the identities of a sovereign cloud sign in, by the end of its host names."""
_UNTRUSTED = re.compile(r"CERTIFICATE_VERIFY_FAILED|non-TLS")
_UNAVAILABLE_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_UNAUTHORIZED, _FORBIDDEN = 401, 403
_MISSING = frozenset({404, 410})
_CHANGED = frozenset({412, 416})

Kind = Literal["unavailable", "credentials", "denied", "missing", "changed", "other"]


@frozen
class Failure:
    """What a failed call to Azure means.

    Attributes:
        kind: What to do about it: ``unavailable`` passes, ``credentials`` wants other ones, ``changed`` is a condition
            of the call that did not hold, the others want the call or a setting to be corrected.
        code: The service's word, or the name of what failed on the way to it.
        message: The service's sentence.
        status: The HTTP status, 0 if there was no answer.
        retry_after: Seconds that the service asked to wait.
    """

    kind: Kind
    code: str
    message: str = ""
    status: int = 0
    retry_after: float = 0.0

    @property
    def said(self) -> str:
        """What the service said, in one line."""
        return f"{self.code}: {self.message}" if self.message else self.code


def missing_extra(what: str) -> MissingExtraError:
    """Return the error of an SDK that is not installed."""
    return MissingExtraError(f"Azure needs {what}: pip install 'ocsflake[azure]'")


@functools.cache
def default_credential(host: str) -> Any:
    """Return azure-identity's default credential, the same one for the same host, so that its tokens are shared.

    Args:
        host: The host of the service that it is for; it tells a sovereign cloud.

    Raises:
        MissingExtraError: If azure-identity is not installed.
    """
    try:
        from azure.identity import DefaultAzureCredential
    except ImportError as error:
        raise missing_extra("azure-identity") from error
    authority = next((where for end, where in _AUTHORITIES.items() if host.endswith(end)), None)
    return DefaultAzureCredential(**({"authority": authority} if authority else {}))


def failure(error: Exception) -> Failure | None:
    """Return what an exception of the SDKs means, ``None`` if it is not theirs."""
    from azure.core import exceptions

    name = type(error).__name__
    if isinstance(error, exceptions.ServiceRequestError) and _UNTRUSTED.search(str(error)):
        return Failure("other", name, _line(error))
    if isinstance(error, exceptions.ServiceRequestError | exceptions.ServiceResponseError | exceptions.DecodeError):
        return Failure("unavailable", name, _line(error))
    if isinstance(error, exceptions.ClientAuthenticationError) and not hasattr(error, "error_code"):
        return Failure("credentials", name, _line(error))  # of azure-identity, by way of other services
    if isinstance(error, exceptions.HttpResponseError):
        response: Any = error.response
        if response is None:
            cause = error.__cause__  # of a download that was broken off
            return failure(cause) if isinstance(cause, exceptions.AzureError) else Failure("other", name, _line(error))
        status: int = response.status_code or 0
        code = getattr(error, "error_code", None) or getattr(error.error, "code", None) or str(status)
        return Failure(_kind(status), str(code), _sentence(error), status, _retry_after(response.headers))
    return Failure("other", name, _line(error)) if isinstance(error, exceptions.AzureError) else None


def seconds_to_wait(error: Exception) -> float | None:
    """Return how long the service asks to wait after a failure that passes, ``None`` if it does not pass.

    For `ocsflake.retry.retry`.
    """
    if isinstance(error, UnavailableError):
        return error.retry_after or 0.0
    found = failure(error)
    return found.retry_after if found and found.kind == "unavailable" else None


def source_error(
    error: Exception, where: str, *, allow: str, source: str = "", split: str | None = None
) -> SourceError | None:
    """Return what a source raises when a call failed; ``None`` if the exception is not the SDKs'.

    Args:
        error: What the SDK raised.
        where: What was asked: a workspace, a container.
        allow: The permission that the call needs, and a role that has it.
        source: The name of the source.
        split: The id of the split.
    """
    found = failure(error)
    if isinstance(error, UnavailableError):
        found = Failure("unavailable", str(error))
    if found is None:
        return None
    about: Any = {"source": source, "split": split}
    if found.kind == "unavailable":
        text = (
            f"{where} cannot be reached, or asks to be left alone ({found.said}): run again later, which goes on here"
        )
        return UnavailableError(text, retry_after=found.retry_after or None, **about)
    if found.kind == "credentials":
        text = f"{where}: no credential of this session is taken ({found.said}): sign in again, or give credential="
        return AccessDeniedError(text, **about)
    if found.kind == "denied":
        text = f"{where}: the identity of this session may not read it ({found.said}): allow it {allow}"
        return AccessDeniedError(text, **about)
    if found.kind == "missing":
        return SourceError(f"{where} is not there ({found.said}): correct the name, or leave it out", **about)
    return SourceError(f"{where}: {found.said}", **about)


def _kind(status: int) -> Kind:
    if status in _UNAVAILABLE_STATUS:
        return "unavailable"
    if status in _MISSING:
        return "missing"
    if status in _CHANGED:
        return "changed"
    if status == _UNAUTHORIZED:
        return "credentials"
    return "denied" if status == _FORBIDDEN else "other"


def _sentence(error: Any) -> str:
    """Return the innermost message of an answer: the outer ones only say that something was wrong."""
    inner, message = getattr(error.error, "innererror", None) or {}, ""
    while isinstance(inner, dict) and inner:
        message = inner.get("message") or message
        inner = inner.get("innererror") or {}
    return message or getattr(error.error, "message", None) or _line(error)


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _retry_after(headers: Any) -> float:
    for name, unit in (("retry-after-ms", 1000), ("x-ms-retry-after-ms", 1000), ("retry-after", 1)):
        asked = headers.get(name) or ""
        if asked.isdecimal():
            return int(asked) / unit
    return 0.0
