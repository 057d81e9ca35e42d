"""RTCP reports: everybody's once a second, spread over it, and none to who is gone."""

from collections import Counter

import pytest

from media.inside import Client, Inside, run
from media_peer import audio
from palaver_media import rtp
from palaver_media.worker_messages import AddProducer, CloseTransport, MediaKind
from palaver_worker.reports import FEW, REPORT, STEP, TURNS


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


@pytest.mark.parametrize(
    ("count", "turns"),
    [
        pytest.param(FEW, 1, id="few"),
        pytest.param(FEW + 2, 2, id="more"),
        pytest.param(TURNS * FEW + 5, TURNS, id="many"),
    ],
)
def test_everybody_is_told_once_a_second_a_few_together_and_many_not_all_at_once(count: int, turns: int):
    async def scenario(inside: Inside) -> None:
        clients = await bring(inside, count)
        told(clients)
        everybody: Counter[str] = Counter()
        steps = 0
        for _ in range(3 * TURNS):
            await inside.pass_time(STEP)
            now = told(clients)
            assert now.total() <= max(FEW + 2, count // 2)  # some turns, as the clock goes on by itself a little
            everybody += now
            steps += bool(now)
        assert all(times in (3, 4) for times in everybody.values())
        assert len(everybody) == count
        assert steps <= 4 * turns

    run(scenario)


def test_turns_follow_who_comes_and_goes():
    async def scenario(inside: Inside) -> None:
        clients = await bring(inside, FEW + 1)
        for client in clients[:FEW]:
            inside.sfu.apply(CloseTransport(client.id))
        told(clients)
        await inside.pass_time(REPORT)
        await inside.pass_time(STEP)
        assert 1 <= told(clients)[clients[-1].id] <= 2
        inside.sfu.apply(CloseTransport(clients[-1].id))
        await inside.pass_time(REPORT)
        told(clients)
        [newcomer] = await bring(inside, 1)
        told([newcomer])
        await inside.pass_time(REPORT)
        await inside.pass_time(STEP)
        assert told([newcomer]).total() >= 1

    run(scenario)


def test_after_a_hold_up_everybody_is_told_once_and_who_is_gone_is_not():
    async def scenario(inside: Inside) -> None:
        clients = await bring(inside, FEW + 2)
        gone = clients.pop(3)
        inside.sfu.apply(CloseTransport(gone.id))
        told([*clients, gone])
        await inside.pass_time(7.3 * REPORT)
        assert told([*clients, gone]) == Counter(client.id for client in clients)

    run(scenario)
