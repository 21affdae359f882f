"""Scripts run in the engine itself, in this process: fast, and with items as a test likes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mixpanel_mcp.sandbox.jql.engine import Engine
from mixpanel_mcp.sandbox.jql.errors import thrown
from mixpanel_mcp.sandbox.jql.frames import Tag

if TYPE_CHECKING:
    from collections.abc import Sequence

_ITEMS_AT_ONCE = 7
"""Fewer than the tests have: no result may depend on how its items arrive."""


class ThrownError(Exception):
    """What the script threw."""

    def __init__(self, failure: bytes) -> None:
        self.told: dict[str, str] = json.loads(failure)
        super().__init__(f"{self.told['name']}: {self.told['message']}")


def transformed(items: Sequence[Any], chain: str, *, params: Any = None) -> list[Any]:
    """Return what a chain of transformations makes of the items."""
    return ran(items, f"function main() {{ return People(){chain} }}", params=params)


def evaluated(expression: str, *, params: Any = None) -> Any:
    """Return the value of an expression in a script."""
    (value,) = transformed([None], f".map(function () {{ return {expression} }})", params=params)
    return value


def ran(items: Sequence[Any], script: str, *, params: Any = None) -> list[Any]:
    engine = Engine(script, memory=64 * 2**20, seconds=10)
    _told(engine.start(script, json.dumps({} if params is None else params)))
    texts = [
        _told(engine.feed(json.dumps(items[start : start + _ITEMS_AT_ONCE])))
        for start in range(0, len(items), _ITEMS_AT_ONCE)
    ]
    texts.append(_told(engine.finish()))
    return json.loads(f"[{','.join(filter(None, texts))}]")


def fault(script: str, params: Any = None) -> str:
    """Return what a caller is told of a script that ends before it reads anything."""
    engine = Engine(script, memory=64 * 2**20, seconds=10)
    tag, body = engine.start(script, json.dumps({} if params is None else params))
    assert tag is Tag.FAILURE, body
    return str(thrown(body, script))


def _told(answer: tuple[Tag, bytes]) -> str:
    tag, body = answer
    if tag is Tag.FAILURE:
        raise ThrownError(body)
    return body.decode()
