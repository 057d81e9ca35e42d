"""What each line of `palaver call --json` holds: its fields, and of which kinds they are."""

from __future__ import annotations

import json
from typing import Any, Final

NUMBER: Final = (int, float)
MAYBE: Final = (int, float, type(None))
TEXT: Final = (str, type(None))
PERSON: Final = {"userId": str, "name": str}
SEATED: Final = {**PERSON, "isHost": bool, "isMuted": bool, "isRecording": bool}
MESSAGE: Final = {**PERSON, "messageId": str, "text": str, "timestamp": int, "replyTo": TEXT}
VOICE: Final = {
    **PERSON,
    "jitter_ms": NUMBER,
    "loss": NUMBER,
    "concealed": NUMBER,
    "late": NUMBER,
    "playout_ms": NUMBER,
    "mouth_to_ear_ms": MAYBE,
    "in_kbps": NUMBER,
}
ENCODING: Final = {
    "bitrate": int,
    "frame_ms": int,
    "expectedLoss": NUMBER,
    "copies": int,
    "spacing": int,
    "complexity": int,
}

EVENTS: Final[dict[str, dict[str, Any]]] = {
    "connected": {**PERSON, "isResumed": bool},
    "incomingCall": {**PERSON, "callId": str, "roomId": TEXT, "roomType": TEXT, "ringsFor": MAYBE},
    "calling": {**PERSON, "callId": str},
    "callAccepted": {**PERSON, "callId": str},
    "callRejected": {**PERSON, "callId": str, "reason": str, "isOwnWords": bool},
    "callOver": {"callId": str, "reason": str},
    "invited": {"roomId": str, "userIds": list},
    "recording": {**PERSON, "isRecording": bool},
    "older": {"roomId": str, "messages": [MESSAGE], "more": bool},
    "carrier": {"isPolling": bool, "reason": str},
    "connectionLost": {"reason": str, "retryIn": MAYBE},
    "waiting": {},
    "hungUp": {"reason": str, "seconds": NUMBER},
    "joined": {
        "roomId": str,
        "roomName": str,
        "roomType": str,
        "participants": [SEATED],
        "isAgain": bool,
    },
    "left": {"reason": str},
    "userJoined": PERSON,
    "userLeft": PERSON,
    "media": {"state": str, "reason": str},
    "mediaStarted": PERSON,
    "mediaState": {**PERSON, "isMuted": bool, "isVideoEnabled": bool, "isAway": bool},
    "message": MESSAGE,
    "messageDeleted": {"messageId": str},
    "messageEdited": {"messageId": str, "text": str, "editedAt": int},
    "reactions": {"messageId": str, "reactions": [{"emoji": str, "count": int, "userIds": list}]},
    "hostChanged": {**PERSON, "reason": str},
    "muted": {"isMuted": bool},
    "notice": {"level": str, "code": str, "message": str},
    "roomHostless": {"message": str},
    "soundProblem": {"side": str, "reason": str, "remedy": str},
    "soundStarted": {"side": str, "name": str},
    "sending": {"isSending": bool},
    "soundSettings": {
        "transmit": str,
        "echo": bool,
        "noise": bool,
        "agc": bool,
        "highpass": bool,
        "gain_db": NUMBER,
        "bitrate": int,
        "frame_ms": int,
        "isHeadset": bool,
        "volume_db": NUMBER,
        "isDeaf": bool,
    },
    "echoTest": {"isOn": bool},
    "recordingBegan": {"folder": str},
    "recordingEnded": {"folder": str, "problem": str, "remedy": str, "goesOn": bool},
    "speaking": {**PERSON, "isSpeaking": bool},
    "stats": {
        "rtt_ms": MAYBE,
        "jitter_ms": MAYBE,
        "loss": MAYBE,
        "playout_ms": MAYBE,
        "mouth_to_ear_ms": MAYBE,
        "in_kbps": NUMBER,
        "out_kbps": NUMBER,
        "input_ms": NUMBER,
        "output_ms": NUMBER,
        "encoding": ENCODING,
        "users": [VOICE],
    },
    "error": {"message": str, "code": TEXT, "canRetry": bool, "retryAfter": MAYBE},
    "help": {"message": str},
    "who": {
        "isConnected": bool,
        "here": [SEATED],
        "online": [{**PERSON, "isInCall": bool}],
    },
    "rooms": {"isConnected": bool, "rooms": [{"roomId": str, "roomName": str, "participants": int}]},
    "ended": {"reason": str, "seconds": NUMBER},
}


def check(line: str) -> dict[str, Any]:
    """The object in a line, which must be one of those above."""
    said: dict[str, Any] = json.loads(line)
    fields = {"event": str, "time": int, **EVENTS[said["event"]]}
    check_object(said, fields)
    return said


def check_object(said: dict[str, Any], fields: dict[str, Any]) -> None:
    assert said.keys() == fields.keys(), said
    for name, kind in fields.items():
        if isinstance(kind, list):
            assert isinstance(said[name], list)
            for item in said[name]:
                check_object(item, kind[0])
        elif isinstance(kind, dict):  # or null
            if said[name] is not None:
                check_object(said[name], kind)
        else:
            assert isinstance(said[name], kind), (name, said)
            assert kind is bool or not isinstance(said[name], bool), (name, said)
