"""The real engine process: what it sends in each mode, and while its screen stands still."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import trio

from engine.peer import PAYLOAD_TYPE, peer
from engine.running import running_engine, until
from palaver_media.codec import Pcm
from palaver_media.engine_messages import (
    Direction,
    OpenCall,
    Send,
    Sending,
    SetCapture,
    SetMuted,
    SetTalking,
    TransportConnected,
)
from palaver_media.sound_settings import Capture, Transmit
from sound.voices import tone

pytestmark = pytest.mark.trio

CALL = "the call"
STALL = 2.0  # s


def start_screen() -> subprocess.Popen[bytes]:
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    line = [sys.executable, "-m", "engine.owner"]
    return subprocess.Popen(line, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


async def test_a_key_is_held_and_released_and_each_change_is_told():
    async with running_engine() as engine, peer(engine.fingerprint) as other:
        engine.tell(OpenCall(CALL, "tone:440", "null", False), SetCapture(CALL, Capture(transmit=Transmit.PUSH)))
        engine.tell(other.command(CALL, "up", Direction.SEND))
        await engine.wait(TransportConnected)
        engine.tell(Send(CALL, "up", 77, PAYLOAD_TYPE, "cname", "0", 0, 0))
        await trio.sleep(0.3)
        assert not other.packets
        engine.tell(SetTalking(CALL, True))
        await engine.wait(Sending, lambda report: report.is_sending)
        await until(lambda: len(other.packets) >= 10)
        engine.tell(SetTalking(CALL, False))
        await engine.wait(Sending, lambda report: not report.is_sending)
        engine.forget()
        count = len(other.packets)
        engine.tell(SetTalking(CALL, True), SetMuted(CALL, True))
        await trio.sleep(0.3)
        assert len(other.packets) <= count + 1  # between the two commands a block may pass
        engine.tell(SetMuted(CALL, False))
        await until(lambda: len(other.packets) >= count + 10)


async def test_a_voice_opens_and_its_end_closes():
    async with running_engine() as engine, peer(engine.fingerprint) as other:
        engine.tell(OpenCall(CALL, "pcm", "null", False), SetCapture(CALL, Capture(transmit=Transmit.VOICE)))
        engine.tell(other.command(CALL, "up", Direction.SEND))
        await engine.wait(TransportConnected)
        engine.tell(Send(CALL, "up", 77, PAYLOAD_TYPE, "cname", "0", 0, 0))
        said = np.concatenate((np.zeros(24_000, np.int16), tone(440, 0.5), np.zeros(48_000, np.int16)))
        engine.tell(Pcm(CALL, "", said.tobytes()))
        await engine.wait(Sending, lambda report: report.is_sending)
        await engine.wait(Sending, lambda report: not report.is_sending)
        assert 0.7 <= len(other.packets) / 50 <= 1.0


async def test_sending_goes_on_while_the_screen_stands_still():
    with start_screen() as screen:
        try:
            assert screen.stdin is not None
            assert screen.stdout is not None
            fingerprint = (await trio.to_thread.run_sync(screen.stdout.readline)).decode().strip()
            async with peer(fingerprint) as other:
                told = {name: getattr(other, name) for name in ("ufrag", "password", "port")}
                told["fingerprint"] = other.certificate.fingerprint
                screen.stdin.write(json.dumps(told).encode() + b"\n")
                screen.stdin.flush()
                await until(lambda: len(other.packets) > 25)
                screen.send_signal(signal.SIGSTOP)
                count = len(other.packets)
                await trio.sleep(STALL)
                sent = other.packets[count:]
                assert len(sent) == pytest.approx(STALL * 50, abs=5)
                assert set(np.diff([packet.timestamp for packet in sent]) & 0xFFFFFFFF) == {960}
                screen.send_signal(signal.SIGCONT)
                await until(lambda: len(other.packets) > count + STALL * 50 + 25)
        finally:
            screen.kill()
