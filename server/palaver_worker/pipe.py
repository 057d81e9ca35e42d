"""The path to another worker of this server, for rooms that are spread over several."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from aiortc.rtcdtlstransport import SRTP_AEAD_AES_128_GCM

from palaver_media.srtp import Session
from palaver_media.worker_messages import OpenPipe

from .sockaddr import IPV4_SIZE, Sockaddr, pack
from .transport import Transport

if TYPE_CHECKING:
    from .sfu import Sfu


class Pipe(Transport):
    """A path between two workers. The server knows where they are and made their keys: nothing is negotiated."""

    def __init__(self, sfu: Sfu, command: OpenPipe) -> None:
        super().__init__(sfu, command.transport)
        self.set_destination(address_of(command, sfu.port.name_size))
        assert self.destination is not None
        sfu.port.admit(self.destination, self)
        inbound, outbound = bytes.fromhex(command.inbound), bytes.fromhex(command.outbound)
        self.begin(
            Session(inbound, SRTP_AEAD_AES_128_GCM, is_inbound=True),
            Session(outbound, SRTP_AEAD_AES_128_GCM, is_inbound=False),
        )

    def close(self) -> None:
        """Hear that worker no more."""
        super().close()
        if self.destination is not None:
            self.port.dismiss(self.destination, self)


def address_of(command: OpenPipe, size: int) -> Sockaddr:
    """Where the other worker is, in the form that our socket has; one of IPv6 takes IPv4 as mapped (RFC 4291)."""
    host = ipaddress.ip_address(command.host)
    if size != IPV4_SIZE and host.version == 4:
        return pack((f"::ffff:{host}", command.port))
    return pack((str(host), command.port))
