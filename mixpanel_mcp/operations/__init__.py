"""The domains. Importing them fills the table of operations; it is handed on from here, filled."""

from mixpanel_mcp.operation import OPERATIONS as _ENTERED
from mixpanel_mcp.operations import (
    events,
    export,
    export_questions,
    exports,
    identities,
    pipeline_creation,
    pipelines,
    profile_queries,
    profiles,
    raw,
    reports,
)

__all__ = ["OPERATIONS", "TOOLSETS"]

# The order of the tool list: the groups, and in each what people look for first.
_ORDER = (
    events.track_events,
    events.import_events,
    profiles.create_profile,
    profiles.update_multiple_profiles,
    profiles.delete_profile,
    profile_queries.query_profiles,
    identities.create_identity,
    identities.create_alias,
    reports.list_saved_funnels,
    reports.query_funnel_saved_reports,
    reports.query_insights_saved_reports,
    reports.custom_jql_query,
    export.download_data,
    exports.list_exports,
    exports.get_export,
    export_questions.describe_export,
    export_questions.query_export,
    export_questions.analyze_export,
    exports.delete_export,
    pipelines.list_pipelines,
    pipelines.get_pipeline,
    pipeline_creation.create_gcs_pipeline,
    pipelines.edit_gcs_pipeline,
    raw.create_generic_pipeline,
    raw.edit_generic_pipeline,
    pipelines.delete_pipeline,
    raw.raw_request,
)

OPERATIONS = {function.__name__: _ENTERED[function.__name__] for function in _ORDER}
TOOLSETS = tuple(dict.fromkeys(row.toolset for row in OPERATIONS.values()))
