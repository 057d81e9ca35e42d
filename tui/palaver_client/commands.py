"""The slash commands of line mode about messages, people and rooms."""

from __future__ import annotations

from typing import Final

from palaver_protocol.models import ChatMessage
from palaver_protocol.table import Code, refusal

from .client import Client
from .state import ClientState

HELP: Final = "/reply N TEXT, /react N EMOJI, /edit N TEXT, /delete N (N = 1 is the newest message), /who, /rooms"
COMMANDS: Final = ("/reply", "/react", "/edit", "/delete", "/who", "/rooms")


async def run(command: str, rest: str, client: Client) -> str | None:
    """Do what one of `COMMANDS` says; what it answers, if anything. Raises Refusal or Disconnected."""
    if command == "/who":
        return who(client.state)
    if command == "/rooms":
        return rooms(client.state)
    number, _, words = rest.partition(" ")
    said, words = message(client.state, number), words.strip()
    if command == "/delete":
        await client.delete(said.message_id)
    elif not words:
        raise refusal(Code.INVALID_PAYLOAD, f"{command} needs something after the number")
    elif command == "/reply":
        await client.say(words, said.message_id)
    elif command == "/react":
        await client.react(said.message_id, words)
    else:
        await client.edit(said.message_id, words)
    return None


def message(state: ClientState, number: str) -> ChatMessage:
    """The message that many from the end. Raises Refusal."""
    messages = () if state.room is None else state.room.messages
    if number.isascii() and number.isdigit() and 1 <= len(number) <= 4 and 1 <= int(number) <= len(messages):
        return messages[-int(number)]
    raise refusal(Code.NOT_FOUND, f"there is no message {number[:40] or 'without a number'}; 1 is the newest")


def who(state: ClientState) -> str:
    """Who is in our room."""
    people = () if state.room is None else state.room.participants
    return "here: " + ", ".join(person.name + (" (host)" if person.is_host else "") for person in people)


def rooms(state: ClientState) -> str:
    """Which rooms there are."""
    return "rooms: " + (", ".join(f"{room.room_name} ({room.participant_count})" for room in state.rooms) or "none")
