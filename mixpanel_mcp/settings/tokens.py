"""Static tokens: random, and told from their hashes by a prefix."""

import hashlib
import secrets

TOKEN_PREFIX = "mixmcp_"  # noqa: S105 - what is public of every token
_RANDOM_BYTES = 32


def new_token() -> str:
    """256 random bits that nobody guesses, so that a plain hash of it may lie open."""
    return TOKEN_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def token_hash(token: str) -> str:
    """What `token_sha256` of a caller holds: 64 hexadecimal digits."""
    return hashlib.sha256(token.encode()).hexdigest()
