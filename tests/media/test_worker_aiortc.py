"""Unmodified aiortc senders and receivers talk through the worker, in both DTLS roles."""

import asyncio
import secrets

import pytest
import trio
from aiortc import AudioStreamTrack, RTCCertificate, RTCRtpReceiver, RTCRtpSender
from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport
from aiortc.rtcrtpparameters import (
    RTCRtpCodecParameters,
    RTCRtpDecodingParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpReceiveParameters,
    RTCRtpSendParameters,
)
from aiortc.rtcrtpreceiver import RemoteStreamTrack

from media_peer import PATIENCE, Worker
from palaver_media import rtp, stun
from palaver_media.rtp import MID
from palaver_media.worker_messages import (
    AddConsumer,
    AddProducer,
    ConnectTransport,
    DtlsRole,
    Fingerprint,
    MediaKind,
    OpenTransport,
    ResumeConsumer,
    TransportConnected,
)

MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
PASSWORD = secrets.token_hex(12)


class Path(asyncio.DatagramProtocol):
    """What aiortc's DTLS transport wants of ICE, straight to the worker's port: aioice knows no loopback candidates.

    aiortc takes the DTLS role from the ICE role: the controlling side is the server.
    """

    def __init__(self, dtls_role: DtlsRole) -> None:
        self.role = "controlling" if dtls_role is DtlsRole.SERVER else "controlled"
        self.arrived: asyncio.Queue[bytes] = asyncio.Queue()
        self.checked = asyncio.Event()
        self.closed = asyncio.Event()
        self.ssrc: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, _: object) -> None:
        if data[0] < 4:
            self.checked.set()
        else:
            self.arrived.put_nowait(data)

    def connection_lost(self, _: Exception | None) -> None:
        self.closed.set()

    async def _recv(self) -> bytes:
        return await self.arrived.get()

    async def _send(self, data: bytes) -> None:
        if data[0] >= 128 and not rtp.is_rtcp(data) and not self.ssrc.done():
            self.ssrc.set_result(rtp.peek_ssrc(data))
        self.transport.sendto(data)


async def connect(worker: Worker, id: str, role: DtlsRole) -> tuple[RTCDtlsTransport, Path]:
    """An aiortc DTLS transport in this role, connected to the worker's transport of this id."""
    certificate = RTCCertificate.generateCertificate()
    theirs = certificate.getFingerprints()[-1]  # sha-512
    ours = DtlsRole.SERVER if role is DtlsRole.CLIENT else DtlsRole.CLIENT
    trio.from_thread.run_sync(
        worker.tell,
        OpenTransport("room", id, id, id, PASSWORD),
        ConnectTransport(id, ours, (Fingerprint(theirs.algorithm, theirs.value),)),
    )
    loop = asyncio.get_running_loop()
    _, path = await loop.create_datagram_endpoint(lambda: Path(role), remote_addr=worker.address)
    path.transport.sendto(stun.make_request(f"{id}:them", PASSWORD, 1)[0])
    await path.checked.wait()
    transport = RTCDtlsTransport(path, [certificate])
    await transport.start(RTCDtlsParameters([RTCDtlsFingerprint("sha-256", worker.ready.fingerprint)]))
    assert transport.state == "connected"
    return transport, path


async def talk(worker: Worker, speaker_role: DtlsRole, listener_role: DtlsRole) -> None:
    """One side sends aiortc's own audio, the other decodes it."""
    sending, path = await connect(worker, "speaker", speaker_role)
    receiving, other_path = await connect(worker, "listener", listener_role)
    codec = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48000, channels=2, payloadType=111)
    sender = RTCRtpSender(AudioStreamTrack(), sending)
    extension = RTCRtpHeaderExtensionParameters(id=4, uri=MID_URI)
    await sender.send(RTCRtpSendParameters(codecs=[codec], headerExtensions=[extension], muxId="theirs"))
    ssrc = await path.ssrc
    trio.from_thread.run_sync(
        worker.tell,
        AddProducer("speaker", "producer", MediaKind.AUDIO, 48000, ssrc, {111: 100}, {4: MID}),
        AddConsumer("listener", "consumer", "producer", 4242, "0", "someone", (MID,)),
        ResumeConsumer("consumer"),
    )
    receiver = RTCRtpReceiver("audio", receiving)
    receiver._track = RemoteStreamTrack(kind="audio")  # as its peer connection would
    heard = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48000, channels=2, payloadType=100)
    await receiver.receive(
        RTCRtpReceiveParameters(
            codecs=[heard],
            encodings=[RTCRtpDecodingParameters(ssrc=4242, payloadType=100)],
            headerExtensions=[RTCRtpHeaderExtensionParameters(id=MID, uri=MID_URI)],
            muxId="0",
        )
    )
    for _ in range(10):
        frame = await receiver.track.recv()
        assert frame.sample_rate == 48000
    while "remote-inbound-rtp" not in (kinds := {each.type for each in (await sender.getStats()).values()}):
        await receiver.track.recv()  # until our receiver report has reached the sender
    assert kinds >= {"outbound-rtp", "remote-inbound-rtp"}
    await sender.stop()
    await receiver.stop()
    for transport, each in ((sending, path), (receiving, other_path)):
        await transport.stop()
        each.transport.close()
        await each.closed.wait()


@pytest.mark.trio
@pytest.mark.parametrize(
    ("speaker_role", "listener_role"), [(DtlsRole.CLIENT, DtlsRole.SERVER), (DtlsRole.SERVER, DtlsRole.CLIENT)]
)
async def test_aiortc_talks_to_aiortc(nursery, speaker_role, listener_role):
    worker = Worker()
    await nursery.start(worker.process.run)

    def run() -> None:
        asyncio.run(asyncio.wait_for(talk(worker, speaker_role, listener_role), 2 * PATIENCE))

    await trio.to_thread.run_sync(run)
    assert TransportConnected("room", "speaker") in worker.reports
    assert TransportConnected("room", "listener") in worker.reports
