"""Objects of a lake in S3, or in any store that speaks its protocol.

An object is put with one PutObject: whole or not at all, and with no permission but ``s3:PutObject`` below its
location, which is what the role of a custom source has (contract rule 27). Nothing is listed, deleted, tagged or given
an ACL on the way, and how objects are encrypted is left to the bucket. Putting one again replaces it by the same bytes,
so a failure is answered by trying again; where obstore puts objects, boto3 is what tries again.
"""

from __future__ import annotations

import io
import operator
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeVar, cast

from attrs import field, frozen

from ocsflake import aws
from ocsflake.errors import ConfigError, LakeError, did_you_mean
from ocsflake.lake._obstore import make_put
from ocsflake.lake.storage import StoredObject, check_key, is_key, lake_errors, remove_abandoned
from ocsflake.retry import retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from _typeshed import WriteableBuffer
    from attrs import Attribute

__all__ = ["S3Storage"]

T = TypeVar("T")

_SCRATCH = "ocsflake-lake-"
_TAIL_BYTES = 64 * 1024
"""What is fetched when an object is opened: the footer of nearly every Parquet object, or all of a small one."""


class _Clients:
    """Clients by role, made when they are first needed; a copy in another process makes its own."""

    def __init__(self) -> None:
        self.by_role: dict[str, Any] = {}
        self.puts: dict[str, Callable[[str, Path], bool]] = {}
        self.bucket_region: str | None = None
        self.lock = threading.Lock()

    def __reduce__(self) -> tuple[object, ...]:
        return (_Clients, ())


def _known_transport(_storage: S3Storage, _attribute: Attribute[str], value: str) -> None:
    if value not in {"boto3", "obstore"}:
        raise ConfigError(f"transport {value!r}: give 'boto3' or 'obstore'{did_you_mean(value, ('boto3', 'obstore'))}")


def _address(uri: str) -> str:
    bucket, prefix = aws.s3_address(uri)
    return f"s3://{bucket}/{prefix}"


@frozen
class S3Storage:
    """A bucket, or what is below a prefix of it; safe for threads.

    Attributes:
        root: ``s3://bucket/`` or ``s3://bucket/prefix/``.
        region: The AWS Region of the bucket.
        roles: The role that puts the objects below a location, by location: ``ext/<source>/``. Other objects are put,
            and all are read, with the credentials of `client` or `session`.
        external_id: What the trust policies of the roles ask for, if they do.
        session: A `boto3.Session`; if neither it nor `client` is given, one with the settings of the environment.
        client: A boto3 client for S3; the clients of roles get its endpoint and configuration.
        transport: What puts objects: boto3, or obstore (of the extra ``fast``), which takes a quarter of the CPU and
            knows boto3's endpoint and credentials, but none of its other settings, such as proxies.
        sleep: Waits some seconds before a call is tried again.
    """

    root: str = field(converter=_address)
    region: str = field(kw_only=True)
    roles: Mapping[str, str] = field(factory=dict, kw_only=True)
    external_id: str = field(default="", kw_only=True, repr=False)
    session: Any = field(default=None, kw_only=True, repr=False)
    client: Any = field(default=None, kw_only=True, repr=False)
    transport: Literal["boto3", "obstore"] = field(
        default="boto3", kw_only=True, repr=False, validator=_known_transport
    )
    sleep: Callable[[float], object] = field(default=time.sleep, kw_only=True, repr=False)
    _clients: _Clients = field(factory=_Clients, init=False, repr=False, eq=False)

    def check(self, location: str, region: str) -> None:
        """Raise if objects cannot be put below `location` in a lake of `region`, as far as that shows before.

        Raises:
            ConfigError: If the bucket is not there, or in another Region; or there are no credentials.
            LakeError: If the role of `location` cannot be assumed, or S3 cannot be reached.
            MissingExtraError: If boto3 is not installed.
        """
        found = self._clients.bucket_region
        if found is None:
            found = self._clients.bucket_region = self._bucket_region()
        if found and found != region:
            raise ConfigError(
                f"{self.root}: the bucket is in {found}, and the lake in {region}: objects are kept under the Region of"
                f" their bucket, so give region={found!r} or another bucket"
            )
        self._call(lambda _: None, self.root + location, self._role(location))  # which assumes the role

    def scratch(self) -> Path:
        """Make a private folder on this machine, and remove what processes left a day ago or more.

        Raises:
            LakeError: If there is no place for temporary files.
        """
        home = Path(tempfile.gettempdir())
        with lake_errors(home):
            remove_abandoned(home.glob(f"{_SCRATCH}*"))
            return Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=home))

    def put(self, file: Path, key: str) -> None:
        """Put `file` at `key`, and remove it.

        Raises:
            ConfigError: If `key` could leave the root, or the bucket is not there.
            LakeError: If the object cannot be put; names the permission if one is missing.
        """
        check_key(key, self.root)
        bucket, prefix = aws.s3_address(self.root)
        role = self._role(key)

        def put(client: Any) -> None:
            if self.transport == "obstore" and self._fast_put(role, client)(prefix + key, file):
                return
            with file.open("rb") as body:
                client.put_object(Bucket=bucket, Key=prefix + key, Body=body)

        with lake_errors(file):
            self._call(put, f"{self.root}{key}", role)
            file.unlink()

    def _fast_put(self, role: str, client: Any) -> Callable[[str, Path], bool]:
        bucket, _ = aws.s3_address(self.root)
        with self._clients.lock:
            if role not in self._clients.puts:
                self._clients.puts[role] = make_put(client, bucket)
            return self._clients.puts[role]

    def objects(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects whose key begins with `prefix`, in the order of their keys.

        Raises:
            ConfigError: If the bucket is not there.
            LakeError: If it cannot be listed.
        """
        _, root = aws.s3_address(self.root)
        for page in self._pages(prefix):
            for item in page.get("Contents", ()):
                if not item["Key"].endswith("/"):  # some consoles make such objects, to show a folder
                    yield StoredObject(item["Key"].removeprefix(root), item["Size"])

    def folders(self, prefix: str) -> list[str]:
        """Return the sorted names just below `prefix`, which ends in ``/``, that have something below them.

        Raises:
            ConfigError: If the bucket is not there.
            LakeError: If it cannot be listed.
        """
        _, root = aws.s3_address(self.root)
        pages = self._pages(prefix, Delimiter="/")
        below = (item["Prefix"] for page in pages for item in page.get("CommonPrefixes", ()))
        names = (key.removeprefix(root + prefix).removesuffix("/") for key in below)
        return sorted(filter(is_key, names))

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading; it can be sought in, and each read fetches what was asked for.

        Raises:
            ConfigError: If `key` could leave the root, or the bucket is not there.
            LakeError: If it cannot be opened; reading raises it as well.
        """
        check_key(key, self.root)
        tail, about = self._get(key, f"bytes=-{_TAIL_BYTES}")
        size = int(about.get("ContentRange", "").rpartition("/")[2] or len(tail))
        return cast("BinaryIO", _Reader(self, key, size, tail, about.get("ETag", "")))

    def read(self, key: str, start: int, end: int, etag: str = "") -> bytes:
        """Return the bytes of an object from `start` to just before `end`.

        Args:
            key: Of the object.
            start: The first byte.
            end: The byte after the last.
            etag: That of the object when it was opened, if it has one.

        Raises:
            LakeError: If they cannot be read, or the object was replaced.
        """
        found, _ = self._get(key, f"bytes={start}-{end - 1}", etag)
        if len(found) != end - start:
            raise _replaced(self.root, key)
        return found

    def _get(self, key: str, span: str, etag: str = "") -> tuple[bytes, Mapping[str, Any]]:
        bucket, prefix = aws.s3_address(self.root)
        condition = {"IfMatch": etag} if etag else {}

        def get(client: Any) -> tuple[bytes, Mapping[str, Any]]:
            try:
                about = client.get_object(Bucket=bucket, Key=prefix + key, Range=span, **condition)
            except client.exceptions.ClientError as error:
                if getattr(aws.failure(error), "kind", "") == "changed":
                    raise _replaced(self.root, key) from error
                if error.response["Error"]["Code"] != "InvalidRange":
                    raise
                about = client.get_object(Bucket=bucket, Key=prefix + key)  # it is shorter than its tail was to be
            with closing(about["Body"]) as body:
                return body.read(), about

        return self._call(get, f"{self.root}{key}")

    def _pages(self, prefix: str, **options: str) -> Iterator[Mapping[str, Any]]:
        bucket, root = aws.s3_address(self.root)
        options |= {"Bucket": bucket, "Prefix": root + prefix}
        more: dict[str, str] | None = {}
        while more is not None:
            page = self._call(operator.methodcaller("list_objects_v2", **options, **more), self.root + prefix)
            yield page
            more = {"ContinuationToken": page["NextContinuationToken"]} if page.get("IsTruncated") else None

    def _bucket_region(self) -> str:
        """Return the Region of the bucket, ``""`` if the store does not tell."""
        bucket, _ = aws.s3_address(self.root)

        def head(client: Any) -> str:
            try:
                about = client.head_bucket(Bucket=bucket)
            except client.exceptions.ClientError as error:
                about = error.response
                kind = getattr(aws.failure(error), "kind", "")
                if kind == "missing":
                    raise ConfigError(f"{self.root}: there is no such bucket: make it, or correct the name") from error
                if kind != "denied":  # the Region is told even to those who may not list the bucket
                    raise
            return str(about["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region", ""))

        return self._call(head, self.root)

    def _role(self, key: str) -> str:
        """Return the role that puts an object, ``""`` if none does."""
        locations = [location for location in self.roles if key.startswith(location)]
        return self.roles[max(locations, key=len)] if locations else ""

    def _client(self, role: str) -> Any:
        with self._clients.lock:
            made = self._clients.by_role
            if role not in made:
                if role or self.client is None:
                    made[role] = aws.make_client(
                        "s3",
                        self.session,
                        region=self.region,
                        like=self.client,
                        role_arn=role,
                        external_id=self.external_id,
                    )
                else:
                    made[role] = self.client
            return made[role]

    def _call(self, call: Callable[[Any], T], where: str, role: str = "") -> T:
        """Call S3 as a role, with patience; what boto3 raises becomes an error of ours."""

        def retryable(error: Exception) -> float | None:
            found = aws.failure(error)
            if role and found and found.kind == "expired":
                with self._clients.lock:
                    self._clients.by_role.pop(role, None)  # the next attempt assumes the role anew
                    self._clients.puts.pop(role, None)
                return 0.0
            return aws.seconds_to_wait(error)

        try:
            return retry(lambda: call(self._client(role)), retryable=retryable, sleep=self.sleep)
        except Exception as error:
            known = aws.lake_error(error, where, role)
            if known is None:
                raise
            raise known from error


def _replaced(root: str, key: str) -> LakeError:
    return LakeError(f"{root}{key} is not what it was when it was opened: read it again", path=key)


class _Reader(io.RawIOBase):
    """An object, read by ranges; its tail is at hand."""

    def __init__(self, storage: S3Storage, key: str, size: int, tail: bytes, etag: str) -> None:
        self._storage = storage
        self._key = key
        self._size = size
        self._tail = tail
        self._etag = etag
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def readall(self) -> bytes:
        return self.read(self._size - self._place) if self._place < self._size else b""

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        start, end = self._place, min(self._place + len(view), self._size)
        if start >= end:
            return 0
        before = self._size - len(self._tail)
        in_tail = start >= before
        if in_tail:
            found = self._tail[start - before : end - before]
        else:
            found = self._storage.read(self._key, start, end, self._etag)
        view[: len(found)] = found
        self._place += len(found)
        return len(found)
