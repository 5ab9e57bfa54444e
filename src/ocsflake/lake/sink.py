"""The lake itself: a sink for events, and SQL over them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

from attrs import field, frozen

from ocsflake import ocsf
from ocsflake.errors import ConfigError, did_you_mean
from ocsflake.lake.commit import LakeCommit
from ocsflake.lake.layout import check_region, location, source_name
from ocsflake.lake.storage import DirectoryStorage, Storage

if TYPE_CHECKING:
    import pyarrow as pa
    from attrs import Attribute

    from ocsflake.model import EventBatch

__all__ = ["CustomSource", "Lake"]

_NAMINGS = ("log_type", "class")


@frozen
class CustomSource:
    """A custom source that holds objects.

    Attributes:
        name: Such as ``aws_cloudtrail_6003``.
        event_class: The OCSF name of its class, ``""`` if its name does not tell.
        location: The prefix of its keys.
        regions: The lake Regions that it has objects in.
    """

    name: str
    event_class: str
    location: str
    regions: tuple[str, ...]


def _directory(root: str | Path) -> Path:
    if isinstance(root, Path):
        path = root
    elif "://" not in root:
        path = Path(root)
    else:
        parts = urlsplit(root)
        if parts.scheme == "s3":
            raise ConfigError(f"{root}: lakes in S3 are not supported yet; give a directory")
        if parts.scheme != "file" or parts.netloc not in {"", "localhost"}:
            raise ConfigError(f"{root}: a lake is a directory: a path or a file:/// URI")
        path = Path(unquote(parts.path))
    path = path.absolute()
    for name in path.parts:
        if "=" in name:
            raise ConfigError(f"{path}: readers would take the folder {name!r} above the lake for a partition")
    return path


def _region(_lake: Lake, _attribute: Attribute[str], value: str) -> None:
    check_region(value)


def _naming(_lake: Lake, _attribute: Attribute[str], value: str) -> None:
    if value not in _NAMINGS:
        raise ConfigError(f"naming {value!r}: give 'log_type' or 'class'{did_you_mean(value, _NAMINGS)}")


@frozen
class Lake:
    """A directory in the layout of Amazon Security Lake; a `ocsflake.model.Sink`.

    Attributes:
        root: The directory, given as a path or a ``file://`` URI; made when something is written.
        region: The AWS Region that the objects are kept under, whatever cloud the events come from.
        ocsf_version: The OCSF version of the events.
        naming: ``"log_type"``: a custom source for each log type and class (``aws_cloudtrail_6003``). ``"class"``: one
            for each class, whatever the cloud (``ocsf_6003``), since an AWS account may have 50 of them; its
            objects keep the columns of their own mapper, and `query` unites them by name.
    """

    root: Path = field(converter=_directory, repr=lambda path: repr(str(path)))
    region: str = field(default="us-east-1", kw_only=True, validator=_region)
    ocsf_version: str = field(default=ocsf.DEFAULT_VERSION, kw_only=True)
    naming: Literal["log_type", "class"] = field(default="log_type", kw_only=True, validator=_naming)

    @property
    def storage(self) -> Storage:
        """Where the objects are kept."""
        return DirectoryStorage(self.root)

    def begin(self, commit_id: str) -> LakeCommit:
        """Start a commit; the same id and the same events give the same objects under the same names.

        Raises:
            ConfigError: If the OCSF version is not at hand.
            LakeError: If the directory cannot be written.
        """
        ocsf.load(self.ocsf_version)
        return LakeCommit(self.storage, region=self.region, commit_id=commit_id, source_of=self._source_of)

    def sources(self) -> tuple[CustomSource, ...]:
        """Return the custom sources that hold objects, by name.

        Raises:
            ConfigError: If the OCSF version is not at hand.
            LakeError: If the directory cannot be read.
        """
        storage = self.storage
        classes = {str(uid): name for name, uid in ocsf.load(self.ocsf_version).classes.items()}
        sources = []
        for name in storage.folders("ext/"):
            prefix = location(name)
            regions = tuple(
                folder.removeprefix("region=")
                for folder in storage.folders(prefix)
                if folder.startswith("region=") and any(storage.objects(f"{prefix}{folder}/"))
            )
            if regions:
                event_class = classes.get(name.rpartition("_")[2], "")
                sources.append(CustomSource(name, event_class, prefix, regions))
        return tuple(sources)

    def query(self, sql: str, *, dialect: Literal["duckdb", "athena"] = "duckdb") -> pa.Table:
        """Run a ``SELECT`` over the lake, with DuckDB.

        There is a view for each custom source (``aws_cloudtrail_6003``, and the names of its Glue database and table),
        and one for each event class over all its sources (``api_activity``, with a column ``source``). Partitions are
        the columns ``region``, ``accountid`` and ``eventday``, all of them text; give ``eventday`` a range, and only
        those days are read.

        Args:
            sql: One statement that reads. It can reach nothing but this lake.
            dialect: ``"athena"`` translates from Athena's SQL first.

        Raises:
            ConfigError: If the statement is wrong; names what is near.
            LakeError: If there is nothing to query yet, or an object cannot be read.
            MissingExtraError: If DuckDB is not installed.
        """
        from ocsflake.lake.query import query

        return query(self.root, self.sources(), sql, dialect=dialect)

    def _source_of(self, batch: EventBatch) -> str:
        uid = ocsf.load(self.ocsf_version).event_class(batch.event_class).uid
        return source_name(batch.source_name if self.naming == "log_type" else "ocsf", uid)
