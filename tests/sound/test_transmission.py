"""Which blocks are sent: each block says when it was, so what came out can be read off."""

from __future__ import annotations

import numpy as np

from palaver_engine.blocks import BLOCK, SILENCE, Samples
from palaver_engine.transmission import CLOSING, NOTHING, PRE_ROLL, TAIL, Said, Transmission
from palaver_media.sound_settings import Transmit


def block(number: int) -> Samples:
    return np.full(BLOCK, number, np.int16)


def numbers(said: Said) -> list[int]:
    return [-1 if each is None else int(each[0]) for each in said]


def by_voice(gate: Transmission, at: int, is_speech: bool) -> list[int]:
    return numbers(gate.pass_on(block(at), Transmit.VOICE, is_speech=is_speech, is_key_down=False))


def by_key(gate: Transmission, at: int, is_down: bool) -> Said:
    return gate.pass_on(block(at), Transmit.PUSH, is_speech=True, is_key_down=is_down)


def test_open_passes_everything():
    gate = Transmission()
    for said in (block(1), None, block(2)):
        assert gate.pass_on(said, Transmit.OPEN, is_speech=False, is_key_down=False) == (said,)


def test_voice_sends_what_was_just_before_speech_once_and_in_order():
    gate = Transmission()
    said = [by_voice(gate, at, is_speech=30 <= at < 50 or 55 <= at < 60) for at in range(60)]
    assert said[29] == []
    assert said[30] == list(range(30 - PRE_ROLL, 31))
    assert said[31:50] == [[at] for at in range(31, 50)]
    assert said[50:55] == [[]] * 5
    assert said[55] == [50, 51, 52, 53, 54, 55]


def test_what_was_said_while_muted_is_never_sent():
    gate = Transmission()
    for at in range(5):
        by_voice(gate, at, is_speech=False)
    gate.mute()
    assert by_voice(gate, 6, is_speech=True) == [6]


def test_what_was_said_before_the_key_or_in_another_mode_is_never_sent():
    gate = Transmission()
    for at in range(5):
        by_voice(gate, at, is_speech=False)
    assert by_key(gate, 5, is_down=False) == NOTHING
    assert by_voice(gate, 6, is_speech=True) == [6]
    gate.pass_on(block(7), Transmit.OPEN, is_speech=False, is_key_down=False)
    assert numbers(by_key(gate, 8, is_down=True)) == [8]


def test_a_source_with_nothing_to_say_opens_nothing_and_leaves_no_gap_in_what_was_kept():
    gate = Transmission()
    by_voice(gate, 1, is_speech=False)
    assert gate.pass_on(None, Transmit.VOICE, is_speech=False, is_key_down=False) == NOTHING
    by_voice(gate, 3, is_speech=False)
    assert by_voice(gate, 4, is_speech=True) == [3, 4]


def test_after_the_key_is_up_the_last_syllable_still_comes_and_ends_in_silence():
    gate = Transmission()
    assert numbers(by_key(gate, 1000, is_down=True)) == [1000]
    after = [by_key(gate, 1000 + at, is_down=False) for at in range(1, 20)]
    assert [numbers(said) for said in after[:TAIL]] == [[1000 + at] for at in range(1, TAIL + 1)]
    last = after[TAIL - 1][0]
    assert last is not None
    assert last[-1] == 0
    assert after[TAIL : TAIL + CLOSING] == [(SILENCE,)] * CLOSING
    assert set(after[TAIL + CLOSING :]) == {NOTHING}


def test_a_mute_cuts_the_tail():
    gate = Transmission()
    by_key(gate, 1, is_down=True)
    gate.mute()
    assert by_key(gate, 2, is_down=False) == NOTHING
