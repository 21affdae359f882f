"""The shared client: region, credentials, deadlines and retries for every request there is."""

import base64
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlencode, urlsplit

import anyio

from mixpanel_mcp import __version__, spans
from mixpanel_mcp.api import errors
from mixpanel_mcp.api.activity import Wait, waiting_for
from mixpanel_mcp.api.attempts import counted, logged
from mixpanel_mcp.api.cache import Answered, SharedReads
from mixpanel_mcp.api.ledger import BudgetShare
from mixpanel_mcp.api.regions import origin
from mixpanel_mcp.api.replies import (
    EncodedBody,
    Reply,
    decoded,
    failure,
    read_whole,
    retry_after_seconds,
)
from mixpanel_mcp.api.request import Credential, Pairs, Repeat, Request
from mixpanel_mcp.api.retry import (
    AttemptFailedError,
    Deadline,
    Outcome,
    attempt_seconds,
    may_repeat,
    pause_seconds,
    pause_that_fits,
    wanted,
)
from mixpanel_mcp.api.upstream import Upstream
from mixpanel_mcp.files.packing import packer
from mixpanel_mcp.settings import CONNECTION_PREFIX, DEFAULT_CONNECTION, Connection

if TYPE_CHECKING:
    from mixpanel_mcp.api.transport import Response

_Answer = TypeVar("_Answer")

_USUAL: Pairs = (("User-Agent", f"mixpanel-mcp/{__version__}"), ("Accept", "*/*"))


class MixpanelClient:
    """One per caller and connection. Sends what it is given; whether it may is decided before."""

    def __init__(
        self,
        upstream: Upstream,
        cache_seconds: float = 0,
        share: BudgetShare | None = None,
        shared_reads: SharedReads | None = None,
    ) -> None:
        self.connection = upstream.connection
        self.pacing = upstream.pacing
        self.budget = upstream.new_budget(share)
        self.pace = upstream.pace
        self._upstream = upstream
        self._cache = upstream.new_cache(cache_seconds, shared_reads)

    async def read(
        self, request: Request, *, project: str, deadline: Deadline, fresh: bool
    ) -> Answered:
        """Answer a read from the cache, with an equal read under way, or by sending it.

        Raises:
            MixpanelError: as `send`.
        """
        sent = False

        async def send() -> Reply:
            nonlocal sent
            sent = True
            return await self.send(request, project=project, repeat=Repeat.READ, deadline=deadline)

        deadline.remaining()  # it runs from here, also while somebody else's read is waited for
        with spans.span("mixpanel.read"):
            answered = await self._cache.read(request, send, fresh=fresh)
            kept = answered.age_seconds is not None
            spans.note({"mixpanel.cache": "hit" if kept else "lead" if sent else "follow"})
            return answered

    def forget(self, request: Request) -> None:
        """Keep a read's reply no longer: nothing could be concluded from it."""
        self._cache.forget(request)

    async def send(
        self, request: Request, *, project: str, repeat: Repeat, deadline: Deadline
    ) -> Reply:
        """Send and read the whole reply, whatever its status short of 429 and 5xx.

        Args:
            request: what is sent.
            project: the id of the project that Mixpanel counts it for.
            repeat: how often it may arrive.
            deadline: the end of the whole call.

        Raises:
            NotConfiguredError, BudgetSpentError: nothing was sent.
            RateLimitedError, UnavailableError: and no retry was left.
            OutcomeUnknownError: a write that may have happened.
            UnreadableReplyError: too large, or damaged on its way.
        """

        async def attempt(seconds: float) -> Reply:
            async with self._exchange(request, seconds) as response:
                reply = await _whole(response)
            _raise_if_repeatable(reply)
            return reply

        try:
            return await self._repeated(request, project, repeat, deadline, attempt)
        finally:
            if repeat is not Repeat.READ:
                with anyio.CancelScope(shield=True):
                    await self._upstream.written()

    @asynccontextmanager
    async def stream(
        self, request: Request, *, project: str, deadline: Deadline
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        """As `stream_encoded`, with the body's gzip undone and its end proved."""
        async with self.stream_encoded(request, project=project, deadline=deadline) as body:
            yield decoded(body.pieces, body.encoding)

    @asynccontextmanager
    async def stream_encoded(
        self, request: Request, *, project: str, deadline: Deadline
    ) -> AsyncGenerator[EncodedBody]:
        """Open a read whose body is consumed piece by piece; only the opening is retried.

        What was already handed on cannot be taken back, so a stream that breaks is the
        consumer's to report.

        Raises:
            MixpanelError: what the status means, when it is not 200.
            UnavailableError: the stream broke off, or the deadline passed.
        """
        async with AsyncExitStack() as open_reply:

            async def attempt(seconds: float) -> "Response":
                async with AsyncExitStack() as opening:
                    response = await opening.enter_async_context(self._exchange(request, seconds))
                    if response.status != 200:
                        reply = await _whole(response)
                        _raise_if_repeatable(reply)
                        raise failure(request, reply)
                    open_reply.push_async_callback(opening.pop_all().aclose)
                    return response

            response = await self._repeated(request, project, Repeat.READ, deadline, attempt)
            try:
                with anyio.fail_after(max(0, deadline.remaining())), waiting_for(Wait.STREAM):
                    pieces = counted(request, response.raw(), self.pacing)
                    yield EncodedBody(response.headers.get("content-encoding", ""), pieces)
            except (AttemptFailedError, TimeoutError) as error:
                raise errors.UnavailableError(
                    f"The reply of {request.shown} broke off before its end."
                ) from error

    async def _repeated(
        self,
        request: Request,
        project: str,
        repeat: Repeat,
        deadline: Deadline,
        attempt: Callable[[float], Awaitable[_Answer]],
    ) -> _Answer:
        # What cannot be sent shall neither wait for a slot nor cost one.
        self._credential(request)
        self._upstream.transport()
        before: AttemptFailedError | None = None
        timed_out = made = 0
        while True:
            made += 1
            try:
                async with self.budget.slot(request, project, deadline):
                    seconds = attempt_seconds(
                        deadline, repeat, request.retry, attempt=made, timed_out=timed_out
                    )
                    seconds = min(seconds, request.timeout_seconds or seconds)
                    answer = _bounded(attempt, seconds)
                    with waiting_for(Wait.ANSWER):
                        return await logged(request, answer, number=made, pacing=self.pacing)
            except errors.BudgetSpentError as spent:
                if before is None:
                    raise
                # Something was sent, so what became of that is the answer.
                later = self.budget.spent(request, project) or spent
                raise _gave_up(request, repeat, before, None, later) from before
            except AttemptFailedError as failed:
                before = failed
                if failed.outcome is Outcome.RATE_LIMITED and failed.reply is not None:
                    await self.budget.learn(request, project, failed.reply)
                again = may_repeat(failed.outcome, repeat, timed_out_before=timed_out)
                again = again and wanted(failed.outcome, request.retry, attempt=made)
                spent = self.budget.spent(request, project)
                again = again and spent is None
                pause = self._pause(request, failed, made)
                pause = pause_that_fits(pause, failed.outcome, deadline)
                if not again or pause >= deadline.remaining():
                    wait = pause if again else None
                    raise _gave_up(request, repeat, failed, wait, spent) from failed
                timed_out += failed.outcome is Outcome.TIMED_OUT
            with waiting_for(Wait.RETRY):
                await self.pacing.sleep(pause)

    def _pause(self, request: Request, failed: AttemptFailedError, made: int) -> float:
        reply = failed.reply
        asked = retry_after_seconds(reply.headers, self.pacing.now()) if reply else None
        return pause_seconds(made, asked, self.pacing, request.retry)

    def _exchange(
        self, request: Request, seconds: float
    ) -> AbstractAsyncContextManager["Response"]:
        credential = self._credential(request)
        place = origin(self.connection, request.region, request.family)
        spans.note(_server_of(place))
        url = place + request.path
        if request.query:
            url += "?" + urlencode(request.query)
        body = packer()(request.body) if request.compress else request.body
        headers = [*_headers(request), *credential]
        transport = self._upstream.transport()
        return transport.exchange(request.method, url, headers, body, seconds)

    def _credential(self, request: Request) -> Pairs:
        match request.credential:
            case Credential.NONE:
                return ()
            case Credential.PROJECT_TOKEN:
                return (("Authorization", _basic(project_token(self.connection), "")),)
            case Credential.SERVICE_ACCOUNT:
                return (("Authorization", _basic(*service_account(self.connection))),)


@lru_cache
def _server_of(place: str) -> spans.Attributes:
    parts = urlsplit(place)
    port = parts.port or {"https": 443, "http": 80}[parts.scheme]
    return {"server.address": parts.hostname, "server.port": port}


def service_account(connection: Connection) -> tuple[str, str]:
    """Name and secret of the service account.

    Raises:
        NotConfiguredError: one of them is not set.
    """
    if not connection.username or connection.password is None:
        raise not_configured(connection)
    return connection.username, connection.password.get_secret_value()


def project_token(connection: Connection) -> str:
    """The token that names the project in what is written.

    Raises:
        NotConfiguredError: it is not set.
    """
    if connection.project_token is None:
        raise not_configured(connection, needed=("PROJECT_TOKEN",))
    return connection.project_token.get_secret_value()


def not_configured(
    connection: Connection, needed: Sequence[str] = ("USERNAME", "PASSWORD", "PROJECT_ID")
) -> errors.NotConfiguredError:
    """The error that names everything a call needs and the operator has not set, at once."""
    missing = [CONNECTION_PREFIX + name for name in needed if not getattr(connection, name.lower())]
    verb = "is" if len(missing) == 1 else "are"
    whose = "" if connection.name == DEFAULT_CONNECTION else f" for connection {connection.name}"
    by_call = CONNECTION_PREFIX + "PROJECT_ID" in missing
    passed = " project_id may also be passed with the call." if by_call else ""
    return errors.NotConfiguredError(
        f"Nothing was sent: {' and '.join(missing)} {verb} not set{whose}, and this call needs it. "
        "Ask the person to set it in this server's configuration (Mixpanel: Organization Settings "
        f"> Service Accounts, and Project Settings) and to restart the server.{passed}"
    )


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def _headers(request: Request) -> Pairs:
    headers = list(request.headers)
    given = {name.lower() for name, _ in headers}
    headers += [each for each in _USUAL if each[0].lower() not in given]
    if request.content_type and "content-type" not in given:
        headers.append(("Content-Type", request.content_type))
    if request.compress:
        headers.append(("Content-Encoding", "gzip"))
    if "accept-encoding" not in given:
        headers.append(("Accept-Encoding", "gzip" if request.accept_gzip else "identity"))
    return tuple(headers)


async def _whole(response: "Response") -> Reply:
    pieces = decoded(response.raw(), response.headers.get("content-encoding", ""))
    return Reply(response.status, response.headers, await read_whole(pieces))


def _raise_if_repeatable(reply: Reply) -> None:
    if reply.status == 429:
        raise AttemptFailedError(Outcome.RATE_LIMITED, reply)
    # 501 says that it will always be so.
    if reply.status >= 500 and reply.status != 501:
        raise AttemptFailedError(Outcome.SERVER_ERROR, reply)


async def _bounded(attempt: Callable[[float], Awaitable[_Answer]], seconds: float) -> _Answer:
    """Run one attempt: a reply that trickles is ended as surely as one that never comes."""
    try:
        with anyio.fail_after(max(0, seconds)):
            return await attempt(seconds)
    except TimeoutError as error:
        raise AttemptFailedError(Outcome.TIMED_OUT) from error


def _gave_up(
    request: Request,
    repeat: Repeat,
    failed: AttemptFailedError,
    pause: float | None,
    spent: errors.BudgetSpentError | None,
) -> errors.MixpanelError:
    """The error of the last attempt, with what is known of the next.

    `pause` is what another attempt would have waited, `spent` why there is no slot for one.
    """
    waited = f" Try again in {pause:.0f} s at the earliest." if pause is not None else ""
    error = _last_word(request, repeat, failed, waited, str(spent or ""))
    if spent is not None:
        error.data.update(spent.data)
    return error


def _last_word(
    request: Request, repeat: Repeat, failed: AttemptFailedError, waited: str, spent: str
) -> errors.MixpanelError:
    if failed.outcome is Outcome.RATE_LIMITED and failed.reply is not None:
        error = failure(request, failed.reply, waited=waited, spent=spent)
        if isinstance(error, errors.RateLimitedError):
            error.asked_seconds = retry_after_seconds(failed.reply.headers, time.time())
        return error
    if failed.outcome is Outcome.NEVER_SENT:
        return errors.UnreachableError(
            f"Nothing was sent: Mixpanel could not be reached for {request.shown}. "
            "Check the network, a proxy, MIXPANEL_REGION and MIXPANEL_BASE_URL."
        )
    if repeat is Repeat.UNSAFE:
        return errors.OutcomeUnknownError(
            f"{request.shown} {_END[failed.outcome]}: it may have happened. It was not sent again, "
            "because a second arrival would count twice. Read the data back before you repeat it."
        )
    if failed.reply is not None:
        return failure(request, failed.reply, waited=waited, spent=spent)
    safe = " Sending the same again is safe." if repeat is Repeat.SAFE else ""
    later = (spent and f" {spent}") or waited
    return errors.UnavailableError(f"{request.shown} {_END[failed.outcome]}.{safe}{later}")


_END = {
    Outcome.SERVER_ERROR: "was answered with a server error",
    Outcome.DROPPED: "lost its connection before the answer",
    Outcome.TIMED_OUT: "got no answer in time",
}
