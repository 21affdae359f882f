"""What a script reads: the plan that its main() returned.

It comes out of the script's own engine, so nothing in it is taken on trust.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from mixpanel_mcp.sandbox.jql.errors import JqlError


class Selector(BaseModel):
    event: str | None = None
    selector: str | None = None
    """A segmentation expression."""
    label: str | None = None


class _Source(BaseModel):
    stack: str
    """Where the script asked for it."""
    by_user: bool = False
    """Sorted by user and time."""


class EventsPlan(_Source):
    kind: Literal["events"]
    from_date: date
    to_date: date
    event_selectors: list[Selector]


class PeoplePlan(_Source):
    kind: Literal["people"]
    user_selectors: list[Selector]


class JoinPlan(_Source):
    kind: Literal["join"]
    type: Literal["full", "left", "right", "inner"]
    events: EventsPlan
    people: PeoplePlan
    selectors: list[Selector]


Plan = EventsPlan | PeoplePlan | JoinPlan

_PLAN: TypeAdapter[Plan] = TypeAdapter(Annotated[Plan, Field(discriminator="kind")])


def read_plan(text: bytes) -> Plan:
    """Read the plan.

    Raises:
        JqlError: the script has bent the functions around it until they made no plan.
    """
    try:
        return _PLAN.validate_json(text)
    except ValidationError:
        raise JqlError("main() returned a collection that cannot be read.") from None
