"""Those who are heard by the core in C: `pump.c`'s client and `track.c`'s track, as Python holds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from palaver_media.rtcp import Reception
from palaver_media.srtp import Session
from palaver_media.worker_messages import AddProducer

from .fanout import Client
from .fanout_c_legs import Group, address_of, ffi, group_of, lib
from .sockaddr import Sockaddr

if TYPE_CHECKING:
    from .fanout_c import CFanout

NOT_NEGOTIATED: Final = 255


class CTrack:
    """A producer whose packets never see Python. Its struct is C's, and freed with this object."""

    def __init__(self, fanout: CFanout, client: CClient, number: int, command: AddProducer) -> None:
        self.number, self.ssrc = number, command.ssrc
        self.struct: Any = ffi.gc(lib.new_track(), lib.forget)
        self._fanout, self._client = fanout, client
        self._group: Group = group_of([])
        self.struct.ssrc, self.struct.number, self.struct.clock_rate = command.ssrc, number, command.clock_rate
        ffi.memmove(self.struct.payload_types, bytes([NOT_NEGOTIATED] * 128), 128)
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
        found = int(lib.timestamp_of(self.struct, index))
        return None if found < 0 else found

    @property
    def transit(self) -> float:
        """The last packet's arrival less its timestamp."""
        return float(self.struct.transit)

    def fall_silent(self) -> None:
        """Say it when somebody begins to speak again."""
        self.struct.is_speaking = self.struct.run = 0

    def set_paused(self, is_paused: bool) -> None:
        """Whether to hear nobody on it."""
        self.struct.is_paused = is_paused

    def set_group(self, group: Group) -> None:
        """Forward to these legs."""
        self._group = group  # lives as long as the pointer to it
        self.struct.legs, self.struct.count = group[0], group[1]

    def resend(self, index: int, group: Group) -> bool:
        """Send a packet again, if it is still kept; whether it is."""
        with self._fanout.filling():
            return bool(lib.resend(self._fanout.pump, self.struct, index, group[0], group[1]))

    def close(self) -> None:
        """Take no more."""
        self._client.remove(self)


class CClient(Client):
    """Who may be heard on a transport's addresses."""

    def __init__(self, fanout: CFanout) -> None:
        self.struct: Any = ffi.new("struct client *")
        self._fanout = fanout
        self._keys: Session | None = None
        self._tracks: list[CTrack] = []
        self._array: Any = None  # lives as long as the pointer to it
        self._seen: Any = None  # likewise

    def limit(self, packets: int, octets: int) -> None:
        """No more than this of all tracks together."""
        self.struct.per_packet, self.struct.per_byte = 1 / packets, 1 / octets

    def set_keys(self, keys: Session | None) -> None:
        """Unprotect with these keys."""
        self._keys = keys  # lives as long as the pointer is used
        self.struct.keys = ffi.NULL if keys is None else ffi.cast("void *", address_of(keys.pointer))

    def know(self, ufrag: str, password: str, checks: int) -> None:
        """Answer his checks that change nothing."""
        name, key = ufrag.encode(), password.encode()
        credentials = ffi.addressof(self.struct, "credentials")
        lib.set_credentials(credentials, name, len(name), key, len(key))  # what is too long for it is left
        self.struct.per_check = 1 / checks

    def note_check(self, transaction: bytes) -> bool:
        """Note a check that is not C's; whether it was noted, or answered in C."""
        if self._seen is None:  # who never comes costs nothing; and none is answered in C before this
            self.struct.seen = self._seen = ffi.new("uint32_t[]", lib.SEEN)
        return bool(lib.note_check(self.struct, int.from_bytes(transaction[:4], "big")))

    def select(self, address: Sockaddr) -> None:
        """He is sent to there."""
        self.struct.selected = self._fanout.door(address)

    def checked(self, address: Sockaddr) -> float:
        """When a check from there was last answered in C."""
        door = self._fanout.door(address)
        return float(door.checked) if door != ffi.NULL and door.client == self.struct else 0.0

    def track(self, command: AddProducer, begin: Callable[[], None]) -> CTrack:
        """Take this producer's packets."""
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
        self._tracks.sort(key=lambda track: track.ssrc)
        self._array = ffi.new("struct track *[]", [track.struct for track in self._tracks])
        self.struct.tracks, self.struct.count = self._array, len(self._tracks)
