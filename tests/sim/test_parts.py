"""A room that is too large for one worker: who is placed where, and what all the workers are told."""

import random
from functools import partial

import pytest
from attrs import evolve
from trio.testing import wait_all_tasks_blocked

from palaver_media import worker_messages as worker
from palaver_protocol.models import ProducerId, RoomId, TransportId
from palaver_protocol.negotiate import (
    ABS_SEND_TIME,
    AUDIO_LEVEL,
    EXTENSION_IDS,
    OPUS_PAYLOAD_TYPE,
    VIDEO_ORIENTATION,
    VP8_PAYLOAD_TYPE,
)
from palaver_server.policy import Policy
from sim.books import fleet_of
from world import CAPABILITIES, DTLS, OPUS, open_media, talk, world

pytestmark = pytest.mark.trio

ABOVE = 2  # consumers
POLICY = Policy(spread_above=ABOVE, speakers=None)
SOUND_IDS = (EXTENSION_IDS[ABS_SEND_TIME], EXTENSION_IDS[AUDIO_LEVEL])
PICTURE_IDS = (EXTENSION_IDS[ABS_SEND_TIME], EXTENSION_IDS[VIDEO_ORIENTATION])
VP8 = {"codecs": [{"mimeType": "video/VP8", "payloadType": 96, "clockRate": 90000}], "encodings": [{"ssrc": 7}]}


async def hear(person, room_id, *producers):
    """Consume these tracks; the ids of the consumers."""
    ask = partial(person.does, "consume", roomId=room_id, rtpCapabilities=CAPABILITIES)
    return [(await ask(producerId=each))["params"]["id"] for each in producers]


async def fill(w, room_id, person, count=ABOVE + 1):
    """Have somebody talk on so many tracks, and hear them all himself."""
    transport = await open_media(person, room_id, "send")
    produce = partial(person.does, "produce", roomId=room_id, transportId=transport, kind="audio")
    tracks = [{**OPUS, "encodings": [{"ssrc": 1 + each}]} for each in range(count)]
    producers = [(await produce(rtpParameters=each))["producerId"] for each in tracks]
    await open_media(person, room_id, "receive")
    await hear(person, room_id, *producers)
    return producers


async def port_of(person, room_id, direction="send"):
    """Where somebody's new transport is."""
    params = (await person.does("createTransport", roomId=room_id, direction=direction))["params"]
    return params["iceCandidates"][0]["port"]


async def spread(w, host, *others):
    """A room over the first two workers: `host` alone is on the first one with three tracks; and those."""
    room_id = await w.room(host, *others)
    tracks = await fill(w, room_id, host)
    last = await w.person(f"last-{len(w.exchange.rooms.open)}")
    await last.does("joinRoom", roomId=room_id)
    assert await port_of(last, room_id) == 40000
    await last.does("leaveRoom", roomId=room_id)
    return room_id, tracks


# -- who is placed where -----------------------------------------------------------------------------------------------
async def test_newcomers_of_a_large_room_are_placed_on_another_worker(autojump_clock):
    fleet = fleet_of(3)
    async with world(policy=POLICY, pool=fleet.pool) as w:
        ann, bob, eve, ida = await w.people("ann", "bob", "eve", "ida")
        room_id = await w.room(ann, bob, eve, ida)
        tracks = await fill(w, room_id, ann, ABOVE)
        assert await port_of(bob, room_id) == 40000  # there are as many as may be
        assert len(w.state(room_id).media.parts.places) == 1
        await open_media(bob, room_id, "receive")
        await hear(bob, room_id, tracks[0])
        assert await port_of(eve, room_id) == 40000  # the one with whom it is noticed
        for direction in ("send", "receive", "send"):
            assert await port_of(ida, room_id, direction) == 40001
        assert await port_of(bob, room_id) == 40000  # who is there stays there
        assert [seat.part for seat in w.state(room_id).seats.values()] == [0, 0, 0, 1]
        assert {seat for _, seat in fleet[1].transports.values()} == {"ida"}
        assert {seat for _, seat in fleet[0].transports.values()} == {"ann", "bob", "eve"}
        assert [len(each.rooms) for each in fleet.pool.workers] == [1, 1, 0]


async def test_a_seat_without_transports_goes_where_there_is_most_room(autojump_clock):
    fleet = fleet_of(3)
    async with world(policy=POLICY, pool=fleet.pool) as w:
        ann, bob = await w.people("ann", "bob")
        room_id, _ = await spread(w, ann, bob)
        assert await port_of(bob, room_id) == 40001
        again = await w.person("ann again", "ann")
        await again.does("joinRoom", roomId=room_id)  # who will hear as much as before
        assert await port_of(again, room_id) == 40000
        assert await port_of(again, room_id, "receive") == 40000


async def test_no_more_workers_than_are_in_use_are_taken(autojump_clock):
    fleet = fleet_of(3)
    async with world(policy=POLICY, pool=fleet.pool) as w:
        ann, bob, eve, ida = await w.people("ann", "bob", "eve", "ida")
        room_id, tracks = await spread(w, ann, bob, eve, ida)
        await open_media(bob, room_id, "receive")
        await hear(bob, room_id, *tracks)
        assert await port_of(eve, room_id) == 40000
        assert await port_of(ida, room_id) == 40001  # eve will hear as many
        assert not fleet[2].told


async def test_with_one_worker_in_use_a_room_does_not_spread(autojump_clock):
    fleet = fleet_of(2)
    async with world(policy=POLICY, pool=fleet.pool) as w:
        ann, bob = await w.people("ann", "bob")
        room_id, _ = await spread(w, ann, bob)
        fleet.pool.workers[0].reported(worker.Draining())
        assert await port_of(bob, room_id) == 40000
        assert not fleet[1].told


async def test_a_wish_is_granted_once_a_worker_is_there_that_does_not_drain(autojump_clock):
    fleet = fleet_of(3)
    fleet.pool.workers[1].reported(worker.Draining())
    fleet.die(2)
    async with world(policy=POLICY, pool=fleet.pool) as w:
        ann, bob, eve = await w.people("ann", "bob", "eve")
        room_id, _ = await spread(w, ann, bob, eve)
        assert len(w.state(room_id).media.parts.places) == 1
        fleet.up(2)
        assert await port_of(bob, room_id) == 40000
        assert await port_of(eve, room_id) == 40002
        assert not fleet[1].told


async def test_a_part_is_on_the_least_loaded_worker(autojump_clock):
    fleet = fleet_of(4)
    async with world(policy=POLICY, pool=fleet.pool) as w:
        ann, bob, eve = await w.people("ann", "bob", "eve")
        fleet.pool.workers[1].reported(worker.Beat(consumers=10))
        room_id, _ = await spread(w, ann, bob)
        assert await port_of(bob, room_id) == 40002
        assert fleet.pool.workers[2].load > 0  # at once
        await w.room(eve, name="attic")
        assert [len(each.rooms) for each in fleet.pool.workers] == [1, 0, 1, 1]


async def test_people_who_open_transports_before_anybody_consumes_are_spread(autojump_clock):
    fleet = fleet_of(3)
    async with world(policy=POLICY, pool=fleet.pool) as w:
        ann, *others = await w.people("ann", *(f"p{number}" for number in range(10)))
        room_id = await w.room(ann, *others)
        await talk(ann, room_id)
        for person in others:
            await open_media(person, room_id, "receive")
        parts = [seat.part for seat in w.state(room_id).seats.values()]
        assert parts == [0, 0, 0, 0, 1, 1, 1, 1, 0, 1, 0]


async def test_slots_and_pictures_are_what_there_is_to_hear_in_a_big_room(autojump_clock):
    fleet = fleet_of(3)
    async with world(policy=evolve(POLICY, speakers=1, speakers_above=1, spread_above=9), pool=fleet.pool) as w:
        people = await w.people("ann", "bob", "cem")
        room_id = await w.room(*people)
        state = w.state(room_id)
        await talk(people[0], room_id)
        assert state.talk.to_hear() == 1
        await talk(people[1], room_id)
        await talk(people[2], room_id)
        assert state.talk.big.slots
        assert state.talk.to_hear() == 1
        (sent,) = state.seats["cem"].transports
        await people[2].does("produce", roomId=room_id, transportId=sent, kind="video", rtpParameters=VP8)
        assert state.talk.to_hear() == 2
        assert state.media.parts.load(state.talk.to_hear()) == {0: 6}


async def test_a_room_of_thirty_who_all_talk_and_show_themselves_is_on_one_worker(autojump_clock):
    fleet = fleet_of(3)
    async with world(pool=fleet.pool) as w:
        people = await w.people(*(f"p{number}" for number in range(30)))
        room_id = await w.room(*people)
        for person in people:
            await talk(person, room_id)
            (sent,) = w.state(room_id).seats[person.welcome.data["userId"]].transports
            await person.does("produce", roomId=room_id, transportId=sent, kind="video", rtpParameters=VP8)
            await open_media(person, room_id, "receive")
        assert len(w.state(room_id).media.parts.places) == 1


# -- what the workers are told -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("host", "reached"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("192.0.2.9",) * 2]
)
async def test_two_workers_have_one_pipe_whose_ends_fit(autojump_clock, host, reached):
    fleet = fleet_of(3, host)
    async with world(policy=POLICY, pool=fleet.pool) as w:
        ann, bob, eve = await w.people("ann", "bob", "eve")
        await spread(w, ann, bob)
        await spread(w, eve)  # on the second worker first
        one, other = fleet[0].of(worker.OpenPipe), fleet[1].of(worker.OpenPipe)
        assert len(one) == len(other) == 1
        assert one[0].transport == other[0].transport
        assert (one[0].host, one[0].port, other[0].host, other[0].port) == (reached, 40001, reached, 40000)
        assert (one[0].inbound, one[0].outbound) == (other[0].outbound, other[0].inbound)
        assert one[0].inbound != one[0].outbound
        assert len(bytes.fromhex(one[0].inbound)) == len(bytes.fromhex(one[0].outbound)) == 28


async def test_each_track_is_carried_once_to_each_other_part(autojump_clock):
    fleet = fleet_of(4)
    async with world(policy=POLICY, pool=fleet.pool) as w:
        ann, bob, eve, ida = await w.people("ann", "bob", "eve", "ida")
        room_id, tracks = await spread(w, ann, bob, eve, ida)
        assert [each.producer for each in fleet[1].of(worker.AddProducer)] == tracks
        voice, *_ = bobs = await fill(w, room_id, bob)
        (pipe,) = fleet[0].pipes
        (there, *_), (here, *_) = fleet[1].of(worker.AddProducer)[3:], fleet[1].of(worker.AddConsumer)[3:]
        assert there.transport != pipe
        assert [each.producer for each in fleet[0].of(worker.AddProducer)[3:]] == bobs
        carried = fleet[0].of(worker.AddProducer)[3]
        kind, codec = worker.MediaKind.AUDIO, {OPUS_PAYLOAD_TYPE: OPUS_PAYLOAD_TYPE}
        ids = {each: each for each in SOUND_IDS}
        assert carried == worker.AddProducer(
            pipe, voice, kind, 48000, carried.ssrc, codec, ids, router=room_id, seat="bob"
        )
        away = next(each for each in fleet[1].of(worker.AddConsumer) if each.producer == voice)
        cname = w.state(room_id).seats["bob"].cname
        assert away == worker.AddConsumer(pipe, f"{voice}>0", voice, carried.ssrc, "", cname, SOUND_IDS)
        assert worker.ResumeConsumer(f"{voice}>0") in fleet[1].told
        assert here.producer

        await open_media(eve, room_id, "send")  # both parts are large: one more comes
        assert [each.producer for each in fleet[2].of(worker.AddProducer)] == [*tracks, *bobs]
        sent = await open_media(ida, room_id, "send")
        answer = await ida.does("produce", roomId=room_id, transportId=sent, kind="video", rtpParameters=VP8)
        for number in (0, 1):
            picture = fleet[number].producers[answer["producerId"]]
            assert picture.extensions == {each: each for each in PICTURE_IDS}
            assert (picture.payload_types, picture.clock_rate) == ({VP8_PAYLOAD_TYPE: VP8_PAYLOAD_TYPE}, 90_000)
            assert (picture.media, picture.seat) == (worker.MediaKind.VIDEO, "ida")
            carried = fleet[2].consumers[f"{answer['producerId']}>{number}"]
            assert carried.transport in fleet[2].pipes
            assert carried.rtx is None
        check(w, fleet)


async def test_who_listens_on_another_part_consumes_the_track_by_the_same_id(autojump_clock):
    fleet = fleet_of(3)
    async with world(policy=POLICY, pool=fleet.pool) as w:
        ann, bob = await w.people("ann", "bob")
        room_id, (track, *_) = await spread(w, ann, bob)
        await open_media(bob, room_id, "receive")
        (consumer,) = await hear(bob, room_id, track)
        await bob.does("resumeConsumer", roomId=room_id, consumerId=consumer)
        await bob.does("pauseConsumer", roomId=room_id, consumerId=consumer)
        assert fleet[1].consumers[consumer].producer == track
        assert fleet[1].told[-2:] == [worker.ResumeConsumer(consumer), worker.PauseConsumer(consumer)]
        assert consumer not in fleet[0].consumers


async def closes_a_track(w, ann, room_id, tracks):
    for track in tracks:
        await ann.does("closeProducer", roomId=room_id, producerId=track)


async def leaves(w, ann, room_id, tracks):
    await ann.does("leaveRoom", roomId=room_id)


async def goes_on_elsewhere(w, ann, room_id, tracks):
    again = await w.person("ann again", "ann")
    await again.does("joinRoom", roomId=room_id)


async def opens_another_transport(w, ann, room_id, tracks):
    await open_media(ann, room_id, "send")


async def loses_the_transport(w, ann, room_id, tracks):
    (sent,) = [key for key, of in w.state(room_id).seats["ann"].transports.items() if of.direction.value == "send"]
    (room,) = [room for room in w.exchange.rooms.open.values() if room.state.room_id == room_id]
    room.router.shares[0].end.process.tell(worker.CloseTransport(sent))  # as it has done by itself
    room.reported(worker.TransportFailed(room_id, sent, "consent"))


@pytest.mark.parametrize(
    "ends", [closes_a_track, leaves, goes_on_elsewhere, opens_another_transport, loses_the_transport]
)
async def test_a_track_that_ends_is_closed_everywhere(autojump_clock, ends):
    fleet = fleet_of(3)
    async with world(policy=POLICY, pool=fleet.pool) as w:
        ann, bob = await w.people("ann", "bob")
        room_id, tracks = await spread(w, ann, bob)
        await open_media(bob, room_id, "receive")
        await hear(bob, room_id, *tracks)
        await ends(w, ann, room_id, tracks)
        await wait_all_tasks_blocked()
        for books in (fleet[0], fleet[1]):
            assert not books.producers
            assert not [each for each in books.consumers.values() if each.transport in books.pipes]
        assert not fleet[1].consumers
        check(w, fleet)


async def test_who_speaks_is_told_once_however_many_workers_hear_it(autojump_clock):
    fleet = fleet_of(3)
    async with world(policy=POLICY, pool=fleet.pool) as w:
        ann, bob = await w.people("ann", "bob")
        room_id, (track, *_) = await spread(w, ann, bob)
        await wait_all_tasks_blocked()
        for number, level in ((1, 9), (0, 8), (1, 7)):
            fleet.pool.workers[number].reported(worker.SpeakersChanged(room_id, (worker.Speaking(track, level),)))
            await wait_all_tasks_blocked()
        assert [told["speakers"][0]["level"] for told in bob.heard("activeSpeakers")] == [8]


async def test_a_transport_may_fail_on_any_part(autojump_clock):
    fleet = fleet_of(3)
    async with world(policy=POLICY, pool=fleet.pool) as w:
        ann, bob = await w.people("ann", "bob")
        room_id, _ = await spread(w, ann, bob)
        voice = await talk(bob, room_id)
        (transport,) = w.state(room_id).seats["bob"].transports
        fleet.pool.workers[1].process.tell(worker.CloseTransport(transport))  # as it has done by itself
        fleet.pool.workers[1].reported(worker.TransportFailed(room_id, transport, "dtls"))
        assert await bob.expect("transportFailed") == {"transportId": transport, "reason": "dtls"}
        assert await ann.expect("producerClosed") == {"producerId": voice, "userId": "bob"}
        check(w, fleet)


# -- speakers in place of voices ---------------------------------------------------------------------------------------
async def test_speakers_are_on_all_parts_also_on_those_that_come_later(autojump_clock):
    fleet = fleet_of(4)
    async with world(policy=POLICY, pool=fleet.pool) as w:
        ann, bob, eve = await w.people("ann", "bob", "eve")
        room_id, _ = await spread(w, ann, bob, eve)
        room = w.exchange.rooms.open[RoomId(room_id)]
        added = worker.AddSpeakers(room_id, ("s1", "s2"), 48_000)
        room.do(partial(room.state.media.parts.tell_all, added))
        assert added in fleet[0].told
        assert added in fleet[1].told
        await fill(w, room_id, bob)
        await open_media(eve, room_id, "send")
        both = {"s1", "s2"}
        assert [set(books.speakers) for books in fleet] == [both, both, both, set()]
        for speaker in both:
            room.do(partial(room.state.media.parts.tell_all, worker.CloseProducer(speaker)))
        assert not any(books.speakers for books in fleet)
        assert room.state.media.parts.speakers is None


async def test_a_voice_whose_listeners_are_dismissed_is_still_carried(autojump_clock):
    fleet = fleet_of(3)
    async with world(policy=POLICY, pool=fleet.pool) as w:
        ann, bob = await w.people("ann", "bob")
        room_id, (track, *_) = await spread(w, ann, bob)
        await open_media(bob, room_id, "receive")
        await hear(bob, room_id, track)
        room = w.exchange.rooms.open[RoomId(room_id)]

        def dismiss():
            room.state.media.forget_producer(list(room.state.seats.values()), ProducerId(track))
            room.state.media.parts.tell_all(worker.CloseConsumers(track))

        room.do(dismiss)
        check(w, fleet)
        assert [each.producer for each in fleet[0].consumers.values()].count(track) == 1
        assert f"{track}>1" in fleet[0].consumers


# -- deaths ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("victim", [0, 1])
async def test_when_the_worker_of_any_part_dies_the_whole_room_begins_anew(autojump_clock, victim):
    fleet = fleet_of(3)
    async with world(policy=POLICY, pool=fleet.pool) as w:
        ann, bob, eve = await w.people("ann", "bob", "eve")
        room_id, tracks = await spread(w, ann, bob, eve)
        await open_media(bob, room_id, "receive")
        await hear(bob, room_id, *tracks)
        await talk(bob, room_id)
        room = w.exchange.rooms.open[RoomId(room_id)]
        room.do(partial(room.state.media.parts.tell_all, worker.AddSpeakers(room_id, ("s1",), 48_000)))
        fleet.die(victim)
        for person in (ann, bob, eve):
            assert (await person.expect("mediaReset"))["roomId"] == room_id
        survivor = fleet[1 - victim]
        assert worker.CloseRouter(room_id) in survivor.told
        assert not survivor.transports
        assert not survivor.producers
        assert not survivor.consumers
        state = w.state(room_id)
        assert len(state.media.parts.places) == 1
        assert not any(books.speakers for books in fleet)
        assert [len(each.rooms) for each in fleet.pool.workers if each.takes_rooms] in ([1, 0], [0, 1])
        ports = [await port_of(person, room_id) for person in (ann, bob, eve)]
        assert ports[0] == ports[1] != ports[2]  # they will hear as much as before
        await wait_all_tasks_blocked()
        assert [len(person.heard("mediaReset")) for person in (ann, bob, eve)] == [1, 1, 1]
        check(w, fleet)


@pytest.mark.parametrize("has_been_used", [False, True])
async def test_when_the_worker_of_a_part_without_people_dies_the_others_go_on(autojump_clock, has_been_used):
    fleet = fleet_of(4)
    async with world(policy=POLICY, pool=fleet.pool) as w:
        ann, bob, eve = await w.people("ann", "bob", "eve")
        room_id, _ = await spread(w, ann, bob, eve)
        room = w.exchange.rooms.open[RoomId(room_id)]
        room.do(partial(room.state.media.parts.tell_all, worker.AddSpeakers(room_id, ("s1",), 48_000)))
        if has_been_used:
            await fill(w, room_id, bob)
            await bob.does("leaveRoom", roomId=room_id)
        assert not fleet[1].transports
        fleet.die(1)
        await wait_all_tasks_blocked()
        assert room_id not in fleet.pool.workers[1].rooms
        assert not [each for each in fleet[0].consumers.values() if each.transport in fleet[0].pipes]
        fleet.up(1)
        assert await port_of(eve, room_id) == 40000  # with whom it is noticed that one part is not enough
        assert list(room.state.media.parts.places) == [0, 2]
        ida = await w.person("ida")
        await ida.does("joinRoom", roomId=room_id)
        assert await port_of(ida, room_id) in {40001, 40002}
        assert {"s1"} == set(fleet[0].speakers) == set(fleet[room.router.shares[2].place.port - 40000].speakers)
        room.do(partial(room.state.media.parts.tell_all, worker.CloseProducer("s1")))
        await wait_all_tasks_blocked()
        assert not any(person.heard("mediaReset") for person in (ann, eve, ida))
        check(w, fleet)


async def test_when_the_worker_of_the_first_part_has_gone_the_next_one_tells_who_speaks(autojump_clock):
    fleet = fleet_of(3)
    async with world(policy=POLICY, pool=fleet.pool) as w:
        ann, bob = await w.people("ann", "bob")
        room_id, _ = await spread(w, ann, bob)
        voice = await talk(bob, room_id)
        await ann.does("leaveRoom", roomId=room_id)
        fleet.die(0)
        await wait_all_tasks_blocked()
        fleet.pool.workers[1].reported(worker.SpeakersChanged(room_id, (worker.Speaking(voice, 9),)))
        await wait_all_tasks_blocked()
        assert [told["speakers"][0]["level"] for told in bob.heard("activeSpeakers")] == [9]
        assert not bob.heard("mediaReset")
        check(w, fleet)
        fleet.die(1)
        await bob.expect("mediaReset")
        await wait_all_tasks_blocked()
        assert list(w.state(room_id).media.parts.places) == [0]


async def test_a_successor_has_a_pipe_of_its_own(autojump_clock):
    fleet = fleet_of(3)
    async with world(policy=POLICY, pool=fleet.pool) as w:
        ann, bob, eve = await w.people("ann", "bob", "eve")
        await spread(w, ann, bob)
        (before,) = fleet[0].of(worker.OpenPipe)
        fleet.die(1)
        await wait_all_tasks_blocked()
        fleet.up(1)
        assert worker.CloseTransport(before.transport) in fleet[0].told
        assert not fleet[0].pipes
        await ann.does("endCall", roomId=w.exchange.rooms.where["ann"].state.room_id)
        await wait_all_tasks_blocked()
        await spread(w, eve)
        pipes = [each for books in fleet for each in books.of(worker.OpenPipe) if each != before]
        assert len({each.transport for each in pipes}) == 1
        assert before.inbound not in {key for each in pipes for key in (each.inbound, each.outbound)}
        check(w, fleet)


async def test_a_room_that_ends_leaves_nothing_on_any_worker(autojump_clock):
    fleet = fleet_of(3)
    async with world(policy=POLICY, pool=fleet.pool) as w:
        ann, bob = await w.people("ann", "bob")
        room_id, tracks = await spread(w, ann, bob)
        await open_media(bob, room_id, "receive")
        await hear(bob, room_id, *tracks)
        await ann.does("endCall", roomId=room_id)
        await wait_all_tasks_blocked()
        assert [len(each.rooms) for each in fleet.pool.workers] == [0, 0, 0]
        check(w, fleet)


# -- whatever happens --------------------------------------------------------------------------------------------------
def check(w, fleet):
    """What the workers have is what the rooms believe: no more and no less."""
    transports, producers, consumers, speakers, held = set(), set(), set(), set(), set()
    for room in w.exchange.rooms.open.values():
        parts = room.state.media.parts
        shares = {} if room.router is None else room.router.shares
        numbers = {part: share.place.port - 40000 for part, share in shares.items()}
        assert len(numbers) == len(set(numbers.values()))
        assert numbers.keys() == parts.places.keys()
        for seat in room.state.seats.values():
            here = numbers[seat.part] if seat.transports else None
            transports |= {(here, key) for key in seat.transports}
            producers |= {(number, key) for key in seat.producers for number in numbers.values()}
            consumers |= {(here, key) for key in seat.consumers}
            held |= {(here, key) for key in seat.producers if seat.is_muted}
            for part, number in numbers.items():
                consumers |= {(here, f"{key}>{part}") for key in seat.producers if number != here}
        speakers |= {(number, key) for key in slots_of(room.state) for number in numbers.values()}
    having = [(number, fleet[number]) for number in sorted(fleet.books)]
    assert {(number, key) for number, books in having for key in books.transports} == transports
    assert {(number, key) for number, books in having for key in books.producers} == producers
    assert {(number, key) for number, books in having for key in books.consumers} == consumers
    assert {(number, key) for number, books in having for key in books.speakers} == speakers
    assert {(number, key) for number, books in having for key in books.held} == held
    check_pipes(fleet)


def slots_of(state):
    """The tracks that carry whoever speaks, also those that are about to end."""
    return [*state.talk.big.slots, *state.talk.big.old_slots]


def check_pipes(fleet):
    """Whatever is sent on a pipe is expected at its other end, and nothing else."""
    sent, expected = set(), set()
    for books in fleet:
        sent |= {(x.transport, x.ssrc, x.producer) for x in books.consumers.values() if x.transport in books.pipes}
        expected |= {(x.transport, x.ssrc, x.producer) for x in books.producers.values() if x.transport in books.pipes}
    assert sent == expected


class Walk:
    """Things that happen to rooms and workers at random."""

    NAMES = tuple(f"p{number}" for number in range(12))

    def __init__(self, w, fleet, people, clock, dice):
        self.w, self.fleet, self.people, self.clock, self.dice = w, fleet, people, clock, dice

    async def step(self):
        steps = {
            self.settles: 8,
            self.joins: 2,
            self.leaves: 2,
            self.opens: 3,
            self.produces: 6,
            self.consumes: 12,
            self.closes: 2,
            self.transport_fails: 1,
            self.mutes: 3,
            self.worker_dies: 0.1,
            self.worker_comes: 1,
            self.worker_drains: 0.05,
        }
        (step,) = self.dice.choices(list(steps), list(steps.values()))
        await step(self.dice.choice(self.NAMES))
        self.clock.jump(1)  # so that nobody asks too much
        await wait_all_tasks_blocked()
        check(self.w, self.fleet)

    def room_of(self, name):
        return self.w.exchange.rooms.where.get(name)

    def any_track(self, room):
        tracks = [key for seat in room.state.seats.values() for key in seat.producers]
        tracks += slots_of(room.state)
        return self.dice.choice(tracks) if tracks else None

    async def ask(self, name, event, **payload):
        return await self.people[name].ask(event, roomId=self.room_of(name).state.room_id, **payload)

    async def joins(self, name):
        (room,) = self.dice.choices(("den", "attic"), (9, 1))
        asked = {"roomType": "group", "roomName": room, "joinExisting": True}
        await self.people[name].ask("createRoom", leaveCurrent=self.dice.random() < 0.1, **asked)

    async def settles(self, name):
        await self.joins(name)
        for direction in ("send", "receive"):
            await self.opens(name, direction)
        await self.produces(name)
        for _ in range(4):
            await self.consumes(name)

    async def leaves(self, name):
        if self.room_of(name):
            await self.ask(name, "leaveRoom")

    async def opens(self, name, direction=None):
        if self.room_of(name):
            direction = direction or self.dice.choice(("send", "receive"))
            answer = await self.ask(name, "createTransport", direction=direction)
            if answer["success"]:
                await self.people[name].does(
                    "connectTransport", transportId=answer["params"]["id"], dtlsParameters=DTLS
                )

    async def produces(self, name):
        if (room := self.room_of(name)) and (sent := room.state.seats[name].transports):
            said = {**OPUS, "encodings": [{"ssrc": self.dice.randint(1, 9)}]}
            await self.ask(name, "produce", transportId=self.dice.choice(list(sent)), kind="audio", rtpParameters=said)

    async def consumes(self, name):
        if (room := self.room_of(name)) and (track := self.any_track(room)):
            answer = await self.ask(name, "consume", producerId=track, rtpCapabilities=CAPABILITIES)
            if answer["success"]:
                await self.ask(name, "resumeConsumer", consumerId=answer["params"]["id"])

    async def closes(self, name):
        if (room := self.room_of(name)) and (own := room.state.seats[name].producers):
            await self.ask(name, "closeProducer", producerId=self.dice.choice(list(own)))

    async def transport_fails(self, name):
        if (room := self.room_of(name)) and (own := room.state.seats[name].transports):
            failed = TransportId(self.dice.choice(list(own)))
            share = room.router.shares[room.state.seats[name].part]
            share.end.process.tell(worker.CloseTransport(failed))  # as it has done by itself
            share.worker.reported(worker.TransportFailed(room.state.room_id, failed, "consent"))

    async def mutes(self, name):
        if self.room_of(name):
            await self.ask(name, "mediaStateChanged", isMuted=self.dice.random() < 0.5, isVideoEnabled=False)

    async def worker_dies(self, name):
        if self.fleet.books:
            self.fleet.die(self.dice.choice(list(self.fleet.books)))

    async def worker_comes(self, name):
        if gone := set(range(len(self.fleet.pool.workers))) - self.fleet.books.keys():
            self.fleet.up(self.dice.choice(sorted(gone)))

    async def worker_drains(self, name):
        self.dice.choice(self.fleet.pool.workers).reported(worker.Draining())


async def walk(clock, seed, steps):
    """Take so many steps, and clear up; how many parts a room with speakers had at most."""
    fleet, dice, most = fleet_of(5), random.Random(seed), 0
    async with world(policy=Policy(spread_above=2, speakers=2, speakers_above=5), pool=fleet.pool) as w:
        people = {name: await w.person(name) for name in Walk.NAMES}
        walking = Walk(w, fleet, people, clock, dice)
        for _ in range(steps):
            await walking.step()
            states = [room.state for room in w.exchange.rooms.open.values() if room.state.talk.big.slots]
            most = max([most, *(len(state.media.parts.places) for state in states)])
        for name in Walk.NAMES:
            await walking.leaves(name)
        await wait_all_tasks_blocked()
        assert not any(each.rooms for each in fleet.pool.workers)
        for books in fleet:
            assert not books.transports
            assert not books.producers
            assert not books.consumers
            assert not books.speakers
    return most


@pytest.mark.parametrize("seed", range(3))
async def test_all_workers_have_what_the_rooms_believe(autojump_clock, seed):
    assert await walk(autojump_clock, seed, 200) >= 3


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(100, 110))
async def test_all_workers_have_what_the_rooms_believe_for_long(autojump_clock, seed):
    assert await walk(autojump_clock, seed, 2_000) >= 3
