"""The events that scripts/bench signalling sends, on python-socketio: the least that answers them as Palaver does."""

from __future__ import annotations

import socket
import time
from typing import Any, Final
from uuid import uuid4

import socketio
import uvicorn  # pyright: ignore[reportMissingImports] -- of the dependency group `bench` alone

io = socketio.AsyncServer(async_mode="asgi", transports=["websocket"])
people: dict[str, dict[str, Any]] = {}


@io.event
async def connect(sid: str, environ: dict[str, Any], auth: dict[str, Any]) -> None:
    """Somebody is there."""
    people[sid] = {"userId": auth["userId"], "userName": auth["name"]}


@io.event
async def disconnect(sid: str, reason: str) -> None:
    """Somebody is gone."""
    person = people.pop(sid)
    if "roomId" in person:
        await io.emit("userLeft", {"userId": person["userId"], "roomId": person["roomId"]}, room=person["roomId"])


async def create_room(sid: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Enter the room of that name."""
    people[sid]["roomId"] = asked["roomName"]
    await io.enter_room(sid, asked["roomName"])
    return {"success": True, "room": {"roomId": asked["roomName"]}}


async def media_state_changed(sid: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Tell the others in the room."""
    told = {"userId": people[sid]["userId"], "userName": people[sid]["userName"], **asked}
    await io.emit("participantMediaStateUpdated", told, room=asked["roomId"], skip_sid=sid)
    return {"success": True, "message": ""}


async def send_message(sid: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Tell the room."""
    who = {"userId": people[sid]["userId"], "userName": people[sid]["userName"]}
    said = {"content": asked["content"], "timestamp": int(time.time() * 1000), "reactions": []}
    message = {"messageId": str(uuid4()), **who, **said}
    await io.emit("newMessage", message, room=asked["roomId"])
    return {"success": True, "message": message}


HANDLERS: Final = {"createRoom": create_room, "mediaStateChanged": media_state_changed, "sendMessage": send_message}


def main() -> None:
    """Serve, and say where."""
    for event, handler in HANDLERS.items():
        io.on(event, handler)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"listening {listener.getsockname()[1]}", flush=True)
        config = uvicorn.Config(socketio.ASGIApp(io), loop="uvloop", log_level="error", lifespan="off")
        uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
