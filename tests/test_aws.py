"""What a failed call to AWS means, and what is said about it: where, who, and what to do."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import exceptions

from ocsflake import aws
from ocsflake.errors import ConfigError, LakeError
from ocsflake.testing.aws_apis import AwsApisServer
from ocsflake.testing.faults import FaultProxy
from ocsflake.testing.servers import AwsServer


def answered(code: str, status: int = 400, *, operation: str = "PutObject", retry_after: str = "") -> Exception:
    response: Any = {
        "Error": {"Code": code, "Message": "said"},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {"retry-after": retry_after}},
    }
    return exceptions.ClientError(response, operation)


class TestAddress:
    @pytest.mark.parametrize(
        ("uri", "expected"),
        [
            ("s3://bucket", ("bucket", "")),
            ("s3://bucket/", ("bucket", "")),
            ("s3://my.bucket-1/a", ("my.bucket-1", "a/")),
            ("s3://bucket/a/b c/ü/", ("bucket", "a/b c/ü/")),
        ],
    )
    def test_parts(self, uri: str, expected: tuple[str, str]) -> None:
        """A prefix ends with a slash, unless it is none."""
        assert aws.s3_address(uri) == expected

    @pytest.mark.parametrize(
        "uri",
        ["", "bucket", "s3:bucket", "s3://", "s3:///a", "s3://B", "s3://b_c", "s3://-b-", "S3://bucket", "gs://bucket"],
    )
    def test_no_bucket(self, uri: str) -> None:
        """Anything else names no bucket."""
        with pytest.raises(ConfigError, match="give s3://bucket or s3://bucket/prefix"):
            aws.s3_address(uri)

    @pytest.mark.parametrize("uri", ["s3://bucket//a", "s3://bucket/a//b", "s3://bucket/..", "s3://bucket/./a"])
    def test_no_path(self, uri: str) -> None:
        """A prefix must be one that can be copied to a file system, and nothing above it."""
        with pytest.raises(ConfigError, match="a part of the prefix is empty"):
            aws.s3_address(uri)


class TestFailures:
    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            (answered("SlowDown", 503), "unavailable"),
            (answered("InternalError", 500), "unavailable"),
            (answered("", 502), "unavailable"),
            (answered("Whatever", 429), "unavailable"),
            (answered("ThrottlingException"), "unavailable"),
            (answered("RequestTimeout"), "unavailable"),
            (answered("OperationAborted", 409), "unavailable"),
            (answered("NotImplemented", 501), "other"),
            (answered("InvalidArgument"), "other"),
            (answered("AccessDenied", 403), "denied"),
            (answered("403", 403, operation="HeadBucket"), "denied"),
            (answered("ExpiredToken"), "expired"),
            (answered("SignatureDoesNotMatch", 403), "credentials"),
            (answered("NoSuchKey", 404), "missing"),
            (answered("NoSuchBucket", 404), "no bucket"),
            (answered("PermanentRedirect", 301), "elsewhere"),
            (answered("PreconditionFailed", 412), "changed"),
            (exceptions.EndpointConnectionError(endpoint_url="http://x"), "unavailable"),
            (exceptions.ReadTimeoutError(endpoint_url="http://x"), "unavailable"),
            (exceptions.ConnectionClosedError(endpoint_url="http://x"), "unavailable"),
            (exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2), "unavailable"),
            (exceptions.SSLError(endpoint_url="http://x", error="bad certificate"), "other"),
            (exceptions.NoCredentialsError(), "no credentials"),
            (exceptions.ParamValidationError(report="x"), "other"),
        ],
    )
    def test_kinds(self, error: Exception, kind: str) -> None:
        """A failure is of the kind that tells what to do, and only what passes is waited for."""
        found = aws.failure(error)

        assert found is not None
        assert found.kind == kind
        assert (aws.seconds_to_wait(error) is not None) == (kind == "unavailable")

    def test_waiting(self) -> None:
        """A service may say how long to wait."""
        assert aws.seconds_to_wait(answered("SlowDown", 503, retry_after="7")) == 7
        assert aws.seconds_to_wait(answered("SlowDown", 503, retry_after="Tue, 24 Nov 2026")) == 0
        assert aws.seconds_to_wait(answered("AccessDenied", 403, retry_after="7")) is None

    def test_an_answer_that_says_nothing(self) -> None:
        """An answer without a body is a failure as well."""
        found = aws.failure(exceptions.ClientError({}, "GetObject"))

        assert found == aws.Failure("other", "", action="s3:GetObject")

    def test_others(self) -> None:
        """What boto3 did not raise means nothing here."""
        assert aws.failure(ValueError()) is None
        assert aws.seconds_to_wait(ValueError()) is None
        assert aws.lake_error(ValueError(), "s3://bucket/a") is None


class TestMessages:
    @pytest.mark.parametrize(
        ("error", "who", "message"),
        [
            (
                answered("AccessDenied", 403),
                "arn:aws:iam::1:role/x",
                "s3://bucket/a: arn:aws:iam::1:role/x may not do this (AccessDenied): allow it s3:PutObject",
            ),
            (
                answered("AccessDenied", 403, operation="ListObjectsV2"),
                "",
                "s3://bucket/a: the credentials of this session may not do this (AccessDenied): allow it s3:ListBucket",
            ),
            (
                answered("AccessDenied", 403, operation="AssumeRole"),
                "arn:aws:iam::1:role/x",
                (
                    "s3://bucket/a: arn:aws:iam::1:role/x cannot be assumed (sts:AssumeRole: AccessDenied): its trust"
                    " policy must name the principal of this session, and external_id= must be what it asks for"
                ),
            ),
            (
                answered("ExpiredToken"),
                "",
                (
                    "s3://bucket/a: the credentials have expired (ExpiredToken): renew them and run again, which goes"
                    " on here"
                ),
            ),
            (
                answered("InvalidAccessKeyId", 403),
                "",
                "s3://bucket/a: the credentials are not valid there (InvalidAccessKeyId: said): correct them",
            ),
            (answered("NoSuchKey", 404), "", "s3://bucket/a: there is no such object (NoSuchKey)"),
            (
                answered("SlowDown", 503),
                "",
                (
                    "s3://bucket/a: it cannot be reached, or asks to be left alone (SlowDown: said): run again later,"
                    " which goes on here"
                ),
            ),
            (answered("EntityTooLarge"), "", "s3://bucket/a: s3:PutObject failed (EntityTooLarge: said)"),
            (
                exceptions.SSLError(endpoint_url="https://x", error="bad"),
                "",
                "s3://bucket/a: the call failed (SSLError: SSL validation failed for https://x bad)",
            ),
        ],
    )
    def test_lake_errors(self, error: Exception, who: str, message: str) -> None:
        """A message says where, who, what failed and what to do."""
        found = aws.lake_error(error, "s3://bucket/a", who)

        assert type(found) is LakeError
        assert (str(found), found.path) == (message, "s3://bucket/a")

    @pytest.mark.parametrize(
        ("error", "message"),
        [
            (answered("NoSuchBucket", 404), "there is no such bucket"),
            (answered("PermanentRedirect", 301), "the bucket is in another Region than was asked"),
            (exceptions.NoCredentialsError(), "there are no AWS credentials: set AWS_PROFILE"),
        ],
    )
    def test_mistakes_of_the_call(self, error: Exception, message: str) -> None:
        """What the caller must correct is a `ConfigError`."""
        found = aws.lake_error(error, "s3://bucket/a")

        assert type(found) is ConfigError
        assert message in str(found)


class TestClients:
    def test_unknown_service(self) -> None:
        """A client that cannot be made is a mistake in the call."""
        with pytest.raises(ConfigError, match="no client for 's4' can be made"):
            aws.make_client("s4", region="us-east-1")

    def test_an_answer_that_breaks_off(self) -> None:
        """It is no answer: boto3 would take what there is of its JSON for one that holds nothing."""
        with AwsApisServer() as server, FaultProxy(server.url) as proxy:
            client = aws.make_client("inspector2", AwsServer(proxy.url).session(), region="us-east-1")
            proxy.fail("cut", [1])

            with pytest.raises(exceptions.IncompleteReadError) as caught:
                client.list_findings()
            assert aws.seconds_to_wait(caught.value) == 0
            assert client.list_findings()["findings"] == []

    def test_answers_without_a_body(self, moto: AwsServer) -> None:
        """What has no body, or a stream of one, is not looked at."""
        client = aws.make_client("s3", moto.session(), region="us-east-1")
        bucket = moto.make_bucket()
        client.put_object(Bucket=bucket, Key="a", Body=b"content")

        assert client.head_object(Bucket=bucket, Key="a")["ContentLength"] == 7
        assert client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"content"
