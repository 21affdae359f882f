"""The reports that follow users from event to event, each in a form that gives it much to do."""

from collections.abc import Callable
from datetime import UTC, datetime

from million_events import FIRST_DAY, LAST_DAY, NAMES

from mixpanel_mcp.analytics.cohorts import ByCondition, cohort_members
from mixpanel_mcp.analytics.frequency import FrequencyQuery, frequency, segmented_frequency
from mixpanel_mcp.analytics.funnels import FunnelQuery, funnel, segmented_funnel
from mixpanel_mcp.analytics.insights import InsightsQuery, Metric, insights
from mixpanel_mcp.analytics.profile_queries import (
    Behavior,
    Behaviors,
    ProfileQuery,
    matching_ids,
)
from mixpanel_mcp.analytics.retention import RetentionQuery, retention, segmented_retention
from mixpanel_mcp.analytics.selectors import Selector
from mixpanel_mcp.analytics.store import Store

NOW = datetime(2026, 2, 1, tzinfo=UTC)

STEPS = [Selector(name) for name in NAMES]
STRICT_STEPS = [
    Selector(name, 'properties["platform"] == "ios" or properties["amount"] > 500')
    for name in NAMES
]
ANY_TIME = RetentionQuery(FIRST_DAY, LAST_DAY, interval_count=30)
BUYERS = Behavior("bought", "30d", STRICT_STEPS[2:3])

USER_REPORTS: dict[str, Callable[[Store], object]] = {
    "funnel": lambda store: funnel(store, FunnelQuery(STEPS[:3], FIRST_DAY, LAST_DAY)),
    "funnel with conditions": lambda store: funnel(
        store, FunnelQuery(STRICT_STEPS, FIRST_DAY, LAST_DAY, where='user["plan"] == "pro"')
    ),
    "long funnel by platform": lambda store: segmented_funnel(
        store, FunnelQuery(STEPS * 2, FIRST_DAY, LAST_DAY), 'properties["platform"]'
    ),
    "as many funnels as events": lambda store: segmented_funnel(
        store, FunnelQuery(STEPS[:3], FIRST_DAY, LAST_DAY), 'properties["session"]'
    ),
    "retention": lambda store: retention(
        store,
        RetentionQuery(
            FIRST_DAY, LAST_DAY, born=STEPS[1], returned=STRICT_STEPS[0], interval_count=30
        ),
    ),
    "retention of every day": lambda store: retention(store, ANY_TIME),
    "retention of every day by platform": lambda store: segmented_retention(
        store, ANY_TIME, 'properties["platform"]'
    ),
    "frequency": lambda store: frequency(store, FrequencyQuery(FIRST_DAY, LAST_DAY)),
    "frequency in a month by city": lambda store: segmented_frequency(
        store, FrequencyQuery(FIRST_DAY, LAST_DAY, "month", "day"), 'properties["$city"]'
    ),
    "insights by city": lambda store: insights(
        store,
        InsightsQuery(
            [Metric(step, "unique") for step in STEPS],
            FIRST_DAY,
            LAST_DAY,
            unit="hour",
            breakdown="$city",
        ),
        NOW,
    ),
    "profiles by what they did": lambda store: matching_ids(
        store,
        ProfileQuery(
            'properties["plan"] == "pro" and behaviors["bought"] > 1',
            behaviors=Behaviors([BUYERS], int(NOW.timestamp()) * 1_000),
        ),
    ),
    "cohort": lambda store: cohort_members(store, ByCondition('properties["plan"] == "pro"')),
}
