"""A room that becomes big and small again under people who talk, through a real server and its worker."""

from collections import Counter

import pytest

from media.crowd import crowd
from running import serving

pytestmark = pytest.mark.trio

SLOTS = {"speaker-1", "speaker-2"}
NUMBER = 4


async def mute(one, *, is_muted):
    """Say that one is muted, or no longer. The crowd sends sound all the same, which is then for nobody."""
    await one.person.does("mediaStateChanged", roomId=one.room_id, isMuted=is_muted, isVideoEnabled=False)


class Since:
    """What everybody hears from now on."""

    def __init__(self, everybody):
        self.everybody = everybody
        self.before = [Counter(one.heard) for one in everybody]

    def counts(self):
        return [one.heard - before for one, before in zip(self.everybody, self.before, strict=True)]

    def heard(self):
        return [set(counts) for counts in self.counts()]


async def test_clients_that_know_nothing_of_it_hear_whoever_speaks():
    async with serving("--speakers", "2", "--speakers-above", "3") as (url, _), crowd(url, 1, NUMBER - 1) as them:
        everybody = them.people
        silent = everybody[0]
        await mute(silent, is_muted=True)
        await them.enter("late", "room 0")
        await them.until(lambda: all(talker == silent.name for _, talker in them.missing()))
        await mute(silent, is_muted=False)

        await them.until(lambda: all(SLOTS & set(one.heard) for one in everybody))
        await them.until(lambda: all(len(one.person.heard("producerClosed")) == NUMBER - 1 for one in everybody))
        big = Since(everybody)
        # Who has a slot hears the other one, but not himself.
        await them.until(lambda: sorted(len(heard & SLOTS) for heard in big.heard()) == [1, 1, 2, 2])
        assert all(heard <= SLOTS for heard in big.heard())

        for one in everybody:
            await mute(one, is_muted=True)
        await mute(everybody[-1], is_muted=False)
        quiet = Since(everybody)
        await them.until(lambda: all(quiet.heard()[:-1]))  # he has a slot, and nobody else
        alone = Since(everybody)
        await them.until(lambda: all(sum(counts.values()) >= 20 for counts in alone.counts()[:-1]))
        assert [len(heard & SLOTS) for heard in alone.heard()] == [1, 1, 1, 0]
        assert not any(one.refused or one.broken for one in everybody)
