"""The registry: names lead to what installed distributions offer, and a bad plugin harms nobody else."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PLUGIN = """
from ocsflake.errors import MissingExtraError


class Mapper:
    def __init__(self, log_type):
        self.log_type = log_type

    def map(self, batch, ocsf_version):
        raise NotImplementedError


class Source:
    def __init__(self, log_type, uri, *, page_size=10, name=None):
        self.log_type, self.uri, self.page_size, self.name = log_type, uri, page_size, name


def lax(**options):
    return options


GOOD = Mapper("acme.audit")
WRONG = Mapper("acme.other")
NUMBER = 7
"""

Offered = dict[str, dict[str, str]]


class Site:
    """A folder on `sys.path` with distributions as an installer leaves them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.add("acme-plugin", {"ocsflake.mappers": {"acme.audit": "acme_plugin:GOOD"}})
        (folder / "acme_plugin.py").write_text(PLUGIN)

    def add(self, name: str, offered: Offered, version: str = "1.2") -> None:
        """Install a distribution that offers entry points."""
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        groups = [
            f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in found.items()) for group, found in offered.items()
        ]
        (info / "entry_points.txt").write_text("\n".join(groups))

    def sources(self, **values: str) -> None:
        """Install sources of the plugin."""
        self.add("acme-sources", {"ocsflake.sources": values})

    def run(self, code: str) -> Any:
        """Run code in a fresh Python that sees the distributions, and return its `result`, or the error."""
        script = f"""
            import json, sys
            sys.path.insert(0, {str(self.folder)!r})
            from ocsflake import registry
            from ocsflake.errors import OcsflakeError
            try:
                {code}
            except OcsflakeError as error:
                result = [type(error).__name__, str(error)]
            print(json.dumps(result))
        """
        command = [sys.executable, "-c", textwrap.dedent(script)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


class TestRegister:
    def test_in_this_process(self, site: Site) -> None:
        """What is registered in code is found by its name, and listed."""
        code = """
                from types import SimpleNamespace
                registry.register_mapper(SimpleNamespace(log_type='acme.door', map=print))
                registry.register_source('acme.api', lambda *, log_type, page=1: (log_type, page))
                found = [registry.mapper('acme.door').log_type, registry.source('acme.api', log_type='x', page=2)]
                result = [found, [offer.name for offer in registry.offers() if offer.distribution == 'this process']]
        """
        assert site.run(code.strip()) == [["acme.door", ["x", 2]], ["acme.door", "acme.api"]]

    def test_options_are_checked(self, site: Site) -> None:
        """An option that a registered source does not take is an error with what is near."""
        code = "registry.register_source('acme.api', lambda *, log_type, page=1: 0); "
        kind, message = site.run(code + "registry.source('acme.api', log_type='x', pag=2)")

        assert (kind, "did you mean 'page'" in message) == ("ConfigError", True)

    def test_near_names(self, site: Site) -> None:
        """Near names are looked for among what is registered as well."""
        code = "registry.register_source('acme.api', lambda *, log_type: 0); registry.source('acme.apy', log_type='x')"

        assert "did you mean 'acme.api'" in site.run(code)[1]

    @pytest.mark.parametrize("name", ["files", "acme.api"])
    def test_overriding_is_explicit(self, site: Site, name: str) -> None:
        """A name that is taken is refused unless it is to be overridden."""
        first = "registry.register_source('acme.api', lambda *, log_type: 1); "
        again = f"registry.register_source('{name}', lambda *, log_type: 2"
        kind, message = site.run(f"{first}{again})")

        assert kind == "DuplicateNameError"
        assert message.startswith(f"the source '{name}' is offered by {'ocsflake ' if name == 'files' else 'this'}")
        code = f"{first}{again}, override=True); result = registry.source('{name}', log_type='x')"
        assert site.run(code) == 2

    def test_an_overridden_one_is_listed_once(self, site: Site) -> None:
        """The list shows what a name leads to."""
        code = """
                registry.register_source('files', lambda *, log_type: 2, override=True)
                result = [offer.distribution for offer in registry.offers() if offer.name == 'files']
        """
        assert site.run(code.strip()) == ["this process"]


class TestInterface:
    @pytest.mark.parametrize("value", ["acme_plugin:GOOD", "acme_plugin.inner:GOOD"])
    def test_another_version(self, site: Site, value: str) -> None:
        """A plugin that is written for another version of the interface says so, and is not used."""
        (site.folder / "acme_plugin.py").unlink()
        (site.folder / "acme_plugin").mkdir()
        (site.folder / "acme_plugin" / "__init__.py").write_text("__ocsflake_interface__ = 2\n" + PLUGIN)
        (site.folder / "acme_plugin" / "inner.py").write_text(PLUGIN)
        site.add("acme-plugin", {"ocsflake.mappers": {"acme.audit": value}})
        kind, message = site.run("registry.mapper('acme.audit')")

        assert kind == "PluginError"
        assert "is written for interface 2 of ocsflake, and this one has 1: install versions" in message

    def test_this_version(self, site: Site) -> None:
        """A plugin that is written for this version is used."""
        (site.folder / "acme_plugin.py").write_text("__ocsflake_interface__ = 1\n" + PLUGIN)

        assert site.run("result = registry.mapper('acme.audit').log_type") == "acme.audit"


class TestMapper:
    def test_by_log_type(self, site: Site) -> None:
        """A mapper is found by its log type, whoever installed it."""
        assert site.run("result = registry.mapper('acme.audit').log_type") == "acme.audit"

    def test_unknown(self, site: Site) -> None:
        """A name that nobody offers is an error with near names, and with all that there are."""
        kind, message = site.run("registry.mapper('acme.audits')")

        assert kind == "NotRegisteredError"
        assert message.startswith("no mapper 'acme.audits' is installed; did you mean 'acme.audit'")
        assert "'acme.audit'" in message.partition("installed are")[2]

    def test_nothing_near(self, site: Site) -> None:
        """Without a near name, what is installed is the answer."""
        _, message = site.run("registry.mapper('zzz')")

        assert message.startswith("no mapper 'zzz' is installed; installed are ")

    def test_two_offers(self, site: Site) -> None:
        """Two distributions of one name are an error that names both; other names are not affected."""
        site.add("bravo", {"ocsflake.mappers": {"acme.audit": "nowhere:X", "bravo.audit": "acme_plugin:WRONG"}}, "3")
        kind, message = site.run("registry.mapper('acme.audit')")

        assert kind == "DuplicateNameError"
        assert message == (
            "the mapper 'acme.audit' is offered by acme-plugin 1.2 (acme_plugin:GOOD) and bravo 3 (nowhere:X): "
            "uninstall all but one"
        )

    @pytest.mark.parametrize(
        ("value", "cause"),
        [
            ("broken:X", "does not load: ZeroDivisionError: division by zero"),
            ("leaving:X", "does not load: SystemExit: 3"),
            ("missing:X", "does not load: ModuleNotFoundError: No module named 'missing'"),
            ("acme_plugin:nothing", "does not load: AttributeError: "),
            ("acme_plugin:NUMBER", "is no mapper for 'bad'"),
            ("acme_plugin:WRONG", "is no mapper for 'bad'"),
        ],
    )
    def test_broken(self, site: Site, value: str, cause: str) -> None:
        """A plugin that does not load names its distribution and the cause, and breaks no other."""
        (site.folder / "broken.py").write_text("1 / 0")
        (site.folder / "leaving.py").write_text("raise SystemExit(3)")
        site.add("bad", {"ocsflake.mappers": {"bad": value}})
        kind, message = site.run("registry.mapper('bad')")

        assert kind == "PluginError"
        assert message.startswith(f"the mapper 'bad' of bad 1.2 ({value}) {cause}")
        assert site.run("result = registry.mapper('acme.audit').log_type") == "acme.audit"

    def test_nothing_is_imported_unasked(self, site: Site) -> None:
        """Asking for one plugin imports no other."""
        (site.folder / "broken.py").write_text("1 / 0")
        site.add("bad", {"ocsflake.mappers": {"bad": "broken:X"}, "ocsflake.sources": {"bad": "broken:Y"}})

        assert site.run("registry.mapper('acme.audit'); result = 'broken' in sys.modules") is False

    def test_installed_meanwhile(self, site: Site) -> None:
        """What is installed into a running Python is found."""
        code = f"""
                sys.path.insert(0, {str(site.folder)!r} + "/later")
                try:
                    registry.mapper('later')
                except OcsflakeError:
                    pass
                import pathlib
                info = pathlib.Path(sys.path[0]) / "later-1.dist-info"
                info.mkdir(parents=True)
                (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: later\\nVersion: 1\\n")
                (info / "entry_points.txt").write_text("[ocsflake.mappers]\\nlater = acme_plugin:LATER\\n")
                import acme_plugin
                acme_plugin.LATER = acme_plugin.Mapper("later")
                result = registry.mapper('later').log_type"""

        assert site.run(code.strip()) == "later"


class TestSource:
    def test_options(self, site: Site) -> None:
        """A source is made of the log type and its options."""
        site.sources(acme="acme_plugin:Source")
        code = (
            "s = registry.source('acme', log_type='t', uri='u', page_size=3); result = [s.log_type, s.uri, s.page_size]"
        )

        assert site.run(code) == ["t", "u", 3]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ("uri='u', pagesize=3", "the source 'acme' has no option 'pagesize'; did you mean 'page_size'?"),
            ("uri='u', x=3", "the source 'acme' has no option 'x'; it takes log_type, uri, page_size, name"),
            ("page_size=3", "the source 'acme' needs uri="),
        ],
    )
    def test_wrong_options(self, site: Site, options: str, message: str) -> None:
        """An option that is unknown or missing is an error with near names."""
        site.sources(acme="acme_plugin:Source")

        assert site.run(f"registry.source('acme', log_type='t', {options})") == ["ConfigError", message]

    def test_any_options(self, site: Site) -> None:
        """A source that takes any options is given them."""
        site.sources(lax="acme_plugin:lax")

        assert site.run("result = registry.source('lax', log_type='t', x=1)") == {"log_type": "t", "x": 1}

    def test_not_callable(self, site: Site) -> None:
        """An entry point that makes nothing is a broken plugin."""
        site.sources(seven="acme_plugin:NUMBER")
        kind, message = site.run("registry.source('seven', log_type='t')")

        assert kind == "PluginError"
        assert message == "the source 'seven' of acme-sources 1.2 (acme_plugin:NUMBER) is no callable"

    def test_missing_extra(self, site: Site) -> None:
        """A plugin that lacks its SDK says how to install it, in its own words."""
        (site.folder / "cloud.py").write_text(
            "from ocsflake.errors import MissingExtraError\nraise MissingExtraError(\"pip install 'ocsflake[aws]'\")"
        )
        site.sources(cloud="cloud:Source")

        assert site.run("registry.source('cloud', log_type='t')") == [
            "MissingExtraError",
            "pip install 'ocsflake[aws]'",
        ]


class TestOffers:
    def test_states(self, site: Site) -> None:
        """Every offer is listed with who makes it, and whether it works."""
        (site.folder / "broken.py").write_text("1 / 0")
        site.add("bad", {"ocsflake.mappers": {"bad": "broken:X"}})
        site.add("bravo", {"ocsflake.sources": {"same": "acme_plugin:Source"}})
        site.sources(same="acme_plugin:Source")
        code = """
                result = [
                    [o.kind, o.name, o.distribution, o.version, o.value, o.state, o.error]
                    for o in registry.offers() if o.distribution != "ocsflake"
                ]"""
        twice = (
            "the source 'same' is offered by acme-sources 1.2 (acme_plugin:Source) and bravo 1.2 (acme_plugin:Source)"
        )
        twice += ": uninstall all but one"
        broken = "the mapper 'bad' of bad 1.2 (broken:X) does not load: ZeroDivisionError: division by zero"

        assert site.run(code.strip()) == [
            ["mapper", "acme.audit", "acme-plugin", "1.2", "acme_plugin:GOOD", "ok", ""],
            ["mapper", "bad", "bad", "1.2", "broken:X", "broken", broken],
            ["source", "same", "acme-sources", "1.2", "acme_plugin:Source", "duplicate", twice],
            ["source", "same", "bravo", "1.2", "acme_plugin:Source", "duplicate", twice],
        ]

    def test_distribution_without_a_name(self, site: Site) -> None:
        """A distribution whose metadata is damaged is listed all the same."""
        site.add("nameless", {"ocsflake.mappers": {"nameless": "acme_plugin:GOOD"}})
        (site.folder / "nameless-1.2.dist-info" / "METADATA").unlink()
        code = "result = [o.name for o in registry.offers() if o.distribution != 'ocsflake']"

        assert "acme.audit" in site.run(code)


def test_ours_come_the_same_way(tmp_path: Path) -> None:
    """The library's own sources are entry points of its distribution, as in its project file, and work."""
    import ocsflake
    from ocsflake.registry import offers

    made = ocsflake.source("files", log_type="aws.cloudtrail", uri=str(tmp_path), name="mine")

    assert (made.log_type, made.name) == ("aws.cloudtrail", "mine")
    assert ("source", "files", "ocsflake", "ok") in {(o.kind, o.name, o.distribution, o.state) for o in offers()}
