"""Wishes that are one request to the server each."""

from __future__ import annotations

from typing import assert_never

from palaver_client import Client

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


async def ask(client: Client, wish: Request) -> None:
    """Do what was asked. Raises Refusal or Disconnected."""
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
        case Record(form=None):
            await client.stop_recording()
        case Record():
            await client.start_recording(wish.form)
        case _:
            assert_never(wish)
