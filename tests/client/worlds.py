"""Made-up people, rooms and notices, for tests and for Hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from palaver_client import ClientState, Sound
from palaver_client.reduce import reduce
from palaver_protocol.models import (
    CallId,
    ChatMessage,
    EndReason,
    HostChange,
    MessageId,
    Name,
    NoticeLevel,
    Participant,
    ProducerId,
    ProducerRef,
    Reason,
    Ringing,
    RoomId,
    RoomStatus,
    RoomType,
    RoomView,
    Speaker,
    Text,
    TransportId,
    User,
    UserId,
    UserStatus,
)
from palaver_protocol.notices import (
    ActiveSpeakers,
    AnyNotice,
    CallAccepted,
    CallAcceptedNew,
    CallCancelled,
    CallEnded,
    CallRejected,
    CallRejectedNew,
    CallTimeout,
    HostChanged,
    IncomingCall,
    IncomingCallNew,
    MediaReset,
    MessageDeleted,
    MessageEdited,
    NewMessage,
    NewProducer,
    OnlineUsersUpdated,
    ParticipantMediaStateUpdated,
    ProducerClosed,
    RecordingStateChanged,
    RoomHostless,
    RoomListUpdated,
    ServerNotice,
    Snapshot,
    TransportFailed,
    UserJoined,
    UserLeft,
)
from palaver_protocol.rtp_models import Kind

ANN, BOB, CEM = UserId("ann"), UserId("bob"), UserId("cem")
LOBBY, ELSEWHERE = RoomId("lobby"), RoomId("elsewhere")
NOW = 100.0  # s on Trio's clock


def person(user_id: UserId, *tracks: str, is_host: bool = False) -> Participant:
    refs = tuple(ProducerRef(ProducerId(track), Kind.AUDIO) for track in tracks)
    return Participant(user_id, Name(user_id.title()), f"s-{user_id}", 1_000, is_host, producer_ids=refs)


def room(*people: Participant, room_id: RoomId = LOBBY) -> RoomView:
    return RoomView(
        room_id, RoomType.GROUP, Name("Lobby"), ANN, Name("Ann"), RoomStatus.ACTIVE, 1_000, participants=people
    )


def in_room(*people: Participant) -> ClientState:
    """Ann's state, in the lobby with these people."""
    me = person(ANN, is_host=True)
    return ClientState(ANN, Name("Ann"), room=room(me, *people), sound=Sound(levels={p.user_id: -20.0 for p in people}))


def message(number: int, content: str = "hello", user_id: UserId = BOB) -> NewMessage:
    return NewMessage.of(
        ChatMessage(MessageId(f"m{number}"), user_id, Name(user_id.title()), Text(content), 1_000 + number)
    )


def reduced(state: ClientState, told: AnyNotice) -> ClientState:
    """The state after a notice at `NOW`."""
    return reduce(state, told, NOW)


users = st.sampled_from([ANN, BOB, CEM])
rooms = st.sampled_from([LOBBY, ELSEWHERE])
producers = st.sampled_from([ProducerId(f"p{number}") for number in range(3)])
kinds = st.sampled_from(Kind)
names = st.sampled_from([Name("Ann"), Name("Bob")])
message_ids = st.sampled_from([MessageId(f"m{number}") for number in range(4)])
reasons = st.sampled_from([Reason(""), Reason("because")])

call_ids = st.sampled_from([CallId("c1"), CallId("c2"), CallId(LOBBY)])
rings_for = st.sampled_from([None, 30_000])
ringing = st.builds(Ringing, call_ids, users, names, users, names, st.just(1_000), st.none() | rooms)

notices: st.SearchStrategy[AnyNotice] = st.one_of(
    st.builds(OnlineUsersUpdated, st.just((User(BOB, Name("Bob"), UserStatus.IDLE, 1_000),))),
    st.builds(RoomListUpdated, st.just(())),
    st.builds(IncomingCall, rooms, st.sampled_from(RoomType), users, names, rings_for),
    st.builds(IncomingCallNew, call_ids, users, names, rings_for),
    st.builds(CallAccepted, users, rooms),
    st.builds(CallAcceptedNew, call_ids, rooms, st.just(room(person(ANN), person(BOB)))),
    st.builds(CallRejected, users, names, rooms, st.none() | reasons),
    st.builds(CallRejectedNew, call_ids, reasons | st.just(Reason("busy"))),
    st.builds(CallCancelled, call_ids),
    st.builds(CallTimeout, call_ids),
    st.builds(UserJoined, users, names, st.just("s")),
    st.builds(UserLeft, users, rooms),
    st.builds(message, st.integers(0, 3), user_id=users),
    st.builds(MessageEdited, message_ids, st.just(Text("better")), st.just(2_000)),
    st.builds(MessageDeleted, message_ids),
    st.builds(HostChanged, rooms, users, names, st.sampled_from(HostChange)),
    st.builds(NewProducer, producers, users, kinds),
    st.builds(ProducerClosed, producers, users),
    st.builds(ParticipantMediaStateUpdated, users, names, st.booleans(), st.booleans(), st.booleans()),
    st.builds(RecordingStateChanged, rooms, users, st.booleans()),
    st.builds(ActiveSpeakers, rooms, st.just((Speaker(BOB, ProducerId("p0"), 30),))),
    st.builds(
        Snapshot,
        st.just(User(ANN, Name("Ann"), UserStatus.IN_CALL, 1_000)),
        st.just(()),
        st.just(()),
        st.tuples(ringing, ringing),
        st.none() | st.just(room(person(ANN), person(BOB))),
    ),
    st.builds(RoomHostless, rooms, reasons),
    st.builds(CallEnded, rooms, st.none(), st.sampled_from(EndReason)),
    st.builds(TransportFailed, st.just(TransportId("t")), reasons),
    st.builds(MediaReset, rooms, reasons),
    st.builds(ServerNotice, st.sampled_from(NoticeLevel), st.just("code"), reasons),
)
