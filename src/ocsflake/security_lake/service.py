"""Calls to Security Lake, and what it says is there."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from ocsflake import aws
from ocsflake.errors import ConfigError, LakeError, OcsflakeError
from ocsflake.retry import retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["Registered", "Service", "data_lakes", "is_missing", "registered", "subscribers"]

_CONFLICT = "ConflictException"
_MISSING = "ResourceNotFoundException"


@frozen
class Service:
    """Security Lake and its neighbours, by way of a boto3 session.

    Attributes:
        session: A `boto3.Session`; if ``None``, one with the settings of the environment.
        sleep: Waits some seconds before a call is tried again.
    """

    session: Any
    sleep: Callable[[float], object] = field(default=time.sleep, repr=False)
    _clients: dict[tuple[str, str], Any] = field(factory=dict, init=False, repr=False, eq=False)

    def client(self, region: str, name: str = "securitylake") -> Any:
        """Return a boto3 client, made once.

        Raises:
            ConfigError: If it cannot be made.
            MissingExtraError: If boto3 is not installed.
        """
        if (region, name) not in self._clients:
            self._clients[region, name] = aws.make_client(name, self.session, region=region)
        return self._clients[region, name]

    def regions(self) -> list[str]:
        """Return the Regions that Security Lake is in, as far as boto3 knows.

        Raises:
            MissingExtraError: If boto3 is not installed.
        """
        self.client("us-east-1")  # raises if there is no boto3, or no such profile
        import boto3

        session = self.session or boto3.Session()
        return [
            region
            for partition in session.get_available_partitions()
            for region in session.get_available_regions("securitylake", partition_name=partition)
        ]

    def call(self, region: str, operation: str, *, done: Callable[[], bool] = lambda: False, **parameters: Any) -> Any:
        """Call an operation of Security Lake, with patience where another change is under way.

        Args:
            region: The AWS Region.
            operation: As the API names it, such as ``ListDataLakes``.
            done: Asked before the call is tried again: whether there is nothing left to do, since the failure came
                after the deed. The answer is ``None`` then.
            parameters: Of the operation.

        Raises:
            LakeError: If a permission is missing, which the message names; or the service cannot be reached.
            ConfigError: If the service does not take the parameters, or there are no credentials.
        """
        client = self.client(region)
        from botocore import xform_name  # it is there if the client could be made

        tried = False

        def attempt() -> Any:
            nonlocal tried
            if tried and done():
                return None
            tried = True
            return getattr(client, xform_name(operation))(**parameters)

        try:
            return retry(attempt, retryable=_seconds_to_wait, sleep=self.sleep)
        except OcsflakeError:
            raise
        except Exception as error:
            known = _known(error, f"Security Lake in {region}", f"securitylake:{operation}")
            if known is None:
                raise
            raise known from error

    def pages(self, region: str, operation: str, **parameters: Any) -> Iterator[Any]:
        """Yield the pages of an operation that lists.

        Raises:
            LakeError: As `call`.
            ConfigError: As `call`.
        """
        more: Mapping[str, Any] = {}
        while True:
            page = self.call(region, operation, **parameters, **more)
            yield page
            if not page.get("nextToken"):
                return
            more = {"nextToken": page["nextToken"]}


@frozen
class Registered:
    """A source that a lake has.

    Attributes:
        name: Such as ``aws_cloudtrail_6003``.
        version: ``""`` if it has none.
        location: The ``s3://`` URI below which its objects lie, ``""`` for AWS's own.
        role_arn: The role that puts them, ``""`` for AWS's own.
        event_classes: Security Lake's names of its classes, as far as it tells.
    """

    name: str
    version: str = ""
    location: str = ""
    role_arn: str = ""
    event_classes: tuple[str, ...] = ()

    @property
    def is_custom(self) -> bool:
        """Whether it is no source of AWS's own."""
        return bool(self.location)


def data_lakes(service: Service, region: str, *regions: str) -> Mapping[str, Mapping[str, Any]]:
    """Return what ``ListDataLakes`` says of some Regions, or of all, by Region.

    Args:
        service: Security Lake.
        region: The Region to ask in.
        regions: The Regions to ask for; all if none are given.

    Raises:
        LakeError: If a permission is missing, or the service cannot be reached.
    """
    asked: dict[str, Any] = {"regions": list(regions)} if regions else {}
    try:
        answer = service.call(region, "ListDataLakes", **asked)
    except LakeError as error:
        if is_missing(error):
            return {}
        raise
    return {lake["region"]: lake for lake in answer.get("dataLakes", ())}


def registered(service: Service, region: str) -> tuple[Registered, ...]:
    """Return the sources of the lake in a Region, by name; of several versions of a name, the newest.

    Raises:
        LakeError: If a permission is missing, or the service cannot be reached.
    """
    classes: dict[str, tuple[str, ...]] = {}
    for page in service.pages(region, "GetDataLakeSources"):
        for source in page.get("dataLakeSources", ()):
            classes[source["sourceName"]] = tuple(source.get("eventClasses", ()))
    found: dict[str, Registered] = {}
    for page in service.pages(region, "ListLogSources", regions=[region]):
        for item in (each for entry in page.get("sources", ()) for each in entry.get("sources", ())):
            about = item.get("customLogSource") or item.get("awsLogSource") or {}
            provider = about.get("provider", {})
            source = Registered(
                about["sourceName"],
                about.get("sourceVersion", ""),
                provider.get("location", ""),
                provider.get("roleArn", ""),
                classes.get(about["sourceName"], ()),
            )
            other = found.get(source.name)
            if other is None or _age(source.version) > _age(other.version):
                found[source.name] = source
    return tuple(found[name] for name in sorted(found))


def subscribers(service: Service, region: str) -> Iterator[Mapping[str, Any]]:
    """Yield the subscribers of the lake in a Region, as the API describes them.

    Raises:
        LakeError: If a permission is missing, or the service cannot be reached.
    """
    for page in service.pages(region, "ListSubscribers"):
        yield from page.get("subscribers", ())


def is_missing(error: LakeError) -> bool:
    """Return whether the service said that there is no such thing."""
    return _code(error) == _MISSING


def _code(error: LakeError) -> str:
    found = aws.failure(error.__cause__) if isinstance(error.__cause__, Exception) else None
    return found.code if found else ""


def _age(version: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"[._-]", version)]


def _seconds_to_wait(error: Exception) -> float | None:
    if isinstance(error, OcsflakeError):
        return None
    found = aws.failure(error)
    return 0.0 if found and found.code == _CONFLICT else aws.seconds_to_wait(error)


def _known(error: Exception, where: str, action: str) -> OcsflakeError | None:
    found = aws.failure(error)
    if found is None:
        return None
    said = f"{found.code}: {found.message}" if found.message else found.code
    if found.kind == "no credentials":
        return ConfigError(f"{where}: there are no AWS credentials: set AWS_PROFILE, or give a session that has some")
    if found.kind == "denied":
        text = f"{where}: the credentials of this session may not do this ({said}): allow them {action}"
    elif found.code == _CONFLICT:
        text = f"{where}: other changes are under way, and did not end in time ({said}): run again later, which goes on"
    elif found.kind in {"expired", "credentials"}:
        text = f"{where}: the credentials are not valid, or not any more ({said}): renew them and run again"
    elif found.kind == "unavailable":
        text = f"{where}: the service cannot be reached, or asks to be left alone ({said}): run again later"
    elif found.code in {"BadRequestException", "ValidationException", "ParamValidationError"}:
        return ConfigError(f"{where}: {action} was given what it does not take ({said}): correct it")
    else:
        text = f"{where}: {action} failed ({said})"
    return LakeError(text, path=where)
