"""SRTP profiles by their names, and keys that are simply made up: the limit needs no handshake."""

from __future__ import annotations

import secrets
from typing import Final

from aiortc.rtcdtlstransport import SRTP_AEAD_AES_128_GCM, SRTP_AES128_CM_SHA1_80, SRTPProtectionProfile

PROFILES: Final[dict[str, SRTPProtectionProfile]] = {"cm": SRTP_AES128_CM_SHA1_80, "gcm": SRTP_AEAD_AES_128_GCM}


def make_key(profile: str) -> bytes:
    """A master key with its salt."""
    return secrets.token_bytes(PROFILES[profile].key_length + PROFILES[profile].salt_length)
