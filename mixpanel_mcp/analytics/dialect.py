"""DuckDB's words for what each warehouse says in its own way; JSON is in `json_access`."""

from __future__ import annotations


def first_defined(candidates: list[str]) -> str:
    """SQL for the first that is not NULL."""
    return candidates[0] if len(candidates) == 1 else f"COALESCE({', '.join(candidates)})"


def any_defined(candidates: list[str]) -> str:
    if not candidates:
        return "FALSE"
    return "(" + " OR ".join(f"({candidate}) IS NOT NULL" for candidate in candidates) + ")"


def finite(sql: str) -> str:
    """Division by zero and what is too large for a number leave NULL."""
    return f"list_filter([{sql}], lambda result: isfinite(result))[1]"


def let(name: str, sql: str, body: str) -> str:
    """SQL for a body that uses a value more than once, by a name."""
    return f"list_transform([{sql}], lambda {name}: {body})[1]"


def number_text(sql: str) -> str:
    """SQL for a number as decimal text: 5 and 2.5, never 5.0 or -0."""
    whole = "number = trunc(number) AND abs(number) < 1e18"
    text = "CAST(CAST(number AS BIGINT) AS VARCHAR)"
    body = f"CASE WHEN {whole} THEN {text} ELSE CAST(number AS VARCHAR) END"
    return let("number", sql, body)


def months(time: str) -> str:
    """SQL for the number of the month, counted from year 0, in which a time lies in UTC."""
    # `epoch_ms` gives a timestamp without a zone: UTC, whatever the session says.
    return f"(year(epoch_ms({time})) * 12 + month(epoch_ms({time})) - 1)"


def texts(parameter: str) -> str:
    """SQL for a subquery whose one column, `text`, has the items of a list of strings."""
    return f"(SELECT unnest({parameter}::VARCHAR[]) AS text)"


def at_most(limit: int) -> str:
    """A LIMIT clause.

    Raises:
        ValueError: the limit is not positive.
    """
    if limit < 1:
        raise ValueError(f"a limit is at least 1, not {limit}")
    return f"LIMIT {limit:d}"


def exact_sum(sql: str) -> str:
    """SQL for a sum that does not hang on the order in which rows come."""
    return f"fsum({sql})"
