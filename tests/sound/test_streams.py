"""A sound library that hangs: what is left of it when it answers again."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from attrs import define, field

from palaver_engine import streams
from palaver_engine.backends import Found, Hear, Talk
from palaver_engine.blocks import SILENCE, Samples
from palaver_engine.specs import SoundError
from palaver_engine.streams import Stream
from palaver_media.engine_messages import Side


@define(eq=False)
class Hand:
    """A library driven by hand: opening and closing take as long as `answers` is not set."""

    name: str = "hand"
    sees_more: bool = False
    answers: threading.Event = field(factory=threading.Event)
    opened: int = 0
    closed: threading.Semaphore = field(factory=lambda: threading.Semaphore(0))
    talk: Talk | None = None
    hear: Hear | None = None

    def find_all(self, side: Side) -> list[Found]:
        return [Found(self, 1, "one", True)]

    def capture(self, microphone: Found, talk: Talk) -> Hand:
        self.talk = talk
        return self._open()

    def play(self, speaker: Found, hear: Hear, *, is_near: bool) -> Hand:
        self.hear = hear
        return self._open()

    def refresh(self) -> None:
        return

    def close(self) -> None:
        self.answers.wait()
        self.closed.release()

    def _open(self) -> Hand:
        self.answers.wait()
        self.opened += 1
        return self


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hand]:
    monkeypatch.setattr(streams, "PATIENCE", 0.1)
    hand = Hand()
    yield hand
    hand.answers.set()


def device(hand: Hand) -> Found:
    return hand.find_all(Side.SOURCE)[0]


def test_what_opens_too_late_is_closed_and_says_nothing(hand: Hand) -> None:
    said: list[Samples] = []
    with pytest.raises(SoundError, match="does not answer"):
        Stream.capturing(device(hand), said.append)
    hand.answers.set()
    assert hand.closed.acquire(timeout=5)
    assert hand.opened == 1
    assert hand.talk is not None
    hand.talk(SILENCE, 0.01)
    assert said == []
    assert not Stream.open_streams


def test_what_cannot_be_closed_calls_in_vain_until_it_can(hand: Hand) -> None:
    hand.answers.set()
    heard: list[int] = []

    def hear() -> Samples:
        heard.append(1)
        return SILENCE

    stream = Stream.playing(device(hand), hear, is_near=False)
    other = Stream.playing(device(hand), hear, is_near=False)
    hand.answers.clear()
    stream.close()
    other.close()  # which is not even tried while the first one hangs
    assert hand.hear is not None
    hand.hear(0.02)
    assert heard == []
    assert Stream.open_streams == {stream, other}
    hand.answers.set()
    assert hand.closed.acquire(timeout=5)
    for thread in streams._hanging:
        thread.join(5)
    Stream.close_left()
    assert hand.closed.acquire(timeout=5)
    assert not hand.closed.acquire(blocking=False)  # each once
    assert not Stream.open_streams
