"""A consumer gets the events of every new object, and a message goes only when it confirms."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from attrs import evolve
from lake_events import api_activity, events
from old_parquet import two_levels

from ocsflake.errors import ConfigError, LakeError
from ocsflake.lake import Lake
from ocsflake.lake.storage import DirectoryStorage
from ocsflake.lake.subscribe import _region, from_listing, from_queue

if TYPE_CHECKING:
    from pathlib import Path

TEST_EVENT = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "bucket"}


class Queue:
    """A lake in S3 with a queue on moto."""

    def __init__(self, server: Any) -> None:
        self.bucket = server.make_bucket()
        self.sqs = server.client("sqs")
        self.url = self.sqs.create_queue(QueueName=f"q-{self.bucket}")["QueueUrl"]
        self.lake = Lake(f"s3://{self.bucket}/lake", region=server.region, client=server.client())

    def fill(self, commit_id: str = "c", count: int = 5) -> str:
        with self.lake.begin(commit_id) as commit:
            commit.write(api_activity(events(count)))
            [written] = commit.publish()
        return written.key

    def send(self, *messages: Any) -> None:
        for message in messages:
            body = message if isinstance(message, str) else json.dumps(message)
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def tell(self, key: str, bucket: str = "") -> None:
        detail = {"bucket": {"name": bucket or self.bucket}, "object": {"key": f"lake/{key}"}}
        self.send({"source": "aws.s3", "detail": detail})

    def deliveries(self, **options: Any) -> Any:
        return from_queue(self.lake.storage, self.url, client=self.sqs, **{"wait": 0} | options)

    @property
    def left(self) -> int:
        wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=wanted)["Attributes"]
        return sum(int(found[name]) for name in wanted)


@pytest.fixture
def queue(moto: Any) -> Queue:
    return Queue(moto)


class TestQueue:
    def test_the_events_of_a_new_object(self, queue: Queue) -> None:
        key = queue.fill()
        queue.tell(key)

        got = []
        for delivery in queue.deliveries():
            got += [(delivery.keys, sum(batch.num_rows for batch in delivery.events()))]
            delivery.confirm()

        assert got == [((key,), 5)]
        assert queue.left == 0

    def test_by_the_lake(self, queue: Queue) -> None:
        queue.tell(queue.fill())

        deliveries = queue.lake.subscribe(queue.url, client=queue.sqs)
        delivery = next(deliveries)
        delivery.confirm()
        deliveries.close()

        assert queue.left == 0

    def test_the_lake_waits_for_more(self, queue: Queue) -> None:
        """Longer than it looks without `follow`."""
        key = queue.fill()
        later = threading.Timer(2, queue.tell, [key])
        later.start()

        deliveries = queue.lake.subscribe(queue.url, client=queue.sqs, follow=True)

        assert next(deliveries).keys == (key,)
        deliveries.close()
        later.join()

    def test_what_is_not_confirmed_comes_again(self, queue: Queue) -> None:
        key = queue.fill()
        queue.tell(key)
        assert [delivery.keys for delivery in queue.deliveries(visibility=1)] == [(key,)]
        assert queue.left == 1
        time.sleep(1.1)

        [keys] = [delivery.keys for delivery in queue.deliveries(visibility=1)]

        assert keys == (key,)

    def test_a_message_is_kept_while_the_consumer_works(self, queue: Queue) -> None:
        queue.tell(queue.fill())
        deliveries = queue.deliveries(visibility=2)
        delivery = next(deliveries)
        time.sleep(3)

        assert list(queue.deliveries()) == []
        delivery.confirm()
        assert list(deliveries) == []
        assert queue.left == 0

    def test_a_message_that_cannot_be_kept_is_not_confirmed(self, queue: Queue) -> None:
        queue.tell(queue.fill())
        deliveries = queue.deliveries(visibility=1)
        delivery = next(deliveries)
        queue.sqs.delete_queue(QueueUrl=queue.url)
        time.sleep(1)

        with pytest.raises(LakeError):
            delivery.confirm()

    def test_messages_of_no_objects_are_deleted(self, queue: Queue) -> None:
        queue.send(TEST_EVENT)
        queue.tell("notes.txt")
        queue.send({"detail": {"bucket": {"name": queue.bucket}, "object": {"key": "elsewhere/a.parquet"}}})

        assert list(queue.deliveries()) == []
        assert queue.left == 0

    def test_what_is_no_notification_is_left(self, queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
        queue.send("hello")

        assert list(queue.deliveries()) == []
        assert queue.left == 1
        assert "is left" in caplog.text

    def test_objects_that_one_message_tells_of(self, queue: Queue) -> None:
        """Each once, below the root, in the order that they are told; others in the message are left out."""
        first, second = queue.fill("a"), queue.fill("b")
        keys = [f"lake/{second}", f"lake/{first}", f"lake/{second}", "lake/notes.txt", f"elsewhere/{first}"]
        records = [{"s3": {"bucket": {"name": queue.bucket}, "object": {"key": key}}} for key in keys]
        queue.send({"Records": [{"eventName": "ObjectCreated:Put", **record} for record in records]})

        [delivery] = queue.deliveries()

        assert delivery.keys == (second, first)
        assert delivery.storage is queue.lake.storage
        assert repr(delivery) == f"Delivery(keys={delivery.keys!r})"

    def test_another_bucket(self, queue: Queue) -> None:
        queue.tell("a.parquet", bucket="other")

        with pytest.raises(LakeError, match=r"tells of s3://other/lake/a.parquet, and this lake is"):
            list(queue.deliveries())
        assert queue.left == 1

    def test_an_object_that_is_gone(self, queue: Queue) -> None:
        queue.tell("ext/gone.parquet")
        [delivery] = queue.deliveries()

        with pytest.raises(LakeError, match="there is no such object"):
            list(delivery.events())

    def test_a_queue_in_another_region_than_the_lake_says(self, moto: Any) -> None:
        """Its URL names the Region, which requests are signed for."""
        queue = Queue(evolve(moto, region="eu-west-1"))
        key = queue.fill()
        queue.tell(key)
        url = f"https://sqs.eu-west-1.amazonaws.com/{'/'.join(queue.url.split('/')[-2:])}"

        lake = Lake(f"s3://{queue.bucket}/lake", region="us-east-1", session=moto.session())

        assert [delivery.keys for delivery in from_queue(lake.storage, url, wait=0)] == [(key,)]

    def test_a_queue_that_is_not_there(self, queue: Queue) -> None:
        with pytest.raises(LakeError, match="ReceiveMessage") as caught:
            list(from_queue(queue.lake.storage, f"{queue.url}x", client=queue.sqs))
        assert caught.value.path == f"{queue.url}x"

    def test_it_follows_until_it_is_stopped(self, queue: Queue) -> None:
        stop = threading.Event()
        got: list[str] = []

        def consume() -> None:
            for delivery in queue.deliveries(follow=True, stop=stop):
                got.extend(delivery.keys)
                delivery.confirm()
                stop.set()

        consumer = threading.Thread(target=consume)
        consumer.start()
        key = queue.fill()
        queue.tell(key)
        consumer.join(30)

        assert got == [key]

    def test_s3_itself_tells(self, queue: Queue) -> None:
        """S3's own notifications: the test event first, then Records with a key that is quoted."""
        arn = queue.sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        queue.lake.client.put_bucket_notification_configuration(
            Bucket=queue.bucket,
            NotificationConfiguration={
                "QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}],
            },
        )
        key = queue.fill()

        got = []
        for delivery in queue.deliveries():
            got.append(delivery.keys)
            delivery.confirm()

        assert got == [(key,)]
        assert queue.left == 0

    def test_a_directory_has_no_queue(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="use from_listing"):
            Lake(tmp_path).subscribe("https://queue")


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/1/q", "eu-west-1"),
        ("https://eu-west-1.queue.amazonaws.com/1/q", "eu-west-1"),
        ("http://127.0.0.1:5000/1/eu-west-1", ""),
        ("https://queue.amazonaws.com/1/q", ""),
        ("queue", ""),
    ],
)
def test_the_region_of_a_queue(url: str, region: str) -> None:
    """As its host says it."""
    assert _region(url) == region


class TestListing:
    def test_what_is_told_of(self, tmp_path: Path) -> None:
        """Parquet that was not seen, below the prefix, and none of what is hidden."""
        for key in ("a/1.parquet", "a/2.parquet", "a/3.txt", "b/1.parquet", ".ocsflake/1.parquet", "a/.x.parquet"):
            (tmp_path / key).parent.mkdir(exist_ok=True)
            (tmp_path / key).touch()
        storage, seen = DirectoryStorage(tmp_path), {"a/1.parquet"}

        found = list(from_listing(storage, seen))

        assert [delivery.keys for delivery in found] == [("a/.x.parquet",), ("a/2.parquet",), ("b/1.parquet",)]
        assert [delivery.keys for delivery in from_listing(storage, seen, prefix="b/")] == [("b/1.parquet",)]
        assert {delivery.storage for delivery in found} == {storage}
        assert repr(found[0]) == "Delivery(keys=('a/.x.parquet',))"
        found[1].confirm()
        assert seen == {"a/1.parquet", "a/2.parquet"}

    def test_large_objects_come_in_parts(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"n": range(70_000)}), tmp_path / "a.parquet")

        [delivery] = from_listing(DirectoryStorage(tmp_path), set())

        assert [batch.num_rows for batch in delivery.events()] == [65_536, 4_464]

    def test_each_object_once(self, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        for number in range(2):
            with lake.begin(f"c{number}") as commit:
                commit.write(api_activity(events(5, number)))
                commit.publish()
        seen: set[str] = set()

        first = list(from_listing(lake.storage, seen))
        first[0].confirm()
        second = list(from_listing(lake.storage, seen))

        assert (len(first), len(second)) == (2, 1)
        assert second[0].keys == first[1].keys
        assert sum(batch.num_rows for batch in second[0].events()) == 5

    def test_native_sources(self, tmp_path: Path) -> None:
        """gzip, lists of two levels, and the class numbers of OCSF 1.0.0-rc.2."""
        path = (
            tmp_path / "aws/CLOUD_TRAIL_MGMT/1.0/region=us-east-1/accountId=123456789012/eventDay=20240101/x.gz.parquet"
        )
        path.parent.mkdir(parents=True)
        table = pa.table(
            {
                "class_uid": pa.array([3005], pa.int32()),
                "resources": [[{"account_uid": "1", "uid": "arn"}]],
                "metadata": [{"version": "1.0.0-rc.2", "profiles": ["cloud"]}],
            }
        )
        pq.write_table(table, path, compression="gzip", store_schema=False)
        path.write_bytes(two_levels(path.read_bytes()))

        [delivery] = from_listing(DirectoryStorage(tmp_path), set())
        [batch] = delivery.events()

        [row] = batch.to_pylist()
        assert row["class_uid"] == 3005
        assert row["metadata"]["version"] == "1.0.0-rc.2"
        assert "arn" in str(row["resources"])

    def test_what_is_no_parquet(self, tmp_path: Path) -> None:
        (tmp_path / "a.parquet").write_text("no")
        [delivery] = from_listing(DirectoryStorage(tmp_path), set())

        with pytest.raises(LakeError, match=r"a\.parquet cannot be read"):
            list(delivery.events())
