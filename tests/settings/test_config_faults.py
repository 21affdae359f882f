"""A start that fails lists everything that is wrong, each thing once and in its place."""

import pytest
from config_files import OTHER_SECRET, SECRET, Config, one_table, write_private


def test_every_fault_is_in_one_list(config: Config) -> None:
    secret = write_private(config.folder / "open", OTHER_SECRET, 0o644)
    found = config.faults(
        f"""
        [connections.shop]
        passwrod = "{SECRET}"
        region = "mars"
        project_id = 0
        [connections.web]
        password = "{SECRET}"
        project_token = "env:NOT_THERE"
        base_url = "ftp://x"
        [connections.app]
        username = ""
        password = "file:open"
        workspace_id = "x"
        [connections."not a name"]
        [conections.blog]
        """,
        {"MIXPANEL_USER": "robot", "MIXPANEL_MCP_READONLY": "1", "MIXPANEL_PASSWROD": SECRET},
        mode=0o644,
    )
    places = [
        "--config: connections.shop.passwrod: ",
        "--config: connections.shop.region: ",
        "--config: connections.shop.project_id: ",
        "--config: connections.web.project_token: ",
        "--config: connections.web.base_url: ",
        "--config: connections.app.username: ",
        f"--config: connections.app.password: {secret} holds a secret",
        "--config: connections.app.workspace_id: ",
        "--config: 'connections.not a name': ",
        "--config: 'conections': no such table; did you mean connections?",
        "--config: holds a secret and can be used by others",
        "MIXPANEL_USER: ",
        "MIXPANEL_MCP_READONLY: ",
        "MIXPANEL_PASSWROD: ",
    ]
    assert len(found) == len(places), found
    assert [place for place in places if not any(each.startswith(place) for each in found)] == []


def test_faults_of_the_policy_do_not_hide_those_of_the_file(config: Config) -> None:
    found = config.faults(one_table('region = "mars"'), confirmation="never")
    assert [fault.split(": ")[0] for fault in found] == ["--confirmation", "--config"], found


def test_faults_of_the_policy_do_not_make_good_variables_misspelt(config: Config) -> None:
    (fault,) = config.faults(
        one_table('password = "env:MIXPANEL_PROD_PASSWORD"'),
        {"MIXPANEL_PROD_PASSWORD": SECRET},
        confirmation="never",
    )
    assert fault.startswith("--confirmation: ")


def test_a_fault_of_the_environment_is_said_once_for_all_tables(config: Config) -> None:
    found = config.faults(
        "[connections.a]\n[connections.b]", {"MIXPANEL_PROJECT_ID": "abc", "MIXPANEL_REGION": "x"}
    )
    assert [fault.split(": ")[0] for fault in found] == ["MIXPANEL_PROJECT_ID", "MIXPANEL_REGION"]


_STRANGE = r'"a\n\u001b[2Jb"'
STRANGE: dict[str, str] = {
    "key": one_table(f"{_STRANGE} = 1"),
    "region": one_table(f"region = {_STRANGE}"),
    "secret file": one_table(r'password = "file:a\n\u001b[2Jb"'),
    "variable": one_table(r'password = "env:a\n\u001b[2Jb"'),
    "connection": f"[connections.{_STRANGE}]",
    "table": f"{one_table()}\n[{_STRANGE}]",
}


@pytest.mark.parametrize("case", STRANGE)
def test_a_fault_is_one_line_whatever_the_file_calls_things(config: Config, case: str) -> None:
    """They end on a terminal and in logs, where a line break begins another entry."""
    (fault,) = config.faults(STRANGE[case])
    assert fault.isprintable()
