"""RTCP reports: everybody's once a second, spread over it, and none to who is gone."""

from collections import Counter

from media.inside import Client, Inside, run
from media_peer import audio
from palaver_media import rtp
from palaver_media.worker_messages import AddProducer, CloseTransport, MediaKind
from palaver_worker.reports import REPORT, STEP, TURNS

CLIENTS = TURNS + 2


def told(clients: list[Client]) -> Counter[str]:
    """Who has been sent how many reports."""
    return Counter(client.id for client in clients for each in client.receive() if rtp.is_rtcp(each))


async def bring(inside: Inside) -> list[Client]:
    """Clients who talk, all at once."""
    clients = [Client(inside) for _ in range(CLIENTS)]
    for number, client in enumerate(clients):
        client.connect()
        inside.sfu.apply(AddProducer(client.id, f"p{number}", MediaKind.AUDIO, 48000, 1, {111: 100}, {}))
        client.send(client.dtls.protect_rtp(audio(1, 1).write()))
    return clients


def test_everybody_is_told_once_a_second_and_not_all_at_once():
    async def scenario(inside: Inside) -> None:
        clients = await bring(inside)
        told(clients)
        everybody: Counter[str] = Counter()
        for _ in range(3 * TURNS):
            await inside.pass_time(STEP)
            now = told(clients)
            assert now.total() <= 2 * 2  # a turn, or the next one too, as the clock goes on by itself a little
            everybody += now
        assert all(count in (3, 4) for count in everybody.values())
        assert len(everybody) == CLIENTS

    run(scenario)


def test_after_a_hold_up_everybody_is_told_once_and_who_is_gone_is_not():
    async def scenario(inside: Inside) -> None:
        clients = await bring(inside)
        gone = clients.pop(3)
        inside.sfu.apply(CloseTransport(gone.id))
        told([*clients, gone])
        await inside.pass_time(7.3 * REPORT)
        assert told([*clients, gone]) == Counter(client.id for client in clients)

    run(scenario)
