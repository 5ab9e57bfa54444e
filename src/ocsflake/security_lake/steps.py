"""From what is wanted and what is there to the calls that are left to make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from ocsflake.errors import ConfigError, LakeError, did_you_mean
from ocsflake.security_lake.names import (
    MAX_CUSTOM_SOURCES,
    aws_event_class,
    check_collisions,
    ocsf_event_class,
)
from ocsflake.security_lake.service import data_lakes, is_missing, registered, subscribers
from ocsflake.security_lake.wanted import (
    AWS_SOURCES,
    S3_MANAGED_KEY,
    CustomSources,
    DataLakes,
    ExceptionSubscription,
    Subscriber,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocsflake.security_lake.service import Registered, Service
    from ocsflake.security_lake.wanted import LakeRegion, NewSource, Wanted

__all__ = ["Findings", "Step", "find", "perform"]

_ACCESS = {"s3": "S3", "query": "LAKEFORMATION"}


@frozen
class Step:
    """A call that changes something.

    Attributes:
        region: The AWS Region.
        operation: Of the API of Security Lake, such as ``CreateCustomLogSource``.
        parameters: Of the operation.
        purpose: What it is for, in words.
        subscriber: The name of the subscriber whose id the call needs, ``""`` if it needs none; a subscriber gets its
            id when it is made.
    """

    region: str
    operation: str
    parameters: Mapping[str, Any] = field(repr=False)
    purpose: str
    subscriber: str = field(default="", kw_only=True)


@frozen
class Findings:
    """What is left to do, and what was found.

    Attributes:
        steps: The calls to make, in order.
        there: What is there already, in words.
        buckets: The bucket of the lake in each Region, as far as it is there.
        keys: The KMS keys of those that are encrypted by one.
    """

    steps: tuple[Step, ...]
    there: tuple[str, ...] = ()
    buckets: Mapping[str, str] = field(factory=dict)
    keys: tuple[str, ...] = ()


def find(service: Service, wanted: Wanted) -> Findings:
    """Return what is left to do for what is wanted; asks, and changes nothing.

    Raises:
        ConfigError: If what is there cannot become what is wanted; says why.
        LakeError: If a permission to ask is missing, or the service cannot be reached.
    """
    match wanted:
        case CustomSources():
            return _custom_sources(service, wanted)
        case DataLakes():
            return _data_lakes(service, wanted)
        case Subscriber():
            return _subscriber(service, wanted)
        case _:
            return _exceptions(service, wanted)


def perform(service: Service, step: Step, wanted: Wanted) -> None:
    """Make a call; if it fails and what it was for is done all the same, it was made.

    Raises:
        ConfigError: If the service does not take it.
        LakeError: If a permission is missing, or the service stays busy or out of reach.
    """
    parameters = dict(step.parameters)
    if step.subscriber:
        ids = [each["subscriberId"] for each in subscribers(service, step.region) if _is(each, step.subscriber)]
        if not ids:
            raise LakeError(f"Security Lake in {step.region}: the subscriber {step.subscriber!r} is gone: plan again")
        parameters["subscriberId"] = ids[0]
    service.call(step.region, step.operation, done=lambda: step not in find(service, wanted).steps, **parameters)


def _custom_sources(service: Service, wanted: CustomSources) -> Findings:
    steps, there, names = [], [], {source.name for source in wanted.sources}
    lakes = {region: _lake(service, region) for region in wanted.regions}
    for region in wanted.regions:
        known = {source.name: source for source in registered(service, region) if source.is_custom}
        check_collisions((source.name for source in wanted.sources), known)
        names.update(known)
        for source in wanted.sources:
            if source.name in known:
                _check_class(source, known[source.name], region)
                there.append(f"custom source {source.name} in {region}, at {known[source.name].location}")
            else:
                steps.append(_register(source, region, wanted))
    if len(names) > MAX_CUSTOM_SOURCES:
        raise ConfigError(
            f"the account would have {len(names)} custom sources, and may have {MAX_CUSTOM_SOURCES}: use"
            " naming='class', which shares a source among all log types of a class, or delete some"
        )
    keys = (lake.get("encryptionConfiguration", {}).get("kmsKeyId", S3_MANAGED_KEY) for lake in lakes.values())
    return Findings(
        tuple(steps),
        tuple(there),
        {region: lake.get("s3BucketArn", "").rpartition(":")[2] for region, lake in lakes.items()},
        tuple(sorted({key for key in keys if key != S3_MANAGED_KEY})),
    )


def _lake(service: Service, region: str) -> Mapping[str, Any]:
    lakes = data_lakes(service, region, region)
    if region not in lakes:
        raise ConfigError(
            f"Security Lake is not enabled in {region}: enable it first, in the console or by"
            " ocsflake.security_lake.plan(DataLakes([LakeRegion(...)], ...)) and apply"
        )
    return lakes[region]


def _check_class(source: NewSource, there: Registered, region: str) -> None:
    names = [ocsf_event_class(name) for name in there.event_classes]
    if names and source.event_class not in names:
        asked = aws_event_class(source.event_class) or source.event_class
        raise ConfigError(
            f"the custom source {source.name!r} in {region} is registered with {', '.join(there.event_classes)}, not"
            f" {asked}; Security Lake cannot change it: delete it and its crawler first"
        )


def _register(source: NewSource, region: str, wanted: CustomSources) -> Step:
    event_class = aws_event_class(source.event_class)
    return Step(
        region,
        "CreateCustomLogSource",
        {
            "sourceName": source.name,
            **({"eventClasses": [event_class]} if event_class else {}),
            "configuration": {
                "crawlerConfiguration": {"roleArn": wanted.crawler_role_arn},
                "providerIdentity": {"principal": wanted.provider, "externalId": wanted.external_id},
            },
        },
        f"register {source.name} for {event_class or 'events of no listed class'} ({source.event_class})",
    )


def _data_lakes(service: Service, wanted: DataLakes) -> Findings:
    asked_in = wanted.regions[0].region
    lakes = data_lakes(service, asked_in)
    configured = {region: _configuration(lake) for region, lake in lakes.items()}
    steps, there = [], []
    # A roll-up Region must be there before those that feed it.
    for region in sorted(wanted.regions, key=lambda region: bool(region.roll_up_to)):
        before = configured.get(region.region)
        after = _merged(region, before, wanted)
        configured[region.region] = after
        if before == after:
            there.append(f"Security Lake in {region.region}, {_described(after)}")
            continue
        parameters = {
            "configurations": [after],
            "metaStoreManagerRoleArn": wanted.meta_store_manager_role_arn,
        }
        operation, verb = ("CreateDataLake", "enable") if before is None else ("UpdateDataLake", "change")
        steps.append(
            Step(region.region, operation, parameters, f"{verb} Security Lake in {region.region}, {_described(after)}")
        )
    _check_roll_ups(configured)
    return Findings(tuple(steps), tuple(there))


def _configuration(lake: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a data lake was configured with, out of what the API says of it."""
    parts = ("encryptionConfiguration", "lifecycleConfiguration", "region", "replicationConfiguration")
    return {name: lake[name] for name in parts if lake.get(name)}


def _merged(region: LakeRegion, before: Mapping[str, Any] | None, wanted: DataLakes) -> dict[str, Any]:
    after = dict(before or {"region": region.region, "encryptionConfiguration": {"kmsKeyId": S3_MANAGED_KEY}})
    if region.kms_key:
        after["encryptionConfiguration"] = {"kmsKeyId": region.kms_key}
    if region.expire_days is not None:
        after["lifecycleConfiguration"] = {
            **after.get("lifecycleConfiguration", {}),
            "expiration": {"days": region.expire_days},
        }
    if region.roll_up_to:
        there = after.get("replicationConfiguration", {})
        wants = {"regions": sorted(region.roll_up_to), "roleArn": wanted.replication_role_arn}
        if {**there, "regions": sorted(there.get("regions", ()))} != wants:
            after["replicationConfiguration"] = wants
    return after


def _described(configuration: Mapping[str, Any]) -> str:
    key = configuration.get("encryptionConfiguration", {}).get("kmsKeyId", S3_MANAGED_KEY)
    days = configuration.get("lifecycleConfiguration", {}).get("expiration", {}).get("days")
    targets = configuration.get("replicationConfiguration", {}).get("regions", ())
    parts = ["encrypted with keys of S3" if key == S3_MANAGED_KEY else f"encrypted with {key}"]
    parts += [f"kept {days} days"] if days else []
    parts += [f"rolled up to {', '.join(targets)}"] if targets else []
    return ", ".join(parts)


def _check_roll_ups(configured: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise if a roll-up Region is not there, contributes itself, or cannot take what is encrypted otherwise."""
    for region, configuration in configured.items():
        for target in configuration.get("replicationConfiguration", {}).get("regions", ()):
            if target not in configured:
                near = did_you_mean(target, configured)
                raise ConfigError(
                    f"{region} cannot roll up to {target}, where Security Lake is not enabled{near}: name"
                    f" LakeRegion({target!r}) as well"
                )
            if configured[target].get("replicationConfiguration", {}).get("regions"):
                raise ConfigError(
                    f"{region} cannot roll up to {target}, which rolls up itself: a roll-up Region cannot contribute to"
                    " another"
                )
            keys = [configured[each].get("encryptionConfiguration", {}).get("kmsKeyId") for each in (region, target)]
            if keys[0] not in {None, S3_MANAGED_KEY} and keys[1] in {None, S3_MANAGED_KEY}:
                raise ConfigError(
                    f"{region} is encrypted with a KMS key and {target} with keys of S3: Security Lake does not"
                    f" replicate between them: give {target} a KMS key"
                )


def _subscriber(service: Service, wanted: Subscriber) -> Findings:
    region = wanted.region
    _lake(service, region)
    sources = _subscribed(service, wanted)
    found = next((each for each in subscribers(service, region) if _is(each, wanted.name)), None)
    steps, there = [], []
    if found is None:
        steps.append(_subscribe(wanted, sources))
    else:
        access = found.get("accessTypes", ())
        if access and _ACCESS[wanted.access] not in access:
            raise ConfigError(
                f"the subscriber {wanted.name!r} in {region} has {', '.join(access)} access, which cannot be changed:"
                f" delete it, or give another name for access={wanted.access!r}"
            )
        identity = {"principal": wanted.principal, "externalId": wanted.external_id}
        if _names(found["sources"]) == sorted(wanted.sources) and found["subscriberIdentity"] == identity:
            there.append(f"subscriber {wanted.name} in {region}")
        else:
            changed = {"sources": sources, "subscriberIdentity": identity}
            purpose = f"give the subscriber {wanted.name} {', '.join(wanted.sources)}"
            steps.append(Step(region, "UpdateSubscriber", changed, purpose, subscriber=wanted.name))
    if wanted.access == "s3":
        if found is None or not found.get("subscriberEndpoint"):
            queue: dict[str, Any] = {"configuration": {"sqsNotificationConfiguration": {}}}
            purpose = f"tell the subscriber {wanted.name} of new objects, by an SQS queue"
            steps.append(Step(region, "CreateSubscriberNotification", queue, purpose, subscriber=wanted.name))
        else:
            there.append(f"notifications of {wanted.name}, to {found['subscriberEndpoint']}")
    return Findings(tuple(steps), tuple(there))


def _subscribe(wanted: Subscriber, sources: list[dict[str, Any]]) -> Step:
    return Step(
        wanted.region,
        "CreateSubscriber",
        {
            "subscriberName": wanted.name,
            "subscriberIdentity": {"principal": wanted.principal, "externalId": wanted.external_id},
            "sources": sources,
            "accessTypes": [_ACCESS[wanted.access]],
            **({"subscriberDescription": wanted.description} if wanted.description else {}),
        },
        f"let the account {wanted.principal} "
        + ("read objects of " if wanted.access == "s3" else "query tables of ")
        + ", ".join(wanted.sources),
    )


def _subscribed(service: Service, wanted: Subscriber) -> list[dict[str, Any]]:
    """Return the sources of a subscriber as the API wants them."""
    known = {source.name: source for source in registered(service, wanted.region)}
    sources = []
    for name in wanted.sources:
        if name not in known:
            near = did_you_mean(name, {*known, *AWS_SOURCES})
            todo = (
                "enable it in the console"
                if name in AWS_SOURCES
                else f"register it: ocsflake custom-sources apply LOG_TYPE --region {wanted.region} ..."
            )
            raise ConfigError(f"the lake in {wanted.region} has no source {name!r}{near or ':'} {todo}")
        source = known[name]
        version = {"sourceVersion": source.version} if source.version else {}
        kind = "customLogSource" if source.is_custom else "awsLogSource"
        sources.append({kind: {"sourceName": name, **version}})
    return sources


def _names(sources: list[Mapping[str, Mapping[str, Any]]]) -> list[str]:
    return sorted(str(about["sourceName"]) for source in sources for about in source.values())


def _is(subscriber: Mapping[str, Any], name: str) -> bool:
    return bool(subscriber["subscriberName"] == name)


def _exceptions(service: Service, wanted: ExceptionSubscription) -> Findings:
    _lake(service, wanted.region)
    parameters: dict[str, Any] = {"subscriptionProtocol": wanted.protocol, "notificationEndpoint": wanted.endpoint}
    if wanted.time_to_live is not None:
        parameters["exceptionTimeToLive"] = wanted.time_to_live
    try:
        there = service.call(wanted.region, "GetDataLakeExceptionSubscription")
    except LakeError as error:
        if not is_missing(error):
            raise
        there = {}
    what = f"exceptions in {wanted.region} by {wanted.protocol} to {wanted.endpoint}"
    if all(there.get(name) == value for name, value in parameters.items()):
        return Findings((), (what,))
    operation = f"{'Update' if there.get('notificationEndpoint') else 'Create'}DataLakeExceptionSubscription"
    return Findings((Step(wanted.region, operation, parameters, f"tell of {what}"),))
