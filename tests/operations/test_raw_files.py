"""Files in a passthrough request: from below the files root or a data: URI, from nowhere else."""

import os
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest
from harness import Connect, Era
from upstream import Received, Upstream

# A path whose effect nobody knows, so that any body may go there once it is confirmed.
SEND: dict[str, Any] = {"url": "/api/app/me", "method": "POST", "confirm": True}


def parts_of(request: Received) -> list[Message]:
    """A multipart body, read by the standard library and not by what wrote it."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser().parsebytes(head + request.body)
    assert message.is_multipart()
    assert not message.defects
    return [part for part in message.get_payload() if isinstance(part, Message)]


def field_of(part: Message) -> Any:
    return part.get_param("name", header="content-disposition")


async def test_files_from_below_the_root_go_out_as_multipart(
    connect: Connect, upstream: Upstream, tmp_path: Path, era: Era
) -> None:
    content = bytes(range(256)) + "ü\r\n--boundary--\r\n".encode()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "table.csv").write_bytes(content)

    async with connect(era=era, files_root=tmp_path) as tools:
        answer = await tools.call(
            "raw_request",
            **SEND,
            file_data={"one": "sub/table.csv", "two": "sub/table.csv"},
            file_data_file_names={"two": "Köln.csv"},
            form_data={"events": ["A", "B"], "name": "ü"},
        )

    assert answer.status == "ok"
    parts = parts_of(upstream.last)
    texts = [(field_of(part), part.get_payload(decode=True)) for part in parts]
    assert texts == [
        ("events", b"A"),
        ("events", b"B"),
        ("name", "ü".encode()),
        ("one", content),
        ("two", content),
    ]
    assert parts[3].get_filename() == "table.csv"
    assert "K" in str(parts[4].get_filename())
    assert parts[0].get_filename() is None


@pytest.mark.parametrize(
    ("source", "content"),
    [
        ("data:,hello%20world", b"hello world"),
        ("data:text/csv,a%2Cb%0A", b"a,b\n"),
        ("data:;base64,AP8=", b"\x00\xff"),
        ("data:application/octet-stream;base64,SGk%3D", b"Hi"),
        ("data:,", b""),
    ],
)
async def test_a_data_uri_needs_no_folder(
    connect: Connect, upstream: Upstream, source: str, content: bytes
) -> None:
    async with connect() as tools:
        await tools.call("raw_request", **SEND, file_data={"file": source})
        await tools.call(
            "raw_request",
            **SEND,
            file_data={"file": source},
            file_data_file_names={"file": "a.bin"},
        )

    (unnamed,), (named,) = map(parts_of, upstream.requests)
    assert unnamed.get_payload(decode=True) == named.get_payload(decode=True) == content
    assert named.get_filename() == "a.bin"
    # Without a name of its own it has a plain one: the content is no name.
    assert "," not in str(unnamed.get_filename())


async def test_a_file_name_cannot_write_a_header(connect: Connect, upstream: Upstream) -> None:
    evil = 'x"\r\nContent-Type: text/html\r\n\r\n<b>'

    async with connect() as tools:
        await tools.call(
            "raw_request",
            **SEND,
            file_data={evil: "data:,hello"},
            file_data_file_names={evil: evil},
            form_data={evil: "value"},
        )

    for part in parts_of(upstream.last):
        assert part.get_payload(decode=True) in {b"hello", b"value"}
        assert "text/html" not in str(part.get("content-type"))


async def test_without_a_folder_no_file_is_read(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("planted-secret")

    async with connect() as tools:
        answer = await tools.call("raw_request", **SEND, file_data={"f": str(tmp_path / "secret")})

    assert answer.status == "refused"
    assert "MIXPANEL_MCP_FILES_ROOT" in answer.text
    assert upstream.requests == []


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "sub/../../secret",
        "{outside}",
        "/etc/passwd",
        "/proc/self/environ",
        "link",
        "linked/secret",
        "hard",
        "pipe",
        "sub",
        "missing",
        "",
        ".",
        "./inside",
        "sub//inside",
        "inside\x00",
        "..\\secret",
        "file:inside",
        "~/inside",
        "large",
    ],
)
async def test_a_path_that_leads_elsewhere_reads_nothing(
    connect: Connect, upstream: Upstream, tmp_path: Path, path: str
) -> None:
    root, outside = tmp_path / "root", tmp_path / "secret"
    (root / "sub").mkdir(parents=True)
    outside.write_text("planted-secret")
    (root / "inside").write_text("fine")
    (root / "link").symlink_to(outside)
    (root / "linked").symlink_to(tmp_path)
    (root / "hard").hardlink_to(outside)
    os.mkfifo(root / "pipe")
    with (root / "large").open("wb") as large:
        large.truncate(64 * 1024 * 1024)

    async with connect(files_root=root) as tools:
        given = path.format(outside=outside)
        answer = await tools.call("raw_request", **SEND, file_data={"f": given})

    assert (answer.status, answer.is_error) == ("refused", True)
    assert "planted-secret" not in answer.text
    assert upstream.requests == []


async def test_the_generic_tools_take_files_too(connect: Connect, upstream: Upstream) -> None:
    async with connect() as tools:
        edited = await tools.call(
            "edit_generic_pipeline", name="p", file_data={"f": "data:,x"}, confirm=True
        )

    assert edited.status == "ok"
    assert [field_of(part) for part in parts_of(upstream.last)] == ["name", "f"]
