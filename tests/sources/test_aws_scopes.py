"""Accounts and Regions: who is asked, as whom, and what is said when that does not work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest

from ocsflake.errors import AccessDeniedError, ConfigError, SourceError
from ocsflake.sources.aws._scopes import Access, Caller, Scope, raw_list, raw_members
from ocsflake.sources.options import words

if TYPE_CHECKING:
    from ocsflake.testing.aws_apis import AwsApisServer

HERE, OTHER = "111122223333", "444455556666"
ROLE = "arn:aws:iam::{account}:role/logs"


def caller(aws_apis: AwsApisServer, account: str = HERE, **access: Any) -> Caller:
    given = {"session": aws_apis.session(), **access}
    scope = Scope(account, "us-east-1")
    return Caller(access=Access(**given), service="guardduty", scope=scope, per_second=1000, source="s", split="p")


class TestScopes:
    def test_own_account(self, aws_apis: AwsApisServer) -> None:
        """Without accounts it is that of the credentials, which is asked for once, in the Region of the session."""
        access = Access(session=aws_apis.session("eu-west-1"))

        assert access.scopes() == access.scopes() == [Scope(HERE, "eu-west-1")]
        assert aws_apis.calls == {"sts:GetCallerIdentity": 1}

    def test_all_of_them(self, aws_apis: AwsApisServer) -> None:
        """Each account is asked in each Region; text with commas is a list, and nothing is asked twice."""
        access = Access(accounts=f"{HERE}, {OTHER},{HERE}", regions=["us-east-1", "eu-west-1"], role_arn=ROLE)

        assert list(map(str, access.scopes())) == [
            f"{account}/{region}" for account in (HERE, OTHER) for region in ("us-east-1", "eu-west-1")
        ]

    def test_account_of_the_role(self) -> None:
        """A role of one account tells the account."""
        assert Access(role_arn=ROLE.format(account=OTHER), regions="us-east-1").scopes() == [Scope(OTHER, "us-east-1")]

    def test_no_region(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without any Region nothing can be asked."""
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")

        with pytest.raises(ConfigError, match="no AWS Region is set: give regions="):
            Access(session=boto3.Session()).scopes()

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"accounts": "1234"}, "accounts: '1234' is no account"),
            ({"accounts": HERE}, "accounts: each needs a role in it"),
            ({"accounts": HERE, "role_arn": ROLE.format(account=OTHER)}, "accounts: each needs a role in it"),
            ({"regions": "Ireland"}, "regions: 'Ireland' is no AWS Region"),
            ({"regions": "us-east-1.evil.example"}, "is no AWS Region"),
            ({"role_arn": "logs"}, "role_arn: 'logs' is no ARN of a role"),
        ],
    )
    def test_wrong_options(self, options: dict[str, str], words: str) -> None:
        """What cannot work is refused before anything is asked."""
        with pytest.raises(ConfigError, match=words):
            Access(**options)

    def test_words(self) -> None:
        """Lists come as text from the command line."""
        assert words(" a,b ,,a") == words(["a", "b"]) == ("a", "b")


class TestRoles:
    def test_one_for_all_regions(self, aws_apis: AwsApisServer) -> None:
        """A role is assumed once, whatever services and Regions it is for, with the external id that it asks for."""
        aws_apis.roles = {ROLE.format(account=OTHER): "x-1"}
        access = Access(accounts=OTHER, role_arn=ROLE, external_id="x-1", session=aws_apis.session())

        for service, region in [("guardduty", "us-east-1"), ("guardduty", "eu-west-1"), ("logs", "us-east-1")]:
            assert access.client(service, Scope(OTHER, region)) is access.client(service, Scope(OTHER, region))

        assert aws_apis.assumed == [ROLE.format(account=OTHER)]

    def test_not_trusted(self, aws_apis: AwsApisServer) -> None:
        """A role that cannot be assumed is named, with what it may want."""
        call = caller(aws_apis, OTHER, role_arn=ROLE, accounts=OTHER, external_id="wrong")

        with pytest.raises(AccessDeniedError, match=rf"{OTHER}/us-east-1: arn:aws:iam::{OTHER}:role/logs cannot be"):
            call("list_detectors")

    def test_role_is_throttled(self, aws_apis: AwsApisServer) -> None:
        """Assuming a role is tried again as a call is."""
        aws_apis.roles = {ROLE.format(account=OTHER): ""}
        aws_apis.fail("sts:AssumeRole", "Throttling")
        call = caller(aws_apis, OTHER, role_arn=ROLE, accounts=OTHER)

        assert call("list_detectors").parsed["DetectorIds"]


class TestFailures:
    def test_denied(self, aws_apis: AwsApisServer) -> None:
        """A missing permission is named with the identity and the resource, and asked for once."""
        aws_apis.denied.add((HERE, "guardduty:ListDetectors"))

        with pytest.raises(AccessDeniedError) as caught:
            caller(aws_apis)("list_detectors")

        assert str(caught.value) == (
            "guardduty in 111122223333/us-east-1: arn:aws:iam::111122223333:user/me may not do this "
            "(AccessDeniedException): allow it guardduty:ListDetectors on arn:aws:guardduty:us-east-1:*"
        )
        assert (caught.value.source, caught.value.split) == ("s", "p")
        assert aws_apis.calls["guardduty:ListDetectors"] == 1

    def test_denied_without_a_word(self, aws_apis: AwsApisServer) -> None:
        """Where the service does not tell, the permission is that of the call, and the identity is the role."""
        aws_apis.fail("accessanalyzer:ListFindingsV2", "AccessDeniedException", message="no")
        scope = Scope(HERE, "us-east-1")
        access = Access(session=aws_apis.session())
        call = Caller(access=access, service="accessanalyzer", scope=scope, per_second=1000)

        words = "the credentials of this session may not do this .* allow it access-analyzer:ListFindings on "
        with pytest.raises(AccessDeniedError, match=words):
            call("list_findings_v2", analyzerArn="arn:aws:access-analyzer:us-east-1:111122223333:analyzer/all")

    @pytest.mark.parametrize(
        ("code", "words"),
        [
            ("ExpiredTokenException", "the credentials have expired .* renew them and run again"),
            ("UnrecognizedClientException", "the credentials are not valid there"),
            ("InvalidAccessException", "it is not turned on there .* leave the account or Region out"),
            ("BadRequestException", r"ListDetectors failed \(BadRequestException: x-amz-security-token:hush\)"),
        ],
    )
    def test_others(self, aws_apis: AwsApisServer, code: str, words: str) -> None:
        """What does not pass is told at once."""
        aws_apis.fail("guardduty:ListDetectors", code, message="x-amz-security-token:hush")

        with pytest.raises(SourceError, match=words) as caught:
            caller(aws_apis)("list_detectors")

        assert aws_apis.calls["guardduty:ListDetectors"] == 1
        assert ("hush" in str(caught.value)) == (code in {"BadRequestException", "InvalidAccessException"})

    def test_renewed_by_somebody(self, aws_apis: AwsApisServer, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a role, expired credentials are read anew for the next call, from where they came."""
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws_apis.url)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", f"ASIA{HERE}000000")
        call = caller(aws_apis, session=None)

        with pytest.raises(SourceError, match="the credentials have expired"):
            call("list_detectors")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")

        assert call("list_detectors").parsed["DetectorIds"]

    def test_a_call_that_boto3_lacks(self, aws_apis: AwsApisServer) -> None:
        """An old boto3 is named as what it is."""
        with pytest.raises(ConfigError, match=r"boto3 has no guardduty.list_findingz; did you mean 'list_findings'"):
            caller(aws_apis)("list_findingz")


class TestRecords:
    def test_as_they_came(self) -> None:
        """Numbers and spaces stay as they are."""
        assert raw_list(b'[{"a": 1.10}, 2e0]') == [b'{"a": 1.10}', b"2e0"]

    def test_half_a_character(self) -> None:
        """Half a surrogate pair, which no text can hold, is replaced."""
        assert bytes(raw_members(b'{"a":"x\\ud800"}')["a"]) == b'"x\\ufffd"'
