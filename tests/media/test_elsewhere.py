"""The worker where datagrams do not come in batches: it waits as any event loop does."""

import asyncio
import socket

from palaver_media import stun
from palaver_media.codec import Frames
from palaver_media.worker_messages import VIDEO_BITRATE, WORKER_CODEC, OpenTransport, Ready, WorkerReport
from palaver_worker.__main__ import run


def test_without_a_selector_of_its_own_it_serves_until_the_owner_goes():
    async def scenario(owner: socket.socket, fd: int) -> None:
        loop, frames = asyncio.get_running_loop(), Frames()
        serving = asyncio.create_task(run(fd, "127.0.0.1", 0, VIDEO_BITRATE, None))
        reports: list[WorkerReport] = []
        while not reports:
            reports += [WORKER_CODEC.read_report(each) for each in frames.feed(await loop.sock_recv(owner, 65536))]
        ready = reports[0]
        assert isinstance(ready, Ready)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.connect(("127.0.0.1", ready.port))
            # Both are there before it looks: what was sent first must apply first.
            owner.sendall(WORKER_CODEC.write_command(OpenTransport("room", "seat", "t", "ours", "password")))
            request, transaction = stun.make_request("ours:theirs", "password", 1)
            client.send(request)
            answer = stun.parse(await loop.sock_recv(client, 2048))
            assert answer.is_answer(transaction, "password")
        owner.close()
        await serving

    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours:
        asyncio.run(asyncio.wait_for(scenario(ours, theirs.detach()), 10))
