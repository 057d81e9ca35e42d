"""A connection that is lost and taken up again where it was, on a virtual clock."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from attrs import evolve

from client.scripted import Script, Server
from client.test_session import kinds, session
from client.worlds import ANN, BOB, LOBBY, message, person, room
from palaver_client import (
    Connected,
    ConnectionLost,
    Disconnected,
    Joined,
    Left,
    MuteChanged,
    Snapshot,
    words,
)
from palaver_client.session import Session
from palaver_protocol.converter import write_ack, write_notice
from palaver_protocol.models import CallId, Name, Ringing, RoomId, RoomView, User, UserStatus
from palaver_protocol.requests import JoinRoom, RoomAck

Clock = trio.testing.MockClock

HERE = room(person(ANN), person(BOB))
OTHER = room(person(ANN), person(BOB), room_id=RoomId("other"))
ME = User(ANN, Name("Ann"), UserStatus.IN_CALL, 1_000)


def first(auths: list[dict[str, Any]], seat: RoomView | None = HERE) -> Script:
    """Give the client a token and its first seat, and hang up."""

    async def script(server: Server) -> None:
        auths.append(await server.welcome(resume="token-1", resumed=False))
        if seat is not None:
            ack_id, _, _ = await server.asked()
            await server.answer(ack_id, **write_ack(RoomAck(seat)))
        await trio.sleep(1)

    return script


def second(auths: list[dict[str, Any]], asked: list[tuple[str, Any]], snapshot: Snapshot | None) -> Script:
    """Take the client up again, or with no snapshot anew; answer what it asks."""

    async def script(server: Server) -> None:
        auths.append(await server.welcome(resume="token-2", resumed=snapshot is not None))
        if snapshot is not None:
            event, payload = write_notice(snapshot)
            await server.tell(event, **payload)
        while True:
            ack_id, event, payload = await server.asked()
            asked.append((event, payload))
            await server.answer(ack_id, **(write_ack(RoomAck(HERE)) if event == "joinRoom" else {}))

    return script


def snapshot(seat: RoomView | None, *calls: Ringing) -> Snapshot:
    return Snapshot(ME, (ME,), (), calls, seat)


@pytest.mark.trio
async def test_what_the_server_has_kept_is_taken_up(autojump_clock: Clock) -> None:
    auths: list[dict[str, Any]] = []
    asked: list[tuple[str, Any]] = []
    now = evolve(HERE, messages=(message(1),))
    async with session(first(auths), second(auths, asked, snapshot(now))) as (ours, seen, _):
        await ours.sit(JoinRoom(LOBBY))
        await trio.sleep(5)
        assert ours.state.room is not None
        assert [said.message_id for said in ours.state.room.messages] == ["m1"]
    assert [auth["resume"] for auth in auths] == ["", "token-1"]
    assert kinds(seen) == [Connected, Joined, ConnectionLost, Connected, Snapshot]
    assert seen[3].event == Connected(is_resumed=True)
    assert asked == []  # the seat is ours: nobody hears of it


@pytest.mark.trio
async def test_a_server_that_has_kept_nothing_is_asked_for_the_seat(autojump_clock: Clock) -> None:
    auths: list[dict[str, Any]] = []
    asked: list[tuple[str, Any]] = []
    async with session(first(auths), second(auths, asked, None)) as (ours, seen, _):
        await ours.sit(JoinRoom(LOBBY))
        await trio.sleep(5)
    assert [event for event, _ in asked] == ["joinRoom"]
    assert seen[-1].event == Joined(HERE, is_again=True)


async def cut_off(ours: Session) -> None:
    """Wait until the first connection is lost, and before the second one is made."""
    async with ours.changes() as changes:
        async for change in changes:
            if isinstance(change.event, ConnectionLost):
                return


@pytest.mark.trio
async def test_who_muted_himself_while_away_is_muted_for_all(autojump_clock: Clock) -> None:
    asked: list[tuple[str, Any]] = []
    async with session(first([]), second([], asked, snapshot(HERE))) as (ours, _, _):
        await ours.sit(JoinRoom(LOBBY))
        await cut_off(ours)
        ours.happen(MuteChanged(True))
        with pytest.raises(Disconnected):
            await ours.tell_muted()
        await trio.sleep(5)
        me = ours.state.participant(ANN)
        assert me is not None
        assert me.is_muted
    assert [(event, payload["isMuted"]) for event, payload in asked] == [("mediaStateChanged", True)]


@pytest.mark.trio
@pytest.mark.parametrize("is_kept", [True, False])
async def test_who_began_to_record_while_away_is_known_to(autojump_clock: Clock, is_kept: bool) -> None:
    asked: list[tuple[str, Any]] = []
    async with session(first([]), second([], asked, snapshot(HERE) if is_kept else None)) as (ours, _, _):
        await ours.sit(JoinRoom(LOBBY))
        await cut_off(ours)
        ours.is_recording = True
        with pytest.raises(Disconnected):
            await ours.tell_recording()
        await trio.sleep(5)
        assert ours.state.room is not None
    assert [payload["isRecording"] for event, payload in asked if event == "setRecording"] == [True]


@pytest.mark.trio
async def test_what_a_lost_answer_left_open_is_told_again(autojump_clock: Clock) -> None:
    asked: list[tuple[str, Any]] = []
    async with session(first([]), second([], asked, snapshot(HERE))) as (ours, _, _):
        await ours.sit(JoinRoom(LOBBY))
        ours.is_recording = True
        with pytest.raises(Disconnected):
            await ours.tell_recording()  # the server may have heard it, and hangs up
        ours.is_recording = False
        await trio.sleep(5)
    assert [payload["isRecording"] for event, payload in asked if event == "setRecording"] == [False]


@pytest.mark.trio
async def test_who_left_while_away_does_not_find_himself_back(autojump_clock: Clock) -> None:
    asked: list[tuple[str, Any]] = []
    async with session(first([]), second([], asked, snapshot(HERE))) as (ours, seen, _):
        await ours.sit(JoinRoom(LOBBY))
        await cut_off(ours)
        ours.give_up(LOBBY)
        ours.happen(Left(words.YOU_LEFT))
        await trio.sleep(5)
        assert ours.state.room is None
    assert [(event, payload["roomId"]) for event, payload in asked] == [("leaveRoom", LOBBY)]
    assert kinds(seen).count(Joined) == 1


@pytest.mark.trio
async def test_a_room_that_ended_meanwhile_is_left(autojump_clock: Clock) -> None:
    async with session(first([]), second([], [], snapshot(None))) as (ours, seen, _):
        await ours.sit(JoinRoom(LOBBY))
        await trio.sleep(5)
        assert ours.state.room is None
    assert seen[-1].event == Left(words.ROOM_GONE)


@pytest.mark.trio
async def test_a_call_that_was_accepted_meanwhile_is_sat_in(autojump_clock: Clock) -> None:
    asked: list[tuple[str, Any]] = []
    async with session(first([], None), second([], asked, snapshot(OTHER))) as (ours, seen, _):
        ours.happen(MuteChanged(True))
        await trio.sleep(5)
        assert ours.state.room is not None
        assert ours.state.room.room_id == "other"
    assert seen[-1].event == Joined(OTHER)
    assert [event for event, _ in asked] == ["mediaStateChanged"]  # our mute state is known there too


@pytest.mark.trio
async def test_what_rings_goes_on_ringing(autojump_clock: Clock) -> None:
    call = Ringing(CallId("c"), BOB, Name("Bob"), ANN, Name("Ann"), 9_000)
    async with session(first([], None), second([], [], snapshot(None, call))) as (ours, _, _):
        await trio.sleep(5)
        (ring,) = ours.state.incoming
        assert (ring.call_id, ring.from_name) == ("c", "Bob")


@pytest.mark.parametrize("token", [None, 7, "x" * 2_000])
@pytest.mark.trio
async def test_a_token_that_is_none_is_not_sent_back(autojump_clock: Clock, token: object) -> None:
    auths: list[dict[str, Any]] = []

    async def script(server: Server) -> None:
        auths.append(await server.welcome(resume=token))

    async with session(script, script):
        await trio.sleep(2)
    assert [auth["resume"] for auth in auths] == ["", ""]
