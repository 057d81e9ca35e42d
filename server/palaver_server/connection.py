"""One client from its first packet to its last: who it is, what it asks, what it is answered."""

from __future__ import annotations

import logging
import math
from typing import Any, Final

import trio
from attrs import define, field

from palaver_protocol import socketio
from palaver_protocol.converter import read_id, read_name, read_request, write_ack, write_refusal
from palaver_protocol.engineio import RemoteProtocolError
from palaver_protocol.models import NoticeLevel, Reason, UserId, is_speaker
from palaver_protocol.notices import ServerNotice
from palaver_protocol.socketio import Acknowledged, Connecting, Disconnected, Event, ServerLink
from palaver_protocol.table import REQUESTS, Code, Refusal, refusal

from .exchange import Exchange
from .links import Link, message
from .people import Newcomer
from .session import SIZE_OF_TOKEN, Session

log = logging.getLogger(__name__)

CONNECT_PATIENCE: Final = 10.0  # s from the link to the Socket.IO CONNECT
ROOT: Final = "/"


@define(eq=False)
class Connection:
    """The Socket.IO side of one link."""

    link: Link
    exchange: Exchange
    address: str  # at which the client reached us
    notices: tuple[ServerNotice, ...] = ()  # what every client is told first
    session: Session | None = None
    has_left: bool = False  # it said goodbye
    _packets: ServerLink = field(factory=ServerLink)

    def __attrs_post_init__(self) -> None:
        self.link.outbox.scope.deadline = trio.current_time() + CONNECT_PATIENCE

    async def serve(self) -> None:
        """Live as long as the link; then leave the exchange."""
        try:
            await self.link.serve(self.receive)
        finally:
            self.part()

    def part(self) -> None:
        """The link has ended, or its client said goodbye; once is enough."""
        if self.session is not None:
            is_clean = self.has_left or self.link.has_left
            self.exchange.part(self.session, self.link.outbox, is_clean=is_clean)

    def receive(self, data: str | bytes) -> None:
        """Do what a message says.

        Raises:
            RemoteProtocolError: it is none.
        """
        for event in self._packets.feed(data):
            match event:
                case Connecting():
                    self.connect(event.auth)
                case Disconnected():
                    self.has_left = True
                    self.part()
                    self.link.outbox.close()
                case Event():
                    self.answer(event, size_of(data))
                case Acknowledged():
                    pass  # the server asks nothing that is answered
        self.send(self._packets.take_refusals())

    def connect(self, auth: dict[str, Any]) -> None:
        """Let a client in under the id and name that it gives.

        Raises:
            RemoteProtocolError: it was in already, and has just left.
        """
        if self.session is not None:
            raise RemoteProtocolError("connected again on the same link")
        who = self.read_auth(auth)
        if who is None:
            return
        self.link.outbox.scope.deadline = math.inf
        self.session, is_resumed = self.exchange.arrive(who, self.address, self.link.outbox)
        self.send(self._packets.accept(ROOT, self.session.socket_id, self.describe(self.session, is_resumed)))
        self.greet(self.session, is_resumed)

    def read_auth(self, auth: dict[str, Any]) -> Newcomer | None:
        """What a client says of itself; None when it is refused, and told why."""
        resume, takes_waiting = auth.get("resume"), auth.get("callWaiting", False)
        try:
            user_id = UserId(read_id(auth.get("userId"), None))
            if is_speaker(user_id):
                raise ValueError("expected an id other than those of a room's speakers")
            name = read_name(auth.get("name"))
        except ValueError as error:
            which = "userId" if "an id" in str(error) else "name"
            self.send(self._packets.refuse(ROOT, f"auth.{which}: {error}"))
            return None
        return Newcomer(user_id, name, resume[:64] if isinstance(resume, str) else None, takes_waiting is True)

    @staticmethod
    def describe(session: Session, is_resumed: bool) -> dict[str, Any]:
        """What a client learns when it is let in; `resume` is for one that asked for it."""
        known: dict[str, Any] = {"userId": session.user_id, "resumed": is_resumed}
        return {**known, "resume": session.token} if session.token else known

    def greet(self, session: Session, is_resumed: bool) -> None:
        """Tell somebody how things stand, and what rings."""
        if is_resumed:
            self.exchange.greet_back(session)
        else:
            self.exchange.calls.arrived(session)
        for notice in self.notices:
            self.exchange.tell_session(session, notice)

    def answer(self, event: Event, size: int) -> None:
        """Handle a request of so many bytes, and answer it if an answer was asked for."""
        answered = self._handle(event, size)
        if event.ack_id is not None:
            self.link.outbox.put(message(socketio.encode_ack(event.ack_id, answered)))

    def _handle(self, event: Event, size: int) -> dict[str, Any]:
        session = self.session
        assert session is not None  # the packets' machine lets no event through before
        try:
            row = REQUESTS.get(event.name)
            cost = (row.cost if row else 1) + size // SIZE_OF_TOKEN  # nonsense is not free either
            session.budget.spend(cost, trio.current_time())
            asked = read_request(event.name, event.arguments[0] if event.arguments else None)
            return write_ack(self.exchange.handle(session, asked))
        except Refusal as no:
            return write_refusal(no)
        except Exception:
            log.exception("%s by %s broke", event.name[:40], session.user_id)
            return write_refusal(refusal(Code.INTERNAL, "something went wrong in the server"))

    def send(self, messages: list[str | bytes]) -> None:
        """Put Socket.IO messages into the outbox, together."""
        for data in messages:
            self.link.outbox.put(message(data))


def size_of(data: str | bytes) -> int:
    """The bytes of a message; text is nearly always ASCII, which costs nothing to know."""
    return len(data) if isinstance(data, bytes) or data.isascii() else len(data.encode())


INSECURE: Final = ServerNotice(
    NoticeLevel.WARNING,
    "insecure",
    Reason("This server is open to the network without passwords or TLS: anybody can join, and chat can be read."),
)


async def serve_link(link: Link, exchange: Exchange, address: str, notices: tuple[ServerNotice, ...]) -> None:
    """The crash barrier of a connection: a bug ends this one, and nobody else notices."""
    try:
        await Connection(link, exchange, address, notices).serve()
    except* Exception:
        log.exception("connection %s broke", link.sid)
