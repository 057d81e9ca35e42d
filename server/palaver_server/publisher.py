"""The lists of users and rooms, told to everybody: the latest state, a few times a second at most.

Who comes gets them in this way too, like everybody who was there: at once on a quiet server. When thousands come
together, lists for each of them alone would be most of the work.
"""

from __future__ import annotations

from typing import Final

import trio

from palaver_protocol.notices import OnlineUsersUpdated, RoomListUpdated

from .exchange import Exchange
from .rooms import encode_notice
from .session import Session

PAUSE: Final = 0.25  # s between two tellings
PAUSE_PER_USER: Final = 0.001  # s more for each user, since a list's length grows with them


async def publish_lists(exchange: Exchange) -> None:
    """Tell every connection the lists whenever they have changed."""
    while True:
        await exchange.rooms.lists_changed.wait()
        exchange.rooms.lists_changed = trio.Event()
        users, rooms = encode_lists(exchange)
        for session in exchange.people.sessions.values():
            put_lists(session, users, rooms)
        await trio.sleep(PAUSE + PAUSE_PER_USER * len(exchange.people.users))


def encode_lists(exchange: Exchange) -> tuple[str, str]:
    """Both lists as messages, encoded once for all."""
    users = OnlineUsersUpdated(exchange.list_users())
    rooms = RoomListUpdated(exchange.rooms.summaries())
    return encode_notice(users), encode_notice(rooms)


def put_lists(session: Session, users: str, rooms: str) -> None:
    """Put both lists into the outbox, in place of older ones that still wait there."""
    session.put_latest("onlineUsersUpdated", users)
    session.put_latest("roomListUpdated", rooms)
