"""The colours: one theme for dark terminals and one for light ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from textual.theme import Theme

DARK: Final = Theme(
    name="palaver-dark",
    primary="#7fb4ca",
    secondary="#a292c9",
    accent="#e0b071",
    success="#87b379",
    warning="#e0b071",
    error="#d9707a",
    foreground="#d7dae0",
    background="#15181d",
    surface="#1b1f26",
    panel="#2b313b",
    dark=True,
)
LIGHT: Final = Theme(
    name="palaver-light",
    primary="#2a6583",
    secondary="#6d5796",
    accent="#9a5f0c",
    success="#3f7a34",
    warning="#9a5f0c",
    error="#b02e3d",
    foreground="#22262b",
    background="#f7f5f0",
    surface="#efece5",
    panel="#dbd6ca",
    dark=False,
)
THEMES: Final = (DARK, LIGHT)


def fitting(environment: Mapping[str, str]) -> Theme:
    """The theme for the terminal's background, where it tells (COLORFGBG, `foreground;background`); else the dark."""
    background = environment.get("COLORFGBG", "").rpartition(";")[2]
    return LIGHT if background in {"7", "15"} else DARK
