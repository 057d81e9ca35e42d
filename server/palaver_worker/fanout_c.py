"""The core in C: `fanout.c` and `pump.c`, given libsrtp's own functions, so that they need no headers of it."""

from __future__ import annotations

import errno
import itertools
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from palaver_media.rtcp import Reception
from palaver_media.srtp import FFI, LIBRARY, Session
from palaver_media.worker_messages import AddProducer

from . import _fanout  # type: ignore[attr-defined]  # built, where there is a compiler
from .datagrams import Incoming, Outgoing
from .fanout import Client, Fanout, mid_element
from .packet import Packet
from .sockaddr import Sockaddr
from .speakers import LOUD, ONSET, SMOOTHING

_ffi: Final[Any] = _fanout.ffi
_lib: Final[Any] = _fanout.lib
MOST_TRACKS: Final = 256  # of one client; further ones go through Python


def _address(pointer: Any) -> int:
    """Of a pointer of libsrtp's, as a number."""
    return int(FFI.cast("uintptr_t", pointer))


def _function(name: str) -> Any:
    """One of libsrtp's, as C takes it."""
    return _ffi.cast("int (*)(void *, void *, int *)", _address(FFI.addressof(LIBRARY, name)))


NOT_NEGOTIATED: Final = 255


class CPath:
    """Where a listener's packets go."""

    __slots__ = ("keys", "struct")

    def __init__(self) -> None:
        self.struct: Any = _ffi.new("struct path *")
        self.keys: Session | None = None

    def set_keys(self, keys: Session | None) -> None:
        """Protect with these keys."""
        self.keys = keys  # lives as long as the pointer is used
        self.struct.keys = _ffi.NULL if keys is None else _ffi.cast("void *", _address(keys.pointer))

    def set_destination(self, destination: Sockaddr) -> None:
        """Send there."""
        _ffi.memmove(self.struct.destination, destination, len(destination))
        self.struct.destination_size = len(destination)


class CLeg:
    """One listener's numbering and counters."""

    __slots__ = ("path", "struct")

    def __init__(self, path: CPath, ssrc: int, mid: bytes, wanted: int) -> None:
        self.path = path  # lives as long as the pointer to it
        self.struct: Any = _ffi.new("struct leg *")
        self.struct.path, self.struct.ssrc, self.struct.wanted = path.struct, ssrc, wanted
        _ffi.memmove(self.struct.mid, mid, len(mid))
        self.struct.mid_size = len(mid)
        self.struct.first = self.struct.highest = -1

    @property
    def offset(self) -> int:
        """By which the listener's numbers differ from the producer's."""
        return int(self.struct.offset)

    @property
    def first(self) -> int:
        """The index with which forwarding began."""
        return int(self.struct.first)

    @property
    def highest(self) -> int:
        """The highest number used."""
        return int(self.struct.highest)

    @property
    def packets(self) -> int:
        """How many were sent."""
        return int(self.struct.packets)

    @property
    def octets(self) -> int:
        """Bytes of payload in them."""
        return int(self.struct.octets)

    def pause(self) -> None:
        """Begin anew with the next packet."""
        self.struct.first = -1

    def shift_by(self, shift: int) -> None:
        """Begin anew, with later timestamps."""
        self.struct.first, self.struct.shift, self.struct.is_marked = -1, shift, 1


class CTrack:
    """A producer whose packets never see Python. Its struct is C's, and freed with this object."""

    def __init__(self, fanout: CFanout, client: CClient, number: int, command: AddProducer) -> None:
        self.number = number
        self.struct: Any = _ffi.gc(_lib.new_track(), _lib.forget)
        self._fanout, self._client = fanout, client
        self._group: tuple[Any, int, Sequence[CLeg]] = fanout.group([])
        self.struct.ssrc, self.struct.number, self.struct.clock_rate = command.ssrc, number, command.clock_rate
        _ffi.memmove(self.struct.payload_types, bytes([NOT_NEGOTIATED] * 128), 128)
        for theirs, ours in command.payload_types.items():
            self.struct.payload_types[theirs] = ours
        for theirs, ours in command.extensions.items():
            self.struct.extensions[theirs] = ours

    def fill(self, reception: Reception) -> None:
        """Tell what was counted."""
        found = self.struct
        reception.set_counts(found.first, found.highest, found.received, found.jitter)

    @property
    def octets(self) -> int:
        """Bytes of payload received."""
        return int(self.struct.octets)

    @property
    def level(self) -> int | None:
        """The loudness (dBov) that the last packet told, if it did."""
        return int(self.struct.level) if self.struct.level <= 0 else None

    @property
    def loudness(self) -> tuple[float, float]:
        """The smoothed level (dBov), and when it was last loud (s)."""
        return self.struct.loudness, self.struct.heard

    def timestamp_of(self, index: int) -> int | None:
        """A packet's, if it is still kept."""
        found = int(_lib.timestamp_of(self.struct, index))
        return None if found < 0 else found

    def fall_silent(self) -> None:
        """Say it when somebody begins to speak again."""
        self.struct.is_speaking = self.struct.run = 0

    def set_group(self, group: tuple[Any, int, Sequence[CLeg]]) -> None:
        """Forward to these legs."""
        self._group = group  # lives as long as the pointer to it
        self.struct.legs, self.struct.count = group[0], group[1]

    def resend(self, index: int, group: tuple[Any, int, Sequence[CLeg]]) -> bool:
        """Send a packet again, if it is still kept; whether it is."""
        with self._fanout.filling():
            return bool(_lib.resend(self._fanout.pump, self.struct, index, group[0], group[1]))

    def close(self) -> None:
        """Take no more."""
        self._client.remove(self)


class CClient(Client):
    """Who may be heard on a transport's addresses."""

    def __init__(self, fanout: CFanout) -> None:
        self.struct: Any = _ffi.new("struct client *")
        self._fanout = fanout
        self._keys: Session | None = None
        self._tracks: list[CTrack] = []
        self._array: Any = None  # lives as long as the pointer to it

    def set_keys(self, keys: Session | None) -> None:
        """Unprotect with these keys."""
        self._keys = keys  # lives as long as the pointer is used
        self.struct.keys = _ffi.NULL if keys is None else _ffi.cast("void *", _address(keys.pointer))

    def track(self, command: AddProducer, begin: Callable[[], None]) -> CTrack | None:
        """Take this producer's packets, if there is room for one more."""
        if len(self._tracks) == MOST_TRACKS:
            return None
        track = CTrack(self._fanout, self, self._fanout.remember(begin), command)
        self._tracks.append(track)
        self._list()
        return track

    def remove(self, track: CTrack) -> None:
        """Take no more of it."""
        self._fanout.forget(track.number)
        self._tracks.remove(track)
        self._list()

    def _list(self) -> None:
        self._array = _ffi.new("struct track *[]", [track.struct for track in self._tracks])
        self.struct.tracks, self.struct.count = self._array, len(self._tracks)


class CFanout(Fanout):
    """Forwarding in C: of voices all the way, of other packets by one call for each."""

    name = "c"

    def __init__(self, incoming: Incoming, outgoing: Outgoing) -> None:
        super().__init__(incoming, outgoing)
        self._block: Any = _ffi.new("struct block *")
        self._block.headers = _ffi.cast("struct mmsghdr *", outgoing.headers_address)
        self._block.slots = outgoing.count
        self._block.protect = _function("srtp_protect")
        self.pump: Any = _ffi.new("struct pump *")
        self.pump.udp, self.pump.others, self.pump.name_size = incoming.fileno, -1, incoming.name_size
        self.pump.seed = secrets.randbits(32)
        self.pump.incoming = _ffi.cast("struct mmsghdr *", incoming.headers_address)
        self.pump.outgoing, self.pump.unprotect = self._block, _function("srtp_unprotect")
        self.pump.loud, self.pump.onset, self.pump.smoothing = LOUD, ONSET, SMOOTHING
        self._begins: dict[int, Callable[[], None]] = {}  # by the number of a track
        self._numbers = itertools.count()
        self._doors: dict[Sockaddr, tuple[Any, CClient]] = {}

    def client(self) -> CClient:
        """A new client, who is not heard yet."""
        return CClient(self)

    def admit(self, address: Sockaddr, client: Client) -> None:
        """Hear this client, and no other, at an address."""
        assert isinstance(client, CClient)
        self.dismiss(address)
        door = _ffi.new("struct door *")
        _ffi.memmove(door.name, address, len(address))
        door.client = client.struct
        self._doors[address] = door, client  # which live as long as the pointers
        _lib.admit(self.pump, door)

    def dismiss(self, address: Sockaddr) -> None:
        """Hear nobody there."""
        if (found := self._doors.pop(address, None)) is not None:
            _lib.dismiss(self.pump, found[0])

    def remember(self, begin: Callable[[], None]) -> int:
        """The number of a track, by which C tells that somebody began to speak."""
        number = next(self._numbers)
        self._begins[number] = begin
        return number

    def forget(self, number: int) -> None:
        """This track is gone."""
        del self._begins[number]

    def receive(self, dropped: Counter[str]) -> None:
        """Take what has arrived."""
        failure = -_lib.receive(self.pump)
        if failure > 0 and failure not in (errno.EAGAIN, errno.EINTR):
            dropped[f"receive: {os.strerror(failure)}"] += 1

    def process(self, now: float, dropped: Counter[str]) -> list[int]:
        """Act on what was received; the slots of what is not a voice's."""
        with self.filling():
            _lib.process(self.pump, now)
        return self.finish(dropped)

    def finish(self, dropped: Counter[str]) -> list[int]:
        """After C has acted: count, and tell who begins to speak; the slots that are left."""
        pump = self.pump
        slots = list(pump.leftovers[0 : pump.left])
        self.incoming.set_sizes(slots)
        begun, pump.begun, pump.left = list(pump.onsets[0 : pump.begun]), 0, 0
        for number in begun:
            if (begin := self._begins.get(number)) is not None:
                begin()
        for reason, count in (("ValueError", pump.broken), ("SrtpError", pump.forged)):
            if count:
                dropped[reason] += count
        if pump.refused:
            dropped[f"send: {os.strerror(pump.refusal)}"] += pump.refused
        pump.broken = pump.forged = pump.refused = 0
        self._count_failures()
        return slots

    def wait(self, others: int, timeout: float | None) -> tuple[bool, bool]:
        """Forward voices until something else is to be done."""
        self.outgoing.flush()
        self._block.used = 0
        pump = self.pump
        pump.others = others
        deadline = -1.0 if timeout is None else time.monotonic() + max(0.0, timeout)
        are_others = bool(_lib.wait_and_forward(pump, deadline))
        return bool(pump.received or pump.left or pump.begun), are_others

    @contextmanager
    def filling(self) -> Iterator[None]:
        """While C fills the outgoing block."""
        self._block.used = self.outgoing.used
        yield
        self.outgoing.used = self._block.used
        self._count_failures()

    def _count_failures(self) -> None:
        self.failures += self._block.failures
        self._block.failures = 0

    def path(self) -> CPath:
        """A new listener's path."""
        return CPath()

    def leg(self, path: CPath, ssrc: int, mid: str, extensions: Iterable[int]) -> CLeg:
        """A new leg."""
        wanted = frozenset(extensions)
        return CLeg(path, ssrc, mid_element(mid, wanted), sum(1 << each for each in wanted))

    def group(self, legs: Sequence[CLeg]) -> tuple[Any, int, Sequence[CLeg]]:
        """An array of pointers, and what it points to."""
        return _ffi.new("struct leg *[]", [leg.struct for leg in legs]), len(legs), legs

    def forward(self, packet: Packet, group: tuple[Any, int, Sequence[CLeg]]) -> None:
        """Send a packet on all these legs."""
        legs, count, _ = group
        outgoing, block, at = self.outgoing, self._block, 0
        elements, csrcs, body = packet.elements, packet.csrcs, packet.body
        while at < count:
            block.used = outgoing.used
            at = _lib.forward(
                block, legs, at, count, packet.first, packet.second, packet.index, packet.timestamp,
                elements, len(elements), csrcs, len(csrcs), body, len(body), packet.padding,
            )  # fmt: skip
            outgoing.used = block.used
            if outgoing.used == outgoing.count:
                outgoing.flush()
        if block.failures:
            self._count_failures()
