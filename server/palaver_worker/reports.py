"""When clients are told how their tracks fare: each once a second, many at a time, since waking up costs the most."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from . import feedback

if TYPE_CHECKING:
    from .sfu import Sfu
    from .transport import Transport

REPORT: Final = 1.0  # s between the RTCP reports to one client
CLOCKS: Final = 5  # rounds in which a client is told once of the clocks of what he hears, as browsers do it for voices
TURNS: Final = 10  # in which all have theirs at the most, so that nobody's packets wait for the reports to everybody
FEW: Final = 50  # transports and tracks that are reported on in one turn before there is another: some 0.5 ms of work
STEP: Final = REPORT / TURNS
EARLY: Final = 0.001  # s that an alarm may ring before its time


class Reports:
    """All transports that are told something, in turns of about the same work, which begin anew with each round."""

    def __init__(self, sfu: Sfu) -> None:
        self._sfu = sfu
        self._alarm = sfu.alarm(self._tell)
        self._transports: dict[Transport, None] = {}
        self._turns: list[list[Transport]] = []  # of this round, as far as they are to come
        self._round = 0

    def add(self, transport: Transport) -> None:
        """Tell this client from the next round on, which begins within `REPORT`."""
        self._transports[transport] = None
        if not self._alarm.is_set:
            self._alarm.set(following(self._sfu.port.now(), REPORT))

    def remove(self, transport: Transport) -> None:
        """Tell him no more."""
        self._transports.pop(transport, None)
        if not self._transports:
            self._turns = []
            self._alarm.set(None)

    def _tell(self) -> None:
        """A turn; after a hold-up the others wait for theirs, and rounds that were missed are."""
        now = self._sfu.port.now()
        if not self._turns:
            self._round += 1
            self._turns = split(list(self._transports), self._round)
        turn = self._turns.pop(0)
        self._alarm.set(following(now + EARLY, STEP if self._turns else REPORT))
        for transport in turn:
            if transport in self._transports:  # not gone since
                feedback.report(transport, now, self._sfu.video_bitrate)
                if transport.due <= self._round:
                    transport.due = self._round + CLOCKS
                    feedback.tell_clocks(transport, now)


def following(now: float, period: float) -> float:
    """The next whole multiple of a period (s)."""
    return (math.floor(now / period) + 1) * period


def split(transports: list[Transport], number: int) -> list[list[Transport]]:
    """The transports in turns: as few as have little to tell in this round, and never more than `TURNS`."""
    works = [1 + len(each.producers) + (len(each.consumers) if each.due <= number else 0) for each in transports]
    count = min(TURNS, math.ceil(sum(works) / FEW))
    share = sum(works) / count
    turns: list[list[Transport]] = [[] for _ in range(count)]
    done = 0
    for transport, work in zip(transports, works, strict=True):
        turns[min(int(done / share), count - 1)].append(transport)
        done += work
    return [turn for turn in turns if turn]
