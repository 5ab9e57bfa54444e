"""Every place that a lake can be in passes the suite for sinks."""

from __future__ import annotations

import pytest

from ocsflake.lake import Lake
from ocsflake.testing.suites import SinkSuite


class TestDirectory(SinkSuite):
    @pytest.fixture
    def sink(self, tmp_path):
        return Lake(tmp_path / "lake")


class TestMoto(SinkSuite):
    @pytest.fixture
    def sink(self, moto):
        return Lake(f"s3://{moto.make_bucket()}", session=moto.session())


class TestRclone(SinkSuite):
    @pytest.fixture
    def sink(self, rclone):
        return Lake(f"s3://{rclone.make_bucket()}/a prefix/b", client=rclone.client())


class TestMotoByObstore(SinkSuite):
    @pytest.fixture
    def sink(self, moto):
        return Lake(f"s3://{moto.make_bucket()}", session=moto.session(), transport="obstore")


class TestRcloneByObstore(SinkSuite):
    @pytest.fixture
    def sink(self, rclone):
        return Lake(f"s3://{rclone.make_bucket()}/a prefix/b", client=rclone.client(), transport="obstore")


class TestRegistered(SinkSuite):
    """With custom sources as Security Lake registered them."""

    @pytest.fixture
    def sink(self, moto):
        from ocsflake.model import CustomSource

        bucket = moto.make_bucket()
        names = {
            "aws_cloudtrail_6003": "ext/aws_cloudtrail_6003/1.0/",
            "aws_cloudtrail_3002": "ext/aws_cloudtrail_3002/",
        }
        sources = [
            CustomSource(name, "", f"s3://{bucket}/{place}", role_arn=f"arn:aws:iam::123456789012:role/{name}")
            for name, place in names.items()
        ]
        return Lake(f"s3://{bucket}", session=moto.session(), custom_sources=sources, external_id="there")
