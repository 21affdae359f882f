"""What an operator has to say so that replicas can share, and what becomes of it."""

import json
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from mixpanel_mcp.safety.audit import AuditEntry, AuditTrail
from mixpanel_mcp.safety.identity import Identity
from mixpanel_mcp.safety.sealing import state_key
from mixpanel_mcp.server import Shared
from mixpanel_mcp.settings import (
    Connection,
    Hosting,
    Policy,
    Protocol,
    Settings,
    SettingsError,
    load_settings,
)

SECRET = "a secret of more than thirty-two characters"
URL = "redis://127.0.0.1:6379/0"


def test_a_redis_without_the_replicas_secret_is_a_fault_at_the_start() -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings({"MIXPANEL_MCP_TRANSPORT": "http", "MIXPANEL_MCP_REDIS_URL": URL})

    assert "MIXPANEL_MCP_STATE_SECRET" in str(refused.value)
    assert "openssl rand" in str(refused.value)


def test_redis_and_secret_together_are_taken() -> None:
    settings = load_settings({"MIXPANEL_MCP_REDIS_URL": URL, "MIXPANEL_MCP_STATE_SECRET": SECRET})

    assert settings.hosting.redis_url == SecretStr(URL)


@pytest.mark.parametrize("url", ["http://127.0.0.1:6379", "127.0.0.1:6379", "redis:6379"])
def test_what_is_no_redis_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValidationError, match="does not begin with redis://") as refused:
        Hosting(redis_url=SecretStr(url), state_secret=SecretStr(SECRET))

    assert url not in str(refused.value)


def test_a_url_that_cannot_be_read_is_a_fault_that_does_not_show_it() -> None:
    hosting = Hosting(
        transport=Protocol.HTTP,
        redis_url=SecretStr("redis://:canary@127.0.0.1:port/0"),
        state_secret=SecretStr(SECRET),
    )

    with pytest.raises(SettingsError, match="MIXPANEL_MCP_REDIS_URL: cannot be read") as refused:
        Shared(Settings(Connection(), Policy(), hosting=hosting))

    assert "canary" not in str(refused.value)


async def test_a_server_on_stdio_shares_nothing_even_where_a_redis_is_named() -> None:
    hosting = Hosting(redis_url=SecretStr(URL), state_secret=SecretStr(SECRET))
    shared = Shared(Settings(Connection(), Policy(), hosting=hosting))
    await shared.open()

    assert shared.is_shared()
    assert shared.checks == {}


def test_every_caller_and_subject_has_a_key_of_their_own() -> None:
    who = [
        None,
        Identity("ada"),
        Identity("bob"),
        Identity("ada", "1"),
        Identity("ada", "2"),
        Identity('ada", "1'),
    ]

    keys = {state_key(SECRET, identity) for identity in who}

    assert len(keys) == len(who)
    assert state_key(SECRET, Identity("ada")) == state_key(SECRET, Identity("ada"))
    assert state_key(SECRET, Identity("ada")) not in {state_key(SECRET + "x", i) for i in who}


def test_without_redis_nothing_is_shared_and_nothing_else_has_to_be_there() -> None:
    shared = Shared(Settings(Connection(), Policy()))

    assert shared.is_shared()
    assert shared.checks == {}
    assert shared.state_security(Identity("ada")) is None


def test_audit_lines_say_where_replicas_did_not_count_together(tmp_path: Path) -> None:
    path, is_shared = tmp_path / "audit.log", True
    trail = AuditTrail(path, lambda: is_shared)
    entry = AuditEntry("delete_profile", "default", 1, "us", {})

    trail.record(entry)
    is_shared = False
    trail.record(entry)

    together, alone = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert "shared" not in together
    assert alone["shared"] is False
