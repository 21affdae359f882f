"""The words of the protocol and of this server, apart from whatever else a client may say."""

from mcp.types.methods import MONOLITH_NOTIFICATIONS, MONOLITH_REQUESTS
from mcp.types.version import KNOWN_PROTOCOL_VERSIONS

from mixpanel_mcp.operations import OPERATIONS
from mixpanel_mcp.prompts import read_prompts
from mixpanel_mcp.settings import Policy


def vocabulary(policy: Policy) -> frozenset[str]:
    """Methods, versions, and the names of our tools and prompts."""
    return frozenset(
        [
            *MONOLITH_REQUESTS,
            *MONOLITH_NOTIFICATIONS,
            *KNOWN_PROTOCOL_VERSIONS,
            *(policy.tool_prefix + name for name in OPERATIONS),
            *(prompt.name for prompt in read_prompts()),
        ]
    )
