"""What an operation is: a pydantic model, a short function, and a declaration above it.

    class PipelineName(InProject, Write):
        name: str = Field(description="Name of the pipeline, as list_pipelines shows it.")

    @operation(
        title="Delete pipeline", toolset="pipelines", effect=Effect.IRREVERSIBLE,
        docs="data-pipelines.openapi.yaml /nessie/pipeline/cancel",
    )
    async def delete_pipeline(call: Call, args: PipelineName) -> Answer:
        '''Delete a pipeline and its history. It cannot be undone.'''

The function's name becomes the tool's, the model's fields its arguments, the docstring its
description; hints, gates, audit and the README table derive from the declaration. A function
sends through `call`, and nothing leaves before the guard behind it has read the request itself:
danger is decided on what would be sent, not on who sends it.
"""

import hashlib
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from mixpanel_mcp.api.client import MixpanelClient, not_configured
from mixpanel_mcp.api.errors import RefusedError
from mixpanel_mcp.api.replies import EncodedBody, Reply
from mixpanel_mcp.api.request import Repeat, Request
from mixpanel_mcp.api.retry import Deadline
from mixpanel_mcp.files.root import FilesRoot
from mixpanel_mcp.settings import Connection, Policy, Region, parse_region


class Effect(IntEnum):
    """What a request does to the project's data, from harmless to final."""

    READS = 0
    ADDS = 1
    OVERWRITES = 2
    IRREVERSIBLE = 3


class Status(StrEnum):
    """How a call ended."""

    OK = "ok"
    PARTIAL = "partial"
    CONFIRMATION_REQUIRED = "confirmation_required"
    REFUSED = "refused"
    FAILED = "failed"


class Arguments(BaseModel):
    """What every tool takes."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True
    )

    region: Annotated[
        Region | None, BeforeValidator(parse_region), WithJsonSchema({"type": "string"})
    ] = Field(default=None, description="us, eu or in, if not the connection's.")


class InProject(Arguments):
    """Endpoints that take a project id."""

    project_id: int | None = Field(default=None, gt=0, description="If not the connection's.")


class InWorkspace(InProject):
    """Endpoints of the Query API, which also know data views."""

    workspace_id: int | None = Field(
        default=None, gt=0, description="Data view, if not the connection's."
    )


class Cached(Arguments):
    """Reads whose answers are kept for a short time."""

    fresh: bool = Field(default=False, description="true: ask Mixpanel, not the cache.")


class Write(Arguments):
    """Tools that can change something."""

    confirm: bool = Field(
        default=False, description="true, once the person agreed to what can't be undone."
    )


# Their place in every tool's arguments: behind its own.
SHARED_ARGUMENTS = ("project_id", "workspace_id", "region", "fresh", "confirm")


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows for the model; cells are data, never sentences of ours."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    total: int | None = None  # how many there are, where not all are in `rows`


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an operation found or did.

    `headline` is the answer in one sentence of ours (values in it are cut and cleaned when shown),
    `data` the same for programs, `text` data that is no table, `next` the call that goes on from
    here, `scope` what the data covers beside project and region (dates, time zone). `is_error`
    marks writes that were taken only in part.
    """

    headline: str
    data: Any = None
    table: Table | None = None
    text: str | None = None
    notes: Sequence[str] = ()
    status: Status = Status.OK
    complete: bool = True
    next: Mapping[str, Any] | None = None
    scope: Mapping[str, Any] = field(default_factory=dict[str, Any])
    is_error: bool = False


@dataclass(frozen=True)
class Permit:
    """The guard's leave to send a request."""

    effect: Effect
    repeat: Repeat
    project: str = ""
    """Whom Mixpanel counts it for."""


# Properties by which data says whose project it is for, in small letters. A record without any of
# them is to the guard as every other one of its event.
TOKEN_NAMES = frozenset({"token", "$token", "api_key", "project_token"})


class Guard(Protocol):
    """Reads requests before they leave; raises what stops them."""

    async def permit(self, requests: Sequence[Request]) -> Sequence[Permit]: ...

    def preview(self, request: Request) -> Permit:
        """Judge a request, without effect on what is asked later."""
        ...

    def weigh(self, request: Request, count: int) -> Permit:
        """Judge a request that stands for `count` records; what stops it at once is raised.

        Whatever was weighed is permitted by `permit_weighed` together, or not at all.
        """
        ...

    def weighed(self) -> str | None:
        """What of all that was weighed somebody has to agree to."""
        ...

    async def permit_weighed(self, fingerprint: str) -> None:
        """Ask for all that was weighed; the yes is good for what has this fingerprint."""
        ...


Progress = Callable[[float, float | None, str], Awaitable[None]]


class Load:
    """Bodies that go out one after another, known to the guard by a digest each.

    They are judged while they are made, by requests that stand for their records; none goes out
    before `authorize`, and none that was not judged.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._repeats: dict[bytes, Repeat] = {}
        self._all = hashlib.sha256()
        self._permitted = False

    def weigh(self, request: Request, count: int) -> Permit:
        """Judge a request that stands for `count` records.

        Raises:
            RefusedError: a rule forbids it, whoever agrees.
        """
        return self._guard.weigh(request, count)

    def asks(self) -> str | None:
        """What somebody has to agree to, so far."""
        return self._guard.weighed()

    def is_harmless(self, request: Request) -> bool:
        """Whether the guard takes a request for an addition that can be repeated."""
        permit = self._guard.preview(request)
        return permit.effect is Effect.ADDS and permit.repeat is Repeat.SAFE

    def add(self, body: bytes, repeat: Repeat) -> None:
        """Enter a body as it will go out, whose records were weighed."""
        if self._permitted:
            raise RefusedError("Nothing more can be added to what was permitted.")
        digest = hashlib.sha256(body).digest()
        self._all.update(digest)
        self._repeats[digest] = repeat

    def divide(self, body: bytes, parts: Sequence[bytes]) -> None:
        """Let parts go out in the place of a body; they hold its records and no others."""
        repeat = self.permit_of(body).repeat
        self._repeats.update((hashlib.sha256(part).digest(), repeat) for part in parts)

    async def authorize(self) -> None:
        """Put everything before the guard.

        Raises:
            RefusedError: a person did not agree.
            ConfirmationRequiredError: somebody has to agree first.
        """
        await self._guard.permit_weighed(self._all.hexdigest())
        self._permitted = True

    def permit_of(self, body: bytes) -> Permit:
        """The leave for a body.

        Raises:
            RefusedError: it was not judged, or not permitted.
        """
        repeat = self._repeats.get(hashlib.sha256(body).digest())
        if repeat is None or not self._permitted:
            raise RefusedError("Nothing was sent: this is not what was judged and permitted.")
        return Permit(Effect.ADDS, repeat)


class Call:
    """One tool call: where it goes, how long it may take, and the only way out."""

    def __init__(
        self,
        *,
        client: MixpanelClient,
        policy: Policy,
        files_root: Path | None,
        arguments: Arguments,
        guard: Guard,
        progress: Progress,
    ) -> None:
        self.client = client
        self.policy = policy
        self.files = FilesRoot(files_root) if files_root else None
        self.progress = progress
        self.region: Region = arguments.region or self.connection.region
        self.project_id: int | None = (
            getattr(arguments, "project_id", None) or self.connection.project_id
        )
        self.workspace_id: int | None = (
            getattr(arguments, "workspace_id", None) or self.connection.workspace_id
        )
        self.cached_seconds: float | None = None
        """How old the oldest cached reply is that this call used."""
        self._fresh: bool = getattr(arguments, "fresh", False)
        self._reads: list[Request] = []
        self._guard = guard
        self._permits: dict[Request, Permit] = {}
        self._load: Load | None = None
        self._deadline: Deadline | None = None

    @property
    def connection(self) -> Connection:
        return self.client.connection

    def project(self) -> int:
        """The project id, for endpoints that cannot do without.

        Raises:
            NotConfiguredError: neither the call nor the connection names one.
        """
        if self.project_id is None:
            # Or the caller passes project_id; the account is what nobody can pass.
            raise not_configured(self.connection)
        return self.project_id

    @property
    def permitted(self) -> Sequence[Request]:
        """What had leave to go out, so may have been sent."""
        return list(self._permits)

    async def authorize(self, requests: Sequence[Request]) -> None:
        """Put requests before the guard together, so that a person sees all that would happen."""
        permits = await self._guard.permit(requests)
        self._permits.update(zip(requests, permits, strict=True))

    def divide(self, request: Request, parts: Sequence[Request]) -> None:
        """Let the parts of an authorized request go out in its place."""
        self._permits.update(dict.fromkeys(parts, self._permits[request]))

    def begin_load(self) -> "Load":
        """Begin to collect more than memory holds, to be judged piece by piece and sent after."""
        self._load = Load(self._guard)
        return self._load

    async def send_load(self, request: Request) -> Reply:
        """Send a part of the load, with the whole time of a write for itself.

        Raises:
            RefusedError: its body is not one that was judged, or nobody permitted it yet.
        """
        if self._load is None:
            raise RefusedError("Nothing was sent: nothing was put before the guard.")
        permit = self._load.permit_of(request.body)
        deadline = Deadline(self.policy.write_seconds, self.client.pacing)
        return await self.client.send(
            request, project=permit.project, repeat=permit.repeat, deadline=deadline
        )

    async def read(self, request: Request) -> Reply:
        """Send a read, unless an equal one is under way or its reply is still kept."""
        permit = await self._permit(request)
        self._reads.append(request)
        answered = await self.client.read(
            request,
            project=permit.project,
            deadline=self._limit(request, permit),
            fresh=self._fresh,
        )
        if answered.age_seconds is not None:
            self.cached_seconds = max(answered.age_seconds, self.cached_seconds or 0.0)
        return answered.reply

    def forget_reads(self) -> None:
        """Ask anew the next time: from these replies nothing could be concluded."""
        for request in self._reads:
            self.client.forget(request)

    async def send(self, request: Request) -> Reply:
        permit = await self._permit(request)
        return await self.client.send(
            request,
            project=permit.project,
            repeat=permit.repeat,
            deadline=self._limit(request, permit),
        )

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncGenerator[AsyncIterator[bytes]]:
        permit = await self._permit(request)
        deadline = self._limit(request, permit)
        async with self.client.stream(request, project=permit.project, deadline=deadline) as pieces:
            yield pieces

    @asynccontextmanager
    async def stream_encoded(self, request: Request) -> AsyncGenerator[EncodedBody]:
        """As `stream`, for what is kept as it comes off the wire."""
        permit = await self._permit(request)
        deadline = self._limit(request, permit)
        sent = self.client.stream_encoded(request, project=permit.project, deadline=deadline)
        async with sent as body:
            yield body

    def take_export_time(self) -> None:
        """Give the call an export's time, whatever it reads."""
        self._deadline = Deadline(self.policy.export_seconds, self.client.pacing)

    async def _permit(self, request: Request) -> Permit:
        if request not in self._permits:
            await self.authorize([request])
        return self._permits[request]

    def _limit(self, request: Request, permit: Permit) -> Deadline:
        """One deadline for the whole call; a person's time to decide does not count."""
        if self._deadline is None:
            if request.path.endswith("/export"):
                seconds = self.policy.export_seconds
            elif permit.effect is Effect.READS:
                seconds = self.policy.read_seconds
            else:
                seconds = self.policy.write_seconds
            self._deadline = Deadline(seconds, self.client.pacing)
        return self._deadline


Run = Callable[[Call, Any], Awaitable[Answer]]
_Run = TypeVar("_Run", bound=Run)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A row of the table; what the fields mean stands at `operation`."""

    name: str
    title: str
    toolset: str
    effect: Effect
    docs: str
    idempotent: bool
    reads_sometimes: bool
    needs_files: bool
    description: str
    arguments: type[Arguments]
    run: Run


OPERATIONS: dict[str, Operation] = {}


def operation(
    *,
    title: str,
    toolset: str,
    effect: Effect,
    docs: str,
    idempotent: bool = False,
    reads_sometimes: bool = False,
    needs_files: bool = False,
) -> Callable[[_Run], _Run]:
    """Enter a function into the table of operations.

    Args:
        title: the tool's name for people.
        toolset: the group it can be switched on and off with.
        effect: the most it can do; what a call does is decided on its requests.
        docs: the specification file and path, or the page, that the function follows.
        idempotent: whether a second call changes nothing more.
        reads_sometimes: whether it is of use in read-only mode, for its reads alone.
        needs_files: whether it works on files alone, so that it is of no use without a folder.
    """

    def enter(function: _Run) -> _Run:
        _, arguments = inspect.signature(function, eval_str=True).parameters.values()
        OPERATIONS[function.__name__] = Operation(
            name=function.__name__,
            title=title,
            toolset=toolset,
            effect=effect,
            docs=docs,
            idempotent=idempotent,
            reads_sometimes=reads_sometimes,
            needs_files=needs_files,
            description=inspect.cleandoc(function.__doc__ or "").split("\n\nRaises:")[0],
            arguments=arguments.annotation,
            run=function,
        )
        return function

    return enter
