"""What is shown for hosting says nothing that the code does not know: flags, variables, paths."""

import hashlib
import re
import shlex
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from mixpanel_mcp import sandbox
from mixpanel_mcp.commands.command_line import parser
from mixpanel_mcp.settings import (
    CALLER_NAMES,
    CONNECTION_NAMES,
    HOSTING_NAMES,
    POLICY_NAMES,
    Caller,
    load_settings,
)

ROOT = Path(__file__).parents[2]
HOSTING = ROOT / "examples" / "hosting"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: each for name, each in SERVICES.items() if each["image"] == COMPOSE["name"]}
REPLICAS = {name: each for name, each in OURS.items() if each["command"][0] == "serve"}
CADDYFILE = (HOSTING / "Caddyfile").read_text(encoding="utf-8")
NGINX = (HOSTING / "nginx.conf").read_text(encoding="utf-8")
TEAM = (HOSTING / "team.toml").read_text(encoding="utf-8")
CONTAINERFILE = (ROOT / "Containerfile").read_text(encoding="utf-8")


def flags_of(service: dict[str, Any]) -> dict[str, Any]:
    """What our own parser makes of a service's command; it exits where there is no such flag."""
    return vars(parser().parse_args(service["command"]))


def port_of(service: dict[str, Any]) -> int:
    return int(flags_of(service)["port"])


def test_there_are_two_replicas_that_differ_in_their_port_alone() -> None:
    one, other = REPLICAS.values()
    assert port_of(one) != port_of(other)
    alike = [
        {name: value for name, value in each.items() if name not in {"command", "healthcheck"}}
        for each in (one, other)
    ]
    assert alike[0] == alike[1]


@pytest.mark.parametrize("name", REPLICAS)
def test_a_replica_s_settings_are_ours(name: str, tmp_path: Path) -> None:
    """The paths of the container are put where this machine has them; the rest is as written."""
    secret = tmp_path / "state-secret"
    secret.write_text("0123456789abcdef" * 2, encoding="utf-8")
    secret.chmod(0o600)
    written: dict[str, str] = SERVICES[name]["environment"]
    environment = written | {
        "MIXPANEL_MCP_FILES_ROOT": str(tmp_path),
        "MIXPANEL_MCP_STATE_SECRET": f"file:{secret}",
    }
    del environment["MIXPANEL_MCP_CONFIG"]  # read below, as its secrets lie in a volume
    flags = {
        key: value
        for key, value in flags_of(SERVICES[name]).items()
        if key in {*POLICY_NAMES, *HOSTING_NAMES}
    }
    hosting = load_settings(environment, flags).hosting
    assert (hosting.transport, hosting.sse, hosting.host) == ("http", True, "0.0.0.0")  # noqa: S104
    grace = float(SERVICES[name]["stop_grace_period"].removesuffix("s"))
    assert grace > hosting.stop_seconds


@pytest.mark.parametrize("name", OURS)
def test_every_container_of_ours_can_do_nothing_but_its_work(name: str) -> None:
    service = OURS[name]
    assert "cap_add" not in service
    assert "user" not in service  # as the image says
    assert re.search(r"^USER [1-9][0-9]*:[1-9][0-9]*$", CONTAINERFILE, re.MULTILINE)


@pytest.mark.parametrize("name", SERVICES)
def test_no_container_may_write_to_its_image_or_gain_rights(name: str) -> None:
    service = SERVICES[name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service.get("cap_add", ())) <= {"NET_BIND_SERVICE"}


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """Sources by the paths they are mounted at."""
    return {
        where: source
        for source, where in (entry.split(":")[:2] for entry in service.get("volumes", ()))
    }


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there(name: str) -> None:
    for source in mounts(SERVICES[name]).values():
        if source.startswith("."):
            assert (ROOT / source).is_file()
        else:
            assert source in COMPOSE["volumes"]


@pytest.mark.parametrize("name", REPLICAS)
def test_every_path_a_replica_is_told_is_mounted(name: str) -> None:
    told = [
        value.removeprefix("file:")
        for value in SERVICES[name]["environment"].values()
        if value.removeprefix("file:").startswith("/")
    ]
    told += re.findall(r'"file:([^"]+)"', TEAM)
    assert len(told) > 3
    mounted = mounts(SERVICES[name])
    for path in told:
        assert any(path == where or path.startswith(f"{where}/") for where in mounted)
    # A volume is its user's where the image has made the folder so.
    owned = re.findall(r"chown \d+:\d+ (.*)", CONTAINERFILE)
    assert {where for where, source in mounted.items() if not source.startswith(".")} <= set(
        shlex.split(owned[0])
    )


def test_secrets_are_written_for_those_who_read_them() -> None:
    (script,) = SERVICES["secrets"]["command"]
    compile(script, "compose.yaml", "exec")
    wanted = {path.name for path in map(Path, re.findall(r'"file:([^"]+)"', TEAM))}
    state = REPLICAS["replica-1"]["environment"]["MIXPANEL_MCP_STATE_SECRET"]
    wanted.add(Path(state.removeprefix("file:")).name)
    assert set(re.findall(r'^    "([a-z-]+)": ', script, re.MULTILINE)) == wanted


def test_the_connection_is_the_sandbox_beside_the_replicas() -> None:
    (connection,) = tomllib.loads(TEAM)["connections"].values()
    assert connection.keys() <= set(CONNECTION_NAMES)
    assert (connection["username"], connection["project_id"]) == (
        sandbox.USERNAME,
        sandbox.PROJECT_ID,
    )
    assert connection["base_url"] == f"http://127.0.0.1:{port_of(SERVICES['sandbox'])}"
    assert all(each["network_mode"] == "service:sandbox" for each in REPLICAS.values())


def test_the_callers_have_the_tokens_that_stand_above_them() -> None:
    document = tomllib.loads(TEAM)
    tokens = re.findall(r"^# token: (\S+)\n\[callers\.(\w+)\]$", TEAM, re.MULTILINE)
    assert {name for _, name in tokens} == set(document["callers"])
    for token, name in tokens:
        table = document["callers"][name]
        assert table.keys() <= set(CALLER_NAMES)
        assert Caller(name=name, **table).token_sha256 == (
            hashlib.sha256(token.encode()).hexdigest(),
        )
        assert set(table["connections"]) <= set(document["connections"])
        assert "demo" in token


def test_the_proxy_knows_the_replicas_and_no_others() -> None:
    (alias,) = SERVICES["sandbox"]["networks"]["front"]["aliases"]
    there = {f"{alias}:{port_of(each)}" for each in REPLICAS.values()}
    proxied = re.findall(r"^\s*reverse_proxy ([^{]*)\{$", CADDYFILE, re.MULTILINE)
    assert len(proxied) == 2
    for named in proxied:
        assert {each for each in named.split() if not each.startswith("@")} == there
    for name, service in REPLICAS.items():
        assert service["healthcheck"]["test"][-1] == str(port_of(service)), name


def test_caddy_s_file_is_where_it_listens() -> None:
    (published,) = SERVICES["proxy"]["ports"]
    assert published.startswith("127.0.0.1:")
    assert f"localhost:{published.split(':')[2]} {{" in CADDYFILE
    assert "/etc/caddy/Caddyfile" in mounts(SERVICES["proxy"])


def commands_in(text: str) -> list[list[str]]:
    return [
        shlex.split(line)[1:] for line in re.findall(r"^#\s+(mixpanel-mcp .*)$", text, re.MULTILINE)
    ]


def test_nginx_s_replicas_are_those_of_its_commands() -> None:
    commands = commands_in(NGINX)
    started = {f"127.0.0.1:{parser().parse_args(command).port}" for command in commands}
    upstreams = re.findall(r"upstream (\w+) \{(.*?)\n    \}", NGINX, re.DOTALL)
    assert len(upstreams) == 2
    for _, body in upstreams:
        assert set(re.findall(r"server (\S+);", body)) == started
    (chosen,) = re.findall(r"map \$\S+ \$replicas \{(.*?)\}", NGINX, re.DOTALL)
    assert set(re.findall(r"(\w+);", chosen)) == {name for name, _ in upstreams}
    hosts = {parser().parse_args(command).allowed_host[0] for command in commands}
    assert hosts == set(re.findall(r"server_name (\S+);", NGINX))


def test_both_proxies_serve_the_same_paths_and_bound_bodies_alike() -> None:
    (line,) = re.findall(r"@served path (.*)", CADDYFILE)
    by_caddy = {path.removesuffix("*") for path in line.split()}
    by_nginx = set(re.findall(r"location (?:= )?(\S+) \{", NGINX)) - {"/"}
    assert by_caddy == by_nginx
    limit = load_settings({}).hosting.max_body_bytes
    assert f"max_size {limit // 1024**2}MiB" in CADDYFILE
    assert f"client_max_body_size {limit // 1024**2}m;" in NGINX


def test_the_newest_protocol_is_the_one_that_any_replica_answers() -> None:
    from mcp.types.version import MODERN_PROTOCOL_VERSIONS  # noqa: PLC0415

    (by_caddy,) = re.findall(r"@modern header Mcp-Protocol-Version (\S+)", CADDYFILE)
    (by_nginx,) = re.findall(r'"(\d{4}-\d\d-\d\d)" any_replica;', NGINX)
    assert {by_caddy} == {by_nginx} == set(MODERN_PROTOCOL_VERSIONS)


def test_the_image_starts_what_the_command_line_knows() -> None:
    (command,) = re.findall(r"^CMD (\[.*\])$", CONTAINERFILE, re.MULTILINE)
    options = parser().parse_args(yaml.safe_load(command))
    assert f"EXPOSE {options.port}" in CONTAINERFILE
    (module,) = re.findall(r'"-m", "(mixpanel_mcp\.\w+)"', CONTAINERFILE)
    assert (ROOT / f"{module.replace('.', '/')}.py").is_file()


def test_the_image_copies_what_it_is_given_and_no_more() -> None:
    ignored = (ROOT / ".containerignore").read_text(encoding="utf-8").splitlines()
    given = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", CONTAINERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert "*" in ignored
    assert given == copied
    assert all((ROOT / source).exists() for source in given)
    assert (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() == ignored


def versions(lock: str) -> dict[str, str]:
    text = (ROOT / lock).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("lock", ["requirements.image.lock", "requirements.build.lock"])
def test_the_image_has_the_versions_that_are_tested(lock: str) -> None:
    tested = versions("requirements.lock")
    chosen = versions(lock)
    assert {name: version for name, version in chosen.items() if tested.get(name) != version} == {}


def test_the_image_has_every_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    wanted: list[str] = [*project["dependencies"], *chain.from_iterable(extras.values())]
    names = {re.split(r"[<>=;\[ ]", each, maxsplit=1)[0].lower() for each in wanted}
    assert names <= versions("requirements.image.lock").keys()
    assert not {"pytest", "ruff"} & versions("requirements.image.lock").keys()


def test_every_path_that_a_proxy_asks_for_is_one_of_the_server_s() -> None:
    sources = "".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "mixpanel_mcp" / "transports").glob("*.py")
    )
    (line,) = re.findall(r"@served path (.*)", CADDYFILE)
    asked = [*line.split(), *re.findall(r"health_uri (\S+)", CADDYFILE)]
    paths = [path.partition("?")[0].removesuffix("/*") for path in asked]
    assert [path for path in paths if f'"{path}"' not in sources] == []
