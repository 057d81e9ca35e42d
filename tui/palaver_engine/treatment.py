"""The microphone's blocks on their way to the sender: cleaned, evened out, amplified, and listened to for speech.

Steps are switched while somebody talks. A cleaner cannot be told to do something else, and a new one knows neither the
echo nor the noise; so it learns beside the old one for a while, and then one melts into the other.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from attrs import define

from palaver_media.sound_settings import Capture

from .activity import Activity
from .blocks import Samples
from .gain import Gain, melt
from .processing import Cleaner, Cleaning, Library

ECHO_DELAY: Final = 0.009  # s
NOISE_DELAY: Final = 0.007  # s
LEARNING_NOISE: Final = 50  # blocks that a new cleaner listens before it is heard
LEARNING_ECHO: Final = 300  # with 200 some 20 dB of return loss are still missing at times


class _Plain:
    """Cleans nothing."""

    def process(self, near: Samples, far: Samples) -> Samples:
        return near


class Treatment:
    """`treat` belongs to the sound thread, `set` to the loop."""

    def __init__(self, library: Library | None, capture: Capture) -> None:
        """Without a library, manual gain and the listening for speech are all there is."""
        self._library = library
        self._capture = capture
        self._cleaner = self._make(_cleaning(capture))
        self._leveller = None if library is None else library.leveller()
        self._offered: deque[_Learner] = deque(maxlen=1)
        self._learner: _Learner | None = None
        self._is_levelled = capture.gain
        self._gain = Gain()
        self._activity = Activity()

    def set(self, capture: Capture) -> None:
        """Treat blocks like this from now on; what a cleaner does changes within three seconds."""
        before, self._capture = self._capture, capture
        cleaning = _cleaning(capture)
        if cleaning != _cleaning(before):
            self._offered.append(_Learner(self._make(cleaning), LEARNING_ECHO if cleaning.echo else LEARNING_NOISE))

    @property
    def delay(self) -> float:
        """By how much a block comes out later, in s."""
        cleaning = _cleaning(self._capture)
        return 0.0 if self._library is None else ECHO_DELAY * cleaning.echo + NOISE_DELAY * cleaning.noise

    def treat(self, near: Samples, far: Samples) -> tuple[Samples, bool]:
        """A block as it is to be sent, and whether there is speech in it; `far` is what is played with it."""
        capture = self._capture
        block, probability = self._level(self._clean(near, far), capture.gain)
        block = self._gain.amplify(block, capture.microphone_db)
        return block, self._activity.hear(block, probability)

    def _make(self, cleaning: Cleaning) -> Cleaner:
        if self._library is None or cleaning == _NOTHING:
            return _Plain()
        return self._library.cleaner(cleaning)

    def _clean(self, near: Samples, far: Samples) -> Samples:
        block = self._cleaner.process(near, far)
        if self._offered:
            self._learner = self._offered.pop()
        if self._learner is None:
            return block
        other = self._learner.learn(near, far)
        if self._learner.left:
            return block
        self._cleaner, self._learner = self._learner.cleaner, None
        return melt(block, other)

    def _level(self, block: Samples, is_levelled: bool) -> tuple[Samples, float | None]:
        """The leveller hears all, for it also tells what is speech."""
        if self._leveller is None:
            return block, None
        levelled, probability = self._leveller.process(block)
        was_levelled, self._is_levelled = self._is_levelled, is_levelled
        before = levelled if was_levelled else block
        after = levelled if is_levelled else block
        return (after if before is after else melt(before, after)), probability


@define
class _Learner:
    cleaner: Cleaner
    left: int  # blocks

    def learn(self, near: Samples, far: Samples) -> Samples:
        self.left -= 1
        return self.cleaner.process(near, far)


_NOTHING: Final = Cleaning(echo=False, noise=False, high_pass=False)


def _cleaning(capture: Capture) -> Cleaning:
    """What is asked of a cleaner; the high-pass is part of echo cancellation."""
    return Cleaning(echo=capture.echo, noise=capture.noise, high_pass=capture.high_pass or capture.echo)
