"""Compressed replies: read in any pieces, never believed when cut, and stopped when endless."""

import gzip
import json
from collections.abc import AsyncIterator, Sequence

import pytest
from harness import Connect
from upstream import Reply, Upstream

from mixpanel_mcp.api.errors import UnreadableReplyError
from mixpanel_mcp.api.replies import decoded, read_whole

GZIPPED = {"Content-Encoding": "gzip"}


@pytest.mark.parametrize(
    "members", [[b'[{"funnel_id": 1, "name": "a"}]'], [b'[{"funnel_id": 1,', b' "name": "a"}]']]
)
async def test_gzip_of_one_or_more_members_is_read(
    connect: Connect, upstream: Upstream, members: Sequence[bytes]
) -> None:
    body = b"".join(gzip.compress(member) for member in members)
    upstream.default = Reply(body=body, headers=GZIPPED)

    async with connect() as tools:
        answer = await tools.call("list_saved_funnels")

    assert answer.data == [{"funnel_id": 1, "name": "a"}]
    assert upstream.last.headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize("cut", [1, 5, 9, 20])
async def test_gzip_that_ends_early_is_an_error_although_the_json_is_whole(
    connect: Connect, upstream: Upstream, cut: int
) -> None:
    body = gzip.compress(b"[]" + b" " * 5000)[:-cut]
    upstream.default = Reply(body=body, headers=GZIPPED)

    async with connect() as tools:
        answer = await tools.call("list_saved_funnels")

    assert (answer.status, answer.is_error) == ("failed", True)


async def test_a_second_member_that_ends_early_is_an_error(
    connect: Connect, upstream: Upstream
) -> None:
    body = gzip.compress(b"[]") + gzip.compress(b" " * 5000)[:-6]
    upstream.default = Reply(body=body, headers=GZIPPED)

    async with connect() as tools:
        answer = await tools.call("list_saved_funnels")

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "ends early" in answer.text


@pytest.mark.parametrize(
    "body",
    [b"plainly not gzip", gzip.compress(b"[]") + b"rubbish"],
    ids=["plain", "rubbish behind"],
)
async def test_gzip_that_is_none_is_an_error(
    connect: Connect, upstream: Upstream, body: bytes
) -> None:
    upstream.default = Reply(body=body, headers=GZIPPED)

    async with connect() as tools:
        answer = await tools.call("list_saved_funnels")

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "gzip is damaged" in answer.text


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd"])
async def test_an_encoding_nobody_asked_for_is_not_guessed(
    connect: Connect, upstream: Upstream, encoding: str
) -> None:
    upstream.default = Reply(body="[]", headers={"Content-Encoding": encoding})

    async with connect() as tools:
        answer = await tools.call("list_saved_funnels")

    assert (answer.status, answer.is_error) == ("failed", True)


async def test_a_small_reply_that_unpacks_to_a_huge_one_is_stopped(
    connect: Connect, upstream: Upstream
) -> None:
    """70 MB of blanks are 70 kB on the wire."""
    upstream.default = Reply(body=gzip.compress(b" " * 70 * 1024 * 1024, 9), headers=GZIPPED)

    async with connect() as tools:
        answer = await tools.call("list_saved_funnels")

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "larger than 64 MB" in answer.text


async def test_an_endless_line_of_an_export_is_stopped(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.default = Reply(body=gzip.compress(b"x" * 20 * 1024 * 1024, 9), headers=GZIPPED)

    async with connect() as tools:
        answer = await tools.call("download_data", from_date="2026-01-01", to_date="2026-01-01")

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "does not end" in answer.text


@pytest.mark.parametrize("size", [1, 2, 7, 64, 100_000])
async def test_gzip_may_be_cut_into_pieces_anywhere(size: int) -> None:
    text = json.dumps([{"id": n, "name": "x" * (n % 300)} for n in range(3000)]).encode()
    packed = gzip.compress(text[:70_000]) + gzip.compress(b"") + gzip.compress(text[70_000:])
    assert await read_whole(decoded(_pieces(packed, size), "gzip")) == text


async def test_the_limit_of_a_reply_is_exact() -> None:
    assert len(await read_whole(_pieces(b"x" * 1000, 10), limit=1000)) == 1000
    with pytest.raises(UnreadableReplyError):
        await read_whole(_pieces(b"x" * 1001, 10), limit=1000)


async def _pieces(whole: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(whole), size):
        yield whole[start : start + size]
