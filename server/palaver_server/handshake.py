"""How an HTTP connection becomes a WebSocket (RFC 6455, section 4.2)."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from typing import Final

from .http_connection import HttpConnection, Request, in_json
from .websocket import WebSocket

VERSION: Final = "13"
ACCEPT: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # section 1.3


async def accept(connection: HttpConnection, request: Request, max_message: int) -> WebSocket | None:
    """Answer a client that asks for a WebSocket: None where its handshake is wrong (section 4.2.1)."""
    headers = request.headers
    tokens = [token.strip().lower() for token in headers.get("connection", "").split(",")]
    key = headers.get("sec-websocket-key", "")
    if request.method != "GET" or not request.is_upgrade or "upgrade" not in tokens or not is_key(key):
        await connection.send(in_json(400, {"error": "no WebSocket handshake"}))
        return None
    if headers.get("sec-websocket-version") != VERSION:
        refused = in_json(426, {"error": "another version of the WebSocket protocol"})
        await connection.send(refused.with_headers(("sec-websocket-version", VERSION)))
        return None
    accepted = ("sec-websocket-accept", b64encode(hashlib.sha1((key + ACCEPT).encode()).digest()).decode())
    trailing = await connection.switch(("upgrade", "websocket"), ("connection", "upgrade"), accepted)
    return WebSocket(connection.stream, max_message, held=trailing)


def is_key(key: str) -> bool:
    """Whether these are 16 bytes in base64."""
    try:
        return len(b64decode(key, validate=True)) == 16
    except (NotBase64, ValueError):
        return False
