"""A room that becomes big and small again under people who talk, through a real server and its worker."""

from collections import Counter

import pytest

from media.crowd import crowd
from running import serving

pytestmark = pytest.mark.trio

SLOTS = {"speaker-1", "speaker-2"}
NUMBER = 4


async def mute(one, *, is_muted):
    """Say that one is muted, or no longer; the crowd sends sound all the same."""
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


async def all_have_ended(them, count):
    """Wait until everybody was told that so many tracks have ended, and what was under way of them has come."""

    def ended(one):
        return sum(name == "producerClosed" for name, _ in one.person.notices)

    await them.until(lambda: all(ended(one) == count for one in them.people))
    rest = Since(them.people)
    await them.until(lambda: all(rest.heard()))


async def test_clients_that_know_nothing_of_it_hear_whoever_speaks():
    async with serving("--speakers", "2", "--speakers-above", "3") as (url, _), crowd(url, 1, NUMBER - 1) as them:
        everybody = them.people
        quiet = everybody[0].name
        await mute(everybody[0], is_muted=True)
        late = await them.enter("late", "room 0")
        await them.until(lambda: not [talker for _, talker in them.missing() if talker != quiet])
        assert quiet not in late.heard
        await mute(everybody[0], is_muted=False)

        await them.until(lambda: all(SLOTS & set(one.heard) for one in everybody))
        await all_have_ended(them, NUMBER - 1)
        big = Since(everybody)
        # Who has a slot hears the other one, but not himself.
        await them.until(lambda: sorted(len(heard & SLOTS) for heard in big.heard()) == [1, 1, 2, 2])
        assert all(heard <= SLOTS for heard in big.heard())

        for one in everybody[:2]:
            await mute(one, is_muted=True)
        await all_have_ended(them, NUMBER - 1 + len(SLOTS))
        small = Since(everybody)
        talk = {one.name for one in everybody[2:]}
        await them.until(lambda: small.heard() == [talk - {one.name} for one in everybody])
        assert not any(one.refused or one.broken for one in everybody)
