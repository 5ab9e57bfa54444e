"""Where AWS services put their logs in a bucket.

A layout is a list of templates of keys, such as ``AWSLogs/{account}/GuardDuty/{region}/{year}/{month}/{day}/``. What
comes before the year is found by listing with a delimiter, one field after the other; below it keys are ordered by
day, so that one listing gives the days that are still open.

The keys: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html,
vpc/latest/userguide/flow-logs-s3-path.html, elasticloadbalancing/latest/application/load-balancer-access-logs.html,
waf/latest/developerguide/logging-s3.html, AmazonCloudFront/latest/DeveloperGuide/standard-logging.html and
standard-logging-legacy-s3.html, AmazonS3/latest/API/API_PartitionedPrefix.html and userguide/ServerLogs.html,
network-firewall/latest/developerguide/logging-s3.html, Route53/latest/DeveloperGuide/resolver-query-logs.html,
config/latest/developerguide/example-configuration-history-notification.html and
guardduty/latest/ug/guardduty_exportfindings.html on the same host.
"""

from __future__ import annotations

import functools
import re
from datetime import date
from typing import TYPE_CHECKING

from attrs import frozen

from ocsflake.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ARCHIVE", "FREE", "LAYOUTS", "Step", "Template", "layout", "origin", "origin_of", "template"]

ARCHIVE = "AWSLogs/"
"""What AWS services write below, beside each other."""

FREE = "free"
"""The layout of keys that follow no template."""

_HIVE = "year={year}/month={month}/day={day}/"
_CLOUDFRONT = ("{distribution}.{year}-{month}-{day}-", "{distribution}/{year}/{month}/{day}/")

LAYOUTS: dict[str, tuple[str, ...]] = {
    "aws.cloudfront": (
        *(f"AWSLogs/{{account}}/CloudFront/{each}" for each in _CLOUDFRONT),
        "AWSLogs/aws-account-id={account}/CloudFront/DistributionId={distribution}/" + _HIVE,
        *_CLOUDFRONT,
    ),
    "aws.cloudtrail": (
        "AWSLogs/{account}/CloudTrail{kind}/{region}/{year}/{month}/{day}/",
        "AWSLogs/{org}/{account}/CloudTrail{kind}/{region}/{year}/{month}/{day}/",
    ),
    "aws.config": (
        "AWSLogs/{account}/Config/{region}/{year}/{m}/{d}/",
        "AWSLogs/{org}/{account}/Config/{region}/{year}/{m}/{d}/",
    ),
    "aws.elb": ("AWSLogs/{account}/elasticloadbalancing/{region}/{year}/{month}/{day}/",),
    "aws.guardduty": ("AWSLogs/{account}/GuardDuty/{region}/{year}/{month}/{day}/",),
    "aws.network_firewall": ("AWSLogs/{account}/network-firewall/{type}/{region}/{firewall}/{year}/{month}/{day}/",),
    "aws.route53_resolver": ("AWSLogs/{account}/vpcdnsquerylogs/{vpc}/{year}/{month}/{day}/",),
    "aws.s3_access": ("{account}/{region}/{bucket}/{year}/{month}/{day}/", "{year}-{month}-{day}-"),
    "aws.vpc_flow": (
        "AWSLogs/{account}/vpcflowlogs/{region}/{year}/{month}/{day}/",
        "AWSLogs/aws-account-id={account}/aws-service=vpcflowlogs/aws-region={region}/" + _HIVE,
    ),
    "aws.waf": ("AWSLogs/{account}/WAFLogs/{region}/{acl}/{year}/{month}/{day}/",),
    "firehose": ("{year}/{month}/{day}/",),
    FREE: (),
}
"""The templates of each log type that has some, and of what `layout` knows by another name."""

_FIELDS = {
    "account": r"[0-9]{12}",
    "day": r"[0-9]{2}",
    "d": r"[0-9]{1,2}",
    "distribution": r"E[0-9A-Z]{8,20}",
    "kind": r"(?:-Insight|-NetworkActivity)?",
    "m": r"[0-9]{1,2}",
    "month": r"[0-9]{2}",
    "org": r"o-[0-9a-z]{10,32}",
    "region": r"[a-z]{2,}(?:-[a-z]+)+-[0-9]+|cloudfront|global",
    "year": r"[0-9]{4}",
}
_ANY = r"[^/]+"
_FIELD = re.compile(r"\{([a-z_]+)\}")
_REGION = re.compile(r"[a-z]{2,}(?:-[a-z]+)+-[0-9]+")
_WITHOUT_ZEROS = "{year}/{m}/{d}/"
_NO_LOGS = re.compile(r"/health_check_log_[^/]*\Z")
"""Files beside the logs that are none: health checks of Application Load Balancers."""


@frozen
class Step:
    """A field of a template that is found by listing.

    Attributes:
        before: What stands between it and the field before.
        field: Its name.
        delimiter: The character after it.
    """

    before: str
    field: str
    delimiter: str

    def takes(self, value: str) -> bool:
        """Return whether a value can be that of the field."""
        return re.fullmatch(_FIELDS.get(self.field, _ANY), value) is not None


@frozen
class Template:
    """A template of keys, taken apart; made by `template`.

    Attributes:
        steps: The fields before the year.
        before: What stands between them and the year.
        date: The part from the year on, such as ``{year}/{month}/{day}/``.
        dated: What finds the day there.
        whole: What finds a key of the template anywhere, and its fields.
        is_archive: Whether it is one of those below `ARCHIVE`.
    """

    steps: tuple[Step, ...]
    before: str
    date: str
    dated: re.Pattern[str]
    whole: re.Pattern[str]
    is_archive: bool

    @property
    def is_ordered(self) -> bool:
        """Whether keys are in the order of their days: AWS Config writes months and days without zeros."""
        return self.date != _WITHOUT_ZEROS

    def day_of(self, key: str, prefix: str) -> str:
        """Return the day that a key below a prefix names, ``YYYY-MM-DD``; ``""`` if it does not follow the template."""
        match = self.dated.match(key, len(prefix))
        if match is None or _NO_LOGS.search(key):
            return ""
        try:
            return str(date(*map(int, match.groups())))
        except ValueError:
            return ""

    def start_of(self, day: str) -> str:
        """Return what the keys of a day have in common from the year on, if they are ordered."""
        year, month, of_month = day.split("-")
        return self.date.partition("{day}")[0].format(year=year, month=month) + of_month


def template(text: str) -> Template:
    """Take a template apart.

    Raises:
        ConfigError: If days cannot be found by it.
    """
    names = _FIELD.findall(text)
    is_dated = names[-3:] == ["year", "month", "day"] or text.endswith(_WITHOUT_ZEROS)
    is_clear = len(set(names)) == len(names) and "}{" not in text and not re.search("[{}]", _FIELD.sub("", text))
    if not is_dated or not is_clear:
        raise ConfigError(
            f"layout={text!r} is no template of keys: it names fields once each, with a character between them, and "
            "ends in the day, such as '{account}/{region}/{year}/{month}/{day}/'; or give layout='free'"
        )
    where, year, rest = text.partition("{year}")
    *steps, before = re.split(r"\{(\w+)\}(.)", where)
    found = tuple(Step(*steps[start : start + 3]) for start in range(0, len(steps), 3))
    dated, whole = re.compile(_pattern(year + rest)), re.compile("(?:^|/)" + _pattern(text))
    return Template(found, before, year + rest, dated, whole, text.startswith(ARCHIVE))


def _pattern(text: str) -> str:
    literal, *rest = _FIELD.split(text)
    found = re.escape(literal)
    for name, after in zip(rest[::2], rest[1::2], strict=True):
        found += f"(?P<{name}>{_FIELDS.get(name, _ANY)}){re.escape(after)}"
    return found


@functools.cache
def layout(name: str, log_type: str) -> tuple[Template, ...]:
    """Return the templates of a layout; none for the keys of a free one.

    Args:
        name: A name in `LAYOUTS`, a template, or ``""`` for that of the log type.
        log_type: Such as ``aws.cloudtrail``.

    Raises:
        ConfigError: If there is no such layout, or a template is wrong.
    """
    if not name:
        found = LAYOUTS.get(log_type, ())
    elif name in LAYOUTS:
        found = LAYOUTS[name]
    elif "{" in name:
        found = (name,)
    else:
        near = did_you_mean(name, LAYOUTS)
        known = ", ".join(LAYOUTS)
        raise ConfigError(f"layout={name!r} is none that is known{near}; give one of {known}, or a template")
    return tuple(map(template, found))


def origin_of(templates: tuple[Template, ...], key: str) -> Mapping[str, str] | None:
    """Return the account and the Region that a key names; ``None`` if the key is that of another log of an archive."""
    if not templates:
        return {}
    for each in templates:
        match = each.whole.search(key)
        if match:
            return None if _NO_LOGS.search(key) else origin(match.groupdict())
    return None if f"/{ARCHIVE}" in f"/{key}" else {}


def origin(fields: Mapping[str, str]) -> dict[str, str]:
    """Return what fields say of where records come from, as mappers take it."""
    found = {"account": fields.get("account", "")}
    if _REGION.fullmatch(fields.get("region", "")):
        found["region"] = fields["region"]
    return {name: value for name, value in found.items() if value}
