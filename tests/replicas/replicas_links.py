"""Every way to a Redis, and every way in which it can refuse: the latter are all "Redis away".

`make test-replicas` runs it: it needs a real redis-server, which `make test` does not.
"""

import asyncio
import re
import shutil
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis_house import RedisServer, free_port, running_redis, until

from mixpanel_mcp.api.budget import Budget, BudgetShare
from mixpanel_mcp.api.errors import BudgetSpentError
from mixpanel_mcp.api.ledger import Learned
from mixpanel_mcp.api.regions import Family
from mixpanel_mcp.api.replies import Reply
from mixpanel_mcp.api.request import Request
from mixpanel_mcp.api.retry import AttemptFailedError, Deadline, Outcome, Pacing
from mixpanel_mcp.replicas import Replicas
from mixpanel_mcp.resources.notices import Notice
from mixpanel_mcp.server import Shared
from mixpanel_mcp.settings import (
    Caller,
    Connection,
    Hosting,
    Policy,
    Protocol,
    Region,
    Settings,
    SettingsError,
)

GUIDE = Path(__file__).parents[2] / "examples" / "hosting" / "README.md"
QUERY = Request(family=Family.QUERY, region=Region.US, method="GET", path="/api/query/insights")
CANARY = "canary-of-redis-5d41402a"


@asynccontextmanager
async def company(*urls: str) -> AsyncGenerator[list[Replicas]]:
    """Replicas in this process, each by its own way to the same Redis."""
    async with AsyncExitStack() as stack:
        replicas = [Replicas(url) for url in urls]
        for each in replicas:
            stack.push_async_callback(each.close)
            await each.open()
        yield replicas


async def all_shared(replicas: Sequence[Replicas]) -> None:
    await until(lambda: all(each.is_shared for each in replicas))


async def spent(replicas: Sequence[Replicas]) -> int:
    """How many queries the replicas can send in turn, until none of them can."""
    budgets, calls = [Budget(Pacing(), each.ledger) for each in replicas], 0
    while budgets:
        budget = budgets.pop(0)
        try:
            async with budget.slot(QUERY, "1", Deadline(20)):
                calls += 1
        except BudgetSpentError:
            continue
        budgets.append(budget)
    return calls


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost by an authority that nobody else knows."""
    folder = tmp_path_factory.mktemp("papers")
    openssl = shutil.which("openssl")
    assert openssl, "openssl is not installed"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]

    def run(*words: str) -> None:
        subprocess.run([openssl, *words], cwd=folder, check=True, capture_output=True)  # noqa: S603

    run(
        *("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ours"),
        *("-addext", "keyUsage=critical,keyCertSign"),
    )
    run("req", *curve, "-keyout", "redis.key", "-out", "redis.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    run(
        *("x509", "-req", "-in", "redis.csr", "-CA", "ca.pem", "-CAkey", "ca.key"),
        *("-CAcreateserial", "-out", "redis.pem", "-extfile", "names"),
    )
    return folder


def with_tls(papers: Path, port: int) -> list[str]:
    return [
        *("--tls-port", str(port), "--tls-ca-cert-file", str(papers / "ca.pem")),
        *("--tls-cert-file", str(papers / "redis.pem")),
        *("--tls-key-file", str(papers / "redis.key"), "--tls-auth-clients", "no"),
    ]


async def test_replicas_count_together_whichever_way_they_come(
    papers: Path, tmp_path: Path
) -> None:
    port, socket = free_port(), tmp_path / "redis.sock"
    options = [*with_tls(papers, port), "--unixsocket", str(socket)]
    tls = f"rediss://localhost:{port}/0?ssl_ca_certs={papers / 'ca.pem'}"
    async with (
        running_redis(*options) as redis,
        company(tls, f"unix://{socket}", redis.url) as replicas,
    ):
        await all_shared(replicas)

        assert await spent(replicas) == 60


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis://nobody:{canary}@127.0.0.1:{port}/0", "refuses the user or the password"),
        ("redis://:{canary}@127.0.0.1:{port}/0", "refuses the user or the password"),
        ("rediss://:{canary}@localhost:{tls}/0", "certificate is not to be trusted"),
        (
            "rediss://:{canary}@127.0.0.1:{tls}/0?ssl_ca_certs={papers}/ca.pem",
            "certificate is not to be trusted",
        ),
        ("rediss://:{canary}@localhost:{tls}/0?ssl_ca_certs={papers}/no", "does not exist"),
        ("rediss://:{canary}@localhost:{port}/0", "no answer in time"),
        ("unix://:{canary}@{papers}/no.sock", "does not exist"),
        ("redis://:{canary}@127.0.0.1:1/0", "refuses connections"),
    ],
    ids=[
        "user",
        "password",
        "authority",
        "host",
        "no authority",
        "no TLS there",
        "no socket",
        "no port",
    ],
)
async def test_who_runs_the_server_is_told_why_redis_is_away_and_never_the_password(
    papers: Path, caplog: pytest.LogCaptureFixture, url: str, why: str
) -> None:
    tls = free_port()
    async with running_redis(*with_tls(papers, tls)) as redis:
        await redis.tell("CONFIG", "SET", "requirepass", "another")
        told = url.format(canary=CANARY, port=redis.port, tls=tls, papers=papers)
        shared = Shared(serving(told))
        await shared.open()
        try:
            ready = await shared.checks["redis"]()
        finally:
            await shared.close()

    assert ready
    assert why in ready
    assert why in caplog.text
    assert CANARY not in ready + caplog.text


def test_a_misspelt_option_stops_the_start_and_no_password_is_shown() -> None:
    with pytest.raises(SettingsError) as stopped:
        Shared(serving(f"rediss://:{CANARY}@localhost/0?ssl_ca_cert=/ca.pem"))

    assert "MIXPANEL_MCP_REDIS_URL: cannot be read" in str(stopped.value)
    assert CANARY not in str(stopped.value)


def serving(url: str) -> Settings:
    return Settings(
        Connection(username="robot", password=SecretStr("secret"), project_id=1),
        Policy(),
        callers=[Caller(name="ada", token_sha256=("0" * 64,))],
        hosting=Hosting(
            transport=Protocol.HTTP,
            redis_url=SecretStr(url),
            state_secret=SecretStr("the same for all replicas of this test"),
        ),
    )


async def everything_once(url: str, redis: RedisServer) -> None:
    """All that replicas ask of Redis."""
    connection = Connection(project_id=1)

    async def answer(status: int) -> Reply:
        await asyncio.sleep(1.2)  # longer than a leader leaves its lock alone
        return Reply(status, {}, b"{}")

    async with company(url, url) as replicas:
        await all_shared(replicas)
        one, other = replicas
        shared = Budget(Pacing(), one.ledger, share=BudgetShare("ada", 0.5))
        with pytest.raises(AttemptFailedError):
            async with shared.slot(QUERY, "1", Deadline(5)):
                raise AttemptFailedError(Outcome.NEVER_SENT)
        await one.ledger.learn("1", Learned())

        epochs = [each.epochs(connection, lambda: None) for each in replicas]
        here, there = (
            each.reads(epoch, None, connection)
            for each, epoch in zip(replicas, epochs, strict=True)
        )
        async with shared.slot(QUERY, "1", Deadline(5)):
            for status in (200, 503):
                read = [
                    reads.read(QUERY, lambda status=status: answer(status), seconds=5, fresh=False)
                    for reads in (here, there)
                ]
                answers = await asyncio.gather(*read)
                assert [each.reply.status for each in answers] == [status] * 2
                await epochs[0].written()
        here.forget(QUERY)

        number = await one.questions(None, connection).add("really?")
        assert await other.questions(None, connection).take(number, "really?")
        await one.notices(None, connection).tell(Notice("pipelines", ("first",), list_changed=True))

        await redis.tell("DEL", "mixpanel-mcp:generation")
        await until(lambda: not any(each.is_shared for each in replicas))
        await all_shared(replicas)
        assert one.why_away is other.why_away is None


async def test_the_user_of_the_guide_may_do_what_replicas_do_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    line = re.search(r"^    (ACL SETUSER .*)$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert line
    may = {word[1:] for word in line[1].split() if word.startswith("+")}
    async with running_redis() as redis:
        assert await redis.tell(line[1].replace("PASSWORD", CANARY)) == b"+OK\r\n"
        await redis.tell("CONFIG", "RESETSTAT")

        await everything_once(f"redis://mixpanel-mcp:{CANARY}@127.0.0.1:{redis.port}/0", redis)

        counted = (await redis.tell("INFO", "commandstats")).decode()
    did = set(re.findall(r"^cmdstat_([^:]+):", counted, re.MULTILINE))
    assert "ACL" not in caplog.text
    assert may == did - {"config|resetstat", "hello", "auth", "client|setinfo"}


async def _fill(redis: RedisServer) -> None:
    await redis.tell("CONFIG", "SET", "maxmemory", "1mb")


async def _make_room(redis: RedisServer) -> None:
    await redis.tell("CONFIG", "SET", "maxmemory", "0")


async def _demote(redis: RedisServer) -> None:
    await redis.tell("REPLICAOF", "127.0.0.1", "1")


async def _promote(redis: RedisServer) -> None:
    await redis.tell("REPLICAOF", "NO", "ONE")


async def _keep_busy(redis: RedisServer) -> None:
    await redis.tell("CONFIG", "SET", "busy-reply-threshold", "50")
    await redis.begin("EVAL", "'while true do end'", "0")


async def _end_script(redis: RedisServer) -> None:
    await redis.tell("SCRIPT", "KILL")


async def _restart_slowly(redis: RedisServer) -> None:
    await redis.tell("DEBUG", "POPULATE", "2500")
    await redis.tell("SAVE")
    await redis.kill()
    await redis.start("--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024")


async def _wait(redis: RedisServer) -> None:
    del redis


Change = Callable[[RedisServer], Awaitable[None]]


@pytest.mark.parametrize(
    ("breaks", "mends", "why"),
    [
        (_fill, _make_room, "has no memory left"),
        (_demote, _promote, "is a read-only replica"),
        (_keep_busy, _end_script, "is busy with a script"),
        (_restart_slowly, _wait, "is loading its data"),
    ],
    ids=["full", "read-only", "busy", "loading"],
)
async def test_a_redis_that_refuses_is_away_until_it_does_not(
    breaks: Change, mends: Change, why: str, tmp_path: Path
) -> None:
    options = ["--dir", str(tmp_path), "--enable-debug-command", "local"]
    async with running_redis(*options) as redis, company(redis.url, redis.url) as replicas:
        await all_shared(replicas)
        one, other = [Budget(Pacing(), each.ledger) for each in replicas]
        for budget in [one] * 10 + [other] * 10:
            async with budget.slot(QUERY, "1", Deadline(2)):
                pass

        await breaks(redis)
        await until(lambda: all(why in (each.why_away or "") for each in replicas))
        async with asyncio.timeout(2):
            for budget in (one, other):
                async with budget.slot(QUERY, "1", Deadline(2)):
                    pass
            mine, others = [each.questions(None, Connection()) for each in replicas]
            number = await mine.add("really?")
            assert not await others.take(number, "something else?")
            assert await others.take(number, "really?")
            assert not await others.take(number, "really?")
        assert not any(each.is_shared for each in replicas)

        await mends(redis)
        await until(lambda: all(each.is_shared for each in replicas), 12)
        assert await spent(replicas) == 60 - 22
