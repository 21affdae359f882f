"""One caller's own server, and all that run."""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
from anyio.abc import TaskGroup, TaskStatus
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import Receive, Scope, Send

from mixpanel_mcp.safety.identity import Identity
from mixpanel_mcp.safety.narrowing import Narrowing, narrowed, settings_of, share_of
from mixpanel_mcp.server import Connected, Shared, Workshop, server_of
from mixpanel_mcp.settings import Hosting, Settings
from mixpanel_mcp.transports.calls import CallerCalls, Calls, SessionCount
from mixpanel_mcp.transports.streams import NOTHING_BEGUN, OpenRequests, Reply

# Hosts and origins are judged before any server is chosen.
_JUDGED_ALREADY = TransportSecuritySettings(enable_dns_rebinding_protection=False)
_MOST_SERVERS = 500
# Of one caller, whose headers may ask for any part of what it has.
_MOST_NARROWINGS = 16


class TooManyServersError(Exception):
    """All servers are in use; another one would be one too many."""


class CallerServer:
    """A server that one caller alone can reach: its sessions, caches and questions are its own."""

    def __init__(
        self, server: MCPServer, workshop: Workshop, hosting: Hosting, sessions: SessionCount
    ) -> None:
        self.sessions = sessions
        self._workshop = workshop
        self._server = server
        server.streamable_http_app(
            stateless_http=hosting.stateless,
            max_request_body_size=hosting.max_body_bytes,
            session_idle_timeout=hosting.session_seconds,
            max_sessions=hosting.max_sessions,
            transport_security=_JUDGED_ALREADY,
        )
        self._sse = server.sse_app(
            transport_security=_JUDGED_ALREADY, max_request_body_size=hosting.max_body_bytes
        )
        self._requests = OpenRequests()
        self._stop = anyio.Event()

    @property
    def in_use(self) -> bool:
        return bool(self._requests) or bool(self.sessions.open)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        try:
            async with self._server.session_manager.run():
                task_status.started()
                await self._stop.wait()
                self._requests.end()
        finally:
            with anyio.CancelScope(shield=True):
                await self._workshop.close()

    def stop(self) -> None:
        self._stop.set()

    async def serve(self, scope: Scope, receive: Receive, send: Send, *, in_session: bool) -> None:
        """Answer one request, for /mcp or for SSE, in a session or not."""
        reply = Reply(scope, send, in_session=in_session)
        if self._stop.is_set():
            await reply.finish(503, -32000, NOTHING_BEGUN)
            return
        with self._requests.entered() as request:
            if scope["path"] == "/mcp":
                await self._server.session_manager.handle_request(scope, receive, reply.send)
            else:
                await self._sse(scope, receive, reply.send)
        if request.cancelled_caught:
            await reply.close()


@dataclass(frozen=True)
class _Key:
    identity: Identity | None
    narrowing: Narrowing


class CallerServers:
    """The servers of all callers, each started when it is first needed."""

    def __init__(self, settings: Settings, shared: Shared, calls: Calls) -> None:
        self._settings = settings
        self._shared = shared
        self._calls = calls
        self._callers = {caller.name: caller for caller in settings.callers}
        self._connected: dict[Identity | None, dict[str, Connected]] = {}
        self._at_work: dict[Identity | None, CallerCalls] = {}
        self._running: OrderedDict[_Key, CallerServer] = OrderedDict()
        self._starting = anyio.Lock()
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                yield
            finally:
                self.end()

    def end(self) -> None:
        """End every session, stream and call there still is."""
        for server in self._running.values():
            server.stop()

    def calls_of(self, identity: Identity | None) -> CallerCalls:
        """What a caller has at work, over all its servers."""
        if identity not in self._at_work:
            hosting = self._settings.hosting
            self._at_work[identity] = CallerCalls(
                self._calls, self._settings.policy, hosting.calls_at_once
            )
        return self._at_work[identity]

    async def of(self, identity: Identity | None, narrowing: Narrowing) -> CallerServer:
        """The server for whoever calls, with what this request may use.

        Raises:
            TooManyServersError: there is no room for another one.
        """
        key = _Key(identity, narrowing)
        if (server := self._running.get(key)) is None:
            async with self._starting:
                if (server := self._running.get(key)) is None:
                    self._make_room(identity)
                    self._running[key] = server = await self._started(key)
        self._running.move_to_end(key)
        return server

    async def _started(self, key: _Key) -> CallerServer:
        assert self._tasks is not None  # noqa: S101 - `run` is entered before requests come
        settings, share = self._settings, None
        if key.identity is not None:
            caller = self._callers[key.identity.caller]
            settings, share = settings_of(settings, caller), share_of(caller)
        if key.identity not in self._connected:
            self._connected[key.identity] = self._shared.connect(settings, key.identity, share)
        workshop = Workshop(
            narrowed(settings, key.narrowing),
            self._connected[key.identity],
            self._shared.audit,
            identity=key.identity,
        )
        sealed = self._shared.state_security(key.identity)
        sessions = SessionCount()
        bounds = self.calls_of(key.identity).middleware(sessions)
        built = server_of(workshop, state_security=sealed, middleware=[bounds])
        server = CallerServer(built, workshop, settings.hosting, sessions)
        await self._tasks.start(server.run)
        return server

    def _make_room(self, identity: Identity | None) -> None:
        """End one that nobody uses; those that were not asked for longest go first."""
        own = [key for key in self._running if key.identity == identity]
        if len(own) >= _MOST_NARROWINGS:
            self._end_one_of(own)
        elif len(self._running) >= _MOST_SERVERS:
            self._end_one_of(list(self._running))

    def _end_one_of(self, keys: Sequence[_Key]) -> None:
        unused = next((key for key in keys if not self._running[key].in_use), None)
        if unused is None:
            raise TooManyServersError
        self._running.pop(unused).stop()
        if not any(key.identity == unused.identity for key in self._running):
            self._connected.pop(unused.identity, None)
            self._at_work.pop(unused.identity, None)
