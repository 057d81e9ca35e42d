"""JSON to events and back: strict, within limits, and with errors in the sender's own words."""

import enum
import types
import typing
from functools import cache

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver_protocol import models
from palaver_protocol.converter import (
    camel,
    read_ack,
    read_notice,
    read_request,
    write_ack,
    write_notice,
    write_refusal,
    write_request,
)
from palaver_protocol.notices import UserJoined
from palaver_protocol.requests import Done, SendMessage
from palaver_protocol.table import NOTICES, REQUESTS, Code, Refusal, refusal
from palaver_protocol.text import one_line

IDS = st.text("abcXYZ019-_~!", min_size=1, max_size=64)
LINES = st.text(max_size=20).map(one_line)
NEW_TYPES = {
    models.Name: LINES.filter(lambda line: line != ""),
    models.Text: st.text("abc \n\té\U0001f600", min_size=1, max_size=40).filter(str.strip),
    models.Reason: LINES,
    models.Emoji: st.sampled_from(["👍", "❤️", "🇩🇪"]),
    **{getattr(models, name): IDS for name in dir(models) if name.endswith("Id")},
}
SCALARS = st.text(max_size=5) | st.integers(-(2**53), 2**53) | st.booleans() | st.floats(-1e9, 1e9)


@cache
def values(kind):
    """All values of a type of the wire."""
    if kind in NEW_TYPES:
        return NEW_TYPES[kind]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=2).map(tuple)
    if origin is dict:
        return st.dictionaries(st.text(max_size=5), SCALARS, max_size=2)
    if origin in (types.UnionType, typing.Union):
        return st.one_of([st.none() if part is types.NoneType else values(part) for part in arguments])
    if attrs.has(kind):
        return st.builds(kind, **{field.name: values(field.type) for field in attrs.fields(attrs.resolve_types(kind))})
    if issubclass(kind, enum.Enum):
        return st.sampled_from(kind)
    return {str: st.text(max_size=10), bool: st.booleans(), int: st.integers(-(2**53), 2**53)}[kind]


def wire(payload):
    """As it arrives: nothing but JSON."""
    return orjson.loads(orjson.dumps(payload))


def outcome(read, *arguments):
    """What is read, or the exception that may be raised instead."""
    try:
        return read(*arguments)
    except (Refusal, ValueError) as error:
        return error


# -- everything in the table -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("event", REQUESTS)
@given(st.data())
def test_requests_and_their_answers_come_back_as_they_went(event, data):
    row = REQUESTS[event]
    asked = data.draw(values(row.cls))
    assert read_request(event, wire(write_request(asked))) == asked
    given_ = data.draw(values(row.ack))
    written = wire(write_ack(given_))
    assert written["success"] is True
    assert read_ack(written, row.ack) == given_


@pytest.mark.parametrize("event", NOTICES)
@given(st.data())
def test_notices_come_back_as_they_went(event, data):
    told = data.draw(values(NOTICES[event].cls))
    name, payload = write_notice(told)
    assert name == event
    assert read_notice(event, wire(payload)) == told


def test_optional_fields_are_absent_and_not_null():
    asked = SendMessage(models.RoomId("r"), models.Text("hi"))
    assert write_request(asked) == {"roomId": "r", "content": "hi"}
    assert read_request("sendMessage", {"roomId": "r", "content": "hi", "replyTo": None}) == asked


def test_names_of_the_wire():
    assert [camel(name) for name in ("from_", "room_id", "is_video_enabled", "id")] == [
        "from",
        "roomId",
        "isVideoEnabled",
        "id",
    ]
    told = UserJoined(models.UserId("u"), models.Name("n"), "s")
    assert write_notice(told) == ("userJoined", {"userId": "u", "userName": "n", "socketId": "s"})


def test_what_we_do_not_know_is_no_error_to_a_client():
    assert read_notice("somethingNew", {"a": 1}) is None
    assert read_notice("userJoined", {"userId": "u", "userName": "n", "socketId": "s", "shoeSize": 44}) is not None
    with pytest.raises(ValueError, match=r"userJoined: .*\$\.userName"):
        read_notice("userJoined", {"userId": "u", "userName": 5, "socketId": "s"})


# -- what strangers send -----------------------------------------------------------------------------------------------
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.just("\ud800"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["roomId", "content", "codecs", "ssrc", "x"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.sampled_from([*REQUESTS, "noSuchEvent", ""]), ANY_JSON)
def test_any_payload_is_a_request_or_refused(event, payload):
    match outcome(read_request, event, payload):
        case Refusal() as no:
            assert no.code == (Code.INVALID_PAYLOAD if event in REQUESTS else Code.UNKNOWN_EVENT).value
            assert no.can_retry is False
            orjson.dumps(write_refusal(no))
        case asked:
            assert isinstance(asked, REQUESTS[event].cls)


@pytest.mark.parametrize("event", REQUESTS)
@given(st.data())
def test_a_right_payload_with_one_wrong_spot_is_a_request_or_refused(event, data):
    payload = wire(write_request(data.draw(values(REQUESTS[event].cls))))
    place = payload
    while True:  # walk down to some spot and put something else there
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
            place = place[key]
        else:
            place[key] = data.draw(ANY_JSON)
            break
    match outcome(read_request, event, payload):
        case Refusal() as no:
            assert no.code == Code.INVALID_PAYLOAD.value
            assert "palaver" not in no.error
        case asked:
            assert isinstance(asked, REQUESTS[event].cls)


@pytest.mark.parametrize("value", ["no", 1, 0, None, [], {}])
def test_only_a_boolean_is_one(value):
    with pytest.raises(Refusal, match="isMuted"):
        read_request("mediaStateChanged", {"roomId": "r", "isMuted": value, "isVideoEnabled": True})


@pytest.mark.parametrize("value", [True, 1.0, "1", None, [1], {}])
def test_only_an_integer_is_one(value):
    codec = {"mimeType": "audio/opus", "payloadType": value, "clockRate": 48000}
    with pytest.raises(Refusal, match=r"rtpParameters\.codecs\[0\]\.payloadType|payloadType"):
        read_request(
            "produce", {"roomId": "r", "transportId": "t", "kind": "audio", "rtpParameters": {"codecs": [codec]}}
        )


@pytest.mark.parametrize("value", [5, True, None, ["r"], {"r": 1}, "", "a b", "ü", "x" * 65, "a\n", "\x00"])
def test_only_a_short_printable_text_is_an_id(value):
    with pytest.raises(Refusal, match="roomId"):
        read_request("joinRoom", {"roomId": value})


@pytest.mark.parametrize(
    ("event", "payload", "says"),
    [
        ("joinRoom", {}, "roomId"),
        ("createRoom", {"roomType": "GROUP"}, "expected one of group, direct @ $.roomType"),
        ("sendMessage", {"roomId": "r", "content": "x", "replyTo": 5}, "$.replyTo"),
        ("createRoom", {"roomType": "group", "joinExisting": "yes"}, "expected bool @ $.joinExisting"),
        ("createRoom", {"roomType": "group", "invitedUserIds": "ann"}, "expected a list @ $.invitedUserIds"),
        ("createRoom", {"roomType": "group", "invitedUserIds": ["a", 5]}, "$.invitedUserIds[1]"),
        (
            "connectTransport",
            {"transportId": "t", "dtlsParameters": {"fingerprints": [{"algorithm": 1, "value": "v"}]}},
            "expected str @ $.dtlsParameters.fingerprints[0].algorithm",
        ),
        ("joinRoom", None, "joinRoom takes one object"),
        ("joinRoom", ["r"], "joinRoom takes one object"),
    ],
)
def test_an_error_says_where_in_the_senders_own_words(event, payload, says):
    with pytest.raises(Refusal) as refused:
        read_request(event, payload)
    assert says in refused.value.error


@pytest.mark.parametrize(
    ("name", "is_fine"),
    [
        ("x" * 32, True),
        ("x" * 33, False),
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467" * 32, True),
        ("é" * 32, True),
        ("", False),
        (" \t", False),
        ("x" * 513, False),
        ("\u200d".join(["\U0001f600"] * 11), False),  # which a person sees as one
        (" a  b ", True),
    ],
)
def test_a_name_is_one_to_thirty_two_graphemes(name, is_fine):
    payload = {"roomType": "group", "roomName": name}
    if is_fine:
        assert read_request("createRoom", payload).room_name == one_line(name)
    else:
        with pytest.raises(Refusal, match="roomName"):
            read_request("createRoom", payload)


@pytest.mark.parametrize("size", [20_000, 20_001])
def test_a_message_has_at_most_twenty_thousand_code_points(size):
    payload = {"roomId": "r", "content": "x" * size}
    if size <= 20_000:
        assert read_request("sendMessage", payload).content == "x" * size
    else:
        with pytest.raises(Refusal, match="content"):
            read_request("sendMessage", payload)


def test_recv_is_one_more_word_for_receive():
    for word in ("recv", "receive"):
        assert read_request("createTransport", {"roomId": "r", "direction": word}).direction.value == "receive"


# -- refusals ----------------------------------------------------------------------------------------------------------
def test_a_refusal_over_the_wire():
    no = refusal(Code.RATE_LIMITED, "slower", retry_after=0.5)
    written = wire(write_refusal(no))
    assert written == {"success": False, "error": "slower", "code": "rateLimited", "canRetry": True, "retryAfter": 0.5}
    with pytest.raises(Refusal) as refused:
        read_ack(written, Done)
    assert attrs.astuple(refused.value) == attrs.astuple(no)
    assert "retryAfter" not in write_refusal(refusal(Code.ENDED, "over"))


@pytest.mark.parametrize("ack", [None, [], "yes", {"success": True, "message": 5}])
def test_what_is_no_answer(ack):
    with pytest.raises(ValueError, match=r".+"):
        read_ack(ack, Done)


@given(st.dictionaries(st.sampled_from(["success", "error", "code", "canRetry", "retryAfter"]), ANY_JSON))
def test_any_answer_is_read_or_refused(ack):
    match outcome(read_ack, ack, Done):
        case Refusal() as no:
            assert ack.get("success") is not True
            assert isinstance(no.code, str)
            assert isinstance(no.error, str)
        case ValueError():
            assert ack["success"] is True
        case done:
            assert isinstance(done, Done)
