"""What came back from a passthrough request: as JSON, as text, as bytes, or as no success."""

import base64
import gzip
import stat
from pathlib import Path
from typing import Any

import pytest
from harness import CANARY_PASSWORD, CANARY_TOKEN, Connect, Era
from upstream import Reply, Upstream

READ: dict[str, Any] = {"url": "/api/query/cohorts/list", "method": "GET"}
BYTES = bytes(range(256))


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@pytest.mark.parametrize(
    ("response_type", "body"),
    [("json", {"a": [1, "ü"]}), ("text", '{"a": [1, "\\u00fc"]}')],
)
async def test_a_reply_is_read_as_asked(
    connect: Connect, upstream: Upstream, era: Era, response_type: str, body: Any
) -> None:
    upstream.default = Reply(json={"a": [1, "ü"]})

    async with connect(era=era) as tools:
        answer = await tools.call("raw_request", **READ, response_type=response_type)

    assert answer.status == "ok"
    assert answer.data == {
        "http_status": 200,
        "content_type": "application/json",
        "body": body,
    }


async def test_json_is_what_is_expected_and_text_is_said_to_be_none(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.default = Reply(body="id,name\n1,Ada\n", headers={"content-type": "text/csv"})

    async with connect() as tools:
        answer = await tools.call("raw_request", **READ)

    assert answer.status == "ok"
    assert (answer.data["content_type"], answer.data["body"]) == ("text/csv", "id,name\n1,Ada\n")
    assert "id,name\n1,Ada" in answer.text
    assert "not JSON" in answer.notes


@pytest.mark.parametrize("response_type", ["json", "text", "binary"])
async def test_an_empty_reply_is_empty(
    connect: Connect, upstream: Upstream, response_type: str
) -> None:
    upstream.default = Reply(204)

    async with connect() as tools:
        answer = await tools.call("raw_request", **READ, response_type=response_type)

    assert (answer.status, answer.data["http_status"]) == ("ok", 204)
    assert answer.data.get("body", answer.data.get("base64")) in {None, ""}


@pytest.mark.parametrize("size", [0, 1, 256, 65_536])
async def test_up_to_64_kilobytes_of_bytes_come_as_base64(
    connect: Connect, upstream: Upstream, tmp_path: Path, size: int
) -> None:
    body = (BYTES * 256)[:size]
    upstream.default = Reply(body=body, headers={"content-type": "image/png"})

    async with connect(files_root=tmp_path) as tools:
        answer = await tools.call("raw_request", **READ, response_type="binary")

    assert answer.status == "ok"
    assert base64.b64decode(answer.data["base64"]) == body
    assert (answer.data["bytes"], answer.data["content_type"]) == (size, "image/png")
    assert files_in(tmp_path) == []


async def test_more_bytes_go_to_a_file(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    body = BYTES * 256 + b"!"
    upstream.default = Reply(body=gzip.compress(body), headers={"content-encoding": "gzip"})

    async with connect(files_root=tmp_path) as tools:
        answer = await tools.call("raw_request", **READ, response_type="binary")

    (file,) = files_in(tmp_path)
    assert answer.status == "ok"
    assert (answer.data["path"], answer.data["bytes"]) == (str(file), len(body))
    assert file.read_bytes() == body
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "base64" not in answer.data


async def test_without_a_folder_many_bytes_are_only_counted(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.default = Reply(body=BYTES * 257)

    async with connect() as tools:
        answer = await tools.call("raw_request", **READ, response_type="binary")

    assert (answer.status, answer.structured["complete"]) == ("partial", False)
    assert answer.data["bytes"] == len(BYTES) * 257
    assert "MIXPANEL_MCP_FILES_ROOT" in answer.notes


async def test_another_response_type_is_refused(connect: Connect, upstream: Upstream) -> None:
    async with connect() as tools:
        answer = await tools.call("raw_request", **READ, response_type="arraybuffer")

    assert answer.status == "refused"
    assert "response_type" in answer.text
    assert upstream.requests == []


@pytest.mark.parametrize(
    "body",
    ['{"a": 1e999}', '{"a": NaN}', '["\\ud800"]', "[" * 400 + "]" * 400, "[" * 100_000],
    ids=["infinite", "nan", "half", "deep", "too-deep"],
)
async def test_an_odd_reply_is_still_an_answer(
    connect: Connect, upstream: Upstream, body: str
) -> None:
    upstream.default = Reply(body=body)

    async with connect() as tools:
        answer = await tools.call("raw_request", **READ)

    assert (answer.status, answer.data["http_status"]) == ("ok", 200)


async def test_a_long_reply_is_cut_for_the_model_and_counted(
    connect: Connect, upstream: Upstream
) -> None:
    upstream.default = Reply(body="x" * 100_000)

    async with connect() as tools:
        answer = await tools.call("raw_request", **READ, response_type="text")

    assert len(answer.text.encode()) <= 16_000
    assert "bytes left out here" in answer.text
    assert len(answer.data["body"]) == 100_000


async def test_a_reply_that_echoes_secrets_is_shown_without_them(
    connect: Connect, upstream: Upstream
) -> None:
    pair = base64.b64encode(f"robot:{CANARY_PASSWORD}".encode()).decode()
    upstream.default = Reply(json={"echo": [CANARY_PASSWORD, f"t={CANARY_TOKEN}", pair]})

    async with connect() as tools:
        answer = await tools.call("raw_request", **READ)
        text = await tools.call("raw_request", **READ, response_type="text")

    for each in (answer, text):
        seen = each.text + str(each.structured)
        assert not [secret for secret in (CANARY_PASSWORD, CANARY_TOKEN, pair) if secret in seen]


@pytest.mark.parametrize("url", ["/track", "/engage", "/groups", "/track/", "/%74rack", "/import"])
@pytest.mark.parametrize(
    "reply",
    [
        Reply(body="0"),
        Reply(body="0\n"),
        Reply(json={"status": 0, "error": "data, missing or empty"}),
        Reply(json={"error": "some reason", "status": 0}),
    ],
    ids=["0", "0-line", "verbose", "verbose-2"],
)
async def test_a_zero_inside_a_200_is_a_failure(
    connect: Connect, upstream: Upstream, url: str, reply: Reply
) -> None:
    upstream.default = reply
    event = {"event": "E", "properties": {"distinct_id": "a", "time": 1, "$insert_id": "i"}}
    profile = {"$distinct_id": "a", "$set": {"x": 1}}
    data = [event] if "t" in url.lower() and url != "/engage" else [profile]

    async with connect() as tools:
        answer = await tools.call("raw_request", url=url, method="POST", data=data, confirm=True)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("tool", "given"),
    [
        ("raw_request", {**READ}),
        ("create_generic_pipeline", {"form_data": {"type": "s3-raw"}, "confirm": True}),
        ("edit_generic_pipeline", {"name": "p", "confirm": True}),
    ],
)
async def test_an_error_inside_a_200_is_no_success(
    connect: Connect, upstream: Upstream, tool: str, given: dict[str, Any]
) -> None:
    upstream.default = Reply(json={"error": "bucket not writable", "status": "error"})

    async with connect() as tools:
        answer = await tools.call(tool, **given)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "bucket not writable" in answer.text


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 413, 422, 429, 500, 501, 503])
async def test_a_refusal_keeps_status_and_body(
    connect: Connect, upstream: Upstream, status: int
) -> None:
    upstream.default = Reply(status, json={"error": "because", "failed_records": [{"index": 3}]})

    async with connect() as tools:
        answer = await tools.call("raw_request", **READ)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert answer.data["http_status"] == status
    assert answer.data["mixpanel_says"] == "because"
    assert len(upstream.requests) == 1


async def test_the_records_that_an_import_rejected_come_back(
    connect: Connect, upstream: Upstream
) -> None:
    body = {
        "code": 400,
        "error": "some data points in the request failed validation",
        "num_records_imported": 1,
        "status": "Bad Request",
        "failed_records": [{"index": 0, "insert_id": "i", "field": "time", "message": "too old"}],
    }
    upstream.default = Reply(400, json=body)
    event = {"event": "E", "properties": {"distinct_id": "a", "time": 1, "$insert_id": "i"}}

    async with connect() as tools:
        answer = await tools.call(
            "raw_request", url="/import?strict=1", method="POST", data=[event, event]
        )

    assert answer.status == "failed"
    assert answer.data["body"] == body


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_redirect_is_never_followed(
    connect: Connect, upstream: Upstream, status: int, method: str
) -> None:
    """Credentials must not cross to another host, and a write must not become a read."""
    upstream.always("/api/app/me", Reply(status, headers={"location": f"{upstream.url}/x"}))

    async with connect() as tools:
        answer = await tools.call("raw_request", url="/api/app/me", method=method, confirm=True)

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "unknown" in answer.text
    assert [request.path for request in upstream.requests] == ["/api/app/me"]
