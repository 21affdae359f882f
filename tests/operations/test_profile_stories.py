"""Profiles in the sandbox: what was set, counted, listed or deleted is what a query shows."""

from typing import Any

from harness import Connect, Person, Tools

from mixpanel_mcp.sandbox import running_sandbox


async def profile_of(tools: Tools, distinct_id: str) -> dict[str, Any] | None:
    """What is stored of a user, without the time of the last update."""
    answer = await tools.call("query_profiles", distinct_ids=distinct_id)
    assert answer.status == "ok"
    found = [profile["$properties"] for profile in answer.data["profiles"]]
    assert len(found) <= 1
    return {k: v for k, v in found[0].items() if k != "$last_seen"} if found else None


async def test_setting_creates_a_profile_and_overwrites_only_what_it_names(
    connect_sandbox: Connect,
) -> None:
    user = {"$distinct_id": "story-set"}

    async with connect_sandbox() as tools:
        assert await profile_of(tools, "story-set") is None
        await tools.call("create_profile", properties=[{**user, "plan": "free", "city": "Porto"}])
        await tools.call("create_profile", properties=[{**user, "$set": {"plan": "pro"}}])

        assert await profile_of(tools, "story-set") == {"plan": "pro", "city": "Porto"}


async def test_each_verb_does_what_it_says(connect_sandbox: Connect) -> None:
    updates: list[dict[str, Any]] = [
        {"$set": {"plan": "free", "old": 1}},
        {"$set_once": {"plan": "pro", "first": "2026-01-01T00:00:00"}},
        {"$add": {"visits": 2}},
        {"$add": {"visits": -0.5}},
        {"$append": {"songs": "Fado"}},
        {"$append": {"songs": "Fado"}},
        {"$union": {"tags": ["a", "b"]}},
        {"$union": {"tags": ["b", "c"]}},
        {"$remove": {"tags": "a"}},
        {"$unset": ["old"]},
    ]

    async with connect_sandbox() as tools:
        answer = await tools.call(
            "update_multiple_profiles",
            properties_to_update=[{"$distinct_id": "story-verbs", **each} for each in updates],
        )
        assert (answer.status, answer.data["accepted"]) == ("ok", len(updates))

        assert await profile_of(tools, "story-verbs") == {
            "plan": "free",
            "first": "2026-01-01T00:00:00",
            "visits": 1.5,
            "songs": ["Fado", "Fado"],
            "tags": ["b", "c"],
        }


async def test_order_is_kept_over_thousands_of_updates(connect_sandbox: Connect) -> None:
    """Batches of one profile follow each other, or the last value would be a matter of luck."""
    updates = [{"$distinct_id": "story-order", "$set": {"n": n}} for n in range(4100)]

    async with connect_sandbox() as tools:
        answer = await tools.call("update_multiple_profiles", properties_to_update=updates)

        assert (answer.status, answer.data["accepted"]) == ("ok", 4100)
        assert await profile_of(tools, "story-order") == {"n": 4099}


async def test_a_deleted_profile_is_gone_and_its_neighbour_stays(connect_sandbox: Connect) -> None:
    person = Person()
    profiles = [{"$distinct_id": each, "n": 1} for each in ("story-gone", "story-stays")]

    async with connect_sandbox(person=person) as tools:
        await tools.call("create_profile", properties=profiles)
        answer = await tools.call("delete_profile", delete_profiles="story-gone", confirm=True)

        assert answer.status == "ok"
        assert await profile_of(tools, "story-gone") is None
        assert await profile_of(tools, "story-stays") == {"n": 1}
    assert '"story-gone"' in person.questions[0]


async def test_only_ignore_alias_spares_the_original(connect_sandbox: Connect) -> None:
    alias, original = "story-alias", "story-original"

    async with connect_sandbox() as tools:
        # The duplicate was there before its id became an alias.
        for each in (alias, original):
            await tools.call("create_profile", properties={"$distinct_id": each, "n": 1})
        await tools.call("create_alias", distinct_id=original, alias=alias, confirm=True)

        duplicate = {"$distinct_id": alias, "$ignore_alias": True}
        await tools.call("delete_profile", delete_profiles=[duplicate], confirm=True)
        assert await profile_of(tools, original) == {"n": 1}
        assert await profile_of(tools, alias) is None

        await tools.call("delete_profile", delete_profiles=[alias], confirm=True)
        assert await profile_of(tools, original) is None


async def test_many_profiles_are_paged_through_with_the_calls_spelled_out(
    connect_sandbox: Connect,
) -> None:
    """1,000 fit on a page. A sandbox of its own, because others count what they find."""
    profiles = [{"$distinct_id": f"u{n}", "n": n} for n in range(2100)]
    found: list[int] = []

    with running_sandbox(demo=False) as own:
        async with connect_sandbox(connection={"base_url": own.base_url}) as tools:
            await tools.call("create_profile", properties=profiles)
            step: dict[str, Any] | None = {"arguments": {"output_properties": ["n"]}}
            while step is not None:
                answer = await tools.call("query_profiles", **step["arguments"])
                assert answer.data["total"] == 2100
                found += [profile["$properties"]["n"] for profile in answer.data["profiles"]]
                assert len(found) <= 2100, "the next calls lead nowhere"
                step = answer.structured["next"]

    assert sorted(found) == list(range(2100))
