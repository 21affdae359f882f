"""A caller of the sandbox: the requests that the stories are made of."""

from __future__ import annotations

import hashlib
import json
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import httpx

from mixpanel_mcp.sandbox import PASSWORD, PROJECT_ID, TOKEN, USERNAME, create_app

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.applications import Starlette

    from mixpanel_mcp.sandbox.state import Project

TODAY = date(2026, 3, 10)
YESTERDAY = date(2026, 3, 9)
NOON = int(datetime(2026, 3, 9, 12, tzinfo=UTC).timestamp())
"""Of yesterday, in seconds."""


class SandboxClient(httpx.AsyncClient):
    """Speaks as the sandbox's service account, about its one project."""

    def __init__(self, **options: Any) -> None:
        super().__init__(auth=(USERNAME, PASSWORD), **options)

    @property
    def app(self) -> Starlette:
        """The application, where it is called in this process."""
        transport: Any = self._transport
        return transport.app

    @property
    def project(self) -> Project:
        return self.app.state.project

    async def track(self, *events: Any, **switches: str) -> httpx.Response:
        return await self.post("/track", params=switches, json=list(events))

    async def import_events(self, *events: Any, strict: str = "1") -> httpx.Response:
        params = {"strict": strict, "project_id": str(PROJECT_ID)}
        return await self.post("/import", params=params, json=list(events))

    async def engage(self, *updates: Any, **switches: str) -> httpx.Response:
        return await self.post("/engage", params=switches, json=list(updates))

    async def export(self, **parameters: str) -> httpx.Response:
        window = {"from_date": "2026-01-01", "to_date": TODAY.isoformat()}
        params = {"project_id": str(PROJECT_ID), **window, **parameters}
        return await self.get("/api/2.0/export", params=params)

    async def exported(self, **parameters: str) -> list[dict[str, Any]]:
        response = await self.export(**parameters)
        assert response.status_code == 200, response.text
        return [json.loads(line) for line in response.text.split("\n") if line]

    async def query(self, path: str, **parameters: str) -> httpx.Response:
        params = {"project_id": str(PROJECT_ID), **parameters}
        return await self.get(f"/api/query{path}", params=params)

    async def answered(self, path: str, **parameters: str) -> Any:
        """Ask the query API what it must not refuse."""
        response = await self.query(path, **parameters)
        assert response.status_code == 200, response.text
        return response.json()

    async def query_profiles(self, **form: str) -> httpx.Response:
        params = {"project_id": str(PROJECT_ID)}
        return await self.post("/api/query/engage", params=params, data=form)

    async def profiles(self, **form: str) -> dict[str, dict[str, Any]]:
        response = await self.query_profiles(**form)
        assert response.status_code == 200, response.text
        results: list[dict[str, Any]] = response.json()["results"]
        return {each["$distinct_id"]: each.get("$properties", {}) for each in results}

    async def pipeline(self, action: str, **form: Any) -> httpx.Response:
        data = {"project_id": str(PROJECT_ID), **form}
        return await self.post(f"/api/2.0/nessie/pipeline/{action}", data=data)

    async def pipeline_read(self, action: str, **parameters: Any) -> httpx.Response:
        params = {"project_id": str(PROJECT_ID), **parameters}
        return await self.get(f"/api/2.0/nessie/pipeline/{action}", params=params)

    async def control(self, path: str, body: Any) -> Any:
        response = await self.post(f"/sandbox/{path}", json=body)
        assert response.status_code == 200, response.text
        return response.json()


@asynccontextmanager
async def called_in_process(**options: Any) -> AsyncGenerator[SandboxClient]:
    """Call a sandbox of its own, which lives on 10 March 2026."""
    app = create_app(today=lambda: TODAY, **options)
    app.state.project.open()
    transport = httpx.ASGITransport(app=app)
    async with SandboxClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client
    app.state.project.close()


def event(name: str = "Song played", /, **properties: Any) -> dict[str, Any]:
    """Make an event that nobody refuses."""
    return {
        "event": name,
        "properties": {
            "token": TOKEN,
            "time": NOON,
            "distinct_id": "ada",
            "$insert_id": "song-1",
            **properties,
        },
    }


def acted(name: str, who: str, day: str, time: str = "12:00:00", **properties: Any) -> Any:
    """Make an event at a time of its own; equal ones are the same event."""
    moment = datetime.fromisoformat(f"{day}T{time}+00:00")
    insert_id = hashlib.sha256(f"{name} {who} {moment}".encode()).hexdigest()[:36]
    ids = {"distinct_id": who, "$insert_id": insert_id}
    return event(name, time=int(moment.timestamp()), **ids, **properties)


def update(distinct_id: str = "ada", /, **verbs: Any) -> dict[str, Any]:
    """Make an update of a profile; `set={...}` stands for `$set`."""
    operations = {f"${name}": value for name, value in verbs.items()}
    return {"$token": TOKEN, "$distinct_id": distinct_id, **operations}
