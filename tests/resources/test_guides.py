"""Guides: short, and true to the code where the code knows the same."""

import json
import re

import pytest
from browsing import browsing
from harness import Era
from upstream import Upstream

from mixpanel_mcp.operations import OPERATIONS
from mixpanel_mcp.operations.pipeline_creation import CreateGcsPipeline
from mixpanel_mcp.operations.pipelines import GetPipeline
from mixpanel_mcp.resources.guides import guide
from mixpanel_mcp.resources.kinds import EVENTS, GUIDES, KINDS, PIPELINE_GUIDE, Kind
from mixpanel_mcp.sandbox.pipeline_types import PIPELINE_TYPES

TASK_STATES = {"pending", "running", "retried", "failed", "canceled", "timed_out"}

every_guide = pytest.mark.parametrize("kind", GUIDES, ids=lambda kind: kind.name)


def spans_of(kind: Kind) -> set[str]:
    return set(re.findall(r"`([^`\n]+)`", guide(kind)))


@every_guide
async def test_a_guide_is_read_without_mixpanel(upstream: Upstream, era: Era, kind: Kind) -> None:
    async with browsing(upstream.url, era) as browser:
        text = await browser.read(kind.uri)
        twin = json.loads(await browser.read(f"{kind.uri}?format=json"))
    assert text == guide(kind)
    assert twin == {"uri": f"{kind.uri}?format=json", "text": text}
    assert upstream.requests == []


@every_guide
def test_a_guide_is_short_and_begins_with_its_subject(kind: Kind) -> None:
    text = guide(kind)
    assert text.startswith("# ")
    assert len(text.split()) < 800
    assert not any(line.endswith(" ") for line in text.splitlines())


@every_guide
def test_a_guide_names_what_there_is(kind: Kind) -> None:
    uris = {each.uri for each in KINDS}
    assert {span for span in spans_of(kind) if "://" in span} <= uris
    named = spans_of(kind) & OPERATIONS.keys()
    assert named
    prefixed = set(re.findall(r"`(mp_[^`]+)`", guide(kind, "mp_"))) - spans_of(kind)
    assert prefixed == {f"mp_{name}" for name in named}


def test_the_pipelines_guide_knows_the_types_their_fields_and_the_states() -> None:
    text = guide(PIPELINE_GUIDE)
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \|[^|]*\|(.*)\|$", text, re.MULTILINE))
    del rows["type"]
    assert rows.keys() == PIPELINE_TYPES.keys()
    for name, cell in rows.items():
        fields = set(re.findall(r"`([a-z0-9_]+)`", cell))
        for other in re.findall(r"as `([a-z0-9-]+)`", cell):
            fields |= set(PIPELINE_TYPES[other].required)
        expected = set(PIPELINE_TYPES[name].required)
        if name == "snowflake":
            expected = {field for field in expected if not field.startswith("snowflake_")}
        assert fields - {"sync", "schema_type"} == expected - {"sync", "schema_type"}
    states = re.findall(r"[a-z_]+", str(GetPipeline.model_fields["status"].description))
    assert {state for state in states if state in TASK_STATES} == TASK_STATES
    assert spans_of(PIPELINE_GUIDE) >= TASK_STATES
    assert {"trial", "from_date", "to_date", "frequency", "events", "where"} <= (
        CreateGcsPipeline.model_fields.keys() & spans_of(PIPELINE_GUIDE)
    )


def test_the_events_guide_names_the_reserved_properties() -> None:
    reserved = {"time", "distinct_id", "$insert_id", "$device_id", "$user_id", "ip", "$ignore"}
    assert reserved <= spans_of(EVENTS)
