"""The load of scripts/bench forward, ``python -m benches.forwarding.load PROFILE``: all talkers and listeners.

It is told what to do by lines of JSON on its standard input, and answers each with one. What it sends is encrypted
before, and of what arrives it deciphers a part afterwards, so that it can send in time. CPU time is the server's, which
is watched from here, around what is sent.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
from collections import deque
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from palaver_media.dtls import Certificate
from palaver_media.rtp import AUDIO_LEVEL, MID, RtpPacket, write_audio_level

from .client import Client, connect
from .inbox import SLOTS, Inbox
from .keys import PROFILES
from .watch import cpu_seconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

DRAIN: Final = 0.005  # s between looks at what has arrived: waking the reader is not what is measured
LOOK: Final = 16  # listeners at one look, and the next ones at the next: a look at hundreds would take too long
SETTLE: Final = 0.3  # s for the last ones to arrive
CONSENT: Final = 5.0  # s between the checks of one client (RFC 7675)
PAYLOAD: Final = bytes([0x78]) + os.urandom(79)  # Opus, 32 kbit/s in packets of 20 ms
PAYLOAD_TYPE: Final = 111
STEP: Final = 960  # RTP timestamp units in 20 ms
EXTENSIONS: Final = {MID: b"0", AUDIO_LEVEL: write_audio_level(-30, is_voice=True)}


class Talker:
    """Somebody who sends a packet whenever he is told."""

    def __init__(self, client: Client, ssrc: int) -> None:
        self._client, self._ssrc = client, ssrc
        self._sequence = 0

    def prepare(self, number: int) -> bytes:
        """Encrypt the load's packet `number`."""
        self._sequence += 1
        timestamp = number * STEP & 0xFFFFFFFF
        packet = RtpPacket(PAYLOAD_TYPE, self._sequence, timestamp, self._ssrc, PAYLOAD, extensions=EXTENSIONS)
        return self._client.protect(packet.write())

    def send(self, datagram: bytes) -> int:
        """Send what was prepared; the answer is when, in ns since the epoch."""
        now = time.time_ns()
        self._client.socket.send(datagram)
        return now


class Run:
    """One server under load for a while: `prepare`, `talk`, and then see what was `delivered`.

    Each talker sends `rate` packets a second, spread evenly, and their numbers begin with `first`.
    """

    def __init__(
        self,
        inbox: Inbox,
        clients: list[Client],
        listeners: list[Client],
        talkers: list[Talker],
        *,
        first: int,
        rate: float,
        seconds: float,
    ) -> None:
        self.sent: list[int] = []  # ns since the epoch, by number - first
        self.late = 0.0  # s
        self.octets = 0  # that have arrived, of all kinds
        self.checked = 0  # packets that were deciphered, and were what had been said
        self._inbox, self._listeners, self._talkers, self._first = inbox, listeners, talkers, first
        self._count, self._pace = int(rate * seconds) * len(talkers), rate * len(talkers)
        self._prepared: list[bytes] = []
        self._turns = cycle(range(len(listeners)))
        self._consents = deque(clients)
        self._owed = 0.0  # checks that are due
        self._next = 0.0
        self._headers: list[NDArray[np.uint8]] = []
        self._times: list[NDArray[np.int64]] = []
        self._kept: list[tuple[Client, bytes]] = []  # to be deciphered, in the order of their arrival

    def prepare(self) -> None:
        """Encrypt all that is to be sent, and throw away what has arrived before."""
        for number in range(self._count):
            self._prepared.append(self._talkers[number % len(self._talkers)].prepare(self._first + number))
        for client in self._listeners:
            while self._inbox.receive(client.socket) == SLOTS:
                pass

    def talk(self) -> None:
        """Have everybody talk, and listen meanwhile. Python looks for garbage later, lest we are late."""
        gc.disable()
        try:
            self._talk()
        finally:
            gc.enable()

    def _talk(self) -> None:
        began = time.monotonic()
        for number, datagram in enumerate(self._prepared):
            due = began + number / self._pace
            self._listen_until(due)
            self.late = max(self.late, time.monotonic() - due)
            self.sent.append(self._talkers[number % len(self._talkers)].send(datagram))
        self._listen_until(time.monotonic() + SETTLE)
        self._look(len(self._listeners))

    def check(self) -> None:
        """Decipher the last datagram of each batch, wherever it is RTP.

        Raises:
            SrtpError: one of them is not authentic.
            RuntimeError: what was heard is not what was said.
        """
        for client, datagram in self._kept:
            if _is_rtp(np.frombuffer(datagram[:2], np.uint8).reshape(1, 2))[0]:
                if not client.unprotect(datagram).endswith(PAYLOAD):
                    raise RuntimeError("what was heard is not what was said")
                self.checked += 1

    def delivered(self) -> int:
        """How many RTP packets arrived."""
        return len(self._rtp()[0])

    def lost(self) -> float:
        """Which share is missing between the first and the last packet of each stream."""
        headers, _ = self._rtp()
        ssrcs, sequences = headers[:, 8:12].copy().view(">u4")[:, 0], headers[:, 2:4].copy().view(">u2")[:, 0]
        order = np.argsort(ssrcs, kind="stable")
        goes_on = np.diff(ssrcs[order]) == 0
        steps = np.diff(sequences[order].astype(np.uint16)).astype(np.int16)[goes_on]
        streams = len(headers) - np.count_nonzero(goes_on)
        return 1 - len(headers) / max(1, int(streams) + int(steps.sum(dtype=np.int64)))

    def residence(self) -> NDArray[np.float64]:
        """How long each was under way, in ms; empty where the server writes timestamps of its own."""
        headers, times = self._rtp()
        timestamps = headers[:, 4:8].copy().view(">u4")[:, 0].astype(np.int64)
        numbers = timestamps // STEP - self._first
        if not len(numbers) or (timestamps % STEP).any() or numbers.min() < 0 or numbers.max() >= len(self.sent):
            return np.empty(0)
        sent: NDArray[np.int64] = np.array(self.sent, np.int64)
        return (times - sent[numbers]) / 1e6

    def _listen_until(self, due: float) -> None:
        while (now := time.monotonic()) < due:
            if now >= self._next:
                self._next = now + DRAIN
                self._look(LOOK)
                self._give_consent()
            time.sleep(max(0.0, min(due, self._next) - time.monotonic()))

    def _give_consent(self) -> None:
        self._owed += len(self._consents) * DRAIN / CONSENT
        while self._owed >= 1:
            self._owed -= 1
            self._consents[0].check()
            self._consents.rotate()

    def _look(self, count: int) -> None:
        """Take what has arrived for the next so many listeners, for each at most once."""
        for place in islice(self._turns, min(count, len(self._listeners))):
            self._take(self._listeners[place])

    def _take(self, client: Client) -> None:
        while count := self._inbox.receive(client.socket):
            self.octets += self._inbox.octets(count)
            self._headers.append(self._inbox.headers(count))
            self._times.append(self._inbox.times(count))
            self._kept.append((client, self._inbox.datagram(count - 1)))
            if count < SLOTS:
                return

    def _rtp(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        if not self._headers:
            return np.empty((0, 12), np.uint8), np.empty(0, np.int64)
        headers, times = np.concatenate(self._headers), np.concatenate(self._times)
        are_rtp = _is_rtp(headers)
        return headers[are_rtp], times[are_rtp]


def _is_rtp(headers: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of these datagrams are RTP and not STUN, DTLS or RTCP (RFC 7983, RFC 5761)."""
    return (headers[:, 0] >> 6 == 2) & ((headers[:, 1] < 192) | (headers[:, 1] >= 224))


class Load:
    """All clients of all servers, by name."""

    def __init__(self, profile: str) -> None:
        self.certificate = Certificate([PROFILES[profile]])
        self._profile = profile
        self._inbox = Inbox()
        self._clients: dict[str, dict[str, Client]] = {}
        self._talkers: dict[str, list[Talker]] = {}
        self._number = 0

    def do(self, what: str, **told: Any) -> Any:
        """Carry out a line of the bench."""
        return {"connect": self.connect, "talk": self.talk}[what](**told)

    def connect(self, server: str, talkers: list[dict[str, Any]], listeners: list[dict[str, Any]]) -> Any:
        """Connect clients to a server; the answer has their ports by id."""
        come = {each["id"]: Client(each, self.certificate, self._profile) for each in talkers + listeners}
        connect(come.values())
        self._clients.setdefault(server, {}).update(come)
        new = [Talker(come[each["id"]], each["ssrc"]) for each in talkers]
        self._talkers.setdefault(server, []).extend(new)
        return {name: client.port for name, client in come.items()}

    def talk(self, server: str, pid: int, listeners: list[str], rate: float, seconds: float) -> Any:
        """Send and count."""
        mine = self._clients[server]
        for clients in self._clients.values():
            for client in clients.values() if clients is not mine else ():
                client.check()  # the others wait for their turn, and must not be taken for dead
        clients, heard = list(mine.values()), [mine[name] for name in listeners]
        talkers, first = self._talkers[server], self._number
        run = Run(self._inbox, clients, heard, talkers, first=first, rate=rate, seconds=seconds)
        run.prepare()
        cpu = cpu_seconds(pid)
        run.talk()
        cpu = cpu_seconds(pid) - cpu
        run.check()
        self._number += len(run.sent)
        residence = run.residence()
        return {
            "cpu_s": cpu,
            "sent": len(run.sent),
            "delivered": run.delivered(),
            "late_ms": run.late * 1000,
            "residence_p50_ms": float(np.quantile(residence, 0.5)) if len(residence) else None,
            "residence_p99_ms": float(np.quantile(residence, 0.99)) if len(residence) else None,
        }


def main() -> None:
    """Do as told until the standard input ends."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    load = Load(sys.argv[1])
    print(json.dumps(load.certificate.fingerprint), flush=True)
    for line in sys.stdin:
        print(json.dumps(load.do(**json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
