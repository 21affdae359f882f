"""What tools take: the arguments that several share, written once and mixed in."""

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from mixpanel_mcp.settings import Region, parse_region


class Arguments(BaseModel):
    """What every tool takes."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True
    )

    region: Annotated[
        Region | None, BeforeValidator(parse_region), WithJsonSchema({"type": "string"})
    ] = Field(default=None, description="us, eu or in.")

    def given(self, name: str) -> Any:
        """One of the arguments by its name; None where this tool takes none of that name."""
        # pydantic's own look-up of what is not there is slow.
        return self.__dict__.get(name)


class InProject(Arguments):
    """Endpoints that take a project id."""

    project_id: int | None = Field(default=None, gt=0, description="If not the connection's.")


class InWorkspace(InProject):
    """Endpoints of the Query API, which also know data views."""

    workspace_id: int | None = Field(
        default=None, gt=0, description="Data view, if not the connection's."
    )


class Cached(Arguments):
    """Reads whose answers are kept for a short time."""

    fresh: bool = Field(default=False, description="true: ask Mixpanel, not the cache.")


class Write(Arguments):
    """Tools that can change something."""

    confirm: bool = Field(
        default=False, description="true, once the person agreed to what can't be undone."
    )


# Their place in every tool's arguments: behind its own.
SHARED_ARGUMENTS = ("project_id", "workspace_id", "region", "fresh", "confirm")
