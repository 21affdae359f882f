"""Callers of the configuration: read once, every fault listed, nothing wider than the policy."""

from typing import Any

import pytest
from config_files import Config

from mixpanel_mcp.operations import OPERATIONS, TOOLSETS
from mixpanel_mcp.settings import (
    Confirmation,
    Settings,
    SettingsError,
    load_settings,
    new_token,
    token_hash,
)

ONE, OTHER = "1" * 64, "2" * 64
NAMES = {"toolsets": TOOLSETS, "tools": OPERATIONS, "exclude_tools": OPERATIONS}
JWT = {
    "MIXPANEL_MCP_JWT_ISSUER": "https://login.example.com",
    "MIXPANEL_MCP_JWT_JWKS_URL": "https://login.example.com/keys",
    "MIXPANEL_MCP_JWT_AUDIENCE": "https://mcp.example.com/mcp",
    "MIXPANEL_MCP_PUBLIC_URL": "https://mcp.example.com/mcp",
}
HTTP = {"MIXPANEL_MCP_TRANSPORT": "http"}


def loaded(config: Config, text: str, environment: dict[str, str] | None = None) -> Settings:
    config.path.parent.mkdir(parents=True, exist_ok=True)
    config.path.write_text(text, encoding="utf-8")
    config.path.chmod(0o600)
    return load_settings(environment or {}, {"config": str(config.path)}, names=NAMES, serving=True)


def faults(config: Config, text: str, environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as stopped:
        loaded(config, text, environment)
    return list(stopped.value.faults)


def test_a_caller_has_what_its_table_says(config: Config) -> None:
    settings = loaded(
        config,
        f"""
        [connections.shop]
        project_id = 1
        [connections.blog]
        project_id = 2
        [callers.analytics-team]
        token_sha256 = ["{ONE.upper()}", "{OTHER}"]
        connections = ["blog"]
        toolsets = ["reports", "export"]
        read_only = true
        confirmation = "human"
        allowed_projects = [2]
        allowed_destinations = ["gs://bucket/exports"]
        budget_share = 0.5
        """,
    )
    (caller,) = settings.callers
    assert caller.model_dump(exclude={"tabled"}) == {
        "name": "analytics-team",
        "token_sha256": (ONE, OTHER),
        "subject": None,
        "scopes": (),
        "connections": ("blog",),
        "toolsets": ("reports", "export"),
        "read_only": True,
        "confirmation": Confirmation.HUMAN,
        "allowed_projects": (2,),
        "allowed_destinations": ("gs://bucket/exports",),
        "budget_share": 0.5,
    }


def test_a_file_may_hold_callers_alone(config: Config) -> None:
    settings = loaded(
        config, f'[callers.a]\ntoken_sha256 = "{ONE}"', {"MIXPANEL_PROJECT_ID": "4242"}
    )
    assert [each.name for each in settings.connections] == ["default"]
    assert settings.connection.project_id == 4242
    assert settings.callers[0].token_sha256 == (ONE,)


def test_one_text_stands_for_a_list_of_one_and_its_comma_for_itself(config: Config) -> None:
    (fault,) = faults(config, f'[callers.a]\ntoken_sha256 = "{ONE}"\ntoolsets = "reports,raw"')
    assert "'reports,raw' is none of the toolsets" in fault


WRONG: dict[str, tuple[str, str]] = {
    "unknown key": ('toolset = ["raw"]', "callers.a.toolset: no such setting; did you mean tools"),
    "read_only in quotes": ('read_only = "false"', "read_only: has to be true or false, without"),
    "read_only as a number": ("read_only = 0", "read_only: has to be true or false"),
    "share in quotes": ('budget_share = "0.5"', "budget_share: has to be a number above 0"),
    "share of nothing": ("budget_share = 0", "budget_share: "),
    "more than all": ("budget_share = 1.01", "budget_share: "),
    "no share": ("budget_share = nan", "budget_share: "),
    "no toolset": ("toolsets = []", "toolsets: is empty; leave it out"),
    "no connection": ('connections = ""', "connections: is empty; leave it out"),
    "blank entry": ('connections = [" "]', "connections: has to be a list of texts"),
    "unknown toolset": ('toolsets = ["report"]', "none of the toolsets; did you mean reports?"),
    "unknown connection": ('connections = ["shopp"]', "did you mean shop?"),
    "confirmation": ('confirmation = "never"', "confirmation: "),
    "projects of text": ('allowed_projects = ["1"]', "allowed_projects: has to be a list of int"),
    "projects of truth": ("allowed_projects = [true]", "allowed_projects: has to be a list of int"),
    "project beyond": ("allowed_projects = [1, 3]", "allowed_projects: 3 is none of ALLOWED_PRO"),
    "destination beyond": (
        'allowed_destinations = ["gs://bucket/elsewhere"]',
        "does not lie below ALLOWED_DESTINATIONS",
    ),
    "destination above": (
        'allowed_destinations = ["gs://bucket"]',
        "does not lie below ALLOWED_DESTINATIONS",
    ),
    "no destination": ('allowed_destinations = ["bucket"]', "is not a destination; write gs://"),
    "scopes in one text": ('scopes = "read write"', "scopes: has a blank within a scope"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_caller_is_said_at_the_start(config: Config, name: str) -> None:
    line, said = WRONG[name]
    found = faults(
        config,
        f'[connections.shop]\nproject_id = 1\n[callers.a]\ntoken_sha256 = "{ONE}"\n{line}',
        {
            "MIXPANEL_MCP_ALLOWED_PROJECTS": "1,2",
            "MIXPANEL_MCP_ALLOWED_DESTINATIONS": "gs://bucket/exports",
        },
    )
    assert len(found) == 1, found
    assert found[0].startswith("--config: callers.a.")
    assert said in found[0]


def test_a_token_in_the_place_of_its_hash_is_told_and_not_shown(config: Config) -> None:
    token = new_token()
    (fault,) = faults(config, f'[callers.a]\ntoken_sha256 = "{token}"')
    assert "callers.a.token_sha256: is a token; store the hash" in fault
    assert token not in fault


@pytest.mark.parametrize("text", ["0" * 63, "g" * 64, "sha256:" + "0" * 64, "hunter2"])
def test_what_is_no_hash_is_told_and_not_shown(config: Config, text: str) -> None:
    (fault,) = faults(config, f'[callers.a]\ntoken_sha256 = "{text}"')
    assert "is no SHA-256 in 64 hexadecimal digits" in fault
    assert text not in fault


def test_a_rotation_knows_two_tokens_and_no_more(config: Config) -> None:
    (fault,) = faults(config, f'[callers.a]\ntoken_sha256 = ["{ONE}", "{OTHER}", "{"3" * 64}"]')
    assert "more than two hashes" in fault
    (fault,) = faults(config, f'[callers.a]\ntoken_sha256 = ["{ONE}", "{ONE}"]')
    assert "the same hash twice" in fault


def test_nobody_can_be_a_caller_without_a_token(config: Config) -> None:
    (fault,) = faults(config, "[callers.a]\nread_only = true")
    assert "nobody can be this caller" in fault
    assert "mixpanel-mcp token new a" in fault


def test_callers_have_to_be_told_apart(config: Config) -> None:
    found = faults(
        config,
        f"""
        [callers.a]
        token_sha256 = "{ONE}"
        subject = "ada"
        [callers.b]
        token_sha256 = ["{OTHER}", "{ONE}"]
        subject = "ada"
        [callers.readers]
        scopes = ["read"]
        [callers.writers]
        scopes = ["write", "read"]
        """,
    )
    assert [fault.split(": ")[1] for fault in found] == [
        "callers.b.token_sha256",
        "callers.b.subject",
        "callers.writers.scopes",
    ]
    assert "put the one with more scopes first" in found[-1]


@pytest.mark.parametrize(
    "text",
    ["callers = 1", "[callers]", "callers.a = 1", '[callers."a b"]', "[caller.a]"],
)
def test_what_is_no_table_of_a_caller_is_a_fault(config: Config, text: str) -> None:
    assert "caller" in faults(config, text)[0]


def test_names_that_differ_in_letter_case_would_share_a_folder(config: Config) -> None:
    text = f'[callers.Team]\ntoken_sha256 = "{ONE}"\n[callers.team]\ntoken_sha256 = "{OTHER}"'
    (fault,) = faults(config, text)
    assert "differs from another name only in letter case" in fault


def test_a_jwt_needs_its_issuer_altogether(config: Config) -> None:
    """What is missing would let nobody in; that should not be found out by trying."""
    text = '[callers.ada]\nsubject = "ada"'
    for left_out in JWT:
        given = {name: value for name, value in JWT.items() if name != left_out}
        (fault,) = faults(config, text, {**given, **HTTP})
        assert fault.startswith(f"{left_out}: is missing; callers.ada")
    assert loaded(config, text, {**JWT, **HTTP}).callers[0].subject == "ada"


def test_an_issuer_without_callers_would_let_nobody_in(config: Config) -> None:
    text = f'[callers.a]\ntoken_sha256 = "{ONE}"'
    (fault,) = faults(config, text, {**JWT, **HTTP})
    assert "no caller is known by a JWT" in fault
    with pytest.raises(SettingsError, match="no caller is known by a JWT"):
        load_settings({**JWT, **HTTP})


def test_over_stdio_callers_mean_nothing_and_are_no_fault(config: Config) -> None:
    assert loaded(config, '[callers.ada]\nsubject = "ada"').callers[0].name == "ada"


@pytest.mark.parametrize(
    "name", ["MIXPANEL_MCP_JWT_JWKS_URL", "MIXPANEL_MCP_JWT_ISSUER", "MIXPANEL_MCP_PUBLIC_URL"]
)
@pytest.mark.parametrize(
    "url",
    [
        "http://login.example.com/keys",
        "ftp://login.example.com",
        "file:///etc/passwd",
        "login.example.com",
        "https://canary-secret@login.example.com",
        "https://login.example.com/#x",
        "https://login.example.com:port",
        "https://[::1",
        "https://log in.example.com",
    ],
)
def test_addresses_of_the_issuer_are_https(name: str, url: str) -> None:
    with pytest.raises(SettingsError) as stopped:
        load_settings({name: url})
    (fault,) = stopped.value.faults
    assert fault.startswith(f"{name}: ")
    assert "canary" not in fault


def test_an_issuer_on_loopback_may_do_without_tls() -> None:
    settings = load_settings({"MIXPANEL_MCP_JWT_JWKS_URL": "http://127.0.0.1:9/keys?v=1"})
    assert settings.hosting.jwt_jwks_url == "http://127.0.0.1:9/keys?v=1"


def test_the_sandbox_is_everybodys_connection(config: Config) -> None:
    text = f'[connections.shop]\n[callers.a]\ntoken_sha256 = "{ONE}"\nconnections = ["shop"]'
    settings = loaded(config, text)
    sandboxed = settings.with_connection(settings.connection.model_copy(update={"name": "sandbox"}))
    assert sandboxed.callers[0].connections == ()


def test_tokens_are_long_random_and_never_the_same() -> None:
    tokens: list[Any] = [new_token() for _ in range(100)]
    assert len({*tokens, *map(token_hash, tokens)}) == 200
    assert all(len(token) >= 43 + len("mixmcp_") for token in tokens)


def test_callers_with_a_fault_are_not_missed_as_well(config: Config) -> None:
    """One mistake is one fault: whoever mends it shall not look for a second one."""
    one = f'[callers.ada]\ntoken_sha256 = "{ONE}"\nbudget_share = 7\n'
    everywhere = HTTP | {"MIXPANEL_MCP_HOST": "0.0.0.0"}  # noqa: S104 - what is to be refused
    [fault] = faults(config, one, everywhere)
    assert "callers.ada.budget_share" in fault
    [fault] = faults(config, '[callers.ada]\nsubject = "ada"\nbudget_share = 7\n', HTTP | JWT)
    assert "callers.ada.budget_share" in fault


def test_what_a_jwt_needs_is_told_for_a_setting_as_for_a_caller(config: Config) -> None:
    issuer = {"MIXPANEL_MCP_JWT_ISSUER": "https://login.example.com"}
    told = faults(config, f'[callers.ada]\ntoken_sha256 = "{ONE}"\n', HTTP | issuer)
    missing = "MIXPANEL_MCP_JWT_AUDIENCE: is missing; MIXPANEL_MCP_JWT_ISSUER needs it"
    assert missing in told


def test_a_bad_value_hides_none_of_a_callers_other_faults(config: Config) -> None:
    found = faults(
        config,
        f"""
        [connections.shop]
        project_id = 1
        [callers.a]
        token_sha256 = "{ONE}"
        subject = "ada"
        [callers.b]
        budget_share = 2
        confirmation = "never"
        read_only = "yes"
        token_sha256 = "{ONE}"
        subject = "ada"
        connections = ["shopp"]
        toolsets = ["report"]
        allowed_projects = [3]
        allowed_destinations = ["bucket", "here"]
        """,
        {**HTTP, **JWT, "MIXPANEL_MCP_ALLOWED_PROJECTS": "1,2"},
    )

    assert [each.removeprefix("--config: callers.b.").split(":")[0] for each in found] == [
        "read_only",
        "confirmation",
        "allowed_destinations",
        "allowed_destinations",
        "budget_share",
        "connections",
        "toolsets",
        "allowed_projects",
        "token_sha256",
        "subject",
    ]


def test_a_bad_policy_hides_no_fault_of_a_caller(config: Config) -> None:
    found = faults(
        config,
        f"""
        [callers.a]
        token_sha256 = "{ONE}"
        toolsets = ["report"]
        allowed_projects = [3]
        """,
        {"MIXPANEL_MCP_ALLOWED_PROJECTS": "1", "MIXPANEL_MCP_READ_SECONDS": "soon"},
    )

    assert [each.split(":")[0] for each in found if "callers" not in each] == [
        "MIXPANEL_MCP_READ_SECONDS"
    ]
    assert [each.split(":")[1].strip() for each in found if "callers" in each] == [
        "callers.a.toolsets",
        "callers.a.allowed_projects",
    ]


@pytest.mark.parametrize("line", ["token_sha256 = 5", 'token_sha256 = "hunter2"', "subject = 5"])
def test_who_is_written_wrongly_is_not_missing_as_well(config: Config, line: str) -> None:
    """Neither as a caller whom nobody can be, nor as one with fewer scopes, nor for the issuer."""
    (fault,) = faults(
        config,
        f"""
        [callers.a]
        scopes = ["read"]
        subject = "ada"
        [callers.b]
        {line}
        """,
        {**HTTP, **JWT},
    )
    assert fault.startswith(f"--config: callers.b.{line.split(maxsplit=1)[0]}: ")


def test_a_subject_written_wrongly_is_not_taken_for_scopes_alone(config: Config) -> None:
    (fault,) = faults(
        config,
        """
        [callers.a]
        scopes = ["read"]
        [callers.b]
        subject = 5
        scopes = ["read"]
        """,
        {**HTTP, **JWT},
    )
    assert "callers.b.subject: has to be a text" in fault


def test_the_only_subject_written_wrongly_is_somebody_for_the_issuer(config: Config) -> None:
    (fault,) = faults(config, "[callers.a]\nsubject = 5", {**HTTP, **JWT})
    assert "callers.a.subject: has to be a text" in fault
