"""RTCP reports: everybody's once a second, spread over it where they are many, and none to who is gone."""

from collections import Counter
from collections.abc import Sequence
from typing import cast

import pytest
from aiortc.rtp import RtcpSenderInfo
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from media.inside import Client, Inside, connected, hear, run
from media_peer import audio
from palaver_media import rtcp, rtp
from palaver_media.worker_messages import (
    AddConsumer,
    AddProducer,
    CloseTransport,
    MediaKind,
    PauseConsumer,
    ResumeConsumer,
)
from palaver_worker.reports import CLOCKS, FEW, REPORT, STEP, TURNS, split
from palaver_worker.transport import Transport


def told(clients: list[Client]) -> Counter[str]:
    """Who has been sent how many reports."""
    return Counter(client.id for client in clients for each in client.receive() if rtp.is_rtcp(each))


async def bring(inside: Inside, count: int) -> list[Client]:
    """Clients who talk, all at once."""
    clients = [Client(inside) for _ in range(count)]
    for number, client in enumerate(clients):
        client.connect()
        inside.sfu.apply(AddProducer(client.id, f"p{number}", MediaKind.AUDIO, 48000, 1, {111: 100}, {}))
        client.send(client.dtls.protect_rtp(audio(1, 1).write()))
    return clients


@pytest.mark.parametrize("count", [3, 3 * FEW])
def test_everybody_is_told_once_a_second(count: int):
    async def scenario(inside: Inside) -> None:
        clients = await bring(inside, count)
        told(clients)
        began = inside.loop.time()
        everybody: Counter[str] = Counter()
        for _ in range(3 * TURNS):
            await inside.pass_time(STEP)
            everybody += told(clients)
        rounds = (inside.loop.time() - began) / REPORT
        assert len(everybody) == count
        assert {round(rounds) - 1, round(rounds), round(rounds) + 1} >= set(everybody.values())

    run(scenario)


def test_who_comes_is_told_from_the_next_round_on_and_who_goes_no_more():
    async def scenario(inside: Inside) -> None:
        clients = await bring(inside, 2 * FEW)
        for client in clients[1:]:
            inside.sfu.apply(CloseTransport(client.id))
        told(clients)
        await inside.pass_time(REPORT)
        assert told(clients) == {clients[0].id: 1}
        inside.sfu.apply(CloseTransport(clients[0].id))
        await inside.pass_time(2 * REPORT)
        told(clients)  # its goodbye
        [newcomer] = await bring(inside, 1)
        told([newcomer])
        await inside.pass_time(REPORT)
        assert told([newcomer]).total() == 1

    run(scenario)


def test_after_a_hold_up_nobody_is_told_what_was_missed():
    async def scenario(inside: Inside) -> None:
        clients = await bring(inside, 3)
        gone = clients.pop(1)
        inside.sfu.apply(CloseTransport(gone.id))
        told([*clients, gone])
        await inside.pass_time(7.3 * REPORT)
        assert told([*clients, gone]) == Counter(client.id for client in clients)

    run(scenario)


def test_clocks_are_told_soon_and_then_every_five_seconds():
    async def scenario(inside: Inside) -> None:
        speaker, listener = connected(inside)
        hear(inside, speaker, listener)

        async def rounds(count: int) -> list[int]:
            """In which of them the listener was told."""
            came = []
            for number in range(count):
                await inside.pass_time(REPORT)
                came += [number] * len(listener.receive())
            return came

        assert await rounds(3) == []
        for sequence in (1, 2):
            info = RtcpSenderInfo(sequence << 32, 48000 * sequence, packet_count=9, octet_count=9)
            speaker.send(speaker.dtls.protect_rtcp(rtcp.write_sender_report(1, info)))
            assert await rounds(7) == ([0, 5] if sequence == 1 else [3])
        inside.sfu.apply(PauseConsumer("c1"))
        assert await rounds(3) == []
        inside.sfu.apply(ResumeConsumer("c1"))
        assert await rounds(6) == [0, 5]

    run(scenario)


def test_each_turn_keeps_to_its_share_of_clocks_however_long_it_goes_on():
    async def scenario(inside: Inside) -> None:
        (speaker,), listeners = connected(inside, 1), [Client(inside) for _ in range(20)]
        for ssrc in range(1, 11):
            inside.sfu.apply(AddProducer(speaker.id, f"p{ssrc}", MediaKind.AUDIO, 48000, ssrc, {111: 100}, {}))
            info = RtcpSenderInfo(1 << 32, 48000, packet_count=9, octet_count=9)
            speaker.send(speaker.dtls.protect_rtcp(rtcp.write_sender_report(ssrc, info)))
        for listener in listeners:
            listener.connect()
            for ssrc in range(1, 11):
                name = f"{listener.id} {ssrc}"
                inside.sfu.apply(AddConsumer(listener.id, name, f"p{ssrc}", ssrc, "0", "someone", ()))
                inside.sfu.apply(ResumeConsumer(name))
        told(listeners)
        turns = []
        for _ in range(4 * CLOCKS * TURNS):
            await inside.pass_time(STEP)
            turns.append(told(listeners).total())
        assert max(turns) <= FEW
        assert sum(turns) == 4 * 200

    run(scenario)


@frozen(eq=False)
class Busy:
    """As much of a transport as its turn depends on."""

    number: int
    consumers: Sequence[int]
    due: int = 0
    producers: Sequence[int] = (0,)


@given(st.lists(st.tuples(st.integers(0, 200), st.sampled_from([7, 8])), min_size=1, max_size=300))
def test_turns_have_about_the_same_work_and_are_as_few_as_can_be(consumers: list[tuple[int, int]]):
    transports = [Busy(number, range(count), due) for number, (count, due) in enumerate(consumers)]
    turns = split(cast("list[Transport]", transports), 7)
    assert [each for turn in turns for each in turn] == transports
    works = {each: 2 + (len(each.consumers) if each.due == 7 else 0) for each in transports}
    assert len(turns) <= min(TURNS, -(-sum(works.values()) // FEW))
    share = max(FEW, sum(works.values()) / TURNS)
    for turn in turns:
        assert sum(works[each] for each in cast("list[Busy]", turn)) <= share + max(works.values())
