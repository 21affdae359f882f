"""Our command line in a process that is killed right before its n-th change of a file.

A clock seldom hits the moment between two renames; counting hits each of them. Run as
`mortal.py N ARGUMENT...`; 0 is never.
"""

import os
import runpy
import signal
import sys

_CHANGES = {"os.rename", "os.remove", "os.truncate", "os.mkdir", "os.rmdir"}
_WRITING = os.O_WRONLY | os.O_RDWR


def _die_before(number: int) -> None:
    seen = 0

    def hear(event: str, given: tuple[object, ...]) -> None:
        nonlocal seen
        if event == "open":
            path, _, flags = given
            changes = isinstance(flags, int) and bool(flags & _WRITING) and path != os.devnull
        else:
            changes = event in _CHANGES
        if changes:
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hear)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    if moment := int(sys.argv[1]):
        _die_before(moment)
    sys.argv[:2] = ["mixpanel-mcp"]
    runpy.run_module("mixpanel_mcp", run_name="__main__", alter_sys=True)
