"""Configuration files of tests: written privately, loaded as `serve --config` loads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mixpanel_mcp.settings import Settings, SettingsError, load_settings

# Secrets that no fault may hold.
SECRET = "canary-secret-7f3d9a10"
OTHER_SECRET = "canary-other-secret-c0ffee42"


def write_private(path: Path, content: str | bytes, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


@dataclass(frozen=True)
class Config:
    """One file to be written, and what its folder holds beside it."""

    path: Path

    @property
    def folder(self) -> Path:
        return self.path.parent

    def load(
        self,
        text: str | bytes,
        environment: Mapping[str, str] | None = None,
        *,
        mode: int = 0o600,
        **flags: Any,
    ) -> Settings:
        write_private(self.path, text, mode)
        return load_settings(environment or {}, {"config": str(self.path), **flags})

    def faults(
        self,
        text: str | bytes,
        environment: Mapping[str, str] | None = None,
        *,
        mode: int = 0o600,
        **flags: Any,
    ) -> list[str]:
        """What stops the start; none of it holds a secret, whatever the test is about."""
        with pytest.raises(SettingsError) as stopped:
            self.load(text, environment, mode=mode, **flags)
        said = str(stopped.value) + repr(stopped.value) + repr(stopped.value.__cause__)
        assert SECRET not in said
        assert OTHER_SECRET not in said
        return list(stopped.value.faults)


def one_table(*lines: str) -> str:
    return "\n".join(["[connections.shop]", *lines])
