"""The speakers of a big room: who gets a slot, and that a listener hears one unbroken stream whoever has it."""

from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from media.inside import Client, Inside, run
from media_peer import write_nack
from palaver_media import rtp
from palaver_media.rtp import AUDIO_LEVEL, RtpPacket
from palaver_media.srtp import SrtpError
from palaver_media.worker_messages import (
    AddConsumer,
    AddProducer,
    AddSpeakers,
    CloseConsumer,
    CloseConsumers,
    CloseProducer,
    MediaKind,
    PauseConsumer,
    PauseProducer,
    ResumeConsumer,
    ResumeProducer,
    SpeakersChanged,
)
from palaver_worker.speakers import HOLD, INTERVAL, LEAD, ONSET
from palaver_worker.stage import EARLIER, STAY

FRAME = 0.02  # s
RATE = 48_000
SILENT = 127  # -dBov


class Talker(Client):
    """Somebody who sends one voice, with a clock and numbers of his own."""

    def __init__(self, inside: Inside, name: str, first: int) -> None:
        super().__init__(inside, seat=name)
        self.connect()
        self.name, self.sequence, self.begin = name, first, 77_777 * first
        command = AddProducer(self.id, name, MediaKind.AUDIO, RATE, 1, {111: 100}, {3: AUDIO_LEVEL})
        inside.sfu.apply(command)

    def say(self, level: int) -> None:
        """One packet, that tells whose it is; `level` is in -dBov."""
        self.sequence += 1
        timestamp = self.begin + int(self.inside.loop.time() * RATE) & 0xFFFFFFFF
        body = f"{self.name} {self.sequence}".encode()
        packet = RtpPacket(111, self.sequence & 0xFFFF, timestamp, 1, body, False, {3: bytes([level])})
        self.send(self.dtls.protect_rtp(packet.write()))


class Listener(Client):
    """Somebody who hears slots; what came on each is in `heard`, by SSRC."""

    def __init__(self, inside: Inside, name: str, slots: list[str], first_ssrc: int = 100) -> None:
        super().__init__(inside, seat=name)
        self.connect()
        self.name = name
        self.heard: dict[int, list[RtpPacket]] = {}
        for number, slot in enumerate(slots):
            self.hear(slot, first_ssrc + number)

    def hear(self, producer: str, ssrc: int) -> str:
        consumer = f"{self.name} {ssrc}"
        self.inside.sfu.apply(AddConsumer(self.id, consumer, producer, ssrc, "0", "speaker", (AUDIO_LEVEL,)))
        self.inside.sfu.apply(ResumeConsumer(consumer))
        self.heard[ssrc] = []
        return consumer

    def take(self) -> list[RtpPacket]:
        new = [rtp.parse(self.dtls.unprotect_rtp(each)) for each in self.send() if not rtp.is_rtcp(each)]
        for packet in new:
            self.heard[packet.ssrc].append(packet)
        return new

    def lead(self, ssrc: int) -> int:
        """Of the last packet's timestamp to our clock: it stays where it is while the delay does."""
        return self.heard[ssrc][-1].timestamp - int(self.inside.loop.time() * RATE) & 0xFFFFFFFF

    def words(self, ssrc: int) -> list[str]:
        return [packet.payload.decode() for packet in self.heard[ssrc]]


def speakers(inside: Inside, count: int) -> list[str]:
    slots = [f"speaker-{number}" for number in range(count)]
    inside.sfu.apply(AddSpeakers("room", tuple(slots), RATE))
    return slots


async def say(inside: Inside, frames: int, listeners: list[Listener], **levels: int) -> None:
    """Sound for so long: everybody named sends packets of his level (-dBov)."""
    for _ in range(frames):
        await inside.pass_time(FRAME)
        for name, level in levels.items():
            next(each for each in people(inside) if each.name == name).say(level)
        for listener in listeners:
            listener.take()


def people(inside: Inside) -> list[Talker]:
    return inside.people


def gather(inside: Inside, names: str) -> None:
    inside.people = [Talker(inside, name, 60_000 + 2_000 * number) for number, name in enumerate(names)]


def check_unbroken(packets: list[RtpPacket]) -> None:
    """Numbers without a gap, timestamps that rise, and a mark where a voice begins."""
    for one, other in pairwise(packets):
        assert (other.sequence - one.sequence) & 0xFFFF == 1
        assert 0 < (other.timestamp - one.timestamp) & 0xFFFFFFFF < 1 << 31
        assert other.is_marked or one.payload.split()[0] == other.payload.split()[0]


def test_a_voice_takes_a_slot_with_the_words_that_made_it_count():
    async def scenario(inside: Inside) -> None:
        gather(inside, "ab")
        listener = Listener(inside, "eve", speakers(inside, 1))
        await say(inside, 10, [listener], a=SILENT, b=SILENT)
        assert listener.words(100) == []
        await say(inside, ONSET, [listener], a=20, b=SILENT)
        assert listener.words(100) == [f"a {number}" for number in range(60_014 - EARLIER, 60_014)]
        await say(inside, 10, [listener], a=20)
        assert listener.words(100)[-1] == "a 60023"
        assert listener.heard[100][0].is_marked
        check_unbroken(listener.heard[100])

    run(scenario)


def test_voices_follow_each_other_on_one_slot_as_one_stream_that_keeps_its_delay():
    async def scenario(inside: Inside) -> None:
        gather(inside, "abc")
        listener = Listener(inside, "eve", speakers(inside, 1))
        leads: list[int] = []  # whenever a voice has been heard for a while
        for name in "abcabcabcabc":
            await say(inside, 10, [listener], **(dict.fromkeys("abc", SILENT) | {name: 20}))
            assert listener.words(100)[-1].startswith(name)
            leads.append(listener.lead(100))
            await say(inside, int((HOLD + 0.1) / FRAME), [listener], **dict.fromkeys("abc", SILENT))
        assert max(abs(signed(each - leads[0])) for each in leads) < FRAME * RATE
        check_unbroken(listener.heard[100])
        begins = [packet.payload.decode() for packet in listener.heard[100] if packet.is_marked]
        assert [each.split()[0] for each in begins] == list("abcabcabcabc")

    run(scenario)


def signed(difference: int) -> int:
    return (difference + (1 << 31)) % (1 << 32) - (1 << 31)


def test_voices_that_push_each_other_out_do_not_push_the_delay_up():
    async def scenario(inside: Inside) -> None:
        gather(inside, "ab")
        listener = Listener(inside, "eve", speakers(inside, 1))
        leads: list[int] = []
        for name in "ababababab":
            levels = {"a": 40, "b": 40} | {name: 5}
            await say(inside, int((STAY + 0.5) / FRAME), [listener], **levels)
            assert listener.words(100)[-1].startswith(name)
            leads.append(listener.lead(100))
        assert max(abs(signed(each - leads[0])) for each in leads) < 2 * FRAME * RATE
        check_unbroken(listener.heard[100])

    run(scenario)


def test_timestamps_that_leap_push_nobody_aside_who_follows():
    async def scenario(inside: Inside) -> None:
        gather(inside, "ab")
        listener = Listener(inside, "eve", speakers(inside, 1))

        await say(inside, 10, [listener], a=20, b=SILENT)
        before = listener.lead(100)
        people(inside)[0].begin += 1 << 30
        await say(inside, 10, [listener], a=20, b=SILENT)
        await say(inside, int((HOLD + INTERVAL) / FRAME), [listener], a=SILENT, b=SILENT)
        await say(inside, 10, [listener], a=SILENT, b=20)
        assert abs(signed(listener.lead(100) - before)) < FRAME * RATE
        assert listener.words(100)[ONSET - EARLIER - 10].startswith("b")  # with how the word began

    run(scenario)


def test_who_speaks_hears_neither_himself_nor_twice_whom_he_consumes_by_name():
    async def scenario(inside: Inside) -> None:
        gather(inside, "ab")
        slots = speakers(inside, 2)
        himself, other = Listener(inside, "a", slots), Listener(inside, "eve", slots)
        await say(inside, 10, [himself, other], a=20, b=30)
        heard = {word.split()[0] for ssrc in (100, 101) for word in himself.words(ssrc)}
        assert heard == {"b"}
        assert {word.split()[0] for ssrc in (100, 101) for word in other.words(ssrc)} == {"a", "b"}
        by_name = other.hear("a", 300)
        before = [len(other.heard[ssrc]) for ssrc in (100, 101)]
        await say(inside, 10, [other], a=20)
        assert len(other.words(300)) == 10
        assert [len(other.heard[ssrc]) for ssrc in (100, 101)] == before
        inside.sfu.apply(PauseConsumer(by_name))
        await say(inside, 10, [other], a=20)
        assert len(other.words(300)) == 10
        for ssrc in (100, 101):
            numbers = [packet.sequence for packet in other.heard[ssrc]]
            assert numbers == [(numbers[0] + step) & 0xFFFF for step in range(len(numbers))]
        assert other.words(100)[-1].startswith("a") or other.words(101)[-1].startswith("a")

    run(scenario)


def test_a_louder_voice_takes_the_place_of_the_quietest_and_one_as_loud_does_not():
    async def scenario(inside: Inside) -> None:
        gather(inside, "abc")
        listener = Listener(inside, "eve", speakers(inside, 2))
        await say(inside, 20, [listener], a=20, b=30)
        await say(inside, int(STAY / FRAME), [listener], a=20, b=30, c=30 - int(LEAD) + 1)
        holders = {slot.holder.id for slot in inside.sfu.slots.values()}
        assert holders == {"a", "b"}
        await say(inside, 100, [listener], a=20, b=30, c=10)
        holders = {slot.holder.id for slot in inside.sfu.slots.values()}
        assert holders == {"a", "c"}
        for ssrc in (100, 101):
            check_unbroken(listener.heard[ssrc])

    run(scenario)


def test_a_voice_that_became_louder_while_it_was_alone_keeps_its_slot():
    async def scenario(inside: Inside) -> None:
        gather(inside, "ab")
        listener = Listener(inside, "eve", speakers(inside, 1))
        await say(inside, int(2 * STAY / FRAME), [listener], a=50)
        looked = inside.sfu.conversations["room"]._looked
        while inside.sfu.conversations["room"]._looked == looked:
            await say(inside, 1, [listener], a=50)
        await say(inside, int(0.8 * HOLD / FRAME), [listener], a=20)
        await say(inside, 2 * ONSET, [listener], a=20, b=35)
        assert [slot.holder.id for slot in inside.sfu.slots.values()] == ["a"]

    run(scenario)


def test_one_person_with_several_tracks_has_one_slot():
    async def scenario(inside: Inside) -> None:
        gather(inside, "ab")
        talker = inside.people[0]
        for ssrc in (2, 3):
            command = AddProducer(talker.id, f"a{ssrc}", MediaKind.AUDIO, RATE, ssrc, {111: 100}, {3: AUDIO_LEVEL})
            inside.sfu.apply(command)
        listener = Listener(inside, "eve", speakers(inside, 3))
        for sequence in range(10):
            await say(inside, 1, [listener], a=20, b=40)
            for ssrc in (2, 3):
                packet = RtpPacket(111, sequence, 960 * sequence, ssrc, b"a more", False, {3: b"\0"})
                talker.send(talker.dtls.protect_rtp(packet.write()))
        holders = sorted(slot.holder.id for slot in inside.sfu.slots.values() if slot.holder is not None)
        assert len(holders) == 2
        assert holders[1] == "b"

    run(scenario)


def test_the_silent_cost_nothing():
    async def scenario(inside: Inside) -> None:
        gather(inside, "ab")
        listener = Listener(inside, "eve", speakers(inside, 1))
        await say(inside, 10, [listener], a=20)
        await say(inside, int((HOLD + 0.3) / FRAME), [listener], a=SILENT)
        before = len(listener.heard[100])
        await say(inside, 20, [listener], a=SILENT, b=SILENT)
        assert len(listener.heard[100]) == before
        await say(inside, 10, [listener], a=20)
        assert len(listener.heard[100]) > before
        assert listener.heard[100][before].is_marked

    run(scenario)


def test_who_is_muted_is_neither_heard_nor_listened_to():
    async def scenario(inside: Inside) -> None:
        gather(inside, "ab")
        listener = Listener(inside, "eve", speakers(inside, 1))
        listener.hear("a", 300)
        listener.hear("b", 400)
        await say(inside, 10, [listener], a=20)
        inside.sfu.apply(PauseProducer("a"))
        await say(inside, 10, [listener], a=0, b=SILENT)
        assert len(listener.heard[300]) == 10
        assert inside.sfu.slots["speaker-0"].holder is None
        await inside.pass_time(INTERVAL)
        assert inside.reports[-1] == SpeakersChanged("room", ())
        inside.sfu.apply(ResumeProducer("a"))
        inside.sfu.apply(CloseConsumers("a"))
        await say(inside, 10, [listener], a=20)
        assert listener.words(100) == [f"a {number}" for number in range(60_021, 60_031)]
        check_unbroken(listener.heard[300])

    run(scenario)


def test_a_slot_outlives_its_voice_and_ends_when_it_is_closed():
    async def scenario(inside: Inside) -> None:
        gather(inside, "ab")
        slots = speakers(inside, 1)
        listener = Listener(inside, "eve", slots)
        await say(inside, 10, [listener], a=20)
        inside.sfu.apply(CloseProducer("a"))
        assert inside.sfu.slots[slots[0]].holder is None
        await say(inside, 10, [listener], b=30)
        check_unbroken(listener.heard[100])
        assert listener.words(100)[-1].startswith("b")
        inside.sfu.apply(CloseConsumers(slots[0]))
        assert not inside.sfu.consumers
        before = len(listener.heard[100])
        await say(inside, 10, [listener], b=30)
        assert len(listener.heard[100]) == before
        listener.hear(slots[0], 200)
        await say(inside, 10, [listener], b=30)
        assert len(listener.heard[200]) == 10
        inside.sfu.apply(CloseProducer(slots[0]))
        assert not inside.sfu.slots
        assert not inside.sfu.consumers
        await say(inside, 10, [listener], b=30)
        assert len(listener.heard[200]) == 10

    run(scenario)


def test_what_is_missed_comes_again_byte_for_byte_until_another_has_the_slot():
    async def scenario(inside: Inside) -> None:
        gather(inside, "ab")
        listener = Listener(inside, "eve", speakers(inside, 1))
        came: list[bytes] = []

        async def hear(frames: int, **levels: int) -> None:
            for _ in range(frames):
                await say(inside, 1, [], **levels)
                came.extend(each for each in listener.send() if not rtp.is_rtcp(each))

        await hear(6, a=20)
        first = int.from_bytes(came[0][2:4], "big")
        again = listener.send(listener.dtls.protect_rtcp(write_nack(100, [first, first + 2])))
        assert [each for each in again if not rtp.is_rtcp(each)] == [came[0], came[2]]
        await hear(int((HOLD + 0.5) / FRAME), a=SILENT)
        voice, had = len(came), inside.sfu.slots["speaker-0"]
        await hear(6, b=20)
        assert had.holder.id == "b"
        again = listener.send(
            listener.dtls.protect_rtcp(write_nack(100, [first + 1, first + voice, first + voice + 1]))
        )
        assert [each for each in again if not rtp.is_rtcp(each)] == came[voice : voice + 2]

    run(scenario)


steps = st.one_of(
    st.tuples(st.just("say"), st.sampled_from("abc"), st.sampled_from([10, 20, 40, SILENT])),
    st.tuples(st.just("wait"), st.sampled_from([HOLD, 5.0]), st.none()),
    st.tuples(st.just("by name"), st.sampled_from("abc"), st.none()),
    st.tuples(st.just("drop"), st.none(), st.none()),
    st.tuples(st.just("pause"), st.sampled_from([100, 101]), st.none()),
    st.tuples(st.just("resume"), st.sampled_from([100, 101]), st.none()),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(steps, max_size=25))
@example([("say", "b", 10), ("wait", 5.0, None), ("say", "b", 10)])
def test_no_number_stands_for_two_packets_and_nobody_is_heard_twice(walk):
    async def scenario(inside: Inside) -> None:
        gather(inside, "abc")
        listener = Listener(inside, "a", speakers(inside, 2))
        named: list[str] = []
        for number, (what, which, level) in enumerate(walk):
            if what == "say":
                await say(inside, ONSET + 1, [listener], **{which: level})
            elif what == "wait":
                await inside.pass_time(which)
            elif what == "by name":
                named.append(listener.hear(which, 1_000 + number))
            elif what == "drop":
                for consumer in named:
                    inside.sfu.apply(CloseConsumer(consumer))
                named.clear()
            else:
                command = PauseConsumer if what == "pause" else ResumeConsumer
                inside.sfu.apply(command(f"a {which}"))
        for ssrc, packets in listener.heard.items():
            numbers = [packet.sequence for packet in packets]
            assert numbers == [(numbers[0] + step) & 0xFFFF for step in range(len(numbers))]
            if ssrc < 1_000:
                rising = [packet.timestamp for packet in packets]
                assert all(0 < (b - a) & 0xFFFFFFFF < 1 << 31 for a, b in pairwise(rising))
                assert not [word for word in listener.words(ssrc) if word.startswith("a")]
        slots = [word for ssrc in (100, 101) for word in listener.words(ssrc)]
        assert len(slots) == len(set(slots))

    try:
        run(scenario)
    except SrtpError as why:  # libsrtp's own look at what was here before
        raise AssertionError("a number was used twice") from why
