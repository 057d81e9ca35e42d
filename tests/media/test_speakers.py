"""Who speaks: when it is reported and in what order, on a clock that can be put forward."""

from collections.abc import Iterator
from itertools import count, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from media.inside import Client, Inside, run
from media_peer import audio
from palaver_media.rtp import AUDIO_LEVEL, RtpPacket
from palaver_media.worker_messages import (
    AddProducer,
    CloseProducer,
    CloseRouter,
    MediaKind,
    SpeakersChanged,
    Speaking,
)
from palaver_worker.speakers import HOLD, INTERVAL, LEAD, LOUD, MOST, ONSET, Conversation

FRAME = 0.02  # s of sound in a packet


class Microphone:
    """Somebody whose packets tell how loud they are."""

    numbers = count(1)

    def __init__(self, inside: Inside, client: Client, name: str) -> None:
        self.inside, self.client, self.name, self.ssrc = inside, client, name, next(self.numbers)
        self._sequence = count(1)
        inside.sfu.apply(AddProducer(client.id, name, MediaKind.AUDIO, 48000, self.ssrc, {111: 100}, {3: AUDIO_LEVEL}))

    def packet(self, dbov: int) -> bytes:
        packet = RtpPacket(111, number := next(self._sequence), 960 * number, self.ssrc, b"sound")
        packet.extensions[3] = bytes([0x80 | -dbov])
        return self.client.dtls.protect_rtp(packet.write())

    def close(self) -> None:
        self.inside.sfu.apply(CloseProducer(self.name))


def say(inside: Inside, *levels: tuple[Microphone, int]) -> None:
    """A packet of each of these voices at once."""
    for microphone, dbov in levels:
        microphone.client.send(microphone.packet(dbov))


async def begin(inside: Inside, *levels: tuple[Microphone, int]) -> None:
    """These speak for as long as it takes to be heard, and what follows is reported."""
    for _ in range(ONSET):
        say(inside, *levels)
    await inside.pass_time(INTERVAL)


def voices(inside: Inside, *names: str) -> Iterator[Microphone]:
    client = Client(inside)
    client.connect()
    inside.reports.clear()
    return (Microphone(inside, client, name) for name in names)


def order(report: SpeakersChanged) -> list[str]:
    return [each.producer for each in report.speakers]


def test_the_loudest_is_named_first_and_silence_is_reported_once():
    async def scenario(inside: Inside) -> None:
        ann, bob = voices(inside, "ann", "bob")
        await begin(inside, (ann, -30), (bob, -20))
        both = SpeakersChanged("room", (Speaking("bob", 20), Speaking("ann", 30)))
        assert inside.reports == [both]
        await inside.pass_time(HOLD - INTERVAL - 0.1)
        assert inside.reports == [both]
        for _ in range(3):
            await inside.pass_time(INTERVAL)
        assert inside.reports == [both, SpeakersChanged("room", ())]
        assert not inside.sfu.conversations  # nothing looks any more
        await begin(inside, (ann, -30))
        assert order(inside.reports[-1]) == ["ann"]

    run(scenario)


def test_who_speaks_alone_is_looked_at_when_he_may_have_ended_or_somebody_else_comes_or_goes(monkeypatch):
    async def scenario(inside: Inside) -> None:
        looks: list[float] = []
        with monkeypatch.context() as patch:
            look = Conversation._look
            patch.setattr(Conversation, "_look", lambda self: (looks.append(inside.loop.time()), look(self)))
            ann, bob = voices(inside, "ann", "bob")
            began = inside.loop.time()
            await begin(inside, (ann, -30))
            for _ in range(round(10 * HOLD / FRAME)):
                say(inside, (ann, -30))
                await inside.pass_time(FRAME)
            assert len(looks) <= 2 + (inside.loop.time() - began) / HOLD
            await begin(inside, (bob, -30))
            assert order(inside.reports[-1]) == ["ann", "bob"]
            say(inside, (ann, -30))
            last = inside.loop.time()
            bob.close()
            await inside.pass_time(INTERVAL)
            assert order(inside.reports[-1]) == ["ann"]
            while order(inside.reports[-1]) and inside.loop.time() < last + 3 * HOLD:
                await inside.pass_time(FRAME)
            assert HOLD < inside.loop.time() - last < HOLD + INTERVAL / 2

    run(scenario)


def test_noise_and_clicks_are_no_speech():
    async def scenario(inside: Inside) -> None:
        (ann,) = voices(inside, "ann")
        for _ in range(100):
            for dbov in (0, 0, LOUD - 1, -127, -127):  # a click of 40 ms
                say(inside, (ann, dbov))
        assert not inside.sfu.conversations
        await inside.pass_time(INTERVAL)
        assert not inside.reports

    run(scenario)


def test_two_who_are_about_as_loud_do_not_change_places():
    async def scenario(inside: Inside) -> None:
        ann, bob = voices(inside, "ann", "bob")
        await begin(inside, (ann, -25), (bob, -27))
        for second in range(6):  # in turn a little louder, with a pause between two words
            for number in range(40):
                sway = 4 * (second % 2) + 20 * (number % 2 == 0)
                say(inside, (ann, -38 + sway), (bob, -14 - sway))
                inside.loop.ahead += FRAME
            say(inside, (ann, -127), (bob, -127))
            await inside.pass_time(HOLD - INTERVAL)
        assert [order(each) for each in inside.reports] == [["ann", "bob"]]
        for _ in range(100):
            say(inside, (ann, -25), (bob, -25 + round(LEAD) + 1))
        await inside.pass_time(INTERVAL)
        assert [order(each) for each in inside.reports] == [["ann", "bob"], ["bob", "ann"]]
        levels = [each.level for each in inside.reports[-1].speakers]
        assert levels == [18, 25]

    run(scenario)


def test_a_room_is_reported_at_most_once_in_an_interval():
    async def scenario(inside: Inside) -> None:
        times: list[float] = []
        for voice in voices(inside, *map(str, range(200))):  # one after the other says a word and is gone
            voice.client.check()  # consent
            for _ in range(ONSET):
                say(inside, (voice, -20))
            for change, pause in ((lambda: None, FRAME), (voice.close, voice.ssrc % 20 * FRAME)):
                change()
                await inside.pass_time(pause)
                times += [inside.loop.time()] * (len(inside.reports) - len(times))
        await inside.pass_time(INTERVAL)
        await inside.pass_time(INTERVAL)
        assert not inside.sfu.conversations
        assert len(times) > 10
        assert all(later - earlier > INTERVAL - FRAME for earlier, later in pairwise(times))

    run(scenario)


def test_of_a_crowd_the_loudest_are_named():
    async def scenario(inside: Inside) -> None:
        crowd = list(voices(inside, *map(str, range(MOST + 3))))
        await begin(inside, *((voice, -20 - number) for number, voice in enumerate(crowd)))
        assert order(inside.reports[-1]) == [each.name for each in crowd[:MOST]]
        for _ in range(100):
            say(inside, *((voice, -20 - number) for number, voice in enumerate(crowd[:-1])), (crowd[-1], -19 - MOST))
        await inside.pass_time(INTERVAL)
        assert len(inside.reports) == 1  # a little louder than the last one named
        for _ in range(200):
            say(inside, (crowd[-1], -10))
        await inside.pass_time(INTERVAL)
        assert order(inside.reports[-1]) == [each.name for each in (crowd[-1], *crowd[: MOST - 1])]
        crowd[0].close()
        await inside.pass_time(INTERVAL)
        assert order(inside.reports[-1]) == [each.name for each in (crowd[-1], *crowd[1:MOST])]

    run(scenario)


def test_levels_come_from_packets_and_who_is_closed_speaks_no_more():
    async def scenario(inside: Inside) -> None:
        client = Client(inside)
        client.connect()
        kinds = {"a": MediaKind.AUDIO, "b": MediaKind.AUDIO, "picture": MediaKind.VIDEO}
        for ssrc, (name, kind) in enumerate(kinds.items(), 1):
            inside.sfu.apply(AddProducer(client.id, name, kind, 48000, ssrc, {111: 100}, {3: AUDIO_LEVEL}))
        for sequence in range(ONSET):
            client.send(*(client.dtls.protect_rtp(audio(ssrc, sequence).write()) for ssrc in (1, 2, 3)))
        await inside.pass_time(0)
        assert inside.reports[-1] == SpeakersChanged("room", (Speaking("a", 5), Speaking("b", 5)))
        inside.sfu.apply(CloseProducer("a"))
        await inside.pass_time(INTERVAL)
        assert inside.reports[-1] == SpeakersChanged("room", (Speaking("b", 5),))
        inside.sfu.apply(CloseRouter("room"))
        await inside.pass_time(INTERVAL)
        await inside.pass_time(INTERVAL)
        assert inside.reports[-1] == SpeakersChanged("room", ())
        assert not inside.sfu.conversations

    run(scenario)


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([-127, -51, -50, -40, -20, 0]), st.integers(0, 60))))
@settings(max_examples=50, deadline=None)
def test_reports_differ_are_sorted_and_end_with_nobody(packets):
    async def scenario(inside: Inside) -> None:
        people = list(voices(inside, *"abcd"))
        for number, dbov, frames in packets:
            for _ in range(ONSET):
                say(inside, (people[number], dbov))
            await inside.pass_time(frames * FRAME)
        for _ in range(3):
            await inside.pass_time(HOLD)
        assert not inside.sfu.conversations
        told = [SpeakersChanged("room", ()), *inside.reports]
        assert all(order(one) != order(other) for one, other in pairwise(told))
        for report in told:
            levels = [each.level for each in report.speakers]
            assert levels == sorted(levels)
            assert all(0 <= level <= -LOUD for level in levels)
        assert told[-1] == SpeakersChanged("room", ())

    run(scenario)
