"""SRTP sessions (RFC 3711, RFC 7714) on libsrtp as pylibsrtp carries it.

The one module that touches private names of pylibsrtp: its raw library, which the worker's hot loop calls on memory of
its own. `tests/worker/test_fanout.py` fails when they change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import pylibsrtp
from pylibsrtp import _binding

if TYPE_CHECKING:
    from aiortc.rtcdtlstransport import SRTPProtectionProfile

LIBRARY: Final[Any] = _binding.lib
FFI: Final[Any] = _binding.ffi
OK: Final[int] = LIBRARY.srtp_err_status_ok
TRAILER: Final = 20  # bytes by which protection makes a packet longer at most: a tag of 16, and SRTCP's index
MAX_PACKET: Final = 2048  # bytes, protected
REPLAY_WINDOW: Final = 1024  # packets that one which comes may be behind the newest
SENT_WINDOW: Final = 128  # packets that one which is sent may be: few, for libsrtp shifts a bit for each every time


class SrtpError(Exception):
    """A packet could not be protected or unprotected: forged, replayed, too long, or no keys yet."""


class Session:
    """The keys of one direction of an association, and what is known of each SSRC under them.

    What comes may be `REPLAY_WINDOW` packets behind the newest of its SSRC; what is sent, late or again, `SENT_WINDOW`.
    `pointer` is libsrtp's own handle, good as long as the object lives.
    """

    def __init__(self, key: bytes, profile: SRTPProtectionProfile, *, is_inbound: bool) -> None:
        self._key, self._profile = key, profile.libsrtp_profile
        if is_inbound:
            policy = self._policy(pylibsrtp.Policy.SSRC_ANY_INBOUND, REPLAY_WINDOW)
        else:
            policy = self._policy(pylibsrtp.Policy.SSRC_ANY_OUTBOUND, SENT_WINDOW)
        self._session = pylibsrtp.Session(policy)
        self.pointer: Any = self._session._srtp[0]
        self._packet: Any = FFI.new("char[]", MAX_PACKET)
        self._bytes: Any = FFI.buffer(self._packet)
        self._size: Any = FFI.new("int *")

    def protect_rtp(self, packet: bytes) -> bytes:
        """Encrypt and authenticate an RTP packet. Raises SrtpError."""
        return self._apply(LIBRARY.srtp_protect, packet, TRAILER)

    def protect_rtcp(self, packet: bytes) -> bytes:
        """Encrypt and authenticate an RTCP compound. Raises SrtpError."""
        return self._apply(LIBRARY.srtp_protect_rtcp, packet, TRAILER)

    def unprotect_rtp(self, packet: bytes) -> bytes:
        """The RTP packet in an SRTP packet. Raises SrtpError."""
        return self._apply(LIBRARY.srtp_unprotect, packet)

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """The RTCP compound in an SRTCP packet. Raises SrtpError."""
        return self._apply(LIBRARY.srtp_unprotect_rtcp, packet)

    def unprotect_in_place(self, pointer: Any, size: int) -> int:
        """Put the RTP packet in the place of the SRTP packet of `size` bytes at `pointer`; its size.

        Raises:
            SrtpError: it is not authentic, or was here before; the place then holds nothing of use.
        """
        self._size[0] = size
        if (status := LIBRARY.srtp_unprotect(self.pointer, pointer, self._size)) != OK:
            raise SrtpError(f"libsrtp's status {status}")
        return int(self._size[0])

    def widen(self, ssrc: int) -> None:
        """Let packets of an SSRC be sent up to `REPLAY_WINDOW` behind its newest.

        Once, and before any packet of it, RTCP included: its numbers begin anew with this, under the same keys.
        """
        policy = self._policy(pylibsrtp.Policy.SSRC_SPECIFIC, REPLAY_WINDOW)
        policy.ssrc_value = ssrc
        self._session.add_stream(policy)

    def forget(self, ssrc: int) -> None:
        """Free what is kept for an SSRC. If it was sent, it must never be sent again under these keys."""
        try:
            self._session.remove_stream(ssrc)
        except pylibsrtp.Error:
            return  # nothing was ever sent or received with it

    def _policy(self, ssrcs: int, window: int) -> pylibsrtp.Policy:
        policy = pylibsrtp.Policy(key=self._key, ssrc_type=ssrcs, srtp_profile=self._profile)
        policy.allow_repeat_tx = True
        policy.window_size = window
        return policy

    def _apply(self, transform: Callable[[Any, Any, Any], int], packet: bytes, trailer: int = 0) -> bytes:
        if len(packet) > MAX_PACKET - trailer:
            raise SrtpError("too long")
        self._size[0] = len(packet)
        self._bytes[0 : len(packet)] = packet
        if (status := transform(self.pointer, self._packet, self._size)) != OK:
            raise SrtpError(f"libsrtp's status {status}")
        return self._bytes[0 : self._size[0]]  # type: ignore[no-any-return]  # cffi ships no types
