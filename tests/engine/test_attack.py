"""Attacks on the client: strangers beside running calls, and a server or a talker that means harm."""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import trio
from attrs import evolve

from engine.peer import PAYLOAD_TYPE, SSRC, peer
from engine.running import Running, running_engine, until
from media.fuzz import RTCP, STUN, Mutations
from media.fuzz_calls import ALERTS, MOST_GROWN, MOST_LOST, client_hello, resident, spray, working
from media_peer import Worker
from palaver_engine.blocks import BLOCK
from palaver_engine.consumer import Consumer
from palaver_engine.frames import MOST_HELD
from palaver_engine.ice import MOST_PATHS
from palaver_engine.opus import FRAME, Encoder
from palaver_media import redundancy, rtp
from palaver_media.engine_messages import (
    AudioStarted,
    Candidate,
    CloseCall,
    Direction,
    OpenCall,
    OpenTransport,
    Receive,
    Send,
    Stats,
    TransportConnected,
    TransportFailed,
)
from palaver_media.rtp import AUDIO_LEVEL, MID, RED, RtpPacket
from palaver_media.worker_messages import (
    AddConsumer,
    AddProducer,
    ConnectTransport,
    DtlsRole,
    Fingerprint,
    MediaKind,
    ResumeConsumer,
)
from palaver_media.worker_messages import CloseTransport as CloseAtWorker
from palaver_media.worker_messages import OpenTransport as OpenAtWorker
from sound.voices import tone

TOGETHER = 10  # calls at once: each is encoded and decoded in earnest


def ports_of(pid: int) -> Iterator[tuple[str, int]]:
    """The addresses of a process's UDP sockets; of one that has ended, none."""
    inodes = set()
    with suppress(FileNotFoundError):
        for number in os.listdir(f"/proc/{pid}/fd"):
            with suppress(FileNotFoundError):  # closed meanwhile
                inodes.add(os.readlink(f"/proc/{pid}/fd/{number}"))
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        fields = line.split()
        if f"socket:[{fields[9]}]" in inodes:
            yield "127.0.0.1", int(fields[1].partition(":")[2], 16)


def open_transport(worker: Worker, engine: Running, call: str, direction: Direction) -> str:
    """A transport between the two; its name."""
    name, password = f"{call}-{direction.value}", secrets.token_hex(12)
    worker.tell(
        OpenAtWorker("room", call, name, name, password),
        ConnectTransport(name, DtlsRole.SERVER, (Fingerprint("sha-256", engine.fingerprint),)),
    )
    prints = (Fingerprint("sha-256", worker.ready.fingerprint),)
    candidates = (Candidate("127.0.0.1", worker.ready.port),)
    engine.tell(OpenTransport(call, name, direction, name, password, candidates, prints))
    return name


def call_up(worker: Worker, engine: Running, number: int) -> str:
    """A call that says a tone and hears itself through the worker; its name."""
    call, ssrc = f"call{number}", 2 * number + 1
    engine.tell(OpenCall(call, "tone:440", "null", False))
    up = open_transport(worker, engine, call, Direction.SEND)
    down = open_transport(worker, engine, call, Direction.RECEIVE)
    worker.tell(
        AddProducer(up, f"p{number}", MediaKind.AUDIO, 48000, ssrc, {PAYLOAD_TYPE: PAYLOAD_TYPE}, {MID: MID}),
        AddConsumer(down, f"c{number}", f"p{number}", ssrc + 1, "0", "someone", (MID,)),
        ResumeConsumer(f"c{number}"),
    )
    engine.tell(
        Receive(call, down, "itself", ssrc + 1, PAYLOAD_TYPE),
        Send(call, up, ssrc, PAYLOAD_TYPE, "someone", "0", MID, AUDIO_LEVEL),
    )
    return call


@pytest.mark.trio
@pytest.mark.parametrize("count", [5, pytest.param(100, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
async def test_calls_connect_and_stay_while_strangers_spray_both_ends(count):
    async with working() as (worker, nursery), running_engine() as engine:
        known: list[tuple[str, int]] = []

        def targets() -> list[tuple[str, int]]:
            known[:] = ports_of(engine.process.pid)
            return [worker.address, *known]

        nursery.start_soon(spray, (client_hello(), *ALERTS, *STUN[:2], b"\x80" + bytes(40)), targets)
        for first in range(0, count, TOGETHER):
            numbers = range(first, min(first + TOGETHER, count))
            calls = [call_up(worker, engine, number) for number in numbers]
            for call in calls:
                await engine.wait(AudioStarted, lambda report, call=call: report.call == call)
            assert len(known) >= 2 * len(calls)
            for call in calls:
                stats = await engine.wait(
                    Stats, lambda stats, call=call: stats.call == call and stats.consumers["itself"].in_kbps > 20
                )
                assert stats.consumers["itself"].loss <= MOST_LOST
            engine.tell(*(CloseCall(call) for call in calls))
            worker.tell(*(CloseAtWorker(f"{call}-{way.value}") for call in calls for way in Direction))
        assert not engine.all(TransportFailed)


@pytest.mark.trio
@pytest.mark.parametrize("count", [2_000, pytest.param(1_000_000, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
async def test_authentic_nonsense_harms_no_other_voice(count, capfd):
    """The server, and through it a talker, sends mutants with the right keys, and garbage besides."""
    async with running_engine() as engine, peer(engine.fingerprint) as other:
        engine.tell(OpenCall("call", "null", "null", False), other.command("call", "down", Direction.RECEIVE))
        await engine.wait(TransportConnected)
        await other.connected.wait()
        engine.tell(Receive("call", "down", "eve", 1, PAYLOAD_TYPE), Receive("call", "down", "bob", SSRC, PAYLOAD_TYPE))
        encoder, extensions = Encoder(), {MID: b"someone", AUDIO_LEVEL: b"\x85"}
        voice = [
            RtpPacket(
                PAYLOAD_TYPE, number, FRAME * number, 1, encoder.encode(tone(440, 0.02)), extensions=extensions
            ).write()
            for number in range(20)
        ]
        mutations = Mutations(9, [*voice, *voice, *RTCP])
        garbage = Mutations(10, [*STUN, *ALERTS, client_hello(), *voice])
        assert other.address is not None
        before = resident(engine.process.pid)
        for number in range(count):
            mutant = bytearray(mutations.make())
            if not rtp.is_rtcp(bytes(mutant.ljust(2, b"\0"))):
                mutant[2:4] = (number & 0xFFFF).to_bytes(2, "big")  # or it would be taken for a replay
            mutant[8:12] = (1).to_bytes(4, "big")  # eve's, whatever else she changes
            try:
                way = other._dtls.protect_rtcp if rtp.is_rtcp(bytes(mutant)) else other._dtls.protect_rtp
                await other.socket.sendto(way(bytes(mutant[:1300])), other.address)
            except Exception:  # not even libsrtp takes it for a packet
                await other.socket.sendto(garbage.make(), other.address)
            if number % 50 == 49:
                await trio.sleep(0.01)
        await other.say(tone(660, 2.5))
        await engine.wait(AudioStarted, lambda report: report.consumer == "bob")
        told = [stats.consumers["bob"] for stats in engine.all(Stats)]
        assert max(bob.in_kbps for bob in told) > 20
        assert max(bob.loss for bob in told) <= MOST_LOST
        assert resident(engine.process.pid) - before <= MOST_GROWN
        assert not engine.all(TransportFailed)
    assert capfd.readouterr().err == ""


@pytest.mark.trio
async def test_a_server_does_not_have_a_client_send_to_ever_so_many_addresses():
    async with running_engine() as engine, peer(engine.fingerprint) as other, peer("") as victim:
        victim.is_mute_to_stun = True
        command = evolve(
            other.command("call", "up", Direction.SEND),
            candidates=(Candidate("127.0.0.1", victim.port),) * 1000,
        )
        engine.tell(OpenCall("call", "null", "null", False), command)
        await until(lambda: victim.checks >= 2 * MOST_PATHS)
        assert len(list(ports_of(engine.process.pid))) == MOST_PATHS


@pytest.mark.parametrize("count", [1_500, pytest.param(1_000_000, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_a_voice_of_nonsense_is_played_in_time_and_kept_within_bounds(count):
    """Packets whose numbers, times, sounds and copies are anything; every 10 ms there must be a block to play."""
    dice = random.Random(11)
    encoder = Encoder()
    genuine = [encoder.encode(tone(440, 0.02)) for _ in range(5)] + [b"", b"\0", b"\xff" * 40, b"\xfc" + bytes(1000)]
    mutations = Mutations(12, genuine)
    consumer = Consumer(Receive("call", "down", "eve", 1, PAYLOAD_TYPE, RED))
    sequence = timestamp = 0
    for number in range(count):
        is_flood = number % 500 == 499
        for _ in range(1000 if is_flood else dice.choice((0, 0, 1, 1, 2, 30))):
            sequence += 1 if is_flood else dice.choice((1, 1, 1, 2, -1, 100, 3000, 30_000))
            timestamp += 1 if is_flood else dice.choice((960, 960, 960, 1, 120, -960, 48_000, 1 << 31))
            sound = mutations.make() if dice.random() < 0.5 else dice.choice(genuine)
            packet = RtpPacket(PAYLOAD_TYPE, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, 1, sound)
            if sound and dice.random() < 0.3:
                copies = [(timestamp - back, mutations.make()) for back in dice.sample((1, 120, 960, 1920, 15_000), 3)]
                packet.payload_type, packet.body = RED, redundancy.write(PAYLOAD_TYPE, timestamp, sound, copies)
            consumer.put(packet, len(packet.body), number / 100)
        assert consumer._playout.held <= MOST_HELD
        block = consumer.pull(number / 100)
        assert (block.shape, block.dtype) == ((BLOCK,), np.int16)
        if number % 100 == 0:
            consumer.report(number / 100)
            stats = consumer.stats(1.0)
            assert 0 <= stats.loss <= 1
            assert 0 <= stats.concealed <= 1
