"""Who decides what to call. Here is where a model goes.

`Planner` is the whole interface: what somebody asked, the tools there are, and what they brought so
far go in; the next call, or the answer, comes out. `plan_by_words` stands in for a model: it knows
a handful of questions by their words, so that the example needs no key and answers alike each time.
A model gets the same things: each tool's description and schema as its tools, each outcome's `text`
as their results.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

DAYS = 28


@dataclass(frozen=True)
class Call:
    """One call of a tool."""

    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What a call brought: `text` is for a model, `content` for a program."""

    call: Call
    text: str
    content: Mapping[str, Any]

    @property
    def status(self) -> str:
        return self.content["status"]

    @property
    def data(self) -> Any:
        return self.content["data"]


@dataclass(frozen=True)
class Answer:
    """What is said to the person who asked."""

    text: str


Planner = Callable[[str, Collection[str], Sequence[Outcome]], Call | Answer]

HELP = Answer(
    "Ask me for the funnels, for `funnel NAME`, for `report NUMBER`, `how many EVENT`, or tell me "
    "to `forget USER`."
)


def plan_by_words(
    question: str, tools: Collection[str], outcomes: Sequence[Outcome]
) -> Call | Answer:
    """Stand in for a model."""
    if outcomes and outcomes[-1].status != "ok":
        return Answer(outcomes[-1].text)  # it says what happened, and what to do now
    for pattern, plan in _PLANS:
        if found := re.fullmatch(pattern, question.strip(" ?.!"), re.IGNORECASE):
            step = plan(found[1], outcomes)
            allowed = isinstance(step, Answer) or step.tool in tools
            return step if allowed else Answer("This assistant is not allowed to do that.")
    return HELP


def _funnels(_: str, outcomes: Sequence[Outcome]) -> Call | Answer:
    if not outcomes:
        return Call("list_saved_funnels", {})
    return Answer("Saved funnels: " + ", ".join(each["name"] for each in outcomes[0].data))


def _funnel(name: str, outcomes: Sequence[Outcome]) -> Call | Answer:
    if not outcomes:
        return Call("list_saved_funnels", {})
    if len(outcomes) == 1:
        wanted = [each for each in outcomes[0].data if each["name"].lower() == name.lower()]
        if not wanted:
            return _funnels("", outcomes)
        return Call("query_funnel_saved_reports", {"funnel_id": wanted[0]["funnel_id"], **_weeks()})
    days = outcomes[1].data["data"].values()
    begun = sum(day["steps"][0]["count"] for day in days)
    ended = sum(day["steps"][-1]["count"] for day in days)
    return Answer(f"{name}: of {begun} who began, {ended} went through, in the last {DAYS} days.")


def _report(number: str, outcomes: Sequence[Outcome]) -> Call | Answer:
    if not outcomes:
        return Call("query_insights_saved_reports", {"bookmark_id": int(number)})
    return Answer(f"Report {number}: {', '.join(outcomes[0].data['series'])}.")


_COUNT = """
function main() {
  return Events({from_date: params.from_date, to_date: params.to_date,
                 event_selectors: [{event: params.event}]}).reduce(mixpanel.reducer.count());
}
"""


def _how_many(event: str, outcomes: Sequence[Outcome]) -> Call | Answer:
    if not outcomes:
        # The name goes in as a value: in the script's own text it could be more than a name.
        arguments = {"script": _COUNT, "params": json.dumps({**_weeks(), "event": event})}
        return Call("custom_jql_query", arguments)
    (count,) = outcomes[0].data
    return Answer(f"{event}: {count} times in the last {DAYS} days.")


def _forget(user: str, outcomes: Sequence[Outcome]) -> Call | Answer:
    if not outcomes:
        # `confirm` alone deletes nothing: the server asks the person first.
        return Call("delete_profile", {"delete_profiles": [user], "confirm": True})
    return Answer(f"The profile of {user} is deleted.")


def _weeks() -> dict[str, str]:
    yesterday = date.today() - timedelta(days=1)  # noqa: DTZ011 - the day of whoever asks
    return {"from_date": str(yesterday - timedelta(days=DAYS - 1)), "to_date": str(yesterday)}


_PLANS = [
    (r"(?:which |list |show |the )*(funnels).*", _funnels),
    (r"funnel (.+)", _funnel),
    (r"report (\d{1,15})", _report),
    (r"how many (.+)", _how_many),
    (r"forget (\S+)", _forget),
]
