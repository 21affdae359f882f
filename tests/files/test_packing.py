"""Gzip with and without isal: the same content, the same bytes each time."""

import gzip
import io
import sys

import pytest

from mixpanel_mcp.files.packing import packer
from mixpanel_mcp.files.unpacking import Unpacked

CONTENT = b'{"event":"Played"}\n' * 50_000


@pytest.fixture(params=["isal", "zlib"])
def _library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "zlib":
        monkeypatch.setitem(sys.modules, "isal", None)


@pytest.mark.usefixtures("_library")
def test_what_is_packed_is_unpacked_to_the_same() -> None:
    packed = packer()(CONTENT)

    assert packed == packer()(CONTENT)
    assert gzip.decompress(packed) == CONTENT
    assert io.BufferedReader(Unpacked(io.BytesIO(packed))).read() == CONTENT


@pytest.mark.usefixtures("_library")
def test_several_members_are_one_content() -> None:
    packed = b"".join(gzip.compress(CONTENT[at : at + 7_001]) for at in range(0, 70_010, 7_001))

    assert io.BufferedReader(Unpacked(io.BytesIO(packed))).read() == CONTENT[:70_010]
