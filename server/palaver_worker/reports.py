"""When clients are told how their tracks fare: each once a second, many at a time, since waking up costs the most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import feedback

if TYPE_CHECKING:
    from .sfu import Sfu
    from .transport import Transport

REPORT: Final = 1.0  # s between the RTCP reports to one client
TURNS: Final = 10  # in which all have theirs, so that nobody's packets wait for the reports to everybody
FEW: Final = 20  # transports have theirs in one turn before there is another: some 0.5 ms of work
STEP: Final = REPORT / TURNS


class Reports:
    """All transports that are told something, in turns of about the same size."""

    def __init__(self, sfu: Sfu) -> None:
        self._sfu = sfu
        self._alarm = sfu.alarm(self._tell)
        self._turns: list[dict[Transport, None]] = [{} for _ in range(TURNS)]
        self._told = [-REPORT] * TURNS  # when they last had theirs
        self._number = 0  # of the last one, counted from the clock's 0

    def add(self, transport: Transport) -> None:
        """Tell this client from now on, for the first time within `REPORT`."""
        some = [turn for turn in self._turns if len(turn) < FEW]
        (some[0] if some else min(self._turns, key=len))[transport] = None
        if not self._alarm.is_set:
            self._number = int(self._sfu.port.now() / STEP)
        self._set_alarm()

    def remove(self, transport: Transport) -> None:
        """Tell him no more."""
        for turn in self._turns:
            turn.pop(transport, None)
        self._set_alarm()

    def _tell(self) -> None:
        """Whose turn has come; after a hold-up that is everybody's, but only once."""
        now = self._sfu.port.now()
        first, self._number = self._number + 1, int(now / STEP)
        self._set_alarm()
        for number in range(max(first, self._number - TURNS + 1), self._number + 1):
            self._tell_turn(number % TURNS, now)

    def _set_alarm(self) -> None:
        """Ring at the next turn in which there is somebody."""
        ahead = range(self._number + 1, self._number + 1 + TURNS)
        following = next((number for number in ahead if self._turns[number % TURNS]), None)
        self._alarm.set(None if following is None else following * STEP)

    def _tell_turn(self, turn: int, now: float) -> None:
        if now < self._told[turn] + REPORT / 2:
            return
        self._told[turn] = now
        for transport in self._turns[turn]:
            feedback.report(transport, now, self._sfu.video_bitrate)
