"""What single users did, against the same events read plainly."""

import pytest
from random_events import FIRST_DAY, LAST_DAY, random_events, within

from mixpanel_mcp.analytics.activity import activity_feed
from mixpanel_mcp.analytics.buckets import Buckets


@pytest.mark.parametrize(
    "asked", [["user-4"], ["名前", "user-5"], ["device-1"], ["user-1", "device-1"], ["nobody"], []]
)
@pytest.mark.parametrize("seed", range(3))
def test_a_user_is_found_by_any_id(seed: int, asked: list[str]) -> None:
    world = random_events(seed)
    users = {world.merged.get(distinct_id, distinct_id) for distinct_id in asked}
    expected = [
        {
            "event": event.event,
            "properties": {
                "time": event.time // 1_000,
                "distinct_id": event.user,
                "$insert_id": event.insert_id,
                "mp_processing_time_ms": event.processed,
                **event.properties,
            },
        }
        for event in within(world.counted, FIRST_DAY, LAST_DAY)
        if event.user in users
    ]
    assert activity_feed(world.store, asked, Buckets(FIRST_DAY, LAST_DAY)) == expected
