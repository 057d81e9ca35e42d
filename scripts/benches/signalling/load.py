"""The load of scripts/bench signalling: many Socket.IO clients in one process, on raw sockets, WebSocket only.

It measures the server from outside: what it answered per second of its own CPU time (user and system), what memory it
took, what it sent. It prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import select
import socket
import statistics
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

TICKS: Final = os.sysconf("SC_CLK_TCK")
PATIENCE: Final = 30.0  # s for one step of one measurement
HANDSHAKE: Final = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
MASK: Final = b"\x5a\x13\xc4\x9f"
AT_ONCE: Final = 50  # clients that connect together


def frame(text: str) -> bytes:
    """A client's WebSocket frame."""
    data = text.encode()
    length = len(data)
    head = struct.pack("!BB", 0x81, 0x80 | length) if length < 126 else struct.pack("!BBH", 0x81, 0xFE, length)
    key = int.from_bytes((MASK * (length // 4 + 1))[:length], "big")
    return head + MASK + (int.from_bytes(data, "big") ^ key).to_bytes(length, "big")


PONG: Final = frame("3")


class Client:
    """One connection."""

    __slots__ = ("held", "is_open", "name", "received", "room", "sock")

    def __init__(self, name: str, port: int, receive_buffer: int = 0) -> None:
        self.name = name
        self.room = ""
        self.held = b""
        self.received = 0
        self.is_open = False
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.send(HANDSHAKE)

    def send(self, data: bytes) -> None:
        """Send a frame; those of this bench always fit."""
        self.sock.send(data)

    def ask(self, event: str, **payload: Any) -> None:
        """Send a request that wants an ack."""
        self.send(frame(f"421{json.dumps([event, payload])}"))

    def receive(self) -> list[bytes]:
        """The packets that have come; pings are answered."""
        data = self.sock.recv(262144)
        if not data:
            raise ConnectionError(f"the server cut {self.name} off")
        self.received += len(data)
        if self.held:
            data = self.held + data
        at = 0
        if not self.is_open:
            at = data.find(b"\r\n\r\n") + 4
            if at < 4:
                self.held = data
                return []
            if not data.startswith(b"HTTP/1.1 101"):
                raise ConnectionError(data[:200])
            self.is_open = True
        end = len(data)
        packets = []
        while at + 2 <= end:
            length, start = data[at + 1], at + 2
            if length == 126:
                length, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            elif length == 127:
                length, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if start + length > end:
                break
            at = start + length
            packet = data[start:at]
            if packet == b"2":
                self.send(PONG)
            else:
                packets.append(packet)
        self.held = data[at:]
        return packets


class Load:
    """A server under load."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self.pid = pid
        self.clients: dict[int, Client] = {}
        self._poll = select.epoll()
        self._waiting: deque[tuple[Client, bytes]] = deque()  # read, and not looked at

    def cpu(self) -> float:
        """The server's CPU time, in s."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self) -> float:
        """The server's own share of memory, in KiB."""
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return float(line.split()[1])
        raise RuntimeError("the system does not tell the proportional set size")

    def packets(self, patience: float = PATIENCE) -> Iterator[tuple[Client, bytes]]:
        """What comes, until nothing comes for so long (s)."""
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            ready = self._poll.poll(patience)
            if not ready:
                return
            for number, _ in ready:
                client = self.clients[number]
                self._waiting += [(client, packet) for packet in client.receive()]

    def until(self, count: int, is_it: Callable[[Client, bytes], bool]) -> None:
        """Read until so many packets were the ones."""
        deadline = time.monotonic() + 2 * PATIENCE
        for client, packet in self.packets():
            count -= is_it(client, packet)
            if not count:
                return
            if time.monotonic() > deadline:
                break
        raise RuntimeError(f"{count} packets never came")

    def settle(self, quiet: float) -> None:
        """Read until the server has been quiet for so long (s)."""
        deadline = time.monotonic() + PATIENCE
        for _ in self.packets(quiet):
            if time.monotonic() > deadline:
                return

    def connect(self, names: list[str], receive_buffer: int = 0) -> list[Client]:
        """Bring people online."""
        come: list[Client] = []
        for start in range(0, len(names), AT_ONCE):
            batch = [Client(name, self.port, receive_buffer) for name in names[start : start + AT_ONCE]]
            for client in batch:
                self.clients[client.sock.fileno()] = client
                self._poll.register(client.sock.fileno(), select.EPOLLIN)

            def is_in(client: Client, packet: bytes) -> bool:
                if packet.startswith(b"0{"):
                    client.send(frame("40" + json.dumps({"userId": client.name, "name": client.name})))
                return packet.startswith(b"40")

            self.until(len(batch), is_in)
            come += batch
        return come

    def forget(self, client: Client) -> None:
        """Read no more what comes for somebody."""
        self._poll.unregister(client.sock.fileno())

    def leave(self) -> None:
        """Hang up, all together."""
        for client in self.clients.values():
            client.sock.close()
        self.clients.clear()
        self._waiting.clear()

    def enter(self, clients: list[Client], name_of: Callable[[Client], str]) -> None:
        """Take each into the room of that name."""

        def is_answer(client: Client, packet: bytes) -> bool:
            if not packet.startswith(b"431"):
                return False
            client.room = json.loads(packet[3:])[0]["room"]["roomId"]
            return True

        for client in clients:
            client.ask("createRoom", roomType="group", roomName=name_of(client), joinExisting=True)
            self.until(1, is_answer)
        self.settle(0.6)


def measure_idle(load: Load, count: int) -> dict[str, float]:
    """Many people who say nothing: what each costs, and what each was sent while all the others came."""
    before, began = load.memory(), time.monotonic()
    clients = load.connect([f"person-{number}" for number in range(count)])
    joined = time.monotonic() - began
    load.settle(3.0)
    kib = (load.memory() - before) / count
    received = statistics.mean(client.received for client in clients)
    load.leave()
    time.sleep(1)  # the server sees them go
    return {
        "idle_kib": kib,
        "join_s": joined,
        "join_bytes_per_client": received,
        "join_bytes_per_client_and_s": received / (time.monotonic() - began),
    }


def measure_acks(load: Load, clients: int, each: int) -> dict[str, float]:
    """Everybody, alone in a room, asks again whenever he is answered."""
    people = load.connect([f"asker-{number}" for number in range(clients)])
    load.enter(people, lambda client: f"room of {client.name}")
    states = {client: {"roomId": client.room, "isMuted": True, "isVideoEnabled": False} for client in people}
    requests = {client: frame(f'421["mediaStateChanged",{json.dumps(state)}]') for client, state in states.items()}
    left = dict.fromkeys(people, each - 1)

    def is_answer(client: Client, packet: bytes) -> bool:
        if not packet.startswith(b"431"):
            return False
        if not packet.startswith(b'431[{"success":true'):
            raise RuntimeError(packet)
        if left[client]:
            left[client] -= 1
            client.send(requests[client])
        return True

    cpu, began = load.cpu(), time.monotonic()
    for client in people:
        client.send(requests[client])
    load.until(clients * each, is_answer)
    spent, passed = load.cpu() - cpu, time.monotonic() - began
    load.leave()
    return {"acks_per_cpu_s": clients * each / spent, "acks_per_s": clients * each / passed}


def measure_broadcasts(load: Load, listeners: int, messages: int) -> dict[str, float]:
    """One says something, all of a room hear it, then the next one speaks."""
    people = load.connect([f"listener-{number}" for number in range(listeners)])
    load.enter(people, lambda _: "hall")
    cpu, began = load.cpu(), time.monotonic()
    for number in range(messages):
        people[number % listeners].ask("sendMessage", roomId=people[0].room, content="what one says and all hear")
        load.until(listeners, is_message)
    spent, passed = load.cpu() - cpu, time.monotonic() - began
    load.leave()
    return {"deliveries_per_cpu_s": listeners * messages / spent, "deliveries_per_s": listeners * messages / passed}


def is_message(client: Client, packet: bytes) -> bool:
    """Whether this is somebody's chat line."""
    return packet.startswith(b'42["newMessage"')


def measure_slow_reader(load: Load, listeners: int, messages: int, pause: float) -> dict[str, float | None]:
    """One of a room reads no more: how long the others then wait, what it costs, and when it is cut off."""
    people = load.connect([f"reader-{number}" for number in range(listeners)])
    load.enter(people, lambda _: "library")
    alone, _, _ = chat(load, people, messages, pause)
    (slow,) = load.connect(["slow"], receive_buffer=4096)
    load.enter([slow], lambda _: "library")
    load.forget(slow)
    beside, cost, cut_after = chat(load, people, messages, pause)
    load.leave()
    return {
        "p99_ms": alone,
        "p99_beside_slow_ms": beside,
        "p99_ratio": beside / alone,
        "slow_reader_kib": cost,
        "cut_after_s": cut_after,
    }


def chat(load: Load, people: list[Client], messages: int, pause: float) -> tuple[float, float, float | None]:
    """Messages of 4 kB at a steady pace: p99 until the last one has it (ms), memory (KiB), when somebody left (s)."""
    content = "x" * 4000
    cut_after: float | None = None
    before = most = load.memory()
    began = time.monotonic()
    waits: list[float] = []
    for number in range(messages):
        time.sleep(max(0.0, began + number * pause - time.monotonic()))
        asked = time.monotonic()
        people[number % len(people)].ask("sendMessage", roomId=people[0].room, content=content)
        missing = len(people)
        for _, packet in load.packets():
            if cut_after is None and packet.startswith(b'42["userLeft"'):
                cut_after = time.monotonic() - began
            missing -= packet.startswith(b'42["newMessage"')
            if not missing:
                break
        waits.append((time.monotonic() - asked) * 1000)
        if number % 50 == 0:
            most = max(most, load.memory())
    return statistics.quantiles(waits, n=100)[-1], most - before, cut_after


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--idle", type=int, default=2000, help="idle connections")
    parser.add_argument("--only", nargs="+", default=["idle", "acks", "broadcast", "slow"], help="what to measure")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    load = Load(options.port, options.pid)
    figures: dict[str, float | None] = {}
    if "idle" in options.only:
        figures |= measure_idle(load, options.idle)
    if "acks" in options.only:
        figures |= measure_acks(load, clients=200, each=150)
    if "broadcast" in options.only:
        figures |= measure_broadcasts(load, listeners=200, messages=300)
    if "slow" in options.only:
        figures |= measure_slow_reader(load, listeners=30, messages=1500, pause=0.002)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
