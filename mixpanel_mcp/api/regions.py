"""Which host serves which kind of call (the `servers` of Mixpanel's OpenAPI files)."""

from collections.abc import Mapping
from enum import StrEnum

from mixpanel_mcp.settings import Connection, Region


class Family(StrEnum):
    """Mixpanel's four kinds of host."""

    INGESTION = "ingestion"
    DATA = "data"
    QUERY = "query"
    APP = "app"


# Regions join the host in two ways: ingestion and data take a suffix (`api-eu`), query and app a
# prefix (`eu.`). A table is longer than the rule, and checked by eye.
ORIGINS: Mapping[Region, Mapping[Family, str]] = {
    Region.US: {
        Family.INGESTION: "https://api.mixpanel.com",
        Family.DATA: "https://data.mixpanel.com",
        Family.QUERY: "https://mixpanel.com",
        Family.APP: "https://mixpanel.com",
    },
    Region.EU: {
        Family.INGESTION: "https://api-eu.mixpanel.com",
        Family.DATA: "https://data-eu.mixpanel.com",
        Family.QUERY: "https://eu.mixpanel.com",
        Family.APP: "https://eu.mixpanel.com",
    },
    Region.IN: {
        Family.INGESTION: "https://api-in.mixpanel.com",
        Family.DATA: "https://data-in.mixpanel.com",
        Family.QUERY: "https://in.mixpanel.com",
        Family.APP: "https://in.mixpanel.com",
    },
}

# What stands before an endpoint's own path on each kind of host.
PREFIXES: Mapping[Family, str] = {
    Family.INGESTION: "",
    Family.DATA: "/api/2.0",
    Family.QUERY: "/api/query",
    Family.APP: "/api/app",
}


def origin(connection: Connection, region: Region, family: Family) -> str:
    """The origin a request goes to: the configured one, or Mixpanel's for region and family."""
    return connection.base_url or ORIGINS[region][family]


def origins_in_use(connection: Connection) -> dict[str, str]:
    return {family.value: origin(connection, connection.region, family) for family in Family}


def endpoint(family: Family, path: str) -> str:
    """The whole path of an endpoint, from the one its specification gives."""
    return PREFIXES[family] + path
