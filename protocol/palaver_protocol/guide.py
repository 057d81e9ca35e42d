"""What types cannot say about the protocol, for its document: refusals, limits, and the rules in words."""

from __future__ import annotations

from typing import Any, Final

from attrs import frozen

from . import converter
from .requests import ToCall, ToRoom, ToSeat
from .socketio import MAX_ATTACHMENTS
from .table import Code, RequestRow, Standing

CODES: Final[dict[Code, str]] = {
    Code.INVALID_PAYLOAD: "the payload is not of its shape; `error` says where",
    Code.UNKNOWN_EVENT: "there is no event of that name",
    Code.NOT_FOUND: "what the id names does not exist, or is not yours to name",
    Code.ENDED: "there was such a room or call, and it is over",
    Code.NOT_MEMBER: "you do not sit in that room",
    Code.NOT_HOST: "only the host may; in a hostless room everybody",
    Code.NOT_ALLOWED: "not for you: somebody else's call, message or direct room",
    Code.IN_ROOM: "you sit in another room: leave it, or send `leaveCurrent: true`",
    Code.IN_CALL: "you call somebody already",
    Code.BUSY: "the callee is in a call, or three already ring there",
    Code.OFFLINE: "nobody of that id is online",
    Code.SELF: "that is you",
    Code.DUPLICATE: "this id was used, or this was done, before",
    Code.COOLDOWN: "he rejected you three times, or you rang at him ten times, within 60 s: wait `retryAfter`",
    Code.FULL: "a limit is reached",
    Code.RATE_LIMITED: "too many requests: wait `retryAfter`",
    Code.OVERLOADED: "the server is about to end and opens no more rooms: wait `retryAfter`",
    Code.TOO_LARGE: "more than can be taken at once",
    Code.UNSUPPORTED: "this server, or this room, has no such thing",
    Code.MEDIA_UNAVAILABLE: "no media worker now: try again",
    Code.INTERNAL: "a bug of the server",
}

# What every request may be answered, and what some may be besides.
ALWAYS: Final = (Code.INVALID_PAYLOAD, Code.RATE_LIMITED, Code.INTERNAL)
RINGING: Final = (Code.SELF, Code.OFFLINE, Code.BUSY, Code.COOLDOWN)
NO_ROOM: Final = (Code.FULL, Code.OVERLOADED)
MEDIA: Final = (Code.MEDIA_UNAVAILABLE,)
BESIDES: Final[dict[str, tuple[Code, ...]]] = {
    "createRoom": (Code.IN_ROOM, Code.IN_CALL, *RINGING, Code.DUPLICATE, *NO_ROOM),
    "callUser": (Code.IN_ROOM, Code.IN_CALL, *RINGING, Code.DUPLICATE, *NO_ROOM),
    "acceptCallNew": (Code.IN_ROOM, *NO_ROOM, *MEDIA),
    "acceptCall": (Code.IN_ROOM, Code.NOT_ALLOWED, Code.FULL),
    "joinRoom": (Code.IN_ROOM, Code.NOT_ALLOWED, Code.FULL),
    "rejectCall": (Code.NOT_ALLOWED,),
    "reactToMessage": (Code.FULL,),
    "editMessage": (Code.NOT_ALLOWED,),
    "deleteMessage": (Code.NOT_ALLOWED,),
    "transferHost": (Code.SELF,),
    "createTransport": MEDIA,
    "connectTransport": (Code.DUPLICATE, Code.UNSUPPORTED, *MEDIA),
    "produce": (Code.FULL, Code.DUPLICATE, Code.UNSUPPORTED, *MEDIA),
    "consume": (Code.FULL, Code.UNSUPPORTED, *MEDIA),
    "restartIce": MEDIA,
}


def refusals(row: RequestRow) -> tuple[Code, ...]:
    """The codes with which a request may be refused, in the order of `Code`."""
    may = {*ALWAYS, *BESIDES.get(row.event, ())}
    if issubclass(row.cls, ToRoom | ToCall):
        may |= {Code.NOT_FOUND, Code.ENDED}
    if issubclass(row.cls, ToCall):
        may |= {Code.NOT_ALLOWED}
    if issubclass(row.cls, ToSeat):
        may |= {Code.NOT_FOUND}
    if row.who != Standing.ANYONE and row.who & (Standing.MEMBER | Standing.HOST) and not row.who & Standing.INVITED:
        may |= {Code.NOT_MEMBER}
    if row.who == Standing.HOST:
        may |= {Code.NOT_HOST}
    return tuple(code for code in Code if code in may)


@frozen
class Limit:
    """A number of the protocol; `option` changes it in our server."""

    name: str
    value: float
    unit: str
    meaning: str
    option: str = ""


LIMITS: Final = (
    Limit("name", converter.MAX_NAME, "graphemes", "of a person or room, on one line, at least 1"),
    Limit("text", converter.MAX_TEXT, "code points", "of a message, at least 1"),
    Limit("textBytes", converter.MAX_TEXT_BYTES, "bytes of UTF-8", "of a message"),
    Limit("emoji", converter.MAX_EMOJI_BYTES, "bytes of UTF-8", "of a reaction, which is one grapheme"),
    Limit("reason", converter.MAX_REASON, "code points", "of a remark, on one line"),
    Limit("id", 64, "characters", "of any id: printable ASCII without blanks, at least 1"),
    Limit("items", converter.MAX_ITEMS, "items", "in any list of a payload"),
    Limit("frame", 128 * 1024, "bytes", "that the server takes at once; more closes the connection (1009)"),
    Limit("attachments", MAX_ATTACHMENTS, "attachments", "of a binary packet; no event of this protocol has any"),
    Limit("budget", 300, "tokens", "that a connection may spend at once; each request has its cost"),
    Limit("refill", 40, "tokens per second", "that come back"),
    Limit("kept", 200, "messages", "that a room keeps"),
    Limit("keptBytes", 1024 * 1024, "bytes", "of messages that a room keeps"),
    Limit("shown", 50, "messages", "in `RoomView.messages`"),
    Limit("page", 100, "messages", "that `getMessages` answers at once"),
    Limit("quote", 200, "code points", "of a message that a reply repeats"),
    Limit("reactions", 32, "emojis", "different ones to one message"),
    Limit("reactors", 200, "people", "who react to one message with the same emoji"),
    Limit("producers", 8, "tracks", "that one participant sends"),
    Limit("consumers", 1_024, "tracks", "that one participant gets"),
    Limit("produced", 1_024, "tracks", "that are ever sent over one transport; `full` is mended by a new one"),
    Limit("consumed", 16_384, "tracks", "that are ever consumed over one transport; likewise"),
    Limit("invited", 100, "people", "in `invitedUserIds`"),
    Limit("rings", 3, "calls", "that ring at one callee at once"),
    Limit("ring", 30, "s", "that a call or invitation rings", "--ring-timeout"),
    Limit("rejections", 3, "rejections", "of a caller by a callee within `cooldown`; then `cooldown` is the answer"),
    Limit("cooldown", 60, "s", "until he may call him again"),
    Limit("hostGrace", 30, "s", "that the role waits for a host who was cut off", "--host-grace"),
    Limit("resumeGrace", 15, "s", "that a seat is held for a client that resumes", "--resume-grace"),
    Limit("speakers", 4, "tracks", "that stand for all voices in a big room", "--speakers"),
    Limit("speakersAbove", 12, "open microphones", "in a room that is not big yet", "--speakers-above"),
    Limit("connect", 10, "s", "from the link to Socket.IO's CONNECT"),
    Limit("pingInterval", 10, "s", "from a pong to the server's next ping"),
    Limit("pingTimeout", 10, "s", "from a ping to the pong"),
    Limit("dtls", 10, "s", "from `connectTransport` to a connected transport, else `transportFailed`"),
    Limit("consent", 30, "s", "without an ICE consent check, then `transportFailed` (RFC 7675)"),
)

CONNECT: Final[dict[str, dict[str, Any]]] = {
    "Handshake": {
        "description": "The content of the Engine.IO open packet, which the server sends first. Times in ms.",
        "type": "object",
        "properties": {
            "sid": {"type": "string"},
            "upgrades": {"type": "array", "items": {"type": "string"}},
            "pingInterval": {"type": "integer"},
            "pingTimeout": {"type": "integer"},
            "maxPayload": {"type": "integer"},
        },
        "required": ["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"],
    },
    "Auth": {
        "description": "What the client says in Socket.IO's CONNECT.",
        "type": "object",
        "properties": {
            "userId": {"$ref": "#/$defs/UserId"},
            "name": {"$ref": "#/$defs/Name"},
            "resume": {"type": "string", "description": "asks for resumption: empty, or the last answer's `resume`"},
            "callWaiting": {"type": "boolean", "description": "calls may ring while one is in a call"},
        },
        "required": ["userId", "name"],
    },
    "Welcome": {
        "description": "The server's answer to CONNECT; `resume` is for who asked for it.",
        "type": "object",
        "properties": {
            "sid": {"type": "string"},
            "userId": {"$ref": "#/$defs/UserId"},
            "resume": {"type": "string"},
            "resumed": {"type": "boolean"},
        },
        "required": ["sid"],
    },
    "ConnectError": {
        "description": "The server's refusal of a CONNECT.",
        "type": "object",
        "properties": {"message": {"type": "string"}},
        "required": ["message"],
    },
}

RULES: Final[dict[str, str]] = {
    "Connecting": """\
Signalling is Socket.IO 5 over Engine.IO 4, path `/socket.io/`, in the root namespace, so any Socket.IO client will
do. The transport is a WebSocket (`/socket.io/?EIO=4&transport=websocket`), or HTTP long-polling with or without an
upgrade.

1. The server sends the open packet, `0` and a [Handshake](#handshake).
2. The client sends `40` and an [Auth](#auth); the server answers `40` and a [Welcome](#welcome), or `44` and a
   [ConnectError](#connecterror), whose message Socket.IO clients show as `connect_error`. Another namespace is
   refused with `44/NAMESPACE,{"message":"Invalid namespace"}`.
3. The first notices are `onlineUsersUpdated` and `roomListUpdated`; of these two the latest state counts, and a
   server tells them a few times a second at most. To a connection that was resumed, `snapshot` is first.

The server pings (`2`) and the client answers (`3`). Web pages may connect from loopback, or from origins that the
server lists (`--allow-origin`). What breaks Engine.IO or Socket.IO closes the connection with 1002, a frame too
large with 1009.""",
    "Asking and hearing": """\
A request is an event with one object, and Socket.IO's ack answers it with one object: `{"success": true, ...}` with
the fields of its answer, or a [Refusal](#refusal). A request without an ack is obeyed and not answered. Any payload
is answered; a wrong one never ends the connection. Fields that a server or client does not know are ignored, and so
are events. Requests of one connection are handled in order; the notices that a request causes may come before its
answer. Each request has a cost in tokens; a connection that has spent its budget is refused (`rateLimited`).

Names are camelCase, times are integers in ms since the epoch (`ringsFor`: ms from now), integers are written
without a fraction. What people wrote is sanitised: control characters, bidirectional marks and invisible characters
become U+FFFD.""",
    "People and connections": """\
Whoever gives a `userId` is that user; there are no passwords. A user may have several connections: notices about
his person go to all of them, and a seat in a room belongs to the one that took it. One room per user: to take
another one with `leaveCurrent: true` gives the first up, otherwise it is refused (`inRoom`). A connection whose
seat was taken along by another one of the same user is told `serverNotice` `seatMoved`.""",
    "Coming back": """\
A client that wants to resume sends `resume` in its CONNECT: at first an empty string, later the `resume` of the
last answer. While its connection is broken its seat is held (`resumeGrace`): the others hear
`participantMediaStateUpdated` with `isAway: true` and neither `userLeft` nor `userJoined`. It comes back with
`resumed: true`, the same `sid`, seat, role and mute state, hears `snapshot` first (missed notices are not
repeated), and negotiates its media again; the others hear `isAway: false`. A clean end (Socket.IO's disconnect,
WebSocket 1000 or 1001) or a client that never asked for resumption is gone at once: `userLeft`.""",
    "Rooms": """\
A group room is `active` from the start, listed, and open to everybody. A direct room is for two people, unlisted,
and `pending` until the second one accepts; a rejection or time-out ends it (`callEnded`). Invited people are no
participants until they accept or join.

The room's maker is its host. A host who leaves makes the room hostless at once (`roomHostless`), or ends it where
the server has no hostless mode (`callEnded`, `hostLeft`). A host whose connection ends keeps the role for
`hostGrace`; if he comes back in time the others hear `hostChanged` with `returned`, else the room is hostless. In a
hostless room every member may do what a host may. A room without participants and held seats ends. An ended room
answers `ended`; `endCall` on it succeeds again.""",
    "Ringing": """\
`callUser` rings on all connections of the callee (`incomingCallNew`). Exactly one thing comes of it, and the
caller's connection hears it: `callAcceptedNew`, `callRejectedNew` or `callTimeout`, or his own `cancelCall`
succeeds. Connections of the callee that ring no longer without their doing hear `callCancelled` (after a time-out:
`callTimeout`).

One outgoing call per user; three may ring at one callee. A callee in a call is busy, unless he connected with
`callWaiting: true`. If two call each other, both are accepted into one room, and each hears `callAcceptedNew` with
his own `callId`. A call whose caller's connection is gone (and not waited for, see above) is cancelled; one whose
callee has no connection left is rejected (`offline`). A connection that comes while it rings rings as well.

The older flow is an invitation to a room: `createRoom` with `targetUserId` or `invitedUserIds` rings at those who
are online (`incomingCall`), and they answer with `acceptCall` or `rejectCall`. The members hear `callAccepted` or
`callRejected`, whose reason may be `timeout`, `busy` or `offline`. Where it rings no longer, `callCancelled` has
the room's id as `callId`.""",
    "Media": """\
The server is an SFU that mediasoup's clients understand. In this order: `getRouterRtpCapabilities`;
`createTransport` for each direction; `connectTransport` with one's certificate; `produce`. Others' tracks are in
`RoomView` (`producerIds`) for who comes late, and in `newProducer` from then on: `consume`, which begins paused,
then `resumeConsumer`.

`consume` names no transport, it is the participant's receive transport. The server is ICE-lite: it answers binding
requests from `createTransport` on. `connectTransport` is answered before DTLS is done. Role `client` or `auto`
makes the server the DTLS server; role `server` the client. The certificate may be named by sha-256, sha-384 or
sha-512. After `transportFailed` or `mediaReset` negotiate again; the seat stays. A large room may be spread over
several media workers: the ICE candidates of two people in it may then have different ports, and there is nothing
else to know of it.

Opus, VP8 and H.264 (constrained baseline, `packetization-mode` 1) are passed on as they come, each to those who can
play it. Video that was lost on the way is asked for and sent again: as RTX (RFC 4588) to and from those whose
capabilities and parameters have it, otherwise under the sequence number that it had.

Opus may bring copies of earlier frames (`audio/red`, RFC 2198) to mend losses. A sender names it after Opus in his
parameters. It goes as it is to those in whose capabilities `audio/red` has the parameter `redundancy` as the router's
has it; all others get the frames alone, as plain Opus, and need not know of it. To a sender of copies, the fraction
lost in receiver reports counts what the middle one of his listeners loses, too.""",
    "Recording": """\
Whoever has a seat can record what he hears, and nobody can keep him from it; a client that does says so
(`setRecording`), so that nobody is recorded unawares. Everybody in the room hears `recordingStateChanged` at once. Who
comes later, or comes back, finds `isRecording` with the participants of the room that he is shown. Several may
record at once, each for himself.

It goes with the seat: it stays while the seat is held for a recorder who was cut off, and ends with the seat. When he
leaves, or does not come back in time, the others hear `recordingStateChanged` with `isRecording: false` and then
`userLeft`. Over another connection that took the seat along nobody records at first. With the room all recording
of it is over; no notice but `callEnded` tells so.""",
    "Speakers": """\
When more microphones are open in a room than `speakersAbove`, the room is big: it gets `speakers` tracks that nobody
sends, and on each of them now one and now another of those who speak loudest. A client needs to know nothing of it. It
hears `newProducer` of `speaker-1`, `speaker-2`, ... and 2 s later `producerClosed` of the voices that these stand for.
When no more than three quarters of `speakersAbove` have been open for 10 s, the voices are announced again, and the
speakers end 2 s later: there is time to consume what is new while the old goes on, and nobody is heard twice. Who joins
a big room hears `newProducer` of its speakers, too, and finds them in `RoomView.speakerIds`. Nobody hears himself on
them. No person can have the id of a speaker.

A microphone is open while somebody sends sound and has not said that he is muted (`mediaStateChanged`); all that one
person sends is one microphone. While he is muted his sound is forwarded to nobody, nor is his video from when he says
that it is off until he says that it is on. Over another connection all begin unmuted. The voices are
those tracks of sound that say how loud they are (`urn:ietf:params:rtp-hdrext:ssrc-audio-level`): others, and video,
are announced and forwarded in a big room, too.

To hear one person always, `consume` the `producerId` of his that `activeSpeakers` names, in a big room as in any other;
the speakers then leave him out for you. `producerClosed` says when that ends: with his track, or 2 s after the room has
become big, unless he was asked for in these 2 s; the first `consume` of what was announced before is no such wish,
but a late answer. So a client should not consume what `producerClosed` has named since the answer that listed it: it
would hear that voice by name, and have a track more. After `mediaReset` no room is big at first.""",
}
