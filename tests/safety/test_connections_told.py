"""Scope, audit and questions name the connection, whatever became of the call."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from doors import SUCCESS
from harness import Era, Person
from two_projects import Pair
from upstream import Drop, Reply

EVENT = {"event": "A", "properties": {"distinct_id": "ada"}}
DELETE: dict[str, Any] = {"delete_profiles": ["ada"]}

# What is called, what Mixpanel answers, and how the call ends.
ENDS: dict[str, tuple[str, dict[str, Any], Any, str]] = {
    "write": ("track_events", {"events": [EVENT]}, SUCCESS, "ok"),
    "failed write": ("track_events", {"events": [EVENT]}, Reply(400, "no"), "failed"),
    "dropped write": ("track_events", {"events": [EVENT]}, Drop(), "failed"),
    "refused": ("track_events", {"events": [EVENT], "bogus": 1}, SUCCESS, "refused"),
    "foreign project": ("delete_pipeline", {"name": "p", "project_id": 999}, SUCCESS, "refused"),
    "unconfirmed": ("delete_profile", DELETE, SUCCESS, "confirmation_required"),
    "confirmed": ("delete_profile", {**DELETE, "confirm": True}, SUCCESS, "ok"),
}
READS: dict[str, tuple[str, dict[str, Any], Any, str]] = {
    "read": ("list_saved_funnels", {}, Reply(json=[]), "ok"),
    "refused read": ("query_profiles", {"bogus": 1}, SUCCESS, "refused"),
    "failed read": ("list_saved_funnels", {}, Reply(401, "no"), "failed"),
    "dropped read": ("list_saved_funnels", {}, Drop(), "failed"),
}


def lines_of(audit: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in audit.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("end", ENDS | READS)
async def test_every_answer_names_its_connection(
    pair: Pair, tmp_path: Path, era: Era, end: str
) -> None:
    tool, arguments, reply, status = (ENDS | READS)[end]
    pair.shop.upstream.default = pair.blog.upstream.default = reply
    audit = tmp_path / "audit.jsonl"
    policy: dict[str, Any] = {"audit_log": audit, "allowed_projects": (4242, 77)}
    async with pair.opened(era=era, blog={"region": "eu"}, **policy) as tools:
        blog = await tools.call(tool, **arguments, connection="blog")
        shop = await tools.call(tool, **arguments)

    assert (blog.status, shop.status) == (status, status), blog.text
    scopes = [answer.structured["scope"] for answer in (blog, shop)]
    assert [(scope["connection"], scope["region"]) for scope in scopes] == [
        ("blog", "eu"),
        ("shop", "us"),
    ]
    told = [(line["connection"], line["region"], line["tool"]) for line in lines_of(audit)]
    assert told == ([] if end in READS else [("blog", "eu", tool), ("shop", "us", tool)])


@pytest.mark.parametrize("end", ["write", "confirmed"])
async def test_the_audit_names_the_project_that_was_written_to(
    pair: Pair, tmp_path: Path, end: str
) -> None:
    tool, arguments, reply, _ = ENDS[end]
    pair.shop.upstream.default = pair.blog.upstream.default = reply
    audit = tmp_path / "audit.jsonl"
    async with pair.opened(audit_log=audit) as tools:
        await tools.call(tool, **arguments, connection="blog")
        await tools.call(tool, **arguments, connection="shop")

    assert [line["project"] for line in lines_of(audit)] == [77, 4242]


async def test_a_write_to_no_connection_is_audited_as_refused(pair: Pair, tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    async with pair.opened(audit_log=audit) as tools:
        await tools.call("track_events", events=[EVENT], connection="app")

    (line,) = lines_of(audit)
    assert (line["tool"], line["outcome"]) == ("track_events", "refused")


@pytest.mark.parametrize("action", ["accept", "decline"])
async def test_the_audit_of_a_question_names_the_connection(
    pair: Pair, tmp_path: Path, era: Era, action: Any
) -> None:
    pair.blog.upstream.default = SUCCESS
    audit = tmp_path / "audit.jsonl"
    async with pair.opened(era=era, person=Person(action), audit_log=audit) as tools:
        await tools.call("delete_profile", **DELETE, confirm=True, connection="blog")

    told = lines_of(audit)
    assert {(line["connection"], line["project"]) for line in told} == {("blog", 77)}
    assert told[-1]["confirmed"] == ("by a person" if action == "accept" else "declined")


@pytest.mark.parametrize("project_ids", [(4242, 4242), (None, None)], ids=["same", "none"])
async def test_a_person_is_told_which_connection_it_is_about(
    pair: Pair, era: Era, project_ids: Sequence[int | None]
) -> None:
    """Who agrees to delete on the staging copy did not agree to delete in production."""
    person = Person("decline")
    first, second = project_ids
    async with pair.opened(
        era=era, person=person, shop={"project_id": first}, blog={"project_id": second}
    ) as tools:
        for connection in ("shop", "blog"):
            await tools.call("delete_profile", **DELETE, confirm=True, connection=connection)

    asked_shop, asked_blog = person.questions
    assert "shop" in asked_shop
    assert "blog" in asked_blog
