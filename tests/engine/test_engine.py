"""The real engine process against a small real peer: what is said arrives, what arrives is heard."""

from __future__ import annotations

import os
import resource
import socket
import struct
import wave

import numpy as np
import pytest
import trio
from attrs import evolve

from engine.peer import PAYLOAD_TYPE, SSRC, Peer, peer
from engine.running import Running, put_first, running_engine, until
from media_peer import read_audio_level
from palaver_media import redundancy, rtp
from palaver_media.codec import Pcm
from palaver_media.engine_messages import (
    AudioStarted,
    Candidate,
    CloseCall,
    CloseTransport,
    Direction,
    Levels,
    OpenCall,
    OpenTransport,
    Receive,
    Send,
    SendingStats,
    SetEncoding,
    SetMuted,
    SetSink,
    SetSource,
    Side,
    SoundProblem,
    SoundStarted,
    Stats,
    StopReceiving,
    StopSending,
    TransportConnected,
    TransportFailed,
)
from palaver_media.sound_settings import Encoding
from sound.voices import pitch, rms, tone

pytestmark = pytest.mark.trio

CALL = "the call"


def send(transport: str = "up", ssrc: int = 77) -> Send:
    return Send(CALL, transport, ssrc, PAYLOAD_TYPE, "a cname", "3", rtp.MID, rtp.AUDIO_LEVEL)


async def connect(engine: Running, other: Peer, direction: Direction, transport: str) -> None:
    engine.tell(other.command(CALL, transport, direction))
    await engine.wait(TransportConnected, lambda report: report.transport == transport)
    await other.connected.wait()


async def test_a_tone_is_sent_as_opus_with_its_mid_and_level():
    async with running_engine() as engine, peer(engine.fingerprint) as other:
        engine.tell(OpenCall(CALL, "tone:440", "null", False))
        await connect(engine, other, Direction.SEND, "up")
        engine.tell(send())
        await until(lambda: len(other.packets) >= 75)
        heard = other.heard()[24_000:]
        assert pitch(heard) == pytest.approx(440, abs=2)
        assert rms(heard) == pytest.approx(-12, abs=1)
        first, *rest = other.packets
        assert first.sequence < 1 << 15
        assert first.is_marked
        assert not any(packet.is_marked for packet in rest)
        assert first.extensions[rtp.MID] == b"3"
        assert read_audio_level(rest[-1].extensions[rtp.AUDIO_LEVEL]) == (-12, True)
        assert set(np.diff([packet.timestamp for packet in other.packets]) & 0xFFFFFFFF) == {960}
        levels = await engine.wait(Levels, lambda levels: levels.input_dbfs > -50)
        assert levels.input_dbfs == pytest.approx(-12, abs=1)
        stats = await engine.wait(Stats, lambda stats: stats.out_kbps > 20)
        assert stats.out_kbps < 64
        assert stats.rtt_ms is not None


async def test_a_muted_call_sends_nothing_and_its_time_goes_on():
    async with running_engine() as engine, peer(engine.fingerprint) as other:
        engine.tell(OpenCall(CALL, "tone:440", "null", False))
        await connect(engine, other, Direction.SEND, "up")
        engine.tell(send())
        await until(lambda: len(other.packets) >= 10)
        engine.tell(SetMuted(CALL, True))
        await engine.wait(Stats, lambda stats: stats.out_kbps == 0)
        count = len(other.packets)
        await engine.wait(Levels, lambda levels: levels.input_dbfs > -50)
        engine.tell(SetMuted(CALL, False))
        await until(lambda: len(other.packets) >= count + 5)
        before, after = other.packets[count - 1], other.packets[count]
        assert after.is_marked
        assert after.sequence == before.sequence + 1
        assert (after.timestamp - before.timestamp & 0xFFFFFFFF) > 48_000


async def test_an_ssrc_that_is_sent_again_goes_on_where_it_was():
    async with running_engine() as engine, peer(engine.fingerprint) as other:
        engine.tell(OpenCall(CALL, "tone:440", "null", False))
        await connect(engine, other, Direction.SEND, "up")
        for ssrc in (77, 78, 77, 78):
            engine.tell(send(ssrc=ssrc))
            count = len(other.packets)
            await until(lambda count=count: len(other.packets) >= count + 10)
        for ssrc in (77, 78):
            numbers = [packet.sequence for packet in other.packets if packet.ssrc == ssrc]
            assert set(np.diff(numbers)) == {1}


async def test_sending_may_stop_and_begin_again_on_one_ssrc():
    async with running_engine() as engine, peer(engine.fingerprint) as other:
        engine.tell(OpenCall(CALL, "tone:440", "null", False))
        await connect(engine, other, Direction.SEND, "up")
        for _ in range(3):
            engine.tell(send())
            count = len(other.packets)
            await until(lambda count=count: len(other.packets) >= count + 10)
            engine.tell(StopSending(CALL))
        assert set(np.diff([packet.sequence for packet in other.packets])) == {1}


async def test_an_opening_that_fails_as_nobody_foresaw_is_told_and_that_half_goes_on():
    async with running_engine() as engine, peer(engine.fingerprint) as other:
        engine.tell(OpenCall(CALL, "null", "file:/tmp/a\0.wav", False))
        problem = await engine.wait(SoundProblem, lambda report: report.side is Side.SINK)
        assert (problem.reason, problem.remedy) == ("it cannot be opened (ValueError)", "choose another sink")
        await connect(engine, other, Direction.RECEIVE, "down")
        engine.tell(Receive(CALL, "down", "bob", SSRC, PAYLOAD_TYPE))
        await other.say(tone(660, 0.5))
        await engine.wait(AudioStarted)


async def test_a_bug_ends_the_sound_of_its_call_alone_and_is_told(tmp_path, monkeypatch):
    """No command is known that fails, so one is made to."""
    fault = "from palaver_engine.call import Call\nCall.set_muted = property(lambda _: 1 / 0)\n"
    (tmp_path / "sitecustomize.py").write_text(fault)
    put_first(tmp_path, monkeypatch)
    async with running_engine() as engine, peer(engine.fingerprint) as other:
        engine.tell(OpenCall(CALL, "tone:440", "null", False))
        await connect(engine, other, Direction.SEND, "up")
        engine.tell(OpenCall("another", "null", "null", False), SetMuted("another", True))
        problem = await engine.wait(SoundProblem)
        assert (problem.call, problem.reason) == ("another", "the sound of this call has ended, as SetMuted failed")
        assert problem.remedy == "leave the room and join it again"
        engine.tell(send())
        await until(lambda: len(other.packets) > 5)


async def test_a_disk_that_fills_up_is_told_and_the_call_goes_on(tmp_path):
    async with running_engine() as engine, peer(engine.fingerprint) as other:
        resource.prlimit(engine.process.pid, resource.RLIMIT_FSIZE, (60_000, 60_000))
        engine.tell(OpenCall(CALL, "null", f"file:{tmp_path / 'heard.wav'}", False))
        assert "heard.wav" in (await engine.wait(SoundProblem, lambda report: report.side is Side.SINK)).reason
        await connect(engine, other, Direction.RECEIVE, "down")
        engine.tell(Receive(CALL, "down", "bob", SSRC, PAYLOAD_TYPE))
        await other.say(tone(660, 0.5))
        await engine.wait(AudioStarted)


@pytest.mark.long
async def test_a_path_that_goes_silent_is_replaced_by_a_new_socket():
    async with running_engine() as engine, peer(engine.fingerprint) as other:
        engine.tell(OpenCall(CALL, "tone:440", "null", False))
        await connect(engine, other, Direction.SEND, "up")
        engine.tell(send())
        old = other.address
        other.deaf_to = old
        await until(lambda: other.address != old, 20)
        count = len(other.packets)
        await until(lambda: len(other.packets) > count + 50)
        assert not engine.all(TransportFailed)


@pytest.mark.long
async def test_a_server_that_goes_silent_is_given_up_after_thirty_seconds():
    async with running_engine() as engine, peer(engine.fingerprint) as other:
        engine.tell(OpenCall(CALL, "tone:440", "null", False))
        await connect(engine, other, Direction.SEND, "up")
        other.is_mute_to_stun = True
        start = trio.current_time()
        assert (await engine.wait(TransportFailed, seconds=45)).reason == "consent"
        assert 24 < trio.current_time() - start < 40


async def test_a_voice_is_heard_in_a_file_and_by_the_owner(tmp_path):
    path = tmp_path / "heard.wav"
    async with running_engine() as engine, peer(engine.fingerprint) as other:
        engine.tell(OpenCall(CALL, "null", f"file:{path}", False))
        await connect(engine, other, Direction.RECEIVE, "down")
        engine.tell(Receive(CALL, "down", "bob", SSRC, PAYLOAD_TYPE))
        await other.say(tone(660, 2))
        await engine.wait(AudioStarted, lambda report: report.consumer == "bob")
        stats = await engine.wait(Stats, lambda stats: "bob" in stats.consumers and stats.consumers["bob"].in_kbps > 20)
        assert stats.consumers["bob"].loss == 0
        assert stats.consumers["bob"].playout_ms < 45
        await engine.wait(Levels, lambda levels: abs(levels.consumers.get("bob", 0) + 12) < 1)
        await until(lambda: bool(other.receiver_reports()))
        assert other.receiver_reports()[-1].ssrc == SSRC
        assert other.receiver_reports()[-1].lsr
        engine.tell(SetSink(CALL, "pcm"))
        await engine.wait(SoundStarted, lambda report: report.name == "pcm")
        await other.say(tone(880, 1), SSRC)
        blocks = engine.all(Pcm)
    assert {(block.call, block.stream, len(block.samples)) for block in blocks} == {(CALL, "bob", 1920)}
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (48_000, 1, 2)
        heard = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    loud = heard[np.abs(heard) > 1000]
    assert len(loud) / 48_000 == pytest.approx(1.8, abs=0.3)
    middle = np.flatnonzero(np.abs(heard) > 1000)[len(loud) // 2]
    assert pitch(heard[middle - 12_000 : middle + 12_000]) == pytest.approx(660, abs=4)


async def test_the_owner_says_samples_and_the_peer_hears_them():
    async with running_engine() as engine, peer(engine.fingerprint) as other:
        engine.tell(OpenCall(CALL, "pcm", "null", False))
        await connect(engine, other, Direction.SEND, "up")
        engine.tell(send(), Pcm(CALL, "", tone(1000, 1).tobytes()))
        await until(lambda: len(other.packets) >= 50)
        assert pitch(other.heard()[9600:38_400]) == pytest.approx(1000, abs=4)
        await engine.wait(Stats, lambda stats: stats.out_kbps == 0)  # no more than a hangover follows


async def test_the_round_trip_is_measured_by_reports():
    async with running_engine() as engine, peer(engine.fingerprint) as other:
        engine.tell(OpenCall(CALL, "tone:440", "null", False))
        await connect(engine, other, Direction.SEND, "up")
        engine.tell(send())
        await until(lambda: bool(other.sender_reports()))
        report = other.sender_reports()[0]
        assert report.sender_info.packet_count > 0
        await trio.sleep(0.2)  # the way back, as far as the engine knows
        await other.acknowledge(report, 0.0)
        stats = await engine.wait(Stats, lambda stats: (stats.rtt_ms or 0) > 150)
        assert stats.rtt_ms is not None
        assert stats.rtt_ms < 400


async def test_reports_of_loss_bring_copies_from_farther_and_farther_back():
    async with running_engine() as engine, peer(engine.fingerprint) as other:
        engine.tell(OpenCall(CALL, "tone:440", "null", False))
        await connect(engine, other, Direction.SEND, "up")
        engine.tell(evolve(send(), red_payload_type=rtp.RED))
        await until(lambda: len(other.packets) >= 100)
        assert {each.payload_type for each in other.packets} == {PAYLOAD_TYPE}
        stats = await engine.wait(Stats, lambda stats: stats.sending is not None)
        assert stats.sending == SendingStats(48_000, 10, copies=0, spacing=1, frame_ms=20, complexity=10)
        for report in range(3):
            await other.complain(77, 1000 + 100 * report, 0.115)
        await until(lambda: other.packets[-1].payload_type == rtp.RED)
        stats = await engine.wait(Stats, lambda stats: stats.sending is not None and stats.sending.copies == 1)
        assert stats.sending == SendingStats(48_000, 10, copies=1, spacing=1, frame_ms=20, complexity=10)
        for report in range(3, 9):
            await other.complain(77, 1000 + 100 * report, 0.22)
        await engine.wait(Stats, lambda stats: stats.sending is not None and stats.sending.spacing == 2)
        engine.tell(SetEncoding(CALL, Encoding(frame_ms=10)))
        await engine.wait(Stats, lambda stats: stats.sending is not None and stats.sending.frame_ms == 10)
        last = other.packets[-1]
        read = redundancy.parse(PAYLOAD_TYPE, last.timestamp, last.payload)
        sent = {each.timestamp: each for each in other.packets}
        ((when, copy),) = read.copies
        original = sent[when]
        assert last.timestamp - when == 2 * 480
        assert redundancy.parse(PAYLOAD_TYPE, when, original.payload).primary == copy
        assert [each.sequence for each in other.packets] == list(
            range(other.packets[0].sequence, other.packets[0].sequence + len(other.packets))
        )


async def test_strangers_and_alerts_end_no_call():
    async with running_engine() as engine, peer(engine.fingerprint) as other:
        engine.tell(OpenCall(CALL, "tone:440", "null", False))
        engine.tell(other.command(CALL, "up", Direction.SEND), send())
        await until(lambda: other.address is not None)
        assert other.address is not None
        alert = bytes.fromhex("15fefd00000000000000000002022800")
        hello = b"\x16\xfe\xff" + bytes(200)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for _ in range(200):
                stranger.sendto(alert, other.address)
                stranger.sendto(hello, other.address)
                stranger.sendto(b"\x80" + bytes(40), other.address)
        await engine.wait(TransportConnected)
        for junk in (alert, hello, b"\x80" + bytes(40), b"\x81\xc8" + bytes(40), b"\0\1" + bytes(30), b"\xff"):
            await other.socket.sendto(junk, other.address)
        count = len(other.packets)
        await until(lambda: len(other.packets) >= count + 50)
        assert not engine.all(TransportFailed)


async def test_what_comes_in_vain_is_counted_by_reason():
    async with running_engine() as engine, peer(engine.fingerprint) as other:
        engine.tell(OpenCall(CALL, "null", "null", False))
        await connect(engine, other, Direction.RECEIVE, "down")
        engine.tell(Receive(CALL, "down", "bob", SSRC, PAYLOAD_TYPE))
        assert other.address is not None
        for junk, times in ((b"\0\1" + bytes(30), 1), (b"\xff", 2), (b"\x80" + bytes(40), 4)):
            for _ in range(times):
                await other.socket.sendto(junk, other.address)
        await other.say(tone(660, 0.1), SSRC + 1)
        await other.say(tone(660, 0.1))
        stats = await engine.wait(Stats, lambda stats: stats.consumers["bob"].in_kbps > 0)
        assert stats.dropped == {"stranger": 3, "SrtpError": 4, "ValueError": 5}


async def test_another_certificate_than_announced_is_refused():
    async with running_engine() as engine, peer(engine.fingerprint) as other:
        engine.tell(OpenCall(CALL, "tone:440", "null", False))
        engine.tell(other.command(CALL, "up", Direction.SEND, fingerprint=":".join(["00"] * 32)), send())
        assert (await engine.wait(TransportFailed)).reason == "fingerprint"
        assert not other.packets


async def test_a_server_that_does_not_answer_is_given_up_after_ten_seconds():
    async with running_engine() as engine, peer(engine.fingerprint) as other:
        other.is_mute_to_stun = True
        engine.tell(OpenCall(CALL, "tone:440", "null", False))
        start = trio.current_time()
        engine.tell(other.command(CALL, "up", Direction.SEND))
        assert (await engine.wait(TransportFailed, seconds=15)).reason == "ice"
        assert trio.current_time() - start == pytest.approx(10, abs=1.5)
        assert other.checks > 5


async def test_the_first_candidate_that_answers_is_taken():
    async with running_engine() as engine, peer(engine.fingerprint) as other:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
            deaf.bind(("127.0.0.1", 0))
            command = other.command(CALL, "up", Direction.SEND)
            candidates = (
                Candidate("127.0.0.1", 9),  # nobody there: refused
                Candidate("::1", other.port),
                Candidate("127.0.0.1", deaf.getsockname()[1]),
                *command.candidates,
            )
            engine.tell(OpenCall(CALL, "tone:440", "null", False))
            engine.tell(
                OpenTransport(
                    CALL, "up", Direction.SEND, command.ufrag, command.password, candidates, command.fingerprints
                ),
                send(),
            )
            await engine.wait(TransportConnected, seconds=3)


async def test_opening_and_closing_leaks_nothing():
    async with running_engine() as engine, peer(engine.fingerprint) as other:

        def holds() -> tuple[int, int]:
            pid = engine.process.pid
            return len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task"))

        command = other.command(CALL, "up", Direction.SEND)
        other.is_mute_to_stun = True
        before = (0, 0)
        for count in range(30):
            engine.tell(OpenCall(CALL, "tone:440", "null", False), command, send())
            engine.tell(Receive(CALL, "up", "bob", SSRC, PAYLOAD_TYPE), SetSource(CALL, "null"), SetSink(CALL, "pcm"))
            await engine.wait(SoundStarted, lambda report: report.name == "pcm")
            engine.forget()
            files = holds()[0]
            engine.tell(StopReceiving(CALL, "bob"), CloseTransport(CALL, "up"), CloseCall(CALL))
            if count == 5:  # what lasts is there by now; the call's sockets are closed by the receive thread
                await until(lambda files=files: holds()[0] < files)
                before = holds()
        await until(lambda: holds() <= before)
        assert holds() <= before


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("file:/nowhere/at/all.wav", "no such file"),
        ("file:/", "directory"),
        ("file:~nobody.here/a.wav", "no home folder ~nobody.here"),
        ("tone:loud", "no frequency"),
        ("tone:", "is no source"),
        ("banana", "is no source"),
    ],
)
async def test_a_bad_source_is_told_and_the_call_goes_on(source, reason):
    async with running_engine() as engine, peer(engine.fingerprint) as other:
        engine.tell(OpenCall(CALL, source, "null", False))
        problem = await engine.wait(SoundProblem)
        assert problem.side is Side.SOURCE
        assert reason in problem.reason
        assert problem.remedy
        await connect(engine, other, Direction.SEND, "up")
        engine.tell(send(), SetSource(CALL, "tone:500"))
        await until(lambda: len(other.packets) >= 20)


async def test_a_killed_engine_leaves_a_whole_file(tmp_path):
    path = tmp_path / "heard.wav"
    async with running_engine() as engine:
        engine.tell(OpenCall(CALL, "null", f"file:{path}", False))
        await engine.wait(SoundStarted, lambda report: report.side is Side.SINK)
        await until(lambda: path.stat().st_size > 40_000)
        os.kill(engine.process.pid, 9)
        await engine.process.dead.wait()
    data = path.read_bytes()
    (riff,), (size,) = struct.unpack_from("<I", data, 4), struct.unpack_from("<I", data, 40)
    assert (riff, size) == (len(data) - 8, len(data) - 44)
