"""What a client knows after each thing that a server tells and that happens here."""

from __future__ import annotations

from functools import reduce as fold

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from client.worlds import ANN, BOB, CEM, ELSEWHERE, LOBBY, NOW, in_room, message, notices, person, reduced, room
from palaver_client import (
    Calling,
    ClientState,
    Connected,
    ConnectionLost,
    ConnectionState,
    IncomingRing,
    Invited,
    Joined,
    Left,
    LevelsChanged,
    MediaConnected,
    MediaConnecting,
    MediaFailed,
    MediaLost,
    MediaState,
    MuteChanged,
    OlderRead,
    OutgoingRing,
    RetryFailed,
    RingOver,
    Side,
    SideState,
    SoundChosen,
    SoundProblem,
    SoundStarted,
    SpeakingChanged,
)
from palaver_client.after import after
from palaver_client.negotiation import tracks_of_others
from palaver_client.reduce import MAX_NOTICES, MAX_RINGS
from palaver_client.room_changes import MAX_MESSAGES
from palaver_client.state import out_of_room
from palaver_protocol.models import (
    CallId,
    EndReason,
    Name,
    NoticeLevel,
    ProducerId,
    Reason,
    Ringing,
    RoomType,
    User,
    UserStatus,
    speaker_id,
)
from palaver_protocol.notices import (
    AnyNotice,
    CallAccepted,
    CallAcceptedNew,
    CallCancelled,
    CallEnded,
    CallRejected,
    CallRejectedNew,
    CallTimeout,
    IncomingCall,
    IncomingCallNew,
    MediaReset,
    NewProducer,
    ParticipantMediaStateUpdated,
    ProducerClosed,
    RecordingStateChanged,
    RoomHostless,
    ServerNotice,
    Snapshot,
    UserJoined,
    UserLeft,
)
from palaver_protocol.rtp_models import Kind


def ids(state: ClientState) -> list[str]:
    assert state.room is not None
    return [each.user_id for each in state.room.participants]


@given(st.lists(notices, max_size=30), st.booleans())
def test_any_notices_in_any_order_leave_a_sound_state(told: list, is_in_room: bool) -> None:
    state = fold(reduced, told, in_room(person(BOB)) if is_in_room else ClientState(ANN, Name("Ann")))
    assert len(state.notices) <= MAX_NOTICES
    assert len({ring.call_id for ring in state.incoming}) == len(state.incoming) <= MAX_RINGS
    if state.room is None:
        assert state.media is MediaState.NONE
        assert state.sound.speaking == frozenset()
        return
    assert len(ids(state)) == len(set(ids(state)))
    assert ANN in ids(state)
    said = [each.message_id for each in state.room.messages]
    assert len(said) == len(set(said))
    for each in state.room.participants:
        tracks = [track.producer_id for track in each.producer_ids]
        assert len(tracks) == len(set(tracks))


@given(notices)
def test_a_notice_about_a_room_does_not_put_one_into_it(told: object) -> None:
    is_in = isinstance(told, Snapshot) and told.room is not None
    assert (reduced(ClientState(ANN, Name("Ann")), told).room is not None) is is_in  # type: ignore[arg-type] # any notice


def test_who_joins_sits_there_once() -> None:
    joined = UserJoined(BOB, Name("Bob"), "s2")
    state = reduced(reduced(in_room(), joined), joined)
    assert ids(state) == [ANN, BOB]


def test_who_leaves_takes_level_and_light_along() -> None:
    state = in_room(person(BOB), person(CEM))
    state = after(state, SpeakingChanged(BOB, True))
    state = reduced(state, UserLeft(BOB, LOBBY))
    assert ids(state) == [ANN, CEM]
    assert set(state.sound.levels) == {CEM}
    assert state.sound.speaking == frozenset()


def test_leaving_another_room_is_none_of_ours() -> None:
    assert ids(reduced(in_room(person(BOB)), UserLeft(BOB, ELSEWHERE))) == [ANN, BOB]


def test_our_own_seat_given_up_elsewhere_is_the_end() -> None:
    assert reduced(in_room(person(BOB)), UserLeft(ANN, LOBBY)).room is None


def test_the_last_messages_are_kept_in_order() -> None:
    state = fold(reduced, [message(number) for number in range(MAX_MESSAGES + 5)], in_room(person(BOB)))
    assert state.room is not None
    assert [each.message_id for each in state.room.messages][::199] == ["m5", "m204"]


def test_tracks_come_and_go() -> None:
    state = reduced(in_room(person(BOB)), NewProducer(ProducerId("p"), BOB, Kind.AUDIO))
    bob = state.participant(BOB)
    assert bob is not None
    assert [track.producer_id for track in bob.producer_ids] == ["p"]
    assert reduced(state, ProducerClosed(ProducerId("p"), BOB)).participant(BOB) == person(BOB)


def test_speakers_come_and_go_and_belong_to_nobody() -> None:
    one, two = speaker_id(1), speaker_id(2)
    state = in_room(person(BOB, "p"))
    for user, track in ((one, "s1"), (two, "s2"), (one, "s1")):
        state = reduced(state, NewProducer(ProducerId(track), user, Kind.AUDIO))
    assert state.room is not None
    assert [track.producer_id for track in state.room.speaker_ids] == ["s1", "s2"]
    assert tracks_of_others(state) == {"s1": one, "s2": two, "p": BOB}
    assert len(state.room.participants) == 2
    reset = reduced(state, MediaReset(LOBBY, Reason("")))
    assert tracks_of_others(reset) == {}
    assert reduced(state, MediaReset(ELSEWHERE, Reason(""))) == state
    state = reduced(state, ProducerClosed(ProducerId("s2"), two))
    assert tracks_of_others(state) == {"s1": one, "p": BOB}
    assert tracks_of_others(out_of_room(state)) == {}


def test_mute_marks_follow_the_notices_and_our_own_switch() -> None:
    state = reduced(in_room(person(BOB)), ParticipantMediaStateUpdated(BOB, Name("Bob"), True, False))
    state = after(state, MuteChanged(True))
    assert state.is_muted
    assert [each.is_muted for each in (state.room or room()).participants] == [True, True]


def test_a_muted_one_is_muted_in_the_room_that_he_joins() -> None:
    state = after(ClientState(ANN, Name("Ann")), MuteChanged(True))
    me = after(state, Joined(room(person(ANN)))).participant(ANN)
    assert me is not None
    assert me.is_muted


def test_without_a_host_nobody_is_one() -> None:
    state = reduced(in_room(), RoomHostless(LOBBY, Reason("")))
    assert state.room is not None
    assert state.room.is_hostless
    assert not any(each.is_host for each in state.room.participants)


@pytest.mark.parametrize("end", [CallEnded(LOBBY, None, EndReason.ENDED), Left("you left the room")])
def test_the_end_of_a_room_keeps_only_what_was_chosen(end: CallEnded | Left) -> None:
    state = after(in_room(person(BOB)), SoundChosen(Side.SOURCE, "tone:440"))
    state = after(after(state, SoundStarted(Side.SOURCE, "440 Hz")), MediaConnected())
    state = reduced(state, end) if isinstance(end, CallEnded) else after(state, end)
    assert state.room is None
    assert state.media is MediaState.NONE
    assert state.sound.source == SideState("tone:440")
    assert state.sound.levels == {}


def test_notices_of_the_server_are_kept_the_last_first_to_go() -> None:
    told = [ServerNotice(NoticeLevel.INFO, str(number), Reason("")) for number in range(MAX_NOTICES + 2)]
    assert [each.code for each in fold(reduced, told, in_room()).notices] == ["2", "3", "4", "5", "6"]


def test_the_connection_comes_and_goes_and_the_room_stays_until_it_is_over() -> None:
    state = after(in_room(), Connected())
    assert (state.connection, state.retry_at) == (ConnectionState.CONNECTED, None)
    state = after(state, ConnectionLost("cable", 0.5, 100.5))
    state = after(state, RetryFailed("cable", 1.0, 102.0))
    assert (state.connection, state.retry_at) == (ConnectionState.RECONNECTING, 102.0)
    assert state.room is not None
    state = after(state, ConnectionLost("refused", None, None))
    assert (state.connection, state.retry_at, state.room) == (ConnectionState.CLOSED, None, None)


def test_media_goes_through_its_states() -> None:
    state = in_room()
    seen = []
    for event in (MediaConnecting(), MediaConnected(), MediaLost("x"), MediaFailed("x")):
        state = after(state, event)
        seen.append(state.media)
    assert seen == [MediaState.CONNECTING, MediaState.CONNECTED, MediaState.CONNECTING, MediaState.FAILED]


def test_a_side_of_the_sound_is_chosen_fails_and_works() -> None:
    state = after(in_room(), SoundChosen(Side.SINK, "device:x"))
    state = after(state, SoundProblem(Side.SINK, "no such device", "choose another"))
    assert state.sound.sink == SideState("device:x", "", "no such device", "choose another")
    assert after(state, SoundStarted(Side.SINK, "X")).sound.sink == SideState("device:x", "X")
    assert state.sound.source == SideState()


def test_levels_and_lights() -> None:
    state = after(in_room(person(BOB)), LevelsChanged(-30.0, {BOB: -40.0}))
    assert (state.sound.input_dbfs, state.sound.levels) == (-30.0, {BOB: -40.0})
    state = after(after(state, SpeakingChanged(BOB, True)), SpeakingChanged(BOB, False))
    assert state.sound.speaking == frozenset()


def test_the_state_is_not_changed_in_place() -> None:
    state = in_room(person(BOB))
    before = evolve(state)
    reduced(state, message(1))
    assert state == before


# -- rings -------------------------------------------------------------------------------------------------------------
CALL = CallId("c1")
RINGING = IncomingCallNew(CALL, BOB, Name("Bob"), 30_000)
INVITING = IncomingCall(ELSEWHERE, RoomType.GROUP, CEM, Name("Cem"), 20_000)
OURS = OutgoingRing(CALL, BOB, Name("Bob"), NOW + 30)


def test_calls_and_invitations_ring_until_they_are_settled() -> None:
    state = fold(reduced, (RINGING, INVITING, RINGING), in_room())
    call = IncomingRing(CALL, BOB, Name("Bob"), NOW + 30)
    invitation = IncomingRing(CallId(ELSEWHERE), CEM, Name("Cem"), NOW + 20, ELSEWHERE, RoomType.GROUP)
    assert state.incoming == (invitation, call)
    assert state.ring(CALL) == call
    assert reduced(state, CallCancelled(CALL)).incoming == (invitation,)
    assert reduced(state, CallTimeout(CallId(ELSEWHERE))).incoming == (call,)
    assert reduced(state, CallEnded(ELSEWHERE)).incoming == (call,)
    assert after(state, RingOver(CALL)).incoming == (invitation,)


@pytest.mark.parametrize(
    "settled",
    [
        CallAcceptedNew(CALL, LOBBY, room()),
        CallRejectedNew(CALL, Reason("busy")),
        CallTimeout(CALL),
    ],
    ids=lambda told: type(told).__name__,
)
def test_our_call_rings_until_it_is_settled(settled: AnyNotice) -> None:
    state = after(in_room(), Calling(OURS))
    assert state.outgoing == OURS
    assert reduced(state, settled).outgoing is None
    assert reduced(state, CallTimeout(CallId("another"))).outgoing == OURS


def test_a_new_connection_knows_no_rings_and_a_resumed_one_all() -> None:
    state = after(reduced(in_room(), RINGING), Calling(OURS))
    assert after(state, Connected()).incoming == ()
    assert after(state, Connected()).outgoing is None
    resumed = after(state, Connected(is_resumed=True))
    assert (resumed.incoming, resumed.outgoing) == (state.incoming, state.outgoing)


def test_who_answers_an_invitation_is_invited_no_more() -> None:
    state = after(in_room(), Invited(evolve(room(), invited_user_ids=(BOB, CEM)), (BOB, CEM)))
    assert state.room is not None
    assert state.room.invited_user_ids == (BOB, CEM)
    state = reduced(state, CallRejected(BOB, Name("Bob"), LOBBY))
    state = reduced(state, CallAccepted(CEM, LOBBY))
    assert state.room is not None
    assert state.room.invited_user_ids == ()


# -- people and history ------------------------------------------------------------------------------------------------
def test_who_is_away_or_records_is_marked() -> None:
    state = reduced(in_room(person(BOB)), ParticipantMediaStateUpdated(BOB, Name("Bob"), True, False, is_away=True))
    state = reduced(state, RecordingStateChanged(LOBBY, BOB, True))
    state = reduced(state, RecordingStateChanged(ELSEWHERE, ANN, True))
    assert state.room is not None
    assert [(each.is_away, each.is_recording) for each in state.room.participants] == [(False, False), (True, True)]


def test_older_messages_come_before_the_known_ones_once() -> None:
    state = fold(reduced, [message(number) for number in range(3, 5)], in_room())
    state = after(state, OlderRead(LOBBY, tuple(message(number) for number in range(1, 4)), more=False))
    assert state.room is not None
    assert [each.message_id for each in state.room.messages] == ["m1", "m2", "m3", "m4"]
    again = evolve(room(person(ANN)), messages=(message(4), message(5)))
    state = after(state, Joined(again, is_again=True))
    assert state.room is not None
    assert [each.message_id for each in state.room.messages] == ["m1", "m2", "m3", "m4", "m5"]


# -- a snapshot --------------------------------------------------------------------------------------------------------
ME = User(ANN, Name("Ann"), UserStatus.IN_CALL, 1_000)


def test_a_snapshot_puts_all_right_but_what_is_ours() -> None:
    state = after(reduced(in_room(person(BOB)), RINGING), MuteChanged(True))
    calls = (
        Ringing(CallId("in"), CEM, Name("Cem"), ANN, Name("Ann"), 5_000),
        Ringing(CallId("out"), ANN, Name("Ann"), BOB, Name("Bob"), 6_000),
        Ringing(CallId(LOBBY), ANN, Name("Ann"), BOB, Name("Bob"), 7_000, LOBBY, RoomType.GROUP),
    )
    state = reduced(state, Snapshot(ME, (ME,), (), calls, room(person(ANN), person(CEM))))
    assert ids(state) == [ANN, CEM]
    assert state.users == (ME,)
    assert state.incoming == (IncomingRing(CallId("in"), CEM, Name("Cem"), NOW + 5),)
    assert state.outgoing == OutgoingRing(CallId("out"), BOB, Name("Bob"), NOW + 6)
    me = state.participant(ANN)
    assert me is not None
    assert me.is_muted


def test_a_snapshot_without_a_room_is_the_end_of_ours() -> None:
    state = reduced(after(in_room(), MediaConnected()), Snapshot(ME, (), (), ()))
    assert (state.room, state.media) == (None, MediaState.NONE)
