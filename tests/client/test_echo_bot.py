"""The echo bot as a real process: it says back what it hears."""

from __future__ import annotations

import os
import wave
from pathlib import Path

import numpy as np
import pytest

from client.test_line_mode import write_tone
from palaver_bots.utterances import LONGEST, PAUSE, Utterances, level
from running import running, serving

SECOND = 96_000  # bytes
BLOCK = SECOND // 50
SILENCE = bytes(BLOCK)
LOUD = np.full(BLOCK // 2, 8_000, "<i2").tobytes()


def feed(voice: Utterances, block: bytes, seconds: float) -> list[bytes]:
    return [said for _ in range(round(seconds * 50)) if (said := voice.feed(block)) is not None]


def test_an_utterance_ends_with_a_pause_and_has_its_onset() -> None:
    voice = Utterances()
    assert feed(voice, SILENCE, 5) == []
    assert feed(voice, LOUD, 1) == []
    assert feed(voice, SILENCE, 0.5) == []
    assert feed(voice, LOUD, 1) == []
    (said,) = feed(voice, SILENCE, PAUSE)
    assert len(said) / SECOND == pytest.approx(0.2 + 1 + 0.5 + 1 + PAUSE, abs=0.03)
    assert feed(voice, SILENCE, 5) == []


def test_somebody_who_never_pauses_is_interrupted() -> None:
    said = feed(Utterances(), LOUD, 2 * LONGEST)
    assert [len(each) / SECOND for each in said] == pytest.approx([LONGEST, LONGEST], abs=0.03)


def test_levels() -> None:
    assert level(SILENCE) == level(b"") == -100.0
    assert level(np.full(480, -32_768, "<i2").tobytes()) == pytest.approx(0.0)
    assert level(LOUD) == pytest.approx(-12.2, abs=0.1)


@pytest.mark.trio
async def test_it_greets_and_gives_a_tone_back(tmp_path: Path) -> None:
    said, heard = tmp_path / "said.wav", tmp_path / "heard.wav"
    write_tone(said, 660, 2.0)
    env = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
    sound = ("--input", f"file:{said}", "--output", f"file:{heard}")
    async with serving() as (url, _), running("bot", "echo", url, "--room", "lounge") as bot:
        await bot.wait_line(lambda line: line == "palaver bot: in room lounge")
        async with running("call", url, "--room", "lounge", "--name", "Ann", *sound, "--json", env=env) as ann:
            greeting = await ann.wait_event("message", name="echo")
            assert greeting["text"].startswith("Hello Ann! ")
            await ann.wait_event("speaking", name="echo", isSpeaking=True)
            await ann.wait_event("speaking", name="echo", isSpeaking=False)
            assert await ann.end() == 0
        assert await bot.end() == 0
        assert bot.errors == []
    with wave.open(str(heard)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(float)
    spectrum = np.abs(np.fft.rfft(samples))
    assert spectrum.argmax() * 48_000 / len(samples) == pytest.approx(660, abs=5)


@pytest.mark.trio
async def test_it_survives_a_server_that_dies_and_one_that_restarts(tmp_path: Path) -> None:
    async with serving() as (url, server), running("bot", "echo", url, "--room", "lounge") as bot:
        port = ("--port", url.rpartition(":")[2])
        await bot.wait_line(lambda line: line == "palaver bot: in room lounge")
        server.process.kill()
        env = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
        silent = ("--input", "null", "--output", "null", "--json")
        async with serving(*port) as (_, second):
            async with running("call", url, "--room", "lounge", "--name", "Ann", *silent, env=env) as ann:
                joined = await ann.wait_event("joined")
                if "echo" not in str(joined):
                    await ann.wait_event("userJoined", name="echo")
            await second.end()
        async with serving(*port), running("call", url, "--room", "lounge", "--name", "Ben", *silent, env=env) as ben:
            joined = await ben.wait_event("joined")
            if "echo" not in str(joined):
                await ben.wait_event("userJoined", name="echo")
            assert await bot.end() == 0
