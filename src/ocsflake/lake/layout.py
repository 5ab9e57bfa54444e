"""Where events go: the names and keys of Security Lake's layout, as pure functions.

An object of a custom source lies at
``{location}region={lake Region}/accountId={account}/eventDay={UTC day}/{file}.parquet``; Athena shows the partitions
as ``region``, ``accountid`` and ``eventday``. Log fields are written by attackers, so nothing of an event reaches a key
but a cleaned account and a day made from a number.
"""

from __future__ import annotations

import hashlib
import re
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
from attrs import frozen

from ocsflake.errors import ConfigError

__all__ = [
    "DAY_MS",
    "ObjectKey",
    "account_partition",
    "check_region",
    "day_text",
    "event_day",
    "glue_database",
    "glue_table",
    "location",
    "object_key",
    "parse_key",
    "source_name",
]

DAY_MS = 86_400_000
"""Milliseconds of a day."""

_SOURCE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_SOURCE_NAME_MAX = 20
_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+-[0-9]{1,2}")
_AWS_ACCOUNT = re.compile(r"[0-9]{12}")
_EXTERNAL = "external"
_ID_MAX = 64 - len(_EXTERNAL) - 1
_DIGEST = re.compile(r".*_h[0-9a-f]{16}")
_DIGEST_LENGTH = 18
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")
_PART = r"[^/\\\0\ud800-\udfff]+"  # what is one name on every system, and text
_KEY = re.compile(
    rf"(?P<location>(?:{_PART}/)*)region=(?P<region>[^/]+)/accountId=(?P<account>[A-Za-z0-9_.-]+)"
    rf"/eventDay=(?P<day>[0-9]{{8}})/(?P<name>{_PART}\.parquet)"
)


@frozen
class ObjectKey:
    """The parts of an object's key.

    Attributes:
        location: The prefix of the custom source, with its trailing ``/``.
        region: The AWS Region of the lake.
        account: The value of ``accountId``.
        day: The value of ``eventDay``, ``YYYYMMDD``.
        name: The file name.
    """

    location: str
    region: str
    account: str
    day: str
    name: str


def source_name(stem: str, class_uid: int) -> str:
    """Return the name of a custom source, ``<stem>_<class_uid>``.

    Security Lake takes at most 20 characters, since the name becomes part of an IAM role's; letters, digits, ``_`` and
    ``-`` are what Glue, S3 and IAM all keep apart from each other without escaping (contract rules 1 and 2).

    Args:
        stem: The mapper's name, such as ``aws_cloudtrail``.
        class_uid: The OCSF class, since a source holds one class only (contract rule 20).

    Raises:
        ConfigError: If the name breaks a rule.
    """
    name = f"{stem}_{class_uid}"
    if len(name) > _SOURCE_NAME_MAX:
        raise ConfigError(
            f"custom source name {name!r} has {len(name)} characters; Security Lake takes {_SOURCE_NAME_MAX}:"
            f" shorten {stem!r} to {_SOURCE_NAME_MAX - len(str(class_uid)) - 1}"
        )
    if not _SOURCE_NAME.fullmatch(name):
        raise ConfigError(
            f"custom source name {name!r} must begin with a letter and hold only letters, digits, '_' and '-'"
        )
    return name


def check_region(region: str) -> str:
    """Return `region` if it looks like an AWS Region, the Region that the lake itself is in (contract rule 13).

    Raises:
        ConfigError: If it does not: an Azure location or a Google Cloud region is no partition of a lake.
    """
    if not _REGION.fullmatch(region):
        raise ConfigError(
            f"region {region!r} is no AWS Region; give the Region of the lake, such as 'eu-central-1'"
            " (where an event came from is in cloud.region)"
        )
    return region


def location(source: str) -> str:
    """Return the prefix of a custom source in a directory lake, as Security Lake lays it out by itself."""
    return f"ext/{source}/"


def object_key(location: str, region: str, account: str, day: str, name: str) -> str:
    """Return the key of an object (contract rule 12).

    Args:
        location: The prefix of the custom source, ending in ``/``.
        region: The AWS Region of the lake.
        account: As `account_partition` gives it.
        day: As `event_day` gives it.
        name: The file name, ending in ``.parquet``.

    Raises:
        ConfigError: If the parts do not make a key of the layout.
    """
    key = f"{location}region={region}/accountId={account}/eventDay={day}/{name}"
    if parse_key(key) != ObjectKey(location, region, account, day, name):
        raise ConfigError(f"{key!r} is no key of a lake; a part of it holds what the layout does not allow")
    return key


def parse_key(key: str) -> ObjectKey | None:
    """Return the parts of an object's key, or ``None`` if it does not follow the layout."""
    found = _KEY.fullmatch(key)
    if not found or not _REGION.fullmatch(found["region"]) or ".." in key:
        return None
    return ObjectKey(**found.groupdict())


def account_partition(uid: pa.Array | pa.ChunkedArray, provider: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray:
    """Return the ``accountId`` of each event (contract rule 14).

    The 12 digits of an AWS account stand as they are. Any other id becomes ``external_<id>`` with all characters but
    ``A-Z a-z 0-9 _ . -`` replaced, at most 64 characters; an id that had to change carries a digest of the original, so
    no two ids share a partition. An event without an account is in ``external``.

    Args:
        uid: ``cloud.account.uid``, text.
        provider: ``cloud.provider``, text.
    """
    ids = _encoded(uid)
    aws = pc.fill_null(pc.equal(pc.utf8_lower(provider), "aws"), fill_value=False)
    if isinstance(aws, pa.ChunkedArray):
        aws = aws.combine_chunks()
    pairs = pc.add(pc.multiply(pc.fill_null(ids.indices, -1).cast(pa.int64()), 2), aws.cast(pa.int64()))
    distinct = pairs.dictionary_encode()
    known = ids.dictionary.to_pylist()
    names = [
        _account(known[pair >> 1] if pair >= 0 else None, aws=bool(pair & 1))
        for pair in distinct.dictionary.to_pylist()
    ]
    return pa.DictionaryArray.from_arrays(distinct.indices, pa.array(names, pa.string()))


def event_day(time: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray:
    """Return the ``eventDay`` of each event, ``YYYYMMDD`` in UTC (contract rule 15).

    Args:
        time: ``time``, int64 milliseconds since the epoch, from 1970 to 9999.
    """
    days = _encoded(pc.divide(time, DAY_MS))
    return pa.DictionaryArray.from_arrays(
        days.indices, pa.array([day_text(day) for day in days.dictionary.to_pylist()], pa.string())
    )


def day_text(day: int) -> str:
    """Return a day, counted from 1970-01-01, as ``YYYYMMDD``."""
    return date.fromordinal(day + date(1970, 1, 1).toordinal()).strftime("%Y%m%d")


def glue_database(region: str) -> str:
    """Return the name of the Glue database of a lake (contract rule 2)."""
    return f"amazon_security_lake_glue_db_{region.replace('-', '_')}"


def glue_table(region: str, source: str) -> str:
    """Return the name of the Glue table of a custom source (contract rule 2)."""
    name = source.replace("-", "_").lower()
    return f"amazon_security_lake_table_{region.replace('-', '_')}_ext_{name}"


def _encoded(values: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray:
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    return values if pa.types.is_dictionary(values.type) else values.dictionary_encode()


def _account(uid: str | None, *, aws: bool) -> str:
    if not uid:
        return _EXTERNAL
    if aws and _AWS_ACCOUNT.fullmatch(uid):
        return uid
    clean = _UNSAFE.sub("_", uid).replace("..", "__")
    # An id that looks as if it carried a digest gets one too, or it could be chosen to meet another's partition.
    if clean != uid or len(uid) > _ID_MAX or _DIGEST.fullmatch(uid):
        digest = hashlib.blake2b(uid.encode(), digest_size=8).hexdigest()
        clean = f"{clean[: _ID_MAX - _DIGEST_LENGTH]}_h{digest}"
    return f"{_EXTERNAL}_{clean}"
