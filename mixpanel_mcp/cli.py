"""The command `mixpanel-mcp`: with demo.py the only place that prints.

On stdio the protocol owns stdout, so whatever `serve` has to say goes to stderr.
"""

import argparse
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mixpanel_mcp.commands.command_line import COMMANDS, parser, shown, unknown_argument
from mixpanel_mcp.logs import log_to_stderr
from mixpanel_mcp.sanitize import clean
from mixpanel_mcp.settings import (
    HOSTING_NAMES,
    POLICY_NAMES,
    POLICY_PREFIX,
    LogFormat,
    Policy,
    Protocol,
    Settings,
    SettingsError,
    flag_of,
    load_settings,
    nearest,
)
from mixpanel_mcp.tracing import start_tracing

if TYPE_CHECKING:
    from mixpanel_mcp.sandbox import RunningSandbox


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    typed = list(sys.argv[1:] if arguments is None else arguments)
    given = typed[:]
    if not given or (given[0].startswith("-") and given[0] not in {"-h", "--help", "--version"}):
        given.insert(0, "serve")
    if not given[0].startswith("-") and given[0] not in COMMANDS:
        _stop([f"{shown(typed, given[0])} is no command{nearest(given[0], COMMANDS)}"])
    options, unknown = parser().parse_known_args(given)
    faults = [
        unknown_argument(argument, shown(typed, argument), options.command) for argument in unknown
    ]
    match options.command:
        case "serve":
            _serve(options, faults)
        case "demo":
            _demo(faults)
        case "sandbox":
            _sandbox(options, faults)
        case "doctor":
            _doctor(options, faults)
        case "import":
            _import(options, faults)
        case "export":
            _export(options, faults)
        case "token":
            _token(options, faults)
        case _:
            _tools(options, faults)


def _settings(
    options: argparse.Namespace, faults: Sequence[str], *, serving: bool = False
) -> Settings:
    from mixpanel_mcp.operations import OPERATIONS, TOOLSETS

    names = {"toolsets": TOOLSETS, "tools": OPERATIONS, "exclude_tools": OPERATIONS}
    flags = {name: getattr(options, name, None) for name in (*POLICY_NAMES, *HOSTING_NAMES)}
    try:
        return load_settings(os.environ, flags, names=names, faults=faults, serving=serving)
    except SettingsError as error:
        _stop(error.faults)


def _stop(faults: Sequence[str]) -> NoReturn:
    print("mixpanel-mcp did not start:", *faults, sep="\n  ", file=sys.stderr)
    raise SystemExit(2)


def _start_log(policy: Policy) -> None:
    log_to_stderr(
        logging.getLevelNamesMapping()[policy.log_level.upper()],
        as_json=policy.log_format is LogFormat.JSON,
    )


def _serve(options: argparse.Namespace, faults: Sequence[str]) -> None:
    # The imports make hundreds of thousands of objects that stay: to collect among them finds
    # nothing, and costs a tenth of the start.
    gc.disable()
    settings = _settings(options, faults, serving=True)
    _start_log(settings.policy)
    start_tracing(os.environ, partial(_vocabulary, settings.policy))
    from mixpanel_mcp.server import offered

    if not offered(settings.policy):
        _stop(["the settings leave no tool: look at TOOLSETS, TOOLS, EXCLUDE_TOOLS and READ_ONLY"])
    _stop_without_tools(settings)
    with ExitStack() as running:
        if options.sandbox:
            from mixpanel_mcp.sandbox_connection import sandbox_connection, shell_lines

            started = _start_sandbox(running)
            settings = settings.with_connection(sandbox_connection(started.base_url))
            print(*shell_lines(started.base_url), sep="\n", file=sys.stderr)
        try:
            serve = _served(settings)
        except SettingsError as error:
            _stop(error.faults)
        except OSError as error:  # the audit log, or a connection's folder below the files root
            place = error.filename or settings.policy.audit_log
            audits = settings.policy.audit_log and str(place) == str(settings.policy.audit_log)
            setting = _as_given(options, "audit_log" if audits else "files_root")
            _stop([f"{setting}: {place} cannot be written ({error.strerror})"])
        gc.freeze()
        gc.enable()
        serve()


def _served(settings: Settings) -> Callable[[], None]:
    """Build the server, and what serves it to whoever the settings let in.

    Raises:
        OSError: the audit log, or a connection's folder, cannot be made.
        SettingsError: the way to Redis cannot be.
    """
    from mixpanel_mcp.server import Shared, create_server

    if settings.hosting.transport is Protocol.STDIO:
        from mixpanel_mcp.transports.stdio import serve_stdio

        return partial(serve_stdio, create_server(settings))
    from mixpanel_mcp.transports.hosting import listen, serve_http

    shared = Shared(settings)
    try:
        listener = listen(settings.hosting)
    except OSError as error:
        where = f"{settings.hosting.host}:{settings.hosting.port}"
        _stop([f"--host, --port: cannot listen on {where} ({error.strerror})"])
    return partial(serve_http, settings, shared, listener, _say)


def _stop_without_tools(settings: Settings) -> None:
    """Stop where a caller could log in and do nothing."""
    if settings.hosting.transport is not Protocol.HTTP:
        return
    from mixpanel_mcp.safety.narrowing import settings_of
    from mixpanel_mcp.server import offered

    faults = [
        f"callers.{caller.name}: what the policy leaves of its toolsets is no tool at all; look at "
        "its toolsets and read_only, and at TOOLSETS, TOOLS, EXCLUDE_TOOLS and READ_ONLY"
        for caller in settings.callers
        if not offered(settings_of(settings, caller).policy)
    ]
    if faults:
        _stop(faults)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _vocabulary(policy: Policy) -> frozenset[str]:
    from mixpanel_mcp.server.vocabulary import vocabulary

    return vocabulary(policy)


def _as_given(options: argparse.Namespace, name: str) -> str:
    """The name of a policy setting in the place where the operator set it."""
    if getattr(options, name) is not None:
        return flag_of(name)
    return f"{POLICY_PREFIX}{name.upper()}"


def _start_sandbox(running: ExitStack, **options: Any) -> "RunningSandbox":
    from mixpanel_mcp import sandbox

    try:
        return running.enter_context(sandbox.running_sandbox(**options))
    except (sandbox.SandboxUnavailableError, OSError) as error:
        _stop([str(error)])


def _sandbox(options: argparse.Namespace, faults: Sequence[str]) -> None:
    if faults:
        _stop(faults)
    from mixpanel_mcp.sandbox_connection import shell_lines

    # A container's first process does not end by SIGTERM unless it asks to be told.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Ctrl-C is the way to end it, also while it starts or stops.
    with suppress(KeyboardInterrupt), ExitStack() as running:
        started = _start_sandbox(
            running,
            port=options.port,
            demo=not options.empty,
            data=options.data,
            id_merge=options.id_merge,
            limits=options.limits,
        )
        print(*shell_lines(started.base_url), sep="\n", flush=True)
        print("# The sandbox runs until you press Ctrl-C.", file=sys.stderr)
        started.wait()


def _demo(faults: Sequence[str]) -> None:
    if faults:
        _stop(faults)
    from mixpanel_mcp.demo import run_demo

    raise SystemExit(run_demo())


def _doctor(options: argparse.Namespace, faults: Sequence[str]) -> None:
    settings = _settings(options, faults)
    import anyio

    from mixpanel_mcp.doctor.examination import examine

    _start_log(settings.policy)
    with suppress(KeyboardInterrupt):
        report = anyio.run(examine, settings)
        print(json.dumps(report.as_data(), indent=2) if options.json else report.as_text())
        raise SystemExit(report.exit_code)
    raise SystemExit(130)


def _import(options: argparse.Namespace, faults: Sequence[str]) -> None:
    # Next to nothing here makes cycles, and looking for them takes a tenth of the time.
    gc.disable()
    settings = _settings(options, faults)
    chosen = [
        each
        for each in settings.connections
        if each.name == (options.connection or settings.connection.name)
    ]
    if not chosen:
        names = ", ".join(each.name for each in settings.connections)
        _stop([f"--connection: there is no such one; there are {names}"])
    import anyio

    from mixpanel_mcp.commands.file_import import INTERRUPTED, Order, import_from_command_line

    _start_log(settings.policy)
    order = Order(
        files=options.files,
        mapping=dict(options.mapping),
        default_event=options.default_event,
        dry_run=options.dry_run,
        confirm=options.confirm,
        project_id=options.project_id,
    )
    policy = settings.policy
    if options.rate is not None:
        policy = policy.model_copy(update={"import_rate": options.rate})

    gc.freeze()
    gc.enable()
    with suppress(KeyboardInterrupt):
        outcome = anyio.run(import_from_command_line, chosen[0], policy, order, _say)
        print(json.dumps(outcome.data, ensure_ascii=False) if options.json else outcome.text)
        raise SystemExit(outcome.code)
    raise SystemExit(INTERRUPTED)


def _tools(options: argparse.Namespace, faults: Sequence[str]) -> None:
    settings = _settings(options, faults)
    from mixpanel_mcp import catalog
    from mixpanel_mcp.api.regions import origins_in_use
    from mixpanel_mcp.server import offered

    rows = offered(settings.policy)
    if options.origins:
        origins = {each.name: origins_in_use(each) for each in settings.connections}
        shown = origins if settings.several else origins[settings.connection.name]
        print(json.dumps(shown, indent=2))
    elif options.write_readme:
        _write_readme()
    elif options.json:
        print(catalog.as_json(rows, settings))
    else:
        print(catalog.as_text(rows))


def _write_readme() -> None:
    """The README lists everything, whatever the settings of whoever writes it leave."""
    from mixpanel_mcp import catalog
    from mixpanel_mcp.operations import OPERATIONS

    try:
        catalog.write_readme(Path("README.md"), list(OPERATIONS.values()))
    except (OSError, ValueError) as error:
        _stop([f"README.md: {error}"])


def _export(options: argparse.Namespace, faults: Sequence[str]) -> None:
    gc.disable()  # as in _serve
    import anyio

    from mixpanel_mcp.api.errors import MixpanelError, RefusedError
    from mixpanel_mcp.commands import exporting

    try:
        settings = load_settings(os.environ, faults=faults)
        asked = exporting.Asked(**{name: getattr(options, name) for name in exporting.ASKED})
        chosen, order, target = exporting.understood(settings, asked)
    except SettingsError as error:
        _stop(error.faults)
    _start_log(settings.policy)
    gc.freeze()
    gc.enable()
    try:
        data = anyio.run(exporting.export, chosen, order, target, _shown_progress())
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        raise SystemExit(130) from None
    except MixpanelError as error:
        said = f" Mixpanel says: {clean(error.said)}" if error.said else ""
        print(f"{clean(str(error))}{said}", file=sys.stderr)
        raise SystemExit(2 if isinstance(error, RefusedError) else 1) from None
    if options.json:
        print(json.dumps(data, ensure_ascii=False))
    else:
        print(f"{data['records']} events, {data['bytes']} bytes: {data['path']}")


def _token(options: argparse.Namespace, faults: Sequence[str]) -> None:
    if faults:
        _stop(faults)
    from mixpanel_mcp.commands.token import SHORTEST_TOKEN, issued
    from mixpanel_mcp.settings import token_hash

    if options.action == "new":
        # The token is printed on purpose: here, and nowhere else.
        made = issued(options.name)
        print(json.dumps(made.as_data(), indent=2) if options.json else made.as_text())
        return
    token = sys.stdin.readline().strip()
    if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable():
        _stop(
            [f"stdin: has no token of {SHORTEST_TOKEN} or more plain characters in its first line"]
        )
    print(token_hash(token))


def _shown_progress() -> Callable[[float, float | None, str], None]:
    """A bar that stays in its line on a terminal, and lines elsewhere."""
    width, terminal = 24, sys.stderr.isatty()

    def show(progress: float, total: float | None, message: str) -> None:
        filled = int(width * progress / total) if total else 0
        line = f"[{'#' * filled}{'.' * (width - filled)}] {clean(message)}"
        ended = total is not None and progress >= total
        if terminal:
            print(f"\r\x1b[K{line}", end="\n" if ended else "", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    return show
