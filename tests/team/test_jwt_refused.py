"""JWTs that must not be believed, and what is told to whoever sends one."""

import json
import time
from collections.abc import AsyncGenerator, Callable

import jwt
import pytest
from issuer import AUDIENCE, ISSUER, Issuer, claims, public_text, rsa_key, running_issuer, unsigned
from jwt.algorithms import HMACAlgorithm, RSAAlgorithm
from jwt.utils import base64url_encode
from team_house import House, bearer, running_house, team
from two_projects import Pair

from mixpanel_mcp.settings import Caller

CALLERS = [
    Caller(name="ada", subject="ada", connections=("shop",)),
    Caller(name="writers", scopes=("mixpanel:read", "mixpanel:write")),
    Caller(name="readers", scopes=("mixpanel:read",), read_only=True),
]


@pytest.fixture
async def issuer() -> AsyncGenerator[Issuer]:
    async with running_issuer() as running:
        yield running


@pytest.fixture
async def house(pair: Pair, issuer: Issuer) -> AsyncGenerator[House]:
    async with running_house(team(pair, CALLERS, issuer.hosting)) as running:
        yield running


def _with_header(**header: object) -> str:
    """Signed as it should be, by a key that the token itself brings or names."""
    return jwt.encode(claims(), rsa_key("strange"), algorithm="RS256", headers=header)


def _signed_with_the_public_key(issuer: Issuer) -> str:
    """What a careless checker takes for a secret both sides know."""
    del issuer
    header, payload = {"alg": "HS256", "typ": "JWT", "kid": "first"}, claims()
    signing = unsigned(header, payload).rstrip(".")
    algorithm = HMACAlgorithm(HMACAlgorithm.SHA256)
    signature = algorithm.sign(signing.encode(), public_text(rsa_key("first")))
    return f"{signing}.{base64url_encode(signature).decode()}"


def _changed_after_signing(issuer: Issuer) -> str:
    header, _, signature = issuer.token("eve").split(".")
    payload = base64url_encode(json.dumps(claims("ada")).encode()).decode()
    return f"{header}.{payload}.{signature}"


FORGED: dict[str, Callable[[Issuer], str]] = {
    "expired": lambda issuer: issuer.token(exp=int(time.time()) - 1),
    "expires now": lambda issuer: issuer.token(exp=int(time.time())),
    "without expiry": lambda issuer: issuer.token(exp=None),
    "an expiry that is none": lambda issuer: issuer.token(exp="never"),
    "foreign audience": lambda issuer: issuer.token(aud="https://other.example.com/mcp"),
    "audience above": lambda issuer: issuer.token(aud="https://mcp.example.com"),
    "audience with a slash": lambda issuer: issuer.token(aud=AUDIENCE + "/"),
    "without audience": lambda issuer: issuer.token(aud=None),
    "wrong issuer": lambda issuer: issuer.token(iss="https://login.example.org"),
    "issuer with a slash": lambda issuer: issuer.token(iss=ISSUER + "/"),
    "without issuer": lambda issuer: issuer.token(iss=None),
    "not valid yet": lambda issuer: issuer.token(nbf=int(time.time()) + 120),
    "issued in the future": lambda issuer: issuer.token(iat=int(time.time()) + 120),
    "without subject": lambda issuer: issuer.token(None, scope="mixpanel:read"),
    "a subject that is no text": lambda _: unsigned({"alg": "RS256", "kid": "first"}, {"sub": 1}),
    "another key under its name": lambda _: _with_header(kid="first"),
    "a key nobody knows": lambda issuer: issuer.token(key_id="strange"),
    "brings its own key": lambda _: _with_header(
        jwk=RSAAlgorithm.to_jwk(rsa_key("strange").public_key(), as_dict=True)
    ),
    "names its own key set": lambda _: _with_header(jku="http://127.0.0.1:9/keys", kid="strange"),
    "alg none": lambda _: unsigned({"alg": "none", "kid": "first"}, claims()),
    "alg None": lambda _: unsigned({"alg": "None", "kid": "first"}, claims()),
    "alg missing": lambda _: unsigned({"kid": "first"}, claims()),
    "alg none with a signature": lambda issuer: unsigned(
        {"alg": "none", "kid": "first"}, claims(), issuer.token().split(".")[2]
    ),
    "HS256 with the public key": _signed_with_the_public_key,
    "another algorithm of its key": lambda _: jwt.encode(
        claims(), rsa_key("first"), algorithm="PS256", headers={"kid": "first"}
    ),
    "changed after signing": _changed_after_signing,
    "without signature": lambda issuer: issuer.token().rpartition(".")[0] + ".",
    "two parts": lambda issuer: issuer.token().rpartition(".")[0],
    "four parts": lambda issuer: issuer.token() + ".e30",
    "a key id of another type": lambda _: unsigned({"alg": "RS256", "kid": ["first"]}, claims()),
    "critical extension": lambda _: _with_header(crit=["b64"], b64=False, kid="first"),
    "a header too deep": lambda _: (
        base64url_encode(b'{"a":' * 9000 + b"1" + b"}" * 9000).decode() + ".e30.AA"
    ),
    "a header of a list": lambda _: base64url_encode(b"[]").decode() + ".e30.AA",
    "dots": lambda _: "..",
}


async def test_what_cannot_be_believed_gets_nowhere(
    house: House, pair: Pair, issuer: Issuer
) -> None:
    for number, (name, forged) in enumerate(FORGED.items()):
        token = forged(issuer)
        # Too many wrong ones of one peer would be told to wait.
        sent = {**bearer(token), "X-Forwarded-For": f"192.0.2.{number}"}
        for answer in (await house.post(sent), await house.get("/sse", sent)):
            assert answer.status_code == 401, name
            challenge = answer.headers["www-authenticate"]
            assert 'error="invalid_token"' in challenge, name
            assert 'resource_metadata="https://mcp.example.com/.well-known/' in challenge
            assert token not in answer.text
    assert pair.arrived == (0, 0)


async def test_whoever_is_nobody_here_may_not_call_and_is_told_so(
    house: House, pair: Pair, issuer: Issuer
) -> None:
    for token in (
        issuer.token("eve"),
        issuer.token("eve", scope="mixpanel:write"),
        issuer.token("eve", scope="mixpanel:readmixpanel:write"),
        issuer.token("eve", scope={"mixpanel:read": True}),
        issuer.token("eve", scp=7),
        issuer.token("Ada"),
        issuer.token("ada "),
    ):
        answer = await house.post(bearer(token))
        assert answer.status_code == 403
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert pair.arrived == (0, 0)


async def test_a_good_token_of_another_does_not_open_a_session(
    house: House, issuer: Issuer
) -> None:
    """Session ids are no secrets: who they belong to is judged on every request."""
    begun = await house.post(bearer(issuer.token("ada")))
    session = {"Mcp-Session-Id": begun.headers["mcp-session-id"]}
    listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    again = {**bearer(issuer.token("ada", jti="renewed")), **session}
    assert (await house.post(again, listing)).status_code == 200
    for other in (issuer.token("eve", scope="mixpanel:read"), issuer.token("Ada", scp=[])):
        answer = await house.post({**bearer(other), **session}, listing)
        assert answer.status_code in {403, 404}
    for nobody in (issuer.token("ada", exp=int(time.time()) - 1), "x.y.z"):
        assert (await house.post({**bearer(nobody), **session}, listing)).status_code == 401


async def test_nothing_is_fetched_for_what_cannot_be_a_token(house: House, issuer: Issuer) -> None:
    for name in ("alg none", "HS256 with the public key", "dots", "a header too deep"):
        await house.post(bearer(FORGED[name](issuer)))
    await house.post({})
    assert issuer.fetches == 0
