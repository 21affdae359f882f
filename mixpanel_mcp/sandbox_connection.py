"""The sandbox as one more connection: for a server in this process, or for a shell's settings."""

from pydantic import SecretStr

from mixpanel_mcp import sandbox
from mixpanel_mcp.settings import CONNECTION_PREFIX, Connection


def sandbox_connection(base_url: str) -> Connection:
    """What a server needs to speak to the sandbox that runs there."""
    return Connection(
        name="sandbox",
        username=sandbox.USERNAME,
        password=SecretStr(sandbox.PASSWORD),
        project_token=SecretStr(sandbox.TOKEN),
        project_id=sandbox.PROJECT_ID,
        base_url=base_url,
        sandbox=True,
    )


def shell_lines(base_url: str) -> list[str]:
    """The same as settings, ready for a shell. Its secrets are printed on purpose."""
    values = {
        "USERNAME": sandbox.USERNAME,
        "PASSWORD": sandbox.PASSWORD,
        "PROJECT_TOKEN": sandbox.TOKEN,
        "PROJECT_ID": sandbox.PROJECT_ID,
        "BASE_URL": base_url,
    }
    return [f"export {CONNECTION_PREFIX}{name}={value}" for name, value in values.items()]
