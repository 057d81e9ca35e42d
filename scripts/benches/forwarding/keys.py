"""SRTP profiles by their names, and sessions with keys that were simply made up: the limit needs no handshake."""

from __future__ import annotations

import enum
import secrets
from typing import Final

import pylibsrtp
from aiortc.rtcdtlstransport import SRTP_AEAD_AES_128_GCM, SRTP_AES128_CM_SHA1_80, SRTPProtectionProfile

PROFILES: Final[dict[str, SRTPProtectionProfile]] = {"cm": SRTP_AES128_CM_SHA1_80, "gcm": SRTP_AEAD_AES_128_GCM}

REPLAY_WINDOW: Final = 1024  # packets, as the worker has it


class Direction(enum.Enum):
    """What a session is for."""

    IN = pylibsrtp.Policy.SSRC_ANY_INBOUND
    OUT = pylibsrtp.Policy.SSRC_ANY_OUTBOUND


def make_key(profile: str) -> bytes:
    """A master key with its salt."""
    return secrets.token_bytes(PROFILES[profile].key_length + PROFILES[profile].salt_length)


def make_session(key: bytes, profile: str, direction: Direction) -> pylibsrtp.Session:
    """A session as the worker makes them."""
    number = PROFILES[profile].libsrtp_profile
    policy = pylibsrtp.Policy(key=key, ssrc_type=direction.value, srtp_profile=number)
    policy.allow_repeat_tx = True
    policy.window_size = REPLAY_WINDOW
    return pylibsrtp.Session(policy)
