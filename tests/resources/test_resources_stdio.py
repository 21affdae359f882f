"""Resources of the server as a host starts it: a process of its own, in both eras."""

import json
import sys

import mcp.types as t
from browsing import FUNNELS, JOBS, STATUS
from harness import CANARY_PASSWORD, CANARY_TOKEN, Era
from mcp import Client, StdioServerParameters
from upstream import Reply, Upstream


async def test_a_process_is_browsed(upstream: Upstream, era: Era) -> None:
    name = 'a/b "100%" 🛒 שלום'
    upstream.always(JOBS, Reply(json={"1": [{"name": name}]}))
    upstream.always(FUNNELS, Reply(json=[]))
    upstream.always(STATUS, Reply(json={"pending": [{"state": "pending"}]}))
    parameters = StdioServerParameters(
        command=sys.executable,
        args=["-m", "mixpanel_mcp", "serve"],
        env={
            "MIXPANEL_USERNAME": "robot",
            "MIXPANEL_PASSWORD": CANARY_PASSWORD,
            "MIXPANEL_PROJECT_TOKEN": CANARY_TOKEN,
            "MIXPANEL_PROJECT_ID": "4242",
            "MIXPANEL_BASE_URL": upstream.url,
        },
    )
    async with Client(parameters, mode=era, read_timeout_seconds=20) as client:
        await client.call_tool("list_pipelines", {})
        listed = (await client.list_resources()).resources
        guide = await client.read_resource("mixpanel://guide/expressions")
        twin = await client.read_resource(f"{listed[-1].uri}?format=json")
        ref = t.ResourceTemplateReference(uri="mixpanel://pipelines/{name}{?format}")
        offered = await client.complete(ref, {"name": "name", "value": "a/"})

    assert listed[-1].name == name
    assert dict(upstream.to(STATUS)[0].query)["name"] == name
    assert offered.completion.values == [name]
    (words,), (content,) = guide.contents, twin.contents
    assert isinstance(words, t.TextResourceContents)
    assert words.text.startswith("# Expressions")
    assert isinstance(content, t.TextResourceContents)
    assert json.loads(content.text)["data"] == {"pending": [{"state": "pending"}]}
