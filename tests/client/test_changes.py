"""Following changes at one's own pace."""

from __future__ import annotations

import pytest
import trio
from attrs import evolve

from client.worlds import ANN, BOB, ELSEWHERE, LOBBY, in_room, message, person, reduced, room
from palaver_client import Change, Joined, LevelsChanged, MediaConnected, RoomId
from palaver_client.after import after
from palaver_client.changes import MAX_QUEUED, Changes


@pytest.mark.trio
async def test_old_is_the_new_that_was_read_before() -> None:
    first = in_room()
    second = reduced(first, message(1))
    third = reduced(second, message(2))
    changes = Changes(first)
    changes.put(message(1), second)
    changes.put(message(2), third)
    changes.close()
    assert [(each.old, each.new) async for each in changes] == [(first, second), (second, third)]


@pytest.mark.trio
async def test_levels_that_nobody_has_read_are_put_together() -> None:
    state = in_room()
    changes = Changes(state)
    for level in (-10.0, -20.0, -30.0):
        state = after(state, LevelsChanged(level, {BOB: level}))
        changes.put(LevelsChanged(level, {BOB: level}), state)
    changes.put(MediaConnected(), state)
    changes.close()
    read = [each async for each in changes]
    assert [type(each.event) for each in read] == [LevelsChanged, MediaConnected]
    assert read[0].new.sound.input_dbfs == -30.0


@pytest.mark.trio
async def test_a_very_slow_reader_loses_the_oldest_events_but_no_state() -> None:
    state = in_room()
    changes = Changes(state)
    for number in range(MAX_QUEUED + 10):
        state = evolve(state, retry_at=float(number))
        changes.put(message(number), state)
    changes.close()
    read = [each async for each in changes]
    assert len(read) == MAX_QUEUED
    assert read[0].event == message(10)
    assert read[0].old == in_room()
    assert read[-1].new == state


@pytest.mark.trio
async def test_a_reader_waits_for_the_next(autojump_clock: trio.testing.MockClock) -> None:
    changes = Changes(in_room())
    async with trio.open_nursery() as nursery:

        async def later() -> None:
            await trio.sleep(5)
            changes.put(message(1), in_room())

        nursery.start_soon(later)
        assert (await anext(changes)).event == message(1)
    assert trio.current_time() >= 5


@pytest.mark.parametrize("room_id", [LOBBY, ELSEWHERE])
def test_what_was_said_while_we_were_away_is_missed(room_id: RoomId) -> None:
    old = reduced(in_room(), message(1))
    back = evolve(room(person(ANN), room_id=room_id), messages=(message(1), message(2)))
    for event, is_return in ((Joined(back, is_again=True), True), (Joined(back), False)):
        missed = Change(old, after(old, event), event).missed
        assert [said.message_id for said in missed] == (["m2"] if is_return and room_id == LOBBY else [])
