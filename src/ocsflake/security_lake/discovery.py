"""The lake as Security Lake knows it: bucket, custom sources, their locations and roles."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

from ocsflake import ocsf
from ocsflake.errors import ConfigError
from ocsflake.lake import Lake
from ocsflake.lake.layout import check_region
from ocsflake.model import CustomSource
from ocsflake.security_lake.names import check_ocsf_version, ocsf_event_class
from ocsflake.security_lake.service import Service, data_lakes, registered

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["open_lake"]


def open_lake(
    *,
    region: str,
    session: Any = None,
    external_id: str = "",
    ocsf_version: str = ocsf.DEFAULT_VERSION,
    naming: Literal["log_type", "class"] = "log_type",
    sleep: Callable[[float], object] = time.sleep,
) -> Lake:
    """Return the lake of Security Lake in a Region; asks the service, and changes nothing.

    The bucket comes from ``ListDataLakes``, the custom sources with their locations and roles from ``ListLogSources``
    and their classes from ``GetDataLakeSources``; none of them is derived from a name (contract rules 3 and 28).

    Args:
        region: The AWS Region.
        session: A `boto3.Session`; if it is not given, one with the settings of the environment.
        external_id: What the custom sources were registered with.
        ocsf_version: The OCSF version of the events, at most 1.3.
        naming: How the custom sources were named.
        sleep: Waits some seconds before a call is tried again.

    Raises:
        ConfigError: If Security Lake is not enabled there, or has no custom source yet; prints the command.
        LakeError: If a permission is missing, which the message names; or the service cannot be reached.
        MissingExtraError: If boto3 is not installed.
    """
    check_region(region)
    check_ocsf_version(ocsf_version)
    service = Service(session, sleep)
    lakes = data_lakes(service, region, region)
    bucket = lakes.get(region, {}).get("s3BucketArn", "").rpartition(":")[2]
    if not bucket:
        state = lakes.get(region, {}).get("createStatus", "not enabled")
        raise ConfigError(
            f"Security Lake in {region} has no bucket yet ({state}): enable it there, or give another Region"
        )
    sources: Any = [
        CustomSource(
            source.name,
            next(filter(None, map(ocsf_event_class, source.event_classes)), ""),
            source.location,
            version=source.version,
            role_arn=source.role_arn,
        )
        for source in registered(service, region)
        if source.is_custom
    ]
    if not sources:
        raise ConfigError(
            f"Security Lake in {region} has no custom source yet; register those of a log type: ocsflake custom-sources"
            f" apply LOG_TYPE --region {region} --provider ACCOUNT --external-id ID --crawler-role ARN"
        )
    return Lake(
        f"s3://{bucket}",
        region=region,
        ocsf_version=ocsf_version,
        naming=naming,
        custom_sources=sources,
        external_id=external_id,
        session=session,
    )
