"""DuckDB's words for what each warehouse says in its own way; JSON is in `json_access`."""

from __future__ import annotations


def first_defined(candidates: list[str]) -> str:
    """SQL for the first that is not NULL."""
    return candidates[0] if len(candidates) == 1 else f"COALESCE({', '.join(candidates)})"


def any_defined(candidates: list[str]) -> str:
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
