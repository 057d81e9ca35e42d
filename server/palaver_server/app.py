"""The server's task tree: what lives inside what, and so in which order everything ends."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Mapping
from functools import partial
from typing import Final

import trio
from attrs import field, frozen

from palaver_protocol import engineio
from palaver_protocol.models import NoticeLevel, Reason
from palaver_protocol.notices import ServerNotice

from .config import Config
from .connection import INSECURE, serve_link
from .exchange import Exchange
from .front_door import FrontDoor
from .links import Link
from .publisher import publish_lists
from .rest import Rest
from .restoring import Restoring
from .stores import open_store
from .workers import SPARES, Pool, Worker

log = logging.getLogger(__name__)

ANY_IPV4: Final = "0.0.0.0"
ANY_IPV6: Final = "::"  # and any IPv4 address too
LAST_WORDS: Final = 2.0  # s, when the server ends
WORKER_PATIENCE: Final = 30.0  # s for the media workers to come up
REMEDIES: Final = {
    errno.EADDRINUSE: "is another server running there? --port N takes another port, --port 0 any free one",
    errno.EADDRNOTAVAIL: "this machine has no such address; --host 0.0.0.0 (with --insecure) stands for all it has",
    errno.EACCES: "ports below 1024 are for root; --port 8440 is for everybody",
}
OTHER_REMEDY: Final = "--host ADDRESS takes another address, such as 127.0.0.1"


class StartError(Exception):
    """The server cannot start; the message says why, and what would help."""


@frozen
class Stop:
    """A server's end, as it is asked for: calls may still go on within `drain`, which can be cut short."""

    asked: trio.Event = field(factory=trio.Event)
    drain: trio.CancelScope = field(factory=trio.CancelScope)

    def hurry(self) -> None:
        """End at once."""
        self.drain.cancel()
        self.asked.set()


@frozen
class Address:
    """Where a started server is, and the core that its media workers forward with: `c` or `python`."""

    host: str
    port: int
    media_port: int
    core: str


async def serve(
    config: Config, stop: Stop, *, task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED
) -> None:
    """Run a server until it is to stop. Nesting order is the reverse of the order of ending: doors, places, services.

    Raises:
        StartError: an address is not to be had, or no media worker starts.
        StoreError: the state cannot be used, or another server has taken it over.
    """
    listeners = await listen(config)
    port: int = listeners[0].socket.getsockname()[1]
    pool = Pool([make_worker(config, index, port) for index in range(config.workers + SPARES)])
    store = open_store(config.state_or_default)
    async with trio.open_nursery() as services:
        kept: Mapping[str, bytes] = await services.start(store.run)
        with trio.move_on_after(WORKER_PATIENCE) as patience:
            await services.start(pool.run)
        if patience.cancelled_caught:
            raise StartError("the media workers did not start; the log above says why")
        async with trio.open_nursery() as places:
            exchange = Exchange(places, pool, config.policy, mark=store.mark)
            Restoring(exchange, kept).restore()
            places.start_soon(publish_lists, exchange)
            async with trio.open_nursery() as doors:
                async with trio.open_nursery() as listening:
                    door = make_door(config, exchange, pool, doors, stop)
                    listening.start_soon(partial(trio.serve_listeners, door.serve, listeners, handler_nursery=doors))
                    place = pool.workers[0].place
                    assert place is not None
                    task_status.started(Address(config.host, port, place.port, pool.workers[0].core))
                    await stop.asked.wait()
                    with stop.drain:
                        stop.drain.deadline = trio.current_time() + config.drain
                        await drain(exchange, config.drain, stop)
                    listening.cancel_scope.cancel()
                exchange.shut_down()
                doors.cancel_scope.deadline = trio.current_time() + LAST_WORDS
            places.cancel_scope.cancel()
        services.cancel_scope.cancel()


async def listen(config: Config) -> list[trio.SocketListener]:
    """The TCP listeners of a server, all on one port."""
    listeners = await listen_on(config.host, config.port)
    if config.host == ANY_IPV6:
        listeners += await listen_on(ANY_IPV4, listeners[0].socket.getsockname()[1])
    return listeners


async def listen_on(host: str, port: int) -> list[trio.SocketListener]:
    """The TCP listeners of a host, which may be a name; those of an IPv6 address take no IPv4."""
    try:
        return await trio.open_tcp_listeners(port, host=host)
    except (OSError, UnicodeError) as error:  # the latter: too long for a host name
        why = error.strerror if isinstance(error, OSError) else None
        remedy = REMEDIES.get(error.errno or 0, OTHER_REMEDY) if isinstance(error, OSError) else OTHER_REMEDY
        raise StartError(f"cannot listen on {host} port {port}: {why or error}; {remedy}") from None


def make_worker(config: Config, index: int, tcp_port: int) -> Worker:
    """A worker whose UDP port is known to be free, so that a taken one is told at once."""
    port = config.worker_port(index, tcp_port)
    is_any = config.host in (ANY_IPV4, ANY_IPV6)
    host = config.host if is_any else resolve(config.host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise StartError(
                f"cannot use UDP port {port} on {config.host} for media: {error}; --media-port N starts at another one"
            ) from None
    return Worker(host, config.announce or (() if is_any else (host,)), port, config.video_bitrate)


def resolve(host: str) -> str:
    """The IP address of a host name, since ICE candidates hold no names."""
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)[0][4][0])
    except OSError as error:
        raise StartError(f"cannot resolve {host}: {error.strerror or error}") from None


async def drain(exchange: Exchange, seconds: float, stop: Stop) -> None:
    """Tell everybody that the server is about to end, and wait until no room is open any more; none is opened now."""
    exchange.open_no_more(seconds + LAST_WORDS)
    if stop.drain.cancel_called or not seconds:
        return
    for session in exchange.people.sessions.values():
        exchange.tell_session(session, draining(seconds))
    while open_rooms := [room for room in exchange.rooms.open.values() if not room.state.is_ended]:
        await open_rooms[0].ended.wait()


def draining(seconds: float) -> ServerNotice:
    """What people are told when the server is about to end."""
    words = Reason(f"This server is about to end. Calls can go on for {seconds:g} s.")
    return ServerNotice(NoticeLevel.WARNING, "draining", words)


def make_door(config: Config, exchange: Exchange, pool: Pool, doors: trio.Nursery, stop: Stop) -> FrontDoor:
    """The front door, leading into the exchange; links without a connection of their own live in `doors`."""
    insecure = () if config.is_loopback else (INSECURE,)

    async def on_link(link: Link, address: str) -> None:
        notices = (*insecure, draining(config.drain)) if stop.asked.is_set() else insecure
        await serve_link(link, exchange, address, notices)

    def health() -> dict[str, object]:
        transports = sum(worker.transports for worker in pool.workers)
        return {
            "status": "draining" if stop.asked.is_set() else "ok",
            "connections": len(exchange.people.sessions),
            "rooms": len(exchange.rooms.open),
            "transports": transports,
        }

    rest = Rest(exchange, pool)
    origins, settings = frozenset(config.allow_origin), engineio.Settings()
    return FrontDoor(doors, settings, origins, on_link, health, api=rest.respond, is_local=config.is_loopback)
