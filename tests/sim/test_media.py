"""A room's media: what the router is told, in which order, and what is refused."""

from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from palaver_media import worker_messages as worker
from palaver_protocol.converter import read_request
from palaver_protocol.models import TransportId
from palaver_protocol.negotiate import AUDIO_LEVEL, EXTENSION_IDS, MID, OPUS_PAYLOAD_TYPE, VP8_RTX_PAYLOAD_TYPE
from palaver_server import room_media
from palaver_server.workers import Worker
from world import CAPABILITIES, DTLS, OPUS, open_media, talk, world

pytestmark = pytest.mark.trio

RTX = {"mimeType": "video/rtx", "clockRate": 90000}


async def test_the_router_forwards_opus_and_two_codecs_of_video(autojump_clock):
    async with world() as w:
        ann = await w.person("ann")
        capabilities = (await ann.does("getRouterRtpCapabilities", roomId=await w.room(ann)))["rtpCapabilities"]
        names = [codec["mimeType"] for codec in capabilities["codecs"]]
        assert names == ["audio/opus", "video/VP8", "video/rtx", "video/H264", "video/rtx", "audio/red"]


async def test_a_transport_says_how_its_worker_is_reached(autojump_clock):
    async with world() as w:
        ann = await w.person("ann")
        params = (await ann.does("createTransport", roomId=await w.room(ann), direction="send"))["params"]
        (candidate,) = params["iceCandidates"]
        assert candidate["ip"] == candidate["address"] == "192.0.2.7"
        assert candidate["port"] == 40000
        assert candidate["protocol"] == "udp"
        assert candidate["type"] == "host"
        ice = params["iceParameters"]
        assert ice["iceLite"] is True
        assert params["dtlsParameters"] == {
            "fingerprints": [{"algorithm": "sha-256", "value": "AA:BB"}],
            "role": "auto",
        }
        (opened,) = w.routers.made[0].commands
        assert (opened.transport, opened.ufrag, opened.password) == (
            params["id"],
            ice["usernameFragment"],
            ice["password"],
        )


async def test_what_somebody_says_goes_to_the_router_and_the_others_hear_of_it(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        send = await open_media(ann, room_id, "send")
        await ann.does("connectTransport", transportId=send, dtlsParameters=DTLS)
        asked = {"roomId": room_id, "transportId": send, "kind": "audio", "rtpParameters": OPUS}
        producer = (await ann.does("produce", **asked))["producerId"]
        assert await bob.expect("newProducer") == {"producerId": producer, "userId": "ann", "kind": "audio"}
        assert not ann.heard("newProducer")

        fingerprint = worker.Fingerprint("sha-256", DTLS["fingerprints"][0]["value"])
        payload_types, extensions = {111: OPUS_PAYLOAD_TYPE}, {1: EXTENSION_IDS[AUDIO_LEVEL]}
        _, connected, produced = w.routers.made[0].commands
        assert connected == worker.ConnectTransport(send, worker.DtlsRole.SERVER, (fingerprint,))
        assert produced == worker.AddProducer(
            send, producer, worker.MediaKind.AUDIO, 48000, 1111, payload_types, extensions
        )


async def test_what_somebody_hears_begins_when_he_is_ready(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        producer = await talk(ann, room_id)
        receive = await open_media(bob, room_id, "recv")
        asked = {"roomId": room_id, "producerId": producer, "rtpCapabilities": CAPABILITIES}
        params = (await bob.does("consume", **asked))["params"]
        assert (params["producerId"], params["kind"]) == (producer, "audio")
        rtp = params["rtpParameters"]
        assert rtp["mid"] == "0"
        (encoding,) = rtp["encodings"]
        await bob.does("resumeConsumer", roomId=room_id, consumerId=params["id"])

        *_, received, consumed, resumed = w.routers.made[0].commands
        assert received.transport == receive
        assert consumed == worker.AddConsumer(
            receive, params["id"], producer, encoding["ssrc"], "0", rtp["rtcp"]["cname"], (EXTENSION_IDS[MID],)
        )
        assert resumed == worker.ResumeConsumer(params["id"])


async def test_a_command_is_given_before_the_answer(autojump_clock):
    async with world() as w:
        ann = await w.person("ann")
        room_id = await w.room(ann)
        (session,) = w.exchange.people.sessions.values()
        asked = read_request("createTransport", {"roomId": room_id, "direction": "send"})
        answered = w.exchange.handle(session, asked)  # nothing else can run before this returns
        assert [c.transport for c in w.routers.made[0].commands] == [answered.params.id]


@pytest.mark.parametrize(
    ("role", "ours"), [("client", "server"), ("server", "client"), ("auto", "server"), (None, "server")]
)
async def test_the_worker_plays_the_other_dtls_role(autojump_clock, role, ours):
    async with world() as w:
        ann = await w.person("ann")
        transport = await open_media(ann, await w.room(ann), "send")
        dtls = {"fingerprints": DTLS["fingerprints"], **({"role": role} if role else {})}
        await ann.does("connectTransport", transportId=transport, dtlsParameters=dtls)
        assert w.routers.made[0].told(worker.ConnectTransport)[0].role.value == ours


async def test_any_strong_fingerprint_will_do_and_none_will_not(autojump_clock):
    async with world() as w:
        ann = await w.person("ann")
        room_id = await w.room(ann)
        transport = await open_media(ann, room_id, "send")
        connect = partial(ann.ask, "connectTransport", transportId=transport)
        weak = {"algorithm": "sha-1", "value": "aa:bb"}
        assert (await connect(dtlsParameters={"fingerprints": []}))["code"] == "unsupported"
        assert (await connect(dtlsParameters={"fingerprints": [weak]}))["code"] == "unsupported"
        strong = [{"algorithm": "SHA-512", "value": "cc:dd"}, {"algorithm": "sha-384", "value": "ee"}]
        assert (await connect(dtlsParameters={"fingerprints": [weak, *strong]}))["success"]
        (told,) = w.routers.made[0].told(worker.ConnectTransport)
        assert told.fingerprints == (worker.Fingerprint("sha-512", "CC:DD"), worker.Fingerprint("sha-384", "EE"))
        assert (await connect(dtlsParameters={"fingerprints": strong}))["code"] == "duplicate"


async def test_what_belongs_to_others_is_not_there(autojump_clock):
    async with world() as w:
        ann, bob, eve = await w.people("ann", "bob", "eve")
        room_id, elsewhere = await w.room(ann, bob), await w.room(eve, name="attic")
        producer, foreign = await talk(ann, room_id), await talk(eve, elsewhere)
        (anns,) = w.state(room_id).seats["ann"].transports
        receive = await open_media(bob, room_id, "receive")
        consumed = await bob.does("consume", roomId=room_id, producerId=producer, rtpCapabilities=CAPABILITIES)
        before = len(w.routers.made[0].commands)

        may_not = bob.may_not
        assert await may_not("connectTransport", transportId=anns, dtlsParameters=DTLS) == "notFound"
        produce = partial(may_not, "produce", roomId=room_id, kind="audio", rtpParameters=OPUS)
        assert await produce(transportId=anns) == "notFound"
        assert await produce(transportId=receive) == "notFound"
        assert await may_not("closeProducer", roomId=room_id, producerId=producer) == "notFound"
        consume = partial(may_not, "consume", roomId=room_id, rtpCapabilities=CAPABILITIES)
        assert await consume(producerId=foreign) == "notFound"
        assert await consume(producerId="nothing") == "notFound"
        consumer = consumed["params"]["id"]
        assert await ann.may_not("resumeConsumer", roomId=room_id, consumerId=consumer) == "notFound"
        unready = await ann.may_not("consume", roomId=room_id, producerId=producer, rtpCapabilities=CAPABILITIES)
        assert unready == "notFound"  # no transport for receiving
        assert len(w.routers.made[0].commands) == before


async def test_a_second_transport_of_a_direction_replaces_the_first(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        producer = await talk(ann, room_id)
        (first,) = w.state(room_id).seats["ann"].transports
        second = await open_media(ann, room_id, "send")
        assert await bob.expect("producerClosed") == {"producerId": producer, "userId": "ann"}
        assert w.routers.made[0].commands[-2:] == [
            worker.OpenTransport(
                room_id,
                "ann",
                second,
                w.routers.made[0].commands[-2].ufrag,
                w.routers.made[0].commands[-2].password,
            ),
            worker.CloseTransport(first),
        ]
        assert list(w.state(room_id).seats["ann"].transports) == [second]
        await open_media(ann, room_id, "receive")
        assert len(w.state(room_id).seats["ann"].transports) == 2


async def test_ssrcs_and_mids_are_never_used_twice(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        producer = await talk(ann, room_id)
        seen = []
        for round_ in range(6):
            if round_ % 2 == 0:
                await open_media(bob, room_id, "receive")
            answer = await bob.does("consume", roomId=room_id, producerId=producer, rtpCapabilities=CAPABILITIES)
            parameters = answer["params"]["rtpParameters"]
            seen.append((parameters["mid"], parameters["encodings"][0]["ssrc"]))
        assert len({mid for mid, _ in seen}) == len({ssrc for _, ssrc in seen}) == 6
        assert len(w.routers.made[0].told(worker.CloseConsumer)) == 3  # the older consumer of the same producer
        assert len(w.state(room_id).seats["bob"].consumers) == 1


async def test_retransmissions_have_ssrcs_of_their_own(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        produce = partial(
            ann.ask, "produce", roomId=room_id, transportId=await open_media(ann, room_id, "send"), kind="video"
        )
        vp8 = {"mimeType": "video/VP8", "payloadType": 96, "clockRate": 90000}
        sent = {"codecs": [vp8, {**RTX, "payloadType": 97, "parameters": {"apt": 96}}]}
        for ssrc, rtx in ((1, 2), (3, 2), (2, 4), (3, 1), (3, 4)):
            answer = await produce(rtpParameters={**sent, "encodings": [{"ssrc": ssrc, "rtx": {"ssrc": rtx}}]})
            assert answer.get("code") == ("duplicate" if {ssrc, rtx} & {1, 2} and ssrc != 1 else None)
        first, second = w.routers.made[0].told(worker.AddProducer)
        assert [(each.rtx_ssrc, each.rtx_payload_types) for each in (first, second)] == [(2, {97: 96}), (4, {97: 96})]

        await open_media(bob, room_id, "receive")
        understood = [{**vp8, "kind": "video"}, {**RTX, "kind": "video", "parameters": {"apt": 101}}]
        for producer, codecs in ((first.producer, understood), (second.producer, understood[:1])):
            capabilities = {"codecs": codecs, "headerExtensions": []}
            await bob.does("consume", roomId=room_id, producerId=producer, rtpCapabilities=capabilities)
        with_rtx, without = w.routers.made[0].told(worker.AddConsumer)
        assert with_rtx.rtx == worker.Rtx(with_rtx.ssrc + 1, VP8_RTX_PAYLOAD_TYPE)
        assert without.rtx is None
        assert without.ssrc not in {with_rtx.ssrc, with_rtx.ssrc + 1}


async def test_consumers_end_with_their_producer(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        producer = await talk(ann, room_id)
        await open_media(bob, room_id, "receive")
        answer = await bob.does("consume", roomId=room_id, producerId=producer, rtpCapabilities=CAPABILITIES)
        await ann.does("closeProducer", roomId=room_id, producerId=producer)
        assert await bob.expect("producerClosed") == {"producerId": producer, "userId": "ann"}
        assert w.routers.made[0].commands[-1] == worker.CloseProducer(producer)
        assert await bob.may_not("resumeConsumer", roomId=room_id, consumerId=answer["params"]["id"]) == "notFound"
        assert await ann.may_not("closeProducer", roomId=room_id, producerId=producer) == "notFound"


async def test_a_late_joiner_is_told_who_talks_already(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann)
        producer = await talk(ann, room_id)
        (seen, me) = (await bob.does("joinRoom", roomId=room_id))["room"]["participants"]
        assert seen["producerIds"] == [{"producerId": producer, "kind": "audio"}]
        assert me["producerIds"] == []


async def test_who_leaves_takes_all_media_along(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        producer = await talk(bob, room_id)
        await open_media(ann, room_id, "receive")
        await ann.does("consume", roomId=room_id, producerId=producer, rtpCapabilities=CAPABILITIES)
        await bob.does("leaveRoom", roomId=room_id)
        assert w.routers.made[0].commands[-1] == worker.CloseSeat(room_id, "bob")
        assert not w.state(room_id).seats["ann"].consumers
        await ann.does("leaveRoom", roomId=room_id)
        await wait_all_tasks_blocked()
        assert w.routers.made[0].commands[-1] == worker.CloseRouter(room_id)


async def test_limits_of_a_seat(autojump_clock):
    async with world() as w:
        ann = await w.person("ann")
        room_id = await w.room(ann)
        transport = await open_media(ann, room_id, "send")

        async def produce(ssrc, kind="audio", **changes):
            parameters = {**OPUS, "encodings": [{"ssrc": ssrc}], **changes}
            return await ann.ask("produce", roomId=room_id, transportId=transport, kind=kind, rtpParameters=parameters)

        assert (await produce(1))["success"]
        assert (await produce(1))["code"] == "duplicate"
        for ssrc in range(2, 9):
            assert (await produce(ssrc))["success"]
        assert (await produce(9))["code"] == "full"
        assert len(w.routers.made[0].told(worker.AddProducer)) == 8


async def test_limits_of_what_a_seat_gets(autojump_clock, monkeypatch):
    monkeypatch.setattr(room_media, "MAX_CONSUMERS", 3)
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        transport = await open_media(ann, room_id, "send")
        producers = []
        for ssrc in range(1, 5):
            parameters = {**OPUS, "encodings": [{"ssrc": ssrc}]}
            produce = partial(ann.does, "produce", roomId=room_id, transportId=transport, kind="audio")
            producers.append((await produce(rtpParameters=parameters))["producerId"])
        await open_media(bob, room_id, "receive")

        async def consume(producer):
            return await bob.ask("consume", roomId=room_id, producerId=producer, rtpCapabilities=CAPABILITIES)

        for producer in producers[:3]:
            assert (await consume(producer))["success"]
        assert (await consume(producers[3]))["code"] == "full"
        assert (await consume(producers[2]))["success"]  # in place of the older one of the same
        assert len(w.routers.made[0].told(worker.AddConsumer)) == 4
        await ann.does("closeProducer", roomId=room_id, producerId=producers[0])
        assert (await consume(producers[3]))["success"]


async def test_a_transport_carries_no_more_tracks_in_all_than_its_keys_are_good_for(autojump_clock, monkeypatch):
    monkeypatch.setattr(room_media, "MAX_PRODUCED", 3)
    monkeypatch.setattr(room_media, "MAX_CONSUMED", 3)
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        for _ in range(2):  # a new transport begins anew
            transport = await open_media(ann, room_id, "send")
            await open_media(bob, room_id, "receive")
            produce = partial(
                ann.ask, "produce", roomId=room_id, transportId=transport, kind="audio", rtpParameters=OPUS
            )
            for _ in range(3):
                producer = (await produce())["producerId"]
                consume = partial(bob.ask, "consume", roomId=room_id, producerId=producer, rtpCapabilities=CAPABILITIES)
                assert (await consume())["success"]
                await ann.does("closeProducer", roomId=room_id, producerId=producer)
            assert (await produce())["code"] == "full"
        other = await open_media(ann, room_id, "send")
        producer = (await produce(transportId=other))["producerId"]
        assert (await bob.ask("consume", roomId=room_id, producerId=producer, rtpCapabilities=CAPABILITIES))[
            "code"
        ] == "full"
        assert not w.state(room_id).seats["bob"].consumers


async def test_a_consumer_is_paused_and_resumed_by_its_owner_only(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        producer = await talk(ann, room_id)
        await open_media(bob, room_id, "receive")
        answer = await bob.does("consume", roomId=room_id, producerId=producer, rtpCapabilities=CAPABILITIES)
        consumer = answer["params"]["id"]
        assert await ann.may_not("pauseConsumer", roomId=room_id, consumerId=consumer) == "notFound"
        await bob.does("pauseConsumer", roomId=room_id, consumerId=consumer)
        await bob.does("resumeConsumer", roomId=room_id, consumerId=consumer)
        assert w.routers.made[0].commands[-2:] == [worker.PauseConsumer(consumer), worker.ResumeConsumer(consumer)]


async def test_a_transport_gets_new_credentials_for_its_owner_only(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        first = (await ann.does("createTransport", roomId=room_id, direction="send"))["params"]
        assert await bob.may_not("restartIce", transportId=first["id"]) == "notFound"
        again = (await ann.does("restartIce", transportId=first["id"]))["iceParameters"]
        assert again["iceLite"] is True
        assert w.routers.made[0].commands[-1] == worker.RestartIce(
            first["id"], again["usernameFragment"], again["password"]
        )
        for part in ("usernameFragment", "password"):
            assert again[part] != first["iceParameters"][part]


async def test_who_speaks_is_told_to_everybody_in_the_room(autojump_clock):
    async with world() as w:
        ann, bob, eve = await w.people("ann", "bob", "eve")
        room_id = await w.room(ann, bob)
        await w.room(eve, name="attic")
        anns, bobs = await talk(ann, room_id), await talk(bob, room_id)
        pool = Worker("127.0.0.1", (), 0)
        pool.rooms[room_id] = w.exchange.rooms.open[room_id], 0

        def told(person):
            return [
                [(s["userId"], s["producerId"], s["level"]) for s in each["speakers"]]
                for each in person.heard("activeSpeakers")
                if each["roomId"] == room_id
            ]

        speaking = (worker.Speaking(bobs, 20), worker.Speaking("gone", 25), worker.Speaking(anns, 30))
        pool.reported(worker.SpeakersChanged(room_id, speaking))
        await wait_all_tasks_blocked()
        both = [("bob", bobs, 20), ("ann", anns, 30)]
        assert told(ann) == told(bob) == [both]
        pool.reported(worker.SpeakersChanged(room_id, speaking[:1]))
        pool.reported(worker.SpeakersChanged(room_id, ()))
        await wait_all_tasks_blocked()
        assert told(ann) == told(bob) == [both, []]  # the newest stands for all that waited
        pool.reported(worker.SpeakersChanged(room_id, (worker.Speaking("gone", 25),)))
        await wait_all_tasks_blocked()
        assert told(ann) == [both, []]
        pool.reported(worker.SpeakersChanged(room_id, speaking))
        await wait_all_tasks_blocked()
        late = await w.person("late")
        await late.does("joinRoom", roomId=room_id)
        await wait_all_tasks_blocked()
        assert told(late) == [both]
        w.routers.made[0].dead.set()  # who spoke through the dead router is silent
        await wait_all_tasks_blocked()
        assert told(ann) == [both, [], both, []]
        assert not eve.heard("activeSpeakers")


# -- failures ----------------------------------------------------------------------------------------------------------
async def test_a_failed_transport_is_told_to_its_owner_and_its_tracks_to_the_others(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        producer = await talk(ann, room_id)
        (transport,) = w.state(room_id).seats["ann"].transports
        w.exchange.rooms.open[room_id].reported(worker.TransportFailed(room_id, transport, "fingerprint"))
        assert await ann.expect("transportFailed") == {"transportId": transport, "reason": "fingerprint"}
        assert await bob.expect("producerClosed") == {"producerId": producer, "userId": "ann"}
        assert not bob.heard("transportFailed")
        again = await ann.may_not("connectTransport", transportId=transport, dtlsParameters=DTLS)
        assert again == "notFound"
        w.exchange.rooms.open[room_id].reported(worker.TransportFailed(room_id, transport, "consent"))  # a late report
        w.exchange.rooms.open[room_id].reported(worker.TransportConnected(room_id, TransportId("gone")))
        await wait_all_tasks_blocked()
        assert len(ann.heard("transportFailed")) == 1
        assert await talk(ann, room_id)


async def test_a_dead_router_is_replaced_and_everybody_told_once(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        await talk(ann, room_id)
        w.routers.are_up = trio.Event()
        w.routers.made[0].dead.set()
        await wait_all_tasks_blocked()
        refused = await bob.ask("createTransport", roomId=room_id, direction="send")
        assert refused["code"] == "mediaUnavailable"
        assert refused["canRetry"] is True
        assert refused["retryAfter"] > 0
        assert not bob.heard("mediaReset")
        await bob.does("sendMessage", roomId=room_id, content="can you hear me?")  # chat goes on
        late = await w.person("late")
        (seen, *_) = (await late.does("joinRoom", roomId=room_id))["room"]["participants"]
        assert seen["producerIds"] == []
        w.routers.are_up.set()
        for person in (ann, bob, late):
            assert (await person.expect("mediaReset"))["roomId"] == room_id
        params = (await bob.does("createTransport", roomId=room_id, direction="send"))["params"]
        assert params["iceCandidates"][0]["port"] == 40001
        await wait_all_tasks_blocked()
        assert all(len(person.heard("mediaReset")) == 1 for person in (ann, bob, late))
        assert len(w.routers.made[1].told(worker.OpenTransport)) == 1  # nothing old is told to the new one


async def test_a_room_opens_before_there_is_a_router(autojump_clock):
    async with world() as w:
        w.routers.are_up = trio.Event()
        ann = await w.person("ann")
        room_id = await w.room(ann)
        assert await ann.may_not("createTransport", roomId=room_id, direction="send") == "mediaUnavailable"
        w.routers.are_up.set()
        await wait_all_tasks_blocked()
        assert await open_media(ann, room_id, "send")
        assert not ann.heard("mediaReset")  # it is the first


async def test_a_room_that_ends_while_it_waits_for_a_router(autojump_clock):
    async with world() as w:
        w.routers.are_up = trio.Event()
        ann = await w.person("ann")
        await ann.does("endCall", roomId=await w.room(ann))
        await wait_all_tasks_blocked()
        assert not w.exchange.rooms.open
        assert not w.routers.made
