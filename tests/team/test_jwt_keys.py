"""The issuer's keys: fetched rarely, kept through outages, never believed for ever."""

import asyncio
from collections.abc import AsyncGenerator
from itertools import count

import pytest
from issuer import Issuer, public_text, rsa_key, running_issuer
from jwt.utils import base64url_encode
from upstream import Drop, Held, Reply

from mixpanel_mcp.transports.signing_keys import NoKeysError, SigningKeys


@pytest.fixture
async def issuer() -> AsyncGenerator[Issuer]:
    async with running_issuer() as running:
        yield running


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(issuer: Issuer, clock: Clock) -> SigningKeys:
    return SigningKeys(f"{issuer.upstream.url}/keys", clock)


async def test_many_tokens_need_one_fetch(issuer: Issuer, keys: SigningKeys) -> None:
    found = await asyncio.gather(*(keys.named("first") for _ in range(50)))
    assert {key.key_id for key in found if key} == {"first"}
    assert issuer.fetches == 1
    (request,) = issuer.upstream.requests
    assert "authorization" not in request.headers


async def test_a_new_key_is_found_and_unknown_ones_are_asked_for_once_a_minute(
    issuer: Issuer, keys: SigningKeys, clock: Clock
) -> None:
    await keys.named("first")
    issuer.key_ids.append("second")
    for number in count():
        assert await keys.named(f"guess {number}") is None
        clock.seconds += 10
        if number == 4:
            break
    assert issuer.fetches == 1
    clock.seconds += 10
    assert await keys.named("second") is not None
    assert issuer.fetches == 2


async def test_a_key_that_was_withdrawn_is_forgotten(
    issuer: Issuer, keys: SigningKeys, clock: Clock
) -> None:
    await keys.named("first")
    issuer.key_ids = ["second"]
    clock.seconds += 300
    assert await keys.named("first") is None


@pytest.mark.parametrize(
    "answer",
    [
        Drop(),
        Reply(status=500, body="down"),
        Reply(status=302, headers={"Location": "/elsewhere"}),
        Reply(body="<html>"),
        Reply(json=[]),
        Reply(json={"keys": []}),
        Reply(json={"keys": [{"kty": "none"}]}),
        Reply(body='{"a":' * 100_000),
    ],
    ids=["dropped", "500", "redirect", "html", "list", "empty", "unusable", "deep"],
)
async def test_known_keys_survive_an_outage_of_the_issuer(
    issuer: Issuer, keys: SigningKeys, clock: Clock, answer: Reply | Drop
) -> None:
    await keys.named("first")
    issuer.upstream.always("/keys", answer)
    clock.seconds += 3600
    for _ in range(3):
        assert await keys.named("first") is not None
        assert await keys.named("second") is None
    assert issuer.fetches == 2
    assert issuer.upstream.to("/elsewhere") == []
    clock.seconds += 86_400
    with pytest.raises(NoKeysError):
        await keys.named("first")


async def test_an_issuer_that_is_away_at_first_is_asked_again_soon(
    issuer: Issuer, keys: SigningKeys, clock: Clock
) -> None:
    issuer.upstream.on("/keys", Drop())
    for _ in range(3):
        with pytest.raises(NoKeysError):
            await keys.named("first")
    clock.seconds += 5
    assert await keys.named("first") is not None
    assert issuer.fetches == 2


async def test_nobody_waits_for_a_fetch_who_has_a_key(
    issuer: Issuer, keys: SigningKeys, clock: Clock
) -> None:
    await keys.named("first")
    answered = asyncio.Event()
    issuer.upstream.on("/keys", Held(answered, Reply(json={"keys": issuer.keys()})))
    clock.seconds += 3600
    waiting = asyncio.create_task(keys.named("second"))
    await issuer.upstream.opened(1)
    assert await keys.named("first") is not None
    assert not waiting.done()
    answered.set()
    assert await waiting is None


async def test_a_published_secret_is_no_key(issuer: Issuer, keys: SigningKeys) -> None:
    """With it, everybody could sign who reads the key set."""
    secret = base64url_encode(public_text(rsa_key("first"))).decode()
    issuer.others = [
        {"kty": "oct", "kid": "shared", "alg": "HS256", "k": secret},
        {**issuer.keys()[0], "kid": "sealing", "use": "enc"},
    ]
    assert await keys.named("first") is not None
    assert await keys.named("shared") is None
    assert await keys.named("sealing") is None


async def test_a_token_without_key_id_means_the_only_key(issuer: Issuer, keys: SigningKeys) -> None:
    assert await keys.named(None) is not None
    del issuer


async def test_a_token_without_key_id_among_several_keys_means_none(
    issuer: Issuer, keys: SigningKeys
) -> None:
    issuer.key_ids = ["first", "second"]
    assert await keys.named(None) is None
