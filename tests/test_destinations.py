"""Where pipelines may send data: one address for five kinds of place, compared part by part."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_mcp.destinations import destination_of, is_below, parse_destination

FORMS = {
    "gs://bucket": {"type": "gcs-raw", "gcs_bucket": "bucket"},
    "gs://bucket/raw/events": {
        "type": "gcs-raw",
        "gcs_bucket": "bucket",
        "gcs_prefix": "raw/events/",
    },
    "gs://bucket/schema": {"type": "gcs-schema", "gcs_bucket": "bucket", "gcs_prefix": "schema"},
    "s3://bucket/x": {"type": "s3-raw", "s3_bucket": "bucket", "s3_prefix": "x"},
    "s3://lake": {"type": "aws", "s3_bucket": "lake"},
    "azure://account/container/x": {
        "type": "azure-raw",
        "storage_account": "account",
        "container_name": "container",
        "prefix": "x",
    },
    "azure://account/container": {
        "type": "azure-blob",
        "storage_account": "account",
        "container_name": "container",
    },
    "bigquery://project/dataset": {
        "type": "bigquery",
        "gcp_project": "project",
        "bq_dataset_name": "dataset",
    },
    "snowflake://xy12345.us-east-1/DB/PUBLIC": {
        "type": "snowflake",
        "snowflake_account_name": "xy12345.us-east-1",
        "snowflake_database": "DB",
        "snowflake_schema": "PUBLIC",
    },
}


@pytest.mark.parametrize(("address", "form"), FORMS.items())
def test_a_pipelines_form_names_one_address(address: str, form: dict[str, str]) -> None:
    assert destination_of(form) == address
    assert parse_destination(address)[0] == address.partition("://")[0]


@pytest.mark.parametrize("form", [{}, {"type": ""}, {"type": "GCS-RAW"}, {"type": "new-cloud"}])
def test_a_type_nobody_knows_has_no_address(form: dict[str, str]) -> None:
    assert destination_of(form) is None


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({"type": "gcs-raw"}, "gcs_bucket is missing"),
        ({"type": "gcs-raw", "gcs_bucket": ""}, "gcs_bucket is missing"),
        ({"type": "gcs-raw", "gcs_bucket": "a/b"}, "must not contain a slash"),
        ({"type": "bigquery", "gcp_project": "p"}, "bq_dataset_name is missing"),
        (
            {"type": "azure-raw", "storage_account": "a/b", "container_name": "c"},
            "must not contain a slash",
        ),
        ({"type": "gcs-raw", "gcs_bucket": "b", "gcs_prefix": "x/../y"}, "not a plain name"),
        ({"type": "gcs-raw", "gcs_bucket": "b", "gcs_prefix": "x//y"}, "not a plain name"),
        ({"type": "gcs-raw", "gcs_bucket": "bücket"}, "not a plain name"),
        ({"type": "s3-raw", "s3_bucket": ".."}, "not a plain name"),
    ],
)
def test_an_address_that_is_missing_or_could_mislead_is_a_fault(
    form: dict[str, str], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        destination_of(form)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "bucket",
        "gs:/bucket",
        "gs://",
        "gs:///x",
        "GS://bucket",
        "ftp://bucket",
        "https://storage.googleapis.com/bucket",
        "gs://a//b",
        "gs://a/./b",
        "gs://a/../b",
        "gs://a/...",
        "gs://a/b%2f..",
        "gs://a b",
        "gs://a\n",
        "gs://a\u202e",
        "gs://аcme",  # noqa: RUF001 - the look-alike is the point
        "gs://*",
        "gs://a?x",
        "gs://a#x",
        "gs://a\\b",
    ],
)
def test_what_is_no_plain_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"destination|plain name"):
        parse_destination(address)


@pytest.mark.parametrize(
    ("address", "allowed", "verdict"),
    [
        ("gs://a", "gs://a", True),
        ("gs://a", "gs://a/", True),
        ("gs://a/b", "gs://a", True),
        ("gs://a/b/c", "gs://a/b", True),
        ("gs://a/bc", "gs://a/b", False),
        ("gs://ab", "gs://a", False),
        ("gs://a", "gs://a/b", False),
        ("gs://A", "gs://a", False),
        ("s3://a", "gs://a", False),
        ("azure://acc/other", "azure://acc/box", False),
        ("azure://acc/box/x", "azure://acc", True),
        ("bigquery://p/d", "bigquery://p/d", True),
        ("bigquery://p/d2", "bigquery://p/d", False),
        ("snowflake://x/db/s", "snowflake://x/db", True),
        ("snowflake://x/db2/s", "snowflake://x/db", False),
    ],
)
def test_an_entry_allows_itself_and_what_lies_below_it_at_a_slash(
    address: str,
    allowed: str,
    verdict: bool,  # noqa: FBT001 - a value of the table above
) -> None:
    assert is_below(address, allowed) is verdict


_PARTS = st.lists(st.from_regex(r"[a-z0-9][a-z0-9_-]{0,8}", fullmatch=True), min_size=1, max_size=4)


@given(parts=_PARTS, more=_PARTS)
def test_below_means_that_all_parts_of_the_entry_lead_the_address(
    parts: list[str], more: list[str]
) -> None:
    allowed = "gs://" + "/".join(parts)
    assert is_below(allowed, allowed)
    assert is_below(f"{allowed}/{'/'.join(more)}", allowed)
    assert not is_below(allowed, f"{allowed}/{more[0]}")
    assert not is_below(f"{allowed}x", allowed)


@given(text=st.text(max_size=40))
def test_no_text_whatsoever_is_read_as_something_outside_its_alphabet(text: str) -> None:
    try:
        scheme, *parts = parse_destination(f"gs://{text}")
    except ValueError:
        return
    assert scheme == "gs"
    assert all(part.isascii() and part.strip(".") for part in parts)
