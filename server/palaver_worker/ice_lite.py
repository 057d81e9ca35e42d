"""The server's side of ICE (RFC 8445, section 2.5): it answers checks, for ever, and remembers who passed them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import define, frozen

from palaver_media import stun

from .fanout import AGAIN
from .rate import Rate
from .sockaddr import Sockaddr, unmapped

MAX_ADDRESSES: Final = 16  # of one client: interfaces, NAT rebindings, pairs it moved away from
CHECKS: Final = 100  # a second, of those that a core leaves or of one address: an agent paces its own to 50 (RFC 8445)


@frozen
class Credentials:
    """What a client addresses its checks to, and what it signs them with."""

    ufrag: str
    password: str


@define
class Presence:
    """When a client's first and last check came from an address, in s."""

    first: float
    last: float = 0.0


class IceLite:
    """One transport's agent.

    `selected` is where to send; `validated` are all addresses the client may send from, the oldest first: a browser
    moves between pairs, and what it sent over the old one still counts.
    """

    def __init__(
        self,
        ufrag: str,
        password: str,
        checked: Callable[[Sockaddr], float],
        note: Callable[[bytes], bool],
    ) -> None:
        """`checked` and `note` are `Client.checked` and `Client.note_check` of the core, which answers checks, too."""
        self.is_settled = False  # nothing was changed by the last check
        self._checked, self._note = checked, note
        self.selected: Sockaddr | None = None
        self.validated: dict[Sockaddr, Presence] = {}
        self._anew, self._again = Rate(CHECKS), Rate(CHECKS / AGAIN)  # those that were here before: see `Client.know`
        self._former: Credentials | None = None  # those from before a restart, until they are given up
        self._newest = Credentials(ufrag, password)

    @property
    def only(self) -> Credentials | None:
        """The credentials, if there are only those."""
        return self._newest if self._former is None else None

    @property
    def ufrags(self) -> list[str]:
        """By which the client may address its checks."""
        return [each.ufrag for each in (self._former, self._newest) if each is not None]

    def restart(self, ufrag: str, password: str) -> None:
        """Answer to new credentials too; the old ones hold until a check with these has come (RFC 8445, section 9).

        When restarts follow each other, the credentials in between were never used and are dead at once.
        """
        self._former = self._former or self._newest
        self._newest = Credentials(ufrag, password)

    def answer(self, request: stun.Message, source: Sockaddr, now: float) -> bytes:
        """The answer to a check from `source`, which is validated by it.

        Raises:
            ValueError: it is no binding request of someone who knows the password, or one that somebody overheard and
                sends again from elsewhere, or one too many.
        """
        credentials = self._find(request.username)
        if not request.is_request(credentials.password):
            raise ValueError("no binding request with our password")
        moves = source not in self.validated or (request.nominates and self.selected not in (None, source))
        was_seen = self._note(request.transaction)
        if was_seen and moves:
            raise ValueError("an old check from another address")
        if not (self._again if was_seen else self._anew).admits(
            now
        ):  # asked here, or who overhears him could use it up
            raise ValueError("too many checks")
        was = self.selected, self._former, len(self.validated)
        if credentials is self._newest:
            self._former = None
        presence = self.validated.setdefault(source, Presence(now))
        if not was_seen:
            presence.last = now
        if self.selected is None or request.nominates:
            self.selected = source
        self.is_settled = was == (self.selected, self._former, len(self.validated))
        return stun.make_answer(request, unmapped(source), credentials.password)

    def surplus(self) -> list[Sockaddr]:
        """The oldest addresses beyond what a client may have, forgotten by this call; never the selected one."""
        others = [each for each in self.validated if each != self.selected]
        surplus = others[: max(0, len(self.validated) - MAX_ADDRESSES)]
        for each in surplus:
            del self.validated[each]
        return surplus

    def consented(self) -> float:
        """When consent for the address in use was last given (RFC 7675), 0 for never.

        A check from another address gives none. It may claim to come from anywhere, and ask us to send there; its
        sender's honest checks would then keep alive what a stranger is sent.
        """
        return 0.0 if self.selected is None else self.last(self.selected)

    def fall_back(self) -> None:
        """Use the address that the last check came from."""
        self.selected = max(self.validated, key=self.last, default=None)

    def since(self, address: Sockaddr, now: float) -> float:
        """Since when the client is at an address; `now` if he was not there before."""
        return self.validated[address].first if address in self.validated else now

    def last(self, address: Sockaddr) -> float:
        """When he was there last; 0 is never."""
        if (presence := self.validated.get(address)) is None:
            return 0.0
        presence.last = max(presence.last, self._checked(address))  # kept, for another one may soon be heard there
        return presence.last

    def _find(self, username: str) -> Credentials:
        ours, _, _ = username.partition(":")
        if self._former is not None and ours == self._former.ufrag:
            return self._former
        return self._newest
