"""Objects of S3 as sources read them: listed a page at a time, read as streams, with patience.

A call is tried again by itself, so that a page that failed repeats none before it, and a body that broke off goes on
where it did. Credentials that expired are renewed once, where they are a role's or the environment's.
"""

from __future__ import annotations

import re
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import field, frozen

from ocsflake import aws
from ocsflake.errors import AccessDeniedError, ConfigError, SourceError, UnavailableError
from ocsflake.retry import retry
from ocsflake.sources.streams import read_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ocsflake.model import RawBatch

__all__ = ["Objects", "address_of"]

T = TypeVar("T")

_CLIENTS = 64  # that are kept; each takes some 400 kB, and an organization may have thousands of accounts

_REFUSED = re.compile(
    r"(?P<who>arn:\S{1,2048}) is not authorized to perform: (?P<action>[\w:-]+)"
    r"(?: on resource: \"?(?P<resource>[^\s\",]+))?"
)


def address_of(uri: str) -> tuple[str, str]:
    """Return the bucket and the key of an object's URI; the key may be any text."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


class _Clients:
    """Clients that were made already; a copy in another process makes its own."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.made: dict[tuple[str, str], Any] = {}
        self.session: Any = None
        self.identity = ""

    def __reduce__(self) -> tuple[type[_Clients], tuple[()]]:
        return _Clients, ()


@frozen(kw_only=True)
class Objects:
    """How one source gets at S3, and as whom; safe for threads.

    Attributes:
        source: The name of the source, for errors.
        role_arn: The role to act as, with ``{account}`` where the account stands; ``""`` for the session itself.
        external_id: What the trust policy of the role asks for, if it does.
        session: A `boto3.Session`; one with the settings of the environment if it is not given.
        client: A boto3 client for S3; the clients of roles get its endpoint and configuration.
        sleep: Waits some seconds before a call is tried again.
    """

    source: str
    role_arn: str = ""
    external_id: str = field(default="", repr=False)
    session: Any = field(default=None, eq=False, repr=False)
    client: Any = field(default=None, eq=False, repr=False)
    sleep: Callable[[float], object] = field(default=time.sleep, eq=False, repr=False)
    _clients: _Clients = field(factory=_Clients, init=False, eq=False, repr=False)

    def pages(
        self, bucket: str, prefix: str, *, account: str = "", split: str | None = None, **asked: Any
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the pages of a listing, in the order of keys.

        Args:
            bucket: The bucket.
            prefix: What its keys begin with.
            account: Whose role is acted as.
            split: The id of the split, for errors.
            asked: More of ``ListObjectsV2``: ``Delimiter``, ``StartAfter``, ``MaxKeys``.

        Raises:
            SourceError: If the bucket cannot be listed; names the permission if one is missing.
            ConfigError: If there are no credentials.
        """
        asked |= {"Bucket": bucket, "Prefix": prefix}
        while True:
            page = self._list(asked, account, split)
            yield page
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def batches(
        self, uri: str, version: str, *, origin: Mapping[str, str], account: str = "", split: str | None = None
    ) -> Iterator[RawBatch]:
        """Yield the records of an object.

        Args:
            uri: Its ``s3://`` URI.
            version: Its ETag, ``""`` for whatever is there.
            origin: What every batch says of where it came from, beside the URI.
            account: Whose role is acted as.
            split: The id of the split, for errors.

        Raises:
            SourceError: If the object changed, is gone, or cannot be read; names the permission if one is missing.
            ConfigError: If there are no credentials.
        """
        with closing(_Body(self, uri, version, account, split)) as body:
            yield from read_batches(body, uri, origin={"uri": uri, **origin}, source=self.source, split=split)

    def call(
        self,
        do: Callable[[Any], T],
        where: str,
        *,
        account: str = "",
        split: str | None = None,
        service: str = "s3",
        region: str | None = None,
    ) -> T:
        """Return what `do` returns for a client, trying again while that may help.

        Args:
            do: Makes a call; it must be repeatable.
            where: What the call is about, for errors.
            account: Whose role is acted as.
            split: The id of the split, for errors.
            service: The service, as boto3 calls it.
            region: The AWS Region; if it is not given, that of the session.

        Raises:
            SourceError: If the call fails for good.
            ConfigError: If there are no credentials, or they are set up wrong.
        """
        role = self.role_arn.replace("{account}", account)
        renewed = False

        def wait(error: Exception) -> float | None:
            nonlocal renewed
            found = aws.failure(error)
            if found is not None and found.kind == "expired" and not renewed:
                renewed = self._renew(role)
                return 0.0 if renewed else None
            return aws.seconds_to_wait(error)

        try:
            return retry(lambda: do(self._client(service, role, region)), retryable=wait, sleep=self.sleep)
        except Exception as error:
            problem = self._problem(error, where, role, split)
            if problem is None:
                raise
            # An answer that could not be parsed is quoted by its error: credentials as well.
            raise problem from (None if type(error).__name__ == "ResponseParserError" else error)

    def _list(self, asked: Mapping[str, Any], account: str, split: str | None) -> Mapping[str, Any]:
        where = f"s3://{asked['Bucket']}/{asked['Prefix']}"
        page: Mapping[str, Any] = self.call(
            lambda client: client.list_objects_v2(**asked), where, account=account, split=split
        )
        return page

    def _client(self, service: str, role: str, region: str | None) -> Any:
        if service == "s3" and self.client is not None and not role:
            return self.client
        clients = self._clients
        with clients.lock:
            client = clients.made.pop((service, role), None)
            if client is None:
                client = aws.make_client(
                    service,
                    self._session(),
                    region=region,
                    like=self.client if service == "s3" else None,
                    role_arn=role,
                    external_id=self.external_id,
                )
            clients.made[service, role] = client  # as the one that was used last
            if len(clients.made) > _CLIENTS:
                del clients.made[next(iter(clients.made))]
            return client

    def _session(self) -> Any:
        if self.session is not None:
            return self.session
        if self._clients.session is None:
            self._clients.session = aws.new_session()
        return self._clients.session

    def _renew(self, role: str) -> bool:
        """Drop credentials that expired; ``False`` where no others can be had."""
        clients = self._clients
        with clients.lock:
            for key in [key for key in clients.made if key[1] == role]:
                del clients.made[key]
            if not role:
                clients.session = None
        return bool(role) or (self.session is None and self.client is None)

    def _who(self, role: str) -> str:
        """Return who acts, for messages."""
        if role or self.client is not None:
            return role or "the given client"
        clients = self._clients
        with clients.lock:
            if not clients.identity:
                try:
                    session = self._session()
                    sts = aws.make_client("sts", session, region=session.region_name or "us-east-1")
                    clients.identity = sts.get_caller_identity()["Arn"]
                except Exception as error:  # it is for a message alone, whose cause is another
                    if aws.failure(error) is None and not isinstance(error, ConfigError):
                        raise
                    return "the credentials of this session"
            return clients.identity

    def _problem(self, error: Exception, where: str, role: str, split: str | None) -> SourceError | ConfigError | None:
        """Return what to raise for a failed call; ``None`` if the exception is not boto3's."""
        found = aws.failure(error)
        if found is None:
            return None
        said: dict[str, Any] = {"source": self.source, "split": split}
        if found.kind == "denied" and found.action != "sts:AssumeRole":
            refused = _REFUSED.search(found.message)
            who, action, resource = self._who(role), found.action, where
            if refused:
                who, action, resource = refused["who"], refused["action"], refused["resource"] or where
            text = f"{where}: {who} may not do this ({found.code}): allow it {action} on {resource.rstrip('.')}"
            return AccessDeniedError(text, **said)
        if found.code == "InvalidObjectState":
            return SourceError(f"{where} is archived: restore it, or leave it out with since=", **said)
        if found.action == "s3:GetObject" and found.kind in {"changed", "missing"}:
            done = "changed" if found.kind == "changed" else "was removed"
            return SourceError(f"{where} {done} since it was planned; plan again to read what is there now", **said)
        if found.kind == "unavailable":
            words = f"{found.code}: {found.message}" if found.message else found.code
            text = f"{where}: it cannot be reached, or asks to be left alone ({words}): run again later"
            return UnavailableError(text, **said, retry_after=found.retry_after or None)
        text = str(aws.lake_error(error, where, role))
        if found.kind == "no credentials":
            return ConfigError(text)
        return (AccessDeniedError if found.kind == "denied" else SourceError)(text, **said)


class _Body:
    """The bytes of an object, fetched from where they broke off when they do."""

    def __init__(self, objects: Objects, uri: str, version: str, account: str, split: str | None) -> None:
        self._objects = objects
        self._uri = uri
        self._asked = dict(zip(("Bucket", "Key"), address_of(uri), strict=True))
        if version:
            self._asked["IfMatch"] = f'"{version}"'
        self._whom: dict[str, Any] = {"account": account, "split": split}
        self._stream: Any = None
        self._at = 0
        self._size: int | None = None

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes; ``b""`` at the end."""
        return self._objects.call(lambda client: self._read(client, size), self._uri, **self._whom)

    def close(self) -> None:
        """Give the connection back."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _read(self, client: Any, size: int) -> bytes:
        if self._at == self._size:
            return b""
        try:
            if self._stream is None:
                self._stream = self._open(client)
            data: bytes = self._stream.read(size)
        except Exception:
            self.close()
            raise
        self._at += len(data)
        return data

    def _open(self, client: Any) -> Any:
        rest = {"Range": f"bytes={self._at}-"} if self._at else {}
        answer = client.get_object(**self._asked, **rest)
        self._size = self._at + answer["ContentLength"]
        self._asked.setdefault("IfMatch", answer["ETag"])  # the rest must be that of the same object
        return answer["Body"]
