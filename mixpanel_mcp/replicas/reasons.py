"""Why Redis did not do what it was asked, in words that anybody may read.

Its own texts may quote what was sent, and the URL holds a password: nothing of either is repeated.
"""

import ssl
from collections.abc import Iterator

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

_OF_KINDS: list[tuple[type[BaseException] | tuple[type[BaseException], ...], str]] = [
    (AuthenticationError, "it refuses the user or the password of MIXPANEL_MCP_REDIS_URL"),
    (NoPermissionError, "its ACL does not let this user do what replicas need"),
    (OutOfMemoryError, "it has no memory left: see its maxmemory"),
    (ReadOnlyError, "it is a read-only replica: name the primary"),
    (BusyLoadingError, "it is loading its data"),
    (
        ssl.SSLCertVerificationError,
        "its certificate is not to be trusted: name its authority (ssl_ca_certs), and the host "
        "that the certificate is for",
    ),
    (ssl.SSLError, "no TLS connection comes about"),
    (FileNotFoundError, "a socket or a certificate of MIXPANEL_MCP_REDIS_URL does not exist"),
    (PermissionError, "a socket or a certificate of MIXPANEL_MCP_REDIS_URL may not be read"),
    (ConnectionRefusedError, "it refuses connections"),
    ((TimeoutError, RedisTimeoutError), "no answer in time"),
]
# What the client has no kind of its own for, or not within a script, by how its text begins.
_OF_TEXTS = {
    "BUSY": "it is busy with a script",
    "NOPERM": "its ACL does not let this user do what replicas need",
    "ACL failure in script": "its ACL does not let this user do what replicas need",
    "The user executing the script": "its ACL does not let this user do what replicas need",
    "MASTERDOWN": "it is a replica that lost its primary",
    "MISCONF": "it takes no writes, as it cannot save to its disk",
    "NOREPLICAS": "it takes no writes, as it has too few replicas",
}


def reason(error: BaseException) -> str:
    """What happened, and what to look at; of whatever else happened, its kind alone."""
    kinds = list(_with_causes(error))
    for kind, words in _OF_KINDS:
        if any(isinstance(each, kind) for each in kinds):
            return words
    if isinstance(error, ResponseError):
        for begin, words in _OF_TEXTS.items():
            if str(error).startswith(begin):
                return words
    return f"no connection ({type(error).__name__})"


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
