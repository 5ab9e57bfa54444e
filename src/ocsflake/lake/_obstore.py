"""Putting objects through obstore, which takes a quarter of boto3's CPU; it comes with the extra ``fast``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ocsflake.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["make_put"]

_ASK_AGAIN = timedelta(minutes=1)
_WAITS = 5
"""How often the time that boto3 waits for an answer a whole request may take: obstore's own 30 s are few for 1 GB."""


def make_put(client: Any, bucket: str) -> Callable[[str, Path], bool]:
    """Return what puts a file at a key with one PutObject.

    It tells whether it did. What went wrong is for boto3 to find out, which comes after it with patience and a
    diagnosis: putting an object again changes nothing.

    Args:
        client: A boto3 client for S3; its endpoint, Region and credentials are used.
        bucket: The name of the bucket.

    Raises:
        MissingExtraError: If obstore is not installed.
    """
    try:
        import obstore
        from obstore.exceptions import BaseError
        from obstore.store import S3Store
    except ImportError as error:
        raise MissingExtraError("transport='obstore' needs obstore: pip install 'ocsflake[fast]'") from error
    signer = client._request_signer  # boto3 has no public way to the credentials of a client

    def credentials() -> Any:
        found = signer._credentials.get_frozen_credentials()  # renewed by botocore when it is time
        return {
            "access_key_id": found.access_key,
            "secret_access_key": found.secret_key,
            "token": found.token,
            "expires_at": datetime.now(UTC) + _ASK_AGAIN,
        }

    url = client.meta.endpoint_url
    settings = client.meta.config
    options: Any = {
        "allow_http": url.startswith("http://"),
        "connect_timeout": timedelta(seconds=settings.connect_timeout),
        "timeout": timedelta(seconds=settings.read_timeout * _WAITS),
    }
    store = S3Store(
        bucket,
        endpoint=url,
        region=client.meta.region_name,
        virtual_hosted_style_request=False,
        credential_provider=credentials,
        client_options=options,
        retry_config={"max_retries": 0},
    )

    def put(key: str, file: Path) -> bool:
        try:
            obstore.put(store, key, file, use_multipart=False)
        except (BaseError, OSError):
            return False
        return True

    return put
