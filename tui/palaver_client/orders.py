"""What is typed in line mode: chat, and commands. Nothing of it is lost while the connection is."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Final, Protocol

import trio
from attrs import define

from palaver_protocol import text
from palaver_protocol.models import ChatMessage
from palaver_protocol.notices import Snapshot
from palaver_protocol.table import Code, Refusal, refusal

from . import words
from .asking import NOT_THERE
from .client import Client
from .commands import COMMANDS, HELP, Answer
from .errors import Disconnected, Unanswered
from .events import Joined, Left
from .listings import Listing
from .standard import TypedLine, typed_lines
from .state import ClientState, ConnectionState

MAX_PIECE: Final = 16_000  # code points of one message: at most 64 KiB of UTF-8
MAX_WAITING: Final = 100  # lines typed and not yet done
TRIES: Final = 5  # to say something where the server asks to wait
SOON: Final = 2.0  # s in which a new connection gets its seat back
QUIT: Final = "/quit"
TAKE_NOTHING: Final = {QUIT, "/mute", "/unmute", "/help", *(name for name, each in COMMANDS.items() if not each.usage)}


class Answers(Protocol):
    """Where the answers to what is typed go."""

    async def error(self, message: str, no: Refusal | None = None) -> None:
        """Something could not be done, because of a refusal or not."""

    async def help(self, message: str) -> None:
        """Something that was asked for."""

    async def listing(self, listing: Listing) -> None:
        """Who or what there is, as it was asked for."""

    def quit(self) -> None:
        """Nothing more is wanted."""


@define
class Orders:
    """Does what is typed, line by line. The end of standard input ends the typing, not the call.

    Of lines that are pasted together only the first may be a command, for the others are of a text.
    """

    client: Client
    answers: Answers
    _telling: tuple[trio.CancelScope, trio.Event] | None = None  # what is told beside, and when it is over

    async def run(self) -> None:
        """Read, and beside it carry out; /quit does not wait for what cannot be said now."""
        put, take = trio.open_memory_channel[TypedLine](MAX_WAITING)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._carry_out, take)
            async with put, aclosing(typed_lines()) as lines:
                async for line in lines:
                    order = TypedLine(text.sanitise(line.text).strip(), line.is_pasted)
                    if (
                        order.text.casefold() == QUIT
                        and not order.is_pasted
                        and self.client.state.connection is not ConnectionState.CONNECTED
                    ):
                        self.answers.quit()
                    await put.send(order)

    async def _carry_out(self, orders: trio.MemoryReceiveChannel[TypedLine]) -> None:
        """One after the other; what takes its time in telling ends with the next line."""
        async with trio.open_nursery() as nursery:
            async for order in orders:
                await self._end_telling()
                await self._try(order, nursery)

    async def _try(self, order: TypedLine, nursery: trio.Nursery) -> None:
        try:
            await (self._say(order.text) if order.is_pasted else self._obey(order.text, nursery))
        except Refusal as no:
            await self.answers.error(words.of_refusal(no), no)
        except Unanswered as why:
            await self.answers.error(str(why))
        except Disconnected as why:
            await self.answers.error(f"not done: {why}")

    async def _obey(self, line: str, nursery: trio.Nursery) -> None:
        """Do what a line says. Raises Refusal or Disconnected."""
        word, _, rest = line.partition(" ")
        command = word.casefold()
        if not line:
            return
        if rest and command in TAKE_NOTHING:
            raise refusal(Code.INVALID_PAYLOAD, f"{command} takes nothing more; write only {command}")
        if command == QUIT:
            self.answers.quit()
        elif command in ("/mute", "/unmute"):
            with contextlib.suppress(Disconnected):  # then it is told as soon as it can be
                await self.client.set_muted(command == "/mute")
        elif command == "/help":
            await self.answers.help(HELP)
        elif command in COMMANDS:
            await self._answer(await COMMANDS[command].run(rest.strip(), self.client), nursery)
        elif command.startswith("/") and not command.startswith("//"):
            await self.answers.error(f"there is no command {word[:40]}; /help lists them")
        else:
            await self._say(line.removeprefix("/") if line.startswith("//") else line)

    async def _answer(self, answer: Answer, nursery: trio.Nursery) -> None:
        if isinstance(answer, Listing):
            await self.answers.listing(answer)
        elif isinstance(answer, AbstractAsyncContextManager):
            self._telling = trio.CancelScope(), trio.Event()
            nursery.start_soon(self._tell, answer, *self._telling)
        elif answer is not None:
            await self.answers.help(answer)

    async def _tell(
        self, answer: AbstractAsyncContextManager[AsyncIterator[str]], scope: trio.CancelScope, told: trio.Event
    ) -> None:
        try:
            with scope:
                async with answer as lines:
                    async for line in lines:
                        await self.answers.help(line)
        finally:
            told.set()

    async def _end_telling(self) -> None:
        if self._telling is not None:
            scope, told = self._telling
            scope.cancel()
            await told.wait()

    async def _say(self, content: str) -> None:
        """Write it to the room, in pieces. Raises Refusal or Disconnected."""
        for start in range(0, len(content), MAX_PIECE):
            await say(self.client, content[start : start + MAX_PIECE])


async def say(client: Client, content: str) -> None:
    """Say something, as soon as the server takes it. Raises Refusal, or Disconnected when that will never be."""
    if client.state.room is None:
        raise refusal(Code.NOT_FOUND, "nobody is here to read it; call somebody with /call NAME, or /join a room")
    known = {said.message_id for said in ours(client.state)}
    for _ in range(TRIES):
        try:
            await client.say(content)
            return
        except Refusal as no:
            await _wait_to_say_again(client, no)
        except Disconnected:
            await _wait_seated(client)
        if any(said.content == content for said in ours(client.state) if said.message_id not in known):
            return  # it had arrived, and only the answer was lost
    raise refusal(Code.RATE_LIMITED, "the server would not take it")


def ours(state: ClientState) -> list[ChatMessage]:
    """What we have said in our room."""
    return [] if state.room is None else [said for said in state.room.messages if said.user_id == state.me]


async def _wait_to_say_again(client: Client, no: Refusal) -> None:
    """Wait as long as the server asks to, or for our seat where a new connection has not got it back yet."""
    if no.retry_after is not None:
        await trio.sleep(no.retry_after)
    elif no.code in NOT_THERE and client.state.room is not None:
        with trio.move_on_after(SOON):
            await _wait_seated(client)
    else:
        raise no


async def _wait_seated(client: Client) -> None:
    """Wait until the server has given us our seat again. Raises Disconnected when it will not."""
    async with client.changes() as changes:
        async for change in changes:
            match change.event:
                case Joined() | Snapshot() if change.new.room is not None:
                    return
                case Left():
                    raise Disconnected("you are in no room any more")
                case _:
                    continue
    raise Disconnected(await client.wait_closed())
