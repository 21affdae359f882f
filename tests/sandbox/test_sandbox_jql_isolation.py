"""Hostile scripts: they end, they reach nothing, and the sandbox goes on as if nothing were."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import ExitStack
from typing import Any

import pytest
from anyio import fail_after
from jql_client import answer, asked, refusal
from sandbox_client import SandboxClient, update

from mixpanel_mcp.sandbox import running_sandbox
from mixpanel_mcp.sandbox.jql.limits import MEGABYTE, Limits

COUNT_PEOPLE = "function main() { return People().reduce(mixpanel.reducer.count()) }"
SHORT = Limits(seconds=0.6, memory=32 * MEGABYTE)


def limit(client: SandboxClient, limits: Limits) -> None:
    client.app.state.scripts.limits = limits


@pytest.mark.parametrize(
    "script",
    [
        "while (true) {}",
        "function main() { for (;;) { try { for (;;) {} } catch (error) {} } }",
        "function main() { return /^(a+)+$/.test('a'.repeat(40) + 'b') }",
        # The engine looks at no clock while it sorts what is not there.
        "function main() { return new Array(2 ** 32 - 2).sort() }",
        "throw Object.defineProperty(new Error(), 'message', {get() { for (;;) {} }})",
    ],
    ids=["a loop", "a loop that catches", "a regex bomb", "an endless sort", "an endless error"],
)
async def test_time_runs_out(empty: SandboxClient, script: str) -> None:
    limit(empty, SHORT)
    error = await refusal(empty, script)
    assert error.startswith("Timeout Error. A JQL script may run for 0.6 seconds.")


@pytest.mark.parametrize(
    "script",
    [
        "var all = []; for (;;) { all.push(new Array(1000).fill(0)) }",
        "new Array(2 ** 30).fill(0)",
        "var all = []; for (;;) { all.push(new ArrayBuffer(1e6)) }",
    ],
    ids=["many arrays", "a large array", "buffers"],
)
async def test_memory_runs_out(empty: SandboxClient, script: str) -> None:
    limit(empty, Limits(seconds=20, memory=32 * MEGABYTE))
    error = await refusal(empty, f"function main() {{ {script} }}")
    assert "needs more memory than the 32 MB it may have." in error


@pytest.mark.parametrize(
    "script",
    [
        "function deeper() { return 1 + deeper() } deeper()",
        "function deeper() { return [1].map(deeper) } deeper()",
        "JSON.parse('['.repeat(1e6))",
        "var deep = []; for (var n = 0; n < 1e5; n++) deep = [deep]; JSON.stringify(deep)",
        "eval('('.repeat(1e5))",
    ],
    ids=["a function", "a callback", "JSON read", "JSON written", "code"],
)
async def test_the_stack_runs_out(empty: SandboxClient, script: str) -> None:
    error = await refusal(empty, f"function main() {{\n {script} }}")
    assert error.startswith(
        "Uncaught exception RangeError: Maximum call stack size exceeded (line 2, column "
    )


async def test_the_output_runs_out(empty: SandboxClient) -> None:
    await empty.engage(update("ada", set={"a": 1}))
    limit(empty, Limits(output=MEGABYTE))
    script = "function main() { return People().map(() => 'x'.repeat(1.1e6)) }"
    error = await refusal(empty, script)
    assert error.startswith("The result of the script is larger than 1 MB.")


async def test_others_are_served_while_a_script_runs(empty: SandboxClient) -> None:
    limit(empty, Limits(seconds=60))
    endless = asyncio.create_task(asked(empty, "for (;;) {}"))
    await asyncio.sleep(0)
    assert await answer(empty, COUNT_PEOPLE) == [0]
    assert not endless.done()
    endless.cancel()
    with fail_after(5), pytest.raises(asyncio.CancelledError):
        await endless


async def test_a_script_whose_caller_has_gone_is_ended(
    empty: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    children: list[subprocess.Popen[bytes]] = []
    started = asyncio.Event()
    loop = asyncio.get_running_loop()

    class Watched(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            children.append(self)
            loop.call_soon_threadsafe(started.set)

    monkeypatch.setattr(subprocess, "Popen", Watched)
    endless = asyncio.create_task(asked(empty, "for (;;) {}"))
    await asyncio.wait_for(started.wait(), 10)
    endless.cancel()
    with pytest.raises(asyncio.CancelledError):
        await endless
    (child,) = children
    assert await asyncio.to_thread(child.wait, 10) != 0


async def test_nothing_leads_out(empty: SandboxClient) -> None:
    await empty.engage(update("ada", set={"a": 1}))
    names = [
        *("fetch", "require", "process", "std", "os", "Deno", "Bun", "XMLHttpRequest", "WebSocket"),
        *("setTimeout", "Worker", "load", "read", "loadScript", "jqlCalls"),
    ]
    script = """function main() {
        return People().map(() => params.names.filter(name => (
            typeof globalThis[name] !== "undefined"
            || [].constructor.constructor("return typeof " + name)() !== "undefined"
        )));
    }"""
    assert await answer(empty, script, {"names": names}) == [[]]
    assert await answer(empty, script, {"names": ["Math"]}) == [["Math"]]


@pytest.mark.parametrize("module", ["os", "/etc/passwd"])
async def test_nothing_can_be_imported(empty: SandboxClient, module: str) -> None:
    statement = await refusal(empty, f"import * as all from '{module}'; function main() {{}}")
    assert statement.startswith("Uncaught exception SyntaxError")
    # A promise is never answered: a script has no event loop.
    expression = await refusal(empty, f"function main() {{ return import('{module}') }}")
    assert "main() must return" in expression


async def test_the_engines_process_knows_no_secrets(
    empty: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, str]] = []

    class Seen(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            seen.append(options["env"])
            super().__init__(*arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", Seen)
    monkeypatch.setenv("MIXPANEL_PASSWORD", "canary")
    assert await answer(empty, COUNT_PEOPLE) == [0]
    assert [name for name, value in seen[0].items() if "canary" in value] == []
    assert "canary" in os.environ.values()


async def test_a_server_that_stops_waits_for_no_script(caplog: pytest.LogCaptureFixture) -> None:
    with ExitStack() as stack:
        sandbox = stack.enter_context(running_sandbox(demo=False))
        async with SandboxClient(base_url=sandbox.base_url, timeout=10) as client:
            # More than run at once: the last ones wait for their turn.
            endless = [asyncio.create_task(asked(client, "for (;;) {}")) for _ in range(7)]
            while len((await client.get("/sandbox/requests")).json()) < len(endless):
                assert not any(each.done() for each in endless)
            await asyncio.to_thread(stack.close)
            answers = await asyncio.gather(*endless)
    assert {each.json()["error"] for each in answers} == {"The sandbox is stopping."}
    assert caplog.messages == []


@pytest.mark.parametrize(
    "bent",
    [
        "Array.prototype.map = Array.prototype.every = null",
        "Object.fromEntries = () => 5",
        "JSON.parse = JSON.stringify = () => 'x'",
        "Object.prototype.length = 5; Array.prototype.push = () => 0",
        "globalThis.Map = globalThis.Error = globalThis.TypeError = undefined",
        "String.prototype.split = Function.prototype.call = () => { throw 1 }",
        "Object.defineProperty(globalThis, 'main', {get() { throw 1 }})",
        "var main = Symbol()",
        "Events = People = () => ({})",
    ],
)
async def test_who_bends_the_runtime_breaks_only_the_own_script(
    empty: SandboxClient, bent: str
) -> None:
    params: dict[str, Any] = {
        "from_date": "2026-03-01",
        "to_date": "2026-03-02",
        "event_selectors": [{}],
    }
    declared = "" if "main" in bent else "function main() { return Events(params).map(x => x) }"
    response = await asked(empty, f"{bent};\n{declared}", params)
    assert response.status_code in (200, 400)
    assert await answer(empty, COUNT_PEOPLE) == [0]
