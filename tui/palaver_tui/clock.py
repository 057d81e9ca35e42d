"""Trio's clock and the screen's: only Trio's side can read its own."""

from __future__ import annotations

import time

import trio
from attrs import evolve

from palaver_client import ClientState


def on_clock_of_the_screen(state: ClientState) -> ClientState:
    """The state with the ends of what rings on the monotonic clock, for only Trio's side knows Trio's."""
    ahead = time.monotonic() - trio.current_time()

    def moved(ends_at: float | None) -> float | None:
        return None if ends_at is None else round(ends_at + ahead, 1)  # rounded, so that it is the same each time

    incoming = tuple(evolve(ring, ends_at=moved(ring.ends_at)) for ring in state.incoming)
    outgoing = state.outgoing and evolve(state.outgoing, ends_at=moved(state.outgoing.ends_at))
    return evolve(state, incoming=incoming, outgoing=outgoing)
