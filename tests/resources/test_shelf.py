"""What a list may know: asked for rarely, never waited for twice, kept when Mixpanel fails."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from mixpanel_mcp.api.errors import UnavailableError
from mixpanel_mcp.resources.background import Background
from mixpanel_mcp.resources.entries import Entry
from mixpanel_mcp.resources.shelf import Shelf

A, B, C = Entry("a", "a"), Entry("b", "b"), Entry("c", "c")


class Story:
    """A shelf, a clock that only the test moves, and a Mixpanel that answers when told to."""

    def __init__(self, background: Background) -> None:
        self.now = 0.0
        self.asked = 0
        self.changes = 0
        self._answers: asyncio.Queue[list[Entry] | None] = asyncio.Queue()
        self.shelf = Shelf(self._fetch, self._changed, background, lambda: self.now)

    async def _fetch(self) -> list[Entry]:
        self.asked += 1
        answer = await self._answers.get()
        if answer is None:
            raise UnavailableError("Mixpanel is away.")
        return answer

    def _changed(self) -> None:
        self.changes += 1

    async def answer(self, entries: list[Entry] | None) -> None:
        """Let the refresh under way end; None is a failure."""
        self._answers.put_nowait(entries)
        await self.settle()

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def listed(self) -> list[str]:
        await self.shelf.first()
        return [entry.key for entry in self.shelf.hand_out()]


@asynccontextmanager
async def story() -> AsyncGenerator[Story]:
    background = Background()
    yield Story(background)
    await background.close()


async def test_nothing_is_asked_before_somebody_looks() -> None:
    async with story() as told:
        await told.settle()
        assert told.asked == 0


async def test_the_first_list_waits_and_later_ones_answer_at_once() -> None:
    async with story() as told:
        first = asyncio.create_task(told.listed())
        await told.settle()
        assert not first.done()
        await told.answer([A, B])
        assert await first == ["a", "b"]
        for _ in range(5):
            assert await told.listed() == ["a", "b"]
        assert (told.asked, told.changes) == (1, 0)


async def test_whoever_comes_late_does_not_wait_again() -> None:
    async with story() as told:
        first = asyncio.create_task(told.listed())
        await told.settle()
        told.now = 2
        assert await told.listed() == []
        first.cancel()
        await told.answer([A])
        assert (await told.listed(), told.asked, told.changes) == (["a"], 1, 1)


async def test_a_refresh_is_due_after_a_while_and_one_at_a_time() -> None:
    async with story() as told:
        told.shelf.put([A])
        assert await told.listed() == ["a"]
        told.now = 599
        assert (told.shelf.look(), told.asked) == ((A,), 0)
        told.now = 601
        for _ in range(3):
            assert told.shelf.look() == (A,)
            await told.settle()
        assert told.asked == 1
        await told.answer([A, C])
        assert (told.shelf.look(), told.changes) == ((A, C), 1)


async def test_a_listing_that_stays_the_same_is_no_news() -> None:
    async with story() as told:
        told.shelf.put([A, B])
        await told.listed()
        told.now = 601
        told.shelf.look()
        await told.answer([B, A])
        assert (told.asked, told.changes) == (1, 0)


async def test_a_failure_keeps_the_last_good_listing_and_is_not_repeated_soon() -> None:
    async with story() as told:
        told.shelf.put([A])
        told.now = 601
        told.shelf.look()
        await told.answer(None)
        assert told.shelf.look() == (A,)
        assert told.asked == 1
        told.now = 601 + 181
        told.shelf.look()
        await told.answer([B])
        assert (told.shelf.look(), told.asked) == ((B,), 2)


async def test_failures_are_repeated_ever_more_seldom_but_every_hour() -> None:
    async with story() as told:
        moments: list[float] = []
        for minute in range(6 * 60):
            told.now = 60.0 * minute
            told.shelf.look()
            await told.settle()
            if told.asked > len(moments):
                moments.append(minute)
                await told.answer(None)
        assert moments == [0, 3, 9, 21, 45, 93, 153, 213, 273, 333]


async def test_after_a_success_patience_begins_anew() -> None:
    async with story() as told:
        for now, answer in ((0, None), (181, None), (600, [A]), (1201, None), (1382, [B])):
            told.now = now
            told.shelf.look()
            await told.settle()
            await told.answer(answer)
        assert (told.asked, told.shelf.entries) == (5, (B,))


async def test_a_first_failure_is_an_empty_list_that_nobody_waits_for_again() -> None:
    async with story() as told:
        first = asyncio.create_task(told.listed())
        await told.settle()
        await told.answer(None)
        assert await first == []
        assert (await told.listed(), told.asked, told.shelf.is_known) == ([], 1, False)


async def test_our_own_change_shows_at_once_and_is_looked_at_again() -> None:
    async with story() as told:
        told.shelf.put([A, B])
        await told.listed()
        told.shelf.amend(add=[C, A], remove=["b"])
        assert await told.listed() == ["a", "c"]
        await told.answer([A, C])
        assert (told.asked, told.changes) == (1, 0)


async def test_a_listing_from_before_our_change_is_not_believed() -> None:
    async with story() as told:
        told.shelf.look()
        await told.settle()
        told.shelf.amend(add=[C])
        await told.answer([A])
        assert told.shelf.look() == (C,)
        await told.answer([A, C])
        assert (told.shelf.look(), told.asked) == ((A, C), 2)


async def test_work_ends_with_the_server(caplog: pytest.LogCaptureFixture) -> None:
    async with story() as told:
        told.shelf.look()
        await told.settle()
    assert (told.asked, caplog.records) == (1, [])


async def test_a_bug_in_the_background_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def broken() -> None:
        raise KeyError("bug")

    background = Background()
    task = background.start(broken())
    await asyncio.wait({task})
    await asyncio.sleep(0)
    assert [record.message for record in caplog.records] == ["work in the background failed"]
