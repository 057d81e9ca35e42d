"""File names of what people call themselves: they stay in their folder, and no two are the same."""

from __future__ import annotations

import unicodedata
from collections.abc import Container
from typing import Final

LONGEST: Final = 100  # bytes of UTF-8; file systems take 255, with an ending and a number
_PLAIN: Final = frozenset(" -_+'()&,")
_DEVICES: Final = frozenset(  # they open no file on Windows, whatever their ending, nor on a disk that goes there
    ["con", "prn", "aux", "nul", *(f"{kind}{number}" for kind in ("com", "lpt") for number in range(1, 10))]
)


def safe(name: str, otherwise: str) -> str:
    """A name in which nothing is left that a file system, a shell's wildcard or a terminal might understand."""
    text = unicodedata.normalize("NFC", name)
    text = "".join(each if _is_plain(each) else "_" for each in text)
    text = text.encode()[:LONGEST].decode(errors="ignore").strip(" -")
    if not text.strip("_"):
        return otherwise
    return f"{text}_" if text.casefold() in _DEVICES else text


def unique(name: str, taken: Container[str]) -> str:
    """The name, with a number if it is taken; `taken` holds names as `folded` gives them."""
    number, found = 1, name
    while folded(found) in taken:
        number += 1
        found = f"{name} {number}"
    return found


def folded(name: str) -> str:
    """What is the same for names that some file systems do not tell apart."""
    return unicodedata.normalize("NFC", name.casefold())


def _is_plain(character: str) -> bool:
    return character in _PLAIN or unicodedata.category(character)[0] in "LMN"
