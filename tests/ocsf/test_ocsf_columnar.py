"""Validating Arrow columns."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from ocsf_json_schema import get_ocsf_schema

from ocsflake.errors import SchemaError
from ocsflake.ocsf import Report, arrow_schema, compile_validator, load

if TYPE_CHECKING:
    from pathlib import Path

    from ocsflake.ocsf import EventClass

PATHS = [
    "activity_id",
    "activity_name",
    "actor.user.name",
    "actor.user.type",
    "actor.user.type_id",
    "api.operation",
    "category_uid",
    "class_uid",
    "metadata.product.name",
    "metadata.product.vendor_name",
    "metadata.profiles",
    "metadata.version",
    "observables",
    "resources[].uid",
    "severity_id",
    "src_endpoint.ip",
    "src_endpoint.port",
    "src_endpoint.domain",
    "time",
    "time_dt",
    "type_uid",
    "unmapped",
]
EVENT: dict[str, Any] = {
    "activity_id": 2,
    "actor": {"user": {"name": "jane"}},
    "api": {"operation": "GetObject"},
    "category_uid": 6,
    "class_uid": 6003,
    "metadata": {
        "product": {"name": "CloudTrail", "vendor_name": "AWS"},
        "profiles": ["datetime"],
        "version": "1.1.0",
    },
    "severity_id": 1,
    "src_endpoint": {"ip": "10.0.0.1"},
    "time": 1700000000000,
    "type_uid": 600302,
}
API = load("1.1.0").event_class("api_activity", ["datetime"])
SCHEMA = pa.schema([field.with_nullable(True) for field in arrow_schema(API, PATHS)])


def found(report: Report) -> list[tuple[str, str, str, list[int]]]:
    return [(f.level, f.rule, f.attribute, f.rows.to_pylist()) for f in report.findings]


def check(*events: dict[str, Any], warnings: bool = True) -> list[tuple[str, str, str, list[int]]]:
    """Validate complete events that differ from `EVENT` in top-level attributes."""
    batch = pa.RecordBatch.from_pylist([EVENT | event for event in events], schema=SCHEMA)
    return found(compile_validator(API, SCHEMA, warnings=warnings)(batch))


def check_column(path: str, values: pa.Array) -> list[tuple[str, str, str, list[int]]]:
    """Validate good events, but for these values at a path; of what is found, return what is at the path."""
    names = path.split(".")
    batch = pa.RecordBatch.from_pylist([EVENT] * len(values), schema=SCHEMA)
    column = _replace(batch.to_struct_array(), names, values)
    batch = pa.RecordBatch.from_struct_array(column)
    report = compile_validator(API, batch.schema)(batch)
    return [each for each in found(report) if each[2].startswith(path)]


def _replace(struct: pa.StructArray, names: list[str], values: pa.Array) -> pa.StructArray:
    children = dict(zip([field.name for field in struct.type], struct.flatten(), strict=True))
    below = names[1:]
    children[names[0]] = _replace(children[names[0]], below, values) if below else values
    return pa.StructArray.from_arrays(list(children.values()), names=list(children))


class TestGoodEvents:
    def test_are_valid_and_have_no_findings(self) -> None:
        batch = pa.RecordBatch.from_pylist([EVENT] * 3, schema=SCHEMA)

        report = compile_validator(API, SCHEMA)(batch)

        assert (report.rows, report.invalid, report.findings) == (3, 0, ())
        assert report.valid.to_pylist() == [True] * 3

    def test_may_be_none(self) -> None:
        report = compile_validator(API, SCHEMA)(pa.RecordBatch.from_pylist([], schema=SCHEMA))

        assert (report.rows, report.invalid) == (0, 0)

    def test_may_be_a_slice(self) -> None:
        batch = pa.RecordBatch.from_pylist([EVENT | {"time": None}, EVENT, EVENT | {"time": None}], schema=SCHEMA)

        report = compile_validator(API, SCHEMA)(batch.slice(1))

        assert report.valid.to_pylist() == [True, False]

    def test_of_another_schema_are_refused(self) -> None:
        validator = compile_validator(API, SCHEMA)

        with pytest.raises(SchemaError, match="compiled for another schema"):
            validator(pa.record_batch({"time": pa.array([1])}))


class TestRequired:
    def test_attributes_of_the_class_must_be_there(self) -> None:
        assert check(EVENT, {"time": None, "severity_id": None}, {"time": None}) == [
            ("error", "attribute_required_missing", "severity_id", [1]),
            ("error", "attribute_required_missing", "time", [1, 2]),
        ]

    def test_attributes_of_an_object_must_be_there_where_the_object_is(self) -> None:
        metadata = EVENT["metadata"] | {"product": {"name": "x", "vendor_name": None}}

        assert check(EVENT, {"metadata": metadata}, {"metadata": None}) == [
            ("error", "attribute_required_missing", "metadata", [2]),
            ("error", "attribute_required_missing", "metadata.product.vendor_name", [1]),
        ]

    def test_an_empty_object_is_there(self) -> None:
        assert ("error", "attribute_required_missing", "metadata.product", [0]) in check({"metadata": {}})

    def test_attributes_of_list_elements_are_found_in_their_rows(self) -> None:
        named, nameless = {"name": "a", "type_id": 1}, {"type_id": 1}

        assert check(EVENT, {"observables": [named, nameless, nameless]}, {"observables": [nameless]}) == [
            ("error", "attribute_required_missing", "observables[].name", [1, 2])
        ]

    def test_a_column_that_is_not_there_is_missing_in_all_rows(self) -> None:
        schema = SCHEMA.remove(SCHEMA.get_field_index("time"))
        batch = pa.RecordBatch.from_pylist([EVENT] * 2, schema=schema)

        report = compile_validator(API, schema)(batch)

        assert found(report) == [("error", "attribute_required_missing", "time", [0, 1])]

    def test_elements_behind_a_null_list_do_not_count(self) -> None:
        elements = pa.array([{"name": "a"}, {"type_id": 1}, {"name": "b"}], SCHEMA.field("observables").type.value_type)
        lists = pa.ListArray.from_arrays(
            pa.array([0, 1, 2, 3], pa.int32()), elements, mask=pa.array([False, True, False])
        )

        assert check_column("observables", lists) == [
            ("error", "attribute_required_missing", "observables[].type_id", [0, 2])
        ]


class TestEnums:
    def test_values_are_those_of_the_schema(self) -> None:
        assert check(EVENT, {"severity_id": 7}, {"severity_id": -1}, {"severity_id": 99, "severity": "x"}) == [
            ("error", "attribute_enum_value_unknown", "severity_id", [1, 2]),
            ("warning", "attribute_enum_sibling_missing", "severity_id", [3]),
        ]

    def test_of_list_elements_are_found_in_their_rows(self) -> None:
        lists = [[{"name": "a", "type_id": 777}], [{"name": "a", "type_id": 1}, {"name": "a", "type_id": 777}]]

        assert check(EVENT, *({"observables": each} for each in lists)) == [
            ("error", "attribute_enum_value_unknown", "observables[].type_id", [1, 2])
        ]

    def test_in_lists_have_a_rule_of_their_own(self) -> None:
        dns = load("1.1.0").event_class("dns_activity")
        schema = arrow_schema(dns, ["answers[].flag_ids", "answers[].rdata"])
        batch = pa.RecordBatch.from_pylist([{"answers": [{"flag_ids": [1, 777], "rdata": "x"}]}], schema=schema)

        report = compile_validator(dns, schema)(batch)

        assert ("error", "attribute_enum_array_value_unknown", "answers[].flag_ids[]", [0]) in found(report)

    def test_may_be_of_text(self) -> None:
        osint = load("1.8.0").event_class("detection_finding", ["osint"])
        schema = arrow_schema(osint, ["osint[].tlp"])
        batch = pa.RecordBatch.from_pylist([{"osint": [{"tlp": "RED"}]}, {"osint": [{"tlp": "red"}]}], schema=schema)

        report = compile_validator(osint, schema)(batch)

        assert ("error", "attribute_enum_value_unknown", "osint[].tlp", [1]) in found(report)

    def test_other_wants_the_word_of_the_source(self) -> None:
        other = {"activity_id": 99, "type_uid": 600399}

        assert check(other, other | {"activity_name": "Assume"}, {}) == [
            ("warning", "attribute_enum_sibling_missing", "activity_id", [0])
        ]
        assert check(other, warnings=False) == []

    def test_other_wants_it_even_when_there_is_no_column_for_it(self) -> None:
        assert check(EVENT | {"severity_id": 99}) == [("warning", "attribute_enum_sibling_missing", "severity_id", [0])]


class TestConstraints:
    def test_at_least_one(self) -> None:
        assert check(
            EVENT, {"src_endpoint": {"port": 443}}, {"src_endpoint": None}, {"src_endpoint": {"ip": "::1"}}
        ) == [
            ("error", "attribute_required_missing", "src_endpoint", [2]),
            ("error", "constraint_failed", "src_endpoint", [1]),
        ]

    def test_just_one(self) -> None:
        event_class = load("1.1.0").event_class("authorize_session")
        schema = arrow_schema(event_class, ["group.name", "privileges"])
        events = [{"privileges": ["a"]}, {"group": {"name": "b"}}, {"privileges": [], "group": {"name": "c"}}, {}]
        batch = pa.RecordBatch.from_pylist(events, schema=schema)

        report = compile_validator(event_class, schema)(batch)

        assert [each for each in found(report) if each[1] == "constraint_failed"] == [
            ("error", "constraint_failed", "", [2, 3])
        ]
        good = compile_validator(event_class, schema)(batch.slice(0, 2))
        assert "constraint_failed" not in {finding.rule for finding in good.findings}

    @pytest.mark.parametrize(
        ("device", "failed"),
        [
            ({"os": {"sp_name": "SP1", "name": "x"}}, [1, 2]),
            ({"os": {"name": "x"}}, [0, 1, 2]),
        ],
    )
    def test_dotted_names_are_paths(self, device: dict[str, Any], failed: list[int]) -> None:
        event_class = load("1.1.0").event_class("patch_state")
        leaves = [f"device.os.{name}" for name in device["os"]]
        schema = arrow_schema(event_class, leaves)
        events = [{"device": device}, {"device": {"os": {"name": "x"}}}, {"device": {}}]
        batch = pa.RecordBatch.from_pylist(events, schema=schema)

        report = compile_validator(event_class, schema)(batch)

        assert ("error", "constraint_failed", "", failed) in found(report)

    def test_a_path_through_what_is_no_object_leads_nowhere(self) -> None:
        event_class = load("1.1.0").event_class("patch_state")
        batch = pa.record_batch({"device": pa.array([1])})

        report = compile_validator(event_class, batch.schema)(batch)

        assert ("error", "constraint_failed", "", [0]) in found(report)


class TestLimits:
    def test_range(self) -> None:
        ports = [{"src_endpoint": {"ip": "::1", "port": port}} for port in (0, 65535, 65536, -1, None)]

        assert check(*ports) == [("error", "attribute_value_exceeds_range", "src_endpoint.port", [2, 3])]

    def test_max_len_counts_characters(self) -> None:
        texts = ["é" * 65535, "é" * 65536, "x" * 65536]

        assert check(*({"activity_name": text} for text in texts)) == [
            ("error", "attribute_value_exceeds_max_len", "activity_name", [1, 2])
        ]
        assert check({"activity_name": texts[0]}) == []

    def test_a_pattern_that_is_not_met_only_warns(self) -> None:
        wrong = {"src_endpoint": {"ip": "not an ip"}}

        assert check(EVENT, wrong, wrong) == [
            ("warning", "attribute_value_regex_not_matched", "src_endpoint.ip", [1, 2])
        ]
        assert check(wrong, warnings=False) == []

    def test_patterns_that_do_not_compile_are_not_checked(self) -> None:
        event_class = load("1.0.0").event_class("network_activity")
        schema = arrow_schema(event_class, ["src_endpoint.ip"])
        batch = pa.RecordBatch.from_pylist([{"src_endpoint": {"ip": "?"}}], schema=schema)

        report = compile_validator(event_class, schema)(batch)

        assert all(finding.level == "error" for finding in report.findings)

    def test_text_that_is_not_utf8_does_no_harm(self) -> None:
        text = pa.Array.from_buffers(
            pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")]
        )

        assert check_column("src_endpoint.ip", text) == [
            ("warning", "attribute_value_regex_not_matched", "src_endpoint.ip", [0])
        ]


class TestTheEventAsAWhole:
    def test_type_uid_is_made_of_class_and_activity(self) -> None:
        assert check(EVENT, {"type_uid": 600301}, {"type_uid": None}, {"type_uid": 600399, "activity_id": 99}) == [
            ("error", "attribute_required_missing", "type_uid", [2]),
            ("error", "type_uid_incorrect", "type_uid", [1]),
            ("warning", "attribute_enum_sibling_missing", "activity_id", [3]),
        ]

    def test_type_uid_is_not_compared_if_it_is_no_number(self) -> None:
        assert check_column("type_uid", pa.array(["600302"])) == [("error", "attribute_wrong_type", "type_uid", [0])]

    def test_profiles_must_be_known(self) -> None:
        metadata = EVENT["metadata"] | {"profiles": ["datetime", "clod"]}

        assert check(EVENT, {"metadata": metadata}) == [("error", "profile_unknown", "metadata.profiles[]", [1])]

    def test_another_version_warns(self) -> None:
        metadata = EVENT["metadata"] | {"version": "1.2.0"}

        assert check(EVENT, {"metadata": metadata}) == [("warning", "version_incorrect", "metadata.version", [1])]
        assert check({"metadata": metadata}, warnings=False) == []


class TestTypes:
    @pytest.mark.parametrize(
        ("path", "values"),
        [
            ("severity_id", pa.array([1, None, 6], pa.int8())),
            ("severity_id", pa.array([1, 99], pa.uint64())),
            ("severity_id", pa.array([1.0, 6.0])),
            ("severity_id", pa.array([1.0, 6.0], pa.float16())),
            ("severity_id", pa.array([1, 6]).dictionary_encode()),
            ("time", pa.array([1.0, 2.0**62])),
            ("time", pa.array([1], pa.uint8())),
            ("time_dt", pa.array([None], pa.timestamp("ns"))),
            ("time_dt", pa.array([0], pa.timestamp("ms")).dictionary_encode()),
            ("time_dt", pa.array(["2024-01-01T00:00:00Z"])),
            ("src_endpoint.ip", pa.array(["::1"], pa.large_string())),
            ("src_endpoint.ip", pa.array(["::1"], pa.string_view())),
            ("src_endpoint.ip", pa.array(["::1", None]).dictionary_encode()),
            ("src_endpoint.ip", pa.nulls(2)),
            ("src_endpoint.ip", pa.nulls(2, pa.int32())),
            ("metadata.version", pa.array(["1.1.0"]).dictionary_encode()),
            ("metadata.profiles", pa.array([["datetime"], None], pa.large_list(pa.string()))),
            ("metadata.profiles", pa.array([["datetime"]], pa.list_(pa.string(), 1))),
            ("metadata.profiles", pa.array([["datetime"], None, []], pa.list_view(pa.string()))),
            ("metadata.profiles", pa.array([[]], pa.list_(pa.null()))),
            ("unmapped", pa.array([{"a": 1}])),
            ("unmapped", pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64()))),
        ],
        ids=lambda value: str(value.type) if isinstance(value, pa.Array) else value,
    )
    def test_that_can_hold_an_attribute_are_taken(self, path: str, values: pa.Array) -> None:
        wrong = [each for each in check_column(path, values) if each[:2] == ("error", "attribute_wrong_type")]

        assert wrong == []

    @pytest.mark.parametrize(
        ("path", "values", "rows"),
        [
            ("severity_id", pa.array(["1", None]), [0]),
            ("severity_id", pa.array([True]), [0]),
            ("severity_id", pa.array([1.5, 1.0, None]), [0]),
            ("severity_id", pa.array([float("nan"), float("inf"), 1.0]), [0, 1]),
            ("time", pa.array([1.0, 2.0**63]), [1]),
            ("time", pa.array([1, 2**63], pa.uint64()), [1]),
            ("time", pa.array([None, 1], pa.timestamp("ms")), [1]),
            ("time_dt", pa.array([1]), [0]),
            ("actor.user", pa.array(["jane"]), [0]),
            ("actor.user", pa.array([[("name", "jane")]], pa.map_(pa.string(), pa.string())), [0]),
            ("src_endpoint.ip", pa.array([b"x"]), [0]),
            ("src_endpoint.ip", pa.array([["x"]]), [0]),
            ("metadata.profiles", pa.array(["datetime"]), [0]),
            ("unmapped", pa.array(["{}"]), [0]),
            ("observables", pa.array([{"name": "x"}]), [0]),
        ],
        ids=lambda value: str(value.type) if isinstance(value, pa.Array) else str(value),
    )
    def test_that_cannot_are_errors_where_a_value_is(self, path: str, values: pa.Array, rows: list[int]) -> None:
        assert ("error", "attribute_wrong_type", path, rows) in check_column(path, values)

    def test_integers_of_32_bits_may_stand_in_wider_columns(self) -> None:
        process = load("1.1.0").event_class("process_activity")
        values = pa.array([2**31 - 1, 2**31, -(2**31), -(2**31) - 1])
        batch = pa.record_batch({"process": pa.StructArray.from_arrays([values], names=["pid"])})

        report = compile_validator(process, batch.schema)(batch)

        assert ("error", "attribute_wrong_type", "process.pid", [1, 3]) in found(report)

    def test_a_null_in_a_list_is_of_the_wrong_type(self) -> None:
        assert check_column("metadata.profiles", pa.array([["datetime", None], ["datetime"]])) == [
            ("error", "attribute_wrong_type", "metadata.profiles[]", [0])
        ]

    def test_json_is_of_any_type(self) -> None:
        api = pa.array([{"operation": "x", "request": {"uid": "1", "data": [1, 2]}}])

        assert check_column("api", api) == []

    def test_extension_types_count_as_what_they_store(self) -> None:
        json = pa.ExtensionArray.from_storage(pa.json_(), pa.array(["10.0.0.1", "x"]))
        list_of = pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), json)

        assert check_column("src_endpoint.ip", json) == [
            ("warning", "attribute_value_regex_not_matched", "src_endpoint.ip", [1])
        ]
        assert check_column("metadata.profiles", list_of) == [
            ("error", "profile_unknown", "metadata.profiles[]", [0, 1])
        ]

    def test_profiles_and_version_of_a_wrong_type_are_not_looked_into(self) -> None:
        assert check_column("metadata.profiles", pa.array([[{"a": 1}]])) == [
            ("error", "attribute_wrong_type", "metadata.profiles[]", [0])
        ]
        assert check_column("metadata.version", pa.array([{"a": 1}])) == [
            ("error", "attribute_wrong_type", "metadata.version", [0])
        ]


class TestUnknownColumns:
    def test_are_errors_where_a_value_is(self) -> None:
        batch = pa.RecordBatch.from_pylist([EVENT] * 2, schema=SCHEMA)
        batch = batch.append_column("cloud", pa.array([None, {"provider": "AWS"}]))
        batch = batch.append_column("nothing", pa.nulls(2))
        batch = batch.append_column("src_endpoint.ip", pa.array([None, "x"]))

        report = compile_validator(API, batch.schema)(batch)

        assert found(report) == [
            ("error", "attribute_unknown", "cloud", [1]),
            ("error", "attribute_unknown", "src_endpoint.ip", [1]),
        ]
        assert "exists only with the profile 'cloud'" in report.findings[0].detail
        assert "objects are structs" in report.findings[1].detail

    def test_are_found_in_objects_and_lists(self) -> None:
        assert check_column("resources", pa.array([[{"uid": "a"}], [{"uid": "b", "nothing": 1}]])) == [
            ("error", "attribute_unknown", "resources[].nothing", [1])
        ]


class TestPrivateExtensions:
    def event_class(self, tmp_path: Path) -> EventClass:
        export = get_ocsf_schema("1.1.0")
        export["types"]["share_t"] = {"type": "float_t", "range": [0, 1]}
        export["classes"]["base_event"]["attributes"]["share"] = {"type": "share_t"}
        export["classes"]["base_event"]["constraints"] = {"none_of": ["share"]}
        (tmp_path / "mine.json").write_text(json.dumps(export))
        return load(tmp_path / "mine.json").event_class("base_event")

    @pytest.mark.parametrize("kind", [pa.float16(), pa.float64()])
    def test_may_give_floats_a_range(self, tmp_path: Path, kind: pa.DataType) -> None:
        batch = pa.record_batch({"share": pa.array([0.5, 1.5, None, -0.5], kind)})
        validator = compile_validator(self.event_class(tmp_path), batch.schema)

        assert ("error", "attribute_value_exceeds_range", "share", [1, 3]) in found(validator(batch))
        assert "share" not in {finding.attribute for finding in validator(batch.slice(0, 1)).findings}

    def test_may_have_constraints_that_are_not_known(self, tmp_path: Path) -> None:
        batch = pa.record_batch({"share": pa.array([0.5])})

        report = compile_validator(self.event_class(tmp_path), batch.schema)(batch)

        assert "constraint_failed" not in {finding.rule for finding in report.findings}
