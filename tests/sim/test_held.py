"""Muted people's tracks: the media worker forwards them to nobody."""

from __future__ import annotations

import pytest

from palaver_media import worker_messages as worker
from sim.listeners import PLAIN, VIDEO
from world import OPUS, open_media, world

pytestmark = pytest.mark.trio


async def state(person, room_id, *, is_muted=False, is_video_enabled=False):
    await person.does("mediaStateChanged", roomId=room_id, isMuted=is_muted, isVideoEnabled=is_video_enabled)


async def produce(person, room_id, transport, *parameters):
    """Send these; their ids."""
    return [
        (
            await person.does(
                "produce",
                roomId=room_id,
                transportId=transport,
                kind="video" if each is VIDEO else "audio",
                rtpParameters={**each, "encodings": [{"ssrc": ssrc}]},
            )
        )["producerId"]
        for ssrc, each in enumerate(parameters, 1)
    ]


async def one(w):
    """Somebody in a room, and his transport for sending."""
    ann = await w.person("ann")
    room_id = await w.room(ann)
    return ann, room_id, await open_media(ann, room_id, "send")


def told(w):
    held = worker.PauseProducer | worker.ResumeProducer
    return [each for each in w.routers.made[0].commands if isinstance(each, held)]


async def test_all_sound_of_who_mutes_himself_is_held_until_he_unmutes_himself(autojump_clock):
    async with world() as w:
        ann, room_id, transport = await one(w)
        voice, music, _ = await produce(ann, room_id, transport, OPUS, PLAIN, VIDEO)
        await state(ann, room_id)
        assert told(w) == []
        for _ in range(2):
            await state(ann, room_id, is_muted=True)
        assert told(w) == [worker.PauseProducer(voice), worker.PauseProducer(music)]
        await state(ann, room_id)
        assert told(w)[2:] == [worker.ResumeProducer(voice), worker.ResumeProducer(music)]


async def test_what_a_muted_person_begins_to_send_is_held_at_once(autojump_clock):
    async with world() as w:
        ann, room_id, transport = await one(w)
        await state(ann, room_id, is_muted=True)
        voice, _ = await produce(ann, room_id, transport, OPUS, VIDEO)
        *_, added, held, picture = w.routers.made[0].commands
        assert (added.producer, held) == (voice, worker.PauseProducer(voice))
        assert isinstance(picture, worker.AddProducer)


async def test_a_picture_is_held_while_its_owner_says_that_it_is_off_and_never_before(autojump_clock):
    async with world() as w:
        ann, room_id, transport = await one(w)
        _, film = await produce(ann, room_id, transport, OPUS, VIDEO)
        await state(ann, room_id)
        await state(ann, room_id, is_video_enabled=True)
        assert worker.PauseProducer(film) not in told(w)
        await state(ann, room_id)
        assert told(w)[-1] == worker.PauseProducer(film)
        await state(ann, room_id, is_video_enabled=True)
        assert told(w)[-1] == worker.ResumeProducer(film)
        assert {each.producer for each in told(w)} == {film}


async def test_who_goes_on_over_another_connection_is_not_muted_until_he_says_so(autojump_clock):
    async with world() as w:
        ann, room_id, _ = await one(w)
        bob = await w.person("bob")
        await bob.does("joinRoom", roomId=room_id)
        await state(ann, room_id, is_muted=True, is_video_enabled=True)
        bob.deaf()
        again = await w.person("ann again", "ann")
        room = (await again.does("joinRoom", roomId=room_id))["room"]
        assert [person["isMuted"] for person in room["participants"]] == [False, False]
        (now,) = bob.heard("participantMediaStateUpdated")
        assert (now["userId"], now["isMuted"], now["isVideoEnabled"]) == ("ann", False, False)
        await produce(again, room_id, await open_media(again, room_id, "send"), OPUS)
        assert told(w) == []
