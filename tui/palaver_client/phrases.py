"""Parts of sentences, and sentences for what goes wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from palaver_media.engine_messages import Side
from palaver_protocol.models import (
    ChatMessage,
    EndReason,
    MessageId,
    Participant,
    Reaction,
    RoomType,
    User,
    UserId,
    UserStatus,
)
from palaver_protocol.table import Code, Refusal

from .errors import LinkLost, LinkRefused, NotSecure
from .state import ClientState, IncomingRing

YOU_LEFT: Final = "you left the room"
ROOM_GONE: Final = "your room is no more"
SOMEBODY: Final = "somebody"
QUOTED: Final = 40  # code points of a message

SIDES: Final = {Side.SOURCE: "microphone", Side.SINK: "speaker"}

_ENDED: Final = {
    EndReason.ENDED: "the host ended it",
    EndReason.HOST_LEFT: "the host left",
    EndReason.EMPTY: "everybody left",
    EndReason.REJECTED: "the call was rejected",
    EndReason.TIMEOUT: "nobody answered",
    EndReason.SHUTDOWN: "the server stops",
    EndReason.ERROR: "the server had a problem",
}

_REJECTED: Final = {
    "rejected": "says no",
    "busy": "is in a call",
    "offline": "is not online",
    "timeout": "does not answer",
    "full": "cannot be called: the server has no place for another call",
    "error": "cannot be called: the server had a problem",
}

_TRANSPORT: Final = {
    "ice": "the media port of the server does not answer; is its UDP port open",
    "timeout": "the media port of the server does not answer; is its UDP port open",
    "consent": "the media port of the server answers no more",
    "dtls": "the sound could not be encrypted",
    "fingerprint": "the other end of the sound is not the server it should be",
}

_REMEDIES: Final = {
    Code.IN_ROOM.value: "leave your room first",
    Code.IN_CALL.value: "leave your call first",
    Code.NOT_HOST.value: "only the host may do that",
    Code.NOT_MEMBER.value: "join a room first",
    Code.BUSY.value: "try again later",
    Code.OFFLINE.value: "write to them elsewhere, or try again later",
    Code.FULL.value: "try again when somebody has left",
    Code.OVERLOADED.value: "try again in a moment",
    Code.RATE_LIMITED.value: "wait a moment",
    Code.MEDIA_UNAVAILABLE.value: "the server is preparing its sound; it is tried again",
}

_ADVICE: Final = re.compile(r"[:;,]? try again.*")


# -- what was said and done --------------------------------------------------------------------------------------------
def of_rejection(name: str, reason: str | None) -> str:
    """Why somebody does not come; any reason but the known ones is his own words."""
    known = _REJECTED.get(reason or "rejected")
    return f"{name} {known}" if known else f"{name} says no: {reason}"


def of_message(said: ChatMessage) -> str:
    """A message; its further lines are indented, so that none can pass for another's."""
    quote = f" (to {said.reply_to.user_name})" if said.reply_to is not None else ""
    return f"{said.user_name}{quote}: {indented(said.content)}"


def of_participant(person: Participant, mark: str = "", heard: Sequence[str] = ()) -> str:
    """Somebody in our room: what tells him from others of his name, what there is to know of him, how he is heard."""
    marks = {"host": person.is_host, "muted": person.is_muted, "away": person.is_away, "records": person.is_recording}
    shown = [*(mark for mark, has_it in marks.items() if has_it), *heard]
    return f"{person.name}{mark} ({', '.join(shown)})" if shown else f"{person.name}{mark}"


def of_user(user: User, mark: str = "") -> str:
    """Somebody online, with what tells him from others of his name."""
    return f"{user.name}{mark}{' (in a call)' if user.status is UserStatus.IN_CALL else ''}"


def is_own_words(reason: str | None) -> bool:
    """Whether a rejection's reason is what the callee wrote, and none of the known words."""
    return bool(reason) and reason not in _REJECTED


def of_ring(ring: IncomingRing, now: float) -> str:
    """What still rings here, `now` on Trio's clock."""
    does = "calls you" if ring.room_type is not RoomType.GROUP else "invites you to a room"
    left = "" if ring.ends_at is None else f", for {duration(ring.ends_at - now)} more"
    return f"{ring.from_name} still {does}{left}"


def of_reactions(reactions: tuple[Reaction, ...], state: ClientState) -> str:
    """Who reacted with which emoji; where not all are known, how many."""
    return ", ".join(f"{each.emoji} {_who_reacted(each, state)}" for each in reactions) or "none"


def _who_reacted(reaction: Reaction, state: ClientState) -> str:
    names = [name_of(user_id, state) for user_id in reaction.user_ids]
    return listing(names) if names and SOMEBODY not in names else str(reaction.count)


def indented(content: str) -> str:
    """A text whose further lines cannot pass for lines of their own."""
    return content.replace("\n", "\n  ")


def whose(message_id: MessageId, state: ClientState) -> str:
    """Which message is meant."""
    said = _message(message_id, state)
    return "an older message" if said is None else f"a message of {said.user_name}"


def quoted(message_id: MessageId, state: ClientState) -> str:
    """Which message is meant, with its beginning."""
    said = _message(message_id, state)
    if said is None:
        return whose(message_id, state)
    line = " ".join(said.content.split())
    return f'{whose(message_id, state)}, "{line if len(line) <= QUOTED else line[:QUOTED] + "..."}"'


def _message(message_id: MessageId, state: ClientState) -> ChatMessage | None:
    messages = () if state.room is None else state.room.messages
    return next((said for said in messages if said.message_id == message_id), None)


def ending(reason: EndReason | None) -> str:
    """Why a room is over."""
    return _ENDED[reason or EndReason.ENDED]


def of_polling(reason: str) -> str:
    """How we are connected where no WebSocket comes through, and why."""
    return f"no WebSocket comes through ({reason}); going on with plain HTTP requests, the sound is not affected"


# -- what went wrong ---------------------------------------------------------------------------------------------------
def of_refusal(no: Refusal) -> str:
    """Why the server refused, and what one can do, unless it says so itself."""
    error = no.error.partition(" @ $")[0]  # without the place in the request, which only programs know
    if no.retry_after is not None:
        return f"{_ADVICE.sub('', error)}; try again in {duration(no.retry_after)}"
    remedy = _REMEDIES.get(no.code)
    if remedy is None or remedy in error or ("try again" in remedy and "try again" in error):
        return error
    return f"{error}; {remedy}"


def of_problem(reason: str, remedy: str) -> str:
    """What is wrong, and what would help."""
    return f"{reason}; {remedy}" if remedy else reason


def connect_remedy(why: LinkLost) -> str:
    """What helps where the first connection fails."""
    if isinstance(why, LinkRefused):
        return "ask whoever runs the server, or use another name"
    if isinstance(why, NotSecure):
        return why.remedy
    return "check the address, or start a server with: palaver serve"


def transport_failure(reason: str) -> str:
    """Why sound passes no more, from the one word of the engine or the server."""
    return _TRANSPORT.get(reason, reason)


# -- parts of sentences ------------------------------------------------------------------------------------------------
def name_of(user_id: UserId, *states: ClientState) -> str:
    """A person's name, from the first state that knows it."""
    for state in states:
        person = state.participant(user_id) or next((user for user in state.users if user.user_id == user_id), None)
        if person is not None:
            return person.name
    return SOMEBODY


def listing(names: Sequence[str]) -> str:
    """`ann`, `ann and bob`, `ann, bob and 3 others`."""
    if len(names) > 4:
        return f"{', '.join(names[:3])} and {len(names) - 3} others"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def duration(seconds: float) -> str:
    """`42 s`, `3 min`, `1 h 05 min`."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
