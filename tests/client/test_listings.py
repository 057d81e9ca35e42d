"""What /who and /rooms answer."""

from __future__ import annotations

import re

import pytest
import trio
import trio.testing
from attrs import evolve

from client.worlds import ANN, BOB, CEM, in_room, person
from palaver_client import Connected, ConnectionLost, RetryFailed, User, UserId, UserStatus
from palaver_client.after import after
from palaver_client.listings import rooms, who
from palaver_protocol.models import Name

OTHER_BOB = UserId("0123456789")
USERS = tuple(
    User(user_id, Name(name), UserStatus.IDLE, 1_000)
    for user_id, name in ((ANN, "Ann"), (BOB, "Bob"), (OTHER_BOB, "bob"), (CEM, "Cem"))
)


def test_two_of_one_name_are_told_apart() -> None:
    listing = who(evolve(in_room(person(BOB)), users=USERS))
    assert listing.text == "here: Ann (host), Bob #bob\nonline: bob #01234567, Cem"
    assert [each["userId"] for each in listing.fields["online"]] == [OTHER_BOB, CEM]


@pytest.mark.trio
async def test_what_is_known_without_a_connection_is_old(autojump_clock: trio.testing.MockClock) -> None:
    now = trio.current_time()
    state = after(in_room(), ConnectionLost("gone", 1.0, now + 1.0))
    assert state.lost_at == now
    state = after(state, RetryFailed("gone", 2.0, now + 3.0))
    assert state.lost_at == now
    for listing in (who(state), rooms(state)):
        assert re.match(r"not connected; as of \d\d:\d\d\n", listing.text)
        assert listing.fields["isConnected"] is False
    assert who(after(state, Connected())).text.startswith("here: ")
