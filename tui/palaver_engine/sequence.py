"""Sequence numbers of one RTP stream: which packets are new, and how many never came (RFC 3550 appendix A.1, A.3)."""

from __future__ import annotations

from typing import Final

from attrs import define

RING: Final = 64  # sequence numbers back in which a duplicate is known and a straggler welcome
JUMP: Final = 3000  # sequence numbers ahead: farther off is another stream


@define
class Sequence:
    """Extends 16-bit sequence numbers, and survives a sender that starts anew."""

    received: int = 0
    highest: int = -1  # extended
    _first: int = 0
    _received_here: int = 0  # since `_first`
    _lost_before: int = 0  # before `_first`
    _seen: int = 0  # bit n: whether `highest` - n came
    _odd: int = -1  # the sequence number that would confirm a jump
    _is_fresh: bool = True  # whether the next packet is the first of its stream, whatever its number

    @property
    def lost(self) -> int:
        """How many never came; those still under way count until they do."""
        return self._lost_before + self.highest - self._first + 1 - self._received_here

    def note(self, sequence: int) -> int:
        """How many packets are new with this one: 1, or 0 if it is not.

        Of a stream that starts anew the second packet is the first to be believed, and the one before it with it: 2.
        """
        if self._is_fresh:
            self._start(sequence)
        step = (sequence - self.highest + 0x8000 & 0xFFFF) - 0x8000
        if not -RING < step < JUMP:
            if sequence != self._odd:
                self._odd = sequence + 1 & 0xFFFF
                return 0
            self._start(sequence - 1 & 0xFFFF)
            return self.note(sequence - 1 & 0xFFFF) + self.note(sequence)
        if step > 0:
            self._seen = (self._seen << step | 1) & (1 << RING) - 1
            self.highest += step
        elif self._seen >> -step & 1 or self.highest + step < self._first:
            return 0
        else:
            self._seen |= 1 << -step
        self.received += 1
        self._received_here += 1
        return 1

    def expect_another(self) -> None:
        """The next packet is another stream's."""
        self._is_fresh = True

    def _start(self, sequence: int) -> None:
        self._lost_before = self.lost if self.received else 0
        self._first, self.highest = sequence, sequence - 1
        self._received_here = self._seen = 0
        self._odd = -1
        self._is_fresh = False
