"""Settings speak up at the start: all faults at once, the nearest right name, never a secret."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from mixpanel_mcp.operation import OPERATIONS
from mixpanel_mcp.operations import TOOLSETS
from mixpanel_mcp.settings import Confirmation, Region, Settings, SettingsError, load_settings

NAMES = {"toolsets": TOOLSETS, "tools": OPERATIONS, "exclude_tools": OPERATIONS}
SECRET = "hunter2-b1946ac9"


def load(environment: Mapping[str, str] | None = None, **flags: Any) -> Settings:
    return load_settings(environment or {}, flags, names=NAMES)


def _flag(name: str, value: str) -> dict[str, Any]:
    return {name: value}


def faults(environment: Mapping[str, str] | None = None, **flags: Any) -> list[str]:
    with pytest.raises(SettingsError) as stopped:
        load(environment, **flags)
    return list(stopped.value.faults)


CONNECTION: list[tuple[str, str, Any]] = [
    ("MIXPANEL_USERNAME", "robot.abc", "robot.abc"),
    ("MIXPANEL_PASSWORD", SECRET, SecretStr(SECRET)),
    ("MIXPANEL_PROJECT_TOKEN", SECRET, SecretStr(SECRET)),
    ("MIXPANEL_PROJECT_ID", "4242", 4242),
    ("MIXPANEL_WORKSPACE_ID", "7", 7),
    ("MIXPANEL_REGION", "EU", Region.EU),
    ("MIXPANEL_BASE_URL", "https://Proxy.Example.com/", "https://proxy.example.com"),
]
POLICY: list[tuple[str, str, Any]] = [
    ("read_only", "true", True),
    ("read_only", "1", True),
    ("read_only", "no", False),
    ("toolsets", "events, reports", ("events", "reports")),
    ("tools", "raw_request", ("raw_request",)),
    ("exclude_tools", "delete_profile,delete_pipeline,", ("delete_profile", "delete_pipeline")),
    ("confirmation", "human", Confirmation.HUMAN),
    ("audit_log", "/var/log/audit.jsonl", Path("/var/log/audit.jsonl")),
    ("tool_prefix", "mixpanel_", "mixpanel_"),
    ("allowed_projects", "1, 2", (1, 2)),
    ("allowed_tokens", f"{SECRET},b", (SecretStr(SECRET), SecretStr("b"))),
    ("allowed_destinations", "gs://a/b, s3://c", ("gs://a/b", "s3://c")),
    ("read_seconds", "2.5", 2.5),
    ("write_seconds", "3", 3),
    ("export_seconds", "7200", 7200),
]


@pytest.mark.parametrize(("variable", "text", "value"), CONNECTION)
def test_a_connection_variable_is_read(variable: str, text: str, value: Any) -> None:
    name = variable.removeprefix("MIXPANEL_").lower()
    assert getattr(load({variable: text}).connection, name) == value


@pytest.mark.parametrize(("name", "text", "value"), POLICY)
def test_a_policy_setting_is_read_from_the_environment_and_from_a_flag(
    name: str, text: str, value: Any
) -> None:
    variable = f"MIXPANEL_MCP_{name.upper()}"
    assert getattr(load({variable: text}).policy, name) == value
    assert getattr(load(**_flag(name, text)).policy, name) == value


@pytest.mark.parametrize(("variable", "text", "value"), CONNECTION)
def test_the_case_of_a_variables_name_and_blanks_around_its_value_do_not_matter(
    variable: str, text: str, value: Any
) -> None:
    name = variable.removeprefix("MIXPANEL_").lower()
    assert getattr(load({variable.lower(): f" {text}\n"}).connection, name) == value


def test_a_flag_wins_over_the_environment() -> None:
    settings = load({"MIXPANEL_MCP_CONFIRMATION": "human"}, confirmation="flag")
    assert settings.policy.confirmation is Confirmation.FLAG


def test_without_any_setting_the_defaults_are_those_of_the_readme() -> None:
    policy = load().policy
    assert not policy.read_only
    assert policy.confirmation is Confirmation.FLAG
    assert (policy.read_seconds, policy.write_seconds, policy.export_seconds) == (30, 60, 1200)
    assert (policy.toolsets, policy.tools, policy.exclude_tools) == ((), (), ())
    assert (policy.files_root, policy.audit_log, policy.tool_prefix) == (None, None, "")


def test_an_empty_value_is_no_value() -> None:
    """Hosts that fill a template leave variables empty."""
    names = [variable for variable, _, _ in CONNECTION]
    names += [f"MIXPANEL_MCP_{name.upper()}" for name, _, _ in POLICY]
    names.append("MIXPANEL_MCP_FILES_ROOT")
    empty = load(dict.fromkeys(names, ""))
    blank = load(dict.fromkeys(names, "  "))
    assert empty.connection == blank.connection == load().connection
    assert empty.policy == blank.policy == load().policy


def test_lists_may_have_blanks_and_empty_places() -> None:
    assert load(toolsets=" events ,, reports , ").policy.toolsets == ("events", "reports")
    assert load(toolsets=",").policy.toolsets == ()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("MIXPANEL_MCP_READONLY", "MIXPANEL_MCP_READ_ONLY"),
        ("MIXPANEL_MCP_TOOL_SET", "MIXPANEL_MCP_TOOLSETS"),
        ("MIXPANEL_MCP_TOOLSET", "MIXPANEL_MCP_TOOLSETS"),
        ("MIXPANEL_MCP_CONFIRM", "MIXPANEL_MCP_CONFIRMATION"),
        ("MIXPANEL_MCP_FILE_ROOT", "MIXPANEL_MCP_FILES_ROOT"),
        ("MIXPANEL_MCP_ALLOWED_DESTINATION", "MIXPANEL_MCP_ALLOWED_DESTINATIONS"),
        ("MIXPANEL_MCP_EXCLUDE_TOOL", "MIXPANEL_MCP_EXCLUDE_TOOLS"),
        ("mixpanel_mcp_read_onyl", "MIXPANEL_MCP_READ_ONLY"),
        ("MIXPANEL_USER", "MIXPANEL_USERNAME"),
        ("MIXPANEL_USER_NAME", "MIXPANEL_USERNAME"),
        ("MIXPANEL_PASWORD", "MIXPANEL_PASSWORD"),
        ("MIXPANEL_SECRET", "MIXPANEL_PASSWORD"),
        ("MIXPANEL_TOKEN", "MIXPANEL_PROJECT_TOKEN"),
        ("MIXPANEL_PROJECT", "MIXPANEL_PROJECT_ID"),
        ("MIXPANEL_PROJECTID", "MIXPANEL_PROJECT_ID"),
        ("MIXPANEL_WORKSPACE", "MIXPANEL_WORKSPACE_ID"),
        ("MIXPANEL_REGIONS", "MIXPANEL_REGION"),
        ("MIXPANEL_BASEURL", "MIXPANEL_BASE_URL"),
        ("MIXPANEL_URL", "MIXPANEL_BASE_URL"),
        ("MIXPANEL_HOST", "MIXPANEL_BASE_URL"),
    ],
)
def test_a_misspelt_variable_stops_the_start_and_names_the_right_one(name: str, meant: str) -> None:
    (fault,) = faults({name: SECRET})
    assert name.upper() in fault
    assert fault.endswith(f"did you mean {meant}?")
    assert SECRET not in fault


@pytest.mark.parametrize("name", ["MIXPANEL_MCP_BANANA", "MIXPANEL_MCP_", "MIXPANEL_MCP_X"])
def test_an_unknown_policy_variable_stops_the_start_even_if_nothing_is_near(name: str) -> None:
    (fault,) = faults({name: "1"})
    assert fault.startswith(f"{name}: no such setting")
    assert "MIXPANEL_MCP_" in fault.partition("no such setting")[2]


def test_an_empty_misspelt_variable_is_still_misspelt() -> None:
    """Its owner believes that something is set, or will be."""
    assert len(faults({"MIXPANEL_MCP_READONLY": ""})) == 1


@pytest.mark.parametrize("name", ["MIXPANEL", "MIXPANELS_TOKEN", "PATH", "MIX_PANEL", "MCP_LOG"])
def test_the_variables_of_others_are_left_alone(name: str) -> None:
    load({name: "x"})


@pytest.mark.parametrize("name", ["MIXPANEL_LOG_LEVEL", "MIXPANEL_DISTINCT_ID_COOKIE"])
def test_a_far_variable_of_another_mixpanel_tool_is_left_alone(name: str) -> None:
    load({name: "x"})


BAD: list[tuple[str, str, str]] = [
    ("MIXPANEL_PROJECT_ID", "abc", "integer"),
    ("MIXPANEL_PROJECT_ID", "0", "greater than 0"),
    ("MIXPANEL_PROJECT_ID", "-5", "greater than 0"),
    ("MIXPANEL_WORKSPACE_ID", "1.5", "integer"),
    ("MIXPANEL_REGION", "europe", "use us, eu or in"),
    ("MIXPANEL_MCP_READ_ONLY", "perhaps", "boolean"),
    ("MIXPANEL_MCP_CONFIRMATION", "never", "'flag' or 'human'"),
    ("MIXPANEL_MCP_FILES_ROOT", "/no/such/folder", "not a folder"),
    ("MIXPANEL_MCP_TOOL_PREFIX", "with blank", "pattern"),
    ("MIXPANEL_MCP_TOOL_PREFIX", "x" * 21, "pattern"),
    ("MIXPANEL_MCP_ALLOWED_PROJECTS", "1,two", "integer"),
    ("MIXPANEL_MCP_ALLOWED_DESTINATIONS", "gs://a, ftp://b", "is not a destination"),
    ("MIXPANEL_MCP_ALLOWED_DESTINATIONS", "bucket", "is not a destination"),
    ("MIXPANEL_MCP_READ_SECONDS", "0", "greater than 0"),
    ("MIXPANEL_MCP_READ_SECONDS", "soon", "number"),
    ("MIXPANEL_MCP_WRITE_SECONDS", "3601", "less than or equal to 3600"),
    ("MIXPANEL_MCP_WRITE_SECONDS", "nan", ""),
    ("MIXPANEL_MCP_EXPORT_SECONDS", "-1", "greater than 0"),
    ("MIXPANEL_MCP_EXPORT_SECONDS", "inf", ""),
    ("MIXPANEL_MCP_TOOLSETS", "event", "did you mean events?"),
    ("MIXPANEL_MCP_TOOLS", "track_event", "did you mean track_events?"),
    ("MIXPANEL_MCP_EXCLUDE_TOOLS", "delete_profiles", "did you mean delete_profile?"),
]


@pytest.mark.parametrize(("variable", "value", "reason"), BAD)
def test_a_bad_value_stops_the_start(variable: str, value: str, reason: str) -> None:
    (fault,) = faults({variable: value})
    assert fault.startswith(f"{variable}: ")
    assert reason in fault


@pytest.mark.parametrize(("variable", "value", "reason"), BAD)
def test_a_bad_value_of_a_flag_is_reported_as_a_flag(
    variable: str, value: str, reason: str
) -> None:
    if not variable.startswith("MIXPANEL_MCP_"):
        return
    name = variable.removeprefix("MIXPANEL_MCP_").lower()
    (fault,) = faults(**_flag(name, value))
    assert fault.startswith(f"--{name.replace('_', '-')}: ")
    assert reason in fault


def test_all_faults_are_listed_at_once() -> None:
    environment = {
        "MIXPANEL_USER": "robot",
        "MIXPANEL_PROJECT_ID": "abc",
        "MIXPANEL_REGION": "mars",
        "MIXPANEL_BASE_URL": "ftp://x",
        "MIXPANEL_MCP_READONLY": "1",
        "MIXPANEL_MCP_CONFIRMATION": "never",
        "MIXPANEL_MCP_TOOLSETS": "everything",
    }
    found = "\n".join(faults(environment))
    missing = [name for name in environment if f"{name}: " not in found]
    assert missing == []


@pytest.mark.parametrize(
    "environment",
    [
        {"MIXPANEL_PASSWORD": SECRET, "MIXPANEL_PROJECT_ID": "x"},
        {"MIXPANEL_PROJECT_TOKEN": SECRET, "MIXPANEL_REGION": "x"},
        {"MIXPANEL_PROJECT_ID": SECRET},
        {"MIXPANEL_WORKSPACE_ID": SECRET},
        {"MIXPANEL_BASE_URL": f"https://user:{SECRET}@example.com"},
        {"MIXPANEL_BASE_URL": f"https://example.com/?key={SECRET}"},
        {"MIXPANEL_PASSWROD": SECRET},
        {"MIXPANEL_MCP_ALLOWED_TOKEN": SECRET},
        {"MIXPANEL_MCP_ALLOWED_TOKENS": SECRET, "MIXPANEL_MCP_READ_ONLY": "x"},
        {"MIXPANEL_MCP_ALLOWED_PROJECTS": SECRET},
    ],
)
def test_no_fault_holds_a_secret(environment: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as stopped:
        load(environment)
    assert SECRET not in str(stopped.value) + repr(stopped.value)


def test_settings_do_not_show_secrets() -> None:
    settings = load(
        {
            "MIXPANEL_PASSWORD": SECRET,
            "MIXPANEL_PROJECT_TOKEN": SECRET,
            "MIXPANEL_MCP_ALLOWED_TOKENS": SECRET,
        }
    )
    shown = f"{settings.connection!r} {settings.policy!r} {settings.connection} {settings.policy}"
    assert SECRET not in shown


def test_the_files_root_is_a_folder_that_exists(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path)

    assert load(files_root=str(tmp_path)).policy.files_root == tmp_path.resolve()
    assert load(files_root=str(tmp_path / "link")).policy.files_root == tmp_path.resolve()
    for wrong in (tmp_path / "file", tmp_path / "missing"):
        (fault,) = faults(files_root=str(wrong))
        assert fault == "--files-root: is not a folder that exists"


def test_settings_cannot_be_changed_afterwards() -> None:
    settings = load()
    with pytest.raises(ValueError, match="frozen"):
        settings.policy.read_only = True  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ValueError, match="frozen"):
        settings.connection.region = Region.EU  # pyright: ignore[reportAttributeAccessIssue]


def test_the_environment_is_read_by_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """pydantic-settings would read it a second time, behind our back."""
    monkeypatch.setenv("USERNAME", "somebody")
    monkeypatch.setenv("REGION", "eu")
    monkeypatch.setenv("READ_ONLY", "true")
    settings = load()
    assert settings.connection.username is None
    assert settings.connection.region is Region.US
    assert not settings.policy.read_only


def test_a_placeholder_that_the_host_left_stops_the_start() -> None:
    """It would be sent as the secret."""
    with pytest.raises(SettingsError) as stopped:
        load_settings({"MIXPANEL_PASSWORD": "${MIXPANEL_PASSWORD}", "MIXPANEL_USERNAME": "robot"})

    [fault] = stopped.value.faults
    assert fault.startswith("MIXPANEL_PASSWORD: ")
    assert "placeholder" in fault
