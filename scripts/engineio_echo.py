"""An Engine.IO server that says everything back, for the protocol's official test cases: `engineio_echo.py --port P`.

It is the server's own front door and links, with the settings and the path that those cases expect.
"""

from __future__ import annotations

import argparse
import signal
from functools import partial
from typing import Final

import trio

from palaver_protocol.engineio import Settings
from palaver_server.front_door import FrontDoor
from palaver_server.links import Link, OnLink, message

SETTINGS: Final = Settings(ping_interval=0.3, ping_timeout=0.2, max_payload=1_000_000)


def main(path: str, on_link: OnLink) -> None:
    """Serve at the port that the command line names, until interrupted."""
    parser = argparse.ArgumentParser(description="An echo on loopback for the official test cases.")
    parser.add_argument("--port", type=int, required=True, help="TCP port (0 = any free one, which is printed)")
    port: int = parser.parse_args().port
    trio.run(run, port, path, on_link)


async def run(port: int, path: str, on_link: OnLink) -> None:
    """Serve until SIGINT or SIGTERM. Any web page may connect: the cases also run in a browser."""
    listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        door = FrontDoor(nursery, SETTINGS, frozenset({"*"}), on_link, dict, path)
        nursery.start_soon(partial(trio.serve_listeners, door.serve, listeners, handler_nursery=nursery))
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            print(f"listening on http://127.0.0.1:{listeners[0].socket.getsockname()[1]}", flush=True)
            async for _ in signals:
                nursery.cancel_scope.cancel()


async def echo(link: Link, address: str) -> None:
    """Give each message back."""
    await link.serve(lambda data: link.outbox.put(message(data)))


if __name__ == "__main__":
    main("/engine.io/", echo)
