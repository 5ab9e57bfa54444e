"""The lake itself: a sink for events, and SQL over them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit

from attrs import Factory, evolve, field, frozen

from ocsflake import ocsf
from ocsflake.aws import make_client, s3_address
from ocsflake.errors import ConfigError, did_you_mean
from ocsflake.lake.commit import LakeCommit
from ocsflake.lake.layout import check_region, glue_database, location, source_name
from ocsflake.lake.s3 import S3Storage
from ocsflake.lake.storage import DirectoryStorage, Storage
from ocsflake.model import CustomSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import date, datetime

    import pyarrow as pa
    from attrs import Attribute

    from ocsflake.lake.athena import AthenaResult
    from ocsflake.lake.compact import Compacted
    from ocsflake.lake.doctor import Diagnosis
    from ocsflake.lake.drift import UnmappedPath
    from ocsflake.lake.query import Query
    from ocsflake.lake.replicate import Replicated
    from ocsflake.lake.report import LakeReport
    from ocsflake.lake.subscribe import Delivery
    from ocsflake.lake.usage import Usage
    from ocsflake.model import EventBatch

__all__ = ["Lake"]

_NAMINGS = ("log_type", "class")
_SECURITY_LAKE_SECONDS = 300.0


def _root(root: str | Path) -> Path | str:
    """Return an absolute path, or ``s3://bucket/prefix/``."""
    path: Path | str
    if isinstance(root, Path):
        path = root.absolute()
    elif "://" not in root:
        path = Path(root).absolute()
    elif root.startswith("s3://"):
        path = "s3://{}/{}".format(*s3_address(root))
    else:
        parts = urlsplit(root)
        if parts.scheme != "file" or parts.netloc not in {"", "localhost"}:
            raise ConfigError(f"{root}: a lake is a directory, a path or a file:/// URI, or an s3:// URI")
        path = Path(unquote(parts.path)).absolute()
    for name in str(path).split("/"):
        if "=" in name:
            raise ConfigError(f"{path}: readers would take the folder {name!r} above the lake for a partition")
    return path


def _as_tuple(sources: Iterable[CustomSource]) -> tuple[CustomSource, ...]:
    return tuple(sources)


def _below(source: CustomSource, root: str) -> CustomSource:
    """Return a custom source with its location below the root of the lake."""
    below = source.location.removeprefix(root)
    if "://" in below or not below.endswith("/"):
        raise ConfigError(f"{source.name}: its location {source.location!r} is no prefix below {root}")
    return evolve(source, location=below)


def _region(_lake: Lake, _attribute: Attribute[str], value: str) -> None:
    check_region(value)


def _naming(_lake: Lake, _attribute: Attribute[str], value: str) -> None:
    if value not in _NAMINGS:
        raise ConfigError(f"naming {value!r}: give 'log_type' or 'class'{did_you_mean(value, _NAMINGS)}")


def _opened(lake: Lake) -> Storage:
    if isinstance(lake.root, Path):
        for name in ("custom_sources", "role_arn", "external_id", "session", "client"):
            if getattr(lake, name):
                raise ConfigError(f"{lake.root} is a directory: {name}= is for a lake in S3")
        return DirectoryStorage(lake.root)
    roles = {source.location: source.role_arn or lake.role_arn for source in lake._registered.values()}
    return S3Storage(
        lake.root,
        region=lake.region,
        roles=roles or {"": lake.role_arn},
        external_id=lake.external_id,
        session=lake.session,
        client=lake.client,
        transport=lake.transport,
    )


@frozen
class Lake:
    """Amazon Security Lake, or a directory or an S3 bucket in its layout; a `ocsflake.model.Sink`.

    Attributes:
        root: A directory, given as a path or a ``file://`` URI, which is made when something is written; or what is
            below a prefix of an S3 bucket, given as an ``s3://`` URI.
        region: The AWS Region that the objects are kept under, whatever cloud the events come from; that of the bucket.
        ocsf_version: The OCSF version of the events.
        naming: ``"log_type"``: a custom source for each log type and class (``aws_cloudtrail_6003``). ``"class"``: one
            for each class, whatever the cloud (``ocsf_6003``), since an AWS account may have 50 of them; its
            objects keep the columns of their own mapper, and `query` unites them by name.
        custom_sources: Those that are registered with Security Lake, with the locations and roles that it gave them;
            events of any other custom source are refused. If none are given, ``ext/<source>/`` is the location.
        role_arn: The role that puts objects in S3, where a custom source names none of its own.
        external_id: What the trust policies of the roles ask for, if they do.
        session: A `boto3.Session` for S3 and the roles; if it is not given, one with the settings of the environment.
        client: A boto3 client for S3, which reads, and also puts if there is no role.
        transport: What puts objects in S3: ``"boto3"``, or ``"obstore"`` of the extra ``fast``, which takes a quarter
            of the CPU; see `ocsflake.lake.s3.S3Storage`.
        storage: Where the objects are kept; made of the others if it is not given.
    """

    root: Path | str = field(converter=_root, repr=lambda root: repr(str(root)))
    region: str = field(default="us-east-1", kw_only=True, validator=_region)
    ocsf_version: str = field(default=ocsf.DEFAULT_VERSION, kw_only=True)
    naming: Literal["log_type", "class"] = field(default="log_type", kw_only=True, validator=_naming)

    custom_sources: tuple[CustomSource, ...] = field(default=(), converter=_as_tuple, kw_only=True, repr=False)
    role_arn: str = field(default="", kw_only=True, repr=False)
    external_id: str = field(default="", kw_only=True, repr=False)
    session: Any = field(default=None, kw_only=True, repr=False)
    client: Any = field(default=None, kw_only=True, repr=False)
    transport: Literal["boto3", "obstore"] = field(default="boto3", kw_only=True, repr=False)
    _registered: Mapping[str, CustomSource] = field(init=False, repr=False, eq=False)
    storage: Storage = field(default=Factory(_opened, takes_self=True), kw_only=True, repr=False, eq=False)

    @_registered.default
    def _located(self) -> Mapping[str, CustomSource]:
        return {source.name: _below(source, str(self.root)) for source in self.custom_sources}

    @classmethod
    def security_lake(
        cls,
        *,
        region: str,
        session: Any = None,
        external_id: str = "",
        ocsf_version: str = ocsf.DEFAULT_VERSION,
        naming: Literal["log_type", "class"] = "log_type",
    ) -> Lake:
        """Return the lake of Amazon Security Lake in a Region, with the custom sources that are registered there.

        Args:
            region: The AWS Region.
            session: A `boto3.Session`; if it is not given, one with the settings of the environment.
            external_id: What the custom sources were registered with.
            ocsf_version: The OCSF version of the events, at most 1.3.
            naming: How the custom sources were named.

        Raises:
            ConfigError: If Security Lake is not enabled there, or has no custom source; prints the command for it.
            LakeError: If a permission is missing, which the message names; or the service cannot be reached.
            MissingExtraError: If boto3 is not installed.
        """
        control = import_module("ocsflake.security_lake")  # by name, since it is built on this module
        lake: Lake = control.open_lake(
            region=region, session=session, external_id=external_id, ocsf_version=ocsf_version, naming=naming
        )
        return lake

    @property
    def min_commit_seconds(self) -> float:
        """How far apart the commits of one source must be, unless an object is full (contract rule 22)."""
        return _SECURITY_LAKE_SECONDS if self.custom_sources else 0.0

    def check(self, stem: str, event_classes: Iterable[str]) -> None:
        """Raise if events of some classes could not be written, before one is read.

        Args:
            stem: The stem of the names of their custom sources, such as ``aws_cloudtrail``.
            event_classes: The OCSF names of the classes; one that the OCSF version lacks is passed over.

        Raises:
            ConfigError: If a name breaks the rules or is not registered, or the bucket is not there or elsewhere.
            LakeError: If a role cannot be assumed, or S3 cannot be reached.
            MissingExtraError: If boto3 is needed and not installed.
        """
        known = ocsf.load(self.ocsf_version).classes
        for event_class in event_classes:
            if event_class in known:
                self._custom_source(stem, event_class)

    def begin(self, commit_id: str) -> LakeCommit:
        """Start a commit; the same id and the same events give the same objects under the same names.

        Raises:
            ConfigError: If the OCSF version is not at hand.
            LakeError: If the directory, or a temporary one for a lake in S3, cannot be written.
        """
        ocsf.load(self.ocsf_version)
        return LakeCommit(self.storage, region=self.region, commit_id=commit_id, source_of=self._source_of)

    def sources(self) -> tuple[CustomSource, ...]:
        """Return the custom sources that hold objects, by name.

        Raises:
            ConfigError: If the OCSF version is not at hand.
            LakeError: If the directory or the bucket cannot be read.
        """
        storage = self.storage
        classes = {str(uid): name for name, uid in ocsf.load(self.ocsf_version).classes.items()}
        known = self._registered.values()
        sources = []
        for source in known or [CustomSource(name, "", location(name)) for name in storage.folders("ext/")]:
            regions = tuple(
                folder.removeprefix("region=")
                for folder in storage.folders(source.location)
                if folder.startswith("region=") and any(storage.objects(f"{source.location}{folder}/"))
            )
            if regions:
                event_class = source.event_class or classes.get(source.name.rpartition("_")[2], "")
                sources.append(evolve(source, event_class=event_class, regions=regions))
        return tuple(sources)

    def query(
        self,
        sql: str | Query,
        parameters: Mapping[str, object] | Sequence[object] | None = None,
        *,
        dialect: Literal["duckdb", "athena"] = "duckdb",
    ) -> pa.Table:
        """Run a ``SELECT`` over the lake, with DuckDB.

        There is a view for each custom source (``aws_cloudtrail_6003``, and the names of its Glue database and table),
        and one for each event class over all its sources (``api_activity``, with a column ``source``). Partitions are
        the columns ``region``, ``accountid`` and ``eventday``, all of them text; give ``eventday`` a range, and only
        objects of those days are opened. The tables of Security Lake's own sources are there too, by their names in
        Glue, made of what our mappers make of the same logs. Times are in UTC.

        Args:
            sql: One statement that reads, or one of `ocsflake.queries`. It can reach nothing but this lake.
            parameters: What is bound to the statement: values by name (``$day``) or by place (``?``).
            dialect: ``"athena"`` translates from Athena's SQL first.

        Raises:
            ConfigError: If the statement is wrong; names what is near.
            LakeError: If there is nothing to query yet, or an object cannot be read.
            MissingExtraError: If DuckDB is not installed.
        """
        from ocsflake.lake.query import query

        return query(
            self.root,
            self.storage,
            self.sources(),
            sql,
            parameters,
            dialect=dialect,
            region=self.region,
            ocsf_version=self.ocsf_version,
        )

    def athena(
        self,
        sql: str,
        parameters: Sequence[object] = (),
        *,
        database: str = "",
        workgroup: str = "",
        output_location: str = "",
        client: Any = None,
    ) -> AthenaResult:
        """Run a statement over the lake on AWS, with Athena; see `ocsflake.lake.athena`.

        Args:
            sql: The statement, in Athena's dialect.
            parameters: What is bound to its ``?``, in order.
            database: The Glue database; that of Security Lake in the lake's Region if it is not given.
            workgroup: Athena's ``primary`` if it is not given.
            output_location: An ``s3://`` URI for the result; if it is not given, what the workgroup says.
            client: A boto3 client for Athena; if it is not given, one of the lake's session.

        Raises:
            ConfigError: If the lake is a directory, Athena refuses the statement, or a parameter is of no kind that it
                takes.
            LakeError: If Athena fails, or a permission is missing, which the message names.
            MissingExtraError: If boto3 is not installed.
        """
        from ocsflake.lake.athena import run

        if isinstance(self.root, Path):
            raise ConfigError(f"{self.root} is a directory, which Athena cannot read: ask it with query()")
        return run(
            client or make_client("athena", self.session, region=self.region),
            sql,
            parameters,
            database=database or glue_database(self.region),
            workgroup=workgroup,
            output_location=output_location,
        )

    def doctor(self, *, region: str = "") -> Diagnosis:
        """Look over all objects, whoever wrote them, by the contract of Security Lake; see `ocsflake.lake.doctor`.

        Args:
            region: The AWS Region that all must be under; ``""`` if there may be several, as in a roll-up lake.

        Raises:
            LakeError: If the directory or the bucket cannot be listed.
        """
        from ocsflake.lake.doctor import doctor

        return doctor(self.storage, region=region)

    def usage(self) -> Usage:
        """Return how much there is, by source, class, account, Region and day; only footers are read.

        Raises:
            LakeError: If the directory or the bucket cannot be listed, or an object cannot be read.
        """
        from ocsflake.lake.usage import usage

        return usage(self.storage)

    def report(self, *, since: str | datetime | None = None, rejects: str | Path | None = None) -> LakeReport:
        """Return what the lake holds and what stands out in it, for people; its ``html`` is a page of its own.

        Args:
            since: Only days from this one on, in UTC: an age such as ``7d``, a date, or a datetime.
            rejects: The folder that runs were given as `rejects`, which need not be there; by default
                ``.ocsflake/rejects`` in a directory, if it is there.

        Raises:
            ConfigError: If `since` is no time.
            LakeError: If an object or a file of rejects cannot be read.
            MissingExtraError: If DuckDB is not installed.
        """
        from ocsflake.lake.report import report

        if rejects is None and isinstance(self.root, Path):
            found = self.root / ".ocsflake" / "rejects"
            rejects = found if found.is_dir() else None
        return report(self, since=since, rejects=rejects)

    def drift(self, *, since: str | datetime | None = None) -> list[UnmappedPath]:
        """Return the raw paths that mappers left in ``unmapped``, those that most events hold first.

        Args:
            since: Only paths that no day before this one has: an age such as ``7d``, a date, or a datetime.

        Raises:
            ConfigError: If `since` is no time.
            LakeError: If the directory or the bucket cannot be listed, or an object cannot be read.
        """
        from ocsflake.lake.drift import unmapped_paths

        return unmapped_paths(self.storage, since=since)

    def compact(self, *, before: date | None = None) -> Compacted:
        """Merge the small objects of closed days into full ones; see `ocsflake.lake.compact`.

        Args:
            before: Only days before this one, in UTC; by default those that ended a day ago or more.

        Raises:
            ConfigError: If objects are put by a role, which may not delete.
            LakeError: If objects cannot be read, written, deleted or exchanged, or another process compacts the lake.
        """
        from ocsflake.lake.compact import compact

        return compact(self.storage, before=before)

    def replicate(self, target: Lake) -> Replicated:
        """Copy what a roll-up lake does not have yet, under the same keys; see `ocsflake.lake.replicate`.

        Raises:
            ConfigError: If it is this lake.
            LakeError: If an object cannot be read or put; another call goes on from there.
        """
        from ocsflake.lake.replicate import replicate

        return replicate(self.storage, target.storage)

    def subscribe(self, queue_url: str, *, client: Any = None, follow: bool = False) -> Iterator[Delivery]:
        """Yield new objects as a queue of SQS tells of them; confirm each delivery. See `ocsflake.lake.subscribe`.

        Args:
            queue_url: The queue that Security Lake, EventBridge, SNS or S3 sends to.
            client: A boto3 client for SQS; if it is not given, one of the lake's session.
            follow: Whether to wait for more when the queue is empty.

        Raises:
            ConfigError: If the lake is not in S3.
            LakeError: If the queue cannot be read, or tells of another bucket.
            MissingExtraError: If boto3 is not installed.
        """
        from ocsflake.lake.subscribe import from_queue

        return from_queue(self.storage, queue_url, client=client, follow=follow)

    def _source_of(self, batch: EventBatch) -> CustomSource:
        return self._custom_source(batch.source_name, batch.event_class)

    def _custom_source(self, stem: str, event_class: str) -> CustomSource:
        uid = ocsf.load(self.ocsf_version).event_class(event_class).uid
        name = source_name(stem if self.naming == "log_type" else "ocsf", uid)
        if not self._registered:
            source = CustomSource(name, event_class, location(name))
        elif name in self._registered:
            source = self._registered[name]
        else:
            near = did_you_mean(name, self._registered) or f"; registered are {', '.join(self._registered)}"
            which = stem if self.naming == "log_type" else f"{event_class} --naming class"
            raise ConfigError(
                f"the custom source {name!r} is not registered with {self.root}{near}; to register it: ocsflake"
                f" custom-sources apply {which} --region {self.region} --provider ACCOUNT --external-id ID"
                " --crawler-role ARN"
            )
        self.storage.check(source.location, self.region)
        return source
