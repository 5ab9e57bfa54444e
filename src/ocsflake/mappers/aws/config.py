"""AWS Config to Compliance Finding 2003 and Cloud Resources Inventory 5023 (before 1.4: Device Inventory 5001).

Changes of compliance and of configuration, as EventBridge (``detail``) and SNS (``Message``) deliver them; the results
of GetComplianceDetailsByConfigRule and its kin (PascalCase, which name neither account nor Region: these are those of
the call, where it is known); configuration items of snapshots and history files in S3 (``configurationItems``), of
GetResourceConfigHistory, and of the events that invoke custom rules. What CloudTrail says of Config's own API, which
comes through the same rule of EventBridge, is API Activity 6003. Notices of deliveries and of evaluations that begin
are skipped.

The fields: https://docs.aws.amazon.com/config/latest/developerguide/config-item-table.html,
https://docs.aws.amazon.com/config/latest/developerguide/example-config-rule-compliance-notification.html
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ocsflake.mappers._json import json_of
from ocsflake.mappers.aws import cloudtrail
from ocsflake.mappers.aws._arn import region_of
from ocsflake.mappers.aws._findings import labels, only_resource, times
from ocsflake.mapping import EventMap, Expr, Fields, JsonRecords, Mapper, apply, at, origin, when

ITEMS = ("", "configurationItem.", "configurationItemSummary.", "invokingEvent.configurationItem.")
"""Where a configuration item is: the record itself, in a notification, or in the event that invokes a rule."""


QUALIFIER = "newEvaluationResult.evaluationResultIdentifier.evaluationResultQualifier"


def joined(*parts: pa.Array) -> pa.Array:
    """Return parts as one text, with ``/`` between them."""
    return pc.binary_join_element_wise(*parts, "/", null_handling="replace", null_replacement="")


def item(*members: str) -> Expr:
    """Return the first of some members that a configuration item has."""
    return at(*(f"{place}{member}" for place in ITEMS for member in members))


def result(member: str) -> Expr:
    """Return a member of the result of an evaluation."""
    return at(f"newEvaluationResult.{member}", member[0].upper() + member[1:])


def evaluated(member: str) -> Expr:
    """Return what an evaluation was of."""
    pascal = member[0].upper() + member[1:]
    return at(
        member,
        f"{QUALIFIER}.{member}",
        f"EvaluationResultIdentifier.EvaluationResultQualifier.{pascal}",
    )


account = at("awsAccountId", "AccountId").or_(origin("account"))
region = at("awsRegion", "AwsRegion").or_(origin("region"))
rule = evaluated("configRuleName")
compliance = result("complianceType")
recorded = apply(times, result("resultRecordedTime"))

PRODUCT: Fields = {
    "severity_id": 1,
    "cloud.provider": "AWS",
    "metadata.product.name": "AWS Config",
    "metadata.product.vendor_name": "AWS",
    "metadata.logged_time": at("notificationCreationTime", "invokingEvent.notificationCreationTime"),
}

COMPLIANCE: Fields = PRODUCT | {
    "time": recorded,
    # A result of the API is a state, not a change of one.
    "activity_id": when(at("messageType").is_null(), 0, when(at("oldEvaluationResult.complianceType").is_null(), 1, 2)),
    "status_id": compliance.lookup({"NON_COMPLIANT": 1, "COMPLIANT": 4}),
    "cloud.account.uid": account,
    "cloud.region": region,
    "metadata.log_version": at("recordVersion").text(),
    # Config gives an evaluation no id: it is that of a rule on a resource.
    "finding_info.uid": apply(joined, account, region, rule, evaluated("resourceType"), evaluated("resourceId")),
    "finding_info.title": rule,
    "finding_info.modified_time": recorded,
    "finding_info.analytic.name": rule,
    "finding_info.analytic.uid": at("configRuleARN", "configRuleArn"),
    "finding_info.analytic.type_id": 1,
    "compliance.control": rule,
    "compliance.status_id": compliance.lookup({"COMPLIANT": 1, "NON_COMPLIANT": 3, "INSUFFICIENT_DATA": 0}, default=99),
    "compliance.status_detail": result("annotation"),
    "compliance.status_details": result("annotation"),
}
# Up to 1.4, OCSF has no compliance without a standard.
NAMED: Fields = COMPLIANCE | {"compliance.standards": "AWS Config"}

EVALUATED: Fields = {
    "resources[].uid": evaluated("resourceId"),
    "resources[].type": evaluated("resourceType"),
    "resources[].region": region,
}

ITEM: Fields = PRODUCT | {
    "time": apply(times, item("configurationItemCaptureTime")),
    "activity_id": when(at("messageType", "invokingEvent.messageType").is_null(), 2, 1),
    "status_code": item("configurationItemStatus"),
    "cloud.account.uid": item("awsAccountId", "accountId").or_(account),
    "cloud.region": item("awsRegion").or_(region_of(item("ARN", "arn")), region),
    "metadata.log_version": item("configurationItemVersion").or_(at("version")).text(),
}

RESOURCE: Fields = {
    "resources[].uid": item("ARN", "arn", "resourceId"),
    "resources[].uid_alt": item("resourceId"),
    "resources[].name": item("resourceName"),
    "resources[].type": item("resourceType"),
    "resources[].region": item("awsRegion"),
    "resources[].zone": item("availabilityZone"),
    "resources[].labels": apply(labels, item("tags")),
    "resources[].created_time": apply(times, item("resourceCreationTime")),
    "resources[].data": apply(json_of, item("configuration")),
}

DEVICE: Fields = {
    "device.uid": item("resourceId"),
    "device.uid_alt": item("ARN", "arn"),
    "device.name": item("resourceName"),
    "device.type_id": item("resourceType").lookup({"AWS::EC2::Instance": 6}, default=99).or_(0),
    "device.region": item("awsRegion"),
    "device.zone": item("availabilityZone"),
    "device.created_time": apply(times, item("resourceCreationTime")),
    "device.ip": item("configuration.privateIpAddress"),
    "device.subnet_uid": item("configuration.subnetId"),
    "device.vpc_uid": item("configuration.vpcId"),
}

AGAIN = tuple(f"{QUALIFIER}.{member}" for member in ("configRuleName", "resourceType", "resourceId"))
"""What a notification says twice."""

is_evaluation = ~compliance.is_null() & ~rule.is_null()
is_item = ~item("configurationItemCaptureTime").is_null() & ~item("resourceType").is_null()
is_call = ~at("eventName").is_null() & ~at("eventSource").is_null()
KNOWN = (
    "availabilityZone",
    "configuration.*",
    "changeType",
    "configurationItemDiff.*",
    "configurationItemDeliveryTime",
    "configurationItemMD5Hash",
    "configurationStateId",
    "configurationStateMd5Hash",
    "recordingFrequency",
    "relatedEvents[]",
    "relationships[].*",
    "supplementaryConfiguration.*",
    "tags.*",
)

MAPPER = Mapper(
    "aws.config",
    title="AWS Config",
    source_name="aws_config",
    null_words=("Not Applicable",),
    parse=JsonRecords(
        unwrap=("configurationItems", "EvaluationResults", "AggregateEvaluationResults", "Message"),
        skip=(
            ("delivery of configuration", "s3ObjectKey"),
            ("delivery of configuration", "configSnapshotId"),
            ("evaluation started", "configRuleNames"),
        ),
    ),
    events=[
        EventMap(
            "compliance_finding",
            where=is_evaluation,
            fields=NAMED | only_resource(EVALUATED),
            consumes=AGAIN,
            until="1.2.0",
        ),
        EventMap(
            "compliance_finding",
            where=is_evaluation,
            fields=NAMED | EVALUATED,
            consumes=AGAIN,
            since="1.3.0",
            until="1.4.0",
        ),
        EventMap(
            "compliance_finding",
            where=is_evaluation,
            fields=COMPLIANCE | EVALUATED,
            consumes=AGAIN,
            since="1.5.0",
        ),
        EventMap("inventory_info", where=is_item, fields=ITEM | DEVICE, until="1.3.0"),
        EventMap("cloud_resources_inventory_info", where=is_item, fields=ITEM | RESOURCE, since="1.4.0"),
        EventMap("api_activity", where=is_call, fields=cloudtrail.COMMON | cloudtrail.API),
    ],
    unmapped=(
        *(f"{place}{member}" for place in ITEMS for member in KNOWN),
        "EvaluationResultIdentifier.*",
        "ConfigRuleInvokedTime",
        "ResultToken",
        "configRuleId",
        "eventLeftScope",
        "executionRoleArn",
        "invokingEvent.*",
        "messageType",
        "newEvaluationResult.*",
        "oldEvaluationResult.*",
        "recordVersion",
        "resultToken",
        "ruleParameters",
        "s3DeliverySummary.*",
        "version",
        *cloudtrail.MAPPER.unmapped,
    ),
)
