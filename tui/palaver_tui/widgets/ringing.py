"""Who calls or invites, above whatever is open. It never takes the focus, so what is being typed goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from textual.containers import HorizontalGroup, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Static

from palaver_client.state import ClientState, IncomingRing
from palaver_protocol.models import CallId, RoomId
from palaver_tui import call_labels

from .cells import plain
from .follow import follow

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.timer import Timer

TICK: Final = 0.5  # s between two looks at the clock
ANSWERS: Final = (("accept", "^y", "Accept"), ("reject", "^n", "Reject"), ("because", "^r", "Reason"))


class Ringing(VerticalScroll, can_focus=False):
    """A row for each call and invitation; keys with Ctrl answer the marked one, clicks any."""

    def __init__(self) -> None:
        super().__init__(classes="ringing")
        self._rows: dict[CallId, RingRow] = {}
        self._marked: CallId | None = None
        self._ticking: Timer

    def on_mount(self) -> None:
        """Watch what rings, and which one is marked."""
        self._ticking = self.set_interval(TICK, self.tick, pause=True)
        follow(self, self.look, self.show)
        self.watch(self.app, "marked", self.mark)

    @staticmethod
    def look(state: ClientState) -> tuple[tuple[IncomingRing, ...], dict[RoomId, str]]:
        """What rings, and the names of the rooms to which one may be invited."""
        names = {room.room_id: str(room.room_name) for room in state.rooms} if state.incoming else {}
        return state.incoming, names

    def show(self, seen: tuple[tuple[IncomingRing, ...], dict[RoomId, str]]) -> None:
        """Add and remove rows."""
        rings, names = seen
        there = {ring.call_id for ring in rings}
        for call_id in self._rows.keys() - there:
            self._rows.pop(call_id).remove()
        for ring in rings:
            text = call_labels.incoming(ring, names.get(ring.room_id or RoomId(""), ""))
            if ring.call_id in self._rows:
                self._rows[ring.call_id].show(ring, text)
            else:
                self._rows[ring.call_id] = RingRow(ring, text, ring.call_id == self._marked)
                self.mount(self._rows[ring.call_id])
        self.display = bool(rings)
        self.border_title = call_labels.ringing(len(rings))
        self.border_subtitle = call_labels.NEXT_RING if len(rings) > 1 else ""
        (self._ticking.resume if rings else self._ticking.pause)()

    def mark(self, marked: CallId | None) -> None:
        """Show which one the keys answer."""
        self._marked = marked
        for call_id, row in self._rows.items():
            row.mark(call_id == marked)

    def tick(self) -> None:
        """Count down."""
        for row in self._rows.values():
            row.tick()


class RingRow(HorizontalGroup):
    """Who rings, for how long still, and the possible answers."""

    class Answered(Message):
        """An answer was clicked: accept, reject or because."""

        def __init__(self, call_id: CallId, answer: str) -> None:
            super().__init__()
            self.call_id = call_id
            self.answer = answer

    def __init__(self, ring: IncomingRing, text: str, is_marked: bool) -> None:
        super().__init__()
        self.ring = ring
        self._text = text
        self._is_marked = is_marked
        self._who = Static(self._told(), classes="who", markup=False)
        self._answers = [
            Button(self._label(key, label), name=name, classes=name, compact=True) for name, key, label in ANSWERS
        ]

    def compose(self) -> ComposeResult:
        """A text and a button for each answer; none of them takes the focus."""
        yield self._who
        with HorizontalGroup():
            for button, (_, key, label) in zip(self._answers, ANSWERS, strict=True):
                button.can_focus = False
                button.styles.width = len(f"{key} {label}") + 2  # marked or not, so that none moves under the mouse
                yield button

    def show(self, ring: IncomingRing, text: str) -> None:
        """Tell this from now on."""
        self.ring, self._text = ring, text
        self.tick()

    def mark(self, is_marked: bool) -> None:
        """Show whether the keys answer this one."""
        if is_marked != self._is_marked:
            self._is_marked = is_marked
            self.tick()
            for button, (_, key, label) in zip(self._answers, ANSWERS, strict=True):
                button.label = self._label(key, label)

    def tick(self) -> None:
        """Tell for how long it rings still."""
        self._who.update(self._told())

    def _told(self) -> Content:
        patience = call_labels.left(self.ring.ends_at, time.monotonic())
        mark = "▸ " if self._is_marked else "  "
        return Content.assemble(mark, plain(self._text, "bold"), f" · {patience}" if patience else "")

    def _label(self, key: str, label: str) -> str:
        return f"{key} {label}" if self._is_marked else label

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Tell the answer."""
        event.stop()
        self.post_message(self.Answered(self.ring.call_id, event.button.name or ""))
