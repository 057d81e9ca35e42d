"""One packet to many listeners: the inner loop of forwarding, which has a core in Python and one in C.

A producer gives each packet, in the clear and with the router's numbers, to `Fanout.forward` with the legs it goes to.
For each leg the core writes the listener's SSRC, number, mid and extensions, protects it with the listener's keys, and
leaves it in the outgoing block. A packet that could not be protected is never in it.
"""

from __future__ import annotations

import abc
import os
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

from palaver_media.rtp import MID, write_extensions
from palaver_media.srtp import Session

from .datagrams import Outgoing
from .packet import Packet
from .sockaddr import Sockaddr

CHOICE: Final = "PALAVER_FANOUT"  # the environment's word on which core to use: `c` or `python`


class Path(Protocol):
    """Where a listener's packets go, and under which keys; all legs to one listener share it."""

    def set_keys(self, keys: Session | None) -> None:
        """Protect with these keys; with None nothing is sent."""

    def set_destination(self, destination: Sockaddr) -> None:
        """Send there from now on."""


class Leg(Protocol):
    """One listener's numbering and counters of one producer.

    Packets are numbered `index - offset`. The offset changes only when forwarding begins again, and then numbering goes
    on after the highest number ever used; so a number, and with it an SRTP packet index, never stands for two
    different packets.
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


class Fanout(abc.ABC):
    """A core. `failures` counts packets that could not be protected."""

    name: str

    def __init__(self, outgoing: Outgoing) -> None:
        self.outgoing = outgoing
        self.failures = 0

    @abc.abstractmethod
    def path(self) -> Path:
        """A new listener's path."""

    @abc.abstractmethod
    def leg(self, path: Any, ssrc: int, mid: str, extensions: Iterable[int]) -> Leg:
        """A new leg: the listener's SSRC and mid, and the router's extension ids that it understands."""

    @abc.abstractmethod
    def group(self, legs: Sequence[Any]) -> Any:
        """Legs, in the form in which `forward` takes them."""

    @abc.abstractmethod
    def forward(self, packet: Packet, group: Any) -> None:
        """Send a packet on all these legs; one from before a leg's beginning is left out there."""


def mid_element(mid: str, extensions: Iterable[int]) -> bytes:
    """The mid as an extension element, for a listener who understands it."""
    return write_extensions({MID: mid.encode()}) if MID in extensions else b""


def choose(outgoing: Outgoing) -> Fanout:
    """The C core where it was built, else the one in Python; the environment may say otherwise.

    Raises:
        ImportError: the C core is asked for and not there.
    """
    return find_core()(outgoing)


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
