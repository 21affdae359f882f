"""The secrets of all connections are kept out of every answer, and a gap in one stays there."""

import base64
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from harness import Era, Person, Result
from two_projects import Pair, Project
from upstream import Drop, Received, Reply

EVENT = {"event": "A", "properties": {"distinct_id": "ada"}}
EVERY_TOOL: list[tuple[str, dict[str, Any]]] = [
    ("list_saved_funnels", {}),
    ("track_events", {"events": [EVENT]}),
    ("delete_profile", {"delete_profiles": ["ada"], "confirm": True}),
    ("raw_request", {"url": "/api/app/me", "method": "GET"}),
    ("raw_request", {"url": "/api/app/me", "method": "GET", "response_type": "text"}),
]


def spelled(project: Project) -> str:
    """The project's secrets, in all the ways a server might send them back."""
    said = [*project.secrets, *(quote(secret, safe="") for secret in project.secrets)]
    said += [base64.b64encode(secret.encode()).decode() for secret in project.secrets]
    return " ".join(said)


def leaks(pair: Pair, text: str) -> list[str]:
    return [secret for each in (pair.shop, pair.blog) for secret in each.secrets if secret in text]


def shown(answer: Result) -> str:
    return f"{answer.text} {json.dumps(answer.structured)} {answer.structured!r}"


Tell = Callable[[str], Callable[[Received], Reply]]
TOLD: dict[str, Tell] = {
    "success": lambda text: lambda _: Reply(json={"status": 1, "echo": text}),
    "list": lambda text: lambda _: Reply(json=[{"name": text, text: 1}]),
    "zero": lambda text: lambda _: Reply(json={"status": 0, "error": text}),
    "400": lambda text: lambda _: Reply(400, json={"error": text, "status": "error"}),
    "401": lambda text: lambda _: Reply(401, body=text),
    "500": lambda text: lambda _: Reply(500, body=text),
}


@pytest.mark.parametrize("told", TOLD)
@pytest.mark.parametrize("call", range(len(EVERY_TOOL)), ids=[str(each[0]) for each in EVERY_TOOL])
async def test_no_answer_of_one_holds_a_secret_of_either(
    pair: Pair, caplog: pytest.LogCaptureFixture, told: str, call: int
) -> None:
    """A Mixpanel that knows both, such as one proxy before two projects."""
    tool, arguments = EVERY_TOOL[call]
    everything = spelled(pair.shop) + " " + spelled(pair.blog)
    pair.shop.upstream.default = pair.blog.upstream.default = TOLD[told](everything)
    caplog.set_level(logging.DEBUG)

    async with pair.opened() as tools:
        for name in ("shop", "blog"):
            answer = await tools.call(tool, **arguments, connection=name)
            assert leaks(pair, shown(answer)) == []

    assert min(pair.arrived) > 0
    assert leaks(pair, caplog.text) == []


@pytest.mark.parametrize("confirm", [False, True])
async def test_no_question_holds_a_secret_of_either(
    pair: Pair, tmp_path: Path, era: Era, *, confirm: bool
) -> None:
    """Whatever a model puts into an argument of a call that is asked about."""
    person = Person("decline")
    audit = tmp_path / "audit.jsonl"
    async with pair.opened(era=era, person=person, audit_log=audit) as tools:
        for name in ("shop", "blog"):
            for project in (pair.shop, pair.blog):
                for secret in project.secrets:
                    answer = await tools.call(
                        "delete_profile",
                        delete_profiles=[secret],
                        confirm=confirm,
                        connection=name,
                    )
                    assert leaks(pair, shown(answer)) == []

    assert len(person.questions) == (16 if confirm else 0)
    assert leaks(pair, " ".join(person.questions)) == []
    assert leaks(pair, audit.read_text()) == []
    assert pair.arrived == (0, 0)


async def test_a_secret_in_a_faulty_argument_does_not_come_back(pair: Pair) -> None:
    faulty: list[dict[str, Any]] = [
        {pair.blog.password: 1},
        {"region": pair.blog.password},
        {"project_id": pair.blog.token},
        {"connection": pair.blog.token},
        {"connection": [pair.blog.token]},
    ]
    async with pair.opened() as tools:
        for arguments in faulty:
            answer = await tools.call("list_saved_funnels", **arguments)
            assert answer.status == "refused"
            assert leaks(pair, shown(answer)) == []


async def test_a_connection_without_credentials_leaves_the_other_working(
    pair: Pair, era: Era
) -> None:
    pair.shop.upstream.default = Reply(json=[{"funnel_id": 1, "name": pair.shop.canary}])
    nothing = {"username": None, "password": None, "project_token": None, "project_id": None}
    async with pair.opened(era=era, blog=nothing) as tools:
        read = await tools.call("list_saved_funnels", connection="blog")
        write = await tools.call("track_events", events=[EVENT], connection="blog")
        fine = await tools.call("list_saved_funnels")

    for answer in (read, write):
        assert (answer.status, answer.is_error) == ("refused", True)
        assert answer.structured["scope"]["connection"] == "blog"
        assert answer.structured["scope"]["project"] is None
        assert leaks(pair, shown(answer)) == []
    assert fine.status == "ok"
    assert pair.arrived == (1, 0)


async def test_what_is_missing_is_said_of_the_connection_that_lacks_it(pair: Pair) -> None:
    """A variable would fill the gap of every connection: the place to mend it is its table."""
    async with pair.opened(blog={"password": None}) as tools:
        answer = await tools.call("list_saved_funnels", connection="blog")

    assert "blog" in answer.text


async def test_a_missing_credential_is_not_borrowed_from_the_other(pair: Pair) -> None:
    async with pair.opened(blog={"password": None}, shop={"project_token": None}) as tools:
        read = await tools.call("list_saved_funnels", connection="blog")
        write = await tools.call("track_events", events=[EVENT], connection="shop")

    assert (read.status, write.status) == ("refused", "refused")
    assert pair.arrived == (0, 0)


async def test_a_mixpanel_that_is_down_leaves_the_other_working(pair: Pair, era: Era) -> None:
    pair.blog.upstream.default = Drop()
    pair.shop.upstream.default = Reply(json=[])
    async with pair.opened(era=era) as tools:
        down = await tools.call("list_saved_funnels", connection="blog")
        fine = await tools.call("list_saved_funnels")

    assert (down.status, fine.status) == ("failed", "ok")
