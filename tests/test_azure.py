"""What failures of Azure's SDKs mean."""

from __future__ import annotations

from typing import Any

import pytest
from azure.core import exceptions
from azure.identity import CredentialUnavailableError

from ocsflake.azure import default_credential, failure, seconds_to_wait, source_error
from ocsflake.errors import AccessDeniedError, SourceError, UnavailableError


class Answer:
    """An answer as the SDKs' errors hold it."""

    reason = "made up"
    content_type = "application/json"

    def __init__(self, status: int, **headers: str) -> None:
        self.status_code = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def text(self) -> str:
        return ""


def refused(status: int, **headers: str) -> exceptions.HttpResponseError:
    answer: Any = Answer(status, **headers)
    return exceptions.HttpResponseError(response=answer)


@pytest.mark.parametrize(
    ("error", "kind", "wait"),
    [
        (refused(429), "unavailable", 0.0),
        (refused(429, retry_after="7"), "unavailable", 7.0),
        (refused(503, x_ms_retry_after_ms="1500"), "unavailable", 1.5),
        (refused(503, retry_after="Tue, 24 Nov 2026 08:00:00 GMT"), "unavailable", 0.0),
        (refused(408), "unavailable", 0.0),
        (exceptions.ServiceRequestError("no route"), "unavailable", 0.0),
        (exceptions.IncompleteReadError("broken off"), "unavailable", 0.0),
        (refused(401), "credentials", None),
        (CredentialUnavailableError("no identity\nat all"), "credentials", None),
        (refused(403), "denied", None),
        (refused(404), "missing", None),
        (refused(412), "changed", None),
        (refused(400), "other", None),
        (exceptions.HttpResponseError("nothing came"), "other", None),
        (exceptions.ServiceRequestError("CERTIFICATE_VERIFY_FAILED"), "other", None),
        (exceptions.AzureError("who knows"), "other", None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_kinds(error: Exception, kind: str, wait: float | None) -> None:
    """What passes is waited for as long as was asked; the rest is told apart."""
    found = failure(error)

    assert found is not None
    assert found.kind == kind
    assert seconds_to_wait(error) == wait


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (refused(403), AccessDeniedError, "W: the identity of this session may not .*allow it reading"),
        (
            CredentialUnavailableError("no identity\nat all"),
            AccessDeniedError,
            r"\(CredentialUnavailableError: no ident",
        ),
        (refused(503, retry_after="7"), UnavailableError, "asks to be left alone"),
        (UnavailableError("half an answer"), UnavailableError, "half an answer"),
        (refused(404), SourceError, "W is not there"),
        (refused(400), SourceError, "W: 400"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_messages(error: Exception, kind: type[SourceError], message: str) -> None:
    """A message says what, where, and what to do."""
    found = source_error(error, "W", allow="reading", source="s", split="p")

    assert type(found) is kind
    assert (found.source, found.split) == ("s", "p")
    with pytest.raises(kind, match=message):
        raise found


def test_strangers() -> None:
    """What is not the SDKs' is nobody's business here."""
    assert failure(ValueError()) is None
    assert source_error(ValueError(), "W", allow="") is None
    assert seconds_to_wait(ValueError()) is None


def test_sovereign_clouds() -> None:
    """An identity signs in where the service is, and is made once."""
    public, china = default_credential("api.loganalytics.io"), default_credential("api.loganalytics.azure.cn")

    assert public is default_credential("api.loganalytics.io")
    assert public is not china
    public.close()
    china.close()
