"""What whoever runs the server asks it: does it live, can it work, what did it do."""

import time
from collections.abc import Awaitable, Callable, Mapping

import anyio
from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse, PlainTextResponse, Response

from mixpanel_mcp.transports.calls import Calls

Check = Callable[[], Awaitable[str | None]]
"""None where all is well, else a reason that anybody may read."""

_KEPT_SECONDS = 5.0
_CHECK_SECONDS = 4.0


class Probes:
    """`/healthz`, `/readyz` and `/metrics`: without a token, and behind the guard of hosts."""

    paths = frozenset({"/healthz", "/readyz", "/metrics"})

    def __init__(
        self,
        calls: Calls,
        checks: Mapping[str, Check],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Answer for one process.

        Args:
            calls: tells whether the server stops, and what it counted.
            checks: what has to be well before calls make sense, by name.
            clock: another than the real one, for tests.
        """
        self._calls = calls
        self.checks = checks
        self._clock = clock
        self._kept: dict[str, str | None] = {}
        self._kept_until = 0.0
        self._checking = anyio.Lock()

    async def answer(self, path: str, method: str, query: QueryParams) -> Response:
        """Answer a probe; `/readyz?exclude=NAME` leaves a check out, as often as it is named.

        A proxy that leaves out what all replicas share does not lose all of them together.
        """
        if method not in {"GET", "HEAD"}:
            return Response(status_code=405, headers={"Allow": "GET, HEAD"})
        match path:
            case "/healthz":
                return JSONResponse({"status": "ok"})
            case "/metrics":
                measures = self._calls.measures
                return PlainTextResponse(measures.exposition(), media_type=measures.content_type)
            case _:
                return await self._readiness(frozenset(query.getlist("exclude")))

    async def _readiness(self, excluded: frozenset[str]) -> Response:
        if self._calls.stopping:
            return JSONResponse({"status": "stopping"}, status_code=503)
        # Whoever asks often shall not make us knock often.
        async with self._checking:
            if self._clock() >= self._kept_until:
                self._kept = await self._checked()
                self._kept_until = self._clock() + _KEPT_SECONDS
        asked = {name: why for name, why in self._kept.items() if name not in excluded}
        ready = not any(asked.values())
        body = {
            "status": "ready" if ready else "not ready",
            "checks": {name: reason or "ok" for name, reason in asked.items()},
        }
        return JSONResponse(body, status_code=200 if ready else 503)

    async def _checked(self) -> dict[str, str | None]:
        reasons: dict[str, str | None] = dict.fromkeys(self.checks)

        async def run(name: str, check: Check) -> None:
            reasons[name] = "did not answer in time"
            with anyio.move_on_after(_CHECK_SECONDS):
                reasons[name] = await check()

        async with anyio.create_task_group() as together:
            for name, check in self.checks.items():
                together.start_soon(run, name, check)
        return reasons
