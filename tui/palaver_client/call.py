"""One call: a seat in a room, and the sound that goes with it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from attrs import frozen

from palaver_media.engine_messages import Devices
from palaver_protocol.models import EndReason, RoomView, UserId


@frozen
class Heard:
    """A block of somebody's sound: 48 kHz mono, signed 16-bit little-endian samples."""

    user_id: UserId
    samples: bytes


class Call:
    """A call we are in. Made by `Client.call`."""

    @property
    def room(self) -> RoomView:
        """The room, as it last was."""
        raise NotImplementedError

    async def set_muted(self, is_muted: bool) -> None:
        """Mute or unmute our microphone, and tell the others."""
        raise NotImplementedError

    def set_source(self, spec: str) -> None:
        """Speak from another source."""
        raise NotImplementedError

    def set_sink(self, spec: str) -> None:
        """Be heard elsewhere."""
        raise NotImplementedError

    async def devices(self) -> Devices:
        """Ask what there is to hear with and to speak into."""
        raise NotImplementedError

    async def wait_ended(self) -> EndReason:
        """Wait until the room is over, or we are out of it."""
        raise NotImplementedError

    def hear(self) -> AsyncIterator[Heard]:
        """What the others say, where the sink is `pcm`."""
        raise NotImplementedError

    async def speak(self, samples: bytes) -> None:
        """Say something, where the source is `pcm`: 48 kHz mono s16le. Waits while much is still to be said."""
        raise NotImplementedError
