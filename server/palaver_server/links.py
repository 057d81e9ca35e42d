"""What all Engine.IO links share, over whichever transport they run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeAlias

import trio
from attrs import define, field

from palaver_protocol.engineio import PacketType, Settings

from .session import Outbox

MESSAGE: Final = PacketType.MESSAGE.value
OnMessage: TypeAlias = Callable[[str | bytes], None]


@define(eq=False)
class Link(ABC):
    """One client's link. What is put into its outbox is sent in order, by one writer at a time."""

    settings: Settings
    sid: str
    outbox: Outbox = field(factory=Outbox, kw_only=True)
    has_left: bool = field(default=False, kw_only=True)  # the client said goodbye; set before `serve` returns

    @abstractmethod
    async def serve(self, on_message: OnMessage) -> None:
        """Live until the client leaves, breaks the protocol, falls silent, or is cut off by its outbox.

        `on_message` gets each Engine.IO message, at once and in order; it must not block.
        """


async def close_stream(stream: trio.abc.Stream) -> None:
    """Close a stream for good, without waiting for the other side."""
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        await trio.aclose_forcefully(stream)


def message(data: str | bytes) -> str | bytes:
    """The WebSocket message that carries an Engine.IO message."""
    return data if isinstance(data, bytes) else MESSAGE + data


OnLink: TypeAlias = Callable[[Link, str], Awaitable[None]]
"""Serves a link until it ends, given the address that the client reached."""
