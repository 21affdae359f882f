"""Fifty kills of each kind. `KILL_SEED` chooses other moments; what it was is printed."""

import os
import secrets
from pathlib import Path

import pytest
from kinds import KINDS, killed
from upstream import Upstream

_KILLS = 50


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", KINDS)
async def test_fifty_kills_leave_everything_once(
    upstream: Upstream, tmp_path: Path, name: str
) -> None:
    seed = os.environ.get("KILL_SEED") or secrets.token_hex(4)
    print(f"\n{name}: KILL_SEED={seed}")  # noqa: T201 - to see the same moments again

    tally = await killed(KINDS[name](), upstream, tmp_path, _KILLS, seed=f"{seed} {name}")

    changes = sum(bool(moment.change) for moment in tally.moments)
    print(f"{name}: {tally.kills} kills, {tally.ends} ends, {changes} moments by change")  # noqa: T201
    assert tally.kills == _KILLS
