"""For tests: the forwarding unit in this process, on a clock that can be put forward, and clients driven by hand."""

import asyncio
import socket
from collections.abc import Sequence
from itertools import count

from aioice.stun import parse_message

from palaver_media import stun
from palaver_media.codec import Frames
from palaver_media.dtls import Certificate, DtlsSrtp, State
from palaver_media.worker_messages import (
    WORKER_CODEC,
    AddConsumer,
    AddProducer,
    ConnectTransport,
    DtlsRole,
    Fingerprint,
    MediaKind,
    OpenTransport,
    ResumeConsumer,
    TransportConnected,
    WorkerReport,
)
from palaver_worker.fanout import Fanout
from palaver_worker.fanout_c import CFanout
from palaver_worker.fanout_python import PythonFanout
from palaver_worker.port import Port, bind
from palaver_worker.sfu import Sfu

CERTIFICATE = Certificate()
CODECS = {MediaKind.AUDIO: (48_000, {111: 100}), MediaKind.VIDEO: (90_000, {96: 101})}  # clock rates and payload types


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock goes only when it is put forward, so that a slow machine changes nothing."""

    def __init__(self) -> None:
        self.ahead = 0.0
        super().__init__()
        self._began = super().time()

    def time(self) -> float:
        return self._began + self.ahead


class Inside:
    """A forwarding unit on a loopback port, driven by hand."""

    def __init__(self, loop: Loop, udp: socket.socket, core: type[Fanout]) -> None:
        self.reports = []
        self.port = Port(udp, loop.time, core)
        self.sfu = Sfu(CERTIFICATE, self.port, self.report)
        self.loop = loop
        self.sockets: list[socket.socket] = []  # of all clients, closed at the end
        self.address = udp.getsockname()

    def report(self, report: WorkerReport) -> None:
        """Note a report as it is after its way to the server."""
        [body] = Frames().feed(WORKER_CODEC.write_report(report))
        self.reports.append(WORKER_CODEC.read_report(body))

    async def pass_time(self, seconds: float) -> None:
        """Put the clock forward, and let what is due happen."""
        self.loop.ahead += seconds
        for _ in range(2):  # what is due may make something else due
            past = asyncio.Event()
            self.loop.call_at(self.loop.time(), past.set)
            await past.wait()
        self.port.drain(lambda: None)


class Client:
    """A client on a blocking socket."""

    numbers = count()

    def __init__(self, inside: Inside, seat: str = "seat") -> None:
        self.inside, self.id = inside, f"client-{next(self.numbers)}"
        self.socket = self.new_socket()
        self.dtls = DtlsSrtp(CERTIFICATE)
        inside.sfu.apply(OpenTransport("room", seat, self.id, self.id, "password"))

    @property
    def transport(self):
        return self.inside.sfu.transports[self.id]

    def new_socket(self) -> socket.socket:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        udp.setblocking(False)
        self.inside.sockets.append(udp)
        return udp

    def send(self, *datagrams: bytes, through: socket.socket | None = None) -> list[bytes]:
        """Send all this, let the unit act, and hear what came back."""
        for datagram in datagrams:
            (through or self.socket).sendto(datagram, self.inside.address)
        self.inside.port.drain(lambda: None)
        return self.receive()

    def receive(self) -> list[bytes]:
        """What has come."""
        heard = []
        try:
            while True:
                heard.append(self.socket.recv(2048))
        except BlockingIOError:
            return heard

    def check(self, through: socket.socket | None = None, nominates: bool = True) -> None:
        self.send(self.make_check(nominates), through=through)

    def make_check(self, nominates: bool = True) -> bytes:
        """A check that was not there before."""
        request = parse_message(stun.make_request(f"{self.id}:us", "password", 1)[0])
        if not nominates:
            del request.attributes["USE-CANDIDATE"]
            request.add_message_integrity(b"password")
        return bytes(request)

    def accept(self, role: DtlsRole) -> None:
        expected = Fingerprint("sha-256", CERTIFICATE.fingerprint)
        self.inside.sfu.apply(ConnectTransport(self.id, role, (expected,)))

    def connect(self) -> None:
        self.accept(DtlsRole.SERVER)
        self.check()
        self.dtls.start(DtlsRole.CLIENT, [Fingerprint("sha-256", CERTIFICATE.fingerprint)])
        while self.dtls.state is State.CONNECTING:
            for datagram in self.send(*self.dtls.take()):
                self.dtls.receive(datagram)
        assert TransportConnected("room", self.id) in self.inside.reports


def connected(inside: Inside, number: int = 2) -> list[Client]:
    """Clients who are connected."""
    clients = [Client(inside) for _ in range(number)]
    for each in clients:
        each.connect()
    return clients


def hear(
    inside: Inside,
    speaker: Client,
    listener: Client,
    ssrc: int = 1,
    media: MediaKind = MediaKind.AUDIO,
    *,
    types: dict[int, int] | None = None,
    ids: dict[int, int] | None = None,
    takes: tuple[int, ...] = (),
) -> None:
    """Let one hear another: for SSRC 1, `p1` is heard as `c1` under SSRC 11, with all extensions that `ids` maps.

    `types` are the sender's payload types, if they are not the usual ones; `takes` as in `AddConsumer.payload_types`.
    """
    (rate, usual), ids = CODECS[media], ids or {}
    extensions = tuple(dict.fromkeys(ids.values()))
    producer, consumer = f"p{ssrc}", f"c{ssrc}"
    inside.sfu.apply(AddProducer(speaker.id, producer, media, rate, ssrc, types or usual, ids))
    inside.sfu.apply(AddConsumer(listener.id, consumer, producer, ssrc + 10, "0", "someone", extensions, None, takes))
    inside.sfu.apply(ResumeConsumer(consumer))


def run(scenario, cores: Sequence[type[Fanout]] = (PythonFanout, CFanout)) -> None:
    """Run a scenario of an `Inside` on a loop of its own, with each core of the inner loop."""

    async def whole(core: type[Fanout]) -> None:
        with await bind("127.0.0.1", 0) as udp:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, Loop)
            inside = Inside(loop, udp, core)
            try:
                await scenario(inside)
            finally:
                for each in inside.sockets:
                    each.close()
            inside.sfu.close()
            assert not inside.port.by_ufrag
            assert not inside.port.by_address
            assert not inside.sfu.producers
            assert not inside.sfu.consumers
            assert not inside.sfu.slots
            assert not inside.sfu.stages
            assert not inside.sfu.pipes

    for core in cores:
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(whole(core))
