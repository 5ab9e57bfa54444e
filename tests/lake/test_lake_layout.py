from __future__ import annotations

import datetime
import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocsflake.errors import ConfigError
from ocsflake.lake.layout import (
    ObjectKey,
    account_partition,
    check_region,
    event_day,
    glue_database,
    glue_table,
    location,
    object_key,
    parse_key,
    source_name,
)

HOSTILE = [
    "../../x",
    "..",
    "...",
    "a=b",
    "%2F",
    "a/b",
    "a\\b",
    "line\nbreak",
    "x" * 10_000,
    "\0",
    " ",
    "ü",
    "123456789012\n",
    "region=us-east-1/accountId=123456789012",
]


def accounts(*ids: str | None, provider: str | None = "AWS") -> list[str]:
    uid = pa.array(ids, pa.string())
    return account_partition(uid, pa.array([provider] * len(ids), pa.string())).to_pylist()


class TestSourceName:
    def test_joins_stem_and_class(self):
        assert source_name("aws_cloudtrail", 6003) == "aws_cloudtrail_6003"

    def test_takes_twenty_characters_and_no_more(self):
        assert len(source_name("a" * 15, 6003)) == 20
        with pytest.raises(ConfigError, match=r"21 characters.*shorten 'a+' to 15"):
            source_name("a" * 16, 6003)

    def test_a_class_of_six_digits_leaves_thirteen(self):
        with pytest.raises(ConfigError, match="to 13"):
            source_name("a" * 14, 201003)

    @pytest.mark.parametrize("stem", ["", "1a", "a:b", "a.b", "a b", "ä", "a/b", "a\n"])
    def test_only_names_that_all_services_spell_alike(self, stem):
        with pytest.raises(ConfigError, match="must begin with a letter"):
            source_name(stem, 1)


class TestRegion:
    @pytest.mark.parametrize(
        "region",
        [
            "us-east-1",
            "il-central-1",
            "mx-central-1",
            "ap-southeast-5",
            "us-gov-west-1",
            "cn-north-1",
            "us-isob-east-1",
            "eusc-de-east-1",
        ],
    )
    def test_takes_the_regions_of_aws(self, region):
        assert region == check_region(region)

    @pytest.mark.parametrize("region", ["westeurope", "global", "us-east1", "eastus2", "", "us-east-1/", "../x-1"])
    def test_refuses_the_regions_of_others(self, region):
        with pytest.raises(ConfigError, match="is no AWS Region"):
            check_region(region)


class TestAccounts:
    def test_an_aws_account_stands_as_it_is(self):
        assert accounts("123456789012", "000000000001") == ["123456789012", "000000000001"]

    def test_the_provider_counts_whatever_its_case(self):
        assert accounts("123456789012", provider="aws") == ["123456789012"]

    @pytest.mark.parametrize("provider", ["GCP", "Azure", None])
    def test_twelve_digits_of_another_cloud_are_external(self, provider):
        assert accounts("123456789012", provider=provider) == ["external_123456789012"]

    def test_a_harmless_id_is_kept(self):
        guid = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"

        assert [f"external_{guid}"] == accounts(guid, provider="Azure")

    def test_no_account_is_external(self):
        assert accounts(None, "") == ["external", "external"]

    @pytest.mark.parametrize("uid", HOSTILE)
    def test_a_hostile_id_makes_a_short_plain_name(self, uid):
        (name,) = accounts(uid)

        assert re.fullmatch(r"external_[A-Za-z0-9_.-]{1,55}", name)
        assert ".." not in name

    def test_what_is_not_plain_is_an_underscore(self):
        """The names of partitions stay as they are from version to version."""
        assert accounts("a/b..c") == ["external_a_b__c_h3763871ebd05db26"]

    def test_ids_that_clean_to_the_same_keep_apart(self):
        ids = ["a/b", "a\\b", "a_b", "x" * 100, "x" * 101]

        assert len(set(accounts(*ids))) == 5

    def test_an_id_cannot_be_chosen_to_meet_the_digest_of_another(self):
        (name,) = accounts("a/b")
        chosen = name.removeprefix("external_")

        assert [name] != accounts(chosen)

    @given(st.lists(st.tuples(st.text(), st.sampled_from(["AWS", "GCP", None])), unique=True, max_size=20))
    def test_different_ids_never_share_a_partition(self, pairs):
        uid = pa.array([uid for uid, _ in pairs], pa.string())
        provider = pa.array([provider for _, provider in pairs], pa.string())

        names = account_partition(uid, provider).to_pylist()

        by_name: dict[str, set[str]] = {}
        for (uid, _), name in zip(pairs, names, strict=True):
            assert re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name)
            by_name.setdefault(name, set()).add(uid)
        assert all(len(ids) == 1 for ids in by_name.values())

    def test_takes_chunks_and_dictionaries(self):
        uid = pa.chunked_array([["123456789012"], ["x", None]])
        provider = pa.chunked_array([["AWS", None], ["AWS"]])

        expected = ["123456789012", "external_x", "external"]
        assert expected == account_partition(uid, provider).to_pylist()
        assert expected == account_partition(uid.combine_chunks().dictionary_encode(), provider).to_pylist()

    def test_no_events_are_text_too(self):
        nothing = pa.array([], pa.string())

        assert account_partition(nothing, nothing).type.value_type == pa.string()
        assert event_day(pa.array([], pa.int64())).type.value_type == pa.string()


class TestDays:
    def test_is_the_day_in_utc(self):
        times = [0, 86_399_999, 86_400_000, 1_709_164_800_000, 253_402_300_799_999]

        days = event_day(pa.array(times, pa.int64())).to_pylist()

        assert days == ["19700101", "19700101", "19700102", "20240229", "99991231"]

    @given(st.integers(0, 253_402_300_799_999))
    def test_agrees_with_the_calendar(self, time):
        expected = datetime.datetime.fromtimestamp(time // 1000, datetime.UTC).strftime("%Y%m%d")

        assert [expected] == event_day(pa.array([time], pa.int64())).to_pylist()


class TestKeys:
    KEY = "ext/a_1/region=us-east-1/accountId=123456789012/eventDay=20240101/x.parquet"

    def test_follows_the_layout(self):
        assert object_key(location("a_1"), "us-east-1", "123456789012", "20240101", "x.parquet") == self.KEY

    def test_parses_what_it_makes(self):
        expected = ObjectKey("ext/a_1/", "us-east-1", "123456789012", "20240101", "x.parquet")

        assert expected == parse_key(self.KEY)

    def test_a_location_may_be_deeper_or_empty(self):
        assert parse_key(self.KEY.replace("a_1/", "a_1/1.0/")).location == "ext/a_1/1.0/"
        assert parse_key(self.KEY.removeprefix("ext/a_1/")).location == ""

    @pytest.mark.parametrize(
        "key",
        [
            "",
            KEY.replace("accountId", "accountid"),
            KEY.replace("eventDay=20240101", "eventDay=2024-01-01"),
            KEY.replace("us-east-1", "westeurope"),
            KEY.replace("ext/", "../"),
            KEY.replace(".parquet", ".json"),
            KEY + "/y.parquet",
        ],
    )
    def test_knows_foreign_keys(self, key):
        assert parse_key(key) is None

    @pytest.mark.parametrize(
        "parts",
        [
            ("ext", "us-east-1", "1", "20240101", "x.parquet"),
            ("ext/", "us-east-1", "../1", "20240101", "x.parquet"),
            ("ext/", "us-east-1", "1", "2024", "x.parquet"),
            ("ext/", "us-east-1", "1", "20240101", "a/x.parquet"),
            ("ext/", "us-east-1", "1/eventDay=20240101", "20240101", "x.parquet"),
        ],
    )
    def test_refuses_parts_that_make_no_key(self, parts):
        with pytest.raises(ConfigError, match="is no key of a lake"):
            object_key(*parts)


def test_glue_names_are_lower_case_with_underscores():
    assert glue_database("eu-west-1") == "amazon_security_lake_glue_db_eu_west_1"
    assert glue_table("eu-west-1", "My-Source_1") == "amazon_security_lake_table_eu_west_1_ext_my_source_1"
