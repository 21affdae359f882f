"""What `mixpanel-mcp import` takes. Loaded at every start, so it loads next to nothing."""

import argparse
import re

from mixpanel_mcp.settings import POLICY_NAMES, Policy, flag_of

_POLICY = ("config", "audit_log", "confirmation", "write_seconds")
_EXIT_CODES = """\
exit codes:
  0    everything was taken (or, with --dry-run, could be)
  1    some rows were rejected, or could not be settled: the answer says which
  2    the command line or the settings are wrong; nothing was sent
  3    nothing was sent: a file, a rule or a missing --confirm forbids it
  4    it stopped on its way; the same command goes on where it stopped
  130  interrupted; the same command goes on where it stopped
"""
IMPORT_FLAGS = (
    "--mapping",
    "--default-event",
    "--dry-run",
    "--confirm",
    "--connection",
    "--project-id",
    "--rate",
    "--json",
    *map(flag_of, _POLICY),
)


def add_import(command: argparse.ArgumentParser) -> None:
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.epilog = _EXIT_CODES
    command.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="NDJSON, JSON array, CSV, TSV or Parquet, also .gz; patterns are understood",
    )
    command.add_argument(
        "--mapping",
        action="append",
        default=[],
        type=_column,
        metavar="KEY=COLUMN",
        help="column of event, time, distinct_id or insert_id, once for each",
    )
    command.add_argument("--default-event", metavar="NAME", help="event name of rows without one")
    command.add_argument("--dry-run", action="store_true", help="check everything, send nothing")
    command.add_argument(
        "--confirm", action="store_true", help="agree to what can't be undone, such as $merge"
    )
    command.add_argument("--connection", metavar="NAME", help="one of --config, if not its first")
    command.add_argument("--project-id", type=_positive, metavar="N", help="another project")
    command.add_argument(
        "--rate",
        type=_rate,
        metavar="N",
        help="events a second at most (30000, Mixpanel's own limit); 0: as many as it takes",
    )
    command.add_argument("--json", action="store_true", help="the answer for programs")
    for name in POLICY_NAMES:
        if name in _POLICY:
            command.add_argument(
                flag_of(name), metavar="VALUE", help=Policy.model_fields[name].description
            )
        else:
            command.set_defaults(**{name: None})


def _column(text: str) -> tuple[str, str]:
    from mixpanel_mcp.operations.arguments import MAPPED_FIELDS  # noqa: PLC0415 - slow to load

    key, separator, column = text.partition("=")
    if not separator or not column or key not in MAPPED_FIELDS:
        raise argparse.ArgumentTypeError(
            f"{text!r:.60} is not KEY=COLUMN with one of {', '.join(MAPPED_FIELDS)} as KEY"
        )
    return key, column


def _positive(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r:.40} is no number above 0")
    return int(text)


def _rate(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise argparse.ArgumentTypeError(f"{text!r:.40} is no whole number")
    return int(text)
