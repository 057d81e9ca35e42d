"""Calls and invitations before they are accepted: what rings here, and what we let ring elsewhere."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Final

import trio
from attrs import evolve

from palaver_protocol.models import CallId, Name, Reason, RoomType, RoomView, UserId
from palaver_protocol.requests import (
    AcceptCall,
    AcceptCallNew,
    CallUser,
    CancelCall,
    CreateRoom,
    RejectCall,
    RejectCallNew,
    RingingAck,
)
from palaver_protocol.table import Code, Refusal, refusal

from . import words
from .errors import Disconnected
from .events import Calling, Invited, RingOver
from .session import Session
from .state import IncomingRing, OutgoingRing

SETTLED: Final = (Code.NOT_FOUND.value, Code.ENDED.value)


async def ring(session: Session, user_id: UserId, *, leave_current: bool) -> OutgoingRing:
    """Ring at somebody, and come back when it rings there."""
    if (current := session.state.outgoing) is not None:
        raise refusal(Code.DUPLICATE, f"you are calling {current.to_name} already")
    calling = OutgoingRing(CallId(str(uuid.uuid4())), user_id, Name(words.name_of(user_id, session.state)))
    session.happen(Calling(calling))  # at once: the answer to the call may come before the one to the request

    def rings(ack: RingingAck) -> None:
        if ack.rings_for > 0 and session.state.outgoing == calling:
            session.happen(Calling(evolve(calling, ends_at=trio.current_time() + ack.rings_for / 1000)))

    try:
        await session.ask(CallUser(calling.call_id, user_id, leave_current), rings)
    except (Refusal, Disconnected):
        session.happen(RingOver(calling.call_id))
        raise
    return session.state.outgoing if session.state.outgoing is not None else calling


async def cancel(session: Session) -> None:
    """Ring no longer. A call that is settled at that moment is not undone by it."""
    calling = session.state.outgoing
    if calling is None:
        return
    try:
        await session.ask(CancelCall(calling.call_id), lambda _: session.happen(RingOver(calling.call_id)))
    except Refusal as no:
        if no.code not in SETTLED:
            raise


async def accept(session: Session, call_id: CallId, *, leave_current: bool) -> RoomView:
    """Say yes, and take the seat."""
    ringing = _ringing(session, call_id)
    try:
        if ringing.room_id is None:
            return await session.sit(AcceptCallNew(call_id, leave_current), settles=call_id)
        return await session.sit(AcceptCall(ringing.room_id, leave_current), settles=call_id)
    except Refusal as no:
        _forget_if_settled(session, ringing, no)
        raise


async def reject(session: Session, call_id: CallId, reason: str | None) -> None:
    """Say no, perhaps with a reason."""
    ringing = _ringing(session, call_id)
    remark = None if reason is None else Reason(reason)
    asked = RejectCallNew(call_id, remark) if ringing.room_id is None else RejectCall(ringing.room_id, remark)
    try:
        await session.ask(asked, lambda _: session.happen(RingOver(call_id)))
    except Refusal as no:
        _forget_if_settled(session, ringing, no)
        raise


async def invite(session: Session, user_ids: Iterable[UserId]) -> RoomView:
    """Ring at people until they come to our room."""
    room, invited = session.state.room, tuple(user_ids)
    if room is None:
        raise refusal(Code.NOT_MEMBER, "you are in no room")
    if room.room_type is RoomType.DIRECT:
        raise refusal(Code.NOT_ALLOWED, "a call between two takes nobody more; meet in a room")
    asked = CreateRoom(RoomType.GROUP, room.room_name, invited_user_ids=invited, join_existing=True)
    return (await session.ask(asked, lambda ack: session.happen(Invited(ack.room, invited)))).room


def _ringing(session: Session, call_id: CallId) -> IncomingRing:
    ringing = session.state.ring(call_id)
    if ringing is None:
        raise refusal(Code.NOT_FOUND, "it rings no longer")
    return ringing


def _forget_if_settled(session: Session, ringing: IncomingRing, no: Refusal) -> None:
    """A call that the server knows no more does not ring."""
    if no.code in SETTLED and session.state.ring(ringing.call_id) is not None:
        session.happen(RingOver(ringing.call_id))
