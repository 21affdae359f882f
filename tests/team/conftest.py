from pathlib import Path

import pytest
from config_files import Config


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(tmp_path / "config" / "mixpanel.toml")
