"""The worker's socket in batches: many datagrams in by one system call, many out by another.

`Incoming` and `Outgoing` are blocks of slots, made once. On Linux recvmmsg and sendmmsg fill and empty them; elsewhere
the socket's own calls do, one datagram each.
"""

from __future__ import annotations

import os
import socket
import sys
from collections import Counter
from typing import Any, Final

import cffi

from palaver_media.srtp import FFI

from . import sockaddr
from .sockaddr import IPV4_SIZE, IPV6_SIZE, Sockaddr

SLOT: Final = 2048  # bytes; a datagram that is longer is cut, and then fails its check
BATCH: Final = 128  # datagrams per wake-up, so that timers and commands have their turn
OUTGOING: Final = 512  # slots; full ones are sent at once
HAS_MMSG: Final = sys.platform == "linux"

_ffi = cffi.FFI()
_ffi.cdef("""
struct iovec { char *iov_base; size_t iov_len; };
struct msghdr { char *msg_name; unsigned int msg_namelen; struct iovec *msg_iov; size_t msg_iovlen;
                void *msg_control; size_t msg_controllen; int msg_flags; };
struct mmsghdr { struct msghdr msg_hdr; unsigned int msg_len; };
int recvmmsg(int fd, struct mmsghdr *headers, unsigned int count, int flags, void *timeout);
int sendmmsg(int fd, struct mmsghdr *headers, unsigned int count, int flags);
""")
_libc: Any = _ffi.dlopen(None) if HAS_MMSG else None


class Block:
    """Slots for datagrams and their addresses, linked to the headers that the kernel reads.

    `pointers[i]` is where slot i begins, as libsrtp takes it; `views[i]` is the same for Python.
    """

    def __init__(self, udp: socket.socket, count: int) -> None:
        self.count = count
        self.name_size = IPV4_SIZE if udp.family == socket.AF_INET else IPV6_SIZE
        self._memory: Any = FFI.new("char[]", count * SLOT)
        self._names: Any = _ffi.new("char[]", count * self.name_size)
        self.bytes = memoryview(FFI.buffer(self._memory))
        self.names = memoryview(_ffi.buffer(self._names))
        self.pointers: list[Any] = [self._memory + index * SLOT for index in range(count)]
        self.views = [self.bytes[index * SLOT : (index + 1) * SLOT] for index in range(count)]
        self.vectors: Any = _ffi.new("struct iovec[]", count)
        self.headers: Any = _ffi.new("struct mmsghdr[]", count)
        self._socket = udp
        self.fileno = udp.fileno()
        self.headers_address = int(_ffi.cast("uintptr_t", self.headers))  # for the core in C
        self._link()
        # For Python, which is slow in attributes and indices of cffi's:
        self.lengths = memoryview(_ffi.buffer(self.vectors)).cast("L")[1::2]  # `iov_len` of each slot
        words = memoryview(_ffi.buffer(self.headers)).cast("I")
        at, step = _ffi.offsetof("struct mmsghdr", "msg_len") // 4, _ffi.sizeof("struct mmsghdr") // 4
        self.arrived = words[at::step]  # `msg_len` of each slot
        self.places = [slice(at, at + self.name_size) for at in range(0, count * self.name_size, self.name_size)]

    def _link(self) -> None:
        slots = _ffi.cast("char *", int(FFI.cast("uintptr_t", self._memory)))
        for index in range(self.count):
            vector, header = self.vectors[index], self.headers[index].msg_hdr
            vector.iov_base, vector.iov_len = slots + index * SLOT, SLOT
            header.msg_iov, header.msg_iovlen = self.vectors + index, 1
            header.msg_name, header.msg_namelen = self._names + index * self.name_size, self.name_size


class Incoming(Block):
    """What has arrived: `arrived[i]` bytes in slot i, from `source(i)`."""

    def __init__(self, udp: socket.socket, *, has_mmsg: bool = HAS_MMSG) -> None:
        super().__init__(udp, BATCH)
        self._has_mmsg = has_mmsg

    def receive(self, dropped: Counter[str]) -> int:
        """Take what has arrived, at most a batch; how many datagrams that are."""
        try:
            return self._receive_batch() if self._has_mmsg else self._receive_each()
        except BlockingIOError:
            return 0
        except OSError as why:
            dropped[f"receive: {why.strerror}"] += 1
            return 0

    def source(self, index: int) -> Sockaddr:
        """Who sent the datagram in this slot."""
        return self.names[self.places[index]].tobytes()

    def data(self, index: int) -> bytes:
        """The datagram in this slot."""
        return bytes(self.views[index][: self.arrived[index]])

    def _receive_batch(self) -> int:
        count: int = _libc.recvmmsg(self.fileno, self.headers, BATCH, 0, _ffi.NULL)
        if count < 0:
            raise OSError(_ffi.errno, os.strerror(_ffi.errno))
        return count

    def _receive_each(self) -> int:
        count = 0
        try:
            while count < BATCH:
                self.arrived[count], source = self._socket.recvfrom_into(self.views[count])
                self.names[self.places[count]] = sockaddr.pack(source)
                count += 1
        except OSError:
            if not count:
                raise
        return count


class Outgoing(Block):
    """What is to be sent: the first `used` slots. Whoever fills a slot counts it by `commit`."""

    def __init__(self, udp: socket.socket, dropped: Counter[str], *, has_mmsg: bool = HAS_MMSG) -> None:
        super().__init__(udp, OUTGOING)
        self.used = 0
        self.dropped = dropped
        self._has_mmsg = has_mmsg

    def put(self, data: bytes, destination: Sockaddr) -> None:
        """Send a datagram at the batch's end."""
        if len(data) > SLOT:
            self.dropped["too long"] += 1
            return
        self.views[self.used][: len(data)] = data
        self.commit(len(data), destination)

    def commit(self, size: int, destination: Sockaddr) -> None:
        """The slot `used` holds a datagram of this size for that address."""
        index = self.used
        self.names[self.places[index]] = destination
        self.lengths[index] = size
        self.used = index + 1
        if self.used == self.count:
            self.flush()

    def flush(self) -> None:
        """Send it all; what the kernel refuses is lost, as UDP may be."""
        used, self.used = self.used, 0
        start = 0
        while start < used:
            try:
                start += self._send(start, used)
            except OSError as why:
                self.dropped[f"send: {why.strerror}"] += 1
                start += 1

    def _send(self, start: int, end: int) -> int:
        """Send some of these slots; how many. Raises OSError about the first of them."""
        if not self._has_mmsg:
            name = bytes(self.names[self.places[start]])
            self._socket.sendto(self.views[start][: self.lengths[start]], sockaddr.unpack(name))
            return 1
        first = self.headers + start if start else self.headers
        count: int = _libc.sendmmsg(self.fileno, first, end - start, 0)
        if count < 0:
            raise OSError(_ffi.errno, os.strerror(_ffi.errno))
        return count
