"""The connector document's actions and inputs, under the names that design section 3 gives them.

`Connection` is the server's own configuration, and the host inputs ("Region", "Region and Domain",
"Data and Domain") are all `region`.
"""

NAMES: dict[str, list[str]] = {
    "events": ["track_events", "import_events"],
    "profiles": [
        "create_profile",
        "update_multiple_profiles",
        "delete_profile",
        "query_profiles",
    ],
    "identities": ["create_identity", "create_alias"],
    "reports": [
        "list_saved_funnels",
        "query_funnel_saved_reports",
        "query_insights_saved_reports",
        "custom_jql_query",
    ],
    "export": ["download_data"],
    "pipelines": [
        "list_pipelines",
        "get_pipeline",
        "create_gcs_pipeline",
        "edit_gcs_pipeline",
        "create_generic_pipeline",
        "edit_generic_pipeline",
        "delete_pipeline",
    ],
    "raw": ["raw_request"],
}

# What the connector cannot do: its large end, files.
OUR_NAMES = {
    "export": [
        "list_exports",
        "get_export",
        "describe_export",
        "query_export",
        "analyze_export",
        "delete_export",
    ],
}
ALL_NAMES = {toolset: [*names, *OUR_NAMES.get(toolset, [])] for toolset, names in NAMES.items()}

# Arguments that we add to the connector's own tools.
OUR_INPUTS = {
    "query_profiles": ["to_file"],
    "download_data": ["format", "deduplicate", "time_in_ms", "columns"],
}

_PASSTHROUGH = [
    "data",
    "form_data",
    "file_data",
    "file_data_file_names",
    "query_parameters",
    "headers",
    "response_type",
    "timeout_ms",
    "retry_delay_ms",
    "retry_on_all_errors",
    "max_retry_count",
    "use_exponential_backoff",
    "project_id",  # ours: the project that a service account works on
]

# What we add to the document: where `file` can stand in place of records, they are optional.
FROM_FILES: dict[str, set[str]] = {
    "import_events": {"file", "mapping", "default_event", "dry_run"},
    "update_multiple_profiles": {"file", "dry_run"},
}

# Tool: (required, optional). What the document calls optional but Mixpanel needs is required.
SEED_INPUTS: dict[str, tuple[list[str], list[str]]] = {
    "track_events": (["events"], ["use_project_token", "ip", "verbose", "redirect", "img"]),
    "import_events": ([], ["events", "use_project_token", "project_id"]),
    "create_profile": (["properties"], ["verbose", "redirect"]),
    "update_multiple_profiles": ([], ["properties_to_update", "verbose", "redirect"]),
    "delete_profile": (["delete_profiles"], ["verbose", "redirect"]),
    "query_profiles": (
        [],
        [
            "project_id",
            "workspace_id",
            "distinct_ids",
            "where",
            "output_properties",
            "session_id",
            "page",
            "behaviors",
            "as_of_timestamp",
            "filter_by_cohort",
            "include_all_users",
        ],
    ),
    "create_identity": (
        ["identified_id", "anon_id"],
        ["project_token", "strict", "verbose", "redirect"],
    ),
    "create_alias": (
        ["distinct_id", "alias"],
        ["project_token", "strict", "verbose", "redirect"],
    ),
    "list_saved_funnels": ([], ["use_project_token", "project_id", "workspace_id"]),
    "query_funnel_saved_reports": (
        ["funnel_id", "from_date", "to_date"],
        [
            "use_project_token",
            "project_id",
            "workspace_id",
            "length",
            "length_unit",
            "interval",
            "unit",
            "on",
            "where",
            "limit",
        ],
    ),
    "query_insights_saved_reports": (["bookmark_id"], ["project_id", "workspace_id"]),
    "custom_jql_query": (["script"], ["params", "project_id", "workspace_id"]),
    "download_data": (
        ["from_date", "to_date"],
        ["project_id", "limit", "event_name", "where", "gzip_encoding"],
    ),
    "list_pipelines": ([], ["project_id"]),
    "get_pipeline": (["name"], ["project_id", "summary", "status"]),
    "create_gcs_pipeline": (
        ["gcs_bucket", "gcs_region"],
        [
            "gcs_prefix",
            "project_id",
            "from_date",
            "to_date",
            "trial",
            "frequency",
            "events",
            "where",
        ],
    ),
    "edit_gcs_pipeline": (["name"], ["project_id", "events", "where"]),
    "create_generic_pipeline": ([], ["url", "method", *_PASSTHROUGH]),
    "edit_generic_pipeline": ([], ["name", "url", "method", *_PASSTHROUGH]),
    "delete_pipeline": (["name"], ["use_project_token", "project_id"]),
    "raw_request": (["url", "method"], ["base_url", *_PASSTHROUGH]),
}
