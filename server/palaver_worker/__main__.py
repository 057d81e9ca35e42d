"""The media worker's process: ``python -m palaver_worker FD [OPTIONS]``, started by its owner.

It lives as long as the channel on file descriptor FD, and ends when that closes, whoever closed it. At SIGTERM it tells
its owner, and ends once its last transport is gone.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from functools import partial

from palaver_media.child import Channel, beat, take_precedence
from palaver_media.dtls import Certificate
from palaver_media.worker_messages import VIDEO_BITRATE, WORKER_CODEC, Beat, Draining, Ready, WorkerCommand

from .datagrams import HAS_MMSG
from .port import Port, bind
from .pump import PumpSelector
from .sfu import Sfu
from .statistics import Statistics


async def run(fd: int, host: str, port_number: int, video_bitrate: int, pump: PumpSelector | None) -> None:
    """Serve until the channel closes, or until a drain is done; `video_bitrate` in bit/s.

    `pump` is the loop's selector where datagrams come in batches.

    Raises:
        OSError: the UDP port cannot be had.
    """
    channel = Channel(fd, WORKER_CODEC)
    with await bind(host, port_number) as udp:
        port = Port(udp)
        sfu = Sfu(Certificate(), port, channel.report, video_bitrate)
        statistics = Statistics(sfu)

        def apply(command: WorkerCommand) -> None:
            sfu.apply(command)
            port.flush()

        draining = asyncio.Event()

        def drain() -> None:
            draining.set()
            channel.report(Draining())

        def make_beat() -> Beat | None:
            is_done = draining.is_set() and not sfu.transports
            return None if is_done else Beat(len(sfu.transports), len(sfu.consumers), dict(port.dropped))

        channel.open(apply)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, drain)
        if pump is not None:
            pump.attach(port.fanout, lambda are_others: port.act(channel.poll if are_others else None))
        else:
            loop.add_reader(udp, port.drain, channel.poll)
        channel.report(Ready(udp.getsockname()[1], sfu.certificate.fingerprint, port.fanout.name))
        statistics.start()
        await beat(channel, make_beat)
        loop.remove_reader(udp)
        if pump is not None:
            pump.detach()
        statistics.close()
        sfu.close()
        port.flush()


def main() -> int:
    """Run the process; the answer is its exit code."""
    parser = argparse.ArgumentParser(prog="palaver_worker")
    parser.add_argument("fd", type=int, help="the socket to the owner")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind")
    parser.add_argument("--port", type=int, default=0, help="UDP port to bind, 0 for any")
    parser.add_argument("--video-bitrate", type=int, default=VIDEO_BITRATE, help="bit/s that a video may have")
    options = parser.parse_args()
    logging.basicConfig(format="palaver_worker: %(levelname)s: %(message)s")
    take_precedence()
    try:
        pump = PumpSelector() if HAS_MMSG else None
        with asyncio.Runner(loop_factory=partial(asyncio.SelectorEventLoop, pump)) as runner:
            runner.run(run(options.fd, options.host, options.port, options.video_bitrate, pump))
    except OSError as why:
        print(f"palaver_worker: udp {options.host}:{options.port}: {why.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
