"""``ocsflake custom-sources``, as a process that finds the stand-in by its environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from wanted_sources import CRAWLER, EXTERNAL_ID, PROVIDER

from ocsflake.cli import main

OPTIONS = ["--region", "eu-west-1", "--provider", PROVIDER, "--external-id", EXTERNAL_ID, "--crawler-role", CRAWLER]


@pytest.fixture
def call(api):
    environment = {
        "AWS_ENDPOINT_URL": api.url,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }

    def call(*arguments):
        command = [sys.executable, "-m", "ocsflake", "custom-sources", *arguments, *OPTIONS]
        return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)

    return call


def test_plan_then_apply(api, call):
    """A plan shows, and changes nothing; apply does it, and a second time there is nothing left."""
    shown = call("plan", "aws.cloudtrail")

    assert shown.returncode == 0, shown.stderr
    assert "CreateCustomLogSource: register aws_cloudtrail_6003 for API_ACTIVITY (api_activity)" in shown.stdout
    assert api.sources == {}
    done = call("apply", "aws_cloudtrail")  # a stem serves as well: an error that a lake raises has no more
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr == "3 done, 0 were there already\n"
    again = json.loads(call("apply", "aws.cloudtrail", "--json").stdout)
    assert again["steps"] == []
    assert len(again["there"]) == 3


def test_a_missing_permission(api, call):
    """A plan that lacks one ends with 1, and says which."""
    api.denied.add("iam:PassRole")
    shown = call("plan", "api_activity", "--naming", "class", "--json")

    assert shown.returncode == 1
    assert json.loads(shown.stdout)["missing"] == [f"iam:PassRole on {CRAWLER}"]
    assert call("apply", "api_activity", "--naming", "class").returncode == 1
    assert api.sources == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "aws.cloudtrial"], "did you mean 'aws.cloudtrail'"),
        (["plan", "aws.cloudtrail", "--provder", "1"], "did you mean '--provider'"),
        (["plna", "aws.cloudtrail"], "invalid choice"),
        (["plan", "aws.cloudtrail", "--region", "westeurope"], "is no AWS Region"),
    ],
)
def test_wrong_calls(capsys, arguments, message):
    assert main(["custom-sources", *arguments, *OPTIONS]) == 2
    assert message in capsys.readouterr().err
