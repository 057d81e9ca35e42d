"""Many datagrams in one system call, with the kernel's time of their arrival. Linux on 64 bits; cffi in ABI mode."""

from __future__ import annotations

import socket
from typing import Any, Final

import cffi
import numpy as np
from numpy.typing import NDArray

SLOTS: Final = 128
SIZE: Final = 256  # bytes of a datagram; longer ones are cut off, and none of ours is longer
HEADER: Final = 12  # bytes of an RTP header
_CONTROL: Final = 32  # bytes: one cmsghdr with a timespec
_SO_TIMESTAMPNS: Final = 35
_MESSAGE: Final = 64  # bytes of a struct mmsghdr
_MSG_DONTWAIT: Final = 0x40

_ffi = cffi.FFI()
_ffi.cdef("""
struct iovec { void *base; size_t length; };
struct msghdr {
    void *name; uint32_t name_length; struct iovec *vector; size_t count; void *control; size_t control_length; int flags;
};
struct mmsghdr { struct msghdr header; uint32_t length; };
int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, void *timeout);
""")
_libc: Any = _ffi.dlopen(None)


def new_socket(host: str, port: int, buffer: int) -> socket.socket:
    """A UDP socket that speaks to nobody else, and whose datagrams are dated by the kernel."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    udp.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    udp.setblocking(False)
    udp.connect((host, port))
    return udp


class Inbox:
    """Room for a batch: `data` are the datagrams of the last `receive`, one in each row."""

    def __init__(self) -> None:
        self.data: NDArray[np.uint8] = np.zeros((SLOTS, SIZE), np.uint8)
        self._control: NDArray[np.uint8] = np.zeros((SLOTS, _CONTROL), np.uint8)
        self._vectors: Any = _ffi.new("struct iovec[]", SLOTS)
        self._messages: Any = _ffi.new("struct mmsghdr[]", SLOTS)
        for slot in range(SLOTS):
            self._vectors[slot].base = _ffi.from_buffer(self.data[slot])
            self._vectors[slot].length = SIZE
            self._messages[slot].header.vector = self._vectors + slot
            self._messages[slot].header.count = 1
            self._messages[slot].header.control = _ffi.from_buffer(self._control[slot])
        words = np.frombuffer(_ffi.buffer(self._messages), np.uint64).reshape(SLOTS, _MESSAGE // 8)
        self._control_lengths = words[:, 5]
        self._lengths = words[:, 7]

    def receive(self, udp: socket.socket) -> int:
        """How many datagrams there were: at most `SLOTS`."""
        self._control_lengths[:] = _CONTROL
        return max(0, int(_libc.recvmmsg(udp.fileno(), self._messages, SLOTS, _MSG_DONTWAIT, _ffi.NULL)))

    def datagram(self, slot: int) -> bytes:
        """One of them as it came."""
        return self.data[slot, : int(self._lengths[slot]) & 0xFFFFFFFF].tobytes()

    def headers(self, count: int) -> NDArray[np.uint8]:
        """A copy of the RTP headers of the first `count`."""
        return self.data[:count, :HEADER].copy()

    def times(self, count: int) -> NDArray[np.int64]:
        """When the first `count` arrived, in ns since the epoch."""
        seconds_and_ns = self._control[:count, 16:].copy().view(np.int64)
        return seconds_and_ns[:, 0] * 1_000_000_000 + seconds_and_ns[:, 1]
