"""Engine.IO over HTTP long-polling, for networks that let no WebSocket through."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import quote

import trio
from attrs import define, field

from palaver_protocol import engineio
from palaver_protocol.engineio import Packet, RemoteProtocolError
from palaver_protocol.polling import SEPARATOR, decode_payload, encode_payload

from .carriers import Carrier, Opening
from .errors import LinkLost
from .http_client import Answer, HttpClient, Open
from .url import ServerUrl

RESOURCE: Final = f"/socket.io/?EIO={engineio.PROTOCOL}&transport=polling"
OK: Final = 200
TAKEN: Final = 10.0  # s until what we say is taken


def polling_at(url: ServerUrl, open_stream: Open) -> Opening:
    """Long-polling of a server. Opened, it raises LinkLost or RemoteProtocolError."""

    async def opening(_: trio.Nursery) -> Carrier:
        carrier = PollingCarrier(url, HttpClient(url, open_stream), HttpClient(url, open_stream))
        try:
            await carrier.open()
        except BaseException:
            with trio.CancelScope(shield=True):
                await carrier.close()
            raise
        return carrier

    return opening


@define(eq=False)
class PollingCarrier:
    """One connection takes what the server has to say, another one brings what we have."""

    _url: ServerUrl
    _down: HttpClient
    _up: HttpClient
    _target: str = RESOURCE
    _max_payload: int = 0  # bytes
    _unread: deque[Packet] = field(factory=deque[Packet])

    async def open(self) -> None:
        """Be given a session id. Raises LinkLost or RemoteProtocolError."""
        await self._poll()
        handshake = engineio.read_open(self._unread[0])  # which stays there for the link
        self._target = f"{RESOURCE}&sid={quote(handshake.sid, safe='')}"
        self._max_payload = handshake.settings.max_payload

    async def receive(self) -> Packet:
        """The next packet."""
        while not self._unread:
            await self._poll()
        return self._unread.popleft()

    async def send(self, messages: Sequence[str | bytes]) -> None:
        """Send packets, several in one request as far as the server takes them."""
        for payload in payloads(messages, self._max_payload):
            with trio.move_on_after(TAKEN):
                self._check(await self._up.request("POST", self._target, payload))
                continue
            raise LinkLost(f"the server at {self._url} does not take what we say")

    async def close(self) -> None:
        """Give up both connections."""
        await self._down.close()
        await self._up.close()

    async def _poll(self) -> None:
        answer = self._check(await self._down.request("GET", self._target))
        self._unread.extend(decode_payload(answer.body))
        if not self._unread:
            raise RemoteProtocolError("an empty payload")

    def _check(self, answer: Answer) -> Answer:
        if answer.status != OK:
            raise LinkLost(f"the server at {self._url} ended the session (it answers {answer.status})")
        return answer


def payloads(messages: Sequence[str | bytes], limit: int) -> Iterator[bytes]:
    """Packets in as few payloads as fit into `limit` bytes each; one that is longer goes alone."""
    held: list[bytes] = []
    length = 0
    for message in messages:
        encoded = encode_payload([message])
        if held and length + len(encoded) > limit:
            yield SEPARATOR.encode().join(held)
            held, length = [], 0
        held.append(encoded)
        length += len(encoded) + len(SEPARATOR)
    if held:
        yield SEPARATOR.encode().join(held)
