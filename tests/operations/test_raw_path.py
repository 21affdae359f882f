"""Where a passthrough request may go: Mixpanel's own hosts, and no spelling around them."""

from typing import Any

import pytest
from harness import Connect
from upstream import Upstream, running_upstream

from mixpanel_mcp.api.errors import InvalidArgumentsError
from mixpanel_mcp.api.regions import ORIGINS, Family, origin
from mixpanel_mcp.operations.raw_path import family_of, read_url, target_of, with_data_prefix
from mixpanel_mcp.settings import Connection, Region

# The table of design.md, section 3: a path, its family, and the path that is sent.
PATHS = [
    ("/api/query", Family.QUERY, "/api/query"),
    ("/api/query/cohorts/list", Family.QUERY, "/api/query/cohorts/list"),
    ("/API/Query/jql", Family.QUERY, "/API/Query/jql"),
    ("/api/2.0/export", Family.DATA, "/api/2.0/export"),
    ("/api/2.0/nessie/pipeline/jobs", Family.DATA, "/api/2.0/nessie/pipeline/jobs"),
    ("/export", Family.DATA, "/api/2.0/export"),
    ("/nessie/pipeline/jobs", Family.DATA, "/api/2.0/nessie/pipeline/jobs"),
    ("/Export", Family.DATA, "/api/2.0/Export"),
    ("/api/2.0/engage", Family.QUERY, "/api/2.0/engage"),
    ("/api/2.0", Family.QUERY, "/api/2.0"),
    ("/api/2.0/exports", Family.QUERY, "/api/2.0/exports"),
    ("/api/app/me", Family.APP, "/api/app/me"),
    ("/api/app", Family.APP, "/api/app"),
    ("/api/application", Family.INGESTION, "/api/application"),
    ("/api/querying", Family.INGESTION, "/api/querying"),
    ("/exports", Family.INGESTION, "/exports"),
    ("/nessies", Family.INGESTION, "/nessies"),
    ("/import", Family.INGESTION, "/import"),
    ("/track", Family.INGESTION, "/track"),
    ("/engage", Family.INGESTION, "/engage"),
    ("/lookup-tables/abc", Family.INGESTION, "/lookup-tables/abc"),
    ("/", Family.INGESTION, "/"),
]
HOSTS = {
    (region, family): host
    for region, families in ORIGINS.items()
    for family, host in families.items()
    if family is not Family.APP
}


@pytest.mark.parametrize(("path", "family", "sent"), PATHS)
def test_the_path_tells_the_kind_of_host(path: str, family: Family, sent: str) -> None:
    assert family_of(path) is family
    assert with_data_prefix(path) == sent


@pytest.mark.parametrize("region", Region)
@pytest.mark.parametrize(("path", "family", "sent"), PATHS)
def test_without_a_base_url_region_and_path_decide(
    path: str, family: Family, sent: str, region: Region
) -> None:
    by_argument = target_of(Connection(), path, None, region)
    by_connection = target_of(Connection(region=region), path, None, None)

    assert by_argument == by_connection
    assert (by_argument.family, by_argument.region, by_argument.path) == (family, region, sent)
    assert origin(Connection(), by_argument.region, by_argument.family) == ORIGINS[region][family]


def test_there_are_nine_origins() -> None:
    assert len(set(HOSTS.values())) == 9


@pytest.mark.parametrize(("place", "host"), HOSTS.items())
@pytest.mark.parametrize("spelled", ["{0}", "{0}/", "{1}", "{1}/"])
def test_each_of_them_names_region_and_family(
    place: tuple[Region, Family], host: str, spelled: str
) -> None:
    base_url = spelled.format(host, host.upper())

    target = target_of(Connection(), "/anything", base_url, None)

    assert (target.region, target.family) == place
    assert origin(Connection(), target.region, target.family) == host


@pytest.mark.parametrize("region", Region)
def test_query_and_app_share_their_origins(region: Region) -> None:
    host = ORIGINS[region][Family.QUERY]

    assert target_of(Connection(), "/api/app/me", host, None).family is Family.APP
    assert target_of(Connection(), "/api/query/jql", host, None).family is Family.QUERY


def test_a_base_url_may_repeat_the_region_but_not_contradict_it() -> None:
    host = "https://data-eu.mixpanel.com"

    assert target_of(Connection(), "/export", host, Region.EU).region is Region.EU
    with pytest.raises(InvalidArgumentsError, match="another region"):
        target_of(Connection(), "/export", host, Region.US)


def test_the_configured_base_url_may_be_named_and_is_always_used() -> None:
    own = Connection(base_url="https://proxy.example.com:8443", region=Region.EU)

    for named in ("https://proxy.example.com:8443", "HTTPS://Proxy.example.com:8443/", None):
        target = target_of(own, "/export", named, None)
        assert (target.family, target.region) == (Family.DATA, Region.EU)
    elsewhere = target_of(own, "/export", "https://data.mixpanel.com", None)
    assert origin(own, elsewhere.region, elsewhere.family) == "https://proxy.example.com:8443"


@pytest.mark.parametrize(
    ("url", "path", "query"),
    [
        ("import", "/import", ()),
        ("/engage#profile-set", "/engage", ()),
        ("/track?verbose=1&ip=0#x?y=2", "/track", (("verbose", "1"), ("ip", "0"))),
        ("/import?strict", "/import", (("strict", ""),)),
        ("/lookup-tables/a%2Fb%20c", "/lookup-tables/a%2Fb%20c", ()),
        ("/lookup-tables/a b ü", "/lookup-tables/a%20b%20%C3%BC", ()),
        ("/x?a=1&a=2&b=%26+%2B", "/x", (("a", "1"), ("a", "2"), ("b", "& +"))),
    ],
)
def test_a_path_is_split_and_encoded(url: str, path: str, query: tuple[Any, ...]) -> None:
    """A fragment is a label of the documentation, which is never sent."""
    assert read_url(url) == (path, query)


# `{0}` is a canary's host and port: it must hear nothing, and neither may Mixpanel.
HOSTILE_URLS = [
    "",
    "http://{0}/x",
    "https://{0}/x",
    "HTTP://{0}/x",
    "hTtPs:{0}/x",
    "http:/{0}/x",
    "http:///{0}/x",
    "//{0}/x",
    "///{0}/x",
    "////{0}",
    "/x//{0}",
    "/%2f{0}/x",
    "/%2F%2F{0}/x",
    "%2f%2f{0}/x",
    "\\\\{0}\\x",
    "/\\{0}/x",
    "/x\\..\\y",
    "/x/%5c%5c{0}",
    "/x/%255c{0}",
    "http://user:pass@{0}/x",
    "//user@{0}/x",
    "@{0}/x",
    "/@{0}/x",
    "/x@{0}",
    "api.mixpanel.com@{0}/x",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "ftp:x",
    "gopher://{0}/_x",
    "data:text/plain,x",
    "localhost:80/x",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://017700000001/",
    "http://[::1]/",
    "http://[::ffff:169.254.169.254]/latest",
    "http://169.254.169.254/latest/meta-data",
    "http://{0}\u3002example/x",
    "https://m\u0456xpanel.com/x",
    "http:\u2044\u2044{0}/x",
    "..",
    ".",
    "../x",
    "/..",
    "/../import",
    "/x/..",
    "/x/../y",
    "/x/./y",
    "/x/..;/y",
    "/x/.;a=b/y",
    "/x/%2e%2e/y",
    "/x/.%2E/y",
    "/x/%2e",
    "/x/%252e%252e/y",
    "/x/%25252e%25252e/y",
    "/x%2f..%2fy",
    "/x%252f%252e%252e%252fy",
    "/x\r\nHost: {0}",
    "/x\nAuthorization: none",
    "/x%0d%0aX-Evil: 1",
    "/x%250d%250aX-Evil: 1",
    "/x\x00",
    "/x%00",
    "/x\t",
    "/x\x7f",
    "/x\x85y",
    "/x\u2028y",
    "/x%e2%80%a9y",
    "/sandbox",
    "sandbox/reset",
    "/sandbox/requests",
    "/SandBox/reset",
    "/sandbox;x=1/reset",
    "/%73andbox/reset",
    "/%2573andbox/reset",
    "/sandbox%2freset",
    "/sandbox?x=1",
    "/sandbox#x",
    "/./sandbox/reset",
    "/x/../sandbox/reset",
    "/;/sandbox/reset",
]


def test_the_list_of_hostile_forms_is_long_enough() -> None:
    assert len(HOSTILE_URLS) + len(HOSTILE_BASES) >= 60


async def test_hostile_urls_send_nothing_to_anybody(connect: Connect, upstream: Upstream) -> None:
    slipped: list[str] = []
    async with running_upstream() as canary, connect() as tools:
        for form in HOSTILE_URLS:
            url = form.format(canary.url.removeprefix("http://"))
            raw = await tools.call("raw_request", url=url, method="GET")
            created = await tools.call("create_generic_pipeline", url=url, method="GET")
            edited = await tools.call("edit_generic_pipeline", name="p", url=url, confirm=True)
            answers = (raw, created, edited)
            if {(answer.status, "url:" in answer.text) for answer in answers} != {
                ("refused", True)
            }:
                slipped.append(form)
        assert canary.requests == []

    assert slipped == []
    assert upstream.requests == []


HOSTILE_BASES = [
    "",
    "/",
    "http://{0}",
    "https://{0}",
    "//{0}",
    "{0}",
    "http://api.mixpanel.com",
    "api.mixpanel.com",
    "//api.mixpanel.com",
    "https:api.mixpanel.com",
    "https:/api.mixpanel.com",
    "https:\\\\api.mixpanel.com",
    "https://api.mixpanel.com:443",
    "https://api.mixpanel.com:8443",
    "https://api.mixpanel.com.{0}",
    "https://api.mixpanel.com@{0}",
    "https://user:pass@api.mixpanel.com",
    "https://{0}#api.mixpanel.com",
    "https://{0}/?https://api.mixpanel.com",
    "https://api.mixpanel.com#@{0}",
    "https://api.mixpanel.com?@{0}",
    "https://api.mixpanel.com/x",
    "https://api.mixpanel.com/..",
    "https://api.mixpanel.com\\@{0}",
    "https://api.mixpanel.com%2e{0}",
    "https://api%2emixpanel.com",
    "https://api.mixpanel.com.",
    "https://api-us.mixpanel.com",
    "https://platform-us.mixpanel.com",
    "https://www.mixpanel.com",
    "https://evilmixpanel.com",
    "https://\u0430pi.mixpanel.com",
    "https://api\u3002mixpanel\u3002com",
    "https://\uff41pi.mixpanel.com",
    "https://api.mixpanel.com\u200b",
    "https://api.mixpanel.com\r\nHost: {0}",
    "https://api.mixpanel.com\x00",
    " https://api.mixpanel.com",
    "https://api.mixpanel.com ",
    "https://169.254.169.254",
    "https://2852039166",
    "https://0xA9FEA9FE",
    "https://[::ffff:169.254.169.254]",
    "https://localhost",
    "file:///etc/passwd",
    "ws://api.mixpanel.com",
]


async def test_hostile_base_urls_send_nothing_to_anybody(
    connect: Connect, upstream: Upstream
) -> None:
    slipped: list[str] = []
    async with running_upstream() as canary, connect() as tools:
        for form in HOSTILE_BASES:
            answer = await tools.call(
                "raw_request",
                url="/api/query/cohorts/list",
                method="GET",
                base_url=form.format(canary.url.removeprefix("http://")),
            )
            said_what_there_is = "https://api-eu.mixpanel.com" in answer.text
            if (answer.status, answer.is_error, said_what_there_is) != ("refused", True, True):
                slipped.append(form)
        assert canary.requests == []

    assert slipped == []
    assert upstream.requests == []
