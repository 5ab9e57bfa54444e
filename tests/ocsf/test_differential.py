"""Verdicts against an independent oracle: jsonschema-rs over the JSON Schema that ocsf-json-schema generates."""

from __future__ import annotations

import functools
import random
from typing import Any

import jsonschema_rs
import pyarrow as pa
import pytest
from event_maker import break_event
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from ocsflake.ocsf import EventClass, load, validate
from ocsflake.ocsf._walk import Walk
from ocsflake.testing.events import make_event

VERSIONS = ("1.1.0", "1.3.0", "1.5.0", "1.8.0")
CLASSES = {
    "account_change": (),
    "api_activity": ("cloud", "datetime"),
    "authentication": ("host",),
    "authorize_session": (),
    "compliance_finding": ("cloud",),
    "detection_finding": ("cloud", "security_control"),
    "dns_activity": ("datetime",),
    "entity_management": (),
    "file_activity": ("host", "container"),
    "http_activity": ("network_proxy", "load_balancer"),
    "network_activity": ("cloud", "security_control", "datetime"),
    "process_activity": ("host", "container", "linux/linux_users"),
    "vulnerability_finding": (),
    "win/registry_key_activity": ("host", "datetime"),
}
EVENTS = 400  # of a class and version: 4 x 14 x 400 = 22,400

JSON_SCHEMA_RULES = {
    "attribute_unknown",
    "attribute_required_missing",
    "attribute_wrong_type",
    "attribute_enum_value_unknown",
    "attribute_enum_array_value_unknown",
    "attribute_value_exceeds_range",
    "attribute_value_exceeds_max_len",
    "attribute_value_regex_not_matched",
    "constraint_failed",
    "class_uid_unknown",
}
"""What JSON Schema can say.

It says that a regular expression is an error; it cannot relate ``type_uid`` to ``activity_id``, an enum to its sibling
or ``metadata.version`` to the schema's. Dotted constraints, which it takes for names and so always fails, are only in
``patch_state`` and ``evidence_info``: neither is among the classes.
"""


@functools.cache
def _export(version: str) -> dict[str, Any]:
    return get_ocsf_schema(version)


def _oracle(event_class: EventClass) -> Any:
    schema = OcsfJsonSchemaEmbedded(_export(event_class.version)).get_class_schema(
        class_name=event_class.name, profiles=sorted(event_class.profiles)
    )
    return jsonschema_rs.validator_for(schema)


def _without_nulls(value: Any) -> Any:
    """Leave null attributes out, as absent; a null in a list stays, and so does all in free objects."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _make_events(event_class: EventClass, count: int, seed: str) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    events = []
    for _ in range(count):
        event = make_event(rng, event_class)
        for _ in range(rng.choice((0, 0, 1, 1, 1, 2, 3))):
            event = break_event(rng, event)
        events.append(event)
    return events


def _verdicts(events: list[dict[str, Any]], version: str) -> list[bool]:
    """Return for each event whether it breaks none of the rules that JSON Schema knows."""
    report = validate(events, version)
    bad = {row for f in report.findings if f.rule in JSON_SCHEMA_RULES for row in f.rows.to_pylist()}
    return [row not in bad for row in range(len(events))]


@pytest.mark.parametrize("version", VERSIONS)
def test_verdicts_equal_those_of_the_json_schema(version: str) -> None:
    """Of thousands of events made from the schema and then broken, the same are valid to us and to the oracle."""
    schema = load(version)
    events, expected = [], []
    for name, wanted in CLASSES.items():
        event_class = schema.event_class(name, set(wanted) & schema.profiles())
        oracle = _oracle(event_class)
        made = _make_events(event_class, EVENTS, f"{version} {name}")
        events += made
        expected += [oracle.is_valid(_without_nulls(event)) for event in made]

    verdicts = _verdicts(events, version)

    differing = [(row, ours, _oracle_says(events[row])) for row, ours in enumerate(verdicts) if ours != expected[row]]
    assert not differing, differing[:3]
    assert 0.3 < sum(expected) / len(expected) < 0.7  # both verdicts are well represented


def _oracle_says(event: dict[str, Any]) -> list[str]:
    schema = load(event["metadata"]["version"])
    event_class = schema.event_class(event["class_uid"], event["metadata"]["profiles"])
    errors = _oracle(event_class).iter_errors(_without_nulls(event))
    return [f"{error.instance_path}: {error.message[:200]}" for error in errors]


@pytest.mark.parametrize("name", ["detection_finding", "network_activity"])
def test_columns_get_the_same_report_as_the_json_they_hold(name: str) -> None:
    """The road through Arrow columns finds what the road through JSON finds."""
    schema = load("1.5.0")
    event_class = schema.event_class(name, CLASSES[name])
    events = []
    for event in _make_events(event_class, 300, name):
        found = {finding.rule for finding in validate([event], "1.5.0").findings}
        if not found & {"attribute_unknown", "attribute_wrong_type"}:  # these do not fit a typed column
            events.append(event)
    batch, _, _ = Walk(event_class).columns(events)

    from_columns = validate(pa.Table.from_batches([batch]))
    from_json = validate(events)

    assert _as_data(from_json) == _as_data(from_columns)
    assert from_json.invalid > 20


def _as_data(report: Any) -> list[tuple[str, str, str, list[int]]]:
    return [(f.level, f.attribute, f.rule, f.rows.to_pylist()) for f in report.findings]
