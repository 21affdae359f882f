"""What every request carries, and what becomes of its connection."""

import asyncio
import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from harness import CANARY_PASSWORD, CANARY_TOKEN, Connect, Era
from mcp import MCPError
from retry_cells import EVERY_CALL, READS, SAFE, Sent, tell
from upstream import Drop, Hang, Reply, Upstream

from mixpanel_mcp import __version__

SERVICE_ACCOUNT = "Basic " + base64.b64encode(f"robot:{CANARY_PASSWORD}".encode()).decode()
TOKEN_AS_USER = "Basic " + base64.b64encode(f"{CANARY_TOKEN}:".encode()).decode()

# Ingestion knows the project by the token in what is sent; everything else by the account.
BY_TOKEN = {"/track", "/engage"}


@pytest.mark.parametrize("sent", EVERY_CALL, ids=lambda sent: sent.name)
async def test_a_call_carries_the_credential_of_its_host_and_no_other(
    connect: Connect, upstream: Upstream, sent: Sent
) -> None:
    tell(upstream, sent)

    async with connect() as tools:
        await tools.call(sent.tool, **sent.arguments)

    (request,) = upstream.requests
    by_token = sent.path in BY_TOKEN
    assert request.headers.get("authorization") == (None if by_token else SERVICE_ACCOUNT)
    assert (CANARY_TOKEN in request.content.decode()) is by_token
    assert CANARY_TOKEN not in request.target
    assert CANARY_PASSWORD not in request.target + request.content.decode()


async def test_an_import_may_use_the_project_token_and_then_names_no_project(
    connect: Connect, upstream: Upstream
) -> None:
    async with connect() as tools:
        await tools.call("import_events", **SAFE[0].arguments, use_project_token=True)

    (request,) = upstream.requests
    assert request.headers["authorization"] == TOKEN_AS_USER
    assert dict(request.query) == {"strict": "1"}


async def test_the_name_of_a_service_account_may_be_any_text(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.default = Reply(json=[])

    async with connect(connection={"username": "Zoë's robot", "password": "p:ä"}) as tools:
        await tools.call("list_saved_funnels")

    encoded = upstream.last.headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(encoded).decode() == "Zoë's robot:p:ä"


NOTHING: dict[str, Any] = dict.fromkeys(("username", "password", "project_token", "project_id"))


@pytest.mark.parametrize("sent", EVERY_CALL, ids=lambda sent: sent.name)
async def test_without_credentials_a_call_says_what_to_set_and_sends_nothing(
    connect: Connect, upstream: Upstream, sent: Sent
) -> None:
    async with connect(connection=NOTHING) as tools:
        answer = await tools.call(sent.tool, **sent.arguments)

    assert (answer.status, answer.is_error) == ("refused", True), answer.text
    assert "MIXPANEL_" in answer.text
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        (["username"], ["MIXPANEL_USERNAME"]),
        (["password"], ["MIXPANEL_PASSWORD"]),
        (["username", "password"], ["MIXPANEL_USERNAME", "MIXPANEL_PASSWORD"]),
        (["project_id"], ["MIXPANEL_PROJECT_ID"]),
    ],
)
async def test_a_read_names_exactly_what_is_missing(
    connect: Connect, upstream: Upstream, missing: list[str], named: list[str]
) -> None:
    async with connect(connection=dict.fromkeys(missing)) as tools:
        answer = await tools.call("list_saved_funnels")

    every = ["MIXPANEL_USERNAME", "MIXPANEL_PASSWORD", "MIXPANEL_PROJECT_ID"]
    assert [name for name in every if name in answer.text] == named
    assert "MIXPANEL_PROJECT_TOKEN" not in answer.text
    assert upstream.requests == []


@pytest.mark.parametrize(
    "sent",
    [sent for sent in EVERY_CALL if sent.path in BY_TOKEN],
    ids=lambda sent: sent.name,
)
async def test_ingestion_needs_the_token_and_nothing_else(
    connect: Connect, upstream: Upstream, sent: Sent
) -> None:
    tell(upstream, sent)

    async with connect(connection={"project_token": None}) as tools:
        refused = await tools.call(sent.tool, **sent.arguments)
    async with connect(connection={"username": None, "password": None}) as tools:
        taken = await tools.call(sent.tool, **sent.arguments)

    assert "MIXPANEL_PROJECT_TOKEN" in refused.text
    assert (refused.status, taken.status) == ("refused", "ok")
    assert len(upstream.requests) == 1


async def test_requests_say_who_asks(connect: Connect, upstream: Upstream) -> None:
    upstream.default = Reply(json=[])

    async with connect() as tools:
        await tools.call("list_saved_funnels")

    headers = upstream.last.headers
    assert headers["user-agent"] == f"mixpanel-mcp/{__version__}"
    assert headers["accept-encoding"] == "gzip"
    assert len([name for name, _ in upstream.last.raw_headers if name == "host"]) == 1


async def test_cookies_are_not_kept(connect: Connect, upstream: Upstream) -> None:
    upstream.default = Reply(json=[], headers={"Set-Cookie": "session=1; Path=/"})

    async with connect() as tools:
        await tools.call("list_saved_funnels")
        await tools.call("list_saved_funnels")

    assert all("cookie" not in request.headers for request in upstream.requests)


class Doorkeeper(Upstream):
    """Counts connections."""

    def __init__(self) -> None:
        super().__init__()
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await super().serve(reader, writer)


@asynccontextmanager
async def _doorkeeper() -> AsyncGenerator[Doorkeeper]:
    keeper = Doorkeeper()
    server = await asyncio.start_server(keeper.serve, "127.0.0.1", 0)
    keeper.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield keeper
    finally:
        server.close()


async def test_calls_share_a_connection_whatever_their_status(connect: Connect) -> None:
    async with _doorkeeper() as keeper:
        keeper.always("/api/query/funnels/list", Reply(json=[]))
        keeper.on("/api/query/funnels/list", Reply(500), Reply(429), Reply(400, "no"))
        keeper.always("/engage", Reply(json={"status": 1}))
        async with connect(connection={"base_url": keeper.url}) as tools:
            for _ in range(4):
                await tools.call("list_saved_funnels", fresh=True)
            await tools.call("create_profile", properties=[{"$distinct_id": "ada", "plan": "pro"}])
            await tools.call("download_data", from_date="2026-01-01", to_date="2026-01-01")

    assert len(keeper.requests) > 6
    assert keeper.connections == 1


async def test_a_lost_connection_is_replaced_by_one(connect: Connect) -> None:
    async with _doorkeeper() as keeper:
        keeper.default = Reply(json=[])
        keeper.on("/api/query/funnels/list", Reply(json=[]), Drop())
        async with connect(connection={"base_url": keeper.url}) as tools:
            answers = [await tools.call("list_saved_funnels", fresh=True) for _ in range(4)]

    assert [answer.status for answer in answers] == ["ok"] * 4
    assert keeper.connections == 2


async def test_many_calls_at_once_use_few_connections(connect: Connect) -> None:
    async with _doorkeeper() as keeper:
        keeper.default = Reply(json=[])
        async with connect(connection={"base_url": keeper.url}) as tools:
            calls = [tools.call("list_saved_funnels", fresh=True) for _ in range(50)]
            answers = await asyncio.gather(*calls)

    assert {answer.status for answer in answers} == {"ok"}
    assert keeper.connections <= 20


@pytest.mark.parametrize("sent", [READS[0], READS[-1], SAFE[0]], ids=["read", "export", "import"])
async def test_a_cancelled_call_closes_its_connection_and_tries_no_more(
    connect: Connect, upstream: Upstream, era: Era, sent: Sent
) -> None:
    upstream.default = Hang()

    async with connect(era=era) as tools:
        with pytest.raises(MCPError):
            await tools.client.call_tool(sent.tool, sent.arguments, read_timeout_seconds=0.15)
        await _until(lambda: upstream.closed_early == 1)
        await asyncio.sleep(0.1)

    assert len(upstream.requests) == 1


async def test_a_cancelled_export_leaves_no_half_file(
    connect: Connect, upstream: Upstream, tmp_path: Any
) -> None:
    line = b'{"event":"Signed up","properties":{"time":1767225600,"distinct_id":"ada"}}\n'

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + line * 5000)
        left.append(await reader.read(1))
        writer.close()

    left: list[bytes] = []
    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with connect(connection={"base_url": url}, files_root=tmp_path) as tools:
        with pytest.raises(MCPError):
            await tools.client.call_tool(
                "download_data",
                {"from_date": "2026-01-01", "to_date": "2026-01-01"},
                read_timeout_seconds=0.5,
            )
        await _until(lambda: bool(left))
        await asyncio.sleep(0.05)
    server.close()

    assert list(tmp_path.iterdir()) == []
    assert upstream.requests == []


async def test_closing_the_server_closes_what_is_open(connect: Connect) -> None:
    """Idle connections go with the server, not with the interpreter."""
    ended: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")
        ended.append(await reader.read(1))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with connect(connection={"base_url": url}) as tools:
        await tools.call("list_saved_funnels")
        assert ended == []
    await _until(lambda: ended == [b""])
    server.close()


async def _until(holds: Any, seconds: float = 2) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - the other end of a connection makes it true
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "ftp://user:proxy-secret@127.0.0.1:1"),
        ("HTTPS_PROXY", "http://127.0.0.1:port"),
        ("SSL_CERT_FILE", "/nowhere/certificates.pem"),
    ],
)
async def test_an_unusable_environment_is_said_and_not_a_crash(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    async with connect(connection={"base_url": None}) as tools:
        answer = await tools.call("list_saved_funnels")

    assert (answer.status, answer.is_error) == ("refused", True)
    assert name in answer.text
    assert "proxy-secret" not in answer.text


async def test_what_is_missing_is_named_at_once_and_what_can_be_passed(
    connect: Connect, upstream: Upstream
) -> None:
    """Whoever must restart the server for each variable stops trying."""
    nothing = {"username": None, "password": None, "project_id": None}

    async with connect(connection=nothing) as tools:
        answer = await tools.call("list_saved_funnels")
    async with connect(connection={"project_id": None}) as tools:
        alone = await tools.call("list_saved_funnels")
        passed = await tools.call("list_saved_funnels", project_id=7)

    names = ("MIXPANEL_USERNAME", "MIXPANEL_PASSWORD", "MIXPANEL_PROJECT_ID")
    assert all(name in answer.text for name in names)
    assert "project_id may also be passed" in alone.text
    assert "MIXPANEL_USERNAME" not in alone.text
    assert [request.query for request in upstream.requests] == [[("project_id", "7")]]
    assert passed.structured["scope"]["project"] == 7
