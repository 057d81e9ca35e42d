"""The microphone outside of a call: what the engine is told, and what is seen, with an engine that only takes notes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_trio
import trio
import trio.testing
from attrs import define

from client.test_media import Notebook
from client.worlds import ANN
from palaver_client import SILENCE, Capture, ClientState, Side, SideState, Sound
from palaver_client.audition import Audition
from palaver_client.events import SoundChosen, SoundSettingsChanged
from palaver_client.session import Session
from palaver_client.sound_choices import SoundSettings
from palaver_media.engine_messages import (
    CloseCall,
    Levels,
    ListDevices,
    OpenCall,
    SetCapture,
    SetSource,
    SoundProblem,
    SoundStarted,
)
from palaver_protocol.models import Name

pytestmark = pytest.mark.trio
TONE = Sound(SideState("tone:330"), SideState("null"))
LOUDER = Capture(microphone_db=6.0)


@define
class World:
    engine: Notebook
    session: Session
    audition: Audition

    @property
    def call(self) -> str:
        """The name that the engine knows it by."""
        name: str = self.engine.noted(OpenCall)[-1].call
        return name

    def opened(self, source: str) -> list[object]:
        """What opens it."""
        choices = self.session.state.choices
        return [OpenCall(self.call, source, "null", is_muted=True), SetCapture(self.call, choices.used_capture)]


@pytest_trio.trio_fixture
async def world() -> AsyncIterator[World]:
    """Ann, in no room, whose engine does not live yet."""
    engine, session = Notebook(), Session(ClientState(ANN, Name("Ann"), sound=TONE))
    world = World(engine, session, Audition(session, engine))
    async with world.audition.running():
        yield world


async def settle() -> None:
    await trio.testing.wait_all_tasks_blocked()


async def test_it_is_opened_in_each_engine_and_closed_at_the_end() -> None:
    engine, session = Notebook(), Session(ClientState(ANN, Name("Ann")))
    session.happen(SoundSettingsChanged(SoundSettings(capture=LOUDER)))
    world = World(engine, session, Audition(session, engine))
    async with world.audition.running():
        await settle()
        assert engine.told == []
        for _ in range(2):
            engine.rise("FP")
            await settle()
            assert engine.told == world.opened("device")  # the default, as nothing was chosen
            assert engine.noted(SetCapture)[0].capture.microphone_db == 6.0
            engine.told.clear()
            engine.die()
            await settle()
        engine.rise("FP")
        await settle()
        call = world.call
        engine.told.clear()
    assert engine.told == [CloseCall(call)]


async def test_what_is_chosen_meanwhile_is_followed(world: World) -> None:
    world.engine.rise("FP")
    await settle()
    assert world.engine.told == world.opened("tone:330")
    call = world.call
    world.engine.told.clear()
    world.session.happen(SoundChosen(Side.SINK, "device:Speaker"))
    world.session.happen(SoundChosen(Side.SOURCE, "device:USB mic"))
    world.session.happen(SoundSettingsChanged(SoundSettings(capture=LOUDER)))
    assert world.engine.told == [SetSource(call, "device:USB mic"), SetCapture(call, LOUDER)]


async def test_the_level_and_how_the_microphone_does_are_seen_until_it_is_closed(world: World) -> None:
    world.engine.rise("FP")
    await settle()
    call = world.call
    for report in (
        SoundStarted(call, Side.SINK, "null"),
        SoundStarted(call, Side.SOURCE, "tone:330"),
        Levels(call, -12.0, {}),
        Levels("another", -1.0, {}),
    ):
        world.audition.on_report(report)
    heard = Sound(SideState("tone:330", "tone:330"), SideState("null"), -12.0)
    assert world.session.state.sound == heard
    world.audition.on_report(SoundProblem(call, Side.SOURCE, "it has stopped", "connect it again"))
    assert world.session.state.sound.source == SideState("tone:330", "", "it has stopped", "connect it again")
    world.engine.told.clear()
    world.audition.rest()
    assert world.session.state.sound == TONE
    assert world.session.state.sound.input_dbfs == SILENCE
    world.audition.on_report(Levels(call, -12.0, {}))  # was under way
    assert world.session.state.sound == TONE
    world.audition.rest()
    world.session.happen(SoundChosen(Side.SOURCE, "null"))
    assert world.engine.told == [CloseCall(call)]


async def test_while_it_rests_it_is_opened_in_no_engine(world: World) -> None:
    world.engine.rise("FP")
    await settle()
    world.audition.rest()
    world.engine.told.clear()
    world.engine.die()
    await settle()
    world.engine.rise("FP")
    await settle()
    assert world.engine.told == []


async def test_one_that_rests_just_as_the_engine_comes_up_is_not_opened(world: World) -> None:
    await settle()
    world.engine.rise("FP")
    world.audition.rest()
    await settle()
    assert world.engine.noted(OpenCall) == []


async def test_it_lets_go_of_the_microphone_while_devices_are_looked_for(world: World) -> None:
    world.audition.list_devices()
    assert world.engine.told == [ListDevices()]
    world.engine.rise("FP")
    await settle()
    opened = world.opened("tone:330")
    assert world.engine.told == [ListDevices(), *opened]
    world.engine.told.clear()
    world.audition.list_devices()
    assert world.engine.told == [CloseCall(world.call), ListDevices(), *opened]
    world.engine.told.clear()
    world.audition.rest()
    world.audition.list_devices()
    assert [type(each) for each in world.engine.told] == [CloseCall, ListDevices]


async def test_after_a_call_it_has_the_microphone_again(world: World) -> None:
    world.audition.rest()
    world.audition.resume()
    assert world.engine.noted(OpenCall) == []  # there is no engine yet
    world.engine.rise("FP")
    await settle()
    opened = world.opened("tone:330")
    assert world.engine.told[-2:] == opened
    world.audition.rest()
    world.session.happen(SoundChosen(Side.SOURCE, "tone:500"))  # in the call
    world.engine.told.clear()
    world.audition.resume()
    assert world.engine.told == world.opened("tone:500")
    world.audition.on_report(Levels(world.call, -12.0, {}))
    assert world.session.state.sound.input_dbfs == -12.0
