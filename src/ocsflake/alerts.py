"""Tell somebody when a query finds something new.

::

    alerts.check(
        queries.duplicate_findings(days=7),
        lake,
        send=alerts.by_smtp(smtp, "lake@example.com", ["soc@example.com"]),
        checkpoints=FileCheckpoints("alerts.db"),
    )

The schedule is the caller's: each call asks once. A row is new if its key was not in the answer before; keys are kept
in a checkpoint, as digests. They are saved after the message was sent, so a crash in between sends it again, and none
is lost. A row that was gone for a while and comes back is new.
"""

from __future__ import annotations

from email.message import EmailMessage
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import pyarrow as pa
from attrs import frozen

from ocsflake import aws
from ocsflake.errors import AccessDeniedError, ConfigError, UnavailableError, did_you_mean
from ocsflake.retry import retry
from ocsflake.steering import clean_line

if TYPE_CHECKING:
    import smtplib
    from collections.abc import Callable, Iterable

    from ocsflake.lake import Lake
    from ocsflake.lake.query import Query
    from ocsflake.model import CheckpointStore

__all__ = ["Checked", "Message", "Send", "by_ses", "by_smtp", "by_sns", "check"]

_SHOWN = 50
_SUBJECT_MAX = 100
"""Characters; SNS takes no more, and ASCII alone."""
_TEXT_MAX = 200_000
"""Bytes; SNS takes 256 KiB."""
_CELL_MAX = 200


def _as_names(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


@frozen
class Message:
    """What is sent.

    Attributes:
        subject: One line of ASCII, 100 characters at most.
        text: Plain text: a line for each new row.
    """

    subject: str
    text: str


@frozen
class Checked:
    """What one look at a query found.

    Attributes:
        rows: What the query answered, in number.
        new: The rows that were not there before.
    """

    rows: int
    new: pa.Table


Send: TypeAlias = "Callable[[Message], None]"
"""What brings a message to somebody; it returns when the service has it."""


def check(query: Query, lake: Lake, *, send: Send, checkpoints: CheckpointStore) -> Checked:
    """Ask once, send the new rows if there are any, and remember them.

    Args:
        query: One of `ocsflake.queries`, or a `ocsflake.queries.Query` of your own, with the name that stands in the
            subject and the columns of its key.
        lake: Whom to ask.
        send: What brings a message to somebody: `by_smtp`, `by_ses`, `by_sns` or your own.
        checkpoints: Remember what was seen, by the name of the query; those of runs will do.

    Raises:
        AccessDeniedError: If the service does not let us send.
        CheckpointConflictError: If another process asked meanwhile; both have sent.
        ConfigError: If the query is wrong, or has no key, or its answer lacks a column of it.
        LakeError: If the lake or the checkpoint cannot be read or written.
        UnavailableError: If the message cannot be sent now; nothing is remembered.
    """
    if not query.key:
        raise ConfigError(f"the query {query.name!r} has no key: give the columns that tell one row from another")
    found = lake.query(query)
    for name in query.key:
        if name not in found.schema.names:
            near = did_you_mean(name, found.schema.names) or f"; it has {', '.join(found.schema.names)}"
            raise ConfigError(f"{query.name}: the answer has no column {name!r}, which the key names{near}")
    place = f"alert/{query.name}"
    doc, revision = checkpoints.load(place)
    seen = set((doc or {}).get("keys", ()))
    rows: dict[str, int] = {}
    for row, key in enumerate(_digests(found.select(list(query.key)))):
        rows.setdefault(key, row)
    new = found.take(pa.array([row for key, row in rows.items() if key not in seen], pa.int64()))
    if new.num_rows:
        send(_message(query.name, new))
    if doc is None or rows.keys() != seen:
        checkpoints.save(place, {"keys": sorted(rows)}, revision)
    return Checked(found.num_rows, new)


def by_smtp(client: smtplib.SMTP, sender: str, recipients: str | Iterable[str]) -> Send:
    """Return what sends messages by SMTP.

    Args:
        client: A ``smtplib.SMTP`` that is connected and, where the server asks for it, encrypted and logged in.
        sender: The address that the message is from.
        recipients: Those that it goes to.
    """
    import smtplib

    to = _as_names(recipients)

    def send(message: Message) -> None:
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = message.subject, sender, ", ".join(to)
        mail.set_content(message.text)
        try:
            refused = client.send_message(mail)
        except (smtplib.SMTPSenderRefused, smtplib.SMTPRecipientsRefused, smtplib.SMTPNotSupportedError) as error:
            raise ConfigError(f"the mail server does not take the message: {error}") from error
        except (smtplib.SMTPException, OSError) as error:
            raise UnavailableError(f"the mail server did not take the message: {error}", source="smtp") from error
        if refused:
            raise ConfigError(f"the mail server does not take the message for {', '.join(sorted(refused))}")

    return send


def by_ses(client: Any, sender: str, recipients: str | Iterable[str]) -> Send:
    """Return what sends messages by Amazon SES.

    Args:
        client: A boto3 client for ``sesv2``.
        sender: A verified address.
        recipients: Those that the message goes to.
    """
    to = list(_as_names(recipients))

    def send(message: Message) -> None:
        content = {"Subject": _utf8(message.subject), "Body": {"Text": _utf8(message.text)}}
        _call(
            lambda: client.send_email(
                FromEmailAddress=sender, Destination={"ToAddresses": to}, Content={"Simple": content}
            ),
            "SES",
            "ses:SendEmail",
        )

    return send


def by_sns(client: Any, topic_arn: str) -> Send:
    """Return what publishes messages to a topic of Amazon SNS.

    Args:
        client: A boto3 client for ``sns``.
        topic_arn: The topic.
    """

    def send(message: Message) -> None:
        _call(
            lambda: client.publish(TopicArn=topic_arn, Subject=message.subject, Message=message.text),
            topic_arn,
            "sns:Publish",
        )

    return send


def _utf8(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}


def _call(call: Callable[[], object], where: str, action: str) -> None:
    try:
        retry(call, retryable=aws.seconds_to_wait)
    except Exception as error:
        found = aws.failure(error)
        if found is None:
            raise
        said = f"{found.code}: {found.message}"
        if found.kind == "denied":
            raise AccessDeniedError(f"{where} does not let us send ({said}): allow {action}", source=where) from error
        if found.kind == "unavailable":
            raise UnavailableError(f"{where} does not take the message now ({said})", source=where) from error
        raise ConfigError(f"{where} does not take the message ({said})") from error


def _digests(rows: pa.Table) -> list[str]:
    """Return a digest of each row."""
    encode = msgspec.json.Encoder().encode
    columns = [column.to_pylist(maps_as_pydicts="lossy") for column in rows.columns]
    return [blake2b(encode(row), digest_size=16).hexdigest() for row in zip(*columns, strict=True)]


def _message(name: str, new: pa.Table) -> Message:
    count = f"{new.num_rows:,} new"
    subject = f"ocsflake: {count}: {name}".encode("ascii", "replace").decode()
    shown = new.slice(0, _SHOWN).to_pylist(maps_as_pydicts="lossy")
    lines = [f"{count} in {name}", ""]
    for row in shown:
        lines += [*(f"{column}: {_cell(value)}" for column, value in row.items() if value is not None), ""]
    if new.num_rows > len(shown):
        lines += [f"and {new.num_rows - len(shown):,} more"]
    text = "\n".join(lines).encode()[:_TEXT_MAX].decode(errors="ignore")
    return Message(clean_line(subject)[:_SUBJECT_MAX], f"{text}\n")


def _cell(value: object) -> str:
    """Return a value on one line: what an attacker wrote must not look like a line of ours."""
    shown = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return clean_line(shown)[:_CELL_MAX]
