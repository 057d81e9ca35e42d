"""Who speaks, from levels."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from client.worlds import ANN, BOB
from palaver_client import SpeakingChanged
from palaver_client.speaking import HANGOVER, THRESHOLD, Speakers

LOUD, QUIET = THRESHOLD + 1, THRESHOLD - 1


def test_a_pause_between_words_does_not_put_the_light_out() -> None:
    speakers = Speakers()
    assert list(speakers.hear({BOB: LOUD}, 0.0)) == [SpeakingChanged(BOB, True)]
    assert list(speakers.hear({BOB: QUIET}, 1.0)) == []
    assert speakers.deadline == 1.0 + HANGOVER
    assert list(speakers.hear({BOB: LOUD}, 1.2)) == []
    assert speakers.deadline == math.inf


def test_silence_puts_it_out_exactly_in_time() -> None:
    speakers = Speakers()
    list(speakers.hear({BOB: LOUD}, 0.0))
    list(speakers.hear({BOB: QUIET}, 1.0))
    list(speakers.hear({BOB: QUIET}, 1.3))  # still silent: the time runs on
    assert list(speakers.expire(1.0 + HANGOVER)) == [SpeakingChanged(BOB, False)]
    assert speakers.deadline == math.inf


def test_a_steady_tone_that_is_not_reported_again_goes_on() -> None:
    speakers = Speakers()
    list(speakers.hear({BOB: LOUD}, 0.0))
    assert list(speakers.expire(1_000.0)) == []


levels = st.fixed_dictionaries({ANN: st.sampled_from([LOUD, QUIET]), BOB: st.sampled_from([LOUD, QUIET])})


@given(st.lists(st.tuples(levels, st.sampled_from([0.1, 0.4, 1.0]))))
def test_lights_go_on_and_off_in_turn(heard: list) -> None:
    speakers = Speakers()
    lit: set[str] = set()
    now = 0.0
    for levels_now, pause in heard:
        now += pause
        for change in [*speakers.expire(now), *speakers.hear(levels_now, now)]:
            assert (change.user_id in lit) != change.is_speaking
            (lit.add if change.is_speaking else lit.remove)(change.user_id)
        assert {user for user, level in levels_now.items() if level == LOUD} <= lit


def test_who_has_gone_is_forgotten() -> None:
    speakers = Speakers()
    list(speakers.hear({BOB: LOUD}, 0.0))
    assert list(speakers.hear({}, 1.0)) == []
    assert list(speakers.hear({BOB: LOUD}, 2.0)) == [SpeakingChanged(BOB, True)]
