"""Plan and apply, with boto3 talking to the stand-in."""

from __future__ import annotations

import json

import pytest
from attrs import evolve
from wanted_sources import CRAWLER, EXTERNAL_ID, PROVIDER, wanted_sources

import ocsflake
from ocsflake.errors import ConfigError, LakeError
from ocsflake.security_lake import (
    DataLakes,
    ExceptionSubscription,
    LakeRegion,
    NewSource,
    Subscriber,
    apply,
)
from ocsflake.testing.security_lake import SecurityLakeServer

ROLE = "arn:aws:iam::111111111111:role/Manager"
COPIES = "arn:aws:iam::111111111111:role/Copies"


def changes(api):
    return {name: count for name, count in api.calls.items() if name.startswith(("Create", "Update", "Delete"))}


@pytest.fixture
def applied(session, waits):
    """Apply with the stand-in."""
    return lambda plan, **more: apply(plan, session=session, sleep=waits.append, **more)


@pytest.fixture
def cloudtrail():
    return wanted_sources(ocsflake.mapper("aws.cloudtrail"), regions=["eu-west-1", "us-east-1"])


def subscriber(**changes):
    settings = {"region": "eu-west-1", "sources": ["ocsf_6003"], "principal": PROVIDER, "external_id": EXTERNAL_ID}
    return Subscriber(**({"name": "soc"} | settings | changes))


class TestCustomSources:
    def test_a_plan_changes_nothing(self, api, planned, cloudtrail):
        plan = planned(cloudtrail)

        assert [(step.region, step.operation, step.parameters["sourceName"]) for step in plan.steps] == [
            (region, "CreateCustomLogSource", f"aws_cloudtrail_{uid}")
            for region in ("eu-west-1", "us-east-1")
            for uid in (3002, 3001, 6003)
        ]
        assert changes(api) == {}

    def test_applied_it_is_all_there(self, api, planned, applied, cloudtrail):
        told = []
        plan = planned(cloudtrail)
        taken = applied(plan, progress=told.append)

        assert taken == tuple(told) == plan.steps
        assert api.sources["us-east-1"]["aws_cloudtrail_6003"]["eventClasses"] == ["API_ACTIVITY"]
        assert api.sources["us-east-1"]["aws_cloudtrail_6003"]["crawler"] == CRAWLER
        assert set(api.roles.values()) == {EXTERNAL_ID}

        again = planned(cloudtrail)
        assert again.steps == ()
        assert len(again.there) == 6
        assert again.there[0].startswith(
            "custom source aws_cloudtrail_3002 in eu-west-1, at s3://aws-security-data-lake"
        )
        assert applied(plan) == ()
        assert changes(api) == {"CreateCustomLogSource": 6}

    @pytest.mark.parametrize("code", ["ConflictException", "ThrottlingException", "InternalServerException"])
    @pytest.mark.parametrize("after", [False, True])
    def test_failures_that_pass_are_waited_out(self, api, planned, applied, waits, cloudtrail, code, after):
        plan = planned(cloudtrail)
        api.fail("CreateCustomLogSource", code, times=1 if after else 3, after=after)
        applied(plan)

        assert len(waits) == (1 if after else 3)
        assert len(api.sources["eu-west-1"]) == len(api.sources["us-east-1"]) == 3

    @pytest.mark.parametrize("after", [False, True])
    @pytest.mark.parametrize("number", range(12))
    def test_it_may_be_repeated_after_a_failure_at_any_call(self, api, planned, applied, cloudtrail, number, after):
        """Whichever call is refused for good, before or after the deed, the next apply does what is left."""
        plan = planned(cloudtrail)
        before = sum(api.calls.values())
        api.fail_at(before + number + 1, "AccessDeniedException", after=after)
        with pytest.raises(LakeError, match=r"AccessDeniedException: .*allow them securitylake:\w+$"):
            applied(plan)
        applied(plan)

        assert planned(cloudtrail).steps == ()
        assert len(api.sources["eu-west-1"]) == len(api.sources["us-east-1"]) == 3

    def test_base_events_are_registered_without_a_class(self, api, planned, applied):
        """The service takes a source that names no class; it lists none for events of no class."""
        wanted = wanted_sources(ocsflake.mapper("gcp.gke_audit"))
        applied(planned(wanted))

        assert api.sources["eu-west-1"]["gcp_gke_audit_0"]["eventClasses"] == []
        assert planned(wanted).steps == ()

    def test_a_conflict_that_does_not_end_is_told(self, api, planned, applied, waits, cloudtrail):
        plan = planned(cloudtrail)
        api.fail("CreateCustomLogSource", "ConflictException", times=8)
        with pytest.raises(LakeError, match="eu-west-1: other changes are under way"):
            applied(plan)

        assert len(waits) == 7
        assert len(applied(plan)) == 6

    def test_a_failure_to_look_again_is_told_as_itself(self, api, planned, applied):
        plan = planned(wanted_sources("api_activity"))
        api.fail("CreateCustomLogSource", "ConflictException")
        api.fail_at(
            sum(api.calls.values()) + 5, "AccessDeniedException"
        )  # looked at by three calls; made by one; again
        with pytest.raises(LakeError, match="allow them securitylake:ListDataLakes"):
            applied(plan)

    def test_a_plan_that_is_out_of_date_is_refused(self, api, session, planned, applied, cloudtrail):
        applied(planned(cloudtrail))
        plan = planned(cloudtrail)
        session.client("securitylake", region_name="us-east-1").delete_custom_log_source(
            sourceName="aws_cloudtrail_6003"
        )
        with pytest.raises(ConfigError, match=r"out of date \(register aws_cloudtrail_6003 .*plan again"):
            applied(plan)

    def test_names_that_collide_with_what_is_there_are_refused(self, api, planned, applied):
        wanted = wanted_sources("api_activity")
        applied(planned(wanted))
        with pytest.raises(ConfigError, match="'ocsf_6003' and 'OCSF-6003' would share a table"):
            planned(evolve(wanted, sources=[NewSource("OCSF-6003", "api_activity")]))

    def test_a_source_of_another_class_is_refused(self, api, planned, applied):
        wanted = wanted_sources("api_activity")
        applied(planned(wanted))
        with pytest.raises(ConfigError, match="registered with API_ACTIVITY, not DNS_ACTIVITY"):
            planned(evolve(wanted, sources=[NewSource("ocsf_6003", "dns_activity")]))

    def test_the_limit_counts_what_is_there(self, api, planned, applied):
        wanted = wanted_sources("api_activity")
        many = [NewSource(f"source{number}", "api_activity") for number in range(49)]
        applied(planned(evolve(wanted, sources=many)))
        applied(planned(wanted))
        with pytest.raises(ConfigError, match="would have 51 custom sources, and may have 50"):
            planned(wanted_sources("dns_activity"))
        with pytest.raises(ConfigError, match="would have 51 custom sources"):
            planned(evolve(wanted_sources("dns_activity"), regions=["eu-west-1", "us-east-1"]))

    def test_a_region_without_the_service_is_refused(self, api, planned):
        with pytest.raises(ConfigError, match="not in the Region 'eu-west-7'; did you mean 'eu-west-"):
            planned(wanted_sources("api_activity", regions="eu-west-7"))
        with pytest.raises(ConfigError, match="not in the Region 'me-south-1'"):
            planned(wanted_sources("api_activity", regions="me-south-1"))
        assert not api.calls

    def test_a_region_where_it_is_not_enabled_is_refused(self, planned):
        with pytest.raises(ConfigError, match="not enabled in eu-north-1: enable it first"):
            planned(wanted_sources("api_activity", regions="eu-north-1"))


class TestPermissions:
    def test_what_the_caller_lacks_is_told_and_nothing_is_changed(self, api, planned, applied, cloudtrail):
        api.denied |= {"iam:PassRole", "lakeformation:RegisterResource"}
        plan = planned(cloudtrail)

        assert plan.missing == (f"iam:PassRole on {CRAWLER}", "lakeformation:RegisterResource")
        with pytest.raises(LakeError, match=r"nothing was changed, since .* lacks iam:PassRole on .*/Crawler; lake"):
            applied(plan)
        assert changes(api) == {}

    def test_a_permission_that_is_missing_on_one_resource_is_told_with_it(self, api, planned, cloudtrail):
        lacking = "glue:CreateCrawler on arn:aws:glue:eu-west-1:111111111111:crawler/aws_cloudtrail_3002"
        api.denied.add(lacking)

        assert planned(cloudtrail).missing == (lacking,)

    def test_a_permission_to_ask_that_is_missing_is_named(self, api, planned):
        api.denied.add("securitylake:ListLogSources")
        with pytest.raises(LakeError, match="allow them securitylake:ListLogSources"):
            planned(wanted_sources("api_activity"))

    def test_iam_may_not_tell(self, api, planned, applied):
        api.denied.add("iam:SimulatePrincipalPolicy")
        plan = planned(wanted_sources("api_activity"))

        assert plan.missing is None
        assert "IAM would not tell" in str(plan)
        assert len(applied(plan)) == 1

    @pytest.mark.parametrize(
        ("caller", "denied"),
        [
            ("arn:aws:iam::111111111111:root", set()),
            ("arn:aws:sts::111111111111:assumed-role/Admin/me", set()),
            ("arn:aws:sts::111111111111:assumed-role/Admin/me", {"iam:GetRole"}),
        ],
    )
    def test_callers_of_every_kind(self, caller, denied):
        with SecurityLakeServer(caller=caller) as api:
            api.enable("eu-west-1")
            api.denied |= denied
            from ocsflake.security_lake import plan

            plan = plan(wanted_sources("api_activity"), session=api.beside().session())

        wanted = [
            f"iam:GetRole on arn:aws:iam::111111111111:role/{path}AmazonSecurityLake-Provider-*"
            for path in ("", "service-role/")
        ]
        assert plan.caller == caller
        assert list(plan.missing) == (wanted if denied else [])

    def test_the_statements_name_what_is_to_be_touched(self, api, planned, cloudtrail):
        api.lakes["eu-west-1"]["encryptionConfiguration"] = {"kmsKeyId": "arn:aws:kms:eu-west-1:111111111111:key/k"}
        said = json.loads(planned(cloudtrail).to_json())
        allowed = {action: each["Resource"] for each in said["caller_statements"] for action in each["Action"]}
        bucket = api.lakes["eu-west-1"]["s3BucketArn"]

        assert allowed["securitylake:CreateCustomLogSource"] == ["*"]
        assert (
            "arn:aws:glue:eu-west-1:111111111111:table/amazon_security_lake_glue_db_eu_west_1/"
            "amazon_security_lake_table_eu_west_1_ext_aws_cloudtrail_6003"
        ) in allowed["glue:CreateTable"]
        assert allowed["iam:PassRole"] == [CRAWLER]
        assert f"{bucket}/*" in allowed["s3:PutObject"]
        assert allowed["kms:GenerateDataKey"] == ["arn:aws:kms:eu-west-1:111111111111:key/k"]
        assert said["crawler_role"]["trust"][0]["Principal"] == {"Service": "glue.amazonaws.com"}
        assert said["provider_role"]["trust"][0]["Principal"] == {"AWS": f"arn:aws:iam::{PROVIDER}:root"}
        assert said["provider_role"]["trust"][0]["Condition"] == {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}
        assert said["provider_role"]["statements"][0]["Action"] == ["s3:PutObject"]
        assert [step["operation"] for step in said["steps"]] == ["CreateCustomLogSource"] * 6

    def test_a_provider_may_be_a_service(self, planned):
        plan = planned(wanted_sources("api_activity", provider="logs.amazonaws.com"))

        assert plan.provider_role["trust"][0]["Principal"] == {"Service": "logs.amazonaws.com"}

    def test_people_can_read_it(self, api, planned, applied):
        api.denied.add("s3:ListBucket")
        wanted = wanted_sources("api_activity")
        text = str(planned(wanted))

        assert "to do          eu-west-1  CreateCustomLogSource: register ocsf_6003 for API_ACTIVITY" in text
        assert "it lacks       s3:ListBucket on arn:aws:s3:::aws-security-data-lake-eu-west-1" in text
        api.denied.clear()
        applied(planned(wanted))
        text = str(planned(wanted))
        assert "there already  custom source ocsf_6003 in eu-west-1" in text
        assert "nothing is left to do" in text
        assert "which it is" in text


class TestDataLakes:
    def test_regions_roll_up(self, api, planned, applied):
        wanted = DataLakes(
            [
                LakeRegion("eu-north-1", roll_up_to=["eu-central-1", "us-west-2"]),
                LakeRegion("eu-central-1", expire_days=365),
                LakeRegion("us-west-2"),
                LakeRegion("eu-west-1", roll_up_to="eu-central-1"),
                LakeRegion("us-east-1"),
            ],
            meta_store_manager_role_arn=ROLE,
            replication_role_arn=COPIES,
        )
        plan = planned(wanted)

        assert [(step.operation, step.region) for step in plan.steps] == [
            ("CreateDataLake", "eu-central-1"),
            ("CreateDataLake", "us-west-2"),
            ("CreateDataLake", "eu-north-1"),
            ("UpdateDataLake", "eu-west-1"),
        ]
        assert plan.there == ("Security Lake in us-east-1, encrypted with keys of S3",)
        assert "to do          us-west-2  CreateDataLake: enable" in str(plan)
        assert [each["Condition"]["StringEquals"] for each in plan.caller_statements[1:]] == [
            {"iam:PassedToService": "lambda.amazonaws.com"},
            {"iam:PassedToService": "s3.amazonaws.com"},
        ]
        assert plan.missing == ()
        api.fail("CreateDataLake", "ConflictException")
        assert applied(plan) == plan.steps
        assert api.lakes["eu-north-1"]["replicationConfiguration"] == {
            "regions": ["eu-central-1", "us-west-2"],
            "roleArn": COPIES,
        }
        assert api.lakes["eu-central-1"]["lifecycleConfiguration"] == {"expiration": {"days": 365}}
        assert planned(wanted).steps == ()

    def test_what_is_not_given_stays(self, api, planned, applied):
        api.lakes["eu-west-1"]["lifecycleConfiguration"] = {"expiration": {"days": 90}, "transitions": []}
        [step] = applied(planned(self.lakes(LakeRegion("eu-west-1", kms_key="k"))))

        assert step.parameters["configurations"] == [
            {
                "region": "eu-west-1",
                "encryptionConfiguration": {"kmsKeyId": "k"},
                "lifecycleConfiguration": {"expiration": {"days": 90}, "transitions": []},
            }
        ]
        assert step.purpose == "change Security Lake in eu-west-1, encrypted with k, kept 90 days"

    def test_the_first_region_of_all(self, api, planned, applied):
        api.lakes.clear()
        api.fail("ListDataLakes", "ResourceNotFoundException")
        plan = planned(self.lakes(LakeRegion("eu-west-1")))

        assert [step.operation for step in plan.steps] == ["CreateDataLake"]
        applied(plan)
        assert list(api.lakes) == ["eu-west-1"]

    @pytest.mark.parametrize(
        ("regions", "message"),
        [
            (
                [LakeRegion("eu-west-1", roll_up_to="eu-north-1")],
                "where Security Lake is not enabled.* name LakeRegion",
            ),
            (
                [LakeRegion("eu-west-1", roll_up_to="us-east-1"), LakeRegion("us-east-1", roll_up_to="eu-west-1")],
                "cannot contribute to another",
            ),
            ([LakeRegion("eu-west-1", roll_up_to="us-east-1", kms_key="k")], "does not replicate between them"),
            ([LakeRegion("eu-west-1", roll_up_to="eu-west-9")], "not in the Region 'eu-west-9'"),
        ],
    )
    def test_roll_ups_that_cannot_be_are_refused(self, api, planned, regions, message):
        with pytest.raises(ConfigError, match=message):
            planned(self.lakes(*regions))
        assert changes(api) == {}

    def test_a_roll_up_that_is_there_counts(self, api, planned, applied):
        applied(planned(self.lakes(LakeRegion("eu-west-1", roll_up_to="us-east-1"))))
        with pytest.raises(ConfigError, match="eu-west-1 cannot roll up to us-east-1, which rolls up itself"):
            planned(self.lakes(LakeRegion("eu-north-1"), LakeRegion("us-east-1", roll_up_to="eu-north-1")))

    def lakes(self, *regions):
        return DataLakes(regions, meta_store_manager_role_arn=ROLE, replication_role_arn=COPIES)


class TestSubscribers:
    @pytest.fixture(autouse=True)
    def _sources(self, api, planned, applied):
        applied(planned(wanted_sources("api_activity", "dns_activity")))
        api.sources["eu-west-1"]["WAF"] = {
            "resource": {"sourceName": "WAF", "sourceVersion": "2.0"},
            "eventClasses": ["HTTP_ACTIVITY"],
        }

    def test_data_access_comes_with_a_queue(self, api, planned, applied):
        wanted = subscriber(sources=["ocsf_6003", "WAF"], description="Our SOC.")
        plan = planned(wanted)

        assert [step.operation for step in plan.steps] == ["CreateSubscriber", "CreateSubscriberNotification"]
        assert plan.steps[0].parameters["sources"] == [
            {"customLogSource": {"sourceName": "ocsf_6003"}},
            {"awsLogSource": {"sourceName": "WAF", "sourceVersion": "2.0"}},
        ]
        assert applied(plan) == plan.steps
        [made] = api.subscribers["eu-west-1"].values()
        assert made["accessTypes"] == ["S3"]
        assert made["subscriberEndpoint"].endswith("-Main-Queue")
        again = planned(wanted)
        assert again.steps == ()
        assert again.there[0] == "subscriber soc in eu-west-1"
        assert again.there[1].startswith("notifications of soc, to arn:aws:sqs:")

    def test_query_access_comes_without(self, api, planned, applied):
        plan = planned(subscriber(access="query"))

        assert [step.parameters["accessTypes"] for step in applied(plan)] == [["LAKEFORMATION"]]
        assert plan.missing == ()

    def test_sources_can_be_changed_and_access_cannot(self, api, planned, applied):
        applied(planned(subscriber()))
        plan = planned(subscriber(sources=["ocsf_4003"]))
        assert [step.operation for step in applied(plan)] == ["UpdateSubscriber"]
        [made] = api.subscribers["eu-west-1"].values()
        assert made["sources"] == [{"customLogSource": {"sourceName": "ocsf_4003"}}]
        with pytest.raises(ConfigError, match="has S3 access, which cannot be changed"):
            planned(subscriber(access="query"))

    @pytest.mark.parametrize("operation", ["CreateSubscriber", "CreateSubscriberNotification"])
    @pytest.mark.parametrize("after", [False, True])
    def test_it_may_be_repeated_after_a_failure(self, api, planned, applied, operation, after):
        plan = planned(subscriber())
        api.fail(operation, "AccessDeniedException", after=after)
        with pytest.raises(LakeError, match=f"allow them securitylake:{operation}"):
            applied(plan)
        applied(plan)

        assert planned(subscriber()).steps == ()
        assert len(api.subscribers["eu-west-1"]) == 1

    def test_a_step_that_passed_after_all_is_not_taken_twice(self, api, planned, applied, waits):
        plan = planned(subscriber())
        api.fail("CreateSubscriber", "InternalServerException", after=True)
        api.fail("CreateSubscriberNotification", "InternalServerException", after=True)
        applied(plan)

        assert len(waits) == 2
        assert changes(api)["CreateSubscriber"] == changes(api)["CreateSubscriberNotification"] == 1

    def test_a_source_that_is_not_there_is_refused(self, planned):
        with pytest.raises(ConfigError, match=r"no source 'ocsf_6004'; did you mean .*6003'.* custom-sources apply"):
            planned(subscriber(sources=["ocsf_6004"]))
        with pytest.raises(ConfigError, match=r"no source 'EKS_AUDIT'.* enable it in the console"):
            planned(subscriber(sources=["EKS_AUDIT"]))

    def test_pages_are_turned(self, api, planned, applied):
        for name in ("a", "b", "c", "d", "e"):
            applied(planned(subscriber(name=name)))

        assert planned(subscriber(name="e")).steps == ()


class TestGoneMeanwhile:
    def test_a_subscriber_that_goes_while_it_is_made_is_told(self, api, planned, applied):
        applied(planned(wanted_sources("api_activity")))
        plan = planned(subscriber())
        with pytest.raises(LakeError, match="the subscriber 'soc' is gone: plan again"):
            applied(plan, progress=lambda _: api.subscribers.clear())


class TestExceptions:
    def test_they_are_subscribed_to_and_changed(self, api, planned, applied):
        wanted = ExceptionSubscription(region="eu-west-1", protocol="email", endpoint="me@example.com", time_to_live=30)
        assert [step.operation for step in applied(planned(wanted))] == ["CreateDataLakeExceptionSubscription"]
        assert planned(wanted).there == ("exceptions in eu-west-1 by email to me@example.com",)
        assert planned(wanted).steps == ()
        other = evolve(wanted, endpoint="you@example.com", time_to_live=None)
        assert [step.operation for step in applied(planned(other))] == ["UpdateDataLakeExceptionSubscription"]
        assert api.subscriptions["eu-west-1"]["notificationEndpoint"] == "you@example.com"

    def test_a_missing_permission_is_no_missing_subscription(self, api, planned):
        api.denied.add("securitylake:GetDataLakeExceptionSubscription")
        with pytest.raises(LakeError, match="allow them securitylake:GetDataLakeExceptionSubscription"):
            planned(ExceptionSubscription(region="eu-west-1", protocol="email", endpoint="me@example.com"))
