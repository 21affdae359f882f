"""An agent loop over stdio, without a model: the part around the model is what this shows.

    python examples/agent.py                 # on the embedded Mixpanel
    python examples/agent.py --real          # on your project, with MIXPANEL_* set

The loop lets a `decide` function choose each call from what came back so far, which is where a
model would sit. It does what any host has to do well:

- an answer of `confirmation_required` is no error: its text goes to a person, and only their yes
  leads to the same call with `confirm=true`;
- `next` in an answer is the call that goes on from there;
- an error's text says what to do now, so it goes back to whoever decides.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import mcp.types as t
from mcp import Client, StdioServerParameters

MOST_CALLS = 20


@dataclass(frozen=True)
class Step:
    """One call: which tool, with what."""

    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What a call brought: `text` is for a model, `content` for a program."""

    step: Step
    text: str
    content: Mapping[str, Any]

    @property
    def status(self) -> str:
        return self.content["status"]


Decide = Callable[[list[Outcome]], Step | None]
Agree = Callable[[str], bool]


async def run_agent(client: Client, decide: Decide, agree: Agree) -> list[Outcome]:
    """Call tools until `decide` has seen enough."""
    outcomes: list[Outcome] = []
    while len(outcomes) < MOST_CALLS and (step := decide(outcomes)) is not None:
        outcome = await call(client, step)
        outcomes.append(outcome)
        if outcome.status == "confirmation_required" and agree(outcome.text):
            confirmed = Step(step.tool, {**step.arguments, "confirm": True})
            outcomes.append(await call(client, confirmed))
    return outcomes


async def call(client: Client, step: Step) -> Outcome:
    answer = await client.call_tool(step.tool, dict(step.arguments))
    text = "\n".join(block.text for block in answer.content if isinstance(block, t.TextContent))
    content: dict[str, Any] = answer.structured_content or {"status": "failed", "data": None}
    print(f"{step.tool}: {content['status']}: {text.splitlines()[0]}")
    return Outcome(step, text, content)


def tidy_up(visitor: str) -> Decide:
    """Decide as a careful assistant would that was told to remove a test user."""

    def steps() -> Iterator[Step]:
        yield Step("list_saved_funnels", {})
        profile = {"$distinct_id": visitor, "$name": "Made by examples/agent.py"}
        yield Step("create_profile", {"properties": [profile]})
        yield Step("query_profiles", {"distinct_ids": [visitor]})
        yield Step("delete_profile", {"delete_profiles": [visitor]})
        yield Step("query_profiles", {"distinct_ids": [visitor]})

    plan = steps()

    def decide(outcomes: list[Outcome]) -> Step | None:
        failed = outcomes and outcomes[-1].status in {"failed", "refused"}
        return None if failed else next(plan, None)

    return decide


def ask_on_terminal(question: str) -> bool:
    print(question)
    return input("Go ahead? [y/N] ").strip().lower() == "y"


async def main(*, real: bool, agree: Agree) -> list[Outcome]:
    arguments = ["-m", "mixpanel_mcp", "serve", *([] if real else ["--sandbox"])]
    # The SDK passes on only a few harmless variables; credentials have to be handed over.
    settings = {name: value for name, value in os.environ.items() if name.startswith("MIXPANEL_")}
    server = StdioServerParameters(command=sys.executable, args=arguments, env=settings)
    async with Client(server) as client:
        return await run_agent(client, tidy_up("example-visitor"), agree)


if __name__ == "__main__":
    use_real = "--real" in sys.argv
    anyio.run(lambda: main(real=use_real, agree=ask_on_terminal))
