"""Rooms with many open microphones: a few speakers take the place of all voices, and give it back."""

from __future__ import annotations

import pytest
import trio
from attrs import evolve
from trio.testing import wait_all_tasks_blocked

from palaver_media import worker_messages as worker
from palaver_protocol.negotiate import EXTENSION_IDS, MID, OPUS_PAYLOAD_TYPE
from palaver_server import room_media
from palaver_server.policy import DEFAULT
from palaver_server.room_speakers import LINGER, OVERLAP
from sim.listeners import PLAIN, VIDEO
from world import CAPABILITIES, OPUS, cut, open_media, talk, world

pytestmark = pytest.mark.trio

BIG = evolve(DEFAULT, speakers=2, speakers_above=4)
NAMES = ("ann", "bob", "cem", "dan", "eve")
SLOTS = ["speaker-1", "speaker-2"]


async def mute(person, room_id, *, is_muted=True):
    await person.does("mediaStateChanged", roomId=room_id, isMuted=is_muted, isVideoEnabled=False)


async def consume(person, room_id, producer):
    return await person.ask("consume", roomId=room_id, producerId=producer, rtpCapabilities=CAPABILITIES)


def tracks(person):
    """What somebody was told of tracks, in this order."""
    return [(name, told["producerId"]) for name, told in person.notices if name in ("newProducer", "producerClosed")]


def slots(w, room_id):
    return list(w.state(room_id).talk.big.slots)


async def crowd(w, number=5):
    """A room of five with so many open microphones: the people, the room, the voices."""
    people = await w.people(*NAMES)
    room_id = await w.room(*people)
    voices = [await talk(person, room_id) for person in people[:number]]
    await wait_all_tasks_blocked()
    return people, room_id, voices


async def test_a_microphone_too_many_and_everybody_is_told_of_speakers_before_the_voices_end(autojump_clock):
    async with world(policy=BIG) as w:
        people, room_id, voices = await crowd(w, 4)
        ann, *_, eve = people
        assert not slots(w, room_id)
        await open_media(ann, room_id, "receive")
        for voice in voices[1:]:
            assert (await consume(ann, room_id, voice))["success"]
        for person in people:
            person.deaf()
        last = await talk(eve, room_id)
        await trio.sleep(OVERLAP)
        await wait_all_tasks_blocked()
        made = slots(w, room_id)
        for person, own in zip(people, [*voices, last], strict=True):
            begun = [told for told in person.heard("newProducer") if told["producerId"] in made]
            assert [(told["userId"], told["kind"]) for told in begun] == [(slot, "audio") for slot in SLOTS]
            assert tracks(person) == [
                *[("newProducer", slot) for slot in made],
                *[("producerClosed", voice) for voice in voices if voice != own],
            ]
        *_, added, speakers, closed, _, _, _ = w.routers.made[0].commands
        assert isinstance(added, worker.AddProducer)
        assert speakers == worker.AddSpeakers(room_id, tuple(made), 48_000)
        assert w.routers.made[0].commands[-4:] == [worker.CloseConsumers(voice) for voice in voices]
        assert closed == worker.CloseConsumers(voices[0])
        assert not w.state(room_id).seats["ann"].consumers


async def test_a_room_stays_big_until_a_quarter_of_the_microphones_is_closed(autojump_clock):
    async with world(policy=BIG) as w:
        people, room_id, voices = await crowd(w)
        ann, bob, *_ = people
        made = slots(w, room_id)
        await open_media(ann, room_id, "receive")
        assert (await consume(ann, room_id, made[0]))["success"]
        await trio.sleep(OVERLAP)
        await wait_all_tasks_blocked()
        for person in people:
            person.deaf()
        await mute(ann, room_id)
        await mute(ann, room_id)
        assert slots(w, room_id) == made
        await mute(bob, room_id)
        await trio.sleep(LINGER)
        await wait_all_tasks_blocked()
        assert slots(w, room_id) == []
        await trio.sleep(OVERLAP)
        await wait_all_tasks_blocked()
        for person, own in zip(people, voices, strict=True):
            assert tracks(person) == [
                *[("newProducer", voice) for voice in voices if voice != own],  # also of the muted ones
                *[("producerClosed", slot) for slot in made],
            ]
        assert w.routers.made[0].commands[-2:] == [worker.CloseProducer(slot) for slot in made]
        assert not w.state(room_id).seats["ann"].consumers
        await mute(ann, room_id, is_muted=False)
        assert slots(w, room_id) == []
        await mute(bob, room_id, is_muted=False)
        assert len(slots(w, room_id)) == 2
        assert not set(slots(w, room_id)) & set(made)


async def test_muted_ones_do_not_count(autojump_clock):
    async with world(policy=BIG) as w:
        people = await w.people(*NAMES)
        room_id = await w.room(*people)
        await mute(people[0], room_id)
        for person in people:
            await talk(person, room_id)
        assert not slots(w, room_id)
        await mute(people[0], room_id, is_muted=False)
        assert slots(w, room_id)


async def test_a_speaker_is_consumed_as_a_voice_is(autojump_clock, monkeypatch):
    async with world(policy=BIG) as w:
        (ann, *_), room_id, _ = await crowd(w)
        made = slots(w, room_id)
        assert (await consume(ann, room_id, made[0]))["code"] == "notFound"  # no transport for receiving
        transport = await open_media(ann, room_id, "receive")
        params = [(await consume(ann, room_id, slot))["params"] for slot in made]
        assert [each["kind"] for each in params] == ["audio", "audio"]
        (codec,) = params[0]["rtpParameters"]["codecs"]
        assert (codec["mimeType"], codec["payloadType"], codec["channels"]) == ("audio/opus", OPUS_PAYLOAD_TYPE, 2)
        cnames = [each["rtpParameters"]["rtcp"]["cname"] for each in params]
        assert len(set(cnames)) == 2
        added = w.routers.made[0].told(worker.AddConsumer)
        assert added == [
            worker.AddConsumer(
                transport,
                each["id"],
                each["producerId"],
                each["rtpParameters"]["encodings"][0]["ssrc"],
                str(number),
                cname,
                (EXTENSION_IDS[MID],),
            )
            for number, (each, cname) in enumerate(zip(params, cnames, strict=True))
        ]
        await ann.does("resumeConsumer", roomId=room_id, consumerId=params[0]["id"])
        again = (await consume(ann, room_id, made[0]))["params"]
        assert worker.CloseConsumer(params[0]["id"]) in w.routers.made[0].commands
        assert list(w.state(room_id).seats["ann"].consumers) == [params[1]["id"], again["id"]]
        assert await ann.may_not("closeProducer", roomId=room_id, producerId=made[0]) == "notFound"
        monkeypatch.setattr(room_media, "MAX_CONSUMERS", 1)
        assert (await consume(ann, room_id, made[0]))["code"] == "full"


async def test_a_speaker_of_another_room_is_not_there(autojump_clock):
    async with world(policy=BIG) as w:
        _, room_id, _ = await crowd(w)
        ida = await w.person("ida")
        attic = await w.room(ida, name="attic")
        await open_media(ida, attic, "receive")
        assert (await consume(ida, attic, slots(w, room_id)[0]))["code"] == "notFound"


async def test_a_person_can_be_heard_by_name(autojump_clock):
    async with world(policy=BIG) as w:
        (ann, bob, *others), room_id, voices = await crowd(w)
        await open_media(ann, room_id, "receive")
        assert (await consume(ann, room_id, voices[1]))["success"]
        assert list(w.state(room_id).seats["ann"].consumers.values()) == [voices[1]]
        for person in (ann, *others):
            person.deaf()
        await bob.does("closeProducer", roomId=room_id, producerId=voices[1])
        assert await ann.expect("producerClosed") == {"producerId": voices[1], "userId": "bob"}
        assert not w.state(room_id).seats["ann"].consumers


async def test_who_joins_a_big_room_is_told_of_its_speakers(autojump_clock):
    async with world(policy=BIG) as w:
        people, room_id, _ = await crowd(w)
        ida = await w.person("ida")
        for person in people:
            person.deaf()
        room = (await ida.does("joinRoom", roomId=room_id))["room"]
        made = slots(w, room_id)
        assert room["speakerIds"] == [{"producerId": slot, "kind": "audio"} for slot in made]
        assert [person["producerIds"] for person in room["participants"]] == [[]] * 6
        assert tracks(ida) == [("newProducer", slot) for slot in made]
        assert not any(tracks(person) for person in people)
        again = await w.person("ida")  # another connection takes the seat along
        room = (await again.does("joinRoom", roomId=room_id))["room"]
        assert [each["producerId"] for each in room["speakerIds"]] == made
        assert tracks(again) == [("newProducer", slot) for slot in made]


async def test_a_small_room_has_no_speakers_to_show(autojump_clock):
    async with world(policy=BIG) as w:
        _, room_id, voices = await crowd(w, 4)
        ida = await w.person("ida")
        room = (await ida.does("joinRoom", roomId=room_id))["room"]
        assert room["speakerIds"] == []
        told = [track["producerId"] for person in room["participants"] for track in person["producerIds"]]
        assert told == voices


async def test_a_new_voice_in_a_big_room_is_not_announced_but_to_its_owner(autojump_clock):
    async with world(policy=BIG) as w:
        people, room_id, _ = await crowd(w)
        for person in people:
            person.deaf()
        assert await talk(people[0], room_id)  # over a new transport, so that the voice before ends
        await wait_all_tasks_blocked()
        assert not any(person.heard("newProducer") for person in people)
        assert len(slots(w, room_id)) == 2


async def test_what_speakers_cannot_carry_is_announced_as_ever(autojump_clock):
    async with world(policy=BIG) as w:
        people, room_id, _ = await crowd(w, 4)
        ann, bob, *_, eve = people
        transport = await open_media(eve, room_id, "send")

        async def produce(kind, parameters, ssrc):
            parameters = {**parameters, "encodings": [{"ssrc": ssrc}]}
            answer = await eve.does(
                "produce", roomId=room_id, transportId=transport, kind=kind, rtpParameters=parameters
            )
            return answer["producerId"]

        music, film = await produce("audio", PLAIN, 1), await produce("video", VIDEO, 2)
        assert not slots(w, room_id)  # a microphone that does not say how loud it is does not count
        await open_media(ann, room_id, "receive")
        assert (await consume(ann, room_id, music))["success"]
        await produce("audio", OPUS, 3)
        assert slots(w, room_id)
        assert list(w.state(room_id).seats["ann"].consumers.values()) == [music]
        bob.deaf()
        more = [await produce("audio", PLAIN, 4), await produce("video", VIDEO, 5)]
        await wait_all_tasks_blocked()
        assert tracks(bob) == [("newProducer", producer) for producer in more]
        ida = await w.person("ida")
        *_, seen, _ = (await ida.does("joinRoom", roomId=room_id))["room"]["participants"]
        assert [track["producerId"] for track in seen["producerIds"]] == [music, film, *more]


async def test_no_room_is_big_where_speakers_are_off(autojump_clock):
    async with world(policy=evolve(BIG, speakers=None)) as w:
        people, room_id, voices = await crowd(w)
        assert not slots(w, room_id)
        assert not w.routers.made[0].told(worker.AddSpeakers)
        assert tracks(people[0]) == [("newProducer", voice) for voice in voices[1:]]


async def test_people_who_leave_make_a_room_small_and_the_last_one_ends_it(autojump_clock):
    async with world(policy=BIG) as w:
        (ann, bob, cem, dan, eve), room_id, voices = await crowd(w)
        made = slots(w, room_id)
        await trio.sleep(OVERLAP)
        await wait_all_tasks_blocked()
        ann.deaf()
        await eve.does("leaveRoom", roomId=room_id)
        assert slots(w, room_id) == made
        await dan.does("leaveRoom", roomId=room_id)
        await trio.sleep(LINGER + OVERLAP)
        await wait_all_tasks_blocked()
        assert [name for name, _ in ann.notices if name in ("userLeft", "newProducer", "producerClosed")] == [
            *["userLeft"] * 2,
            *["newProducer"] * 2,
            *["producerClosed"] * 2,
        ]
        assert [told["producerId"] for told in ann.heard("newProducer")] == voices[1:3]
        for person in (ann, bob, cem):
            await person.does("leaveRoom", roomId=room_id)
        await wait_all_tasks_blocked()
        assert w.routers.made[0].commands[-1] == worker.CloseRouter(room_id)


async def test_a_failed_transport_closes_its_microphones(autojump_clock):
    async with world(policy=BIG) as w:
        people, room_id, _ = await crowd(w)
        room = w.exchange.rooms.open[room_id]
        for person in people[:2]:
            (transport,) = room.state.seats[person.welcome.data["userId"]].transports
            room.reported(worker.TransportFailed(room_id, transport, "consent"))
        assert room.state.talk.big.microphones == 3
        await trio.sleep(LINGER)
        await wait_all_tasks_blocked()
        assert not slots(w, room_id)


async def test_when_the_worker_dies_the_speakers_are_gone_and_come_again_with_the_microphones(autojump_clock):
    async with world(policy=BIG) as w:
        people, room_id, _ = await crowd(w)
        made = slots(w, room_id)
        for person in people:
            person.deaf()
        w.routers.made[0].dead.set()
        await people[0].expect("mediaReset")
        await wait_all_tasks_blocked()
        assert not tracks(people[0])
        ida = await w.person("ida")
        assert (await ida.does("joinRoom", roomId=room_id))["room"]["speakerIds"] == []
        await open_media(ida, room_id, "receive")
        assert (await consume(ida, room_id, made[0]))["code"] == "notFound"
        for person in people:
            await talk(person, room_id)
        (again,) = w.routers.made[1].told(worker.AddSpeakers)
        assert again.producers == tuple(slots(w, room_id))
        assert not set(again.producers) & set(made)


async def test_who_comes_back_to_a_big_room_is_shown_its_speakers(autojump_clock):
    async with world(policy=BIG) as w:
        _, room_id, _ = await crowd(w, 4)
        ida = await w.link()
        w.nursery.start_soon(ida.listen)
        await ida.connect({"userId": "ida", "name": "ida", "resume": ""})
        await ida.does("joinRoom", roomId=room_id)
        await talk(ida, room_id)
        made = slots(w, room_id)
        assert len(made) == 2
        await cut(ida)
        await trio.sleep(5)
        again = await w.link()
        w.nursery.start_soon(again.listen)
        await again.connect({"userId": "ida", "name": "ida", "resume": ida.welcome.data["resume"]})
        room = (await again.expect("snapshot"))["room"]
        assert [each["producerId"] for each in room["speakerIds"]] == made
        assert [person["producerIds"] for person in room["participants"]] == [[]] * 6
        await wait_all_tasks_blocked()
        assert tracks(again) == [("newProducer", slot) for slot in made]


@pytest.mark.parametrize(("user_id", "is_let_in"), [("speaker-1", False), ("speaker-77", False), ("speaker-x", True)])
async def test_nobody_is_called_like_a_speaker(autojump_clock, user_id, is_let_in):
    async with world() as w:
        person = await w.link()
        w.nursery.start_soon(person.listen)
        await person.connect({"userId": user_id, "name": "Sam"})
        assert person.is_in is is_let_in
        if not is_let_in:
            assert "userId" in person.welcome.data["message"]
