"""Events of a lake in OpenSearch and Splunk: each at least once, under an id that does not change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from bulk_servers import POISON, Collector, SearchServer, serving
from lake_of_calls import T0, call, deliveries, lake_of, write
from opensearchpy import OpenSearch as Client

from ocsflake.consumers import OpenSearch, Splunk, forward
from ocsflake.errors import AccessDeniedError, ConfigError, UnavailableError
from ocsflake.lake import Lake
from ocsflake.lake.subscribe import from_queue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def search() -> Iterator[SearchServer]:
    with serving(SearchServer()) as server:
        yield server


@pytest.fixture
def collector() -> Iterator[Collector]:
    with serving(Collector()) as server:
        yield server


def destination(search: SearchServer) -> OpenSearch:
    return OpenSearch(Client([search.url], max_retries=0))


def splunk(collector: Collector, **options: Any) -> Splunk:
    return Splunk(collector.url, token=collector.token, **options)


class TestOpenSearch:
    def test_events_arrive_as_json(self, search: SearchServer, tmp_path: Path) -> None:
        """An event is a document without nulls, in the index of its class."""
        forwarded = forward(deliveries(lake_of(tmp_path, "alice")), destination(search))

        [((index, name), document)] = search.documents.items()
        assert (forwarded.deliveries, forwarded.documents, forwarded.refused) == (1, 1, 0)
        assert (index, len(name)) == ("ocsf-6003", 32)
        assert document == {
            "class_uid": 6003,
            "time": T0,
            "time_dt": "2026-03-01T06:55:48Z",
            "actor": {"user": {"name": "alice"}},
            "resources": [{"uid": "r1"}],
            "cloud": {"provider": "AWS", "account": {"uid": "111122223333"}},
            "unmapped": {"a.b": "1"},
        }

    def test_a_repeat_overwrites(self, search: SearchServer, tmp_path: Path) -> None:
        """Events that come again have the ids that they had, from whatever object they come."""
        lake = lake_of(tmp_path / "lake", "alice", "bob")
        forward(deliveries(lake), destination(search))
        one = Lake(tmp_path / "other")
        write(one, "another", call("bob", time=T0 + 1), call("alice"))

        again = forward(deliveries(lake), destination(search))
        forward(deliveries(one), destination(search))

        assert again.documents == 2
        assert len(search.documents) == 2

    def test_equal_events_are_all_kept(self, search: SearchServer, tmp_path: Path) -> None:
        lake = Lake(tmp_path)
        write(lake, "c", call("alice"), call("alice"), call("alice"))

        forward(deliveries(lake), destination(search))

        assert sorted(name[32:] for _, name in search.documents) == ["", "-1", "-2"]

    def test_what_was_forwarded_is_not_told_of_again(self, search: SearchServer, tmp_path: Path) -> None:
        lake, seen = lake_of(tmp_path, "alice"), set[str]()

        forward(deliveries(lake, seen), destination(search))
        again = forward(deliveries(lake, seen), destination(search))

        assert again.deliveries == 0

    def test_a_busy_cluster(self, search: SearchServer, tmp_path: Path) -> None:
        """What the cluster has no room for is sent again, and nothing else."""
        search.busy, search.down = 2, 1
        waited: list[float] = []

        forwarded = forward(deliveries(lake_of(tmp_path, "a", "b", "c", "d")), destination(search), sleep=waited.append)

        assert (forwarded.documents, len(search.documents)) == (4, 4)
        assert (search.requests, len(waited)) == (4, 3)

    def test_a_document_that_is_refused(self, search: SearchServer, tmp_path: Path) -> None:
        """The others are kept, the delivery is not confirmed, and the reason holds nothing of the document."""
        lake, seen = lake_of(tmp_path, "alice", POISON, "carol"), set[str]()
        write(lake, "second", call("dave", account="444455556666"))

        forwarded = forward(deliveries(lake, seen), destination(search))

        assert (forwarded.deliveries, forwarded.documents, forwarded.refused) == (1, 3, 1)
        assert forwarded.reasons == {"mapper_parsing_exception": 1}
        assert [key.split("/")[3] for key in seen] == ["accountId=444455556666"]

    def test_a_cluster_that_is_down(self, search: SearchServer, tmp_path: Path) -> None:
        search.down, seen = 99, set[str]()

        with pytest.raises(UnavailableError, match="OpenSearch does not answer"):
            forward(deliveries(lake_of(tmp_path, "alice"), seen), destination(search), sleep=lambda _: None)
        assert (search.requests, seen) == (8, set())

    def test_nobody_listens(self, search: SearchServer, tmp_path: Path) -> None:
        client = Client(["http://127.0.0.1:1"], max_retries=0)

        with pytest.raises(UnavailableError, match="OpenSearch does not answer"):
            forward(deliveries(lake_of(tmp_path, "alice")), OpenSearch(client), sleep=lambda _: None)

    @pytest.mark.parametrize(
        ("status", "error"), [(401, AccessDeniedError), (403, AccessDeniedError), (400, ConfigError)]
    )
    def test_no_entry(self, search: SearchServer, tmp_path: Path, status: int, error: type[Exception]) -> None:
        search.status = status

        with pytest.raises(error, match=str(status)):
            forward(deliveries(lake_of(tmp_path, "alice")), destination(search))
        assert search.requests == 1

    def test_an_event_that_is_too_large(self, search: SearchServer, tmp_path: Path) -> None:
        """It does not keep the others from going on."""
        search.room = 1_000_000
        lake = lake_of(tmp_path, "alice", "b" * 6_000_000, "carol")

        forwarded = forward(deliveries(lake), destination(search))

        assert (forwarded.documents, forwarded.reasons) == (2, {"too large": 1})

    def test_a_cluster_that_takes_small_requests(self, search: SearchServer, tmp_path: Path) -> None:
        search.room = 1_000

        with pytest.raises(ConfigError, match="does not take requests of"):
            forward(deliveries(lake_of(tmp_path, *"abcdefgh")), destination(search))

    def test_many_events_take_several_requests(self, search: SearchServer, tmp_path: Path) -> None:
        lake = lake_of(tmp_path, *(f"user{number}" for number in range(4_500)))

        forward(deliveries(lake), destination(search))

        assert (search.requests, len(search.documents)) == (3, 4_500)

    def test_large_events_take_several_requests(self, search: SearchServer, tmp_path: Path) -> None:
        lake = lake_of(tmp_path, *(letter * 2_000_000 for letter in "abcde"))

        forward(deliveries(lake), destination(search))

        assert (search.requests, len(search.documents)) == (3, 5)


class TestSplunk:
    def test_events_arrive(self, collector: Collector, tmp_path: Path) -> None:
        """An event has its own time, a type by its class, and its id as an indexed field."""
        forwarded = forward(deliveries(lake_of(tmp_path, "alice")), splunk(collector, index="security"))

        [event] = collector.events
        assert forwarded.documents == 1
        assert (event["time"], event["sourcetype"], event["index"]) == (T0 / 1000, "ocsf:6003", "security")
        assert event["event"]["actor"] == {"user": {"name": "alice"}}
        assert len(event["fields"]["ocsf_id"]) == 32

    def test_a_repeat_has_the_same_ids(self, collector: Collector, tmp_path: Path) -> None:
        lake = lake_of(tmp_path, "alice", "bob")

        forward(deliveries(lake), splunk(collector))
        forward(deliveries(lake), splunk(collector))

        assert len(collector.events) == 4
        assert len({event["fields"]["ocsf_id"] for event in collector.events}) == 2

    def test_a_busy_collector(self, collector: Collector, tmp_path: Path) -> None:
        """It is asked again after as long as it wants."""
        collector.down = 2
        waited: list[float] = []

        forward(deliveries(lake_of(tmp_path, "alice")), splunk(collector), sleep=waited.append)

        assert len(collector.events) == 1
        assert len(waited) == 2
        assert min(waited) >= 7

    def test_acknowledgements(self, collector: Collector, tmp_path: Path) -> None:
        """Where the token asks for them, an event is taken when it was acknowledged."""
        collector.acknowledging, waited = True, list[float]()

        forwarded = forward(deliveries(lake_of(tmp_path, "alice")), splunk(collector, sleep=waited.append))

        assert (forwarded.documents, len(waited)) == (1, 1)

    def test_no_acknowledgement(self, collector: Collector, tmp_path: Path) -> None:
        """What is never acknowledged is not taken, and its delivery not confirmed."""
        collector.acknowledging, collector.losing, seen = True, True, set[str]()

        with pytest.raises(UnavailableError, match="acknowledged nothing for 60 s"):
            forward(
                deliveries(lake_of(tmp_path, "alice"), seen),
                splunk(collector, sleep=lambda _: None),
                sleep=lambda _: None,
            )
        assert seen == set()

    def test_something_else_answers(self, collector: Collector, tmp_path: Path) -> None:
        collector.status = 404

        with pytest.raises(ConfigError, match=r"does not take the request \(404\): no reason given"):
            forward(deliveries(lake_of(tmp_path, "alice")), splunk(collector))

    def test_an_event_that_is_refused(self, collector: Collector, tmp_path: Path) -> None:
        """Those after it are sent again without it."""
        seen: set[str] = set()
        lake = lake_of(tmp_path, "alice", POISON, "carol", "dave")

        forwarded = forward(deliveries(lake, seen), splunk(collector), sleep=lambda _: None)

        users = [event["event"]["actor"]["user"]["name"] for event in collector.events]
        assert (users, forwarded.refused, seen) == (["alice", "carol", "dave"], 1, set())
        assert forwarded.reasons == {"Invalid data format, code 6": 1}

    def test_an_event_that_is_too_large(self, collector: Collector, tmp_path: Path) -> None:
        collector.status = 413

        forwarded = forward(deliveries(lake_of(tmp_path, "alice")), splunk(collector))

        assert (forwarded.documents, forwarded.reasons) == (0, {"too large": 1})

    def test_a_token_that_is_wrong(self, collector: Collector, tmp_path: Path) -> None:
        """The message does not hold it."""
        wrong = Splunk(collector.url, token="not-the-token")

        with pytest.raises(AccessDeniedError, match="does not take the token") as caught:
            forward(deliveries(lake_of(tmp_path, "alice")), wrong)
        assert "not-the-token" not in str(caught.value) + repr(wrong)

    def test_an_index_that_the_token_may_not_write(self, collector: Collector, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="may not write to the index 'other'"):
            forward(deliveries(lake_of(tmp_path, "alice")), splunk(collector, index="other"))

    def test_nobody_listens(self, tmp_path: Path) -> None:
        nobody = Splunk("http://127.0.0.1:1", token="t")

        with pytest.raises(UnavailableError, match="does not answer"):
            forward(deliveries(lake_of(tmp_path, "alice")), nobody, sleep=lambda _: None)

    def test_no_address(self) -> None:
        with pytest.raises(ConfigError, match="no address of a collector"):
            Splunk("splunk.example.com", token="t")


def test_from_a_queue(search: SearchServer, moto: Any) -> None:
    """Forwarded from a subscription, a message is gone when the cluster has its events, and not before."""
    bucket, sqs = moto.make_bucket(), moto.client("sqs")
    url = sqs.create_queue(QueueName=f"q-{bucket}")["QueueUrl"]
    lake = Lake(f"s3://{bucket}", client=moto.client())
    write(lake, "c", call("alice"))
    [key] = [item.key for item in lake.storage.objects("")]
    sqs.send_message(
        QueueUrl=url,
        MessageBody=json.dumps({"source": "aws.s3", "detail": {"bucket": {"name": bucket}, "object": {"key": key}}}),
    )

    forwarded = forward(from_queue(lake.storage, url, client=sqs, wait=0), destination(search))

    assert (forwarded.deliveries, len(search.documents)) == (1, 1)
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
