"""A first mapper from a sample: it finds what names and kinds tell, it compiles, and a log is never code."""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ocsflake import samples
from ocsflake.cli import main
from ocsflake.errors import SchemaError
from ocsflake.mapping import Mapper
from ocsflake.mapping.scaffold import mapper_text, read_sample
from ocsflake.model import RawBatch
from ocsflake.testing.mappers import raw_batches

if TYPE_CHECKING:
    from pathlib import Path

SIGN_INS = [
    {
        "id": "a1",
        "ts": 1793512800,
        "event": "login",
        "outcome": "ok",
        "user": {"name": "alice", "id": 1001},
        "clientIp": "198.51.100.7",
        "service": "portal",
        "tags": ["a", "b"],
    },
    {"id": "a2", "ts": 1793512809, "event": "logout", "outcome": "denied", "user": {"name": "bob"}, "service": "vpn"},
]


def written(records: list[Any], event_class: str = "authentication") -> str:
    data = b"\n".join(json.dumps(record).encode() for record in records)
    return mapper_text("acme.vpn", event_class, read_sample([RawBatch(data)]))


def mapper(text: str) -> Mapper:
    names: dict[str, Any] = {}
    exec(compile(text, "scaffold.py", "exec"), names)
    found = names["MAPPER"]
    assert isinstance(found, Mapper)
    return found


def test_what_is_filled_anyway() -> None:
    """What the engine fills by itself is not in the table."""
    attributes = {line.attribute for line in mapper(written(SIGN_INS)).lineage()}

    assert {"metadata.version", "class_uid", "type_uid", "time_dt"} & attributes == set()


def test_what_it_finds() -> None:
    """Times, addresses, people and enums are found by their names and kinds; the sample maps as it stands."""
    text = written(SIGN_INS)

    fields = {line.attribute: line.raw_paths for line in mapper(text).lineage()}
    assert {
        name: fields[name] for name in ("time", "src_endpoint.ip", "user.name", "metadata.uid", "service.name")
    } == {
        "time": ("ts",),
        "src_endpoint.ip": ("clientIp",),
        "user.name": ("user.name",),
        "metadata.uid": ("id",),
        "service.name": ("service",),
    }
    assert 'at("ts").epoch("s")' in text
    assert 'at("event").lookup({"login": 1, "logout": 2}, default=99)' in text
    assert 'at("outcome").lookup({"ok": 1, "denied": 2}, default=99)' in text
    assert "100 %  text         user.name" in text
    mapped = mapper(text).map(RawBatch([json.dumps(record).encode() for record in SIGN_INS]))
    assert (mapped.mapped, mapped.rejects.to_pylist(), mapped.drift.unknown) == (2, [], {})


@pytest.mark.parametrize(
    ("log_type", "event_class"),
    [
        ("aws.cloudtrail", "api_activity"),
        ("aws.guardduty", "detection_finding"),
        ("aws.waf", "http_activity"),
        ("azure.signin", "authentication"),
        ("gcp.dns", "dns_activity"),
        ("gcp.vpc_flow", "network_activity"),
        ("microsoft365.audit", "web_resources_activity"),
    ],
)
def test_it_compiles(log_type: str, event_class: str) -> None:
    """What a class requires, in any version, stands there to be filled in, so that the first try is no error."""
    batches = list(raw_batches(samples.files(log_type)[:1]))
    found = mapper(mapper_text("acme.x", event_class, read_sample(batches)))

    found.check()
    mapped = list(found.map_batches(batches))
    assert sum(part.records for part in mapped) == sum(part.mapped + part.rejects.num_rows for part in mapped) > 0
    assert [part.drift.unknown for part in mapped if part.drift.unknown] == []


def test_a_log_is_no_code() -> None:
    """Keys and values that look like code, or break out of quotes and lines, stay text."""
    bad = '"""\nimport os; os.abort()\n\'\\'
    record = {"time": "2026-11-01T06:00:00Z", bad: bad, "user": {"name\u2028x": "\U0001f600"}, "message": bad}
    broken = b'{"message": "\\ud800"}'
    sample = read_sample([RawBatch([json.dumps(record).encode(), broken])])
    text = mapper_text("acme.vpn", "authentication", sample)

    assert sample.records == 1
    assert mapper(text).log_type == "acme.vpn"
    assert text.isascii()


PIECES = [
    "login",
    "event",
    "time",
    "ip",
    "user",
    "  # ",
    '"',
    "'",
    "\\",
    "\n",
    "\r",
    '"""',
    ")",
    "{",
    "#",
    ".",
    "[]",
    "\x1b",
]
PIECES += [
    "';import os;os.abort()",
    "\u2028",
    "\0",
    "\ud7ff",
    "1793512800",
    "192.0.2.7",
    "-",
    " ",
    "TODO",
    "\U0001f600",
    "\x85",
]
TEXT = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=5).map("".join)
VALUE = TEXT | st.integers() | st.booleans() | st.none()
RECORD = st.dictionaries(
    TEXT, VALUE | st.lists(VALUE, max_size=2) | st.dictionaries(TEXT, VALUE, max_size=2), max_size=6
)
CODE = "alias annassign assign attribute call constant dict expr importfrom keyword list load module name store tuple"


@settings(deadline=None, max_examples=150)
@given(
    records=st.lists(RECORD, min_size=1, max_size=3), event_class=st.sampled_from(["authentication", "dns_activity"])
)
@example(records=[{"event": "login  # x"}], event_class="authentication")
@example(records=[{"-": {"": 1}, "[]": "x"}], event_class="authentication")
def test_any_log_is_no_code(records: list[dict[str, Any]], event_class: str) -> None:
    """Whatever a log holds, the module is calls of ours with literals, and every raw path is in it as text."""
    text = written(records, event_class)
    nodes = list(ast.walk(ast.parse(text)))

    assert {type(node).__name__.lower() for node in nodes} <= set(CODE.split())
    names = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert names <= {"EventMap", "JsonRecords", "Mapper", "at"}
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    assert attributes <= {"epoch", "lookup", "text"}
    assert [node.module for node in nodes if isinstance(node, ast.ImportFrom)] == ["__future__", "ocsflake.mapping"]
    sample = read_sample([RawBatch(b"\n".join(json.dumps(record).encode() for record in records))])
    assert {raw.path for raw in sample.fields} <= {node.value for node in nodes if isinstance(node, ast.Constant)}
    assert mapper(text).log_type == "acme.vpn"
    assert text.isascii()


def test_records_that_are_no_objects() -> None:
    """They are passed over, where the log has others."""
    sample = read_sample([RawBatch(b'[1, 2]\n"x"\n5\n[[{"b": 1}]]\n{"a": 1}')])

    assert [raw.path for raw in sample.fields] == ["a"]


def test_wrong_calls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A class that does not exist, a log type that is no name, a sample without records: each is told."""
    sample = tmp_path / "sample.jsonl"
    sample.write_text(json.dumps(SIGN_INS[0]))
    text = tmp_path / "sample.log"
    text.write_text("plain text\n")

    for arguments, message in [
        (["acme.vpn", str(sample), "--class", "authentcation"], "did you mean 'authentication'"),
        (["Acme VPN", str(sample), "--class", "authentication"], "give two names joined by a dot"),
        (["acme.vpn", str(text), "--class", "authentication"], "there are no JSON records"),
    ]:
        assert main(["scaffold", *arguments]) == 2
        assert message in capsys.readouterr().err
    assert main(["scaffold", "acme.vpn", str(sample), "--class", "authentication"]) == 0
    assert capsys.readouterr().err == "records=1 raw_paths=9\n"


def test_no_records() -> None:
    """A sample of nothing is an error."""
    with pytest.raises(SchemaError, match="there are no JSON records"):
        read_sample([])
