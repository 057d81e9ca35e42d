"""What answers and notices are held against: the schema, the codes of a request, and what a case expects."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from palaver_protocol import socketio
from palaver_protocol.table import NOTICES, Code

from .shape import faults, protocol, shown
from .verdicts import Failed


@lru_cache(maxsize=256)
def notice_faults(text: str) -> tuple[str, ...]:
    """What is wrong with the packet of a notice. The lists come to everybody with the same text: looked at once."""
    packet = socketio.Decoder().feed(text)
    assert packet is not None
    event, *arguments = packet.data
    if event not in NOTICES:
        return ()
    if len(arguments) != 1:
        return (f"{event} has {len(arguments)} arguments instead of one",)
    return tuple(f"{event}, {what}" for what in faults(protocol()["notices"][event]["payload"], arguments[0]))


def answer_faults(event: str, answer: Any) -> Iterator[str]:
    """What is wrong with an answer, by the schema."""
    row = protocol()["requests"].get(event)
    if row is not None and isinstance(answer, dict) and answer.get("success") is True:
        yield from faults(row["ack"], answer)
        return
    yield from faults({"$ref": "#/$defs/Refusal"}, answer)
    if row is not None and isinstance(answer, dict) and answer.get("code") not in row["refusals"]:
        yield f"$.code: {answer.get('code')} is no refusal of {event}"


def check_refusal(what: str, answer: Any, *codes: Code) -> dict[str, Any]:
    """The refusal that an answer must be. Raises Failed."""
    wanted = [code.value for code in codes]
    if not isinstance(answer, dict) or answer.get("success") is not False or answer.get("code") not in wanted:
        raise Failed(f"{what} is refused with {' or '.join(wanted)}", shown(answer))
    return answer


def check_fields(what: str, payload: Any, **fields: Any) -> None:
    """Check some fields of an object. Raises Failed."""
    for name, value in fields.items():
        if not isinstance(payload, dict) or payload.get(name) != value:
            raise Failed(f"{what} has {name} {shown(value)}", shown(payload))


def check(is_so: bool, expected: str, came: Any) -> None:
    """Raise Failed unless it is so."""
    if not is_so:
        raise Failed(expected, shown(came))
