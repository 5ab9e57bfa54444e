"""What a failed call to Google Cloud means, and what is said about it: where, who, and what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import requests
import urllib3
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.api_core import exceptions
from google.auth import exceptions as auth
from google.rpc.error_details_pb2 import RetryInfo

import ocsflake
from ocsflake import gcp
from ocsflake.errors import AccessDeniedError, ConfigError, SourceError, UnavailableError
from ocsflake.sources.gcp import gcs, logging, pubsub, scc
from ocsflake.sources.google_workspace import reports
from ocsflake.testing.google_workspace_reports import ReportsServer, reports_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EMAIL = "reader@p.iam.gserviceaccount.com"
SOURCES = (logging, gcs, pubsub, scc)

WHERE = {"where": "projects/p", "permission": "p.read (roles/reader)", "who": "a@example.com"}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (exceptions.TooManyRequests("m"), UnavailableError),
        (exceptions.ResourceExhausted("m"), UnavailableError),
        (exceptions.ServiceUnavailable("m"), UnavailableError),
        (exceptions.InternalServerError("m"), UnavailableError),
        (exceptions.BadGateway("m"), UnavailableError),
        (exceptions.DeadlineExceeded("m"), UnavailableError),
        (exceptions.Aborted("m"), UnavailableError),
        (exceptions.Unknown("m"), UnavailableError),
        (requests.ConnectionError("m"), UnavailableError),
        (requests.ReadTimeout("m"), UnavailableError),
        (urllib3.exceptions.ProtocolError("m"), UnavailableError),
        (auth.TransportError("m"), UnavailableError),
        (auth.RefreshError("m", retryable=True), UnavailableError),
        (requests.exceptions.SSLError("m"), SourceError),
        (auth.RefreshError("m"), SourceError),
        (exceptions.Unauthorized("m"), SourceError),
        (exceptions.InvalidArgument("m"), SourceError),
        (exceptions.MethodNotImplemented("m"), SourceError),
        (exceptions.NotFound("m"), SourceError),
        (exceptions.PermissionDenied("m"), AccessDeniedError),
        (exceptions.Forbidden("m"), AccessDeniedError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.__name__,
)
def test_kinds(error: Exception, kind: type[SourceError]) -> None:
    """A failure is of the kind that tells what to do, and only what passes is waited for."""
    found = gcp.source_error(error, **WHERE)

    assert type(found) is kind
    assert str(found).startswith("projects/p: ")
    assert (gcp.seconds_to_wait(error) is not None) == (kind is UnavailableError)


def test_waiting() -> None:
    """A service may say how long to wait, in a header or in a detail, of gRPC or of JSON."""
    info = RetryInfo()
    info.retry_delay.FromSeconds(3)
    response = SimpleNamespace(headers={"retry-after": "7"})

    assert gcp.seconds_to_wait(exceptions.TooManyRequests("m", response=response)) == 7
    assert gcp.seconds_to_wait(exceptions.ResourceExhausted("m", details=[info])) == 3
    assert gcp.seconds_to_wait(exceptions.TooManyRequests("m", details=[{"retryDelay": "2.5s"}])) == 2.5
    assert gcp.seconds_to_wait(exceptions.TooManyRequests("m", details=[{"retryDelay": "soon"}, {}])) == 0


def test_messages() -> None:
    """A message says what the service said, in one line and without the address of the call."""
    message = "GET https://x/o?token=not-a-secret: No access\nto it: ('Request failed with status code', 403)"

    found = gcp.source_error(exceptions.Forbidden(message), **WHERE)

    assert str(found) == (
        "projects/p: a@example.com may not read it (FORBIDDEN: No access to it): allow p.read (roles/reader)"
    )


def test_others() -> None:
    """What no library of Google's raised is left alone."""
    assert gcp.source_error(ValueError("mine"), **WHERE) is None
    with pytest.raises(ValueError, match="mine"):
        gcp.call(lambda: int("mine"), source="s", **WHERE)


def test_who() -> None:
    """The identity and the project of a client are told as far as they are known."""
    credentials = SimpleNamespace(service_account_email="a@p.iam.gserviceaccount.com", quota_project_id="q")

    assert gcp.principal(SimpleNamespace(_credentials=credentials)) == "a@p.iam.gserviceaccount.com"
    assert gcp.principal(SimpleNamespace(_credentials=SimpleNamespace(service_account_email="default"))) != "default"
    assert gcp.quota_project(SimpleNamespace(_credentials=credentials, project="p")) == "q"
    assert gcp.quota_project(SimpleNamespace(project="p")) == "p"


@pytest.fixture(scope="module")
def key() -> str:
    """The private key of a service account."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    options = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.private_bytes(*options).decode()


@pytest.fixture
def account(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReportsServer]:
    """The environment of a service account, whose tokens a stand-in issues."""
    caches = (gcp.default_credentials, *(module._client for module in SOURCES), reports._session)
    with reports_server() as server:
        about = {"type": "service_account", "project_id": "p", "private_key": key, "private_key_id": "1"}
        file = tmp_path / "account.json"
        file.write_text(json.dumps(about | {"client_email": EMAIL, "token_uri": f"{server.url}/token"}))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        for cache in caches:
            cache.cache_clear()
        yield server
        for cache in caches:
            cache.cache_clear()


class TestEnvironment:
    def test_clients(self, account: ReportsServer) -> None:
        """Without a client each source makes one with the credentials of the environment, once."""
        clients = [logging._client("q"), *(module._client() for module in SOURCES[1:])]

        assert [gcp.principal(client) for client in clients[:2]] == [EMAIL, EMAIL]
        assert gcp.quota_project(clients[0]) == "q"
        assert list(clients[0]._credentials.scopes) == ["https://www.googleapis.com/auth/logging.read"]
        assert logging._client("q") is clients[0]

    def test_delegation(self, account: ReportsServer) -> None:
        """A service account acts as an administrator whom it stands for."""
        account.tokens.add("another")
        given = ocsflake.source(
            "google_workspace.reports",
            log_type="google_workspace.activity",
            applications="login",
            subject="admin@example.com",
            endpoint=account.url,
        )

        [split, *_] = given.plan(None, datetime.now(UTC))

        assert list(given.read(split)) == []
        assert reports._session("admin@example.com").credentials._subject == "admin@example.com"
        assert len(account.tokens) == 2

    def test_none(self, account: ReportsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without credentials it is said where they come from."""
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "not-there.json"))

        with pytest.raises(ConfigError, match="there are no Google Cloud credentials: run `gcloud auth"):
            gcs._client()


@pytest.mark.parametrize(
    ("source", "options"),
    [
        ("gcp.gcs", "uri='gs://bucket'"),
        ("gcp.logging", "resource='projects/p'"),
        ("gcp.pubsub", "subscription='projects/p/subscriptions/s'"),
        ("gcp.scc", "resource='projects/p'"),
        ("google_workspace.reports", ""),
    ],
)
def test_without_the_extra(tmp_path: Path, source: str, options: str) -> None:
    """Each source can be made and listed without Google's libraries; when it is used, it says what to install."""
    code = f"""
import sys
sys.modules["google"] = None
import ocsflake
from datetime import UTC, datetime
from ocsflake import registry
assert [offer.state for offer in registry.offers() if (offer.kind, offer.name) == ("source", {source!r})] == ["ok"]
source = ocsflake.source({source!r}, log_type="gcp.audit", {options})
try:
    list(source.plan(None, datetime.now(UTC)))
except ocsflake.MissingExtraError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)

    assert "pip install 'ocsflake[gcp]'" in done.stdout, done.stderr
