"""A restart: what was kept comes back, everybody in it is away, and is waited for as after a broken connection."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TypeVar

import trio
from attrs import define, field

from palaver_protocol.models import CallId, EndReason, Reason, RoomId, RoomType, UserId
from palaver_protocol.table import Code

from .call import Call
from .exchange import Exchange
from .keeper import KeptCall, KeptMessage, KeptRoom, KeptSeat, KeptSession, read
from .room_state import PLACING, RoomState
from .seat import Seat
from .session import Session

T = TypeVar("T")

log = logging.getLogger(__name__)


@define
class Restoring:
    """Gives an exchange back what was kept; what is of no use any more is deleted."""

    exchange: Exchange
    kept: Mapping[str, bytes]
    sessions: dict[str, Session] = field(factory=dict[str, Session])  # by socket id

    def restore(self) -> None:
        """People first, then the rooms in which they sit, then what rings."""
        for _, kept in self.read_all("session:", KeptSession):
            self.restore_session(kept)
        messages = self.messages_by_room()
        for key, room in self.read_all("room:", KeptRoom):
            self.restore_room(key, room, messages.pop(room.room_id, []))
        for left in messages.values():
            for key, _ in left:
                self.drop(key)
        for prefix in ("call:", "invitation:"):
            for key, call in self.read_all(prefix, KeptCall):
                self.restore_call(key, call)
        for session in self.sessions.values():
            self.exchange.hold(session)
        if self.sessions:
            rooms, calls = len(self.exchange.rooms.open), len(list(self.exchange.calls.book.ringing()))
            log.info("waiting for %d people to come back to %d rooms and %d calls", len(self.sessions), rooms, calls)

    def read_all(self, prefix: str, kind: type[T]) -> Iterator[tuple[str, T]]:
        """Every readable value under keys of this kind."""
        for key, value in self.kept.items():
            if key.startswith(prefix):
                try:
                    yield key, read(value, kind)
                except Exception:
                    log.exception("%s cannot be read, and is left out", key)
                    self.drop(key)

    def drop(self, key: str) -> None:
        """Delete what is of no use any more."""
        self.exchange.keeper.mark(key, lambda: None)

    def restore_session(self, kept: KeptSession) -> None:
        """Somebody who was connected is away now."""
        session = Session(
            0,
            kept.user_id,
            kept.name,
            kept.socket_id,
            kept.address,
            kept.connected_at,
            None,
            kept.token,
            kept.takes_waiting,
        )
        self.sessions[kept.socket_id] = self.exchange.people.restore(session)

    def messages_by_room(self) -> dict[RoomId, list[tuple[str, KeptMessage]]]:
        """All messages, with their keys."""
        found: dict[RoomId, list[tuple[str, KeptMessage]]] = {}
        for key, message in self.read_all("chat:", KeptMessage):
            found.setdefault(RoomId(key.split(":")[1]), []).append((key, message))
        return found

    def restore_room(self, key: str, kept: KeptRoom, messages: list[tuple[str, KeptMessage]]) -> None:
        """A room, if somebody of it can come back."""
        seats = {seat.user_id: self.restore_seat(seat) for seat in kept.seats if seat.socket_id in self.sessions}
        if not seats:
            for dropped in (key, *(one for one, _ in messages)):
                self.drop(dropped)
            return
        state = RoomState(
            kept.room_id,
            kept.name,
            kept.host,
            kept.host_name,
            kept.created_at,
            self.exchange.policy,
            kind=kept.kind,
            admits=kept.admits,
            is_pending=kept.is_pending,
            invited={UserId(user_id): name for user_id, name in kept.invited.items()},
            seats=seats,
        )
        state.chat.history.restore([(message.place, message.said) for _, message in messages])
        if kept.is_hostless:
            state.host.is_vacant = True
        else:
            self.wait_for_host(state, kept.host_lost_at)
        if kept.kind is RoomType.DIRECT:
            state.placing_ends = trio.current_time() + PLACING
        room = self.exchange.rooms.start(state)
        self.exchange.rooms.where.update(dict.fromkeys(seats, room))

    def restore_seat(self, kept: KeptSeat) -> Seat:
        """A seat that is held; the address is where its user reached us before."""
        session = self.sessions[kept.socket_id]
        return Seat(
            kept.user_id,
            kept.name,
            session.number,
            kept.socket_id,
            session.address,
            kept.joined_at,
            kept.is_muted,
            kept.is_video_enabled,
            kept.media_state_updated_at,
            is_away=True,
            is_recording=kept.is_recording,
        )

    def wait_for_host(self, state: RoomState, lost_at: int | None) -> None:
        """The host's role waits, too; if he was away already, as much less."""
        wall = self.exchange.wall()
        lost_at = wall if lost_at is None else lost_at
        left = state.policy.host_grace - (wall - lost_at) / 1000
        state.host.lost_at, state.host.waits_until = lost_at, trio.current_time() + max(0.0, left)

    def withdraw(self, kept: KeptCall) -> None:
        """An invitation that rings no longer is none for the room either."""
        if (room := self.exchange.rooms.find(kept.room_id)) is not None:
            room.happen(partial(room.state.decline, kept.callee, Reason(Code.OFFLINE.value), EndReason.REJECTED))

    def restore_call(self, key: str, kept: KeptCall) -> None:
        """A call that rings on until its deadline, if both can come back."""
        caller = self.sessions.get(kept.caller_socket)
        is_open = kept.room_id is None or self.exchange.rooms.find(kept.room_id) is not None
        if caller is None or not is_open or not self.exchange.people.of(kept.callee):
            self.drop(key)
            self.withdraw(kept)
            return
        left = (kept.rings_until - self.exchange.wall()) / 1000
        self.exchange.calls.start(
            Call(
                CallId(kept.call_id),
                caller,
                kept.callee,
                kept.callee_name,
                trio.current_time() + max(0.0, left),
                kept.leave_current,
                kept.room_id,
                kept.room_type,
            )
        )
