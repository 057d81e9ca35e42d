"""What `scripts/bench sound` reckons with, on signals of which the answer is known; and a short run of it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import trio

from benches.sound_rig.recorder import RATE, Recording
from benches.sound_rig.room import BLOCK, Acoustics, Room, respond
from benches.sound_rig.scenarios import played_share
from benches.sound_rig.scores import Heard, delays, find, loss_db, recovery
from benches.sound_rig.sip import reroute
from benches.sound_rig.table import table
from benches.sound_rig.turns import Conversation, summary, take_turns, track
from benches.sound_rig.voices import REPORT, TUNE
from running import PYTHONPATH

BENCH = Path(__file__).parents[2] / "scripts/benches/sound.py"


def noise(seconds: float, seed: int = 1) -> np.ndarray:
    """As wide as a voice, and like nothing else."""
    raw = np.random.default_rng(seed).normal(0, 4000, round(seconds * RATE))
    return scipy.signal.lfilter([1], [1, -0.9], raw * 0.4).clip(-30000, 30000)


def at(delay_s: float, sound: np.ndarray, began: float = 100.0, seconds: float = 12.0) -> Recording:
    """A recording in which a sound begins then."""
    samples = np.zeros(round(seconds * RATE))
    first = round(delay_s * RATE)
    samples[first : first + len(sound)] = sound
    return Recording(samples, began)


def test_a_sound_is_found_to_the_sample_whatever_its_level_or_sign():
    sound = noise(1)
    when, likeness = find(sound, at(2.5, sound * -0.01))
    assert when == pytest.approx(102.5, abs=1 / RATE)
    assert likeness == pytest.approx(1.0)


def test_another_sound_is_not_like_it():
    _, likeness = find(noise(1), at(2.5, noise(1, seed=2)))
    assert likeness < 0.15


def test_a_part_of_a_recording_keeps_its_time():
    part = at(2.5, noise(1)).between(102.0, 104.0)
    assert (part.began, len(part.samples)) == (pytest.approx(102.0), 2 * RATE)
    assert len(part.between(0.0, 1.0).samples) == 0


def test_the_delay_is_followed_while_it_changes():
    said = noise(6).astype(np.int16)
    heard = at(0.1, said[: 3 * RATE].astype(float))
    heard.samples[round(3.25 * RATE) : round(6.25 * RATE)] = said[3 * RATE :]
    course = delays(said, 100.0, heard)
    assert [late for when, late in course if when < 102.5] == pytest.approx([100.0] * 13, abs=0.1)
    assert [late for when, late in course if when > 103.0] == pytest.approx([250.0] * 12, abs=0.1)


def test_a_delay_that_comes_back_and_one_that_does_not():
    course = [(when / 10, 80.0) for when in range(100)]
    course += [(10 + when / 10, 80.0 + max(0.0, 400 - 100 * when / 10)) for when in range(80)]
    back = recovery(course, stall_ends=10.0, stall_s=0.5, near_ms=20)
    assert (back.before_ms, back.worst_ms, back.after_5_s_ms) == (80.0, 480.0, 80.0)
    assert back.back_after_s == pytest.approx(3.8)
    never = recovery([*course, (18.1, 200.0)], stall_ends=10.0, stall_s=0.5, near_ms=20)
    assert never.back_after_s is None


def test_what_is_left_of_an_echo_is_told_in_decibels():
    echo, left = at(1.0, noise(5)), at(1.2, noise(5) / 100)
    assert loss_db(echo, left, 0.2, 101.5, 105.0) == pytest.approx(40, abs=0.1)


def test_a_room_is_as_late_and_as_loud_as_it_is_said_to_be():
    acoustics = Acoustics(delay_ms=100, gain_db=-12)
    assert 10 * np.log10(np.sum(respond(acoustics) ** 2)) == pytest.approx(-12)
    room, sound = Room(acoustics), noise(2)
    heard = np.concatenate([room.hear(sound[start : start + BLOCK]) for start in range(0, len(sound), BLOCK)])
    when, _ = find(sound[:RATE], Recording(heard, 0.0))
    assert when == pytest.approx(0.1, abs=0.0001)
    assert 20 * np.log10(np.std(heard[RATE:]) / np.std(sound)) == pytest.approx(-12, abs=0.5)


def test_an_echo_drifts_away():
    room, sound = Room(Acoustics(delay_ms=10, drift_ppm=1000)), noise(4)
    heard = np.concatenate([room.hear(sound[start : start + BLOCK]) for start in range(0, len(sound), BLOCK)])
    late, _ = find(sound[round(3.5 * RATE) : round(3.6 * RATE)], Recording(heard, 0.0))
    assert late - 3.5 == pytest.approx(0.0135, abs=0.0002)


def test_turns_follow_each_other_and_nobody_talks_in_anothers():
    said = [np.full(RATE, number, np.int16) for number in (1, 2, 3)]
    turns = take_turns(zip(("alice", "bob", "alice"), said, strict=True))
    length = turns[-1].end
    alice, bob = track(turns, "alice", length), track(turns, "bob", length)
    assert not np.any((alice != 0) & (bob != 0))
    assert (np.count_nonzero(alice), np.count_nonzero(bob)) == (2 * RATE, RATE)


def test_when_something_was_said_is_heard_from_the_cable():
    utterance = noise(2).astype(np.int16)
    (turn,) = take_turns([("alice", utterance)])
    mouth = at(turn.at / RATE + 0.137, utterance.astype(float))  # playing began so much later than was asked for
    conversation = Conversation((turn,), {"alice": mouth}, {}, began=100.0)
    assert conversation.said_at(turn) == pytest.approx(100.437, abs=1 / RATE)
    with pytest.raises(RuntimeError, match="cable"):
        Conversation((turn,), {"alice": at(5.0, utterance)}, {}, began=100.0).said_at(turn)


def test_what_was_not_heard_counts_as_the_worst():
    told = summary([Heard(80.0, 4.0, 0.99), None, None])
    assert (told["pesq"], told["stoi"], told["missed"], told["delay_ms"]) == (1.0, 0.0, 2, 80.0)


def test_played_is_what_arrived_but_for_what_came_too_late():
    stalled, rushed, usual = ({"late": late, "in_kbps": kbps} for late, kbps in ((0.0, 0.0), (0.25, 60.0), (0.0, 40.0)))
    told = [{"users": [stalled]}, {"users": [rushed]}, {"users": []}, {"users": [usual]}]
    assert played_share(told) == pytest.approx(1 - 15 / 100)
    assert played_share([]) is None
    assert played_share([{"users": [stalled]}]) is None


def test_parameters_are_chosen_on_other_voices_sentences_and_seeds():
    assert not set(TUNE.speakers) & set(REPORT.speakers)
    assert not set(TUNE.sentences) & set(REPORT.sentences)
    assert not set(TUNE.book) & set(REPORT.book)
    assert abs(TUNE.seed - REPORT.seed) >= 1000


def test_the_proxy_writes_other_media_ports_into_a_description_and_its_length():
    body = b"v=0\r\nm=audio 9000 RTP/AVP 96\r\na=rtcp:9001\r\n"
    head = b"INVITE sip:bob SIP/2.0\r\nContent-Length: %d\r\n\r\n" % len(body)
    told = reroute(head + body, {9000: 10500})
    assert told.endswith(b"m=audio 10500 RTP/AVP 96\r\na=rtcp:9001\r\n")
    assert b"Content-Length: %d\r\n" % (len(body) + 1) in told
    assert reroute(b"BYE sip:bob SIP/2.0\r\nl: 0\r\n\r\n", {9000: 1}) == b"BYE sip:bob SIP/2.0\r\nl: 0\r\n\r\n"


def test_the_table_has_medians_aims_and_what_went_wrong():
    relay = {"late_ms_p99": 0.4, "paths": {"alice there": {"taken": 50, "lost": 5}}}
    call = {"scenario": "clean", "seed": 1, "relay": relay, "cpu": 9.0, "played": 0.995, "delay_p95_ms": 90.0}
    calls = [{**call, "product": "palaver", "delay_ms": late, "pesq": 4.0, "stoi": 0.99} for late in (70.0, 80.0, 90.0)]
    broken = {"scenario": "clean", "seed": 1, "product": "baresip", "problem": "left out: apt-get install baresip"}
    told = table({"machine": {"cores": "2"}, "voices": "reporting", "calls": [*calls, broken]})
    (row,) = [line.split() for line in told.splitlines() if line.startswith("  clean        palaver")]
    assert row == ["clean", "palaver", "80", "90", "4.00", "0.990", "99.5", "9.0", "10.0", "0.4"]
    assert "left out: apt-get install baresip" in told
    assert "aim: palaver: <= 80 ms" in told
    assert "busy" not in told


def test_the_table_says_when_the_machine_was_too_busy():
    call = {"scenario": "stall", "seed": 1, "product": "palaver", "relay": {"late_ms_p99": 7.4, "paths": {}}}
    told = table({"machine": {}, "voices": "tuning", "calls": [call]})
    assert "late by up to 7 ms" in told


@pytest.mark.sound
@pytest.mark.timeout(120)
@pytest.mark.trio
async def test_a_stall_is_measured_in_a_real_call():
    command = [sys.executable, str(BENCH), "--json", "--tune", "--only", "palaver", "--scenarios", "stall"]
    result = await trio.run_process(command, capture_stdout=True, env={**os.environ, "PYTHONPATH": PYTHONPATH})
    (call,) = json.loads(result.stdout)["calls"]
    assert "problem" not in call, call
    assert call["worst_ms"] > call["before_ms"] + 100
    assert call["relay"]["paths"]["alice there"]["most_delay_s"] > 0.4
    assert call["cpu"] > 0
