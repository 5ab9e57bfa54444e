"""The stand-in takes and refuses what the service does."""

from __future__ import annotations

import pytest
from wanted_sources import CRAWLER, EXTERNAL_ID, PROVIDER

IDENTITY = {"principal": PROVIDER, "externalId": EXTERNAL_ID}
SETTINGS = {"crawlerConfiguration": {"roleArn": CRAWLER}, "providerIdentity": IDENTITY}


@pytest.fixture
def client(session):
    return session.client("securitylake", region_name="eu-west-1")


def make_source(client, name="a", **more):
    return client.create_custom_log_source(sourceName=name, configuration=SETTINGS, **more)["source"]


def code(client, call):
    with pytest.raises(client.exceptions.ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"]


class TestCustomSources:
    def test_a_source_gets_a_location_and_a_role(self, api, client):
        plain, versioned = make_source(client), make_source(client, "b", sourceVersion="1.5")

        assert plain["provider"]["location"] == f"s3://{api.bucket('eu-west-1')}/ext/a/"
        assert versioned["provider"]["location"].endswith("/ext/b/1.5/")
        assert api.roles[plain["provider"]["roleArn"]] == EXTERNAL_ID

    def test_they_are_listed_in_pages(self, client):
        for name in ("a", "b", "c"):
            make_source(client, name, eventClasses=["API_ACTIVITY"])
        first = client.list_log_sources(maxResults=1)
        pages = client.get_paginator("get_data_lake_sources").paginate()
        filtered = client.list_log_sources(
            sources=[{"customLogSource": {"sourceName": "c"}}], accounts=["111111111111"], regions=["eu-west-1"]
        )

        assert len(first["sources"]) == 1
        assert "nextToken" in first
        assert [each["sourceName"] for page in pages for each in page["dataLakeSources"]] == ["a", "b", "c"]
        assert len(filtered["sources"]) == 1
        assert client.list_log_sources(accounts=["222222222222"])["sources"] == []
        assert client.get_data_lake_sources(accounts=["222222222222"])["dataLakeSources"] == []

    def test_one_is_deleted_once(self, client):
        make_source(client, sourceVersion="1")
        assert code(client, lambda: client.delete_custom_log_source(sourceName="a", sourceVersion="2")) == (
            "ResourceNotFoundException"
        )
        client.delete_custom_log_source(sourceName="a", sourceVersion="1")
        assert code(client, lambda: client.delete_custom_log_source(sourceName="a")) == "ResourceNotFoundException"

    def test_limits(self, client):
        for number in range(50):
            make_source(client, f"s{number}")

        assert code(client, lambda: make_source(client, "s50")) == "BadRequestException"
        assert code(client, lambda: make_source(client, "s1")) == "ConflictException"
        assert code(client, lambda: make_source(client, "a" * 21)) == "BadRequestException"

    @pytest.mark.parametrize(
        "wrong",
        [
            {"sourceName": "no spaces"},
            {"sourceName": "a" * 65},
            {"sourceName": "a", "eventClasses": ["lower"]},
            {"sourceName": "a", "configuration": SETTINGS | {"providerIdentity": IDENTITY | {"principal": "me"}}},
        ],
    )
    def test_the_model_of_the_service_is_kept_to(self, client, wrong):
        assert code(client, lambda: client.create_custom_log_source(**{"configuration": SETTINGS} | wrong)) == (
            "BadRequestException"
        )

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b'{"regions": "eu-west-1"}', "is no list"),
            (b'{"sources": [{"awsLogSource": {"sourceName": "MAIL"}}]}', "is none of"),
            (b'{"region": "eu-west-1"}', "region is unknown"),
        ],
    )
    def test_what_boto3_would_not_send(self, api, body, message):
        status, headers, text = api.answer("eu-west-1", "POST", "/v1/datalake/logsources/list", body)

        assert status == 400
        assert headers == {"x-amzn-errortype": "BadRequestException"}
        assert message in text.decode()

    def test_what_is_required(self, api):
        _, _, text = api.answer("eu-west-1", "POST", "/v1/datalake/logsources/custom", b"{}")

        assert "configuration, sourceName is required" in text.decode()

    def test_there_must_be_a_lake(self, session):
        client = session.client("securitylake", region_name="eu-north-1")

        assert code(client, client.list_log_sources) == "ResourceNotFoundException"


class TestLakes:
    def enable(self, client, region, *targets, update=False):
        configuration = {"region": region}
        if targets:
            configuration["replicationConfiguration"] = {"regions": list(targets), "roleArn": CRAWLER}
        call = client.update_data_lake if update else client.create_data_lake
        return call(configurations=[configuration], metaStoreManagerRoleArn=CRAWLER)["dataLakes"]

    def test_rules(self, client):
        [made] = self.enable(client, "eu-north-1", "us-east-1")

        assert made["createStatus"] == "COMPLETED"
        assert code(client, lambda: self.enable(client, "eu-north-1")) == "ConflictException"
        assert code(client, lambda: self.enable(client, "sa-east-1", update=True)) == "ResourceNotFoundException"
        assert code(client, lambda: self.enable(client, "eu-west-1", "sa-east-1", update=True)) == "BadRequestException"
        assert (
            code(client, lambda: self.enable(client, "eu-west-1", "eu-north-1", update=True)) == "BadRequestException"
        )
        assert [lake["region"] for lake in client.list_data_lakes(regions=["eu-north-1"])["dataLakes"]] == [
            "eu-north-1"
        ]


class TestSubscribers:
    def make(self, client, name="soc", sources=("a",)):
        return client.create_subscriber(
            subscriberName=name,
            subscriberIdentity=IDENTITY,
            sources=[{"customLogSource": {"sourceName": source}} for source in sources],
        )["subscriber"]

    def test_rules(self, client):
        make_source(client)
        made = self.make(client)
        uid = made["subscriberId"]
        queue = {"sqsNotificationConfiguration": {}}

        assert client.get_subscriber(subscriberId=uid)["subscriber"]["accessTypes"] == ["S3"]
        client.create_subscriber_notification(subscriberId=uid, configuration=queue)
        assert code(client, lambda: client.create_subscriber_notification(subscriberId=uid, configuration=queue)) == (
            "ConflictException"
        )
        assert code(client, lambda: self.make(client)) == "ConflictException"
        assert code(client, lambda: self.make(client, "other", ["b"])) == "ResourceNotFoundException"
        assert code(client, lambda: self.make(client, "other", ["a"] * 11)) == "BadRequestException"
        assert code(client, lambda: client.get_subscriber(subscriberId=uid[:-1] + "z")) == "BadRequestException"
        assert (
            code(client, lambda: client.get_subscriber(subscriberId="0" * 8 + uid[8:])) == "ResourceNotFoundException"
        )


class TestExceptions:
    def test_they_are_subscribed_to_and_listed(self, api, client):
        settings = {"subscriptionProtocol": "email", "notificationEndpoint": "me@example.com", "exceptionTimeToLive": 5}
        api.exceptions = [{"exception": "no bucket", "region": region} for region in ("eu-west-1", "us-east-1")]

        assert code(client, client.get_data_lake_exception_subscription) == "ResourceNotFoundException"
        assert code(client, lambda: client.update_data_lake_exception_subscription(**settings)) == (
            "ResourceNotFoundException"
        )
        client.create_data_lake_exception_subscription(**settings)
        assert code(client, lambda: client.create_data_lake_exception_subscription(**settings)) == "ConflictException"
        client.update_data_lake_exception_subscription(**settings | {"exceptionTimeToLive": 7})
        assert client.get_data_lake_exception_subscription()["exceptionTimeToLive"] == 7
        assert len(client.list_data_lake_exceptions(regions=["us-east-1"])["exceptions"]) == 1


class TestNeighbours:
    def test_a_role_asks_for_its_external_id(self, session, client):
        role = make_source(client)["provider"]["roleArn"]
        sts = session.client("sts", region_name="eu-west-1")
        assumed = sts.assume_role(RoleArn=role, RoleSessionName="me", ExternalId=EXTERNAL_ID)

        assert assumed["Credentials"]["AccessKeyId"].startswith("ASIA")
        assert code(sts, lambda: sts.assume_role(RoleArn=role, RoleSessionName="me")) == "AccessDenied"
        assert code(sts, lambda: sts.assume_role(RoleArn=role[:-1], RoleSessionName="me", ExternalId=EXTERNAL_ID)) == (
            "AccessDenied"
        )

    def test_policies_are_simulated_in_pages(self, api, session):
        """A result is of an action, and the strictest of those of its resources."""
        api.denied |= {"s3:PutObject", "s3:GetObject on arn:aws:s3:::b/1"}
        actions = ["s3:PutObject", "s3:GetObject", "s3:PutObjectAcl", "s3:DeleteObject"]
        pages = list(
            session.client("iam")
            .get_paginator("simulate_principal_policy")
            .paginate(
                PolicySourceArn=api.caller,
                ActionNames=actions,
                ResourceArns=[f"arn:aws:s3:::b/{number}" for number in range(2)],
            )
        )
        found = {
            result["EvalActionName"]: [
                result["EvalDecision"],
                *(each["EvalResourceDecision"] for each in result["ResourceSpecificResults"]),
            ]
            for page in pages
            for result in page["EvaluationResults"]
        }

        assert len(pages) == 2
        assert list(found.values()) == [
            ["implicitDeny"] * 3,
            ["implicitDeny", "allowed", "implicitDeny"],
            ["allowed"] * 3,
            ["allowed"] * 3,
        ]

    def test_what_it_does_not_have_is_refused(self, session, client):
        iam = session.client("iam")

        assert code(iam, iam.list_users) == "InvalidAction"
        assert code(client, lambda: client.list_tags_for_resource(resourceArn="arn:aws:securitylake:x:1:y")) == (
            "UnknownOperationException"
        )
