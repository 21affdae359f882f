from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mixpanel_mcp.analytics.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixpanel_mcp.analytics.store import Store


@pytest.fixture
def empty_store() -> Iterator[Store]:
    store = open_store()
    yield store
    store.close()
