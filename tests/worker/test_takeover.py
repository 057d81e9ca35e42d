"""Whose an address is: a check takes nothing but a password of one's own, and may say that it comes from anywhere."""

from media.inside import Client, Inside, run
from media_peer import audio
from palaver_media.worker_messages import AddProducer, MediaKind, OpenPipe
from palaver_worker.client_transport import KEPT
from palaver_worker.sockaddr import pack


def test_nobody_is_heard_at_the_address_of_a_client_who_is_there():
    async def scenario(inside: Inside) -> None:
        client, thief = Client(inside), Client(inside)
        client.connect()
        await inside.pass_time(1)
        thief.connect()
        address, his = pack(client.socket.getsockname()), pack(thief.socket.getsockname())
        for _ in range(3):
            thief.check(through=client.socket)  # as one who forges where it comes from
            await inside.pass_time(KEPT / 4)
        assert inside.port.dropped["ValueError"] == 3
        assert inside.port.by_address[address] is client.transport
        assert thief.transport.ice.selected == thief.transport.destination == his
        assert client.receive() == []  # nor is he answered
        inside.sfu.apply(AddProducer(client.id, "p", MediaKind.AUDIO, 48000, 1, {111: 100}, {}))
        client.send(client.dtls.protect_rtp(audio(1, 1).write()))
        assert inside.sfu.producers["p"].reception.received == 1

    run(scenario)


def test_the_address_of_a_client_who_is_silent_or_gone_is_the_next_ones():
    async def scenario(inside: Inside) -> None:
        former, successor, last = Client(inside), Client(inside), Client(inside)
        former.connect()
        address = pack(former.socket.getsockname())
        await inside.pass_time(KEPT + 0.1)
        successor.check(through=former.socket)
        assert inside.port.by_address[address] is successor.transport
        former.check()  # he was there first, and is there again
        assert inside.port.by_address[address] is former.transport
        inside.sfu.close_transport(former.transport)
        last.check(through=former.socket)
        assert inside.port.by_address[address] is last.transport

    run(scenario)


def test_nobody_is_heard_at_the_address_of_another_worker():
    async def scenario(inside: Inside) -> None:
        client = Client(inside)
        host, port = client.socket.getsockname()
        inside.sfu.apply(OpenPipe("pipe", host, port, "00" * 28, "11" * 28))
        client.check()
        assert inside.port.by_address == {pack((host, port)): inside.sfu.pipes["pipe"]}

    run(scenario)
