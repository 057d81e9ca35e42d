"""Where a server is, as people write it."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from attrs import frozen

DEFAULT_PORT: Final = 8440
_SECURE: Final = {"http": False, "https": True, "ws": False, "wss": True}


@frozen
class ServerUrl:
    """A server's address."""

    host: str
    port: int
    is_secure: bool

    @property
    def authority(self) -> str:
        """Host and port, as HTTP writes them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{'https' if self.is_secure else 'http'}://{self.authority}"


def parse_url(written: str) -> ServerUrl:
    """The server that `http://HOST:PORT`, `https://`, `ws://`, `wss://`, `HOST:PORT` or `HOST` names.

    Raises:
        ValueError: it names none; the text is for people.
    """
    example = "write it like http://127.0.0.1:8440"
    try:
        parts = urlsplit(written if "://" in written else f"http://{written}")
        port = parts.port
    except ValueError as why:
        raise ValueError(f"{written!r} is no server address ({why}); {example}") from None
    if parts.scheme not in _SECURE:
        raise ValueError(f"{written!r} begins with neither http, https, ws nor wss; {example}")
    if not parts.hostname or not parts.hostname.isprintable() or " " in parts.netloc:
        raise ValueError(f"{written!r} names no host; {example}")
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None:
        raise ValueError(f"{written!r} holds more than a host and a port; {example}")
    is_secure = _SECURE[parts.scheme]
    return ServerUrl(parts.hostname, _port(port, is_secure, "://" in written), is_secure)


def _port(port: int | None, is_secure: bool, has_scheme: bool) -> int:
    """The port meant: a full https address without one means 443, anything else our own."""
    if port is not None:
        return port
    return 443 if is_secure and has_scheme else DEFAULT_PORT
