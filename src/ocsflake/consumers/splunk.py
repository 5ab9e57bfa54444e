"""Splunk, by its HTTP Event Collector.

Splunk keeps what it got and replaces nothing: each event has the indexed field ``ocsf_id``, by which a search removes
repeats (``| dedup ocsf_id``). Where the token asks for acknowledgements, an event counts as taken when Splunk has
written it.
"""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
from attrs import field, frozen

from ocsflake.consumers.forward import Refusal
from ocsflake.errors import AccessDeniedError, ConfigError, MissingExtraError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ocsflake.consumers.forward import Document

__all__ = ["Splunk"]

_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_INCORRECT_INDEX = 7
_TOO_LARGE = 413
_TIMEOUT = 60.0
_ACK_TRIES = 60


def _address(url: str) -> str:
    if not url.startswith(("https://", "http://")):
        raise ConfigError(f"{url!r} is no address of a collector: give one such as https://splunk.example.com:8088")
    return url.rstrip("/")


@frozen
class Splunk:
    """A collector of Splunk; a `Destination`.

    Attributes:
        url: Where it listens, such as ``https://splunk.example.com:8088``.
        token: Of the collector.
        index: The index of Splunk; that of the token if it is not given.
        http: A ``urllib3.PoolManager``, which knows certificates and proxies; one with urllib3's own settings if it is
            not given.
        sleep: Waits some seconds between questions for an acknowledgement.
    """

    url: str = field(converter=_address)
    token: str = field(repr=False, kw_only=True)
    index: str = field(default="", kw_only=True)
    http: Any = field(default=None, repr=False, kw_only=True)
    sleep: Callable[[float], object] = field(default=time.sleep, repr=False, kw_only=True)
    _channel: str = field(factory=lambda: str(uuid4()), init=False, repr=False, eq=False)

    def send(self, documents: Sequence[Document]) -> Sequence[Refusal]:
        """Send documents as events, and return those that were not taken.

        The collector takes those before the first that it refuses; those after it are sent again.

        Raises:
            AccessDeniedError: If the token is not taken.
            ConfigError: If the collector does not take the request at all.
            MissingExtraError: If urllib3 is not installed.
            UnavailableError: If the collector cannot be reached, has too much to do, or acknowledges nothing.
        """
        refused: list[Refusal] = []
        while documents:
            bad, reason = self._attempt(documents)
            if bad is not None:
                refused.append(Refusal(documents[bad].id, reason))
            documents = [] if bad is None else documents[bad + 1 :]
        return refused

    def _attempt(self, documents: Sequence[Document]) -> tuple[int | None, str]:
        """Send documents, and return the place of the first that is refused, and why."""
        status, answer = self._post("/services/collector/event", b"".join(map(self._event, documents)))
        if answer.get("code") == _INCORRECT_INDEX:
            raise ConfigError(
                f"{self.url}: the token may not write to the index {self.index!r}: allow it, or name another"
            )
        bad = answer.get("invalid-event-number")
        if status == 400 and isinstance(bad, int) and bad < len(documents):
            return bad, _reason(answer)
        if status == _TOO_LARGE and len(documents) == 1:
            return 0, "too large"
        if status != 200:
            raise ConfigError(f"{self.url} does not take the request ({status}): {_reason(answer)}")
        if "ackId" in answer:
            self._wait_for(answer["ackId"])
        return None, ""

    def _event(self, document: Document) -> bytes:
        about: dict[str, Any] = {
            "time": document.time / 1000,
            "source": "ocsflake",
            "sourcetype": f"ocsf:{document.class_uid}",
            "fields": {"ocsf_id": document.id},
            "event": msgspec.Raw(document.content),
        }
        return msgspec.json.encode(about | ({"index": self.index} if self.index else {}))

    def _wait_for(self, number: int) -> None:
        for _ in range(_ACK_TRIES):
            _, answer = self._post("/services/collector/ack", msgspec.json.encode({"acks": [number]}))
            if answer.get("acks", {}).get(str(number)):
                return
            self.sleep(1.0)
        raise UnavailableError(f"{self.url} acknowledged nothing for {_ACK_TRIES} s", source="splunk")

    def _post(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        try:
            import urllib3
        except ImportError as error:
            raise MissingExtraError("Splunk needs urllib3: pip install 'ocsflake[splunk]'") from error
        headers = {
            "Authorization": f"Splunk {self.token}",
            "X-Splunk-Request-Channel": self._channel,
            "Content-Type": "application/json",
        }
        http = self.http or _pool()
        try:
            response = http.request(
                "POST", f"{self.url}{path}", body=body, headers=headers, retries=False, timeout=_TIMEOUT, redirect=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise UnavailableError(f"{self.url} does not answer: {type(error).__name__}", source="splunk") from error
        answer = _decoded(response.data)
        if response.status in {401, 403}:
            raise AccessDeniedError(
                f"{self.url} does not take the token ({_reason(answer)}): give one of its own that is enabled",
                source="splunk",
            )
        if response.status in _PASSING:
            raise UnavailableError(
                f"{self.url} takes nothing now ({response.status})",
                source="splunk",
                retry_after=_seconds(response.headers.get("Retry-After", "")),
            )
        return response.status, answer


@functools.cache
def _pool() -> Any:
    import urllib3

    return urllib3.PoolManager()


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        answer = msgspec.json.decode(data)
    except ValueError:  # something between us and the collector answered
        return {}
    return answer if isinstance(answer, dict) else {}


def _reason(answer: dict[str, Any]) -> str:
    return f"{answer.get('text', 'no reason given')}, code {answer.get('code', 'unknown')}"


def _seconds(text: str) -> float | None:
    return float(text) if text.isdecimal() else None
