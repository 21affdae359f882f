"""The flags of `mixpanel-mcp export`."""

import argparse

EXPORT_FLAGS = (
    "--from-date",
    "--to-date",
    "--out",
    "--format",
    "--event",
    "--where",
    "--deduplicate",
    "--column",
    "--project-id",
    "--connection",
    "--json",
)

_EXPORT_CODES = """exit codes:
  0    everything that was asked for is there, proved to its end
  1    something is missing; the same command goes on from there
  2    the arguments or the settings are wrong: nothing was sent
  130  interrupted; the same command goes on from there
"""


def add_export(export: argparse.ArgumentParser) -> None:
    export.add_argument("--from-date", metavar="DAY", help="first day, YYYY-MM-DD")
    export.add_argument("--to-date", metavar="DAY", help="last day, included")
    export.add_argument(
        "--out", metavar="PATH", help="a file; a folder if it is one or ends in /: a file a day"
    )
    export.add_argument(
        "--format", choices=("ndjson", "ndjson.gz", "parquet"), help="by default as PATH ends"
    )
    export.add_argument("--event", action="append", metavar="NAME", help="only this one (again)")
    export.add_argument("--where", metavar="EXPRESSION", help="only events for which it is true")
    export.add_argument("--deduplicate", action="store_true", help="each event once")
    export.add_argument(
        "--column",
        action="append",
        metavar="NAME:TYPE",
        help="a property as a column of parquet: text, number, boolean or time (again)",
    )
    export.add_argument("--project-id", type=int, metavar="ID", help="not the connection's")
    export.add_argument("--connection", metavar="NAME", help="not the first one")
    export.add_argument("--json", action="store_true", help="the outcome for programs")
    export.formatter_class = argparse.RawDescriptionHelpFormatter
    export.epilog = _EXPORT_CODES
