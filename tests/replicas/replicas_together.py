"""Two and four replicas behind a plain proxy: one server, as far as any client can tell.

`make test-replicas` runs it: it needs a real redis-server, which `make test` does not.
"""

import asyncio
import json
from collections import defaultdict
from itertools import count
from typing import Any

import pytest
from harness import Person
from redis_house import until
from replica_house import DELETE, WAYS, House, Way, answered, asked, running_house
from upstream import Received, Reply

SESSIONS = 200
CALLERS = [f"caller-{number}" for number in range(20)]
PIPELINES = "/api/2.0/nessie/pipeline/jobs"


def echoing() -> Any:
    """A Mixpanel whose every list is numbered, and whose JQL says what it was asked."""
    numbers = count(1)

    def answer(request: Received) -> Reply:
        if "nessie/pipeline" in request.path:
            return Reply(json={"1": [{"name": f"numbered-{next(numbers)}"}]})
        if request.path.endswith("/jql"):
            return Reply(json=[dict(request.form)["script"]])
        if request.path.startswith("/engage"):
            return Reply(json={"status": 1, "error": None})
        return Reply(json={"series": {"All": {"2026-01-01": next(numbers)}}})

    return answer


def queries(house: House) -> list[Received]:
    return [each for each in house.upstream.requests if each.path.startswith("/api/query")]


async def _session(house: House, way: Way, caller: str, index: int) -> list[str]:
    """What a session was told, in words."""
    told: list[str] = []
    async with house.opened(way, caller, person=Person()) as tools:
        script = f"main('canary of {caller} {index % 5}')"
        answers = [
            await tools.call("list_pipelines"),
            await tools.call("custom_jql_query", script=script),
            await tools.call("create_profile", properties=[{"$distinct_id": caller, "n": index}]),
            await tools.call("query_insights_saved_reports", bookmark_id=index),
        ]
        told += [json.dumps(answer.structured) for answer in answers]
        assert [answer.status for answer in (answers[0], answers[2])] == ["ok", "ok"]
        # The hour's queries end; whoever comes too late is told so.
        assert answers[1].status in {"ok", "refused"}
        assert answers[1].status == "ok" or "used up" in answers[1].text, answers[1].text
    return told


@pytest.mark.parametrize("replicas", [2, 4])
async def test_two_hundred_sessions_at_once(replicas: int) -> None:
    told: dict[str, list[str]] = defaultdict(list)
    async with running_house(replicas, CALLERS) as house:
        house.upstream.default = echoing()

        async def session(index: int) -> None:
            caller = CALLERS[index % len(CALLERS)]
            told[caller] += await _session(house, WAYS[index % 3], caller, index)

        await asyncio.gather(*(session(index) for index in range(SESSIONS)))
        spent = queries(house)
        served = list(house.proxy.served.values())
        logs = "".join(each.log for each in house.replicas)

    assert len(spent) == 60
    assert min(served) > 0
    assert "Traceback" not in logs
    for caller, answers in told.items():
        text = "".join(answers)
        others = [f"canary of {other} " for other in CALLERS if other != caller]
        assert not [canary for canary in others if canary in text]
    # A kept list belongs to the caller whose read brought it.
    seen = {
        caller: {word for text in answers for word in _numbered(text)}
        for caller, answers in told.items()
    }
    assert sum(map(len, seen.values())) == len(set[str]().union(*seen.values()))


def _numbered(text: str) -> list[str]:
    return [word.split('"')[0] for word in text.split("numbered-")[1:]]


async def test_what_one_replica_read_another_has_and_a_write_anywhere_ends_it() -> None:
    async with running_house(2) as house:
        house.upstream.default = echoing()
        one, other = house.replicas
        async with (
            house.opened("modern", "ada", at=one) as here,
            house.opened("modern", "ada", at=other) as there,
            house.opened("modern", "bob", at=other) as stranger,
        ):
            sent = len(house.upstream.requests)
            first = await here.call("query_insights_saved_reports", bookmark_id=1)
            second = await there.call("query_insights_saved_reports", bookmark_id=1)
            foreign = await stranger.call("query_insights_saved_reports", bookmark_id=1)
            await there.call("create_profile", properties=[{"$distinct_id": "x", "n": 1}])
            after = await here.call("query_insights_saved_reports", bookmark_id=1)
            requests = len(house.upstream.requests) - sent

    assert second.data == first.data
    assert "cached_seconds" in second.structured["scope"]
    assert first.data != foreign.data != after.data
    assert "cached_seconds" not in foreign.structured["scope"] | after.structured["scope"]
    assert requests == 4


async def test_equal_reads_of_two_replicas_are_sent_once() -> None:
    gate = asyncio.Event()
    async with running_house(2) as house:
        house.upstream.default = Reply(json={"series": {}}, until=gate)
        one, other = house.replicas
        async with (
            house.opened("modern", "ada", at=one) as here,
            house.opened("legacy", "ada", at=other) as there,
        ):
            calls = [
                asyncio.create_task(tools.call("query_insights_saved_reports", bookmark_id=1))
                for tools in (here, there) * 5
            ]
            await until(lambda: bool(queries(house)))
            await asyncio.sleep(0.3)
            gate.set()
            answers = await asyncio.gather(*calls)

    assert [answer.status for answer in answers] == ["ok"] * 10
    assert len(queries(house)) == 1


async def test_a_question_of_one_replica_is_answered_at_another_once_and_by_its_caller() -> None:
    async with running_house(2) as house:
        house.upstream.default = Reply(json={"status": 1, "error": None})
        one, other = house.replicas
        async with (
            house.opened("modern", "ada", person=Person(), at=one) as here,
            house.opened("modern", "ada", person=Person(), at=other) as there,
            house.opened("modern", "bob", person=Person(), at=other) as stranger,
        ):
            state = await asked(here)
            foreign = await answered(stranger, state)
            before = len(house.upstream.to("/engage"))
            answers = await asyncio.gather(*(answered(tools, state) for tools in (here, there) * 5))
            sent = [each for each in house.upstream.requests if b"delete" in each.content]

    assert foreign == "MCPError"
    assert before == 0
    assert sorted(answers) == ["ok"] + ["refused"] * 9
    assert len(sent) == 1


async def test_whoever_has_a_person_is_asked_whichever_way_they_came() -> None:
    people: dict[Way, Person] = {way: Person() for way in WAYS}
    async with running_house(2) as house:
        house.upstream.default = Reply(json={"status": 1, "error": None})
        for way, person in people.items():
            async with house.opened(way, "ada", person=person) as tools:
                answer = await tools.call("delete_profile", **DELETE)
            assert answer.status == "ok"

    assert [len(person.questions) for person in people.values()] == [1, 1, 1]


async def test_a_question_from_before_redis_went_away_is_asked_again() -> None:
    async with running_house(2) as house:
        house.upstream.default = Reply(json={"status": 1, "error": None})
        async with house.opened("modern", "ada", person=Person(), at=house.replicas[0]) as here:
            state = await asked(here)
            await house.redis.kill()
            assert await answered(here, state) == "refused"
            assert await answered(here, await asked(here)) == "ok"


async def test_without_redis_writes_go_on_that_a_person_agrees_to_at_another_replica() -> None:
    async with running_house(2) as house:
        house.upstream.default = Reply(json={"status": 1, "error": None})
        one, other = house.replicas
        async with (
            house.opened("modern", "ada", person=Person(), at=one) as here,
            house.opened("modern", "ada", person=Person(), at=other) as there,
            house.opened("modern", "bob", person=Person(), at=other) as stranger,
        ):
            await house.redis.kill()
            state = await asked(here)
            foreign = await answered(stranger, state)
            answers = [await answered(there, state) for _ in range(3)]
            through_the_proxy: list[str | None] = []
            async with house.opened("modern", "ada", person=Person()) as tools:
                for _ in range(4):
                    answer = await tools.call("delete_profile", **DELETE)
                    through_the_proxy.append(answer.status)

    assert foreign == "MCPError"
    assert answers == ["ok", "refused", "refused"]
    assert through_the_proxy == ["ok"] * 4


async def test_what_was_agreed_to_without_redis_is_done_once_when_it_is_back() -> None:
    async with running_house(2) as house:
        house.upstream.default = Reply(json={"status": 1, "error": None})
        one, other = house.replicas
        async with (
            house.opened("modern", "ada", person=Person(), at=one) as here,
            house.opened("modern", "ada", person=Person(), at=other) as there,
        ):
            await house.redis.kill()
            state = await asked(here)
            await house.redis.start()
            await house.shared()
            answers = await asyncio.gather(*(answered(each, state) for each in (here, there) * 3))
    assert sorted(answers) == ["ok"] + ["refused"] * 5
