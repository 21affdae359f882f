"""Simplified ID Merge: events that say who acts, and merges that do nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sandbox_client import TOKEN, called_in_process, event, update

from mixpanel_mcp.sandbox import SandboxUnavailableError, create_app
from mixpanel_mcp.sandbox.canonical_ids import canonical_ids
from mixpanel_mcp.sandbox.identities import all_merges

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandbox_client import SandboxClient

ANONYMOUS = "5b3d4f6e-8d0c-4a8e-9c1f-2e7b6a5d4c3b"


@pytest.fixture
async def project() -> AsyncIterator[SandboxClient]:
    async with called_in_process(demo=False, id_merge="simplified") as client:
        yield client


def acted(insert_id: str, **ids: Any) -> dict[str, Any]:
    """Make an event with these ids and no other."""
    made = event(**{"$insert_id": insert_id})
    del made["properties"]["distinct_id"]
    made["properties"] |= {name if name == "distinct_id" else f"${name}": ids[name] for name in ids}
    return made


@pytest.mark.parametrize(
    ("ids", "distinct_id"),
    [
        ({"user_id": "ada"}, "ada"),
        ({"device_id": "d1"}, "$device:d1"),
        ({"device_id": "d1", "user_id": "ada"}, "ada"),
        ({"device_id": "d1", "distinct_id": "overwritten"}, "$device:d1"),
        ({"user_id": "ada", "distinct_id": "overwritten"}, "ada"),
        ({"user_id": 7}, "7"),
        ({"user_id": "", "device_id": None, "distinct_id": "ben"}, "ben"),
        ({"distinct_id": "$device:d1"}, "$device:d1"),
    ],
)
async def test_the_distinct_id_follows_from_the_two_ids(
    project: SandboxClient, ids: dict[str, Any], distinct_id: str
) -> None:
    for answer in (
        await project.import_events(acted("a", **ids)),
        await project.track(acted("b", **ids)),
    ):
        assert answer.status_code == 200, answer.text

    found = [each["properties"]["distinct_id"] for each in await project.exported()]
    assert found == [distinct_id] * 2


async def test_an_event_with_both_ids_links_them(project: SandboxClient) -> None:
    await project.import_events(
        acted("1", device_id="d1"),
        acted("2", device_id="d1", user_id="ada"),
        acted("3", device_id="d2", user_id="ada"),
    )

    links = canonical_ids(project.project.store, ["$device:d1", "$device:d2", "d1", "ada"])
    assert links == {"$device:d1": "ada", "$device:d2": "ada"}


async def test_reports_know_a_device_by_its_user(project: SandboxClient) -> None:
    await project.import_events(acted("1", device_id="d1"), acted("2", user_id="ada"))
    question = {"event": "Song played", "from_date": "2026-03-09", "to_date": "2026-03-09"}

    before = await project.answered("/segmentation", **question, type="unique")
    await project.import_events(acted("3", device_id="d1", user_id="ada"))
    after = await project.answered("/segmentation", **question, type="unique")

    assert before["data"]["values"] == {"Song played": {"2026-03-09": 2}}
    assert after["data"]["values"] == {"Song played": {"2026-03-09": 1}}
    exported = [each["properties"] for each in await project.exported()]
    assert {each["distinct_id"] for each in exported} == {"ada"}
    assert exported[0]["$distinct_id_before_identity"] == "$device:d1"


@pytest.mark.parametrize("batched", [True, False])
async def test_a_device_stays_with_its_first_user(project: SandboxClient, *, batched: bool) -> None:
    events = [acted("1", device_id="d", user_id="ada"), acted("2", device_id="d", user_id="ben")]
    for batch in [events] if batched else [[each] for each in events]:
        await project.import_events(*batch)

    assert canonical_ids(project.project.store, ["$device:d", "ben"]) == {"$device:d": "ada"}
    assert {each["properties"]["distinct_id"] for each in await project.exported()} == {
        "ada",
        "ben",
    }


async def test_legacy_merges_do_nothing_and_say_nothing(project: SandboxClient) -> None:
    identify = {"$identified_id": "ada", "$anon_id": ANONYMOUS}
    events = [
        {"event": "$identify", "properties": {"token": TOKEN, **identify}},
        {"event": "$identify", "properties": {"token": TOKEN, **identify, "$anon_id": "no uuid"}},
        {
            "event": "$create_alias",
            "properties": {"token": TOKEN, "distinct_id": "a", "alias": "b"},
        },
    ]
    merge = {"event": "$merge", "properties": {"$distinct_ids": ["ada", "ben"]}}

    assert (await project.track(*events)).text == "1"
    assert (await project.import_events(merge)).json()["num_records_imported"] == 1

    assert all_merges(project.project.store) == []
    assert canonical_ids(project.project.store, [ANONYMOUS, "b", "ben", "no uuid"]) == {}
    assert all("$failure_reason" not in each["properties"] for each in await project.exported())


async def test_what_a_device_had_is_lost_and_its_updates_reach_the_user(
    project: SandboxClient,
) -> None:
    await project.engage(update("$device:d1", set={"seen": "before"}, ignore_time=True))
    await project.import_events(acted("1", device_id="d1", user_id="ada"))
    assert await project.profiles() == {}

    await project.engage(update("$device:d1", set={"seen": "after"}, ignore_time=True))
    assert await project.profiles() == {"ada": {"seen": "after"}}


@pytest.mark.parametrize("bad", [{"time": "yesterday"}, {"$ignore": True}])
async def test_an_event_that_is_not_kept_links_nothing(
    project: SandboxClient, bad: dict[str, Any]
) -> None:
    made = acted("1", device_id="d1", user_id="ada")
    made["properties"] |= bad

    await project.import_events(made)

    assert canonical_ids(project.project.store, ["$device:d1"]) == {}


async def test_a_banned_user_is_refused_as_a_distinct_id(project: SandboxClient) -> None:
    answer = await project.import_events(acted("1", user_id="anonymous", device_id="d1"))

    assert answer.json()["failed_records"][0]["field"] == "properties.distinct_id"
    assert canonical_ids(project.project.store, ["$device:d1"]) == {}


def test_a_file_keeps_its_id_merge(tmp_path: Path) -> None:
    data = tmp_path / "project.duckdb"
    for id_merge in ("simplified", None):
        made = create_app(demo=False, data=data, id_merge=id_merge).state.project
        made.open()
        assert made.id_merge == "simplified"
        made.close()

    with pytest.raises(SandboxUnavailableError, match="has simplified ID merge"):
        create_app(demo=False, data=data, id_merge="original").state.project.open()


async def test_a_reset_keeps_the_id_merge(project: SandboxClient) -> None:
    await project.control("reset", {"demo": False})

    assert project.project.id_merge == "simplified"
