"""What is ours to do in the room in which we sit."""

from __future__ import annotations

from palaver_client.state import ClientState
from palaver_protocol.models import RoomType


def may_end(state: ClientState) -> bool:
    """Whether we are the host, or the room has none."""
    return state.room is not None and (state.room.is_hostless or state.room.host_id == state.me)


def may_hand_over(state: ClientState) -> bool:
    """Whether the host's role of our room is ours to give; a call between two has none to speak of."""
    return may_end(state) and state.room is not None and state.room.room_type is RoomType.GROUP


def may_invite(state: ClientState) -> bool:
    """Whether we sit in a room to which others may be invited."""
    return state.room is not None and state.room.room_type is RoomType.GROUP
