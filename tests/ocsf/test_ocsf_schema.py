"""Looking OCSF up."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import pytest
from ocsf_json_schema import get_ocsf_schema

from ocsflake.errors import ConfigError, SchemaError
from ocsflake.ocsf import DEFAULT_VERSION, EventClass, Schema, load, versions


class TestVersions:
    def test_come_oldest_first_with_pre_releases_before_their_release(self) -> None:
        assert versions()[:4] == ("1.0.0-rc.2", "1.0.0-rc.3", "1.0.0", "1.1.0")
        assert versions()[-1] == "1.8.0"

    def test_the_default_is_at_hand(self) -> None:
        assert DEFAULT_VERSION in versions()
        assert load().version == DEFAULT_VERSION

    @pytest.mark.parametrize("version", versions())
    def test_each_loads_once(self, version: str) -> None:
        assert load(version).version == version
        assert load(version) is load(version)

    def test_an_unknown_one_is_refused_with_the_list_of_the_others(self) -> None:
        with pytest.raises(ConfigError, match=r"'1\.1\.1' is not at hand; did you mean '1\.1\.0'.*1\.8\.0"):
            load("1.1.1")


class TestExportFiles:
    @pytest.mark.parametrize("version", ["1.7.0", "1.8.0"], ids=["layout 1", "layout 2"])
    @pytest.mark.parametrize("kind", [str, Path])
    def test_private_extensions_load_from_a_file_of_either_layout(
        self, tmp_path: Path, version: str, kind: type
    ) -> None:
        export = get_ocsf_schema(version)
        export["version"] = "1.9.0-mine"
        mine = {"type": "string_t", "caption": "Mine", "requirement": "required"}
        export["classes"]["api_activity"]["attributes"]["mine"] = mine
        path = tmp_path / "export.json"
        path.write_text(json.dumps(export))

        schema = load(kind(path))

        assert schema.version == "1.9.0-mine"
        assert schema.event_class("api_activity").attribute("mine").requirement == "required"
        assert schema.profiles() == load(version).profiles()

    def test_a_changed_file_is_read_again(self, tmp_path: Path) -> None:
        export = get_ocsf_schema("1.1.0")
        path = tmp_path / "export.json"
        path.write_text(json.dumps(export))
        first = load(path)
        path.write_text(json.dumps(export | {"version": "2.0.0"}))

        assert first.version == "1.1.0"
        assert load(path).version == "2.0.0"

    @pytest.mark.parametrize("text", ["{", "[]", "{}", '{"classes": {}}', '{"types": {"a": 1}}'])
    def test_what_is_no_export_is_refused(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "bad.json"
        path.write_text(text)

        with pytest.raises(ConfigError, match=r"bad\.json: not a readable OCSF schema export"):
            load(path)

    def test_a_missing_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="No such file"):
            load(str(tmp_path / "none.json"))


class TestEventClass:
    def test_is_found_by_name_and_by_uid_and_kept(self) -> None:
        schema = load("1.1.0")

        by_name = schema.event_class("api_activity", ["cloud"])

        assert schema.event_class(6003, ("cloud",)) is by_name
        assert (by_name.uid, by_name.caption) == (6003, "API Activity")
        assert (by_name.category_uid, by_name.category_name) == (6, "Application Activity")
        assert by_name.profiles == {"cloud"}
        assert not by_name.deprecated
        assert by_name.schema is schema

    def test_the_base_event_has_a_category_name_too(self) -> None:
        assert load("1.1.0").event_class(0).category_name == "Uncategorized"

    def test_deprecated_classes_say_so(self) -> None:
        assert load("1.1.0").event_class("security_finding").deprecated

    def test_an_unknown_name_is_refused_with_near_ones(self) -> None:
        with pytest.raises(SchemaError, match=r"1\.1\.0 has no event class 'api_activty'.*'api_activity'"):
            load("1.1.0").event_class("api_activty")

    def test_an_unknown_uid_is_refused(self) -> None:
        with pytest.raises(SchemaError, match="no event class with class_uid 6999"):
            load("1.1.0").event_class(6999)

    def test_an_unknown_profile_is_refused_with_near_ones_and_all(self) -> None:
        with pytest.raises(SchemaError, match=r"no profile 'clod'; did you mean 'cloud'.*security_control"):
            load("1.1.0").event_class("api_activity", ["clod"])

    def test_constraints_of_the_class_are_kept(self) -> None:
        assert load("1.5.0").event_class("authorize_session").constraints == {"just_one": ("privileges", "group")}

    def test_pickles(self) -> None:
        event_class = load("1.1.0").event_class("api_activity", ["cloud"])

        copy = pickle.loads(pickle.dumps(event_class))

        assert copy.attribute("cloud.provider").requirement == "required"


class TestProfiles:
    def test_an_attribute_of_a_profile_exists_only_with_it(self) -> None:
        schema = load("1.1.0")

        assert schema.event_class("dns_activity").find("cloud") is None
        assert schema.event_class("dns_activity", ["cloud"]).attribute("cloud.provider").requirement == "required"

    def test_they_apply_at_every_depth(self) -> None:
        schema = load("1.1.0")

        assert schema.event_class("api_activity").find("actor.session.created_time_dt") is None
        assert schema.event_class("api_activity", ["datetime"]).find("actor.session.created_time_dt") is not None

    def test_any_of_two_profiles_admits_an_attribute(self) -> None:
        schema = load("1.8.0")
        path = "process.euid"

        assert schema.event_class("process_activity").find(path) is None
        for profile in ("linux/linux_users", "macos/macos_users"):
            assert schema.event_class("process_activity", [profile]).find(path) is not None
            assert schema.event_class("process_activity", [profile]).profiles_of(path) == {profile}
        assert schema.event_class("process_activity").profiles_of(path) == {"linux/linux_users"}

    def test_profiles_of_a_path_are_those_of_all_its_parts(self) -> None:
        event_class = load("1.1.0").event_class("authentication")

        assert event_class.profiles_of("device.created_time_dt") == {"host", "datetime"}
        assert event_class.profiles_of("time") == frozenset()
        with pytest.raises(SchemaError):
            event_class.profiles_of("nothing")


class TestAttribute:
    @pytest.fixture
    def event_class(self) -> EventClass:
        return load("1.1.0").event_class("api_activity", ["cloud", "datetime"])

    def test_is_found_by_its_path_with_or_without_list_marks(self, event_class: EventClass) -> None:
        assert event_class.attribute("resources[].uid") is event_class.attribute("resources.uid")
        assert event_class.attribute("observables").is_array

    def test_recursive_objects_go_as_deep_as_asked(self, event_class: EventClass) -> None:
        assert event_class.attribute("actor.process" + ".parent_process" * 9 + ".pid").base == "integer_t"

    def test_knows_types_and_limits(self, event_class: EventClass) -> None:
        ip = event_class.attribute("src_endpoint.ip")
        port = event_class.attribute("src_endpoint.port")
        created = event_class.attribute("actor.session.created_time_dt")

        assert (ip.type, ip.base, ip.max_len, ip.observable) == ("ip_t", "string_t", 40, 2)
        assert ip.regex is not None
        assert (port.type, port.base, port.range) == ("port_t", "integer_t", (0, 65535))
        assert (created.type, created.base, created.profiles) == ("datetime_t", "string_t", {"datetime"})
        assert event_class.attribute("api.request.data").base == "json_t"
        assert event_class.attribute("src_endpoint").observable == 20

    def test_knows_enums_and_their_siblings(self, event_class: EventClass) -> None:
        activity = event_class.attribute("activity_id")

        assert activity.enum == {0: "Unknown", 1: "Create", 2: "Read", 3: "Update", 4: "Delete", 99: "Other"}
        assert activity.sibling == "activity_name"
        assert load("1.8.0").event_class(2004, ["osint"]).attribute("osint.tlp").enum == {
            "AMBER": "TLP:AMBER",
            "AMBER STRICT": "TLP:AMBER+STRICT",
            "CLEAR": "TLP:CLEAR",
            "GREEN": "TLP:GREEN",
            "RED": "TLP:RED",
            "WHITE": "TLP:WHITE",
        }

    def test_a_sibling_that_the_object_lacks_is_none(self) -> None:
        finding = load("1.1.0").event_class("detection_finding")

        assert finding.attribute("finding_info.related_events[].type_uid").sibling is None

    def test_free_objects_have_no_attributes(self, event_class: EventClass) -> None:
        unmapped = event_class.attribute("unmapped")

        assert (unmapped.base, unmapped.object_type, dict(unmapped.attributes)) == ("object_t", "object", {})

    def test_constraints_of_its_object_are_kept(self, event_class: EventClass) -> None:
        assert event_class.attribute("actor.user").constraints == {"at_least_one": ("account", "name", "uid")}

    def test_deprecated_ones_say_so(self) -> None:
        assert load("1.1.0").event_class("api_activity").attribute("metadata.extension").deprecated

    def test_untyped_kinds_of_the_first_pre_release_are_text(self) -> None:
        event_class = load("1.0.0-rc.2").event_class("access_activity")

        digest = event_class.attribute("tls.ja3_fingerprint.value")
        assert (digest.type, digest.base) == ("file_hash_t", "string_t")

    @pytest.mark.parametrize(
        ("path", "message"),
        [
            ("actor.user.nam", r"object 'user' at 'actor\.user' has no attribute 'nam'; did you mean 'name'"),
            ("sorce", r"the class has no attribute 'sorce'"),
            ("actor[].user", r"'actor' is not a list; write it without \[\]"),
            ("unmapped.key", r"'unmapped' is a free object: name it as a whole"),
            ("time.hour", r"'time' is of type timestamp_t: it has no attributes"),
            ("actor.process.file.nme", r"at 'actor\.process\.file' has no attribute 'nme'"),
            ("dst_endpoint.zone.x", r"'dst_endpoint\.zone' is of type string_t"),
        ],
    )
    def test_a_wrong_path_is_refused_with_where_and_why(self, event_class: EventClass, path: str, message: str) -> None:
        with pytest.raises(SchemaError, match=r"^api_activity \(OCSF 1\.1\.0\): .*" + message):
            event_class.attribute(path)
        assert event_class.find(path) is None

    def test_a_path_of_another_profile_is_refused_with_its_name(self) -> None:
        event_class = load("1.1.0").event_class("authentication", ["datetime"])

        with pytest.raises(SchemaError, match=r"'device\.created_time_dt' exists only with the profile 'host'$"):
            event_class.attribute("device.created_time_dt")

    def test_with_all_profiles_applied_none_is_named(self) -> None:
        schema = load("1.1.0")

        with pytest.raises(SchemaError, match="has no attribute 'nothing'"):
            schema.event_class("authentication", schema.profiles()).attribute("nothing")


PINNED = {
    "1.0.0-rc.2": (100, 83, 4563, "6addbd04a2fe58a7"),
    "1.0.0-rc.3": (36, 82, 2088, "59d9af1272f37f44"),
    "1.0.0": (36, 82, 2088, "59d9af1272f37f44"),
    "1.1.0": (50, 102, 3132, "01c910ea549cee84"),
    "1.2.0": (65, 108, 3843, "0237638c93827b0e"),
    "1.3.0": (72, 118, 4347, "14ea9259b25a5bdf"),
    "1.4.0": (79, 139, 6137, "278d3e9c2701341e"),
    "1.5.0": (81, 159, 6692, "433076857374ab02"),
    "1.6.0": (82, 165, 6914, "dd283a781be07ebf"),
    "1.7.0": (83, 168, 7044, "bdcfbddb37896db8"),
    "1.8.0": (83, 176, 7176, "5ed29e3cc27b7347"),
}


@pytest.mark.parametrize("version", versions())
def test_the_compiled_schema_is_what_it_was(version: str) -> None:
    """A new release of the data package that changes a version is seen here.

    If this fails, compare the old and the new export and pin the new figures in the same change.
    """
    assert _figures(load(version)) == PINNED[version]


def _figures(schema: Schema) -> tuple[int, int, int, str]:
    """Return the numbers of classes, of objects in use and of attributes, and a digest of all of them."""
    lines, objects = [], {}
    for name in schema.classes:
        event_class = schema.event_class(name, schema.profiles())
        lines.append(f"{name} {event_class.uid} {event_class.category_uid} {dict(event_class.constraints)}")
        waiting = [(name, event_class.attributes)]
        while waiting:
            holder, attributes = waiting.pop()
            for a in attributes.values():
                facts = (a.type, a.base, a.is_array, a.requirement, a.enum, a.sibling, a.object_type, a.regex)
                more = (sorted(a.profiles), a.max_len, a.range, a.observable, a.deprecated, dict(a.constraints))
                lines.append(f"{holder}.{a.name} {facts} {more}")
                if a.object_type and a.object_type not in objects:
                    objects[a.object_type] = a
                    waiting.append((a.object_type, a.attributes))
    digest = hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
    return len(schema.classes), len(objects), len(lines) - len(schema.classes), digest[:16]
