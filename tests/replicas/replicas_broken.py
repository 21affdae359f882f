"""What breaks, breaks alone: a replica or Redis ends under load, and clients are told the truth.

`make test-replicas` runs it: it needs a real redis-server, which `make test` does not.
"""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
from harness import Person, Tools
from redis_house import until
from replica_house import WAYS, House, Way, running_house
from upstream import Received, Reply

YES_AND_NO = ("ok", "refused")


def answering(request: Received) -> Reply:
    if "nessie" in request.path:
        return Reply(json={"1": [{"name": "p"}]})
    if request.path.startswith("/engage"):
        return Reply(json={"status": 1, "error": None})
    return Reply(json={"series": {"All": {"2026-01-01": 1}}})


def queries(house: House) -> int:
    return sum(each.path.startswith("/api/query") for each in house.upstream.requests)


@pytest.mark.parametrize("way", WAYS)
async def test_whoever_waits_for_a_replica_that_dies_is_told_and_nobody_else_notices(
    way: Way,
) -> None:
    gate = asyncio.Event()
    async with running_house(2) as house:
        house.upstream.default = Reply(json={"series": {}}, until=gate)
        one, other = house.replicas
        async with house.opened("modern", "ada", at=other) as elsewhere:
            waiting = asyncio.create_task(_told(house, way, at=0))
            await until(lambda: queries(house) == 1)
            await one.kill()
            told = await asyncio.wait_for(waiting, 30)
            # The dead one's place is free again soon, and its call stays counted.
            gate.set()
            answers = [
                await elsewhere.call("query_insights_saved_reports", bookmark_id=number)
                for number in range(60)
            ]
            assert queries(house) == 60

    assert told == "told"
    assert Counter(answer.status for answer in answers) == {"ok": 59, "refused": 1}


async def _told(house: House, way: Way, at: int) -> str:
    """How a call ended whose replica went away."""
    try:
        async with house.opened(way, "ada", at=house.replicas[at]) as tools:
            answer = await tools.call("query_insights_saved_reports", bookmark_id=1)
            return answer.status
    except Exception:  # noqa: BLE001 - each transport of the SDK has errors of its own
        return "told"


async def test_a_read_that_a_dead_replica_led_is_sent_by_another() -> None:
    gate = asyncio.Event()
    async with running_house(2) as house:
        house.upstream.default = Reply(json={"series": {}}, until=gate)
        one, other = house.replicas
        async with house.opened("modern", "ada", at=other) as elsewhere:
            leading = asyncio.create_task(_told(house, "modern", at=0))
            await until(lambda: queries(house) == 1)
            following = asyncio.create_task(
                elsewhere.call("query_insights_saved_reports", bookmark_id=1)
            )
            await one.kill()
            await leading
            await until(lambda: queries(house) == 2)
            gate.set()
            answer = await following

    assert answer.status == "ok"


async def test_redis_killed_and_started_again_under_load() -> None:
    async with running_house(4) as house:
        house.upstream.default = answering
        done = asyncio.Event()

        async def working(index: int) -> Counter[str]:
            seen = Counter[str]()
            async with house.opened(WAYS[index % 3], "ada", person=Person()) as tools:
                number = 0
                while not done.is_set():
                    number += 1
                    seen += await _round(tools, 1000 * index + number)
                    await asyncio.sleep(0.2)
            return seen

        workers = [asyncio.create_task(working(index)) for index in range(24)]
        for pause in (1.0, 2.5):
            await asyncio.sleep(pause)
            await house.redis.kill()
            await asyncio.sleep(pause)
            await house.redis.start()
        await house.shared()
        done.set()
        seen = sum((await asyncio.gather(*workers)), Counter[str]())
        async with house.opened("modern", "ada") as tools:
            number = 1_000_000
            while (await _asks(tools, number)) == "ok":
                number += 1
        spent = queries(house)
        logs = [replica.log for replica in house.replicas]

    audit: list[dict[str, Any]] = [
        json.loads(line[line.index("{") :]) for log in logs for line in _audited(log)
    ]
    assert spent == 60
    assert set(seen) <= {"report ok", "report refused", "list ok", "write ok"}
    assert seen["write ok"] == seen["list ok"]
    for log in logs:
        assert log.count("counts cautiously") == log.count("is believed again") > 0
        assert "Traceback" not in log
    assert {line.get("shared", True) for line in audit} == {True, False}


def _audited(log: str) -> list[str]:
    return [line for line in log.splitlines() if "arguments_digest" in line]


async def _round(tools: Tools, number: int) -> Counter[str]:
    written = await tools.call("create_profile", properties=[{"$distinct_id": "x", "n": number}])
    listed = await tools.call("list_pipelines")
    report = await _asks(tools, number)
    return Counter([f"write {written.status}", f"list {listed.status}", f"report {report}"])


async def _asks(tools: Tools, number: int) -> str:
    answer = await tools.call("query_insights_saved_reports", bookmark_id=number)
    assert answer.status in YES_AND_NO, answer.text
    return answer.status
