"""What the engine makes of values: enums and captions, twins, observables, ``unmapped``, objects that OCSF refuses."""

from __future__ import annotations

from typing import Any

import pytest
from toy import BASE, events_of, get, raw, reasons, toy

from ocsflake.mapping import EventMap, JsonRecords, Mapper, at, when
from ocsflake.model import RawBatch
from ocsflake.ocsf import validate


def one(fields: dict[str, Any], record: Any, version: str = "1.1.0", **options: Any) -> dict[str, Any]:
    """Return the event of one record, which must be valid."""
    mapped = toy(fields).map(raw(record), version, **options)
    assert mapped.rejects.to_pylist() == []
    assert validate(mapped.batches[0].events).invalid == 0
    return events_of(mapped, version)[0]


def of_class(event_class: str, fields: dict[str, Any], *records: Any, version: str = "1.1.0") -> list[dict[str, Any]]:
    common = {path: value for path, value in BASE.items() if not path.startswith("finding_info")}
    events = [EventMap(event_class, common | fields)]
    mapper = Mapper("toy.log", source_name="toy", parse=JsonRecords(), events=events)
    mapped = mapper.map(raw(*records), version)
    assert mapped.rejects.to_pylist() == []
    return events_of(mapped, version)


def test_what_the_class_says() -> None:
    """Ids and names of class, category and type, the version and the profiles come of themselves."""
    event = one({"activity_id": 2}, {})

    assert {name: event[name] for name in event if name.endswith(("_uid", "_name"))} == {
        "activity_name": "Update",
        "category_name": "Findings",
        "category_uid": 2,
        "class_name": "Detection Finding",
        "class_uid": 2004,
        "type_name": "Detection Finding: Update",
        "type_uid": 200402,
    }
    assert event["metadata"] == {
        "product": {"name": "Toy", "vendor_name": "Example"},
        "profiles": ["datetime"],
        "version": "1.1.0",
    }
    assert event["severity"] == "Informational"


@pytest.mark.parametrize(
    ("word", "version", "activity", "name"),
    [
        ("on", "1.1.0", 10, "MFA Factor Enable"),
        ("unlock", "1.1.0", 99, "Unlock"),  # 12 since 1.4
        ("unlock", "1.3.0", 99, "Unlock"),
        ("unlock", "1.4.0", 12, "Unlock"),
        ("strange", "1.1.0", 99, "strange"),
        ("other", "1.1.0", 99, "Other"),
        ("none", "1.1.0", 0, "Unknown"),
    ],
)
def test_enums_that_a_version_lacks(word: str, version: str, activity: int, name: str) -> None:
    """A value that the version lacks becomes 99 with the caption of a newer one; any other 99 has the source's word."""
    table = {"on": 10, "unlock": 12, "none": 0}
    expression = when(at("op") == "other", 99, at("op").lookup(table, default=99))
    if word == "other":
        expression = when(at("op") == "other", 99, 1)
    (event,) = of_class("account_change", {"user.name": "x", "activity_id": expression}, {"op": word}, version=version)

    assert (event["activity_id"], event["activity_name"]) == (activity, name)
    assert event["type_uid"] == 300100 + activity


@pytest.mark.parametrize(("version", "type_id"), [("1.1.0", 99), ("1.5.0", 99), ("1.6.0", 4), ("1.8.0", 4)])
def test_a_user_type_that_old_versions_lack(version: str, type_id: int) -> None:
    """``user.type_id`` 4 is Service since 1.6; before, it is Other and the type says Service."""
    (event,) = of_class("account_change", {"user.name": "x", "user.type_id": 4}, {}, version=version)

    assert (event["user"]["type_id"], event["user"]["type"]) == (type_id, "Service")


def test_a_number_that_no_version_knows() -> None:
    """An id that OCSF does not have becomes Other with the number for a name."""
    event = one({"status_id": at("s")}, {"s": 77})

    assert (event["status_id"], event["status"]) == (99, "77")


def test_an_enum_without_a_value() -> None:
    """Where there is no id there is no name either."""
    event = one({"status_id": at("s").lookup({"ok": 1}, default=99)}, {})

    assert "status_id" not in event
    assert "status" not in event


def test_a_sibling_of_ones_own() -> None:
    """A table that fills the text of an enum itself keeps it."""
    event = one({"status_id": at("s").lookup({"ok": 1}, default=99), "status": at("t")}, {"s": "odd", "t": "mine"})

    assert (event["status_id"], event["status"]) == (99, "mine")
    assert event["unmapped"] == {"s": "odd"}  # nothing of the event says it


def test_enums_in_lists() -> None:
    """Every element has its own id, caption and word."""
    fields = {
        "evidences[].connection_info.direction_id": at("e[].d").lookup({"in": 1, "out": 2, "around": 4}, default=99),
        "evidences[].data": at("e[].n"),
    }
    record = {"e": [{"d": "in", "n": 1}, {"d": "zz"}, {"n": 2}, {"d": "around"}]}
    event = one(fields, record)

    assert get(event, "evidences[].connection_info.direction_id") == [1, 99, None, 99]  # 4 Local since 1.7
    assert get(event, "evidences[].connection_info.direction") == ["Inbound", "zz", None, "Local"]
    assert "unmapped" not in event
    assert get(one(fields, record, "1.8.0"), "evidences[].connection_info.direction_id") == [1, 99, None, 4]


@pytest.mark.parametrize("on", [True, False])
def test_datetime_twins(on: bool) -> None:
    """With the datetime profile every timestamp has a twin, at any depth; without it none."""
    fields = {"start_time": at("t"), "finding_info.created_time": at("t"), "resources[].uid": at("r")}
    event = one(fields, {"t": "2026-01-01T12:00:00.5+01:00"}, datetime=on)

    assert event["start_time"] == event["finding_info"]["created_time"] == 1_767_265_200_500
    twins = {
        "start_time_dt": event.get("start_time_dt"),
        "created_time_dt": event["finding_info"].get("created_time_dt"),
    }
    text = "2026-01-01T11:00:00.500000Z" if on else None
    assert {name: twin and twin.replace(".500Z", ".500000Z") for name, twin in twins.items()} == dict.fromkeys(
        twins, text
    )
    assert ("time_dt" in event) == on
    assert event["metadata"].get("profiles") == (["datetime"] if on else None)


def test_a_twin_of_ones_own() -> None:
    """A table may fill a twin itself."""
    event = one({"start_time_dt": at("t")}, {"t": "2026-01-01T12:00:00Z"})

    assert event["start_time_dt"].startswith("2026-01-01T12:00:00")


def test_profiles() -> None:
    """The profiles of an event are those that its table's attributes need."""
    event = one({"cloud.provider": "AWS", "action_id": 1, "disposition_id": 2}, {})

    assert event["metadata"]["profiles"] == ["cloud", "datetime", "security_control"]


def test_observables() -> None:
    """Values of the kinds that OCSF calls observables are listed, in the order of their attributes."""
    fields = {
        "evidences[].src_endpoint.ip": at("e[].ip"),
        "evidences[].src_endpoint.hostname": at("e[].host"),
        "evidences[].data": at("e[].n"),
        "finding_info.src_url": at("url"),
    }
    event = one(
        fields,
        {"e": [{"ip": "192.0.2.1", "host": "a.example.com"}, {"ip": "x"}, {"n": 1, "ip": "2001:db8::1"}], "url": "u"},
    )

    assert [(each["name"], each["type"], each["value"]) for each in event["observables"]] == [
        ("evidences[].src_endpoint.hostname", "Hostname", "a.example.com"),
        ("evidences[].src_endpoint.ip", "IP Address", "192.0.2.1"),
        ("evidences[].src_endpoint.ip", "IP Address", "2001:db8::1"),
        ("finding_info.src_url", "URL String", "u"),
    ]
    assert event["unmapped"] == {"e[].ip": "192.0.2.1,x,2001:db8::1"}
    assert "observables" not in one(fields, {})


def test_observables_are_what_the_event_holds() -> None:
    """Of a list for one attribute only the first is observed; of objects that were left out nothing is."""
    fields = {
        "device.ip": at("ips[]"),
        "device.type_id": 1,
        "evidences[].src_endpoint.ip": at("e[].ip"),
        "evidences[].process.name": at("e[].f"),  # a process without an id is none
    }
    event = one(fields, {"ips": ["192.0.2.1", "192.0.2.2"], "e": [{"ip": "192.0.2.3", "f": "x"}, {"f": "y"}]})

    assert [each["value"] for each in event["observables"]] == ["192.0.2.1", "192.0.2.3"]
    assert event["unmapped"] == {"ips[]": "192.0.2.1,192.0.2.2", "e[].f": "x,y"}


def test_unmapped() -> None:
    """What no attribute takes is kept as text: objects by dotted paths, lists by ``[]`` with their values joined."""
    record = {
        "a": 1.50,
        "b": {"c": [1, True, None, "x,y", {"d": "e"}, {"d": "f"}], "g": {}, "h": [], "i": None, "j": ""},
        "k.l": {'m"n': "o"},
        "p": [[1, 2], [3]],
        "q": False,
        "z": "used",
    }

    assert one({"message": at("z")}, record)["unmapped"] == {
        "a": "1.5",
        "b.c[]": "1,true,x,y",
        "b.c[].d": "e,f",
        "b.j": "",
        '"k.l"."m\\"n"': "o",
        "p[][]": "1,2,3",
        "q": "false",
    }


def test_values_that_are_carried_somewhere() -> None:
    """A value that only a condition or a lookup without its word reads is kept in ``unmapped``; others are not."""
    fields = {
        "message": at("a").or_(at("b")),
        "comment": at("c").only_if(at("d") == "x"),
        "status_id": at("e").lookup({"ok": 1}, default=99),
        "confidence_id": at("f").lookup({"hi": 3}),
        "status_detail": at("g").lookup_prefix({"Get": "read"}),
        "resources[].data": at("h"),
        "status_code": at("h.code"),
        "count": at("i.n"),
    }
    record = {
        "a": "1",
        "b": "2",
        "c": "3",
        "d": "y",
        "e": "zz",
        "f": "lo",
        "g": "GetIt",
        "h": {"code": "c", "x": 1},
        "i": {"n": 5, "m": 6},
    }
    event = one(fields | {"resources[].uid": "u"}, record)

    assert event["unmapped"] == {"b": "2", "c": "3", "d": "y", "f": "lo", "g": "GetIt", "i.m": "6"}
    assert event["status"] == "zz"
    assert event["resources"][0]["data"] == {"code": "c", "x": 1}
    carried = {"a": None, "b": "2", "c": "3", "d": "x", "e": "ok", "f": "hi"}
    assert one(fields, carried)["unmapped"] == {"d": "x"}


def test_consumes() -> None:
    """A table may say that it carries a path in full, where an expression does not show it."""
    mapper = toy({"message": at("a").only_if(at("b") == "x")}, consumes=("a",))
    (event,) = events_of(mapper.map(raw({"a": "1", "b": "y"})))

    assert event["unmapped"] == {"b": "y"}


def test_objects_that_lack_what_they_need() -> None:
    """An optional object that OCSF would refuse is left out, and its values are kept; a required one is a reject."""
    fields = {
        "resources[].name": at("n"),
        "resources[].type": at("t"),
        "device.hostname": at("h"),
        "device.type_id": at("k"),
    }

    event = one(fields, {"t": "a type", "h": "host"})
    assert "resources" not in event
    assert "device" not in event
    assert event["unmapped"] == {"t": "a type", "h": "host"}
    assert "observables" not in event
    whole = one(fields, {"t": "a type", "n": "a name", "h": "host", "k": 1})
    assert whole["resources"] == [{"name": "a name", "type": "a type"}]
    assert whole["device"] == {"hostname": "host", "type": "Server", "type_id": 1}
    mapped = toy({"finding_info.uid": at("u")}).map(raw({"u": "x"}, {}, {"u": ""}))
    assert reasons(mapped) == [("attribute_required_missing: a required attribute is missing", "finding_info.uid")] * 2


def test_elements_that_lack_what_they_need() -> None:
    """An element of a list that OCSF would refuse is left out, and the values of the list are kept."""
    fields = {"resources[].uid": at("r[].id"), "resources[].type": at("r[].t")}
    mapped = toy(fields).map(
        raw(
            {"r": [{"id": "1", "t": "a"}, {"t": "b"}, {"id": "3"}]},
            {"r": [{"t": "c"}]},
            {"r": [{"id": "4", "t": "d"}]},
            {"r": []},
        )
    )

    assert [(event.get("resources"), event.get("unmapped")) for event in events_of(mapped)] == [
        ([{"uid": "1", "type": "a"}, {"uid": "3"}], {"r[].id": "1,3", "r[].t": "a,b"}),
        (None, {"r[].t": "c"}),
        ([{"uid": "4", "type": "d"}], None),
        (None, None),
    ]


def test_constraints_of_objects() -> None:
    """An object of which OCSF asks for at least one, or just one, of some attributes is held to it."""
    fields = {"evidences[].src_endpoint.port": at("e[].port"), "evidences[].src_endpoint.ip": at("e[].ip")}
    event = one(fields, {"e": [{"port": 1}, {"port": 2, "ip": "192.0.2.1"}]})

    assert event["evidences"] == [{"src_endpoint": {"ip": "192.0.2.1", "port": 2}}]
    assert event["unmapped"] == {"e[].port": "1,2", "e[].ip": "192.0.2.1"}


@pytest.mark.parametrize(
    ("account", "fits"),
    [
        ("111122223333", True),
        ("0examp1e-1111-7022", True),
        ("project:a.b_c@example.com", True),
        ("../../x", False),
        ("a/b", False),
        ("a\\b", False),
        ("..", False),
        ("a\nb", False),
        ("a\0b", False),
        ("é", False),
        ("x" * 257, False),
        ("accountId=1", True),
    ],
)
def test_accounts_that_could_be_paths(account: str, fits: bool) -> None:
    """An account id becomes a part of an object's key: one that could choose a path is a reject."""
    mapped = toy({"cloud.provider": "AWS", "cloud.account.uid": at("a")}).map(raw({"a": account}, {"a": "1"}, {}))

    assert mapped.mapped == 2 + fits
    assert fits or reasons(mapped) == [("the account id holds characters of a path", "cloud.account.uid")]


def test_the_first_reason_counts() -> None:
    """A record is a reject once, whatever is wrong with it."""
    mapped = toy({"time": at("t"), "count": at("c"), "message": at("m")}).map(
        raw({"t": 1, "c": "x", "m": 2}, {"t": "x"})
    )

    assert reasons(mapped) == [("a time is due", "time"), ("a time is due", "time")]


def test_raw_data() -> None:
    """An event keeps its record as it came when asked to, without its envelope."""
    mapper = toy({"message": at("a")}, parse=JsonRecords(unwrap=("Records",)))
    mapped = mapper.map(RawBatch(b'{"Records": [{"a":  "\\u00e9", "n": 1.10}, {"a": 1}, {"a":"y"}]}'), raw_data=True)

    assert [event["raw_data"] for event in events_of(mapped)] == ['{"a":  "\\u00e9", "n": 1.10}', '{"a":"y"}']
    assert [row["record"] for row in mapped.rejects.to_pylist()] == [b'{"a": 1}']
    assert "raw_data" not in events_of(mapper.map(raw({"a": "x"})))[0]


def test_json_stays_as_it_came() -> None:
    """JSON that an attribute holds keeps its numbers, its escapes and its order."""
    text = '{"b":1.10,"a":[1e400,12345678901234567890],"\\u00e9":"\\ud83d\\ude80"}'
    mapped = toy({"resources[].data": at("a"), "resources[].uid": "u"}).map(RawBatch(b'{"a":' + text.encode() + b"}"))

    assert mapped.batches[0].events.column("resources").flatten().field("data").to_pylist() == [text]


def exploding(explode: str, fields: dict[str, Any]) -> Mapper:
    return toy(fields, parse=JsonRecords(explode=explode))


def test_explode() -> None:
    """Every element of a list becomes an event of its own, beside the fields of its record."""
    mapper = exploding("f[]", {"message": at("f[].m"), "comment": at("c")})
    records = [
        {"c": "1", "f": [{"m": "a", "x": 1}, {"m": "b"}], "y": 2},
        {"c": "2", "f": []},
        {"c": "3"},
        {"c": "4", "f": {"m": "c"}},
        {"c": "5", "f": [{"m": "d"}, {"m": 5}]},
        {"c": "6", "f": "x"},
    ]
    mapped = mapper.map(raw(*records), raw_data=True)

    assert [(e["comment"], e["message"], e.get("unmapped")) for e in events_of(mapped)] == [
        ("1", "a", {"f[].x": "1", "y": "2"}),
        ("1", "b", {"y": "2"}),
        ("4", "c", None),
    ]
    assert (mapped.records, mapped.mapped, mapped.skipped) == (5, 2, {"record without events": 1})
    assert sorted(reasons(mapped)) == [("it holds no events", "")] * 2 + [("text is due", "message")]
    assert {event["raw_data"][:9] for event in events_of(mapped)} == {'{"c": "1"', '{"c": "4"'}
    assert all(b'"c": "5"' in row["record"] for row in mapped.rejects.to_pylist() if row["attribute"])


def test_no_list_where_one_explodes() -> None:
    """What is no list makes its record a reject, or is left over in its own record: never in another one."""
    mapper = exploding("r[].t[]", {"message": at("r[].t[]"), "comment": at("n")})
    records = [
        {"n": "1", "r": "no list"},
        {"n": "2", "r": [{"t": 7}, {"t": ["x"]}]},
        {"n": "3", "r": [{"t": 8}]},
        {"n": "4", "r": [{"t": ["y"]}]},
    ]
    mapped = mapper.map(raw(*records))

    assert [(e["comment"], e["message"], e.get("unmapped")) for e in events_of(mapped)] == [
        ("2", "x", {"r[].t": "7"}),
        ("4", "y", None),
    ]
    assert reasons(mapped) == [("it holds no events", "")] * 2
    assert mapped.drift.kinds == {("r[].t", "scalar"): 1}


def test_explode_within_explode() -> None:
    """Lists within lists are taken apart level by level; the fields of each level stand beside its elements."""
    mapper = exploding("r[].t[]", {"message": at("r[].t[]"), "comment": at("r[].rule"), "status_code": at("n")})
    records = [
        {"n": "1", "r": [{"rule": "A", "t": ["x", "y"]}, {"rule": "B", "t": []}, {"rule": "C", "t": ["z"], "u": 1}]},
        {"n": "2", "r": []},
    ]
    parts = list(mapper.map_batches([raw(record) for record in records], rows=100))

    assert [(e["status_code"], e["comment"], e["message"], e.get("unmapped")) for m in parts for e in events_of(m)] == [
        ("1", "A", "x", None),
        ("1", "A", "y", None),
        ("1", "C", "z", {"r[].u": "1"}),
    ]
    assert [(m.records, m.mapped, m.skipped) for m in parts] == [(1, 1, {"record without events": 1})]
