"""PortAudio's callbacks; PortAudio itself is tried with the virtual devices of the engine's tests."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from palaver_engine.blocks import BLOCK, RATE, Samples
from palaver_engine.portaudio import _input, told_apart
from palaver_engine.resampling import Intake


def test_what_a_microphone_gave_stays_though_its_buffer_is_used_again():
    got: list[Samples] = []
    callback = _input(Intake(RATE, lambda block, age: got.append(block)))
    when = SimpleNamespace(currentTime=1.0, inputBufferAdcTime=0.99)
    buffer = np.zeros((BLOCK * 3 // 2, 1), np.int16)  # half a block waits for the next
    for number in (1, 2):
        buffer[:] = number
        callback(buffer, len(buffer), when, None)
    buffer[:] = 3
    expected = np.repeat(np.array([1, 2], np.int16), BLOCK * 3 // 2)
    np.testing.assert_array_equal(np.concatenate(got), expected)


def test_devices_of_one_name_are_told_apart_by_their_host_api():
    listed = [("Headset", "MME"), ("Speakers", "MME"), ("Headset", "Windows WASAPI")]
    assert told_apart(listed) == ["Headset (MME)", "Speakers", "Headset (Windows WASAPI)"]
