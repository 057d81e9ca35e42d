"""A media process and its owner: ends with the channel, death and silence are seen, the successor takes the port."""

import os
import signal
import socket
import subprocess
import sys

import pytest
import trio

from media_peer import PATIENCE, News, Peer, Worker
from palaver_media.codec import MAX_FRAME, Frames
from palaver_media.process import MediaProcess, supervise
from palaver_media.worker_messages import WORKER_CODEC, Beat, CloseRouter, CloseTransport, Draining, Ready

pytestmark = pytest.mark.trio


def start_bare(*arguments: str) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """A worker on a bare socket, without an owner's machinery."""
    ours, theirs = socket.socketpair()
    ours.settimeout(PATIENCE)
    with theirs:
        line = [sys.executable, "-m", "palaver_worker", str(theirs.fileno()), *arguments]
        return subprocess.Popen(line, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE), ours


async def test_ready_comes_first_and_then_a_beat_each_second(nursery):
    worker = Worker()
    await nursery.start(worker.process.run)
    await worker.news.until(lambda: len(worker.reports) == 2)
    second = trio.current_time()
    await worker.news.until(lambda: len(worker.reports) == 3)
    assert trio.current_time() - second == pytest.approx(1, abs=0.4)
    assert [type(each) for each in worker.reports] == [Ready, Beat, Beat]


async def test_the_worker_ends_when_its_channel_closes():
    process, channel = start_bare()
    with process, channel:
        reports = Frames().feed(await trio.to_thread.run_sync(channel.recv, 65536))
        assert isinstance(WORKER_CODEC.read_report(reports[0]), Ready)
        channel.close()
        assert await trio.to_thread.run_sync(process.wait, PATIENCE) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


async def test_a_port_that_is_taken_is_said_in_one_line():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        process, channel = start_bare("--port", str(other.getsockname()[1]))
        with process, channel:
            assert await trio.to_thread.run_sync(process.wait, PATIENCE) == 1
            assert process.stderr is not None
            [line] = process.stderr.read().decode().splitlines()
            assert "Address already in use" in line


async def test_cancelling_the_owner_ends_the_worker():
    worker = Worker()
    async with trio.open_nursery() as nursery:
        await nursery.start(worker.process.run)
        nursery.cancel_scope.cancel()
    assert worker.process.dead.is_set()
    assert not is_alive(worker.process.pid)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_cancelled_before_it_starts_it_leaves_nothing_open():
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with trio.CancelScope() as scope:
            scope.cancel()
            await Worker().process.run()
    assert len(os.listdir("/proc/self/fd")) == before


class Shop:
    """An owner that keeps one worker alive, on whatever port the first one got."""

    def __init__(self) -> None:
        self.port = 0
        self.workers: list[Worker] = []
        self.ups: list[MediaProcess] = []
        self.news = News()

    def make(self) -> MediaProcess:
        self.workers.append(Worker(self.port))
        return self.workers[-1].process

    def on_up(self, process: MediaProcess) -> None:
        self.port = self.workers[-1].ready.port
        self.ups.append(process)
        self.news.tell()


@pytest.mark.parametrize(("how", "patience"), [(signal.SIGKILL, 1.0), (signal.SIGSTOP, 5.0)])
async def test_a_dead_or_hanging_worker_is_replaced_on_the_same_port(nursery, how, patience):
    shop = Shop()
    nursery.start_soon(supervise, shop.make, shop.on_up)
    await shop.news.until(lambda: len(shop.ups) == 1)
    with trio.fail_after(patience):
        os.kill(shop.ups[0].pid, how)
        await shop.ups[0].dead.wait()
    await shop.news.until(lambda: len(shop.ups) == 2)
    assert shop.workers[0].ready.port == shop.workers[1].ready.port
    assert shop.workers[0].ready.fingerprint != shop.workers[1].ready.fingerprint
    assert not is_alive(shop.ups[0].pid)
    nursery.cancel_scope.cancel()


async def test_a_child_that_cannot_start_is_tried_again(nursery, caplog):
    starts = 0
    tried = News()

    def make() -> MediaProcess:
        nonlocal starts
        starts += 1
        tried.tell()
        return MediaProcess("palaver_worker", ("--port", "none"), WORKER_CODEC, lambda _: None)

    nursery.start_soon(supervise, make, lambda _: None)
    await tried.until(lambda: starts == 3)
    assert "did not start" in caplog.text
    nursery.cancel_scope.cancel()


async def test_an_owner_that_has_no_room_for_a_child_tries_again(nursery, caplog):
    shop = Shop()
    starts = 0

    def make() -> MediaProcess:
        nonlocal starts
        starts += 1
        if starts < 3:  # more than the kernel takes on a command line
            return MediaProcess("palaver_worker", ("x" * 200_000,), WORKER_CODEC, lambda _: None)
        return shop.make()

    nursery.start_soon(supervise, make, shop.on_up)
    await shop.news.until(lambda: len(shop.ups) == 1)
    assert starts == 3
    assert caplog.text.count("Argument list too long") == 2
    nursery.cancel_scope.cancel()


async def test_a_child_that_takes_no_commands_is_ended(nursery):
    worker = Worker()
    await nursery.start(worker.process.run)
    os.kill(worker.process.pid, signal.SIGSTOP)
    while len(worker.process._waiting) < 100:  # the channel is full
        worker.tell(*[CloseRouter("x" * 60_000)] * 10)
    for _ in range(150):
        worker.tell(CloseRouter("x" * 60_000))
    with trio.fail_after(2.5):  # sooner than its silence would tell
        await worker.process.dead.wait()


async def test_more_than_the_channel_holds_arrives_whole_and_in_order(nursery):
    worker = Worker()
    await nursery.start(worker.process.run)
    worker.tell(*[CloseRouter("x" * 60_000)] * 100)
    peer = Peer(worker, "last")
    await peer.open(nursery)
    await worker.news.until(lambda: not worker.process._waiting)  # each beat looks again
    await peer.check()


async def test_a_frame_that_is_too_long_is_a_bug():
    with pytest.raises(ValueError, match="a frame of"):
        Frames().feed((MAX_FRAME + 1).to_bytes(4, "big"))


async def test_asked_to_end_it_says_so_and_ends_when_its_last_transport_is_gone(nursery):
    worker = Worker()
    await nursery.start(worker.process.run)
    peers = [Peer(worker, "a"), Peer(worker, "b")]
    for peer in peers:
        await peer.open(nursery)
        await peer.check()
    os.kill(worker.process.pid, signal.SIGTERM)
    await worker.wait(Draining())
    worker.tell(CloseTransport("a"))
    await worker.wait(Beat(transports=1))
    await peers[1].check()  # the other one is served as before
    worker.tell(CloseTransport("b"))
    with trio.fail_after(2.5):
        await worker.process.dead.wait()


async def test_asked_to_end_with_nothing_to_do_it_ends_within_a_beat(nursery):
    worker = Worker()
    await nursery.start(worker.process.run)
    os.kill(worker.process.pid, signal.SIGTERM)
    with trio.fail_after(2):
        await worker.process.dead.wait()
    assert Draining() in worker.reports
