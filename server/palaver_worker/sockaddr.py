"""Addresses as the kernel writes them, beside the datagrams of a batch: Linux' `sockaddr_in` and `sockaddr_in6`.

They serve as keys and go back to the kernel as they came; only who wants to read one unpacks it.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from typing import Final, TypeAlias

from palaver_media.stun import Address

Sockaddr: TypeAlias = bytes

IPV4_SIZE: Final = 16  # bytes
IPV6_SIZE: Final = 28
_AF_INET: Final = 2
_AF_INET6: Final = 10
_MAPPED: Final = bytes(10) + b"\xff\xff"
_IPV6_BYTES: Final = 16
_FAMILY: Final = struct.Struct("=H")
_IPV4: Final = struct.Struct("!H4s8x")
_IPV6: Final = struct.Struct("!HI16sI")


def pack(address: tuple[str, int] | tuple[str, int, int, int]) -> Sockaddr:
    """An address as Python's sockets tell it, in the kernel's form."""
    ip = ipaddress.ip_address(address[0].partition("%")[0])
    if ip.version == 4:
        return _FAMILY.pack(_AF_INET) + _IPV4.pack(address[1], ip.packed)
    flow, scope = address[2:] if len(address) == 4 else (0, 0)
    return _FAMILY.pack(_AF_INET6) + _IPV6.pack(address[1], flow, ip.packed, scope)


def unpack(raw: Sockaddr) -> Address:
    """Host and port, as Python's sockets take them."""
    if len(raw) == IPV4_SIZE:
        port, packed = _IPV4.unpack_from(raw, 2)
        return str(ipaddress.IPv4Address(packed)), port
    port, _, packed, _ = _IPV6.unpack_from(raw, 2)
    return str(ipaddress.IPv6Address(packed)), port


def unmapped(raw: Sockaddr) -> Address:
    """Host and port as their owner knows them: of IPv4 also where they came over an IPv6 socket (RFC 4291, 2.5.5.2)."""
    if len(raw) == IPV4_SIZE:
        port, packed = _IPV4.unpack_from(raw, 2)
    else:
        port, _, packed, _ = _IPV6.unpack_from(raw, 2)
        packed = packed.removeprefix(_MAPPED)
    return socket.inet_ntop(_AF_INET6 if len(packed) == _IPV6_BYTES else _AF_INET, packed), port
