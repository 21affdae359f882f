"""An issuer of JWTs for tests: its keys, its key set over HTTP, and what it signs."""

import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.utils import base64url_encode
from upstream import Reply, Upstream, running_upstream

ISSUER = "https://login.example.com"
AUDIENCE = "https://mcp.example.com/mcp"


@cache
def rsa_key(name: str) -> RSAPrivateKey:
    """One key for each name, made once: primes take their time."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def elliptic_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def edwards_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def public_text(key: RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _published(name: str) -> dict[str, Any]:
    return {
        **RSAAlgorithm.to_jwk(rsa_key(name).public_key(), as_dict=True),
        "kid": name,
        "use": "sig",
    }


@dataclass
class Issuer:
    """It publishes the keys `key_ids`, and signs with whichever is asked for."""

    upstream: Upstream
    key_ids: list[str] = field(default_factory=lambda: ["first"])
    others: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def __post_init__(self) -> None:
        self.upstream.always("/keys", lambda _: Reply(json={"keys": self.keys()}))

    def keys(self) -> list[dict[str, Any]]:
        return [*map(_published, self.key_ids), *self.others]

    def publish_other_kinds(self) -> None:
        elliptic = ECAlgorithm.to_jwk(elliptic_key().public_key(), as_dict=True)
        edwards = OKPAlgorithm.to_jwk(edwards_key().public_key(), as_dict=True)
        self.others = [{**elliptic, "kid": "elliptic"}, {**edwards, "kid": "edwards"}]

    @property
    def fetches(self) -> int:
        return len(self.upstream.to("/keys"))

    @property
    def hosting(self) -> dict[str, Any]:
        return {
            "jwt_issuer": ISSUER,
            "jwt_jwks_url": f"{self.upstream.url}/keys",
            "jwt_audience": AUDIENCE,
            "public_url": AUDIENCE,
        }

    def token(self, subject: str | None = "ada", *, key_id: str = "first", **changes: Any) -> str:
        """A good token, but for the changes; a claim that is None is left out."""
        return jwt.encode(
            claims(subject, **changes),
            rsa_key(key_id),
            algorithm="RS256",
            headers={"kid": key_id},
        )


def claims(subject: str | None = "ada", **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    whole: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": subject,
        "iat": now,
        "exp": now + 300,
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def unsigned(header: dict[str, Any], payload: dict[str, Any], signature: str = "") -> str:
    parts = [base64url_encode(json.dumps(each).encode()) for each in (header, payload)]
    return f"{parts[0].decode()}.{parts[1].decode()}.{signature}"


@asynccontextmanager
async def running_issuer() -> AsyncGenerator[Issuer]:
    async with running_upstream() as upstream:
        yield Issuer(upstream)
