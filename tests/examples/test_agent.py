"""The example is run: what is shown to users has to work."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def agent() -> ModuleType:
    path = Path(__file__).parents[2] / "examples" / "agent.py"
    spec = importlib.util.spec_from_file_location("agent", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["agent"] = module
    spec.loader.exec_module(module)
    return module


async def test_the_agent_deletes_only_what_a_person_agreed_to(agent: ModuleType) -> None:
    questions: list[str] = []

    def agree(question: str) -> bool:
        questions.append(question)
        return True

    outcomes = await agent.main(real=False, agree=agree)

    assert "permanently delete 1 profile" in questions[0]
    assert [outcome.status for outcome in outcomes] == [
        "ok",
        "ok",
        "ok",
        "confirmation_required",
        "ok",
        "ok",
    ]
    assert outcomes[-1].content["data"]["profiles"] == []


async def test_without_agreement_the_profile_stays(agent: ModuleType) -> None:
    def refuse(question: str) -> bool:
        return "permanently delete" not in question

    outcomes = await agent.main(real=False, agree=refuse)

    assert [outcome.status for outcome in outcomes][-2:] == ["confirmation_required", "ok"]
    assert len(outcomes[-1].content["data"]["profiles"]) == 1
