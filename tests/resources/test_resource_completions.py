"""Candidates while somebody fills in a template or a prompt: what is known, soon."""

import asyncio

import mcp.types as t
import pytest
from browsing import FUNNELS, JOBS, Browser, browsing
from harness import Era
from mcp import MCPError
from upstream import Hang, Reply, Upstream

PIPELINE = "mixpanel://pipelines/{name}{?format}"
FUNNEL = "mixpanel://funnels/{funnel_id}{?format}"


@pytest.fixture
def mixpanel(upstream: Upstream) -> Upstream:
    names = ["trips daily", "Trips hourly", "people"]
    upstream.always(JOBS, Reply(json={"1": [{"name": name} for name in names]}))
    funnels = {7: "Sign up", 71: "Checkout", 8: "sign off"}
    saved = [{"funnel_id": number, "name": name} for number, name in funnels.items()]
    upstream.always(FUNNELS, Reply(json=saved))
    return upstream


async def in_prompt(browser: Browser, prompt: str, argument: str, typed: str) -> list[str]:
    ref = t.PromptReference(name=prompt)
    answer = await browser.client.complete(ref, {"name": argument, "value": typed})
    return answer.completion.values


async def test_names_and_ids_are_offered(mixpanel: Upstream, era: Era) -> None:
    async with browsing(mixpanel.url, era) as browser:
        await browser.listed()
        assert await browser.completed(PIPELINE, "name", "TRIP") == ["trips daily", "Trips hourly"]
        assert await browser.completed(PIPELINE, "name", "x") == []
        assert await browser.completed(FUNNEL, "funnel_id", "7") == ["7", "71"]
        assert await browser.completed(FUNNEL, "funnel_id", "sign") == ["7", "8"]
        assert await browser.completed(FUNNEL, "funnel_id", "") == ["7", "71", "8"]
        assert await browser.completed(FUNNEL, "format", "") == ["markdown", "json"]
        assert await browser.completed("mixpanel://funnels/{funnel_id}", "format", "j") == ["json"]
        assert await in_prompt(browser, "pipeline_doctor", "pipeline", "p") == ["people"]
        assert await in_prompt(browser, "funnel_review", "funnel", "sign") == [
            "Sign up",
            "sign off",
        ]
        assert await in_prompt(browser, "funnel_review", "funnel", "7") == ["7", "71"]
        assert "last 30 days" in await in_prompt(browser, "funnel_review", "period", "last")
    assert len(mixpanel.requests) == 2


async def test_the_first_completion_of_a_session_knows_what_there_is(
    mixpanel: Upstream, era: Era
) -> None:
    async with browsing(mixpanel.url, era) as browser:
        assert await browser.completed(FUNNEL, "funnel_id", "71") == ["71"]
        assert await in_prompt(browser, "pipeline_doctor", "pipeline", "peo") == ["people"]
    assert len(mixpanel.requests) == 2


async def test_a_mixpanel_that_does_not_answer_is_waited_for_once(
    upstream: Upstream, era: Era
) -> None:
    upstream.default = Hang()
    async with browsing(upstream.url, era) as browser, asyncio.timeout(4.5):
        for _ in range(10):
            assert await browser.completed(PIPELINE, "name", "t") == []
            assert await in_prompt(browser, "funnel_review", "funnel", "s") == []
    assert len(upstream.requests) == 2


async def test_many_candidates_are_counted(upstream: Upstream) -> None:
    names = [{"name": f"trip-{number}"} for number in range(120)]
    upstream.always(JOBS, Reply(json={"1": names}))
    upstream.always(FUNNELS, Reply(json=[]))
    async with browsing(upstream.url) as browser:
        await browser.listed()
        ref = t.ResourceTemplateReference(uri=PIPELINE)
        answer = (await browser.client.complete(ref, {"name": "name", "value": "t"})).completion
    assert (len(answer.values), answer.total, answer.has_more) == (100, 120, True)


@pytest.mark.parametrize(
    ("template", "variable", "fault"),
    [
        ("mixpanel://nothing/{x}", "x", 'There is no template "mixpanel://nothing/{x}".'),
        ("mixpanel://pipelines", "name", "There is no template"),
        (PIPELINE, "nam", 'mixpanel://pipelines/{name} has no variable "nam".'),
        (PIPELINE, "funnel_id", 'has no variable "funnel_id".'),
        (PIPELINE, "connection", 'has no variable "connection".'),
    ],
)
async def test_what_does_not_exist_is_not_completed(
    mixpanel: Upstream, era: Era, template: str, variable: str, fault: str
) -> None:
    async with browsing(mixpanel.url, era) as browser:
        with pytest.raises(MCPError) as caught:
            await browser.completed(template, variable, "")
    assert caught.value.error.code == t.INVALID_PARAMS
    assert fault in caught.value.error.message
