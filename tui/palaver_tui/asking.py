"""Wishes that are one request to the server each, and what is told where one is not granted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, assert_never

import trio

from palaver_client import Client, ClientError, Refusal, words
from palaver_client.recording import usable_folder
from palaver_media.sound_settings import RecordingForm

from .messages import Trouble
from .wishes import (
    Accept,
    CancelRing,
    Delete,
    Edit,
    End,
    Invite,
    ListDevices,
    React,
    ReadOlder,
    Record,
    Reject,
    Request,
    Ring,
    SetMuted,
    TransferHost,
)

if TYPE_CHECKING:
    from textual.message import Message


async def ask(client: Client, wish: Request, keep: Callable[[RecordingForm, str], None]) -> None:
    """Do what was asked; `keep` is given form and folder of a recording, once it is known that the folder will do.

    Raises Refusal or Disconnected.
    """
    match wish:
        case End():
            await client.end_room()
        case SetMuted():
            await client.set_muted(wish.is_muted)
        case ListDevices():
            await client.list_devices()
        case Edit():
            await client.edit(wish.message_id, wish.text)
        case Delete():
            await client.delete(wish.message_id)
        case React():
            await client.react(wish.message_id, wish.emoji)
        case ReadOlder():
            await client.older()
        case TransferHost():
            await client.transfer_host(wish.user_id)
        case Ring():
            await client.ring(wish.user_id, leave_current=client.state.room is not None)
        case CancelRing():
            await client.cancel_ring()
        case Accept():
            await client.accept(wish.call_id, leave_current=client.state.room is not None)
        case Reject():
            await client.reject(wish.call_id, wish.reason or None)
        case Invite():
            await client.invite([wish.user_id])
        case Record():
            await _record(client, wish, keep)
        case _:
            assert_never(wish)


async def _record(client: Client, wish: Record, keep: Callable[[RecordingForm, str], None]) -> None:
    if wish.form is None:
        await client.stop_recording()
        return
    folder = await trio.to_thread.run_sync(usable_folder, wish.recordings) if wish.recordings else ""
    keep(wish.form, folder)
    await client.start_recording(wish.form)


async def attempt(
    do: Callable[[Client], Awaitable[object]], client: Client, tell: Callable[[Message], object], unsaid: str = ""
) -> None:
    """Do what was asked, or tell why it cannot be done; `unsaid` is the text that is lost then."""
    try:
        await do(client)
    except Refusal as no:
        tell(Trouble(words.of_refusal(no), unsaid))
    except ClientError as why:
        tell(Trouble(str(why), unsaid))
