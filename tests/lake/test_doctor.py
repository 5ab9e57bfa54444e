"""The doctor finds what is wrong with a lake, whoever wrote it: each bad file is named for its defect."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from lake_events import DAY, SCHEMA, T0, api_activity, event, events
from old_parquet import two_levels, without_annotations

from cli_help import call
from ocsflake.lake import Lake
from ocsflake.lake._checks import CHECKS
from ocsflake.lake.doctor import Diagnosis, Finding, doctor
from ocsflake.lake.storage import DirectoryStorage
from ocsflake.testing.faults import FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE = "ext/aws_cloudtrail_6003/"
FOLDER = SOURCE + "region=us-east-1/accountId=123456789012/eventDay=20240101/"
KEY = FOLDER + "a.parquet"


def good(count: int = 20, seed: int = 0) -> pa.Table:
    """Events as they should be: of one day, in order, and valid."""
    table = pa.Table.from_batches([events(count, seed)])
    table = table.set_column(
        table.schema.get_field_index("activity_id"), "activity_id", pa.array([2] * count, pa.int32())
    )
    return table.sort_by("time")


def changed(table: pa.Table, name: str, values: Any) -> pa.Table:
    """Return a table with another column in place of one of its own."""
    return table.set_column(table.schema.get_field_index(name), name, values)


def write(root: Path, table: pa.Table, key: str = KEY, **options: Any) -> None:
    path = root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **{"compression": "zstd", "store_schema": False} | options)


def found(root: Path, **options: Any) -> dict[str, str]:
    """Return the problems by check; the first of each."""
    findings = doctor(DirectoryStorage(root), **options).findings
    return {finding.check: finding.problem for finding in reversed(findings)}


def test_a_lake_asks_for_its_region(tmp_path: Path) -> None:
    """What `Lake.doctor` is given is looked for."""
    write(tmp_path, good())

    assert Lake(tmp_path).doctor(region="us-east-1").findings == ()
    assert {finding.check for finding in Lake(tmp_path).doctor(region="eu-west-1").findings} == {"region"}


def test_a_lake_of_ours_has_nothing_wrong(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with lake.begin("c") as commit:
        commit.write(api_activity(good(200).combine_chunks().to_batches()[0]))
        commit.publish()

    diagnosis = lake.doctor()

    assert (diagnosis.findings, diagnosis.objects, diagnosis.rows) == ((), 1, 200)
    assert str(diagnosis) == "objects=1 rows=200 errors=0 warnings=0"


def test_a_good_file_of_another_program_has_nothing_wrong(tmp_path: Path) -> None:
    write(tmp_path, good())

    assert found(tmp_path) == {}


BAD_KEYS = {
    "lower-case partitions": (
        SOURCE + "region=us-east-1/accountid=123456789012/eventday=20240101/a.parquet",
        {"partition-name": "the partition accountid= is to be accountId="},
    ),
    "AWS_account instead of accountId": (
        SOURCE + "region=us-east-1/AWS_account=123456789012/eventDay=20240101/a.parquet",
        {"partition-name": "the partition AWS_account= is to be accountId="},
    ),
    "eventHour of the preview": (
        SOURCE + "region=us-east-1/accountId=123456789012/eventHour=2024010106/a.parquet",
        {
            "day-format": "eventDay=2024010106 is no day of eight digits",
            "partition-name": "the partition eventHour= is to be eventDay=",
        },
    ),
    "no region and no account": (
        "out/6003/eventDay=20240101/part-0.parquet",
        {
            "object-name": "its name is a counter or a time, which another writer may give as well",
            "key": "there is no region= and no accountId= in the key",
        },
    ),
    "no partitions": (
        "out/events.parquet",
        {"key": "there is no region= and no accountId= and no eventDay= in the key"},
    ),
    "partitions out of order": (
        SOURCE + "accountId=123456789012/region=us-east-1/eventDay=20240101/a.parquet",
        {"key": "the partitions are accountId/region/eventDay, and not the last three folders in order"},
    ),
    "a folder below the day": (
        FOLDER + "hour/a.parquet",
        {"key": "the partitions are region/accountId/eventDay, and not the last three folders in order"},
    ),
    "another product's partitions": (
        "source=a/event=b/year=2024/month=01/day=01/hour=06/a.parquet",
        {
            "day-format": "eventDay=01 is no day of eight digits",
            "partition-name": "there is no partition source=",
            "key": "there is no region= and no accountId= in the key",
        },
    ),
    "a Google Cloud region": (
        SOURCE + "region=us-central1/accountId=123456789012/eventDay=20240101/a.parquet",
        {"region": "region=us-central1 is no AWS Region"},
    ),
    "an Azure location": (
        SOURCE + "region=westeurope/accountId=123456789012/eventDay=20240101/a.parquet",
        {"region": "region=westeurope is no AWS Region"},
    ),
    "region global": (
        SOURCE + "region=global/accountId=123456789012/eventDay=20240101/a.parquet",
        {"region": "region=global is no AWS Region"},
    ),
    "a day with dashes": (
        SOURCE + "region=us-east-1/accountId=123456789012/eventDay=2024-01-01/a.parquet",
        {"day-format": "eventDay=2024-01-01 is no day of eight digits"},
    ),
    "a day that is none": (
        SOURCE + "region=us-east-1/accountId=123456789012/eventDay=20241301/a.parquet",
        {
            "event-day": "eventDay=20241301 holds events of 20240101",
            "day-format": "eventDay=20241301 is no day of eight digits",
        },
    ),
    "an account that is no number": (
        SOURCE + "region=us-east-1/accountId=my account/eventDay=20240101/a.parquet",
        {"account-form": "accountId=my account is neither 12 digits nor external_ID"},
    ),
    "an account that is a path": (
        SOURCE + "region=us-east-1/accountId=12:34/eventDay=20240101/a.parquet",
        {"account-form": "accountId=12:34 is neither 12 digits nor external_ID"},
    ),
    "a name that is too long": (
        "ext/CrowdStrike_NETWORK_ACTIVITY/region=us-east-1/accountId=123456789012/eventDay=20240101/a.parquet",
        {"source-name": "the source name 'CrowdStrike_NETWORK_ACTIVITY' has 28 characters"},
    ),
    "a name with a dot": (
        "ext/acme.audit/region=us-east-1/accountId=123456789012/eventDay=20240101/a.parquet",
        {"source-name": "the source name is 'acme.audit'"},
    ),
    "a class that is not the name's": (
        "ext/acme_3002/region=us-east-1/accountId=123456789012/eventDay=20240101/a.parquet",
        {"one-class": "class_uid is 6003, and the source is named for 3002"},
    ),
    "a file that is no Parquet by name": (FOLDER + "a.json", {"stray-file": "it is no .parquet object"}),
    "a table of files where the object should be": (
        FOLDER + "events.parquet/a.snappy.parquet",
        {"key": "the partitions are region/accountId/eventDay, and not the last three folders in order"},
    ),
    "named after a second": (
        FOLDER + "2024-01-01T06:00:00Z.zstd.parquet",
        {"object-name": "its name is a counter or a time, which another writer may give as well"},
    ),
    "named after a second since 1970": (
        FOLDER + "aws_cloudtrail_1704067200.parquet",
        {"object-name": "its name is a counter or a time, which another writer may give as well"},
    ),
    "named by a counter": (
        FOLDER + "part-0.parquet",
        {"object-name": "its name is a counter or a time, which another writer may give as well"},
    ),
}


@pytest.mark.parametrize("defect", BAD_KEYS)
def test_key(defect: str, tmp_path: Path) -> None:
    key, told = BAD_KEYS[defect]
    write(tmp_path, good(), key)

    assert found(tmp_path) == told


def test_a_region_that_is_not_the_lake_s(tmp_path: Path) -> None:
    write(tmp_path, good())

    assert found(tmp_path, region="eu-west-1") == {"region": "region=us-east-1, and the lake is in eu-west-1"}


@pytest.mark.parametrize(
    "name",
    ["1b4e28ba-2fa1-11d2-883f-0016d3cca427", "part-00000-1b4e28ba.c000", "aws_1704067200_1b4e28ba", "20240101.events"],
)
def test_names_that_no_other_writer_gives(name: str, tmp_path: Path) -> None:
    write(tmp_path, good(), f"{FOLDER}{name}.parquet")

    assert set(found(tmp_path)) == ({"object-name"} if name == "20240101.events" else set())


def test_strays_of_one_kind_are_one_finding(tmp_path: Path) -> None:
    for place in ("_SUCCESS", f"{FOLDER}_SUCCESS", f"{FOLDER}b/_SUCCESS"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()

    assert [finding.objects for finding in doctor(DirectoryStorage(tmp_path)).findings] == [1, 2]


def test_each_kind_of_a_defect_is_a_finding(tmp_path: Path) -> None:
    """However many objects have it, and whatever else is wrong with them by the same rule."""
    for number, folder in enumerate((FOLDER, FOLDER.replace("us-east-1", "us-central1"))):
        write(tmp_path, good(seed=number), f"{folder}a.parquet")
        write(tmp_path, good(seed=number + 2), f"{folder.replace('accountId', 'accountid')}a.parquet")
        write(tmp_path, good(seed=number + 4), f"{folder.replace('eventDay', 'eventday')}a.parquet")
        for suffix in ("csv", "json"):
            (tmp_path / folder / f"a.{suffix}").touch()

    findings = doctor(DirectoryStorage(tmp_path), region="eu-west-1").findings

    assert [(finding.check, finding.problem, finding.objects) for finding in findings] == [
        ("partition-name", "the partition eventday= is to be eventDay=", 2),
        ("partition-name", "the partition accountid= is to be accountId=", 2),
        ("region", "region=us-central1 is no AWS Region", 3),
        ("region", "region=us-east-1, and the lake is in eu-west-1", 3),
        ("stray-file", "it is no .parquet object", 2),
        ("stray-file", "it is no .parquet object", 2),
    ]
    assert str(findings[-1]).endswith("/a.json: it is no .parquet object (and 1 more objects); " + findings[-1].advice)


def test_many_days_are_told_in_brief(tmp_path: Path) -> None:
    table = good(5)
    write(tmp_path, changed(table, "time", pa.array([T0 + n * DAY for n in range(5)], pa.int64())))

    assert found(tmp_path) == {"event-day": "eventDay=20240101 holds events of 20240101, 20240102, 20240103 and 2 more"}


def test_order_is_looked_at_over_all_of_a_large_object(tmp_path: Path) -> None:
    """Also where one part of it ends and the next begins."""
    times = [T0 + 1] * 131_072 + [T0]
    table = good(1).take(pa.array([0] * len(times)))
    write(tmp_path, changed(table, "time", pa.array(times, pa.int64())))

    assert found(tmp_path) == {"sorted": "the events are not in the order of their time"}


def _pivoted(table: pa.Table) -> pa.Table:
    return pa.table({"events": [str(row) for row in table.to_pylist()[:3]]})


def _without(table: pa.Table, name: str) -> pa.Table:
    return table.drop_columns([name])


def _times(table: pa.Table, change: Callable[[pa.Array], pa.Array]) -> pa.Table:
    return changed(table, "time", change(table["time"]))


def _one_null_time(times: pa.ChunkedArray) -> pa.Array:
    return pa.array([None, *times.to_pylist()[1:]], pa.int64())


def _as_text(table: pa.Table) -> pa.Table:
    """Put every value through str(), as some transformations do."""
    names = ("activity_id", "category_uid", "severity_id")
    for name in names:
        table = changed(table, name, table[name].cast(pa.string()))
    return table


def _one_resource(table: pa.Table) -> pa.Table:
    return changed(table, "resources", pc.list_element(table["resources"].combine_chunks(), 0))


def _metadata(table: pa.Table, **values: Any) -> pa.Table:
    metadata = [row | values for row in table["metadata"].to_pylist()]
    kind = table.schema.field("metadata").type
    if isinstance(values.get("profiles"), str):
        kind = pa.struct([pa.field(f.name, pa.string() if f.name == "profiles" else f.type) for f in kind])
    return changed(table, "metadata", pa.array(metadata, kind))


def _binary_ips(table: pa.Table) -> pa.Table:
    ips = pa.array([bytes(16)] * table.num_rows, pa.binary(16))
    return changed(table, "src_endpoint", pa.StructArray.from_arrays([ips], ["ip"]))


def _sessions_in_seconds(table: pa.Table) -> pa.Table:
    actors = [
        actor | {"session": actor["session"] | {"created_time": actor["session"]["created_time"] // 1000}}
        for actor in table["actor"].to_pylist()
    ]
    return changed(table, "actor", pa.array(actors, table.schema.field("actor").type))


def _days(table: pa.Table, shift: int) -> pa.Table:
    return _times(table, lambda times: pc.add(times, shift))


BAD_TABLES: dict[str, tuple[Callable[[pa.Table], pa.Table], dict[str, str]]] = {
    "a table of one column for all events": (
        _pivoted,
        {
            "time": "there is no column time",
            "one-class": "there is no column class_uid",
            "ocsf": "class_uid: attribute_required_missing in 3 of 3 events",
        },
    ),
    "no time": (
        lambda t: _without(t, "time"),
        {"time": "there is no column time", "ocsf": "time: attribute_required_missing in 20 of 20 events"},
    ),
    "no class_uid": (
        lambda t: _without(t, "class_uid"),
        {
            "one-class": "there is no column class_uid",
            "ocsf": "class_uid: attribute_required_missing in 20 of 20 events",
        },
    ),
    "no metadata": (lambda t: _without(t, "metadata"), {"ocsf": "cloud: attribute_unknown in 20 of 20 events"}),
    "class_name written as classname": (
        lambda t: t.rename_columns({"class_name": "classname"}),
        {"ocsf": "classname: attribute_unknown in 20 of 20 events"},
    ),
    "time as text": (
        lambda t: _times(t, lambda v: v.cast(pa.timestamp("ms")).cast(pa.string())),
        {"time": "time is string", "ocsf": "time: attribute_wrong_type in 20 of 20 events"},
    ),
    "time as a timestamp": (
        lambda t: _times(t, lambda v: v.cast(pa.timestamp("ms", "UTC"))),
        {"time": "time is timestamp[ms, tz=UTC]", "ocsf": "time: attribute_wrong_type in 20 of 20 events"},
    ),
    "time as a float": (lambda t: _times(t, lambda v: v.cast(pa.float64())), {"time": "time is double"}),
    "time in seconds of 32 bits": (
        lambda t: _times(t, lambda v: pc.divide(v, 1000).cast(pa.int32())),
        {"time": "time is int32"},
    ),
    "another time in seconds": (
        _sessions_in_seconds,
        {"time-unit": "actor.session.created_time has 1704151435, which looks like seconds"},
    ),
    "time in seconds": (
        lambda t: _times(t, lambda v: pc.divide(v, 1000)),
        {"time-unit": "time has 1704151440, which looks like seconds"},
    ),
    "time in microseconds": (
        lambda t: _times(t, lambda v: pc.multiply(v, 1000)),
        {"time-unit": "time has 1704151440294000, which looks like micro- or nanoseconds"},
    ),
    "time before 1970": (
        lambda t: _times(t, pc.negate),
        {"time": "time has -1704151440294, before 1970", "sorted": "the events are not in the order of their time"},
    ),
    "an event without a time": (
        lambda t: _times(t, _one_null_time),
        {"time": "1 events have no time", "ocsf": "time: attribute_required_missing in 1 of 20 events"},
    ),
    "the day of processing": (
        lambda t: _days(t, -40 * DAY),
        {"event-day": "eventDay=20240101 holds events of 20231122"},
    ),
    "the day of a local zone": (
        lambda t: _days(t, -5 * 3_600_000),
        {"event-day": "eventDay=20240101 holds events of 20231231, 20240101"},
    ),
    "unsorted": (
        lambda t: t.sort_by([("time", "descending")]),
        {"sorted": "the events are not in the order of their time"},
    ),
    "no events": (lambda t: t.slice(0, 0), {"empty": "it holds no events"}),
    "values put through str()": (
        _as_text,
        {
            "column-type": "category_uid is string, and is to be int32",
            "ocsf": "activity_id: attribute_wrong_type in 20 of 20 events",
        },
    ),
    "an object where a list is due": (_one_resource, {"ocsf": "resources: attribute_wrong_type in 20 of 20 events"}),
    "profiles as one text": (
        lambda t: _metadata(t, profiles="cloud,datetime"),
        {"ocsf": "cloud: attribute_unknown in 20 of 20 events"},
    ),
    "a version with a v": (
        lambda t: _metadata(t, version="v1.1.0"),
        {"ocsf": "metadata.version: version_incompatible in 20 of 20 events"},
    ),
    "a version that never was": (
        lambda t: _metadata(t, version="0.1.0"),
        {
            "ocsf-version": "metadata.version is 0.1.0",
            "ocsf": "metadata.version: version_incompatible in 20 of 20 events",
        },
    ),
    "addresses as binary": (_binary_ips, {"ocsf": "src_endpoint.ip: attribute_wrong_type in 20 of 20 events"}),
    "time_dt as text": (
        lambda t: changed(t, "time_dt", t["time_dt"].cast(pa.string())),
        {
            "ocsf-advice": "time_dt: attribute_value_regex_not_matched in 20 of 20 events",
            "column-type": "time_dt is string, and is to be timestamp[ms, tz=UTC]",
        },
    ),
    "a column of type null": (
        lambda t: changed(t, "status_code", pa.nulls(t.num_rows)),
        {"null-column": "status_code has no type: it had no value when the object was written"},
    ),
    "unmapped as a struct": (
        lambda t: changed(t, "unmapped", pa.array([{"a": "1"}] * t.num_rows)),
        {"loose-object": "unmapped is a struct of their own keys"},
    ),
    "unmapped as text": (
        lambda t: changed(t, "unmapped", pa.array(["{}"] * t.num_rows)),
        {"loose-object": "unmapped is string", "ocsf": "unmapped: attribute_wrong_type in 20 of 20 events"},
    ),
    "the whole class": (
        lambda t: changed(t, "message", pa.array([{f"leaf{n}": "" for n in range(1001)}] * t.num_rows)),
        {
            "wide": "there are 1,061 columns, and a footer that every reader has to read first",
            "ocsf": "message: attribute_wrong_type in 20 of 20 events",
        },
    ),
}


@pytest.mark.parametrize("defect", BAD_TABLES)
def test_table(defect: str, tmp_path: Path) -> None:
    change, told = BAD_TABLES[defect]
    write(tmp_path, change(good()))

    problems = found(tmp_path)

    assert {check: text.partition(" (")[0] if check[:4] == "ocsf" else text for check, text in problems.items()} == told


def test_a_newer_ocsf_than_security_lake_takes(tmp_path: Path) -> None:
    write(tmp_path, _metadata(good(), version="1.7.0"))

    assert found(tmp_path)["ocsf-version"] == "metadata.version is 1.7.0"


def test_an_ocsf_whose_classes_had_other_numbers(tmp_path: Path) -> None:
    """There 3005 was API Activity; now it is User Access Management."""
    table = changed(good(), "class_uid", pa.array([3005] * 20, pa.int32()))
    write(tmp_path, _metadata(table, version="1.0.0-rc.2"))

    assert found(tmp_path)["ocsf-version"] == "metadata.version is 1.0.0-rc.2"


def test_a_class_that_ocsf_advises_against(tmp_path: Path) -> None:
    write(tmp_path, changed(good(), "class_uid", pa.array([2001] * 20, pa.int32())))

    assert found(tmp_path)["old-class"] == "class_uid is 2001, security_finding, which OCSF 1.1.0 advises against"


def test_classes_mixed_in_one_object(tmp_path: Path) -> None:
    write(tmp_path, changed(good(), "class_uid", pa.array([6003] * 10 + [3002] * 10, pa.int32())))

    problems = [f.problem for f in doctor(DirectoryStorage(tmp_path)).findings if f.check == "one-class"]

    assert "there are events of the classes 3002, 6003" in problems


def test_classes_mixed_in_one_source(tmp_path: Path) -> None:
    folder = FOLDER.replace("aws_cloudtrail_6003", "everything")
    write(tmp_path, good(), f"{folder}a.parquet")
    write(tmp_path, changed(good(seed=1), "class_uid", pa.array([3005] * 20, pa.int32())), f"{folder}b.parquet")

    assert found(tmp_path)["one-class"] == "class_uid is 3005, and others of this source have 6003"


def test_account_of_the_first_event_for_all(tmp_path: Path) -> None:
    rows = [event(random.Random(0), account=account, time=T0) for account in ("123456789012", "210987654321")]
    write(tmp_path, changed(pa.Table.from_pylist(rows, schema=SCHEMA), "activity_id", pa.array([2, 2], pa.int32())))

    assert found(tmp_path) == {"account": "accountId=123456789012 holds events of 210987654321"}


def test_one_external_account_for_all(tmp_path: Path) -> None:
    write(tmp_path, good(), KEY.replace("accountId=123456789012", "accountId=external_acme"))

    assert found(tmp_path) == {"account-form": "accountId=external_acme holds events of 123456789012"}


@pytest.mark.parametrize("codec", ["snappy", "gzip", "none"])
def test_a_codec_that_is_not_preferred(codec: str, tmp_path: Path) -> None:
    write(tmp_path, good(), compression=codec)

    name = {"none": "UNCOMPRESSED"}.get(codec, codec.upper())
    assert found(tmp_path) == {"codec": f"the codec is {name}"}


def test_text_that_only_arrow_calls_a_dictionary(tmp_path: Path) -> None:
    """Parquet has no such type, so it drifts from nothing."""
    write(tmp_path, good())
    table = good(seed=1)
    write(
        tmp_path, changed(table, "status", table["status"].dictionary_encode()), FOLDER + "b.parquet", store_schema=True
    )

    assert found(tmp_path) == {}


def test_codecs_mixed_in_one_source(tmp_path: Path) -> None:
    write(tmp_path, good())
    write(tmp_path, good(seed=1), FOLDER + "b.parquet", compression="gzip")

    assert found(tmp_path)["mixed-codecs"] == f"the codec is GZIP, and ZSTD in {KEY}"


def test_codecs_mixed_in_one_object(tmp_path: Path) -> None:
    write(tmp_path, good(), compression={"time": "snappy", "message": "zstd"})

    told = "the codec is SNAPPY and UNCOMPRESSED and ZSTD"
    assert found(tmp_path) == {"mixed-codecs": told, "codec": told}


def test_types_that_drift(tmp_path: Path) -> None:
    write(tmp_path, good())
    write(tmp_path, changed(good(seed=1), "type_uid", good()["type_uid"].cast(pa.int32())), FOLDER + "b.parquet")

    assert found(tmp_path) == {"mixed-types": f"type_uid is int32, and int64 in {KEY}"}


def test_a_column_that_is_null_in_one_file_only(tmp_path: Path) -> None:
    write(tmp_path, good())
    write(tmp_path, changed(good(seed=1), "message", pa.nulls(20)), FOLDER + "b.parquet")

    assert found(tmp_path) == {
        "null-column": "message has no type: it had no value when the object was written",
        "mixed-types": f"message is null, and string in {KEY}",
    }


def test_columns_that_come_and_go(tmp_path: Path) -> None:
    write(tmp_path, good())
    write(tmp_path, _without(good(seed=1), "status_code"), FOLDER + "b.parquet")

    assert found(tmp_path) == {"mixed-columns": f"1 columns are not in both it and {KEY}: status_code"}


def test_small_files(tmp_path: Path) -> None:
    for number in range(9):
        write(tmp_path, good(5, seed=number), f"{FOLDER}{number}x.parquet")

    assert found(tmp_path) == {"small-files": "there are 9 small objects in one partition"}


def test_a_retry_under_another_name(tmp_path: Path) -> None:
    write(tmp_path, good())
    write(tmp_path, good(), FOLDER + "retry.parquet")

    assert found(tmp_path) == {"duplicate": f"it has the same content as {KEY}"}


def test_large_objects_are_not_compared_as_a_whole(tmp_path: Path) -> None:
    """They are not in memory, and two are no copies of each other for that."""
    for number in range(2):
        texts = pa.array([random.Random(n).randbytes(900_000) for n in range(40)], pa.binary())
        table = changed(good(40, seed=number), "message", texts)
        write(tmp_path, table, f"{FOLDER}{number}x.parquet", use_dictionary=False, data_page_size=1)

    assert set(found(tmp_path)) == {"ocsf", "page-size"}


def test_events_that_were_read_twice(tmp_path: Path) -> None:
    """Another batch has some events of the first one again, so the contents differ."""
    write(tmp_path, good(30))
    again = pa.concat_tables([good(30).slice(10), good(5, seed=1)]).sort_by("time")
    write(tmp_path, again, FOLDER + "b.parquet")

    assert found(tmp_path) == {
        "repeated": f"20 of its first 25 events are in {KEY} or others, by metadata.uid and time"
    }


def test_a_finding_that_goes_on_is_no_repetition(tmp_path: Path) -> None:
    write(tmp_path, good())
    write(tmp_path, _times(good(), lambda times: pc.add(times, 1)), FOLDER + "b.parquet")

    assert found(tmp_path) == {}


def test_names_that_collide_in_glue(tmp_path: Path) -> None:
    write(tmp_path, good())
    write(tmp_path, good(seed=1), KEY.replace("aws_cloudtrail", "AWS-cloudtrail"))

    assert found(tmp_path) == {
        "glue-collision": "'aws_cloudtrail_6003' and 'AWS-cloudtrail_6003' have one table in Glue"
    }


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    write(tmp_path, good())
    data = (tmp_path / KEY).read_bytes()
    (tmp_path / KEY).write_bytes(data[: len(data) // 2])

    assert "parquet" in found(tmp_path)


def test_a_file_with_broken_pages(tmp_path: Path) -> None:
    write(tmp_path, good())
    data = bytearray((tmp_path / KEY).read_bytes())
    data[4:4000] = b"\xff" * 3996
    (tmp_path / KEY).write_bytes(data)

    assert "parquet" in found(tmp_path)


def test_pages_that_are_too_large(tmp_path: Path) -> None:
    """pyarrow does not hold the size of a page that it was asked for."""
    texts = [f"{n}" * 2000 for n in range(1000, 1600)]
    table = good(600)
    write(tmp_path, changed(table, "message", pa.array(texts)), data_page_size=1024 * 1024, use_dictionary=False)

    assert found(tmp_path) == {"page-size": "message has a page of 4.80 MB"}


def test_row_groups_that_are_too_large(tmp_path: Path) -> None:
    """A row group is measured as it is stored."""
    size = 90 * 1024 * 1024
    table = changed(good(3), "message", pa.array([bytes(size)] * 3, pa.binary()))
    write(tmp_path, table, compression="none", use_dictionary=False, write_statistics=False)

    assert found(tmp_path)["row-group-size"] == "row group 0 has 283 MB"


def test_lists_of_two_levels(tmp_path: Path) -> None:
    write(tmp_path, good())
    data = (tmp_path / KEY).read_bytes()
    (tmp_path / KEY).write_bytes(two_levels(data))

    assert found(tmp_path)["old-lists"] == "metadata.profiles is a list of two levels"


def test_a_column_that_repeats_outside_a_list(tmp_path: Path) -> None:
    """What Athena refuses with "REPEATED not supported outside LIST or MAP"."""
    write(tmp_path, good())
    data = (tmp_path / KEY).read_bytes()
    (tmp_path / KEY).write_bytes(without_annotations(data))

    assert found(tmp_path)["list-encoding"] == "metadata.profiles.list repeats outside a LIST or MAP"


def test_native_sources_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, good(), "aws/CLOUD_TRAIL_MGMT/2.0/region=us-east-1/accountId=1/eventDay=2/x.gz.parquet")
    write(tmp_path, good(), ".ocsflake/rejects/x.parquet")

    assert doctor(DirectoryStorage(tmp_path)).summary == (
        "objects=0 rows=0 errors=0 warnings=0, 1 of native sources passed over"
    )


def test_many_objects_with_one_defect_are_one_finding(tmp_path: Path) -> None:
    for number in range(70):
        folder = FOLDER.replace("eventDay=20240101", f"eventDay={20230101 + number % 20}")
        write(tmp_path, good(2, seed=number), f"{folder}{number}x.parquet")

    [finding] = doctor(DirectoryStorage(tmp_path)).findings

    assert (finding.check, finding.objects, finding.rule) == ("event-day", 70, 15)
    assert "(and 69 more objects)" in str(finding)


def tiny(rows: int = 1, **columns: Any) -> pa.Table:
    """Events of next to nothing, about which OCSF has much to say, and the doctor nothing else."""
    return pa.table({"time": [T0] * rows, "class_uid": [6003] * rows} | columns)


def beside_ocsf(root: Path, **options: Any) -> list[tuple[str, str, str, int]]:
    findings = doctor(DirectoryStorage(root), **options).findings
    return [(each.check, each.key, each.problem, each.objects) for each in findings if each.check[:4] != "ocsf"]


@pytest.mark.parametrize(("rows", "count", "small"), [(1, 8, False), (99_999, 9, True), (100_000, 9, False)])
def test_how_many_objects_of_what_size_are_small_files(rows: int, count: int, small: bool, tmp_path: Path) -> None:
    """An object of a hundred thousand events is large enough, and up to eight are no harm."""
    same = pa.array([0]).take(pa.array([0] * rows))
    for number in range(count):
        table = pa.table({"time": pc.add(same, T0), "class_uid": pc.add(same, 6003), "count": pc.add(same, number)})
        write(tmp_path, table, f"{FOLDER}{number}x.parquet", write_statistics=False)

    assert [check for check, *_ in beside_ocsf(tmp_path)] == ["small-files"] * small


def test_small_files_are_counted_by_partition(tmp_path: Path) -> None:
    """Eight in each of two are few; the first partition that has more is named."""
    days = {day: FOLDER.replace("20240101", f"2024010{day}") for day in (1, 2, 3, 4)}
    for day, count in {1: 8, 2: 9, 3: 8, 4: 10}.items():
        for number in range(count):
            table = tiny(time=[T0 + (day - 1) * DAY], n=[day * 100 + number])
            write(tmp_path, table, f"{days[day]}{number}x.parquet")

    assert beside_ocsf(tmp_path) == [
        ("small-files", days[2], "there are 9 small objects in one partition", 2),
    ]


def test_objects_are_compared_with_the_first_of_their_source(tmp_path: Path) -> None:
    """Each difference is told once, with the first object that has it, and what the first of all has."""
    write(tmp_path, tiny(a=[1], b=[1], c=[1], d=[1]))
    write(tmp_path, tiny(a=["1"], class_uid=[3002]), FOLDER + "b.parquet", compression="gzip")
    write(tmp_path, tiny(a=["2"], class_uid=[3005]), FOLDER + "c.parquet", compression="gzip")
    write(tmp_path, tiny(a=[2], b=[2], c=[2], d=[2]), FOLDER + "d.parquet")
    write(tmp_path, tiny(z=[1]), KEY.replace("aws_cloudtrail_6003", "other"), compression="zstd")

    b, c = FOLDER + "b.parquet", FOLDER + "c.parquet"
    assert beside_ocsf(tmp_path) == [
        ("one-class", b, "class_uid is 3002, and others of this source have 6003", 1),
        ("one-class", b, "class_uid is 3002, and the source is named for 6003", 2),
        ("one-class", c, "class_uid is 3005, and others of this source have 6003, 3002", 1),
        ("mixed-codecs", b, f"the codec is GZIP, and ZSTD in {KEY}", 2),
        ("mixed-types", b, f"a is string, and int64 in {KEY}", 2),
        ("codec", b, "the codec is GZIP", 2),
        ("mixed-columns", b, f"3 columns are not in both it and {KEY}: b, c, d", 2),
    ]


def test_many_columns_that_differ_are_told_in_brief(tmp_path: Path) -> None:
    write(tmp_path, tiny())
    write(tmp_path, tiny(d=[1], c=[1], b=[1], a=[1]), FOLDER + "b.parquet")

    [(_, _, problem, _)] = beside_ocsf(tmp_path)

    assert problem == f"4 columns are not in both it and {KEY}: a, b, c"


def test_copies_are_looked_for_in_one_partition(tmp_path: Path) -> None:
    """Where else an object lies says where it belongs; three copies are two too many."""
    for name in ("a", "b", "c"):
        write(tmp_path, tiny(), f"{FOLDER}{name}.parquet")
    write(tmp_path, tiny(), KEY.replace("123456789012", "external"))

    assert beside_ocsf(tmp_path) == [("duplicate", FOLDER + "b.parquet", f"it has the same content as {KEY}", 2)]


def test_events_that_come_again_from_several_objects(tmp_path: Path) -> None:
    """The one that most of them are in is named; another partition may have the same events."""
    ids = {"a": range(5), "b": range(5, 12), "c": range(3, 13), "d": [20]}
    for name, numbers in ids.items():
        table = tiny(len(numbers), metadata=[{"uid": str(number)} for number in numbers])
        write(tmp_path, table, f"{FOLDER}{name}.parquet")
    write(tmp_path, table, FOLDER.replace("123456789012", "external") + "e.parquet")

    text = f"9 of its first 10 events are in {FOLDER}b.parquet or others, by metadata.uid and time"
    assert beside_ocsf(tmp_path) == [("repeated", FOLDER + "c.parquet", text, 1)]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a" * 20, None),
        ("a" * 21, f"the source name '{'a' * 21}' has 21 characters"),
        ("a.b", "the source name is 'a.b'"),
        ("1a", "the source name is '1a'"),
        ("acme-6003", None),
        ("acme-3002", "class_uid is 6003, and the source is named for 3002"),
        ("acme_9999", None),
        ("acme_300", None),
        ("acme3002", None),
    ],
)
def test_names_of_sources(name: str, told: str | None, tmp_path: Path) -> None:
    write(tmp_path, tiny(), KEY.replace("aws_cloudtrail_6003", name))

    assert [problem for _, _, problem, _ in beside_ocsf(tmp_path)] == ([told] if told else [])


def test_only_below_ext_are_names_of_sources(tmp_path: Path) -> None:
    """Each that is wrong or collides is told; the prefix of the source is named."""
    below = KEY.removeprefix(SOURCE)
    for place in ("exports/a.b/", "a.b/", "ext/a.b/", "ext/c.d/x/", "ext/one-a/", "ext/one_a/", "ext/ONE_A/"):
        write(tmp_path, tiny(), place + below)

    assert beside_ocsf(tmp_path) == [
        ("glue-collision", "ext/one-a/", "'one-a' and 'ONE_A' have one table in Glue", 1),
        ("glue-collision", "ext/one_a/", "'one_a' and 'ONE_A' have one table in Glue", 1),
        ("source-name", "ext/a.b/", "the source name is 'a.b'", 1),
        ("source-name", "ext/c.d/x/", "the source name is 'c.d'", 1),
    ]


def test_only_what_is_below_a_prefix_is_looked_at(tmp_path: Path) -> None:
    write(tmp_path, tiny(2))
    write(tmp_path, tiny(), KEY.replace("6003", "6003x"))

    diagnosis = doctor(DirectoryStorage(tmp_path), SOURCE)

    assert (diagnosis.objects, diagnosis.rows, {finding.key for finding in diagnosis.findings}) == (1, 2, {KEY})


@pytest.mark.parametrize(
    ("key", "native"),
    [
        ("aws/VPC_FLOW/1.0/x.parquet", 1),
        ("aws/S3_DATA/2.0/region=us-east-1/x", 1),
        ("aws/vpc/1.0/x.parquet", 0),
        ("aws/VPC_FLOW/x.parquet", 0),
        ("ext/aws/VPC_FLOW/1.0/x.parquet", 0),
        ("a/.hidden/x.parquet", None),
        (".hidden", None),
    ],
)
def test_what_is_passed_over(key: str, native: int | None, tmp_path: Path) -> None:
    """Sources of Security Lake itself are counted; what is hidden is not."""
    (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / key).touch()

    diagnosis = doctor(DirectoryStorage(tmp_path))

    assert (diagnosis.native, diagnosis.objects) == (native or 0, 1 if native == 0 else 0)


def test_a_diagnosis_as_text() -> None:
    """One finding a line, whatever the key holds, then the numbers."""
    one = Finding(14, "account", "error", "ext/a/x.parquet", "accountId=1 holds\nevents of 2", "write each", 1_001)
    other = Finding(19, "codec", "warning", "ext/a/y.parquet", "the codec is GZIP", "compress")
    diagnosis = Diagnosis((one, other), objects=3, rows=7, native=1_002)

    assert diagnosis.errors == 1
    assert str(diagnosis).splitlines() == [
        str(one),
        "warning rule 19 codec: ext/a/y.parquet: the codec is GZIP; compress",
        "objects=3 rows=7 errors=1 warnings=1, 1,002 of native sources passed over",
    ]
    assert str(one).startswith("error rule 14 account: ext/a/x.parquet: accountId=1 holds")
    assert str(one).endswith("events of 2 (and 1,000 more objects); write each")
    assert repr(diagnosis) == f"<Diagnosis: {diagnosis.summary}>"
    assert Diagnosis((other,)).summary == "objects=0 rows=0 errors=0 warnings=1"


def test_a_diagnosis_in_a_notebook() -> None:
    """A row for each finding; no table if there is none."""
    finding = Finding(19, "codec", "warning", "ext/<a>", "GZIP", "compress & go", 2)

    assert Diagnosis((), objects=1)._repr_html_() == "<p>objects=1 rows=0 errors=0 warnings=0</p>"
    html = Diagnosis((finding,))._repr_html_()
    cells = [part.partition("</t")[0] for part in html.replace("<th>", "<td>").split("<td>")[1:]]
    assert cells[:7] == ["level", "rule", "check", "key", "problem", "objects", "advice"]
    assert cells[7:] == ["warning", "19", "codec", "ext/&lt;a&gt;", "GZIP", "2", "compress &amp; go"]
    assert html.count("<tr>") == html.count("</tr>") == 2
    assert re.findall(r">([^<]+)<", html) == ["objects=0 rows=0 errors=0 warnings=1", *cells]


class TestOnS3:
    def test_the_same_findings(self, moto: Any, rclone: Any, tmp_path: Path) -> None:
        write(tmp_path, good().sort_by([("time", "descending")]))
        for server in (moto, rclone):
            bucket = server.make_bucket()
            client = server.client()
            client.put_object(Bucket=bucket, Key=KEY, Body=(tmp_path / KEY).read_bytes())
            lake = Lake(f"s3://{bucket}", client=client)

            assert [finding.check for finding in lake.doctor().findings] == ["sorted"]

    def test_an_object_that_is_too_large_for_memory(self, rclone: Any, tmp_path: Path) -> None:
        """It is fetched once, and not page by page."""
        texts = pa.array([random.Random(n).randbytes(900_000) for n in range(40)], pa.binary())
        write(tmp_path, changed(good(40), "message", texts), use_dictionary=False, data_page_size=1)
        size = (tmp_path / KEY).stat().st_size
        bucket = rclone.make_bucket()
        with FaultProxy(rclone.url) as proxy:
            client = rclone.at(proxy.url).client()
            client.put_object(Bucket=bucket, Key=KEY, Body=(tmp_path / KEY).read_bytes())
            proxy.requests.clear()
            findings = Lake(f"s3://{bucket}", client=client).doctor().findings

            assert size > 32 << 20
            assert {finding.check for finding in findings} == {"ocsf", "page-size"}
            assert len(proxy.requests) < 10

    def test_a_key_that_begins_with_a_slash(self, moto: Any) -> None:
        bucket = moto.make_bucket()
        client = moto.client()
        client.put_object(Bucket=bucket, Key=f"/{KEY}", Body=b"x")

        [finding] = Lake(f"s3://{bucket}", client=client).doctor().findings

        assert finding.check == "key"


class TestCommand:
    def test_one_finding_a_line(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write(tmp_path, good(), KEY.replace("accountId", "accountid"))

        done = call(capsys, "doctor", tmp_path)

        assert done.code == 1
        assert done.out.startswith("error rule 12 partition-name: ext/")
        assert done.last == "objects=1 rows=20 errors=1 warnings=0"

    def test_json(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write(tmp_path, good(), compression="snappy")

        done = call(capsys, "doctor", tmp_path, "--json")

        assert done.code == 0  # a warning is no error
        assert json.loads(done.out) == {
            "rule": 19,
            "check": "codec",
            "level": "warning",
            "key": KEY,
            "problem": "the codec is SNAPPY",
            "advice": CHECKS["codec"].advice,
            "objects": 1,
        }

    def test_a_place_that_holds_nothing(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        done = call(capsys, "doctor", tmp_path / "nothing")

        assert (done.code, "holds no objects" in done.err) == (1, True)


def test_renders_in_a_notebook(tmp_path: Path) -> None:
    write(tmp_path, good(), KEY.replace("a.parquet", "<b>.parquet"), compression="snappy")

    html = doctor(DirectoryStorage(tmp_path))._repr_html_()

    assert "&lt;b&gt;.parquet" in html
    assert "the codec is SNAPPY" in html


def test_every_check_is_documented() -> None:
    """The page on lakes has each check beside its rule, and says which are warnings."""
    text = (Path(__file__).parents[2] / "docs" / "lake.md").read_text()
    rows = {row[0]: row[2] for line in text.splitlines() if (row := line.strip("| ").split(" | "))[2:]}
    warnings = text.partition("These are warnings")[2].partition(".")[0]

    for name, check in CHECKS.items():
        assert f"`{name}`" in rows[str(check.rule)]
        assert check.level == ("warning" if f"`{name}`" in warnings else "error")


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_says_what_to_do(name: str) -> None:
    """In a few words that end the line of a finding."""
    advice = CHECKS[name].advice

    assert advice[0].islower()
    assert not advice.endswith(".")
