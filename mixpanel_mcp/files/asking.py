"""The other end of `questions`: a process that is kept for the next question, and ended in time."""

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

_MODULE = "mixpanel_mcp.files.questions"
# What an interpreter needs to start. Everything else, credentials above all, stays here.
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR", "TEMP")
_LONGEST_ANSWER = 64 * 1024 * 1024


class Gone(Exception):  # noqa: N818 - no error of whoever asks
    """The process ended before its answer: it was ended, or took more memory than it may."""


class Answerer:
    """A process that answers one question after the other."""

    def __init__(self) -> None:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        # Its modules are found where ours were.
        path = os.pathsep.join(each for each in sys.path if each)
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-P", "-m", _MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**kept, "PYTHONPATH": path},
        )

    @property
    def process_id(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """Wait for the answer; another thread may `end` it meanwhile.

        Raises:
            Gone: there is none.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise Gone
        try:
            stdin.write(json.dumps(question).encode() + b"\n")
            stdin.flush()
            line = stdout.readline(_LONGEST_ANSWER)
        except (OSError, ValueError) as error:
            raise Gone from error
        if not line.endswith(b"\n"):
            raise Gone
        return json.loads(line)

    def end(self) -> None:
        """Stop it, whatever it does."""
        with suppress(OSError):
            self._process.kill()

    def close(self) -> None:
        """Stop it and leave nothing of it."""
        self.end()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


class _Spare:
    """At most one process that waits for the next question: starting one takes a while."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: Answerer | None = None

    def take(self) -> Answerer:
        with self._lock:
            waiting, self._waiting = self._waiting, None
        if waiting is not None and waiting.is_alive:
            return waiting
        if waiting is not None:
            waiting.close()
        return Answerer()

    def give_back(self, answerer: Answerer) -> None:
        with self._lock:
            if self._waiting is None and answerer.is_alive:
                self._waiting = answerer
                return
        answerer.close()

    def close(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.close()


SPARE = _Spare()
atexit.register(SPARE.close)
