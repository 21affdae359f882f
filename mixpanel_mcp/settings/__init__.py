"""What the operator sets: the connections (`MIXPANEL_*`, or tables of a file) and the policy.

Everything is read once, at the start, and frozen. A name that nobody knows, a near miss or a bad
value stops the start with every fault in one list, because a safety switch that is silently
ignored is worse than a server that does not come up.
"""

from mixpanel_mcp.settings.callers import CALLER_NAMES, Caller
from mixpanel_mcp.settings.config_file import TABLE_NAME
from mixpanel_mcp.settings.confirmation import Confirmation
from mixpanel_mcp.settings.hosting import HOSTING_NAMES, Hosting, Protocol
from mixpanel_mcp.settings.loading import SettingsError, flag_of, load_settings
from mixpanel_mcp.settings.models import (
    CONNECTION_NAMES,
    CONNECTION_PREFIX,
    DEFAULT_CONNECTION,
    POLICY_NAMES,
    POLICY_PREFIX,
    Connection,
    LogFormat,
    Policy,
    Settings,
)
from mixpanel_mcp.settings.names import closest, nearest
from mixpanel_mcp.settings.origins import is_loopback
from mixpanel_mcp.settings.regions import REGION_SPELLINGS, Region, parse_region
from mixpanel_mcp.settings.tokens import TOKEN_PREFIX, new_token, token_hash

__all__ = [
    "CALLER_NAMES",
    "CONNECTION_NAMES",
    "CONNECTION_PREFIX",
    "DEFAULT_CONNECTION",
    "HOSTING_NAMES",
    "POLICY_NAMES",
    "POLICY_PREFIX",
    "REGION_SPELLINGS",
    "TABLE_NAME",
    "TOKEN_PREFIX",
    "Caller",
    "Confirmation",
    "Connection",
    "Hosting",
    "LogFormat",
    "Policy",
    "Protocol",
    "Region",
    "Settings",
    "SettingsError",
    "closest",
    "flag_of",
    "is_loopback",
    "load_settings",
    "nearest",
    "new_token",
    "parse_region",
    "token_hash",
]
