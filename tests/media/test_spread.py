"""A room over two real workers: all hear and see each other across, and all are back when one of the two dies."""

import os
import signal
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from media.crowd import crowd
from media.stats_pages import workers_once
from media.test_failover import BACK, all_are_back
from media_peer import video
from palaver_media import rtcp
from palaver_media.rtcp import KeyframeRequest
from running import serving

pytestmark = pytest.mark.trio

PICTURE = 5  # SSRC
QUIET = 1.2  # s without a request for a keyframe: one that is not answered is made again each second
VP8 = {"mimeType": "video/VP8", "payloadType": 96, "clockRate": 90_000}


def places(everybody):
    """The addresses of the workers that they are on; nobody is on two."""
    here = [each for each in everybody.people if each.legs]
    for each in here:
        assert len({leg.address for leg in each.legs.values()}) == 1
    return {leg.address for each in here for leg in each.legs.values()}


class Picture:
    """A track of video: each request for a keyframe is answered."""

    def __init__(self, leg):
        self.leg, self.sent, self.asked = leg, 0, []
        leg.take_rtcp = self.take

    def take(self, data):
        if KeyframeRequest(PICTURE) in rtcp.parse(self.leg.dtls.unprotect_rtcp(data)):
            self.asked.append(trio.current_time())
            self.send(is_keyframe=True)

    def send(self, *, is_keyframe):
        self.sent += 1
        self.leg.send(self.leg.dtls.protect_rtp(video(PICTURE, self.sent, is_keyframe).write()))


async def all_hear_each_other(everybody):
    """Everybody hears everybody else for a while, without gaps."""
    began = trio.current_time()
    before = {(one.name, other.name): one.heard[other.name] for one, other in everybody.pairs()}
    await everybody.until(lambda: not everybody.missing(began + 1))
    for one, other in everybody.pairs():
        assert one.heard[other.name] - before[one.name, other.name] >= 45


async def one_sees_a_picture(everybody):
    """Somebody on one worker asks for a keyframe of somebody on the other, and gets it."""
    painter = everybody.people[0]
    seer = next(each for each in everybody.people if each.legs["send"].address != painter.legs["send"].address)
    picture = Picture(painter.legs["send"])
    track = {"codecs": [VP8], "encodings": [{"ssrc": PICTURE}]}
    produce = partial(painter.person.does, "produce", roomId=painter.room_id, kind="video")
    produced = await produce(transportId=painter.legs["send"].id, rtpParameters=track)
    await everybody.until(lambda: picture.asked and trio.current_time() > picture.asked[-1] + QUIET)
    before = len(picture.asked)  # for the other worker's sake
    can = {"codecs": [{**VP8, "kind": "video"}], "headerExtensions": []}
    consume = partial(seer.person.does, "consume", roomId=seer.room_id, rtpCapabilities=can)
    params = (await consume(producerId=produced["producerId"]))["params"]
    seer._voices[params["rtpParameters"]["encodings"][0]["ssrc"]] = "the picture"
    await seer.person.does("resumeConsumer", roomId=seer.room_id, consumerId=params["id"])
    await everybody.until(lambda: seer.heard["the picture"])
    assert len(picture.asked) > before


@asynccontextmanager
async def six_on_two_workers():
    """A room of six whose last ones are on another worker than the first ones."""
    async with (
        serving("--workers", "2", "--spread-above", "4") as (url, server),
        crowd(url, rooms=1, people=3) as everybody,
    ):
        for number in range(3):
            await everybody.enter(f"late{number}", "room 0")
        await everybody.until(lambda: not everybody.missing())
        assert len(places(everybody)) == 2
        yield url, server, everybody


async def test_a_room_over_two_workers():
    async with six_on_two_workers() as (url, server, everybody):
        await all_hear_each_other(everybody)
        found = await workers_once(url, lambda up: sum(each["media"]["transports"] for each in up) == 12)
        assert sorted(each["rooms"] for each in found) == [0, 1, 1]
        assert min(each["media"]["transports"] for each in found) == 0
        assert [(each.refused, each.resets, each.broken) for each in everybody.people] == [([], [], 0)] * 6
        await one_sees_a_picture(everybody)

        for each in everybody.people:
            each.settled = len(each.person.notices)
        moment = trio.current_time()
        os.kill(next(each["pid"] for each in found if each["rooms"]), signal.SIGKILL)
        await everybody.until(partial(all_are_back, everybody, moment), BACK)
        assert [len(each.resets) for each in everybody.people] == [1] * 6
        assert len(places(everybody)) == 2  # again
        await all_hear_each_other(everybody)
        assert not everybody.noise()
        assert server.errors == []


@pytest.mark.parametrize("which", [0, 1])
async def test_a_worker_that_was_asked_to_end_and_has_nobody_left_takes_nobody_with_it(which):
    async with six_on_two_workers() as (url, server, everybody):
        first = everybody.people[0].legs["send"].address
        parts = [[], []]
        for each in everybody.people:
            parts[each.legs["send"].address != first].append(each)
        leaving, staying = parts[which], parts[1 - which]
        assert len(leaving) != len(staying)
        counted = {2 * len(part) for part in parts}
        found = await workers_once(url, lambda up: counted <= {each["media"]["transports"] for each in up})
        old = next(each["pid"] for each in found if each["media"]["transports"] == 2 * len(leaving))
        os.kill(old, signal.SIGTERM)
        await everybody.until(lambda: any("takes no more rooms" in line for line in server.errors))
        for each in leaving:
            each.scope.cancel()
        await workers_once(url, lambda up: len(up) == 3 and old not in {each["pid"] for each in up})
        await all_hear_each_other(everybody)
        late = [await everybody.enter(f"later{number}", "room 0") for number in range(3)]
        await everybody.until(lambda: not everybody.missing())
        assert len(places(everybody)) == 2
        await all_hear_each_other(everybody)
        assert not any(each.resets or each.refused or each.broken for each in [*staying, *late])
        assert len(server.errors) == 1


async def test_the_speakers_of_a_room_over_two_workers_carry_whoever_speaks_at_either():
    async with (
        serving("--workers", "2", "--spread-above", "4", "--speakers", "2", "--speakers-above", "3") as (url, server),
        crowd(url, rooms=1, people=3) as everybody,
    ):
        for number in range(3):
            await everybody.enter(f"late{number}", "room 0")
        near, far = everybody.people[0], everybody.people[-1]
        assert near.legs["send"].address != far.legs["send"].address
        for talker, listener in ((near, far), (far, near)):
            for each in everybody.people:
                each.is_silent = each is not talker
                each.heard.clear()
            await everybody.until(lambda listener=listener: sum(listener.heard.values()) > 50)
            assert listener.heard.keys() <= {"speaker-1", "speaker-2"}
        assert not any(each.broken or each.resets for each in everybody.people)
        assert server.errors == []
