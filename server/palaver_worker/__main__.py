"""The media worker's process: ``python -m palaver_worker FD --host HOST --port PORT``, started by its owner.

It lives as long as the channel on file descriptor FD, and ends when that closes, whoever closed it.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys

from palaver_media.child import Channel, beat, take_precedence
from palaver_media.dtls import Certificate
from palaver_media.worker_messages import WORKER_CODEC, Beat, Ready, WorkerCommand

from .port import Port, bind
from .sfu import Sfu

log = logging.getLogger(__name__)


async def run(fd: int, host: str, port_number: int) -> None:
    """Serve until the channel closes.

    Raises:
        OSError: the UDP port cannot be had.
    """
    channel = Channel(fd, WORKER_CODEC)
    with await bind(host, port_number) as udp:
        port = Port(udp)
        sfu = Sfu(Certificate(), port, channel.report)

        def apply(command: WorkerCommand) -> None:
            sfu.apply(command)
            port.flush()

        channel.open(apply)
        loop = asyncio.get_running_loop()
        loop.add_reader(udp, port.drain, channel.poll)
        channel.report(Ready(udp.getsockname()[1], sfu.certificate.fingerprint, port.fanout.name))
        await beat(channel, lambda: Beat(len(sfu.transports)))
        loop.remove_reader(udp)
        sfu.close()
        port.flush()
        log.info("dropped: %s", dict(port.dropped))


def main() -> int:
    """Run the process; the answer is its exit code."""
    parser = argparse.ArgumentParser(prog="palaver_worker")
    parser.add_argument("fd", type=int, help="the socket to the owner")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind")
    parser.add_argument("--port", type=int, default=0, help="UDP port to bind, 0 for any")
    options = parser.parse_args()
    logging.basicConfig(format="palaver_worker: %(levelname)s: %(message)s")
    take_precedence()
    try:
        asyncio.run(run(options.fd, options.host, options.port))
    except OSError as why:
        print(f"palaver_worker: udp {options.host}:{options.port}: {why.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
