"""The demo project: a small shop, sixty days of it, the same on every start.

A pure function of the day it ends. `truth` says what can be found out about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mixpanel_mcp.sandbox.demo.saved import Saved, saved_things
from mixpanel_mcp.sandbox.demo.story import told

if TYPE_CHECKING:
    from datetime import date

    from mixpanel_mcp.analytics.events import Event
    from mixpanel_mcp.analytics.profiles import Properties

__all__ = ["DemoProject", "demo_project"]


@dataclass(frozen=True)
class DemoProject:
    events: list[Event]
    profiles: dict[str, Properties]
    saved: dict[Saved, list[dict[str, Any]]]


def demo_project(today: date) -> DemoProject:
    """Return the project as it is on the morning of `today`."""
    events, profiles = told(today)
    return DemoProject(events, profiles, saved_things(today, profiles))
