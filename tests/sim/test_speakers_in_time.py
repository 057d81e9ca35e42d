"""When a room becomes big and small again, and what is heard between the old tracks and the new ones."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from palaver_media import worker_messages as worker
from palaver_server.room_speakers import LINGER, OVERLAP
from sim.test_speakers import BIG, consume, crowd, mute, slots, tracks
from world import OPUS, open_media, talk, world

pytestmark = pytest.mark.trio

JUST = 1e-6  # s


async def after(seconds):
    """Let time pass, and what is due then happen."""
    await trio.sleep(seconds)
    await wait_all_tasks_blocked()


def ended(person):
    return [told["producerId"] for told in person.heard("producerClosed")]


def begun(person):
    return [told["producerId"] for told in person.heard("newProducer")]


async def small_again(people, room_id):
    """Have so many mute themselves that their room is about to be small, and wait until it is."""
    for person in people[:2]:
        await mute(person, room_id)
    await after(LINGER)


# -- when --------------------------------------------------------------------------------------------------------------
async def test_many_tracks_of_one_person_are_one_microphone(autojump_clock):
    async with world(policy=BIG) as w:
        (ann, *_), room_id, _ = await crowd(w, 1)
        transport = await open_media(ann, room_id, "send")
        for ssrc in range(1, 9):
            parameters = {**OPUS, "encodings": [{"ssrc": ssrc}]}
            await ann.does("produce", roomId=room_id, transportId=transport, kind="audio", rtpParameters=parameters)
        assert w.state(room_id).talk.big.microphones == 1
        assert not slots(w, room_id)


async def test_a_room_is_small_again_after_ten_seconds_of_few_microphones(autojump_clock):
    async with world(policy=BIG) as w:
        people, room_id, _ = await crowd(w)
        made = slots(w, room_id)
        for person in people[:2]:
            await mute(person, room_id)
        await after(LINGER - JUST)
        assert slots(w, room_id) == made
        await after(JUST)
        assert slots(w, room_id) == []


async def test_a_microphone_that_opens_meanwhile_lets_the_ten_seconds_begin_again(autojump_clock):
    async with world(policy=BIG) as w:
        people, room_id, _ = await crowd(w)
        made = slots(w, room_id)
        for person in people[:2]:
            await mute(person, room_id)
        await after(LINGER - 1)
        await mute(people[0], room_id, is_muted=False)
        await after(LINGER)
        assert slots(w, room_id) == made
        await mute(people[0], room_id)
        await after(1)
        await mute(people[2], room_id)  # one fewer begins nothing anew
        await after(LINGER - 1 - JUST)
        assert slots(w, room_id) == made
        await after(JUST)
        assert slots(w, room_id) == []


async def test_however_somebody_flaps_a_room_changes_once_in_ten_seconds(autojump_clock):
    async with world(policy=BIG) as w:
        people, room_id, _ = await crowd(w)
        await mute(people[1], room_id)
        for _ in range(60):
            await mute(people[0], room_id)
            await after(0.5)
            await mute(people[0], room_id, is_muted=False)
            await after(0.5)
        assert len(w.routers.made[0].told(worker.AddSpeakers)) == 1


# -- what is heard in between ------------------------------------------------------------------------------------------
async def test_voices_go_on_until_everybody_has_had_time_for_the_slots(autojump_clock):
    async with world(policy=BIG) as w:
        people, room_id, voices = await crowd(w, 4)
        ann, *_, eve = people
        await open_media(ann, room_id, "receive")
        assert (await consume(ann, room_id, voices[1]))["success"]
        ann.deaf()
        await talk(eve, room_id)
        await after(OVERLAP - JUST)
        assert begun(ann) == slots(w, room_id)
        assert not ended(ann)
        assert len(w.state(room_id).seats["ann"].consumers) == 1
        assert not w.routers.made[0].told(worker.CloseConsumers)
        await after(JUST)
        assert ended(ann) == voices[1:]
        assert not w.state(room_id).seats["ann"].consumers
        assert w.routers.made[0].told(worker.CloseConsumers) == [worker.CloseConsumers(voice) for voice in voices]


async def test_whom_somebody_asks_for_meanwhile_he_keeps(autojump_clock):
    async with world(policy=BIG) as w:
        people, room_id, voices = await crowd(w, 4)
        ann, bob, cem, _, eve = people
        for person in (ann, bob, cem):
            await open_media(person, room_id, "receive")
        for person in (ann, bob):
            assert (await consume(person, room_id, voices[3]))["success"]
        old = list(w.state(room_id).seats["bob"].consumers)
        await talk(eve, room_id)
        assert (await consume(cem, room_id, voices[3]))["success"]  # the announcement's answer, and then a wish
        wished = [(await consume(person, room_id, voices[3]))["params"]["id"] for person in (ann, cem)]
        for person in people:
            person.deaf()
        await after(OVERLAP)
        seats = w.state(room_id).seats
        assert [list(seats[name].consumers) for name in ("ann", "bob", "cem")] == [wished[:1], [], wished[1:]]
        assert worker.CloseConsumers(voices[3]) not in w.routers.made[0].commands
        assert [worker.CloseConsumer(each) for each in old] == w.routers.made[0].told(worker.CloseConsumer)[-1:]
        assert [voices[3] in ended(person) for person in people] == [False, True, False, False, True]


async def test_who_is_late_to_answer_an_announcement_has_not_asked_by_name(autojump_clock):
    async with world(policy=BIG) as w:
        people, room_id, voices = await crowd(w, 4)
        ann, *_, eve = people
        await open_media(ann, room_id, "receive")
        await talk(eve, room_id)
        for voice in voices[1:]:
            assert (await consume(ann, room_id, voice))["success"]
        await after(OVERLAP)
        assert not w.state(room_id).seats["ann"].consumers
        assert w.routers.made[0].told(worker.CloseConsumers) == [worker.CloseConsumers(voice) for voice in voices]
        assert ended(ann) == voices[1:]


async def test_who_opens_a_transport_anew_answers_anew(autojump_clock):
    async with world(policy=BIG) as w:
        people, room_id, voices = await crowd(w, 4)
        ann, *_, eve = people
        await open_media(ann, room_id, "receive")
        assert (await consume(ann, room_id, voices[1]))["success"]
        await talk(eve, room_id)
        await open_media(ann, room_id, "receive")
        assert (await consume(ann, room_id, voices[1]))["success"]
        await after(OVERLAP)
        assert not w.state(room_id).seats["ann"].consumers
        assert ended(ann) == voices[1:]


async def joins(w, people, room_id):
    return await w.person("ida")


async def joins_again(w, people, room_id):
    await people[0].does("leaveRoom", roomId=room_id)
    return people[0]


async def joins_over_another_connection(w, people, room_id):
    return await w.person("ann")


@pytest.mark.parametrize("comes", [joins, joins_again, joins_over_another_connection])
async def test_who_comes_meanwhile_may_ask_by_name_at_once(autojump_clock, comes):
    async with world(policy=BIG) as w:
        people, room_id, voices = await crowd(w)
        person = await comes(w, people, room_id)
        await person.does("joinRoom", roomId=room_id)
        await open_media(person, room_id, "receive")
        wished = (await consume(person, room_id, voices[1]))["params"]["id"]
        await after(OVERLAP)
        assert [list(seat.consumers) for seat in w.state(room_id).seats.values() if seat.consumers] == [[wished]]
        assert voices[1] not in ended(person)


async def test_whoever_hears_himself_goes_on(autojump_clock):
    async with world(policy=BIG) as w:
        (ann, *_), room_id, voices = await crowd(w)
        await open_media(ann, room_id, "receive")
        wished = (await consume(ann, room_id, voices[0]))["params"]["id"]
        await after(OVERLAP)
        assert list(w.state(room_id).seats["ann"].consumers) == [wished]


async def test_who_comes_meanwhile_gets_slots_only(autojump_clock):
    async with world(policy=BIG) as w:
        _, room_id, _ = await crowd(w)
        ida = await w.person("ida")
        room = (await ida.does("joinRoom", roomId=room_id))["room"]
        assert [each["producerId"] for each in room["speakerIds"]] == begun(ida) == slots(w, room_id)
        assert not any(person["producerIds"] for person in room["participants"])


async def test_slots_go_on_until_everybody_has_had_time_for_the_voices(autojump_clock):
    async with world(policy=BIG) as w:
        people, room_id, voices = await crowd(w)
        made = slots(w, room_id)
        ann = people[0]
        await open_media(ann, room_id, "receive")
        assert (await consume(ann, room_id, made[0]))["success"]
        await after(OVERLAP)
        ann.deaf()
        await small_again(people, room_id)
        assert begun(ann) == voices[1:]
        assert (await consume(ann, room_id, made[1]))["success"]  # whoever is late
        await after(OVERLAP - JUST)
        assert not ended(ann)
        assert not w.routers.made[0].told(worker.CloseProducer)
        await after(JUST)
        assert ended(ann) == made
        assert not w.state(room_id).seats["ann"].consumers
        assert w.routers.made[0].told(worker.CloseProducer) == [worker.CloseProducer(slot) for slot in made]
        assert (await consume(ann, room_id, made[0]))["code"] == "notFound"


async def test_a_room_that_grows_big_again_at_once_ends_the_old_slots_once_there_are_new_ones(autojump_clock):
    async with world(policy=BIG) as w:
        people, room_id, voices = await crowd(w)
        made = slots(w, room_id)
        ann = people[0]
        await small_again(people, room_id)
        ann.deaf()
        for person in people[:2]:
            await mute(person, room_id, is_muted=False)
        again = slots(w, room_id)
        await wait_all_tasks_blocked()
        assert tracks(ann) == [
            *[("newProducer", slot) for slot in again],
            *[("producerClosed", slot) for slot in made],
        ]
        assert not set(again) & set(made)
        *_, first, second, added = (
            each
            for each in w.routers.made[0].commands
            if not isinstance(each, worker.PauseProducer | worker.ResumeProducer)
        )
        assert [first, second] == [worker.CloseProducer(slot) for slot in made]
        assert added == worker.AddSpeakers(room_id, tuple(again), 48_000)
        await after(OVERLAP)
        assert ended(ann) == [*made, *voices[1:]]
        assert slots(w, room_id) == again


async def begins(people, room_id):
    """A room has just become big."""


@pytest.mark.parametrize("turns", [begins, small_again])
@pytest.mark.parametrize("how", ["all leave", "it is ended", "the worker dies"])
async def test_nothing_is_left_where_a_room_ends_between_the_old_and_the_new(autojump_clock, turns, how):
    async with world(policy=BIG) as w:
        people, room_id, _ = await crowd(w)
        state = w.state(room_id)
        await turns(people, room_id)
        assert state.deadline() == trio.current_time() + OVERLAP
        for person in people:
            person.deaf()
        if how == "all leave":
            for person in people:
                await person.does("leaveRoom", roomId=room_id)
        elif how == "it is ended":
            await people[0].does("endCall", roomId=room_id)
        else:
            w.routers.made[0].dead.set()
            await people[0].expect("mediaReset")
        assert state.deadline() == float("inf")
        big = state.talk.big
        assert not any((big.slots, big.old_slots, big.old_voices, big.old_consumers))
        await after(LINGER + OVERLAP)
        assert not ended(people[4])
