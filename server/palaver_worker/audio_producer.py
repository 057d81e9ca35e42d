"""A voice that arrives: the core takes its packets all the way, and tells what it has counted and heard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from palaver_media.rtcp import Reception
from palaver_media.worker_messages import AddProducer

from .producer import Producer
from .speakers import Voice

if TYPE_CHECKING:
    from .consumer import Consumer
    from .packet import Packet
    from .sfu import Sfu
    from .stage import Slot
    from .transport import Transport


class AudioProducer(Producer):
    """A microphone, or another sound; `slot` is the speaker's place that it has, if any."""

    def __init__(self, sfu: Sfu, transport: Transport, command: AddProducer) -> None:
        super().__init__(sfu, transport, command)
        self.voice = Voice(sfu, self)
        self.slot: Slot | None = None
        self.carried = -1  # the highest index that no slot is to bring along
        self.track = transport.client.track(command, self.voice.begin)
        self._reception = Reception(command.ssrc, command.clock_rate)

    @property
    def reception(self) -> Reception:
        """What was counted, up to now."""
        self.track.fill(self._reception)
        return self._reception

    @property
    def octets(self) -> int:
        """Bytes of payload received."""
        return self.track.octets

    @property
    def level(self) -> int | None:
        """The loudness (dBov) of the last packet that tells it."""
        return self.track.level

    @property
    def transit(self) -> int:
        """What to add to a timestamp of the sender's for the time of its arrival, in units of the former."""
        return int(self.track.transit)

    def timestamp_of(self, index: int) -> int | None:
        """A packet's, if it is still kept."""
        return self.track.timestamp_of(index)

    def recent(self, count: int) -> list[int]:
        """The indices of the last packets, at most `count`, that are kept and were on no slot."""
        highest = self.reception.highest
        lately = range(max(highest - count, self.carried) + 1, highest + 1)
        return [index for index in lately if self.timestamp_of(index) is not None]

    def resend(self, index: int, group: Any) -> bool:
        """Send a packet again on these legs, if it is still kept; whether it is."""
        return self.track.resend(index, group)

    def find(self, index: int) -> Packet | None:
        """Voices have no retransmissions of their own format."""
        return None

    def request_keyframe(self) -> None:
        """There is no picture."""

    @property
    def audience(self) -> list[Consumer]:
        """Whoever may hear it, by name or on its slot."""
        return self.consumers if self.slot is None else [*self.consumers, *self.slot.consumers]

    def listeners(self) -> list[Consumer]:
        """Whom it goes to: by name, and on a slot."""
        return super().listeners() + ([] if self.slot is None else self.slot.listeners(self))

    def set_group(self, group: Any) -> None:
        """Forward to these legs from now on."""
        self.track.set_group(group)

    def pause(self) -> None:
        """Forward nothing for now, and be nobody who speaks."""
        self.track.set_paused(True)
        self._fall_silent()
        super().pause()

    def resume(self) -> None:
        """Forward from the next packet on; what came meanwhile is for nobody."""
        if self.is_paused:
            self.carried = self.reception.highest
            self.track.set_paused(False)
        super().resume()

    def close(self) -> None:
        """Be silent."""
        self._fall_silent()
        self.track.close()

    def _fall_silent(self) -> None:
        if self.slot is not None:
            self.slot.vacate()
        self.voice.end()
