"""What a server needs before it can believe a JWT: all of it, or none."""

from collections.abc import Callable, Iterator, Sequence

from mixpanel_mcp.settings.hosting import Hosting

_ISSUER = ("jwt_issuer", "jwt_jwks_url", "jwt_audience")


def jwt_faults(
    hosting: Hosting, known_by_jwt: Sequence[str], shown: Callable[[str], str]
) -> Iterator[str]:
    """One sentence for each fault.

    Args:
        hosting: what was read.
        known_by_jwt: the callers who have a subject or scopes.
        shown: names a setting as the operator writes it.
    """
    missing = [name for name in _ISSUER if getattr(hosting, name) is None]
    needed_for = (
        f"callers.{known_by_jwt[0]}, who is known by a JWT,"
        if known_by_jwt
        else shown(next(name for name in _ISSUER if name not in missing))
        if len(missing) < len(_ISSUER)
        else None
    )
    if needed_for is None:
        return
    for name in missing:
        yield f"{shown(name)}: is missing; {needed_for} needs it"
    if hosting.public_url is None:
        yield (
            f"{shown('public_url')}: is missing; {needed_for} needs it: clients are told by it "
            "for what to get a JWT"
        )
    if not known_by_jwt:
        yield (
            f"{needed_for}: no caller is known by a JWT, so all would be refused; give one "
            "subject or scopes"
        )
