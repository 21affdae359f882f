"""One tool call: where it goes, how long it may take, and the only way out."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from mixpanel_mcp.api.client import MixpanelClient, not_configured
from mixpanel_mcp.api.errors import RefusedError
from mixpanel_mcp.api.replies import EncodedBody, Reply
from mixpanel_mcp.api.request import Request
from mixpanel_mcp.api.retry import Deadline
from mixpanel_mcp.files.root import FilesRoot
from mixpanel_mcp.operation.arguments import Arguments
from mixpanel_mcp.operation.guard import Effect, Guard, Permit
from mixpanel_mcp.operation.load import Load
from mixpanel_mcp.settings import Connection, Policy, Region

Progress = Callable[[float, float | None, str], Awaitable[None]]


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
        self.project_id: int | None = arguments.given("project_id") or self.connection.project_id
        self.workspace_id: int | None = (
            arguments.given("workspace_id") or self.connection.workspace_id
        )
        self.cached_seconds: float | None = None
        """How old the oldest cached reply is that this call used."""
        self._fresh = bool(arguments.given("fresh"))
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
