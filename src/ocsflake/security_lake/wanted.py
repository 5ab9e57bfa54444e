"""What may be wanted of Security Lake, as values: each is checked when it is made, before anything is asked."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

from attrs import field, frozen

from ocsflake import ocsf
from ocsflake.errors import ConfigError, did_you_mean
from ocsflake.lake.layout import check_region
from ocsflake.security_lake.names import MAX_CUSTOM_SOURCES, aws_event_class, check_collisions, names_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from attrs import Attribute

    from ocsflake.mapping import Mapper

__all__ = [
    "AWS_SOURCES",
    "S3_MANAGED_KEY",
    "CustomSources",
    "DataLakes",
    "ExceptionSubscription",
    "LakeRegion",
    "NewSource",
    "Subscriber",
    "Wanted",
    "custom_sources",
]

S3_MANAGED_KEY = "S3_MANAGED_KEY"
"""Security Lake's word for encryption with keys that S3 keeps (contract rule 29)."""

AWS_SOURCES = (
    "CLOUD_TRAIL_MGMT",
    "EKS_AUDIT",
    "LAMBDA_EXECUTION",
    "ROUTE53",
    "S3_DATA",
    "SH_FINDINGS",
    "VPC_FLOW",
    "WAF",
)
"""The names of the sources that are AWS's own (contract rule 32)."""

_PRINCIPAL = re.compile(r"[0-9]{12}|[a-z0-9.-]+\.(?:amazonaws|amazon)\.com")
_EXTERNAL_ID = re.compile(r"[A-Za-z0-9_+=,.@:/-]{2,1224}")
_ROLE = re.compile(r"arn:aws[a-zA-Z-]*:iam::[0-9]{12}:role/[a-zA-Z_0-9+=,.@/-]+")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,19}")
_SUBSCRIBER_NAME = re.compile(r"[\w:/.@=+-]{1,64}", re.ASCII)
_ENDPOINT = re.compile(r"[\w:/.@=+-]+", re.ASCII)
_DESCRIPTION = re.compile(r"[\\\w\s:/,.@=+-]*", re.ASCII)
_PROTOCOLS = ("app", "email", "email-json", "firehose", "http", "https", "lambda", "sms", "sqs")
_MAX_SUBSCRIBED = 10


def _principal(_instance: Any, attribute: Attribute[str], value: str) -> None:
    if not _PRINCIPAL.fullmatch(value):
        raise ConfigError(
            f"{attribute.name}={value!r}: give the 12 digits of an AWS account, or an AWS service's host name"
        )


def _external_id(_instance: Any, attribute: Attribute[str], value: str) -> None:
    if not _EXTERNAL_ID.fullmatch(value):
        raise ConfigError(
            f"{attribute.name}= of {len(value)} characters: an external id has 2 to 1224 letters, digits and characters"
            " of _+=,.@:/-"
        )


def _role(_instance: Any, attribute: Attribute[str], value: str) -> None:
    if value and not _ROLE.fullmatch(value):
        raise ConfigError(
            f"{attribute.name}={value!r} is no ARN of a role: give arn:aws:iam::<account>:role/<path and name>"
        )


def _needed(_instance: Any, attribute: Attribute[str], value: str) -> None:
    if not value:
        raise ConfigError(f"{attribute.name} is empty: give the ARN of the role")


def _regions(_instance: Any, _attribute: Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:
    if not value:
        raise ConfigError("regions is empty: give the AWS Regions of the lake")
    for region in value:
        check_region(region)


def _sources(values: Iterable[NewSource]) -> tuple[NewSource, ...]:
    return tuple(values)


def _lake_regions(values: Iterable[LakeRegion]) -> tuple[LakeRegion, ...]:
    return tuple(values)


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    if isinstance(values, str):
        return (values,)
    return tuple(dict.fromkeys(values))


@frozen
class NewSource:
    """A custom source that should be there.

    Attributes:
        name: At most 20 characters: letters, digits, ``_`` and ``-``.
        event_class: The OCSF name of the class of its events.
    """

    name: str = field()
    event_class: str = field()

    @name.validator
    def _name_holds(self, _attribute: Attribute[str], value: str) -> None:
        if not _NAME.fullmatch(value):
            raise ConfigError(
                f"custom source name {value!r} ({len(value)} characters): it must begin with a letter, and hold at most"
                " 20 letters, digits, '_' and '-'"
            )

    @event_class.validator
    def _class_is_listed(self, _attribute: Attribute[str], value: str) -> None:
        aws_event_class(value)


@frozen
class CustomSources:
    """Custom sources that should be registered (contract rules 1 to 8).

    Attributes:
        sources: At most 50.
        regions: The Regions of the lake to register them in.
        provider: The account of who writes: 12 digits.
        external_id: What the roles that Security Lake makes for the writer will ask for.
        crawler_role_arn: The role that the Glue crawlers act as; it must be there.
    """

    sources: tuple[NewSource, ...] = field(converter=_sources)
    regions: tuple[str, ...] = field(converter=_distinct, validator=_regions, kw_only=True)
    provider: str = field(validator=_principal, kw_only=True)
    external_id: str = field(validator=_external_id, kw_only=True, repr=False)
    crawler_role_arn: str = field(validator=[_needed, _role], kw_only=True)

    @sources.validator
    def _sources_fit(self, _attribute: Attribute[tuple[NewSource, ...]], value: tuple[NewSource, ...]) -> None:
        names = [source.name for source in value]
        if not names:
            raise ConfigError("there is no custom source to register: give mappers, or classes")
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise ConfigError(f"the custom source {twice[0]!r} is given twice")
        check_collisions(names, ())
        if len(names) > MAX_CUSTOM_SOURCES:
            raise ConfigError(
                f"{len(names)} custom sources, and an account may have {MAX_CUSTOM_SOURCES}: use naming='class', which"
                " shares a source among all log types of a class"
            )


def custom_sources(
    of: Iterable[Mapper | str],
    *,
    regions: Iterable[str],
    provider: str,
    external_id: str,
    crawler_role_arn: str,
    naming: Literal["log_type", "class"] = "log_type",
    ocsf_version: str = ocsf.DEFAULT_VERSION,
    without: Iterable[str] = (),
) -> CustomSources:
    """Return the custom sources that mappers need, under the names that `ocsflake.Lake` writes to.

    Args:
        of: Mappers; or OCSF names of classes, with ``naming="class"``.
        regions: The Regions of the lake.
        provider: The account of who writes.
        external_id: What the writer's roles will ask for.
        crawler_role_arn: The role that the Glue crawlers act as.
        naming: As `ocsflake.Lake` has it: a source for each log type and class, or one for each class.
        ocsf_version: Of the events.
        without: OCSF names of classes to leave out.

    Raises:
        ConfigError: If anything breaks a rule of the service.
    """
    names = names_of(of, naming=naming, ocsf_version=ocsf_version, without=_distinct(without))
    return CustomSources(
        [NewSource(name, event_class) for name, event_class in names.items()],
        regions=regions,
        provider=provider,
        external_id=external_id,
        crawler_role_arn=crawler_role_arn,
    )


@frozen
class LakeRegion:
    """A Region that Security Lake should be enabled in; what is not given stays as it is.

    Attributes:
        region: The AWS Region.
        roll_up_to: The Regions that get copies of its objects.
        kms_key: The KMS key that encrypts it, or `S3_MANAGED_KEY`; ``""`` for S3's keys in a new Region.
        expire_days: How long objects are kept, ``None`` for ever.
    """

    region: str = field()
    roll_up_to: tuple[str, ...] = field(default=(), converter=_distinct, kw_only=True)
    kms_key: str = field(default="", kw_only=True)
    expire_days: int | None = field(default=None, kw_only=True)

    @region.validator
    def _is_region(self, _attribute: Attribute[str], value: str) -> None:
        check_region(value)

    @roll_up_to.validator
    def _rolls_up_elsewhere(self, _attribute: Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:
        if self.region in value:
            raise ConfigError(f"{self.region} cannot roll up to itself")
        for region in value:
            check_region(region)

    @kms_key.validator
    def _is_single_region_key(self, _attribute: Attribute[str], value: str) -> None:
        if value.rpartition("/")[2].startswith("mrk-"):
            raise ConfigError(f"{value}: Security Lake takes no multi-Region key: give one of {self.region} alone")

    @expire_days.validator
    def _is_positive(self, _attribute: Attribute[int | None], value: int | None) -> None:
        if value is not None and value < 1:
            raise ConfigError(f"expire_days={value}: give a day or more, or None to keep objects for ever")


@frozen
class DataLakes:
    """Regions that Security Lake should be enabled in (contract rule 36).

    Attributes:
        regions: Each of them once.
        meta_store_manager_role_arn: The role that keeps the tables up to date; it must be there.
        replication_role_arn: The role that copies objects to roll-up Regions; it must be there if there are any.
    """

    regions: tuple[LakeRegion, ...] = field(converter=_lake_regions)
    meta_store_manager_role_arn: str = field(validator=[_needed, _role], kw_only=True)
    replication_role_arn: str = field(default="", validator=_role, kw_only=True)

    def __attrs_post_init__(self) -> None:
        names = [region.region for region in self.regions]
        if not names:
            raise ConfigError("there is no Region to enable: give LakeRegion values")
        if len(set(names)) < len(names):
            raise ConfigError(f"a Region is given twice: {', '.join(names)}")
        if any(region.roll_up_to for region in self.regions) and not self.replication_role_arn:
            raise ConfigError("roll-up Regions need replication_role_arn=, the role that copies objects to them")


@frozen
class Subscriber:
    """A subscriber that should be there (contract rule 37).

    Attributes:
        name: At most 64 characters.
        region: The Region whose objects it may read; a roll-up Region, for those of several.
        sources: At most 10: custom sources, or AWS's own, such as ``CLOUD_TRAIL_MGMT``.
        principal: The account of the subscriber: 12 digits.
        external_id: What its role will ask for.
        access: ``s3``: it reads objects, and an SQS queue tells it of new ones. ``query``: it queries tables, which
            Lake Formation shares with it.
        description: For people.
    """

    name: str = field(kw_only=True)
    region: str = field(kw_only=True)
    sources: tuple[str, ...] = field(converter=_distinct, kw_only=True)
    principal: str = field(validator=_principal, kw_only=True)
    external_id: str = field(validator=_external_id, kw_only=True, repr=False)
    access: Literal["s3", "query"] = field(default="s3", kw_only=True)
    description: str = field(default="", kw_only=True)

    def __attrs_post_init__(self) -> None:
        check_region(self.region)
        if not _SUBSCRIBER_NAME.fullmatch(self.name):
            raise ConfigError(f"subscriber name {self.name!r}: give 1 to 64 letters, digits and characters of _:/.@=+-")
        if not 1 <= len(self.sources) <= _MAX_SUBSCRIBED:
            raise ConfigError(f"subscriber {self.name!r} has {len(self.sources)} sources: give 1 to {_MAX_SUBSCRIBED}")
        if self.access not in {"s3", "query"}:
            raise ConfigError(
                f"access={self.access!r}: give 's3' or 'query'{did_you_mean(self.access, ('s3', 'query'))}"
            )
        if not _DESCRIPTION.fullmatch(self.description):
            raise ConfigError(
                f"description={self.description!r}: give letters, digits, spaces and characters of _-:/,.@=+"
            )


@frozen
class ExceptionSubscription:
    """Where Security Lake should tell of what goes wrong in a Region (contract rule 40).

    Attributes:
        region: The AWS Region.
        protocol: As SNS names it, such as ``https``, ``email``, ``sqs``.
        endpoint: A URL, an address or an ARN, as the protocol asks.
        time_to_live: How long an exception is kept, as the service counts it; ``None`` for the service's own choice.
    """

    region: str = field(kw_only=True)
    protocol: str = field(kw_only=True)
    endpoint: str = field(kw_only=True)
    time_to_live: int | None = field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        check_region(self.region)
        if self.protocol not in _PROTOCOLS:
            near = did_you_mean(self.protocol, _PROTOCOLS) or f"; SNS has {', '.join(_PROTOCOLS)}"
            raise ConfigError(f"protocol={self.protocol!r} is none of SNS's{near}")
        if not _ENDPOINT.fullmatch(self.endpoint):
            raise ConfigError(f"endpoint={self.endpoint!r}: give letters, digits and characters of _:/.@=+-")
        if self.time_to_live is not None and self.time_to_live < 1:
            raise ConfigError(f"time_to_live={self.time_to_live}: give 1 or more")


Wanted = CustomSources | DataLakes | ExceptionSubscription | Subscriber
