"""Several connections: each is examined, and every line says whose it is."""

import json
import socket
import threading
from pathlib import Path

from clinic import CREDENTIALS, OF_ACCOUNT, UNAUTHORIZED, check, diagnose, heal_eu, healthy, told
from harness import CANARY_PASSWORD, CANARY_TOKEN
from upstream import Upstream, running_upstream
from world import World

from mixpanel_mcp.doctor import Ailment


def configured(folder: Path, shop_url: str, blog_url: str) -> dict[str, str]:
    """Two connections of one account; the variables fill what the tables leave out."""
    path = folder / "connections.toml"
    path.write_text(
        f'[connections.shop]\nbase_url = "{shop_url}"\n[connections.blog]\nbase_url = "{blog_url}"'
    )
    return {**CREDENTIALS, "MIXPANEL_MCP_CONFIG": str(path)}


async def test_all_well_says_whose_each_line_is(tmp_path: Path) -> None:
    async with running_upstream() as shop, running_upstream() as blog:
        healthy(shop, token=CANARY_TOKEN)
        healthy(blog, token=CANARY_TOKEN)
        report = await diagnose(configured(tmp_path, shop.url, blog.url))

    assert report.ailment is None
    assert {check.connection for check in report.checks} == {"shop", "blog"}
    assert report.advice == []
    assert {check["connection"] for check in report.as_data()["checks"]} == {"shop", "blog"}


async def test_an_ill_connection_is_named_and_does_not_spoil_the_other(tmp_path: Path) -> None:
    async with running_upstream() as shop, running_upstream() as blog:
        healthy(shop, token=CANARY_TOKEN)
        healthy(blog, token=CANARY_TOKEN)
        for path in OF_ACCOUNT:
            blog.always(path, UNAUTHORIZED)
        report = await diagnose(configured(tmp_path, shop.url, blog.url))

    assert report.ailment is Ailment.BAD_SECRET
    ill = {check.connection for check in report.checks if check.ailment is not None}
    assert ill == {"blog"}
    assert all(sentence.startswith("blog: ") for sentence in report.advice)


async def test_with_one_connection_no_name_is_in_the_way(tmp_path: Path) -> None:
    async with running_upstream() as shop:
        healthy(shop, token=CANARY_TOKEN)
        path = tmp_path / "connections.toml"
        path.write_text(f'[connections.shop]\nbase_url = "{shop.url}"')
        report = await diagnose({**CREDENTIALS, "MIXPANEL_MCP_CONFIG": str(path)})

    assert report.ailment is None
    assert "shop: " not in report.as_text()
    assert "connection" not in json.dumps(report.as_data()["checks"][0])


async def test_connections_are_examined_side_by_side(tmp_path: Path) -> None:
    """Each name is told only once both were asked for: one after the other would never end."""
    hosts = {"shop.example.com", "blog.example.com"}
    waiting, both = set[str](), threading.Event()

    def lookup(host: str, port: int) -> object:
        del port
        waiting.add(host)
        if waiting == hosts:
            both.set()
        both.wait(20)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    shop, blog = "https://shop.example.com", "https://blog.example.com"
    report = await diagnose(configured(tmp_path, shop, blog), lookup=lookup)

    assert report.ailment is Ailment.DNS
    assert "did not answer" not in report.as_text()
    order = dict.fromkeys(check.connection for check in report.checks)
    assert list(order) == ["shop", "blog"]


async def test_a_missing_account_comes_before_the_bad_secret_of_another(tmp_path: Path) -> None:
    path = tmp_path / "connections.toml"
    async with running_upstream() as blog:
        blog.default = UNAUTHORIZED
        account = 'username = "robot"\npassword = "env:BLOG_SECRET"'
        path.write_text(
            f'[connections.blog]\nbase_url = "{blog.url}"\n{account}\n[connections.shop]'
        )
        report = await diagnose(
            {
                "MIXPANEL_MCP_CONFIG": str(path),
                "BLOG_SECRET": CANARY_PASSWORD,
                "MIXPANEL_PROJECT_ID": "4242",
            }
        )

    assert report.ailment is Ailment.NOT_CONFIGURED
    assert report.advice[0].startswith("shop: Set ")


# Where to mend it


async def test_advice_names_the_table_or_the_variable_that_was_read(
    tmp_path: Path, upstream: Upstream
) -> None:
    upstream.default = UNAUTHORIZED
    path = tmp_path / "connections.toml"
    path.write_text(
        f'[connections.blog]\nbase_url = "{upstream.url}"\npassword = "env:BLOG_SECRET"'
    )

    report = await diagnose(
        {
            "MIXPANEL_MCP_CONFIG": str(path),
            "BLOG_SECRET": CANARY_PASSWORD,
            "MIXPANEL_USERNAME": "robot",
            "MIXPANEL_PROJECT_ID": "4242",
        }
    )

    assert report.ailment is Ailment.BAD_SECRET
    assert "Check MIXPANEL_USERNAME and connections.blog.password" in told(report)
    assert "connections.blog.project_token is not set" in check(report, "settings").detail
    assert "connections.blog.base_url is set" in check(report, "region").detail
    for setting in ("MIXPANEL_PASSWORD", "MIXPANEL_PROJECT_TOKEN", "MIXPANEL_BASE_URL"):
        assert setting not in report.as_text()


async def test_a_region_is_mended_in_the_table_where_others_share_the_variable(
    tmp_path: Path, world: World
) -> None:
    heal_eu(world)
    path = tmp_path / "connections.toml"
    path.write_text('[connections.shop]\nregion = "eu"\n[connections.blog]')
    variables = {**CREDENTIALS, "MIXPANEL_REGION": "in", "MIXPANEL_MCP_CONFIG": str(path)}

    report = await diagnose(variables)

    assert report.ailment is Ailment.WRONG_REGION
    assert report.advice[0] == 'blog: Set connections.blog.region = "eu".'


async def test_no_advice_on_the_network_names_a_variable_that_the_table_hides(
    tmp_path: Path,
) -> None:
    long = f"https://{'a' * 64}.example.com"

    report = await diagnose(configured(tmp_path, long, long), lookup=socket.getaddrinfo)

    assert report.ailment is Ailment.DNS
    assert "connections.shop.base_url" in told(report)
    assert "MIXPANEL_BASE_URL" not in told(report)
