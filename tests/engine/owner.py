"""A process that owns an engine and can be stopped, as a screen that stalls: `python -m engine.owner`.

It prints the engine's fingerprint, is told a peer in one line, and has the engine send a tone there for ever.
"""

from __future__ import annotations

import json
import sys

import trio

from engine.peer import PAYLOAD_TYPE
from engine.running import running_engine
from palaver_media.engine_messages import (
    Candidate,
    Direction,
    OpenCall,
    OpenTransport,
    Send,
    TransportConnected,
)
from palaver_media.worker_messages import Fingerprint

CALL = "the call"


async def main() -> None:
    async with running_engine() as engine:
        print(engine.fingerprint, flush=True)
        told = json.loads(await trio.to_thread.run_sync(sys.stdin.readline))
        engine.tell(
            OpenCall(CALL, "tone:440", "null", False),
            OpenTransport(
                CALL,
                "up",
                Direction.SEND,
                told["ufrag"],
                told["password"],
                (Candidate("127.0.0.1", told["port"]),),
                (Fingerprint("sha-256", told["fingerprint"]),),
            ),
        )
        await engine.wait(TransportConnected)
        engine.tell(Send(CALL, "up", 77, PAYLOAD_TYPE, "cname", "0", 0, 0))
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main)
