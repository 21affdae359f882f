"""Notices to the same caller's servers on all replicas."""

from dataclasses import asdict

from mixpanel_mcp.replicas.events import Event
from mixpanel_mcp.replicas.link import Link
from mixpanel_mcp.resources.notices import Ear, Notice, Notices


class SharedNotices(Notices):
    """The notices of one caller and connection."""

    def __init__(self, link: Link, scope: str) -> None:
        """`scope` is the digest of the caller and the connection."""
        super().__init__()
        self._link = link
        self._scope = scope
        link.on("notice", self._heard)
        link.when_shared(self.missed)

    async def tell(self, notice: Notice, teller: Ear | None = None) -> None:
        await super().tell(notice, teller)
        await self._link.publish("notice", scope=self._scope, **asdict(notice))

    async def _heard(self, event: Event) -> None:
        if event["scope"] == self._scope:
            notice = Notice(
                event["folder"], tuple(event["keys"]), list_changed=event["list_changed"]
            )
            await super().tell(notice)
