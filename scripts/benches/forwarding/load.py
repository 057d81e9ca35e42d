"""The load of scripts/bench forward: ``python -m forwarding.load PROFILE``, talkers and listeners of all its servers.

It is told what to do by lines of JSON on its standard input, and answers each with one. It counts what arrives, and
deciphers a little of it. CPU time is the server's, which is watched from here, around what is sent.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections import deque
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from palaver_media.dtls import Certificate
from palaver_media.rtp import AUDIO_LEVEL, MID, RtpPacket

from .client import Client, connect
from .inbox import SLOTS, Inbox
from .keys import PROFILES
from .watch import cpu_seconds

DRAIN: Final = 0.005  # s between looks at what has arrived: waking the reader is not what is measured
SETTLE: Final = 0.3  # s for the last ones to arrive
CONSENT: Final = 5.0  # s between the checks of one client (RFC 7675)
PAYLOAD: Final = bytes([0x78]) + os.urandom(79)  # Opus, 32 kbit/s in packets of 20 ms
PAYLOAD_TYPE: Final = 111
STEP: Final = 960  # RTP timestamp units in 20 ms
EXTENSIONS: Final = {MID: b"0", AUDIO_LEVEL: b"\x3c"}  # -60 dBov


class Talker:
    """Somebody who sends a packet whenever he is told."""

    def __init__(self, client: Client, ssrc: int) -> None:
        self._client, self._ssrc = client, ssrc
        self._sequence = 0

    def send(self, number: int) -> int:
        """Send the load's packet `number`; the answer is when, in ns since the epoch."""
        self._sequence += 1
        timestamp = number * STEP & 0xFFFFFFFF
        packet = RtpPacket(PAYLOAD_TYPE, self._sequence, timestamp, self._ssrc, PAYLOAD, extensions=EXTENSIONS)
        datagram = self._client.protect(packet.write())
        now = time.time_ns()
        self._client.socket.send(datagram)
        return now


class Run:
    """One server under load for a while."""

    def __init__(self, inbox: Inbox, clients: list[Client], listeners: list[Client], first: int) -> None:
        self.sent: list[int] = []  # ns since the epoch, by number - first
        self.late = 0.0  # s
        self._inbox, self._listeners, self._first = inbox, listeners, first
        self._consents = deque(clients)
        self._owed = 0.0  # checks that are due
        self._next = 0.0
        self._unheard = set(range(len(listeners)))  # by whom nothing was deciphered yet
        self._headers: list[NDArray[np.uint8]] = []
        self._times: list[NDArray[np.int64]] = []

    def talk(self, talkers: list[Talker], rate: float, seconds: float) -> None:
        """Have each send `rate` packets a second, spread evenly, and listen meanwhile."""
        began = time.monotonic()
        for number in range(int(rate * seconds) * len(talkers)):
            due = began + number / rate / len(talkers)
            self._listen_until(due)
            self.late = max(self.late, time.monotonic() - due)
            self.sent.append(talkers[number % len(talkers)].send(self._first + number))
        self._listen_until(time.monotonic() + SETTLE)
        self._drain()

    def delivered(self) -> int:
        """How many RTP packets arrived."""
        return len(self._rtp()[0])

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
                self._drain()
                self._give_consent()
            time.sleep(max(0.0, min(due, self._next) - time.monotonic()))

    def _give_consent(self) -> None:
        self._owed += len(self._consents) * DRAIN / CONSENT
        while self._owed >= 1:
            self._owed -= 1
            self._consents[0].check()
            self._consents.rotate()

    def _drain(self) -> None:
        for place, client in enumerate(self._listeners):
            while count := self._inbox.receive(client.socket):
                self._headers.append(self._inbox.headers(count))
                self._times.append(self._inbox.times(count))
                if place in self._unheard:
                    self._decipher(place, count)
                if count < SLOTS:
                    break

    def _decipher(self, place: int, count: int) -> None:
        """Be sure, once for each listener, that it is what was said."""
        for slot in range(count):
            if _is_rtp(self._inbox.data[slot : slot + 1])[0]:
                if not self._listeners[place].unprotect(self._inbox.datagram(slot)).endswith(PAYLOAD):
                    raise RuntimeError("what was heard is not what was said")
                self._unheard.discard(place)
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
        run = Run(self._inbox, list(mine.values()), [mine[name] for name in listeners], self._number)
        cpu = cpu_seconds(pid)
        run.talk(self._talkers[server], rate, seconds)
        cpu = cpu_seconds(pid) - cpu
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
