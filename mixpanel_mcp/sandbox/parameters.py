"""Query parameters, checked one by one, with the query API's refusals."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, TypeVar

from mixpanel_mcp.analytics.expressions import (
    Bindings,
    ExpressionError,
    Subject,
    condition,
    segment,
)
from mixpanel_mcp.sandbox.json_values import NotJsonError, is_list_of_text, is_utf8, parse_json
from mixpanel_mcp.sandbox.replies import RefusedError, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from starlette.requests import Request

Choice = TypeVar("Choice", bound=str)

YEARS = range(1900, 3000)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class Parameters:
    """The values of one request. An empty value counts as a missing one."""

    def __init__(self, values: Mapping[str, str], refuse: Callable[[str], RefusedError]) -> None:
        self._values = values
        self.refuse = refuse

    @classmethod
    def of(cls, request: Request, values: Mapping[str, str] | None = None) -> Parameters:
        return cls(
            request.query_params if values is None else values,
            lambda error: refused(request, 400, error),
        )

    def text(self, name: str) -> str | None:
        return self._values.get(name) or None

    def required(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise self.refuse(f"Missing required parameter: {name}")
        return value

    def integer(self, name: str, *, least: int = 1, most: int | None = None) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        number = int(value) if re.fullmatch(r"-?\d{1,19}", value, re.ASCII) else None
        if number is None or not -(2**63) <= number < 2**63:
            raise self.refuse(f"{name} must be an integer")
        if number < least:
            raise self.refuse(f"{name} must be at least {least}")
        if most is not None and number > most:
            raise self.refuse(f"{name} cannot be over {most}")
        return number

    def required_integer(self, name: str) -> int:
        self.required(name)
        return self.integer(name, least=0) or 0

    def choice(self, name: str, choices: Collection[Choice]) -> Choice | None:
        value = self.text(name)
        if value is None:
            return None
        for choice in choices:
            if choice == value:
                return choice
        raise self.refuse(f"{name} must be one of {', '.join(choices)}")

    def switch(self, name: str) -> bool | None:
        value = self.choice(name, ("true", "false", "1", "0"))
        return None if value is None else value in ("true", "1")

    def date(self, name: str) -> date | None:
        value = self.text(name)
        if value is None:
            return None
        try:
            day = date.fromisoformat(value) if _DATE.fullmatch(value) else None
        except ValueError:
            day = None
        if day is None:
            raise self.refuse(f"{name} must be a date in YYYY-MM-DD format")
        # Mixpanel documents no such rule; further away the calendar of this program ends.
        if day.year not in YEARS:
            raise self.refuse(f"{name} must lie in a year from {YEARS[0]} to {YEARS[-1]}")
        return day

    def required_dates(self) -> tuple[date, date]:
        self.required("from_date")
        self.required("to_date")
        from_date, to_date = self.date("from_date"), self.date("to_date")
        if from_date is None or to_date is None or from_date > to_date:
            raise self.refuse("from_date cannot be later than to_date")
        return from_date, to_date

    def texts(self, name: str) -> list[str] | None:
        """Read a JSON array of texts, which is sent as JSON text."""
        value = self.text(name)
        if value is None:
            return None
        try:
            items = parse_json(value)
        except NotJsonError:
            items = None
        if not is_list_of_text(items) or not all(map(is_utf8, items)):
            raise self.refuse(f"{name} must be a JSON array of strings")
        return items

    def condition(self, name: str, subject: Subject = Subject.EVENTS) -> str | None:
        """Read an expression that selects; one that cannot be read is refused with its place."""
        return self._expression(name, lambda text: condition(text, subject, Bindings()))

    def segment(self, name: str, subject: Subject = Subject.EVENTS) -> str | None:
        """Read an expression whose values are the segments of a report."""
        return self._expression(name, lambda text: segment(text, subject, Bindings()))

    def _expression(self, name: str, check: Callable[[str], object]) -> str | None:
        text = self.text(name)
        if text is not None:
            try:
                check(text)
            except ExpressionError as error:
                raise self.refuse(f"{name} is not a valid expression: {error}") from error
        return text
