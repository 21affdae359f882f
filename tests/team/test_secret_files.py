"""Secrets of a hosted server come from files that containers mount."""

from pathlib import Path

import pytest

from mixpanel_mcp.settings import SettingsError, load_settings

SECRET = "canary-state-secret-0123456789abcdef"


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "state-secret"
    path.write_text(f"{SECRET}\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def test_a_secret_is_read_from_its_file(secret_file: Path) -> None:
    hosting = load_settings({"MIXPANEL_MCP_STATE_SECRET": f"file:{secret_file}"}).hosting
    assert hosting.state_secret is not None
    assert hosting.state_secret.get_secret_value() == SECRET


def fault_of(value: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings({"MIXPANEL_MCP_STATE_SECRET": value})
    (fault,) = caught.value.faults
    assert SECRET not in fault
    return fault


def test_a_file_that_others_can_read_is_refused(secret_file: Path) -> None:
    secret_file.chmod(0o644)
    fault = fault_of(f"file:{secret_file}")
    assert fault.startswith("MIXPANEL_MCP_STATE_SECRET: its file holds a secret and can be used")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "its file is no file that exists"),
        ("", "its file is empty"),
        ("two\nlines", "its file is no single line of text"),
        ("short", "is shorter than 32 characters"),
    ],
    ids=["none", "empty", "several lines", "too short"],
)
def test_what_is_wrong_with_a_file_is_said(
    secret_file: Path, content: str | None, said: str
) -> None:
    if content is None:
        secret_file.unlink()
    else:
        secret_file.write_text(content, encoding="utf-8")
    assert said in fault_of(f"file:{secret_file}")
