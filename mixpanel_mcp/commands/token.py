"""`mixpanel-mcp token`: what lets somebody call a hosted server. Loaded at every start."""

import argparse
from dataclasses import asdict, dataclass

from mixpanel_mcp.settings import TABLE_NAME, new_token, token_hash

# Whoever brings a token of their own could bring a password, whose hash is soon reversed.
SHORTEST_TOKEN = 32


@dataclass(frozen=True)
class Issued:
    """A token and what the server keeps of it."""

    name: str
    token: str
    token_sha256: str
    toml: str

    def as_data(self) -> dict[str, str]:
        return asdict(self)

    def as_text(self) -> str:
        return (
            f"# The token of {self.name}, shown this once; it goes into the client's header\n"
            "#   Authorization: Bearer TOKEN\n"
            f"{self.token}\n\n"
            "# For the file that MIXPANEL_MCP_CONFIG names; what is left out there is as the "
            "policy has it.\n"
            f"{self.toml}"
        )


def issued(name: str) -> Issued:
    """A fresh token; nothing of it is kept."""
    token = new_token()
    digest = token_hash(token)
    return Issued(name, token, digest, f'[callers.{name}]\ntoken_sha256 = "{digest}"')


def add_token(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", metavar="ACTION", required=True)
    text = "print a fresh token once, and the lines of the configuration that know it"
    new = actions.add_parser("new", help=text, description=text, allow_abbrev=False)
    new.add_argument("name", metavar="NAME", type=_name, help="the caller")
    new.add_argument("--json", action="store_true", help="the same for programs")
    text = "read a token from stdin and print its token_sha256"
    actions.add_parser("hash", help=text, description=text, allow_abbrev=False)


def _name(text: str) -> str:
    if not TABLE_NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(
            "a name is made of up to 40 letters, digits, - and _"  # what was typed may be a token
        )
    return text
