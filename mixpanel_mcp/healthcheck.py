"""`python -m mixpanel_mcp.healthcheck [PORT]`: whether the server of this container answers.

For images that have no curl. It asks loopback alone, whatever proxies the environment names.
"""

import http.client
import os
import sys
from collections.abc import Sequence

_SECONDS = 3
_USUAL_PORT = "8000"


def is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main(arguments: Sequence[str]) -> int:
    given = arguments[0] if arguments else os.environ.get("MIXPANEL_MCP_PORT", _USUAL_PORT)
    return 0 if is_healthy(int(given)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
