"""What a client knows after each thing that happens at this end: a pure fold."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from attrs import evolve

from palaver_media.engine_messages import Side
from palaver_protocol.models import RoomView

from .events import (
    Calling,
    CallSoundChanged,
    CarrierChanged,
    Connected,
    ConnectionLost,
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
    OlderRead,
    RecordingBegan,
    RecordingEnded,
    RecordingWanted,
    RetryFailed,
    RingOver,
    SendingChanged,
    SoundChosen,
    SoundProblem,
    SoundSettingsChanged,
    SoundStarted,
    SpeakingChanged,
    StatsChanged,
    TalkingChanged,
)
from .reduce import rings_no_more
from .room_changes import in_room, mark_ourselves, with_history, with_named, with_older
from .state import ClientState, ConnectionState, Doing, MediaState, SideState, Sound, out_of_room


def after(state: ClientState, event: LocalEvent) -> ClientState:
    """The state after an event of this end."""
    match event:
        case Connected(is_resumed=True):
            return evolve(state, connection=ConnectionState.CONNECTED, retry_at=None, lost_at=None)
        case Connected():  # what rang, rang for the connection before
            return evolve(_nothing_rings(state), connection=ConnectionState.CONNECTED, retry_at=None, lost_at=None)
        case CarrierChanged():
            return evolve(state, polling_because=(event.reason or "unknown") if event.is_polling else "")
        case ConnectionLost(retry_in=None):
            state = out_of_room(_nothing_rings(state))
            return evolve(state, connection=ConnectionState.CLOSED, retry_at=None, users=(), rooms=())
        case ConnectionLost(retry_in=float() as pause, retry_at=float() as at):
            return evolve(state, connection=ConnectionState.RECONNECTING, retry_at=at, lost_at=at - pause)
        case ConnectionLost() | RetryFailed():
            return evolve(state, connection=ConnectionState.RECONNECTING, retry_at=event.retry_at)
        case Joined():
            return mark_ourselves(evolve(state, room=with_history(event.room, state.room), speakers=(), named={}))
        case Left():
            return out_of_room(state)
        case Calling():
            return evolve(state, outgoing=event.ring)
        case RingOver():
            return rings_no_more(state, event.call_id)
        case Invited():
            return in_room(state, lambda room: _with_invited(room, event))
        case OlderRead():
            return in_room(
                state, lambda room: with_older(room, event.messages) if room.room_id == event.room_id else room
            )
        case MuteChanged():
            return mark_ourselves(evolve(state, is_muted=event.is_muted))
        case DevicesChanged():
            return evolve(state, devices=event.devices)
        case MediaConnecting() | MediaLost():
            return evolve(state, media=MediaState.CONNECTING)
        case MediaConnected():
            return evolve(state, media=MediaState.CONNECTED)
        case MediaFailed():
            return evolve(state, media=MediaState.FAILED)
        case StatsChanged():
            return evolve(state, stats=event.stats)
        case MediaStarted():
            return state
        case SoundSettingsChanged():
            return with_named(evolve(state, choices=event.settings))
        case CallSoundChanged():
            return evolve(state, doing=Doing(is_open=event.is_open))
        case TalkingChanged() | SendingChanged() | EchoTestChanged():
            return evolve(state, doing=_do(state.doing, event))
        case RecordingWanted() | RecordingBegan() | RecordingEnded():
            return evolve(state, doing=_record(state.doing, event))
        case SoundChosen() | SoundStarted() | SoundProblem() | LevelsChanged() | SpeakingChanged():
            return evolve(state, sound=_hear(state.sound, event))
        case _:
            assert_never(event)


def _do(doing: Doing, event: TalkingChanged | SendingChanged | EchoTestChanged) -> Doing:
    match event:
        case TalkingChanged():
            return evolve(doing, is_talking=event.is_talking)
        case SendingChanged():
            return evolve(doing, is_sending=event.is_sending)
        case EchoTestChanged():
            return evolve(doing, is_echo_test=event.is_on)


def _record(doing: Doing, event: RecordingWanted | RecordingBegan | RecordingEnded) -> Doing:
    match event:
        case RecordingWanted():
            return evolve(doing, wanted=event.form)
        case RecordingBegan():
            return evolve(doing, recording=event.folder)
        case RecordingEnded() if doing.recording not in ("", event.folder):  # one before this
            return doing
        case RecordingEnded():  # what broke is not begun again by itself
            is_over = event.problem and not event.goes_on
            return evolve(doing, recording="", wanted=None if is_over else doing.wanted)


def _nothing_rings(state: ClientState) -> ClientState:
    return evolve(state, incoming=(), outgoing=None)


def _with_invited(room: RoomView, event: Invited) -> RoomView:
    is_it = room.room_id == event.room.room_id
    return evolve(room, invited_user_ids=event.room.invited_user_ids) if is_it else room


def _hear(sound: Sound, event: SoundChosen | SoundStarted | SoundProblem | LevelsChanged | SpeakingChanged) -> Sound:
    match event:
        case SoundChosen():
            return _side(sound, event.side, lambda _: SideState(event.spec))
        case SoundStarted():
            return _side(sound, event.side, lambda side: SideState(side.spec, event.name))
        case SoundProblem():
            return _side(sound, event.side, lambda side: SideState(side.spec, "", event.reason, event.remedy))
        case LevelsChanged():
            return evolve(sound, input_dbfs=event.input_dbfs, levels=event.levels)
        case SpeakingChanged(is_speaking=True):
            return evolve(sound, speaking=sound.speaking | {event.user_id})
        case SpeakingChanged():
            return evolve(sound, speaking=sound.speaking - {event.user_id})
        case _:
            assert_never(event)


def _side(sound: Sound, side: Side, change: Callable[[SideState], SideState]) -> Sound:
    if side is Side.SOURCE:
        return evolve(sound, source=change(sound.source))
    return evolve(sound, sink=change(sound.sink))
