"""The child's end of a channel, in this process."""

import asyncio
import socket

from palaver_media.child import Channel
from palaver_media.worker_messages import WORKER_CODEC, CloseRouter, WorkerCommand


def test_a_command_that_fails_is_logged_and_costs_no_other_one(caplog):
    taken: list[WorkerCommand] = []

    def take(command: WorkerCommand) -> None:
        if command == CloseRouter("poison"):
            raise KeyError("poison")
        taken.append(command)

    async def scenario(owner: socket.socket, fd: int) -> None:
        channel = Channel(fd, WORKER_CODEC)
        channel.open(take)
        good = [CloseRouter(name) for name in ("first", "second", "third")]
        nonsense = (2).to_bytes(4, "big") + b"{}"
        frames = [WORKER_CODEC.write_command(each) for each in (*good, CloseRouter("poison"))]
        first, second, third, poison = frames
        owner.sendall(first + poison + second + nonsense + third)
        channel.poll()
        assert taken == good
        assert not channel.closed.is_set()
        channel.close()

    ours, theirs = socket.socketpair()
    with ours:
        asyncio.run(scenario(ours, theirs.detach()))
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert "KeyError: 'poison'" in caplog.text
