"""Validating events of all kinds."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from ocsf_json_schema import get_ocsf_schema

from ocsflake.errors import ConfigError
from ocsflake.ocsf import Report, arrow_schema, load, validate, versions

if TYPE_CHECKING:
    from pathlib import Path

API: dict[str, Any] = {
    "activity_id": 2,
    "actor": {"user": {"name": "jane"}},
    "api": {"operation": "GetObject"},
    "category_uid": 6,
    "class_uid": 6003,
    "metadata": {"product": {"name": "CloudTrail", "vendor_name": "AWS"}, "version": "1.1.0"},
    "severity_id": 1,
    "src_endpoint": {"ip": "10.0.0.1"},
    "time": 1700000000000,
    "type_uid": 600302,
}
NETWORK: dict[str, Any] = {
    "activity_id": 6,
    "category_uid": 4,
    "class_uid": 4001,
    "cloud": {"provider": "AWS"},
    "dst_endpoint": {"ip": "10.0.0.2"},
    "metadata": {"product": {"name": "VPC", "vendor_name": "AWS"}, "version": "1.5.0", "profiles": ["cloud"]},
    "severity_id": 1,
    "src_endpoint": {"ip": "10.0.0.1"},
    "time": 1700000000000,
    "type_uid": 400106,
}
PATHS = [
    "activity_id",
    "actor.user.name",
    "api.operation",
    "category_uid",
    "class_uid",
    "metadata.product.name",
    "metadata.product.vendor_name",
    "metadata.version",
    "metadata.profiles",
    "severity_id",
    "src_endpoint.ip",
    "time",
    "type_uid",
]
SCHEMA = pa.schema(
    [field.with_nullable(True) for field in arrow_schema(load("1.1.0").event_class("api_activity"), PATHS)]
)


def found(report: Report) -> list[tuple[str, str, list[int]]]:
    return [(f.rule, f.attribute, f.rows.to_pylist()) for f in report.findings]


def table(*events: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(events), schema=SCHEMA)


def changed(event: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    event = copy.deepcopy(event)
    holder = event
    *above, name = path.split(".")
    for step in above:
        holder = holder[step]
    holder[name] = value
    return event


class TestInputs:
    BAD = changed(API, "severity_id", 7)

    @pytest.mark.parametrize(
        "events",
        [
            table(API, BAD),
            table(API, BAD).to_batches()[0],
            table(API, BAD).to_reader(),
            {"a": table(API), "b": table(BAD)},
            {"a": table(API).to_batches()[0], "b": table(), "c": table(BAD)},
            [API, BAD],
            (event for event in (API, BAD)),
            [json.dumps(API), json.dumps(BAD).encode()],
            f"{json.dumps(API)}\n\n{json.dumps(BAD)}\n",
            f"\r\n{json.dumps(API)}\r\n{json.dumps(BAD)}".encode(),
            bytearray(f"{json.dumps(API)}\n{json.dumps(BAD)}".encode()),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_of_all_kinds_are_numbered_in_their_order(self, events: Any) -> None:
        report = validate(events)

        assert report.rows == 2
        assert found(report) == [("attribute_enum_value_unknown", "severity_id", [1])]
        assert report.valid.to_pylist() == [True, False]

    def test_may_be_one_event(self) -> None:
        assert validate(API).rows == 1
        assert found(validate({})) == [("attribute_required_missing", "class_uid", [0])]

    @pytest.mark.parametrize("events", [[], "", b"\n", table(), {}.items()])
    def test_may_be_empty(self, events: Any) -> None:
        assert validate(events).rows == 0

    def test_may_be_many(self) -> None:
        events = [API] * 3000
        events[2999] = events[1] = changed(API, "no_such", 1)

        report = validate(events)

        assert report.rows == 3000
        assert found(report) == [("attribute_unknown", "no_such", [1, 2999])]

    def test_of_another_kind_are_refused(self) -> None:
        with pytest.raises(ConfigError, match="cannot validate int: give a pyarrow Table"):
            validate(5)

    def test_with_string_views_are_taken(self) -> None:
        """Though Arrow cannot take rows of them."""
        views = table(API, NETWORK, API).select(["activity_id", "class_uid", "severity_id"])
        metadata = pa.array([{"version": "1.1.0", "profiles": ["x"]}] * 3).cast(
            pa.struct([("version", pa.string_view()), ("profiles", pa.list_(pa.string_view()))])
        )
        views = views.append_column("metadata", metadata).append_column(
            "raw_data", pa.array(["a"] * 3, pa.string_view())
        )

        assert ("profile_unknown", "metadata.profiles[]", [0, 1, 2]) in found(validate(views))


class TestWhatAnEventIsJudgedBy:
    def test_classes_versions_and_profiles_may_be_mixed(self) -> None:
        events = [API, NETWORK, changed(API, "cloud", {"provider": "AWS"}), changed(NETWORK, "severity_id", 7)]

        assert found(validate(events)) == [
            ("attribute_unknown", "cloud", [2]),
            ("attribute_enum_value_unknown", "severity_id", [3]),
        ]

    def test_columns_may_be_mixed_too(self) -> None:
        with_profile = changed(API, "metadata.profiles", ["cloud"])
        with_both = changed(API, "metadata.profiles", ["cloud", "datetime"])
        mixed = table(with_profile, API, with_both, API)
        mixed = mixed.append_column("cloud", pa.array([{"provider": "AWS"}] * 4))

        assert found(validate(mixed)) == [("attribute_unknown", "cloud", [1, 3])]

    def test_a_list_of_profiles_with_a_null_is_not_the_absent_list(self) -> None:
        broken = changed(API, "metadata.profiles", ["cloud", None])
        mixed = table(broken, API).append_column("cloud", pa.array([{"provider": "AWS"}] * 2))

        assert found(validate(mixed)) == [
            ("attribute_unknown", "cloud", [1]),
            ("attribute_wrong_type", "metadata.profiles[]", [0]),
        ]

    def test_a_given_version_overrides_that_of_the_events(self) -> None:
        report = validate([API, changed(API, "metadata.version", "9.9.9")], "1.5.0")

        assert ("version_incorrect", "metadata.version", [0, 1]) in found(report)
        assert report.findings[-1].level == "warning"

    def test_an_export_file_overrides_it_too(self, tmp_path: Path) -> None:
        export = get_ocsf_schema("1.1.0")
        export["classes"]["api_activity"]["attributes"]["mine"] = {"type": "string_t"}
        (tmp_path / "mine.json").write_text(json.dumps(export))

        assert validate([changed(API, "mine", "x")], str(tmp_path / "mine.json")).invalid == 0

    def test_a_version_that_is_not_at_hand_is_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"at hand: 1\.0\.0-rc\.2"):
            validate([API], "0.1")

    @pytest.mark.parametrize("as_columns", [False, True])
    def test_events_without_it_are_invalid_and_not_looked_at_further(self, as_columns: bool) -> None:
        events = [
            API,
            changed(API, "class_uid", None),
            changed(API, "class_uid", 77),
            changed(API, "metadata.version", "9.9.9"),
        ]

        report = validate(table(*events) if as_columns else events)

        assert found(report) == [
            ("attribute_required_missing", "class_uid", [1]),
            ("class_uid_unknown", "class_uid", [2]),
            ("version_incompatible", "metadata.version", [3]),
        ]

    @pytest.mark.parametrize("uid", ["6003", True, 1.5, [6003], {"a": 1}])
    def test_a_class_uid_is_an_integer(self, uid: Any) -> None:
        columns = table(API).drop_columns(["class_uid"]).append_column("class_uid", pa.array([uid]))

        assert found(validate([changed(API, "class_uid", uid)])) == [("attribute_wrong_type", "class_uid", [0])]
        assert found(validate(columns)) == [("attribute_wrong_type", "class_uid", [0])]

    def test_a_class_uid_may_be_a_float_or_dictionary_encoded(self) -> None:
        assert validate([changed(API, "class_uid", 6003.0)]).invalid == 0
        for uids in (pa.array([6003.0]), pa.array([6003]).dictionary_encode()):
            columns = table(API).drop_columns(["class_uid"]).append_column("class_uid", uids)

            assert validate(columns).invalid == 0

    def test_columns_without_class_or_metadata_are_missing_them(self) -> None:
        assert found(validate(pa.table({"time": [1, 2]}))) == [("attribute_required_missing", "class_uid", [0, 1])]
        report = validate(pa.table({"class_uid": [6003], "metadata": ["x"]}))

        assert ("attribute_wrong_type", "metadata", [0]) in found(report)

    def test_metadata_that_is_not_what_it_should_be_is_judged_by_the_default(self) -> None:
        metadata = {"version": 5, "profiles": 7}

        assert found(validate([API | {"metadata": metadata}])) == [
            ("attribute_required_missing", "metadata.product", [0]),
            ("attribute_wrong_type", "metadata.profiles", [0]),
            ("attribute_wrong_type", "metadata.version", [0]),
        ]
        columns = table(API).drop_columns(["metadata"]).append_column("metadata", pa.array([metadata]))
        assert found(validate(columns)) == found(validate([API | {"metadata": metadata}]))

    def test_a_version_that_is_not_utf8_is_not_at_hand(self) -> None:
        text = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")])
        metadata = pa.StructArray.from_arrays([text], names=["version"])

        report = validate(pa.table({"class_uid": [6003], "metadata": metadata}))

        assert found(report) == [("version_incompatible", "metadata.version", [0])]

    def test_the_number_of_classes_and_profiles_is_not_limited(self) -> None:
        events = [
            {"class_uid": uid, "metadata": {"version": version}}
            for version in versions()[3:8]
            for uid in load(version).classes.values()
        ]

        report = validate(events)

        assert report.invalid == len(events) > 300


class TestJson:
    def test_that_is_none_is_reported_by_line(self) -> None:
        lines = [json.dumps(API), "{", b"\xff", "[" * 100_000, "5", "null", '{"a": "\\ud800"}']

        assert found(validate(lines)) == [
            ("attribute_wrong_type", "", [4, 5]),
            ("json_invalid", "", [1, 2, 3, 6]),
        ]

    def test_a_null_is_an_absent_attribute(self) -> None:
        event = changed(changed(API, "duration", None), "no_such", None)

        assert validate([event]).invalid == 0
        assert found(validate([changed(API, "time", None)])) == [("attribute_required_missing", "time", [0])]

    def test_a_null_in_a_list_is_of_a_wrong_type(self) -> None:
        assert found(validate([changed(API, "observables", [None])])) == [
            ("attribute_wrong_type", "observables[]", [0])
        ]

    def test_free_objects_and_json_values_are_not_looked_into(self) -> None:
        event = changed(API, "unmapped", {"a": {"b": [None, 1]}})
        for data in (None, 1, "x", [1, None], {"a": {}}, True):
            event = changed(event, "api.request", {"uid": "1", "data": data})

            assert validate([event]).invalid == 0

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("time", 1.0),
            ("time", 2**63 - 1),
            ("severity_id", 1.0),
            ("src_endpoint.location", {"coordinates": [1, 1.5]}),
            ("resources", ({"uid": "a tuple"},)),
            ("message", "ünïcode"),
        ],
    )
    def test_values_of_the_right_type(self, path: str, value: Any) -> None:
        assert validate([changed(API, path, value)]).invalid == 0

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("time", "1"),
            ("time", True),
            ("time", 1.5),
            ("time", float("nan")),
            ("time", float("inf")),
            ("time", 2**63),
            ("time", []),
            ("duration", 2**31),
            ("message", 1),
            ("message", "half a pair \ud800"),
            ("message", {}),
            ("actor", "jane"),
            ("actor.user", []),
            ("actor.session", {"uid": "x", "is_mfa": 1}),
            ("unmapped", "{}"),
            ("observables", {}),
            ("metadata.profiles", "cloud"),
            ("src_endpoint.location", {"coordinates": ["1"]}),
            ("src_endpoint.location", {"coordinates": [True]}),
            ("src_endpoint.location", {"coordinates": [10**400]}),
        ],
    )
    def test_values_of_a_wrong_type(self, path: str, value: Any) -> None:
        report = validate([API, changed(API, path, value)])

        (only,) = report.findings
        assert only.rule == "attribute_wrong_type"
        assert only.attribute.startswith(path)
        assert only.rows.to_pylist() == [1]

    def test_a_wrong_type_is_not_reported_as_missing_too(self) -> None:
        without = copy.deepcopy(API)
        del without["metadata"]["product"]["vendor_name"]
        events = [
            changed(API, "metadata.product.vendor_name", 5),
            without,
            changed(API, "src_endpoint", {"ip": 5}),
            changed(API, "src_endpoint", {"port": 5}),
        ]

        assert found(validate(events)) == [
            ("attribute_required_missing", "metadata.product.vendor_name", [1]),
            ("attribute_wrong_type", "metadata.product.vendor_name", [0]),
            ("constraint_failed", "src_endpoint", [3]),
            ("attribute_wrong_type", "src_endpoint.ip", [2]),
        ]

    def test_elements_of_a_wrong_type_are_reported_once_a_row(self) -> None:
        event = changed(API, "resources", [{"uid": 1}, {"uid": 2}, {"no_such": 1}, {"no_such": 1}, 5])

        assert found(validate([event])) == [
            ("attribute_wrong_type", "resources[]", [0]),
            ("attribute_unknown", "resources[].no_such", [0]),
            ("attribute_wrong_type", "resources[].uid", [0]),
        ]

    def test_keys_need_not_be_text(self) -> None:
        assert found(validate([API | {5: 1}])) == [("attribute_unknown", "5", [0])]

    def test_details_say_what_was_expected_and_found(self) -> None:
        event = changed(changed(API, "observables", 5), "actor.user.nam", "x")

        details = {finding.attribute: finding.detail for finding in validate([event]).findings}

        assert details["observables"] == "expected a list of observable, got 5"
        assert "did you mean 'name'" in details["actor.user.nam"]

    def test_many_unknown_names_cost_no_search_for_near_ones(self) -> None:
        report = validate([API | {f"name{number}": 1 for number in range(1000)}])

        assert len(report.findings) == 1000
        assert sum(finding.detail == "no such attribute" for finding in report.findings) > 900

    def test_depth_is_bounded(self) -> None:
        process: dict[str, Any] = {"pid": 1}
        for _ in range(5000):
            process = {"parent_process": process, "pid": 1}

        (only,) = validate([changed(API, "actor.process", process)]).findings

        assert only.rule == "attribute_wrong_type"
        assert only.attribute.count("parent_process") == 31


def test_old_versions_are_validated_as_far_as_they_go() -> None:
    """Of 1.0.0 and its candidates the patterns that do not compile are left out."""
    for version in ("1.0.0-rc.2", "1.0.0-rc.3", "1.0.0"):
        schema = load(version)
        events = [{"class_uid": uid, "metadata": {"version": version}} for uid in schema.classes.values()]

        report = validate(events)

        assert {finding.rule for finding in report.findings} <= {"attribute_required_missing", "constraint_failed"}
        assert report.rows == len(events)
