"""Sentences for people: there is one for what matters, and a terminal can print it."""

from __future__ import annotations

import time
import unicodedata

import pytest
from attrs import evolve
from hypothesis import given

from client.worlds import ANN, BOB, CEM, ELSEWHERE, LOBBY, in_room, message, notices, person, reduced, room
from palaver_client import (
    Calling,
    CallStats,
    Change,
    ClientState,
    Connected,
    ConnectionState,
    Doing,
    Joined,
    MediaConnecting,
    MediaStarted,
    MuteChanged,
    OlderRead,
    OutgoingRing,
    PersonVolume,
    RecordingEnded,
    Refusal,
    SoundSettings,
    SpeakingChanged,
    Volume,
    sound_words,
    words,
)
from palaver_client.after import after
from palaver_client.plain_lines import QUIET, PlainLines
from palaver_client.sound_choices import with_person
from palaver_media.engine_messages import ConsumerStats
from palaver_protocol.models import CallId, Name, Reason, RoomType, User, UserId, UserStatus, speaker_id
from palaver_protocol.notices import (
    CallAccepted,
    CallAcceptedNew,
    CallCancelled,
    CallRejected,
    CallRejectedNew,
    CallTimeout,
    IncomingCall,
    IncomingCallNew,
    ParticipantMediaStateUpdated,
    RecordingStateChanged,
    Snapshot,
    UserJoined,
    UserLeft,
)
from palaver_protocol.table import Notice


def said_of(state: ClientState, event: object) -> str | None:
    new = reduced(state, event) if isinstance(event, Notice) else after(state, event)  # type: ignore[arg-type]
    return words.of_event(Change(state, new, event))  # type: ignore[arg-type] # any event


@given(notices)
def test_every_notice_has_words_or_none(told: object) -> None:
    state = in_room(person(BOB))
    line = words.of_event(Change(state, reduced(state, told), told))  # type: ignore[arg-type] # any notice
    assert line is None or line.strip() == line


def test_who_comes_and_goes_is_named() -> None:
    assert said_of(in_room(person(BOB)), UserJoined(CEM, Name("Cem"), "s")) == "Cem joined"
    assert said_of(in_room(person(BOB)), UserLeft(BOB, LOBBY)) == "Bob left"


def test_somebody_unknown_is_somebody() -> None:
    assert said_of(in_room(), MediaStarted(CEM)) == "you hear somebody"


def test_a_speaker_of_a_big_room_is_nobody() -> None:
    assert said_of(in_room(), MediaStarted(speaker_id(1))) is None


@pytest.mark.parametrize(
    ("people", "line"),
    [
        ((), "you are in Lobby, alone so far"),
        ((BOB,), "you are in Lobby, with Bob"),
        ((BOB, CEM), "you are in Lobby, with Bob and Cem"),
    ],
)
def test_joining_tells_with_whom(people: tuple, line: str) -> None:
    nowhere = ClientState(ANN, Name("Ann"))
    assert said_of(nowhere, Joined(room(person(ANN), *map(person, people)))) == line


def test_joining_tells_who_records() -> None:
    nowhere = ClientState(ANN, Name("Ann"))
    line = said_of(nowhere, Joined(room(person(ANN), evolve(person(BOB), is_recording=True))))
    assert line == "you are in Lobby, with Bob\nBob is recording this call"


@pytest.mark.parametrize("is_resumed", [False, True])
def test_coming_back_tells_what_is_new_of_who_records(is_resumed: bool) -> None:
    bob, cem = person(BOB), person(CEM)
    before = in_room(evolve(bob, is_recording=True), cem)
    now = room(person(ANN), bob, evolve(cem, is_recording=True))
    me = User(ANN, Name("Ann"), UserStatus.IN_CALL, 1_000)
    event = Snapshot(me, (), (), (), now) if is_resumed else Joined(now, is_again=True)
    line = said_of(before, event)
    assert line is not None
    assert line.splitlines()[-2:] == ["Cem is recording this call", "Bob no longer records this call"]
    after_that = reduced(before, Snapshot(me, (), (), (), now))
    assert said_of(after_that, Snapshot(me, (), (), (), now)) is None


def test_joining_again_is_coming_back() -> None:
    assert said_of(in_room(), Joined(room(person(ANN)), is_again=True)) == "you are back in Lobby, alone so far"


def test_a_room_that_had_to_be_made_anew_has_lost_its_chat() -> None:
    line = said_of(in_room(), Joined(room(person(ANN), room_id=ELSEWHERE), is_again=True))
    assert line == "you are in a new room Lobby, alone so far; the one before and its chat are gone"


CALL = CallId("c1")
RUNG = reduced(ClientState(ANN, Name("Ann")), IncomingCallNew(CALL, BOB, Name("Bob"), 30_000))
CALLING = after(ClientState(ANN, Name("Ann")), Calling(OutgoingRing(CALL, BOB, Name("Bob"), 130.0)))


@pytest.mark.parametrize(
    ("state", "event", "line"),
    [
        (in_room(), IncomingCallNew(CALL, BOB, Name("Bob"), 30_000), "Bob calls you; it rings for 30 s"),
        (in_room(), IncomingCall(LOBBY, RoomType.GROUP, BOB, Name("Bob")), "Bob invites you to a room"),
        (RUNG, CallCancelled(CALL), "the call from Bob is over"),
        (RUNG, CallTimeout(CALL), "you missed a call from Bob"),
        (in_room(), CallCancelled(CALL), None),
        (CALLING, CallTimeout(CALL), "Bob does not answer"),
        (CALLING, CallAcceptedNew(CALL, LOBBY, room()), "Bob accepts the call"),
        (CALLING, CallRejectedNew(CALL, Reason("busy")), "Bob is in a call"),
        (CALLING, CallRejectedNew(CALL, Reason("in a meeting")), "Bob says no: in a meeting"),
        (in_room(), CallRejected(BOB, Name("Bob"), LOBBY), "Bob says no"),
        (in_room(person(BOB)), CallAccepted(BOB, LOBBY), "Bob accepts the invitation"),
        (in_room(person(BOB)), RecordingStateChanged(LOBBY, BOB, True), "Bob is recording this call"),
        (in_room(person(BOB)), RecordingStateChanged(LOBBY, BOB, False), "Bob no longer records this call"),
        (in_room(person(ANN)), RecordingStateChanged(LOBBY, ANN, True), "you are recording this call"),
        (in_room(person(ANN)), RecordingStateChanged(LOBBY, ANN, False), "you no longer record this call"),
        (CALLING, Connected(), "connected again; your call to Bob is over"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_calls_are_told(state: ClientState, event: object, line: str | None) -> None:
    assert said_of(evolve(state, connection=ConnectionState.RECONNECTING), event) == line


def test_a_lost_connection_of_somebody_is_told_and_nothing_that_did_not_change() -> None:
    def told(is_muted: bool, is_away: bool) -> ParticipantMediaStateUpdated:
        return ParticipantMediaStateUpdated(BOB, Name("Bob"), is_muted, False, is_away)

    here = in_room(person(BOB))
    away = reduced(here, told(False, True))
    assert said_of(here, told(False, True)) == "Bob lost the connection; the seat is kept"
    assert said_of(away, told(False, False)) == "Bob is back"
    assert said_of(here, told(False, False)) is None
    assert said_of(here, told(True, False)) == "Bob is muted"


def test_long_lists_are_cut() -> None:
    assert words.listing([Name(letter) for letter in "abcdef"]) == "a, b, c and 3 others"


def test_mute_is_told_only_when_it_changes() -> None:
    assert said_of(in_room(), MuteChanged(False)) is None
    assert said_of(in_room(), MuteChanged(True)) == "you are muted"


def test_no_line_of_a_message_can_pass_for_another_ones() -> None:
    assert words.of_message(message(1, "one\nAnn: two")) == "Bob: one\n  Ann: two"


@pytest.mark.parametrize(
    ("refusal", "line"),
    [
        (Refusal("rateLimited", "too fast", True, 3.2), "too fast; try again in 3 s"),
        (Refusal("notHost", "you are no host"), "you are no host; only the host may do that"),
        (Refusal("fromTheFuture", "no"), "no"),
        (Refusal("notHost", "only the host may do that"), "only the host may do that"),
        (Refusal("rateLimited", "too many: try again in 59 s", True, 59), "too many; try again in 59 s"),
        (Refusal("busy", "they talk: try again later"), "they talk: try again later"),
        (Refusal("invalidPayload", "expected one emoji @ $.emoji"), "expected one emoji"),
    ],
)
def test_a_refusal_says_what_to_do(refusal: Refusal, line: str) -> None:
    assert words.of_refusal(refusal) == line


@pytest.mark.parametrize(
    ("seconds", "line"), [(0.2, "1 s"), (42, "42 s"), (60, "1 min"), (200, "3 min"), (3900, "1 h 05 min")]
)
def test_durations(seconds: float, line: str) -> None:
    assert words.duration(seconds) == line


def test_plain_lines_hold_nothing_a_terminal_obeys() -> None:
    nasty = "\x1b]52;c;aGk=\x07\x9b2J\u202e"
    lines = PlainLines(ANN, False)
    for told in (message(1, nasty), UserJoined(CEM, Name(nasty), "s")):
        line = lines.of_change(Change(in_room(), in_room(), told))
        assert line is not None
        assert not any(unicodedata.category(char) in ("Cc", "Cf") for char in line)


def test_what_the_terminal_echoes_is_not_told_again() -> None:
    change = Change(in_room(), in_room(), message(1, user_id=ANN))
    assert PlainLines(ANN, True).of_change(change) is None
    assert PlainLines(ANN, False).of_change(change) == "Ann: hello"


def spoken(lines: PlainLines, *changes: tuple[str, bool]) -> list[str]:
    """What is told of people who begin and cease to speak."""
    state = in_room(person(BOB), person(CEM))
    events = [SpeakingChanged(UserId(user), on) for user, on in changes]
    return [line for event in events if (line := lines.of_change(Change(state, state, event)))]


def test_a_speaker_is_news_when_it_is_another_one() -> None:
    talk = [(user, on) for user in (ANN, BOB, BOB, CEM, BOB) for on in (True, False)]
    assert spoken(PlainLines(ANN, True), *talk) == ["Bob speaks", "Cem speaks", "Bob speaks"]


def test_a_speaker_is_news_after_a_long_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    lines, now = PlainLines(ANN, True), 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert spoken(lines, (BOB, True), (BOB, False)) == ["Bob speaks"]
    now = QUIET - 0.1
    assert spoken(lines, (BOB, True), (BOB, False)) == []
    now = 2 * QUIET
    assert spoken(lines, (BOB, True), (BOB, False)) == ["Bob speaks"]


def test_who_is_hushed_is_not_heard_nor_is_anybody_by_the_deaf() -> None:
    state = in_room(person(BOB), person(CEM))
    hushed = evolve(state, choices=with_person(state.choices, BOB, PersonVolume(is_muted=True)))
    assert said_of(hushed, MediaStarted(BOB)) is None
    assert said_of(hushed, MediaStarted(CEM)) == "you hear Cem"
    assert said_of(evolve(state, choices=SoundSettings(volume=Volume(is_deaf=True))), MediaStarted(CEM)) is None


def test_that_somebody_is_heard_is_not_told_twice_in_a_row() -> None:
    lines, state = PlainLines(ANN, True), in_room(person(BOB), person(CEM))
    events = [MediaStarted(user) for user in (BOB, BOB, CEM, CEM, BOB)]
    told = [line for event in events if (line := lines.of_change(Change(state, state, event)))]
    assert told == ["you hear Bob", "you hear Cem", "you hear Bob"]
    for between in (MediaConnecting(), UserLeft(BOB, LOBBY)):
        lines.of_change(Change(state, state, between))
        assert lines.of_change(Change(state, state, MediaStarted(BOB))) == "you hear Bob"


@pytest.mark.parametrize(
    ("folder", "problem", "kept"),
    [
        ("/music/lobby", "no space left on device", "; what was recorded is in /music/lobby"),
        ("/music/lobby", "/music/lobby/Bob.ogg: no space left on device", "; what was recorded is in /music/lobby"),
        ("/music/lobby", "/music/lobby: no such file or directory", ""),  # it has gone
        ("/music", "/music/lobby: no space left on device", ""),  # none was begun
    ],
)
def test_where_is_what_was_recorded_until_it_broke_is_told(folder: str, problem: str, kept: str) -> None:
    recording = evolve(in_room(), doing=Doing(is_open=True, recording="" if folder == "/music" else folder))
    line = said_of(recording, RecordingEnded(folder, problem, "free some space"))
    assert line == f"you record no more: {problem}; free some space{kept}"


def test_figures_that_are_to_come_are_not_measured_yet() -> None:
    stats = CallStats(None, 32.0, {BOB: ConsumerStats(1.0, 0.0, 0.0, 0.0, 40.0, 32.0)})
    ours, _, bob = sound_words.of_stats(evolve(in_room(person(BOB)), stats=stats)).splitlines()
    assert ours.startswith("to the server and back not measured yet, ")
    assert bob.startswith("Bob: not measured yet from mouth to ear, ")


def test_a_call_says_how_to_answer_it_and_rings_where_there_is_a_bell() -> None:
    ringing = IncomingCallNew(CALL, BOB, Name("Bob"), 30_000)
    for has_bell in (False, True):
        line = PlainLines(ANN, True, has_bell).of_change(Change(in_room(), in_room(), ringing))
        assert line is not None
        assert line.count("\a") == has_bell
        assert line.lstrip("\a") == "Bob calls you; it rings for 30 s: /accept or /reject"


def test_older_messages_are_told_in_lines() -> None:
    older = OlderRead(LOBBY, (message(1, "one"), message(2, "two")), more=True)
    line = PlainLines(ANN, True).of_change(Change(in_room(), in_room(), older))
    assert line == "earlier:\nBob: one\nBob: two\nso far what was said earlier"
