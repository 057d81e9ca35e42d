"""A request that was sent, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import trio
from attrs import define, field

from palaver_protocol.converter import read_ack
from palaver_protocol.table import Ack, Code, Refusal, refusal

A = TypeVar("A", bound=Ack)


@define(eq=False)
class Question(Generic[A]):
    """A request that waits for its answer.

    `then` is called with the answer as soon as it comes, whoever waits; of a question that is `done` without an answer
    the connection was lost.
    """

    kind: type[A]
    then: Callable[[A], None] | None
    done: trio.Event = field(factory=trio.Event)
    answer: A | Refusal | None = None

    def settle(self, told: Any) -> None:
        """Take the server's answer, as it came."""
        try:
            self.answer = read_ack(told, self.kind)
        except Refusal as no:
            self.answer = no
        except ValueError as why:
            self.answer = refusal(Code.INTERNAL, f"the server's answer makes no sense: {why}")
        else:
            if self.then is not None:
                self.then(self.answer)
        self.done.set()
