"""What is wrong with callers when they are held against each other and the operator's policy."""

from collections.abc import Collection, Iterator, Sequence

from mixpanel_mcp.destinations import is_below
from mixpanel_mcp.settings.callers import Caller
from mixpanel_mcp.settings.models import Policy
from mixpanel_mcp.settings.names import nearest

_KNOWN_BY = frozenset({"token_sha256", "subject", "scopes"})


def caller_faults(
    callers: Sequence[Caller],
    policy: Policy,
    connections: Collection[str],
    toolsets: Collection[str] | None,
) -> Iterator[str]:
    """One sentence for each fault, which begins with its place in the file.

    Args:
        callers: in the file's order, without the values that are wrong by themselves.
        policy: what no caller may go beyond.
        connections: the names there are.
        toolsets: those there are; not looked at without it.
    """
    for caller in callers:
        yield from _unidentified(caller)
        yield from _unknown(caller, "connections", connections)
        if toolsets is not None:
            yield from _unknown(caller, "toolsets", toolsets)
        yield from _beyond(caller, policy)
    for number, caller in enumerate(callers):
        yield from _mistaken_for(caller, callers[:number])


def _unidentified(caller: Caller) -> Iterator[str]:
    if not (caller.token_sha256 or caller.is_known_by_jwt or caller.tabled & _KNOWN_BY):
        yield (
            f"callers.{caller.name}: nobody can be this caller; add token_sha256 (see "
            f"`mixpanel-mcp token new {caller.name}`), or subject or scopes of a JWT"
        )
    if len(set(caller.token_sha256)) < len(caller.token_sha256):
        yield f"callers.{caller.name}.token_sha256: has the same hash twice"


def _unknown(caller: Caller, key: str, known: Collection[str]) -> Iterator[str]:
    for value in getattr(caller, key):
        if value not in known:
            yield (
                f"callers.{caller.name}.{key}: {value!a:.60} is none of the "
                f"{key}{nearest(value, known)}"
            )


def _beyond(caller: Caller, policy: Policy) -> Iterator[str]:
    """A list that replaces the operator's has to lie within it."""
    if policy.allowed_projects:
        for project in caller.allowed_projects:
            if project not in policy.allowed_projects:
                yield (
                    f"callers.{caller.name}.allowed_projects: {project} is none of "
                    "ALLOWED_PROJECTS, beyond which no caller can go"
                )
    if policy.allowed_destinations:
        for address in caller.allowed_destinations:
            if not any(is_below(address, entry) for entry in policy.allowed_destinations):
                yield (
                    f"callers.{caller.name}.allowed_destinations: {address!a:.200} does not lie "
                    "below ALLOWED_DESTINATIONS, beyond which no caller can go"
                )


def _mistaken_for(caller: Caller, earlier: Sequence[Caller]) -> Iterator[str]:
    """Whoever cannot be told from a caller further up would silently get that one's policy."""
    place = f"callers.{caller.name}"
    for other in earlier:
        if set(caller.token_sha256) & set(other.token_sha256):
            yield f"{place}.token_sha256: callers.{other.name} has the same hash"
        if caller.subject is not None and caller.subject == other.subject:
            yield f"{place}.subject: callers.{other.name} has the same subject"
        by_scopes_alone = not any(
            each.subject is not None or "subject" in each.tabled for each in (caller, other)
        )
        if by_scopes_alone and other.scopes and set(other.scopes) <= set(caller.scopes):
            yield (
                f"{place}.scopes: whoever has them is callers.{other.name} already, which stands "
                "further up and asks for no more; put the one with more scopes first"
            )
