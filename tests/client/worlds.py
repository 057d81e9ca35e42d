"""Made-up people, rooms and notices, for tests and for Hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from palaver_client import ClientState, Sound
from palaver_protocol.models import (
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
    RoomId,
    RoomStatus,
    RoomType,
    RoomView,
    Text,
    TransportId,
    User,
    UserId,
    UserStatus,
)
from palaver_protocol.notices import (
    AnyNotice,
    CallEnded,
    HostChanged,
    MediaReset,
    MessageDeleted,
    MessageEdited,
    NewMessage,
    NewProducer,
    OnlineUsersUpdated,
    ParticipantMediaStateUpdated,
    ProducerClosed,
    RoomHostless,
    RoomListUpdated,
    ServerNotice,
    TransportFailed,
    UserJoined,
    UserLeft,
)
from palaver_protocol.rtp_models import Kind

ANN, BOB, CEM = UserId("ann"), UserId("bob"), UserId("cem")
LOBBY, ELSEWHERE = RoomId("lobby"), RoomId("elsewhere")


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


users = st.sampled_from([ANN, BOB, CEM])
rooms = st.sampled_from([LOBBY, ELSEWHERE])
producers = st.sampled_from([ProducerId(f"p{number}") for number in range(3)])
kinds = st.sampled_from(Kind)
names = st.sampled_from([Name("Ann"), Name("Bob")])
message_ids = st.sampled_from([MessageId(f"m{number}") for number in range(4)])
reasons = st.sampled_from([Reason(""), Reason("because")])

notices: st.SearchStrategy[AnyNotice] = st.one_of(
    st.builds(OnlineUsersUpdated, st.just((User(BOB, Name("Bob"), UserStatus.IDLE, 1_000),))),
    st.builds(RoomListUpdated, st.just(())),
    st.builds(UserJoined, users, names, st.just("s")),
    st.builds(UserLeft, users, rooms),
    st.builds(message, st.integers(0, 3), user_id=users),
    st.builds(MessageEdited, message_ids, st.just(Text("better")), st.just(2_000)),
    st.builds(MessageDeleted, message_ids),
    st.builds(HostChanged, rooms, users, names, st.sampled_from(HostChange)),
    st.builds(NewProducer, producers, users, kinds),
    st.builds(ProducerClosed, producers, users),
    st.builds(ParticipantMediaStateUpdated, users, names, st.booleans(), st.booleans()),
    st.builds(RoomHostless, rooms, reasons),
    st.builds(CallEnded, rooms, st.none(), st.sampled_from(EndReason)),
    st.builds(TransportFailed, st.just(TransportId("t")), reasons),
    st.builds(MediaReset, rooms, reasons),
    st.builds(ServerNotice, st.sampled_from(NoticeLevel), st.just("code"), reasons),
)
