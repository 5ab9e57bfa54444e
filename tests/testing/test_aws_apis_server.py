"""The stand-in for AWS's APIs refuses what AWS refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from ocsflake.testing.aws_apis import AwsApisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

ANALYZER = "arn:aws:access-analyzer:us-east-1:111122223333:analyzer/all"


@pytest.fixture(scope="module")
def server() -> Iterator[AwsApisServer]:
    with AwsApisServer() as server:
        server.add("guardduty", *({"id": f"f{n}", "updatedAt": f"2026-11-0{n}T00:00:00Z"} for n in range(1, 6)))
        yield server


def refusal(call: Any, **asked: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**asked)
    return str(caught.value.response["Error"]["Code"])


def test_pages(server: AwsApisServer) -> None:
    """boto3's own paginator reads all pages."""
    pages = server.session().client("guardduty").get_paginator("list_findings").paginate(DetectorId="cafe")

    assert [page["FindingIds"] for page in pages] == [["f1", "f2"], ["f3", "f4"], ["f5"]]


def test_tokens(server: AwsApisServer) -> None:
    """A token is good for the request that it came for, and no other."""
    client = server.session().client("guardduty")
    token = client.list_findings(DetectorId="cafe")["NextToken"]

    assert client.list_findings(DetectorId="cafe", NextToken=token)["FindingIds"] == ["f3", "f4"]
    criteria = {"Criterion": {"updatedAt": {"GreaterThanOrEqual": 1}}}
    code = refusal(client.list_findings, DetectorId="cafe", NextToken=token, FindingCriteria=criteria)
    assert code == "InvalidNextTokenException"


def test_bounds(server: AwsApisServer) -> None:
    """What the model of a service does not allow is refused."""
    client = server.session().client("guardduty")

    assert refusal(client.list_findings, DetectorId="cafe", MaxResults=51) == "ValidationException"
    assert refusal(client.get_findings, DetectorId="cafe", FindingIds=["f1"] * 51) == "ValidationException"


def test_what_is_not_there(server: AwsApisServer) -> None:
    """What is missing is told in the service's own words."""
    session = server.session()

    assert refusal(session.client("guardduty").list_members, DetectorId="cafe") == "UnknownOperationException"
    assert refusal(session.client("logs").filter_log_events, logGroupName="no") == "ResourceNotFoundException"
    analyzer = session.client("accessanalyzer")
    assert refusal(analyzer.get_finding_v2, analyzerArn=ANALYZER, id="no") == "ResourceNotFoundException"


def test_faults(server: AwsApisServer) -> None:
    """A call fails as often as it was told to."""
    client = server.session().client("guardduty")
    server.fail("guardduty:ListDetectors", "TooManyRequestsException")
    server.fail("guardduty:ListDetectors", "reset")

    assert refusal(client.list_detectors) == "TooManyRequestsException"
    with pytest.raises(ConnectionClosedError):
        client.list_detectors()
    assert client.list_detectors()["DetectorIds"]
