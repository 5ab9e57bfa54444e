"""What a lake is given is what it opens, refuses and passes on."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import attrs
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ocsflake.errors import ConfigError, LakeError
from ocsflake.lake import Lake
from ocsflake.lake._deletes import S3Deletes
from ocsflake.lake.compact import Compacted
from ocsflake.lake.query import Query
from ocsflake.lake.s3 import S3Storage
from ocsflake.lake.storage import DirectoryStorage
from ocsflake.model import CustomSource, EventBatch

DAY = 86_400_000
T0 = 1_767_225_600_000  # 2026-01-01
ROLE = "arn:aws:iam::123456789012:role/"


def source(name: str, location: str = "", role: str = "") -> CustomSource:
    return CustomSource(name, "api_activity", location or f"s3://bucket/p/ext/{name}/", role_arn=role)


def write(root: Path, name: str, day: int, key: str = "x") -> None:
    """Put one event of a day, with one path in unmapped."""
    folder = root / f"ext/{name}/region=us-east-1/accountId=1/eventDay={datetime.fromtimestamp(day / 1000, UTC):%Y%m%d}"
    folder.mkdir(parents=True, exist_ok=True)
    unmapped = pa.array([[(key, "1")]], pa.map_(pa.string(), pa.string()))
    number = len(list(folder.iterdir()))
    table = pa.table({"time": [day], "class_uid": pa.array([6003], pa.int32()), "n": [number], "unmapped": unmapped})
    pq.write_table(table, folder / f"{number}.parquet", store_schema=False)


class TestOpened:
    def test_a_bucket_with_all_that_it_is_given(self) -> None:
        lake = Lake(
            "s3://bucket/p",
            region="eu-west-1",
            role_arn=f"{ROLE}put",
            external_id="id",
            session="session",
            client="client",
            transport="obstore",
        )

        assert lake.storage == S3Storage(
            "s3://bucket/p/",
            region="eu-west-1",
            roles={"": f"{ROLE}put"},
            external_id="id",
            session="session",
            client="client",
            transport="obstore",
        )
        assert Lake("s3://bucket").storage == S3Storage("s3://bucket", region="us-east-1", roles={"": ""})
        assert (lake.root, lake.min_commit_seconds) == ("s3://bucket/p/", 0.0)

    def test_custom_sources_have_their_own_roles_or_the_lake_s(self) -> None:
        """By their locations below the root; Security Lake asks for five minutes between commits."""
        sources = [source("a_6003"), source("b_6003", "s3://bucket/p/other/b/", f"{ROLE}b")]

        lake = Lake("s3://bucket/p", custom_sources=iter(sources), role_arn=f"{ROLE}put")

        assert isinstance(lake.storage, S3Storage)
        assert lake.storage.roles == {"ext/a_6003/": f"{ROLE}put", "other/b/": f"{ROLE}b"}
        assert lake.custom_sources == tuple(sources)
        assert lake.min_commit_seconds == 300.0

    @pytest.mark.parametrize("location", ["s3://other/ext/a/", "s3://bucket/p/ext/a"])
    def test_a_custom_source_elsewhere_is_refused(self, location: str) -> None:
        with pytest.raises(ConfigError, match=rf"^a_6003: its location '{location}' is no prefix below s3://bucket/p/"):
            Lake("s3://bucket/p", custom_sources=[source("a_6003", location)])

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("custom_sources", [source("a_6003", "ext/a_6003/")]),
            *((name, "x") for name in ("role_arn", "external_id", "session", "client")),
        ],
    )
    def test_a_directory_takes_no_settings_of_s3(self, name: str, value: Any, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=f"^{tmp_path} is a directory: {name}= is for a lake in S3"):
            Lake(tmp_path, **{name: value})

    @pytest.mark.parametrize(
        ("root", "path"),
        [
            ("file:///a/b%20c", "/a/b c"),
            ("file://localhost/a", "/a"),
            ("/a/../b", "/a/../b"),
            (Path("/a"), "/a"),
            ("a", str(Path("a").absolute())),
            (Path("a"), str(Path("a").absolute())),
        ],
    )
    def test_directories(self, root: str | Path, path: str) -> None:
        lake = Lake(root)

        assert lake.root == Path(path)
        assert lake.storage == DirectoryStorage(Path(path))
        assert repr(lake).startswith(f"Lake(root='{path}', region='us-east-1'")

    @pytest.mark.parametrize("root", ["file://host/a", "gs://bucket", "http:///a"])
    def test_other_roots(self, root: str) -> None:
        with pytest.raises(ConfigError, match=f"^{root}: a lake is a directory"):
            Lake(root)

    @pytest.mark.parametrize("root", ["/a/b=c/d", "s3://bucket/b=c/", "file:///b%3Dc"])
    def test_no_folder_above_it_looks_like_a_partition(self, root: str) -> None:
        with pytest.raises(ConfigError, match="the folder 'b=c' above the lake"):
            Lake(root)

    def test_settings_that_are_none(self) -> None:
        with pytest.raises(ConfigError, match=r"naming 'classes': give .* did you mean 'class'"):
            Lake("s3://bucket", naming="classes")  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=r"transport 'obstor': give .* did you mean 'obstore'"):
            Lake("s3://bucket", transport="obstor")  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("kind", "shown"),
        [(Lake, {"root", "region", "ocsf_version", "naming"}), (S3Storage, {"root", "region", "roles"})],
    )
    def test_settings_are_given_by_name_and_secrets_are_not_shown(self, kind: type[Any], shown: set[str]) -> None:
        """Only what opens the same lake again counts when two are compared."""
        fields = attrs.fields(kind)

        assert {each.name for each in fields if each.init and not each.kw_only} == {"root"}
        assert {each.name for each in fields if each.repr} == shown
        derived = {"_registered", "storage"} if kind is Lake else {"_clients"}
        assert {each.name for each in fields if not each.eq} == derived
        assert {each.name for each in fields if not each.init} == {"_registered" if kind is Lake else "_clients"}
        assert [each.name for each in attrs.fields(S3Deletes) if each.init] == ["storage"]
        assert "secret" not in repr(S3Deletes(S3Storage("s3://bucket", region="us-east-1", client="secret")))


class TestRoles:
    STORAGE = S3Storage("s3://bucket", region="us-east-1", roles={"ext/": "all", "ext/a/": "a", "extra/": "b"})

    @pytest.mark.parametrize(
        ("key", "role"), [("ext/a/x", "a"), ("ext/ab/x", "all"), ("extra/x", "b"), ("other/x", "")]
    )
    def test_the_nearest_puts_an_object(self, key: str, role: str) -> None:
        assert self.STORAGE._role(key) == role

    def test_a_role_may_not_delete(self) -> None:
        """One without a role of its own is the lake's credentials."""
        with pytest.raises(ConfigError, match=r"^s3://bucket/: its objects are put by a role .* without role_arn="):
            S3Deletes(self.STORAGE)
        assert S3Deletes(S3Storage("s3://bucket", region="us-east-1", roles={"": ""}, client="mine"))._client == "mine"


class TestSources:
    def test_they_are_named_by_log_type_or_by_class(self, tmp_path: Path) -> None:
        columns = {"class_uid": pa.array([6003], pa.int32()), "time": [T0]}
        batch = EventBatch("x.y", "stem", "api_activity", pa.RecordBatch.from_pydict(columns))
        for naming, name in (("log_type", "stem_6003"), ("class", "ocsf_6003")):
            lake = Lake(tmp_path / name, naming=naming)  # type: ignore[arg-type]
            with lake.begin("c") as commit:
                commit.write(batch)
                commit.publish()
            assert lake.sources() == (CustomSource(name, "api_activity", f"ext/{name}/", ("us-east-1",)),)

    def test_those_that_are_not_registered_are_refused_with_what_to_do(self) -> None:
        """A name that is near is told, or else all."""
        commands = {
            "log_type": ("a_6003", ["'b_6003' is not", "did you mean 'a_6003'", " apply b --region eu-west-1 "]),
            "class": ("x", ["'ocsf_6003' is not", "; registered are x; ", " apply api_activity --naming class "]),
        }
        for naming, (name, told) in commands.items():
            settings: Any = {"naming": naming, "custom_sources": [source(name)]}
            lake = Lake("s3://bucket/p", region="eu-west-1", **settings)
            with pytest.raises(ConfigError) as caught:
                lake.check("b", ["api_activity"])
            assert [text for text in ["s3://bucket/p/", *told] if text not in str(caught.value)] == []
            lake.check("b", ["no_class_of_this_version"])

    def test_one_of_a_directory_is_below_ext(self, tmp_path: Path) -> None:
        wanted = CustomSource("a_6003", "api_activity", "ext/a_6003/")

        assert Lake(tmp_path)._custom_source("a", "api_activity") == wanted

    def test_those_with_objects_are_told(self, tmp_path: Path) -> None:
        """With the Regions that they have them in, and the class that ends their name."""
        write(tmp_path, "b-6003", T0)
        write(tmp_path, "a_6003", T0)
        for empty in ("a_6003/region=eu-west-1/accountId=1", "a_6003/other", "c_6003/region=us-east-1/accountId=1"):
            (tmp_path / "ext" / empty).mkdir(parents=True)
        (tmp_path / "ext" / "a_6003" / "other" / "x").touch()

        assert Lake(tmp_path).sources() == (
            CustomSource("a_6003", "api_activity", "ext/a_6003/", ("us-east-1",)),
            CustomSource("b-6003", "", "ext/b-6003/", ("us-east-1",)),
        )


class TestPassedOn:
    def test_since_when(self, tmp_path: Path) -> None:
        """Drift has what no day before had; a report has no day before."""
        write(tmp_path, "a_6003", T0, "old")
        write(tmp_path, "a_6003", T0 + DAY, "new")
        lake = Lake(tmp_path)

        assert [path.path for path in lake.drift(since="2026-01-02")] == ["new"]
        assert [path.path for path in lake.drift()] == ["new", "old"]
        assert lake.report(since="2026-01-02").events == {("api_activity", "unknown", "20260102"): 1}

    def test_the_version_of_ocsf_whose_attributes_are_known(self, tmp_path: Path) -> None:
        """What came later is a column of no view."""
        write(tmp_path, "a_6003", T0)
        sql = "SELECT is_alert FROM a_6003"

        assert Lake(tmp_path, ocsf_version="1.5.0").query(sql).to_pylist() == [{"is_alert": None}]
        with pytest.raises(ConfigError, match="is_alert"):
            Lake(tmp_path, ocsf_version="1.0.0").query(sql)

    def test_classes_that_a_query_names_are_there_without_events(self, tmp_path: Path) -> None:
        """With the columns that every class has; the lake must hold one of them."""
        write(tmp_path, "a_6003", T0)
        both = "SELECT source, time FROM authentication UNION ALL SELECT source, time FROM api_activity"

        found = Lake(tmp_path).query(Query("q", both, classes=("authentication", "api_activity")))

        assert found.to_pylist() == [{"source": "a_6003", "time": T0}]
        with pytest.raises(
            LakeError, match=r": q reads events of authentication and dns_activity, .*; it holds api_act"
        ):
            Lake(tmp_path).query(Query("q", both, classes=("authentication", "dns_activity")))

    def test_rejects_of_the_lake_or_of_another_folder(self, tmp_path: Path) -> None:
        assert Lake(tmp_path).report().rejects is None
        (tmp_path / ".ocsflake" / "rejects").mkdir(parents=True)
        assert Lake(tmp_path).report().rejects == {}
        assert Lake(tmp_path / "other").report(rejects=tmp_path / "none").rejects == {}

    def test_before_when(self, tmp_path: Path) -> None:
        for day in (T0, T0 + DAY):
            for _ in range(2):
                write(tmp_path, "a_6003", day)

        old = sum(path.stat().st_size for path in tmp_path.glob("ext/*/*/*/eventDay=20260101/*"))
        done = Lake(tmp_path).compact(before=date(2026, 1, 2))

        [made] = tmp_path.glob("ext/*/*/*/eventDay=20260101/*")
        assert done == Compacted(1, 2, 1, 2, old, made.stat().st_size, 0)

    def test_a_day_that_ended_a_day_ago_is_closed(self, tmp_path: Path) -> None:
        before_yesterday = int(datetime.now(UTC).timestamp() * 1000) - 2 * DAY
        for _ in range(2):
            write(tmp_path, "a_6003", before_yesterday)

        assert Lake(tmp_path).compact().partitions == 1
