"""How the messages between a media process and its owner are written: JSON with a `kind`, and PCM as it is."""

from __future__ import annotations

import functools
import operator
import struct
from types import UnionType
from typing import Any, Final, Generic, TypeVar, cast, get_args

import attrs
import cattrs
import orjson
from attrs import frozen
from cattrs.strategies import configure_tagged_union

C = TypeVar("C")
R = TypeVar("R")

MAX_FRAME: Final = 4 * 1024 * 1024  # bytes; both ends are ours, so more than this is a bug
_LENGTH: Final = struct.Struct("!I")
_PCM_HEAD: Final = struct.Struct("!BBB")


@frozen
class Pcm:
    """A block of sound of one call: 48 kHz mono, signed 16-bit little-endian samples.

    Going down, `stream` is empty: it is what the call's `pcm` source says next.
    Coming up, `stream` is the consumer whose voice this is.
    """

    call: str
    stream: str
    samples: bytes


class Codec(Generic[C, R]):
    """Frames of one pair of message unions, for either end.

    A frame is a length (4 bytes, big-endian) and a body; a body that starts with ``{`` is JSON, any other is PCM.
    """

    def __init__(self, commands: UnionType, reports: UnionType) -> None:
        self._converter = cattrs.Converter(detailed_validation=False)
        self._commands, self._reports = _without_pcm(commands), _without_pcm(reports)
        for union in (self._commands, self._reports):
            for cls in get_args(union):
                assert attrs.has(cls), cls
            configure_tagged_union(union, self._converter, tag_name="kind")

    def write_command(self, command: C) -> bytes:
        """The frame of a command, length included."""
        return self._write(command, self._commands)

    def read_command(self, body: bytes) -> C:
        """The command in a frame's body."""
        return cast(C, self._read(body, self._commands))

    def write_report(self, report: R) -> bytes:
        """The frame of a report, length included."""
        return self._write(report, self._reports)

    def read_report(self, body: bytes) -> R:
        """The report in a frame's body."""
        return cast(R, self._read(body, self._reports))

    def _write(self, message: object, union: Any) -> bytes:
        if type(message) is Pcm:
            body = write_pcm(message)
        else:
            body = orjson.dumps(self._converter.unstructure(message, union), option=orjson.OPT_NON_STR_KEYS)
        return _LENGTH.pack(len(body)) + body

    def _read(self, body: bytes, union: Any) -> Any:
        if body[:1] != b"{":
            return read_pcm(body)
        return self._converter.structure(orjson.loads(body), union)


class Frames:
    """Cuts a byte stream into frame bodies."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies completed by these bytes.

        Raises:
            ValueError: a frame is longer than `MAX_FRAME`.
        """
        self._held += data
        bodies: list[bytes] = []
        start = 0
        while len(self._held) - start >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._held, start)
            if size > MAX_FRAME:
                raise ValueError(f"a frame of {size} bytes")
            end = start + _LENGTH.size + size
            if len(self._held) < end:
                break
            bodies.append(bytes(self._held[start + _LENGTH.size : end]))
            start = end
        del self._held[:start]
        return bodies


def write_pcm(pcm: Pcm) -> bytes:
    """The body of a PCM frame: 0x01, the lengths of the two ids, the ids, the samples."""
    call, stream = pcm.call.encode(), pcm.stream.encode()
    return _PCM_HEAD.pack(1, len(call), len(stream)) + call + stream + pcm.samples


def read_pcm(body: bytes) -> Pcm:
    """The PCM in a frame's body."""
    _, call, stream = _PCM_HEAD.unpack_from(body)
    start = _PCM_HEAD.size
    return Pcm(
        body[start : start + call].decode(),
        body[start + call : start + call + stream].decode(),
        body[start + call + stream :],
    )


def _without_pcm(union: UnionType) -> Any:
    """The union of all others, which are written as JSON."""
    return functools.reduce(operator.or_, [cls for cls in get_args(union) if cls is not Pcm])
