"""The worker's socket in batches: many datagrams in by one system call, many out by another.

`Incoming` and `Outgoing` are blocks of slots, made once. On Linux recvmmsg and sendmmsg fill and empty them; elsewhere
the socket's own calls do, one datagram each.
"""

from __future__ import annotations

import os
import socket
import struct
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
_NULL: Final[Any] = _ffi.NULL


class Block:
    """Slots for datagrams and their addresses, linked to the headers that the kernel reads.

    `pointers[i]` is where slot i begins, as libsrtp takes it; `views[i]` is the same for Python. `memory` and `names`
    are all slots and all addresses, for structs to read and to write.
    """

    def __init__(self, udp: socket.socket, count: int) -> None:
        self.count = count
        self.name_size = IPV4_SIZE if udp.family == socket.AF_INET else IPV6_SIZE
        self._memory: Any = FFI.new("char[]", count * SLOT)
        self._names: Any = _ffi.new("char[]", count * self.name_size)
        self.memory: Any = FFI.buffer(self._memory)
        self.names: Any = _ffi.buffer(self._names)
        self.read_name = struct.Struct(f"{self.name_size}s").unpack_from  # called with `names`, and where one begins
        self.pointers: list[Any] = [self._memory + index * SLOT for index in range(count)]
        self.views = [memoryview(self.memory)[at : at + SLOT] for at in range(0, count * SLOT, SLOT)]
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

    def _sizes(self, memory: Any, structure: str, field: str, width: int) -> list[Any]:
        """Where libsrtp finds each slot's size, as an int, and writes the new one: the low bytes of these fields."""
        low = 0 if sys.byteorder == "little" else width - _ffi.sizeof("int")
        begin = int(_ffi.cast("uintptr_t", memory)) + _ffi.offsetof(structure, field) + low
        return [FFI.cast("int *", begin + index * _ffi.sizeof(structure)) for index in range(self.count)]

    def _link(self) -> None:
        slots = _ffi.cast("char *", int(FFI.cast("uintptr_t", self._memory)))
        for index in range(self.count):
            vector, header = self.vectors[index], self.headers[index].msg_hdr
            vector.iov_base, vector.iov_len = slots + index * SLOT, SLOT
            header.msg_iov, header.msg_iovlen = self.vectors + index, 1
            header.msg_name, header.msg_namelen = self._names + index * self.name_size, self.name_size


class Incoming(Block):
    """What has arrived: `arrived[i]` bytes in slot i, which libsrtp takes as `sizes[i]`, from `source(i)`."""

    def __init__(self, udp: socket.socket, *, has_mmsg: bool = HAS_MMSG) -> None:
        super().__init__(udp, BATCH)
        self.sources = [memoryview(self.names)[place] for place in self.places]
        self.sizes = self._sizes(self.headers, "struct mmsghdr", "msg_len", _ffi.sizeof("int"))
        self._recvmmsg = _libc.recvmmsg if has_mmsg else None

    def receive(self, dropped: Counter[str]) -> int:
        """Take what has arrived, at most a batch; how many datagrams that are."""
        try:
            if (recvmmsg := self._recvmmsg) is None:
                return self._receive_each()
            count: int = recvmmsg(self.fileno, self.headers, BATCH, 0, _NULL)
            if count < 0:
                raise OSError(_ffi.errno, os.strerror(_ffi.errno))
        except BlockingIOError:
            return 0
        except OSError as why:
            dropped[f"receive: {why.strerror}"] += 1
            return 0
        return count

    def source(self, index: int) -> Sockaddr:
        """Who sent the datagram in this slot."""
        return self.sources[index].tobytes()

    def data(self, index: int) -> bytes:
        """The datagram in this slot."""
        return bytes(self.views[index][: self.arrived[index]])

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
    """What is to be sent: the first `used` slots. Whoever fills a slot counts it by `commit`.

    `sizes[i]` is where libsrtp finds how long slot i is, and says how long it has become; that is `lengths[i]`, too.
    """

    def __init__(self, udp: socket.socket, dropped: Counter[str], *, has_mmsg: bool = HAS_MMSG) -> None:
        super().__init__(udp, OUTGOING)
        self.used = 0
        self.dropped = dropped
        self._sendmmsg = _libc.sendmmsg if has_mmsg else None
        self.sizes = self._sizes(self.vectors, "struct iovec", "iov_len", _ffi.sizeof("size_t"))
        # What filling a slot needs, at once: one look-up instead of seven.
        self.parts = self.memory, self.pointers, self.lengths, self.sizes, self.names, self.name_size, self.count

    def put(self, data: bytes, destination: Sockaddr) -> None:
        """Send a datagram at the batch's end."""
        if len(data) > SLOT:
            self.dropped["too long"] += 1
            return
        self.views[self.used][: len(data)] = data
        self.lengths[self.used] = len(data)
        self.commit(destination)

    def commit(self, destination: Sockaddr) -> None:
        """The slot `used` holds a datagram, as long as `lengths` says, for this address."""
        index = self.used
        self.names[self.places[index]] = destination
        self.used = index + 1
        if self.used == self.count:
            self.flush()

    def flush(self) -> None:
        """Send it all; what the kernel refuses is lost, as UDP may be."""
        if not (used := self.used):
            return
        self.used = 0
        if (sendmmsg := self._sendmmsg) is None:
            self._send_each(used)
        elif (sent := sendmmsg(self.fileno, self.headers, used, 0)) < used:
            self._send_rest(sent, used)

    def _send_rest(self, sent: int, used: int) -> None:
        """Go on after so many, or with the first, which was refused, left out."""
        start = 0
        while True:
            if sent < 0:
                self.dropped[f"send: {os.strerror(_ffi.errno)}"] += 1
            start += max(1, sent)
            if start >= used:
                return
            assert self._sendmmsg is not None
            sent = self._sendmmsg(self.fileno, self.headers + start, used - start, 0)

    def _send_each(self, used: int) -> None:
        for slot in range(used):
            name = bytes(self.names[self.places[slot]])
            try:
                self._socket.sendto(self.views[slot][: self.lengths[slot]], sockaddr.unpack(name))
            except OSError as why:
                self.dropped[f"send: {why.strerror}"] += 1
