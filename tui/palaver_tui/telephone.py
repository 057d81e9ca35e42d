"""The part of the app for calls and invitations, which come whatever screen is open."""

from __future__ import annotations

from textual.app import App
from textual.reactive import var

from palaver_client.state import ClientState, IncomingRing
from palaver_protocol.models import CallId, Name, User, UserId

from . import call_labels
from .keys import RING_KEYS
from .messages import Asked
from .rings import Rings
from .screens.ask import Confirm
from .screens.calling import Calling
from .screens.reject import AskReason
from .widgets.ringing import RingRow
from .wishes import Accept, Reject, Ring


class Telephone(App[None]):
    """Rings, and takes the answers."""

    BINDINGS = [key.binding() for key in RING_KEYS]

    state: var[ClientState] = var(ClientState(UserId(""), Name("")))
    marked: var[CallId | None] = var(None)

    def __init__(self) -> None:
        super().__init__()
        self.rings = Rings()
        self._calling: CallId | None = None
        self._leaving: tuple[CallId, Confirm] | None = None  # asked before a call is accepted

    def watch_state(self, state: ClientState) -> None:
        """Ring, and show a call that begins."""
        if self.rings.show(state.incoming):
            self.bell()
        self.marked = self.rings.marked
        if self._leaving is not None and state.ring(self._leaving[0]) is None:
            self._leaving[1].expire()
        if state.outgoing is not None and state.outgoing.call_id != self._calling:
            self._calling = state.outgoing.call_id
            self.push_screen(Calling(state.outgoing))

    # -- answers -------------------------------------------------------------------------------------------------------
    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys answer what rings, and else are other keys."""
        match action:
            case "accept" | "reject" | "reject_because":
                return self.rings.marked is not None
            case "next_ring":
                return len(self.rings.incoming) > 1
            case _:
                return True

    def action_accept(self) -> None:
        """Accept the marked one."""
        self._answer(self.rings.for_key(), "accept")

    def action_reject(self) -> None:
        """Reject the marked one."""
        self._answer(self.rings.for_key(), "reject")

    def action_reject_because(self) -> None:
        """Reject the marked one with a reason."""
        self._answer(self.rings.for_key(), "because")

    def action_next_ring(self) -> None:
        """Mark the next one."""
        self.rings.go_on()
        self.marked = self.rings.marked

    def on_ring_row_answered(self, event: RingRow.Answered) -> None:
        """An answer was clicked."""
        self._answer(self.rings.for_click(event.call_id), event.answer)

    def _answer(self, ring: IncomingRing | None, answer: str) -> None:
        if ring is None:
            return
        match answer:
            case "accept":
                self._accept(ring)
            case "reject":
                self.post_message(Asked(Reject(ring.call_id)))
            case _:
                self._ask_reason(ring)

    def _accept(self, ring: IncomingRing) -> None:
        """Accept, once it is confirmed that the seat elsewhere may be given up."""

        def accept(is_sure: bool | None) -> None:
            self._leaving = None
            if is_sure:
                self.post_message(Asked(Accept(ring.call_id)))

        if self.state.room is None:
            accept(True)
        elif self._leaving is None:
            question = Confirm(call_labels.confirm_leave(self.state, ring.from_name), "Leave and answer")
            self._leaving = ring.call_id, question
            self.push_screen(question, accept)

    def _ask_reason(self, ring: IncomingRing) -> None:
        def reject(reason: str | None) -> None:
            if reason is not None:
                self.post_message(Asked(Reject(ring.call_id, reason)))

        if not isinstance(self.screen, AskReason):
            self.push_screen(AskReason(ring), reject)

    # -- calls of our own ----------------------------------------------------------------------------------------------
    def call(self, user: User) -> None:
        """Call somebody, once it is confirmed that the seat elsewhere may be given up."""

        def ring(is_sure: bool | None) -> None:
            if is_sure:
                self.post_message(Asked(Ring(user.user_id)))

        if self.state.room is None:
            ring(True)
        else:
            self.push_screen(Confirm(call_labels.confirm_call(self.state, user.name), "Call"), ring)
