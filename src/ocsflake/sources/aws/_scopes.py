"""AWS's APIs in several accounts and Regions: who is asked, with which credentials, how often, and what failures mean.

A *scope* is one account in one Region. Each has clients of its own, which are made when they are needed, and a limiter
for each API. A call is tried again by itself, so that a page that failed repeats none before it.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

import msgspec
from attrs import field, frozen

from ocsflake import aws
from ocsflake.errors import AccessDeniedError, ConfigError, SourceError, UnavailableError, did_you_mean
from ocsflake.mapping.records import repair_surrogates
from ocsflake.retry import retry
from ocsflake.sources.limits import limiter
from ocsflake.sources.options import words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Access", "Answer", "Caller", "Scope", "raw_list", "raw_members"]

_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z]{2,}(?:-[a-z]+)+-[0-9]+")
_ROLE = re.compile(r"arn:[a-z-]+:iam::(?:[0-9]{12}|\{account\}):role/.+")
_REFUSED = re.compile(
    r"(?P<who>arn:\S{1,2048}) is not authorized to perform: (?P<action>[\w:-]+)(?: on resource: (?P<resource>[^\s,]+))?"
)
_CONNECTIONS = 10
_TOKENS = ("NextToken", "nextToken")
_OFF = frozenset({"InvalidAccessException", "SubscriptionRequiredException", "OptInRequired"})
"""What services answer where they are not turned on."""

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])


def raw_members(text: bytes) -> dict[str, msgspec.Raw]:
    """Return the members of a JSON object as they came; half a character becomes U+FFFD, as no text can hold it."""
    try:
        return _MEMBERS.decode(text)
    except msgspec.DecodeError:
        return _MEMBERS.decode(repair_surrogates(text))


def raw_list(text: bytes) -> list[bytes]:
    """Return the elements of a JSON list as they came."""
    return [bytes(element) for element in _LIST.decode(text)]


@frozen(order=True)
class Scope:
    """One account in one Region.

    Attributes:
        account: Its id.
        region: The AWS Region.
    """

    account: str
    region: str

    def __str__(self) -> str:
        return f"{self.account}/{self.region}"


class _Clients:
    """Clients and roles that were made already; a copy in another process begins anew."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.made: dict[tuple[str, Scope], Any] = {}
        self.roles: dict[str, Any] = {}
        self.session: Any = None
        self.caller: tuple[str, str] | None = None

    def __reduce__(self) -> tuple[type[_Clients], tuple[()]]:
        return _Clients, ()


@frozen(kw_only=True)
class Access:
    """Which accounts and Regions are asked, and as whom.

    Attributes:
        regions: AWS Regions, as a list or as text with commas; that of the session if there are none.
        accounts: Accounts with a role, likewise; the account of the credentials, or of the role, if there are none.
        role_arn: The role to act as, with ``{account}`` where the account stands:
            ``arn:aws:iam::{account}:role/logs``.
        external_id: What the trust policy of the role asks for, if it does.
        session: A `boto3.Session`; one with the settings of the environment if it is not given.
    """

    regions: tuple[str, ...] = field(default=(), converter=words)
    accounts: tuple[str, ...] = field(default=(), converter=words)
    role_arn: str = ""
    external_id: str = field(default="", repr=False)
    session: Any = field(default=None, eq=False, repr=False)
    _clients: _Clients = field(factory=_Clients, init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        """Check what can be checked without a call."""
        for account in self.accounts:
            if not _ACCOUNT.fullmatch(account):
                raise ConfigError(f"accounts: {account!r} is no account: an id has 12 digits, zeros at the front too")
        for region in self.regions:
            if not _REGION.fullmatch(region):
                raise ConfigError(f"regions: {region!r} is no AWS Region, such as eu-west-1")
        if self.role_arn and not _ROLE.fullmatch(self.role_arn):
            raise ConfigError(
                f"role_arn: {self.role_arn!r} is no ARN of a role, such as arn:aws:iam::{{account}}:role/logs"
            )
        if self.accounts and "{account}" not in self.role_arn:
            raise ConfigError("accounts: each needs a role in it: give role_arn=arn:aws:iam::{account}:role/name")

    def scopes(self, source: str = "", split: str | None = None) -> list[Scope]:
        """Return the accounts and Regions.

        Args:
            source: The name of the source, for errors.
            split: The id of the split, for errors.

        Raises:
            ConfigError: If there is no Region, or there are no credentials.
            SourceError: If the account of the credentials cannot be found out.
        """
        regions = self.regions or words(self._session().region_name or "")
        if not regions:
            raise ConfigError("no AWS Region is set: give regions=, or set AWS_REGION")
        sts = Caller(access=self, service="sts", scope=Scope("", regions[0]), per_second=10, source=source, split=split)
        return [Scope(account, region) for account in self._account_ids(sts) for region in regions]

    def client(self, service: str, scope: Scope) -> Any:
        """Return a client that keeps the body of each answer, beside what boto3 made of it."""
        with self._clients.lock:
            if (service, scope) not in self._clients.made:
                self._clients.made[service, scope] = self._make(service, scope)
            return self._clients.made[service, scope]

    def renew(self, account: str) -> bool:
        """Drop credentials that have expired, so that the next call has others; whether it may have them at once.

        A role is assumed anew. A session of the environment reads its files anew, which somebody must renew first.
        """
        with self._clients.lock:
            self._clients.roles.pop(account, None)
            self._clients.made = {key: made for key, made in self._clients.made.items() if key[1].account != account}
            if not self.role_arn:
                self._clients.session = None
        return bool(self.role_arn)

    def who(self, account: str) -> str:
        """Return who acts in an account, for messages."""
        if self.role_arn:
            return self.role_arn.replace("{account}", account)
        return self._clients.caller[1] if self._clients.caller else "the credentials of this session"

    def _account_ids(self, sts: Caller) -> tuple[str, ...]:
        if self.accounts:
            return self.accounts
        if self.role_arn and "{account}" not in self.role_arn:
            return (self.role_arn.split(":")[4],)
        if self._clients.caller is None:
            found = sts("get_caller_identity").parsed
            self._clients.caller = found["Account"], found["Arn"]
        return (self._clients.caller[0],)

    def _session(self) -> Any:
        with self._clients.lock:
            if self.session is not None:
                return self.session
            if self._clients.session is None:
                self._clients.session = aws.new_session()
            return self._clients.session

    def _make(self, service: str, scope: Scope) -> Any:
        session = self._session()
        from botocore.config import Config

        create = session.client
        if self.role_arn and scope.account:
            role, account = self.role_arn.replace("{account}", scope.account), scope.account
            if account not in self._clients.roles:
                self._clients.roles[account] = aws.act_as(
                    role, session, external_id=self.external_id, region=scope.region
                )
            create = self._clients.roles[account].create_client
        config = Config(retries={"total_max_attempts": 1}, max_pool_connections=_CONNECTIONS)
        client = create(service, region_name=scope.region, config=config)
        client.meta.events.register("after-call", aws.check_whole)
        client.meta.events.register("after-call", _keep_body)
        return client


@frozen
class Answer:
    """An answer of a service.

    Attributes:
        parsed: What boto3 made of it.
        body: As it came.
    """

    parsed: Mapping[str, Any]
    body: bytes

    def records(self, key: str) -> list[bytes]:
        """Return the elements of a list of the answer as JSON, just as they came."""
        found = raw_members(self.body).get(key)
        return [] if found is None else raw_list(found)


@frozen(kw_only=True)
class Caller:
    """Calls one service in one scope.

    Attributes:
        access: Whose clients are used.
        service: The service, as boto3 calls it.
        scope: The account and Region.
        per_second: How many calls a second the service allows there.
        source: The name of the source, for errors.
        split: The id of the split, for errors.
    """

    access: Access
    service: str
    scope: Scope
    per_second: float
    source: str = ""
    split: str | None = None

    def __call__(self, method: str, /, **asked: Any) -> Answer:
        """Return the answer to one call, which is tried again while that may help.

        Raises:
            SourceError: If it fails for good.
            ConfigError: If there are no credentials, or boto3 has no such call.
        """
        limit = limiter(self.service, str(self.scope), self.per_second)

        def call() -> Any:
            limit.wait()
            return getattr(self._client_with(method), method)(**asked)

        try:
            parsed = retry(call, retryable=self._seconds_to_wait)
        except Exception as error:
            problem = self._problem(error)
            if problem is None:
                raise
            raise problem from error
        return Answer(parsed, parsed.pop("Body", b""))

    def pages(self, method: str, /, **asked: Any) -> Iterator[Answer]:
        """Yield all pages of an answer; every call but for its token is the same.

        Raises:
            SourceError: As a call does, or if the service gives one token again and again.
        """
        about = self._client_with(method).meta
        members = about.service_model.operation_model(about.method_to_api_mapping[method]).input_shape.members
        name = next(name for name in _TOKENS if name in members)
        token = None
        while True:
            answer = self(method, **asked, **({name: token} if token else {}))
            yield answer
            before, token = token, answer.parsed.get(name)
            if not token:
                return
            if token == before:
                raise self._failed(SourceError, f"{method} gives the same page again and again: run again later")

    @staticmethod
    def code_of(error: SourceError) -> str:
        """Return the service's word for why a call failed."""
        found = aws.failure(error.__cause__) if isinstance(error.__cause__, Exception) else None
        return found.code if found else ""

    def _client_with(self, method: str) -> Any:
        client = self.access.client(self.service, self.scope)
        names = client.meta.method_to_api_mapping
        if method not in names:
            near = did_you_mean(method, names)
            raise ConfigError(f"boto3 has no {self.service}.{method}{near}: pip install -U boto3")
        return client

    def _seconds_to_wait(self, error: Exception) -> float | None:
        found = aws.failure(error)
        expired = found is not None and found.kind == "expired" and found.action != "sts:AssumeRole"
        if expired and self.access.renew(self.scope.account):
            return 0.0
        return aws.seconds_to_wait(error)

    def _problem(self, error: Exception) -> SourceError | ConfigError | None:
        """Return what to raise for a failed call; ``None`` if the exception is not boto3's.

        The service's sentence is left out where it may hold a credential: some quote the request that was signed.
        """
        found = aws.failure(error)
        if found is None:
            return None
        said = f"{found.code}: {found.message}" if found.message else found.code
        who = self.access.who(self.scope.account)
        if found.kind == "no credentials":
            return ConfigError("there are no AWS credentials: set AWS_PROFILE, or give a session that has some")
        if found.action == "sts:AssumeRole" and found.kind == "denied":
            return self._failed(
                AccessDeniedError,
                f"{who} cannot be assumed (sts:AssumeRole: {found.code}): its trust policy must name the principal of "
                "this session, and external_id= must be what it asks for",
            )
        if found.kind == "denied":
            refused = _REFUSED.search(found.message)
            act, where = self._permission(found.action), "*"
            if refused:
                who, act, where = refused["who"], refused["action"], refused["resource"] or where
            return self._failed(
                AccessDeniedError, f"{who} may not do this ({found.code}): allow it {act} on {where.rstrip('.')}"
            )
        if found.kind == "expired":
            text = f"the credentials have expired ({found.code}): renew them and run again, which goes on here"
            return self._failed(SourceError, text)
        if found.kind == "credentials":
            text = f"the credentials are not valid there ({found.code}): correct them, or turn on the Region"
            return self._failed(SourceError, text)
        if found.kind == "unavailable":
            text = f"it cannot be reached, or asks to be left alone ({said}): run again later, which goes on here"
            return self._failed(UnavailableError, text, retry_after=found.retry_after or None)
        if found.code in _OFF:
            text = f"it is not turned on there ({said}): turn it on, or leave the account or Region out"
            return self._failed(SourceError, text)
        return self._failed(SourceError, f"{found.action or 'the call'} failed ({said})")

    def _permission(self, operation: str) -> str:
        """Return the permission that an operation needs; an operation and its second version need one."""
        if ":" in operation:
            return operation
        prefix = self.access.client(self.service, self.scope).meta.service_model.signing_name
        return f"{prefix}:{operation.removesuffix('V2')}"

    def _failed(self, kind: type[SourceError], text: str, **more: Any) -> SourceError:
        where = f"{self.service} in {self.scope}" if self.scope.account else f"{self.service} in {self.scope.region}"
        return kind(f"{where}: {text}", source=self.source, split=self.split, **more)


def _keep_body(http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
    """Put the body of an answer beside what boto3 made of it: records are kept as they came."""
    parsed["Body"] = http_response.content
