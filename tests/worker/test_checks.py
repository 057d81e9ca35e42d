"""Checks that change nothing are answered in the core, as Python would answer them; all others are left to it."""

import socket
import struct
from collections import Counter

import pytest

from media.fuzz import Mutations
from media.inside import Client, Inside, connected, hear, run
from media_peer import audio
from palaver_media import stun
from palaver_media.worker_messages import RestartIce
from palaver_worker.client_transport import CONSENT
from palaver_worker.datagrams import Incoming, Outgoing
from palaver_worker.fanout import AGAIN, Fanout
from palaver_worker.fanout_c import CFanout
from palaver_worker.fanout_python import PythonFanout
from palaver_worker.ice_lite import CHECKS
from palaver_worker.sockaddr import pack

CORES = [PythonFanout, CFanout]
FEW, MANY = 20_000, 1_000_000  # mutants: always, and with --long
PASSWORD = "wherewith it is signed"


class Known:
    """A core that hears one client, at the address of a socket, and is told nothing else."""

    def __init__(self, core: type[Fanout], family: socket.AddressFamily, host: str, bound: str) -> None:
        self.udp = socket.socket(socket.AF_INET6 if ":" in bound else socket.AF_INET, socket.SOCK_DGRAM)
        if ":" in bound:
            self.udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.udp.bind((bound, 0))
        self.udp.setblocking(False)
        self.dropped: Counter[str] = Counter()
        incoming = Incoming(self.udp)
        self.outgoing = Outgoing(self.udp, self.dropped)
        self.fanout = core(incoming, self.outgoing)
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.setblocking(False)
        self.server = (host, self.udp.getsockname()[1])
        host, port = self.socket.getsockname()[:2]
        self.source = host, port
        self.address = pack((f"::ffff:{host}" if ":" in bound and ":" not in host else host, port))
        self.client = self.fanout.client()
        self.client.know("ours", PASSWORD, CHECKS)
        self.client.note_check(b"the first is never answered here")
        self.fanout.admit(self.address, self.client)

    def send(self, datagram: bytes, now: float) -> tuple[bytes, list[int]]:
        """What the core answers to it, and the slots that it leaves."""
        self.socket.sendto(datagram, self.server)
        self.fanout.receive(self.dropped)
        left = self.fanout.process(now, self.dropped)
        self.outgoing.flush()
        try:
            return self.socket.recv(2048), left
        except BlockingIOError:
            return b"", left

    def close(self) -> None:
        self.socket.close()
        self.udp.close()


@pytest.fixture(params=[("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "::"), ("::1", "::")], ids=["4", "4 over 6", "6"])
def hosts(request):
    return request.param


@pytest.fixture(params=CORES, ids=["python", "c"])
def known(request, hosts):
    host, bound = hosts
    known = Known(request.param, socket.AF_INET6 if ":" in host else socket.AF_INET, host, bound)
    yield known
    known.close()


def unnominating(username: str = "ours:theirs", password: str = PASSWORD, number: int = 0) -> bytes:
    """A check without USE-CANDIDATE, the same for the same number."""
    body = stun._attribute(stun.USERNAME, username.encode()) + stun._attribute(0x802A, bytes(8))
    return stun._signed(stun.REQUEST, (1 + number).to_bytes(4, "big") + b"saction!", body, password.encode())


def test_a_known_clients_check_is_answered_as_python_does(known):
    check = unnominating()
    answer, left = known.send(check, 5.0)
    assert answer == stun.make_answer(stun.parse(check), known.source, PASSWORD)
    assert (left, known.client.checked(known.address)) == ([], 5.0)


def test_a_check_may_nominate_the_address_that_is_selected_and_no_other(known):
    check, _ = stun.make_request("ours:theirs", PASSWORD, 1)
    assert known.send(check, 5.0) == (b"", [0])
    known.client.select(known.address)
    answer, left = known.send(check, 6.0)
    assert stun.parse(answer).is_answer(check[8:20], PASSWORD)
    assert (left, known.client.checked(known.address)) == ([], 6.0)
    known.fanout.dismiss(known.address)
    known.fanout.admit(known.address, known.client)
    assert known.client.checked(known.address) == 0.0
    assert known.send(check, 7.0) == (b"", [0])


def test_what_was_answered_before_is_not_when_things_have_changed(known):
    known.client.select(known.address)
    check, _ = stun.make_request("ours:theirs", PASSWORD, 1)
    for now in (5.0, 6.0):
        assert known.send(check, now)[0]
    known.client.select(pack(("192.0.2.1", 5)))
    assert known.send(check, 8.0) == (b"", [0])  # it would change where he is sent to
    assert known.send(unnominating(), 8.0)[0]
    known.client.know("newer", PASSWORD, CHECKS)
    assert known.send(unnominating(), 9.0) == (b"", [0])


@pytest.mark.parametrize(
    "check",
    [
        unnominating("theirs:ours"),
        unnominating("ours"),
        unnominating("ours2:theirs"),
        unnominating(password="guessed"),
        unnominating()[:-1] + b"\0",
        unnominating()[:-8],
        stun.make_answer(stun.parse(unnominating()), ("192.0.2.1", 5), PASSWORD),
        struct.pack("!HHI12s", stun.REQUEST, 0, 0x2112A442, bytes(12)),
        unnominating("ours:" + "x" * 600),
    ],
)
def test_what_is_not_his_or_not_whole_is_left(known, check):
    answer, left = known.send(check, 5.0)
    if len(check) > 600 and isinstance(known.fanout, PythonFanout):
        assert answer  # which has no limit to what it reads
    else:
        assert (answer, left, known.client.checked(known.address)) == (b"", [0], 0.0)


def test_whoever_is_known_by_nothing_is_left(known):
    known.client.know("", "", CHECKS)
    assert known.send(unnominating(), 5.0) == (b"", [0])
    known.client.know("ours", PASSWORD, CHECKS)
    assert known.send(unnominating(), 5.0)[0]


def test_too_many_are_not_answered_but_known_when_they_come_again(known):
    answers = [known.send(unnominating(number=number), 5.0) for number in range(2 * CHECKS)]
    answered = sum(answer != b"" for answer, _ in answers)
    assert CHECKS <= answered <= CHECKS + 1
    assert not any(left for _, left in answers)
    assert known.dropped == {"excess": 2 * CHECKS - answered}
    assert known.client.note_check(unnominating(number=2 * CHECKS - 1)[8:20])
    assert known.send(unnominating(number=2 * CHECKS), 6.5)[0]


def test_what_comes_again_is_no_new_word_and_uses_up_nobodys_share(known):
    again = [known.send(unnominating(), 5.0) for _ in range(2 * CHECKS)]
    assert not any(left for _, left in again)
    assert CHECKS / AGAIN <= sum(answer != b"" for answer, _ in again) <= CHECKS / AGAIN + 2
    for number in range(1, CHECKS):
        assert known.send(unnominating(number=number), 5.0)[0]
    assert known.send(unnominating(), 8.0)[0]
    assert known.client.checked(known.address) == 5.0


def mutants(count: int) -> list[bytes]:
    """Mutants of checks, half of them signed anew, so that what is read behind the signature counts."""
    genuine = unnominating(), stun.make_request("ours:theirs", PASSWORD, 1)[0], unnominating("ours:" + "x" * 70)
    made = []
    for number, mutant in enumerate(Mutations(7, genuine).take(count)):
        body = mutant[20:-32]
        if number % 2 and len(mutant) > 52:
            body = body[: len(body) & ~3]
            made.append(stun._signed(int.from_bytes(mutant[:2], "big"), mutant[8:20], body, PASSWORD.encode()))
        else:
            made.append(mutant)
    return made


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_both_cores_answer_the_same_mutants_alike(count):
    both = [Known(core, socket.AF_INET, "127.0.0.1", "127.0.0.1") for core in CORES]
    answered = 0
    for number, mutant in enumerate(mutants(count)):
        answers = []
        for each in both:
            answer, left = each.send(mutant, float(number))  # a second later each time: none is one too many
            attributes = stun.parse(answer).attributes if answer else {}
            answers.append((attributes.keys(), answer[8:20], bool(answer), left))
            assert not answer or stun.parse(answer).is_answer(mutant[8:20], PASSWORD)
        if len(mutant) <= 512:  # as far as C reads
            assert answers[0] == answers[1], mutant.hex()
        answered += answers[0][2]
    for each in both:
        each.close()
    assert count / 50 < answered < count / 2


def test_checks_that_the_core_answers_are_consent():
    async def scenario(inside: Inside) -> None:
        speaker, listener = connected(inside)
        hear(inside, speaker, listener)
        for number in range(3):
            await inside.pass_time(CONSENT - 1)
            for client in (speaker, listener):
                client.check()
            listener.receive()
            speaker.send(speaker.dtls.protect_rtp(audio(1, number).write()))
            assert len(listener.receive()) == 1
            assert speaker.transport.is_connected

    run(scenario)


def with_old_credentials(inside: Inside) -> Client:
    """A client whose new credentials nobody has used yet: his checks are Python's to answer."""
    client = Client(inside)
    client.connect()
    inside.sfu.apply(RestartIce(client.id, "newer", "newer password"))
    return client


@pytest.mark.parametrize("is_pythons", [False, True])
def test_an_old_check_is_no_consent(is_pythons):
    async def scenario(inside: Inside) -> None:
        client = with_old_credentials(inside) if is_pythons else connected(inside, 1)[0]
        old = client.make_check()
        assert client.send(old)
        for _ in range(4):
            await inside.pass_time(CONSENT / 4 + 1)
            client.send(old)
        assert client.id not in inside.sfu.transports

    run(scenario)


def test_who_sends_old_checks_again_uses_up_nobodys_share_of_what_python_answers():
    async def scenario(inside: Inside) -> None:
        client = with_old_credentials(inside)
        old = client.make_check()
        answered = sum(len(client.send(old)) for _ in range(2 * CHECKS))
        assert CHECKS / AGAIN <= answered <= CHECKS / AGAIN + 5
        assert all(client.send(client.make_check()) for _ in range(CHECKS - 5))

    run(scenario)


def test_while_there_are_two_credentials_python_is_asked():
    async def scenario(inside: Inside) -> None:
        client = with_old_credentials(inside)
        client.check()
        assert client.transport.ice.only is None
        old, _ = stun.make_request(f"{client.id}:us", "password", 1)
        new, _ = stun.make_request("newer:us", "newer password", 1)
        assert client.send(old)
        assert client.send(new)
        assert not client.send(old)
        assert client.send(new)
        assert client.transport.ice.only is not None

    run(scenario)
