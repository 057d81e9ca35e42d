"""The event table as JSON Schema 2020-12: what each payload, answer and notice looks like on the wire.

What a client sends may leave out every field with a default, and may say null where there is none. What a server sends
has every field, but for those that have nothing to say: they are absent, never null. A class that goes both ways has
two definitions; the one for what clients send ends in `Input`.
"""

from __future__ import annotations

import enum
import types
from inspect import cleandoc
from typing import Any, Final, TypeAlias, Union, get_args, get_origin

import attrs
from attrs import define, field

from . import models, rtp_models
from .converter import MAX_EMOJI_BYTES, MAX_ITEMS, MAX_NAME, MAX_REASON, MAX_TEXT, camel
from .guide import CODES, CONNECT, LIMITS, refusals
from .table import NOTICES, REQUESTS, Ack, Code, Request, Standing

Schema: TypeAlias = dict[str, Any]

ID: Final[Schema] = {"type": "string", "pattern": "^[!-~]{1,64}$"}
SCALARS: Final[dict[str, Schema]] = {
    "UserId": {"description": "A person; best a UUID v4. 1 to 64 printable ASCII characters.", **ID},
    "RoomId": {"description": "A room; the server makes it.", **ID},
    "CallId": {"description": "A ringing call; its caller makes it, best a UUID v4.", **ID},
    "MessageId": {"description": "A message; the server makes it.", **ID},
    "TransportId": {"description": "One direction of somebody's media; the server makes it.", **ID},
    "ProducerId": {"description": "A track that somebody sends; the server makes it.", **ID},
    "ConsumerId": {"description": "A track that somebody receives; the server makes it.", **ID},
    "Name": {
        "description": f"A name of a person or room: 1 to {MAX_NAME} graphemes on one line.",
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_NAME * 16,
    },
    "Text": {
        "description": f"A message: not blank, at most {MAX_TEXT} code points and 64 KiB of UTF-8.",
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_TEXT,
    },
    "Emoji": {
        "description": f"One emoji, which may have several code points; at most {MAX_EMOJI_BYTES} bytes of UTF-8.",
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_EMOJI_BYTES,
    },
    "Reason": {
        "description": f"A short remark on one line: at most {MAX_REASON} code points.",
        "type": "string",
        "maxLength": MAX_REASON,
    },
}
PRIMITIVES: Final[dict[object, Schema]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
}
NULL: Final[Schema] = {"type": "null"}
# Additions to the reference's models: a server without them says nothing, and that means no.
ADDED: Final = frozenset({"is_away", "is_recording"})


@define
class Definitions:
    """The definitions that a document refers to, made as they are needed; `place` is where it has them."""

    place: str = "#/$defs"
    made: dict[str, Schema] = field(factory=dict[str, Schema])

    def of(self, kind: Any, *, is_input: bool = False) -> Schema:
        """A reference to a type, or the schema of one without a name. `is_input`: clients send it."""
        if kind in PRIMITIVES:
            return PRIMITIVES[kind]
        if kind == rtp_models.ParameterValue:
            return {"type": ["string", "number", "boolean"]}
        if (name := getattr(kind, "__name__", "")) in SCALARS:
            return self._refer(name, SCALARS[name])
        origin, arguments = get_origin(kind), get_args(kind)
        if origin in (Union, types.UnionType):
            (inner,) = (a for a in arguments if a is not type(None))
            return {"anyOf": [self.of(inner, is_input=is_input), NULL]}
        if origin is tuple:
            limit = {"maxItems": MAX_ITEMS} if is_input else {}
            return {"type": "array", "items": self.of(arguments[0], is_input=is_input), **limit}
        if origin is dict:
            return {"type": "object", "additionalProperties": self.of(arguments[1], is_input=is_input)}
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return self._enum(kind, is_input)
        return self._class(kind, is_input)

    def _refer(self, name: str, schema: Schema) -> Schema:
        self.made.setdefault(name, schema)
        return {"$ref": f"{self.place}/{name}"}

    def _enum(self, kind: type[enum.Enum], is_input: bool) -> Schema:
        members: list[enum.Enum] = list(kind)
        values = [member.value for member in members]
        if kind is models.Direction and is_input:
            doc = f"{kind.__doc__} `recv` is one more word for `receive`."
            return self._refer("DirectionInput", {"description": doc, "enum": [*values, "recv"]})
        return self._refer(kind.__name__, {"description": kind.__doc__, "enum": values})

    def _class(self, kind: type, is_input: bool) -> Schema:
        name = kind.__name__ + ("Input" if is_input and not issubclass(kind, Request) else "")
        if name not in self.made:
            self.made[name] = {}  # holds the place
            self.made[name].update(self._object(kind, is_input))
        return {"$ref": f"{self.place}/{name}"}

    def _object(self, kind: type, is_input: bool) -> Schema:
        properties: dict[str, Schema] = {}
        required: list[str] = []
        if issubclass(kind, Ack):
            properties["success"] = {"const": True}
            required.append("success")
        for a in attrs.fields(attrs.resolve_types(kind)):
            properties[camel(a.name)] = self._field(kind, a, is_input)
            if is_required(a, is_input):
                required.append(camel(a.name))
        doc = cleandoc(kind.__doc__ or "")
        return {"description": doc, "type": "object", "properties": properties, "required": required}

    def _field(self, kind: type, a: attrs.Attribute[Any], is_input: bool) -> Schema:
        if is_input and a.name == "reply_to":
            message_id = self.of(models.MessageId)
            holder = {"type": "object", "properties": {"messageId": message_id}, "required": ["messageId"]}
            return {"anyOf": [message_id, holder, NULL]}
        if a.default is None and not is_input:  # absent, not null
            (inner,) = (t for t in get_args(a.type) if t is not type(None))
            return self.of(inner)
        return self.of(a.type, is_input=is_input)


def is_required(a: attrs.Attribute[Any], is_input: bool) -> bool:
    """Whether a field is always there."""
    if is_input:
        return a.default is attrs.NOTHING
    # the text of `Done` is for people, and not every answer of the reference has it
    return a.default is not None and a.name not in ADDED and a.default != ""


def make_schema() -> Schema:
    """The whole protocol: a schema of Socket.IO's event arrays, and beside it what JSON Schema has no words for."""
    definitions = Definitions()
    requests = {event: _describe_request(definitions, event) for event in REQUESTS}
    notices = {
        event: {"description": row.doc, "latestOnly": row.latest_only, "payload": definitions.of(row.cls)}
        for event, row in NOTICES.items()
    }
    packets = [_packet(event, row["payload"]) for event, row in (requests | notices).items()]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:palaver:protocol",
        "title": "Palaver's signalling",
        "description": "An instance is the array of a Socket.IO EVENT packet: the event's name and its payload.",
        "anyOf": packets,
        "requests": requests,
        "notices": notices,
        "codes": {code.value: meaning for code, meaning in CODES.items()},
        "limits": [attrs.asdict(limit) for limit in LIMITS],
        "$defs": {**definitions.made, "Refusal": REFUSAL, **CONNECT},
    }


def _describe_request(definitions: Definitions, event: str) -> Schema:
    row = REQUESTS[event]
    return {
        "description": row.doc,
        "who": standings(row.who),
        "cost": row.cost,
        "payload": definitions.of(row.cls, is_input=True),
        "ack": definitions.of(row.ack),
        "refusals": [code.value for code in refusals(row)],
    }


def standings(who: Standing) -> list[str]:
    """`["invited", "member"]`; whoever stands in one of these relations may ask."""
    return ["anyone"] if who == Standing.ANYONE else [str(one.name).lower() for one in who]


def _packet(event: str, payload: Schema) -> Schema:
    return {
        "type": "array",
        "prefixItems": [{"const": event}, payload],
        "minItems": 2,
        "maxItems": 2,
    }


REFUSAL: Final[Schema] = {
    "description": "An expected no. `error` is for people, `code` for programs, which may meet one that they do not "
    "know. `retryAfter` is in seconds.",
    "type": "object",
    "properties": {
        "success": {"const": False},
        "error": {"type": "string"},
        "code": {"type": "string", "enum": [code.value for code in Code]},
        "canRetry": {"type": "boolean"},
        "retryAfter": {"type": "number"},
    },
    "required": ["success", "error", "code", "canRetry"],
}
