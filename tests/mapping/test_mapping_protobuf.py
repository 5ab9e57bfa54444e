"""JSON of protocol buffers: one message, one event, whichever way its names are spelt."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pyarrow as pa
import pytest
from toy import events_of, raw, toy

from ocsflake.mapping import JsonRecords, ProtoJson, at
from ocsflake.model import RawBatch

PARSE = ProtoJson(
    records=JsonRecords(unwrap=("items",)),
    free=("payload", "message.details", "labels"),
    lower=("payload",),
    aliases=(("message_row", "message"), ("message_row.detailsJson", "message.details"), ("wrapped.inner", "message")),
)
MAPPER = toy(
    {
        "metadata.uid": at("insertId"),
        "finding_info.desc": at("message.shortText"),
        "finding_info.types": at("message.partList[].partName"),
        "message": at("payload.Detail.queryName"),
        "metadata.event_code": at("message.same"),
        "metadata.log_name": at("message.details.log_name"),
    },
    parse=PARSE,
)
REST = {
    "insertId": "1",
    "message": {
        "shortText": "short",
        "same": "s",
        "partList": [{"partName": "a", "partSize": "1"}, {"partSize": "2"}],
        "details": {"log_name": "l", "other_thing": {"a_b": "1.10"}},
        "extraWord": "x",
    },
    "payload": {"Detail": {"queryName": "q"}, "two_words": "w"},
    "labels": {"a_label": "1"},
}


def one(record: Any) -> dict[str, Any]:
    [event] = events_of(MAPPER.map(raw(record)))
    return event


def test_names_of_rest() -> None:
    """A table is written with the names of REST; what it does not name goes to unmapped under these."""
    event = one(REST)

    assert event["metadata"]["uid"] == "1"
    assert event["finding_info"]["desc"] == "short"
    assert event["finding_info"]["types"] == ["a"]
    assert event["message"] == "q"
    assert event["metadata"]["log_name"] == "l"
    assert event["unmapped"] == {
        "message.extraWord": "x",
        "message.details.other_thing.a_b": "1.10",
        "message.partList[].partSize": "1,2",
        "payload.two_words": "w",
        "labels.a_label": "1",
    }


def test_names_of_the_proto_file() -> None:
    """Names of a .proto file stand for those of REST, also where no table names them; free names are left alone."""
    snake = {
        "insert_id": "1",
        "message": {
            "short_text": "short",
            "same": "s",
            "part_list": [{"part_name": "a", "part_size": "1"}, {"part_size": "2"}],
            "details": REST["message"]["details"],
            "extra_word": "x",
        },
        "payload": REST["payload"],
        "labels": REST["labels"],
    }

    assert one(snake) == one(REST)


def test_names_in_lower_case() -> None:
    """Free names may have been put in lower case."""
    event = one(REST | {"payload": {"detail": {"queryname": "q"}, "two_words": "w"}})

    assert event == one(REST)


@pytest.mark.parametrize("details", [json.dumps(REST["message"]["details"]), REST["message"]["details"]])
def test_aliases(details: Any) -> None:
    """A path may be another service's word for one of the table; JSON in text is JSON there."""
    message = {key: value for key, value in REST["message"].items() if key != "details"} | {"detailsJson": details}
    row = {key: value for key, value in REST.items() if key != "message"} | {"message_row": message}

    assert one(row) == one(REST)


def test_alias_within_an_object() -> None:
    """A path may be one level deeper than the one that it stands for."""
    record = {key: value for key, value in REST.items() if key != "message"} | {"wrapped": {"inner": REST["message"]}}

    assert one(record) == one(REST)


def test_text_that_is_no_json() -> None:
    """Text where JSON is due stays text."""
    for text in ("plain", "{broken", '{"a": ' * 5000):
        event = one({"message_row": {"detailsJson": text}, "insertId": "1"})

        assert event["unmapped"] == {"message.details": text}


def test_json_text_that_no_table_reads() -> None:
    """JSON in text is flattened like JSON even where a table names nothing of it."""
    mapper = toy({"metadata.uid": at("insertId"), "message": at("message.shortText")}, parse=PARSE)
    row = {"insertId": "1", "message_row": {"shortText": "s", "detailsJson": '{"a_b": {"c": [1, 2]}}'}}
    record = {"insertId": "1", "message": {"shortText": "s", "details": {"a_b": {"c": [1, 2]}}}}

    assert events_of(mapper.map(raw(row))) == events_of(mapper.map(raw(record)))


def test_whole_values() -> None:
    """A value that the table takes whole is the same JSON, however it came."""
    mapper = toy({"metadata.uid": at("insertId"), "evidences[].data": at("message.details")}, parse=PARSE)
    row = {"insert_id": "1", "message_row": {"detailsJson": '{"a_b":[1.10]}'}}
    record = {"insertId": "1", "message": {"details": {"a_b": [1.10]}}}

    [event] = events_of(mapper.map(raw(row)))

    assert event["evidences"] == [{"data": {"a_b": [1.1]}}]
    assert events_of(mapper.map(raw(record)))[0]["evidences"] == event["evidences"]


def test_both_spellings_in_one_batch() -> None:
    """Records of both spellings may follow one another; a list keeps its elements."""
    snake = {"insert_id": "2", "message": {"part_list": [{"part_name": "b"}, {"part_name": "c"}]}}

    found = {event["metadata"]["uid"]: event for event in events_of(MAPPER.map(raw(REST, snake, REST)))}

    assert found["1"] == one(REST)
    assert found["2"]["finding_info"]["types"] == ["b", "c"]


def test_foreign_names_stay() -> None:
    """In a record that is not spelt like a .proto file, a name with underscores is somebody's own."""
    event = one(REST | {"p_any_key": "v"})

    assert event["unmapped"]["p_any_key"] == "v"


def test_a_name_of_the_table_is_no_spelling_of_another() -> None:
    """Two names of a table that differ in capitals alone stay two."""
    mapper = toy({"message": at("payload.message").or_(at("payload.MESSAGE"))}, parse=PARSE)

    found = [
        event["message"]
        for event in events_of(mapper.map(raw({"payload": {"message": "m"}}, {"payload": {"MESSAGE": "M"}})))
    ]

    assert found == ["m", "M"]


def test_envelopes() -> None:
    """Envelopes are taken off before names are read."""
    assert one({"items": [REST]}) == one(REST)


def test_arrow_columns() -> None:
    """Columns that came as Arrow are renamed too."""
    rows = pa.RecordBatch.from_pylist([{"insert_id": "1", "labels": '{"a": 1}', "extra_word": "x"}])

    [event] = events_of(MAPPER.map(RawBatch(rows)))

    assert event["metadata"]["uid"] == "1"


def test_a_mapper_with_it_can_be_pickled() -> None:
    """The parser is a value."""
    assert pickle.loads(pickle.dumps(PARSE)) == PARSE
    assert PARSE.whole_paths() == []
