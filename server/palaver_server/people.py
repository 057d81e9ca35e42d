"""Who is online, over which connections; and who is away for a moment and waited for."""

from __future__ import annotations

import secrets
from itertools import count
from typing import Final

from attrs import define, field, frozen

from palaver_protocol.models import Name, UserId

from .session import Budget, Outbox, Session

REMEMBERED: Final = 10_000  # users whose budgets outlive their connections


@frozen
class Newcomer:
    """What a client says of itself when it connects. `resume` is None for one who will never resume."""

    user_id: UserId
    name: Name
    resume: str | None = None
    takes_waiting: bool = False


@define(eq=False)
class People:
    """Every session, by its number, by its user and by its secret."""

    sessions: dict[int, Session] = field(factory=dict[int, Session])
    users: dict[UserId, list[Session]] = field(factory=dict[UserId, list[Session]])
    budgets: dict[UserId, Budget] = field(factory=dict[UserId, Budget])  # the longest untouched first
    _by_token: dict[str, Session] = field(factory=dict[str, Session])
    _numbers: count[int] = field(factory=count)

    def add(self, who: Newcomer, address: str, wall: int, outbox: Outbox) -> Session:
        """A new session of somebody who connected."""
        token = "" if who.resume is None else secrets.token_urlsafe(18)
        socket_id = secrets.token_urlsafe(12)
        return self.enter(
            Session(
                next(self._numbers), who.user_id, who.name, socket_id, address, wall, outbox, token, who.takes_waiting
            )
        )

    def restore(self, saved: Session) -> Session:
        """A session of before a restart, whose user is waited for."""
        saved.number = next(self._numbers)
        return self.enter(saved)

    def enter(self, session: Session) -> Session:
        """Enter a session into the books. A user has one budget, however often he connects."""
        session.budget = self.budgets[session.user_id] = self.budgets.pop(session.user_id, session.budget)
        while len(self.budgets) > max(REMEMBERED, len(self.users) * 2):
            del self.budgets[next(iter(self.budgets))]
        self.sessions[session.number] = session
        self.users.setdefault(session.user_id, []).append(session)
        if session.token:
            self._by_token[session.token] = session
        return session

    def remove(self, session: Session) -> None:
        """A session is over."""
        del self.sessions[session.number]
        self._by_token.pop(session.token, None)
        self.users[session.user_id].remove(session)
        if not self.users[session.user_id]:
            del self.users[session.user_id]

    def resumed(self, who: Newcomer) -> Session | None:
        """The session that somebody comes back to; the secret alone is not enough, it must be the same user's."""
        session = self._by_token.get(who.resume or "")
        return session if session is not None and session.user_id == who.user_id else None

    def of(self, user_id: UserId) -> tuple[Session, ...]:
        """All connections of a user."""
        return tuple(self.users.get(user_id, ()))

    def takes_waiting(self, user_id: UserId) -> bool:
        """Whether calls ring at somebody who is in one."""
        return any(session.takes_waiting for session in self.of(user_id))

    def name_of(self, user_id: UserId) -> Name:
        """How somebody is called; of one who is not online only the id is known."""
        sessions = self.of(user_id)
        return sessions[0].name if sessions else Name(user_id[:32])
