"""The limit's process: ``python -m benches.forwarding.limit LIBRARY``, ended by a signal.

It prints the port it has bound, reads one line of JSON with everybody's keys and ports, and then stays in C.
"""

from __future__ import annotations

import json
import socket
import sys
from typing import Any, Final

import cffi

from palaver_media import srtp
from palaver_media.child import take_precedence
from palaver_worker.port import NEVER_FRAGMENT

from .keys import PROFILES

BUFFER: Final = 4 * 1024 * 1024  # bytes, as the worker asks for
TYPES: Final = """
struct listener { void *session; uint32_t ssrc; uint16_t port; };
struct talker { void *session; struct listener *listeners; uint32_t count; uint16_t port; };
int run(int udp, void *unprotect, void *protect, struct talker *talkers, unsigned count);
"""


class Tables:
    """Everybody's sessions, as the C code wants them; they live as long as this object."""

    def __init__(self, ffi: cffi.FFI, profile: str, talkers: list[dict[str, Any]]) -> None:
        self._ffi, self._profile = ffi, profile
        self._alive: list[Any] = []
        self._listening: dict[int, Any] = {}  # by port: one has a session for all he hears
        self.talkers = ffi.new("struct talker[]", [self._talker(each) for each in talkers])

    def _talker(self, talker: dict[str, Any]) -> dict[str, Any]:
        listeners = self._ffi.new("struct listener[]", [self._listener(each) for each in talker["listeners"]])
        self._alive.append(listeners)
        session = self._session(talker["key"], is_inbound=True)
        return {"session": session, "listeners": listeners, "count": len(listeners), "port": talker["port"]}

    def _listener(self, listener: dict[str, Any]) -> dict[str, Any]:
        port = listener["port"]
        if port not in self._listening:
            self._listening[port] = self._session(listener["key"], is_inbound=False)
        return {"session": self._listening[port], "ssrc": listener["ssrc"], "port": port}

    def _session(self, key: str, *, is_inbound: bool) -> Any:
        session = srtp.Session(bytes.fromhex(key), PROFILES[self._profile], is_inbound=is_inbound)
        self._alive.append(session)
        return self._ffi.cast("void *", int(srtp.FFI.cast("uintptr_t", session.pointer)))


def main() -> None:
    """Forward until a signal ends it."""
    take_precedence()
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    udp.setsockopt(*NEVER_FRAGMENT)
    udp.bind(("127.0.0.1", 0))
    print(json.dumps({"port": udp.getsockname()[1]}), flush=True)
    told = json.loads(sys.stdin.readline())
    ffi = cffi.FFI()
    ffi.cdef(TYPES)
    tables = Tables(ffi, told["profile"], told["talkers"])
    unprotect, protect = (
        ffi.cast("void *", int(srtp.FFI.cast("uintptr_t", srtp.FFI.addressof(srtp.LIBRARY, name))))
        for name in ("srtp_unprotect", "srtp_protect")
    )
    library: Any = ffi.dlopen(sys.argv[1])
    library.run(udp.fileno(), unprotect, protect, tables.talkers, len(tables.talkers))


if __name__ == "__main__":
    main()
