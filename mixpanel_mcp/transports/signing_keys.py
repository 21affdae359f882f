"""The keys of an issuer: fetched when they are needed, and kept through its outages."""

import logging
import time
from collections.abc import Callable
from http.client import HTTPException

import anyio
from jwt import PyJWK, PyJWKClient, PyJWKSet, PyJWTError

_log = logging.getLogger(__name__)

_FRESH_SECONDS = 300.0
# Keys that were withdrawn meanwhile would be believed so long where the issuer cannot be asked.
_KEPT_SECONDS = 86_400.0
_BETWEEN_FETCHES = 60.0
_BETWEEN_FIRST_FETCHES = 5.0
_FETCH_SECONDS = 5.0


class NoKeysError(Exception):
    """The issuer's keys cannot be had, so that no token can be judged."""


class SigningKeys:
    """The key set under one URL."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Fetch nothing yet."""
        # It follows no redirect. What it caches is lost when the issuer is away, hence ours.
        self._client = PyJWKClient(
            url,
            cache_jwk_set=False,
            timeout=_FETCH_SECONDS,
            headers={"Accept": "application/json", "User-Agent": "mixpanel-mcp"},
        )
        self._clock = clock
        self._keys: list[PyJWK] = []
        self._fetched = self._asked = float("-inf")
        self._fetching = anyio.Lock()

    async def named(self, key_id: str | None) -> PyJWK | None:
        """The key of that id, or the only one where a token names none; None: there is no such.

        Raises:
            NoKeysError: the issuer never answered, or a day ago.
        """
        key = self._find(key_id)
        # Whoever has a key already does not wait for somebody else's fetch.
        if self._is_due(key) and (key is None or not self._fetching.locked()):
            async with self._fetching:
                if self._is_due(self._find(key_id)):
                    await self._fetch()
        if not self._keys or self._clock() - self._fetched > _KEPT_SECONDS:
            raise NoKeysError
        return self._find(key_id)

    def _find(self, key_id: str | None) -> PyJWK | None:
        if key_id is None:
            return self._keys[0] if len(self._keys) == 1 else None
        return next((key for key in self._keys if key.key_id == key_id), None)

    def _is_due(self, key: PyJWK | None) -> bool:
        now = self._clock()
        if now - self._asked < (_BETWEEN_FETCHES if self._keys else _BETWEEN_FIRST_FETCHES):
            return False
        return key is None or now - self._fetched >= _FRESH_SECONDS

    async def _fetch(self) -> None:
        self._asked = self._clock()
        try:
            with anyio.fail_after(2 * _FETCH_SECONDS):
                found = await anyio.to_thread.run_sync(
                    self._client.fetch_data, abandon_on_cancel=True
                )
            keys = PyJWKSet.from_dict(found).keys
        except (PyJWTError, HTTPException, OSError, ValueError, RecursionError) as error:
            _log.warning(
                "the issuer's keys could not be fetched (%s); %s",
                type(error).__name__,
                "those known so far are used" if self._keys else "no JWT can be judged",
            )
            return
        # A symmetric key would let everybody sign who can read the key set.
        self._keys = [
            key
            for key in keys
            if key.key_type in {"RSA", "EC", "OKP"} and key.public_key_use in {"sig", None}
        ]
        self._fetched = self._clock()
