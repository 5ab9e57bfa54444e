"""What a mapper fills, and where raw values go."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from toy import raw, toy

from cli_help import RECORD, call, line
from ocsflake import registry
from ocsflake.mapping import EventMap, JsonRecords, Mapper, at
from ocsflake.mapping.coverage import AttributeCoverage, Coverage, RawCoverage, coverage
from ocsflake.ocsf import load, versions

if TYPE_CHECKING:
    from pathlib import Path


def attributes(found: Coverage) -> dict[str, AttributeCoverage]:
    """The attributes of the only class, by path."""
    [only] = found.classes
    return {each.attribute: each for each in only.attributes}


MAPPER = toy({"message": at("a"), "resources[].uid": at("r[].x"), "cloud.region": at("where"), "cloud.provider": "Toy"})


class TestAttributes:
    """What fills an attribute."""

    def test_what_fills_it(self) -> None:
        """Raw values, a constant, the engine, or nothing."""
        found = attributes(coverage(MAPPER))

        assert (found["message"].by, found["message"].expression) == ("mapped", "a")
        assert (found["class_uid"].by, found["class_uid"].expression) == ("constant", "2004")
        assert (found["severity"].by, found["severity"].expression) == ("derived", "caption of severity_id")
        assert (found["time_dt"].by, found["time_dt"].profiles) == ("derived", ("datetime",))
        assert (found["confidence_id"].by, found["confidence_id"].requirement) == ("missing", "recommended")
        assert (found["cloud.region"].profiles, found["cloud.provider"].by) == (("cloud",), "constant")

    def test_objects(self) -> None:
        """What an object recommends is missing where the object is filled, and not where there is none."""
        found = attributes(coverage(MAPPER))

        assert found["resources[].owner"].by == "missing"
        assert found["finding_info.uid"].by == "constant"
        assert not [path for path in found if path.startswith("device.")]

    def test_repr(self) -> None:
        """One line for a shell."""
        share = coverage(MAPPER).classes[0].share("recommended")
        wanted = f"recommended attributes of detection_finding {100 * share:.0f} %"

        assert repr(coverage(MAPPER)) == f"<Coverage of toy.log in OCSF 1.1.0: {wanted}>"

    def test_shares(self) -> None:
        """The share of what the class and its filled objects require is whole, or the mapper would not compile."""
        [only] = coverage(MAPPER).classes
        recommended = [each for each in only.attributes if each.requirement == "recommended"]

        assert (only.missing("required"), only.share("required")) == ([], 1.0)
        assert only.share("recommended") == 1 - len(only.missing("recommended")) / len(recommended)
        assert 0 < only.share("recommended") < 1

    def test_versions(self) -> None:
        """Each version has attributes of its own; all that is told of exists there."""
        for version in versions():
            found = coverage(registry.mapper("aws.vpc_flow"), version)
            [only] = found.classes
            event_class = load(version).event_class(only.event_class, only.profiles)
            assert found.version == version
            assert [each.attribute for each in only.attributes if event_class.find(each.attribute) is None] == []

    def test_two_tables_of_a_class(self) -> None:
        """They count as one class, whose attributes are those of either."""
        base = dict(MAPPER.events[0].fields)
        one = EventMap("detection_finding", fields=base | {"count": at("n")}, where=at("n") == "1")
        two = EventMap("detection_finding", fields=base | {"comment": at("c")})
        found = coverage(Mapper("toy.log", "toy", JsonRecords(), [one, two]), raws=[raw({"n": "1"}, {"c": "x"}, {})])

        assert found.classes[0].events == 3
        assert {path: each.filled for path, each in attributes(found).items() if path in {"count", "comment"}} == {
            "count": 1,
            "comment": 1,
        }


class TestCounts:
    """How often, in a log or in events."""

    RECORDS = ({"a": "x", "r": [{"x": "1"}, {"x": "2", "y": {"z": 1}}]}, {"a": {"b": 1}}, {"where": "here", "r": []})

    def test_a_log(self) -> None:
        """Attributes by events, raw paths by rows; a record that became no event is a reject, and told of as drift."""
        found = coverage(MAPPER, raws=[raw(*self.RECORDS)])
        filled = {path: each.filled for path, each in attributes(found).items()}

        assert (found.records, found.rejects, found.rows, found.classes[0].events) == (3, 1, 3, 2)
        assert (filled["message"], filled["resources[].uid"], filled["cloud.region"], filled["time"]) == (1, 1, 1, 2)
        assert filled["resources[].owner"] == 0
        assert list(found.raw_paths) == [
            RawCoverage("a", 1, 0, ("message",)),
            RawCoverage("a.b", 1, 0),
            RawCoverage("r[].x", 1, 0, ("resources[].uid",)),
            RawCoverage("r[].y.z", 1, 1),
            RawCoverage("where", 1, 0, ("cloud.region",)),
        ]
        assert [path.goes for path in found.raw_paths] == ["mapped", "mapped", "mapped", "unmapped", "mapped"]
        assert found.drift.kinds == {("a", "object"): 1}

    def test_partly(self) -> None:
        """A value that an attribute takes from some records is left over in the others."""
        mapper = toy({"message": at("a").only_if(at("b") == "1")})
        found = coverage(mapper, raws=[raw({"a": "x", "b": "1"}, {"a": "y", "b": "2"})])

        assert {each.path: each.goes for each in found.raw_paths} == {"a": "partly", "b": "unmapped"}

    def test_events(self) -> None:
        """Events that are there are counted likewise; of the log they say nothing."""
        batches = MAPPER.map(raw(*self.RECORDS)).batches
        found = coverage(MAPPER, events=batches)

        assert attributes(found) == attributes(coverage(MAPPER, raws=[raw(*self.RECORDS)]))
        assert (found.raw_paths, found.records) == ((), 0)

    def test_classes_without_events(self) -> None:
        """A log shows the classes that it has, a mapper by itself all of them."""
        mapper = registry.mapper("aws.cloudtrail")

        assert len(coverage(mapper).classes) > 1
        assert [each.event_class for each in coverage(mapper, raws=[raw(RECORD)]).classes] == ["api_activity"]
        assert coverage(mapper, raws=[]).classes == ()


class TestCommand:
    """What `ocsflake coverage` and `explain` say."""

    @pytest.fixture
    def log(self, tmp_path: Path) -> Path:
        """Return a log of two records, one with a key that is new."""
        path = tmp_path / "log.jsonl"
        path.write_bytes(line() + line(new=1, userIdentity={"type": "Root"}))
        return path

    def test_a_log(self, capsys: pytest.CaptureFixture[str], log: Path) -> None:
        """Tables of attributes and of raw paths."""
        done = call(capsys, "coverage", "aws.cloudtrail", log)
        found = [row.split() for row in done.out.splitlines()]

        assert done.code == 0
        assert done.out.startswith(
            "AWS CloudTrail (aws.cloudtrail), OCSF 1.1.0\n\napi_activity, profiles cloud, datetime"
        )
        assert "required 100 %, recommended" in done.out
        assert ["actor.user.name", "recommended", "mapped", "50.0", "%"] in [row[:5] for row in found]
        assert ["api.response.code", "recommended", "missing"] in found
        assert ["new", "unmapped", "1", "50.0", "%", "100.0", "%"] in found
        assert ["unknown", "key", "new", "9", "1"] in found
        assert done.last == "records=2 events=2 rejects=0"

    def test_as_json(self, capsys: pytest.CaptureFixture[str], log: Path) -> None:
        """The same as one object, here of another version."""
        [found] = call(capsys, "coverage", "aws.cloudtrail", log, "--json", "--ocsf-version", "1.3.0").objects

        assert (found["log_type"], found["version"], found["records"]) == ("aws.cloudtrail", "1.3.0", 2)
        assert found["classes"][0]["required"] == 1.0
        assert {"path": "new", "held": 1, "unmapped": 1, "attributes": [], "goes": "unmapped"} in found["raw_paths"]
        assert found["drift"] == [{"drift": "unknown key", "where": "new", "sample": "9", "records": 1}]

    def test_a_lake(self, capsys: pytest.CaptureFixture[str], log: Path) -> None:
        """The events of a lake give the same counts as the log that they are of."""
        lake = log.parent / "lake"
        call(capsys, "run", "files", "--log-type", "aws.cloudtrail", "--option", f"uri={log}", "--lake", lake)
        [of_lake] = call(capsys, "coverage", "aws.cloudtrail", "--lake", lake, "--json").objects
        [of_log] = call(capsys, "coverage", "aws.cloudtrail", log, "--json").objects

        assert of_lake["classes"] == of_log["classes"]
        other = call(capsys, "coverage", "aws.vpc_flow", "--lake", lake)
        assert (other.code, "it has aws_cloudtrail_6003" in other.err) == (1, True)
        assert call(capsys, "coverage", "aws.cloudtrail", log, "--lake", lake).code == 2

    def test_without_a_log(self, capsys: pytest.CaptureFixture[str]) -> None:
        """All classes, and nothing is counted."""
        done = call(capsys, "coverage", "aws.cloudtrail", "--json")
        [found] = done.objects

        assert (done.code, done.err) == (0, "")
        assert {each["events"] for each in found["classes"]} == {0}

    def test_explain(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        """It says what is missing of each class, and what of the log the mapper does not know."""
        path = tmp_path / "log.jsonl"
        path.write_bytes(json.dumps(RECORD | {"awsRegion": {"a": 1}}).encode() + b"\n" + line())
        done: Any = call(capsys, "explain", "aws.cloudtrail", path)

        assert "recommended and missing: actor.process, " in done.out
        assert ["changed", "kind", "awsRegion", "object", "1"] in [row.split() for row in done.out.splitlines()]
