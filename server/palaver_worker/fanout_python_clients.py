"""Who may be heard by the core in Python, and how much of him; his checks that change nothing are answered here."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from palaver_media import stun
from palaver_media.srtp import Session
from palaver_media.worker_messages import AddProducer

from .datagrams import SLOT
from .fanout import AGAIN, SEEN, Client
from .fanout_python_tracks import PythonTrack
from .rate import Rate
from .sockaddr import Sockaddr, unmapped

if TYPE_CHECKING:
    from .fanout_python import PythonFanout


FREE: Final = [0.0] * (SLOT + 1)


class Checked:
    """How an address is checked: how often it may be, anew and again, when it last was (s), and how it usually is."""

    __slots__ = ("again", "anew", "last", "usual")

    def __init__(self, checks: int) -> None:
        self.anew, self.again, self.last = Rate(checks), Rate(checks / AGAIN), 0.0
        self.usual: stun.Repeated | None = None


class PythonClient(Client):
    """Who may be heard on a transport's addresses."""

    __slots__ = (
        "_checked", "_checks", "_fanout", "_keys", "_known", "_seen", "_selected", "due", "per_octets", "per_packet",
        "pointer", "tracks",
    )  # fmt: skip

    def __init__(self, fanout: PythonFanout) -> None:
        self.pointer: Any = None
        self.tracks: dict[int, PythonTrack] = {}  # by SSRC
        self._fanout = fanout
        self._keys: Session | None = None
        self._known = "", ""  # ufrag and password
        self._checks = 1  # a second from one address
        self._seen: dict[bytes, None] = {}  # the last transactions
        self._selected: Sockaddr = b""
        self._checked: dict[Sockaddr, Checked] = {}
        self.per_packet, self.per_octets = 0.0, FREE  # s that a packet takes of his budget, as one and by its bytes
        self.due = -math.inf  # when the next packet would come, were they as many as may come

    def limit(self, packets: int, octets: int) -> None:
        """No more than this of all tracks together."""
        self.per_packet, self.per_octets = costs_of(packets, octets)

    def set_keys(self, keys: Session | None) -> None:
        """Unprotect with these keys."""
        self._keys = keys  # lives as long as the pointer is used
        self.pointer = None if keys is None else keys.pointer

    def know(self, ufrag: str, password: str, checks: int) -> None:
        """Answer his checks that change nothing."""
        self._known, self._checks = (ufrag, password), checks
        for each in self._checked.values():
            each.usual = None

    def note_check(self, transaction: bytes) -> bool:
        """Note a check that is not answered here; whether it was noted, or was."""
        was_seen = transaction in self._seen
        self._seen[transaction] = None
        if len(self._seen) > SEEN:
            del self._seen[next(iter(self._seen))]
        return was_seen

    def select(self, address: Sockaddr) -> None:
        """He is sent to there."""
        self._selected = address

    def checked(self, address: Sockaddr) -> float:
        """When a check from there was last answered here."""
        return self._checked[address].last if address in self._checked else 0.0

    def forget(self, address: Sockaddr) -> None:
        """He is heard there no more."""
        self._checked.pop(address, None)
        self._selected = b"" if self._selected == address else self._selected

    def answer(self, data: bytes, address: Sockaddr, now: float) -> bool:
        """Answer a check that changes nothing; whether it was one. To nominate another address is not ours."""
        checked = self._checked.get(address)
        usual = None if checked is None else checked.usual
        check = None
        if usual is None or (usual.nominates and self._selected != address) or not usual.is_this(data):
            check = self._read(data, address)
            if check is None:
                return False
        if checked is None:
            checked = self._checked[address] = Checked(self._checks)
        transaction = data[stun.TRANSACTION]
        was_seen = self.note_check(transaction)  # sent again, by him or by who overheard it: no new word of his
        if not (checked.again if was_seen else checked.anew).admits(now):
            self._fanout.outgoing.dropped["excess"] += 1
            return True
        if check is not None:
            answer = stun.make_answer(check, unmapped(address), self._known[1])
            checked.usual = stun.Repeated.of(check, answer, self._known[1])
        else:
            assert usual is not None
            answer = usual.answer(transaction)
        self._fanout.outgoing.put(answer, address)
        if not was_seen:
            checked.last = now
        return True

    def _read(self, data: bytes, address: Sockaddr) -> stun.Message | None:
        """A check of his that changes nothing; None: it is something else."""
        ufrag, password = self._known
        try:
            check = stun.parse(data)
        except ValueError:
            return None
        is_his = ufrag != "" and check.attributes.get(stun.USERNAME, b"").startswith(f"{ufrag}:".encode())
        may_be_nominated = self._selected == address or not check.nominates
        return check if is_his and may_be_nominated and check.is_request(password) else None

    def track(self, command: AddProducer, begin: Callable[[], None]) -> PythonTrack:
        """Take this producer's packets."""
        track = self.tracks[command.ssrc] = PythonTrack(self._fanout, self, command, begin)
        return track

    def remove(self, track: PythonTrack) -> None:
        """Take no more of it."""
        del self.tracks[track.ssrc]


@cache
def costs_of(packets: int, octets: int) -> tuple[float, list[float]]:
    """What a packet takes of a budget of so many packets and bytes a second, in s: as one, and by its bytes."""
    per_octet = 1 / octets
    return 1 / packets, [size * per_octet for size in range(SLOT + 1)]
