"""Questions over an export: SQL that can only read it, and reports that cost nothing."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from days import A_DAY, DAYS, SPAN, body_of, event, lines, whole
from harness import Connect, Result, Tools
from upstream import Reply, Upstream

from mixpanel_mcp.files.asking import SPARE

ENDLESS = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r"
FORMATS = ["ndjson", "ndjson.gz", "parquet"]


@pytest.fixture(autouse=True)
def _no_spare_process() -> Any:
    """A process that waits for the next question ends with the test that began it."""
    yield
    SPARE.close()


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def environment_of(process: int) -> bytes:
    return Path(f"/proc/{process}/environ").read_bytes()


async def exported(tools: Tools, **given: Any) -> str:
    answer = await tools.call("download_data", **{**SPAN, "format": "parquet", **given})
    assert answer.status == "ok"
    return answer.data["id"]


@pytest.mark.parametrize("kept", FORMATS)
async def test_events_are_a_table_whatever_the_format(
    connect: Connect, upstream: Upstream, tmp_path: Path, kept: str
) -> None:
    upstream.default = whole

    async with connect(files_root=tmp_path) as tools:
        name = await exported(tools, format=kept)
        asked = await tools.call(
            "query_export",
            id=name,
            sql="SELECT event, count(*) AS n, min(time) AS first, max(insert_id) AS last,"
            " sum((properties->>'price')::INT) AS price FROM events GROUP BY ALL ORDER BY event",
        )
        sent = len(upstream.requests)
        described = await tools.call("describe_export", id=name)

    assert asked.data["columns"] == ["event", "n", "first", "last", "price"]
    assert asked.data["rows"] == [
        ["Bought", 78, "2026-01-01T00:00:00.001000", "2026-01-03-8", 1521],
        ["Seen", 42, "2026-01-01T00:00:00", "2026-01-03-9", 819],
    ]
    assert "Bought,78," in asked.text
    assert sent == len(DAYS)
    assert described.data["records"] == len(DAYS) * A_DAY
    assert described.data["users"] == 7
    assert described.data["first"] == "2026-01-01T00:00:00"
    assert described.data["events"][0] == {"event": "Bought", "count": 78}
    types = {each["name"]: each["types"] for each in described.data["properties"]}
    assert (types["plan"], types["price"]) == (["string"], ["number"])


async def test_a_folder_may_have_any_name(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.default = whole
    root = tmp_path / """it's "odd"; [a] *"""
    root.mkdir()
    async with connect(files_root=root) as tools:
        name = await exported(tools, format="ndjson.gz")
        asked = await tools.call("query_export", id=name, sql="SELECT count(*) FROM events")
        report = await tools.call("analyze_export", id=name, report="frequency")
    assert asked.data["rows"] == [[len(DAYS) * A_DAY]]
    assert report.status == "ok"


async def test_chosen_properties_are_columns_with_a_type(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    odd = event(DAYS[0], 0, price="much", **{'it\'s "odd"/~': True, "at": "2026-05-06T07:08:09"})
    upstream.default = Reply(body=lines([odd, event(DAYS[0], 1)]))
    columns = {"price": "number", "plan": "text", 'it\'s "odd"/~': "boolean", "at": "time"}

    async with connect(files_root=tmp_path) as tools:
        name = await exported(tools, to_date=DAYS[0], columns=columns)
        asked = await tools.call(
            "query_export",
            id=name,
            sql='SELECT price, plan, "it\'s ""odd""/~", "at" FROM events ORDER BY time',
        )

    assert asked.data["rows"] == [
        [None, "free", True, "2026-05-06T07:08:09"],
        [1.0, "pro", None, None],
    ]


ATTACKS = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/proc/self/environ')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM read_json('/proc/self/cmdline')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM read_parquet('http://127.0.0.1:1/x')",
    "SELECT * FROM read_duckdb('/tmp/a.db')",
    "COPY events TO '{file}'",
    "COPY (SELECT 1) TO '{folder}/out.csv'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{folder}/out.csv'",
    "WITH x AS (COPY events TO '{file}') SELECT * FROM x",
    "WITH x AS (INSERT INTO events SELECT * FROM events RETURNING *) SELECT * FROM x",
    "WITH x AS (DELETE FROM events RETURNING *) SELECT * FROM x",
    "SELECT * FROM query('COPY events TO ''{file}''')",
    "SELECT 1; COPY events TO '{file}'",
    "SELECT 1; DROP VIEW events",
    "EXPORT DATABASE '{folder}/all'",
    "ATTACH '{folder}/a.db'",
    "ATTACH ':memory:' AS other",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET memory_limit = '1TB'",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "RESET enable_external_access",
    "PRAGMA enable_profiling",
    "PRAGMA version",
    "CREATE TABLE t AS SELECT 1",
    "CREATE SECRET s (TYPE s3)",
    "CREATE MACRO m() AS 1",
    "CALL pragma_version()",
    "CHECKPOINT",
    "BEGIN",
    "PREPARE a AS SELECT 1",
    "USE memory",
    "SELECT getenv('HOME')",
    "SELECT repeat('x', 4000000000)",
    "SELECT list(repeat(properties, 100)) FROM events, range(1000)",
    "SELECT " + "(" * 3_000 + "1" + ")" * 3_000,
    "SELECT * FROM nothing",
    "",
    "-- nothing",
    "no sql",
]


@pytest.mark.parametrize("number", range(len(ATTACKS)))
async def test_sql_that_does_more_than_read_the_export_is_refused(
    connect: Connect, upstream: Upstream, tmp_path: Path, number: int
) -> None:
    upstream.default = whole
    async with connect(files_root=tmp_path) as tools:
        name = await exported(tools)
        files = contents(tmp_path)
        sql = ATTACKS[number].replace("{folder}", str(tmp_path))
        sql = sql.replace("{file}", str(next(path for path in files if path.suffix == ".parquet")))

        answer = await tools.call("query_export", id=name, sql=sql)
        after = await tools.call("query_export", id=name, sql="SELECT count(*) FROM events")

    assert answer.is_error
    assert "root:" not in answer.text
    assert after.data["rows"] == [[len(DAYS) * A_DAY]]
    assert contents(tmp_path) == files


ODD = {
    "SELECT '\ud800'": "half of a character",
    'SELECT 1 AS "\udfff"': "half of a character",
    "SELECT INTERVAL '99999999 years'": "too large",
    "SELECT [INTERVAL '2000000000 days']": "too large",
    "SELECT error(repeat('ab', 5_000_000))": "abab",
    "SELECT now()": "cast it",
}


@pytest.mark.parametrize("sql", ODD, ids=range(len(ODD)))
async def test_what_cannot_be_shown_is_told_for_what_it_is(
    connect: Connect, upstream: Upstream, tmp_path: Path, sql: str
) -> None:
    upstream.default = whole
    async with connect(files_root=tmp_path) as tools:
        name = await exported(tools)
        await tools.call("query_export", id=name, sql="SELECT 1")
        answerer = SPARE.take()
        SPARE.give_back(answerer)

        answer = await tools.call("query_export", id=name, sql=sql)

        assert answerer.is_alive

    assert answer.status == "refused"
    assert ODD[sql] in answer.text
    assert len(answer.text) < 5_000


async def test_a_name_of_a_column_has_an_end(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.default = whole
    async with connect(files_root=tmp_path) as tools:
        name = await exported(tools)
        answer = await tools.call("query_export", id=name, sql=f"SELECT 1 AS {'a' * 15_000}")
    assert answer.data["columns"] == ["a" * 1_000]


async def test_the_process_of_questions_knows_no_secret(
    connect: Connect, upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIXPANEL_PASSWORD", "canary-in-the-environment")
    upstream.default = whole
    async with connect(files_root=tmp_path) as tools:
        name = await exported(tools)
        await tools.call("query_export", id=name, sql="SELECT 1")
        answerer = SPARE.take()
        environment = environment_of(answerer.process_id)
        answerer.close()

    assert b"canary" not in environment


async def test_a_query_without_an_end_is_ended_and_others_answer_meanwhile(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.default = whole
    waited: list[float] = []

    async with connect(files_root=tmp_path, read_seconds=2) as tools:
        name = await exported(tools)

        async def meanwhile() -> None:
            for _ in range(10):
                begun = time.perf_counter()
                await tools.call("list_exports")
                waited.append(time.perf_counter() - begun)
                await anyio.sleep(0.05)

        answers: list[Result] = []
        async with anyio.create_task_group() as both:
            both.start_soon(meanwhile)
            answers.append(await tools.call("query_export", id=name, sql=ENDLESS))
        (answer,) = answers
        after = await tools.call("query_export", id=name, sql="SELECT 1 AS one")

    assert (answer.status, answer.is_error) == ("failed", True)
    assert "READ_SECONDS" in answer.text
    assert after.data["rows"] == [[1]]
    assert sorted(waited)[len(waited) // 2] < 0.1


async def test_a_cancelled_question_ends_its_process(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.default = whole
    async with connect(files_root=tmp_path) as tools:
        name = await exported(tools)
        before = set(children())
        with anyio.move_on_after(0.8) as scope:
            await tools.call(
                "query_export",
                id=name,
                sql=ENDLESS,
            )
        assert scope.cancelled_caught
        with anyio.fail_after(5):
            while set(children()) - before:  # noqa: ASYNC110 - a process tells nobody that it ended
                await anyio.sleep(0.02)


def children() -> list[int]:
    """The processes that answer questions."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0] if words else ""
        except OSError:
            continue
        if b"mixpanel_mcp.files.questions" in words and state != "Z":
            found.append(int(entry.name))
    return found


async def test_rows_beyond_the_limit_are_left_out_and_it_is_said(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.default = whole
    async with connect(files_root=tmp_path) as tools:
        name = await exported(tools)
        cut = await tools.call("query_export", id=name, sql="FROM range(1000000000000)", limit=5)
        fits = await tools.call("query_export", id=name, sql="FROM range(5)", limit=5)
        wide = await tools.call(
            "query_export", id=name, sql="SELECT repeat('x', 9000) FROM range(5000)", limit=5_000
        )

    assert (len(cut.data["rows"]), cut.structured["complete"]) == (5, False)
    assert "more rows" in cut.notes
    assert (len(fits.data["rows"]), fits.structured["complete"]) == (5, True)
    assert wide.structured["complete"] is False
    assert len(wide.text) < 20_000
    assert len(json.dumps(wide.data)) < 1_100_000


async def test_reports_say_what_the_events_say(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    """Copies count once, as in Mixpanel; the funnel is counted by hand."""
    day = DAYS[0]
    told = [
        ("a", "Seen", 1),
        ("a", "Bought", 5),
        ("b", "Seen", 2),
        ("c", "Bought", 3),
        ("b", "Seen", 9),
    ]
    events = [
        {**event(day, number, distinct_id=user), "event": name} for user, name, number in told
    ]
    upstream.default = Reply(body=lines([*events, events[0]]))

    async with connect(files_root=tmp_path) as tools:
        name = await exported(tools, to_date=day, format="ndjson.gz")
        funnel = await tools.call(
            "analyze_export", id=name, report="funnel", steps=["Seen", {"event": "Bought"}]
        )
        seen = await tools.call("analyze_export", id=name, report="segmentation", event="Seen")
        users = await tools.call(
            "analyze_export",
            id=name,
            report="segmentation",
            event="Seen",
            measure="unique",
            on='properties["plan"]',
        )
        retention = await tools.call("analyze_export", id=name, report="retention")
        frequency = await tools.call("analyze_export", id=name, report="frequency")
        wrong = await tools.call(
            "analyze_export", id=name, report="segmentation", event="Seen", where="properties["
        )
        queries = seen.structured["scope"]["budget"]["queries"]["used"]

    assert [step["count"] for step in funnel.data["data"][day]["steps"]] == [2, 1]
    assert seen.data["data"]["values"] == {"Seen": {day: 3}}
    assert users.data["data"]["values"] == {"pro": {day: 2}, "free": {day: 1}}
    assert retention.data[day]["first"] == 3
    assert frequency.data[day][0] == 3
    assert wrong.status == "refused"
    assert queries == 0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"report": "funnel"}, "steps"),
        ({"report": "segmentation"}, "event"),
        ({"report": "frequency", "unit": "hour"}, "unit"),
        ({"report": "retention", "born_where": "true"}, "born_event"),
        ({"report": "insights"}, "report"),
    ],
)
async def test_a_report_says_what_it_lacks(
    connect: Connect, upstream: Upstream, tmp_path: Path, given: dict[str, Any], words: str
) -> None:
    upstream.default = whole
    async with connect(files_root=tmp_path) as tools:
        name = await exported(tools)
        answer = await tools.call("analyze_export", id=name, **given)
    assert answer.status == "refused"
    assert words in answer.text


async def test_the_sandboxes_reports_and_ours_agree(
    connect_sandbox: Connect, tmp_path: Path
) -> None:
    today = datetime.now(UTC).date()
    days = {
        "from_date": str(today - timedelta(days=20)),
        "to_date": str(today - timedelta(days=1)),
    }
    async with connect_sandbox(files_root=tmp_path) as tools:
        made = await tools.call("download_data", **days, format="parquet")
        name = made.data["id"]
        ours = await tools.call(
            "analyze_export",
            id=name,
            report="segmentation",
            event="Sign up",
            on='properties["platform"]',
        )
        theirs = await tools.call(
            "raw_request",
            url="/api/query/segmentation",
            method="GET",
            query_parameters={**days, "event": "Sign up", "on": 'properties["platform"]'},
        )

    assert made.status == "ok"
    assert ours.data["data"]["values"] == theirs.data["body"]["data"]["values"]


async def test_a_line_that_is_no_event_is_said_and_nothing_is_kept(
    connect: Connect, upstream: Upstream, tmp_path: Path
) -> None:
    """The first and the last line are events; what lies between is read on the way to Parquet."""
    upstream.default = Reply(body=body_of(DAYS[0], 2) + b"<html>oops\n" + body_of(DAYS[0], 2))

    async with connect(files_root=tmp_path) as tools:
        answer = await tools.call("download_data", **SPAN, format="parquet")

    assert (answer.status, answer.is_error) == ("failed", True)
    assert not [path for path in contents(tmp_path) if path.suffix == ".parquet"]
