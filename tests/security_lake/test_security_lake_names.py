"""What may be wanted: every rule of the service is checked before it is asked."""

from __future__ import annotations

import pytest
from attrs import evolve
from wanted_sources import CRAWLER, EXTERNAL_ID, PROVIDER, wanted_sources

import ocsflake
from ocsflake import ocsf
from ocsflake.errors import ConfigError
from ocsflake.security_lake import (
    CustomSources,
    DataLakes,
    ExceptionSubscription,
    LakeRegion,
    NewSource,
    Subscriber,
    aws_event_class,
    event_classes,
)
from ocsflake.security_lake.names import names_of, ocsf_event_class

ROLE = "arn:aws:iam::111111111111:role/R"


class TestEventClasses:
    def test_they_are_those_of_ocsf_1_3(self):
        assert {known.name: known.uid for known in event_classes().values()} == {
            name: uid for name, uid in ocsf.load("1.3.0").classes.items() if name != "base_event"
        }

    def test_nine_have_names_of_their_own(self):
        assert sum(name.removeprefix("win/").upper() != known.aws_name for name, known in event_classes().items()) == 9
        assert aws_event_class("file_activity") == "FILE_SYSTEM_ACTIVITY"

    @pytest.mark.parametrize(
        ("aws_name", "name"), [("FILE_SYSTEM_ACTIVITY", "file_activity"), ("FILE_ACTIVITY", "file_activity"), ("X", "")]
    )
    def test_they_are_found_by_either_name(self, aws_name, name):
        assert ocsf_event_class(aws_name) == name

    def test_one_that_is_not_listed_is_refused_with_what_is_near(self):
        with pytest.raises(ConfigError, match=r"no event class 'API_ACTIVITY' .*did you mean 'api_activity'"):
            aws_event_class("API_ACTIVITY")
        with pytest.raises(ConfigError, match=r"'zzz' for custom sources; its classes are those of OCSF 1\.3\.0"):
            aws_event_class("zzz")


class TestNames:
    def test_a_mapper_needs_a_source_for_each_class(self):
        assert names_of([ocsflake.mapper("aws.cloudtrail")]) == {
            "aws_cloudtrail_3002": "authentication",
            "aws_cloudtrail_3001": "account_change",
            "aws_cloudtrail_6003": "api_activity",
        }

    def test_mappers_may_share_a_source_for_each_class(self):
        mappers = [ocsflake.mapper("aws.cloudtrail"), ocsflake.mapper("azure.signin"), "dns_activity"]

        assert list(names_of(mappers, naming="class")) == ["ocsf_3002", "ocsf_3001", "ocsf_6003", "ocsf_4003"]

    def test_base_events_need_a_source_without_a_class(self):
        assert names_of([ocsflake.mapper("gcp.gke_audit")]) == {
            "gcp_gke_audit_6003": "api_activity",
            "gcp_gke_audit_0": "base_event",
        }
        assert names_of([ocsflake.mapper("gcp.gke_audit")], without=["base_event"]) == {
            "gcp_gke_audit_6003": "api_activity"
        }

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"naming": "clas"}, "did you mean 'class'"),
            ({"ocsf_version": "1.4.0"}, r"OCSF 1\.4\.0 is too new: .*1\.3 and earlier"),
            ({"naming": "log_type"}, "is a class, and no log type's"),
            ({"naming": "class", "of": ["api_activiti"]}, "did you mean 'api_activity'"),
        ],
    )
    def test_wrong_settings_are_refused(self, settings, message):
        settings = {"of": ["api_activity"]} | settings
        with pytest.raises(ConfigError, match=message):
            names_of(settings.pop("of"), **settings)


class TestCustomSources:
    def test_21_characters_are_too_many(self):
        NewSource("a" * 20, "api_activity")
        with pytest.raises(ConfigError, match=r"\(21 characters\).*at most 20"):
            NewSource("a" * 21, "api_activity")

    @pytest.mark.parametrize("other", ["aws-flow", "AWS_flow"])
    def test_names_that_glue_does_not_keep_apart_are_refused(self, other):
        with pytest.raises(ConfigError, match=f"'aws_flow' and '{other}' would share a table in Glue"):
            CustomSources(
                [NewSource("aws_flow", "network_activity"), NewSource(other, "network_activity")],
                regions="eu-west-1",
                provider=PROVIDER,
                external_id=EXTERNAL_ID,
                crawler_role_arn=CRAWLER,
            )

    def test_more_than_50_are_refused(self):
        classes = list(event_classes())

        assert len(wanted_sources(*classes[:50], ocsf_version="1.3.0").sources) == 50
        with pytest.raises(ConfigError, match="51 custom sources, and an account may have 50"):
            wanted_sources(*classes[:51], ocsf_version="1.3.0")

    def test_an_external_id_is_shown_nowhere(self):
        assert EXTERNAL_ID not in repr(wanted_sources("api_activity"))
        with pytest.raises(ConfigError, match="external_id= of 16 characters") as caught:
            evolve(wanted_sources("api_activity"), external_id="one secret phrase"[:16])
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"regions": []}, "regions is empty"),
            ({"regions": ["westeurope"]}, "is no AWS Region"),
            ({"provider": "12345"}, "give the 12 digits"),
            ({"external_id": "x"}, "an external id has 2 to 1224"),
            ({"external_id": "two words"}, "an external id has 2 to 1224"),
            ({"crawler_role_arn": ""}, "crawler_role_arn is empty"),
            ({"crawler_role_arn": "Crawler"}, "is no ARN of a role"),
            ({"sources": []}, "there is no custom source"),
            ({"sources": [NewSource("a", "api_activity")] * 2}, "'a' is given twice"),
        ],
    )
    def test_other_rules(self, changes, message):
        with pytest.raises(ConfigError, match=message):
            evolve(wanted_sources("api_activity"), **changes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LakeRegion("mars"), "is no AWS Region"),
        (lambda: LakeRegion("eu-west-1", roll_up_to="eu-west-1"), "cannot roll up to itself"),
        (lambda: LakeRegion("eu-west-1", roll_up_to=["mars"]), "is no AWS Region"),
        (lambda: LakeRegion("eu-west-1", kms_key="arn:aws:kms:eu-west-1:1:key/mrk-1"), "no multi-Region key"),
        (lambda: LakeRegion("eu-west-1", expire_days=0), "expire_days=0"),
        (lambda: DataLakes([], meta_store_manager_role_arn=ROLE), "no Region to enable"),
        (lambda: DataLakes([LakeRegion("eu-west-1")] * 2, meta_store_manager_role_arn=ROLE), "given twice"),
        (lambda: DataLakes([LakeRegion("eu-west-1")], meta_store_manager_role_arn=""), "is empty"),
        (
            lambda: DataLakes([LakeRegion("eu-west-1", roll_up_to="us-east-1")], meta_store_manager_role_arn=ROLE),
            "need replication_role_arn=",
        ),
    ],
)
def test_wrong_lakes_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "two words"}, "subscriber name"),
        ({"sources": []}, "has 0 sources: give 1 to 10"),
        ({"sources": list("abcdefghijk")}, "has 11 sources: give 1 to 10"),
        ({"access": "qery"}, "did you mean 'query'"),
        ({"description": "<b>"}, "description="),
        ({"region": "mars"}, "is no AWS Region"),
    ],
)
def test_wrong_subscribers_are_refused(changes, message):
    subscriber = Subscriber(
        name="soc", region="eu-west-1", sources="WAF", principal=PROVIDER, external_id=EXTERNAL_ID, description="Ours."
    )
    with pytest.raises(ConfigError, match=message):
        evolve(subscriber, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocol": "emial"}, "did you mean 'email'"),
        ({"protocol": "pigeon"}, "SNS has app, email"),
        ({"endpoint": "a b"}, "endpoint="),
        ({"time_to_live": 0}, "time_to_live=0"),
        ({"region": "mars"}, "is no AWS Region"),
    ],
)
def test_wrong_exception_subscriptions_are_refused(changes, message):
    subscription = ExceptionSubscription(region="eu-west-1", protocol="email", endpoint="me@example.com")
    with pytest.raises(ConfigError, match=message):
        evolve(subscription, **changes)
