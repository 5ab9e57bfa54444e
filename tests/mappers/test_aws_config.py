"""What AWS Config says of compliance and of configuration."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from aws_logs import event, reasons
from finding_shapes import records, shape
from sample_events import lines, raw_batches

from ocsflake import mapper, samples
from ocsflake.model import RawBatch

LOG = "aws.config"
FAILED, MENDED, OUTSIDE, UNKNOWN = records(LOG, "eventbridge_compliance")
AGGREGATE = records(LOG, "aggregate")[0]
RESULT = records(LOG, "get_compliance_details")[0]
INSTANCE, GROUP, BUCKET = records(LOG, "eventbridge_items")
HISTORY = records(LOG, "history")
OVERSIZED, CALL = records(LOG, "other")
[RULE] = records(LOG, "rule_invocation")
VERSIONS = ["1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0", "1.6.0", "1.7.0", "1.8.0"]


def items(part: str, version: str) -> list[dict[str, Any]]:
    """Return the events of a file without what its shape alone has: how, when and in which words it was told."""
    paths = [path for path in samples.files(LOG) if part in path.name]
    found = [json.loads(line) for line in lines(mapper(LOG).map_batches(raw_batches(paths), version), version)]
    told = ("unmapped", "activity_id", "activity_name", "type_uid", "type_name", "metadata")
    return [{name: value for name, value in event.items() if name not in told} for event in found]


@pytest.mark.parametrize("version", ["1.1.0", "1.3.0", "1.5.0", "1.8.0"])
def test_notifications_are_events(version: str) -> None:
    """SNS carries the same as text."""
    delivered = shape(LOG, "eventbridge_compliance", version)
    found = shape(LOG, "sns", version)

    assert found == {uid: delivered[uid] for uid in found}


@pytest.mark.parametrize("version", ["1.1.0", "1.3.0", "1.5.0", "1.8.0"])
@pytest.mark.parametrize("part", ["ConfigSnapshot", "history"])
def test_every_shape_of_items_gives_the_same_event(part: str, version: str) -> None:
    """Notifications, snapshots and the API, which has times as numbers and the configuration as text."""
    assert items(part, version) == items("eventbridge_items", version)


def test_a_result_of_the_api() -> None:
    """It says less: whether anything changed, and of which account it is, unless the call is known."""
    told, known = event(LOG, FAILED), event(LOG, RESULT, account="111122223333", region="us-east-1")

    for name in ("time", "compliance", "cloud", "resource", "status_id"):
        assert told[name] == known[name]
    assert told["finding_info"]["uid"] == known["finding_info"]["uid"]
    assert (told["activity_id"], known["activity_id"]) == (1, 0)
    assert event(LOG, AGGREGATE)["cloud"] == told["cloud"]
    assert event(LOG, RESULT)["cloud"] == {"provider": "AWS"}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (FAILED, (1, 3, "Fail", 1)),
        (MENDED, (2, 1, "Pass", 4)),
        (OUTSIDE, (2, 99, "NOT_APPLICABLE", None)),
        (UNKNOWN, (1, 0, "Unknown", None)),
    ],
)
def test_compliance(record: dict[str, Any], expected: tuple[int, int, str, int | None]) -> None:
    """A first result is a new finding, a later one an update; a resource that complies is resolved."""
    found = event(LOG, record)

    compliance = found["compliance"]
    assert (found["activity_id"], compliance["status_id"], compliance["status"], found.get("status_id")) == expected
    assert compliance["control"] == found["finding_info"]["title"] == record["configRuleName"]
    assert found["finding_info"]["analytic"]["uid"] == record["configRuleARN"]


def test_one_finding_for_a_rule_and_a_resource() -> None:
    """Config gives evaluations no id: later results are of the same finding."""
    first, later, other = (event(LOG, record)["finding_info"]["uid"] for record in (FAILED, MENDED, OUTSIDE))

    assert first == later == "111122223333/us-east-1/restricted-ssh/AWS::EC2::SecurityGroup/sg-0examp1e0000000c1"
    assert other != first


@pytest.mark.parametrize("version", VERSIONS)
def test_versions_of_compliance(version: str) -> None:
    """One resource up to 1.2; a standard is required up to 1.4; details of the status are a list since 1.4."""
    found = event(LOG, FAILED, version)

    assert ("resource" in found) == (version in ("1.1.0", "1.2.0"))
    assert ("standards" in found["compliance"]) == (version < "1.5.0")
    assert ("status_details" in found["compliance"]) == (version >= "1.4.0")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("record", [INSTANCE, GROUP, BUCKET, HISTORY[0], OVERSIZED, RULE])
def test_the_class_of_an_item(record: dict[str, Any], version: str) -> None:
    """OCSF has had an inventory of cloud resources since 1.4; before, every resource is a device."""
    assert event(LOG, record, version)["class_uid"] == (5001 if version < "1.4.0" else 5023)


def test_an_item() -> None:
    """The resource with its configuration as it came, whether it was told or collected."""
    found = event(LOG, INSTANCE, "1.8.0")

    [resource] = found["resources"]
    assert resource["uid"] == "arn:aws:ec2:us-east-1:111122223333:instance/i-0examp1e0000000a7"
    assert resource["uid_alt"] == "i-0examp1e0000000a7"
    assert resource["data"] == INSTANCE["configurationItem"]["configuration"]
    assert resource["labels"] == ["Name=web-1", "team=shop"]
    assert (found["activity_name"], found["status_code"]) == ("Log", "ResourceDiscovered")
    assert event(LOG, HISTORY[0], "1.8.0")["activity_name"] == "Collect"


def test_a_device() -> None:
    """An instance is a virtual one; what else there is has its own name."""
    found, other = event(LOG, INSTANCE), event(LOG, GROUP)

    assert (found["device"]["type"], found["device"]["type_id"]) == ("Virtual", 6)
    assert (found["device"]["ip"], found["device"]["zone"]) == ("10.20.1.107", "us-east-1a")
    assert (other["device"]["type"], other["device"]["type_id"]) == ("AWS::EC2::SecurityGroup", 99)
    assert "zone" not in other["device"]


@pytest.mark.parametrize("text", ["no JSON", "", '{"a": ', "[1, 2]"])
def test_a_configuration_that_is_odd(text: str) -> None:
    """Text that is JSON is taken for it, other text stays text."""
    found = event(LOG, HISTORY[0] | {"configuration": text}, "1.8.0")

    expected = {"": None, "[1, 2]": [1, 2]}.get(text, text)
    assert found["resources"][0].get("data") == expected


def test_what_invokes_a_rule() -> None:
    """A custom rule is given the notification as text."""
    assert event(LOG, RULE, "1.8.0")["resources"] == event(LOG, INSTANCE, "1.8.0")["resources"]
    periodic = deepcopy(RULE) | {"invokingEvent": '{"messageType": "ScheduledNotification", "awsAccountId": "1"}'}
    assert reasons(LOG, json.dumps(periodic).encode()) == [("no event class of aws.config takes it", "")]


def test_what_does_not_fit_into_a_notification() -> None:
    """An item that is too large comes as a summary that says where it is."""
    found = event(LOG, OVERSIZED, "1.8.0")

    assert found["resources"][0]["type"] == "AWS::EC2::Instance"
    assert found["unmapped"]["s3DeliverySummary.s3BucketLocation"].endswith("i-0examp1e0000000a7.json.gz")


def test_calls_of_the_api() -> None:
    """They come from CloudTrail, and are what the mapper of CloudTrail makes of them."""
    assert event(LOG, CALL) == event("aws.cloudtrail", CALL)


def test_notices_that_are_no_records() -> None:
    """Deliveries and evaluations that begin are skipped."""
    notices = [
        {"messageType": "ConfigurationHistoryDeliveryCompleted", "s3ObjectKey": "a", "s3Bucket": "b"},
        {"messageType": "ConfigurationSnapshotDeliveryStarted", "configSnapshotId": "a"},
        {"messageType": "ConfigRulesEvaluationStarted", "configRuleNames": ["a"]},
    ]
    wrapped = [{"detail-type": "Config", "source": "aws.config", "detail": notice} for notice in notices]

    mapped = mapper(LOG).map(RawBatch(json.dumps(wrapped).encode()))

    assert mapped.skipped == {"delivery of configuration": 2, "evaluation started": 1}
    assert mapped.records == 0
