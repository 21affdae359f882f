"""JWTs of one issuer at two replicas: a person is the same at both, and nobody else.

`make test-replicas` runs it: it needs a real redis-server, which `make test` does not.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import httpx2
import pytest
from harness import Person, Tools
from issuer import Issuer, running_issuer
from redis_house import until
from replica_house import House, Replica, answered, asked, running_house
from upstream import Reply


@pytest.fixture
async def issuer() -> AsyncGenerator[Issuer]:
    async with running_issuer() as running:
        yield running


@pytest.fixture
async def house(issuer: Issuer) -> AsyncGenerator[House]:
    async with running_house(2, (), issuer.hosting) as running:
        running.upstream.default = Reply(json={"status": 1, "error": None})
        yield running


@asynccontextmanager
async def holding(house: House, token: str, at: Replica) -> AsyncGenerator[Tools]:
    async with house.opened("modern", "people", person=Person(), at=at, token=token) as tools:
        yield tools


def deletions(house: House) -> int:
    return sum(b"delete" in each.content for each in house.upstream.requests)


async def test_a_question_is_answered_at_the_other_replica_with_a_newer_token(
    house: House, issuer: Issuer
) -> None:
    one, other = house.replicas
    async with (
        holding(house, issuer.token("ada", scope="mixpanel"), one) as here,
        holding(house, issuer.token("ada", scope="mixpanel", jti="newer"), other) as there,
        holding(house, issuer.token("eve", scope="mixpanel"), other) as stranger,
    ):
        state = await asked(here)
        foreign = await answered(stranger, state)
        before = deletions(house)
        answers = [await answered(tools, state) for tools in (there, here, there)]

    assert foreign == "MCPError"
    assert before == 0
    assert answers == ["ok", "refused", "refused"]
    assert deletions(house) == 1


async def test_both_replicas_follow_the_issuer_to_a_new_key(house: House, issuer: Issuer) -> None:
    tokens = {
        key: issuer.token("ada", key_id=key, scope="mixpanel")
        for key in ("first", "second", "third")
    }
    assert await believed(house, tokens) == [{"first"}] * 2

    issuer.key_ids = ["first", "second"]
    await until(lambda: _are_believed(house, tokens, {"first", "second"}))

    issuer.key_ids = ["second", "third"]
    await until(lambda: _are_believed(house, tokens, {"second", "third"}))


async def _are_believed(house: House, tokens: Mapping[str, str], keys: set[str]) -> bool:
    return await believed(house, tokens) == [keys] * 2


async def believed(house: House, tokens: Mapping[str, str]) -> list[set[str]]:
    """Which keys' tokens each replica takes; it looks at a token before anything else."""
    found: list[set[str]] = []
    async with httpx2.AsyncClient() as http:
        for replica in house.replicas:
            address = f"http://127.0.0.1:{replica.port}/mcp"
            answers = {
                key: await http.get(address, headers={"Authorization": f"Bearer {token}"})
                for key, token in tokens.items()
            }
            found.append({key for key, each in answers.items() if each.status_code != 401})
    return found
