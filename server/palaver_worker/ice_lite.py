"""The server's side of ICE (RFC 8445, section 2.5): it answers checks, for ever, and remembers who passed them."""

from __future__ import annotations

from typing import Final

from palaver_media import stun
from palaver_media.stun import Address

MAX_ADDRESSES: Final = 16  # of one client: interfaces, NAT rebindings, pairs it moved away from


class IceLite:
    """One transport's agent.

    `selected` is where to send; `validated` are all addresses the client may send from, the oldest first: a browser
    moves between pairs, and what it sent over the old one still counts. `heard` is when it last gave its consent.
    """

    def __init__(self, ufrag: str, password: str) -> None:
        self.ufrag = ufrag
        self.selected: Address | None = None
        self.validated: list[Address] = []
        self.heard = 0.0
        self._password = password

    def answer(self, data: bytes, source: Address, now: float) -> bytes:
        """The answer to a check from `source`, which is validated by it.

        Raises:
            ValueError: it is no binding request of someone who knows the password.
        """
        request = stun.parse(data)
        if not stun.is_request(request, self._password):
            raise ValueError("no binding request with our password")
        self.heard = now
        if source not in self.validated:
            self.validated.append(source)
        if self.selected is None or stun.nominates(request):
            self.selected = source
        return stun.make_answer(request, source, self._password)

    def surplus(self) -> list[Address]:
        """The oldest addresses beyond what a client may have, forgotten by this call; never the selected one."""
        others = [each for each in self.validated if each != self.selected]
        surplus = others[: max(0, len(self.validated) - MAX_ADDRESSES)]
        self.validated = [each for each in self.validated if each not in surplus]
        return surplus
