"""Text from strangers: made safe for terminals, and measured as people see it.

A terminal obeys control characters, and bidirectional marks and invisible characters deceive readers, so all of them
become U+FFFD. Emoji keep the joiners that belong to them.
"""

from __future__ import annotations

import unicodedata
from typing import Final

import regex

REPLACEMENT: Final = "\ufffd"
MAX_MARKS: Final = 4  # combining marks on one character; more is a tower over other people's lines
_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_FILLERS: Final = "\u115f\u1160\u3164\uffa0"  # Hangul letters that show nothing
_PLAIN: Final = regex.compile(r"[\x20-\x7e]*")
_EMOJI: Final = regex.compile(r"\p{Extended_Pictographic}|\p{Regional_Indicator}{2}|[0-9#*]\ufe0f?\u20e3")
_GRAPHEME: Final = regex.compile(r"\X")
_TOWER: Final = regex.compile(rf"([\p{{Mn}}\p{{Me}}]{{{MAX_MARKS}}})[\p{{Mn}}\p{{Me}}]+")
_JOINED_EMOJI: Final = regex.compile(r"(?<=[\p{Emoji}\ufe0f])\u200d(?=\p{Extended_Pictographic})")


def sanitise(text: str, keep: str = "") -> str:
    """The text without anything that a terminal would obey or a reader could not see; `keep` lists exceptions."""
    if _PLAIN.fullmatch(text):
        return text
    text = _TOWER.sub(r"\1", text)
    joints = {match.start() for match in _JOINED_EMOJI.finditer(text)}
    return "".join(
        char if char in keep or place in joints or not _is_unsafe(char) else REPLACEMENT
        for place, char in enumerate(text)
    )


def _is_unsafe(char: str) -> bool:
    return unicodedata.category(char) in _UNSAFE or char in _FILLERS


def one_line(text: str) -> str:
    """Sanitised, without white space at its ends or runs of it inside."""
    return sanitise(" ".join(text.split()))


def many_lines(text: str) -> str:
    """Sanitised, with its line breaks and tabs."""
    return sanitise(text.replace("\r\n", "\n"), keep="\n\t")


def is_emoji(text: str) -> bool:
    """Whether people see one emoji, and nothing unsafe hides in it."""
    return bool(_EMOJI.match(text)) and sanitise(text) == text and count_graphemes(text) == 1


def longest_grapheme(text: str) -> int:
    """How many code points make up the largest character that a person sees."""
    return max((len(one) for one in _GRAPHEME.findall(text)), default=0)


def count_graphemes(text: str) -> int:
    """How many characters a person sees (UAX #29)."""
    return len(text) if _PLAIN.fullmatch(text) else len(_GRAPHEME.findall(text))
