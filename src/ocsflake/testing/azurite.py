"""Azurite, Microsoft's stand-in for Azure Storage: a process of its own on a free loopback port.

It comes by npm and is kept in a folder of this user's cache, where the first test that wants it puts it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from base64 import b64encode
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, frozen

from ocsflake.testing.servers import _free_port, _running

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["AzuriteServer", "azurite_server", "install_azurite"]

_VERSION = "3.35.0"
_SECONDS = 300


@frozen
class AzuriteServer:
    """A server of blobs.

    Attributes:
        url: The URL of its account, such as ``http://127.0.0.1:41233/logs``.
        key: The key of the account.
    """

    url: str
    key: str = field(repr=False)

    def client(self) -> Any:
        """Return a `BlobServiceClient` of the account."""
        from azure.storage.blob import BlobServiceClient

        account = self.url.rpartition("/")[2]
        return BlobServiceClient(self.url, credential={"account_name": account, "account_key": self.key})

    @staticmethod
    def client_of(container: Any) -> Any:
        """Return a `BlobServiceClient` of the account that a container is in."""
        from azure.storage.blob import BlobServiceClient

        return BlobServiceClient(container.url.rpartition("/")[0], credential=container.credential)

    def make_container(self) -> Any:
        """Make a container, and return its client."""
        return self.client().create_container(f"container-{secrets.token_hex(8)}")

    def at(self, url: str) -> AzuriteServer:
        """Return the same server as it is reached by way of another URL, such as a proxy's."""
        return evolve(self, url=f"{url}/{self.url.rpartition('/')[2]}")


def install_azurite() -> Path | None:
    """Return the program, which is fetched if it is not there; ``None`` where there is no npm.

    Raises:
        subprocess.CalledProcessError: If npm cannot fetch it.
    """
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        return None
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "ocsflake" / f"azurite-{_VERSION}"
    program = folder / "node_modules" / ".bin" / "azurite-blob"
    if not program.exists():
        part = folder.with_name(f"{folder.name}.{os.getpid()}")  # others may be at it, too
        part.mkdir(parents=True)
        command = [npm, "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(part), f"azurite@{_VERSION}"]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS)  # noqa: S603 - ours
            with suppress(OSError):  # another one was faster
                part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return program


@contextmanager
def azurite_server(program: Path) -> Iterator[AzuriteServer]:
    """Run Azurite, which keeps its blobs in memory.

    Args:
        program: What `install_azurite` returned.
    """
    port, key = _free_port(), b64encode(secrets.token_bytes(64)).decode()
    options = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--inMemoryPersistence"]
    options += ["--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    with _running([str(program), *options], port, {"AZURITE_ACCOUNTS": f"logs:{key}"}):
        yield AzuriteServer(f"http://127.0.0.1:{port}/logs", key)
