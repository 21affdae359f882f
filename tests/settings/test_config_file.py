"""The file that names several connections: what it means, and every fault at once."""

import os
from pathlib import Path
from typing import Any

import pytest
from config_files import OTHER_SECRET, SECRET, Config, one_table, write_private

from mixpanel_mcp.settings import CONNECTION_NAMES, Connection, Region, SettingsError, load_settings

TWO = f"""
[connections.shop]
username = "robot.shop"
password = "{SECRET}"
project_token = "env:SHOP_TOKEN"
project_id = 1234567
workspace_id = 7
region = "api-EU"
base_url = "https://Proxy.Example.com/"

[connections.web-site_2]
username = "robot.web"
password = "file:secrets/web"
project_id = 89
"""


def plain(connection: Connection) -> dict[str, Any]:
    """What a connection holds, its secrets in plain sight."""
    values = {name: getattr(connection, name) for name in ("name", *CONNECTION_NAMES)}
    for name in ("password", "project_token"):
        values[name] = values[name] and values[name].get_secret_value()
    return {name: value for name, value in values.items() if value}


def test_tables_become_connections_and_the_first_is_the_default(config: Config) -> None:
    write_private(config.folder / "secrets" / "web", f"{OTHER_SECRET}\n")

    settings = config.load(TWO, {"SHOP_TOKEN": "token-of-shop"})

    assert settings.several
    assert settings.choice == ["shop", "web-site_2"]
    assert settings.connection is settings.connections[0]
    assert [plain(each) for each in settings.connections] == [
        {
            "name": "shop",
            "username": "robot.shop",
            "password": SECRET,
            "project_token": "token-of-shop",
            "project_id": 1234567,
            "workspace_id": 7,
            "region": Region.EU,
            "base_url": "https://proxy.example.com",
        },
        {
            "name": "web-site_2",
            "username": "robot.web",
            "password": OTHER_SECRET,
            "project_id": 89,
            "region": Region.US,
        },
    ]


def test_the_order_of_the_file_counts_not_that_of_the_alphabet(config: Config) -> None:
    names = ["zebra", "ant", "Mouse", "0"]
    settings = config.load("\n".join(f"[connections.{name}]" for name in names))
    assert settings.choice == names
    assert settings.connection.name == "zebra"


def test_one_table_is_one_connection_and_leaves_no_choice(config: Config) -> None:
    settings = config.load(one_table("project_id = 5"))
    assert not settings.several
    assert settings.choice == []
    assert (settings.connection.name, settings.connection.project_id) == ("shop", 5)


def test_the_environment_fills_what_a_table_omits(config: Config) -> None:
    settings = config.load(
        '[connections.a]\nusername = "own"\nregion = "in"\n[connections.b]\nproject_id = 2',
        {"MIXPANEL_USERNAME": "shared", "MIXPANEL_REGION": "eu", "MIXPANEL_PASSWORD": SECRET},
    )
    first, second = map(plain, settings.connections)
    assert first == {"name": "a", "username": "own", "password": SECRET, "region": Region.IN}
    assert second == {
        "name": "b",
        "username": "shared",
        "password": SECRET,
        "project_id": 2,
        "region": Region.EU,
    }


def test_without_a_file_the_environment_is_the_one_connection() -> None:
    settings = load_settings({"MIXPANEL_PROJECT_ID": "5"})
    assert (settings.connection.name, settings.connection.project_id) == ("default", 5)
    assert not settings.several


def test_a_variable_names_the_file_as_a_flag_does(config: Config) -> None:
    write_private(config.path, one_table("project_id = 5"))
    variable = {"MIXPANEL_MCP_CONFIG": str(config.path)}
    assert load_settings(variable).connection.project_id == 5

    write_private(config.path, one_table("project_id = 0"))
    with pytest.raises(SettingsError) as stopped:
        load_settings(variable)
    (fault,) = stopped.value.faults
    assert fault.startswith("MIXPANEL_MCP_CONFIG: connections.shop.project_id: ")


def test_the_file_may_begin_with_a_mark_and_end_its_lines_as_windows_does(config: Config) -> None:
    text = "\ufeff" + one_table("project_id = 5", 'region = "eu"').replace("\n", "\r\n")
    assert config.load(text).connection.region is Region.EU


# The lines of a table, what they are a fault of, and what is said about it.
BAD: dict[str, tuple[str, str, str]] = {
    "unknown": ("colour = 1", "colour", "no such setting; there are base_url"),
    "near miss": ('projectid = "5"', "projectid", "did you mean project_id?"),
    "misspelt secret": (f'passwrod = "{SECRET}"', "passwrod", "did you mean password?"),
    "letter case": ('Region = "eu"', "Region", "did you mean region?"),
    "ours alone": ("sandbox = true", "sandbox", "no such setting"),
    "its name": ('name = "other"', "name", "no such setting"),
    "empty text": ('username = ""', "username", "is empty"),
    "empty secret": ('password = ""', "password", "is empty"),
    "secret of another type": ("password = 5", "password", "has to be a text"),
    "list as secret": (f'project_token = ["{SECRET}"]', "project_token", "has to be a text"),
    "table as secret": (f'password.env = "{SECRET}"', "password", "has to be a text"),
    "number as text": ("username = 5", "username", "string"),
    "list as text": (f'username = ["{SECRET}"]', "username", "string"),
    "text as number": ('project_id = "five"', "project_id", "integer"),
    "secret as number": (f'project_id = "{SECRET}"', "project_id", "integer"),
    "fraction": ("project_id = 1.5", "project_id", "integer"),
    "truth as number": ("project_id = true", "project_id", "integer"),
    "no finite number": ("project_id = inf", "project_id", "number"),
    "date": ("workspace_id = 2026-01-01", "workspace_id", "integer"),
    "zero": ("project_id = 0", "project_id", "greater than 0"),
    "negative": ("workspace_id = -1", "workspace_id", "greater than 0"),
    "region": ('region = "mars"', "region", "use us, eu or in"),
    "number as region": ("region = 5", "region", "'us'"),
    "list as region": ('region = ["eu"]', "region", "'us'"),
    "plain http": ('base_url = "http://proxy.example.com"', "base_url", "https"),
    "path": ('base_url = "https://x.example/api"', "base_url", "origin alone"),
    "secret in url": (f'base_url = "https://u:{SECRET}@x.example"', "base_url", "origin alone"),
    "secret as query": (f'base_url = "https://x.example?{SECRET}"', "base_url", "origin alone"),
    "table as url": (f'base_url.a = "{SECRET}"', "base_url", "string"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_fault_in_a_table_is_said_with_its_place(config: Config, case: str) -> None:
    line, key, reason = BAD[case]
    (fault,) = config.faults(f"[connections.fine]\n{one_table(line)}")
    assert fault.startswith(f"--config: connections.shop.{key}: ")
    assert reason in fault


def test_a_blank_text_is_as_empty_as_in_the_environment(config: Config) -> None:
    """`MIXPANEL_USERNAME="  "` is unset; sent as it is, it would be a 401 that nobody explains."""
    blanks = one_table('username = "  "', 'password = " \\t"', 'project_token = "\\n"')
    found = config.faults(blanks)
    assert [fault.split(": ")[1] for fault in found] == [
        f"connections.shop.{key}" for key in ("username", "password", "project_token")
    ]


DOCUMENTS: dict[str, tuple[str, str]] = {
    "nothing": ("", "names no connection"),
    "a comment": (f"# {SECRET}", "names no connection"),
    "no table in it": ("[connections]", "has to be tables such as [connections.shop]"),
    "a text": (f'connections = "{SECRET}"', "has to be tables such as [connections.shop]"),
    "a list": ("[[connections]]\nproject_id = 5", "has to be tables such as [connections.shop]"),
    "a text as table": (f'connections.shop = "{SECRET}"', "connections.shop: has to be a table"),
    "a list as table": ("[[connections.shop]]", "connections.shop: has to be a table"),
    "a loose key": (f'[connections]\npassword = "{SECRET}"', "password: has to be a table"),
}


@pytest.mark.parametrize("case", DOCUMENTS)
def test_a_file_without_connections_is_said_to_have_none(config: Config, case: str) -> None:
    text, reason = DOCUMENTS[case]
    (fault,) = config.faults(text)
    assert fault.startswith("--config: ")
    assert reason in fault


@pytest.mark.parametrize(
    ("name", "meant"),
    [("connection", "connections"), ("Connections", "connections"), ("server", "connections")],
)
def test_an_unknown_table_is_said_with_the_nearest(config: Config, name: str, meant: str) -> None:
    text = f'{one_table()}\n[{name}.shop]\npassword = "{SECRET}"'
    (fault,) = config.faults(text)
    assert f"'{name}': no such table" in fault
    assert meant in fault


BAD_NAMES = ["", " ", "a b", "a.b", "../a", "a/b", "-a", "_a", "ü", "a\\u0000", "a\\n", "x" * 41]


@pytest.mark.parametrize("name", BAD_NAMES, ids=map(ascii, BAD_NAMES))
def test_a_name_is_one_that_a_folder_can_have(config: Config, name: str) -> None:
    (fault,) = config.faults(f'[connections.fine]\n[connections."{name}"]')
    assert "a name is made of up to 40 letters, digits, - and _" in fault
    assert fault.isprintable()


@pytest.mark.parametrize("name", ["a", "0", "x" * 40, "A-b_3"])
def test_a_good_name_is_taken_as_it_is(config: Config, name: str) -> None:
    assert config.load(f"[connections.{name}]").connection.name == name


def test_names_that_one_folder_would_share_are_refused(config: Config) -> None:
    """Where file systems do not tell the cases apart, both would have the same files."""
    (fault,) = config.faults("[connections.shop]\n[connections.Shop]")
    assert "shop" in fault.lower()


BROKEN: dict[str, str] = {
    "no end of text": f'[connections.shop]\npassword = "{SECRET}',
    "no quotes": f"[connections.shop]\npassword = {SECRET}",
    "a loose word": f"{SECRET}\n",
    "twice": f'[connections.shop]\npassword = "{SECRET}"\npassword = "{OTHER_SECRET}"',
    "table twice": "[connections.shop]\n[connections.shop]",
    "an escape": f'[connections.shop]\npassword = "\\{SECRET}"',
    "a control character": f'[connections.shop]\npassword = "{SECRET}\x00"',
    "no value": f'["{SECRET}"]\n"{OTHER_SECRET}" =',
    "JSON": f'{{"connections": {{"shop": {{"password": "{SECRET}"}}}}}}',
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_toml_is_said_with_its_place_and_not_quoted(config: Config, case: str) -> None:
    (fault,) = config.faults(BROKEN[case])
    assert fault.startswith("--config: is not TOML (at ")


@pytest.mark.parametrize("text", ["x = " + "[" * 100_000, "x = " + "9" * 5_000])
def test_toml_that_overwhelms_its_reader_is_a_fault_too(config: Config, text: str) -> None:
    (fault,) = config.faults(text)
    assert fault.startswith("--config: ")
    assert len(fault) < 200


def test_a_file_that_cannot_be_read_is_a_fault(config: Config, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    for path in (config.path, tmp_path, pipe, tmp_path / "link", Path("/dev/zero")):
        with pytest.raises(SettingsError) as stopped:
            load_settings({}, {"config": str(path)})
        assert stopped.value.faults == ("--config: is no file that exists",)


def test_a_file_too_large_or_not_of_text_is_a_fault(config: Config) -> None:
    assert config.faults(b"#" * (1024 * 1024 + 1)) == ["--config: is larger than 1024 kB"]
    assert config.faults(b"\xff\xfe[connections.shop]") == ["--config: is not UTF-8"]
