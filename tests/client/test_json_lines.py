"""Every change has a JSON line of its schema, or none."""

from __future__ import annotations

import re

import pytest
from attrs import evolve
from hypothesis import given

from client.json_schema import EVENTS, check
from client.worlds import ANN, BOB, CEM, LOBBY, in_room, message, notices, person, reduced, room
from palaver_client import (
    CallId,
    Calling,
    CallSoundChanged,
    CallStats,
    CarrierChanged,
    Change,
    Connected,
    ConnectionLost,
    ConsumerStats,
    Devices,
    DevicesChanged,
    EchoTestChanged,
    Invited,
    Joined,
    Left,
    LevelsChanged,
    LocalEvent,
    MediaConnected,
    MediaConnecting,
    MediaFailed,
    MediaLost,
    MediaStarted,
    MuteChanged,
    Name,
    OlderRead,
    OutgoingRing,
    RecordingBegan,
    RecordingEnded,
    RecordingForm,
    RecordingWanted,
    RetryFailed,
    RingOver,
    SendingChanged,
    SendingStats,
    Side,
    SoundChosen,
    SoundProblem,
    SoundSettings,
    SoundSettingsChanged,
    SoundStarted,
    SpeakingChanged,
    StatsChanged,
    TalkingChanged,
)
from palaver_client.after import after
from palaver_client.json_help import EVENTS as HELP_ON_EVENTS
from palaver_client.json_lines import JsonLines
from palaver_client.words import YOU_LEFT
from palaver_protocol.models import EndReason, User, UserStatus
from palaver_protocol.notices import Snapshot

LINES = JsonLines()

VOICE = ConsumerStats(1.5, 0.01, 0.0, 0.0, 40.0, 32.0)
ENCODED = SendingStats(48_000, 10, 1, 2, 20, 9)

LOCAL: list[tuple[LocalEvent, str | None]] = [
    (Connected(), "connected"),
    (CarrierChanged(is_polling=True, reason="it answers 403"), "carrier"),
    (ConnectionLost("cable", 0.5, 1.0), "connectionLost"),
    (ConnectionLost("banned", None, None), "connectionLost"),
    (RetryFailed("cable", 1.0, 2.0), "connectionLost"),
    (Joined(room(person(ANN), person(BOB))), "joined"),
    (Joined(room(), is_again=True), "joined"),
    (Left("full"), "left"),
    (Calling(OutgoingRing(CallId("c"), BOB, Name("Bob"))), None),
    (Calling(OutgoingRing(CallId("c"), BOB, Name("Bob"), 30.0)), "calling"),
    (RingOver(CallId("c")), "callOver"),
    (Invited(room(), (BOB, CEM)), "invited"),
    (OlderRead(LOBBY, (message(1),), more=True), "older"),
    (Left(YOU_LEFT), None),
    (MuteChanged(True), "muted"),
    (MuteChanged(False), None),
    (SoundChosen(Side.SINK, "null"), None),
    (SoundStarted(Side.SINK, "null"), "soundStarted"),
    (SoundProblem(Side.SOURCE, "gone", "plug it in"), "soundProblem"),
    (MediaConnecting(), "media"),
    (MediaConnected(), "media"),
    (MediaLost("x"), "media"),
    (MediaFailed("x"), "media"),
    (MediaStarted(BOB), "mediaStarted"),
    (SpeakingChanged(BOB, True), "speaking"),
    (LevelsChanged(-20.0, {BOB: -30.0}), None),
    (StatsChanged(CallStats(None, 0.0, {})), "stats"),
    (StatsChanged(CallStats(1.0, 33.0, {BOB: VOICE, CEM: VOICE})), "stats"),
    (StatsChanged(CallStats(1.0, 33.0, {BOB: evolve(VOICE, mouth_to_ear_ms=80.0)}, ENCODED, 10.0, 20.0)), "stats"),
    (DevicesChanged(Devices((), (), "")), None),
    (SoundSettingsChanged(SoundSettings(is_headset=True)), "soundSettings"),
    (CallSoundChanged(is_open=True), None),
    (TalkingChanged(True), None),
    (SendingChanged(True), "sending"),
    (EchoTestChanged(True), "echoTest"),
    (RecordingWanted(RecordingForm.WAV), None),
    (RecordingBegan("/r/1"), "recordingBegan"),
    (RecordingEnded("/r/1"), "recordingEnded"),
    (RecordingEnded("/r/1", "no space left", "free some"), "recordingEnded"),
    (RecordingEnded("/r/1", "the sound engine stopped", goes_on=True), "recordingEnded"),
]


@pytest.mark.parametrize(("event", "kind"), LOCAL, ids=lambda value: str(value)[:30])
def test_what_happens_here(event: LocalEvent, kind: str | None) -> None:
    old = in_room(person(BOB))
    line = LINES.of_change(Change(old, after(old, event), event))
    assert (None if line is None else check(line)["event"]) == kind


@given(notices)
def test_what_the_server_tells(told: object) -> None:
    old = in_room(person(BOB))
    line = LINES.of_change(Change(old, reduced(old, told), told))  # type: ignore[arg-type] # any notice
    if line is not None:
        check(line)


def test_a_return_tells_what_is_new_of_who_records() -> None:
    old = in_room(evolve(person(BOB), is_recording=True), person(CEM))
    me = User(ANN, Name("Ann"), UserStatus.IN_CALL, 1_000)
    event = Snapshot(me, (), (), (), room(person(ANN), person(BOB), evolve(person(CEM), is_recording=True)))
    lines = LINES.of_change(Change(old, reduced(old, event), event))
    assert lines is not None
    told = [check(line) for line in lines.splitlines()]
    assert [(each["event"], each["name"], each["isRecording"]) for each in told] == [
        ("recording", "Cem", True),
        ("recording", "Bob", False),
    ]


def test_every_event_of_the_issue_is_in_the_schema() -> None:
    wanted = {"connected", "joined", "userJoined", "userLeft", "mediaStarted", "stats", "message", "ended"}
    assert wanted <= EVENTS.keys()


def test_what_happens_between_calls() -> None:
    assert check(LINES.of_waiting())["event"] == "waiting"
    assert check(LINES.of_hanging_up(EndReason.EMPTY, 1.23456, None))["seconds"] == 1.235
    assert LINES.of_ringing("Bob still calls you") is None


def test_every_event_and_field_is_told_by_help() -> None:
    told = set(re.findall(r"\w+", HELP_ON_EVENTS))
    fields = {field for name in EVENTS if name not in ("messageEdited", "reactions") for field in EVENTS[name]}
    assert EVENTS.keys() <= told
    assert fields <= told


def test_the_worst_voice_sums_up_what_is_heard() -> None:
    far = ConsumerStats(9.0, 0.2, 0.1, 0.05, 120.0, 10.0, 250.0)
    event = StatsChanged(CallStats(3.0, 33.0, {BOB: VOICE, CEM: far}))
    line = LINES.of_change(Change(in_room(), in_room(), event))
    assert line is not None
    said = check(line)
    assert (said["jitter_ms"], said["loss"], said["playout_ms"], said["in_kbps"]) == (9.0, 0.2, 120.0, 42.0)
    assert said["mouth_to_ear_ms"] == 250.0  # as the engine says; Bob's is not known yet
    assert [user["mouth_to_ear_ms"] for user in said["users"]] == [None, 250.0]
    assert [user["late"] for user in said["users"]] == [0.0, 0.05]


def test_how_we_are_encoded_is_told() -> None:
    line = LINES.of_change(Change(in_room(), in_room(), StatsChanged(CallStats(3.0, 33.0, {}, ENCODED, 10.5, 21.0))))
    assert line is not None
    said = check(line)
    assert (said["input_ms"], said["output_ms"]) == (10.5, 21.0)
    assert (said["encoding"]["bitrate"], said["encoding"]["expectedLoss"], said["encoding"]["copies"]) == (
        48_000,
        0.1,
        1,
    )


@pytest.mark.parametrize(("reason", "word"), [(None, "left"), (EndReason.HOST_LEFT, "hostLeft")])
def test_the_end(reason: EndReason | None, word: str) -> None:
    said = check(LINES.of_end(reason, 1.23456, None, was_talking=True))
    assert (said["reason"], said["seconds"]) == (word, 1.235)
