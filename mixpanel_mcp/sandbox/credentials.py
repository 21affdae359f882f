"""The one project of the sandbox, and who may call it. Nothing here is a secret."""

USERNAME = "sandbox"
PASSWORD = "sandbox-secret"  # noqa: S105  # printed at every start
PROJECT_ID = 1000001
TOKEN = "sandbox-token-0123456789abcdef0123"  # noqa: S105  # printed at every start
