"""Wire JSON to typed events and back: camelCase names, no coercion, limits, errors that name the wire path.

Everything that strangers send is decoded here: what passes is of its type, within its limits and safe to print.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import attrs
import cattrs
import regex
from cattrs import IterableValidationError, IterableValidationNote
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from . import models, rtp_models, text
from .notices import AnyNotice
from .requests import AnyRequest
from .table import NAME_OF, NOTICES, REQUESTS, Ack, Code, Notice, Refusal, refusal

T = TypeVar("T")

MAX_NAME: Final = 32  # graphemes
MAX_NAME_BYTES: Final = 1024  # of UTF-8
MAX_GRAPHEME: Final = 10  # code points: the largest emoji of Unicode have 10, and some draw more into one for ever
MAX_TEXT: Final = 20_000  # code points
MAX_TEXT_BYTES: Final = 64 * 1024  # of UTF-8
MAX_EMOJI_BYTES: Final = 64  # of UTF-8
MAX_REASON: Final = 200  # code points
MAX_ITEMS: Final = 10_000  # in any list or object of a payload

_ID: Final = regex.compile(r"[\x21-\x7e]{1,64}")


def camel(name: str) -> str:
    """`from_` is `from` and `room_id` is `roomId` on the wire."""
    head, *tail = name.rstrip("_").split("_")
    return head + "".join(word.title() for word in tail)


# -- reading one value -------------------------------------------------------------------------------------------------
def strict(cls: type[T]) -> Callable[[object, object], T]:
    """A hook that takes a value of exactly this type: a bool is no int, and nothing becomes a string."""

    def check(value: object, _: object) -> T:
        if type(value) is not cls:
            raise TypeError(f"expected {cls.__name__}")
        return value

    return check


def read_float(value: object, _: object) -> float:
    """A finite number."""
    if type(value) not in (int, float) or not math.isfinite(cast(float, value)):
        raise TypeError("expected a number")
    return float(cast(float, value))


def read_scalar(value: object, _: object) -> object:
    """A codec parameter: a string, number or boolean."""
    if type(value) not in (str, int, float, bool):
        raise TypeError("expected a string, number or boolean")
    return value


def read_id(value: object, _: object) -> str:
    """An id: 1 to 64 printable ASCII characters without blanks."""
    if type(value) is not str or not _ID.fullmatch(value):
        raise ValueError("expected an id of 1 to 64 printable ASCII characters")
    return value


def read_name(value: object, _: object = None) -> models.Name:
    """A name: 1 to 32 graphemes once it is cleaned."""
    if type(value) is not str or len(value) > MAX_NAME * 16:
        raise ValueError(f"expected a name of 1 to {MAX_NAME} characters")
    clean = text.one_line(value)
    is_long = len(clean.encode()) > MAX_NAME_BYTES or text.longest_grapheme(clean) > MAX_GRAPHEME
    if is_long or not 1 <= text.count_graphemes(clean) <= MAX_NAME:
        raise ValueError(f"expected a name of 1 to {MAX_NAME} characters")
    return models.Name(clean)


def read_text(value: object, _: object) -> models.Text:
    """A message: not blank, at most 20,000 code points and 64 KiB of UTF-8."""
    if type(value) is not str or not value.strip():
        raise ValueError("expected a text that is not empty")
    if len(value) > MAX_TEXT or len(value.encode()) > MAX_TEXT_BYTES:
        raise ValueError(f"expected at most {MAX_TEXT} characters and {MAX_TEXT_BYTES} bytes")
    return models.Text(text.many_lines(value))


def read_emoji(value: object, _: object) -> models.Emoji:
    """One emoji: the characters of a family or a flag count as one."""
    if type(value) is not str or len(value) > MAX_EMOJI_BYTES or not text.is_emoji(value):
        raise ValueError("expected one emoji")
    if len(value.encode()) > MAX_EMOJI_BYTES:
        raise ValueError(f"expected at most {MAX_EMOJI_BYTES} bytes")
    return models.Emoji(value)


def read_reason(value: object, _: object) -> models.Reason:
    """A short remark on one line."""
    if type(value) is not str or len(value) > MAX_REASON:
        raise ValueError(f"expected at most {MAX_REASON} characters")
    return models.Reason(text.one_line(value))


def read_reply(value: object, _: object) -> models.MessageId:
    """A message's id, or an object that has one."""
    if isinstance(value, dict):
        value = value.get("messageId")
    return models.MessageId(read_id(value, None))


def read_direction(value: object, _: object) -> models.Direction:
    """A direction; `recv` is one more word for `receive`."""
    return models.Direction.RECEIVE if value == "recv" else models.Direction(value)


# -- the converter -----------------------------------------------------------------------------------------------------
def make_converter(*, detailed: bool = False) -> cattrs.Converter:
    """A converter; a detailed one is slower and says where a payload is wrong."""
    c = cattrs.Converter(detailed_validation=detailed, prefer_attrib_converters=False)
    for primitive in (str, int, bool):
        c.register_structure_hook(primitive, strict(primitive))
    c.register_structure_hook(float, read_float)
    c.register_structure_hook_func(lambda t: t == rtp_models.ParameterValue, read_scalar)
    for name in ("UserId", "RoomId", "CallId", "MessageId", "TransportId", "ProducerId", "ConsumerId"):
        c.register_structure_hook_func(is_type(getattr(models, name)), read_id)
    c.register_structure_hook_func(is_type(models.Name), read_name)
    c.register_structure_hook_func(is_type(models.Text), read_text)
    c.register_structure_hook_func(is_type(models.Emoji), read_emoji)
    c.register_structure_hook_func(is_type(models.Reason), read_reason)
    c.register_structure_hook(models.Direction, read_direction)

    def fields(cls: type) -> dict[str, Any]:
        return {
            a.name: override(
                rename=camel(a.name),
                omit_if_default=a.default is None,  # an optional field is absent on the wire, not null
                struct_hook=optional(read_reply) if a.name == "reply_to" and a.type == _REPLY_ID else None,
            )
            for a in attrs.fields(attrs.resolve_types(cls))
        }

    def structure(cls: type) -> Callable[[object, object], object]:
        read: Callable[[Any, Any], object] = make_dict_structure_fn(
            cls, c, _cattrs_detailed_validation=detailed, **fields(cls)
        )

        def only_objects(value: object, kind: object) -> object:
            if type(value) is not dict:
                raise TypeError("expected an object")
            return read(value, kind)

        return only_objects

    c.register_structure_hook_factory(attrs.has, structure)
    c.register_unstructure_hook_factory(
        attrs.has, lambda cls: make_dict_unstructure_fn(cls, c, _cattrs_omit_if_default=False, **fields(cls))
    )
    c.register_structure_hook_func(is_tuple, lambda value, kind: read_tuple(c, value, kind))
    return c


_REPLY_ID: Final = models.MessageId | None


def optional(read: Callable[[object, object], T]) -> Callable[[object, object], T | None]:
    """A hook for a field that may be null."""
    return lambda value, kind: None if value is None else read(value, kind)


def is_type(kind: object) -> Callable[[object], bool]:
    """A predicate for one NewType, which `functools.singledispatch` cannot tell from its base."""
    return lambda asked: asked is kind


def is_tuple(kind: object) -> bool:
    """Whether this is one of our lists: every list of the wire is a `tuple[X, ...]`."""
    return getattr(kind, "__origin__", None) is tuple


def read_tuple(c: cattrs.Converter, value: object, kind: Any) -> tuple[object, ...]:
    """A list of bounded length; a string or an object is none."""
    if type(value) is not list or len(value) > MAX_ITEMS:
        raise TypeError("expected a list")
    item = kind.__args__[0]
    read: Callable[[Any, Any], object] = c.get_structure_hook(item)
    if not c.detailed_validation:
        return tuple(read(one, item) for one in value)
    for index, one in enumerate(value):
        try:
            read(one, item)
        except Exception as error:
            error.add_note(IterableValidationNote(f"item {index}", index, item))
            # pyright sees only the constructor of ExceptionGroup
            raise IterableValidationError("not a list", [error], kind) from None  # pyright: ignore[reportCallIssue]
    return ()


FAST: Final = make_converter()
SLOW: Final = make_converter(detailed=True)  # asked only when FAST said no, to say where


# -- events ------------------------------------------------------------------------------------------------------------
def read_request(event: str, payload: object) -> AnyRequest:
    """The request with this wire name and payload.

    Raises:
        Refusal: there is no such event, or the payload is not of its shape.
    """
    row = REQUESTS.get(event)
    if row is None:
        raise refusal(Code.UNKNOWN_EVENT, f"there is no event {text.one_line(event[:40])!r}")
    if type(payload) is not dict:
        raise refusal(Code.INVALID_PAYLOAD, f"{event} takes one object")
    try:
        return cast(AnyRequest, FAST.structure(payload, row.cls))
    except Exception:
        raise refusal(Code.INVALID_PAYLOAD, explain(payload, row.cls)) from None


def read_notice(event: str, payload: object) -> AnyNotice | None:
    """The notice with this wire name and payload; None for an event we do not know, which is no error.

    Raises:
        ValueError: the payload is not of its shape.
    """
    row = NOTICES.get(event)
    if row is None:
        return None
    return cast(AnyNotice, _read(payload, row.cls, event))


def read_ack(payload: object, kind: type[T]) -> T:
    """The answer in an ack's one argument.

    Raises:
        Refusal: the server said no.
        ValueError: it is no answer of this kind.
    """
    if type(payload) is not dict:
        raise ValueError("an ack takes one object")
    if payload.get("success") is True:
        return _read(payload, kind, kind.__name__)
    after = payload.get("retryAfter")
    raise Refusal(
        text.one_line(str(payload.get("code", Code.INTERNAL.value))[:64]),
        text.one_line(str(payload.get("error", "refused"))[:MAX_REASON]),
        payload.get("canRetry") is True,
        float(after) if isinstance(after, int | float) else None,
    )


def _read(payload: object, kind: type[T], what: str) -> T:
    try:
        return FAST.structure(payload, kind)
    except Exception:
        raise ValueError(f"{what}: {explain(payload, kind)}") from None


def explain(payload: object, kind: type) -> str:
    """What is wrong with a payload, and where, in the sender's own words."""
    try:
        SLOW.structure(payload, kind)
    except Exception as error:
        lines = cattrs.transform_error(error, format_exception=what_is_wrong)
        return text.one_line("; ".join(wire_path(line) for line in lines)[:MAX_REASON])
    return "not valid"


def what_is_wrong(error: BaseException, kind: type | None) -> str:
    """One thing that is wrong, without the names of our classes."""
    if isinstance(error, KeyError):
        return "required field missing"
    if isinstance(error, ValueError) and isinstance(kind, type) and issubclass(kind, enum.Enum):
        return "expected one of " + ", ".join(str(member.value) for member in kind)
    return str(error) if isinstance(error, ValueError | TypeError) else "not valid"


def wire_path(line: str) -> str:
    """`expected str @ $.reply_to` as the sender knows it: `expected str @ $.replyTo`."""
    what, at, path = line.rpartition(" @ ")
    return what + at + ".".join(camel(step) for step in path.split("."))


def write_notice(told: Notice) -> tuple[str, dict[str, Any]]:
    """A notice's wire name and payload."""
    return NAME_OF[type(told)], FAST.unstructure(told)


def write_request(asked: AnyRequest) -> dict[str, Any]:
    """A request's payload."""
    return cast("dict[str, Any]", FAST.unstructure(asked))


def write_ack(ack: Ack) -> dict[str, Any]:
    """An answer's one argument."""
    return {"success": True, **FAST.unstructure(ack)}


def write_refusal(no: Refusal) -> dict[str, Any]:
    """A refusal's one argument."""
    written: dict[str, Any] = {"success": False, "error": no.error, "code": no.code, "canRetry": no.can_retry}
    if no.retry_after is not None:
        written["retryAfter"] = no.retry_after
    return written
