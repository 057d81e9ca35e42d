"""The protocol's two documents: up to date, true to what is written and read, and true to the server's numbers."""

import enum
import subprocess
import sys
from pathlib import Path
from types import UnionType
from typing import Union, get_args, get_origin

import attrs
import jsonschema_rs
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palaver_protocol import converter, models, rtp_models
from palaver_protocol.describe import to_json, to_markdown
from palaver_protocol.engineio import Settings
from palaver_protocol.guide import BESIDES, CODES, LIMITS, refusals
from palaver_protocol.requests import AnyRequest
from palaver_protocol.schema import make_schema
from palaver_protocol.table import NOTICES, REQUESTS, Code, Refusal, refusal
from palaver_server import call_rules, calls, chat, connection, exchange, room_media, session
from palaver_server.policy import Policy

ROOT = Path(__file__).parents[2]
SCHEMA = make_schema()


# -- up to date --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("file", "text"), [("protocol.md", to_markdown()), ("protocol.json", to_json(SCHEMA))])
def test_the_documents_are_up_to_date(file, text):
    assert (ROOT / "docs" / file).read_text() == text, "run scripts/protocol_document.py"


def test_the_script_says_what_is_stale():
    command = [sys.executable, ROOT / "scripts/protocol_document.py", "--check"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""


def test_every_event_code_and_link_is_in_the_document():
    text = to_markdown()
    headings = {line.lstrip("# ").lower().replace(" ", "-") for line in text.splitlines() if line.startswith("##")}
    assert {event.lower() for event in REQUESTS | NOTICES} <= headings
    assert {link.partition(")")[0] for link in text.split("](#")[1:]} <= headings
    assert set(CODES) == set(Code)
    assert set(BESIDES) <= set(REQUESTS)
    assert {code for row in REQUESTS.values() for code in refusals(row)} | {Code.UNKNOWN_EVENT} >= set(Code) - {
        Code.TOO_LARGE,
    }


def test_the_limits_are_the_servers():
    settings, policy = Settings(), Policy()
    stated = {limit.name: limit.value for limit in LIMITS}
    assert (
        stated
        | {
            "frame": settings.max_payload,
            "budget": session.BUDGET,
            "refill": session.REFILL,
            "kept": chat.MAX_MESSAGES,
            "keptBytes": chat.MAX_BYTES,
            "shown": chat.IN_A_VIEW,
            "page": chat.MAX_PAGE,
            "quote": chat.MAX_QUOTE,
            "reactions": chat.MAX_REACTIONS,
            "reactors": chat.MAX_REACTORS,
            "producers": room_media.MAX_PRODUCERS,
            "consumers": room_media.MAX_CONSUMERS,
            "produced": room_media.MAX_PRODUCED,
            "consumed": room_media.MAX_CONSUMED,
            "invited": exchange.MAX_INVITED,
            "rings": calls.MAX_RINGING,
            "rejections": call_rules.REJECTIONS,
            "cooldown": call_rules.WHILE,
            "ring": policy.ring_timeout,
            "hostGrace": policy.host_grace,
            "resumeGrace": policy.resume_grace,
            "speakers": policy.speakers,
            "speakersAbove": policy.speakers_above,
            "connect": connection.CONNECT_PATIENCE,
            "pingInterval": settings.ping_interval,
            "pingTimeout": settings.ping_timeout,
        }
        == stated
    )


# -- true --------------------------------------------------------------------------------------------------------------
def validator(reference):
    return jsonschema_rs.Draft202012Validator({"$defs": SCHEMA["$defs"], **reference})


def test_it_is_json_schema():
    jsonschema_rs.meta.validate(SCHEMA)


IDS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=64)
WORDS = st.text("abcä🙂 ", min_size=1, max_size=20).map(lambda text: f"x{text}".strip())
SCALARS = {
    "Name": WORDS,
    "Text": WORDS,
    "Reason": WORDS | st.just(""),
    "Emoji": st.sampled_from(["👍", "👨‍👩‍👧", "🇨🇭"]),
}


def values(kind):
    """Values of a type of the table."""
    if kind == rtp_models.ParameterValue:
        return WORDS | st.integers(-9, 9) | st.booleans() | st.just(0.5)
    if hasattr(kind, "__supertype__"):
        return SCALARS.get(kind.__name__, IDS)
    if kind in (str, int, bool):
        return {str: WORDS, int: st.integers(0, 2**40), bool: st.booleans()}[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return st.none() | values(arguments[0])
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=2).map(tuple)
    if origin is dict:
        return st.dictionaries(WORDS, values(arguments[1]), max_size=2)
    if issubclass(kind, enum.Enum):
        return st.sampled_from(kind)
    fields = attrs.fields(attrs.resolve_types(kind))
    return st.builds(kind, **{a.alias: values(a.type) for a in fields})


def on_the_wire(payload):
    return orjson.loads(orjson.dumps(payload))


@pytest.mark.parametrize("event", NOTICES)
def test_every_notice_is_written_as_the_schema_says(event):
    row, valid = NOTICES[event], validator(SCHEMA["notices"][event]["payload"])

    @settings(max_examples=25)
    @given(values(row.cls))
    def check(told):
        name, payload = converter.write_notice(told)
        valid.validate(on_the_wire(payload))
        whole = validator({"anyOf": SCHEMA["anyOf"]})
        whole.validate(on_the_wire([name, payload]))

    check()


@pytest.mark.parametrize("event", REQUESTS)
def test_every_answer_is_written_as_the_schema_says(event):
    row, valid = REQUESTS[event], validator(SCHEMA["requests"][event]["ack"])

    @settings(max_examples=25)
    @given(values(row.ack))
    def check(given_answer):
        valid.validate(on_the_wire(converter.write_ack(given_answer)))

    check()


def test_a_refusal_is_written_as_the_schema_says():
    valid = validator({"$ref": "#/$defs/Refusal"})
    for code in Code:
        valid.validate(converter.write_refusal(refusal(code, "no", retry_after=0.5)))


STRANGE = st.sampled_from([None, True, 7, -1.5, [], {}, [None], [[]], "no such thing", "recv", {"a": None}])


@st.composite
def spoilt(draw, payload):
    """A payload of which one part, anywhere, is another one or missing."""
    payload = on_the_wire(payload)
    part = payload
    while True:
        keys = list(part) if isinstance(part, dict) else range(len(part))
        key = draw(st.sampled_from(keys))
        if isinstance(part[key], dict | list) and part[key] and draw(st.booleans()):
            part = part[key]
            continue
        if isinstance(part, dict) and draw(st.booleans()):
            del part[key]
        else:
            part[key] = draw(STRANGE)
        return payload


@pytest.mark.parametrize("event", REQUESTS)
def test_what_is_read_is_what_the_schema_takes(event):
    row, valid = REQUESTS[event], validator(SCHEMA["requests"][event]["payload"])

    def is_read(payload):
        try:
            converter.read_request(event, payload)
        except Refusal:
            return False
        return True

    @settings(max_examples=100)
    @given(st.data())
    def check(data):
        asked: AnyRequest = data.draw(values(row.cls))
        written = on_the_wire(converter.write_request(asked))
        assert is_read(written)
        assert valid.is_valid(written)
        payload = data.draw(spoilt(written))
        if event != "reactToMessage" or payload.get("emoji") == written["emoji"]:  # emojis have no pattern
            assert is_read(payload) == valid.is_valid(payload), payload

    check()


def test_a_reply_may_name_a_message_by_an_object():
    valid = validator(SCHEMA["requests"]["sendMessage"]["payload"])
    for reply, is_valid in ((None, True), ({"messageId": "m"}, True), ({}, False), (7, False)):
        assert valid.is_valid({"roomId": "r", "content": "c", "replyTo": reply}) is is_valid


def test_ids_are_what_the_converter_says():
    valid = validator({"$ref": "#/$defs/UserId"})
    for value in ("a", "~!" * 32, "", "a b", "a" * 65, "ä", "a\n", 7, None):
        try:
            converter.read_id(value, models.UserId)
        except ValueError:
            assert not valid.is_valid(value), value
        else:
            assert valid.is_valid(value), value
