"""The embedded Mixpanel: the same paths, encodings, checks and errors, on loopback.

Importing it is light; DuckDB, Starlette and uvicorn come with the first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixpanel_mcp.sandbox.credentials import PASSWORD, PROJECT_ID, TOKEN, USERNAME
from mixpanel_mcp.sandbox.running import RunningSandbox, running_sandbox
from mixpanel_mcp.sandbox.unavailable import SandboxUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from pathlib import Path

    from starlette.applications import Starlette

    from mixpanel_mcp.sandbox.state import IdMerge

__all__ = [
    "PASSWORD",
    "PROJECT_ID",
    "TOKEN",
    "USERNAME",
    "RunningSandbox",
    "SandboxUnavailableError",
    "create_app",
    "running_sandbox",
]


def create_app(
    *,
    demo: bool = True,
    data: Path | None = None,
    today: Callable[[], date] | None = None,
    id_merge: IdMerge | None = None,
    limits: bool = False,
) -> Starlette:
    """Build the ASGI application; `today` sets the day it lives in.

    `id_merge` is how a new project tells who is who: `original`, unless told otherwise.
    With `limits` it refuses what Mixpanel's rate limits would refuse.
    """
    from mixpanel_mcp.sandbox import app  # noqa: PLC0415  # heavy

    return app.create_app(demo=demo, data=data, today=today, id_merge=id_merge, limits=limits)
