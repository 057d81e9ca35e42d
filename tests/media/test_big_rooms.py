"""A room that becomes big and small again under people who talk, through a real server and its worker."""

from collections import Counter

import pytest

from media.crowd import crowd
from running import serving

pytestmark = pytest.mark.trio

SLOTS = {"speaker-1", "speaker-2"}
NUMBER = 4


async def mute(one, *, is_muted):
    """Say that one is muted, or no longer; the crowd sends sound all the same, and so can be heard."""
    await one.person.does("mediaStateChanged", roomId=one.room_id, isMuted=is_muted, isVideoEnabled=False)


class Since:
    """What everybody hears from now on."""

    def __init__(self, everybody):
        self.everybody = everybody
        self.before = [Counter(one.heard) for one in everybody]

    def heard(self):
        return [
            {whose for whose, count in one.heard.items() if count > before[whose]}
            for one, before in zip(self.everybody, self.before, strict=True)
        ]


async def test_clients_that_know_nothing_of_it_hear_whoever_speaks():
    async with serving("--speakers", "2", "--speakers-above", "3") as (url, _), crowd(url, 1, NUMBER - 1) as them:
        everybody = them.people
        await mute(everybody[0], is_muted=True)
        await them.enter("late", "room 0")
        await them.until(lambda: not them.missing())
        await mute(everybody[0], is_muted=False)

        await them.until(lambda: all(SLOTS & set(one.heard) for one in everybody))
        big = Since(everybody)
        # Who has a slot hears the other one, but not himself.
        await them.until(lambda: sorted(len(heard & SLOTS) for heard in big.heard()) == [1, 1, 2, 2])
        assert all(heard <= SLOTS for heard in big.heard())

        for one in everybody[:2]:
            await mute(one, is_muted=True)
        turn = Since(everybody)
        await them.until(lambda: all(len(heard - SLOTS) == NUMBER - 1 for heard in turn.heard()))
        small = Since(everybody)
        await them.until(lambda: all(len(heard) == NUMBER - 1 for heard in small.heard()))
        assert not any(heard & SLOTS for heard in small.heard())
        assert not any(one.refused or one.broken for one in everybody)
