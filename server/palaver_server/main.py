"""`palaver serve`: a server from its command line to its exit code."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial

import trio

from .app import Address, StartError, Stop, serve
from .config import Config, ConfigError, parse
from .store import StoreError


def main(arguments: Sequence[str]) -> int:
    """Run a server until SIGINT or SIGTERM; 0 when it ended in order, 1 when it could not start, 2 for wrong usage."""
    level = os.environ.get("PALAVER_LOG", "WARNING").upper()
    logging.basicConfig(level=level, format="palaver: %(levelname)s %(message)s")
    try:
        config = parse(arguments, os.environ)
    except ConfigError as error:
        print(f"palaver serve: {error}", file=sys.stderr)
        return 2
    take_descriptors()
    failures: list[StartError | StoreError] = []
    try:
        trio.run(run, config, strict_exception_groups=True)
    except* (StartError, StoreError) as group:
        failures = list(leaves(group))
    for failure in failures:
        print(f"palaver serve: {failure}", file=sys.stderr)
    return 1 if failures else 0


def take_descriptors() -> None:
    """Take as many file descriptors as we may have: each client needs one, and the usual 1,024 are soon gone."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def run(config: Config) -> None:
    """Serve, say where, and stop at a signal."""
    stop = Stop()
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as obeying:
            obeying.start_soon(obey, signals, stop)
            async with trio.open_nursery() as serving:
                address: Address = await serving.start(partial(serve, config, stop))
                print(
                    f"palaver: listening on http://{bracket(address.host)}:{address.port}, "
                    f"media udp {bracket(address.host)}:{address.media_port}, core {address.core}",
                    flush=True,
                )
            obeying.cancel_scope.cancel()


async def obey(signals: AsyncIterator[int], stop: Stop) -> None:
    """SIGTERM lets calls go on for a while; SIGINT, or a second signal, ends them at once."""
    async for number in signals:
        if number == signal.SIGTERM and not stop.asked.is_set():
            stop.asked.set()
        else:
            stop.hurry()


def bracket(host: str) -> str:
    """An IPv6 address needs brackets before a port."""
    return f"[{host}]" if ":" in host else host


def leaves(group: BaseExceptionGroup[StartError | StoreError]) -> Iterator[StartError | StoreError]:
    """The exceptions inside nested groups."""
    for inner in group.exceptions:
        if isinstance(inner, BaseExceptionGroup):
            yield from leaves(inner)
        else:
            yield inner
