"""The error of a sandbox that cannot start."""


class SandboxUnavailableError(Exception):
    """The sandbox cannot run here, and says what to do."""

    def __init__(
        self,
        message: str = (
            "The sandbox needs DuckDB. Install it with: pip install 'mixpanel-mcp[sandbox]' "
            "(from a checkout: pip install '.[sandbox]', or uvx --from '/path/to/it[sandbox]')"
        ),
    ) -> None:
        super().__init__(message)
