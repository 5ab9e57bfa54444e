"""What is wrong with keys, told part by part; and where an object lies whose key is not as it should be."""

from __future__ import annotations

import pytest

from ocsflake.lake._key_checks import Place, check_key_of, place_of

GOOD = "ext/a/region=us-east-1/accountId=123456789012/eventDay=20240229/1b4e28ba.parquet"
COUNTER = "its name is a counter or a time, which another writer may give as well"
ORDER = "the partitions are {}, and not the last three folders in order"
CHARACTERS = "the key holds characters that the layout does not allow"
NO_PARTITIONS = "there is no region= and no accountId= and no eventDay= in the key"
PARTS = "a part of the key is empty, '.' or '..' (it may begin with '/')"


def told(key: str, region: str = "") -> list[tuple[str, str, str]]:
    return [(each.check, each.text, each.subject) for each in check_key_of(key, region)]


@pytest.mark.parametrize(
    ("name", "known"),
    [
        *[(name, "region") for name in ("Region", "REGION", "aws_region", "awsRegion")],
        *[(name, "accountId") for name in ("accountid", "account_id", "account", "AWS-Account", "aws_account_id")],
        *[(name, "eventDay") for name in ("event_day", "day", "Date", "eventHour")],
    ],
)
def test_partitions_by_other_names(name: str, known: str) -> None:
    """They count as what is meant, and are told to be renamed."""
    key = GOOD.replace(f"{known}=", f"{name}=")

    assert told(key) == [("partition-name", f"the partition {name}= is to be {known}=", name)]
    assert place_of(key) == place_of(GOOD) == Place("ext/a/", "us-east-1", "123456789012", "20240229")


def test_partitions_that_are_none() -> None:
    key = GOOD.replace("ext/a/", "ext/year=2024/")

    assert told(key) == [("partition-name", "there is no partition year=", "year")]
    assert place_of(key).location == "ext/year=2024/"


@pytest.mark.parametrize(
    ("key", "problems"),
    [
        (GOOD, []),
        ("1b4e28ba.parquet", [("key", NO_PARTITIONS, "region,accountId,eventDay")]),
        (GOOD.replace("accountId=123456789012/", ""), [("key", "there is no accountId= in the key", "accountId")]),
        (
            GOOD.replace("region=us-east-1/accountId=123456789012", "accountId=123456789012/region=us-east-1"),
            [("key", ORDER.format("accountId/region/eventDay"), "order")],
        ),
        (
            GOOD.replace("eventDay", "region=eu-west-1/eventDay"),
            [("key", ORDER.format("region/accountId/region/eventDay"), "order")],
        ),
        (GOOD.replace("1b4e", "x/1b4e"), [("key", ORDER.format("region/accountId/eventDay"), "order")]),
        (GOOD.replace("/accountId", "/x/accountId"), [("key", ORDER.format("region/accountId/eventDay"), "order")]),
        (GOOD.replace("ext/a/", ""), []),
        (GOOD.replace("ext/a/", "a/b/c/d/"), []),
        (
            GOOD.replace("ext/a/region=us-east-1", "region=us-east-1/x"),
            [("key", ORDER.format("region/accountId/eventDay"), "order")],
        ),
        ("/" + GOOD, [("key", PARTS, "parts")]),
        (GOOD.replace("ext/", "ext//"), [("key", PARTS, "parts")]),
        (GOOD.replace("ext/", "ext/./"), [("key", PARTS, "parts")]),
        (GOOD.replace("ext/", "ext/../"), [("key", PARTS, "parts")]),
        (GOOD.replace("1b4e", "1b\\4e"), [("key", CHARACTERS, "characters")]),
        (GOOD.replace("1b4e28ba", "part-7"), [("object-name", COUNTER, "")]),
    ],
)  # fmt: skip
def test_the_key_as_a_whole(key: str, problems: list[tuple[str, str, str]]) -> None:
    """One defect is told once: what is wrong already is not told to be of the wrong form, too."""
    assert told(key) == problems


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("0", True),
        ("part-00000", True),
        ("PART_1", True),
        ("events.2024-01-01T06:00:00Z", True),
        ("a-b_c.7", True),
        ("1.snappy", True),
        ("1" * 32, True),
        ("1" * 33, False),
        ("part", False),
        ("0a1b", False),
        ("1.a.b", False),
        ("7x", False),
    ],
)
def test_names_that_another_writer_gives(name: str, counted: bool) -> None:
    """Words and a number or a time alone; a number of more digits is none."""
    assert told(GOOD.replace("1b4e28ba", name)) == ([("object-name", COUNTER, "")] if counted else [])


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        ("region=us-east-1", None),
        ("region=us-gov-west-1", None),
        ("region=westeurope", ("region", "region=westeurope is no AWS Region", "not AWS")),
        ("region=", ("key", CHARACTERS, "characters")),
        ("accountId=external", None),
        ("accountId=external_A.b-c_9", None),
        ("accountId=external_", ("account-form", "accountId=external_ is neither 12 digits nor external_ID", "")),
        ("accountId=12345678901", ("account-form", "accountId=12345678901 is neither 12 digits nor external_ID", "")),
        (
            "accountId=1234567890123",
            ("account-form", "accountId=1234567890123 is neither 12 digits nor external_ID", ""),
        ),
        ("eventDay=20241231", None),
        ("eventDay=20241000", ("day-format", "eventDay=20241000 is no day of eight digits", "")),
        ("eventDay=20240932", ("day-format", "eventDay=20240932 is no day of eight digits", "")),
        ("eventDay=20240001", ("day-format", "eventDay=20240001 is no day of eight digits", "")),
        ("eventDay=20241301", ("day-format", "eventDay=20241301 is no day of eight digits", "")),
        ("eventDay=2024013", ("day-format", "eventDay=2024013 is no day of eight digits", "")),
        ("eventDay=202401311", ("day-format", "eventDay=202401311 is no day of eight digits", "")),
    ],
)
def test_values_of_partitions(part: str, problem: tuple[str, str, str] | None) -> None:
    name = part.partition("=")[0]
    parts = [part if each.startswith(f"{name}=") else each for each in GOOD.split("/")]

    assert told("/".join(parts)) == ([problem] if problem else [])


def test_the_region_of_the_lake() -> None:
    """It is asked for if there is one; a Region that is none is told alone."""
    assert told(GOOD, "us-east-1") == []
    assert told(GOOD, "eu-west-1") == [("region", "region=us-east-1, and the lake is in eu-west-1", "elsewhere")]
    assert told(GOOD.replace("us-east-1", "global"), "eu-west-1") == [
        ("region", "region=global is no AWS Region", "not AWS")
    ]


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("x.parquet", Place("", "", "", "")),
        ("a/b/x.parquet", Place("a/b/", "", "", "")),
        ("a/day=1/b/x.parquet", Place("a/", "", "", "1")),
        ("a/region=r=s/x.parquet", Place("a/", "r=s", "", "")),
        ("region/accountId/x.parquet", Place("region/accountId/", "", "", "")),
        ("region=a/region=b/x.parquet", Place("", "b", "", "")),
    ],
)
def test_where_an_object_lies(key: str, place: Place) -> None:
    """The location ends where the first partition begins."""
    assert place_of(key) == place
