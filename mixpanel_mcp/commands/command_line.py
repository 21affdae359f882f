"""The commands and flags there are, and what to say of others. Loaded at every start."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mixpanel_mcp import __version__, doctor
from mixpanel_mcp.commands.arguments import IMPORT_FLAGS, add_import
from mixpanel_mcp.commands.export_arguments import EXPORT_FLAGS, add_export
from mixpanel_mcp.commands.token import add_token
from mixpanel_mcp.settings import HOSTING_NAMES, POLICY_NAMES, Hosting, Policy, closest, flag_of

COMMANDS = ("serve", "demo", "sandbox", "doctor", "tools", "import", "export", "token")
_SWITCHES = {"read_only", "sse", "stateless"}
_REPEATED = {"allowed_host", "allowed_origin"}
_OWN_FLAGS = {
    "serve": ("--sandbox", *map(flag_of, HOSTING_NAMES)),
    "sandbox": ("--port", "--empty", "--data", "--id-merge", "--limits"),
    "doctor": ("--json",),
    "tools": ("--json", "--origins", "--write-readme"),
    "import": IMPORT_FLAGS,
    "export": EXPORT_FLAGS,
    "token": ("--json",),
}
_FLAG = re.compile(r"--[a-z][a-z_-]*", re.ASCII | re.IGNORECASE)
_LAST_PORT = 65535


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        prog="mixpanel-mcp", description="A Model Context Protocol server for Mixpanel."
    )
    whole.add_argument("--version", action="version", version=__version__)
    commands = whole.add_subparsers(dest="command", metavar="COMMAND")

    serve = _command(commands, "serve", "serve MCP (the default command)")
    _add_settings(serve, Policy)
    _add_settings(serve, Hosting)
    serve.add_argument(
        "--sandbox", action="store_true", help="work on an embedded Mixpanel with demo data"
    )

    _command(commands, "demo", "watch a client work on the embedded Mixpanel")

    sandbox = _command(commands, "sandbox", "run the embedded Mixpanel on its own")
    sandbox.add_argument("--port", type=_port, default=0, help="port on loopback (any free one)")
    sandbox.add_argument("--empty", action="store_true", help="without the demo project")
    sandbox.add_argument("--data", type=Path, help="file that keeps the state")
    sandbox.add_argument(
        "--id-merge", choices=("original", "simplified"), help="how users are told apart (original)"
    )
    sandbox.add_argument("--limits", action="store_true", help="with Mixpanel's rate limits")

    examination = _command(commands, "doctor", "try each credential and say what is wrong")
    _add_settings(examination, Policy)
    examination.add_argument("--json", action="store_true", help="the report for programs")
    # The table of exit codes is for reading as it is written.
    examination.formatter_class = argparse.RawDescriptionHelpFormatter
    examination.epilog = doctor.__doc__

    add_import(_command(commands, "import", "import events from files"))
    add_export(_command(commands, "export", "download raw events into files"))
    add_token(_command(commands, "token", "make a caller of a hosted server a token"))

    tools = _command(commands, "tools", "list the tools that the settings leave")
    _add_settings(tools, Policy)
    tools.add_argument("--json", action="store_true", help="as a client sees them")
    tools.add_argument("--origins", action="store_true", help="print the origins in use as JSON")
    tools.add_argument("--write-readme", action="store_true", help="write README.md's tool table")
    return whole


def _command(commands: Any, name: str, text: str) -> argparse.ArgumentParser:
    # Abbreviations would let a misspelt safety flag pass for another one.
    return commands.add_parser(name, help=text, description=text, allow_abbrev=False)


def _add_settings(parser: argparse.ArgumentParser, settings: type[Policy | Hosting]) -> None:
    for name, field in settings.model_fields.items():
        if name in _SWITCHES:
            parser.add_argument(
                flag_of(name), action="store_const", const=True, help=field.description
            )
        elif name in _REPEATED:
            parser.add_argument(
                flag_of(name), metavar="VALUE", action="append", help=field.description
            )
        else:
            parser.add_argument(flag_of(name), metavar="VALUE", help=field.description)


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > _LAST_PORT:
        raise argparse.ArgumentTypeError(
            f"{text!r:.40} is no port; use a number from 1 to {_LAST_PORT}, or 0 for any free one"
        )
    return int(text)


def shown(typed: Sequence[str], argument: str) -> str:
    """A flag by its name, any other word by its place.

    What follows a flag that does not exist may well be a secret, and what we print ends in logs.
    """
    flag = argument.split("=", maxsplit=1)[0]
    return flag if _FLAG.fullmatch(flag) else f"argument {typed.index(argument) + 1}"


def unknown_argument(argument: str, shown: str, command: str) -> str:
    known = [*_OWN_FLAGS.get(command, ())]
    if command in {"serve", "doctor", "tools"}:
        known += map(flag_of, POLICY_NAMES)
    flag = argument.split("=", maxsplit=1)[0]
    if flag.startswith("-") and (close := closest(flag, known)):
        return f"{shown}: {command} has no such flag; did you mean {close}?"
    return f"{shown:.60}: {command} has no such argument; see mixpanel-mcp {command} --help"
