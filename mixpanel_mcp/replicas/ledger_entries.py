"""How calls, and what 429s taught, are written in Redis."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from mixpanel_mcp.api.allowances import Allowance
from mixpanel_mcp.api.ledger import Counted, Counting, Learned, Others
from mixpanel_mcp.api.windows import Made
from mixpanel_mcp.replicas.keys import NAMESPACE

LEDGERS = f"{NAMESPACE}:ledgers"


def name_of(counted: Counted) -> str:
    return f"{counted.allowance.name}:{counted.project}"


def counted_of(name: str) -> Counted:
    allowance, _, project = name.partition(":")
    return Counted(project, Allowance[allowance])


def calls_key(counted: Counted) -> str:
    return f"{NAMESPACE}:calls:{name_of(counted)}"


def places_key(counted: Counted) -> str:
    return f"{NAMESPACE}:places:{name_of(counted)}"


def learned_key(project: str) -> str:
    return f"{NAMESPACE}:learned:{project}"


def member_of(call: Counting | Made) -> str:
    return f"{call.name}|{call.caller}"


def made_of(member: bytes, moment: float) -> Made:
    name, _, caller = member.decode().partition("|")
    return Made(moment, name, caller)


def all_made(flat: Sequence[bytes]) -> list[Made]:
    """Read what a script's ZRANGE WITHSCORES told: members and scores in turn."""
    return [made_of(flat[index], float(flat[index + 1])) for index in range(0, len(flat), 2)]


def moments_of(calls: Iterable[Made]) -> dict[str, float]:
    return {member_of(made): made.moment for made in calls}


def fields_of(learned: Learned) -> dict[str, Any]:
    others = learned.others
    return {
        "others": [others.calls, others.seen] if others else None,
        "hourly_queries": learned.hourly_queries,
        "not_before": {each.name: until for each, until in learned.not_before.items()},
    }


def learned_of(fields: dict[str, Any]) -> Learned:
    others = fields["others"]
    return Learned(
        others=Others(*others) if others else None,
        hourly_queries=fields["hourly_queries"],
        not_before={Allowance[name]: until for name, until in fields["not_before"].items()},
    )


def text_of(learned: Learned) -> str:
    return json.dumps(fields_of(learned))
