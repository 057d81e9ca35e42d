"""Push-to-talk as a machine without a clock: with terminals that tell of a release, and with those that do not."""

from __future__ import annotations

import pytest

from palaver_tui.talk_key import REPEAT, TalkKey


def test_held_where_a_release_is_told() -> None:
    key = TalkKey()
    for now in (0.0, 0.5, 0.53, 0.56):  # it comes again while it is held
        key.press(now)
        key.tick(now + 0.01)
        assert key.is_down
    key.let_go()
    assert not key.is_down


def test_once_a_release_was_told_a_key_that_stops_coming_is_still_held() -> None:
    key = TalkKey()
    key.press(0.0)
    key.let_go()
    for now in (1.0, 1.5, 1.53):  # then another key is pressed, and this one comes no more
        key.press(now)
    key.tick(60.0)
    assert key.is_down
    key.let_go()
    assert not key.is_down


def test_without_a_release_it_lasts_from_press_to_press() -> None:
    key = TalkKey()
    key.press(0.0)
    key.tick(30.0)
    assert key.is_down
    key.press(31.0)
    key.tick(31.0 + REPEAT - 0.01)
    assert key.is_down
    key.tick(31.0 + REPEAT)
    assert not key.is_down
    key.press(32.0)
    assert key.is_down


@pytest.mark.parametrize("pause", [0.03, 0.1, 0.25])
def test_without_a_release_a_held_key_ends_soon_after_it_came_last(pause: float) -> None:
    key, now = TalkKey(), 0.5
    key.press(0.0)
    for _ in range(50):
        key.press(now)
        key.tick(now)
        assert key.is_down
        now += pause
        key.tick(now)
    key.tick(now - pause + REPEAT)
    assert not key.is_down


def test_what_ends_is_ended_for_good() -> None:
    key = TalkKey()
    key.press(0.0)
    key.press(0.1)
    key.end()
    key.press(0.2)
    key.tick(10.0)
    assert key.is_down  # the end of before does not hold for this one
