"""What an operation is: a pydantic model, a short function, and a declaration above it.

    class PipelineName(InProject, Write):
        name: str = Field(description="Name of the pipeline, as list_pipelines shows it.")

    @operation(
        title="Delete pipeline", toolset="pipelines", effect=Effect.IRREVERSIBLE,
        docs="data-pipelines.openapi.yaml /nessie/pipeline/cancel",
    )
    async def delete_pipeline(call: Call, args: PipelineName) -> Answer:
        '''Delete a pipeline and its history. It cannot be undone.'''

The function's name becomes the tool's, the model's fields its arguments, the docstring its
description; hints, gates, audit and the README table derive from the declaration. A function
sends through `call`, and nothing leaves before the guard behind it has read the request itself:
danger is decided on what would be sent, not on who sends it.
"""

from mixpanel_mcp.operation.answer import Answer, Status, Table
from mixpanel_mcp.operation.arguments import (
    SHARED_ARGUMENTS,
    Arguments,
    Cached,
    InProject,
    InWorkspace,
    Write,
)
from mixpanel_mcp.operation.call import Call, Progress
from mixpanel_mcp.operation.guard import TOKEN_NAMES, Effect, Guard, Permit
from mixpanel_mcp.operation.load import Load
from mixpanel_mcp.operation.table import OPERATIONS, Operation, operation

__all__ = [
    "OPERATIONS",
    "SHARED_ARGUMENTS",
    "TOKEN_NAMES",
    "Answer",
    "Arguments",
    "Cached",
    "Call",
    "Effect",
    "Guard",
    "InProject",
    "InWorkspace",
    "Load",
    "Operation",
    "Permit",
    "Progress",
    "Status",
    "Table",
    "Write",
    "operation",
]
