"""An approval is good for one call, with the very arguments that were shown (modern era)."""

import json
from pathlib import Path
from typing import Any

import anyio
import mcp.types as t
import pytest
from doors import SUCCESS, Door, door_named
from harness import Connect, Person, Tools
from mcp import MCPError
from upstream import Upstream

DELETE: dict[str, Any] = {"delete_profiles": ["ada"], "confirm": True}
YES = t.ElicitResult(action="accept", content={"approve": True})

one_of_each = pytest.mark.parametrize(
    "door",
    list(
        map(
            door_named,
            ("delete_profile", "create_identity", "delete_pipeline", "raw_request-merge"),
        )
    ),
    ids=str,
)


class Rounds:
    """Answers questions by hand, as a host that keeps rounds and sends them again could."""

    def __init__(self, tools: Tools) -> None:
        self._session = tools.client.session

    async def asked(self, tool: str, arguments: dict[str, Any]) -> t.InputRequiredResult:
        answer = await self._session.call_tool(tool, arguments, allow_input_required=True)
        assert isinstance(answer, t.InputRequiredResult)
        return answer

    async def answer(
        self,
        tool: str,
        arguments: dict[str, Any],
        state: str | None,
        reply: t.ElicitResult = YES,
        name: str = "approval",
    ) -> t.CallToolResult | t.InputRequiredResult:
        return await self._session.call_tool(
            tool,
            arguments,
            input_responses={name: reply},
            request_state=state,
            allow_input_required=True,
        )


def status_of(answer: t.CallToolResult | t.InputRequiredResult) -> str:
    if isinstance(answer, t.InputRequiredResult):
        return "asked again"
    assert answer.structured_content is not None
    return answer.structured_content["status"]


@one_of_each
async def test_the_same_yes_sent_again_does_nothing(
    connect: Connect, upstream: Upstream, door: Door
) -> None:
    upstream.default = SUCCESS
    arguments = {**door.arguments, "confirm": True}

    async with connect(person=Person()) as tools:
        rounds = Rounds(tools)
        state = (await rounds.asked(door.tool, arguments)).request_state
        first = await rounds.answer(door.tool, arguments, state)
        again = [await rounds.answer(door.tool, arguments, state) for _ in range(3)]

    assert status_of(first) == "ok"
    assert [status_of(answer) for answer in again] == ["refused"] * 3
    assert len(upstream.requests) == 1


async def test_the_same_yes_sent_many_times_at_once_deletes_once(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.default = SUCCESS
    statuses: list[str] = []

    async with connect(person=Person()) as tools:
        rounds = Rounds(tools)
        state = (await rounds.asked("delete_profile", DELETE)).request_state

        async def press() -> None:
            statuses.append(status_of(await rounds.answer("delete_profile", DELETE, state)))

        async with anyio.create_task_group() as fingers:
            for _ in range(10):
                fingers.start_soon(press)

    assert sorted(statuses) == ["ok"] + ["refused"] * 9
    assert len(upstream.requests) == 1


async def test_a_no_cannot_be_turned_into_a_yes(connect: Connect, upstream: Upstream) -> None:
    async with connect(person=Person()) as tools:
        rounds = Rounds(tools)
        state = (await rounds.asked("delete_profile", DELETE)).request_state
        await rounds.answer("delete_profile", DELETE, state, t.ElicitResult(action="decline"))
        second = await rounds.answer("delete_profile", DELETE, state)

    assert status_of(second) == "refused"
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("delete_profile", {"delete_profiles": ["eve"], "confirm": True}),
        ("delete_profile", {"delete_profiles": ["ada", "eve"], "confirm": True}),
        ("delete_profile", {**DELETE, "region": "eu"}),
        ("delete_pipeline", {"name": "ada", "confirm": True}),
    ],
)
async def test_a_yes_to_one_call_is_none_to_another(
    connect: Connect, upstream: Upstream, tool: str, arguments: dict[str, Any]
) -> None:
    async with connect(person=Person()) as tools:
        rounds = Rounds(tools)
        state = (await rounds.asked("delete_profile", DELETE)).request_state
        with pytest.raises(MCPError):
            await rounds.answer(tool, arguments, state)

    assert upstream.requests == []


async def test_only_what_was_sealed_is_a_state(connect: Connect, upstream: Upstream) -> None:
    """One byte changed, or none of ours at all."""
    async with connect(person=Person()) as tools:
        rounds = Rounds(tools)
        state = (await rounds.asked("delete_profile", DELETE)).request_state
        assert state is not None
        middle = len(state) // 2
        changed = state[:middle] + ("A" if state[middle] != "A" else "B") + state[middle + 1 :]
        for forged in (changed, "", "approved", "v1." + "A" * 100):
            try:
                status = status_of(await rounds.answer("delete_profile", DELETE, forged))
            except MCPError:
                continue
            assert status in {"asked again", "refused"}

    assert upstream.requests == []


@pytest.mark.parametrize("name", ["approval", "approve", "other"])
async def test_an_answer_to_no_question_is_asked_about(
    connect: Connect, upstream: Upstream, name: str
) -> None:
    """A client may send a yes at once: nobody was asked for it."""
    async with connect(person=Person()) as tools:
        answer = await Rounds(tools).answer("delete_profile", DELETE, None, name=name)

    assert status_of(answer) == "asked again"
    assert upstream.requests == []


async def test_a_yes_of_another_server_is_none_here(connect: Connect, upstream: Upstream) -> None:
    async with connect(person=Person()) as tools, connect(person=Person()) as others:
        state = (await Rounds(others).asked("delete_profile", DELETE)).request_state
        with pytest.raises(MCPError):
            await Rounds(tools).answer("delete_profile", DELETE, state)

    assert upstream.requests == []


async def test_a_yes_without_confirm_is_none(connect: Connect, upstream: Upstream) -> None:
    unconfirmed = {"delete_profiles": ["ada"]}

    async with connect(person=Person()) as tools:
        rounds = Rounds(tools)
        state = (await rounds.asked("delete_profile", DELETE)).request_state
        assert status_of(await rounds.answer("delete_profile", unconfirmed, None)) == (
            "confirmation_required"
        )
        with pytest.raises(MCPError):
            await rounds.answer("delete_profile", unconfirmed, state)

    assert upstream.requests == []


def upload(name: str) -> dict[str, Any]:
    return {
        "url": "/lookup-tables/7",
        "method": "PUT",
        "file_data": {"table": name},
        "form_data": {"note": "n" * 2_000},
        "confirm": True,
    }


async def test_a_yes_to_a_file_sends_it(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    (tmp_path / "table.csv").write_text("id,name\n1,Ada\n", encoding="utf-8")

    async with connect(person=Person(), files_root=tmp_path) as tools:
        answer = await tools.call("raw_request", **upload("table.csv"))

    assert answer.status == "ok", answer.text
    assert b"1,Ada" in upstream.last.body


async def test_a_file_that_changed_after_the_yes_is_not_sent(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    """Bait and switch: the person agreed to what the file held then."""
    table = tmp_path / "table.csv"
    table.write_text("id,name\n" + "1,Ada\n" * 1_000, encoding="utf-8")

    async with connect(person=Person(), files_root=tmp_path) as tools:
        rounds = Rounds(tools)
        arguments = upload("table.csv")
        state = (await rounds.asked("raw_request", arguments)).request_state
        table.write_text("id,name\n" + "1,Ada\n" * 999 + "6,Eve\n", encoding="utf-8")
        answer = await rounds.answer("raw_request", arguments, state)

    assert status_of(answer) == "refused"
    assert upstream.requests == []


async def test_what_a_person_sees_needs_no_secrets_and_no_state(
    connect: Connect, upstream: Upstream
) -> None:
    """The state goes through the client: it is sealed, and says nothing."""
    async with connect(person=Person()) as tools:
        asked = await Rounds(tools).asked("delete_profile", DELETE)

    assert asked.request_state is not None
    assert "ada" not in asked.request_state
    (request,) = (asked.input_requests or {}).values()
    assert isinstance(request, t.ElicitRequest)
    assert isinstance(request.params, t.ElicitRequestFormParams)
    schema = request.params.requested_schema
    assert schema["required"] == ["approve"]
    assert set(schema["properties"]) == {"approve"}
    assert "default" not in json.dumps(schema)
    assert upstream.requests == []
