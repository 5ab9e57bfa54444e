"""Alerts: somebody is told of what is new, once."""

from __future__ import annotations

import smtplib
import socket
import threading
from contextlib import contextmanager
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import requests
from aiosmtpd.controller import Controller

from ocsflake import alerts
from ocsflake.alerts import Message
from ocsflake.checkpoints import FileCheckpoints, MemoryCheckpoints
from ocsflake.errors import AccessDeniedError, CheckpointConflictError, ConfigError, UnavailableError
from ocsflake.lake import Lake
from ocsflake.model import EventBatch
from ocsflake.queries import Query
from ocsflake.testing.faults import FaultProxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

T0 = 1_772_348_148_000
SCHEMA = pa.schema([("time", pa.int64()), ("status_id", pa.int32()), ("user", pa.struct([("name", pa.string())]))])
FAILED = Query(
    "failed sign-ins",
    "SELECT user.name AS who, count(*) AS failed FROM authentication WHERE status_id = 2 GROUP BY ALL ORDER BY who",
    key=("who",),
)


class Outbox(list[Message]):
    """What was sent, for an alert that is sent to nobody."""

    def __call__(self, message: Message) -> None:
        self.append(message)


class Mailbox:
    """A mail server that takes what is for example.com."""

    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        if not address.endswith("@example.com"):
            return "550 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append(
            (envelope.mail_from, envelope.rcpt_tos, message_from_bytes(envelope.content, policy=policy.default))
        )
        return "250 OK"


@contextmanager
def mail_server() -> Iterator[tuple[Mailbox, smtplib.SMTP]]:
    """Run a mail server, and connect to it."""
    mailbox = Mailbox()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        with smtplib.SMTP("127.0.0.1", port) as client:
            yield mailbox, client
    finally:
        controller.stop()


def sign_ins(lake: Lake, commit: str, *users: str, status: int = 2) -> None:
    rows = [{"time": T0 + n, "status_id": status, "user": {"name": user}} for n, user in enumerate(users)]
    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
    with lake.begin(commit) as begun:
        begun.write(EventBatch("example.vpn", "example_vpn", "authentication", batch))
        begun.publish()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake")
    sign_ins(lake, "first", "alice", "alice", "bob")
    return lake


class TestCheck:
    def test_what_is_new(self, lake: Lake) -> None:
        """All rows at first, then those with another key, and nothing if there are none."""
        box, checkpoints = Outbox(), MemoryCheckpoints()

        first = alerts.check(FAILED, lake, send=box, checkpoints=checkpoints)
        again = alerts.check(FAILED, lake, send=box, checkpoints=checkpoints)
        sign_ins(lake, "second", "alice", "carol")
        then = alerts.check(FAILED, lake, send=box, checkpoints=checkpoints)

        assert first.new.to_pylist() == [{"who": "alice", "failed": 2}, {"who": "bob", "failed": 1}]
        assert (again.rows, again.new.num_rows) == (2, 0)
        assert (then.rows, then.new.to_pylist()) == (3, [{"who": "carol", "failed": 1}])
        assert [message.subject for message in box] == [
            "ocsflake: 2 new: failed sign-ins",
            "ocsflake: 1 new: failed sign-ins",
        ]
        assert box[1].text == "1 new in failed sign-ins\n\nwho: carol\nfailed: 1\n\n"

    def test_in_another_process(self, lake: Lake, tmp_path: Path) -> None:
        """What was seen is kept in the checkpoints, as digests."""
        box, path = Outbox(), tmp_path / "alerts.db"

        for _ in range(2):
            alerts.check(FAILED, lake, send=box, checkpoints=FileCheckpoints(path))

        assert len(box) == 1
        assert b"alice" not in path.read_bytes()

    def test_a_row_that_comes_back(self, lake: Lake) -> None:
        box, checkpoints = Outbox(), MemoryCheckpoints()
        without = Query(FAILED.name, f"SELECT * FROM ({FAILED.sql}) WHERE who <> $user", {"user": "bob"}, key=("who",))

        for each in (FAILED, without, FAILED):
            alerts.check(each, lake, send=box, checkpoints=checkpoints)

        assert [message.text.splitlines()[0] for message in box] == [
            "2 new in failed sign-ins",
            "1 new in failed sign-ins",
        ]

    def test_by_several_columns(self, lake: Lake) -> None:
        """A row is new if any part of its key is; rows of one key are one."""
        box, checkpoints = Outbox(), MemoryCheckpoints()
        counted = Query("counted", FAILED.sql, key=("who", "failed"))
        same = Query("same", "SELECT 1 AS one FROM authentication", key=("one",))

        alerts.check(counted, lake, send=box, checkpoints=checkpoints)
        sign_ins(lake, "second", "alice")
        new = alerts.check(counted, lake, send=box, checkpoints=checkpoints).new
        one = alerts.check(same, lake, send=box, checkpoints=checkpoints)

        assert new.to_pylist() == [{"who": "alice", "failed": 3}]
        assert (one.rows, one.new.num_rows) == (4, 1)

    def test_what_was_not_sent_is_new_again(self, lake: Lake) -> None:
        box, checkpoints = Outbox(), MemoryCheckpoints()

        def broken(_message: Message) -> None:
            raise UnavailableError("no")

        with pytest.raises(UnavailableError):
            alerts.check(FAILED, lake, send=broken, checkpoints=checkpoints)
        alerts.check(FAILED, lake, send=box, checkpoints=checkpoints)

        assert len(box) == 1

    def test_two_at_a_time(self, lake: Lake) -> None:
        """The second one to finish learns of the first."""
        checkpoints = MemoryCheckpoints()

        def meanwhile(_message: Message) -> None:
            alerts.check(FAILED, lake, send=Outbox(), checkpoints=checkpoints)

        with pytest.raises(CheckpointConflictError):
            alerts.check(FAILED, lake, send=meanwhile, checkpoints=checkpoints)

    def test_a_key_that_is_not_there(self, lake: Lake) -> None:
        with pytest.raises(ConfigError, match="no column 'whom', which the key names; did you mean 'who'"):
            alerts.check(Query("x", FAILED.sql, key=("whom",)), lake, send=Outbox(), checkpoints=MemoryCheckpoints())

    def test_no_key(self, lake: Lake) -> None:
        with pytest.raises(ConfigError, match="the query 'x' has no key"):
            alerts.check(Query("x", FAILED.sql), lake, send=Outbox(), checkpoints=MemoryCheckpoints())

    def test_what_an_attacker_wrote(self, tmp_path: Path) -> None:
        """A value cannot look like a line of ours, turn the text, or fill the message."""
        lake, box = Lake(tmp_path), Outbox()
        sign_ins(lake, "c", "x\r\nBcc: all\u202e", "y" * 1_000)

        alerts.check(Query("a\nb: ü", FAILED.sql, key=("who",)), lake, send=box, checkpoints=MemoryCheckpoints())

        assert box[0].subject == "ocsflake: 2 new: a\\nb: ?"
        assert "who: x\\r\\nBcc: all\\u202e\n" in box[0].text
        assert f"who: {'y' * 200}\n" in box[0].text

    def test_many_rows(self, tmp_path: Path) -> None:
        lake, box = Lake(tmp_path), Outbox()
        sign_ins(lake, "c", *(f"user{number}" for number in range(60)))

        alerts.check(FAILED, lake, send=box, checkpoints=MemoryCheckpoints())

        assert box[0].text.count("who: ") == 50
        assert box[0].text.endswith("and 10 more\n")


class TestSmtp:
    def test_a_mail(self, lake: Lake) -> None:
        with mail_server() as (mailbox, client):
            send = alerts.by_smtp(client, "lake@example.com", ["soc@example.com", "boss@example.com"])
            alerts.check(FAILED, lake, send=send, checkpoints=MemoryCheckpoints())

        [(sender, recipients, mail)] = mailbox.mails
        assert (sender, recipients) == ("lake@example.com", ["soc@example.com", "boss@example.com"])
        assert (mail["Subject"], mail["To"]) == (
            "ocsflake: 2 new: failed sign-ins",
            "soc@example.com, boss@example.com",
        )
        assert "who: alice\r\nfailed: 2\r\n" in mail.get_content()

    @pytest.mark.parametrize("recipients", [["x@example.net"], ["soc@example.com", "x@example.net"]])
    def test_a_recipient_that_is_refused(self, recipients: list[str]) -> None:
        with mail_server() as (_, client), pytest.raises(ConfigError, match=r"x@example\.net"):
            alerts.by_smtp(client, "lake@example.com", recipients)(Message("s", "t"))

    def test_a_server_that_is_gone(self) -> None:
        with mail_server() as (_, client):
            client.quit()
            with pytest.raises(UnavailableError, match="did not take the message"):
                alerts.by_smtp(client, "lake@example.com", "soc@example.com")(Message("s", "t"))


class TestAws:
    def test_ses(self, lake: Lake, moto: Any) -> None:
        client = moto.client("sesv2")
        client.create_email_identity(EmailIdentity="lake@example.com")
        send = alerts.by_ses(client, "lake@example.com", "soc@example.com")

        alerts.check(FAILED, lake, send=send, checkpoints=MemoryCheckpoints())

        [sent] = [
            mail
            for mail in requests.get(f"{moto.url}/moto-api/data.json", timeout=5).json()["ses"]["Message"]
            if "lake@example.com" in str(mail)
        ]
        assert "ocsflake: 2 new: failed sign-ins" in str(sent)

    def test_ses_that_does_not_take_it(self, moto: Any) -> None:
        with pytest.raises(ConfigError, match="SES does not take the message"):
            alerts.by_ses(moto.client("sesv2"), "nobody@example.org", "soc@example.com")(Message("s", "t"))

    def test_sns(self, lake: Lake, moto: Any) -> None:
        """A subscriber of the topic gets the message."""
        sns, sqs = moto.client("sns"), moto.client("sqs")
        topic = sns.create_topic(Name="alerts")["TopicArn"]
        queue = sqs.create_queue(QueueName="alerts")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})

        alerts.check(FAILED, lake, send=alerts.by_sns(sns, topic), checkpoints=MemoryCheckpoints())

        [message] = sqs.receive_message(QueueUrl=queue)["Messages"]
        assert message["Body"].startswith("2 new in failed sign-ins\n\nwho: alice\n")

    def test_a_topic_that_is_not_there(self, moto: Any) -> None:
        topic = "arn:aws:sns:us-east-1:123456789012:missing"

        with pytest.raises(ConfigError, match="missing does not take the message"):
            alerts.by_sns(moto.client("sns"), topic)(Message("s", "t"))

    def test_what_fails_once(self, moto: Any) -> None:
        """A failure that passes is tried again."""
        topic = moto.client("sns").create_topic(Name="again")["TopicArn"]
        with FaultProxy(moto.url) as proxy:
            proxy.fail("unavailable")

            alerts.by_sns(moto.at(proxy.url).client("sns"), topic)(Message("s", "t"))

            assert len(proxy.requests) == 2

    def test_what_is_not_allowed(self, moto: Any) -> None:
        """The message says what to allow."""
        with refusing() as url, pytest.raises(AccessDeniedError, match="allow sns:Publish"):
            alerts.by_sns(moto.at(url).client("sns"), "arn:aws:sns:us-east-1:123456789012:alerts")(Message("s", "t"))


@contextmanager
def refusing() -> Iterator[str]:
    """Run a server that answers as SNS does to who may not publish."""
    said = b"<ErrorResponse><Error><Type>Sender</Type><Code>AuthorizationError</Code></Error></ErrorResponse>"

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(403)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
