"""Questions that each have an answer of their own, and a meter of what reached Mixpanel when."""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from harness import Result, Tools
from upstream import Received, Reply

MINUTE, HOUR, DAY = 60, 3600, 86_400

LIST = "/api/query/funnels/list"
JQL = "/api/query/jql"
EXPORT = "/api/2.0/export"
JANUARY = {"from_date": "2026-01-01", "to_date": "2026-01-31"}
PIPELINES = "/api/2.0/nessie/pipeline/"


@dataclass(frozen=True)
class Question:
    """A tool call whose answer holds its own number and no other."""

    number: int
    tool: str
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])

    async def ask(self, tools: Tools, **more: Any) -> Result:
        return await tools.call(self.tool, **self.arguments, **more)

    def is_answered_by(self, result: Result) -> bool:
        return set(re.findall(r"asked-(\d+)", json.dumps(result.data))) == {str(self.number)}


def question(number: int) -> Question:
    """One of five tools in turn; equal numbers ask equal questions."""
    mark = f"asked-{number}"
    tool, arguments = (
        ("query_insights_saved_reports", {"bookmark_id": number}),
        ("custom_jql_query", {"script": f"// {mark}"}),
        ("query_profiles", {"distinct_ids": [mark]}),
        ("query_funnel_saved_reports", {"funnel_id": number, **JANUARY}),
        (
            "raw_request",
            {"url": f"/api/query/events/names?name={mark}", "method": "GET"},
        ),
    )[number % 5]
    return Question(number, tool, arguments)


def report(number: int) -> Question:
    return Question(number, "query_insights_saved_reports", {"bookmark_id": number})


def mirror(request: Received) -> Reply:
    """Answer a question with its own number."""
    asked = request.target + request.content.decode()
    found = re.search(r"(?:asked-|bookmark_id=|funnel_id=)(\d+)", asked)
    mark = f"asked-{found[1]}" if found else "nothing"
    if request.path.startswith(PIPELINES):
        return Reply(json={})
    if request.path == EXPORT:
        return Reply(body=json.dumps({"event": mark, "properties": {"time": 1}}))
    shapes: dict[str, Any] = {
        "/api/query/insights": {"series": {mark: {"2026-01-01": 1}}},
        JQL: [{"mark": mark}],
        "/api/query/engage": {"results": [{"$distinct_id": mark, "$properties": {}}]},
        "/api/query/funnels": {
            "data": {"2026-01-01": {"steps": [{"count": 1, "event": mark}]}},
        },
        LIST: [{"funnel_id": 1, "name": mark}],
    }
    return Reply(json=shapes.get(request.path, {"mark": mark}))


class Meter:
    """Answers like `mirror`, and remembers when each request came, by the clock it is given."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._moments: list[float] = []

    def __call__(self, request: Received) -> Reply:
        self._moments.append(self._clock())
        return mirror(request)

    def most_within(self, seconds: float) -> int:
        """The most requests that came in any window of so many seconds."""
        return max(
            sum(first <= moment < first + seconds for moment in self._moments)
            for first in self._moments
        )


def too_many(used: int | str, limit: int | str) -> Reply:
    """A 429 in the words that were once captured from Mixpanel."""
    said = (
        "Query rate limit exceeded for project_id: 4242. 1/5 queries running concurrently and "
        f"{used}/{limit} queries running in the last hour."
    )
    return Reply(429, json={"request": "/api/2.0/insights?bookmark_id=1", "error": said})


async def spend(tools: Tools, queries: int, **arguments: Any) -> None:
    """Ask so many different questions, all answered."""
    for number in range(queries):
        answer = await report(10_000 + number).ask(tools, **arguments)
        assert answer.status == "ok", answer.text


async def everybody_had_a_turn() -> None:
    """Let all tasks go as far as they can; counted in turns, so a slow machine is no matter."""
    for _ in range(3000):
        await asyncio.sleep(0)


def used(answer: Result, allowance: str = "queries") -> int:
    return answer.structured["scope"]["budget"][allowance]["used"]


def left(answer: Result, allowance: str = "queries") -> int:
    return answer.structured["scope"]["budget"][allowance]["left"]


def next_slot(refusal: Result) -> datetime:
    """The moment that a refusal names, in its data and in its text."""
    assert (refusal.status, refusal.is_error) == ("refused", True), refusal.text
    named = refusal.data["next_slot"]
    assert named in refusal.text
    moment = datetime.fromisoformat(named)
    assert moment.tzinfo is not None
    return moment
