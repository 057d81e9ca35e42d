"""What an event is: its wire name, who may send it, what it costs, what answers it, what it means."""

from __future__ import annotations

import enum
from collections.abc import Callable
from inspect import cleandoc
from typing import Any, Final, Generic, TypeVar, get_args

from attrs import frozen

A = TypeVar("A", bound="Ack")  # invariant on purpose: a request has exactly one kind of answer
R = TypeVar("R", bound="Request[Any]")
N = TypeVar("N", bound="Notice")


class Standing(enum.Flag):
    """What a user is to the room or call that a request names; several at once (a host is a member)."""

    STRANGER = enum.auto()
    INVITED = enum.auto()
    MEMBER = enum.auto()
    HOST = enum.auto()  # in a hostless room: every member
    CALLER = enum.auto()
    CALLEE = enum.auto()
    ANYONE = STRANGER | INVITED | MEMBER | HOST | CALLER | CALLEE


class Code(enum.Enum):
    """Why a request was refused: the machine-readable half of a refusal."""

    INVALID_PAYLOAD = "invalidPayload"
    UNKNOWN_EVENT = "unknownEvent"
    NOT_FOUND = "notFound"
    ENDED = "ended"
    NOT_MEMBER = "notMember"
    NOT_HOST = "notHost"
    NOT_ALLOWED = "notAllowed"
    IN_ROOM = "inRoom"
    IN_CALL = "inCall"
    BUSY = "busy"
    OFFLINE = "offline"
    SELF = "self"
    DUPLICATE = "duplicate"
    COOLDOWN = "cooldown"
    FULL = "full"
    RATE_LIMITED = "rateLimited"
    OVERLOADED = "overloaded"
    TOO_LARGE = "tooLarge"
    UNSUPPORTED = "unsupported"
    MEDIA_UNAVAILABLE = "mediaUnavailable"
    INTERNAL = "internal"


@frozen
class Refusal(Exception):
    """An expected no: becomes ``{success: false, error, code, canRetry, retryAfter?}``.

    `code` is a `Code`'s value; a client may meet one that it does not know. `retry_after` is in seconds.
    """

    code: str
    error: str
    can_retry: bool = False
    retry_after: float | None = None

    def __str__(self) -> str:
        return f"{self.error} ({self.code})"


def refusal(code: Code, error: str, *, retry_after: float | None = None, can_retry: bool | None = None) -> Refusal:
    """A refusal of ours; one that names a time to wait can be retried."""
    return Refusal(code.value, error, retry_after is not None if can_retry is None else can_retry, retry_after)


class Ack:
    """The fields that follow ``success: true``."""

    __slots__ = ()


class Request(Generic[A]):
    """A client's request, answered by one ``A`` or refused."""

    __slots__ = ()


class Notice:
    """What the server tells clients unasked."""

    __slots__ = ()


@frozen
class RequestRow:
    """One request of the table."""

    event: str
    cls: type[Request[Any]]
    ack: type[Ack]
    who: Standing
    cost: int
    doc: str


@frozen
class NoticeRow:
    """One notice of the table."""

    event: str
    cls: type[Notice]
    latest_only: bool
    doc: str


REQUESTS: Final[dict[str, RequestRow]] = {}
NOTICES: Final[dict[str, NoticeRow]] = {}
ROW_OF: Final[dict[type[Request[Any]], RequestRow]] = {}
NAME_OF: Final[dict[type[Notice], str]] = {}


def request(event: str, *, who: Standing = Standing.ANYONE, cost: int = 1) -> Callable[[type[R]], type[R]]:
    """Enter a request class into the table. `cost` is in tokens of the sender's budget."""

    def enter(cls: type[R]) -> type[R]:
        (ack,) = get_args(cls.__orig_bases__[0])  # type: ignore[attr-defined]
        row = RequestRow(event, cls, ack, who, cost, cleandoc(cls.__doc__ or ""))
        REQUESTS[event] = ROW_OF[cls] = row
        return cls

    return enter


def notice(event: str, *, latest_only: bool = False) -> Callable[[type[N]], type[N]]:
    """Enter a notice class into the table. Of a `latest_only` notice a slow reader gets only the newest."""

    def enter(cls: type[N]) -> type[N]:
        NOTICES[event] = NoticeRow(event, cls, latest_only, cleandoc(cls.__doc__ or ""))
        NAME_OF[cls] = event
        return cls

    return enter


def answer(asked: Request[A], given: A) -> A:
    """The answer to a request; mypy rejects one of another kind."""
    return given
