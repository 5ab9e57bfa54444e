"""Servers start on a port of their own, and end with their block; one that does not start says why."""

from __future__ import annotations

import socket
import sys

import pytest

from ocsflake.testing import servers
from ocsflake.testing.servers import AwsServer, rclone_server


def test_a_server_is_gone_after_its_block(tmp_path):
    with rclone_server(tmp_path) as server:
        bucket = server.make_bucket()
        assert (tmp_path / bucket).is_dir()
        port = int(server.url.rpartition(":")[2])

    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port))


def test_a_server_that_does_not_start_says_why():
    command = [sys.executable, "-c", "raise SystemExit('no such thing')"]

    with pytest.raises(RuntimeError, match="did not start on port 1: no such thing"), servers._running(command, 1, {}):
        pass


def test_a_server_shows_no_secret():
    assert "not-a-secret" not in repr(AwsServer("http://127.0.0.1:1", token="not-a-secret"))


def test_clients_go_where_they_are_told():
    server = AwsServer("http://127.0.0.1:1", elsewhere={"sts": "http://127.0.0.1:2"}, region="eu-west-1")

    assert server.client("s3").meta.endpoint_url == "http://127.0.0.1:1"
    assert server.client("sts").meta.endpoint_url == "http://127.0.0.1:2"
    assert server.at("http://127.0.0.1:3").client("s3").meta.endpoint_url == "http://127.0.0.1:3"
    assert server.client("s3").meta.region_name == "eu-west-1"
