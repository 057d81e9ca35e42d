"""A room's host: who has the role, how long it waits for one who was cut off, and what a room is without one."""

from __future__ import annotations

import math
from collections.abc import Callable

from attrs import define

from palaver_protocol.models import EndReason, HostChange, Name, Reason, RoomId, UserId
from palaver_protocol.notices import AnyNotice, HostChanged, RoomHostless

from .policy import Policy
from .room_effects import Effect, Listed
from .seat import By


@define
class RoomHost:
    """The role of the host. In a hostless room it is vacant: every member may do what a host may."""

    room_id: RoomId
    user_id: UserId
    name: Name
    policy: Policy
    tell: Callable[[AnyNotice], None]
    effect: Callable[[Effect], None]
    end: Callable[[UserId | None, EndReason], object]
    is_vacant: bool = False
    lost_at: int | None = None  # ms since the epoch
    waits_until: float = math.inf  # s, monotonic

    def is_his(self, user_id: UserId) -> bool:
        """Whether somebody has the role, or shares in a vacant one."""
        return self.is_vacant or user_id == self.user_id

    def give(self, user_id: UserId, name: Name, why: HostChange) -> None:
        """The room has this host; no other is waited for."""
        self.user_id, self.name, self.is_vacant = user_id, name, False
        self.wait_no_longer()
        self.effect(Listed())
        self.tell(HostChanged(self.room_id, user_id, name, why))

    def wait(self, by: By) -> None:
        """The host was cut off; his role waits from that moment on."""
        if not self.is_vacant and self.lost_at is None:
            self.waits_until, self.lost_at = by.now + self.policy.host_grace, by.wall

    def wait_no_longer(self) -> None:
        """He is back, or somebody else has the role, or nobody ever will."""
        self.waits_until, self.lost_at = math.inf, None

    def vacate(self, message: str) -> None:
        """Nobody is the host any more: the room goes on without one, or ends where it may not."""
        self.wait_no_longer()
        if self.is_vacant:
            return
        if not self.policy.has_hostless:
            self.end(None, EndReason.HOST_LEFT)
            return
        self.is_vacant = True
        self.effect(Listed())
        self.tell(RoomHostless(self.room_id, Reason(message)))
