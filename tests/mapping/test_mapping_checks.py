"""What is wrong with a table is said before the first record."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from toy import BASE, events_of, raw, reasons, toy

from ocsflake import mapper as registered
from ocsflake.errors import SchemaError
from ocsflake.mapping import EventMap, JsonRecords, Lineage, Mapper, at, when
from ocsflake.ocsf import load, versions

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mesage": at("a")}, r"toy\.log: .*'mesage': the class has no attribute 'mesage'; did you mean 'message'"),
        ({"finding_info.titel": "x"}, r"has no attribute 'titel'; did you mean 'title'"),
        ({"resources": at("a")}, r"'resources' is an object: name its attributes \(resources\."),
        ({"finding_info": at("a")}, r"'finding_info' is an object"),
        ({"message[]": at("a")}, "is not a list; write it without"),
        ({"message.text": at("a")}, "it has no attributes"),
        ({"unmapped.x": at("a")}, "a free object: name it as a whole"),
        ({"vulnerabilities[].cve.type": "x"}, r"requires vulnerabilities\[?\]?\.cve\.uid"),
    ],
)
def test_unknown_attributes(fields: Mapping[str, Any], message: str) -> None:
    """An attribute that the newest version lacks, or that has another kind, is refused with what is near."""
    with pytest.raises(SchemaError, match=message):
        toy({**fields}).check()


@pytest.mark.parametrize("missing", ["time", "severity_id", "activity_id", "finding_info.uid", "finding_info.title"])
def test_missing_required(missing: str) -> None:
    """A table that leaves out what OCSF requires is refused."""
    fields = {path: value for path, value in BASE.items() if path != missing}
    mapper = Mapper("toy.log", source_name="toy", parse=JsonRecords(), events=[EventMap("detection_finding", fields)])

    with pytest.raises(SchemaError, match=f"requires {missing}: give an expression or a constant"):
        mapper.check("1.1.0")
    with pytest.raises(SchemaError, match=f"requires {missing}"):
        mapper.map(raw({}))


def test_missing_object() -> None:
    """A whole object that is required is named as one."""
    fields = {path: value for path, value in BASE.items() if not path.startswith("metadata.")}
    mapper = Mapper("toy.log", source_name="toy", parse=JsonRecords(), events=[EventMap("detection_finding", fields)])

    with pytest.raises(SchemaError, match=r"requires metadata\.product"):
        mapper.check()


def test_unknown_class() -> None:
    """A class that OCSF does not have is refused with what is near."""
    mapper = Mapper("toy.log", source_name="toy", parse=JsonRecords(), events=[EventMap("detection_findings", BASE)])

    with pytest.raises(SchemaError, match="detection_finding"):
        mapper.check()


def test_no_class_in_an_old_version() -> None:
    """A version that has none of a mapper's classes is refused; an unknown one too."""
    mapper = toy({})

    with pytest.raises(SchemaError, match=r"OCSF 1\.0\.0 has none of its event classes \(detection_finding\)"):
        mapper.map(raw({}), "1.0.0")
    with pytest.raises(ValueError, match=r"9\.9\.9"):
        mapper.map(raw({}), "9.9.9")


def test_long_source_name() -> None:
    """The name of a custom source has at most 20 characters, its stem at most 15."""
    with pytest.raises(SchemaError, match="'a_name_too_long_' has 16 characters, at most 15 are allowed"):
        Mapper("toy.log", source_name="a_name_too_long_", parse=JsonRecords(), events=[])


def test_lists_of_objects_without_brackets() -> None:
    """A list of objects may be written without its brackets."""
    (event,) = events_of(toy({"resources.uid": at("a[]")}).map(raw({"a": ["x", "y"]})))

    assert event["resources"] == [{"uid": "x"}, {"uid": "y"}]


@pytest.mark.parametrize("version", versions())
def test_every_version(version: str) -> None:
    """The mappers of AWS's own two logs compile for every version from 1.1.0 on."""
    if version.startswith("1.0"):
        return
    for name in ("aws.cloudtrail", "aws.vpc_flow"):
        registered(name).check(version)


def test_pickled_and_copied() -> None:
    """A mapper may go to another process and maps the same there."""
    mapper = toy({"message": when(at("a") == "x", at("a"), "else"), "status_id": at("b").lookup({"ok": 1}, default=99)})
    batch = raw({"a": "x", "b": "no"}, {"b": "ok"})

    for other in (pickle.loads(pickle.dumps(mapper)), copy.deepcopy(mapper)):
        assert events_of(other.map(batch)) == events_of(mapper.map(batch))
    for name in ("aws.cloudtrail", "aws.vpc_flow"):
        assert pickle.loads(pickle.dumps(registered(name))).lineage() == registered(name).lineage()


def test_lineage() -> None:
    """Every attribute tells what it is made of, and which raw paths that reads."""
    found = toy({"message": at("a.b").or_(at("c[].d"), "none").only_if(at("a.b") == "x")}).lineage()

    assert found[0] == Lineage("detection_finding", "time", "time or '2026-01-01T00:00:00Z'", ("time",))
    assert found[-1] == Lineage(
        "detection_finding", "message", "a.b or c[].d or 'none' if a.b is 'x'", ("a.b", "c[].d")
    )
    assert Lineage("detection_finding", "severity_id", "1", ()) in found


def test_schema_is_that_of_the_events() -> None:
    """The Arrow schema is known without records: no column depends on the data."""
    mapper = toy({"message": at("a"), "resources[].uid": at("b"), "start_time": at("t")})
    full = mapper.map(raw({"a": "x", "b": "y", "t": "2026-01-01T00:00:00Z"})).batches[0].events.schema
    empty = mapper.map(raw({})).batches[0].events.schema

    assert full.equals(empty)
    assert full.equals(mapper.schema("detection_finding"))
    assert "start_time_dt" in full.names
    assert "start_time_dt" not in mapper.schema("detection_finding", datetime=False).names
    assert full.field("time").nullable is False
    with pytest.raises(SchemaError, match=r"toy\.log maps to no 'api_activity' in OCSF 1\.1\.0"):
        mapper.schema("api_activity")


def test_the_first_table_that_fits() -> None:
    """A record becomes an event of the first table whose condition holds; one that none takes is a reject."""
    events = [
        EventMap("detection_finding", BASE | {"message": "first"}, where=at("a") == "1"),
        EventMap("compliance_finding", BASE | {"compliance.standards": "s"}, where=at("a").is_in(["1", "2"])),
    ]
    mapper = Mapper("toy.log", source_name="toy", parse=JsonRecords(), events=events)
    mapped = mapper.map(raw({"a": "1"}, {"a": "2"}, {"a": "3"}, {"a": "1"}))

    assert [(batch.event_class, batch.events.num_rows) for batch in mapped.batches] == [
        ("detection_finding", 2),
        ("compliance_finding", 1),
    ]
    assert {batch.source_name for batch in mapped.batches} == {"toy"}
    assert reasons(mapped) == [("no event class of toy.log takes it", "")]
    assert (mapped.records, mapped.mapped) == (4, 3)


def test_nothing_in_nothing_out() -> None:
    """No records make no events, and no batch of any."""
    mapped = toy({}).map(raw())

    assert (mapped.batches, mapped.records, mapped.mapped, mapped.rejects.num_rows) == ((), 0, 0, 0)
    assert list(toy({}).map_batches([])) == []


def test_batches_of_rows() -> None:
    """Small batches are mapped together, and large records sooner, so that memory stays bounded."""
    mapper = toy({"message": at("a")})

    assert [m.records for m in mapper.map_batches((raw({"a": "x"}) for _ in range(7)), rows=3)] == [3, 3, 1]
    big = raw({"a": "x", "pad": "y" * 2500})
    assert [m.records for m in mapper.map_batches([big] * 5, rows=4)] == [2, 2, 1]


def test_classes_of_the_version() -> None:
    """A table for a class that the version lacks takes no record; the next one does."""
    events = [
        EventMap("data_security_finding", BASE | {"message": "new"}),
        EventMap("detection_finding", BASE | {"message": "old"}),
    ]
    mapper = Mapper("toy.log", source_name="toy", parse=JsonRecords(), events=events)

    assert "data_security_finding" not in load("1.1.0").classes
    assert mapper.map(raw({})).batches[0].event_class == "detection_finding"
    assert mapper.map(raw({}), "1.8.0").batches[0].event_class == "data_security_finding"
