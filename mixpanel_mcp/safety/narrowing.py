"""What one caller may do: the operator's policy, made narrower and never wider."""

from collections.abc import Collection
from dataclasses import dataclass

from mixpanel_mcp.api.ledger import BudgetShare
from mixpanel_mcp.operations import OPERATIONS
from mixpanel_mcp.settings import Caller, Confirmation, Policy, Settings


@dataclass(frozen=True)
class Narrowing:
    """What a request asks to go without, by its headers."""

    toolsets: frozenset[str] | None = None
    """The only ones it wants; all that it may have without."""
    read_only: bool = False


def settings_of(settings: Settings, caller: Caller) -> Settings:
    """The settings with what a caller is not given taken away."""
    policy = settings.policy
    changes: dict[str, object] = {
        "read_only": policy.read_only or caller.read_only,
        "exclude_tools": _without(policy, caller.toolsets or None),
        # Only a person's yes is the stricter of the two.
        "confirmation": Confirmation.HUMAN
        if Confirmation.HUMAN in {policy.confirmation, caller.confirmation}
        else policy.confirmation,
        # Checked at the start to lie within the operator's.
        "allowed_projects": caller.allowed_projects or policy.allowed_projects,
        "allowed_destinations": caller.allowed_destinations or policy.allowed_destinations,
    }
    connections = [
        each
        for each in settings.connections
        if not caller.connections or each.name in caller.connections
    ]
    return settings.with_policy(policy.model_copy(update=changes), connections)


def share_of(caller: Caller) -> BudgetShare | None:
    """What all who are this caller may use together of each project's hour; None: all of it."""
    if caller.budget_share is None:
        return None
    return BudgetShare(caller.name, caller.budget_share)


def narrowed(settings: Settings, narrowing: Narrowing) -> Settings:
    """The settings without what a request wants to go without."""
    policy = settings.policy
    changes = {
        "read_only": policy.read_only or narrowing.read_only,
        "exclude_tools": _without(policy, narrowing.toolsets),
    }
    return settings.with_policy(policy.model_copy(update=changes), settings.connections)


def _without(policy: Policy, toolsets: Collection[str] | None) -> tuple[str, ...]:
    """The tools that are left out; a list of them can only grow, so nothing comes back."""
    if toolsets is None:
        return policy.exclude_tools
    others = [row.name for row in OPERATIONS.values() if row.toolset not in toolsets]
    return tuple(dict.fromkeys((*policy.exclude_tools, *others)))
