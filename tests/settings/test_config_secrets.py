"""Secrets in the file: a value, a variable or a file, and nobody else may read them."""

import os
from pathlib import Path

import pytest
from config_files import OTHER_SECRET, SECRET, Config, one_table, write_private
from pydantic import SecretStr

LITERAL = one_table(f'password = "{SECRET}"')
REFERENCE = one_table('password = "env:SHOP_PASSWORD"')
FILE = one_table('password = "file:secret"')
SHOP = {"SHOP_PASSWORD": SECRET}


def password_of(config: Config, text: str, **environment: str) -> str:
    password = config.load(text, environment).connection.password
    assert password is not None
    return password.get_secret_value()


def test_a_value_stands_as_it_is(config: Config) -> None:
    for value in (SECRET, "with:colon", "environment", "files", "File:a", "#", " inner blank "):
        assert password_of(config, one_table(f'password = "{value}"')) == value


def test_a_variable_is_looked_up(config: Config) -> None:
    assert password_of(config, REFERENCE, **SHOP) == SECRET


def test_the_value_of_a_variable_is_not_looked_up_again(config: Config) -> None:
    write_private(config.folder / "secret", OTHER_SECRET)
    assert password_of(config, REFERENCE, SHOP_PASSWORD="file:secret") == "file:secret"
    write_private(config.folder / "secret", "env:SHOP_PASSWORD")
    assert password_of(config, FILE, **SHOP) == "env:SHOP_PASSWORD"


def test_blanks_around_a_variables_value_do_not_matter(config: Config) -> None:
    """As with `MIXPANEL_PASSWORD`, and with a secret file's last line."""
    assert password_of(config, REFERENCE, SHOP_PASSWORD=f" {SECRET}\n") == SECRET


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_variable_that_is_not_set_is_a_fault(config: Config, value: str | None) -> None:
    environment = {} if value is None else {"SHOP_PASSWORD": value}
    (fault,) = config.faults(REFERENCE, environment)
    assert fault == ("--config: connections.shop.password: the environment has no 'SHOP_PASSWORD'")


def test_a_reference_to_no_name_is_a_fault(config: Config) -> None:
    (fault,) = config.faults(one_table('project_token = "env:"'))
    assert fault.startswith("--config: connections.shop.project_token: the environment has no ")
    (fault,) = config.faults(one_table('project_token = "file:"'))
    assert fault.startswith("--config: connections.shop.project_token: ")


def test_a_missing_variable_is_not_filled_from_elsewhere(config: Config) -> None:
    """Another project's password is no way out."""
    (fault,) = config.faults(REFERENCE, {"MIXPANEL_PASSWORD": OTHER_SECRET})
    assert "SHOP_PASSWORD" in fault


def test_a_file_is_looked_for_beside_the_configuration(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_private(config.folder / "secrets" / "shop", SECRET)
    write_private(tmp_path / "secrets" / "shop", OTHER_SECRET)
    monkeypatch.chdir(tmp_path)
    assert password_of(config, one_table('password = "file:secrets/shop"')) == SECRET
    assert password_of(config, one_table('password = "file:../secrets/shop"')) == OTHER_SECRET
    whole = one_table(f'password = "file:{tmp_path / "secrets" / "shop"}"')
    assert password_of(config, whole) == OTHER_SECRET


def test_a_file_may_lie_in_the_home_folder(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    write_private(tmp_path / "home" / "keys" / "shop", SECRET)
    assert password_of(config, one_table('password = "file:~/keys/shop"')) == SECRET


def test_the_home_of_nobody_is_a_fault(config: Config) -> None:
    (fault,) = config.faults(one_table('password = "file:~no-such-user-here/secret"'))
    assert fault.startswith("--config: connections.shop.password: ")


@pytest.mark.parametrize("content", [f"{SECRET}\n", f"\ufeff{SECRET}\r\n", f"  {SECRET}  "])
def test_what_editors_put_around_a_secret_is_no_part_of_it(config: Config, content: str) -> None:
    write_private(config.folder / "secret", content)
    assert password_of(config, FILE) == SECRET


UNFIT: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "blank": (b" \n\n", "is empty"),
    "oversized": (SECRET.encode() * 1_000, "is larger than 16 kB"),
    "not UTF-8": (SECRET.encode() + b"\xff\xfe\x80", "is not UTF-8"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_a_secret_file_that_holds_no_secret_is_a_fault(config: Config, case: str) -> None:
    content, reason = UNFIT[case]
    write_private(config.folder / "secret", content)
    (fault,) = config.faults(FILE)
    assert fault.startswith("--config: connections.shop.password: ")
    assert reason in fault


def test_a_secret_that_is_no_file_is_a_fault_and_waited_for_by_nobody(config: Config) -> None:
    secret = config.folder / "secret"
    (missing,) = config.faults(FILE)
    secret.mkdir()
    (folder,) = config.faults(FILE)
    secret.rmdir()
    os.mkfifo(secret)
    (pipe,) = config.faults(FILE)
    (nothing,) = config.faults(one_table('password = "file:a\\u0000b"'))
    for fault in (missing, folder, pipe, nothing):
        assert fault.startswith("--config: connections.shop.password: ")
        assert "is no file that exists" in fault


def test_a_link_is_judged_by_the_file_it_leads_to(config: Config, tmp_path: Path) -> None:
    kept = write_private(tmp_path / "kept", SECRET)
    config.folder.mkdir(parents=True)
    (config.folder / "secret").symlink_to(kept)
    assert password_of(config, FILE) == SECRET
    kept.chmod(0o644)
    (fault,) = config.faults(FILE)
    assert "chmod 600" in fault


MODES_FOR_OTHERS = [0o644, 0o640, 0o660, 0o606, 0o602, 0o620, 0o604, 0o666, 0o777]
PRIVATE_MODES = [0o600, 0o400, 0o700]


@pytest.mark.parametrize("mode", PRIVATE_MODES, ids=oct)
def test_a_private_file_may_hold_secrets(config: Config, mode: int) -> None:
    write_private(config.folder / "secret", OTHER_SECRET, mode)
    assert config.load(LITERAL, mode=mode).connection.password == SecretStr(SECRET)
    assert config.load(FILE).connection.password == SecretStr(OTHER_SECRET)


@pytest.mark.parametrize("mode", MODES_FOR_OTHERS, ids=oct)
def test_a_file_with_secrets_that_others_can_use_is_refused(config: Config, mode: int) -> None:
    (fault,) = config.faults(LITERAL, mode=mode)
    assert fault == (
        f"--config: holds a secret and can be used by others (mode {mode:04o}); chmod 600 it"
    )


@pytest.mark.parametrize("mode", MODES_FOR_OTHERS, ids=oct)
def test_a_secret_file_that_others_can_use_is_refused(config: Config, mode: int) -> None:
    secret = write_private(config.folder / "secret", SECRET, mode)
    (fault,) = config.faults(FILE)
    assert fault.startswith(f"--config: connections.shop.password: {secret} holds a secret")
    assert f"{mode:04o}" in fault


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o444], ids=oct)
def test_a_file_that_only_refers_to_secrets_may_be_read_by_others(
    config: Config, mode: int
) -> None:
    write_private(config.folder / "secret", SECRET)
    assert config.load(REFERENCE, SHOP, mode=mode).connection.password == SecretStr(SECRET)
    assert config.load(FILE, mode=mode).connection.password == SecretStr(SECRET)


@pytest.mark.parametrize("mode", [0o666, 0o602, 0o646], ids=oct)
def test_a_file_that_anybody_can_change_is_refused_even_so(config: Config, mode: int) -> None:
    """Whoever writes a base URL into it has the secrets sent there."""
    (fault,) = config.faults(REFERENCE, SHOP, mode=mode)
    assert f"{mode:04o}" in fault


def test_somebody_elses_file_may_be_shared_with_our_group(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So containers mount secrets: owned by root, readable by the group they run in."""
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    assert config.load(LITERAL, mode=0o640).connection.password == SecretStr(SECRET)
    for mode in (0o644, 0o660):
        (fault,) = config.faults(LITERAL, mode=mode)
        assert f"{mode:04o}" in fault


def test_a_variable_that_is_referred_to_is_no_misspelt_one(config: Config) -> None:
    production = {"MIXPANEL_PROD_PASSWORD": SECRET}
    text = one_table('password = "env:MIXPANEL_PROD_PASSWORD"')
    assert password_of(config, text, **production) == SECRET
    (fault,) = config.faults(one_table(), production)
    assert fault.endswith("did you mean MIXPANEL_PASSWORD?")
