"""AWS for all parts that talk to it: addresses in S3, clients, roles, and what a failure means.

boto3 is imported when the first client is made.
"""

from __future__ import annotations

import copy
import re
from functools import partial
from typing import Any, Literal

from attrs import frozen

from ocsflake.errors import ConfigError, LakeError, MissingExtraError

__all__ = [
    "Failure",
    "act_as",
    "check_whole",
    "failure",
    "lake_error",
    "make_client",
    "new_session",
    "s3_address",
    "seconds_to_wait",
]

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ROLE_SESSION = "ocsflake"
_CREDENTIALS = "set AWS_PROFILE, or give a session or a client that has some"

_UNAVAILABLE = frozenset(
    {
        "BandwidthLimitExceeded",
        "ConditionalRequestConflict",
        "OperationAborted",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestTimeout",
        "SlowDown",
        "TooManyRequestsException",
    }
)
_UNAVAILABLE_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_KINDS: dict[str, _Kind] = {
    **dict.fromkeys(("ExpiredToken", "ExpiredTokenException", "RequestExpired"), "expired"),
    **dict.fromkeys(("InvalidAccessKeyId", "InvalidClientTokenId", "InvalidToken"), "credentials"),
    **dict.fromkeys(("400", "SignatureDoesNotMatch", "UnrecognizedClientException", "AuthFailure"), "credentials"),
    **dict.fromkeys(
        ("403", "AccessDenied", "AccessDeniedException", "AllAccessDisabled", "AuthorizationError", "Forbidden"),
        "denied",
    ),
    **dict.fromkeys(("404", "NoSuchKey", "NotFound"), "missing"),
    **dict.fromkeys(("301", "AuthorizationHeaderMalformed", "PermanentRedirect"), "elsewhere"),
    "NoSuchBucket": "no bucket",
    "InvalidBucketName": "no bucket",
    "412": "changed",
    "PreconditionFailed": "changed",
}
_ACTIONS = {
    "AssumeRole": "sts:AssumeRole",
    "ChangeMessageVisibility": "sqs:ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "DeleteMessage": "sqs:DeleteMessage",
    "DeleteMessageBatch": "sqs:DeleteMessage",
    "GetObject": "s3:GetObject",
    "HeadBucket": "s3:ListBucket",
    "HeadObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket",
    "PutObject": "s3:PutObject",
    "ReceiveMessage": "sqs:ReceiveMessage",
}
"""The permission that a call needs."""

_Kind = Literal[
    "changed",
    "credentials",
    "denied",
    "elsewhere",
    "expired",
    "missing",
    "no bucket",
    "no credentials",
    "other",
    "unavailable",
]


@frozen
class Failure:
    """What a failed call to AWS means.

    Attributes:
        kind: What to do about it: ``unavailable`` passes, ``expired`` wants new credentials, ``changed`` is a condition
            of the call that did not hold, the others want the call or a setting to be corrected.
        code: The service's word, or the name of what failed on the way to it.
        action: The permission that the call needs, or ``""`` if the call did not get that far.
        message: The service's sentence.
        retry_after: Seconds that the service asked to wait.
    """

    kind: _Kind
    code: str
    action: str = ""
    message: str = ""
    retry_after: float = 0.0


def s3_address(uri: str) -> tuple[str, str]:
    """Return the bucket and the key prefix, ``""`` or ending in ``/``, of ``s3://bucket/some/prefix/``.

    Raises:
        ConfigError: If it is no such URI.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, path = rest.partition("/")
    if scheme != "s3" or not _BUCKET.fullmatch(bucket):
        raise ConfigError(f"{uri!r} is no address in S3: give s3://bucket or s3://bucket/prefix")
    path = path.removesuffix("/")
    if path and any(part in {"", ".", ".."} for part in path.split("/")):
        raise ConfigError(f"{uri!r}: a part of the prefix is empty, '.' or '..', which some programs take for folders")
    return bucket, f"{path}/" if path else ""


def make_client(
    service: str,
    session: Any = None,
    *,
    region: str | None = None,
    like: Any = None,
    role_arn: str = "",
    external_id: str = "",
) -> Any:
    """Return a boto3 client, of a role if one is given.

    The role is assumed here, and again before its credentials expire.

    Args:
        service: Such as ``s3``.
        session: A `boto3.Session`; if it is not given, one with the settings of the environment.
        region: The AWS Region; if it is not given, that of the session.
        like: A client whose endpoint and configuration it gets.
        role_arn: The role to act as, which trusts the session's principal.
        external_id: What the role's trust policy asks for, if it does.

    Raises:
        MissingExtraError: If boto3 is not installed.
        ConfigError: If the settings are wrong, or no credentials are found for the role.
        botocore.exceptions.ClientError: If the role cannot be assumed.
    """
    boto3, errors = _boto3()
    try:
        session = session or boto3.Session()
        create = session.client
        if role_arn:
            create = _acting(session, role_arn, external_id, region).create_client
        settings = {} if like is None else {"endpoint_url": like.meta.endpoint_url, "config": like.meta.config}
        client = create(service, region_name=region, **settings)
    except (errors.NoRegionError, errors.ProfileNotFound, errors.UnknownServiceError, ValueError) as error:
        raise ConfigError(f"no client for {service!r} can be made: {error}") from error
    client.meta.events.register("after-call", check_whole)
    return client


def check_whole(http_response: Any, model: Any, **_: Any) -> None:
    """Raise if an answer broke off; a client calls this after each call.

    boto3 does not look, and takes what it cannot parse of a JSON answer for one that holds nothing.

    Raises:
        botocore.exceptions.IncompleteReadError: If fewer bytes came than the answer was to have.
    """
    if model.has_streaming_output or model.http["method"] == "HEAD":
        return
    due, came = http_response.headers.get("content-length", ""), len(http_response.content)
    if due.isdecimal() and came < int(due):
        _, errors = _boto3()
        raise errors.IncompleteReadError(actual_bytes=came, expected_bytes=int(due))


def new_session() -> Any:
    """Return a `boto3.Session` with the settings of the environment.

    Raises:
        MissingExtraError: If boto3 is not installed.
        ConfigError: If the environment names a profile that is not there.
    """
    boto3, errors = _boto3()
    try:
        return boto3.Session()
    except errors.ProfileNotFound as error:
        raise ConfigError(f"no session with AWS can be made: {error}") from error


def act_as(role_arn: str, session: Any = None, *, external_id: str = "", region: str | None = None) -> Any:
    """Return a `botocore.session.Session` that acts as a role: for several clients of one role, in any Region.

    The role is assumed here, and again before its credentials expire.

    Args:
        role_arn: The role, which trusts the session's principal.
        session: A `boto3.Session`; if it is not given, one with the settings of the environment.
        external_id: What the role's trust policy asks for, if it does.
        region: Whose STS is asked; if it is not given, that of the session.

    Raises:
        MissingExtraError: If boto3 is not installed.
        ConfigError: If no credentials are found for the role.
        botocore.exceptions.ClientError: If the role cannot be assumed.
    """
    boto3, _ = _boto3()
    return _acting(session or boto3.Session(), role_arn, external_id, region)


def _acting(session: Any, role_arn: str, external_id: str, region: str | None) -> Any:
    """Return a botocore session with all settings of `session` that acts as a role."""
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

    credentials = session.get_credentials()
    if credentials is None:
        raise ConfigError(f"there are no AWS credentials to assume {role_arn} with: {_CREDENTIALS}")
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=partial(session.client, region_name=region),
        source_credentials=credentials,
        role_arn=role_arn,
        extra_args={"RoleSessionName": _ROLE_SESSION} | ({"ExternalId": external_id} if external_id else {}),
    )
    acting: Any = copy.copy(session._session)  # boto3 has no public way to swap the credentials
    acting._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
    acting.get_credentials().get_frozen_credentials()
    return acting


def failure(error: Exception) -> Failure | None:
    """Return what an exception of boto3 means, ``None`` if it is not boto3's."""
    _, errors = _boto3()
    if isinstance(error, errors.ClientError):
        return _answered(error)
    name = type(error).__name__
    if name == "ResponseParserError":  # an answer that broke off, which its message quotes: credentials as well
        return Failure("unavailable", name, message="the answer broke off")
    if isinstance(error, errors.NoCredentialsError | errors.PartialCredentialsError):
        return Failure("no credentials", name, message=str(error))
    on_the_way = (errors.ConnectionError, errors.HTTPClientError, errors.IncompleteReadError)
    if isinstance(error, on_the_way) and not isinstance(error, errors.SSLError):
        return Failure("unavailable", name, message=str(error))
    return Failure("other", name, message=str(error)) if isinstance(error, errors.BotoCoreError) else None


def _answered(error: Any) -> Failure:
    response = error.response
    details, about = response.get("Error", {}), response.get("ResponseMetadata", {})
    code, status = details.get("Code", ""), about.get("HTTPStatusCode", 0)
    kind = _KINDS.get(code, "other")
    if kind == "other" and (status in _UNAVAILABLE_STATUS or code in _UNAVAILABLE or "Throttl" in code):
        kind = "unavailable"
    asked = about.get("HTTPHeaders", {}).get("retry-after", "")
    return Failure(
        kind,
        code,
        action=_ACTIONS.get(error.operation_name, error.operation_name),
        message=details.get("Message", ""),
        retry_after=float(asked) if asked.isdecimal() else 0.0,
    )


def seconds_to_wait(error: Exception) -> float | None:
    """Return how long the service asks to wait after a failure that passes, ``None`` if it does not pass.

    For `ocsflake.retry.retry`.
    """
    found = failure(error)
    return found.retry_after if found and found.kind == "unavailable" else None


def lake_error(error: Exception, where: str, who: str = "") -> LakeError | ConfigError | None:
    """Return what to raise when a place in S3 cannot be used; ``None`` if the exception is not boto3's.

    Args:
        error: What boto3 raised.
        where: The ``s3://`` URI.
        who: The role that acted; the caller's own credentials if it is not given.
    """
    found = failure(error)
    if found is None:
        return None
    role = who or "the credentials of this session"
    said = f"{found.code}: {found.message}" if found.message else found.code
    if found.kind == "no credentials":
        return ConfigError(f"{where}: there are no AWS credentials: {_CREDENTIALS}")
    if found.kind == "no bucket":
        return ConfigError(f"{where}: there is no such bucket: make it, or correct the name")
    if found.kind == "elsewhere":
        return ConfigError(f"{where}: the bucket is in another Region than was asked ({said}): give its own as region=")
    if found.action == "sts:AssumeRole" and found.kind == "denied":
        text = (
            f"{where}: {role} cannot be assumed (sts:AssumeRole: {found.code}): its trust policy must name the"
            " principal of this session, and external_id= must be what it asks for"
        )
    elif found.kind == "denied":
        text = f"{where}: {role} may not do this ({found.code}): allow it {found.action}"
    elif found.kind == "expired":
        text = f"{where}: the credentials have expired ({found.code}): renew them and run again, which goes on here"
    elif found.kind == "credentials":
        text = f"{where}: the credentials are not valid there ({said}): correct them"
    elif found.kind == "missing":
        text = f"{where}: there is no such object ({found.code})"
    elif found.kind == "unavailable":
        text = f"{where}: it cannot be reached, or asks to be left alone ({said}): run again later, which goes on here"
    else:
        text = f"{where}: {found.action or 'the call'} failed ({said})"
    return LakeError(text, path=where)


def _boto3() -> tuple[Any, Any]:
    try:
        import boto3
        from botocore import exceptions
    except ImportError as error:
        raise MissingExtraError("AWS needs boto3: pip install 'ocsflake[aws]'") from error
    return boto3, exceptions
