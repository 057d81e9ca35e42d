"""What a client knows, as one immutable value. How it changes: `reduce` and `after`."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from attrs import evolve, field, frozen

from palaver_media.engine_messages import ConsumerStats, Devices, SendingStats
from palaver_media.sound_settings import RecordingForm
from palaver_protocol.models import (
    CallId,
    Name,
    Participant,
    ProducerId,
    RoomId,
    RoomSummary,
    RoomType,
    RoomView,
    Speaker,
    User,
    UserId,
)
from palaver_protocol.notices import ServerNotice

from .sound_choices import SoundSettings

SILENCE: Final = -100.0  # dBFS


class ConnectionState(enum.Enum):
    """Whether the server hears us."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    CLOSED = "closed"


class MediaState(enum.Enum):
    """Whether sound can pass between us and the server."""

    NONE = "none"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    FAILED = "failed"


@frozen
class SideState:
    """The microphone side or the loudspeaker side of a call.

    `spec` is what was asked for, `name` what works (empty while nothing does), `problem` and `remedy` why not.
    """

    spec: str = ""
    name: str = ""
    problem: str = ""
    remedy: str = ""


@frozen
class Sound:
    """The sound of the current call. Levels are in dBFS; `speaking` may hold our own id."""

    source: SideState = SideState()
    sink: SideState = SideState()
    input_dbfs: float = SILENCE
    levels: Mapping[UserId, float] = field(factory=dict[UserId, float])
    speaking: frozenset[UserId] = frozenset()


@frozen
class CallStats:
    """How a call's sound travels; `rtt_ms` is None until it was measured, `users` are those who are heard.

    In a big room these are its speakers (`palaver_protocol.models.is_speaker`), and those who are heard by name.
    `input_ms` and `output_ms` are what our microphone's and loudspeaker's devices add; `sending` says how we are
    encoded, and is None while we send nothing.
    """

    rtt_ms: float | None
    out_kbps: float
    users: Mapping[UserId, ConsumerStats]
    sending: SendingStats | None = None
    input_ms: float = 0.0
    output_ms: float = 0.0


@frozen
class Doing:
    """What a call's sound does besides: it lasts as long as the call, also from room to room.

    `is_sending`: our microphone is sent now. `is_talking`: the push-to-talk key is down. `wanted` is the form in which
    the call is to be recorded, if at all; `recording` the folder where that happens, empty while it does not.
    """

    is_open: bool = False
    is_sending: bool = False
    is_talking: bool = False
    is_echo_test: bool = False
    wanted: RecordingForm | None = None
    recording: str = ""


@frozen
class IncomingRing:
    """Somebody rings here: a call, or an invitation to a room, whose id is then the ring's too.

    `ends_at` is on Trio's clock, in s; None where the server does not say.
    """

    call_id: CallId
    from_id: UserId
    from_name: Name
    ends_at: float | None
    room_id: RoomId | None = None
    room_type: RoomType | None = None


@frozen
class OutgoingRing:
    """We ring at somebody; `ends_at` is on Trio's clock, in s, and None until the server has said how long it rings."""

    call_id: CallId
    to_id: UserId
    to_name: Name
    ends_at: float | None = None


@frozen
class ClientState:
    """All that a client knows, as one immutable value.

    `me` is our own user id, `retry_at` the time on Trio's clock of the next attempt to connect, `lost_at` that since
    which there is no connection, `polling_because`
    why we make do with HTTP requests instead of a WebSocket, if we do. `speakers` are those who speak as the server
    hears it, the loudest first; `sound.speaking` are those whom we hear speak. `named` are the tracks of people who are
    not heard as usual: in a big room we ask for these by name.
    """

    me: UserId
    name: Name
    connection: ConnectionState = ConnectionState.CONNECTING
    retry_at: float | None = None
    lost_at: float | None = None
    polling_because: str = ""
    users: tuple[User, ...] = ()
    rooms: tuple[RoomSummary, ...] = ()
    room: RoomView | None = None
    incoming: tuple[IncomingRing, ...] = ()
    outgoing: OutgoingRing | None = None
    speakers: tuple[Speaker, ...] = ()
    named: Mapping[ProducerId, UserId] = field(factory=dict[ProducerId, UserId])
    is_muted: bool = False
    sound: Sound = Sound()
    choices: SoundSettings = field(factory=SoundSettings)
    doing: Doing = Doing()
    media: MediaState = MediaState.NONE
    stats: CallStats | None = None
    devices: Devices | None = None
    notices: tuple[ServerNotice, ...] = ()

    @property
    def is_polling(self) -> bool:
        """Whether we make do with HTTP requests."""
        return bool(self.polling_because)

    @property
    def is_talking_possible(self) -> bool:
        """Whether there is a call whose sound can do something."""
        return self.doing.is_open

    def participant(self, user_id: UserId) -> Participant | None:
        """Somebody in our room."""
        people = () if self.room is None else self.room.participants
        return next((person for person in people if person.user_id == user_id), None)

    @property
    def recorders(self) -> tuple[UserId, ...]:
        """Who records our room, in the order of its participants; it may be ourselves."""
        people = () if self.room is None else self.room.participants
        return tuple(person.user_id for person in people if person.is_recording)

    def ring(self, call_id: CallId) -> IncomingRing | None:
        """A call or invitation that rings here."""
        return next((ring for ring in self.incoming if ring.call_id == call_id), None)


def out_of_room(state: ClientState) -> ClientState:
    """The state of one who sits nowhere; the chosen source and sink stay."""
    sound = Sound(SideState(state.sound.source.spec), SideState(state.sound.sink.spec))
    return evolve(state, room=None, media=MediaState.NONE, sound=sound, stats=None, speakers=(), named={})
