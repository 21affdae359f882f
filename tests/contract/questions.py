"""What the sandbox is asked, so that each kind of its replies can be held to the specifications."""

from dataclasses import dataclass, field
from typing import Any

from mixpanel_mcp.sandbox import PASSWORD, PROJECT_ID, TOKEN, USERNAME

TODAY = "2026-03-10"
PROJECT = {"project_id": str(PROJECT_ID)}
DATES = {"from_date": "2026-03-01", "to_date": "2026-03-09"}
PRICE = {"on": 'properties["amount"]'}
BUY = {"event": "Purchase completed"}
COUNTED = {"type": "general", "unit": "day"}
GCS = {"type": "gcs-raw", "gcs_bucket": "b", "gcs_region": "us-east1", "from_date": "2026-03-08"}
NAMED = {"name": "people-daily-bigquery-monoschema"}
EVENT = {"token": TOKEN, "time": 1773057600, "distinct_id": "ada", "$insert_id": "e-1"}
PROFILE = {"$token": TOKEN, "$distinct_id": "ada"}
GROUP = {"$token": TOKEN, "$group_key": "company", "$group_id": "Acme"}
NOBODY = ("nobody", "nothing")


@dataclass(frozen=True)
class Question:
    spec: str
    method: str
    label: str
    """The specification's path, with its fragment."""
    query: dict[str, str] = field(default_factory=dict[str, str])
    form: dict[str, str] = field(default_factory=dict[str, str])
    body: Any = None
    status: int = 200
    auth: tuple[str, str] = (USERNAME, PASSWORD)

    @property
    def path(self) -> str:
        prefix = {"query": "/api/query", "export": "/api/2.0", "data-pipelines": "/api/2.0"}
        return prefix.get(self.spec, "") + self.label.partition("#")[0]


def asked(path: str, **query: str) -> Question:
    return Question("query", "get", path, {**PROJECT, **query})


def piped(action: str, **form: str) -> Question:
    label = f"/nessie/pipeline/{action}"
    return Question("data-pipelines", "post", label, form={**PROJECT, **form})


def piped_read(action: str, **query: str) -> Question:
    return Question("data-pipelines", "get", f"/nessie/pipeline/{action}", {**PROJECT, **query})


def changed(label: str, **operation: Any) -> Question:
    record = GROUP if label.startswith("/groups") else PROFILE
    operations = {f"${name}": value for name, value in operation.items()}
    return Question("ingestion", "post", label, body=[{**record, **operations}])


READS = (
    asked("/insights", bookmark_id="81001"),
    asked("/funnels", funnel_id="7001", **DATES),
    asked("/funnels/list"),
    asked("/segmentation", **BUY, **DATES),
    asked("/segmentation", **BUY, **DATES, on='properties["platform"]'),
    asked("/segmentation/numeric", **BUY, **DATES, **PRICE),
    asked("/segmentation/sum", **BUY, **DATES, **PRICE),
    asked("/segmentation/average", **BUY, **DATES, **PRICE),
    asked("/events", event='["Purchase completed", "Sign up"]', **COUNTED, **DATES),
    asked("/events/top", type="unique"),
    asked("/events/names", type="general"),
    asked("/events/properties", **BUY, name="platform", **COUNTED, **DATES),
    asked("/events/properties/top", **BUY),
    asked("/events/properties/values", **BUY, name="item"),
    asked("/retention", born_event="Sign up", interval_count="3", **DATES),
    asked("/retention/addiction", unit="week", addiction_unit="day", **DATES),
    asked(
        "/stream/query", distinct_ids='["user-0001"]', from_date="2026-01-01", to_date="2026-03-09"
    ),
    Question("query", "post", "/cohorts/list", PROJECT),
    Question("query", "post", "/engage", PROJECT, form={"where": 'properties["plan"] == "pro"'}),
    Question(
        "query",
        "post",
        "/jql",
        PROJECT,
        form={
            "script": "function main() { return Events(params)"
            ".groupBy(['name'], mixpanel.reducer.count()); }",
            "params": '{"from_date": "2026-03-09", "to_date": "2026-03-09"}',
        },
    ),
    Question("export", "get", "/export", {**PROJECT, **DATES, "limit": "5"}),
    piped_read("jobs"),
    piped_read("status", **NAMED),
    piped_read("status", **NAMED, summary="true"),
    piped_read("timeline", **NAMED),
)
WRITES = (
    Question("ingestion", "post", "/track", body=[{"event": "E", "properties": EVENT}]),
    Question(
        "ingestion",
        "post",
        "/import",
        {**PROJECT, "strict": "1"},
        body=[{"event": "E", "properties": EVENT}],
    ),
    Question(
        "ingestion",
        "post",
        "/import",
        {**PROJECT, "strict": "1"},
        body=[{"event": "E", "properties": {"time": 1}}],
        status=400,
    ),
    Question("ingestion", "post", "/import", PROJECT, body=[], status=401, auth=NOBODY),
    Question(
        "identity",
        "post",
        "/track#create-identity",
        form={
            "data": '{"event": "$identify", "properties": {"$identified_id": "ada",'
            f' "$anon_id": "5b3d4f6e-8d0c-4a8e-9c1f-2e7b6a5d4c3b", "token": "{TOKEN}"}}}}'
        },
    ),
    Question(
        "identity",
        "post",
        "/track#identity-create-alias",
        form={
            "data": '{"event": "$create_alias", "properties": {"distinct_id": "ada",'
            f' "alias": "a", "token": "{TOKEN}"}}}}'
        },
    ),
    changed("/engage#profile-set", set={"a": 1}),
    changed("/engage#profile-set-once", set_once={"a": 1}),
    changed("/engage#profile-numerical-add", add={"a": 1}),
    changed("/engage#profile-union", union={"l": [1]}),
    changed("/engage#profile-list-append", append={"l": 1}),
    changed("/engage#profile-list-remove", remove={"l": 1}),
    changed("/engage#profile-unset", unset=["a"]),
    changed("/engage#profile-batch-update", set={"a": 2}),
    changed("/engage#profile-delete", delete=""),
    changed("/groups#group-set", set={"a": 1}),
    changed("/groups#group-set-once", set_once={"a": 1}),
    changed("/groups#group-union", union={"l": [1]}),
    changed("/groups#group-remove-from-list", remove={"l": 1}),
    changed("/groups#group-unset", unset=["a"]),
    changed("/groups#group-batch-update", set={"a": 2}),
    changed("/groups#group-delete", delete=""),
    piped("create", **GCS),
    piped("edit", **NAMED, events="Sign up"),
    piped("pause", **NAMED),
    piped("resume", **NAMED),
    piped("cancel", **NAMED),
    Question(
        "data-pipelines",
        "post",
        "/nessie/pipeline/pause",
        form={**PROJECT, "name": "nobody"},
        status=404,
    ),
)
REFUSALS = (
    Question("query", "get", "/funnels/list", PROJECT, status=401, auth=NOBODY),
    Question("export", "get", "/export", {**PROJECT, **DATES}, status=401, auth=NOBODY),
    Question("export", "get", "/export", {**PROJECT, **DATES, "limit": "0"}, status=400),
    Question("data-pipelines", "get", "/nessie/pipeline/jobs", PROJECT, status=401, auth=NOBODY),
    Question("data-pipelines", "get", "/nessie/pipeline/jobs", {"project_id": "2"}, status=403),
)
QUESTIONS = (*READS, *WRITES, *REFUSALS)
