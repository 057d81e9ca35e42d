"""The level meter's arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver_tui.widgets.meter import FLOOR, bar, fall, meter

levels = st.floats(-200, 20)


@given(levels, st.integers(0, 60))
def test_a_bar_has_its_width(dbfs: float, width: int) -> None:
    assert len(bar(dbfs, width)) == width
    assert meter(dbfs, width).cell_length == width


@given(levels, levels)
def test_a_louder_bar_is_not_shorter(one: float, other: float) -> None:
    quiet, loud = sorted((one, other))
    assert ink(bar(quiet, 20)) <= ink(bar(loud, 20))


def ink(drawn: str) -> int:
    return sum(" ▏▎▍▌▋▊▉█".index(char) for char in drawn)


@pytest.mark.parametrize(("dbfs", "drawn"), [(-100, "    "), (FLOOR, "    "), (0, "████"), (6, "████"), (-30, "██  ")])
def test_the_ends_and_the_middle(dbfs: float, drawn: str) -> None:
    assert bar(dbfs, 4) == drawn


@given(st.floats(FLOOR, 0), st.floats(FLOOR, 0))
def test_it_rises_at_once_and_comes_to_rest(shown: float, level: float) -> None:
    if level >= shown:
        assert fall(shown, level) == level
    steps = 0
    while shown != level:
        shown = fall(shown, level)
        steps += 1
    assert steps <= 8
