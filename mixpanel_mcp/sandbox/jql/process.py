"""The parent's side of the child process: started, spoken to, and ended whatever happens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from typing import IO, Any, Self

from mixpanel_mcp.sandbox.jql.errors import EngineMissingError, JqlError, thrown
from mixpanel_mcp.sandbox.jql.frames import Tag, TooLongError, read_frame, write_frame
from mixpanel_mcp.sandbox.jql.limits import MEGABYTE, Limits

# The engine does not end by itself; a system that runs out of memory ends it.
_ENDED = "The script's engine was ended. Let the script hold less at a time, and try again."
COMMAND = "from mixpanel_mcp.sandbox.jql.engine import main; main()"
# Windows cannot start a program without the first two; the others say where libraries are.
_INHERITED = ("SYSTEMROOT", "PATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


class ScriptProcess:
    """One script in its child, from `start` to the end of the `with` block.

    `stop` may be called by any thread at any time; whoever then waits for the child gets a
    JqlError.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._script = ""
        self._output_left = limits.output
        self._stopping = threading.Lock()
        self._stopped_because: str | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._clock = threading.Timer(limits.seconds, self._time_is_up)
        self._clock.daemon = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop("The script has ended.")
        if self._child is not None:
            for stream in (_pipe(self._child.stdin), _pipe(self._child.stdout)):
                with suppress(OSError):  # what was not sent yet will never be
                    stream.close()
            self._child.wait()

    def start(self, script: str, params: str) -> bytes:
        """Run the script up to the end of its main(); return the plan as JSON.

        Raises:
            JqlError: the script is at fault, or took too much.
            EngineMissingError: there is no engine to run it.
        """
        self._script = script
        with self._stopping:
            if self._stopped_because is None:
                self._child = _spawn()
                self._clock.start()
        order = {
            "script": script,
            "params": params,
            "memory": self._limits.memory,
            "seconds": self._limits.seconds,
        }
        self.send(Tag.SCRIPT, json.dumps(order).encode())
        return self.receive()

    def send(self, tag: Tag, body: bytes) -> None:
        try:
            write_frame(_pipe(self._running.stdin), tag, body)
        except OSError:
            raise self._gone() from None

    def receive(self) -> bytes:
        """Wait for the answer to what was sent last."""
        try:
            tag, body = read_frame(_pipe(self._running.stdout), self._output_left)
        except (EOFError, OSError):
            raise self._gone() from None
        except TooLongError:
            megabytes = self._limits.output // MEGABYTE
            raise JqlError(
                f"The result of the script is larger than {megabytes} MB. Let it return less."
            ) from None
        self._output_left -= len(body)
        if tag is Tag.NO_ENGINE:
            raise EngineMissingError
        if tag is Tag.FAILURE:
            raise self._failed(body)
        return body

    def stop(self, because: str) -> None:
        with self._stopping:
            if self._stopped_because is None:
                self._stopped_because = because
            self._clock.cancel()
            if self._child is not None:
                self._child.kill()

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            raise self._gone()
        return self._child

    def _time_is_up(self) -> None:
        self.stop(_too_long(self._limits))

    def _gone(self) -> JqlError:
        return JqlError(self._stopped_because or _ENDED)

    def _failed(self, body: bytes) -> JqlError:
        most = f"needs more memory than the {self._limits.memory // MEGABYTE} MB it may have."
        too_much = f"{most} Let it hold fewer items at a time."
        match _name_and_message(body):
            case ("InternalError", "interrupted"):
                return JqlError(_too_long(self._limits))
            case ("InternalError", "out of memory"):
                return JqlError(f"The script {too_much}")
            # The engine throws it where there is not even room for an error.
            case ("", "null"):
                return JqlError(f"Uncaught exception null. If it throws none, it {too_much}")
            case _:
                return thrown(body, self._script)


def _too_long(limits: Limits) -> str:
    most = f"A JQL script may run for {limits.seconds:g} seconds."
    return f"Timeout Error. {most} Ask for fewer events, or fewer days."


def _name_and_message(body: bytes) -> tuple[Any, Any]:
    told = json.loads(body)
    return told["name"], told["message"]


def _spawn() -> subprocess.Popen[bytes]:
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    # The project's time zone is UTC, and `new Date(...).getHours()` asks the system for its own.
    environment |= {"TZ": "UTC", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(  # noqa: S603  # our own interpreter and code
        [sys.executable, "-P", "-c", COMMAND],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


def _pipe(stream: IO[bytes] | None) -> Any:
    assert stream is not None  # noqa: S101  # for the type checker
    return stream
