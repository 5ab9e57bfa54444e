"""Secrets of the clouds, planted in environment, options and addresses, are in nothing that a run writes or says."""

from __future__ import annotations

import json
import logging
import pickle
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import ocsflake
from ocsflake import gcp, samples
from ocsflake.errors import OcsflakeError
from ocsflake.lake import Lake
from ocsflake.lake.s3 import S3Storage
from ocsflake.sources.google_workspace import reports
from ocsflake.testing.azure_eventhub import EventHub
from ocsflake.testing.azure_monitor import IssuedTokens, LogAnalytics, Row
from ocsflake.testing.faults import FaultProxy
from ocsflake.testing.gcp_logging import logging_server
from ocsflake.testing.gcp_storage import storage_server
from ocsflake.testing.google_workspace_reports import reports_server
from pipeline_logs import bad, record, save

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

SECRET = "pl4nted"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": f"{SECRET}-aws-key",
    "AWS_SESSION_TOKEN": f"{SECRET}-aws-token",
    "AZURE_CLIENT_SECRET": f"{SECRET}-azure",
    "AWS_MAX_ATTEMPTS": "1",
}
HUB = f"Endpoint=sb://127.0.0.1/;SharedAccessKeyName=listen;SharedAccessKey={SECRET};EntityPath=logs"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def ours(caplog: pytest.LogCaptureFixture) -> str:
    """What ocsflake logged, with everything that a handler could show."""
    return repr([vars(entry) for entry in caplog.records if entry.name.startswith("ocsflake")])


MADE: dict[str, Callable[[], object]] = {
    "lake": lambda: Lake("s3://bucket/lake", external_id=f"{SECRET}-id", role_arn="arn:aws:iam::111122223333:role/x"),
    "aws.s3_events": lambda: ocsflake.source(
        "aws.s3_events",
        log_type="aws.cloudtrail",
        queue_url=f"{NOWHERE}/111122223333/q",
        role_arn="arn:aws:iam::111122223333:role/x",
        external_id=f"{SECRET}-id",
    ),
    "azure.eventhub": lambda: ocsflake.source("azure.eventhub", log_type="azure.activity", connection_string=HUB),
    "azure.blob": lambda: ocsflake.source(
        "azure.blob",
        log_type="azure.activity",
        uri="https://account.blob.core.windows.net/logs",
        credential=f"sv=2024&sig={SECRET}",
    ),
    "signed URL": lambda: ocsflake.source(
        "azure.blob", log_type="azure.activity", uri=f"https://a.blob.core.windows.net/logs?sv=1&sig={SECRET}"
    ),
    "no key": lambda: ocsflake.source(
        "azure.eventhub", log_type="azure.activity", connection_string=f"SharedAccessKey={SECRET}"
    ),
}


@pytest.mark.parametrize("name", MADE)
def test_what_is_made_does_not_tell(name: str) -> None:
    """Neither the text of a source or a lake, nor its name, nor the error of a wrong one holds a secret."""
    try:
        made = MADE[name]()
    except OcsflakeError as error:
        said = f"{error!r} {error} {vars(error)}"
    else:
        said = f"{made!r} {made} {getattr(made, 'name', '')}"

    assert said
    assert SECRET not in said


def test_a_run_tells_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Lake, rejects, checkpoints, report and log at DEBUG of a run hold no secret that CloudTrail does."""
    caplog.set_level(logging.DEBUG)
    given = {"credentials": {"sessionToken": f"{SECRET}-sts", "accessKeyId": "ASIAEXAMPLE"}}
    records = [record(1, responseElements=given), bad(2) | {"responseElements": given}, record(3, password=SECRET)]
    save(tmp_path / "logs" / "a.json.gz", records)
    (tmp_path / "logs" / "b.json").write_bytes(json.dumps({"Records": [bad(4) | {"password": SECRET}]}).encode())
    source = ocsflake.source("files", log_type="aws.cloudtrail", uri=str(tmp_path / "logs"))
    settings = {"rejects": tmp_path / "rejects", "redact": ["password"]}

    report = ocsflake.run(source, Lake(tmp_path / "lake"), **settings)

    assert (report.counts.written, report.counts.rejects) == (2, 2)
    assert SECRET not in f"{report!r} {report} {report._repr_html_()} {pickle.dumps(report)!r}"
    assert ours(caplog) != "[]"
    assert SECRET not in ours(caplog)
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and "logs" not in path.parts]
    assert len(kept) >= 3
    for path in kept:
        assert SECRET.encode() not in path.read_bytes(), path
    rows = Lake(tmp_path / "lake").query("SELECT * FROM aws_cloudtrail_6003")
    assert SECRET not in repr(rows.to_pylist())
    assert "REDACTED" in repr(rows.to_pylist())


def test_an_endpoint_that_is_not_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What a failing call says, and what it is logged with, holds no credential."""
    import boto3

    caplog.set_level(logging.DEBUG, logger="ocsflake")
    client = boto3.client("s3", region_name="us-east-1", endpoint_url=NOWHERE)
    storage = S3Storage("s3://bucket/lake", region="us-east-1", client=client, sleep=lambda _seconds: None)
    save(tmp_path / "logs" / "a.json.gz", [record(1)])
    source = ocsflake.source("files", log_type="aws.cloudtrail", uri=str(tmp_path / "logs"))

    with pytest.raises(OcsflakeError) as caught:
        ocsflake.run(source, Lake("s3://bucket/lake", storage=storage), rejects=tmp_path / "rejects")
    assert SECRET not in f"{caught.value!r} {caught.value} {vars(caught.value)} {caught.getrepr()}"
    assert SECRET not in ours(caplog)


def nothing_tells(folder: Path, caplog: pytest.LogCaptureFixture, *said: object) -> None:
    """No secret is in what a run said and logged, nor in a file below a folder."""
    assert SECRET not in repr([f"{each!r} {each} {getattr(each, '__dict__', '')}" for each in said])
    assert ours(caplog) != "[]"
    assert SECRET not in ours(caplog)
    for path in folder.rglob("*"):
        assert SECRET not in str(path)
        assert path.is_dir() or SECRET.encode() not in path.read_bytes(), path


def both(source: object, folder: Path, caplog: pytest.LogCaptureFixture, break_it: Callable[[], object]) -> None:
    """Run a source with a failing service, and again when it works; neither tells a secret."""
    caplog.set_level(logging.DEBUG, logger="ocsflake")
    break_it()
    said: list[object] = [source]
    for _ in range(2):
        try:
            said.append(ocsflake.run(source, Lake(folder / "lake"), rejects=folder / "rejects", max_age=None))
        except OcsflakeError as error:
            said.append(error)
    first, last = said[1:]
    assert isinstance(first, OcsflakeError) or first.failures
    assert last.counts.written == 1
    nothing_tells(folder, caplog, *said, *getattr(first, "failures", ()), last._repr_html_())


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_event_hubs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The key of a connection string is in nothing that a run against Event Hubs leaves or says."""
    event = {"time": "2026-03-02T07:00:00Z", "operationName": "A/B/WRITE", "eventDataId": "1", "level": "Error"}
    with EventHub() as hub:
        hub.add(0, [json.dumps({"records": [event, event | {"time": None}]}).encode()])
        text = hub.connection_string.replace("not-a-secret", SECRET)
        source = ocsflake.source("azure.eventhub", log_type="azure.activity", connection_string=text)
        both(source, tmp_path, caplog, lambda: hub.trouble("denied"))


def test_log_analytics(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The token that a client sends is in nothing that a run against Log Analytics leaves or says."""
    from azure.core.credentials import AzureKeyCredential
    from azure.core.pipeline.policies import AzureKeyCredentialPolicy
    from azure.monitor.query import LogsQueryClient

    workspace, now = "11111111-2222-3333-4444-555555555555", datetime(2026, 3, 2, tzinfo=UTC)
    columns = {"TimeGenerated": "datetime", "OperationNameValue": "string", "EventDataId": "string"}
    row = {"TimeGenerated": f"{now:%Y-%m-%dT%H:%M:%S}Z", "OperationNameValue": "A/B/WRITE", "EventDataId": "1"}
    with LogAnalytics() as server:
        server.add(workspace, "AzureActivity", [Row(row, now)], columns)
        policy = AzureKeyCredentialPolicy(AzureKeyCredential(SECRET), "Authorization", prefix="Bearer")
        client = LogsQueryClient(IssuedTokens(), endpoint=server.url, authentication_policy=policy)
        until = now + timedelta(hours=1)
        given = {"workspace": workspace, "client": client, "since": now - timedelta(hours=1), "until": until}
        source = ocsflake.source("azure.monitor", log_type="azure.activity", per_second=1e6, **given)
        both(source, tmp_path, caplog, lambda: server.fail(403))


class Issuing(BaseHTTPRequestHandler):
    """The token service of Entra ID, for one application."""

    given: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        """Tell where tokens are issued."""
        here = f"https://{self.headers['Host']}/tenant"
        known = {"issuer": f"{here}/v2.0", "authorization_endpoint": f"{here}/oauth2/v2.0/authorize"}
        self._answer(200, known | {"token_endpoint": f"{here}/oauth2/v2.0/token"})

    def do_POST(self) -> None:
        """Issue a token for the secret; refuse the first time, and say what was sent."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.given.append(body)
        if len(self.given) == 1:
            self._answer(401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret"})
        else:
            self._answer(200, {"token_type": "Bearer", "expires_in": 3600, "access_token": f"{SECRET}-issued"})

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_client_secret(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, caplog: Any) -> None:
    """Neither the secret of an application nor the token it gets are in what a run leaves or says."""
    from azure.identity import ClientSecretCredential
    from azure.monitor.query import LogsQueryClient

    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusted = str(tmp_path_factory.mktemp("authority") / "ca.pem")
    authority.cert_pem.write_to_path(trusted)
    workspace, now = "11111111-2222-3333-4444-555555555555", datetime(2026, 3, 2, tzinfo=UTC)
    columns = {"TimeGenerated": "datetime", "OperationNameValue": "string", "EventDataId": "string"}
    row = {"TimeGenerated": f"{now:%Y-%m-%dT%H:%M:%S}Z", "OperationNameValue": "A/B/WRITE", "EventDataId": "1"}
    Issuing.given.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Issuing) as issuer, LogAnalytics(tls=context) as server:
        issuer.socket = context.wrap_socket(issuer.socket, server_side=True)
        threading.Thread(target=issuer.serve_forever, daemon=True).start()
        server.tokens = {f"{SECRET}-issued"}
        server.add(workspace, "AzureActivity", [Row(row, now)], columns)
        where: Any = {"authority": f"https://127.0.0.1:{issuer.server_port}", "connection_verify": trusted}
        credential = ClientSecretCredential(
            "tenant", "client", f"{SECRET}-client", disable_instance_discovery=True, **where
        )
        client = LogsQueryClient(credential, endpoint=server.url, connection_verify=trusted)
        given = {"workspace": workspace, "client": client, "since": now - timedelta(hours=1)}
        until = now + timedelta(hours=1)
        source = ocsflake.source("azure.monitor", log_type="azure.activity", per_second=1e6, until=until, **given)
        both(source, tmp_path, caplog, lambda: None)
        issuer.shutdown()

    assert len(Issuing.given) >= 2
    assert all(f"{SECRET}-client" in body for body in Issuing.given)
    assert SECRET not in repr(credential)


ASKED: list[str] = []


class Refusing(BaseHTTPRequestHandler):
    """A storage account that takes no signature."""

    def do_GET(self) -> None:
        """Refuse, and repeat what was asked, as a proxy may."""
        ASKED.append(self.path)
        body = f"<Error><Code>AuthenticationFailed</Code><Message>{self.path}</Message></Error>".encode()
        self.send_response(403)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_shared_access_signature(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A SAS token is in nothing that a run leaves or says, even if the service says it."""
    caplog.set_level(logging.DEBUG, logger="ocsflake")
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uri = f"http://127.0.0.1:{server.server_port}/account/logs"
        given = {"uri": uri, "credential": f"sv=2024-11-04&sig={SECRET}"}
        source = ocsflake.source("azure.blob", log_type="azure.activity", **given)

        report = ocsflake.run(source, Lake(tmp_path / "lake"), rejects=tmp_path / "rejects")
        server.shutdown()

    assert report.failures
    assert SECRET in ASKED[0]
    nothing_tells(tmp_path, caplog, source, report, *report.failures, report._repr_html_())


def account_key() -> str:
    """Return the private key of a new service account."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    options = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.private_bytes(*options).decode()


def account(key: str, url: str) -> dict[str, str]:
    """Return a service account whose tokens come from a server."""
    about = {"type": "service_account", "project_id": "p", "private_key": key, "private_key_id": f"{SECRET}-id"}
    return about | {"client_email": "reader@p.iam.gserviceaccount.com", "token_uri": f"{url}/token"}


def none_kept(folder: Path, caplog: pytest.LogCaptureFixture, key: str, issued: Collection[str]) -> None:
    """Neither a line of a key nor a token is in what was logged, nor in a file below a folder."""
    kept = ours(caplog).encode() + b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert issued
    assert [each for each in (*issued, *key.splitlines()[1:-1]) if each.encode() in kept] == []


def test_a_service_account(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """Neither the key of a service account nor the tokens that it gets are in what a run leaves or says."""
    key = account_key()
    file = tmp_path_factory.mktemp("account") / "account.json"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    with reports_server() as server:
        file.write_text(json.dumps(account(key, server.url)))
        server.tokens.add(f"{SECRET}-token")
        time = f"{datetime.now(UTC) - timedelta(hours=2):%Y-%m-%dT%H:%M:%S.000Z}"
        events = [{"type": "login", "name": "login_success"}]
        name = {"time": time, "uniqueQualifier": "1", "applicationName": "login"}
        who = {"callerType": "USER", "email": "ana@example.com", "profileId": "1"}
        server.activities.append(
            {"kind": "admin#reports#activity", "id": name, "actor": who, "ipAddress": "192.0.2.7", "events": events}
        )
        given = {"applications": "login", "since": "3h", "endpoint": server.url, "subject": "admin@example.com"}
        source = ocsflake.source("google_workspace.reports", log_type="google_workspace.activity", **given)
        gcp.default_credentials.cache_clear()
        reports._session.cache_clear()
        both(source, tmp_path, caplog, lambda: server.fail("PERMISSION_DENIED"))
        issued = server.tokens - {f"{SECRET}-token"}
    gcp.default_credentials.cache_clear()
    reports._session.cache_clear()

    none_kept(tmp_path, caplog, key, issued)


def test_a_service_account_of_cloud_logging(tmp_path: Path, caplog: Any) -> None:
    """Neither the key of a service account nor its tokens are in what a run over the API of Cloud Logging says."""
    from google.oauth2.service_account import Credentials

    key = account_key()
    with logging_server() as server:
        about = account(key, server.url)
        server.tokens.add(f"{SECRET}-token")
        line = samples.files("gcp.audit")[0].read_bytes().splitlines()[0]
        now = datetime.now(UTC) - timedelta(hours=1)
        moment = f"{now:%Y-%m-%dT%H:%M:%SZ}"
        server.entries.append(json.loads(line) | {"timestamp": moment, "receiveTimestamp": moment})
        credentials = Credentials.from_service_account_info(
            about, scopes=["https://www.googleapis.com/auth/logging.read"]
        )
        given = {"client": server.client(credentials=credentials), "since": "3h"}
        resource = server.entries[0]["logName"].partition("/logs/")[0]
        source = ocsflake.source("gcp.logging", log_type="gcp.audit", resource=resource, **given)
        both(source, tmp_path, caplog, lambda: server.fail("PERMISSION_DENIED"))
        issued = server.tokens - {f"{SECRET}-token"}

    none_kept(tmp_path, caplog, key, issued)


def test_a_service_account_of_cloud_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """Neither the key of a service account nor its tokens are in what a run over files of Cloud Storage says."""
    from google.cloud import storage
    from google.oauth2.service_account import Credentials

    monkeypatch.setenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    key = account_key()
    with reports_server() as tokens, storage_server() as server, FaultProxy(server.url) as proxy:
        tokens.tokens.add(f"{SECRET}-token")
        bucket = server.client().create_bucket("logs")
        line = samples.files("gcp.audit")[0].read_bytes().splitlines()[0]
        bucket.blob("cloudaudit.googleapis.com/activity/2026/11/17/11:00:00_11:59:59_S0.json").upload_from_string(line)
        scopes = ["https://www.googleapis.com/auth/devstorage.read_only"]
        credentials = Credentials.from_service_account_info(account(key, tokens.url), scopes=scopes)
        client = storage.Client(project="p", credentials=credentials, client_options={"api_endpoint": proxy.url})
        source = ocsflake.source("gcp.gcs", log_type="gcp.audit", uri="gs://logs", client=client)
        both(source, tmp_path, caplog, lambda: proxy.fail("denied"))
        issued = tokens.tokens - {f"{SECRET}-token"}

    none_kept(tmp_path, caplog, key, issued)
