"""What all settings have in common: frozen values, lists, and paths with their `~`."""

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BeforeValidator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)


def pieces(text: str) -> tuple[str, ...]:
    return tuple(part for part in (piece.strip() for piece in text.split(",")) if part)


def _parse_list(value: object) -> object:
    return pieces(value) if isinstance(value, str) else value


_T = TypeVar("_T")
CommaSeparated = Annotated[tuple[_T, ...], NoDecode, BeforeValidator(_parse_list)]


def expanded(path: Path) -> Path:
    """A path with its `~`: many hosts start servers without a shell that would know it."""
    try:
        return path.expanduser()
    except RuntimeError:  # nobody of that name has a home
        return path


class Frozen(BaseSettings):
    """Values that do not change, from whoever made them."""

    # Without hide_input_in_errors a missing project id would print the secret next to it.
    model_config = SettingsConfigDict(
        frozen=True, hide_input_in_errors=True, env_ignore_empty=True, extra="forbid"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from the caller alone: `load_settings` has read the environment already."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)
