"""What can be wrong on the way to Mixpanel."""

import socket
from pathlib import Path

import pytest
from clinic import CREDENTIALS, EXPORT, at, check, diagnose, heal_region, healthy
from upstream import Answer, Drop, Hang, Reply, Upstream
from world import World

from mixpanel_mcp.doctor import Ailment

# The way to Mixpanel


async def test_a_proxy_in_use_is_told_without_its_password(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    heal_region(world, "api.mixpanel", "data.mixpanel", "mixpanel")
    address = world.variables["HTTPS_PROXY"].removeprefix("http://")
    monkeypatch.setenv("HTTPS_PROXY", f"http://someone:proxy-secret@{address}")

    report = await diagnose(CREDENTIALS)

    assert report.ailment is None
    assert address in check(report, "proxy").detail
    assert "proxy-secret" not in report.as_text()


@pytest.mark.parametrize("status", [403, 407, 502])
async def test_a_proxy_that_refuses(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", upstream.url)
    upstream.default = Reply(status)

    report = await diagnose(CREDENTIALS)

    assert report.ailment is Ailment.PROXY
    assert str(status) in check(report, "proxy").detail
    assert "HTTPS_PROXY" in report.advice[0]


async def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")

    report = await diagnose(CREDENTIALS)

    assert report.ailment is Ailment.PROXY
    assert "cannot be reached" in check(report, "proxy").detail


async def test_a_proxy_whose_name_has_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example.com:3128")

    report = await diagnose(CREDENTIALS, lookup=unknown_name)

    assert report.ailment is Ailment.PROXY
    assert "proxy.example.com has no address" in check(report, "proxy").detail


@pytest.mark.parametrize("address", ["ftp://proxy", "http://proxy:port", "socks5://127.0.0.1:9"])
async def test_a_proxy_of_which_nothing_can_be_made(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)

    report = await diagnose(CREDENTIALS)

    assert report.ailment is Ailment.PROXY


async def test_a_proxy_is_passed_by_on_the_way_to_loopback(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com:3128")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.com:3128")
    healthy(upstream)

    report = await diagnose(at(upstream))

    assert report.ailment is None
    assert "names none" in check(report, "proxy").detail


def unknown_name(host: str, port: int) -> object:
    del host, port
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


async def test_a_name_without_an_address() -> None:
    report = await diagnose(CREDENTIALS, lookup=unknown_name)

    assert report.ailment is Ailment.DNS
    assert "api.mixpanel.com has no address" in report.as_text()
    assert "name service" in report.advice[0]


async def test_a_host_that_cannot_be_a_name() -> None:
    """No name service is asked for it: Python refuses it."""
    long = f"https://{'a' * 64}.example.com"

    report = await diagnose({**CREDENTIALS, "MIXPANEL_BASE_URL": long}, lookup=socket.getaddrinfo)

    assert report.ailment is Ailment.DNS


async def test_a_name_service_that_does_not_answer_does_not_hold_us_up() -> None:
    import threading  # noqa: PLC0415

    end = threading.Event()

    report = await diagnose(CREDENTIALS, seconds=0.2, lookup=lambda _host, _port: end.wait(20))
    end.set()

    assert report.ailment is Ailment.DNS
    assert "did not answer" in report.as_text()


async def test_a_host_that_speaks_no_tls(upstream: Upstream) -> None:
    url = upstream.url.replace("http://", "https://")

    report = await diagnose({**CREDENTIALS, "MIXPANEL_BASE_URL": url})

    assert report.ailment is Ailment.TLS


async def test_a_certificate_that_nobody_vouches_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")

    report = await diagnose(CREDENTIALS)

    assert report.ailment is Ailment.TLS
    assert "self-signed certificate" in report.as_text().replace("self signed", "self-signed")
    assert "SSL_CERT_FILE" in report.advice[0]
    assert world.asked == []


async def test_trusted_certificates_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))

    report = await diagnose(CREDENTIALS)

    assert report.ailment is Ailment.TLS
    assert "SSL_CERT_FILE" in report.as_text()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


async def test_a_host_that_is_not_there() -> None:
    report = await diagnose({**CREDENTIALS, "MIXPANEL_BASE_URL": f"http://127.0.0.1:{free_port()}"})

    assert report.ailment is Ailment.UNREACHABLE
    assert "Connection refused" in report.as_text()


@pytest.mark.parametrize("silent", [Drop(), Hang()])
async def test_a_host_that_gives_no_answer(upstream: Upstream, silent: Answer) -> None:
    upstream.default = silent

    report = await diagnose(at(upstream), seconds=0.3)

    assert report.ailment is Ailment.UNREACHABLE


async def test_one_host_that_is_not_reached_does_not_hide_the_others(upstream: Upstream) -> None:
    healthy(upstream).always(EXPORT, Drop())

    report = await diagnose(at(upstream))

    assert report.ailment is Ailment.UNREACHABLE
    assert check(report, "service account on query").outcome == "ok"
