"""What a person at the screen may want: plain values, carried out on the Trio side."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

from palaver_media.engine_messages import Side
from palaver_media.sound_settings import RecordingForm
from palaver_protocol.models import CallId, MessageId, RoomId, UserId

from .knobs import Knob


@frozen
class Connect:
    """Come online under this name; the first wish of all."""

    name: str


@frozen
class Retry:
    """Try to connect now instead of waiting."""


@frozen
class Join:
    """Sit down in a room of the list, leaving the one before."""

    room_id: RoomId
    room_name: str


@frozen
class Open:
    """Sit down in the room of that name, which is made if there is none."""

    room_name: str


@frozen
class Leave:
    """Give up the seat."""


@frozen
class End:
    """End the room for everyone."""


@frozen
class Say:
    """Write to the room, perhaps as an answer to a message."""

    text: str
    reply_to: MessageId | None = None


@frozen
class Edit:
    """Put a message of one's own differently."""

    message_id: MessageId
    text: str


@frozen
class Delete:
    """Take a message of one's own back."""

    message_id: MessageId


@frozen
class React:
    """React to a message with an emoji, or take that back."""

    message_id: MessageId
    emoji: str


@frozen
class ReadOlder:
    """Read the messages before those that are known."""


@frozen
class TransferHost:
    """Hand the host's role to somebody in the room."""

    user_id: UserId


@frozen
class Ring:
    """Call somebody; who sits in a room leaves it when the call is accepted."""

    user_id: UserId


@frozen
class CancelRing:
    """Ring no longer."""


@frozen
class Accept:
    """Say yes to a call or an invitation; who sits in a room leaves it."""

    call_id: CallId


@frozen
class Reject:
    """Say no to a call or an invitation, perhaps with a reason."""

    call_id: CallId
    reason: str = ""


@frozen
class Invite:
    """Ask somebody to come to the room."""

    user_id: UserId


@frozen
class SetMuted:
    """Mute the microphone, or unmute it."""

    is_muted: bool


@frozen
class Choose:
    """Speak into, or listen to, another device: a spec such as `device:NAME`."""

    side: Side
    spec: str


@frozen
class ListDevices:
    """Look which devices there are."""


@frozen
class Turn:
    """Turn a knob by a step, 1 or -1: of switches it is the other way, of several ways the next one.

    A step and no value, so that keys that come faster than the screen is drawn add up.
    """

    knob: Knob
    step: int = 1


@frozen
class TurnPerson:
    """Hear somebody louder (1) or less loud (-1)."""

    user_id: UserId
    step: int


@frozen
class Hush:
    """Hear somebody no more, or again."""

    user_id: UserId
    is_muted: bool


@frozen
class Prefer:
    """Have others quieter while somebody talks, or no longer."""

    user_id: UserId
    is_priority: bool


@frozen
class Deafen:
    """Hear nobody, or hear again."""

    is_deaf: bool


@frozen
class Talk:
    """The key for push-to-talk is down, or up again."""

    is_talking: bool


@frozen
class Audition:
    """See how loud the microphone is, before a call too; or no longer."""

    is_on: bool


@frozen
class TestEcho:
    """Hear ourselves as others would, or no longer."""

    __test__ = False  # no test of pytest's

    is_on: bool


@frozen
class Record:
    """Record the call into such files in that folder, "" for the usual one, from now on always; with None no longer."""

    form: RecordingForm | None
    recordings: str = ""


Request: TypeAlias = (
    End
    | SetMuted
    | ListDevices
    | Edit
    | Delete
    | React
    | ReadOlder
    | TransferHost
    | Ring
    | CancelRing
    | Accept
    | Reject
    | Invite
    | Record
)
Tune: TypeAlias = Turn | TurnPerson | Hush | Prefer | Deafen
Wish: TypeAlias = Connect | Retry | Join | Open | Leave | Say | Choose | Talk | TestEcho | Audition | Tune | Request
