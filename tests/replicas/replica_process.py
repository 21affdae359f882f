"""One replica as a process: its settings come as JSON on stdin, its port goes to stdout."""

import json
import logging
import socket
import sys
from unittest.mock import patch

import uvicorn
from pydantic import SecretStr
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mixpanel_mcp.server import Shared
from mixpanel_mcp.settings import Caller, Connection, Hosting, Policy, Protocol, Settings
from mixpanel_mcp.transports.hosting import application


def _telling(served: ASGIApp, shared: Shared) -> ASGIApp:
    """The server, and at /shared whether it counts with others."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        told = (
            PlainTextResponse(str(shared.is_shared())) if scope.get("path") == "/shared" else None
        )
        await (told or served)(scope, receive, send)

    return answer


def main() -> None:
    given = json.loads(sys.stdin.readline())
    settings = Settings(
        Connection(
            username="robot",
            password=SecretStr("canary-password-b1946ac9"),
            project_token=SecretStr("canarytoken0123456789abcdef01234"),
            project_id=4242,
            base_url=given["upstream"],
        ),
        Policy(**given["policy"]),
        callers=[Caller(**caller) for caller in given["callers"]],
        hosting=Hosting(
            transport=Protocol.HTTP,
            sse=True,
            redis_url=SecretStr(given["redis"]),
            state_secret=SecretStr("the same for all replicas of this test"),
            **given["issuer"],
        ),
    )
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("mixpanel_mcp.audit").setLevel(logging.INFO)
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", 0))
        listening.listen(1024)
        shared = Shared(settings)
        config = uvicorn.Config(
            _telling(application(settings, shared), shared),
            log_config=None,
            timeout_graceful_shutdown=1,
        )
        # A new key of an issuer is looked for once a minute at most: so long no test waits.
        fetches = patch("mixpanel_mcp.transports.signing_keys._BETWEEN_FETCHES", 0.1)
        print(listening.getsockname()[1], flush=True)  # noqa: T201 - whoever started it waits
        with fetches:
            uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
