"""What can go wrong between a client and a server. A server's expected no is a `Refusal` of the protocol."""

from __future__ import annotations

from attrs import frozen


class ClientError(Exception):
    """Something of this package went wrong; its text is for people."""


class Disconnected(ClientError):
    """There is no connection, or it was lost before the answer came: nobody knows whether the request was done."""


class Unanswered(Disconnected):
    """The request was sent, and may have been done."""


@frozen
class ConnectFailed(ClientError):
    """The first connection could not be made: why, and what would help."""

    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.reason}; {self.remedy}" if self.remedy else self.reason


class LinkLost(ClientError):
    """A connection could not be made, or is no more."""


class LinkRefused(LinkLost):
    """The server does not let us in, and would not the next time."""


class NotSecure(LinkLost):
    """The server is there, but TLS with it does not come about; `remedy` says what would help."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.remedy = remedy
