"""Two files that are waited for at once, by poll(2) itself: Python's own is a long way for each packet."""

from __future__ import annotations

import struct
from typing import Any, Final

import cffi

_IN: Final = 1  # POLLIN
read_events: Final = struct.Struct("@6xh6xh").unpack_from  # `revents` of both, from `Sources.memory`
_ffi = cffi.FFI()
_ffi.cdef("""
struct pollfd { int fd; short events; short revents; };
int poll(struct pollfd *files, unsigned long count, int timeout);
""")


class Sources:
    """Two files of which one is to be read; on Linux."""

    def __init__(self, first: int, second: int) -> None:
        self.second = second
        self._files: Any = _ffi.new("struct pollfd[2]", [(first, _IN, 0), (second, _IN, 0)])
        self.memory: Any = _ffi.buffer(self._files)
        libc: Any = _ffi.dlopen(None)  # here, for elsewhere than on Linux there may be none
        self._poll = libc.poll

    def poll(self, timeout: int) -> int:
        """How many of them can be read, waited for at most so long (ms; -1: for ever); below 0 after a signal."""
        found: int = self._poll(self._files, 2, timeout)
        return found

    def has_second(self) -> bool:
        """Whether the second one can be read."""
        found: int = self._poll(self._files + 1, 1, 0)
        return found != 0
