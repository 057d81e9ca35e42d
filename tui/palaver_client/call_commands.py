"""The slash commands of line mode about calls and invitations."""

from __future__ import annotations

from palaver_protocol.models import CallId, UserId
from palaver_protocol.table import Code, refusal

from .client import Client
from .names import Candidate, find, matching
from .state import ClientState


async def call(rest: str, client: Client) -> None:
    """Ring at somebody; where he accepts, the room we sit in is left."""
    if not rest:
        raise refusal(Code.INVALID_PAYLOAD, "/call needs a name")
    await client.ring(_online(rest, client.state), leave_current=True)


async def cancel(rest: str, client: Client) -> str | None:
    """Ring no longer."""
    calling = client.state.outgoing
    if calling is None:
        raise refusal(Code.NOT_FOUND, "you are calling nobody")
    await client.cancel_ring()
    return f"you call {calling.to_name} no longer"


async def accept(rest: str, client: Client) -> None:
    """Take what rings; the room we sit in is left."""
    await client.accept(_ringing(rest, client.state), leave_current=True)


async def reject(rest: str, client: Client) -> str:
    """Say no to what rings, perhaps with a reason."""
    call_id, reason = _ringing_and_reason(rest, client.state)
    ring = client.state.ring(call_id)
    await client.reject(call_id, reason or None)
    return f"you said no to {ring.from_name}" if ring else "you said no"


async def invite(rest: str, client: Client) -> None:
    """Let it ring at people, to come to our room."""
    names = [name.strip() for name in rest.split(",")] if "," in rest else rest.split()
    if not names:
        raise refusal(Code.INVALID_PAYLOAD, "/invite needs names")
    await client.invite([_online(name, client.state) for name in names if name])


def _online(name: str, state: ClientState) -> UserId:
    others = [Candidate(user.user_id, user.name, user.user_id) for user in state.users if user.user_id != state.me]
    ourselves = (Candidate(state.me, state.name, state.me),)
    if matching(name, ourselves) and not matching(name, tuple(others)):
        raise refusal(Code.NOT_ALLOWED, "that is you")
    return UserId(find(name, others, "online"))


def _rings(state: ClientState) -> tuple[Candidate, ...]:
    if not state.incoming:
        raise refusal(Code.NOT_FOUND, "nobody calls you")
    return tuple(Candidate(ring.call_id, ring.from_name, ring.from_id) for ring in state.incoming)


def _ringing(name: str, state: ClientState) -> CallId:
    """What is meant: without a name the only one."""
    rings = _rings(state)
    return CallId(rings[0].key if len(rings) == 1 and not name else find(name, rings, "calling you"))


def _ringing_and_reason(rest: str, state: ClientState) -> tuple[CallId, str]:
    """What is meant, and the words after its name; where only one rings, all may be the reason."""
    rings = _rings(state)
    for ring in rings:  # names with spaces are to be written out
        if rest.casefold().startswith(ring.name.casefold() + " "):
            return CallId(ring.key), rest[len(ring.name) :].strip()
    name, _, reason = rest.partition(" ")
    if len(rings) == 1 and not matching(name, rings):
        return CallId(rings[0].key), rest
    return CallId(find(name, rings, "calling you")), reason.strip()
