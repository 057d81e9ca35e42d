"""Socket.IO v5: dialogues over one link, restated from the official protocol's test cases.

In a dialogue each line is one message: what goes in, and what then comes out or is meant by it.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver_protocol.engineio import RemoteProtocolError
from palaver_protocol.socketio import (
    Acknowledged,
    ClientLink,
    Connecting,
    Decoder,
    Disconnected,
    Event,
    Packet,
    PacketType,
    Refused,
    ServerLink,
    Welcomed,
    encode,
    encode_event,
)


def hear(link, *messages):
    """What these messages mean to a server's link, which lets everybody in."""
    meant = []
    for message in messages:
        for event in link.feed(message):
            meant.append(event)
            if isinstance(event, Connecting):
                assert link.accept(event.namespace, "id") == [
                    "0" + ("" if event.namespace == "/" else event.namespace + ",") + '{"sid":"id"}'
                ]
    return meant


def server():
    return ServerLink(frozenset({"/", "/custom"}))


# -- connecting --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("wire", "meant"),
    [
        ("0", Connecting("/", {})),
        ('0{"token":"123"}', Connecting("/", {"token": "123"})),
        ("0/custom,", Connecting("/custom", {})),
        ("0/custom", Connecting("/custom", {})),
        ('0/custom,{"token":"abc"}', Connecting("/custom", {"token": "abc"})),
        ("0/custom?a=b,", Connecting("/custom", {})),
    ],
)
def test_a_client_asks_for_a_namespace(wire, meant):
    assert hear(server(), wire) == [meant]


def test_an_unknown_namespace_is_refused():
    link = server()
    assert hear(link, "0/random") == []
    assert link.take_refusals() == ['4/random,{"message":"Invalid namespace"}']
    assert link.take_refusals() == []
    with pytest.raises(RemoteProtocolError):
        hear(link, '2/random,["message"]')


def test_refusing_somebody():
    assert server().refuse("/", "who are you?") == ['4{"message":"who are you?"}']


def test_two_namespaces_over_one_link():
    link = server()
    hear(link, "0", "0/custom,")
    assert hear(link, '2["a"]', '2/custom,["b"]') == [Event("/", "a", [], None), Event("/custom", "b", [], None)]
    assert hear(link, "1") == [Disconnected("/")]
    assert hear(link, '2/custom,["c"]') == [Event("/custom", "c", [], None)]
    with pytest.raises(RemoteProtocolError):
        hear(link, '2["a"]')


@pytest.mark.parametrize(
    "messages", [['2["a"]'], ["1"], ['31["a"]'], ["0", "0"], ["0", "1", "1"], ["0/custom,", '2["a"]']]
)
def test_messages_out_of_place(messages):
    with pytest.raises(RemoteProtocolError):
        hear(server(), *messages)


# -- events ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("wire", "meant"),
    [
        ('2["message",1,"2",{"3":[true]}]', Event("/", "message", [1, "2", {"3": [True]}], None)),
        ('2["message"]', Event("/", "message", [], None)),
        ('2456["message-with-ack",1,"2",{"3":[false]}]', Event("/", "message-with-ack", [1, "2", {"3": [False]}], 456)),
        ('20["a"]', Event("/", "a", [], 0)),
        ('2["a",{"_placeholder":true,"num":0}]', Event("/", "a", [{"_placeholder": True, "num": 0}], None)),
        ('3456[1,"2",{"3":[false]}]', Acknowledged("/", 456, [1, "2", {"3": [False]}])),
        ("30[]", Acknowledged("/", 0, [])),
    ],
)
def test_events_and_acks(wire, meant):
    assert hear(server(), "0", wire)[1:] == [meant]


def test_bytes_in_an_event_and_in_an_ack():
    placeholders = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}'
    assert hear(server(), "0", f'52-["message",{placeholders}]', b"\1\2\3", b"\4\5\6")[1:] == [
        Event("/", "message", [b"\1\2\3", b"\4\5\6"], None)
    ]
    assert hear(server(), "0", f'52-789["message-with-ack",{placeholders}]', b"\1", b"\2")[1:] == [
        Event("/", "message-with-ack", [b"\1", b"\2"], 789)
    ]
    assert hear(server(), "0", '61-7[{"deep":[{"_placeholder":true,"num":0}]}]', b"")[1:] == [
        Acknowledged("/", 7, [{"deep": [b""]}])
    ]


def test_bytes_go_out_after_their_text():
    event = Packet(PacketType.EVENT, ["message-back", b"\1\2\3", {"more": (b"\4",)}])
    assert encode(event) == [
        '52-["message-back",{"_placeholder":true,"num":0},{"more":[{"_placeholder":true,"num":1}]}]',
        b"\1\2\3",
        b"\4",
    ]
    assert encode(Packet(PacketType.ACK, [b"x"], "/custom", 5)) == ['61-/custom,5[{"_placeholder":true,"num":0}]', b"x"]
    assert encode(Packet(PacketType.EVENT, ["a", 1], "/custom", 12)) == ['2/custom,12["a",1]']
    assert encode_event("a", {"b": 1}) == '2["a",{"b":1}]'


@pytest.mark.parametrize(
    "messages",
    [
        ["abc"],  # from the official cases: unknown type, wrong payload, wrong ack id
        ["2{}"],
        ['2abc["message-with-ack",1,"2",{"3":[false]}]'],
        [""],
        ["7"],
        ["2"],
        ["2[]"],
        ["2[1]"],
        ['2"a"'],
        ["2[null]"],
        ['2["a"'],
        ['2["a"]x'],
        ['2["a",NaN]'],
        ['2["\\ud800"]'],
        ["2" + "[" * 5000],
        ["3[]"],
        ["31"],
        ["31{}"],
        ['299999999999999999["a"]'],
        ['29007199254740992["a"]'],
        ["1{}"],
        ["0[]"],
        ["05"],
        ['4{"message":"no"}'],
        ['5["a"]'],
        ['50-["a"]'],
        ['517-["a"]'],
        ['5-1-["a"]'],
        ['5x-["a"]'],
        ['5\u0661-["a"]'],
        ["6" * 20],
        ['61-[{"_placeholder":true,"num":0}]'],  # no id
        [b"bytes of nothing"],
        ['51-["a",{"_placeholder":true,"num":1}]', b"x"],
        ['51-["a",{"_placeholder":true,"num":-1}]', b"x"],
        ['51-["a"]', '2["b"]'],  # interleaved
        ['52-["a"]', b"x", "0/custom,"],
        ['51-["a",' + "[" * 900 + '{"_placeholder":true,"num":0}' + "]" * 900 + "]", b"x"],
    ],
)
def test_what_breaks_the_protocol(messages):
    with pytest.raises(RemoteProtocolError):
        hear(server(), "0", *messages)


# -- a client's link ---------------------------------------------------------------------------------------------------
def test_a_client_from_its_connect_to_its_disconnect():
    link = ClientLink()
    assert link.connect({"userId": "ann"}) == ['0{"userId":"ann"}']
    assert link.feed('0{"sid":"id"}') == Welcomed({"sid": "id"})
    first, sent = link.ask("joinRoom", {"roomId": "r"})
    assert sent == [f'2{first}["joinRoom",{{"roomId":"r"}}]']
    second, _ = link.ask("leaveRoom", {"roomId": "r"})
    assert first != second
    assert link.feed('2["userLeft",{"userId":"bob"}]') == Event("/", "userLeft", [{"userId": "bob"}], None)
    assert link.feed(f'3{first}[{{"success":true}}]') == Acknowledged("/", first, [{"success": True}])
    assert link.feed('51-["picture",{"_placeholder":true,"num":0}]') is None
    assert link.feed(b"pixels") == Event("/", "picture", [b"pixels"], None)
    assert link.leave() == ["1"]


def test_a_client_is_refused_or_sent_away():
    assert ClientLink().feed('4{"message":"no"}') == Refused("no")
    assert ClientLink().feed('4"old style"') == Refused("old style")
    link = ClientLink()
    link.feed("0")
    assert link.feed("1") == Disconnected("/")
    assert not link.is_connected


@pytest.mark.parametrize(
    "messages", [['2["a"]'], ["1"], ["0", "0"], ["0", "4{}"], ["0/other,"], ["0", '2/other,["a"]']]
)
def test_a_server_out_of_place(messages):
    link = ClientLink()
    *before, last = messages
    for message in before:
        link.feed(message)
    with pytest.raises(RemoteProtocolError):
        link.feed(last)


# -- anything at all ---------------------------------------------------------------------------------------------------
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=8,
)
WITH_BYTES = st.recursive(
    JSON | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)


def attachments_of(data):
    if isinstance(data, bytes):
        return 1
    inner = data if isinstance(data, list) else data.values() if isinstance(data, dict) else ()
    return sum(attachments_of(item) for item in inner)


@given(
    NAMES, st.lists(WITH_BYTES, max_size=3), st.sampled_from(["/", "/custom"]), st.none() | st.integers(0, 2**53 - 1)
)
def test_whatever_is_sent_arrives(name, arguments, namespace, ack_id):
    if attachments_of(arguments) > 16 or "_placeholder" in repr(arguments):
        return
    packet = Packet(PacketType.EVENT, [name, *arguments], namespace, ack_id)
    decoder = Decoder()
    *parts, last = [decoder.feed(message) for message in encode(packet)]
    assert parts == [None] * len(parts)
    assert last == packet


HOSTILE = st.one_of(
    st.text(max_size=30),
    st.binary(max_size=8),
    st.from_regex(r"[0-6]([0-9]{1,3}-)?(/[a-z]{0,6},)?[0-9]{0,3}[\[{\"a1,}\]]{0,6}", fullmatch=True),
    st.builds(
        lambda kind, count, data: f"{kind}{count}-{data}",
        st.sampled_from("56"),
        st.integers(-1, 3),
        st.sampled_from(['["a",{"_placeholder":true,"num":0}]', '7[{"_placeholder":true,"num":true}]', '["a"]', "[]"]),
    ),
    st.sampled_from(["0", "1", "0/custom,", '2["a",1]', '37["a"]', "4{}"]),
)


@given(st.lists(HOSTILE, max_size=8), st.sampled_from([server, ClientLink]))
def test_any_messages_are_understood_or_break_the_protocol(messages, make):
    link = make()
    for message in messages:
        try:
            if isinstance(link, ServerLink):
                hear(link, message)
            else:
                link.feed(message)
        except RemoteProtocolError:
            return
