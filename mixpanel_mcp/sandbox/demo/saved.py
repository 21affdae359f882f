"""What somebody has saved in the demo project: reports, cohorts and pipelines."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Literal

from mixpanel_mcp.sandbox.clock import HOUR, midnight
from mixpanel_mcp.sandbox.demo import truth

if TYPE_CHECKING:
    from mixpanel_mcp.analytics.profiles import Properties

Saved = Literal["funnel", "insights", "cohort", "pipeline"]


def saved_things(today: date, profiles: dict[str, Properties]) -> dict[Saved, list[dict[str, Any]]]:
    pro = [name for name, profile in profiles.items() if profile["plan"] == "pro"]
    buyers = [name for name, profile in profiles.items() if profile["purchases"]]
    return {
        "funnel": [_funnel(name, *definition) for name, definition in truth.FUNNELS.items()],
        "insights": [
            {
                "name": truth.INSIGHTS_PURCHASES,
                "events": [{"event": truth.PURCHASE_COMPLETED, "math": "total"}],
                "breakdown": "platform",
                "unit": "day",
                "chart": "line",
                "from_date": _day(today, 30),
                "to_date": _day(today, 1),
            }
        ],
        "cohort": [
            _cohort(today, truth.COHORT_PRO, pro),
            _cohort(today, truth.COHORT_BUYERS, buyers),
        ],
        "pipeline": _pipelines(today),
    }


def _funnel(name: str, events: tuple[str, ...], days: int) -> dict[str, Any]:
    steps = [{"event": event} for event in events]
    return {"name": name, "steps": steps, "length": days, "length_unit": "day"}


def _cohort(today: date, name: str, distinct_ids: list[str]) -> dict[str, Any]:
    created = f"{_day(today, 20)} 09:30:00"
    return {"name": name, "distinct_ids": distinct_ids, "created": created}


_DAILY_JSON: dict[str, Any] = {
    "trial": False,
    "data_format": "json",
    "sync": False,
    "frequency": "daily",
    "events": [],
    "where": None,
    "to_date": None,
}


def _pipelines(today: date) -> list[dict[str, Any]]:
    """One hourly, one of people, one that has ended: a daily one can still be made."""
    return [
        {
            **_DAILY_JSON,
            "name": "events-hourly-gcs-raw",
            "type": "gcs-raw",
            "data_source": "events",
            "frequency": "hourly",
            "from_date": _day(today, 5),
            "created": _morning(today, 5),
            "destination": {"gcs_bucket": "shop-events", "gcs_region": "europe-west3"},
        },
        {
            **_DAILY_JSON,
            "name": "people-daily-bigquery-monoschema",
            "type": "bigquery",
            "data_source": "people",
            "sync": True,
            "schema_type": "monoschema",
            "from_date": _day(today, 30),
            "created": _morning(today, 30),
            "retried": [_day(today, 11)],
            "destination": {
                "bq_region": "EU",
                "gcp_project": "shop-warehouse",
                "bq_dataset_name": "mixpanel",
            },
        },
        {
            **_DAILY_JSON,
            "name": "events-backfill-s3-raw",
            "type": "s3-raw",
            "data_source": "events",
            "events": [truth.PURCHASE_COMPLETED],
            "from_date": _day(today, 45),
            "to_date": _day(today, 31),
            "created": _morning(today, 30),
            "destination": {
                "s3_bucket": "shop-archive",
                "s3_region": "eu-central-1",
                "s3_role": "arn:aws:iam::000000000000:role/mixpanel-export",
            },
        },
    ]


def _day(today: date, days_ago: int) -> str:
    return (today - timedelta(days=days_ago)).isoformat()


def _morning(today: date, days_ago: int) -> int:
    return midnight(today - timedelta(days=days_ago)) + 9 * HOUR
