"""Trio as a guest of the asyncio loop on which Textual runs.

Both share one thread and take turns, so plain values pass freely; but a function belongs to one side: `Guest.soon`
calls one on the Trio side, and `post_message` of Textual may be called from anywhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import trio
from attrs import frozen

if TYPE_CHECKING:
    import outcome


@frozen
class Guest:
    """The Trio side, seen from asyncio."""

    _token: trio.lowlevel.TrioToken

    def soon(self, call: Callable[[], object]) -> None:
        """Call a synchronous function on the Trio side, in the order asked; nothing happens after Trio's end."""
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(call)


@asynccontextmanager
async def trio_guest(main: Callable[[], Awaitable[None]], on_end: Callable[[], object]) -> AsyncIterator[Guest]:
    """Run `main` on Trio while the block lasts; the block's end cancels it and waits for it.

    `on_end` is called on the asyncio side when `main` is over before the block. Raises what `main` raised.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[outcome.Outcome[None]] = loop.create_future()
    scope = trio.CancelScope()

    async def cancellable_main() -> None:
        with scope:
            await main()

    trio.lowlevel.start_guest_run(
        cancellable_main,
        run_sync_soon_threadsafe=loop.call_soon_threadsafe,
        run_sync_soon_not_threadsafe=loop.call_soon,
        done_callback=ended.set_result,
        host_uses_signal_set_wakeup_fd=True,  # asyncio wakes up by it, and Trio must not take it away
    )
    guest = Guest(trio.lowlevel.current_trio_token())

    def tell_end(_: object) -> None:
        on_end()

    ended.add_done_callback(tell_end)
    try:
        yield guest
    finally:
        ended.remove_done_callback(tell_end)
        guest.soon(scope.cancel)
        (await _wait_for(ended)).unwrap()


async def _wait_for(ended: asyncio.Future[outcome.Outcome[None]]) -> outcome.Outcome[None]:
    """Trio's end, come what may: a loop that stops under a running guest leaves both broken."""
    while not ended.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(ended)
    return ended.result()
