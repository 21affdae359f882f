"""The sandbox takes what a file's import sends, and counts it once."""

import json
from pathlib import Path
from typing import Any

from harness import Connect

DAY = "2026-01-05"


async def downloaded(tools: Any, name: str) -> int:
    answer = await tools.call("download_data", from_date=DAY, to_date=DAY, event_name=[name])
    return len({row["properties"]["$insert_id"] for row in answer.data["events"]})


async def test_a_file_imported_twice_is_there_once(
    connect_sandbox: Connect, tmp_path: Path
) -> None:
    rows = [
        {"event": "Filed", "properties": {"distinct_id": f"user-{n}", "time": f"{DAY}T12:00:00"}}
        for n in range(50)
    ]
    rows.append({"event": "Filed", "properties": {"distinct_id": "ada", "time": "soon"}})
    (tmp_path / "a.ndjson").write_text("\n".join(map(json.dumps, rows)))

    async with connect_sandbox(files_root=tmp_path) as tools:
        for _ in range(2):
            answer = await tools.call("import_events", file="a.ndjson")
            assert (answer.data["accepted"], answer.data["rejected"]) == (50, 1), answer.text
        assert await downloaded(tools, "Filed") == 50
