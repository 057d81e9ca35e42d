"""The slash commands of line mode: what each does, and how it is written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeAlias

from attrs import frozen

from palaver_protocol.models import ChatMessage, UserId
from palaver_protocol.table import Code, refusal

from . import call_commands, device_commands, listings, sending_commands, sound_commands
from .client import Client
from .listings import Listing
from .names import Candidate, find
from .state import ClientState

PAGE: Final = 20  # messages

Answer: TypeAlias = str | Listing | AbstractAsyncContextManager[AsyncIterator[str]] | None


@frozen
class Command:
    """A command: how it is written after its name, what it does, and the function; its answer is for people."""

    usage: str
    help: str
    run: Callable[[str, Client], Awaitable[Answer]]


# -- messages ----------------------------------------------------------------------------------------------------------
async def reply(rest: str, client: Client) -> None:
    """Answer a message."""
    said, content = _message_and_more(rest, client.state)
    await client.say(content, said.message_id)


async def react(rest: str, client: Client) -> None:
    """React to a message, or take it back."""
    said, emoji = _message_and_more(rest, client.state)
    await client.react(said.message_id, emoji)


async def edit(rest: str, client: Client) -> None:
    """Put a message of ours differently."""
    said, content = _message_and_more(rest, client.state)
    await client.edit(said.message_id, content)


async def delete(rest: str, client: Client) -> None:
    """Take a message of ours back."""
    if " " in rest:
        raise refusal(Code.INVALID_PAYLOAD, "/delete takes only a number; write /delete N, 1 is the newest")
    await client.delete(message(client.state, rest).message_id)


async def older(rest: str, client: Client) -> str | None:
    """Read a page of what was said earlier; the lines come as an event of their own."""
    page = await client.older(PAGE)
    return None if page.messages else "there are no older messages"


def message(state: ClientState, number: str) -> ChatMessage:
    """The message that many from the end. Raises Refusal."""
    messages = () if state.room is None else state.room.messages
    if number.isascii() and number.isdigit() and 1 <= len(number) <= 4 and 1 <= int(number) <= len(messages):
        return messages[-int(number)]
    raise refusal(Code.NOT_FOUND, f"there is no message {number[:40] or 'without a number'}; 1 is the newest")


def _message_and_more(rest: str, state: ClientState) -> tuple[ChatMessage, str]:
    number, _, more = rest.partition(" ")
    said = message(state, number)
    if not more.strip():
        raise refusal(Code.INVALID_PAYLOAD, "something is missing after the number")
    return said, more.strip()


# -- people and rooms --------------------------------------------------------------------------------------------------
async def who(rest: str, client: Client) -> Listing:
    """Who is in our room, and who else is online."""
    return listings.who(client.state)


async def rooms(rest: str, client: Client) -> Listing:
    """Which rooms there are."""
    return listings.rooms(client.state)


async def join(rest: str, client: Client) -> None:
    """Go to the room of that name, which is made if need be."""
    if not rest:
        raise refusal(Code.INVALID_PAYLOAD, "/join needs the name of a room")
    await client.create_room(rest, join_existing=True, leave_current=True)


async def leave(rest: str, client: Client) -> None:
    """Leave the room, or hang up."""
    client.here()
    await client.leave_room()


async def host(rest: str, client: Client) -> None:
    """Hand the host's role to somebody."""
    if not rest:
        raise refusal(Code.INVALID_PAYLOAD, "/host needs a name")
    people = client.here().participants
    others = [Candidate(each.user_id, each.name, each.user_id) for each in people if each.user_id != client.user_id]
    await client.transfer_host(UserId(find(rest, others, "here")))


COMMANDS: Final = {
    "/call": Command("NAME", "call somebody", call_commands.call),
    "/cancel": Command("", "ring no longer", call_commands.cancel),
    "/accept": Command("[NAME]", "take what rings; the room where you are is left", call_commands.accept),
    "/reject": Command("[NAME] [REASON]", "say no to it", call_commands.reject),
    "/invite": Command("NAME...", "let people come here; with , between names with spaces", call_commands.invite),
    "/leave": Command("", "leave the room, or hang up", leave),
    "/join": Command("ROOM", "go to a room, made if need be", join),
    "/host": Command("NAME", "hand the host's role to somebody here", host),
    "/who": Command("", "who is here, and who is online", who),
    "/rooms": Command("", "which rooms there are", rooms),
    "/devices": Command("", "what there is to speak into and to hear with", device_commands.devices),
    "/mic": Command("[PART OF NAME]", "speak into another device, also in the next call", device_commands.microphone),
    "/speaker": Command("[PART OF NAME]", "hear with another device; likewise", device_commands.speaker),
    "/levels": Command("", "how loud your microphone hears you, for 5 seconds; needs no call", device_commands.levels),
    "/transmit": Command("[open|voice|push]", "send always, by voice, or between two /talk", sending_commands.transmit),
    "/talk": Command("", "push-to-talk: begin, or end", sending_commands.talk),
    "/talkkey": Command("[KEY]", "which key that is on the full screen", sending_commands.talk_key),
    "/gain": Command("[DB|+|-]", "your microphone louder or quieter", sending_commands.gain),
    "/processing": Command("[echo|noise|agc|highpass on|off]", "what is done to it", sending_commands.processing),
    "/headset": Command("[on|off]", "least delay, without echo cancellation", sending_commands.headset),
    "/bitrate": Command("[KBPS]", "how much your voice may take, 16 to 64", sending_commands.bitrate),
    "/frame": Command("[MS]", "of sound in each packet: 10, 20 or 40", sending_commands.frame),
    "/volume": Command("[NAME] [DB|+|-]", "how loud you hear all, or one", sound_commands.volume),
    "/hush": Command("[NAME]", "hear somebody no more, or again; nobody is told", sound_commands.hush),
    "/priority": Command("[NAME]", "others are quieter while that one talks, or no longer", sound_commands.priority),
    "/deafen": Command("", "hear nobody, or hear again", sound_commands.deafen),
    "/record": Command("[ogg|wav|off]", "record the call, which all are told; or no longer", sound_commands.record),
    "/recordings": Command("[FOLDER|default]", "where recordings go", sound_commands.recordings),
    "/echotest": Command("", "hear yourself as others do, or no longer", sound_commands.echo_test),
    "/stats": Command("", "how the sound travels, person by person", sound_commands.stats),
    "/older": Command("", "what was said earlier, page by page", older),
    "/reply": Command("N TEXT", "answer a message; 1 is the newest", reply),
    "/react": Command("N EMOJI", "react to a message, or take it back", react),
    "/edit": Command("N TEXT", "put a message of yours differently", edit),
    "/delete": Command("N", "take a message of yours back", delete),
}

HELP: Final = "\n".join(
    [
        "what you type is chat; // begins a message with /; commands:",
        *(f"{name} {command.usage}".rstrip() + f": {command.help}" for name, command in COMMANDS.items()),
        "/mute, /unmute: your microphone",
        "/quit: end the program",
        "/help: this text",
        "without what is in [], /record begins, /mic and /speaker take the default, others about sound say what is set",
        "a NAME may be cut short while it is clear who is meant",
    ]
)
