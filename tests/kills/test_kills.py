"""Our process is killed at any moment and started again: everything arrives, and nothing twice.

A few kills of each kind; `make test-kills` has fifty.
"""

from pathlib import Path

import pytest
from kinds import KINDS, killed
from upstream import Upstream

_KILLS = 6


@pytest.mark.parametrize("name", KINDS)
async def test_killed_again_and_again_it_ends_with_everything_once(
    upstream: Upstream, tmp_path: Path, name: str
) -> None:
    tally = await killed(KINDS[name](), upstream, tmp_path, _KILLS, seed=name)

    assert tally.kills == _KILLS
