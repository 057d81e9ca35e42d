"""The child's end of a channel, in this process."""

import asyncio
import socket

from palaver_media.child import BACKLOG, Channel, beat
from palaver_media.worker_messages import WORKER_CODEC, Beat, CloseRouter, TransportFailed, WorkerCommand

LONG = TransportFailed("room", "transport", "x" * 65_536)  # a report


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


def test_an_owner_that_does_not_read_loses_its_child(caplog):
    async def scenario(owner: socket.socket, fd: int) -> None:
        channel = Channel(fd, WORKER_CODEC)
        channel.open(lambda _: None)
        life = asyncio.create_task(beat(channel, Beat))
        size, told = len(WORKER_CODEC.write_report(LONG)), 0
        while not channel.closed.is_set() and told < 2 * BACKLOG:
            channel.report(LONG)
            told += size
        assert BACKLOG < told < 2 * BACKLOG
        channel.report(LONG)
        await life
        while owner.recv(65_536):  # what was on its way, and then the end
            pass

    ours, theirs = socket.socketpair()
    with ours:
        asyncio.run(scenario(ours, theirs.detach()))
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_an_owner_that_reads_late_gets_everything():
    async def scenario(owner: socket.socket, fd: int) -> None:
        channel = Channel(fd, WORKER_CODEC)
        channel.open(lambda _: None)
        report = WORKER_CODEC.write_report(LONG)
        count = BACKLOG // len(report)
        for _ in range(count):
            channel.report(LONG)
        reader, writer = await asyncio.open_connection(sock=owner)
        for _ in range(count):
            assert await reader.readexactly(len(report)) == report
        assert not channel.closed.is_set()
        channel.close()
        writer.close()

    ours, theirs = socket.socketpair()
    with ours:
        asyncio.run(scenario(ours, theirs.detach()))
