"""The echo bot: it listens to whoever speaks, and says it back to everybody.

It is also the example of how a bot hears, speaks and writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import trio

from palaver_client import (
    Call,
    Client,
    ClientError,
    Disconnected,
    EndReason,
    Refusal,
    UserId,
    UserJoined,
    arguments,
    connect,
    running,
)
from palaver_client.arguments import DEFAULT_URL, Parser

from .utterances import Utterances

NAME: Final = "palaver bot echo"
PURPOSE: Final = "A bot that says back what it hears, so that one person alone can try sound and network."
EXAMPLE: Final = f"{NAME} {DEFAULT_URL} --room lobby"
GREETING: Final = "I say back what I hear: speak, pause for a moment, and listen."
FADE: Final = 0.6  # s: our last words are on their way (0.2), and come back from somebody's loudspeaker
AGAIN: Final = 1.0  # s until the room is entered again after the server ended it


def main(argv: Sequence[str]) -> int:
    """Run the bot; its exit code."""
    parser = Parser(NAME, PURPOSE, EXAMPLE)
    parser.add_argument("url", metavar="URL", type=arguments.url, help=f"the server, {DEFAULT_URL} for instance")
    parser.add_argument("--room", type=arguments.name, required=True, help="made if need be")
    parser.add_argument("--name", type=arguments.name, default="echo", help="what others see (echo)")
    options = parser.parse(argv)
    return running.run(NAME, partial(run, options.url, options.name, options.room))


async def run(url: str, name: str, room: str) -> int:
    """Be in the room until somebody ends it; the exit code."""
    async with connect(url, name) as client:
        reason = await stay(client, room)
        while reason is EndReason.SHUTDOWN:
            with trio.move_on_after(AGAIN):
                raise ClientError(await client.wait_closed())
            reason = await stay(client, room)
    if reason is EndReason.ERROR:
        raise ClientError(f"cannot stay in room {room}")
    return 0


async def stay(client: Client, room: str) -> EndReason:
    """Enter the room and echo until that ends. A server that restarts counts as SHUTDOWN, also before we are in."""
    try:
        async with client.call(room, source="pcm", sink="pcm") as call, trio.open_nursery() as nursery:
            print(f"palaver bot: in room {call.room.room_name}", flush=True)
            nursery.start_soon(greet, client)
            nursery.start_soon(echo, call)
            reason = await call.wait_ended()
            nursery.cancel_scope.cancel()
        return reason
    except Disconnected:
        return EndReason.SHUTDOWN


async def greet(client: Client) -> None:
    """Tell whoever comes what we do."""
    async with client.changes() as changes:
        async for change in changes:
            match change.event:
                case UserJoined(user_name=name):
                    try:
                        await client.say(f"Hello {name}! {GREETING}")
                    except (Refusal, ClientError):
                        continue  # a greeting is not worth more


async def echo(call: Call) -> None:
    """Listen to an utterance, say it back deaf to all else, and listen again."""
    while said := await listen(call):
        await call.speak(said)
        await trio.sleep(FADE)


async def listen(call: Call) -> bytes:
    """What somebody says next, whoever it is; empty when the call ended."""
    voices: dict[UserId, Utterances] = {}
    async for block in call.hear():
        said = voices.setdefault(block.user_id, Utterances()).feed(block.samples)
        if said is not None:
            return said
    return b""
