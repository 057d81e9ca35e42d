"""A level meter of block characters: eight steps in each cell."""

from __future__ import annotations

from typing import Final

from textual.content import Content

FLOOR: Final = -60.0  # dBFS at the left end; 0 dBFS is the right one
LOUD: Final = -12.0  # dBFS from which on it is loud
TOO_LOUD: Final = -3.0  # dBFS from which on it may be distorted
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"


def bar(dbfs: float, width: int) -> str:
    """The filled part of a meter, padded to `width` cells."""
    share = min(max(1 - dbfs / FLOOR, 0.0), 1.0)
    full, eighths = divmod(round(share * width * 8), 8)
    return ("█" * full + (_EIGHTHS[eighths] if eighths else "")).ljust(width)


def meter(dbfs: float, width: int, track: str = "$surface") -> Content:
    """A meter of `width` cells, coloured by how loud it is, on a track of that colour."""
    filled = bar(dbfs, width)
    loud, too_loud = (round((1 - limit / FLOOR) * width) for limit in (LOUD, TOO_LOUD))
    return Content.assemble(
        (filled[:loud], f"$success on {track}"),
        (filled[loud:too_loud], f"$warning on {track}"),
        (filled[too_loud:], f"$error on {track}"),
    )


def fall(shown: float, level: float) -> float:
    """The next level to show: rises at once, falls by halves, so that the eye can follow."""
    lower = (shown + level) / 2
    return level if level >= shown or lower - level < 1 else lower
