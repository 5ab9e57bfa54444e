"""Google Cloud for all sources that talk to it: calls that are tried again, and what a failure means.

The SDKs are imported when the first call is made. Their own retries stay off: they know neither the quota errors of all
services nor each other.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, TypeVar

from ocsflake.errors import AccessDeniedError, ConfigError, MissingExtraError, SourceError, UnavailableError
from ocsflake.retry import retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["call", "default_credentials", "missing", "principal", "quota_project", "seconds_to_wait", "source_error"]

T = TypeVar("T")

_PASSING = frozenset({408, 409, 429, 499, 500, 502, 503, 504})
_NOISE = re.compile(r"[A-Z]+ https?://\S+: |: \('Request failed.*", re.DOTALL)
_MESSAGE_MAX = 4_000
_ATTEMPTS = 10  # a quota that was used up comes back within a minute
_CREDENTIALS = "run `gcloud auth application-default login`, or give credentials or a client that has some"


def call(
    do: Callable[[], T], *, where: str, permission: str, who: str, source: str, split: str | None = None, hint: str = ""
) -> T:
    """Return what `do` returns, tried again while the service cannot do it at the moment.

    Args:
        do: One call of an SDK, such as one page; it must be repeatable.
        where: What is asked for, for errors: the name of a resource or its URI.
        permission: What the caller needs for it, for errors.
        who: The identity that asks, for errors; see `principal`.
        source: The name of the source, for errors.
        split: The id of the split, for errors.
        hint: What to do where there is no such resource.

    Raises:
        AccessDeniedError: If the caller may not do it.
        UnavailableError: If the service still could not do it after some tries.
        SourceError: If the call failed for another reason.
    """
    try:
        return retry(do, retryable=seconds_to_wait, attempts=_ATTEMPTS)
    except Exception as error:
        failed = source_error(error, where=where, permission=permission, who=who, hint=hint)
        if failed is None:
            raise
        failed.source, failed.split = source, split
        raise failed from error


def seconds_to_wait(error: Exception) -> float | None:
    """Return how long the service asks to wait after a failure that passes, ``None`` if it does not pass.

    For `ocsflake.retry.retry`.
    """
    import requests
    import urllib3
    from google.api_core import exceptions
    from google.auth import exceptions as auth

    if isinstance(error, exceptions.GoogleAPICallError):
        passes = error.code in _PASSING or isinstance(error, exceptions.Unknown)
        return _asked(error) if passes else None
    if isinstance(error, auth.GoogleAuthError):
        return 0.0 if error.retryable or isinstance(error, auth.TransportError) else None
    if isinstance(error, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
        return None
    on_the_way = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    return 0.0 if isinstance(error, (*on_the_way, urllib3.exceptions.HTTPError, ConnectionError)) else None


def source_error(error: Exception, *, where: str, permission: str, who: str, hint: str = "") -> SourceError | None:
    """Return what to raise when a resource cannot be read; ``None`` if the exception is not of Google's SDKs."""
    import requests
    from google.api_core import exceptions
    from google.auth import exceptions as auth

    wait = seconds_to_wait(error)
    if wait is not None:
        text = f"{where}: Google Cloud cannot be reached, or asks to be left alone ({_said(error)}): run again later"
        return UnavailableError(text, retry_after=wait or None)
    if isinstance(error, auth.GoogleAuthError | exceptions.Unauthorized):
        return SourceError(f"{where}: the credentials are not valid ({_said(error)}): renew them and run again")
    if isinstance(error, exceptions.Forbidden):
        return AccessDeniedError(f"{where}: {who} may not read it ({_said(error)}): allow {permission}")
    if isinstance(error, exceptions.NotFound):
        return SourceError(f"{where}: there is no such resource ({_said(error)}){f': {hint}' if hint else ''}")
    if isinstance(error, exceptions.GoogleAPICallError | requests.RequestException):
        return SourceError(f"{where}: it cannot be read ({_said(error)})")
    return None


def principal(client: Any) -> str:
    """Return who a client of an SDK acts as, as far as that can be told."""
    credentials = getattr(client, "_credentials", None)
    email: str = getattr(credentials, "service_account_email", "") or ""
    return email if "@" in email else "the caller (these credentials do not tell who it is)"


def quota_project(client: Any) -> str:
    """Return the project whose quota a client uses."""
    credentials = getattr(client, "_credentials", None)
    return getattr(credentials, "quota_project_id", None) or getattr(client, "project", None) or ""


def missing(package: str) -> MissingExtraError:
    """Return the error that says how a package of the extra is installed."""
    return MissingExtraError(f"Google Cloud needs {package}: pip install 'ocsflake[gcp]'")


@functools.cache
def default_credentials(scopes: tuple[str, ...]) -> Any:
    """Return the credentials of the environment.

    Raises:
        ConfigError: If there are none.
        MissingExtraError: If google-auth is not installed.
    """
    try:
        import google.auth
        from google.auth.exceptions import DefaultCredentialsError
    except ImportError as error:
        raise missing("google-auth") from error
    try:
        return google.auth.default(scopes=scopes)[0]
    except DefaultCredentialsError as error:
        raise ConfigError(f"there are no Google Cloud credentials: {_CREDENTIALS}") from error


def _asked(error: Any) -> float:
    """Return how many seconds a service asked to wait: a header of HTTP, or a detail of gRPC."""
    headers = getattr(error.response, "headers", None) or {}
    asked = headers.get("retry-after", "")
    if asked.isdecimal():
        return float(asked)
    return max(_delays(error.details or ()), default=0.0)


def _delays(details: Any) -> Iterator[float]:
    for detail in details:
        if isinstance(detail, dict):
            text = str(detail.get("retryDelay", "")).removesuffix("s")
            if text.replace(".", "", 1).isdecimal():
                yield float(text)
        elif hasattr(detail, "retry_delay"):
            yield float(detail.retry_delay.seconds + detail.retry_delay.nanos / 1e9)


def _said(error: Exception) -> str:
    """Return what an exception says in one line, without the address of the call."""
    code = getattr(error, "grpc_status_code", None) or getattr(error, "code", None)
    name = getattr(code, "name", None) or str(code or type(error).__name__)
    message = str(getattr(error, "message", "") or (error if code is None else ""))
    message = " ".join(_NOISE.sub("", message[:_MESSAGE_MAX]).split())[:300]
    return f"{name}: {message}" if message else name
