"""The connections' secrets, in every form in which somebody could send them back."""

import base64
import json
from collections.abc import Iterable, Sequence
from urllib.parse import quote, quote_plus

from mixpanel_mcp.sanitize import Redactor
from mixpanel_mcp.settings import Connection


def redactor(connections: Iterable[Connection], more: Sequence[str] = ()) -> Redactor:
    """Look for each connection's password and token, for their Basic headers, and for `more`."""
    forms: dict[str, str] = {}
    for secret in more:
        forms |= dict.fromkeys(_spellings(secret), "[secret]")
    for connection in connections:
        forms |= _forms(connection)
    return Redactor(forms)


def _forms(connection: Connection) -> dict[str, str]:
    password = connection.password.get_secret_value() if connection.password else ""
    token = connection.project_token.get_secret_value() if connection.project_token else ""
    forms: dict[str, str] = {}
    forms |= dict.fromkeys(_spellings(password), "[secret]")
    forms |= dict.fromkeys(_spellings(token), "[project token]")
    for pair in (f"{connection.username}:{password}", f"{token}:"):
        if password or token:
            forms |= dict.fromkeys(_spellings(_base64(pair)), "[credentials]")
    return forms


def _spellings(secret: str) -> set[str]:
    if not secret:
        return set()
    percent = {quote(secret, safe=safe) for safe in ("", "/")} | {quote_plus(secret)}
    in_json = {json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    spelled = {secret, *percent, *map(_lower_percent, percent), *in_json}
    return spelled | {_base64(secret), _base64(secret).rstrip("=")}


def _lower_percent(text: str) -> str:
    """Percent escapes with small letters, as some servers write them."""
    head, *rest = text.split("%")
    return "%".join([head, *(part[:2].lower() + part[2:] for part in rest)])


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
