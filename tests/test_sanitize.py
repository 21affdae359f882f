"""Values from outside become harmless to show, and stay readable."""

import json
import math
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpanel_mcp.sanitize import (
    Redactor,
    clean,
    clean_data,
    clean_lines,
    counted,
    cut,
    listed,
    quoted,
)

# Formats that belong to a script or an emoji and are seen; all others of their kind are not.
_SEEN = {
    *"\u200c\u200d\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd",
    *map(chr, range(0x600, 0x606)),
    *map(chr, range(0x13430, 0x13440)),
}


def every(category: str) -> list[str]:
    return [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == category]


@given(st.text())
def test_a_clean_text_is_one_line_without_controls(text: str) -> None:
    cleaned = clean(text)

    assert not {"Cc", "Cs", "Zl", "Zp"} & set(map(unicodedata.category, cleaned))
    assert clean(cleaned) == cleaned


@given(st.text())
def test_clean_lines_keep_their_breaks(text: str) -> None:
    cleaned = clean_lines(text)

    assert not {"\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"} & set(cleaned)
    assert cleaned.count("\n") >= text.count("\n")


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_what_people_write_is_left_alone(text: str) -> None:
    blank = "\u3164\uffa0\u115f\u1160"
    plain = "".join(letter for letter in text if letter not in blank)

    assert clean(plain) == plain


def test_formats_that_nobody_sees_are_taken_out() -> None:
    """Marks that reorder, join, tag or annotate can carry a text of their own."""
    left = [f"U+{ord(each):04X}" for each in every("Cf") if each not in _SEEN and clean(each)]

    assert left == []


@pytest.mark.parametrize(
    "letters",
    [range(0xFE00, 0xFE0F), range(0xE0100, 0xE01F0), range(0x180B, 0x180E), [0x180F]],
    ids=["VS1-15", "VS17-256", "Mongolian", "Mongolian 4"],
)
def test_variation_selectors_cannot_carry_a_hidden_text(letters: Any) -> None:
    """256 of them spell any byte; only the one that emoji need may stay."""
    assert clean("a" + "".join(map(chr, letters))) == "a"


@pytest.mark.parametrize(
    "letter", ["\u034f", "\u115f", "\u1160", "\u17b4", "\u17b5", "\u3164", "\uffa0"]
)
def test_letters_without_a_shape_are_taken_out(letter: str) -> None:
    assert clean(f"a{letter}b") == "ab"


@pytest.mark.parametrize(
    "text", ["👩‍👩‍👧", "❤️", "नमस्‌ते", "مرحبا", "שלום", "日本語", "naïve “quotes”"]
)
def test_emoji_and_scripts_stay_whole(text: str) -> None:
    assert clean(text) == text


def test_a_cut_says_how_much_is_missing() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("abcdef", 3) == "abc… (+3 characters)"


@given(st.text(), st.integers(1, 50))
def test_a_quoted_value_cannot_close_its_quotes(text: str, limit: int) -> None:
    value = quoted(text, limit)

    assert value[0] == value[-1] == '"'
    assert '"' not in value[1:-1]
    assert "\n" not in value


def test_a_list_names_the_first_and_counts_the_rest() -> None:
    assert listed(["a", "b"]) == '"a", "b"'
    assert listed([str(number) for number in range(9)], most=2) == '"0", "1" and 7 more'
    assert (counted(1, "event"), counted(0, "event")) == ("1 event", "0 events")


def test_data_for_programs_is_json_whatever_came() -> None:
    data: dict[str, Any] = {
        "a\u202e": ["b\x00", math.nan, math.inf, None, True, 1, 1.5],
        "\ud800": {"deep": {"er": "x\u2028y"}},
    }

    cleaned = clean_data(data)

    assert cleaned == {
        "a": ["b", "nan", "inf", None, True, 1, 1.5],
        "": {"deep": {"er": "x\ny"}},
    }
    json.dumps(cleaned, allow_nan=False).encode()


def test_names_that_differ_only_by_hidden_letters_do_not_swallow_each_other() -> None:
    cleaned = clean_data({"plan": "pro", "pl\u200ban": "free"})

    assert isinstance(cleaned, dict)
    assert sorted(cleaned.values()) == ["free", "pro"]  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]


def test_deep_data_ends_with_a_word() -> None:
    data: Any = 1
    for _ in range(500):
        data = [data]

    assert "nested too deeply" in json.dumps(clean_data(data))


def test_the_longest_secret_is_taken_out_first() -> None:
    redact = Redactor({"secret": "[short]", "secret-and-more": "[long]"})

    assert redact.text("a secret-and-more b secret") == "a [long] b [short]"
    assert redact.data({"secret": ["x secret", {"y": "secret-and-more"}, 5, None]}) == {
        "[short]": ["x [short]", {"y": "[long]"}, 5, None]
    }


def test_no_secrets_and_short_ones_change_nothing() -> None:
    assert Redactor({}).text("anything") == "anything"
    assert Redactor({"abc": "[x]", "": "[y]"}).text("abc") == "abc"
