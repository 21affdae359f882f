"""MIXPANEL_BASE_URL: an origin, over https or on loopback, and nothing that could mislead."""

import pytest

from mixpanel_mcp.settings import SettingsError, load_settings


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://proxy.example.com", "https://proxy.example.com"),
        ("https://proxy.example.com/", "https://proxy.example.com"),
        ("HTTPS://Proxy.Example.COM:8443", "https://proxy.example.com:8443"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_a_base_url_is_an_origin(given: str, kept: str) -> None:
    assert load_settings({"MIXPANEL_BASE_URL": given}).connection.base_url == kept


@pytest.mark.parametrize(
    "given",
    [
        "proxy.example.com",
        "//proxy.example.com",
        "ftp://proxy.example.com",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://proxy.example.com/mixpanel",
        "https://proxy.example.com?x=1",
        "https://proxy.example.com#x",
        "https://user@proxy.example.com",
        "https://user:secret@proxy.example.com",
        "https://@proxy.example.com",
        "https://proxy.example.com:port",
        "https://proxy.example.com:99999",
        "https://proxy.example.com\\@evil.example.com",
        "https://proxy example.com",
        "https://proxy.example.com\r\nHost: evil",
        "http://proxy.example.com",
        "http://169.254.169.254",
        "http://10.0.0.1",
        "http://0.0.0.0:8000",
        "http://localhost.evil.example.com",
        "http://127.0.0.1.evil.example.com",
        "http://2130706433",
        "http://[::ffff:10.0.0.1]",
    ],
)
def test_a_base_url_is_https_or_loopback_and_nothing_but_an_origin(given: str) -> None:
    with pytest.raises(SettingsError) as stopped:
        load_settings({"MIXPANEL_BASE_URL": given})
    (fault,) = stopped.value.faults
    assert fault.startswith("MIXPANEL_BASE_URL: ")
