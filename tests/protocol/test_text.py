"""Text from strangers: nothing that a terminal would obey, nothing that a reader could not see."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver_protocol.text import MAX_MARKS, REPLACEMENT, count_graphemes, many_lines, one_line, sanitise

UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
ZWJ = "\u200d"
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
PILOT = "\U0001f469\U0001f3fd\u200d\u2708\ufe0f"  # with a skin tone and a variation selector
RAINBOW = "\U0001f3f3\ufe0f\u200d\U0001f308"

# What people and attackers type: letters, marks, emoji, joiners, and all that is unsafe.
WILD = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("a1 \n\t\r\x1b\x07\x9b\u202e\u2066\u200b\ufeff\u0301\u0489\ufe0f\u200d\u2764\u115f\ud800"),
        st.characters(categories=["Mn", "Cf", "So"]),
    ),
    max_size=40,
)


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[2J",  # clears the screen
        "\x1b]52;c;c2VjcmV0\x07",  # writes the clipboard
        "\x9b31m",  # CSI as one C1 character
        "\x9d0;title\x9c",
        "\u202egnp.exe",  # bidirectional override
        "\u2067abc\u2069",
        "a\u200bb\ufeff",
        "\u2028\u2029",
        "\ue000",
        "\U000e0041",  # a tag character
        "\ud800",
        "\u3164",  # Hangul filler: a letter that shows nothing
    ],
)
def test_unsafe_characters_become_visible(text):
    clean = sanitise(text)
    assert len(clean) == len(text)
    assert REPLACEMENT in clean
    assert not any(unicodedata.category(char) in UNSAFE for char in clean)


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "Grüße, 世界",
        "नमस्ते",
        "שלום",
        "e\u0301",
        FAMILY,
        PILOT,
        RAINBOW,
        "1\ufe0f\u20e3",
        "\U0001f1e9\U0001f1ea",
        "[/b]",
    ],
)
def test_what_people_write_stays_as_it_is(text):
    assert sanitise(text) == one_line(text) == many_lines(text) == text


def test_towers_of_combining_marks_are_cut():
    tower = "a" + "\u0301" * 50 + "b" + "\u0489" * 5
    assert sanitise(tower) == "a" + "\u0301" * MAX_MARKS + "b" + "\u0489" * MAX_MARKS
    assert sanitise("\u0301" * 50) == "\u0301" * MAX_MARKS


@pytest.mark.parametrize("text", [ZWJ, "a" + ZWJ + "b", FAMILY + ZWJ, ZWJ + FAMILY, "\u2764" + ZWJ + ZWJ + "\u2764"])
def test_joiners_that_join_no_emoji_become_visible(text):
    assert REPLACEMENT in sanitise(text)


def test_one_line_is_one_line():
    assert one_line("  a \t\n b\u2028c\x85d\u3000e ") == "a b c d e"


def test_many_lines_keeps_breaks_and_tabs():
    assert many_lines("a\r\n\tb\nc\rd") == "a\n\tb\nc" + REPLACEMENT + "d"


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), ("abc", 3), ("e\u0301", 1), (FAMILY, 1), ("\U0001f1e9\U0001f1ea" * 2, 2), ("नि", 1)]
)
def test_graphemes_are_what_a_person_counts(text, count):
    assert count_graphemes(text) == count


@given(WILD)
def test_nothing_unsafe_is_left(text):
    clean = sanitise(text)
    left = {place for place, char in enumerate(clean) if unicodedata.category(char) in UNSAFE}
    assert all(clean[place] == ZWJ and clean[place - 1 : place] and clean[place + 1 : place + 2] for place in left)
    assert len(clean) <= len(text)


@given(WILD, st.sampled_from([sanitise, one_line, many_lines]))
def test_cleaning_twice_changes_nothing_more(text, clean):
    assert clean(clean(text)) == clean(text)


@given(WILD)
def test_one_line_holds_no_break_and_no_outer_blank(text):
    line = one_line(text)
    assert line == line.strip()
    assert len(line.splitlines()) <= 1
