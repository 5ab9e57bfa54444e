"""Where AWS services put their logs: keys of each layout are found, and what they say is understood."""

from __future__ import annotations

import pytest

from ocsflake.errors import ConfigError
from ocsflake.sources.aws._layouts import layout, origin_of, template

KEYS = {
    "aws.cloudfront": [
        "AWSLogs/111122223333/CloudFront/E2EXAMPLE1234/2026/03/05/07/E2EXAMPLE1234.2026-03-05-07.ab12.gz",
        "logs/E2EXAMPLE1234.2026-03-05-07.ab12cd34.gz",
    ],
    "aws.cloudtrail": [
        "AWSLogs/111122223333/CloudTrail/us-gov-west-1/2026/03/05/111122223333_CloudTrail_us-gov-west-1_x.json.gz",
        "p/AWSLogs/o-a1b2c3d4e5/111122223333/CloudTrail-Insight/eu-west-1/2026/03/05/x.json.gz",
        "AWSLogs/111122223333/CloudTrail-NetworkActivity/eu-west-1/2026/03/05/x.json.gz",
    ],
    "aws.config": ["AWSLogs/111122223333/Config/eu-west-1/2026/3/5/ConfigHistory/111122223333_Config_x.json.gz"],
    "aws.elb": ["AWSLogs/111122223333/elasticloadbalancing/eu-west-1/2026/03/05/conn_log_111122223333_x.log.gz"],
    "aws.guardduty": ["AWSLogs/111122223333/GuardDuty/eu-west-1/2026/03/05/07a3f2ce.jsonl.gz"],
    "aws.network_firewall": ["AWSLogs/111122223333/network-firewall/alert/eu-west-1/edge/2026/03/05/07/x.log.gz"],
    "aws.route53_resolver": ["AWSLogs/111122223333/vpcdnsquerylogs/vpc-0a1b/2026/03/05/x.log.gz"],
    "aws.s3_access": [
        "logs/2026-03-05-07-11-22-0123456789ABCDEF",
        "logs/111122223333/eu-west-1/media/2026/03/05/2026-03-05-00-00-00-0123456789ABCDEF",
    ],
    "aws.vpc_flow": [
        "AWSLogs/111122223333/vpcflowlogs/eu-west-1/2026/03/05/07/x.log.gz",
        "AWSLogs/aws-account-id=111122223333/aws-service=vpcflowlogs/aws-region=eu-west-1/year=2026/month=03/day=05/x",
    ],
    "aws.waf": ["AWSLogs/111122223333/WAFLogs/cloudfront/acl/2026/03/05/07/10/x.log.gz"],
}


@pytest.mark.parametrize(("log_type", "key"), [(log_type, key) for log_type, keys in KEYS.items() for key in keys])
def test_keys(log_type: str, key: str) -> None:
    """A key of each service follows its layout, and names its day and its account."""
    known = origin_of(layout("", log_type), key)
    found = next(each for each in layout("", log_type) if each.whole.search(key))
    match = found.whole.search(key)

    assert known is not None
    assert known.get("account", "") == ("111122223333" if "111122223333" in key else "")
    assert match is not None
    assert found.day_of(key, key[: match.start("year")]) == "2026-03-05"


def test_what_a_key_says() -> None:
    """The account and the Region are those of the key; what is no Region is none."""
    assert origin_of(layout("", "aws.cloudtrail"), KEYS["aws.cloudtrail"][0]) == {
        "account": "111122223333",
        "region": "us-gov-west-1",
    }
    assert origin_of(layout("", "aws.waf"), KEYS["aws.waf"][0]) == {"account": "111122223333"}


@pytest.mark.parametrize(
    ("log_type", "key"),
    [
        ("aws.cloudtrail", "AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2026/03/05/x.json.gz"),
        ("aws.cloudtrail", "AWSLogs/111122223333/Config/eu-west-1/2026/3/5/ConfigHistory/x.json.gz"),
        ("aws.elb", "AWSLogs/111122223333/elasticloadbalancing/eu-west-1/2026/03/05/health_check_log_x.log.gz"),
        ("aws.elb", "AWSLogs/111122223333/ELBAccessLogTestFile"),
    ],
)
def test_other_logs(log_type: str, key: str) -> None:
    """What lies beside a log in an archive is left out."""
    assert origin_of(layout("", log_type), key) is None


def test_keys_of_ones_own() -> None:
    """Outside of an archive any key will do; one with a layout of its own says the more."""
    assert origin_of(layout("", "aws.cloudtrail"), "copied/x.json.gz") == {}
    assert origin_of(layout("{account}/{year}/{month}/{day}/", ""), "a/111122223333/2026/03/05/x") == {
        "account": "111122223333"
    }
    assert layout("", "aws.securityhub") == layout("free", "aws.cloudtrail") == ()


def test_no_day() -> None:
    """A day that is none in the calendar is none."""
    assert template("{year}/{month}/{day}/").day_of("2026/02/30/x", "") == ""


@pytest.mark.parametrize(
    "text",
    [
        "{year}/{month}",
        "{account}{region}/{year}/{month}/{day}/",
        "{a}/{a}/{year}/{month}/{day}/",
        "{}/{year}/{month}/{day}/",
        "{year:d}/{month}/{day}/",
        "{year}-{m}-{d}/",
        "{year}/{month}/{day}/{",
    ],
)
def test_bad_templates(text: str) -> None:
    """A template by which no day can be found is refused."""
    with pytest.raises(ConfigError, match="no template of keys"):
        template(text)


def test_unknown() -> None:
    """A name that is nearly one says so."""
    with pytest.raises(ConfigError, match="did you mean 'firehose'"):
        layout("firehoze", "aws.waf")
