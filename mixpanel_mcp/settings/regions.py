"""Where a project's data lives, in every spelling that Mixpanel uses."""

from collections.abc import Mapping
from enum import StrEnum


class Region(StrEnum):
    """Where a project's data lives; it decides the host of every request."""

    US = "us"
    EU = "eu"
    IN = "in"


# The hosts' own spellings, as the connector document offers them for its three kinds of host.
REGION_SPELLINGS: Mapping[str, Region] = {
    "us": Region.US,
    "api": Region.US,
    "data": Region.US,
    "mixpanel": Region.US,
    "eu": Region.EU,
    "api-eu": Region.EU,
    "data-eu": Region.EU,
    "eu.mixpanel": Region.EU,
    "in": Region.IN,
    "api-in": Region.IN,
    "data-in": Region.IN,
    "in.mixpanel": Region.IN,
}


def parse_region(value: object) -> object:
    """Understand every spelling of a region, in any letter case."""
    if isinstance(value, str) and not isinstance(value, Region):
        region = REGION_SPELLINGS.get(value.strip().lower())
        if region is None:
            raise ValueError(f"{value!r:.60} is not a region; use us, eu or in")
        return region
    return value
