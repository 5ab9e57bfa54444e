"""Objects that a queue tells of: each is read once, and its message goes when its events are safe."""

from __future__ import annotations

import json
import logging
import pickle
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aws_archive import ACCOUNT, NOW, no_wait, put, run, trail, uris

import ocsflake
from ocsflake.checkpoints import FileCheckpoints
from ocsflake.errors import AccessDeniedError, ConfigError, LakeError, SourceError
from ocsflake.lake.s3 import S3Storage
from ocsflake.model import Acknowledges, ReadsAhead
from ocsflake.pace import Pace
from ocsflake.sources.aws.s3_events import S3EventsSource
from ocsflake.testing.faults import FaultProxy
from pipeline_logs import events, rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ocsflake.testing.faults import Fault
    from ocsflake.testing.servers import AwsServer

DIGEST = trail("x").replace("/CloudTrail/", "/CloudTrail-Digest/")


class Queue:
    """A bucket, and a queue that is told of what is put there."""

    def __init__(self, server: AwsServer) -> None:
        self.server = server
        self.bucket = server.make_bucket()
        self.sqs = server.client("sqs")
        self.url = self.sqs.create_queue(QueueName=f"q-{self.bucket}")["QueueUrl"]

    def put(self, key: str, *numbers: int) -> None:
        put(self.server, self.bucket, key, numbers)

    def tell(self, *keys: str, wrapped: bool = False) -> None:
        """Send one message about objects, as S3 does."""
        self.send({"Records": [self.record(key) for key in keys]}, wrapped=wrapped)

    def send(self, told: Mapping[str, Any] | str, *, wrapped: bool = False) -> None:
        body = told if isinstance(told, str) else json.dumps(told)
        body = json.dumps({"Type": "Notification", "Message": body}) if wrapped else body
        self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def record(self, key: str) -> dict[str, Any]:
        head = self.server.client().head_object(Bucket=self.bucket, Key=key)
        about = {"key": key.replace("=", "%3D"), "size": head["ContentLength"], "eTag": head["ETag"].strip('"')}
        return {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": self.bucket}, "object": about}}

    def source(self, server: AwsServer | None = None, **options: Any) -> S3EventsSource:
        """Return a source of its own: another consumer, or the same one in another process."""
        session = (server or self.server).session()
        return S3EventsSource(
            log_type="aws.cloudtrail", queue_url=self.url, session=session, **{"sleep": no_wait, "wait": 0} | options
        )

    @property
    def left(self) -> int:
        """How many messages there are, those that somebody works on included.

        One whose time ends between the two counts of an answer is in neither, and is in those of the next.
        """
        wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        asked = [self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=wanted) for _ in range(2)]
        return max(sum(int(found["Attributes"][name]) for name in wanted) for found in asked)


@pytest.fixture
def queue(moto: AwsServer) -> Queue:
    return Queue(moto)


@pytest.fixture
def proxy(moto: AwsServer) -> Iterator[FaultProxy]:
    with FaultProxy(moto.url) as server:
        yield server


class TestMessages:
    def test_shapes(self, queue: Queue, tmp_path: Path) -> None:
        """S3, EventBridge and SNS tell of objects; what is no object, and what was read, is deleted."""
        keys = [trail("a"), trail("b"), "in/c d=e.json.gz"]
        for number, key in enumerate(keys):
            queue.put(key, number)
        queue.tell(keys[0])
        queue.tell(keys[1], wrapped=True)
        about = queue.record(keys[2])["s3"]["object"] | {"key": keys[2]}
        queue.send({"detail-type": "Object Created", "detail": {"bucket": {"name": queue.bucket}, "object": about}})
        queue.send({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": queue.bucket})
        queue.put(DIGEST, 99)
        queue.tell(DIGEST)

        report = run(queue.source(), tmp_path)

        assert report.counts.written == 3
        assert rows(tmp_path / "lake") == events(range(3))
        assert queue.left == 0

    def test_real_notifications(self, queue: Queue, tmp_path: Path) -> None:
        """A bucket that is set up to tell a queue is read by it."""
        arn = queue.sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        setup = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
        queue.server.client().put_bucket_notification_configuration(
            Bucket=queue.bucket, NotificationConfiguration=setup
        )
        for number in range(12):
            queue.put(trail(f"{number}"), number)

        run(queue.source(), tmp_path)

        assert rows(tmp_path / "lake") == events(range(12))
        assert queue.left == 0

    def test_not_understood(self, queue: Queue, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """A message that is no notification is left to the queue, and does not stop the others."""
        queue.put(trail("a"), 0)
        queue.send("hello")
        queue.tell(trail("a"))

        with caplog.at_level(logging.WARNING, "ocsflake"):
            run(queue.source(), tmp_path)

        assert rows(tmp_path / "lake") == events([0])
        assert queue.left == 1
        assert "is left to the queue" in caplog.text

    def test_what_a_split_says(self, queue: Queue) -> None:
        """A split has the object, its account and Region, and no receipt."""
        queue.put(trail("a"), 0)
        queue.tell(trail("a"))
        made = queue.source()

        (split,) = made.plan(None, NOW)
        (batch,) = made.read(split)

        uri = f"s3://{queue.bucket}/{trail('a')}"
        assert batch.origin == {"uri": uri, "account": ACCOUNT, "region": "eu-west-1"}
        assert set(split.detail) == {"uri", "version", "prefix", "day", "account", "region"}
        assert split.id == f"{uri}#{split.detail['version']}"
        assert json.loads(json.dumps(dict(split.detail))) == split.detail


class TestOnce:
    def test_told_again(self, queue: Queue, tmp_path: Path) -> None:
        """An object that the queue tells of again, before or after it was read, is read once."""
        queue.put(trail("a"), 0)
        queue.put(trail("b"), 1)
        for _ in range(3):
            queue.tell(trail("a"))
        queue.tell(trail("a"), trail("b"))
        made = queue.source()

        run(made, tmp_path)
        queue.tell(trail("b"))
        report = run(made, tmp_path)

        assert report.counts.records == 0
        assert rows(tmp_path / "lake") == events([0, 1])
        assert queue.left == 0

    def test_told_again_meanwhile(self, queue: Queue) -> None:
        """An object that was read since the plan began is not planned again by it."""
        queue.put(trail("a"), 0)
        queue.tell(trail("a"))
        made = queue.source()
        plan = made.plan(None, NOW)
        made.acknowledge([next(plan)])
        queue.tell(trail("a"))

        assert list(plan) == []
        assert queue.left == 0

    def test_read_by_another(self, queue: Queue) -> None:
        """What a source still holds, and another process has read meanwhile, is not planned again."""
        queue.put(trail("a"), 0)
        queue.tell(trail("a"))
        made = queue.source()
        state = made.advance(None, list(made.plan(None, NOW)))

        assert list(made.plan(state, NOW)) == []
        assert queue.left == 0

    def test_another_version(self, queue: Queue, tmp_path: Path) -> None:
        """An object that was replaced is another one."""
        queue.put("in/a", 0)
        queue.tell("in/a")
        run(queue.source(), tmp_path)
        queue.put("in/a", 1)
        queue.tell("in/a")
        run(queue.source(), tmp_path)

        assert rows(tmp_path / "lake") == events([0, 1])

    def test_not_acknowledged(self, queue: Queue) -> None:
        """A message that could not be deleted after its commit comes again, and goes then."""
        queue.put(trail("a"), 0)
        queue.tell(trail("a"))
        killed = queue.source(visibility=1)
        state = killed.advance(None, list(killed.plan(None, NOW)))
        del killed
        _sleep_over(1)

        assert list(queue.source().plan(state, NOW)) == []
        assert queue.left == 0

    def test_forgotten(self, queue: Queue) -> None:
        """What was read is remembered for as long as a queue can keep a message, and no longer."""
        made = queue.source()
        state: Any = None
        for day in (0, 10, 20):
            queue.put(f"in/{day}", day)
            queue.tell(f"in/{day}")
            done = list(made.plan(state, NOW + timedelta(days=day)))
            state = made.advance(state, done)
            made.acknowledge(done)

        assert list(state["seen"][queue.url]) == ["2026-03-15", "2026-03-25"]

    @pytest.mark.parametrize("same", [True, False], ids=["the same source", "another process"])
    def test_interrupted(self, queue: Queue, proxy: FaultProxy, same: bool, tmp_path: Path) -> None:
        """A run that ends between its intent and its last object is done again just so."""
        for number in range(2):
            queue.put(trail(f"{number}"), number)
            queue.tell(trail(f"{number}"))
        root = f"s3://{queue.server.make_bucket()}/lake"
        storage = S3Storage(root, region="us-east-1", session=queue.server.at(proxy.url).session(), sleep=no_wait)
        checkpoints = FileCheckpoints(tmp_path / "state.db")

        made = queue.source(visibility=1)

        def go() -> Any:
            return ocsflake.run(made, ocsflake.Lake(root, storage=storage), checkpoints=checkpoints, now=lambda: NOW)

        proxy.fail("unavailable", range(3, 100))
        with pytest.raises(LakeError):
            go()
        proxy.heal()
        if not same:
            made = queue.source()
            _sleep_over(1)
        reports = [go(), go()]

        lake = ocsflake.Lake(root, session=queue.server.session())
        assert sorted(lake.query("SELECT metadata.uid FROM api_activity")["uid"].to_pylist()) == ["event-0", "event-1"]
        assert [report.counts.written for report in reports] == [2, 0]
        assert queue.left == 0


class TestLeases:
    def test_kept(self, queue: Queue) -> None:
        """A message is kept from others for as long as it is worked on, and deleted when its events are safe."""
        queue.put(trail("a"), 0)
        queue.tell(trail("a"))
        made = queue.source(visibility=2)
        splits = list(made.plan(None, NOW))

        for _ in range(4):
            time.sleep(1)
            assert list(queue.source().plan(None, NOW)) == []
        assert queue.left == 1
        made.acknowledge(splits)

        assert queue.left == 0

    def test_planned_again(self, queue: Queue) -> None:
        """What no commit acknowledged is planned again at once by the same source, and by none that it is kept from."""
        queue.put(trail("a"), 0)
        queue.tell(trail("a"))
        made = queue.source()

        first = list(made.plan(None, NOW))

        assert list(made.plan(None, NOW)) == first
        assert list(queue.source().plan(None, NOW)) == []
        made.acknowledge(first)
        assert list(made.plan(None, NOW)) == []

    def test_follow(self, queue: Queue, tmp_path: Path) -> None:
        """A run that follows waits until a commit is worth it, and takes each object once."""
        stop = threading.Event()
        for number in range(3):
            queue.put(trail(f"{number}"), number)
            queue.tell(trail(f"{number}"))
        made = queue.source()
        first = list(made.plan(None, NOW))[:1]
        clock = [NOW]
        pace = Pace(commit_bytes=None, commit_seconds=60, apart=0, follow=True, now=lambda: clock[0], stop=stop)
        pace.publish()

        assert list(pace.commits(made, None)) == []
        clock[0] += timedelta(seconds=60)
        (splits,) = pace.commits(made, None)

        assert len(splits) == 3
        assert first[0] in splits

    def test_given_up(self, queue: Queue) -> None:
        """The messages of a run that ends early are others' soon."""
        queue.put(trail("a"), 0)
        queue.tell(trail("a"))
        plan = queue.source(visibility=1).plan(None, NOW)

        (first,) = uris([next(plan)])
        plan.close()  # type: ignore[attr-defined]
        _sleep_over(1)

        assert uris(queue.source().plan(None, NOW)) == [first]

    def test_partly_read(self, queue: Queue, tmp_path: Path) -> None:
        """A message of which one object cannot be read comes again, for that object alone."""
        queue.put("in/a", 0)
        queue.put("in/b", 1)
        queue.tell("in/a", "in/b")
        queue.server.client().delete_object(Bucket=queue.bucket, Key="in/b")

        report = run(queue.source(visibility=1), tmp_path)

        (failure,) = report.failures
        assert "was removed since it was planned" in failure.error
        assert rows(tmp_path / "lake") == events([0])
        assert queue.left == 1
        queue.put("in/b", 1)
        _sleep_over(1)
        run(queue.source(), tmp_path)
        assert rows(tmp_path / "lake") == events([0, 1])
        assert queue.left == 0


class TestFailures:
    @pytest.mark.parametrize("fault", ["throttled", "limited", "unavailable", "reset"])
    def test_every_call_fails_once(self, queue: Queue, proxy: FaultProxy, fault: Fault, tmp_path: Path) -> None:
        """A failure that passes is tried again, at every call."""
        queue.put(trail("a"), 0, 1)
        queue.tell(trail("a"))
        proxy.fail(fault, range(1, 30, 2))

        report = run(queue.source(queue.server.at(proxy.url)), tmp_path)

        assert not report.failures
        assert rows(tmp_path / "lake") == events([0, 1])
        assert queue.left == 0
        assert len(proxy.requests) == 8  # receive, read, receive nothing, delete: twice each

    def test_lost_answers(self, queue: Queue, proxy: FaultProxy, tmp_path: Path) -> None:
        """Messages whose answer was lost come again later; nothing is lost or doubled."""
        for number in range(4):
            queue.put(trail(f"{number}"), number)
            queue.tell(trail(f"{number}"))
        made = queue.source(queue.server.at(proxy.url), visibility=1)

        while queue.left:
            proxy.fail("lost", range(1, 30, 3))
            run(made, tmp_path)

        assert rows(tmp_path / "lake") == events(range(4))

    def test_deleted_later(
        self, queue: Queue, proxy: FaultProxy, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A message that cannot be deleted fails no run: its events are safe, and it goes when it comes again."""
        queue.put(trail("a"), 0)
        queue.tell(trail("a"))
        made = queue.source(queue.server.at(proxy.url), visibility=1)
        proxy.fail("unavailable", range(4, 100))  # after the queue was read twice, and the object

        report = run(made, tmp_path)

        assert (report.counts.written, queue.left) == (1, 1)
        assert "it cannot be reached" in caplog.text
        proxy.heal()
        _sleep_over(1)
        assert run(made, tmp_path).counts.records == 0
        assert queue.left == 0

    def test_denied(self, queue: Queue, proxy: FaultProxy) -> None:
        """A queue that may not be read is an error that names the permission and who lacks it."""
        proxy.fail("denied", [1])

        with pytest.raises(AccessDeniedError, match=r"arn:aws:sts::\d+:.* may not .*: allow it sqs:ReceiveMessage on"):
            list(queue.source(queue.server.at(proxy.url)).plan(None, NOW))

    def test_no_queue(self, queue: Queue) -> None:
        """A queue that is not there is an error."""
        queue.sqs.delete_queue(QueueUrl=queue.url)

        with pytest.raises(SourceError, match="sqs:ReceiveMessage failed"):
            list(queue.source().plan(None, NOW))


def test_options() -> None:
    """Options may come as text, and a source may go to another process."""
    url = "https://sqs.eu-west-1.amazonaws.com/111122223333/logs"
    made = ocsflake.source("aws.s3_events", log_type="aws.waf", queue_url=url, visibility="60")

    assert made.visibility == 60
    assert pickle.loads(pickle.dumps(made)) == made
    assert made.name == f"aws.s3_events:aws.waf:{url}"
    assert isinstance(made, Acknowledges)
    assert isinstance(made, ReadsAhead)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"queue_url": "logs"}, "is no queue"),
        ({"visibility": 0}, "1 to 43,200 seconds"),
        ({"wait": "60"}, "0 to 20 seconds"),
        ({"layout": "cloudtrial"}, "is none that is known"),
    ],
)
def test_wrong(options: Mapping[str, Any], message: str) -> None:
    """A wrong option is refused when the source is made, before any call."""
    with pytest.raises(ConfigError, match=message):
        S3EventsSource(**{"log_type": "aws.cloudtrail", "queue_url": "https://sqs/1/q", **options})


def _sleep_over(seconds: float) -> None:
    """Wait until messages that were kept for some seconds are visible again."""
    time.sleep(seconds + 0.5)
