"""OpenSearch, by its bulk API: a document has the event's id, so a repeat overwrites it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from attrs import field, frozen

from ocsflake.consumers.forward import Refusal
from ocsflake.errors import AccessDeniedError, ConfigError, MissingExtraError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocsflake.consumers.forward import Document

__all__ = ["OpenSearch"]

_TOO_LARGE = 413
_PASSING = frozenset({408, 429, 500, 502, 503, 504})


@frozen
class OpenSearch:
    """An OpenSearch cluster; a `Destination`.

    Attributes:
        client: An ``opensearchpy.OpenSearch``, with the address and the credentials.
        index: The first part of the names of the indexes; the ``class_uid`` follows: ``ocsf-6003``.
    """

    client: Any = field(repr=False)
    index: str = "ocsf"

    def send(self, documents: Sequence[Document]) -> Sequence[Refusal]:
        """Index documents, and return those that were not taken.

        Raises:
            AccessDeniedError: If the client's credentials are not taken, or may not write.
            ConfigError: If the cluster does not take the request at all.
            MissingExtraError: If opensearch-py is not installed.
            UnavailableError: If the cluster cannot be reached, or has too much to do.
        """
        body = b"".join(self._action(document) + document.content + b"\n" for document in documents)
        answer = self._bulk(body)
        if answer is None and len(documents) == 1:
            return [Refusal(documents[0].id, "too large")]
        if answer is None:
            raise ConfigError(f"OpenSearch does not take requests of {len(body):,} bytes: let it take 10 MB")
        return [
            Refusal(document.id, _reason(item["index"]["error"]), item["index"]["status"] in _PASSING)
            for document, item in zip(documents, answer["items"], strict=True)
            if "error" in item["index"]
        ]

    def _action(self, document: Document) -> bytes:
        about = {"_index": f"{self.index}-{document.class_uid}", "_id": document.id}
        return msgspec.json.encode({"index": about}) + b"\n"

    def _bulk(self, body: bytes) -> dict[str, Any] | None:
        """Return the answer to a request, ``None`` if it was too large."""
        try:
            from opensearchpy import exceptions
        except ImportError as error:
            raise MissingExtraError("OpenSearch needs opensearch-py: pip install 'ocsflake[opensearch]'") from error
        try:
            answer: dict[str, Any] = self.client.bulk(body=body)
        except (exceptions.AuthenticationException, exceptions.AuthorizationException) as error:
            raise AccessDeniedError(
                f"OpenSearch does not let us write ({error.status_code}): allow the user indices:data/write/bulk",
                source="opensearch",
            ) from error
        except (exceptions.ConnectionError, exceptions.TransportError) as error:
            if error.status_code == _TOO_LARGE:
                return None
            if isinstance(error.status_code, int) and error.status_code not in _PASSING:
                raise ConfigError(
                    f"OpenSearch does not take the request ({error.status_code}): {error.error}"
                ) from error
            raise UnavailableError(f"OpenSearch does not answer: {error.error}", source="opensearch") from error
        return answer


def _reason(error: Any) -> str:
    """Return what is wrong with a document, without a part of its content, which may be private."""
    return str(error.get("type", "error")) if isinstance(error, dict) else "error"
