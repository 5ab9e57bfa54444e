"""Results of Config's rules, which do not tell whose they are."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from aws_api_cases import CASES, NOW, OTHER, ROLE, ago, run, written

import ocsflake
from ocsflake.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from ocsflake.testing.aws_apis import AwsApisServer

CASE, ITEMS = CASES[7:9]


def test_equal_results_of_two_accounts(aws_apis: AwsApisServer, tmp_path: Path) -> None:
    """The same rule, resource and time in two accounts are two results, each with its account and Region."""
    times = {"AWS::::Account": NOW - timedelta(hours=1)}
    aws_apis.roles = {ROLE.format(account=account): "" for account in ("111122223333", OTHER)}
    for account in ("111122223333", OTHER):
        CASE.add(aws_apis, times, account=account)
    lake = ocsflake.Lake(tmp_path)

    report = run(CASE.make(aws_apis, accounts=["111122223333", OTHER], role_arn=ROLE), lake)

    assert report.counts.duplicates == 0
    assert written(lake.root) == CASE.expected(times) + CASE.expected(times, account=OTHER)


def test_a_rule_that_is_gone(aws_apis: AwsApisServer, tmp_path: Path) -> None:
    """A rule that is deleted while it is read has no results any more, and is no failure."""
    CASE.add(aws_apis, ago(2, hours=1))
    aws_apis.fail("config:GetComplianceDetailsByConfigRule", "NoSuchConfigRuleException")
    lake = ocsflake.Lake(tmp_path)

    report = run(CASE.make(aws_apis), lake)

    assert not report.failures
    assert written(lake.root) == {}


def test_many_rules(aws_apis: AwsApisServer) -> None:
    """Rules come in pages, and so do the results of each."""
    for number in range(5):
        for resource in range(3):
            result = CASE.made(f"sg-{resource}", NOW - timedelta(hours=1))
            result["EvaluationResultIdentifier"]["EvaluationResultQualifier"]["ConfigRuleName"] = f"rule-{number}"
            aws_apis.add("config", result)

    events = ocsflake.read(CASE.make(aws_apis, since="2026-01-01"))

    controls = [row["compliance"]["control"] for row in events["compliance_finding"].to_pylist()]
    assert sorted(controls) == sorted(f"rule-{number}" for number in range(5) for _ in range(3))


def test_items(aws_apis: AwsApisServer) -> None:
    """A configuration item has the members that were selected, and its tags are labels."""
    ITEMS.add(aws_apis, ago(3, hours=1))

    events = ocsflake.read(ITEMS.make(aws_apis, since="2026-11-01"), ocsf_version="1.6.0")

    resources = [row["resources"][0] for row in events["cloud_resources_inventory_info"].to_pylist()]
    assert sorted(each["uid"] for each in resources) == ["r0", "r1", "r2"]
    assert {(each["type"], *each["labels"]) for each in resources} == {("AWS::EC2::Instance", "team=shop")}
    with pytest.raises(ConfigError, match="records='all': give results or items"):
        ITEMS.make(aws_apis, records="all")
