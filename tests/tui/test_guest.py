"""Trio as a guest: started, told things, ended, and never left behind."""

from __future__ import annotations

import asyncio

import pytest
import trio
import trio.lowlevel
import trio.testing
from textual.app import App

from palaver_tui.guest import trio_guest

pytestmark = pytest.mark.asyncio
PATIENCE = 5.0  # s


async def test_the_end_of_the_block_ends_trio_and_waits_for_its_cleaning_up() -> None:
    done: list[str] = []

    async def main() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.05)
            done.append("cleaned")

    async with trio_guest(main, lambda: done.append("told")):
        assert done == []
    assert done == ["cleaned"]  # and nobody was told what he had asked for


async def test_calls_arrive_in_order_on_the_trio_side() -> None:
    got: list[int] = []
    full = asyncio.Event()

    def take(number: int) -> None:
        trio.current_time()  # raises where Trio does not run
        got.append(number)
        if number == 99:
            full.set()

    async with trio_guest(trio.sleep_forever, lambda: None) as guest:
        for number in range(100):
            guest.soon(lambda number=number: take(number))
        await asyncio.wait_for(full.wait(), PATIENCE)
    assert got == list(range(100))
    guest.soon(lambda: got.append(100))  # after the end: nothing, and no error
    assert got == list(range(100))


async def test_an_error_ends_the_block_and_comes_out_of_it() -> None:
    ended = asyncio.Event()

    async def main() -> None:
        await trio.lowlevel.checkpoint()
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        async with trio_guest(main, ended.set):
            await asyncio.wait_for(ended.wait(), PATIENCE)


async def test_real_input_and_output_on_the_trio_side() -> None:
    answered = asyncio.Event()

    async def main() -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, lambda stream: stream.send_all(b"hello"), listeners)
            async with await trio.testing.open_stream_to_socket_listener(listeners[0]) as stream:
                assert await stream.receive_some() == b"hello"
            answered.set()
            await trio.sleep_forever()

    async with trio_guest(main, lambda: None):
        await asyncio.wait_for(answered.wait(), PATIENCE)


async def test_cancelling_the_block_does_not_leave_trio_behind() -> None:
    done: list[str] = []

    async def main() -> None:
        try:
            await trio.sleep_forever()
        finally:
            done.append("cleaned")

    async def block() -> None:
        async with trio_guest(main, lambda: None):
            await asyncio.sleep(PATIENCE)

    task = asyncio.create_task(block())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["cleaned"]


async def test_an_error_on_the_trio_side_ends_the_screen() -> None:
    async def main() -> None:
        await trio.lowlevel.checkpoint()
        raise RuntimeError("a bug")

    app = App[None]()
    with pytest.raises(RuntimeError, match="a bug"):
        async with trio_guest(main, app.exit):
            await asyncio.wait_for(app.run_async(headless=True), PATIENCE)


async def test_an_error_of_the_screen_is_not_covered_up_by_the_end_of_trio() -> None:
    class Broken(App[None]):
        def on_mount(self) -> None:
            raise RuntimeError("a bug")

    app = Broken()
    async with trio_guest(trio.sleep_forever, app.exit):
        await asyncio.wait_for(app.run_async(headless=True), PATIENCE)
    assert app.return_code == 1
