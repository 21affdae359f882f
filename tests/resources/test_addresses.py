"""URIs: what has been spelled is understood again, whatever a name is made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_mcp.resources.addresses import Address, AddressError, Format, parse_address

NAMES = {
    "plain": ("trips", "trips"),
    "slash": ("a/b", "a%2Fb"),
    "backslash": ("a\\b", "a%5Cb"),
    "percent": ("100%", "100%25"),
    "an escape": ("a%2Fb", "a%252Fb"),
    "quotes": ("\"a\" 'b' `c`", "%22a%22%20%27b%27%20%60c%60"),
    "question": ("what?", "what%3F"),
    "query": ("z?format=json#f", "z%3Fformat%3Djson%23f"),
    "fragment": ("#1", "%231"),
    "plus and space": ("a+b c", "a%2Bb%20c"),
    "dot": (".", "%2E"),
    "dots": ("..", "%2E%2E"),
    "three dots": ("...", "..."),
    "dots inside": ("../../etc", "..%2F..%2Fetc"),
    "braces": ("{name}", "%7Bname%7D"),
    "emoji": ("🛒", "%F0%9F%9B%92"),
    "right to left": ("שלום", "%D7%A9%D7%9C%D7%95%D7%9D"),
    "nothing visible": ("\u200b\x00", "%E2%80%8B%00"),
}


@pytest.mark.parametrize("case", NAMES)
def test_a_name_comes_back_from_its_uri(case: str) -> None:
    name, escaped = NAMES[case]
    address = Address(("pipelines", name))
    assert address.uri == f"mixpanel://pipelines/{escaped}"
    assert parse_address(address.uri) == address


@given(
    name=st.text(min_size=1, max_size=200),
    format=st.sampled_from(Format),
    connection=st.none() | st.text(min_size=1, max_size=20),
)
def test_any_address_comes_back(name: str, format: Format, connection: str | None) -> None:  # noqa: A002 - the name of the field
    address = Address(("pipelines", name), format, connection)
    assert address.uri.isascii()
    assert " " not in address.uri
    assert parse_address(address.uri) == address


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("mixpanel://pipelines/..", ".."),
        ("mixpanel://pipelines/%2e%2E", ".."),
        ("mixpanel://pipelines/a%2fb", "a/b"),
        ("mixpanel://pipelines/my trips", "my trips"),
        ("mixpanel://pipelines/שלום", "שלום"),
        ("mixpanel://pipelines/a+b", "a+b"),
        ("mixpanel://pipelines/a?format=", "a"),
        ("mixpanel://pipelines/a?format=markdown", "a"),
        ("mixpanel://pipelines/a?", "a"),
        ("mixpanel://pipelines/a?connection=", "a"),
    ],
)
def test_sloppy_spellings_are_understood(uri: str, name: str) -> None:
    assert parse_address(uri) == Address(("pipelines", name))


@pytest.mark.parametrize(
    ("uri", "fault"),
    [
        ("https://mixpanel.com/pipelines", "they begin mixpanel://"),
        ("pipelines", "they begin mixpanel://"),
        ("mixpanel://pipelines/a#b", "a # in a name is written %23"),
        ("mixpanel://pipelines/100%", "a % in a name is written %25"),
        ("mixpanel://pipelines/%zz", "a % in a name is written %25"),
        ("mixpanel://pipelines/%FF", "not UTF-8"),
        ("mixpanel://pipelines/%ED%A0%80", "not UTF-8"),
        ("mixpanel://pipelines?format=xml", 'no format "xml"; use markdown or json'),
        ("mixpanel://pipelines?format=JSON", 'no format "JSON"; use markdown or json'),
        ("mixpanel://pipelines?format=json&format=json", "has format twice"),
        ("mixpanel://pipelines/what?now", "a ? in a name is written %3F"),
        ("mixpanel://" + "a" * 20_000, "too long"),
    ],
)
def test_what_cannot_be_read_is_explained(uri: str, fault: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_address(uri)
    assert fault in str(caught.value)


def test_changes_are_announced_under_every_spelling() -> None:
    address = Address(("pipelines", "a"), connection="eu")
    assert address.spellings(default_connection=True) == [
        "mixpanel://pipelines/a?connection=eu",
        "mixpanel://pipelines/a?format=json&connection=eu",
        "mixpanel://pipelines/a",
        "mixpanel://pipelines/a?format=json",
    ]
    assert len(address.spellings(default_connection=False)) == 2
