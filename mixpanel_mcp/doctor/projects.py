"""What `/me` tells: the projects that the service account sees, and perhaps their tokens."""

from mixpanel_mcp.api.replies import Reply
from mixpanel_mcp.doctor.questions import document_of
from mixpanel_mcp.json_values import is_object
from mixpanel_mcp.sanitize import listed


class Projects:
    """The answer of `/me`, read with care: the app API is hardly documented."""

    def __init__(self, reply: Reply) -> None:
        document = document_of(reply)
        results = document.get("results") if is_object(document) else None
        projects = results.get("projects") if is_object(results) else None
        # No list of projects is something else than an empty one.
        self.are_known = is_object(projects)
        self._projects = dict(projects) if is_object(projects) else {}

    def has(self, project_id: int) -> bool:
        return str(project_id) in self._projects

    def token_of(self, project: str) -> str | None:
        """A project's token, where Mixpanel tells it (no document promises that)."""
        details = self._projects.get(project)
        token = details.get("token") if is_object(details) else None
        return token if isinstance(token, str) and token else None

    def owner_of(self, token: str) -> str | None:
        return next((name for name in self._projects if self.token_of(name) == token), None)

    @property
    def shown(self) -> str:
        return listed(list(self._projects), limit=20) if self._projects else "none"
