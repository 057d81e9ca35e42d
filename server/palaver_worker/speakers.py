"""Who speaks, as the senders themselves write into their packets (RFC 6464): nothing is decoded.

A voice that is silent costs one comparison a packet. While somebody speaks, his room has a `Conversation`, which looks
whether there is something to report: a few times a second where voices may change places, and where one speaks alone,
when he may have ended. When all are silent it is gone, and its alarm with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from palaver_media.worker_messages import SpeakersChanged, Speaking

from .alarm import GRID, together

if TYPE_CHECKING:
    from .audio_producer import AudioProducer
    from .sfu import Sfu

LOUD: Final = -50  # dBov; what is quieter is no speech
ONSET: Final = 3  # loud packets in a row with which speech begins; a click is shorter
HOLD: Final = 1.0  # s of silence with which it ends; between two words there is less
SMOOTHING: Final = 0.05  # what one loud packet counts for in the level
LEAD: Final = 6.0  # dB by which a voice must be louder to be named before another
MOST: Final = 16  # voices named at once
INTERVAL: Final = 0.25  # s between two reports on one room


class Voice:
    """What one producer's packets say of its loudness, as the core has heard it: see `Track`.

    `level` is in dBov, smoothed over the loud packets by `SMOOTHING`; `heard` is when the last of them came. The core
    calls `begin` with the `ONSET`th loud one in a row.
    """

    def __init__(self, sfu: Sfu, producer: AudioProducer) -> None:
        self.producer = producer
        self.level = self.heard = 0.0
        self._sfu = sfu
        self._conversation: Conversation | None = None  # while it counts as speaking

    def begin(self) -> None:
        """Speak: a few loud packets have come in a row."""
        if self._conversation is None:
            router = self.producer.router
            self._conversation = self._sfu.conversations.get(router) or Conversation(self._sfu, router)
            self._conversation.voices.append(self)
            self._conversation.hasten()
            self._conversation.refresh()
            self._conversation.review()

    def refresh(self) -> None:
        """See what the core has heard."""
        self.level, self.heard = self.producer.track.loudness

    def end(self) -> None:
        """Speak no more."""
        if self._conversation is not None:
            self._conversation.voices.remove(self)
            self._conversation.hasten()
            self._conversation = None
        self.producer.track.fall_silent()


class Conversation:
    """A room from somebody's first word until all are silent.

    The set of speakers is reported when it changes, and its order when a voice has become clearly louder than one
    that was named before it; so two people who are about as loud do not change places all the time.
    """

    def __init__(self, sfu: Sfu, router: str) -> None:
        self.voices: list[Voice] = []
        self._router = router
        self._named: list[Voice] = []  # in the last report
        self._sfu = sfu
        self._now = sfu.port.now
        self._alarm = sfu.alarm(self._look)
        self._looked = self._now() - INTERVAL  # when
        sfu.conversations[router] = self

    def hasten(self) -> None:
        """Look as soon as there may be another report: voices have come or gone."""
        self._alarm.set(max(self._now(), together(self._looked + INTERVAL)))

    def refresh(self) -> None:
        """See what the core has heard of all of them."""
        for voice in self.voices:
            voice.refresh()

    def review(self) -> None:
        """Let those who speak have the room's slots, if it has any."""
        if (stage := self._sfu.stages.get(self._router)) is not None:
            stage.review()

    def _look(self) -> None:
        now = self._looked = self._now()
        self.refresh()
        for voice in [each for each in self.voices if now > each.heard + HOLD]:
            voice.end()
        self.review()
        is_changed = self._is_changed()
        if is_changed:
            self._report()
        if self.voices or is_changed:
            ended = self.voices[0].heard + HOLD + GRID if len(self.voices) == 1 else now
            self._alarm.set(together(max(ended, now + INTERVAL)))
        else:
            self._alarm.set(None)  # which those who have just ended have hastened
            del self._sfu.conversations[self._router]

    def _is_changed(self) -> bool:
        named = set(self._named)
        others = [each for each in self.voices if each not in named]
        if not named.issubset(self.voices) or (others and len(named) < MOST):
            return True
        return _is_out_of_order(self._named) or any(_is_out_of_order([*self._named, each]) for each in others)

    def _report(self) -> None:
        self._named = sorted(self.voices, key=lambda each: each.level, reverse=True)[:MOST]
        speakers = tuple(Speaking(each.producer.id, -round(each.level)) for each in self._named)
        self._sfu.report(SpeakersChanged(self._router, speakers))


def _is_out_of_order(voices: Iterable[Voice]) -> bool:
    """Whether one of them is clearly louder than one before it."""
    quietest = 0.0
    for voice in voices:
        if voice.level > quietest + LEAD:
            return True
        quietest = min(quietest, voice.level)
    return False
