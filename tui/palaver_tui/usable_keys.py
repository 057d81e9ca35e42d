"""Which keys of the main screen are of use just now."""

from __future__ import annotations

from palaver_client.state import ClientState, ConnectionState
from palaver_media.sound_settings import Transmit
from palaver_protocol.models import RoomType

from .rights import may_end
from .tuning import talk_key

_OFFLINE = (ConnectionState.RECONNECTING, ConnectionState.CLOSED)


def is_usable(
    action: str, parameters: tuple[object, ...], state: ClientState, *, is_writing: bool, is_narrow: bool
) -> bool:
    """Whether a key's action does anything, while one writes or not, on a screen with space for one half or both."""
    room = state.room
    match action:
        case "mute" | "record" | "figures" | "deafen":
            return room is not None
        case "talk":
            return parameters == (pushed(state),)
        case "chat":
            return room is not None and not is_writing
        case "leave":
            return room is not None and room.room_type is RoomType.GROUP
        case "hang_up":
            return room is not None and room.room_type is RoomType.DIRECT
        case "end":
            return may_end(state) and room is not None and room.room_type is RoomType.GROUP
        case "retry":
            return state.connection in _OFFLINE
        case "view":
            return is_narrow and room is not None
        case _:
            return True


def pushed(state: ClientState) -> str | None:
    """The key for push-to-talk, if it does anything."""
    is_used = state.room is not None and state.choices.capture.transmit is Transmit.PUSH
    return talk_key(state.choices) if is_used else None


def keys_of(state: ClientState) -> tuple[object, ...]:
    """What decides about keys."""
    return may_end(state), state.connection, state.room is None, pushed(state)
