"""Deleting objects in S3, with the own credentials and never with a role that puts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from ocsflake import aws
from ocsflake.errors import ConfigError
from ocsflake.retry import retry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ocsflake.lake.s3 import S3Storage

__all__ = ["S3Deletes"]


@frozen
class S3Deletes:
    """Deletes objects of a lake in S3.

    Attributes:
        storage: Where they are.

    Raises:
        ConfigError: If roles put the objects: Security Lake lets none of them delete (contract rule 27).
    """

    storage: S3Storage = field()
    _client: Any = field(init=False, repr=False)

    @_client.default
    def _made(self) -> Any:
        if any(self.storage.roles.values()):
            raise ConfigError(
                f"{self.storage.root}: its objects are put by a role of Security Lake, and such a role may not delete:"
                " open the lake with credentials that may, and without role_arn= and custom_sources="
            )
        if self.storage.client is not None:
            return self.storage.client
        return aws.make_client("s3", self.storage.session, region=self.storage.region)

    def check(self, folder: str) -> None:
        """Raise unless objects of a folder may be deleted, by deleting one that is not there.

        Raises:
            LakeError: If they may not; names the permission.
        """
        self.delete([f"{folder}/.ocsflake-may-this-be-deleted"])

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; one that is gone is no error.

        Raises:
            LakeError: If one cannot be deleted.
        """
        bucket, prefix = aws.s3_address(self.storage.root)
        for key in keys:
            self._call(partial(self._client.delete_object, Bucket=bucket, Key=prefix + key), key)

    def _call(self, call: Callable[[], object], key: str) -> None:
        try:
            retry(call, retryable=aws.seconds_to_wait, sleep=self.storage.sleep)
        except Exception as error:
            known = aws.lake_error(error, f"{self.storage.root}{key}")
            if known is None:
                raise
            raise known from error
