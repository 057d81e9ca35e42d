"""H.264's parameters in ORTC and SDP (RFC 6184, 8.1): who can decode whose streams, and up to which level.

The router forwards one profile, constrained baseline, which every browser has. A level is written here as its
canonical `profile-level-id`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from .rtp_models import ParameterValue

PACKETIZATION_MODE: Final = "packetization-mode"
PROFILE_LEVEL_ID: Final = "profile-level-id"
LEVEL_ASYMMETRY: Final = "level-asymmetry-allowed"
DEFAULT: Final = "42e01f"  # of who writes none: what browsers mean by it, which is not what the RFC says

_LEVEL_1B: Final = "42f00b"  # between 1 and 1.1
_ABOVE: Final = (11, 12, 13, 20, 21, 22, 30, 31, 32, 40, 41, 42, 50, 51, 52)  # level_idc: 10 times the level
LEVELS: Final = ("42e00a", _LEVEL_1B, *(f"42e0{idc:02x}" for idc in _ABOVE))  # in ascending order
# profile_idc, the constraint flags that count, and what they are in constrained baseline.
_PROFILES: Final = ((0x42, 0x4F, 0x40), (0x4D, 0x8F, 0x80), (0x58, 0xCF, 0xC0))
_HEX: Final = re.compile(r"[0-9A-Fa-f]{6}")


def read_level(parameters: Mapping[str, ParameterValue]) -> str | None:
    """The level of a constrained baseline codec; None: its profile is another, or nonsense."""
    written = parameters.get(PROFILE_LEVEL_ID) or DEFAULT
    if not isinstance(written, str) or not _HEX.fullmatch(written):
        return None
    profile, constraints, level = bytes.fromhex(written)
    if not any(profile == known and constraints & mask == value for known, mask, value in _PROFILES):
        return None
    if level == 11 and constraints & 0x10:
        return _LEVEL_1B
    canonical = f"42e0{level:02x}"
    return canonical if canonical in LEVELS else None


def is_same(one: Mapping[str, ParameterValue], other: Mapping[str, ParameterValue]) -> bool:
    """Whether both are constrained baseline, packed in the same mode. Levels do not matter."""
    modes = {parameters.get(PACKETIZATION_MODE) or 0 for parameters in (one, other)}
    return len(modes) == 1 and None not in (read_level(one), read_level(other))


def agree(sender: Mapping[str, ParameterValue], router: Mapping[str, ParameterValue]) -> dict[str, ParameterValue]:
    """The sender's parameters with the level that both keep to: the lower one, unless both may go their own way."""
    levels = [level for level in map(read_level, (sender, router)) if level is not None]
    is_asymmetric = all(each.get(LEVEL_ASYMMETRY) in (1, "1") for each in (sender, router))
    agreed = levels[0] if is_asymmetric else min(levels, key=LEVELS.index)
    return {**sender, PROFILE_LEVEL_ID: agreed}
