"""Asking a person, in both eras of the protocol. Whatever is not a clear yes is a no."""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

import anyio
import mcp.types as t
from mcp import MCPError
from mcp.server.elicitation import render_elicitation_schema
from mcp.server.mcpserver import Context
from mcp.types.version import is_version_at_least
from pydantic import BaseModel, Field, StrictBool

from mixpanel_mcp.api.activity import Wait, waiting_for
from mixpanel_mcp.json_values import is_object
from mixpanel_mcp.safety.verdict import Verdict

_MODERN = "2026-07-28"
_MOST_PENDING = 1000
PENDING_SECONDS = 600.0
ANSWER_SECONDS = 300.0


class Approval(BaseModel):
    """The whole form: one question, one answer."""

    # Strict: whoever answers "yes" or 1 to a question of true or false has not been understood.
    approve: StrictBool = Field(description="Go ahead? This cannot be undone.")


_FORM = render_elicitation_schema(Approval)
_QUESTION = "approval"


class AskFirst(Exception):  # noqa: N818 - no error: the client is asked, and calls again
    """The call ends here, and the client puts `result` to a person."""

    def __init__(self, result: t.InputRequiredResult) -> None:
        self.result = result
        super().__init__("a person has to be asked first")


class Questions(Protocol):
    """Questions that wait for their answer; each can be answered once.

    The protocol seals a question's state and binds it to the tool's arguments, but lets it come
    back any number of times. The number kept here is what makes a yes good for one execution.
    """

    async def add(self, question: str) -> str:
        """Keep a question until it is answered, and get its number."""
        ...

    async def take(self, number: str, question: str) -> bool:
        """Whether this very question was asked, is fresh and was not answered before."""
        ...


class PendingQuestions:
    """The questions of one process, in memory."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked: OrderedDict[str, tuple[str, float]] = OrderedDict()

    async def add(self, question: str) -> str:
        while len(self._asked) >= _MOST_PENDING:
            self._asked.popitem(last=False)
        number = secrets.token_urlsafe(16)
        self._asked[number] = (question, self._clock() + PENDING_SECONDS)
        return number

    async def take(self, number: str, question: str) -> bool:
        asked, expires = self._asked.pop(number, ("", 0.0))
        return asked == question and self._clock() < expires


class Asker:
    """Puts one question to the person behind a tool call."""

    def __init__(
        self,
        context: Context[Any, Any],
        pending: Questions,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._context = context
        self._pending = pending
        self._answer_seconds = answer_seconds

    async def ask(self, question: str, binding: str = "") -> Verdict:
        """Get a person's answer.

        Args:
            question: what the person reads.
            binding: what the answer holds for beside that, such as a fingerprint of a file.

        Raises:
            AskFirst: in the modern era, on the first round.
        """
        if not self._can_ask():
            return Verdict.NOBODY_TO_ASK
        if self._is_modern():
            return await self._modern(question, binding)
        return await self._legacy(question)

    def _is_modern(self) -> bool:
        return is_version_at_least(self._context.protocol_version or "", _MODERN)

    def _can_ask(self) -> bool:
        capabilities = self._context.client_capabilities
        elicitation = capabilities.elicitation if capabilities else None
        # A bare {} means forms: so it was before the two kinds were told apart.
        if elicitation is None or (elicitation.form is None and elicitation.url is not None):
            return False
        return self._is_modern() or self._context.session.can_send_request

    async def _modern(self, question: str, binding: str) -> Verdict:
        answer = (self._context.input_responses or {}).get(_QUESTION)
        number = self._context.request_state
        if answer is None or number is None:
            form = t.ElicitRequestFormParams(message=question, requested_schema=_FORM)
            raise AskFirst(
                t.InputRequiredResult(
                    input_requests={_QUESTION: t.ElicitRequest(params=form)},
                    request_state=await self._pending.add(question + binding),
                )
            )
        if not await self._pending.take(number, question + binding):
            return Verdict.ALREADY_USED
        # The answer arrives unchecked: "maybe" is as possible as true.
        content: Any = getattr(answer, "content", None)
        agreed = (
            getattr(answer, "action", None) == "accept"
            and is_object(content)
            and content.get("approve") is True  # pyright: ignore[reportUnknownMemberType]
        )
        return Verdict.APPROVED if agreed else Verdict.DECLINED

    async def _legacy(self, question: str) -> Verdict:
        try:
            with anyio.fail_after(self._answer_seconds), waiting_for(Wait.PERSON):
                reply = await self._context.elicit(question, Approval)
        except (MCPError, ValueError, TimeoutError):
            return Verdict.DECLINED
        agreed = reply.action == "accept" and reply.data.approve
        return Verdict.APPROVED if agreed else Verdict.DECLINED
