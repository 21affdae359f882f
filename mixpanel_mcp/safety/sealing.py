"""Keys under which open questions travel, the same on every replica and different by caller."""

import hashlib
import hmac
import json

from mixpanel_mcp.safety.identity import Identity

_PURPOSE = b"mixpanel-mcp request state 1\0"


def state_key(secret: str, identity: Identity | None) -> bytes:
    """The key for one caller's questions: another caller cannot even open them."""
    who = None if identity is None else [identity.caller, identity.subject]
    told = _PURPOSE + json.dumps(who).encode()
    return hmac.new(secret.encode(), told, hashlib.sha256).digest()
