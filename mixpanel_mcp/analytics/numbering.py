"""Numbers in the place of texts, for reports that follow users from event to event.

Texts are slow to sort, to join and to tell apart. Users get numbers in no order: a rank would sort
all events, in one thread. Segments get them in the order of their names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def numbered(name: str, found: str, columns: Sequence[str], *, segmented: bool) -> str:
    """SQL for WITH: a table of events with the numbers `person` and `segment`.

    Beside it there is a table, named as it and `_segments`, with each `segment` and its `name`.

    Args:
        name: of the table.
        found: SQL for the events, with `distinct_id`, `segment` if there are any, and the columns.
        columns: what the table has besides.
        segmented: whether there are segments; without, `segment` is NULL.
    """
    if segmented:
        segments = f"""SELECT row_number() OVER (ORDER BY name) AS segment, name
            FROM (SELECT DISTINCT segment AS name FROM {name}_found)"""  # noqa: S608  # our own names
        segment, join = "names.segment", f"JOIN {name}_segments AS names ON name = found.segment"
    else:
        segments = "SELECT NULL::BIGINT AS segment, NULL::VARCHAR AS name WHERE FALSE"
        segment, join = "NULL::BIGINT", ""
    listed = ", ".join(f"found.{column}" for column in columns)
    return f"""{name}_found AS MATERIALIZED ({found}),
    {name}_segments AS MATERIALIZED ({segments}),
    {name}_persons AS MATERIALIZED (
        SELECT distinct_id, row_number() OVER () AS person
        FROM (SELECT DISTINCT distinct_id FROM {name}_found)
    ), {name} AS MATERIALIZED (
        SELECT person, {segment} AS segment, {listed}
        FROM {name}_found AS found JOIN {name}_persons USING (distinct_id) {join}
    )"""  # noqa: S608  # our own names
