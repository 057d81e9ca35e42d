"""What a restart must not lose, as the store keeps it: sessions, rooms, messages and calls; and how they come back.

Each is one key, whose value is made when the store takes it. Times that the process measures on its own clock are
kept as wall time, which goes on while no server runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import orjson
import trio
from attrs import define, frozen

from palaver_protocol.converter import FAST
from palaver_protocol.models import CallId, ChatMessage, MessageId, Name, RoomId, RoomType, UserId

from .call import Call
from .room_state import RoomState
from .seat import Seat
from .session import Session

T = TypeVar("T")

Mark: TypeAlias = Callable[[str, Callable[[], bytes | None]], None]


@frozen
class KeptSession:
    """A connection, by whose secret its user comes back."""

    user_id: UserId
    name: Name
    socket_id: str
    address: str
    connected_at: int
    token: str
    takes_waiting: bool


@frozen
class KeptSeat:
    """A participant; his media is made anew."""

    user_id: UserId
    name: Name
    socket_id: str  # of his session
    joined_at: int
    is_muted: bool
    is_video_enabled: bool
    media_state_updated_at: int
    is_recording: bool


@frozen
class KeptRoom:
    """A room without its messages."""

    room_id: RoomId
    name: Name
    host: UserId
    host_name: Name
    created_at: int
    kind: RoomType
    admits: tuple[UserId, ...]
    is_pending: bool
    is_hostless: bool
    seats: tuple[KeptSeat, ...]
    invited: dict[str, Name]
    host_lost_at: int | None = None


@frozen
class KeptMessage:
    """A message, and its place in the order of saying."""

    place: int
    said: ChatMessage


@frozen
class KeptCall:
    """A call or an invitation that rings."""

    call_id: CallId
    caller_socket: str
    callee: UserId
    callee_name: Name
    rings_until: int  # ms since the epoch
    leave_current: bool
    room_id: RoomId | None = None
    room_type: RoomType | None = None


@define
class Keeper:
    """Marks for the store what has changed. `mark` never blocks; `wall` is in ms since the epoch."""

    mark: Mark
    wall: Callable[[], int]

    def session(self, session: Session, is_over: Callable[[], bool]) -> None:
        """A connection came or went."""
        self.mark(f"session:{session.socket_id}", lambda: None if is_over() else write(keep_session(session)))

    def room(self, state: RoomState) -> None:
        """A room has changed or ended."""
        self.mark(f"room:{state.room_id}", lambda: None if state.is_ended else write(keep_room(state)))

    def message(self, state: RoomState, message_id: MessageId) -> None:
        """A message was said, changed, or let go."""

        def take() -> bytes | None:
            kept = state.chat.history.kept(message_id)
            return None if kept is None else write(KeptMessage(*kept))

        self.mark(f"chat:{state.room_id}:{message_id}", take)

    def call(self, call: Call) -> None:
        """A call began or ended to ring."""
        key = f"call:{call.call_id}" if call.room_id is None else f"invitation:{call.room_id}:{call.callee}"
        self.mark(key, lambda: None if call.outcome else write(self.keep_call(call)))

    def keep_call(self, call: Call) -> KeptCall:
        """A call, as it is kept."""
        return KeptCall(
            call.call_id,
            call.caller.socket_id,
            call.callee,
            call.callee_name,
            self.wall() + call.rings_for(trio.current_time()),
            call.leave_current,
            call.room_id,
            call.room_type,
        )


def keep_session(session: Session) -> KeptSession:
    """A connection, as it is kept."""
    return KeptSession(
        session.user_id,
        session.name,
        session.socket_id,
        session.address,
        session.connected_at,
        session.token,
        session.takes_waiting,
    )


def keep_room(state: RoomState) -> KeptRoom:
    """A room, as it is kept."""
    return KeptRoom(
        state.room_id,
        state.name,
        state.host.user_id,
        state.host.name,
        state.created_at,
        state.kind,
        state.admits,
        state.is_pending,
        state.host.is_vacant,
        tuple(keep_seat(seat) for seat in state.seats.values()),
        {str(user_id): name for user_id, name in state.invited.items()},
        state.host.lost_at,
    )


def keep_seat(seat: Seat) -> KeptSeat:
    """A participant, as he is kept."""
    return KeptSeat(
        seat.user_id,
        seat.name,
        seat.socket_id,
        seat.joined_at,
        seat.is_muted,
        seat.is_video_enabled,
        seat.media_state_updated_at,
        seat.is_recording,
    )


def write(kept: object) -> bytes:
    """The value of a key."""
    return orjson.dumps(FAST.unstructure(kept))


def read(value: bytes, kind: type[T]) -> T:
    """What a value holds. Raises an exception of any kind when it is not of this kind."""
    return FAST.structure(orjson.loads(value), kind)
