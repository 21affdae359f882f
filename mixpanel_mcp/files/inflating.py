"""Gzip undone in bounded pieces, over several members, with its end proved.

With `isal` it takes less than half of the time.
"""

import zlib
from collections.abc import Callable, Iterator
from typing import Any, cast

# Larger pieces leave the processor's cache, and cost more than they save.
_PIECE = 64 * 1024
_GZIP = 31
_MAGIC = b"\x1f\x8b"


class DamagedError(Exception):
    """What came is no gzip, or not all of it."""


def _fastest() -> tuple[Callable[..., Any], Callable[..., Any], type[Exception]]:
    try:
        from isal import isal_zlib  # noqa: PLC0415 - an optional extra
    except ImportError:
        return zlib.decompressobj, zlib.compressobj, zlib.error
    fast = cast("Any", isal_zlib)
    return fast.decompressobj, fast.compressobj, fast.error


class Unpacker:
    """Takes gzip in any pieces and gives back what was packed, in pieces of bounded size."""

    def __init__(self) -> None:
        self._new, _, self._error = _fastest()
        self._inflater: Any = None

    def take(self, packed: bytes) -> Iterator[bytes]:
        """Yield what these bytes add.

        Raises:
            DamagedError: they are no gzip.
        """
        data = packed
        while data:
            if self._inflater is None or self._inflater.eof:
                # isal looks at a member's header only once it has all of it.
                if not _MAGIC.startswith(data[:2]):
                    raise DamagedError("its gzip is damaged")
                self._inflater = self._new(wbits=_GZIP)
            try:
                piece = self._inflater.decompress(data, _PIECE)
            except (self._error, zlib.error) as error:
                raise DamagedError("its gzip is damaged") from error
            if piece:
                yield piece
            ended = self._inflater.eof
            data = self._inflater.unused_data if ended else self._inflater.unconsumed_tail
            # What is inside already may fill more than a piece without another byte of input.
            if not data and not ended and len(piece) == _PIECE:
                yield from self._held()

    def _held(self) -> Iterator[bytes]:
        while piece := self._inflater.decompress(b"", _PIECE):
            yield piece

    def finish(self) -> None:
        """Insist on the trailer: a body cut in half decodes without an error until here.

        Raises:
            DamagedError: the last member does not end.
        """
        if self._inflater is not None and not self._inflater.eof:
            raise DamagedError("its gzip ends early, so it is not whole")


class Packer:
    """Makes gzip of what the service sent plain."""

    def __init__(self) -> None:
        _, new, _ = _fastest()
        self._deflater = new(1, zlib.DEFLATED, _GZIP)

    def take(self, plain: bytes) -> bytes:
        return self._deflater.compress(plain)

    def finish(self) -> bytes:
        return self._deflater.flush()
