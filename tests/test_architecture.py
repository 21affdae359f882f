"""Imports point one way: read from the source, so that no room can quietly grow a back door."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "mixpanel_mcp"

# From the street to the cellar; a room may use those that come after it.
FLOORS = [
    "__main__",
    "cli",
    "demo",
    "commands",
    "doctor",
    "catalog",
    "sandbox_connection",
    "tracing",
    "transports",
    "server",
    "replicas",
    "schemas",
    "resources",
    "instructions",
    "prompts",
    "progress",
    "results",
    "safety",
    "operations",
    "operation",
    "api",
    "settings",
]
# Everybody may use these; they use nothing but each other.
LEAVES = {
    "destinations",
    "sanitize",
    "json_values",
    "spans",
    "healthcheck",
    "logs",
    "files",
    "analytics",
}
SANDBOX_USERS = {"cli", "demo", "sandbox_connection"}
HTTP_ROOMS = {"api"}
MCP_ROOMS = {
    "server",
    "safety",
    "results",
    "resources",
    "prompts",
    "progress",
    "transports",
    "demo",
}
HEAVY = [
    "duckdb",
    "quickjs",
    "pyarrow",
    "pandas",
    "rich",
    "uvicorn",
    "httpx",
    "openpyxl",
    "redis",
    "opentelemetry",
]

Arrow = tuple[str, str]


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    parts = ["mixpanel_mcp", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """`mixpanel_mcp.api.retry` lies in `api`; the package itself holds only the version."""
    return module.split(".")[1] if "." in module else ""


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever the import stands."""
    name = name_of(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            outer = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join(
                [*(outer if node.level else []), *([node.module] if node.module else [])]
            )
            if base == "mixpanel_mcp":
                yield from (f"{base}.{alias.name}" for alias in node.names)
            else:
                yield base


def arrows() -> Iterator[tuple[str, str, Path]]:
    """Which room uses which other room of ours, and where."""
    for path in modules():
        here = room_of(name_of(path))
        for module in imported(path):
            there = room_of(module) if module.startswith("mixpanel_mcp") else ""
            if there not in {"", here, "__version__"}:
                yield here, there, path


def allowed(here: str, there: str) -> bool:
    if here == "sandbox":
        return there == "analytics"
    if there == "sandbox":
        return here in SANDBOX_USERS
    if here in LEAVES:
        return there in LEAVES
    if there in LEAVES:
        return True
    return here in FLOORS and there in FLOORS and FLOORS.index(here) < FLOORS.index(there)


def test_every_room_has_its_place() -> None:
    rooms = {room_of(name_of(path)) for path in modules()} - {""}
    assert rooms <= {*FLOORS, *LEAVES, "sandbox"}


def test_imports_point_one_way() -> None:
    wrong = [
        f"{path.relative_to(PACKAGE)}: {here} uses {there}"
        for here, there, path in arrows()
        if not allowed(here, there)
    ]
    assert wrong == []


def test_the_package_itself_imports_nothing_of_ours() -> None:
    assert list(imported(PACKAGE / "__init__.py")) == []


def test_leaves_do_not_go_round_in_circles() -> None:
    between = {(here, there) for here, there, _ in arrows() if here in LEAVES and there in LEAVES}
    assert not any((there, here) in between for here, there in between)
    assert not any(here == "json_values" for here, _ in between)


def _users_of(library: str) -> set[str]:
    return {
        room_of(name_of(path))
        for path in modules()
        if any(module.split(".")[0] == library for module in imported(path))
    }


def test_only_the_api_layer_knows_http() -> None:
    assert _users_of("httpx") <= HTTP_ROOMS
    for library in ("httpx2", "requests", "aiohttp", "urllib3"):
        assert _users_of(library) == set()


def test_only_one_room_knows_opentelemetry() -> None:
    assert _users_of("opentelemetry") == {"tracing"}


def test_few_rooms_know_mcp() -> None:
    assert _users_of("mcp") | _users_of("mcp_types") <= MCP_ROOMS


def test_only_what_replicas_share_knows_redis() -> None:
    assert _users_of("redis") <= {"replicas"}


def test_the_sandbox_shares_nothing_with_the_client_it_tests() -> None:
    used = {there for here, there, _ in arrows() if here == "sandbox"}
    assert used <= {"analytics"}


def test_analytics_knows_neither_http_nor_mcp() -> None:
    libraries = {
        module.split(".")[0]
        for path in (PACKAGE / "analytics").rglob("*.py")
        for module in imported(path)
    }
    assert libraries.isdisjoint({"httpx", "mcp", "starlette", "uvicorn", "urllib"})


@pytest.mark.parametrize(
    "room", ["api", "commands", "doctor", "operations", "safety", "files", "settings"]
)
def test_nothing_below_the_command_line_prints(room: str) -> None:
    folder = PACKAGE / room
    for path in sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{room}.py"]:
        calls = [
            node.func.id
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        ]
        assert "print" not in calls, path


def _loaded_after(code: str) -> set[str]:
    """The libraries that a fresh interpreter has loaded after some code."""
    show = "import sys; print(*{name.split('.')[0] for name in sys.modules})"
    ran = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", f"{code}\n{show}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return set(ran.stdout.split())


def test_the_command_line_starts_without_mcp_and_everything_heavy() -> None:
    assert _loaded_after("import mixpanel_mcp.cli").isdisjoint({"mcp", "mcp_types", *HEAVY})


def test_an_import_on_the_command_line_starts_without_mcp() -> None:
    loaded = _loaded_after("import mixpanel_mcp.commands.file_import")
    assert loaded.isdisjoint({"mcp", "mcp_types", *HEAVY})


def test_building_the_server_loads_nothing_that_only_calls_need() -> None:
    loaded = _loaded_after(
        "import mixpanel_mcp.cli, mixpanel_mcp.transports.stdio\n"
        "from mixpanel_mcp.server import create_server\n"
        "from mixpanel_mcp.settings import load_settings\n"
        "create_server(load_settings({}))"
    )
    # The SDK itself brings uvicorn and rich where they are installed.
    assert loaded.isdisjoint(set(HEAVY) - {"uvicorn", "rich", "opentelemetry"})
    assert "mcp" in loaded


def test_naming_the_sandbox_loads_nothing_heavy() -> None:
    loaded = _loaded_after("import mixpanel_mcp.sandbox")
    assert loaded.isdisjoint({*HEAVY, "starlette", "mcp"})


def test_modules_stay_small_enough_to_read() -> None:
    """Past some 400 lines there is a seam somewhere."""
    lengths = {
        str(path.relative_to(PACKAGE)): len(path.read_text(encoding="utf-8").splitlines())
        for path in modules()
    }
    assert {name: lines for name, lines in lengths.items() if lines > 450} == {}
