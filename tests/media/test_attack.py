"""Attacks on a worker process while real calls run through it: nobody is cut off, little is lost, nothing is kept."""

import random
import socket

import pytest
import trio

from media.fuzz import RTCP, RTP, STUN, Mutations
from media.fuzz_calls import (
    ALERTS,
    MOST_GROWN,
    MOST_LOST,
    Call,
    client_hello,
    is_answered,
    loss,
    resident,
    spray,
    stranger,
    talk,
    working,
)
from media.stats_pages import workers_once
from media_peer import CERTIFICATE, Peer, audio
from palaver_media import stun
from palaver_media.worker_messages import ConnectTransport, DtlsRole, Fingerprint, OpenTransport, TransportFailed
from running import serving
from world import DTLS, children_of, open_media, visiting

pytestmark = pytest.mark.trio

BURST = 100  # datagrams between two genuine ones; the kernel holds so many for a worker that is busy


def long(*values, timeout=3600):
    return pytest.param(*values, marks=[pytest.mark.long, pytest.mark.timeout(timeout)])


@pytest.mark.parametrize("count", [5, long(100)])
async def test_calls_connect_and_stay_while_strangers_shake_hands_and_say_goodbye(count):
    async with working() as (worker, nursery):
        nursery.start_soon(spray, (client_hello(), *ALERTS, *ALERTS), lambda: [worker.address])
        calls = [await Call.connect(worker, nursery, number) for number in range(count)]
        await talk(calls, 1)
        assert loss(calls) <= MOST_LOST
        assert not worker.having(TransportFailed)


@pytest.mark.parametrize("seconds", [3, long(60)])
async def test_srtp_garbage_at_a_kilohertz_costs_nobody_a_packet(seconds):
    """From strangers, and from one who has passed the checks: mutants of what passes in earnest, and replays."""

    async def throw(peer: Peer) -> None:
        genuine = [peer.dtls.protect_rtp(audio(999, number).write()) for number in range(20)]
        genuine += [peer.dtls.protect_rtcp(each) for each in RTCP]
        mutations = Mutations(6, genuine + peer.raw)
        with stranger() as udp:
            while True:
                for _ in range(10):
                    udp.sendto(mutations.make(), peer.worker.address)
                    await peer.send(mutations.make())
                assert not is_answered(udp)
                await trio.sleep(0.01)

    async with working() as (worker, nursery):
        calls = [await Call.connect(worker, nursery, number) for number in range(5)]
        await talk(calls, 0.2)
        before = resident(worker.process.pid)
        nursery.start_soon(throw, calls[0].peers[0])
        await talk(calls, seconds)
        assert loss(calls) <= MOST_LOST
        assert resident(worker.process.pid) - before <= MOST_GROWN
        assert not worker.having(TransportFailed)


@pytest.mark.parametrize("count", [20_000, long(10_000_000)])
async def test_any_datagrams_from_anywhere_cost_no_memory_and_no_packet(count, capfd):
    """Random bytes and mutants of every kind; each burst is followed by a round of a call, which must be heard."""
    async with working() as (worker, nursery):
        call = await Call.connect(worker, nursery, 0)
        eve = (await Call.connect(worker, nursery, 1)).peers[0]
        known, _ = stun.make_request(f"{eve.ufrag}:us", "a wrong password", 1)
        own = [eve.dtls.protect_rtp(packet) for packet in RTP[:3]] + [eve.dtls.protect_rtcp(each) for each in RTCP]
        handshake = [client_hello(), *ALERTS]
        mutations = Mutations(7, [*STUN, known, *RTP, *RTCP, *own, *handshake])
        dice = random.Random(8)
        await talk([call], 0.5)
        before = resident(worker.process.pid)
        with stranger() as udp, socket.fromfd(eve.socket.fileno(), socket.AF_INET, socket.SOCK_DGRAM) as eves:
            for _ in range(count // BURST):
                for way in (udp, eves) * (BURST // 2):
                    garbage = dice.randbytes(dice.randrange(100)) if dice.random() < 0.3 else mutations.make()
                    way.sendto(garbage, worker.address)
                await call.say()
                await call.settle()
                for peer in call.peers:
                    peer.raw.clear()
                assert not is_answered(udp)
        assert loss([call]) <= MOST_LOST
        assert resident(worker.process.pid) - before <= MOST_GROWN
        assert not worker.having(TransportFailed)
        assert not worker.process.dead.is_set()
    assert len(capfd.readouterr().err) < 1000  # nothing is written about each of them


async def test_transports_that_never_connect_and_checks_of_strangers_are_cheap():
    """As many as 500 people may open, half of them announced; what would be their checks comes from strangers."""
    async with working() as (worker, nursery):
        call = await Call.connect(worker, nursery, 0)
        await talk([call], 0.2)
        before = resident(worker.process.pid)
        nobody = (Fingerprint("sha-256", CERTIFICATE.fingerprint),)
        for number in range(1000):
            worker.tell(OpenTransport("room", f"seat{number // 2}", f"t{number}", f"u{number}", "p" * 32))
            if number % 2:
                worker.tell(ConnectTransport(f"t{number}", DtlsRole.SERVER, nobody))
        with stranger() as udp:
            for number in range(8_000):
                ufrag = f"u{number % 1000}" if number % 2 else f"nobody{number}"
                udp.sendto(stun.make_request(f"{ufrag}:us", "guessed", number)[0], worker.address)
                if number % BURST == 0:
                    await call.say()
                    await call.settle()
            assert not is_answered(udp)
        assert loss([call]) <= MOST_LOST
        assert resident(worker.process.pid) - before <= MOST_GROWN


@pytest.mark.parametrize("count", [20, long(400)])
async def test_people_who_only_ever_open_transports_hold_two_each(count):
    """Through a real server: every transport is replaced by the next of its direction, and none is ever come to.

    They sit in rooms of twenty: what a room of hundreds hears of each newcomer would be most of the work.
    """

    async def abuse(number: int, *, task_status: trio.TaskStatus[None]) -> None:
        async with visiting(url, f"guest{number}") as person:
            room = {"roomType": "group", "roomName": f"den{number // 20}", "joinExisting": True}
            room_id = (await person.does("createRoom", **room))["room"]["roomId"]
            for _ in range(10):
                for direction in ("send", "recv"):
                    transport = await open_media(person, room_id, direction)
                    await person.does("connectTransport", transportId=transport, dtlsParameters=DTLS)
            task_status.started()
            await trio.sleep_forever()

    async with serving() as (url, server), visiting(url, "host") as host, trio.open_nursery() as nursery:
        room_id = (await host.does("createRoom", roomType="group", roomName="den"))["room"]["roomId"]
        await open_media(host, room_id, "send")
        await workers_once(url, lambda up: len(up) == 2)  # the spare has started, too
        workers = children_of(server.process.pid)
        before = {pid: resident(pid) for pid in workers}
        for number in range(count):
            await nursery.start(abuse, number)
        grown = {pid: resident(pid) - before[pid] for pid in workers}
        assert max(grown.values()) <= MOST_GROWN, grown
        assert children_of(server.process.pid) == workers
        nursery.cancel_scope.cancel()
    assert not server.errors
