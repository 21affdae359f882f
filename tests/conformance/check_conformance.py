"""The protocol's official conformance suite against the hosted server on the sandbox.

    python tests/conformance/check_conformance.py FOLDER

FOLDER takes what npm installs: the suite, and a Node that it runs on. What cannot pass is in the
baselines, each with its reason; a scenario that fails and is not there ends this with an error, and
so does one that is there and passes.
"""

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_SUITE = "@modelcontextprotocol/conformance"
_VERSIONS = {"0.1.16": "baseline.yml", "0.2.0-alpha.12": "baseline-next.yml"}
_NODE = "node@22"
_HERE = Path(__file__).parent
_SECONDS = 180


def main(folder: Path) -> int:
    """Run every version of the suite; the result is an exit code."""
    with _server() as url:
        codes = [_checked(version, url, folder) for version in _VERSIONS]
    return max(codes)


def _checked(version: str, url: str, folder: Path) -> int:
    place = folder / version
    _install(version, place)
    bin_folder = place / "node_modules" / "node" / "bin"
    ran = subprocess.run(  # noqa: S603 - what was installed just now
        [
            str(place / "node_modules" / ".bin" / "conformance"),
            *("server", "--url", url, "--suite", "all"),
            *("--expected-failures", str(_HERE / _VERSIONS[version])),
        ],
        env={**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    summary = ran.stdout.partition("=== SUMMARY ===")[2] or ran.stdout
    sys.stdout.write(f"{_SUITE} {version}:{summary}{ran.stderr}\n")
    return ran.returncode


def _install(version: str, place: Path) -> None:
    """Install the suite, unless it is there already."""
    if (place / "node_modules" / ".bin" / "conformance").exists():
        return
    place.mkdir(parents=True, exist_ok=True)
    options = ["--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
    subprocess.run(  # noqa: S603
        ["npm", "install", "--prefix", str(place), *options, f"{_SUITE}@{version}", _NODE],  # noqa: S607
        check=True,
        timeout=_SECONDS,
    )


@contextmanager
def _server() -> Generator[str]:
    command = [sys.executable, "-m", "mixpanel_mcp", "serve", "--sandbox"]
    with subprocess.Popen(  # noqa: S603 - our own
        [*command, "--transport", "http", "--port", "0"], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        line = ""
        while "listens on" not in line:
            line = process.stderr.readline()
            assert line, "the server ended"
        try:
            yield line.split()[-1]
        finally:
            process.terminate()


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
