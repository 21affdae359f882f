"""What picks events: a name, and a condition on their properties."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mixpanel_mcp.analytics.counted import events_source
from mixpanel_mcp.analytics.expressions import Bindings, Subject, condition, needs_user


class Selector(NamedTuple):
    """`event` None is any event."""

    event: str | None = None
    where: str | None = None

    @property
    def label(self) -> str:
        """What reports call it."""
        return "$any_event" if self.event is None else self.event

    def sql(self, bindings: Bindings) -> str:
        """A condition on the columns of events.

        Raises:
            ExpressionError: `where` is no expression.
        """
        if self.where is None:
            return "TRUE" if self.event is None else f"(event = {bindings.add(self.event)})"
        fits = condition(self.where, Subject.EVENTS, bindings)
        if self.event is None:
            return f"({fits})"
        # Unlike AND, CASE does not look into the properties of events with another name.
        return f"(CASE WHEN event = {bindings.add(self.event)} THEN {fits} ELSE FALSE END)"


ANY_EVENT = Selector()


def selected_events(
    selectors: Iterable[Selector],
    bindings: Bindings,
    *expressions: str | None,
    from_time: int | None = None,
    to_time: int | None = None,
) -> str:
    """SQL to select from: at least all events in the range that one of the selectors fits.

    The user's profile is joined if a selector or one of the `expressions` asks for it.
    """
    selectors = list(selectors)
    names = {selector.event for selector in selectors}
    return events_source(
        bindings,
        from_time=from_time,
        to_time=to_time,
        names=None if None in names else sorted(name for name in names if name is not None),
        with_user=needs_user(*expressions, *(selector.where for selector in selectors)),
    )
