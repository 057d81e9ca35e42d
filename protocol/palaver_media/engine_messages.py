"""What a client tells its sound engine, and what the engine reports.

One engine serves many calls. The client makes every name (calls, SSRCs, mids), so commands need no answers.
A call has one source (what it says) and one sink (where it is heard), written as specs: `device`, `device:NAME`,
`file:PATH.wav`, `tone:HZ`, `pcm`, `null`.
"""

from __future__ import annotations

import enum
from typing import Final, TypeAlias

from attrs import field, frozen

from .codec import Codec, Pcm
from .sound_settings import Capture, Encoding, PersonVolume, RecordingForm, Volume
from .worker_messages import Beat, Fingerprint


class Direction(enum.Enum):
    """Which way a transport carries media, seen from the client."""

    SEND = "send"
    RECEIVE = "receive"


class Side(enum.Enum):
    """A call's microphone side or its loudspeaker side."""

    SOURCE = "source"
    SINK = "sink"


@frozen
class Candidate:
    """A UDP address of the server's media worker."""

    ip: str
    port: int


@frozen
class OpenCall:
    """Start a call's sound: it captures and plays from now on, though nothing is sent or heard yet."""

    call: str
    source: str
    sink: str
    is_muted: bool


@frozen
class SetSource:
    """Change what a call says, while it talks."""

    call: str
    source: str


@frozen
class SetSink:
    """Change where a call is heard, while it talks."""

    call: str
    sink: str


@frozen
class SetMuted:
    """Send nothing, or send again."""

    call: str
    is_muted: bool


@frozen
class SetCapture:
    """Treat the microphone's sound like this from now on."""

    call: str
    capture: Capture


@frozen
class SetTalking:
    """The push-to-talk key is down, or up again."""

    call: str
    is_talking: bool


@frozen
class SetEncoding:
    """Encode like this from now on."""

    call: str
    encoding: Encoding


@frozen
class SetVolume:
    """How loud everybody is heard."""

    call: str
    volume: Volume


@frozen
class SetPersonVolume:
    """How loud one consumer is heard; it holds for as long as the call lasts, also when he is received anew."""

    call: str
    consumer: str
    volume: PersonVolume


@frozen
class StartRecording:
    """Record the call into files in a new folder within `folder`: one for each voice, ours too, and one of all.

    `names` says what to call the voices' files, by consumer; "" is ours. More may come while it records. The new folder
    is called by date, time and `title`.
    """

    call: str
    folder: str
    form: RecordingForm
    names: dict[str, str]
    title: str = ""


@frozen
class NameTrack:
    """What a recording calls a voice from now on."""

    call: str
    consumer: str
    name: str


@frozen
class StopRecording:
    """Record no more, and make the files whole."""

    call: str


@frozen
class SetEchoTest:
    """Play what the microphone says, as others would get it, a moment later; or no more.

    While it is on others get nothing of it, and being muted does not matter.
    """

    call: str
    is_on: bool


@frozen
class OpenTransport:
    """Connect to a server's transport: ICE to its candidates, then DTLS as the client."""

    call: str
    transport: str
    direction: Direction
    ufrag: str
    password: str
    candidates: tuple[Candidate, ...]
    fingerprints: tuple[Fingerprint, ...]


@frozen
class CloseTransport:
    """Close a transport and what it carries."""

    call: str
    transport: str


@frozen
class Send:
    """Send the call's source over a transport as Opus.

    `mid_extension` and `level_extension` are header extension ids, 0 = leave out. `red_payload_type` is that of packets
    with copies of earlier frames (RFC 2198), 0 = the server does not take them.
    """

    call: str
    transport: str
    ssrc: int
    payload_type: int
    cname: str
    mid: str
    mid_extension: int
    level_extension: int
    red_payload_type: int = 0


@frozen
class StopSending:
    """Send no more over a call's send transport."""

    call: str


@frozen
class Receive:
    """Play a consumer: the packets of one SSRC on a receive transport.

    `red_payload_type` is that of packets with copies of earlier frames (RFC 2198), 0 = none will come.
    """

    call: str
    transport: str
    consumer: str
    ssrc: int
    payload_type: int
    red_payload_type: int = 0


@frozen
class StopReceiving:
    """Play a consumer no more."""

    call: str
    consumer: str


@frozen
class CloseCall:
    """End a call's sound and close its transports."""

    call: str


@frozen
class TestSound:
    """Play sounds through a sink, listen for them at a source, and report `SoundTested` after four seconds."""

    __test__ = False  # no test of pytest's

    call: str
    source: str
    sink: str


@frozen
class ListDevices:
    """Ask for a `Devices` report."""


@frozen
class Ready:
    """The engine's first report: the SHA-256 fingerprint of its certificate."""

    fingerprint: str


@frozen
class TransportConnected:
    """ICE and DTLS are done."""

    call: str
    transport: str


@frozen
class TransportFailed:
    """A transport is dead: `ice`, `dtls`, `fingerprint` or `consent`."""

    call: str
    transport: str
    reason: str


@frozen
class AudioStarted:
    """The first sound of a consumer was played."""

    call: str
    consumer: str


@frozen
class Levels:
    """How loud it is, ten times a second while it changes: dBFS, -100 is silence; consumers by their id."""

    call: str
    input_dbfs: float
    consumers: dict[str, float]


@frozen
class ConsumerStats:
    """How one voice arrives: playout delay and jitter in ms; loss, concealed share and late share 0 to 1.

    `late` is the share of the packets that arrived which came in vain, as their time was over. `mouth_to_ear_ms` is an
    estimate of the whole way, in which the other's devices and his way to the server are taken to be like ours; None
    until our round trip was measured.
    """

    jitter_ms: float
    loss: float
    concealed: float
    late: float
    playout_ms: float
    in_kbps: float
    mouth_to_ear_ms: float | None = None


@frozen
class SendingStats:
    """How our voice is encoded: `bitrate` (bit/s) of one frame, `expected_loss` in per cent (0: without in-band FEC).

    Each packet brings `copies` of earlier frames, `spacing` frames apart.
    """

    bitrate: int
    expected_loss: int
    copies: int
    spacing: int
    frame_ms: int
    complexity: int


@frozen
class Stats:
    """Once a second for each call; `rtt_ms` is None until it was measured.

    `input_ms` is what the microphone's device adds to a sound's way, `output_ms` the loudspeaker's; 0 without one.
    `dropped` counts the datagrams that came in vain since the call began, by reason: `stranger` (not the server's, or
    no answer to a check of ours), `SrtpError` (forged or replayed), `ValueError` (broken, or nothing that is played),
    `handshake` (more of it than is kept).
    """

    call: str
    rtt_ms: float | None
    out_kbps: float
    consumers: dict[str, ConsumerStats]
    dropped: dict[str, int] = field(factory=dict[str, int])
    input_ms: float = 0.0
    output_ms: float = 0.0
    sending: SendingStats | None = None


@frozen
class SoundProblem:
    """A source or sink does not work and the call goes on without it: what is wrong, and what would mend it."""

    call: str
    side: Side
    reason: str
    remedy: str


@frozen
class SoundStarted:
    """A source or sink works (again): the device's name, or its spec."""

    call: str
    side: Side
    name: str


@frozen
class Sending:
    """Whether the microphone is sent now, as its mode (open, by voice, push-to-talk) and muting have it."""

    call: str
    is_sending: bool


@frozen
class SoundTested:
    """What was heard of the sounds that were played.

    `noise_dbfs` is the microphone before them; `latency_ms` the way from loudspeaker to microphone, devices and air,
    and `echo_db` how much louder the microphone gave them than they were played. None: they were not heard.
    """

    call: str
    noise_dbfs: float
    latency_ms: float | None
    echo_db: float | None
    problems: dict[Side, str]


@frozen
class RecordingStarted:
    """A recording runs; where its files are."""

    call: str
    folder: str


@frozen
class RecordingStopped:
    """It runs no more; `problem` is empty when it was stopped as asked and nothing is missing. All files are whole."""

    call: str
    folder: str
    problem: str
    remedy: str


@frozen
class Device:
    """A sound device, by the name that `device:NAME` takes, and the library that knows it.

    Where a part of a name is in several, those of the library that comes first in the list are meant.
    """

    name: str
    is_default: bool
    library: str = ""


@frozen
class Devices:
    """What there is to hear with and to speak into; `problem` says why there is nothing."""

    inputs: tuple[Device, ...]
    outputs: tuple[Device, ...]
    problem: str


EngineCommand: TypeAlias = (
    OpenCall
    | SetSource
    | SetSink
    | SetMuted
    | SetCapture
    | SetTalking
    | SetEncoding
    | SetVolume
    | SetPersonVolume
    | StartRecording
    | NameTrack
    | StopRecording
    | SetEchoTest
    | OpenTransport
    | CloseTransport
    | Send
    | StopSending
    | Receive
    | StopReceiving
    | CloseCall
    | TestSound
    | ListDevices
    | Pcm
)
EngineReport: TypeAlias = (
    Ready
    | Beat
    | TransportConnected
    | TransportFailed
    | AudioStarted
    | Levels
    | Stats
    | SoundProblem
    | SoundStarted
    | Sending
    | SoundTested
    | RecordingStarted
    | RecordingStopped
    | Devices
    | Pcm
)

ENGINE_CODEC: Final[Codec[EngineCommand, EngineReport]] = Codec(EngineCommand, EngineReport)
