"""python-socketio's own AsyncClient, unmodified, over the main events and both ways to be carried."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
import socketio
from attrs import define, field
from socketio.exceptions import ConnectionError as NotConnected

from palaver_protocol.converter import read_notice
from standing import standing

pytestmark = pytest.mark.asyncio

PATIENCE = 10  # s


@define(eq=False)
class Person:
    """Somebody with python-socketio: asks, and hears what the server tells."""

    name: str
    user_id: str = field(factory=lambda: str(uuid4()))
    socket: socketio.AsyncClient = field(factory=lambda: socketio.AsyncClient(reconnection=False))
    told: asyncio.Queue[tuple[str, Any]] = field(factory=lambda: asyncio.Queue[tuple[str, Any]]())

    async def ask(self, event: str, **payload: Any) -> dict[str, Any]:
        """The answer to a request that must succeed."""
        answer = await self.call(event, payload)
        assert answer["success"], answer
        return answer

    async def call(self, event: str, payload: Any) -> dict[str, Any]:
        """The answer to anything."""
        return dict(await self.socket.call(event, payload, timeout=PATIENCE) or {})

    async def hears(self, event: str) -> dict[str, Any]:
        """The payload of the next notice of this kind; others are passed over."""
        async with asyncio.timeout(PATIENCE):
            while True:
                name, payload = await self.told.get()
                read_notice(name, payload)
                if name == event:
                    return dict(payload)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with standing("-m", "palaver_server", "--port", "0", "--workers", "1", "--ring-timeout", "1") as url:
        yield url


@pytest.fixture(params=[["polling", "websocket"], ["websocket"], ["polling"]], ids="-".join)
def transports(request: pytest.FixtureRequest) -> list[str]:
    return list(request.param)


@asynccontextmanager
async def arriving(server: str, transports: list[str], *names: str) -> AsyncIterator[list[Person]]:
    people = [Person(name) for name in names]
    for person in people:
        person.socket.on("*", lambda event, payload, to=person.told: to.put_nowait((event, payload)))
        await person.socket.connect(
            server, auth={"userId": person.user_id, "name": person.name}, transports=transports, retry=False
        )
    try:
        yield people
    finally:
        for person in people:
            await person.socket.disconnect()


async def test_a_room_with_chat(server: str, transports: list[str]) -> None:
    async with arriving(server, transports, "Ann", "Ben") as (ann, ben):
        room = (await ann.ask("createRoom", roomType="group", roomName="snakes"))["room"]
        room_id = room["roomId"]
        joined = await ben.ask("joinRoom", roomId=room_id)
        assert [someone["name"] for someone in joined["room"]["participants"]] == ["Ann", "Ben"]
        assert (await ann.hears("userJoined"))["userId"] == ben.user_id
        said = (await ann.ask("sendMessage", roomId=room_id, content="Hallo 🐍"))["message"]
        assert await ben.hears("newMessage") == said
        await ben.ask("reactToMessage", roomId=room_id, messageId=said["messageId"], emoji="🎉")
        assert (await ann.hears("messageReactionUpdated"))["reactions"][0]["userIds"] == [ben.user_id]
        await ann.ask("editMessage", roomId=room_id, messageId=said["messageId"], content="Guten Tag")
        assert (await ben.hears("messageEdited"))["content"] == "Guten Tag"
        await ann.ask("mediaStateChanged", roomId=room_id, isMuted=True, isVideoEnabled=False)
        assert (await ben.hears("participantMediaStateUpdated"))["isMuted"]
        await ann.ask("transferHost", roomId=room_id, userId=ben.user_id)
        assert (await ben.hears("hostChanged"))["hostId"] == ben.user_id
        await ben.ask("endCall", roomId=room_id)
        assert (await ann.hears("callEnded"))["endedBy"] == ben.user_id


async def test_calls(server: str, transports: list[str]) -> None:
    rejected, unanswered, accepted = (str(uuid4()) for _ in range(3))
    async with arriving(server, transports, "Ann", "Ben") as (ann, ben):
        await ann.ask("callUser", callId=rejected, targetUserId=ben.user_id)
        assert (await ben.hears("incomingCallNew"))["fromName"] == "Ann"
        await ben.ask("rejectCallNew", callId=rejected, reason="later")
        assert (await ann.hears("callRejectedNew"))["reason"] == "later"
        await ann.ask("callUser", callId=unanswered, targetUserId=ben.user_id)
        for person in (ann, ben):
            assert await person.hears("callTimeout") == {"callId": unanswered}
        await ann.ask("callUser", callId=accepted, targetUserId=ben.user_id)
        room_id = (await ben.ask("acceptCallNew", callId=accepted))["roomId"]
        assert (await ann.hears("callAcceptedNew"))["roomId"] == room_id
        await ann.ask("leaveRoom", roomId=room_id)
        assert (await ben.hears("userLeft"))["userId"] == ann.user_id


async def test_media_is_agreed_upon(server: str, transports: list[str]) -> None:
    async with arriving(server, transports, "Ann") as (ann,):
        room_id = (await ann.ask("createRoom", roomType="group", roomName="media"))["room"]["roomId"]
        codecs = (await ann.ask("getRouterRtpCapabilities", roomId=room_id))["rtpCapabilities"]["codecs"]
        assert [codec["mimeType"] for codec in codecs] == [
            "audio/opus",
            "video/VP8",
            "video/rtx",
            "video/H264",
            "video/rtx",
            "audio/red",
        ]
        params = (await ann.ask("createTransport", roomId=room_id, direction="recv"))["params"]
        assert params["iceCandidates"][0]["protocol"] == "udp"


async def test_who_is_not_let_in_is_told_why(server: str, transports: list[str]) -> None:
    socket, reasons = socketio.AsyncClient(reconnection=False), list[Any]()
    socket.on("connect_error", reasons.append)
    with pytest.raises(NotConnected):
        await socket.connect(server, auth={"userId": "ann", "name": ""}, transports=transports, retry=False)
    assert [reason["message"] for reason in reasons] == ["auth.name: expected a name of 1 to 32 characters"]
    await socket.disconnect()


async def test_a_refusal_is_an_answer(server: str, transports: list[str]) -> None:
    async with arriving(server, transports, "Ann") as (ann,):
        for payload in (None, 5, "room", ["room"], {"roomId": 5}):
            answer = await ann.call("joinRoom", payload)
            assert (answer["success"], answer["code"]) == (False, "invalidPayload")
        assert (await ann.call("joinRoom", {"roomId": "none"}))["code"] == "notFound"
