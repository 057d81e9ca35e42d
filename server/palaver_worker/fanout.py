"""The core of forwarding, in C or in Python: who is heard where, and voices from the socket to all who listen.

Voices it takes all the way (`Track`); the event loop waits in it meanwhile. Of a video each packet is given, in the
clear and with the router's numbers, to `Fanout.forward` with the legs it goes to. For each leg the core writes the
listener's SSRC, number, mid and extensions, protects it with the listener's keys, and leaves it in the outgoing block.
A packet that could not be protected is never in it.
"""

from __future__ import annotations

import abc
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Protocol

from palaver_media.rtcp import Reception
from palaver_media.rtp import MID, write_extensions
from palaver_media.srtp import Session
from palaver_media.worker_messages import AddProducer

from .datagrams import Incoming, Outgoing
from .packet import Packet
from .sockaddr import Sockaddr

AGAIN: Final = 10  # times fewer checks are answered that were here before
SEEN: Final = 1024  # checks of a client that are remembered: 40 minutes of a browser's
FARTHEST: Final = 0x7FFF  # numbers ahead; what is farther SRTP would count to the cycle before
KEPT: Final = 64  # packets of a voice that are kept for resends: 1.3 s
CHOICE: Final = "PALAVER_FANOUT"  # the environment's word on which core to use: `c` or `python`


class Path(Protocol):
    """Where a listener's packets go, and under which keys; all legs to one listener share it."""

    def set_keys(self, keys: Session | None) -> None:
        """Protect with these keys; with None nothing is sent."""

    def set_destination(self, destination: Sockaddr) -> None:
        """Send there from now on."""


class Leg(Protocol):
    """One listener's numbering and counters of one producer.

    Packets are numbered `index - offset`. The offset changes only when forwarding begins again, after a pause or a leap
    of the sender, and then numbering goes on after the highest number ever used; so a number, and with it an SRTP
    packet index, never stands for two different packets.
    """

    @property
    def offset(self) -> int:
        """By which the listener's numbers differ from the producer's."""
        ...

    @property
    def first(self) -> int:
        """The index with which forwarding began, -1 before it did."""
        ...

    @property
    def highest(self) -> int:
        """The highest number used, -1 before there was one."""
        ...

    @property
    def packets(self) -> int:
        """How many were sent, those sent again included."""
        ...

    @property
    def octets(self) -> int:
        """Bytes of payload in them."""
        ...

    def pause(self) -> None:
        """Begin anew with the next packet."""

    def shift_by(self, shift: int) -> None:
        """Begin anew with the next packet, which is marked, and with timestamps later by `shift` from now on."""


class Track(Protocol):
    """A producer of audio, whose packets the core takes from the socket to the listeners by itself."""

    def fill(self, reception: Reception) -> None:
        """Tell what was counted."""

    @property
    def octets(self) -> int:
        """Bytes of payload received."""
        ...

    @property
    def level(self) -> int | None:
        """The loudness (dBov) that the last packet told, if it did."""
        ...

    @property
    def loudness(self) -> tuple[float, float]:
        """The smoothed level (dBov) of what was loud, and when that was (s)."""
        ...

    def timestamp_of(self, index: int) -> int | None:
        """A packet's, if it is still kept."""
        ...

    @property
    def transit(self) -> float:
        """The last packet's arrival less its timestamp, in units of the latter."""
        ...

    def fall_silent(self) -> None:
        """Say it when somebody begins to speak again."""

    def set_paused(self, is_paused: bool) -> None:
        """Whether to hear nobody on it; to whom it is forwarded is told by `set_group`."""

    def set_group(self, group: Any) -> None:
        """Forward to these legs."""

    def resend(self, index: int, group: Any) -> bool:
        """Send a packet again on these legs, if it is still kept; whether it is."""
        ...

    def close(self) -> None:
        """Take no more."""


class Client(abc.ABC):
    """Who may be heard on a transport's addresses."""

    __slots__ = ()

    @abc.abstractmethod
    def limit(self, packets: int, octets: int) -> None:
        """Hear no more than this a second of all tracks together, and as much at once after a second without.

        It is one budget: who sends half of the packets has half of the bytes left. What is beyond it is dropped after
        it was unprotected, or strangers could use it up.
        """

    @abc.abstractmethod
    def set_keys(self, keys: Session | None) -> None:
        """Unprotect with these keys; with None nothing is heard."""

    @abc.abstractmethod
    def know(self, ufrag: str, password: str, checks: int) -> None:
        """Answer his checks that change nothing, so many a second from each address; "" is none.

        Those that were noted before have a smaller share of their own, so that nobody can use his up with them.
        """

    @abc.abstractmethod
    def note_check(self, transaction: bytes) -> bool:
        """Note a check that is not the core's; whether it was noted, or answered by the core, among the last `SEEN`."""

    @abc.abstractmethod
    def select(self, address: Sockaddr) -> None:
        """He is sent to there: a check that nominates another address changes that, and is left."""

    @abc.abstractmethod
    def checked(self, address: Sockaddr) -> float:
        """When the core last answered a check from there that was not noted before, in s; 0 is never."""

    @abc.abstractmethod
    def track(self, command: AddProducer, begin: Callable[[], None]) -> Track:
        """Take the packets of this producer of audio; `begin` is called when somebody begins to speak."""


class Fanout(abc.ABC):
    """A core. `failures` counts packets that could not be protected."""

    name: str

    def __init__(self, incoming: Incoming, outgoing: Outgoing) -> None:
        self.incoming, self.outgoing = incoming, outgoing
        self.failures = 0

    @abc.abstractmethod
    def client(self) -> Client:
        """A new client, who is not heard yet."""

    @abc.abstractmethod
    def admit(self, address: Sockaddr, client: Client) -> None:
        """Hear this client, and no other, at an address."""

    @abc.abstractmethod
    def dismiss(self, address: Sockaddr) -> None:
        """Hear nobody there."""

    @abc.abstractmethod
    def receive(self, dropped: Counter[str]) -> None:
        """Take what has arrived."""

    @abc.abstractmethod
    def process(self, now: float, dropped: Counter[str]) -> list[int]:
        """Forward the voices that were received, and tell who begins to speak; the slots of all else."""

    @abc.abstractmethod
    def path(self) -> Path:
        """A new listener's path."""

    @abc.abstractmethod
    def leg(self, path: Any, ssrc: int, mid: str, extensions: Iterable[int], payload_types: Iterable[int] = ()) -> Leg:
        """A new leg: the listener's SSRC and mid, and the router's extension ids that it understands.

        Of packets with copies (`rtp.RED`) it gets the frame alone unless that is among its `payload_types`.
        """

    @abc.abstractmethod
    def group(self, legs: Sequence[Any]) -> Any:
        """Legs, in the form in which `forward` takes them."""

    @abc.abstractmethod
    def forward(self, packet: Packet, group: Any) -> None:
        """Send a packet on all these legs; one from before a leg's beginning is left out there."""

    @abc.abstractmethod
    def wait(self, others: int, timeout: float | None) -> tuple[bool, bool]:
        """Forward what the core can by itself, until something else is to be done.

        The answer is whether that is `process`, with what was received, and whether another source of events, on the
        selector `others`, may have one, which then goes before the datagrams. It is neither when `timeout` (s, None:
        no end) is over.
        """


def mid_element(mid: str, extensions: Iterable[int]) -> bytes:
    """The mid as an extension element, for a listener who understands it."""
    return write_extensions({MID: mid.encode()}) if MID in extensions else b""


def choose(incoming: Incoming, outgoing: Outgoing) -> Fanout:
    """The C core where it was built, else the one in Python; the environment may say otherwise.

    Raises:
        ImportError: the C core is asked for and not there.
    """
    return find_core()(incoming, outgoing)


def find_core() -> type[Fanout]:
    """The core's class. Raises as `choose`."""
    choice = os.environ.get(CHOICE, "")
    if choice != "python":
        try:
            from .fanout_c import CFanout
        except ImportError:
            if choice == "c":
                raise
        else:
            return CFanout
    from .fanout_python import PythonFanout

    return PythonFanout
